//! The engine as the rest of the house drives it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use mio::Poll;
use tokio::sync::mpsc::Sender;

use super::border::{MediaEvent, MediaSettings, Message, Monitoring, OpenError, Recording};
use super::burst::{self, Burst};
use super::clock::Clock;
use super::inbox::Inbox;
use super::leg::{Limits, OpenLeg};
use super::library::PromptLibrary;
use super::outbox::Outbox;
use super::ports::PortPool;
use super::recorder::{self, RecorderDoor, Ticket};
use super::sockets::{Sockets, address_for};
use super::worker::{Command, Departure, WAKE, Worker};
use crate::domain::{Language, LegId, LocalMedia, MediaSession, PlayId, RecordingId};

/// Ports that others hold, tried before an opener gives up.
const BIND_TRIES: usize = 64;
/// So many legs one worker serves before another one is given any: a worker that wakes up for many
/// packets spends less on each, and this many take 0.3 of a core.
const LEGS_TOGETHER: usize = 1_000;

/// The running engine. Dropped, it closes all legs and ends its threads, as
/// [`MediaEngine::shutdown`] does.
#[derive(Debug)]
pub struct MediaEngine {
    handle: MediaHandle,
    threads: Vec<JoinHandle<()>>,
    recorder: Option<JoinHandle<()>>,
}

/// What drives the engine; cheap to clone. No call waits for the network, the disk or the app; a
/// call about a leg that is not open is ignored.
#[derive(Clone, Debug)]
pub struct MediaHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ip: IpAddr,
    ports: Arc<Mutex<PortPool>>,
    library: Arc<ArcSwap<PromptLibrary>>,
    clock: Clock,
    /// The way to each worker.
    workers: Vec<Arc<Inbox>>,
    recorder: RecorderDoor,
    /// Held while a command is sent, so that commands about a leg that moves reach its workers in
    /// the order in which they were given.
    desk: Mutex<Desk>,
}

/// What is known here of the open legs.
#[derive(Debug, Default)]
struct Desk {
    /// The worker of each.
    homes: BTreeMap<LegId, usize>,
    /// How many legs each worker has.
    legs: Vec<usize>,
    /// The newest recording of those that were recorded.
    tickets: BTreeMap<LegId, Arc<Ticket>>,
}

impl MediaEngine {
    /// Starts the worker threads. Events go to `events`; a full channel never stops a worker (what
    /// happens then: `outbox`).
    pub fn start(
        settings: &MediaSettings,
        library: Arc<ArcSwap<PromptLibrary>>,
        events: Sender<MediaEvent>,
    ) -> io::Result<Self> {
        let clock = Clock::start();
        let ports = PortPool::new(settings.ports.clone(), &mut rand::rng());
        let ports = Arc::new(Mutex::new(ports));
        let (mut workers, mut polls) = (Vec::new(), Vec::new());
        for _ in 0..settings.workers.max(1) {
            let poll = Poll::new()?;
            workers.push(Arc::new(Inbox::new(poll.registry(), WAKE)?));
            polls.push(poll);
        }
        let (door, recorder) = recorder::start(clock, Outbox::new(events.clone()))?;
        let handle = MediaHandle(Arc::new(Shared {
            ip: settings.ip,
            ports: Arc::clone(&ports),
            library,
            clock,
            workers: workers.clone(),
            recorder: door,
            desk: Mutex::new(Desk::of(settings.workers.max(1))),
        }));
        // From here on, an error drops the engine, which stops the threads already started.
        let mut engine = Self { handle, threads: Vec::new(), recorder: Some(recorder) };
        let limits = Limits {
            quiet_after_us: settings.quiet_after_ms.saturating_mul(1000),
            dead_after_us: settings.dead_after_ms.saturating_mul(1000),
        };
        let together = settings.raw_socket && may_send_together();
        for (number, (poll, inbox)) in polls.into_iter().zip(workers).enumerate() {
            let outbox = Outbox::new(events.clone());
            let ports = Arc::clone(&ports);
            let burst = Burst::new(together);
            let worker = Worker::new(poll, inbox, clock, ports, limits, outbox, burst);
            let thread = std::thread::Builder::new().name(format!("media-{number}"));
            engine.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(engine)
    }

    pub fn handle(&self) -> MediaHandle {
        self.handle.clone()
    }

    /// Closes all legs, each with its `Closed` event as far as the channel has room, and waits for
    /// the threads to end: some milliseconds, and what the disk needs for the ends of recordings,
    /// but not more than 5 s.
    pub fn shutdown(self) {}
}

impl Drop for MediaEngine {
    fn drop(&mut self) {
        for worker in &self.handle.0.workers {
            worker.send(Command::Stop);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a media worker had died");
            }
        }
        if let Some(recorder) = self.recorder.take() {
            self.handle.0.recorder.stop(recorder);
        }
    }
}

