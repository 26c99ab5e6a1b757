use std::sync::Arc;

use super::report::report;
use super::*;
use crate::dialplan::day::{GroupDay, Minutes, Misses, PastCall, Rate, Shift, Times};
use crate::dialplan::plan::{Formula, Group};
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

/// Everything that may happen on a day, in two groups.
fn lively(seed: u64) -> Day {
    let mut day = steady(4, 9, Some(60), seed);
    let support = &mut day.groups[0];
    let rules = Arc::make_mut(&mut support.rules);
    rules.wrap_up_ms = 20_000;
    rules.priorities = vec![("customer.vip".to_owned(), 5)];
    support.handle = Times::LogNormal { mean_ms: 150_000, deviation_ms: 60_000 };
    support.ring_delay_ms = 3_000;
    support.misses = Misses { percent: 5, back_after_ms: 120_000 };
    support.vip_percent = 10;
    support.calls_again = Some((60, 90_000));
    support.shifts[0].also = vec!["sales".to_owned()];
    let span = Minutes { start: 60, end: 180 };
    let mut sales = GroupDay::of(Arc::new(Group::named("sales")), support.handle);
    sales.rates = vec![Rate { span, per_hour: 30.0 }];
    sales.shifts = vec![Shift { span, operators: 2, also: Vec::new() }];
    day.groups.push(sales);
    day
}

fn sum(rehearsal: &Rehearsal) -> Tally {
    let mut sum = Tally::default();
    let tallies = rehearsal.groups.iter().flat_map(|group| group.tallies.values());
    tallies.for_each(|tally| sum.add(tally));
    sum
}

/// of-offered, of-answered and abandoned, in percent.
fn shares(tally: &Tally) -> [f64; 3] {
    let level = |formula| tally.level(formula).percent();
    let missed = tally.figures().missed_percent;
    [level(Formula::OfOffered), level(Formula::OfAnswered), missed].map(Option::unwrap)
}

/// What is known of 200 calls an hour, 180 s each, callers with a patience of 120 s.
fn must_agree_with_erlang_a(hours: u32) {
    for (operators, expected) in [(11, [74.2, 81.9, 9.4]), (12, [82.6, 88.0, 6.2])] {
        let tally = sum(&rehearse(&steady(hours, operators, Some(120), 1)));
        assert!(tally.offered() > u64::from(hours) * 198);
        for (simulated, expected) in shares(&tally).into_iter().zip(expected) {
            assert!((simulated - expected).abs() < 1.5, "{simulated}, expected {expected}");
        }
    }
}

