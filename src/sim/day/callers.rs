//! Who calls when, how long the talk will take, and how patient the caller is. Drawn beforehand and
//! from streams of their own, so that the same callers meet different operators and rules.

use crate::dialplan::day::{Day, GroupDay, Minutes, PastCall, Times};
use crate::sim::random::Random;

pub(super) const MINUTE_MS: u64 = 60_000;

/// One caller of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Milliseconds since midnight.
    pub at_ms: u64,
    /// Index into [`Day::groups`].
    pub group: usize,
    pub handle_ms: u64,
    /// `None`: waits for ever.
    pub patience_ms: Option<u64>,
    pub is_vip: bool,
    /// Calls again after hanging up in the line.
    pub is_persistent: bool,
}

/// All callers of the day, in the order of their calls.
pub(super) fn callers(day: &Day) -> Vec<Caller> {
    let mut all: Vec<Caller> = Vec::new();
    for (index, group) in day.groups.iter().enumerate() {
        let mut draws = Draws::new(day.seed, index, group);
        let chance = draws.arrivals().into_iter();
        let chance = chance.map(|at_ms| PastCall { at_ms, handle_ms: None, patience_ms: None });
        for call in chance.chain(group.past.iter().copied()) {
            let caller = draws.caller(index, &call);
            all.push(caller);
        }
    }
    all.sort_by_key(|caller| caller.at_ms);
    all
}

/// What is left to chance in one group, each question with a stream of its own.
struct Draws<'d> {
    group: &'d GroupDay,
    arrival: Random,
    handle: Random,
    patience: Random,
    vip: Random,
    again: Random,
}

/// Streams of one group; also the number of streams between two groups.
pub(super) const STREAMS: u64 = 8;
/// The stream for phones that ring in vain.
pub(super) const MISS_STREAM: u64 = 5;

impl<'d> Draws<'d> {
    fn new(seed: u64, index: usize, group: &'d GroupDay) -> Self {
        let stream = |question| Random::new(seed, index as u64 * STREAMS + question);
        Self {
            group,
            arrival: stream(0),
            handle: stream(1),
            patience: stream(2),
            vip: stream(3),
            again: stream(4),
        }
    }

    /// A Poisson process whose rate changes at some minutes: between two calls lies an exponential
    /// amount of expected calls.
    fn arrivals(&mut self) -> Vec<u64> {
        let mut arrivals = Vec::new();
        let mut ahead = self.arrival.exponential(1.0);
        for Minutes { start, end } in self.stretches() {
            let per_ms = self.group.rate_at(start) / (60.0 * MINUTE_MS as f64);
            let (from, until) = (u64::from(start) * MINUTE_MS, u64::from(end) * MINUTE_MS);
            let mut passed_ms = 0.0;
            let length_ms = (until - from) as f64;
            while per_ms > 0.0 && passed_ms + ahead / per_ms < length_ms {
                passed_ms += ahead / per_ms;
                arrivals.push(from + passed_ms as u64);
                ahead = self.arrival.exponential(1.0);
            }
            ahead -= per_ms * (length_ms - passed_ms);
        }
        arrivals
    }

    /// Stretches of the day within which the rate stays.
    fn stretches(&self) -> Vec<Minutes> {
        let spans = self.group.rates.iter().map(|rate| rate.span);
        let mut ends: Vec<u32> = spans.flat_map(|span| [span.start, span.end]).collect();
        ends.sort_unstable();
        ends.dedup();
        ends.windows(2).map(|pair| Minutes { start: pair[0], end: pair[1] }).collect()
    }

    /// Everything is drawn for every call, known or not, so that no call moves the draws of others.
    fn caller(&mut self, group: usize, call: &PastCall) -> Caller {
        let handle_ms = self.handle.times(self.group.handle);
        let patience_ms = self.group.patience.map(|times| self.patience.times(times));
        let calls_again = self.group.calls_again.map_or(0, |(percent, _)| percent);
        Caller {
            at_ms: call.at_ms,
            group,
            handle_ms: call.handle_ms.unwrap_or(handle_ms),
            patience_ms: call.patience_ms.or(patience_ms),
            is_vip: self.vip.happens(self.group.vip_percent),
            is_persistent: self.again.happens(calls_again),
        }
    }
}

impl Random {
    /// A length of time in milliseconds.
    fn times(&mut self, times: Times) -> u64 {
        let ms = match times {
            Times::Fixed { ms } => return ms,
            Times::Exponential { mean_ms } => self.exponential(mean_ms as f64),
            Times::LogNormal { mean_ms, deviation_ms } => {
                self.log_normal(mean_ms as f64, deviation_ms as f64)
            }
        };
        ms.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dialplan::day::Rate;
    use crate::dialplan::plan::Group;

    fn day(seed: u64) -> Day {
        let handle = Times::Exponential { mean_ms: 180_000 };
        let mut group = GroupDay::of(Arc::new(Group::named("support")), handle);
        let rate = |start, end, per_hour| Rate { span: Minutes { start, end }, per_hour };
        group.rates = vec![rate(0, 60_000, 60.0), rate(6_000, 12_000, 600.0)];
        group.patience = Some(Times::Fixed { ms: 90_000 });
        group.vip_percent = 10;
        Day { date: jiff::civil::date(2026, 11, 23), seed, groups: vec![group] }
    }

    #[test]
    fn calls_come_as_often_as_the_day_says() {
        let callers = callers(&day(1));
        let between = |from: u64, to: u64| {
            let within = (from * MINUTE_MS)..(to * MINUTE_MS);
            callers.iter().filter(|caller| within.contains(&caller.at_ms)).count() as f64
        };
        assert!((between(6_000, 12_000) / 60_000.0 - 1.0).abs() < 0.02);
        assert!((between(12_000, 60_000) / 48_000.0 - 1.0).abs() < 0.02);
        assert!(callers.is_sorted_by_key(|caller| caller.at_ms));
        let vips = callers.iter().filter(|caller| caller.is_vip).count() as f64;
        assert!((vips / callers.len() as f64 - 0.1).abs() < 0.01);
    }

    #[test]
    fn the_seed_decides_and_past_calls_keep_what_is_known_of_them() {
        assert_eq!(callers(&day(1)), callers(&day(1)));
        assert_ne!(callers(&day(1)), callers(&day(2)));
        let mut past = day(1);
        past.groups[0].rates.clear();
        let known = PastCall { at_ms: 7, handle_ms: Some(5), patience_ms: None };
        past.groups[0].past = vec![known];
        let caller = callers(&past)[0];
        assert_eq!((caller.at_ms, caller.handle_ms), (7, 5));
        assert_eq!(caller.patience_ms, Some(90_000));
    }
}
