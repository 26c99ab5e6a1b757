//! Symmetric RTP (RFC 4961) with a lock: whose packets are heard, and where ours go. Pure.

use std::net::{IpAddr, SocketAddr};

/// Packets in a row by which a peer behind a NAT is believed: 40 ms of speech.
const BEHIND_NAT_PACKETS: u16 = 2;
/// A peer that should need no other port is believed there after speech of this length,
const OTHER_PORT_US: u64 = 500_000;
/// in at least so many packets,
const OTHER_PORT_PACKETS: u16 = 8;
/// which come no faster than speech does: no packet is shorter than 10 ms, but some come together.
const PACKET_MIN_US: u64 = 8_000;
const TOGETHER_MAX: u64 = 8;
/// So many packets may be missing where a row goes on.
const MISSING_MAX: u16 = 10;
/// How long packets go to an address of which nobody has ever heard anything but its name.
const UNHEARD_US: u64 = 5_000_000;

/// The far end of one stream.
///
/// Packets go to the negotiated address until the peer is heard; from then on to where it was
/// heard, because a NAT may have changed the port. A packet from the negotiated address itself
/// locks at once and for good. Before that, another source may be the peer:
///
/// - With the address of the signalling, if another one was negotiated: a phone behind a NAT, or
///   with several addresses, names one and sends from another. Two packets in a row are enough.
/// - With the negotiated address and another port. Few peers need that, and it is what somebody
///   who tries all ports looks like; only half a second of speech at its own pace is believed.
///
/// Either is believed until the negotiated address is heard after all. Nobody else is ever heard,
/// and nothing is ever sent to anybody else: who sends to a port gets no audio for it ("RTP bleed",
/// CVE-2017-14099). A new negotiated address opens the lock again.
///
/// Nor does anybody get us to flood whom he likes by naming him: to a negotiated address that is not
/// the one of the signalling, packets go for [`UNHEARD_US`], and then only if something was heard.
/// Signalling from this machine, where it is a proxy's, may name whom it likes.
#[derive(Debug)]
pub(super) struct Source {
    signalling: IpAddr,
    negotiated: Option<SocketAddr>,
    lock: Lock,
    /// From then on nothing is sent.
    until_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Open,
    /// This may be the peer.
    Candidate(Row),
    /// The peer at another address than the negotiated one, as far as we can tell.
    Believed(SocketAddr),
    /// The negotiated address.
    Certain(SocketAddr),
}

/// What speaks for a packet's being the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It holds nothing that was agreed on. From the negotiated address it is a sign of life.
    None,
    /// It is a packet of a stream as agreed on.
    Stream { ssrc: u32, sequence: u16 },
    /// It is a report on a stream that is heard from elsewhere than was negotiated, and names it.
    NamesStream,
}

/// Packets of one stream from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    source: SocketAddr,
    ssrc: u32,
    newest: u16,
    packets: u16,
    since_us: u64,
}

impl Row {
    fn begin(source: SocketAddr, ssrc: u32, sequence: u16, now_us: u64) -> Self {
        Self { source, ssrc, newest: sequence, packets: 1, since_us: now_us }
    }

    /// Whether the packet goes on with the row, which takes it in.
    fn takes(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        let step = sequence.wrapping_sub(self.newest);
        let goes_on = self.source == source && self.ssrc == ssrc && step <= MISSING_MAX + 1;
        if goes_on && step > 0 {
            self.newest = sequence;
            self.packets = self.packets.saturating_add(1);
        }
        goes_on
    }

    fn is_speech(&self, now_us: u64) -> bool {
        let lasted_us = now_us.saturating_sub(self.since_us);
        lasted_us >= OTHER_PORT_US
            && self.packets >= OTHER_PORT_PACKETS
            && u64::from(self.packets) <= lasted_us / PACKET_MIN_US + TOGETHER_MAX
    }
}

impl Source {
    pub fn new(signalling: IpAddr) -> Self {
        Self {
            signalling: signalling.to_canonical(),
            negotiated: None,
            lock: Lock::Open,
            until_us: 0,
        }
    }

