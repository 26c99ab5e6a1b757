//! Conversations and messages in files: one thread for all, which may wait for the disk; nobody waits for it.
//!
//! - `track`: two voices on one line of time
//! - `session`: one recording, from its beginning to its note
//! - `sounds`: the queue of what is said
//! - `silence`: when whoever leaves a message has fallen silent
//! - `writer`: the file
//! - [`keeping`]: how long recordings are kept
//!
//! A leg that is recorded has a `Tap`, which puts each packet of its peer into the bounded queue.
//! If the queue is full, because the disk is too slow, the packet is missing in the file, and the
//! note says so. What concerns a whole recording (its end, its pauses) is in its `Ticket`, so
//! that it can neither be lost nor come too late.

pub mod keeping;
mod session;
mod silence;
mod sounds;
mod track;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use self::session::{Session, Task};
use self::sounds::{Listener, SOUND_BYTES_MAX, Sound, Speaker};
pub(super) use self::track::Side;
use super::border::{MediaEvent, Message, Recording};
use super::clock::Clock;
use super::outbox::Outbox;
use super::packet::Incoming;
use crate::domain::Codec;

/// Packets that may wait for the disk, of all recordings: with 50 of them 13 s, with 1,000 of them
/// 0.6 s. That is 18 MB, of which only what waits is taken.
const SOUNDS_MAX: usize = 65_536;
/// Recordings that wait to be begun; with so many, the disk has stood still for long, and a further
/// one is not begun.
const ORDERS_MAX: usize = 256;
/// Pauses of one recording. The last of them has no end: what is secret stays so.
const PAUSES_MAX: usize = 1_000;
/// The recorder looks for what to write so often.
const TURN: Duration = Duration::from_millis(100);
/// How long the end of the engine waits for a disk that stands still.
const END_WAIT: Duration = Duration::from_secs(5);
/// [`Ticket::ended_us`] of a recording that goes on.
const GOES_ON: u64 = u64::MAX;

/// What all who have to do with a recording know of it.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    is_message: bool,
    began_us: u64,
    ended_us: AtomicU64,
    is_paused: AtomicBool,
    /// From and to, in µs on the engine's clock.
    pauses: Mutex<Vec<(u64, u64)>>,
    /// Samples for which there was no room in the queue.
    missing: AtomicU64,
}

impl Ticket {
    fn new(number: u64, is_message: bool, began_us: u64) -> Self {
        Self {
            number,
            is_message,
            began_us,
            ended_us: AtomicU64::new(GOES_ON),
            is_paused: AtomicBool::new(false),
            pauses: Mutex::default(),
            missing: AtomicU64::new(0),
        }
    }

    /// Whether it is of a message, not of a conversation.
    pub fn is_message(&self) -> bool {
        self.is_message
    }

    /// The first end counts.
    pub fn end(&self, now_us: u64) {
        let order = Ordering::AcqRel;
        let _ended_before =
            self.ended_us.compare_exchange(GOES_ON, now_us, order, Ordering::Acquire);
    }

    pub fn pause(&self, now_us: u64) {
        self.is_paused.store(true, Ordering::Release);
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        if pauses.last().is_none_or(|(_, to)| *to != GOES_ON) {
            // From a whole millisecond of the file on, as the note tells it.
            let from_us = now_us - now_us.saturating_sub(self.began_us) % 1000;
            pauses.push((from_us, GOES_ON));
        }
    }

    pub fn resume(&self, now_us: u64) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        if pauses.len() >= PAUSES_MAX {
            return;
        }
        if let Some((_, to)) = pauses.last_mut().filter(|(_, to)| *to == GOES_ON) {
            *to = now_us;
        }
        self.is_paused.store(false, Ordering::Release);
    }

    fn has_ended(&self) -> Option<u64> {
        Some(self.ended_us.load(Ordering::Acquire)).filter(|at_us| *at_us != GOES_ON)
    }

    fn pauses(&self) -> Vec<(u64, u64)> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One channel of a recording, held by the leg that is heard there. The recording ends with the
/// first of its taps.
#[derive(Debug)]
pub(super) struct Tap {
    ticket: Arc<Ticket>,
    side: Side,
    clock: Clock,
    sounds: Speaker,
}

impl Tap {
    /// Puts an audio packet into the queue.
    pub fn hear(&self, codec: Codec, packet: &Incoming<'_>, now_us: u64) {
        if self.ticket.is_paused.load(Ordering::Acquire) || self.ticket.has_ended().is_some() {
            return;
        }
        let mut timestamp = packet.timestamp;
        for part in packet.payload.chunks(SOUND_BYTES_MAX) {
            let mut sound = Sound {
                number: self.ticket.number,
                side: self.side,
                codec,
                arrived_us: now_us,
                timestamp,
                length: part.len(),
                audio: [0; SOUND_BYTES_MAX],
            };
            sound.audio[..part.len()].copy_from_slice(part);
            if !self.sounds.say(sound) {
                self.ticket.missing.fetch_add(part.len() as u64, Ordering::Relaxed);
            }
            timestamp = timestamp.wrapping_add(part.len() as u32);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.ticket.end(self.clock.now_us());
    }
}

/// An imperative to the recorder.
#[derive(Debug)]
enum Order {
    Begin(Task, Arc<Ticket>),
    /// Ends all recordings and the thread, which drops the sender last.
    Stop(SyncSender<()>),
}

/// The way to the recorder.
#[derive(Debug)]
pub(super) struct RecorderDoor {
    orders: SyncSender<Order>,
    sounds: Speaker,
    clock: Clock,
    last_number: AtomicU64,
}

impl RecorderDoor {
    /// Begins a file; its two taps, left and right, and its ticket. `None` if the recorder is stuck.
    pub fn begin(&self, recording: Recording) -> Option<([Tap; 2], Arc<Ticket>)> {
        let ticket = self.order(recording.into(), false)?;
        Some(([Side::Left, Side::Right].map(|side| self.tap(&ticket, side)), ticket))
    }

