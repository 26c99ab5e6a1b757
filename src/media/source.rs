//! Symmetric RTP (RFC 4961) with a lock: whose packets are heard, and where ours go. Pure.

use std::net::{IpAddr, SocketAddr};

/// The far end of one stream.
///
/// Packets go to the negotiated address until the peer is heard; from then on to where it was
/// heard, because a NAT may have changed the port. Before the lock, a packet is credible from the
/// negotiated address, whatever the port; and from the address of the signalling, if the
/// negotiated one is private and thus says nothing about where the peer is. After the lock only
/// that one source is heard. A new negotiated address opens the lock again.
#[derive(Debug)]
pub(super) struct Source {
    signalling: IpAddr,
    negotiated: Option<SocketAddr>,
    locked: Option<SocketAddr>,
}

impl Source {
    pub fn new(signalling: IpAddr) -> Self {
        Self { signalling: signalling.to_canonical(), negotiated: None, locked: None }
    }

    /// Takes over a negotiated address; says whether the lock was opened. Port 0 and unspecified
    /// addresses (hold by RFC 2543) say nothing new about the peer.
    pub fn negotiate(&mut self, remote: SocketAddr) -> bool {
        let nowhere = remote.port() == 0 || remote.ip().is_unspecified();
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        if (nowhere && self.negotiated.is_some()) || self.negotiated == Some(remote) {
            return false;
        }
        self.negotiated = Some(remote);
        self.locked.take().is_some()
    }

    /// Whether a packet from there is heard. A `credible` one, with content as agreed, locks.
    pub fn admits(&mut self, source: SocketAddr, credible: bool) -> bool {
        if let Some(locked) = self.locked {
            return locked == source;
        }
        let heard = credible && self.may_be_peer(source.ip());
        if heard {
            self.locked = Some(source);
        }
        heard
    }

    /// Where our packets go; `None` as long as the peer is nowhere.
    pub fn target(&self) -> Option<SocketAddr> {
        self.locked.or_else(|| {
            self.negotiated.filter(|remote| remote.port() != 0 && !remote.ip().is_unspecified())
        })
    }

    fn may_be_peer(&self, ip: IpAddr) -> bool {
        let Some(negotiated) = self.negotiated else {
            return false;
        };
        let ip = ip.to_canonical();
        ip == negotiated.ip() || (is_private(negotiated.ip()) && ip == self.signalling)
    }
}

/// Addresses that mean nothing outside the peer's own network.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let carrier_nat = a == 100 && b & 0xC0 == 64; // RFC 6598
            ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || carrier_nat
        }
        IpAddr::V6(ip) => {
            ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn source(signalling: &str, negotiated: &str) -> Source {
        let mut source = Source::new(signalling.parse().unwrap());
        source.negotiate(at(negotiated));
        source
    }

    #[test]
    fn packets_go_where_the_peer_said_until_it_is_heard_elsewhere() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
        assert!(source.admits(at("192.0.2.1:5555"), true)); // a NAT changed the port
        assert_eq!(source.target(), Some(at("192.0.2.1:5555")));
        assert!(!source.admits(at("192.0.2.1:4000"), true));
    }

    #[test]
    fn a_stranger_neither_locks_nor_is_heard() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(!source.admits(at("203.0.113.9:4000"), true));
        assert!(source.admits(at("192.0.2.1:4000"), true));
        assert!(!source.admits(at("203.0.113.9:4000"), true));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn what_was_not_agreed_on_does_not_lock() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(!source.admits(at("192.0.2.1:5555"), false));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn a_peer_behind_a_nat_is_believed_at_the_address_of_its_signalling() {
        for private in ["10.0.0.5:4000", "100.64.3.3:4000", "0.0.0.0:4000", "192.168.1.2:4000"] {
            let mut source = source("198.51.100.7", private);
            assert!(!source.admits(at("203.0.113.9:4000"), true), "{private}");
            assert!(source.admits(at("198.51.100.7:61000"), true), "{private}");
            assert_eq!(source.target(), Some(at("198.51.100.7:61000")));
        }
        // A public address is the peer's own word.
        let mut public = source("198.51.100.7", "192.0.2.1:4000");
        assert!(!public.admits(at("198.51.100.7:4000"), true));
    }

    #[test]
    fn only_a_new_address_opens_the_lock() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(source.admits(at("192.0.2.1:5555"), true));
        assert!(!source.negotiate(at("192.0.2.1:4000")));
        assert!(!source.negotiate(at("0.0.0.0:4000"))); // hold by RFC 2543
        assert_eq!(source.target(), Some(at("192.0.2.1:5555")));
        assert!(source.negotiate(at("192.0.2.8:6000")));
        assert_eq!(source.target(), Some(at("192.0.2.8:6000")));
        assert!(!source.admits(at("192.0.2.1:5555"), true));
        assert!(source.admits(at("192.0.2.8:6000"), true));
    }

    #[test]
    fn nothing_is_sent_to_nowhere() {
        assert_eq!(source("192.0.2.1", "0.0.0.0:4000").target(), None);
        assert_eq!(source("192.0.2.1", "192.0.2.1:0").target(), None);
    }
}
