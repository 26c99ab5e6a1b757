//! 10,000 calls, 40 operators.

use std::sync::Arc;

use allo::dialplan::day::{Day, GroupDay, Minutes, Rate, Shift, Times};
use allo::dialplan::plan::Group;

/// The day, ready to be rehearsed.
pub fn busy_day() -> Day {
    let handle = Times::Exponential { mean_ms: 130_000 };
    let mut group = GroupDay::of(Arc::new(Group::named("support")), handle);
    group.patience = Some(Times::Exponential { mean_ms: 120_000 });
    let span = Minutes { start: 600, end: 1_200 };
    group.rates = vec![Rate { span, per_hour: 1_000.0 }];
    group.shifts = vec![Shift { span, operators: 40, also: Vec::new() }];
    Day { date: jiff::civil::date(2026, 11, 23), seed: 1, groups: vec![group] }
}
