//! How many new calls are let in: per second and without an ACK, overall and from one source.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::settings::Limits;

/// Who wants to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This machine or a trusted source: counts only overall.
    Exempt,
    Stranger(IpAddr),
}

impl Peer {
    /// The address of a stranger.
    pub fn stranger(self) -> Option<IpAddr> {
        match self {
            Self::Exempt => None,
            Self::Stranger(source) => Some(source),
        }
    }
}

/// The part of the calls of a second that may come at once.
const BURST_PART: u32 = 8;
/// So many may always come at once: a busy hotline's lines ring together, too.
const BURST_MIN: u32 = 100;

/// Counts new calls, and those whose ACK has not come yet.
#[derive(Debug, Default)]
pub struct Admission {
    all: Bucket,
    second: u64,
    per_source: BTreeMap<IpAddr, u32>,
    half_open: HalfOpenCalls,
}

/// All calls, evenly spread: if a flood had its whole share at the beginning of a second, those calls
/// would wait for each other until it is too late for them, and the rest of the second would bring
/// refusals alone. A leaky bucket.
#[derive(Debug, Default)]
struct Bucket {
    looked_ms: u64,
    /// Thousandths of calls.
    level: u64,
}

impl Bucket {
    const CALL: u64 = 1_000;

    /// Whether one more has room now.
    fn has_room(&mut self, now_ms: u64, per_second: u32) -> bool {
        let holds = (per_second / BURST_PART).max(per_second.min(BURST_MIN));
        let leaked = now_ms.saturating_sub(self.looked_ms).saturating_mul(per_second.into());
        self.level = self.level.saturating_sub(leaked);
        self.looked_ms = self.looked_ms.max(now_ms);
        self.level + Self::CALL <= u64::from(holds) * Self::CALL
    }

    fn add(&mut self) {
        self.level += Self::CALL;
    }
}

/// A call of a stranger without its ACK is counted for as long as this is kept.
#[derive(Debug)]
#[expect(dead_code, reason = "they count by being there")]
pub struct HalfOpen(Option<[Arc<()>; 2]>);

/// Each clone is a call.
#[derive(Debug, Default)]
struct HalfOpenCalls {
    all: Arc<()>,
    per_source: BTreeMap<IpAddr, Arc<()>>,
}

impl HalfOpenCalls {
    fn count(of: &Arc<()>) -> usize {
        Arc::strong_count(of) - 1
    }

    fn has_room(&self, source: IpAddr, limits: &Limits) -> bool {
        let of_source = self.per_source.get(&source).map_or(0, Self::count);
        of_source < limits.half_open_per_source_max
            && Self::count(&self.all) < limits.legs_max.div_ceil(2)
    }

    fn add(&mut self, source: IpAddr) -> HalfOpen {
        const FORGET_FROM: usize = 1_024;
        if self.per_source.len() >= FORGET_FROM && !self.per_source.contains_key(&source) {
            self.per_source.retain(|_, calls| Self::count(calls) > 0);
        }
        let of_source = self.per_source.entry(source).or_default();
        HalfOpen(Some([Arc::clone(&self.all), Arc::clone(of_source)]))
    }
}

impl Admission {
    /// Whether one more call may come from this peer now; if so, it counts.
    pub fn admits(&mut self, now_ms: u64, peer: Peer, limits: &Limits) -> bool {
        let second = now_ms / 1000;
        if second != self.second {
            self.second = second;
            self.per_source.clear();
        }
        if !self.all.has_room(now_ms, limits.invites_per_second_max) {
            return false;
        }
        if let Peer::Stranger(source) = peer {
            if !self.half_open.has_room(source, limits) {
                return false;
            }
            let full = self.per_source.len() >= limits.sources_max;
            let key = if full && !self.per_source.contains_key(&source) {
                IpAddr::from([0, 0, 0, 0])
            } else {
                source
            };
            let count = self.per_source.entry(key).or_default();
            if *count >= limits.invites_per_second_per_source_max {
                return false;
            }
            *count += 1;
        }
        self.all.add();
        true
    }

    /// Counts a call from this peer until its ACK has come.
    pub fn half_open(&mut self, peer: Peer) -> HalfOpen {
        match peer {
            Peer::Exempt => HalfOpen(None),
            Peer::Stranger(source) => self.half_open.add(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOODER: Peer = Peer::Stranger(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const OTHER: Peer = Peer::Stranger(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    #[test]
    fn a_flood_from_one_source_leaves_room_for_others() {
        let limits = Limits {
            invites_per_second_max: 5,
            invites_per_second_per_source_max: 2,
            ..Limits::default()
        };
        let mut admission = Admission::default();
        let mut admits = |now, peer| admission.admits(now, peer, &limits);
        assert!(admits(10, FLOODER) && admits(20, FLOODER));
        assert!(!admits(30, FLOODER));
        assert!(admits(40, OTHER));
        assert!(admits(50, Peer::Exempt) && admits(60, Peer::Exempt));
        assert!(!admits(70, OTHER), "all five are taken");
        assert!(admits(1_000, FLOODER), "the next second is new");
    }

    #[test]
    fn a_flood_is_let_in_evenly() {
        let limits = Limits { invites_per_second_max: 4_000, ..Limits::default() };
        let mut admission = Admission::default();
        // Ten in each millisecond; counted in tenths of a second.
        let mut admitted = [0; 20];
        for now_ms in 5_000..7_000 {
            let came = (0..10).filter(|_| admission.admits(now_ms, Peer::Exempt, &limits));
            admitted[(now_ms as usize - 5_000) / 100] += came.count();
        }
        assert_eq!(admitted[0], 500 + 400 - 4, "what may come at once, and what follows");
        assert!(admitted[1..].iter().all(|calls| (399..=401).contains(calls)), "{admitted:?}");
    }

    #[test]
    fn calls_that_are_never_acknowledged_leave_room_for_others() {
        let limits = Limits { half_open_per_source_max: 2, legs_max: 6, ..Limits::default() };
        let mut admission = Admission::default();
        let mut calls = Vec::new();
        let mut call = |admission: &mut Admission, peer| {
            let admitted = admission.admits(0, peer, &limits);
            calls.extend(admitted.then(|| admission.half_open(peer)));
            admitted
        };
        assert!(call(&mut admission, FLOODER) && call(&mut admission, FLOODER));
        assert!(!call(&mut admission, FLOODER), "two of them wait for their ACK");
        assert!(call(&mut admission, OTHER));
        assert!(!call(&mut admission, OTHER), "strangers have half of all");
        assert!(call(&mut admission, Peer::Exempt));
        calls.clear();
        assert!(admission.admits(0, FLOODER, &limits), "they are acknowledged, or over");
    }
}
