//! One thread of the engine: waits, sends what is due, reads what came, obeys.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::border::{MediaEvent, Monitoring};
use super::burst::Burst;
use super::clock::Clock;
use super::frames::FrameClock;
use super::inbox::Inbox;
use super::leg::{Leg, Limits, OpenLeg, PACKET_BYTES_MAX};
use super::legs::Legs;
use super::library::Prompt;
use super::outbox::Outbox;
use super::ports::PortPool;
use super::recorder::Tap;
use crate::domain::{LegId, MediaSession, PlayId, RtpStatistics};

/// Wakes the worker when commands wait; every other token is twice the leg's number, plus one for
/// the RTCP socket.
pub(super) const WAKE: Token = Token(usize::MAX);

/// Sockets served before frames get their turn.
const EVENTS_PER_TURN: usize = 256;
/// Datagrams read from one socket before others get their turn.
const READS_PER_TURN: usize = 16;
/// Commands obeyed before frames get their turn.
const COMMANDS_PER_TURN: usize = 256;
/// When the worker looks again for commands that somebody was just giving.
const LOOK_AGAIN_US: u64 = 250;
/// Turns that follow each other within twice this time are a crowd: from then on there is one in
/// this time, and what comes meanwhile is served together. Waking for each packet costs more than
/// the packet, and nobody hears a millisecond.
const CROWDED_TURN_US: u64 = 1_000;
/// Each leg is looked after once in so many turns of at least [`CHECK_EVERY_US`].
const CHECK_PARTS: u32 = 20;
const CHECK_EVERY_US: u64 = 10_000;

/// An imperative to the worker. One about a leg that is closed is ignored.
#[derive(Debug)]
pub(super) enum Command {
    Open(Box<OpenLeg>),
    Agree(LegId, Box<MediaSession>),
    Play(LegId, PlayId, Vec<Arc<Prompt>>),
    StopPlaying(LegId),
    SignalledFrom(LegId, IpAddr),
    /// Both legs are of this worker.
    Bridge(LegId, LegId),
    Unbridge(LegId),
    /// The supervisor and the operator; both are of this worker.
    Monitor(LegId, LegId, Monitoring),
    /// What the peer of this leg says is recorded until the leg is closed.
    Record(LegId, Tap),
    /// Hands a leg over to another worker.
    Leave(LegId, Departure),
    /// Takes a leg over. Until it comes, no further command is obeyed: they may be about it.
    Arrive(Receiver<Box<Leg>>),
    Close(LegId),
    /// Closes all legs and ends the thread.
    Stop,
}

/// The way of a leg to another worker. Dropped without a leg, it tells that there is none.
#[derive(Debug)]
pub(super) struct Departure {
    /// Has room for the one leg.
    pub leg: SyncSender<Box<Leg>>,
    pub wake: Arc<Inbox>,
}

pub(super) struct Worker {
    poll: Poll,
    inbox: Arc<Inbox>,
    /// Taken, and not obeyed yet.
    commands: VecDeque<Command>,
    /// What is known of commands after a turn.
    obeyed: Obeyed,
    clock: Clock,
    ports: Arc<Mutex<PortPool>>,
    limits: Limits,
    outbox: Outbox,
    frames: FrameClock,
    legs: Legs,
    /// Legs whose frames may have to begin or end.
    changed: Vec<u32>,
    /// The leg that commands wait for.
    arrival: Option<Receiver<Box<Leg>>>,
    /// Sockets that may hold more than one turn's reads.
    unread: Vec<Token>,
    /// When the last turn began.
    turn_us: u64,
    /// The next turn waits until [`CROWDED_TURN_US`] after it.
    is_crowded: bool,
    checked_us: u64,
    next_check: u32,
    /// Packets on their way out.
    burst: Burst,
    /// Working space: legs of one tick, a datagram read.
    batch: Vec<u32>,
    datagram: [u8; PACKET_BYTES_MAX],
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Worker {
    pub fn new(
        poll: Poll,
        inbox: Arc<Inbox>,
        clock: Clock,
        ports: Arc<Mutex<PortPool>>,
        limits: Limits,
        outbox: Outbox,
        burst: Burst,
    ) -> Self {
        Self {
            poll,
            inbox,
            commands: VecDeque::new(),
            obeyed: Obeyed::All,
            clock,
            ports,
            limits,
            outbox,
            frames: FrameClock::new(),
            legs: Legs::default(),
            changed: Vec::new(),
            arrival: None,
            unread: Vec::new(),
            turn_us: 0,
            is_crowded: false,
            checked_us: 0,
            next_check: 0,
            burst,
            batch: Vec::new(),
            datagram: [0; PACKET_BYTES_MAX],
        }
    }

    /// The thread. Frames come first: they have a time, and all else can wait for the millisecond
    /// that they take. What came is read after the commands: a packet that followed an agreement
    /// is heard by it.
    pub fn run(mut self) {
        go_before_others();
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            self.wait(&mut events);
            let now_us = self.clock.now_us();
            self.is_crowded = !events.is_empty() && now_us < self.turn_us + 2 * CROWDED_TURN_US;
            self.turn_us = now_us;
            self.outbox.flush();
            self.send_due(now_us);
            self.obeyed = self.obey();
            if self.obeyed == Obeyed::Stop {
                return;
            }
            let unread = std::mem::take(&mut self.unread);
            for token in unread.iter().copied().chain(events.iter().map(|event| event.token())) {
                self.read(token, now_us);
            }
            self.burst.flush();
            self.check_some(now_us);
        }
    }

