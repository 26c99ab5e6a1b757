//! TLS handshakes under way, each source with a share of them: who begins many and finishes none
//! takes nobody's place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// See the [module](self). An honest handshake takes some round trips, so of too many the oldest goes:
/// first of a source that has more than its share, then of the source with the most.
#[derive(Clone, Debug)]
pub struct Handshakes {
    most: usize,
    under_way: Arc<Mutex<UnderWay>>,
}

#[derive(Debug, Default)]
struct UnderWay {
    last: u64,
    /// In the order in which they began.
    all: BTreeMap<u64, Begun>,
    /// How many each source has.
    sources: BTreeMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Begun {
    source: IpAddr,
    must_go: CancellationToken,
}

/// A handshake; over when it is dropped.
#[derive(Debug)]
pub struct Handshake {
    number: u64,
    must_go: CancellationToken,
    under_way: Arc<Mutex<UnderWay>>,
}

impl Handshakes {
    /// `most`: handshakes at once. One source may have a quarter of them.
    pub fn new(most: usize) -> Self {
        Self { most, under_way: Arc::default() }
    }

    /// One more has begun; if that is too many, another one has to go.
    pub fn begin(&self, source: IpAddr) -> Handshake {
        let source = source.to_canonical();
        let mut under_way = lock(&self.under_way);
        if let Some(leaver) = under_way.leaver(source, self.most) {
            under_way.end(leaver);
        }
        let (number, must_go) = under_way.begin(source);
        Handshake { number, must_go, under_way: Arc::clone(&self.under_way) }
    }
}

impl Handshake {
    /// When others need the place more.
    pub async fn must_go(&self) {
        self.must_go.cancelled().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        lock(&self.under_way).end(self.number);
    }
}

/// Whole at any time, whoever panicked.
fn lock(under_way: &Mutex<UnderWay>) -> MutexGuard<'_, UnderWay> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UnderWay {
    fn begin(&mut self, source: IpAddr) -> (u64, CancellationToken) {
        self.last += 1;
        let must_go = CancellationToken::new();
        self.all.insert(self.last, Begun { source, must_go: must_go.clone() });
        *self.sources.entry(source).or_default() += 1;
        (self.last, must_go)
    }

    /// Whose place one more handshake of this source takes.
    fn leaver(&self, source: IpAddr, most: usize) -> Option<u64> {
        let of_source = self.sources.get(&source).copied().unwrap_or(0);
        let crowd = if of_source >= (most / 4).max(1) {
            source
        } else if self.all.len() >= most {
            *self.sources.iter().max_by_key(|(_, count)| **count)?.0
        } else {
            return None;
        };
        self.all.iter().find(|(_, begun)| begun.source == crowd).map(|(number, _)| *number)
    }

    fn end(&mut self, number: u64) {
        let Some(begun) = self.all.remove(&number) else { return };
        begun.must_go.cancel();
        if let Some(count) = self.sources.get_mut(&begun.source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&begun.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn has_to_go(handshake: &Handshake) -> bool {
        handshake.must_go.is_cancelled()
    }

    #[test]
    fn who_begins_many_handshakes_loses_the_own_oldest_and_nobody_elses() {
        let handshakes = Handshakes::new(16);
        let other = handshakes.begin(source(2));
        let mut many: Vec<Handshake> = (0..4).map(|_| handshakes.begin(source(1))).collect();
        assert!(!many.iter().any(has_to_go), "a quarter is its share");
        many.push(handshakes.begin(source(1)));
        let gone: Vec<bool> = many.iter().map(has_to_go).collect();
        assert_eq!(gone, [true, false, false, false, false]);
        assert!(!has_to_go(&other));
    }

    #[test]
    fn of_too_many_sources_together_the_greediest_makes_room() {
        let handshakes = Handshakes::new(16);
        let mut few: Vec<Handshake> = (10..20).map(|n| handshakes.begin(source(n))).collect();
        let greedy: Vec<Handshake> = (0..4).map(|_| handshakes.begin(source(1))).collect();
        few.extend((20..24).map(|n| handshakes.begin(source(n))));
        assert!(!few.iter().any(has_to_go));
        assert_eq!(greedy.iter().filter(|handshake| has_to_go(handshake)).count(), 2);
        assert!(has_to_go(&greedy[0]) && has_to_go(&greedy[1]), "the oldest");
    }

    #[test]
    fn a_finished_handshake_leaves_its_place() {
        let handshakes = Handshakes::new(4);
        for _ in 0..100 {
            assert!(!has_to_go(&handshakes.begin(source(1))));
        }
        let under_way = lock(&handshakes.under_way);
        assert!(under_way.all.is_empty() && under_way.sources.is_empty());
    }
}