impl Desk {
    fn of(workers: usize) -> Self {
        Self { legs: vec![0; workers], ..Self::default() }
    }

    fn home(&self, leg: LegId) -> Option<usize> {
        self.homes.get(&leg).copied()
    }

    /// The worker for one leg more: the first that has not yet its fill, else the one with the
    /// fewest legs.
    fn roomiest(&self) -> usize {
        let roomy = self.legs.iter().position(|&legs| legs < LEGS_TOGETHER);
        let idlest = || (0..self.legs.len()).min_by_key(|&worker| self.legs[worker]);
        roomy.or_else(idlest).unwrap_or(0)
    }

    fn settle(&mut self, leg: LegId, home: usize) {
        self.legs[home] += 1;
        if let Some(before) = self.homes.insert(leg, home) {
            self.legs[before] -= 1;
        }
    }

    fn forget(&mut self, leg: LegId) {
        if let Some(home) = self.homes.remove(&leg) {
            self.legs[home] -= 1;
        }
        self.tickets.remove(&leg);
    }
}

impl MediaHandle {
    /// Binds a pair of ports for a leg whose signalling comes from `peer`. From now on packets are
    /// accepted by the system; they are heard from the first [`MediaHandle::agree`] on. They are
    /// bound to [`MediaSettings::ip`](super::MediaSettings); where that is unspecified, to `local`,
    /// the address of ours that the peer's packets arrive at, so that on a machine with several
    /// addresses audio leaves from the one that was named to the peer.
    ///
    /// For a leg that we dial, nobody knows yet who will answer: `peer` is then the unspecified
    /// address of the family that is dialled (0.0.0.0, ::), and [`MediaHandle::answered_from`]
    /// names the phone that answered. Until that is known, only the IP address of the SDP is heard.
    pub fn open(&self, leg: LegId, peer: IpAddr, local: IpAddr) -> Result<LocalMedia, OpenError> {
        self.open_on(None, leg, peer, local)
    }

    /// The same on a certain worker, or on the one that it is best for the leg to be on.
    pub(super) fn open_on(
        &self,
        worker: Option<usize>,
        leg: LegId,
        peer: IpAddr,
        local: IpAddr,
    ) -> Result<LocalMedia, OpenError> {
        let ip = address_for(peer, self.0.ip, local);
        let (port, sockets) = self.bind(ip)?;
        let open = OpenLeg { id: leg, signalling: peer, sockets, port };
        let mut desk = self.desk();
        let home = worker.or_else(|| desk.home(leg)).unwrap_or_else(|| desk.roomiest());
        desk.settle(leg, home);
        if !self.send_to(&desk, leg, Command::Open(Box::new(open))) {
            desk.forget(leg);
            self.release(port);
            return Err(io::Error::other("the media engine has stopped").into());
        }
        Ok(LocalMedia { ip, rtp_port: port })
    }

    /// Names the source of the signalling of a leg that was opened without: where its 200 came
    /// from. It is where the phone is believed to be if its SDP names a private address (what that
    /// means: `source`). To be said before [`MediaHandle::agree`]; a leg that knows its peer
    /// keeps it.
    pub fn answered_from(&self, leg: LegId, peer: IpAddr) {
        self.send(leg, Command::SignalledFrom(leg, peer));
    }

    /// Starts the stream, or changes it. From the first agreement on a packet leaves every
    /// `ptime_ms`: what is played, else silence; except while the direction forbids sending, when
    /// what is being played waits.
    pub fn agree(&self, leg: LegId, session: MediaSession) {
        self.send(leg, Command::Agree(leg, Box::new(session)));
    }

    /// Plays recordings without a gap, after all that was ordered before; even before the stream
    /// starts. A key of the caller ends all plays. Recordings that the library lacks are left out.
    /// On a bridged leg they are heard instead of the partner, until they end.
    pub fn play(&self, leg: LegId, play: PlayId, language: Language, recordings: &[RecordingId]) {
        let library = self.0.library.load();
        let mut prompts = Vec::with_capacity(recordings.len());
        for recording in recordings {
            match library.get(language, recording) {
                Some(prompt) => prompts.push(Arc::clone(prompt)),
                None => tracing::warn!(%recording, %language, "a recording is missing"),
            }
        }
        self.send(leg, Command::Play(leg, play, prompts));
    }

