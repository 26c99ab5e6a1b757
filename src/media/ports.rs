//! Which pairs of ports are free. Pure: the time is passed in.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use rand::Rng;
use rand::seq::SliceRandom;

/// How long a pair rests after use at least, so that the last packets of one call don't reach the
/// next. The longest unused comes first, so it is far longer unless thousands of calls begin each
/// second: the 8,192 pairs of the default range are enough for 4,000 calls a second.
pub(super) const REST_MS: u64 = 2_000;

/// The free pairs (RTP even, RTCP the odd port above), longest unused first.
#[derive(Debug)]
pub(super) struct PortPool {
    range: RangeInclusive<u16>,
    /// The even port, and from when on it may be used. In order of that time, because every pair
    /// that comes back rests equally long.
    free: VecDeque<(u16, u64)>,
}

impl PortPool {
    /// All pairs within the range, in random order: a stranger shall not guess the next port.
    pub fn new(range: RangeInclusive<u16>, random: &mut impl Rng) -> Self {
        let mut even: Vec<u16> =
            range.clone().filter(|port| port % 2 == 0 && range.contains(&(port | 1))).collect();
        even.retain(|&port| port != 0);
        even.shuffle(random);
        Self { range, free: even.into_iter().map(|port| (port, 0)).collect() }
    }

    /// A pair that may be used now. O(1).
    pub fn take(&mut self, now_ms: u64) -> Option<u16> {
        self.free.pop_front_if(|(_, rested_at_ms)| *rested_at_ms <= now_ms).map(|(port, _)| port)
    }

    /// Gives a pair back, to rest. Only what [`PortPool::take`] gave.
    pub fn release(&mut self, port: u16, now_ms: u64) {
        self.free.push_back((port, now_ms.saturating_add(REST_MS)));
    }

    /// For messages: `16384-32767`.
    pub fn range(&self) -> String {
        format!("{}-{}", self.range.start(), self.range.end())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn pool(range: RangeInclusive<u16>) -> PortPool {
        PortPool::new(range, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn only_whole_pairs_within_the_range_are_given() {
        let mut pool = pool(10_001..=10_006);
        let mut ports = [pool.take(0), pool.take(0)].map(Option::unwrap);
        ports.sort_unstable();
        assert_eq!(ports, [10_002, 10_004]); // 10006 has no 10007
        assert_eq!(pool.take(0), None);
    }

    #[test]
    fn a_pair_rests_before_it_is_used_again() {
        let mut pool = pool(10_000..=10_001);
        let port = pool.take(100).unwrap();
        pool.release(port, 1_000);
        assert_eq!(pool.take(1_000 + REST_MS - 1), None);
        assert_eq!(pool.take(1_000 + REST_MS), Some(port));
    }

    #[test]
    fn the_ends_of_the_number_space_are_no_trouble() {
        assert_eq!(pool(0..=1).take(0), None);
        assert_eq!(pool(65_534..=65_535).take(0), Some(65_534));
        assert_eq!(pool(65_535..=65_535).take(0), None);
    }
}