    /// Takes over where the signalling comes from, if that is not known yet: a phone that was
    /// dialled answers from an address that nobody knew before.
    pub fn signalled_from(&mut self, signalling: IpAddr) {
        if self.signalling.is_unspecified() {
            self.signalling = signalling.to_canonical();
            if self.negotiated.is_some_and(|peer| self.vouches_for(peer)) {
                self.until_us = u64::MAX;
            }
        }
    }

    /// Takes over a negotiated address; says whether it was news. Port 0 and unspecified addresses
    /// (hold by RFC 2543) say nothing new about the peer.
    pub fn negotiate(&mut self, remote: SocketAddr, now_us: u64) -> bool {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        if (is_nowhere(remote) && self.negotiated.is_some()) || self.negotiated == Some(remote) {
            return false;
        }
        self.negotiated = Some(remote);
        self.lock = Lock::Open;
        self.until_us =
            if self.vouches_for(remote) { u64::MAX } else { now_us.saturating_add(UNHEARD_US) };
        true
    }

    fn vouches_for(&self, negotiated: SocketAddr) -> bool {
        self.signalling == negotiated.ip() || self.signalling.is_loopback()
    }

    /// The peer was heard, here or by its reports.
    pub fn note_heard(&mut self) {
        self.until_us = u64::MAX;
    }

    /// Whether packets still go to [`Source::target`].
    pub fn may_send(&self, now_us: u64) -> bool {
        now_us < self.until_us
    }

    /// Whether a packet from there is heard. Only one with `evidence` locks.
    pub fn admits(&mut self, source: SocketAddr, evidence: Evidence, now_us: u64) -> bool {
        let is_admitted = self.is_peer(source, evidence, now_us);
        if is_admitted {
            self.note_heard();
        }
        is_admitted
    }

    fn is_peer(&mut self, source: SocketAddr, evidence: Evidence, now_us: u64) -> bool {
        match self.lock {
            Lock::Certain(peer) => return peer == source,
            Lock::Believed(peer) if peer == source => return true,
            Lock::Open | Lock::Candidate(_) | Lock::Believed(_) => {}
        }
        if self.negotiated.is_some_and(|peer| is_same(peer, source)) {
            if evidence != Evidence::None {
                self.lock = Lock::Certain(source);
            }
            return true;
        }
        if matches!(self.lock, Lock::Believed(_)) {
            return false;
        }
        let believed = match (self.kinship(source.ip()), evidence) {
            (Kinship::Stranger, _) | (_, Evidence::None) => return false,
            (Kinship::Signalling | Kinship::OtherPort, Evidence::NamesStream) => true,
            (Kinship::Signalling, Evidence::Stream { ssrc, sequence }) => {
                self.row(source, ssrc, sequence, now_us).packets >= BEHIND_NAT_PACKETS
            }
            (Kinship::OtherPort, Evidence::Stream { ssrc, sequence }) => {
                self.row(source, ssrc, sequence, now_us).is_speech(now_us)
            }
        };
        if believed {
            self.lock = Lock::Believed(source);
        }
        believed
    }

    /// Whether the peer is heard from elsewhere than was negotiated.
    pub fn has_moved(&self) -> bool {
        matches!(self.lock, Lock::Believed(_))
    }

    /// Where our packets go; `None` as long as the peer is nowhere.
    pub fn target(&self) -> Option<SocketAddr> {
        match self.lock {
            Lock::Believed(peer) | Lock::Certain(peer) => Some(peer),
            Lock::Open | Lock::Candidate(_) => self.negotiated.filter(|peer| !is_nowhere(*peer)),
        }
    }

    /// The row that this packet goes on with, or begins.
    fn row(&mut self, source: SocketAddr, ssrc: u32, sequence: u16, now_us: u64) -> Row {
        if let Lock::Candidate(row) = &mut self.lock
            && row.takes(source, ssrc, sequence)
        {
            return *row;
        }
        let row = Row::begin(source, ssrc, sequence, now_us);
        self.lock = Lock::Candidate(row);
        row
    }

    fn kinship(&self, ip: IpAddr) -> Kinship {
        let ip = ip.to_canonical();
        match self.negotiated {
            Some(negotiated) if negotiated.ip() == ip => Kinship::OtherPort,
            // An unspecified address of the signalling is nobody's.
            Some(_) if self.signalling == ip => Kinship::Signalling,
            Some(_) | None => Kinship::Stranger,
        }
    }
}