    /// Ends all plays of the leg within a frame; silence follows, or the partner of a bridge. For
    /// keys that come by INFO.
    pub fn stop_playing(&self, leg: LegId) {
        self.send(leg, Command::StopPlaying(leg));
    }

    /// Joins two legs: each hears what the other's peer says, from its next packet on. What both
    /// play is cut (`PlayEnded`). Packets go through as they come, with the numbers of our own
    /// stream; A-law becomes µ-law and back where the legs differ. Telephone events go through to
    /// a leg that agreed on them, and are not made tones of for one that did not; keys of both are
    /// told as ever. Comfort noise is left out. Nothing is sent where a leg's direction forbids it.
    ///
    /// A leg that is in another bridge leaves it. Legs of different workers come together first:
    /// `b` moves to the worker of `a`.
    pub fn bridge(&self, a: LegId, b: LegId) {
        let mut desk = self.desk();
        if self.bring_together(&mut desk, a, b) {
            self.send_to(&desk, a, Command::Bridge(a, b));
        }
    }

    /// Parts a leg from its partner; both go back to silence, or to what they play. The bridge ends
    /// as well when one of them is closed.
    pub fn unbridge(&self, leg: LegId) {
        self.send(leg, Command::Unbridge(leg));
    }

    /// Lets a supervisor hear both sides of an operator's conversation, and speak as the mode says;
    /// called again, it changes the mode. It ends when the operator's bridge does, when one of the
    /// three legs is closed, or with [`MediaHandle::unbridge`] of the supervisor. An operator who
    /// is in no bridge is not monitored; a conversation has one supervisor, the newest.
    ///
    /// Who hears two people gets a mix of them, frame by frame, 40 to 120 ms later than by the
    /// relay. To such a leg telephone events are not passed. What a supervisor says is in no
    /// recording.
    pub fn monitor(&self, supervisor: LegId, operator: LegId, mode: Monitoring) {
        let mut desk = self.desk();
        if self.bring_together(&mut desk, operator, supervisor) {
            self.send_to(&desk, operator, Command::Monitor(supervisor, operator, mode));
        }
    }

    /// Records what the peers of two legs say, bridged or not, until one of the legs is closed or
    /// [`MediaHandle::stop_recording`]. Then [`MediaEvent::Recorded`] tells of `left`. What we play
    /// to them is not recorded. A leg is in one recording: a new one ends the one before.
    ///
    /// Disk trouble never reaches the call: [`MediaEvent::RecordingFailed`] tells of it, and the
    /// note. Only if the disk stands still and hundreds of recordings wait for it already, nothing
    /// is begun, and an error is logged.
    pub fn record(&self, recording: Recording) {
        let (left, right) = (recording.left, recording.right);
        let mut desk = self.desk();
        let Some((taps, ticket)) = self.0.recorder.begin(recording) else {
            return;
        };
        // The tap of a leg that is not open is dropped, and ends the recording.
        for (leg, tap) in [left, right].into_iter().zip(taps) {
            if self.send_to(&desk, leg, Command::Record(leg, tap)) {
                desk.tickets.insert(leg, Arc::clone(&ticket));
            }
        }
    }

    /// From now on silence is written, until [`MediaHandle::resume_recording`]; the note tells of
    /// each such stretch. `leg` is one of the two; so it is in the next ones.
    pub fn pause_recording(&self, leg: LegId) {
        if let Some(ticket) = self.desk().tickets.get(&leg) {
            ticket.pause(self.0.clock.now_us());
        }
    }

    pub fn resume_recording(&self, leg: LegId) {
        if let Some(ticket) = self.desk().tickets.get(&leg) {
            ticket.resume(self.0.clock.now_us());
        }
    }

    pub fn stop_recording(&self, leg: LegId) {
        if let Some(ticket) = self.desk().tickets.get(&leg) {
            ticket.end(self.0.clock.now_us());
        }
    }

