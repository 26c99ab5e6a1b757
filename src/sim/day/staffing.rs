//! What operators did with their time, by half hour.

use crate::core::acd::OperatorState;
use crate::domain::Timestamp;

pub const HALF_HOUR_MS: u64 = 30 * 60_000;

/// Time of all operators of a group within one half hour, milliseconds. Pauses, ringing phones and
/// absence are neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkTime {
    /// Talk, hold and wrap-up.
    pub busy_ms: u64,
    /// Ready, and nobody calls.
    pub idle_ms: u64,
}

impl WorkTime {
    /// Busy / (busy + idle); `None`: nobody was there.
    pub fn occupancy(self) -> Option<f64> {
        let present_ms = self.busy_ms + self.idle_ms;
        (present_ms > 0).then(|| self.busy_ms as f64 / present_ms as f64)
    }

    pub fn plus(self, other: Self) -> Self {
        Self { busy_ms: self.busy_ms + other.busy_ms, idle_ms: self.idle_ms + other.idle_ms }
    }
}

/// The operators of one group, from half hour to half hour.
#[derive(Clone, Debug, Default)]
pub struct Staffing {
    /// By half hours since midnight.
    pub half_hours: Vec<WorkTime>,
}

/// What counts of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Busy,
    Idle,
    Neither,
}

impl From<&OperatorState> for Doing {
    fn from(state: &OperatorState) -> Self {
        match state {
            OperatorState::Ready { .. } => Self::Idle,
            OperatorState::Talking { .. } | OperatorState::WrapUp { .. } => Self::Busy,
            OperatorState::Offline
            | OperatorState::Unreachable
            | OperatorState::Ringing { .. }
            | OperatorState::Reserved { .. }
            | OperatorState::Paused { .. } => Self::Neither,
        }
    }
}

impl Staffing {
    /// Adds `from..to`, split at half hours.
    pub(super) fn add(
        &mut self,
        doing: Doing,
        midnight: Timestamp,
        from: Timestamp,
        to: Timestamp,
    ) {
        let (mut at, end) = (from.since(midnight), to.since(midnight));
        while at < end && doing != Doing::Neither {
            let half_hour = at / HALF_HOUR_MS;
            let until = ((half_hour + 1) * HALF_HOUR_MS).min(end);
            let index = usize::try_from(half_hour).unwrap_or(usize::MAX);
            if self.half_hours.len() <= index {
                self.half_hours.resize(index + 1, WorkTime::default());
            }
            let time = &mut self.half_hours[index];
            match doing {
                Doing::Busy => time.busy_ms += until - at,
                Doing::Idle => time.idle_ms += until - at,
                Doing::Neither => {}
            }
            at = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_for_the_half_hour_in_which_it_passed() {
        let mut staffing = Staffing::default();
        let midnight = Timestamp(1_000);
        let at = |minutes: u64| midnight.plus_ms(minutes * 60_000);
        staffing.add(Doing::Busy, midnight, at(20), at(70));
        staffing.add(Doing::Idle, midnight, at(70), at(80));
        staffing.add(Doing::Neither, midnight, at(80), at(500));
        let minutes = |time: &WorkTime| (time.busy_ms / 60_000, time.idle_ms / 60_000);
        let all: Vec<(u64, u64)> = staffing.half_hours.iter().map(minutes).collect();
        assert_eq!(all, [(10, 0), (30, 0), (10, 10)]);
        assert_eq!(staffing.half_hours[2].occupancy(), Some(0.5));
        assert_eq!(WorkTime::default().occupancy(), None);
    }
}
