//! Symmetric RTP (RFC 4961) with a lock: whose packets are heard, and where ours go. Pure.

use std::net::{IpAddr, SocketAddr};

/// The far end of one stream.
///
/// Packets go to the negotiated address until the peer is heard; from then on to where it was
/// heard, because a NAT may have changed the port. A packet from the negotiated address itself
/// locks at once and for good. Before that, another source may be the peer behind a NAT: one with
/// the negotiated IP address, or with that of the signalling, whatever the port: phones with several
/// addresses, or behind a NAT, name one and send from another. It is believed after some packets
/// in a row, so that a stray one steers nothing, and until the negotiated address is heard after
/// all. Nobody else is ever heard. A new negotiated address opens the lock again.
#[derive(Debug)]
pub(super) struct Source {
    signalling: IpAddr,
    /// Packets in a row after which another port than the negotiated one is believed.
    probation: u8,
    negotiated: Option<SocketAddr>,
    lock: Lock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Open,
    /// So many packets in a row came from there.
    Candidate(SocketAddr, u8),
    /// The peer behind a NAT, as far as we can tell.
    Believed(SocketAddr),
    /// The negotiated address.
    Certain(SocketAddr),
}

impl Source {
    pub fn new(signalling: IpAddr, probation: u8) -> Self {
        Self {
            signalling: signalling.to_canonical(),
            probation,
            negotiated: None,
            lock: Lock::Open,
        }
    }

    /// Takes over where the signalling comes from, if that is not known yet: a phone that was
    /// dialled answers from an address that nobody knew before.
    pub fn signalled_from(&mut self, signalling: IpAddr) {
        if self.signalling.is_unspecified() {
            self.signalling = signalling.to_canonical();
        }
    }

    /// Takes over a negotiated address; says whether it was news. Port 0 and unspecified addresses
    /// (hold by RFC 2543) say nothing new about the peer.
    pub fn negotiate(&mut self, remote: SocketAddr) -> bool {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        if (is_nowhere(remote) && self.negotiated.is_some()) || self.negotiated == Some(remote) {
            return false;
        }
        self.negotiated = Some(remote);
        self.lock = Lock::Open;
        true
    }

    /// Whether a packet from there is heard. Only a `credible` one, with content as agreed, locks;
    /// any other is at least a sign of life if it comes from the negotiated address.
    pub fn admits(&mut self, source: SocketAddr, credible: bool) -> bool {
        match self.lock {
            Lock::Certain(peer) => return peer == source,
            Lock::Believed(peer) if peer == source => return true,
            Lock::Open | Lock::Candidate(..) | Lock::Believed(_) => {}
        }
        let is_negotiated = self.negotiated.is_some_and(|peer| is_same(peer, source));
        if !credible {
            return is_negotiated;
        }
        if is_negotiated {
            self.lock = Lock::Certain(source);
            return true;
        }
        if matches!(self.lock, Lock::Believed(_)) || !self.may_be_peer(source.ip()) {
            return false;
        }
        let in_row = match self.lock {
            Lock::Candidate(candidate, count) if candidate == source => count + 1,
            Lock::Open | Lock::Candidate(..) | Lock::Believed(_) | Lock::Certain(_) => 1,
        };
        let believed = in_row >= self.probation;
        self.lock = if believed { Lock::Believed(source) } else { Lock::Candidate(source, in_row) };
        believed
    }

    /// Where our packets go; `None` as long as the peer is nowhere.
    pub fn target(&self) -> Option<SocketAddr> {
        match self.lock {
            Lock::Believed(peer) | Lock::Certain(peer) => Some(peer),
            Lock::Open | Lock::Candidate(..) => self.negotiated.filter(|peer| !is_nowhere(*peer)),
        }
    }

    fn may_be_peer(&self, ip: IpAddr) -> bool {
        let Some(negotiated) = self.negotiated else {
            return false;
        };
        let ip = ip.to_canonical();
        // An unspecified address of the signalling is nobody's.
        ip == negotiated.ip() || ip == self.signalling
    }
}

