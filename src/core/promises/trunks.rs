//! How many calls the way to the outside bears, and how fast they may begin.

use crate::domain::{CallOutcome, Timestamp};

/// A call that is begun a little late does not delay the ones after it.
const LATENESS_US: i64 = 20_000;
/// However many calls were begun for people out of turn, robots go on after so long.
const DEBT_MAX_US: i64 = 1_000_000;
/// The first pause after a call that no trunk took; it doubles from call to call.
const BRAKE_FIRST_MS: u64 = 1_000;
const BRAKE_MAX_MS: u64 = 60_000;

/// Spaces beginnings evenly: so many in a second, however long it was quiet before.
///
/// The wall clock may jump: after a jump back the next beginning is at most [`DEBT_MAX_US`] and one
/// space away.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The next beginning is in time from here on, in microseconds of the wall clock.
    next_us: i64,
}

impl Pace {
    /// When the next one may begin.
    pub fn free_at(&mut self, wall: Timestamp, per_second: u32) -> Timestamp {
        let now = micros(wall);
        self.next_us = self.next_us.min(now + space_us(per_second) + DEBT_MAX_US);
        Timestamp(self.next_us.saturating_add(999).div_euclid(1_000)).max(wall)
    }

    pub fn begin(&mut self, wall: Timestamp, per_second: u32) {
        let earliest = micros(wall) - LATENESS_US;
        self.next_us = self.next_us.max(earliest) + space_us(per_second);
    }
}

fn micros(wall: Timestamp) -> i64 {
    wall.0.saturating_mul(1_000)
}

fn space_us(per_second: u32) -> i64 {
    1_000_000 / i64::from(per_second.max(1))
}

/// All trunks that work now, as one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outbound {
    /// 0: no trunk works.
    pub calls_max: u32,
    pub starts_per_second: u32,
    /// Calls of ours that are up, or are about to be dialled.
    pub up: u32,
    pub pace: Pace,
    brake: Option<Brake>,
}

/// No trunk took a call: robots wait before they try the next one.
#[derive(Clone, Copy, Debug)]
struct Brake {
    until: Timestamp,
    pause_ms: u64,
}

impl Outbound {
    pub fn works(&self) -> bool {
        self.calls_max > 0
    }

    /// Whether one more call has room for a human who is there already.
    pub fn has_room(&self) -> bool {
        self.up < self.calls_max
    }

    /// Whether a robot's call has room, too, while `waiting` people wait to be called by humans: a
    /// quarter of the room is theirs then.
    pub fn has_room_for_robot(&self, waiting: usize) -> bool {
        let kept = u32::try_from(waiting).unwrap_or(u32::MAX).min(self.calls_max / 4);
        self.up < self.calls_max - kept
    }

    /// When a robot's call may begin.
    pub fn free_at(&mut self, wall: Timestamp) -> Timestamp {
        let braked = self.brake.map_or(wall, |brake| {
            // A jump back of the clock does not lengthen a pause.
            brake.until.min(wall.plus_ms(brake.pause_ms))
        });
        self.pace.free_at(wall, self.starts_per_second).max(braked)
    }

    pub fn begin(&mut self, wall: Timestamp) {
        self.up += 1;
        self.pace.begin(wall, self.starts_per_second);
    }

    /// A call that was about to be dialled was not, or is over.
    pub fn end(&mut self) {
        self.up = self.up.saturating_sub(1);
    }

    /// Trunks came or went. What comes back begins with a pause of one space.
    pub fn set(&mut self, wall: Timestamp, calls_max: u32, starts_per_second: u32) {
        if !self.works() {
            self.pace = Pace::default();
            self.pace.begin(wall, starts_per_second);
            self.brake = None;
        }
        (self.calls_max, self.starts_per_second) = (calls_max, starts_per_second);
    }

    /// What came of a call says whether the trunks take calls.
    pub fn heard(&mut self, wall: Timestamp, outcome: CallOutcome) {
        if outcome.counts() {
            self.brake = None;
        } else if outcome == CallOutcome::Congested
            && self.brake.is_none_or(|brake| brake.until <= wall)
        {
            let pause_ms = self.brake.map_or(BRAKE_FIRST_MS, |brake| brake.pause_ms * 2);
            let pause_ms = pause_ms.min(BRAKE_MAX_MS);
            self.brake = Some(Brake { until: wall.plus_ms(pause_ms), pause_ms });
        }
    }
}
