//! How long a rehearsed day takes: 10,000 calls, 40 operators. The aim is at most 100 ms.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};

use allo::dialplan::day::{Day, GroupDay, Minutes, Rate, Shift, Times};
use allo::dialplan::plan::Group;
use allo::sim::day::rehearse;

fn day() -> Day {
    let handle = Times::Exponential { mean_ms: 130_000 };
    let mut group = GroupDay::of(Arc::new(Group::named("support")), handle);
    group.patience = Some(Times::Exponential { mean_ms: 120_000 });
    let span = Minutes { start: 600, end: 1_200 };
    group.rates = vec![Rate { span, per_hour: 1_000.0 }];
    group.shifts = vec![Shift { span, operators: 40, also: Vec::new() }];
    Day { date: jiff::civil::date(2026, 11, 23), seed: 1, groups: vec![group] }
}

fn a_day(criterion: &mut Criterion) {
    let day = day();
    criterion.bench_function("a day of 10,000 calls and 40 operators", |bench| {
        bench.iter(|| rehearse(&day));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = a_day
}
criterion_main!(benches);
