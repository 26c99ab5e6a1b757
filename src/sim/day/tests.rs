use std::sync::Arc;

use super::report::report;
use super::*;
use crate::dialplan::day::{GroupDay, Minutes, Misses, Rate, Shift, Times};
use crate::dialplan::plan::{Formula, Group, OfferCallback};
use crate::sim::erlang::Load;

/// Some hours of one group with exponential times, and operators until nobody waits any more.
fn steady(hours: u32, operators: u32, patience_s: Option<u64>, seed: u64) -> Day {
    let exponential = |seconds: u64| Times::Exponential { mean_ms: seconds * 1_000 };
    let mut group = GroupDay::of(Arc::new(Group::named("support")), exponential(180));
    group.patience = patience_s.map(exponential);
    let span = Minutes { start: 0, end: hours * 60 };
    group.rates = vec![Rate { span, per_hour: 200.0 }];
    let span = Minutes { end: span.end + 1_440, ..span };
    group.shifts = vec![Shift { span, operators, also: Vec::new() }];
    Day { date: jiff::civil::date(2026, 11, 23), seed, groups: vec![group] }
}

fn whole_day(day: &Day) -> Tally {
    let mut sum = Tally::default();
    rehearse(day).groups[0].tallies.values().for_each(|tally| sum.add(tally));
    sum
}

#[test]
fn the_line_agrees_with_erlang_over_200_000_calls() {
    // The figures that are known of this line, in percent: of-offered, of-answered, abandoned.
    let known = [(11, [74.2, 81.9, 9.4]), (12, [82.6, 88.0, 6.2])];
    for (operators, expected) in known {
        let tally = whole_day(&steady(1_010, operators, Some(120), 1));
        assert!(tally.offered() > 200_000);
        let figures = tally.figures();
        let levels = [Formula::OfOffered, Formula::OfAnswered].map(|f| tally.level(f).percent());
        let simulated = [levels[0], levels[1], figures.missed_percent].map(Option::unwrap);
        for (simulated, expected) in simulated.into_iter().zip(expected) {
            assert!((simulated - expected).abs() < 1.5, "{simulated}, expected {expected}");
        }
    }
}
