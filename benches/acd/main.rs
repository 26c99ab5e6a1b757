//! How long the line takes to decide. The aim is a median of at most 50 µs.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod house;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

use house::{House, OPERATORS};

/// All operators talk, 1,000 callers wait; an operator becomes free and is rung for the first.
fn operator_becomes_free(criterion: &mut Criterion) {
    let (mut house, mut talking) = House::busy();
    let mut samples = Vec::new();
    criterion.bench_function("an operator becomes free", |bencher| {
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let Some(operator) = talking.pop_front() else { break };
                let took = house.end_talk(&operator);
                talking.extend(house.pick_up());
                house.join();
                samples.push(took);
                total += took;
            }
            total
        });
    });
    print_median("an operator becomes free", samples);
}

/// Half of the operators are free; a caller joins and one of them is rung.
fn caller_joins(criterion: &mut Criterion) {
    let mut house = House::new();
    let mut talking = std::collections::VecDeque::new();
    while talking.len() < OPERATORS / 2 {
        house.join();
        talking.extend(house.pick_up());
    }
    let mut samples = Vec::new();
    criterion.bench_function("a caller joins", |bencher| {
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let took = house.join();
                talking.extend(house.pick_up());
                if let Some(operator) = talking.pop_front() {
                    house.end_talk(&operator);
                }
                samples.push(took);
                total += took;
            }
            total
        });
    });
    print_median("a caller joins", samples);
}

fn print_median(what: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    let at = |percent: usize| samples.get(samples.len() * percent / 100).copied();
    let (median, p99) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
    println!("{what}: median {median:?}, p99 {p99:?} of {} decisions", samples.len());
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = operator_becomes_free, caller_joins
}
criterion_main!(benches);
