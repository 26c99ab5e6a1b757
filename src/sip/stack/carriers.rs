//! What is sent, and on which socket or connection.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;

use super::super::transport::tls::TlsPeer;
use super::super::transport::{Flow, Link, tcp, way};
use super::super::trunks::servers::Server;
use super::guests::Guests;
use crate::config::{Listen, Transport};

/// The sockets to send on.
pub(super) struct Carriers {
    bound: Vec<Listen>,
    udp: Vec<Arc<UdpSocket>>,
    streams: BTreeMap<Link, tcp::Writer>,
    /// Those of the streams that peers have made.
    guests: Guests,
    trunks: Ways,
    shared: tcp::Shared,
}

/// The ways to the servers of trunks.
struct Ways {
    /// By the place of the trunk.
    peers: Vec<Option<TlsPeer>>,
    /// A server keeps its way, and with it its connection, for as long as DNS names it.
    flows: BTreeMap<(usize, SocketAddr), Flow>,
}

impl Ways {
    /// Whom TLS is spoken with on a connection of ours.
    fn peer(&self, link: Link) -> Option<TlsPeer> {
        let (&(trunk, _), _) = self.flows.iter().find(|(_, flow)| flow.link == link)?;
        self.peers.get(trunk)?.clone()
    }
}

impl Carriers {
    /// `peers`: whom TLS is spoken with, by the place of the trunk.
    pub(super) fn new(
        bound: Vec<Listen>,
        udp: Vec<Arc<UdpSocket>>,
        peers: Vec<Option<TlsPeer>>,
        shared: tcp::Shared,
    ) -> Self {
        let trunks = Ways { peers, flows: BTreeMap::new() };
        let guests = Guests::new(shared.limits.connections_max);
        Self { bound, udp, streams: BTreeMap::new(), guests, trunks, shared }
    }

    /// A connection is there; `true`: there may be too many now.
    pub(super) fn opened(&mut self, now_ms: u64, flow: Flow, writer: tcp::Writer) -> bool {
        let is_ours = self.streams.insert(flow.link, writer).is_some();
        if is_ours {
            return false;
        }
        self.guests.came(now_ms, flow);
        self.guests.is_crowded(flow.remote.ip())
    }

    /// Closes what must be closed so that there are not too many; never what is `used`.
    pub(super) fn make_room(&mut self, used: &BTreeSet<Link>) {
        let leavers = self.guests.leavers(used);
        tracing::info!(closed = leavers.len(), "too many connections: idle ones are closed");
        for link in leavers {
            self.guests.left(link);
            if let Some(writer) = self.streams.get(&link) {
                writer.close();
            }
        }
    }

    /// A message came on a connection.
    pub(super) fn heard(&mut self, now_ms: u64, link: Link) {
        self.guests.heard(now_ms, link);
    }

    pub(super) fn closed(&mut self, link: Link) {
        self.guests.left(link);
        self.streams.remove(&link);
    }

    /// How the servers of a trunk are reached; those that no socket of ours leads to are left out.
    pub(super) fn ways_to(
        &mut self,
        trunk: usize,
        transport: Transport,
        servers: Vec<Server>,
    ) -> Vec<(Server, Flow)> {
        let is_kept = |address: SocketAddr| servers.iter().any(|server| server.address == address);
        self.trunks.flows.retain(|&(of, address), _| of != trunk || is_kept(address));
        let mut reached = Vec::new();
        for server in servers {
            let known = self.trunks.flows.get(&(trunk, server.address)).copied();
            let number = self.shared.next_number();
            let way = || way::way_to(transport, server.address, &self.bound, number);
            if let Some(flow) = known.or_else(way) {
                self.trunks.flows.insert((trunk, server.address), flow);
                reached.push((server, flow));
            }
        }
        reached
    }

    /// Queues a message on a connection that is being made from now on; `false`: it can't be.
    fn connect(&mut self, flow: Flow, bytes: Bytes) -> bool {
        let peer = match flow.link {
            Link::Udp(_) | Link::Tcp(_) => None,
            Link::Tls(_) => match self.trunks.peer(flow.link) {
                Some(peer) => Some(peer),
                // Phones have no certificate to be called by.
                None => return false,
            },
        };
        let (writer, unwritten) = tcp::outgoing(&self.shared.limits);
        let is_queued = writer.send(bytes);
        self.streams.insert(flow.link, writer);
        tokio::spawn(tcp::dial(flow, unwritten, peer, self.shared.clone()));
        is_queued
    }

    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Unsent> {
        let is_sent = match flow.link {
            Link::Udp(listener) => return self.send_datagram(listener, flow.remote, &bytes),
            Link::Tcp(_) | Link::Tls(_) => match self.streams.get(&flow.link) {
                Some(writer) => writer.send(bytes),
                // An answer whose connection is gone goes nowhere.
                None if bytes.starts_with(b"SIP/") => true,
                None => self.connect(flow, bytes),
            },
        };
        if is_sent { Ok(()) } else { Err(Unsent::LinkGone(flow.link)) }
    }

    fn send_datagram(&self, socket: usize, to: SocketAddr, bytes: &[u8]) -> Result<(), Unsent> {
        let Some(socket) = self.udp.get(socket) else { return Err(Unsent::NoWay(to)) };
        match socket.try_send_to(bytes, to) {
            Ok(_) => Ok(()),
            // As if it were lost on the way: the timers know what to do.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => {
                tracing::debug!(%to, %error, "a datagram was not sent");
                Err(Unsent::NoWay(to))
            }
        }
    }
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsent {
    /// Its connection is gone.
    LinkGone(Link),
    /// The system knows no way there.
    NoWay(SocketAddr),
}
