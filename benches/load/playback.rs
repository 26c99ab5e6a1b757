//! Calls that listen to a recording: more and more of them, until it breaks.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Run;
use crate::ears::{Ears, Heard};
use crate::floor::Floor;
use crate::report::{Figure, Goal, Outcome};
use crate::server::{Server, Spent};
use crate::sipp::{Scenario, Sipp};

/// New calls in a second while the number grows.
const PER_SECOND: usize = 400;
const DELIVERED_LEAST: f64 = 0.999;
const GAP_P99_MOST_MS: f64 = 25.0;
const HOLD: Duration = Duration::from_secs(600);
const SETTLE: Duration = Duration::from_secs(2);

/// Whether the callers send RTP, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    Silent,
    Speaking,
}

/// What one number of calls came to.
struct Point {
    calls: usize,
    heard: Heard,
    spent: Spent,
    rss_kb_per_call: f64,
    sipp_cores: f64,
}

impl Point {
    fn delivered(&self) -> f64 {
        self.heard.delivered(self.calls)
    }

    fn holds(&self) -> bool {
        self.delivered() >= DELIVERED_LEAST && self.heard.gaps.quantile_ms(0.99) <= GAP_P99_MOST_MS
    }

    /// % of a core.
    fn percent_per_call(&self) -> f64 {
        self.spent.cores() * 100.0 / self.calls as f64
    }

    fn print(&self) {
        let gap = |share| self.heard.gaps.quantile_ms(share);
        println!(
            "  {:>6} calls: {:.4} % of a core each, {:.2} cores; delivered {:.2} %; gaps p50 {:.2} p99 {:.2} \
             p99.9 {:.2} longest {:.0} ms; {:.1} kB each; machine {:.0} % busy (ears {:.2}, sipp {:.2} cores){}",
            self.calls,
            self.percent_per_call(),
            self.spent.cores(),
            self.delivered() * 100.0,
            gap(0.5),
            gap(0.99),
            gap(0.999),
            self.heard.gaps.longest_ms(),
            self.rss_kb_per_call,
            self.spent.busy * 100.0,
            self.heard.cpu.as_secs_f64() / self.spent.time.as_secs_f64(),
            self.sipp_cores,
            if self.holds() { "" } else { "  – broken" },
        );
    }

    fn json(&self) -> serde_json::Value {
        let gap = |share| self.heard.gaps.quantile_ms(share);
        json!({
            "calls": self.calls,
            "holds": self.holds(),
            "streams": self.heard.streams,
            "delivered": self.delivered(),
            "numbers_left_out": self.heard.lost,
            "gap_ms": { "p50": gap(0.5), "p99": gap(0.99), "p99.9": gap(0.999), "max": self.heard.gaps.longest_ms() },
            "own_gap_p99_ms": self.heard.own_gaps.quantile_ms(0.99),
            "gap_histogram_0.5ms": self.heard.gaps.bars(0.5, 60.0),
            "cores": self.spent.cores(),
            "percent_of_core_per_call": self.percent_per_call(),
            "cpu_ms_per_call_minute": self.percent_per_call() * 600.0,
            "rss_kb": self.spent.after.rss_kb,
            "rss_kb_per_call": self.rss_kb_per_call,
            "files": self.spent.after.files,
            "machine_busy": self.spent.busy,
            "ears_cores": self.heard.cpu.as_secs_f64() / self.spent.time.as_secs_f64(),
            "sipp_cores": self.sipp_cores,
        })
    }
}

pub fn playback(run: &Run, callers: Callers) -> anyhow::Result<Outcome> {
    let name = match callers {
        Callers::Silent => "playback",
        Callers::Speaking => "playback-speaking",
    };
    let mut outcome = Outcome::new(name);
    let points = ramp(run, callers, &mut outcome)?;
    outcome.points = points.iter().map(Point::json).collect();
    outcome.figures = figures(&points, callers, &run.floor);
    Ok(outcome)
}