    /// The same for a message, which has one voice.
    pub fn begin_message(&self, message: Message) -> Option<(Tap, Arc<Ticket>)> {
        let ticket = self.order(message.into(), true)?;
        Some((self.tap(&ticket, Side::Left), ticket))
    }

    fn order(&self, task: Task, is_message: bool) -> Option<Arc<Ticket>> {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let ticket = Arc::new(Ticket::new(number, is_message, self.clock.now_us()));
        let leg = task.leg;
        let begin = Order::Begin(task, Arc::clone(&ticket));
        if let Err(error) = self.orders.try_send(begin) {
            tracing::error!(%error, %leg, "a recording was not begun: the disk stands still");
            return None;
        }
        Some(ticket)
    }

    fn tap(&self, ticket: &Arc<Ticket>, side: Side) -> Tap {
        let (ticket, sounds) = (Arc::clone(ticket), self.sounds.clone());
        Tap { ticket, side, clock: self.clock, sounds }
    }

    /// Asks the thread to end all recordings and itself, and waits for it; not for ever.
    pub fn stop(&self, thread: JoinHandle<()>) {
        let (ending, ended) = sync_channel(0);
        let is_asked = self.orders.try_send(Order::Stop(ending)).is_ok();
        if !is_asked || ended.recv_timeout(END_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("recordings may lack their ends: the disk stands still");
        } else if thread.join().is_err() {
            tracing::error!("the recorder had died");
        }
    }
}

/// Starts the recorder.
pub(super) fn start(clock: Clock, outbox: Outbox) -> io::Result<(RecorderDoor, JoinHandle<()>)> {
    let (orders, ordered) = sync_channel(ORDERS_MAX);
    let (sounds, heard) = sounds::queue(SOUNDS_MAX);
    let sessions = BTreeMap::new();
    let recorder =
        Recorder { orders: ordered, sounds: heard, clock, outbox, sessions, ending: None };
    let thread = std::thread::Builder::new().name("recorder".into());
    let thread = thread.spawn(move || recorder.run())?;
    let door = RecorderDoor { orders, sounds, clock, last_number: AtomicU64::new(0) };
    Ok((door, thread))
}

/// The thread.
struct Recorder {
    orders: Receiver<Order>,
    sounds: Listener,
    clock: Clock,
    outbox: Outbox,
    sessions: BTreeMap<u64, Session>,
    /// Who waits for the end.
    ending: Option<SyncSender<()>>,
}

impl Recorder {
    fn run(mut self) {
        loop {
            let order = if self.sessions.is_empty() && self.outbox.is_empty() {
                self.orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.orders.recv_timeout(TURN)
            };
            let turn = match order {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => Turn::More,
                Err(RecvTimeoutError::Disconnected) => Turn::Last,
            };
            self.outbox.flush();
            if turn == Turn::Last || self.turn() == Turn::Last {
                return self.end();
            }
        }
    }

    fn obey(&mut self, order: Order) -> Turn {
        match order {
            Order::Begin(task, ticket) => {
                let session = Session::new(task, ticket, &mut self.outbox);
                self.sessions.insert(session.number(), session);
                Turn::More
            }
            Order::Stop(ending) => {
                self.ending = Some(ending);
                Turn::Last
            }
        }
    }

    /// Writes what has come. An end is looked for first: what was said before it is in the queue by
    /// then.
    fn turn(&mut self) -> Turn {
        let now_us = self.clock.now_us();
        let ended: Vec<_> = self.sessions.values().filter_map(Session::has_ended).collect();
        let mut turn = Turn::More;
        for _ in 0..SOUNDS_MAX {
            let Some(sound) = self.sounds.hear() else {
                break;
            };
            // A recording is ordered before its first packet can come.
            if !self.sessions.contains_key(&sound.number) && self.take_orders() == Turn::Last {
                turn = Turn::Last;
            }
            if let Some(session) = self.sessions.get_mut(&sound.number) {
                session.hear(&sound);
            }
        }
        for session in self.sessions.values_mut() {
            session.write_until(now_us, &mut self.outbox);
        }
        for (number, ended_us) in ended {
            self.finish(number, ended_us);
        }
        turn
    }

    fn take_orders(&mut self) -> Turn {
        loop {
            match self.orders.try_recv() {
                Ok(order) => {
                    if self.obey(order) == Turn::Last {
                        return Turn::Last;
                    }
                }
                Err(TryRecvError::Disconnected) => return Turn::Last,
                Err(TryRecvError::Empty) => return Turn::More,
            }
        }
    }

    fn finish(&mut self, number: u64, ended_us: u64) {
        if let Some(session) = self.sessions.remove(&number) {
            let (leg, note) = session.finish(ended_us, &mut self.outbox);
            self.outbox.push(MediaEvent::Recorded { leg, note });
        }
    }

    fn end(mut self) {
        let now_us = self.clock.now_us();
        self.sessions.values().for_each(|session| session.end(now_us));
        self.turn();
        self.outbox.flush();
        drop(self.ending.take());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Last,
}
