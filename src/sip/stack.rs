//! The running stack: sockets around the one task that owns all transactions and calls.
//!
//! - this file: start and shutdown
//! - `owner`: the task that owns all transactions and calls
//! - `triage`, `intake`: what goes first, and whose turn it is
//! - `lag`: how far the app is behind; `crowd`: when so much comes that it is served together
//! - `carriers`: what is sent, and on which socket or connection
//! - `guests`: which connections go when there are too many
//! - `clock`: the clock of the timers

mod carriers;
mod clock;
mod crowd;
mod guests;
mod intake;
mod lag;
mod owner;
mod triage;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::carriers::Carriers;
use self::clock::Clock;
use self::intake::Room;
use self::owner::{Owner, Waiting};
use super::agent::Agent;
use super::border::{SipCommand, SipEvent, TrunkView};
use super::settings::SipSettings;
use super::transport::handshakes::Handshakes;
use super::transport::tls::{Certificate, CertificateError, PeerError, TlsPeer};
use super::transport::udp::Datagrams;
use super::transport::{tcp, udp};
use super::trunks::names::{self, SystemDns};
use super::trunks::servers::Server;
use crate::config::{Listen, Transport, Trunk};

/// Why the stack does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{listen}: {}", plainly(why))]
    Listen { listen: Listen, why: io::Error },
    #[error("trunk \"{name}\": {why}")]
    Trunk { name: String, why: PeerError },
}

fn plainly(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "address already in use; stop what uses it, or change [sip] listen".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "no such address on this machine".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// How long providers may take to hear that we leave.
const LAST_REGISTER: Duration = Duration::from_secs(1);

/// The stack is over; nothing can be told to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("SIP has stopped")]
    Stopped,
    #[error("SIP is behind; the command was not taken")]
    Full,
}

/// Gives commands to the stack.
#[derive(Clone, Debug)]
pub struct SipHandle {
    commands: mpsc::Sender<SipCommand>,
    responses: Arc<Responses>,
    trunks: watch::Receiver<Vec<TrunkView>>,
}

/// What was answered since the start, and what was not.
#[derive(Debug, Default)]
struct Responses {
    /// By the first digit of their status.
    sent: [AtomicU64; 7],
    refused: AtomicU64,
    dropped: AtomicU64,
}

/// What overload has cost since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Requests that were refused with 503 and Retry-After: there was no room or time for them, or
    /// the server is about to stop.
    pub refused: u64,
    /// Messages that were neither handled nor answered: too many from one source, or too many that
    /// wait. Up to a second behind.
    pub dropped: u64,
}

impl Responses {
    /// A message went out.
    fn count(&self, message: &[u8]) {
        let digit = message.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.first());
        if let Some(counter) = digit.and_then(|d| self.sent.get(usize::from(d.wrapping_sub(b'0'))))
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So many requests more were refused for want of room.
    fn count_refused(&self, more: u64) {
        self.refused.fetch_add(more, Ordering::Relaxed);
    }

    /// So many messages more were dropped.
    fn count_dropped(&self, more: u64) {
        self.dropped.fetch_add(more, Ordering::Relaxed);
    }
}

impl SipHandle {
    /// Waits while too many commands are under way.
    pub async fn send(&self, command: SipCommand) -> Result<(), SendError> {
        self.commands.send(command).await.map_err(|_| SendError::Stopped)
    }

    /// Responses sent since the start, repeated ones included, by the first digit of their status.
    pub fn responses(&self) -> BTreeMap<u8, u64> {
        let counters = self.responses.sent.iter().enumerate().skip(1);
        counters.map(|(digit, n)| (digit as u8, n.load(Ordering::Relaxed))).collect()
    }

    pub fn losses(&self) -> Losses {
        let Responses { refused, dropped, .. } = &*self.responses;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Losses { refused: count(refused), dropped: count(dropped) }
    }

    /// How the trunks are, at most a second ago; in the order of the settings.
    pub fn trunks(&self) -> Vec<TrunkView> {
        self.trunks.borrow().clone()
    }