fn is_nowhere(address: SocketAddr) -> bool {
    address.port() == 0 || address.ip().is_unspecified()
}

/// Equal but for what only the system knows of an IPv6 address, such as its interface.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip() == b.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn source(signalling: &str, negotiated: &str) -> Source {
        let mut source = Source::new(signalling.parse().unwrap(), 3);
        source.negotiate(at(negotiated));
        source
    }

    /// Whether the last of so many packets in a row is heard.
    fn hears(source: &mut Source, from: &str, packets: usize) -> bool {
        let mut heard = false;
        (0..packets).for_each(|_| heard = source.admits(at(from), true));
        heard
    }

    #[test]
    fn packets_go_where_the_peer_said_until_it_is_heard_elsewhere() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
        assert!(hears(&mut source, "192.0.2.1:5555", 3)); // a NAT changed the port
        assert_eq!(source.target(), Some(at("192.0.2.1:5555")));
        assert!(!hears(&mut source, "192.0.2.1:6666", 9));
    }

    #[test]
    fn a_stray_packet_steers_nothing() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(!hears(&mut source, "192.0.2.1:5555", 2));
        assert!(!hears(&mut source, "192.0.2.1:6666", 1));
        assert!(!hears(&mut source, "192.0.2.1:5555", 2));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn the_negotiated_address_is_heard_at_once_and_takes_precedence() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(hears(&mut source, "192.0.2.1:5555", 3));
        assert!(hears(&mut source, "192.0.2.1:4000", 1));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
        assert!(!hears(&mut source, "192.0.2.1:5555", 9));
    }

    #[test]
    fn a_stranger_neither_locks_nor_is_heard() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(!hears(&mut source, "203.0.113.9:4000", 9));
        assert!(hears(&mut source, "192.0.2.1:4000", 1));
        assert!(!hears(&mut source, "203.0.113.9:4000", 9));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn what_was_not_agreed_on_does_not_lock() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        (0..9).for_each(|_| assert!(!source.admits(at("192.0.2.1:5555"), false)));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn whatever_comes_from_the_negotiated_address_is_a_sign_of_life() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(source.admits(at("192.0.2.1:4000"), false));
        assert_eq!(source.lock, Lock::Open);
    }

    #[test]
    fn a_peer_behind_a_nat_is_believed_at_the_address_of_its_signalling() {
        for private in ["10.0.0.5:4000", "100.64.3.3:4000", "0.0.0.0:4000", "192.168.1.2:4000"] {
            let mut source = source("198.51.100.7", private);
            assert!(!hears(&mut source, "203.0.113.9:4000", 9), "{private}");
            assert!(hears(&mut source, "198.51.100.7:61000", 3), "{private}");
            assert_eq!(source.target(), Some(at("198.51.100.7:61000")));
        }
        // A phone with several addresses.
        assert!(hears(&mut source("198.51.100.7", "192.0.2.1:4000"), "198.51.100.7:4000", 3));
    }

    #[test]
    fn only_a_new_address_opens_the_lock() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(hears(&mut source, "192.0.2.1:5555", 3));
        assert!(!source.negotiate(at("192.0.2.1:4000")));
        assert!(!source.negotiate(at("0.0.0.0:4000"))); // hold by RFC 2543
        assert_eq!(source.target(), Some(at("192.0.2.1:5555")));
        assert!(source.negotiate(at("192.0.2.8:6000")));
        assert_eq!(source.target(), Some(at("192.0.2.8:6000")));
        assert!(hears(&mut source, "192.0.2.8:6000", 1));
        assert!(!hears(&mut source, "192.0.2.1:5555", 9));
    }

    #[test]
    fn nothing_is_sent_to_nowhere() {
        assert_eq!(source("192.0.2.1", "0.0.0.0:4000").target(), None);
        assert_eq!(source("192.0.2.1", "192.0.2.1:0").target(), None);
    }
}
