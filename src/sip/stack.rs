//! The running stack: sockets around the one task that owns all transactions and calls.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::agent::Agent;
use super::border::{SipCommand, SipEvent};
use super::settings::{Listen, SipSettings, Transport};
use super::transport::{Inbound, Link, tcp, udp};

/// Why the stack does not listen.
#[derive(Debug, thiserror::Error)]
#[error("{listen}: {}", plainly(source))]
pub struct StartError {
    pub listen: Listen,
    pub source: io::Error,
}

fn plainly(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "no such address on this machine".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

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
}

impl SipHandle {
    /// Waits while too many commands are under way.
    pub async fn send(&self, command: SipCommand) -> Result<(), SendError> {
        self.commands.send(command).await.map_err(|_| SendError::Stopped)
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
        let dropped = Arc::new(AtomicU64::new(0));
        let shared = tcp::Shared {
            inbound: inbound_sender,
            limits,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            numbers: Arc::default(),
        };
        let sockets = bind_all(&settings.listen)?;
        let mut bound = Vec::new();
        let mut udp_sockets = Vec::new();
        let mut receivers = Vec::new();
        for (listen, socket) in sockets {
            bound.push(listen);
            match socket {
                Bound::Udp(socket) => {
                    let socket = Arc::new(socket);
                    receivers.push(tokio::spawn(udp::receive(
                        udp_sockets.len(),
                        Arc::clone(&socket),
                        listen.address,
                        shared.inbound.clone(),
                        Arc::clone(&dropped),
                    )));
                    udp_sockets.push(socket);
                }
                Bound::Tcp(listener) => {
                    receivers.push(tokio::spawn(tcp::accept(listener, shared.clone())));
                }
            }
        }
        let draining = Arc::new(AtomicBool::new(false));
        let stop = CancellationToken::new();
        let owner = Owner {
            agent: Agent::new(settings, rand::random()),
            clock: Clock::start(),
            carriers: Carriers { udp: udp_sockets, tcp: BTreeMap::new() },
            inbound,
            commands,
            events,
            untold: VecDeque::new(),
            events_max: limits.events_max,
            draining: Arc::clone(&draining),
            stop: stop.clone(),
            dropped,
        };
        let owner = tokio::spawn(owner.run());
        let handle = SipHandle { commands: commands_sender };
        Ok(Self { handle, bound, draining, stop, owner, receivers })
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

    /// Hangs up what is left, tells the app, and closes the sockets.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        let _ = (&mut self.owner).await;
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

enum Bound {
    Udp(UdpSocket),
    Tcp(tokio::net::TcpListener),
}

fn bind_all(listen: &[Listen]) -> Result<Vec<(Listen, Bound)>, StartError> {
    let mut sockets = Vec::new();
    for listen in listen {
        let failed = |source| StartError { listen: *listen, source };
        let (address, socket) = match listen.transport {
            Transport::Udp => {
                let socket = udp::bind(listen.address).map_err(failed)?;
                (socket.local_addr().map_err(failed)?, Bound::Udp(socket))
            }
            Transport::Tcp => {
                let listener = tcp::bind(listen.address).map_err(failed)?;
                (listener.local_addr().map_err(failed)?, Bound::Tcp(listener))
            }
        };
        sockets.push((Listen { address, ..*listen }, socket));
    }
    Ok(sockets)
}

/// Milliseconds since 1970, on a monotonic clock.
struct Clock {
    started: Instant,
    epoch_ms: u64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the stack owns its timers; this is its clock")]
    fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(0);
        Self { started: Instant::now(), epoch_ms }
    }

    fn now_ms(&self) -> u64 {
        let elapsed = self.started.elapsed().as_millis();
        self.epoch_ms + u64::try_from(elapsed).unwrap_or(u64::MAX / 2)
    }

    fn instant(&self, at_ms: u64) -> tokio::time::Instant {
        // One more millisecond, as the elapsed time is cut to whole ones.
        let after = Duration::from_millis(at_ms.saturating_sub(self.epoch_ms) + 1);
        tokio::time::Instant::from_std(self.started + after)
    }
}

/// The sockets to send on.
struct Carriers {
    udp: Vec<Arc<UdpSocket>>,
    tcp: BTreeMap<u64, tcp::Writer>,
}

struct Owner {
    agent: Agent,
    clock: Clock,
    carriers: Carriers,
    inbound: mpsc::Receiver<Inbound>,
    commands: mpsc::Receiver<SipCommand>,
    events: mpsc::Sender<SipEvent>,
    /// Events that the app has not taken yet.
    untold: VecDeque<SipEvent>,
    events_max: usize,
    draining: Arc<AtomicBool>,
    stop: CancellationToken,
    dropped: Arc<AtomicU64>,
}

/// After so many messages in a row, timers and commands have their turn.
const BATCH: usize = 64;

impl Owner {
    async fn run(mut self) {
        let mut dropped_before = 0;
        let events = self.events.clone();
        loop {
            let due = self.agent.next_due_ms().map(|at_ms| self.clock.instant(at_ms));
            let sleep = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                permit = events.reserve(), if !self.untold.is_empty() => {
                    let event = self.untold.pop_front();
                    match (permit, event) {
                        (Ok(permit), Some(event)) => permit.send(event),
                        // Nobody listens any more: the app is going down.
                        (Err(_), _) => self.untold.clear(),
                        (Ok(_), None) => {}
                    }
                }
                Some(command) = self.commands.recv() => {
                    self.agent.command(self.clock.now_ms(), command);
                }
                Some(inbound) = self.inbound.recv(), if self.untold.len() < self.events_max => {
                    self.take_batch(inbound);
                }
                () = sleep => {}
            }
            self.agent.tick(self.clock.now_ms());
            self.flush();
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped != dropped_before {
                let count = dropped - dropped_before;
                tracing::warn!(count, "overload: datagrams were dropped");
                dropped_before = dropped;
            }
        }
        self.close().await;
    }

