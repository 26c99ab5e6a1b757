//! Calls between a caller and an operator, both of whom speak.

use std::sync::Arc;
use std::time::Duration;

use crate::Run;
use crate::desks::{Desks, hire};
use crate::ears::Ears;
use crate::ramp::{Point, Ramp};
use crate::report::{Figure, Goal, Outcome};
use crate::server::Server;
use crate::sipp::{Scenario, Sipp};

const PER_SECOND: usize = 200;
const GAP_P99_MOST_MS: f64 = 30.0;
const HOLD: Duration = Duration::from_secs(600);

pub fn bridged(run: &Run, is_recorded: bool) -> anyhow::Result<Outcome> {
    let (name, number, quick): (_, _, &[usize]) = if is_recorded {
        ("bridged-recorded", "400", &[300])
    } else {
        ("bridged", "300", &[300, 1_000])
    };
    let full = [100, 300, 500, 750].into_iter().chain((1_000..=2_500).step_by(250));
    let steps = run.steps(quick, full.collect());
    let operators = steps.last().copied().unwrap_or(0);
    let mut outcome = Outcome::new(name);
    let server = Server::start(|folder| hire(folder, operators))?;
    let ears = Arc::new(Ears::open(true)?);
    let _desks = Desks::open(operators, Arc::clone(&ears), None)?;
    let ramp = Ramp {
        server: &server,
        ears: &ears,
        steps,
        window: run.window,
        per_second: PER_SECOND,
        streams: 2,
        gap_p99_most_ms: GAP_P99_MOST_MS,
    };
    let points = ramp.climb(&mut outcome, |calls| {
        Sipp::dial(Scenario::Hold(HOLD), number, calls, PER_SECOND, &ears.ports)
    })?;
    outcome.figures = figures(&points, is_recorded, run.floor.relay_us);
    Ok(outcome)
}

fn figures(points: &[Point], is_recorded: bool, floor_us: f64) -> Vec<Figure> {
    let Some(most) = points.iter().rfind(|point| point.holds) else { return Vec::new() };
    let good = points.iter().filter(|point| point.holds);
    let usual = good.min_by_key(|point| point.calls.abs_diff(300)).unwrap_or(most);
    let who = if is_recorded { "bridged, recorded" } else { "bridged" };
    let goal = |goal| if is_recorded { Goal::Open } else { goal };
    vec![
        Figure::new(
            format!("{who}: CPU per relayed packet, {} calls", usual.calls),
            usual.us_per_packet(),
            "µs",
            goal(Goal::AtMost((1.5 * floor_us).min(15.0))),
        )
        .over(floor_us),
        Figure::new(
            format!("{who}: most calls that hold, of those tried"),
            most.calls as f64,
            "calls",
            goal(Goal::AtLeast(1_000.0)),
        ),
        Figure::new(
            format!("{who}: memory per call, {} calls", most.calls),
            most.rss_kb_per_call,
            "kB",
            Goal::Open,
        ),
    ]
}
