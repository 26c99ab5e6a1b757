//! New calls per second, evenly spread: a bucket of one token, since providers count them in seconds
//! of their own and refuse the one that is too many.

/// Lets through so many calls in a second.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    per_second: u32,
    /// In thousandths of a millisecond: 7 a second are 142,857 µs apart.
    free_at_us: u64,
}

impl Pace {
    /// `per_second` of at least 1.
    pub fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), free_at_us: 0 }
    }

    /// Begins a call, or says when that may be tried again.
    pub fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        let now_us = now_ms.saturating_mul(1_000);
        if self.free_at_us > now_us {
            return Err(self.free_at_us.div_ceil(1_000));
        }
        self.free_at_us = now_us + 1_000_000 / u64::from(self.per_second);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_no_second_are_there_more_calls_than_allowed() {
        let mut pace = Pace::new(5);
        let mut starts = Vec::new();
        for now_ms in 10_000..13_000 {
            if pace.take(now_ms).is_ok() {
                starts.push(now_ms);
            }
        }
        assert_eq!(starts.len(), 15);
        assert!(starts.windows(6).all(|six| six[5] - six[0] >= 1_000), "{starts:?}");
    }

    #[test]
    fn who_must_wait_is_told_how_long() {
        let mut pace = Pace::new(4);
        assert_eq!(pace.take(1_000), Ok(()));
        assert_eq!(pace.take(1_001), Err(1_250));
        assert_eq!(pace.take(1_250), Ok(()));
    }
}
