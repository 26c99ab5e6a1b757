//! Promises on the word of calls from anywhere: an INVITE costs nothing, and names whom it likes.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::domain::Timestamp;

/// So many promises come of the calls of one address in an hour; further ones are not made.
const PROMISES_OF_SOURCE_MAX: usize = 20;
const HOUR_MS: u64 = 3_600_000;
/// So many addresses are kept in mind. With more of them in an hour, others' calls promise nothing.
const SOURCES_MAX: usize = 2_000;

/// When something was promised lately to whoever calls from an address. Of IPv6 addresses only the
/// network counts, whose other half anybody may choose.
#[derive(Debug, Default)]
pub(super) struct Strangers(BTreeMap<IpAddr, VecDeque<Timestamp>>);

impl Strangers {
    /// Whether one more promise may be made, which counts then.
    pub fn may_be_promised(&mut self, now: Timestamp, source: IpAddr) -> bool {
        let source = network(source);
        if !self.0.contains_key(&source) && self.0.len() >= SOURCES_MAX {
            let is_recent = |at: &Timestamp| now.since(*at) < HOUR_MS;
            self.0.retain(|_, promised| promised.back().is_some_and(is_recent));
            if self.0.len() >= SOURCES_MAX {
                return false;
            }
        }
        let promised = self.0.entry(source).or_default();
        while promised.pop_front_if(|at| now.since(*at) >= HOUR_MS).is_some() {}
        let may = promised.len() < PROMISES_OF_SOURCE_MAX;
        if may {
            promised.push_back(now);
        }
        may
    }
}

fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp(minutes * 60_000)
    }

    fn promises(strangers: &mut Strangers, minutes: i64, source: &str) -> usize {
        let source = source.parse().unwrap();
        (0..100).filter(|_| strangers.may_be_promised(at(minutes), source)).count()
    }

    #[test]
    fn an_address_gets_twenty_promises_an_hour() {
        let mut strangers = Strangers::default();
        assert_eq!(promises(&mut strangers, 0, "203.0.113.9"), 20);
        assert_eq!(promises(&mut strangers, 0, "203.0.113.8"), 20);
        assert_eq!(promises(&mut strangers, 59, "203.0.113.9"), 0);
        assert_eq!(promises(&mut strangers, 60, "203.0.113.9"), 20);
    }

    #[test]
    fn who_chooses_half_of_the_address_is_one() {
        let mut strangers = Strangers::default();
        assert_eq!(promises(&mut strangers, 0, "2001:db8:1:2::3"), 20);
        assert_eq!(promises(&mut strangers, 0, "2001:db8:1:2:9:9:9:9"), 0);
        assert_eq!(promises(&mut strangers, 0, "::ffff:203.0.113.9"), 20);
        assert_eq!(promises(&mut strangers, 0, "203.0.113.9"), 0);
    }

    #[test]
    fn a_flood_from_everywhere_is_bounded() {
        let mut strangers = Strangers::default();
        let from = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from(n));
        let made = (0..10_000).filter(|n| strangers.may_be_promised(at(0), from(*n))).count();
        assert_eq!((made, strangers.0.len()), (SOURCES_MAX, SOURCES_MAX));
        assert!(strangers.may_be_promised(at(61), from(20_000)));
    }
}
