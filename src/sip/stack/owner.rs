//! The one task that owns all transactions and calls: what came in, what the app commands and what
//! is due goes into the [`Agent`]; what comes out is sent and told.
//!
//! It reads the UDP sockets itself: a message has no way to wait for but the [`Intake`], and under
//! load one round reads, handles and answers many.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::super::agent::Agent;
use super::super::border::{SipCommand, SipEvent, TrunkView};
use super::super::message::{Parsed, parse};
use super::super::transport::udp::Datagrams;
use super::super::transport::{Flow, Inbound, Link};
use super::super::trunks::servers::Server;
use super::Responses;
use super::carriers::{Carriers, Unsent};
use super::clock::Clock;
use super::crowd::Crowd;
use super::intake::{Intake, Refusal, Standing, Turn, Urgency};
use super::lag::Lag;
use super::triage;
use crate::config::Transport;

/// So long commands, and then what was read, have their turn while there is more of them. By time
/// and not by number: the messages of calls that are refused are many and cheap, and must not take
/// the turns of those that begin calls.
const TURN_MS: u64 = 4;
/// So long a socket is read, which includes refusing what there is no time for. Longer than the
/// turns of others: what is not read grows old in the system's buffer, and is sent again.
const READING_MS: u64 = 12;
/// A longer datagram does not wait while much waits: what waits must not fill the memory.
const LONG: usize = 4 * 1024;
/// How soon it is looked again whether the app has caught up.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// In a crowd, so long is waited for what is served together.
const GATHERING: Duration = Duration::from_millis(1);
/// How often it is told that something was dropped.
const TELL_EVERY_MS: u64 = 1_000;

/// What waits in the [`Intake`].
enum Item {
    /// Not read yet.
    Datagram {
        socket: usize,
        remote: SocketAddr,
        bytes: Bytes,
    },
    Message {
        flow: Flow,
        parsed: Box<Parsed>,
    },
    Closed {
        link: Link,
    },
}

/// See the [module](self).
pub(super) struct Owner {
    pub agent: Agent,
    /// Servers of trunks that are known without DNS.
    pub addresses: Vec<(usize, Server)>,
    /// By the place of the trunk.
    pub transports: Vec<Transport>,
    pub views: watch::Sender<Vec<TrunkView>>,
    /// Providers are to be told that we leave.
    pub leaving: CancellationToken,
    pub responses: Arc<Responses>,
    pub clock: Clock,
    pub carriers: Carriers,
    pub datagrams: Vec<Datagrams>,
    pub inbound: mpsc::Receiver<Inbound>,
    pub commands: mpsc::Receiver<SipCommand>,
    pub events: mpsc::Sender<SipEvent>,
    pub events_max: usize,
    pub draining: Arc<AtomicBool>,
    pub stop: CancellationToken,
    pub waiting: Waiting,
}

/// What waits for its turn, or for the app.
pub(super) struct Waiting {
    intake: Intake<Item>,
    /// Events that the app has not taken yet.
    untold: VecDeque<SipEvent>,
    /// How far the app is behind.
    lag: Lag,
    crowd: Crowd,
    dropped: u64,
    refused: u64,
    told_ms: u64,
}

impl Waiting {
    pub fn new(room: super::intake::Room) -> Self {
        let intake = Intake::new(room);
        Self {
            intake,
            untold: VecDeque::new(),
            lag: Lag::default(),
            crowd: Crowd::default(),
            dropped: 0,
            refused: 0,
            told_ms: 0,
        }
    }
}

