//! The engine as the rest of the house drives it.

use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use mio::{Poll, Waker};
use tokio::sync::mpsc::Sender;

use super::border::{MediaEvent, MediaSettings, OpenError};
use super::clock::Clock;
use super::leg::OpenLeg;
use super::library::PromptLibrary;
use super::outbox::Outbox;
use super::ports::PortPool;
use super::sockets::{Sockets, address_for};
use super::worker::{Command, WAKE, Worker};
use crate::domain::{Language, LegId, LocalMedia, MediaSession, PlayId, RecordingId};

/// Commands that may wait for one worker.
const COMMANDS_MAX: usize = 4_096;
/// Ports that others hold, tried before an opener gives up.
const BIND_TRIES: usize = 64;

/// The running engine. Dropped, it closes all legs and ends its threads, as
/// [`MediaEngine::shutdown`] does.
#[derive(Debug)]
pub struct MediaEngine {
    handle: MediaHandle,
    threads: Vec<JoinHandle<()>>,
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
    workers: Vec<Door>,
}

/// The way to one worker.
#[derive(Debug)]
struct Door {
    commands: SyncSender<Command>,
    waker: Waker,
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
        let mut workers = Vec::new();
        let mut plans = Vec::new();
        for _ in 0..settings.workers.max(1) {
            let (door, poll, commands) = Door::new()?;
            workers.push(door);
            plans.push((poll, commands));
        }
        let handle = MediaHandle(Arc::new(Shared {
            ip: settings.ip,
            ports: Arc::clone(&ports),
            library,
            clock,
            workers,
        }));
        // From here on, an error drops the engine, which stops the threads already started.
        let mut engine = Self { handle, threads: Vec::new() };
        for (number, (poll, commands)) in plans.into_iter().enumerate() {
            let outbox = Outbox::new(events.clone());
            let ports = Arc::clone(&ports);
            let worker = Worker::new(poll, commands, clock, ports, settings.dead_after_ms, outbox);
            let thread = std::thread::Builder::new().name(format!("media-{number}"));
            engine.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(engine)
    }

    pub fn handle(&self) -> MediaHandle {
        self.handle.clone()
    }

    /// Closes all legs, each with its `Closed` event as far as the channel has room, and waits for
    /// the threads to end: some milliseconds.
    pub fn shutdown(self) {}
}

impl Drop for MediaEngine {
    fn drop(&mut self) {
        for door in &self.handle.0.workers {
            door.send(Command::Stop);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a media worker had died");
            }
        }
    }
}

impl MediaHandle {
    /// Binds a pair of ports for a leg whose signalling comes from `peer`. From now on packets are
    /// accepted by the system; they are heard from the first [`MediaHandle::agree`] on. They are
    /// bound to [`MediaSettings::ip`](super::MediaSettings); where that is unspecified, to `local`,
    /// the address of ours that the peer's packets arrive at, so that on a machine with several
    /// addresses audio leaves from the one that was named to the peer.
    pub fn open(&self, leg: LegId, peer: IpAddr, local: IpAddr) -> Result<LocalMedia, OpenError> {
        let ip = address_for(peer, self.0.ip, local);
        let (port, sockets) = self.bind(ip)?;
        let open = OpenLeg { id: leg, signalling: peer, sockets, port };
        if !self.door(leg).send(Command::Open(Box::new(open))) {
            self.release(port);
            return Err(io::Error::other("the media engine has stopped").into());
        }
        Ok(LocalMedia { ip, rtp_port: port })
    }

    /// Starts the stream, or changes it. From the first agreement on a packet leaves every
    /// `ptime_ms`: what is played, else silence; except while the direction forbids sending, when
    /// what is being played waits.
    pub fn agree(&self, leg: LegId, session: MediaSession) {
        self.door(leg).send(Command::Agree(leg, Box::new(session)));
    }

    /// Plays recordings without a gap, after all that was ordered before; even before the stream
    /// starts. A key of the caller ends all plays. Recordings that the library lacks are left out.
    pub fn play(&self, leg: LegId, play: PlayId, language: Language, recordings: &[RecordingId]) {
        let library = self.0.library.load();
        let mut prompts = Vec::with_capacity(recordings.len());
        for recording in recordings {
            match library.get(language, recording) {
                Some(prompt) => prompts.push(Arc::clone(prompt)),
                None => tracing::warn!(%recording, %language, "a recording is missing"),
            }
        }
        self.door(leg).send(Command::Play(leg, play, prompts));
    }

    /// Ends all plays of the leg within a frame; silence follows. For keys that come by INFO.
    pub fn stop_playing(&self, leg: LegId) {
        self.door(leg).send(Command::StopPlaying(leg));
    }

    /// Ends the stream with an RTCP BYE; statistics come in [`MediaEvent::Closed`].
    pub fn close(&self, leg: LegId) {
        self.door(leg).send(Command::Close(leg));
    }

    /// The worker of a leg: ids end in random bits, so legs are spread evenly.
    fn door(&self, leg: LegId) -> &Door {
        let workers = &self.0.workers;
        let number = leg.0.as_u128() % workers.len() as u128;
        &workers[number as usize]
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

impl Door {
    fn new() -> io::Result<(Self, Poll, Receiver<Command>)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (commands, receiver) = sync_channel(COMMANDS_MAX);
        Ok((Self { commands, waker }, poll, receiver))
    }

    /// Says whether the worker lives. Waits for room in the channel: a worker never waits for
    /// anybody, so that is a millisecond at most.
    fn send(&self, command: Command) -> bool {
        let sent = self.commands.send(command).is_ok();
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a media worker can't be woken");
        }
        sent
    }
}
