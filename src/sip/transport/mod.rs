//! Carriers of bytes: sockets in, sockets out. Nothing here knows what a call is.
//!
//! - [`udp`](mod@udp): datagrams
//! - [`tcp`]: connections, framing, limits
//! - [`tls`]: the same, encrypted; the certificate and its renewal
//! - [`handshakes`]: who may begin how many of them
//! - [`local`]: which address of ours a peer sees
//! - [`way`]: the way to a peer that was never heard

pub mod handshakes;
pub mod local;
pub mod tcp;
pub mod tls;
pub mod udp;
pub mod way;

use std::net::SocketAddr;

use super::message::Parsed;
use super::trunks::servers::Server;
use crate::config::Transport;

/// One socket or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// The socket of the n-th UDP listener.
    Udp(usize),
    /// A connection; the number is never used again.
    Tcp(u64),
    /// The same, with TLS; the numbers are those of all connections.
    Tls(u64),
}

/// The way to a peer and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub link: Link,
    pub remote: SocketAddr,
    /// The address of ours that the peer's packets arrive at; never unspecified.
    pub local: SocketAddr,
}

impl Flow {
    pub fn transport(&self) -> Transport {
        match self.link {
            Link::Udp(_) => Transport::Udp,
            Link::Tcp(_) => Transport::Tcp,
            Link::Tls(_) => Transport::Tls,
        }
    }

    /// The way for the answer to a request that came on this flow: a connection's own, and for a
    /// datagram the one to this address.
    pub fn back(self, answer_to: SocketAddr) -> Self {
        match self.transport() {
            Transport::Udp => Self { remote: answer_to, ..self },
            Transport::Tcp | Transport::Tls => self,
        }
    }
}

/// What a carrier brings to the owner of all calls.
#[derive(Debug)]
pub enum Inbound {
    Message {
        flow: Flow,
        parsed: Box<Parsed>,
    },
    Opened {
        flow: Flow,
        writer: tcp::Writer,
    },
    Closed {
        flow: Flow,
    },
    /// DNS says where the servers of a trunk are; the number is its place in the settings.
    Located {
        trunk: usize,
        servers: Vec<Server>,
    },
}