    fn take_batch(&mut self, first: Inbound) {
        let now_ms = self.clock.now_ms();
        if self.draining.load(Ordering::Relaxed) {
            self.agent.start_drain();
        }
        self.take(now_ms, first);
        for _ in 1..BATCH {
            let Ok(next) = self.inbound.try_recv() else { break };
            self.take(now_ms, next);
            self.flush();
        }
    }

    fn take(&mut self, now_ms: u64, inbound: Inbound) {
        match inbound {
            Inbound::Message { flow, parsed } => self.agent.receive(now_ms, flow, *parsed),
            Inbound::Opened { connection, writer } => {
                self.carriers.tcp.insert(connection, writer);
            }
            Inbound::Closed { connection } => {
                self.carriers.tcp.remove(&connection);
                self.agent.link_closed(now_ms, Link::Tcp(connection));
            }
        }
    }

    /// Sends and tells all that the agent has put into its outbox.
    fn flush(&mut self) {
        let mut lost = Vec::new();
        let outbox = self.agent.outbox();
        for (flow, bytes) in outbox.packets.drain(..) {
            match flow.link {
                Link::Udp(listener) => {
                    let Some(socket) = self.carriers.udp.get(listener) else { continue };
                    if let Err(error) = socket.try_send_to(&bytes, flow.remote) {
                        // As if it were lost on the way: the timers know what to do.
                        tracing::debug!(to = %flow.remote, %error, "a datagram was not sent");
                    }
                }
                Link::Tcp(connection) => {
                    let writer = self.carriers.tcp.get(&connection);
                    if !writer.is_some_and(|writer| writer.send(bytes)) {
                        lost.push(flow.link);
                    }
                }
            }
        }
        for event in outbox.events.drain(..) {
            // Order matters: nothing overtakes what still waits.
            if !self.untold.is_empty() {
                self.untold.push_back(event);
            } else if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event)
            {
                self.untold.push_back(event);
            }
        }
        let now_ms = self.clock.now_ms();
        for link in lost {
            self.agent.link_closed(now_ms, link);
        }
    }

    async fn close(mut self) {
        self.agent.hang_up_all(self.clock.now_ms());
        self.flush();
        for event in self.untold {
            // An app that is going down itself may read no more.
            let told = self.events.send_timeout(event, Duration::from_secs(1)).await;
            if told.is_err() {
                break;
            }
        }
    }
}
