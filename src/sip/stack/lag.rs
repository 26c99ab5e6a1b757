//! How far the app is behind, and how much it may be given.

use std::collections::VecDeque;

/// The app is behind when an event waits for it for so long; then no new call is given to it.
const BEHIND_MS: u64 = 50;
/// How many events may wait for the app when a new call is given to it: that many it should be able
/// to take before it is behind. The number follows what it proves to be able to.
const ROOM: std::ops::RangeInclusive<usize> = 4..=4_096;
const ROOM_AT_FIRST: usize = 64;
/// So many milliseconds with events are remembered; who is further behind is behind enough.
const MARKS_MAX: usize = 1_024;

/// Follows the queue of events to the app, of which only the length is seen.
#[derive(Debug)]
pub(super) struct Lag {
    given: u64,
    /// The first event of each millisecond in which events were given: its number and its time.
    marks: VecDeque<(u64, u64)>,
    room: usize,
    /// Something new was held back because there was no room.
    has_held: bool,
    shrunk_ms: u64,
}

impl Default for Lag {
    fn default() -> Self {
        let marks = VecDeque::new();
        Self { given: 0, marks, room: ROOM_AT_FIRST, has_held: false, shrunk_ms: 0 }
    }
}

impl Lag {
    /// An event was put into the queue.
    pub fn gave(&mut self, now_ms: u64) {
        let is_new = self.marks.back().is_none_or(|(_, at_ms)| *at_ms < now_ms);
        if is_new && self.marks.len() < MARKS_MAX {
            self.marks.push_back((self.given, now_ms));
        }
        self.given += 1;
    }

    /// Whether the app, for which `waiting` events wait, may be given a new call. An app that had to
    /// wait for more gets more from now on; one that was behind gets less.
    pub fn has_room(&mut self, now_ms: u64, waiting: usize) -> bool {
        if self.behind_ms(now_ms, waiting) >= BEHIND_MS {
            if now_ms >= self.shrunk_ms + BEHIND_MS {
                self.shrunk_ms = now_ms;
                self.room = (self.room / 2).max(*ROOM.start());
            }
            return false;
        }
        if waiting == 0 && std::mem::take(&mut self.has_held) {
            self.room = (self.room * 2).min(*ROOM.end());
        }
        self.has_held |= waiting >= self.room;
        waiting < self.room
    }

    /// For how long the oldest of `waiting` events has waited.
    fn behind_ms(&mut self, now_ms: u64, waiting: usize) -> u64 {
        let taken = self.given.saturating_sub(waiting as u64);
        if waiting == 0 {
            self.marks.clear();
            return 0;
        }
        // The mark that the oldest one belongs to is the last one that is not behind it.
        while self.marks.get(1).is_some_and(|(number, _)| *number <= taken) {
            self.marks.pop_front();
        }
        self.marks.front().map_or(0, |(_, at_ms)| now_ms.saturating_sub(*at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_behind_by_the_age_of_the_oldest_event_that_it_has_not_taken() {
        let mut lag = Lag::default();
        assert_eq!(lag.behind_ms(100, 0), 0);
        for now_ms in [100, 100, 110, 120] {
            lag.gave(now_ms);
        }
        assert_eq!(lag.behind_ms(150, 4), 50);
        assert_eq!(lag.behind_ms(150, 3), 50, "the second of those at 100");
        assert_eq!(lag.behind_ms(150, 2), 40);
        assert_eq!(lag.behind_ms(150, 1), 30);
        assert_eq!(lag.behind_ms(150, 0), 0);
        lag.gave(200);
        assert_eq!(lag.behind_ms(205, 1), 5);
    }

    #[test]
    fn an_app_that_takes_nothing_costs_no_memory() {
        let mut lag = Lag::default();
        for now_ms in 0..100_000 {
            lag.gave(now_ms);
        }
        assert_eq!(lag.marks.len(), MARKS_MAX);
        assert_eq!(lag.behind_ms(100_000, 100_000), 100_000);
    }

    /// Gives an app as many calls as it has room for, while it takes one in `pace_ms`; the longest
    /// that an event waits after the first second, and how many it takes in a second.
    fn paced(pace_ms: u64) -> (u64, usize) {
        let mut lag = Lag::default();
        let (mut queue, mut slowest, mut taken) = (VecDeque::new(), 0, 0);
        for now_ms in 1_000..5_000 {
            while lag.has_room(now_ms, queue.len()) {
                lag.gave(now_ms);
                queue.push_back(now_ms);
            }
            if now_ms % pace_ms == 0
                && let Some(given_ms) = queue.pop_front()
                && now_ms > 2_000
            {
                slowest = slowest.max(now_ms - given_ms);
                taken += 1;
            }
        }
        (slowest, taken / 3)
    }

    #[test]
    fn a_slow_app_is_given_no_more_than_it_can_take_soon_and_never_has_to_wait() {
        for pace_ms in [1, 2, 5, 10] {
            let (slowest, taken) = paced(pace_ms);
            assert!(slowest <= 3 * BEHIND_MS, "{pace_ms} ms: {slowest}");
            assert!(taken * usize::try_from(pace_ms).unwrap() >= 950, "{pace_ms} ms: {taken}");
        }
    }
}
