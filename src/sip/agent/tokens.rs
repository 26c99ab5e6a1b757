//! Tags, branches and ids that a stranger can't guess.

use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Builder;

use crate::domain::LegId;

/// How the To tag of an answer begins of which nothing is kept. An ACK with such a tag has nobody to
/// go to.
pub const STATELESS_TAG: &str = "unkept-";

/// Makes tokens from a secret and a counter; the same secret gives the same tokens.
#[derive(Debug)]
pub struct Tokens {
    secret: [u64; 2],
    made: u64,
}

impl Tokens {
    pub fn new(secret: [u64; 2]) -> Self {
        Self { secret, made: 0 }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.made += 1;
        self.keyed(&self.made)
    }

    /// From 0 to `max`.
    pub fn below(&mut self, max: u32) -> u32 {
        u32::try_from(self.next_u64() % (u64::from(max) + 1)).unwrap_or(0)
    }

    /// A UUIDv7; its 74 random bits are ours.
    pub fn leg(&mut self, now_ms: u64) -> LegId {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next_u64().to_be_bytes());
        random[8..].copy_from_slice(&self.next_u64().to_be_bytes()[..2]);
        LegId(Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid())
    }

    /// The To tag of an answer without a transaction: the same for each repetition (RFC 3261
    /// §8.2.7), and known by its beginning, [`STATELESS_TAG`].
    pub fn stateless_tag(&self, of: &[&[u8]]) -> String {
        format!("{STATELESS_TAG}{:016x}", self.keyed(&of))
    }

    /// The branch of a client transaction; [`Tokens::of_branch`] leads back to it.
    pub fn branch(&self, client: u64) -> String {
        format!("z9hG4bK{:016x}{client:x}", self.keyed(&client))
    }

    pub fn of_branch(&self, branch: &str) -> Option<u64> {
        let id = u64::from_str_radix(branch.get(23..)?, 16).ok()?;
        (self.branch(id) == branch).then_some(id)
    }

    /// Our tag in the dialog of a subscription; [`Tokens::of_subscription`] leads back to it.
    pub fn subscription_tag(&self, id: u64) -> String {
        format!("s{:016x}{id:x}", self.keyed(&("subscription", id)))
    }

    pub fn of_subscription(&self, tag: &str) -> Option<u64> {
        let id = u64::from_str_radix(tag.get(17..)?, 16).ok()?;
        (self.subscription_tag(id) == tag).then_some(id)
    }

    /// Stands for a long text in a map: hundreds of thousands of finished transactions linger, and
    /// 16 bytes for each are enough. Nobody without the secret can make two texts meet.
    pub fn digest(&self, text: &str) -> Digest {
        let half = |salt: u8| self.keyed(&(salt, text));
        Digest([half(1), half(2)])
    }

    fn keyed(&self, value: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.secret, value).hash(&mut hasher);
        self.secret[1].hash(&mut hasher);
        hasher.finish()
    }
}

/// See [`Tokens::digest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u64; 2]);

/// The tag of a leg, in both directions.
pub fn tag_of(leg: LegId) -> String {
    leg.0.simple().to_string()
}

pub fn leg_of(tag: &str) -> Option<LegId> {
    (tag.len() == 32).then(|| tag.parse().ok().map(LegId))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_tags_lead_back_to_what_they_name() {
        let mut tokens = Tokens::new([1, 2]);
        assert_eq!(tokens.of_branch(&tokens.branch(77)), Some(77));
        assert_eq!(tokens.of_branch("z9hG4bK000000000000000077"), None);
        assert_eq!(tokens.of_branch("z9hG4bKж"), None);
        assert_eq!(tokens.of_subscription(&tokens.subscription_tag(77)), Some(77));
        assert_eq!(tokens.of_subscription("s000000000000000077"), None);
        let leg = tokens.leg(1_700_000_000_000);
        assert_eq!(leg_of(&tag_of(leg)), Some(leg));
        assert_eq!(leg_of("1"), None);
        assert_ne!(tokens.next_u64(), tokens.next_u64());
    }
}