/// One server; each step adds callers to those who are there.
fn ramp(run: &Run, callers: Callers, outcome: &mut Outcome) -> anyhow::Result<Vec<Point>> {
    let server = Server::start(|_| Ok(()))?;
    let ears = Ears::open(callers == Callers::Speaking)?;
    std::thread::sleep(Duration::from_secs(1));
    let empty = server.usage()?;
    let (mut sipps, mut points, mut up) = (Vec::new(), Vec::new(), 0);
    for calls in run.steps() {
        sipps.push(Sipp::dial(Scenario::Hold(HOLD), "100", calls - up, PER_SECOND, &ears.ports)?);
        let ready = until_heard(&ears, calls, calls - up);
        if !ready {
            let complaint = sipps.iter().find_map(Sipp::complaint).unwrap_or_default();
            outcome
                .remark(format!("only {} of {calls} calls are heard. {complaint}", ears.alive()));
        }
        up = calls;
        std::thread::sleep(SETTLE);
        let sipp_cpu = || sipps.iter().map(Sipp::cpu).sum::<Duration>();
        let before = sipp_cpu();
        let (heard, spent) = server.during(|| ears.listen(run.window))?;
        let sipp_cores = (sipp_cpu() - before).as_secs_f64() / spent.time.as_secs_f64();
        let grown = spent.after.rss_kb.saturating_sub(empty.rss_kb) as f64;
        let point =
            Point { calls, heard, spent, rss_kb_per_call: grown / calls as f64, sipp_cores };
        point.print();
        let holds = point.holds() && ready;
        points.push(point);
        if !holds {
            break;
        }
    }
    Ok(points)
}

/// Whether all calls are heard within the time that setting them up takes, and some more.
fn until_heard(ears: &Ears, calls: usize, new: usize) -> bool {
    let most = Duration::from_secs_f64(new as f64 / PER_SECOND as f64 * 1.5 + 5.0);
    let began = Instant::now();
    while began.elapsed() < most {
        if ears.alive() >= calls {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn figures(points: &[Point], callers: Callers, floor: &Floor) -> Vec<Figure> {
    let good: Vec<&Point> = points.iter().filter(|point| point.holds()).collect();
    let Some(most) = good.last() else { return Vec::new() };
    // The middle of the field: neither idle nor at the edge.
    let nearest = |calls: usize| good.iter().min_by_key(|point| point.calls.abs_diff(calls));
    let usual = nearest(1_000).unwrap_or(most);
    let (who, floor_us, goals) = match callers {
        Callers::Silent => ("playback", floor.send_us, true),
        Callers::Speaking => ("playback, callers speak", floor.relay_us, false),
    };
    let goal = |goal| if goals { goal } else { Goal::Open };
    let floor_percent = Floor::percent_of_core(floor_us);
    let mut figures = vec![
        Figure::new(
            format!("{who}: CPU per call, {} calls", usual.calls),
            usual.percent_per_call(),
            "% of a core",
            goal(Goal::AtMost(0.030)),
        )
        .over(floor_percent),
        Figure::new(
            format!("{who}: CPU per packet, {} calls", usual.calls),
            usual.percent_per_call() * 200.0,
            "µs",
            Goal::Open,
        )
        .over(floor_us),
        Figure::new(
            format!("{who}: most calls measured that hold"),
            most.calls as f64,
            "calls",
            goal(Goal::AtLeast(5_000.0)),
        ),
        Figure::new(
            format!("{who}: memory per call, {} calls", most.calls),
            most.rss_kb_per_call,
            "kB",
            goal(Goal::AtMost(16.0)),
        ),
    ];
    if let Some(at) = points.iter().find(|point| point.calls == 3_000) {
        let gap = at.heard.gaps.quantile_ms(0.99);
        figures.push(Figure::new(
            format!("{who}: p99 gap at 3,000 calls"),
            gap,
            "ms",
            goal(Goal::AtMost(22.0)),
        ));
    }
    figures
}