/// What an address that was not negotiated has to do with the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinship {
    /// The peer's signalling comes from there; something else was negotiated.
    Signalling,
    /// The negotiated address, but for the port.
    OtherPort,
    Stranger,
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

    /// 40 ms, and a second.
    const SHORT: usize = 2;
    const LONG: usize = 50;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn source(signalling: &str, negotiated: &str) -> Source {
        let mut source = Source::new(signalling.parse().unwrap());
        source.negotiate(at(negotiated), 0);
        source
    }

    /// Whether the last of so many packets of one stream is heard.
    fn hears(source: &mut Source, from: &str, packets: usize) -> bool {
        hears_every(source, from, packets, 20_000)
    }

    fn hears_every(source: &mut Source, from: &str, packets: usize, every_us: u64) -> bool {
        let packet = |n: u16| Evidence::Stream { ssrc: 7, sequence: 65_530_u16.wrapping_add(n) };
        let sent = (0..packets).map(|n| (n as u16, n as u64 * every_us));
        sent.fold(false, |_, (n, now_us)| source.admits(at(from), packet(n), now_us))
    }

    #[test]
    fn packets_go_where_the_peer_said_until_it_is_heard_elsewhere() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
        assert!(hears(&mut source, "192.0.2.1:5555", LONG)); // a NAT changed the port
        assert_eq!(source.target(), Some(at("192.0.2.1:5555")));
        assert!(!hears(&mut source, "192.0.2.1:6666", LONG));
    }

    #[test]
    fn a_stray_packet_steers_nothing() {
        let mut source = source("198.51.100.7", "10.0.0.5:4000");
        assert!(!hears(&mut source, "198.51.100.7:5555", 1));
        assert!(!hears(&mut source, "198.51.100.7:6666", 1));
        assert!(!hears(&mut source, "198.51.100.7:5555", 1));
        assert_eq!(source.target(), Some(at("10.0.0.5:4000")));
    }

    #[test]
    fn who_tries_all_ports_of_a_silent_peer_gets_nothing_even_with_its_address() {
        let mut silent = source("192.0.2.1", "192.0.2.1:4000");
        // Some packets, many at once, and the same one for a minute.
        assert!(!hears(&mut silent, "192.0.2.1:5555", 20));
        assert!(!hears_every(&mut silent, "192.0.2.1:5555", 2_000, 500));
        let again = Evidence::Stream { ssrc: 9, sequence: 1 };
        assert!((0..3_000).all(|n| !silent.admits(at("192.0.2.1:5555"), again, n * 20_000)));
        // Streams that leap, as when one counter serves all ports.
        let leaps = |n: u16| Evidence::Stream { ssrc: 9, sequence: n.wrapping_mul(400) };
        assert!(
            (0..3_000)
                .all(|n| { !silent.admits(at("192.0.2.1:5555"), leaps(n), u64::from(n) * 20_000) })
        );
        assert_eq!(silent.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn speech_from_another_port_is_believed_though_some_of_it_is_lost() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        let packets = (0..50_u16).filter(|n| n % 5 != 0);
        let heard = packets.map(|n| {
            let evidence = Evidence::Stream { ssrc: 7, sequence: n };
            source.admits(at("192.0.2.1:5555"), evidence, u64::from(n) * 20_000)
        });
        assert!(heard.last().unwrap());
    }

    #[test]
    fn the_negotiated_address_is_heard_at_once_and_takes_precedence() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(hears(&mut source, "192.0.2.1:5555", LONG));
        assert!(hears(&mut source, "192.0.2.1:4000", 1));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
        assert!(!hears(&mut source, "192.0.2.1:5555", LONG));
    }

    #[test]
    fn a_stranger_neither_locks_nor_is_heard() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(!hears(&mut source, "203.0.113.9:4000", LONG));
        assert!(hears(&mut source, "192.0.2.1:4000", 1));
        assert!(!hears(&mut source, "203.0.113.9:4000", LONG));
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn what_was_not_agreed_on_does_not_lock() {
        let mut source = source("198.51.100.7", "192.0.2.1:4000");
        for from in ["192.0.2.1:5555", "198.51.100.7:4000"] {
            assert!((0..99).all(|n| !source.admits(at(from), Evidence::None, n * 20_000)));
        }
        assert_eq!(source.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn whatever_comes_from_the_negotiated_address_is_a_sign_of_life() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(source.admits(at("192.0.2.1:4000"), Evidence::None, 0));
        assert_eq!(source.lock, Lock::Open);
    }

    #[test]
    fn a_report_is_followed_only_if_it_names_the_stream() {
        let mut source = source("192.0.2.1", "192.0.2.1:4001");
        assert!(!source.admits(at("192.0.2.1:5555"), Evidence::None, 0));
        assert!(!source.admits(at("203.0.113.9:4001"), Evidence::NamesStream, 0));
        assert!(source.admits(at("192.0.2.1:5555"), Evidence::NamesStream, 0));
        assert_eq!(source.target(), Some(at("192.0.2.1:5555")));
    }

    #[test]
    fn a_peer_behind_a_nat_is_believed_at_the_address_of_its_signalling() {
        for private in ["10.0.0.5:4000", "100.64.3.3:4000", "0.0.0.0:4000", "192.168.1.2:4000"] {
            let mut source = source("198.51.100.7", private);
            assert!(!hears(&mut source, "203.0.113.9:4000", LONG), "{private}");
            assert!(hears(&mut source, "198.51.100.7:61000", SHORT), "{private}");
            assert_eq!(source.target(), Some(at("198.51.100.7:61000")));
        }
        // A phone with several addresses.
        let mut several = source("198.51.100.7", "192.0.2.1:4000");
        assert!(hears(&mut several, "198.51.100.7:4000", SHORT));
    }

    #[test]
    fn only_a_new_address_opens_the_lock() {
        let mut source = source("192.0.2.1", "192.0.2.1:4000");
        assert!(hears(&mut source, "192.0.2.1:5555", LONG));
        assert!(!source.negotiate(at("192.0.2.1:4000"), 0));
        assert!(!source.negotiate(at("0.0.0.0:4000"), 0)); // hold by RFC 2543
        assert_eq!(source.target(), Some(at("192.0.2.1:5555")));
        assert!(source.negotiate(at("192.0.2.8:6000"), 0));
        assert_eq!(source.target(), Some(at("192.0.2.8:6000")));
        assert!(hears(&mut source, "192.0.2.8:6000", 1));
        assert!(!hears(&mut source, "192.0.2.1:5555", LONG));
    }

    #[test]
    fn nothing_is_sent_to_nowhere() {
        assert_eq!(source("192.0.2.1", "0.0.0.0:4000").target(), None);
        assert_eq!(source("192.0.2.1", "192.0.2.1:0").target(), None);
    }

    #[test]
    fn nobody_is_flooded_because_somebody_else_has_named_him() {
        let mut victim = source("203.0.113.9", "192.0.2.1:4000");
        assert!(victim.may_send(UNHEARD_US - 1) && !victim.may_send(UNHEARD_US));
        assert!(!hears(&mut victim, "198.51.100.1:4000", LONG) && !victim.may_send(UNHEARD_US));
        assert!(hears(&mut victim, "192.0.2.1:4000", 1), "it was the caller's own");
        assert!(victim.may_send(u64::MAX - 1));
        assert!(victim.negotiate(at("192.0.2.2:4000"), 2 * UNHEARD_US));
        assert!(victim.may_send(3 * UNHEARD_US - 1) && !victim.may_send(3 * UNHEARD_US));
        victim.note_heard();
        assert!(victim.may_send(3 * UNHEARD_US), "its reports are a sign of life, too");
    }

    #[test]
    fn who_names_the_address_that_he_calls_from_may_keep_silent() {
        for (signalling, negotiated) in [
            ("192.0.2.1", "192.0.2.1:4000"),
            ("::ffff:192.0.2.1", "192.0.2.1:4000"),
            ("127.0.0.1", "192.0.2.1:4000"),
        ] {
            assert!(source(signalling, negotiated).may_send(u64::MAX - 1), "{signalling}");
        }
        let mut dialled = source("0.0.0.0", "192.0.2.1:4000");
        assert!(!dialled.may_send(UNHEARD_US));
        dialled.signalled_from("192.0.2.1".parse().unwrap());
        assert!(dialled.may_send(UNHEARD_US));
    }
}
