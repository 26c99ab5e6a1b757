//! One thread of the engine: waits, sends what is due, reads what came, obeys.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::border::MediaEvent;
use super::clock::Clock;
use super::frames::FrameClock;
use super::leg::{FRAME_BYTES_MAX, Leg, OpenLeg};
use super::library::Prompt;
use super::outbox::Outbox;
use super::ports::PortPool;
use crate::domain::{LegId, MediaSession, PlayId, RtpStatistics};

/// Wakes the worker when commands wait; every other token is twice the leg's number, plus one for
/// the RTCP socket.
pub(super) const WAKE: Token = Token(usize::MAX);

/// Datagrams read from one socket before others get their turn.
const READS_PER_TURN: usize = 16;
/// Commands obeyed before frames get their turn.
const COMMANDS_PER_TURN: usize = 256;
/// Longer datagrams are cut: no packet of speech is so long.
const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Each leg is looked after once in so many turns of at least [`CHECK_EVERY_US`].
const CHECK_PARTS: usize = 20;
const CHECK_EVERY_US: u64 = 10_000;

/// An imperative to the worker. One about a leg that is closed is ignored.
#[derive(Debug)]
pub(super) enum Command {
    Open(Box<OpenLeg>),
    Agree(LegId, Box<MediaSession>),
    Play(LegId, PlayId, Vec<Arc<Prompt>>),
    StopPlaying(LegId),
    Close(LegId),
    /// Closes all legs and ends the thread.
    Stop,
}

pub(super) struct Worker {
    poll: Poll,
    commands: Receiver<Command>,
    clock: Clock,
    ports: Arc<Mutex<PortPool>>,
    dead_after_us: u64,
    outbox: Outbox,
    frames: FrameClock,
    /// By number; numbers of closed legs are used again.
    legs: Vec<Option<Box<Leg>>>,
    free: Vec<u32>,
    numbers: BTreeMap<LegId, u32>,
    /// Sockets that may hold more than one turn's reads.
    unread: Vec<Token>,
    checked_us: u64,
    next_check: usize,
    /// Working space: legs of one tick, a packet to send, a datagram read.
    batch: Vec<u32>,
    frame: [u8; FRAME_BYTES_MAX],
    datagram: [u8; DATAGRAM_BYTES_MAX],
}

impl Worker {
    pub fn new(
        poll: Poll,
        commands: Receiver<Command>,
        clock: Clock,
        ports: Arc<Mutex<PortPool>>,
        dead_after_ms: u64,
        outbox: Outbox,
    ) -> Self {
        Self {
            poll,
            commands,
            clock,
            ports,
            dead_after_us: dead_after_ms.saturating_mul(1000),
            outbox,
            frames: FrameClock::new(),
            legs: Vec::new(),
            free: Vec::new(),
            numbers: BTreeMap::new(),
            unread: Vec::new(),
            checked_us: 0,
            next_check: 0,
            batch: Vec::new(),
            frame: [0; FRAME_BYTES_MAX],
            datagram: [0; DATAGRAM_BYTES_MAX],
        }
    }

