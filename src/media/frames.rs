//! The frame clock: which legs are due in which millisecond. Pure.
//!
//! A wheel of one slot for each millisecond of the next 64; no frame is longer than 60 ms. A leg
//! that is due is taken out and put back one frame later, so packet *n* is due at t₀ + n·ptime
//! however late the thread wakes. New legs are put where few are due, so that packets leave evenly
//! spread over the period.

use std::ops::RangeInclusive;

/// One millisecond on this clock.
pub(super) type Tick = u64;

const SLOTS: usize = 64;

/// After a standstill (a paused machine) at most so much is caught up; the rest is let go: the
/// streams go on that much later, with nothing missing and no burst.
const CATCH_UP_MAX: Tick = 120;

#[derive(Debug)]
pub(super) struct FrameClock {
    slots: [Vec<u32>; SLOTS],
    legs: usize,
    /// The first tick that has not been run.
    next: Tick,
    /// How much later this clock is than the engine's, because of standstills.
    behind: Tick,
}

impl FrameClock {
    pub fn new() -> Self {
        Self { slots: std::array::from_fn(|_| Vec::new()), legs: 0, next: 0, behind: 0 }
    }

    /// The last tick that was run: frames are scheduled from here on.
    pub fn now(&self) -> Tick {
        self.next.saturating_sub(1)
    }

    /// Makes a leg due at a tick, within the next 60 ms.
    pub fn insert(&mut self, tick: Tick, leg: u32) {
        let tick = tick.clamp(self.next, self.next + SLOTS as Tick - 1);
        self.slots[slot(tick)].push(leg);
        self.legs += 1;
    }

    /// Takes back what [`FrameClock::insert`] did.
    pub fn remove(&mut self, tick: Tick, leg: u32) {
        let slot = &mut self.slots[slot(tick)];
        if let Some(position) = slot.iter().position(|&other| other == leg) {
            slot.swap_remove(position);
            self.legs -= 1;
        }
    }

    /// The tick in which the fewest legs are due; of equals the latest.
    pub fn quietest(&self, ticks: RangeInclusive<Tick>) -> Tick {
        let latest = *ticks.end();
        ticks.rev().min_by_key(|&tick| self.slots[slot(tick)].len()).unwrap_or(latest)
    }

    /// The millisecond, of the engine's clock, in which the next leg is due; `None` if there is
    /// none.
    pub fn next_ms(&self) -> Option<u64> {
        if self.legs == 0 {
            return None;
        }
        let due = (self.next..).take(SLOTS).find(|&tick| !self.slots[slot(tick)].is_empty())?;
        Some(due + self.behind)
    }

    /// The next tick up to `now_ms` in which legs are due; they are moved to `batch`, which must be
    /// empty. To be called until it says `None`.
    pub fn due(&mut self, now_ms: u64, batch: &mut Vec<u32>) -> Option<Tick> {
        debug_assert!(batch.is_empty());
        let now = self.catch_up(now_ms);
        while self.next <= now {
            let tick = self.next;
            self.next += 1;
            let due = &mut self.slots[slot(tick)];
            if !due.is_empty() {
                std::mem::swap(due, batch);
                self.legs -= batch.len();
                return Some(tick);
            }
        }
        None
    }

    /// `now_ms` on this clock, after letting go of what is too late to be caught up.
    fn catch_up(&mut self, now_ms: u64) -> Tick {
        let now = now_ms.saturating_sub(self.behind);
        if self.legs == 0 {
            self.next = self.next.max(now);
        }
        let too_late = (now + 1).saturating_sub(self.next + CATCH_UP_MAX);
        self.behind += too_late;
        now - too_late
    }
}

fn slot(tick: Tick) -> usize {
    // The remainder is below 64.
    (tick % SLOTS as Tick) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the clock up to `now_ms`, every leg with 20 ms frames; says when each was due.
    fn run(clock: &mut FrameClock, now_ms: u64) -> Vec<(Tick, u32)> {
        let (mut batch, mut ran) = (Vec::new(), Vec::new());
        while let Some(tick) = clock.due(now_ms, &mut batch) {
            for leg in batch.drain(..) {
                ran.push((tick, leg));
                clock.insert(tick + 20, leg);
            }
        }
        ran
    }

    #[test]
    fn late_wake_ups_do_not_move_the_frames() {
        let mut clock = FrameClock::new();
        run(&mut clock, 1000);
        clock.insert(1010, 1);
        assert_eq!(run(&mut clock, 1009), []);
        assert_eq!(clock.next_ms(), Some(1010));
        assert_eq!(run(&mut clock, 1013), [(1010, 1)]);
        assert_eq!(run(&mut clock, 1055), [(1030, 1), (1050, 1)]);
        assert_eq!(clock.next_ms(), Some(1070));
    }

    #[test]
    fn a_standstill_is_not_made_up_for_by_a_burst() {
        let mut clock = FrameClock::new();
        run(&mut clock, 1000);
        clock.insert(1020, 1);
        let ran = run(&mut clock, 6000);
        assert_eq!(ran.len(), 6, "{ran:?}");
        assert_eq!(clock.next_ms(), Some(6020));
        assert_eq!(run(&mut clock, 6100).len(), 5);
    }

    #[test]
    fn an_idle_clock_has_nothing_to_catch_up() {
        let mut clock = FrameClock::new();
        run(&mut clock, 1_000_000);
        assert_eq!((clock.now(), clock.next_ms()), (1_000_000, None));
    }

    #[test]
    fn many_legs_are_spread_over_the_period() {
        let mut clock = FrameClock::new();
        run(&mut clock, 1000);
        for leg in 0..200 {
            let tick = clock.quietest(1011..=1020);
            clock.insert(tick, leg);
        }
        let ran = run(&mut clock, 1020);
        let busiest = (1000..=1020).map(|tick| ran.iter().filter(|(at, _)| *at == tick).count());
        assert_eq!(busiest.max(), Some(20));
    }

    #[test]
    fn a_removed_leg_is_never_due() {
        let mut clock = FrameClock::new();
        clock.insert(5, 1);
        clock.insert(5, 2);
        clock.remove(5, 1);
        assert_eq!(run(&mut clock, 10), [(5, 2)]);
    }
}
