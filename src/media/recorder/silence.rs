//! When whoever leaves a message has fallen silent. Pure.

/// A message ends when nothing was said for so long, also at its beginning.
pub(super) const SILENCE_MAX_MS: u64 = 5_000;
/// A packet quieter than this is silence, noise of the line included: -42 dB of full scale.
const RMS_MIN: i64 = 260;

/// Since when nothing is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    since_us: u64,
}

impl Silence {
    /// Nothing was said before.
    pub fn since(now_us: u64) -> Self {
        Self { since_us: now_us }
    }

    /// A packet came.
    pub fn hear(&mut self, samples: impl ExactSizeIterator<Item = i16>, now_us: u64) {
        let count = samples.len() as i64;
        let energy: i64 = samples.map(|sample| i64::from(sample).pow(2)).sum();
        if count > 0 && energy >= RMS_MIN.pow(2) * count {
            self.since_us = self.since_us.max(now_us);
        }
    }

    /// When it is long enough, if nothing more is said.
    pub fn ends_us(&self) -> u64 {
        self.since_us.saturating_add(SILENCE_MAX_MS * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_puts_the_end_off_and_noise_does_not() {
        let mut silence = Silence::since(1_000_000);
        assert_eq!(silence.ends_us(), 6_000_000);
        silence.hear([9_000; 160].into_iter(), 2_000_000);
        silence.hear([200; 160].into_iter(), 3_000_000);
        silence.hear([0; 0].into_iter(), 4_000_000);
        assert_eq!(silence.ends_us(), 7_000_000);
    }
}
