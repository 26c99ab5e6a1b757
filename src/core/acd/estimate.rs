//! How long a caller will probably still wait.
//!
//! Not from the waits of earlier callers: from how long conversations take now, how many operators
//! work, how far they are, and how many callers come first. Each free or soonest free operator takes
//! the next caller of the line in turn.

use std::collections::VecDeque;

use crate::domain::{CallId, Timestamp};

use super::Acd;
use super::border::Estimate;
use super::operators::{Person, Work};

/// Handling times that count: the last so many.
const SAMPLES_MAX: usize = 50;

/// What a conversation takes with its wrap-up while nothing is known.
const HANDLING_DEFAULT_MS: u64 = 180_000;

/// A conversation that takes longer than usual is not about to end: at least this share of the usual
/// time is still to come.
const LEFT_AT_LEAST_PERCENT: u64 = 25;

/// The range around the computed wait.
const FROM_PERCENT: u64 = 75;
const TO_PERCENT: u64 = 125;

const MINUTE_MS: u64 = 60_000;

/// Talk, hold and wrap-up of a group's latest conversations.
#[derive(Debug, Default)]
pub(super) struct HandlingTimes(VecDeque<u64>);

impl HandlingTimes {
    pub fn add(&mut self, ms: u64) {
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(ms);
    }

    /// The default counts as one sample, so that the first conversation does not decide alone.
    fn mean_ms(&self) -> u64 {
        let sum: u64 = self.0.iter().sum::<u64>() + HANDLING_DEFAULT_MS;
        sum / (self.0.len() as u64 + 1)
    }
}

impl Acd {
    /// The probable wait from now on, in whole minutes (above ten: in steps of five). Never more
    /// than this caller was told before. `None`: not in a line, or no operator works.
    pub fn estimate(&mut self, now: Timestamp, call: CallId) -> Option<Estimate> {
        let place = self.place(call)?;
        let caller = self.callers.get(&call)?;
        let group = &caller.group().name;
        let usual_ms = self.handling.get(group).map_or(HANDLING_DEFAULT_MS, HandlingTimes::mean_ms);
        let working = |group: &str| {
            let present = self.staff.present(group).filter(|person| person.can_be_awaited());
            present.map(|person| person.busy_ms(now, usual_ms)).collect::<Vec<_>>()
        };
        let mut busy_ms = working(group);
        if busy_ms.is_empty() {
            busy_ms = caller.helpers(now).flat_map(working).collect();
        }
        let wait_ms = wait_ms(place, usual_ms, busy_ms)?;
        let mut estimate = Estimate {
            from_ms: floor_to_step(wait_ms * FROM_PERCENT / 100),
            to_ms: ceil_to_step(wait_ms * TO_PERCENT / 100),
        };
        if let Some(told) = caller.told {
            estimate.from_ms = estimate.from_ms.min(told.from_ms);
            estimate.to_ms = estimate.to_ms.min(told.to_ms);
        }
        self.callers.get_mut(&call)?.told = Some(estimate);
        Some(estimate)
    }
}

impl Person {
    /// How long the operator will probably be busy.
    fn busy_ms(&self, now: Timestamp, usual_ms: u64) -> u64 {
        let left_of = |since| {
            let least = usual_ms * LEFT_AT_LEAST_PERCENT / 100;
            usual_ms.saturating_sub(now.since(since)).max(least)
        };
        match (&self.work, self.own_call, self.delay) {
            (Work::Talking(talk), _, _) => left_of(talk.since),
            (Work::Ringing { .. } | Work::Reserved { .. }, _, _) => usual_ms,
            (Work::WrapUp { until, .. }, _, _) => until.since(now),
            (Work::None, Some(since), _) => left_of(since),
            (Work::None, None, Some((until, _))) => until.since(now),
            (Work::None, None, None) => 0,
        }
    }
}

/// When the caller at `place` has a turn, if each operator takes the next one when free.
fn wait_ms(place: usize, usual_ms: u64, busy_ms: Vec<u64>) -> Option<u64> {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    let mut turns: BinaryHeap<_> = busy_ms.into_iter().map(Reverse).collect();
    for _ in 1..place {
        let Reverse(free_at) = turns.pop()?;
        turns.push(Reverse(free_at + usual_ms));
    }
    turns.peek().map(|Reverse(free_at)| *free_at)
}

/// Whole minutes up to ten, then steps of five.
fn step_ms(ms: u64) -> u64 {
    if ms <= 10 * MINUTE_MS { MINUTE_MS } else { 5 * MINUTE_MS }
}

fn ceil_to_step(ms: u64) -> u64 {
    ms.max(1).next_multiple_of(step_ms(ms))
}

fn floor_to_step(ms: u64) -> u64 {
    ms - ms % step_ms(ms)
}
