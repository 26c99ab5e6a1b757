//! Identifiers of the legs that we dial, the calls that we make, and promises.

use uuid::{Builder, Uuid};

use crate::domain::{CallId, LegId, PromiseId, Timestamp};

/// Makes UUIDv7 (RFC 9562 §5.7) from the time and a seed, so that a replayed day has the same ids.
/// Nodes with different seeds never make the same one in practice: 74 bits come from the seed.
#[derive(Debug)]
pub(super) struct Ids {
    state: u64,
}

impl Ids {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn leg(&mut self, now: Timestamp) -> LegId {
        LegId(self.uuid(now))
    }

    pub fn call(&mut self, now: Timestamp) -> CallId {
        CallId(self.uuid(now))
    }

    pub fn promise(&mut self, now: Timestamp) -> PromiseId {
        PromiseId(self.uuid(now))
    }

    fn uuid(&mut self, now: Timestamp) -> Uuid {
        let mut random = [0; 10];
        let (high, low) = (self.next().to_be_bytes(), self.next().to_be_bytes());
        random[..8].copy_from_slice(&high);
        random[8..].copy_from_slice(&low[..2]);
        let ms = u64::try_from(now.0).unwrap_or(0);
        Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): every state gives another number.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_seed_repeat_and_no_two_are_equal() {
        let (mut one, mut same, mut other) = (Ids::new(7), Ids::new(7), Ids::new(8));
        let now = Timestamp(1_700_000_000_000);
        let ids: Vec<LegId> = (0..100).map(|_| one.leg(now)).collect();
        assert!(ids.iter().all(|id| *id == same.leg(now)));
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(!ids.contains(&other.leg(now)));
        assert_eq!(ids[0].0.get_version_num(), 7);
    }
}
