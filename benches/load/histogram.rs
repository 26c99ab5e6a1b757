//! Many times, counted in steps of 10 µs up to a second.

const STEP_NS: u64 = 10_000;
const STEPS: usize = 100_000;

/// Counts of times. What is longer than a second stands in the last step; the longest is exact.
#[derive(Clone)]
pub struct Histogram {
    counts: Box<[u32]>,
    pub total: u64,
    pub longest_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS].into(), total: 0, longest_ns: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, ns: u64) {
        let step = usize::try_from(ns / STEP_NS).unwrap_or(STEPS).min(STEPS - 1);
        self.counts[step] += 1;
        self.total += 1;
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// The time in ms that this share (0 to 1) is not above; 0 of nothing.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (step, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted && count > 0 {
                return ((step + 1) as f64 * STEP_NS as f64 / 1e6).min(self.longest_ms());
            }
        }
        0.0
    }

    pub fn longest_ms(&self) -> f64 {
        self.longest_ns as f64 / 1e6
    }

    /// How many fell into each `width_ms` from 0 to `until_ms`; the last takes what is above.
    pub fn bars(&self, width_ms: f64, until_ms: f64) -> Vec<u64> {
        let bars = (until_ms / width_ms).ceil() as usize;
        let mut counts = vec![0; bars + 1];
        for (step, &count) in self.counts.iter().enumerate() {
            let at_ms = step as f64 * STEP_NS as f64 / 1e6;
            counts[((at_ms / width_ms) as usize).min(bars)] += u64::from(count);
        }
        counts
    }
}

/// Times one by one, for what happens some hundred times.
#[derive(Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn add_ms(&mut self, ms: f64) {
        self.0.push(ms);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// NaN of nothing.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let place = (last as f64 * share).round() as usize;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }
}