    /// Waits for the next turn: until a frame is due, or something comes.
    fn wait(&mut self, events: &mut Events) {
        let now_us = self.clock.now_us();
        let idle_us = self.idle_us(now_us);
        let rest_us = match idle_us {
            // The system counts a wait for sockets in whole milliseconds. A frame is not to be
            // late by the rest of one, so that is slept.
            Some(idle_us) if idle_us < 1_000 => idle_us,
            Some(_) | None if self.is_crowded => {
                (self.turn_us + CROWDED_TURN_US).saturating_sub(now_us)
            }
            Some(_) | None => 0,
        };
        let wait = if rest_us > 0 {
            rest(Duration::from_micros(rest_us));
            Some(Duration::ZERO)
        } else {
            idle_us.map(|idle_us| Duration::from_millis(idle_us / 1_000))
        };
        if let Err(error) = self.poll.poll(events, wait)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "media worker can't wait for its sockets");
        }
    }

    /// How long nothing needs to be done; `None` until something comes.
    fn idle_us(&self, now_us: u64) -> Option<u64> {
        if self.obeyed == Obeyed::Some || !self.unread.is_empty() {
            return Some(0);
        }
        let look_again = (self.obeyed == Obeyed::LookAgain).then_some(now_us + LOOK_AGAIN_US);
        let frame = self.frames.next_ms().map(|at_ms| at_ms * 1_000);
        let is_idle = self.legs.is_empty() && self.outbox.is_empty();
        let check = (!is_idle).then_some(now_us + CHECK_EVERY_US);
        frame
            .into_iter()
            .chain(check)
            .chain(look_again)
            .min()
            .map(|at_us| at_us.saturating_sub(now_us))
    }

    fn send_due(&mut self, now_us: u64) {
        while let Some(tick) = self.frames.due(now_us / 1000, &mut self.batch) {
            for &number in &self.batch {
                let Some(leg) = self.legs.get(number) else {
                    continue;
                };
                leg.send_frame(now_us, &mut self.burst, &mut self.outbox);
                // With the last frame of what it plays, a leg with a partner has no more frames.
                leg.due = leg.sends_frames().then(|| tick + leg.ptime_ms());
                if let Some(next) = leg.due {
                    self.frames.insert(next, number);
                }
            }
            self.batch.clear();
        }
        self.burst.flush();
    }

    /// Reads a socket until it is empty, or has had its turn.
    fn read(&mut self, token: Token, now_us: u64) {
        if token == WAKE {
            return;
        }
        let (number, is_rtcp) = ((token.0 / 2) as u32, token.0 % 2 == 1);
        for _ in 0..READS_PER_TURN {
            let Some(leg) = self.legs.get(number) else {
                return;
            };
            let socket = if is_rtcp { &leg.sockets.rtcp } else { &leg.sockets.rtp };
            match socket.recv_from(&mut self.datagram) {
                Ok((length, from)) if is_rtcp => {
                    leg.on_rtcp(from, &self.datagram[..length], now_us)
                }
                Ok((length, from)) => {
                    let datagram = &self.datagram[..length];
                    let speech = leg.on_datagram(from, datagram, now_us, &mut self.outbox);
                    if let Some(speech) = speech {
                        self.legs.pass_on(number, &speech, now_us, &mut self.burst);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.settle(number, now_us);
                }
                // An ICMP error about an earlier packet; it says nothing about the next one.
                Err(_) => {}
            }
        }
        self.unread.push(token);
        self.settle(number, now_us);
    }

    /// Starts or stops the frames of a leg, as its session, its peer and its partner want it now.
    fn settle(&mut self, number: u32, now_us: u64) {
        let Some(leg) = self.legs.get(number) else {
            return;
        };
        match (leg.sends_frames(), leg.due) {
            (true, None) => {
                leg.resume(now_us);
                leg.send_frame(now_us, &mut self.burst, &mut self.outbox);
                if !leg.sends_frames() {
                    return;
                }
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

    fn settle_changed(&mut self, now_us: u64) {
        while let Some(number) = self.changed.pop() {
            self.settle(number, now_us);
        }
    }

    /// Looks after a part of the legs, so that each has its turn five times a second.
    fn check_some(&mut self, now_us: u64) {
        if now_us < self.checked_us + CHECK_EVERY_US {
            return;
        }
        self.checked_us = now_us;
        let end = self.legs.numbers_end();
        for _ in 0..end.div_ceil(CHECK_PARTS) {
            self.next_check = (self.next_check + 1) % end;
            if let Some(leg) = self.legs.get(self.next_check) {
                leg.check(&self.clock, now_us, self.limits, &mut self.outbox);
            }
        }
    }

    fn obey(&mut self) -> Obeyed {
        self.inbox.has_come();
        let now_us = self.clock.now_us();
        let found_all = !self.commands.is_empty() || self.inbox.take(&mut self.commands);
        let obeyed = self.obey_some(now_us);
        self.settle_changed(now_us);
        self.burst.flush();
        if found_all { obeyed } else { Obeyed::LookAgain }
    }

    fn obey_some(&mut self, now_us: u64) -> Obeyed {
        for _ in 0..COMMANDS_PER_TURN {
            if !self.has_arrived() {
                // Who brings it wakes us.
                return Obeyed::All;
            }
            match self.commands.pop_front() {
                Some(Command::Stop) => {
                    self.close_all(now_us);
                    return Obeyed::Stop;
                }
                Some(command) => self.carry_out(command, now_us),
                None => return Obeyed::All,
            }
        }
        Obeyed::Some
    }

    fn carry_out(&mut self, command: Command, now_us: u64) {
        match command {
            Command::Open(open) => {
                self.close(open.id, now_us); // an id used twice: the newer leg has it
                self.open(*open);
            }
            Command::Agree(id, session) => self.change(id, |leg, _| leg.agree(*session, now_us)),
            Command::Play(id, play, prompts) => {
                self.change(id, |leg, outbox| leg.play(play, prompts, outbox));
            }
            Command::StopPlaying(id) => self.change(id, Leg::stop_playing),
            Command::SignalledFrom(id, peer) => self.change(id, |leg, _| leg.signalled_from(peer)),
            Command::Bridge(a, b) => {
                if let (Some(a), Some(b)) = (self.legs.number(a), self.legs.number(b)) {
                    self.legs.bridge(a, b, &mut self.outbox, &mut self.changed);
                }
            }
            Command::Unbridge(id) => {
                if let Some(number) = self.legs.number(id) {
                    self.legs.unbridge(number, &mut self.changed);
                }
            }
            Command::Monitor(supervisor, operator, mode) => {
                let numbers = (self.legs.number(supervisor), self.legs.number(operator));
                if let (Some(supervisor), Some(operator)) = numbers {
                    self.legs.monitor(supervisor, operator, mode, &mut self.changed);
                }
            }
            Command::Record(id, tap) => self.change(id, |leg, _| leg.tap = Some(tap)),
            Command::Leave(id, departure) => self.leave(id, departure),
            Command::Arrive(leg) => self.arrival = Some(leg),
            Command::Close(id) => self.close(id, now_us),
            Command::Stop => self.close_all(now_us),
        }
    }

    fn change(&mut self, id: LegId, change: impl FnOnce(&mut Leg, &mut Outbox)) {
        if let Some(number) = self.legs.number(id)
            && let Some(leg) = self.legs.get(number)
        {
            change(leg, &mut self.outbox);
            self.changed.push(number);
        }
    }

    fn open(&mut self, open: OpenLeg) {
        self.take_in(Box::new(Leg::new(open)));
    }

    /// Watches the sockets of a leg from now on. If the system does not let us, it is closed.
    fn take_in(&mut self, mut leg: Box<Leg>) {
        let token = 2 * self.legs.next_number() as usize;
        let registry = self.poll.registry();
        let watched =
            registry.register(&mut leg.sockets.rtp, Token(token), Interest::READABLE).and_then(
                |()| registry.register(&mut leg.sockets.rtcp, Token(token + 1), Interest::READABLE),
            );
        if let Err(error) = &watched {
            tracing::error!(%error, leg = %leg.id, "media sockets can't be watched");
            let statistics = RtpStatistics::default();
            self.outbox.push(MediaEvent::Closed { leg: leg.id, statistics });
            let port = leg.port;
            drop(leg);
            return self.release(port);
        }
        self.changed.push(self.legs.next_number());
        self.legs.insert(leg);
    }

    /// Forgets a leg: it is no longer due, nor does anybody here hear it.
    fn take_out(&mut self, id: LegId) -> Option<Box<Leg>> {
        let number = self.legs.number(id)?;
        self.legs.unbridge(number, &mut self.changed);
        let mut leg = self.legs.remove(number)?;
        if let Some(due) = leg.due.take() {
            self.frames.remove(due, number);
        }
        Some(leg)
    }

    /// Hands a leg over. On the way nobody serves it: some hundred microseconds, or two milliseconds
    /// between busy workers, in which packets wait in the sockets.
    fn leave(&mut self, id: LegId, departure: Departure) {
        if let Some(mut leg) = self.take_out(id) {
            let registry = self.poll.registry();
            for socket in [&mut leg.sockets.rtp, &mut leg.sockets.rtcp] {
                if let Err(error) = registry.deregister(socket) {
                    tracing::error!(%error, leg = %id, "media sockets can't be let go");
                }
            }
            // There is room; and a worker that has ended misses nobody.
            let _ = departure.leg.try_send(leg);
        }
        drop(departure.leg);
        departure.wake.wake();
    }

    /// Whether no leg is awaited; one that has come is taken in.
    fn has_arrived(&mut self) -> bool {
        let Some(arrival) = &self.arrival else {
            return true;
        };
        match arrival.try_recv() {
            Ok(leg) => self.take_in(leg),
            Err(TryRecvError::Empty) => return false,
            // It was closed before it could leave.
            Err(TryRecvError::Disconnected) => {}
        }
        self.arrival = None;
        true
    }

    fn close(&mut self, id: LegId, now_us: u64) {
        let Some(mut leg) = self.take_out(id) else {
            return;
        };
        leg.close(&self.clock, now_us, &mut self.outbox);
        let port = leg.port;
        // The sockets are closed before anybody may bind the port anew.
        drop(leg);
        self.release(port);
    }

    fn close_all(&mut self, now_us: u64) {
        let ids: Vec<_> = self.legs.ids().collect();
        ids.into_iter().for_each(|id| self.close(id, now_us));
        self.outbox.flush();
    }

    fn release(&self, port: u16) {
        let now_ms = self.clock.now_us() / 1000;
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).release(port, now_ms);
    }
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "part of a millisecond, on a thread of our own")]
fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// Asks the system to run this thread before those that have no time to keep, and at once when it
/// has something to do. A wish: without the right (CAP_SYS_NICE, or a limit on priorities that
/// allows it) the thread is one of many, and on a busy machine packets leave later.
fn go_before_others() {
    #[cfg(target_os = "linux")]
    {
        wake_in_time();
        if run_in_real_time() {
            return;
        }
    }
    const NICENESS: libc::c_int = -10;
    // SAFETY: no memory is passed. On Linux, process 0 means the calling thread.
    let _granted = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    #[cfg(target_os = "linux")]
    run_in_short_turns();
}

/// Whoever runs in real time is not interrupted by anybody who does not. With two cores, 3,000
/// calls and their callers on the same machine, one gap of a hundred was 25.7 ms long before, and
/// 21.6 ms after. Others are left the twentieth part of a core that the system keeps for them.
#[cfg(target_os = "linux")]
fn run_in_real_time() -> bool {
    // Above ordinary threads, below what the system itself needs in real time.
    const PRIORITY: libc::c_int = 10;
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: `parameters` is a valid sched_param, which the call only reads. Thread 0 means the
    // calling one.
    let granted = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    granted == 0
}

/// Linux may let others sleep 50 µs longer than they asked for, so that it wakes less often.
#[cfg(target_os = "linux")]
fn wake_in_time() {
    const SLACK_NS: libc::c_ulong = 1;
    // SAFETY: no memory is passed. It concerns the calling thread.
    let _granted = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS) };
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obeyed {
    /// What comes next wakes us.
    All,
    /// More commands wait.
    Some,
    /// More may wait: somebody was just giving one.
    LookAgain,
    Stop,
}
