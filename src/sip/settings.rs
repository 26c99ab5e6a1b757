//! How the stack is to run.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Listen, Network, Tls, Trunk};
use crate::domain::{Accounts, DigestChoice, Region};

/// The timers of RFC 3261 §17.1.1.1, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Round-trip estimate; 500.
    pub t1_ms: u64,
    /// Longest interval between retransmissions; 4,000.
    pub t2_ms: u64,
    /// How long a message may linger in the network; 5,000.
    pub t4_ms: u64,
    /// A caller who has heard nothing for so long gets a 100; 200.
    pub trying_ms: u64,
}

impl Timing {
    /// 64·T1: how long to wait for an answer or an ACK.
    pub fn give_up_ms(&self) -> u64 {
        self.t1_ms.saturating_mul(64)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self { t1_ms: 500, t2_ms: 4_000, t4_ms: 5_000, trying_ms: 200 }
    }
}

/// What the stack takes on at most. Beyond: 503 with Retry-After, or the peer's connection is
/// closed, or the datagram is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Server and client transactions, the finished ones that still linger included; 400,000.
    pub transactions_max: usize,
    /// Calls at once; 20,000.
    pub legs_max: usize,
    /// New calls in a second, from all sources, evenly spread; 5,000.
    pub invites_per_second_max: u32,
    /// New calls in a second from one source that is neither trusted nor this machine; 200.
    pub invites_per_second_per_source_max: u32,
    /// Calls from one source that is neither trusted nor this machine, whose ACK has not come yet;
    /// 1,000. All such sources together may have half of `legs_max`.
    pub half_open_per_source_max: usize,
    /// Sources counted at once; 10,000. More in one second share the last one's share.
    pub sources_max: usize,
    /// Bytes in one message of a stream; 256 KiB.
    pub message_bytes_max: usize,
    /// Connections at once; 4,096. When one more comes, one goes over which neither a phone is
    /// registered nor a call is up, the one that was silent for longest; one source may have a
    /// quarter of them that it does not use.
    pub connections_max: usize,
    /// Messages that wait to be written on one connection, before it is closed; 1,024.
    pub unwritten_max: usize,
    /// The same in bytes; 256 KiB.
    pub unwritten_bytes_max: usize,
    /// A connection whose message stays unfinished, or whose peer reads nothing, for so long is
    /// closed; 10 s.
    pub half_message_ms: u64,
    /// A connection without any traffic is closed; 30 min.
    pub idle_ms: u64,
    /// Messages from connections on their way to the owner of all calls; 1,024.
    pub inbound_max: usize,
    /// Messages that wait for their turn, of each kind: those of what is there already and those
    /// that begin something, from known sources and, half as many, from strangers; 8,192. More are
    /// dropped and counted, or answered 503.
    pub waiting_max: usize,
    /// Messages in a second, of whatever kind, from one source that is neither trusted nor this
    /// machine nor a registered phone; 2,000. More are dropped and counted.
    pub messages_per_second_per_source_max: u32,
    /// Events that wait for the app; more, and nothing new is read; 8,192.
    pub events_max: usize,
    /// Commands that wait for the owner of all calls; 4,096.
    pub commands_max: usize,
    /// Lamps that phones watch, all together; 20,000.
    pub subscriptions_max: usize,
    /// Lamps that the phones of one account watch; 500.
    pub subscriptions_per_account_max: usize,
    /// Retry-After of a 503, seconds; 5.
    pub retry_after_s: u32,
}

impl Limits {
    /// Connections above `connections_max` that may be there while others are made to go, and TLS
    /// handshakes at once; one source may have a quarter of these.
    pub fn newcomers_max(&self) -> usize {
        self.connections_max / 8 + 8
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions_max: 400_000,
            legs_max: 20_000,
            invites_per_second_max: 5_000,
            invites_per_second_per_source_max: 200,
            half_open_per_source_max: 1_000,
            sources_max: 10_000,
            message_bytes_max: 256 * 1024,
            connections_max: 4_096,
            unwritten_max: 1_024,
            unwritten_bytes_max: 256 * 1024,
            half_message_ms: 10_000,
            idle_ms: 30 * 60 * 1000,
            inbound_max: 1_024,
            waiting_max: 8_192,
            messages_per_second_per_source_max: 2_000,
            events_max: 8_192,
            commands_max: 4_096,
            subscriptions_max: 20_000,
            subscriptions_per_account_max: 500,
            retry_after_s: 5,
        }
    }
}

/// All that the stack is told.
#[derive(Clone, Debug)]
pub struct SipSettings {
    /// Default: UDP and TCP on 0.0.0.0:5060.
    pub listen: Vec<Listen>,
    /// For the TLS addresses among them; read again when the files change.
    pub tls: Option<Tls>,
    /// The address that callers reach us at, if it is not the one that their packets arrive at.
    pub public_address: Option<IpAddr>,
    /// Networks whose P-Asserted-Identity and Remote-Party-ID are believed, and whose calls are not
    /// counted per source. The servers of trunks are trusted besides.
    pub trusted: Vec<Network>,
    /// The country of numbers without a country code.
    pub region: Region,
    pub timing: Timing,
    pub limits: Limits,
    /// The shortest session interval that is granted, seconds; 90 (RFC 4028 §4).
    pub min_session_s: u32,
    /// Operators' accounts; whoever holds the other end may replace them at any time.
    pub accounts: Arc<ArcSwap<Accounts>>,
    /// What operators' phones are asked for when their account does not say.
    pub digest: DigestChoice,
    /// The realm of our challenges; `allo`.
    pub realm: String,
    /// How often a registered phone is asked whether it is there; 30,000.
    pub keepalive_ms: u64,
    /// By which numbers outside are dialled, the preferred one first; none.
    pub trunks: Vec<Trunk>,
}

impl Default for SipSettings {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5060));
        Self {
            listen: vec![Listen::udp(address), Listen::tcp(address)],
            tls: None,
            public_address: None,
            trusted: Vec::new(),
            region: Region::default(),
            timing: Timing::default(),
            limits: Limits::default(),
            min_session_s: 90,
            accounts: Arc::default(),
            digest: DigestChoice::default(),
            realm: "allo".to_owned(),
            keepalive_ms: 30_000,
            trunks: Vec::new(),
        }
    }
}

impl SipSettings {
    /// Whether the source belongs to a trusted network.
    pub fn trusts(&self, source: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(source))
    }
}
