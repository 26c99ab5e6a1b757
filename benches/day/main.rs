//! How long a rehearsed day takes: 10,000 calls, 40 operators. The aim is at most 100 ms.

mod busy_day;

use criterion::{Criterion, criterion_group, criterion_main};

use allo::sim::day::rehearse;
use busy_day::busy_day;

fn a_day(criterion: &mut Criterion) {
    let day = busy_day();
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