    /// Writes down what one leg's peer says, in a file of one channel, until the leg is closed,
    /// [`MediaHandle::stop_message`], the longest length, or five seconds in which nothing is said.
    /// Then [`MediaEvent::Recorded`] tells of it. A leg is in one recording: a new one ends the one
    /// before.
    pub fn start_message(&self, message: Message) {
        let leg = message.leg;
        let mut desk = self.desk();
        let Some((tap, ticket)) = self.0.recorder.begin_message(message) else {
            return;
        };
        // The tap of a leg that is not open is dropped, and ends the message.
        if self.send_to(&desk, leg, Command::Record(leg, tap)) {
            desk.tickets.insert(leg, ticket);
        }
    }

    /// Ends the message that the leg leaves; nothing happens if it leaves none.
    pub fn stop_message(&self, leg: LegId) {
        if let Some(ticket) = self.desk().tickets.get(&leg).filter(|ticket| ticket.is_message()) {
            ticket.end(self.0.clock.now_us());
        }
    }

    /// Ends the stream with an RTCP BYE; statistics come in [`MediaEvent::Closed`].
    pub fn close(&self, leg: LegId) {
        let mut desk = self.desk();
        self.send_to(&desk, leg, Command::Close(leg));
        desk.forget(leg);
    }

    /// Says whether the worker lives and the leg is open.
    fn send(&self, leg: LegId, command: Command) -> bool {
        self.send_to(&self.desk(), leg, command)
    }

    fn send_to(&self, desk: &Desk, leg: LegId, command: Command) -> bool {
        desk.home(leg).is_some_and(|home| self.0.workers[home].send(command))
    }

    /// Sees to it that `guest` is on the worker of `host`; says whether both are open.
    ///
    /// The worker that a leg leaves is told first, then the one that waits for it. So a worker only
    /// waits for commands given before its own, and no two can wait for each other.
    fn bring_together(&self, desk: &mut Desk, host: LegId, guest: LegId) -> bool {
        let (Some(to), Some(from)) = (desk.home(host), desk.home(guest)) else {
            return false;
        };
        if to != from {
            let (sender, arrival) = sync_channel(1);
            let wake = Arc::clone(&self.0.workers[to]);
            let departure = Departure { leg: sender, wake };
            self.0.workers[from].send(Command::Leave(guest, departure));
            self.0.workers[to].send(Command::Arrive(arrival));
            desk.settle(guest, to);
        }
        true
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Whole at any time, like the pool.
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bind(&self, ip: IpAddr) -> Result<(u16, Sockets), OpenError> {
        let mut taken = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..BIND_TRIES {
            let port = {
                let mut ports = self.ports();
                let free = ports.take(self.now_ms());
                free.ok_or_else(|| OpenError::PortsExhausted { range: ports.range() })?
            };
            match Sockets::bind(ip, port) {
                Ok(sockets) => return Ok((port, sockets)),
                Err(error) => {
                    self.release(port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        return Err(error.into());
                    }
                    taken = error;
                }
            }
        }
        Err(taken.into())
    }

    fn release(&self, port: u16) {
        self.ports().release(port, self.now_ms());
    }

    fn ports(&self) -> MutexGuard<'_, PortPool> {
        // The pool is whole at any time: a panic elsewhere can't have left it half changed.
        self.0.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now_us() / 1000
    }
}

/// Whether packets may leave together; if not, the log says why.
fn may_send_together() -> bool {
    let possible = burst::is_possible();
    if let Err(error) = &possible {
        tracing::info!(
            %error,
            "RTP leaves packet by packet, which takes more of the processor: \
             to send by a raw socket, the right CAP_NET_RAW is needed"
        );
    }
    possible.is_ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_worker_has_its_fill_before_the_next_gets_any_and_then_all_get_the_same() {
        let mut desk = Desk::of(2);
        let leg = |n: usize| LegId(Uuid::from_u128(n as u128));
        for n in 0..LEGS_TOGETHER * 3 {
            let home = desk.roomiest();
            desk.settle(leg(n), home);
            if n + 1 == LEGS_TOGETHER {
                assert_eq!(desk.legs, [LEGS_TOGETHER, 0]);
            }
        }
        assert_eq!(desk.legs, [LEGS_TOGETHER * 3 / 2; 2]);
        // Who moves is counted where it is now, and who is gone nowhere.
        desk.settle(leg(0), 1);
        desk.forget(leg(1));
        desk.forget(leg(1));
        assert_eq!(desk.legs, [LEGS_TOGETHER * 3 / 2 - 2, LEGS_TOGETHER * 3 / 2 + 1]);
    }
}