#[test]
fn the_line_agrees_with_erlang_a() {
    must_agree_with_erlang_a(100);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes a minute without optimisation")]
fn the_line_agrees_with_erlang_a_and_c_over_200_000_calls() {
    must_agree_with_erlang_a(1_015);
    for operators in [11, 12] {
        let day = steady(1_015, operators, None, 1);
        let group = &day.groups[0];
        let load =
            Load { calls_per_hour: group.rate_at(0), handle_s: 180.0, patience_s: None, operators };
        let [of_offered, ..] = shares(&sum(&rehearse(&day)));
        let expected = load.erlang_c(20.0).answered_in_time * 100.0;
        assert!((of_offered - expected).abs() < 1.5, "{of_offered}, expected {expected}");
    }
}

#[test]
fn nobody_is_lost_and_everybody_is_counted_once() {
    let rehearsal = rehearse(&lively(3));
    let tally = sum(&rehearsal);
    assert_eq!(tally.answered, tally.conversations);
    assert_eq!(tally.lost, 0);
    assert!(tally.abandoned > 0 && rehearsal.not_taken > 0 && rehearsal.came_back > 0);
    let called = callers::callers(&lively(3)).len() as u64;
    let visits = tally.offered() + tally.nobody + tally.full;
    assert!(visits >= called && visits <= called + tally.abandoned, "{visits} of {called}");
}

#[test]
fn the_same_seed_is_the_same_day() {
    let figures = |seed| sum(&rehearse(&lively(seed)));
    assert_eq!(figures(3), figures(3));
    assert_ne!(figures(3), figures(4));
}

#[test]
fn whether_decisions_are_written_down_changes_nothing() {
    let day = lively(5);
    assert_eq!(sum(&World::new(&day, Acd::new()).run()), sum(&rehearse(&day)));
}

#[test]
fn more_operators_and_the_same_callers_wait_less() {
    let waited = |operators| sum(&rehearse(&steady(6, operators, Some(120), 2))).figures();
    let (few, more) = (waited(9), waited(13));
    assert_eq!(few.offered, more.offered);
    assert!(few.mean_wait_ms > more.mean_wait_ms && few.abandoned > more.abandoned);
}

#[test]
fn vips_wait_less_than_others() {
    let mut day = steady(12, 10, Some(120), 1);
    Arc::make_mut(&mut day.groups[0].rules).priorities = vec![("customer.vip".into(), 100)];
    let without = sum(&rehearse(&day)).figures();
    day.groups[0].vip_percent = 100;
    assert_eq!(sum(&rehearse(&day)).figures(), without, "nobody is before others if all are VIPs");
    day.groups[0].vip_percent = 30;
    assert_ne!(sum(&rehearse(&day)).figures(), without);
}

#[test]
fn whoever_calls_when_nobody_works_is_turned_away() {
    let mut day = steady(2, 2, None, 1);
    day.groups[0].shifts[0].span = Minutes { start: 30, end: 60 };
    let reports = report(&day, &rehearse(&day));
    let rows = &reports[0].half_hours;
    assert_eq!(rows.len(), 4);
    for row in [&rows[0], &rows[2], &rows[3]] {
        assert!(row.figures.levels.iter().all(|level| level.closed && level.percent().is_none()));
        assert_eq!((row.figures.answered, row.operators), (0, 0));
    }
    assert_eq!(rows[0].occupancy, None);
    assert!(rows[1].figures.answered > 0 && rows[1].figures.nobody > 0);
    assert_eq!(rows[2].occupancy, Some(1.0), "conversations end after the shift");
}

#[test]
fn the_report_shows_each_half_hour_and_their_sum_beside_the_models() {
    let day = steady(10, 11, Some(120), 1);
    let reports = report(&day, &rehearse(&day));
    let (rows, whole_day) = (&reports[0].half_hours, &reports[0].whole_day);
    assert_eq!((rows.len(), rows[1].from.as_str()), (20, "00:30"));
    assert_eq!((rows[0].operators, rows[0].operators_needed), (11, Some(12)));
    let offered: u64 = rows.iter().map(|row| row.figures.offered).sum();
    assert_eq!(whole_day.figures.offered, offered);
    let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 0.05;
    assert!(near(whole_day.erlang_a.level(Formula::OfOffered), 74.2));
    assert!(near(whole_day.erlang_a.level(Formula::OfAnswered), 81.9));
    assert!(near(whole_day.erlang_a.missed_percent, 9.4));
    assert!(near(whole_day.erlang_c.level(Formula::OfOffered), 39.0));
    assert!((0.7..0.95).contains(&whole_day.occupancy.unwrap()));
}

#[test]
fn past_calls_come_at_their_time_and_the_models_hear_of_them() {
    let mut day = steady(1, 1, None, 1);
    let group = &mut day.groups[0];
    group.rates.clear();
    let call = |at_s: u64, handle_s: u64| PastCall {
        at_ms: at_s * 1_000,
        handle_ms: Some(handle_s * 1_000),
        patience_ms: None,
    };
    group.past = vec![call(10, 60), call(20, 30)];
    let row = &report(&day, &rehearse(&day))[0].half_hours[0];
    assert_eq!((row.figures.offered, row.figures.longest_wait_ms), (2, 50_000));
    assert_eq!(row.figures.mean_handle_ms, Some(45_000));
    let load = theory::HalfHour::of(&day.groups[0], 0).load;
    assert_eq!((load.calls_per_hour, load.handle_s), (4.0, 45.0));
}
