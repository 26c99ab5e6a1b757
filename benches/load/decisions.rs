//! What is decided without a socket: who rings next, and a rehearsed day. Criterion measures these
//! more finely (`cargo bench --bench acd --bench day`); here they stand beside the other figures.

use std::time::Instant;

use allo::sim::day::rehearse;

use crate::busy_day::busy_day;
use crate::histogram::Samples;
use crate::house::House;
use crate::report::{Figure, Goal, Outcome};

const DECISIONS: usize = 5_000;
const DAYS: usize = 7;

pub fn decisions() -> Outcome {
    let mut outcome = Outcome::new("decisions");
    let (mut house, mut talking) = House::busy();
    let mut decisions = Samples::default();
    for _ in 0..DECISIONS {
        let Some(operator) = talking.pop_front() else { break };
        decisions.add_ms(house.end_talk(&operator).as_secs_f64() * 1e3);
        talking.extend(house.pick_up());
        house.join();
    }
    let (day, mut days) = (busy_day(), Samples::default());
    for _ in 0..DAYS {
        let began = Instant::now();
        std::hint::black_box(rehearse(&day));
        days.add_ms(began.elapsed().as_secs_f64() * 1e3);
    }
    let decision_us = decisions.quantile_ms(0.5) * 1e3;
    outcome.figures = vec![
        Figure::new(
            "ACD decision, 1,000 waiting × 500 operators, median",
            decision_us,
            "µs",
            Goal::AtMost(50.0),
        ),
        Figure::new(
            "simulated day, 10,000 calls, 40 operators",
            days.quantile_ms(0.5),
            "ms",
            Goal::AtMost(100.0),
        ),
    ];
    outcome
}
