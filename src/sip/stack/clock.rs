//! The clock of the stack's timers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, on a monotonic clock.
pub(super) struct Clock {
    started: Instant,
    epoch_ms: u64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the stack owns its timers; this is its clock")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(0);
        Self { started: Instant::now(), epoch_ms }
    }

    pub fn now_ms(&self) -> u64 {
        let elapsed = self.started.elapsed().as_millis();
        self.epoch_ms + u64::try_from(elapsed).unwrap_or(u64::MAX / 2)
    }

    pub fn instant(&self, at_ms: u64) -> tokio::time::Instant {
        // One more millisecond, as the elapsed time is cut to whole ones.
        let after = Duration::from_millis(at_ms.saturating_sub(self.epoch_ms) + 1);
        tokio::time::Instant::from_std(self.started + after)
    }
}
