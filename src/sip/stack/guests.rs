//! The connections that peers have made to us, and which of them go when there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use super::super::transport::{Flow, Link};

/// See the [module](self). Nobody has to go over whose connection a phone is registered or a call
/// is up; of all others first who has been silent for longest.
#[derive(Debug)]
pub(super) struct Guests {
    most: usize,
    links: BTreeMap<Link, Guest>,
    /// How many connections each source has.
    sources: BTreeMap<IpAddr, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Guest {
    source: IpAddr,
    heard_ms: u64,
}

impl Guests {
    /// `most`: connections at once. One source may have a quarter of them that it does not use.
    pub fn new(most: usize) -> Self {
        Self { most, links: BTreeMap::new(), sources: BTreeMap::new() }
    }

    fn share(&self) -> usize {
        (self.most / 4).max(1)
    }

    pub fn came(&mut self, now_ms: u64, flow: Flow) {
        let source = flow.remote.ip().to_canonical();
        let after = self.links.range((Bound::Excluded(flow.link), Bound::Unbounded)).next();
        let heard_ms = match (flow.link, after) {
            // We were told late: others who came after it were here before. (How long TLS takes to agree
            // is the peer's affair.)
            (Link::Tcp(_), Some((Link::Tcp(_), after))) => now_ms.min(after.heard_ms),
            _ => now_ms,
        };
        self.links.insert(flow.link, Guest { source, heard_ms });
        *self.sources.entry(source).or_default() += 1;
    }

    pub fn heard(&mut self, now_ms: u64, link: Link) {
        if let Some(guest) = self.links.get_mut(&link) {
            guest.heard_ms = now_ms;
        }
    }

    pub fn left(&mut self, link: Link) {
        let Some(guest) = self.links.remove(&link) else { return };
        if let Some(count) = self.sources.get_mut(&guest.source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&guest.source);
            }
        }
    }

    /// Whether somebody may have to go now that one more has come from this source.
    pub fn is_crowded(&self, source: IpAddr) -> bool {
        let of_source = self.sources.get(&source.to_canonical()).copied().unwrap_or(0);
        self.links.len() > self.most || of_source > self.share()
    }

    /// Who has to go: some more than must, so that this need not be asked for each newcomer. First of
    /// those who use more than their share, then of the source with the most that are not `used`.
    pub fn leavers(&self, used: &BTreeSet<Link>) -> Vec<Link> {
        let mut idle: BTreeMap<IpAddr, Vec<(u64, Link)>> = BTreeMap::new();
        for (link, guest) in self.links.iter().filter(|(link, _)| !used.contains(link)) {
            idle.entry(guest.source).or_default().push((guest.heard_ms, *link));
        }
        let spare = (self.most / 32).max(1) - 1;
        let mut leavers = Vec::new();
        for links in idle.values_mut() {
            links.sort_unstable();
            let over = links.len().saturating_sub(self.share());
            if over > 0 {
                leavers.extend(links.drain(..(over + spare).min(links.len())));
            }
        }
        let over = self.links.len().saturating_sub(self.most + leavers.len());
        if over > 0 {
            let crowd = idle.into_values().max_by_key(Vec::len).unwrap_or_default();
            leavers.extend(crowd.into_iter().take(over + spare));
        }
        leavers.into_iter().map(|(_, link)| link).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(guests: &mut Guests, now_ms: u64, number: u64, source: u8) {
        let remote = (IpAddr::from([192, 0, 2, source]), 4000).into();
        let local = "192.0.2.100:5060".parse().unwrap();
        guests.came(now_ms, Flow { link: Link::Tcp(number), remote, local });
    }

    fn source(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn tcp(numbers: impl IntoIterator<Item = u64>) -> Vec<Link> {
        numbers.into_iter().map(Link::Tcp).collect()
    }

    #[test]
    fn who_was_silent_for_longest_goes_first() {
        let mut guests = Guests::new(4);
        for number in 0..4 {
            came(&mut guests, number, number, u8::try_from(number).unwrap());
        }
        assert!(!guests.is_crowded(source(3)));
        guests.heard(10, Link::Tcp(0));
        came(&mut guests, 11, 9, 0);
        assert!(guests.is_crowded(source(0)));
        assert_eq!(guests.leavers(&BTreeSet::new()), tcp([0]), "one source, more than a quarter");
        guests.left(Link::Tcp(0));
        came(&mut guests, 12, 10, 7);
        assert_eq!(guests.leavers(&BTreeSet::new()).len(), 1);
        assert_eq!(guests.leavers(&tcp([2, 3, 9, 10]).into_iter().collect()), tcp([1]));
    }

    #[test]
    fn nobody_in_a_call_goes_and_who_finds_no_room_goes_again() {
        let mut guests = Guests::new(2);
        for number in 0..3 {
            came(&mut guests, number, number, u8::try_from(number).unwrap());
        }
        let used = tcp([0, 1]).into_iter().collect();
        assert_eq!(guests.leavers(&used), tcp([2]));
        assert_eq!(guests.leavers(&tcp(0..3).into_iter().collect()), []);
    }

    #[test]
    fn one_source_with_many_idle_connections_makes_room_itself() {
        let mut guests = Guests::new(64);
        for number in 0..16 {
            came(&mut guests, number, number, 1);
        }
        assert!(!guests.is_crowded(source(1)));
        came(&mut guests, 16, 16, 1);
        assert!(guests.is_crowded(source(1)) && !guests.is_crowded(source(2)));
        // One more than must: the next newcomer finds room.
        assert_eq!(guests.leavers(&BTreeSet::new()), tcp([0, 1]));
        // Phones behind one address are many, and in use.
        assert_eq!(guests.leavers(&tcp(0..16).into_iter().collect()), []);
    }

    #[test]
    fn the_oldest_goes_in_whatever_order_they_are_told_of() {
        let mut guests = Guests::new(8);
        for (now_ms, number) in [(10, 3), (11, 1), (12, 2)] {
            came(&mut guests, now_ms, number, 1);
        }
        guests.heard(13, Link::Tcp(1));
        assert_eq!(guests.leavers(&BTreeSet::new()), [Link::Tcp(2)]);
    }
}
