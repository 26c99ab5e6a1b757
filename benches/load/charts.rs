//! The pictures of the README, drawn of what stands in `target/bench`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::report::folder;
use crate::svg::{Frame, Series, Stroke, end_of_axis};

const BLUE: &str = "#2f81f7";
const ORANGE: &str = "#db6d28";
const GREEN: &str = "#2da44e";
const GREY: &str = "#8c959f";
/// Shares of the histogram are drawn down to this.
const LEAST_SHARE: f64 = 1e-6;
const BAR_MS: f64 = 0.5;
/// The histogram is that of about so many calls.
const GAPS_AT_CALLS: f64 = 3_000.0;

/// A scenario's file, with the names that its line bears.
struct Measured {
    name: &'static str,
    colour: &'static str,
    document: Value,
}

impl Measured {
    fn read(file: &str, name: &'static str, colour: &'static str) -> Option<Self> {
        let text = fs::read_to_string(folder().join(format!("{file}.json"))).ok()?;
        Some(Self { name, colour, document: serde_json::from_str(&text).ok()? })
    }

    fn points(&self) -> impl Iterator<Item = &Value> {
        self.document["points"].as_array().into_iter().flatten()
    }

    fn series(&self, of: &dyn Fn(&Value) -> f64) -> Series {
        let point = |point: &Value| (number(&point["calls"]), of(point));
        Series {
            name: self.name.to_owned(),
            colour: self.colour,
            stroke: Stroke::Measured,
            points: self.points().filter(|point| point["holds"] == true).map(point).collect(),
        }
    }

    /// Processor, cores, and what was measured.
    fn machine(&self) -> String {
        let machine = &self.document["machine"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let cores = number(&machine["cores"]);
        let processor = text(&machine["processor"]);
        format!(
            "{processor}, {cores} cores, the callers beside the server; {}",
            text(&self.document["commit"])
        )
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// Draws what was measured; what was not has no line.
pub fn draw() -> anyhow::Result<()> {
    let playback = Measured::read("playback", "prompts", BLUE);
    let bridged = Measured::read("bridged", "bridged", ORANGE);
    let recorded = Measured::read("bridged-recorded", "bridged, recorded", GREEN);
    let all: Vec<&Measured> = [&playback, &bridged, &recorded].into_iter().flatten().collect();
    let Some(first) = all.first() else {
        println!("  nothing is measured yet");
        return Ok(());
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bench");
    fs::create_dir_all(&folder)?;
    let machine = first.machine();
    fs::write(folder.join("cpu.svg"), cpu(&all, &first.document["floor"], &machine))?;
    fs::write(folder.join("memory.svg"), memory(&all, &machine))?;
    if let Some(playback) = &playback {
        fs::write(folder.join("gaps.svg"), gaps(playback))?;
    }
    println!("  drawn: docs/bench/cpu.svg memory.svg gaps.svg");
    Ok(())
}

fn cpu(measured: &[&Measured], floor: &Value, machine: &str) -> String {
    let mut series: Vec<Series> =
        measured.iter().map(|one| one.series(&|point| number(&point["cores"]))).collect();
    let x_most = most(&series, |point| point.0);
    let y_most = end_of_axis(most(&series, |point| point.1));
    // 50 packets a second; a bridged call relays two streams.
    for (name, us, per_call) in
        [("bare sendto", "sendto_us", 1.0), ("bare relay", "relayed_packet_us", 2.0)]
    {
        let cores = number(&floor[us]) * per_call * 50.0 / 1e6;
        let calls = x_most.min(y_most / cores);
        let points = vec![(0.0, 0.0), (calls, calls * cores)];
        series.push(Series { name: name.to_owned(), colour: GREY, stroke: Stroke::Floor, points });
    }
    let frame = Frame {
        title: "Calls and the CPU that the server takes",
        subtitle: machine,
        x: "calls at the same time",
        y: "cores",
        x_most,
        y_most,
    };
    frame.lines(&series)
}

fn memory(measured: &[&Measured], machine: &str) -> String {
    let mb = |point: &Value| number(&point["rss_kb"]) / 1_024.0;
    let series: Vec<Series> = measured.iter().map(|one| one.series(&mb)).collect();
    let frame = Frame {
        title: "Calls and the memory that the server takes",
        subtitle: machine,
        x: "calls at the same time",
        y: "MB resident",
        x_most: most(&series, |point| point.0),
        y_most: end_of_axis(most(&series, |point| point.1)),
    };
    frame.lines(&series)
}

fn gaps(playback: &Measured) -> String {
    let distance = |point: &&Value| (number(&point["calls"]) - GAPS_AT_CALLS).abs();
    let nearest = playback.points().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let point = nearest.unwrap_or(&Value::Null);
    let counts: Vec<f64> =
        point["gap_bars_half_ms"].as_array().into_iter().flatten().map(number).collect();
    let all: f64 = counts.iter().sum::<f64>().max(1.0);
    let shares: Vec<f64> = counts.iter().map(|count| count / all).collect();
    let gap = |share: &str| number(&point["gap_ms"][share]);
    let title = format!("Time between two packets of a call, {} calls", number(&point["calls"]));
    let subtitle = format!(
        "20 ms is right. p50 {:.2} · p99 {:.2} · p99.9 {:.2} · longest {:.0} ms",
        gap("p50"),
        gap("p99"),
        gap("p99.9"),
        gap("max")
    );
    let frame = Frame {
        title: &title,
        subtitle: &subtitle,
        x: "ms, by the kernel's time stamps",
        y: "share of all packets",
        x_most: 60.0,
        y_most: 1.0,
    };
    frame.bars(&shares[..shares.len().min(120)], BAR_MS, LEAST_SHARE, BLUE)
}

fn most(series: &[Series], of: impl Fn(&(f64, f64)) -> f64) -> f64 {
    series.iter().flat_map(|one| &one.points).map(of).fold(1.0, f64::max)
}