    pub fn try_send(&self, command: SipCommand) -> Result<(), SendError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Stopped,
        })
    }
}

/// Listens and answers until it is [shut down](SipStack::shutdown) or dropped.
#[derive(Debug)]
pub struct SipStack {
    handle: SipHandle,
    bound: Vec<Listen>,
    draining: Arc<AtomicBool>,
    leaving: CancellationToken,
    stop: CancellationToken,
    owner: JoinHandle<()>,
    receivers: Vec<JoinHandle<()>>,
}

impl SipStack {
    /// Binds all addresses, or none. Events about calls go to `events`; when that is full, no new
    /// message is read until there is room, so the app must keep reading.
    pub async fn start(
        settings: SipSettings,
        events: mpsc::Sender<SipEvent>,
    ) -> Result<Self, StartError> {
        let limits = settings.limits;
        let (inbound_sender, inbound) = mpsc::channel(limits.inbound_max);
        let (commands_sender, commands) = mpsc::channel(limits.commands_max);
        let shared = tcp::Shared {
            inbound: inbound_sender,
            limits,
            places: Arc::new(Semaphore::new(limits.connections_max + limits.newcomers_max())),
            handshakes: Handshakes::new(limits.newcomers_max()),
            numbers: Arc::default(),
            stop: CancellationToken::new(),
        };
        let certificate = certificate(&settings).await?;
        let peers = trunk_peers(&settings).await?;
        let sockets = bind_all(&settings.listen)?;
        let mut bound = Vec::new();
        let mut udp_sockets = Vec::new();
        let mut receivers = Vec::new();
        for (listen, socket) in sockets {
            bound.push(listen);
            match socket {
                Bound::Udp(socket) => udp_sockets.push((Arc::new(socket), listen.address)),
                Bound::Tcp(listener) => {
                    let is_tls = listen.transport == Transport::Tls;
                    let certificate = certificate.clone().filter(|_| is_tls);
                    let accept = tcp::accept(listener, certificate, shared.clone());
                    receivers.push(tokio::spawn(accept));
                }
            }
        }
        let draining = Arc::new(AtomicBool::new(false));
        let stop = shared.stop.clone();
        if let Some(certificate) = certificate {
            let stop = stop.clone();
            receivers.push(tokio::spawn(async move {
                stop.run_until_cancelled(certificate.follow()).await;
            }));
        }
        receivers.extend(look_up_trunks(&settings.trunks, &shared));
        let responses = Arc::new(Responses::default());
        let (views, trunks) = watch::channel(Vec::new());
        let leaving = CancellationToken::new();
        let owner = Owner {
            addresses: literal_servers(&settings.trunks),
            transports: settings.trunks.iter().map(|trunk| trunk.transport).collect(),
            views,
            leaving: leaving.clone(),
            agent: Agent::new(settings, rand::random()),
            responses: Arc::clone(&responses),
            clock: Clock::start(),
            datagrams: udp_sockets
                .iter()
                .map(|(socket, address)| Datagrams::new(Arc::clone(socket), *address))
                .collect(),
            carriers: Carriers::new(
                bound.clone(),
                udp_sockets.into_iter().map(|(socket, _)| socket).collect(),
                peers,
                shared,
            ),
            inbound,
            commands,
            events,
            events_max: limits.events_max,
            draining: Arc::clone(&draining),
            stop: stop.clone(),
            waiting: Waiting::new(Room {
                waiting_max: limits.waiting_max,
                stranger_per_second_max: limits.messages_per_second_per_source_max,
            }),
        };
        let owner = tokio::spawn(owner.run());
        let handle = SipHandle { commands: commands_sender, responses, trunks };
        Ok(Self { handle, bound, draining, leaving, stop, owner, receivers })
    }

    pub fn handle(&self) -> SipHandle {
        self.handle.clone()
    }

    /// Where it really listens: with the ports that the system gave where 0 was asked for.
    pub fn bound(&self) -> &[Listen] {
        &self.bound
    }

