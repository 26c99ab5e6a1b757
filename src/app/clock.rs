//! The only place where the time is read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// Wall time that never decreases: the wall clock at the start plus what the monotonic clock says
/// has passed since. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_ms: i64,
}

impl Clock {
    /// Anchors the clock at this moment of the wall clock.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self { started: Instant::now(), started_ms: wall_ms() }
    }

    /// What the wall clock says, which differs from [`Clock::now`] once somebody has set it.
    pub fn wall(&self) -> Timestamp {
        Timestamp(wall_ms())
    }

    pub fn now(&self) -> Timestamp {
        let passed = self.started.elapsed().as_millis();
        Timestamp(self.started_ms).plus_ms(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The monotonic moment of `at`, for timers. A moment of the past is the start of the clock.
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.started + Duration::from_millis(at.since(Timestamp(self.started_ms)))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn wall_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
