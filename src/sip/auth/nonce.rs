//! Nonces: made without memory, remembered once a right password came with them.
//!
//! A nonce carries its time and our signature, and is good only for the address that asked for it;
//! nobody can use one in another's name. A flood of unproven requests costs no memory. Of one that
//! was used, the highest count is kept until it expires (RFC 7616 §3.3: `nc` must rise).

use std::collections::BTreeMap;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

/// How long a nonce is good for.
pub const LIFETIME_MS: u64 = 5 * 60 * 1000;
/// Used nonces that are remembered. Beyond, the oldest are given up: what comes with them is stale.
pub const USED_MAX: usize = 16_384;

/// Time and number of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    issued_ms: u64,
    number: u32,
}

/// What a nonce is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Fresh(Key),
    /// Too old, given up, or not made here for this address since the start.
    Old,
}

#[derive(Debug)]
pub struct Nonces {
    secret: [u64; 2],
    made: u32,
    /// The highest count that came with each.
    used: BTreeMap<Key, u32>,
    /// All up to this one are old unless they are in `used`.
    given_up: Option<Key>,
}

impl Nonces {
    pub fn new(secret: [u64; 2]) -> Self {
        Self { secret, made: 0, used: BTreeMap::new(), given_up: None }
    }

    pub fn issue(&mut self, now_ms: u64, source: IpAddr) -> String {
        self.made = self.made.wrapping_add(1);
        self.text(source, Key { issued_ms: now_ms, number: self.made })
    }

    pub fn standing(&self, now_ms: u64, source: IpAddr, nonce: &str) -> Standing {
        let number = |digits: Option<&str>| u64::from_str_radix(digits?, 16).ok();
        let issued_ms = number(nonce.get(..12));
        let count = number(nonce.get(12..20)).and_then(|count| u32::try_from(count).ok());
        let (Some(issued_ms), Some(number)) = (issued_ms, count) else { return Standing::Old };
        let key = Key { issued_ms, number };
        let is_ours = self.text(source, key) == nonce;
        let is_in_time = now_ms < issued_ms.saturating_add(LIFETIME_MS);
        let is_known = self.given_up < Some(key) || self.used.contains_key(&key);
        if is_ours && is_in_time && is_known { Standing::Fresh(key) } else { Standing::Old }
    }

    /// Notes that a right password came with this count; `false`: it, or a later one, came before.
    pub fn count(&mut self, key: Key, count: u32) -> bool {
        let highest = self.used.get(&key).copied().unwrap_or(0);
        if count <= highest {
            return false;
        }
        self.used.insert(key, count);
        // The oldest stand first.
        while let Some(oldest) = self.used.first_entry() {
            let is_over = oldest.key().issued_ms.saturating_add(LIFETIME_MS) <= key.issued_ms;
            let oldest = *oldest.key();
            if !is_over && self.used.len() <= USED_MAX {
                break;
            }
            self.used.remove(&oldest);
            self.given_up = self.given_up.max(Some(oldest));
        }
        true
    }

    fn text(&self, source: IpAddr, key: Key) -> String {
        let Key { issued_ms, number } = key;
        let signed = format!("{:012x}{number:08x}", issued_ms & 0xFFFF_FFFF_FFFF);
        let seal = keyed(self.secret, format!("{signed} {}", source.to_canonical()).as_bytes());
        format!("{signed}{seal:016x}")
    }
}

/// A number that nobody without the secret can foretell.
pub fn keyed(secret: [u64; 2], text: &[u8]) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(secret[0].to_be_bytes());
    hasher.update(secret[1].to_be_bytes());
    hasher.update(text);
    let hash = hasher.finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn key(nonces: &Nonces, now_ms: u64, nonce: &str) -> Key {
        let Standing::Fresh(key) = nonces.standing(now_ms, HERE, nonce) else {
            panic!("{nonce} is old")
        };
        key
    }

    #[test]
    fn a_nonce_is_good_for_rising_counts_and_for_its_lifetime() {
        let mut nonces = Nonces::new([1, 2]);
        let nonce = nonces.issue(1_000, HERE);
        let key = key(&nonces, 1_000, &nonce);
        assert!(nonces.count(key, 1) && nonces.count(key, 3));
        assert!(!nonces.count(key, 3) && !nonces.count(key, 2));
        assert_eq!(nonces.standing(1_000 + LIFETIME_MS - 1, HERE, &nonce), Standing::Fresh(key));
        assert_eq!(nonces.standing(1_000 + LIFETIME_MS, HERE, &nonce), Standing::Old);
    }

    #[test]
    fn a_nonce_of_somebody_else_is_old() {
        let mut nonces = Nonces::new([1, 2]);
        let elsewhere = nonces.issue(1_000, IpAddr::from([192, 0, 2, 2]));
        let foreign = Nonces::new([1, 3]).issue(1_000, HERE);
        let mut changed = nonces.issue(1_000, HERE).into_bytes();
        changed[11] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        for nonce in
            ["", "x", "жжжжжжжжжжжжжжжжжжжж", &"f".repeat(36), &elsewhere, &foreign, &changed]
        {
            assert_eq!(nonces.standing(1_000, HERE, nonce), Standing::Old, "{nonce}");
        }
    }

    #[test]
    fn a_flood_of_proven_requests_costs_bounded_memory_and_opens_no_replay() {
        let mut nonces = Nonces::new([1, 2]);
        let first = nonces.issue(0, HERE);
        let first_key = key(&nonces, 0, &first);
        assert!(nonces.count(first_key, 1));
        for _ in 0..USED_MAX + 10 {
            let nonce = nonces.issue(1, HERE);
            let key = key(&nonces, 1, &nonce);
            assert!(nonces.count(key, 1));
        }
        assert_eq!(nonces.used.len(), USED_MAX);
        assert_eq!(nonces.standing(2, HERE, &first), Standing::Old);
    }
}