    /// From now on new calls are refused with 503 and Retry-After; running calls go on.
    pub fn start_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Ends our registrations, hangs up what is left, tells the app, and closes the sockets.
    pub async fn shutdown(mut self) {
        self.leaving.cancel();
        let mut trunks = self.handle.trunks.clone();
        let gone = trunks.wait_for(|trunks| !trunks.iter().any(|trunk| trunk.is_registered));
        // A provider that does not answer forgets us by itself.
        let _ = tokio::time::timeout(LAST_REGISTER, gone).await;
        self.stop.cancel();
        let _ = (&mut self.owner).await;
        let connections = async {
            for receiver in &mut self.receivers {
                let _ = receiver.await;
            }
        };
        // A peer that does not read its BYE is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), connections).await;
    }
}

impl Drop for SipStack {
    fn drop(&mut self) {
        self.stop.cancel();
        for receiver in &self.receivers {
            receiver.abort();
        }
    }
}

/// The certificate, if there is to be TLS at all.
async fn certificate(settings: &SipSettings) -> Result<Option<Certificate>, StartError> {
    let mut listens = settings.listen.iter();
    let Some(listen) = listens.find(|listen| listen.transport == Transport::Tls) else {
        return Ok(None);
    };
    let loaded = match &settings.tls {
        Some(files) => Certificate::load(files).await,
        None => Err(CertificateError::NotSet),
    };
    let failed = |error| StartError::Listen { listen: *listen, why: io::Error::other(error) };
    loaded.map(Some).map_err(failed)
}

/// Whom TLS is spoken with, by the place of the trunk; `None` for trunks without it.
async fn trunk_peers(settings: &SipSettings) -> Result<Vec<Option<TlsPeer>>, StartError> {
    let mut peers = Vec::new();
    for trunk in &settings.trunks {
        peers.push(match trunk.transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls => {
                let peer = TlsPeer::new(&trunk.address.host, trunk.authorities.as_deref()).await;
                let failed = |why| StartError::Trunk { name: trunk.name.clone(), why };
                Some(peer.map_err(failed)?)
            }
        });
    }
    Ok(peers)
}

/// The servers of trunks that are addresses and need no DNS.
fn literal_servers(trunks: &[Trunk]) -> Vec<(usize, Server)> {
    let literal = |(place, trunk): (usize, &Trunk)| {
        let port = trunk.address.port.unwrap_or_else(|| names::default_port(trunk.transport));
        Some((place, Server::equal((trunk.address.ip()?, port).into())))
    };
    trunks.iter().enumerate().filter_map(literal).collect()
}

/// One task for each trunk whose name must be looked up.
fn look_up_trunks(trunks: &[Trunk], shared: &tcp::Shared) -> Vec<JoinHandle<()>> {
    let mut named = trunks.iter().enumerate().filter(|(_, t)| t.address.ip().is_none()).peekable();
    if named.peek().is_none() {
        return Vec::new();
    }
    let dns = match SystemDns::new() {
        Ok(dns) => dns,
        Err(error) => {
            tracing::error!(%error, "DNS is not set up on this machine: trunks can't be found");
            return Vec::new();
        }
    };
    let follow = |(place, trunk): (usize, &Trunk)| {
        let follow = names::follow(dns.clone(), place, trunk.clone(), shared.inbound.clone());
        let stop = shared.stop.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled(follow).await;
        })
    };
    named.map(follow).collect()
}

enum Bound {
    Udp(UdpSocket),
    Tcp(tokio::net::TcpListener),
}

fn bind_all(listen: &[Listen]) -> Result<Vec<(Listen, Bound)>, StartError> {
    let mut sockets = Vec::new();
    for listen in listen {
        let failed = |why| StartError::Listen { listen: *listen, why };
        let (address, socket) = match listen.transport {
            Transport::Udp => {
                let socket = udp::bind(listen.address).map_err(failed)?;
                (socket.local_addr().map_err(failed)?, Bound::Udp(socket))
            }
            Transport::Tcp | Transport::Tls => {
                let listener = tcp::bind(listen.address).map_err(failed)?;
                (listener.local_addr().map_err(failed)?, Bound::Tcp(listener))
            }
        };
        sockets.push((Listen { address, ..*listen }, socket));
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests;
