//! Calls that listen to a recording.

use std::time::Duration;

use crate::Run;
use crate::ears::Ears;
use crate::floor::Floor;
use crate::ramp::{Point, Ramp};
use crate::report::{Figure, Goal, Outcome};
use crate::server::Server;
use crate::sipp::{Scenario, Sipp};

const PER_SECOND: usize = 400;
const GAP_P99_MOST_MS: f64 = 25.0;
const HOLD: Duration = Duration::from_secs(600);

/// Whether the callers send RTP, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    Silent,
    Speaking,
}

pub fn playback(run: &Run, callers: Callers) -> anyhow::Result<Outcome> {
    let (name, quick): (_, &[usize]) = match callers {
        Callers::Silent => ("playback", &[1_000, 3_000, 5_000]),
        Callers::Speaking => ("playback-speaking", &[1_000]),
    };
    let full = [100, 300, 500].into_iter().chain((1_000..=10_000).step_by(500));
    let mut outcome = Outcome::new(name);
    let server = Server::start(|_| Ok(()))?;
    let ears = Ears::open(callers == Callers::Speaking)?;
    let ramp = Ramp {
        server: &server,
        ears: &ears,
        steps: run.steps(quick, full.collect()),
        window: run.window,
        per_second: PER_SECOND,
        streams: 1,
        gap_p99_most_ms: GAP_P99_MOST_MS,
    };
    let points = ramp.climb(&mut outcome, |calls| {
        Sipp::dial(Scenario::Hold(HOLD), "100", calls, PER_SECOND, &ears.ports)
    })?;
    outcome.figures = figures(&points, callers, &run.floor);
    Ok(outcome)
}

fn figures(points: &[Point], callers: Callers, floor: &Floor) -> Vec<Figure> {
    let Some(most) = points.iter().rfind(|point| point.holds) else { return Vec::new() };
    let good = points.iter().filter(|point| point.holds);
    // The middle of the field: neither idle nor at the edge.
    let usual = good.min_by_key(|point| point.calls.abs_diff(1_000)).unwrap_or(most);
    // A packet that comes must at least be received.
    let (who, floor_us) = match callers {
        Callers::Silent => ("playback", floor.send_us),
        Callers::Speaking => ("playback, callers speak", floor.relay_us),
    };
    let goal = |goal| if callers == Callers::Silent { goal } else { Goal::Open };
    let what = |what: &str, calls: usize| format!("{who}: {what}, {calls} calls");
    let cpu = Figure::new(
        what("CPU per call", usual.calls),
        usual.percent_per_call(),
        "% of a core",
        goal(Goal::AtMost(0.030)),
    );
    let packet = Figure::new(
        what("CPU per packet", usual.calls),
        usual.us_per_packet(),
        "µs",
        goal(Goal::AtMost(1.5 * floor_us)),
    );
    let most_calls = Figure::new(
        format!("{who}: most calls that hold, of those tried"),
        most.calls as f64,
        "calls",
        goal(Goal::AtLeast(5_000.0)),
    );
    let memory = Figure::new(
        what("memory per call", most.calls),
        most.rss_kb_per_call,
        "kB",
        goal(Goal::AtMost(16.0)),
    );
    let mut figures =
        vec![cpu.over(Floor::percent_of_core(floor_us)), packet.over(floor_us), most_calls, memory];
    if let Some(point) = points.iter().find(|point| point.calls == 3_000) {
        let gap = point.heard.gaps.quantile_ms(0.99);
        let figure = Figure::new(what("p99 gap", 3_000), gap, "ms", goal(Goal::AtMost(22.0)));
        figures.push(figure.over(20.0));
    }
    figures
}
