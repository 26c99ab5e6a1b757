//! The engine's own clock: microseconds since it started, and NTP time for RTCP.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds from the NTP epoch (1900) to the Unix epoch (RFC 3550 §4).
const NTP_BEFORE_UNIX_S: u64 = 2_208_988_800;

/// Monotonic; the wall clock is read once, at the start, so that reports of one engine agree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    start_unix: Duration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the frame clock is a timer of this shell")]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            start_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Microseconds since the start.
    #[expect(clippy::disallowed_methods, reason = "the frame clock is a timer of this shell")]
    pub fn now_us(&self) -> u64 {
        let elapsed = Instant::now().saturating_duration_since(self.start);
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    /// The NTP timestamp of that moment: seconds in the upper half, fractions in the lower.
    pub fn ntp(&self, now_us: u64) -> u64 {
        let unix = self.start_unix + Duration::from_micros(now_us);
        let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
        (unix.as_secs().wrapping_add(NTP_BEFORE_UNIX_S) << 32) | fraction
    }
}