    /// The thread. Frames come first: they have a time; what came and what is asked can wait for
    /// the millisecond that they take.
    pub fn run(mut self) {
        go_before_others();
        let mut events = Events::with_capacity(256);
        let mut more_commands = false;
        loop {
            let wait = self.wait(more_commands);
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "media worker can't wait for its sockets");
            }
            let now_us = self.clock.now_us();
            self.outbox.flush();
            self.send_due(now_us);
            let unread = std::mem::take(&mut self.unread);
            for token in unread.iter().copied().chain(events.iter().map(|event| event.token())) {
                self.read(token, now_us);
            }
            self.check_some(now_us);
            match self.obey() {
                Obeyed::All => more_commands = false,
                Obeyed::Some => more_commands = true,
                Obeyed::Stop => return,
            }
        }
    }

    /// How long nothing needs to be done; `None` until something comes.
    fn wait(&self, more_commands: bool) -> Option<Duration> {
        if more_commands || !self.unread.is_empty() {
            return Some(Duration::ZERO);
        }
        let frames = self.frames.wait_ms(self.clock.now_us() / 1000);
        let idle = self.numbers.is_empty() && self.outbox.is_empty();
        let checks = (!idle).then_some(CHECK_EVERY_US / 1000);
        frames.into_iter().chain(checks).min().map(Duration::from_millis)
    }

    fn send_due(&mut self, now_us: u64) {
        while let Some(tick) = self.frames.due(now_us / 1000, &mut self.batch) {
            for &number in &self.batch {
                let Some(leg) = self.legs.get_mut(number as usize).and_then(Option::as_mut) else {
                    continue;
                };
                leg.send_frame(now_us, &mut self.frame, &mut self.outbox);
                let next = tick + leg.ptime_ms();
                leg.due = Some(next);
                self.frames.insert(next, number);
            }
            self.batch.clear();
        }
    }

    /// Reads a socket until it is empty, or has had its turn.
    fn read(&mut self, token: Token, now_us: u64) {
        if token == WAKE {
            return;
        }
        let (index, is_rtcp) = (token.0 / 2, token.0 % 2 == 1);
        let Some(leg) = self.legs.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        for _ in 0..READS_PER_TURN {
            let socket = if is_rtcp { &leg.sockets.rtcp } else { &leg.sockets.rtp };
            match socket.recv_from(&mut self.datagram) {
                Ok((length, from)) if is_rtcp => {
                    leg.on_rtcp(from, &self.datagram[..length], now_us)
                }
                Ok((length, from)) => {
                    leg.on_datagram(from, &self.datagram[..length], now_us, &mut self.outbox);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.settle(index, now_us);
                }
                // An ICMP error about an earlier packet; it says nothing about the next one.
                Err(_) => {}
            }
        }
        self.unread.push(token);
        self.settle(index, now_us);
    }

    /// Starts or stops the frames of a leg, as its session and its peer want it now.
    fn settle(&mut self, index: usize, now_us: u64) {
        let Some(leg) = self.legs.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let number = index as u32;
        match (leg.sends(), leg.due) {
            (true, None) => {
                leg.resume(now_us);
                leg.send_frame(now_us, &mut self.frame, &mut self.outbox);
                // The second packet comes early rather than late, where few others are due.
                let (now, ptime) = (self.frames.now(), leg.ptime_ms());
                let due = self.frames.quietest(now + ptime / 2 + 1..=now + ptime);
                leg.due = Some(due);
                self.frames.insert(due, number);
            }
            (false, Some(due)) => {
                leg.due = None;
                self.frames.remove(due, number);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Looks after a part of the legs, so that each has its turn five times a second.
    fn check_some(&mut self, now_us: u64) {
        if now_us < self.checked_us + CHECK_EVERY_US {
            return;
        }
        self.checked_us = now_us;
        let part = self.legs.len().div_ceil(CHECK_PARTS);
        for _ in 0..part {
            self.next_check = (self.next_check + 1) % self.legs.len();
            if let Some(leg) = &mut self.legs[self.next_check] {
                leg.check(&self.clock, now_us, self.dead_after_us, &mut self.outbox);
            }
        }
    }

    fn obey(&mut self) -> Obeyed {
        let now_us = self.clock.now_us();
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(Command::Open(open)) => {
                    self.close(open.id, now_us); // an id used twice: the newer leg has it
                    self.open(*open);
                }
                Ok(Command::Agree(id, session)) => {
                    if let Some(index) = self.index(id) {
                        self.with_leg(index, |leg, _| leg.agree(*session, now_us));
                        self.settle(index, now_us);
                    }
                }
                Ok(Command::Play(id, play, prompts)) => {
                    if let Some(index) = self.index(id) {
                        self.with_leg(index, |leg, outbox| leg.play(play, prompts, outbox));
                    }
                }
                Ok(Command::StopPlaying(id)) => {
                    if let Some(index) = self.index(id) {
                        self.with_leg(index, Leg::stop_playing);
                    }
                }
                Ok(Command::Close(id)) => self.close(id, now_us),
                Ok(Command::Stop) => {
                    self.close_all(now_us);
                    return Obeyed::Stop;
                }
                Err(_) => return Obeyed::All,
            }
        }
        Obeyed::Some
    }

    fn index(&self, id: LegId) -> Option<usize> {
        self.numbers.get(&id).map(|&number| number as usize)
    }

    fn with_leg(&mut self, index: usize, act: impl FnOnce(&mut Leg, &mut Outbox)) {
        if let Some(leg) = self.legs.get_mut(index).and_then(Option::as_mut) {
            act(leg, &mut self.outbox);
        }
    }

    fn open(&mut self, open: OpenLeg) {
        let mut leg = Box::new(Leg::new(open));
        let number = self.free.pop().unwrap_or_else(|| {
            self.legs.push(None);
            (self.legs.len() - 1) as u32
        });
        let token = 2 * number as usize;
        let registry = self.poll.registry();
        let registered =
            registry.register(&mut leg.sockets.rtp, Token(token), Interest::READABLE).and_then(
                |()| registry.register(&mut leg.sockets.rtcp, Token(token + 1), Interest::READABLE),
            );
        if let Err(error) = registered {
            tracing::error!(%error, leg = %leg.id, "media sockets can't be watched");
            self.free.push(number);
            let (port, id) = (leg.port, leg.id);
            drop(leg);
            self.release(port);
            return self
                .outbox
                .push(MediaEvent::Closed { leg: id, statistics: RtpStatistics::default() });
        }
        self.numbers.insert(leg.id, number);
        self.legs[number as usize] = Some(leg);
    }

    fn close(&mut self, id: LegId, now_us: u64) {
        let Some(number) = self.numbers.remove(&id) else {
            return;
        };
        let Some(mut leg) = self.legs[number as usize].take() else {
            return;
        };
        if let Some(due) = leg.due {
            self.frames.remove(due, number);
        }
        leg.close(&self.clock, now_us, &mut self.outbox);
        let port = leg.port;
        // The sockets are closed before anybody may bind the port anew.
        drop(leg);
        self.release(port);
        self.free.push(number);
    }

    fn close_all(&mut self, now_us: u64) {
        let ids: Vec<_> = self.numbers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.close(id, now_us));
        self.outbox.flush();
    }

    fn release(&self, port: u16) {
        let now_ms = self.clock.now_us() / 1000;
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).release(port, now_ms);
    }
}

/// Asks the system to run this thread before those that have no time to keep, and at once when it
/// has something to do. A wish: without the right to the first (CAP_SYS_NICE), or on a system that
/// does not know the second (Linux before 6.12), all is as before.
fn go_before_others() {
    const NICENESS: libc::c_int = -10;
    // SAFETY: no memory is passed. On Linux, process 0 means the calling thread.
    let _granted = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    #[cfg(target_os = "linux")]
    run_in_short_turns();
}

/// Who asks for short turns need not wait for others to finish their long ones. With two cores and
/// six busy neighbours a thread of this niceness woke up to 13 ms late before, and 3 ms after.
#[cfg(target_os = "linux")]
fn run_in_short_turns() {
    const TURN_NS: u64 = 100_000; // the shortest that Linux grants
    // SAFETY: all fields are numbers, for which zeros are valid.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    attributes.size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0);
    attributes.sched_policy = libc::SCHED_OTHER.cast_unsigned();
    attributes.sched_runtime = TURN_NS;
    // SAFETY: no memory is passed. Thread 0 means the calling one.
    attributes.sched_nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: `attributes` is a valid sched_attr, which the call only reads.
    let _granted = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

enum Obeyed {
    All,
    /// More commands wait.
    Some,
    Stop,
}