impl Owner {
    pub async fn run(mut self) {
        let mut has_left = false;
        let events = self.events.clone();
        for (trunk, server) in std::mem::take(&mut self.addresses) {
            self.locate(trunk, vec![server]);
        }
        self.agent.watch_trunks(self.clock.now_ms());
        self.flush();
        self.tell();
        let mut is_busy = false;
        loop {
            if is_busy {
                // The app and all others have their turn on this thread.
                tokio::task::yield_now().await;
            } else if self.waiting.crowd.is_crowd() {
                tokio::time::sleep(GATHERING).await;
            }
            let due = self.agent.next_due_ms().map(|at_ms| self.clock.instant(at_ms));
            let sleep = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let now_ms = self.clock.now_ms();
            let is_app_ready = self.is_app_ready(now_ms);
            let may_tell = self.waiting.untold.len() < self.events_max;
            let has_turn = may_tell && self.waiting.intake.has_turn(now_ms, is_app_ready);
            let is_held = !has_turn && self.waiting.intake.has_fresh();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                permit = events.reserve(), if !self.waiting.untold.is_empty() => {
                    let event = self.waiting.untold.pop_front();
                    match (permit, event) {
                        (Ok(permit), Some(event)) => permit.send(event),
                        // Nobody listens any more: the app is going down.
                        (Err(_), _) => self.waiting.untold.clear(),
                        (Ok(_), None) => {}
                    }
                }
                Some(command) = self.commands.recv() => {
                    self.obey_all(command);
                }
                Some(inbound) = self.inbound.recv() => {
                    self.take_in_all(inbound);
                }
                () = readable(&self.datagrams) => {}
                () = self.leaving.cancelled(), if !has_left => {
                    has_left = true;
                    self.agent.leave_trunks(self.clock.now_ms());
                }
                () = std::future::ready(()), if has_turn => {}
                () = tokio::time::sleep(LOOK_AGAIN), if is_held => {}
                () = sleep => {}
            }
            is_busy = self.round();
        }
        self.close().await;
    }

    /// Reads what came, and lets as much of it have its turn as keeps everybody else waiting for a
    /// few milliseconds at most; `true`: there is more.
    fn round(&mut self) -> bool {
        if self.draining.load(Ordering::Relaxed) {
            self.agent.start_drain();
        }
        let may_read_more = self.read_sockets();
        let may_serve_more = self.serve();
        self.agent.tick(self.clock.now_ms());
        self.flush();
        self.tell();
        self.tell_of_losses();
        may_read_more || may_serve_more
    }

    fn obey_all(&mut self, first: SipCommand) {
        let now_ms = self.clock.now_ms();
        self.agent.command(now_ms, first);
        let mut obeyed = 1;
        while self.has_time(now_ms, TURN_MS)
            && let Ok(next) = self.commands.try_recv()
        {
            self.flush();
            self.agent.command(now_ms, next);
            obeyed += 1;
        }
        self.waiting.crowd.count(now_ms, obeyed);
    }

    fn has_time(&self, began_ms: u64, turn_ms: u64) -> bool {
        self.clock.now_ms() < began_ms + turn_ms
    }

    fn locate(&mut self, trunk: usize, servers: Vec<Server>) {
        let Some(&transport) = self.transports.get(trunk) else { return };
        let reached = self.carriers.ways_to(trunk, transport, servers);
        self.agent.trunk_located(self.clock.now_ms(), trunk, reached);
    }

    /// Nothing new is given to an app that has not yet heard of what came before.
    fn is_app_ready(&mut self, now_ms: u64) -> bool {
        let in_channel = self.events.max_capacity() - self.events.capacity();
        let waiting = in_channel + self.waiting.untold.len() + self.agent.outbox().events.len();
        self.waiting.lag.has_room(now_ms, waiting)
    }

    /// `true`: there may be more.
    fn read_sockets(&mut self) -> bool {
        let now_ms = self.clock.now_ms();
        let mut may_be_more = false;
        for socket in 0..self.datagrams.len() {
            let began_ms = self.clock.now_ms();
            may_be_more |= loop {
                if !self.has_time(began_ms, READING_MS) {
                    break true;
                }
                let Some((remote, bytes)) = self.datagrams[socket].read() else { break false };
                if bytes.len() > LONG && self.waiting.intake.is_crowded() {
                    self.waiting.dropped += 1;
                    continue;
                }
                let Some(urgency) = triage::urgency_of_bytes(&bytes) else { continue };
                let item = Item::Datagram { socket, remote, bytes };
                self.wait(now_ms, remote.ip(), urgency, item);
            };
        }
        may_be_more
    }

    /// What connections and DNS have brought.
    fn take_in_all(&mut self, first: Inbound) {
        let now_ms = self.clock.now_ms();
        self.take_in(now_ms, first);
        while self.has_time(now_ms, TURN_MS)
            && let Ok(next) = self.inbound.try_recv()
        {
            self.take_in(now_ms, next);
        }
    }

    fn take_in(&mut self, now_ms: u64, inbound: Inbound) {
        match inbound {
            Inbound::Message { flow, parsed } => {
                self.carriers.heard(now_ms, flow.link);
                let urgency = triage::urgency_of(&parsed);
                self.wait(now_ms, flow.remote.ip(), urgency, Item::Message { flow, parsed });
            }
            Inbound::Opened { flow, writer } => {
                if self.carriers.opened(now_ms, flow, writer) {
                    self.carriers.make_room(&self.agent.links_in_use());
                }
            }
            Inbound::Closed { flow } => {
                let item = Item::Closed { link: flow.link };
                self.wait(now_ms, flow.remote.ip(), Urgency::Following, item);
            }
            Inbound::Located { trunk, servers } => self.locate(trunk, servers),
        }
    }

    /// Puts what came into the line of its source.
    fn wait(&mut self, now_ms: u64, source: IpAddr, urgency: Urgency, item: Item) {
        let source = source.to_canonical();
        let is_known = self.agent.knows(source);
        let standing = if is_known { Standing::Known } else { Standing::Stranger };
        match self.waiting.intake.push(now_ms, source, standing, urgency, item) {
            Ok(()) => {}
            Err((Refusal::Behind, item)) if urgency == Urgency::Fresh => self.refuse(now_ms, item),
            Err((Refusal::Behind | Refusal::Flood, _)) => self.waiting.dropped += 1,
        }
    }

    /// Handles what waits, each in its turn; `true`: there may be more.
    fn serve(&mut self) -> bool {
        let now_ms = self.clock.now_ms();
        let (mut served, mut may_be_more) = (0, true);
        while may_be_more && self.has_time(now_ms, TURN_MS) {
            let may_tell = self.waiting.untold.len() < self.events_max;
            may_be_more = may_tell && self.serve_one(now_ms);
            // At once: what comes next may be the end of the connection that waits for this answer.
            self.flush();
            served += usize::from(may_be_more);
        }
        self.waiting.crowd.count(now_ms, served);
        may_be_more
    }

    /// `false`: nobody has a turn.
    fn serve_one(&mut self, now_ms: u64) -> bool {
        let is_app_ready = self.is_app_ready(now_ms);
        match self.waiting.intake.take(now_ms, is_app_ready) {
            Some(Turn::Served(item)) => self.handle(now_ms, item),
            Some(Turn::Late(item)) => self.refuse(now_ms, item),
            None => return false,
        }
        true
    }

    fn handle(&mut self, now_ms: u64, item: Item) {
        match item {
            Item::Datagram { socket, remote, bytes } => {
                let flow = self.datagrams[socket].flow(socket, remote);
                self.agent.receive(now_ms, flow, parse(&bytes));
            }
            Item::Message { flow, parsed } => self.agent.receive(now_ms, flow, *parsed),
            Item::Closed { link } => {
                self.carriers.closed(link);
                self.agent.link_closed(now_ms, link);
            }
        }
    }

    /// There is no time for anything new.
    fn refuse(&mut self, now_ms: u64, item: Item) {
        let (flow, parsed) = match item {
            Item::Datagram { socket, remote, bytes } => {
                (self.datagrams[socket].flow(socket, remote), parse(&bytes))
            }
            Item::Message { flow, parsed } => (flow, *parsed),
            Item::Closed { .. } => return self.handle(now_ms, item),
        };
        self.waiting.refused += 1;
        self.agent.refuse_new(now_ms, flow, parsed);
        self.flush();
    }

    /// Sends all that the agent has put into its outbox.
    fn flush(&mut self) {
        if let Some(views) = self.agent.take_trunk_views() {
            self.views.send_replace(views);
        }
        loop {
            let lost = self.flush_once();
            if lost.is_empty() {
                return;
            }
            // What is sent once more goes out as well.
            let now_ms = self.clock.now_ms();
            for unsent in lost {
                match unsent {
                    Unsent::LinkGone(link) => self.agent.link_closed(now_ms, link),
                    Unsent::NoWay(to) => self.agent.undeliverable(now_ms, to),
                }
            }
        }
    }

    /// Gives what could not be sent.
    fn flush_once(&mut self) -> Vec<Unsent> {
        let mut lost = Vec::new();
        let outbox = self.agent.outbox();
        for (flow, bytes) in outbox.packets.drain(..) {
            self.responses.count(&bytes);
            lost.extend(self.carriers.send(flow, bytes).err());
        }
        self.responses.count_refused(std::mem::take(&mut outbox.refused));
        lost
    }

    /// Tells the app what the agent has put into its outbox: of a turn all together, so that the app
    /// wakes up once.
    fn tell(&mut self) {
        let now_ms = self.clock.now_ms();
        let untold = &mut self.waiting.untold;
        for event in self.agent.outbox().events.drain(..) {
            self.waiting.lag.gave(now_ms);
            // Order matters: nothing overtakes what still waits.
            if !untold.is_empty() {
                untold.push_back(event);
            } else if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event)
            {
                untold.push_back(event);
            }
        }
    }

    /// One line in a second at most, however bad it is.
    fn tell_of_losses(&mut self) {
        let now_ms = self.clock.now_ms();
        let Waiting { dropped, refused, told_ms, .. } = &mut self.waiting;
        if (*dropped > 0 || *refused > 0) && now_ms >= *told_ms + TELL_EVERY_MS {
            *told_ms = now_ms;
            let (dropped, refused) = (std::mem::take(dropped), std::mem::take(refused));
            self.responses.count_dropped(dropped);
            tracing::warn!(refused, dropped, "overload: new calls were refused, messages dropped");
        }
    }

    async fn close(mut self) {
        self.agent.hang_up_all(self.clock.now_ms());
        self.flush();
        self.tell();
        for event in self.waiting.untold {
            // An app that is going down itself may read no more.
            let told = self.events.send_timeout(event, Duration::from_secs(1)).await;
            if told.is_err() {
                break;
            }
        }
    }
}

/// When one of the sockets has something to read.
async fn readable(sockets: &[Datagrams]) {
    poll_fn(|context| {
        // All are asked, so that each of them wakes this task.
        let ready = sockets.iter().filter(|socket| socket.poll_readable(context).is_ready());
        if ready.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
