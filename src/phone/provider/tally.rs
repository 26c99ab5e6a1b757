//! What a provider counted and kept, for tests to look at and to wait for.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::ProviderCall;
use crate::domain::{Key, RecordingId};
use crate::phone::playout::Playout;
use crate::phone::timeline::{Ending, PhoneEvent};
use crate::phone::wire::Incoming;
use crate::sip::message::NameAddr;

/// Calls that are kept; later ones are refused with 503.
pub(super) const CALLS_MAX: usize = 100_000;
/// Calls that are over and whose audio is kept; the oldest leave.
const PLAYOUTS_MAX: usize = 32;

/// A call to one of the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenCall {
    pub call: ProviderCall,
    /// The user part of the Request-URI.
    pub number: String,
    pub call_id: String,
    /// User part of From.
    pub from: Option<String>,
    /// Display name of From.
    pub display: Option<String>,
    /// User part of P-Asserted-Identity.
    pub asserted: Option<String>,
    /// Display name of P-Asserted-Identity.
    pub asserted_display: Option<String>,
    pub invited: Instant,
    /// When 200 was sent.
    pub picked_up: Option<Instant>,
    /// When the first packet of audio came.
    pub first_audio: Option<Instant>,
    /// The recordings that were listened for, when each ended, and whether it was whole.
    pub heard: Vec<(RecordingId, Instant, bool)>,
    /// The tones that were listened for, and when each began.
    pub tones_heard: Vec<(u32, Instant)>,
    pub keys_heard: Vec<Key>,
    pub ended: Option<(Instant, Ending)>,
}

impl TakenCall {
    pub(super) fn read(call: ProviderCall, number: String, invite: &Incoming) -> Self {
        let from = NameAddr::parse(&invite.from).ok();
        let asserted = invite.line("P-Asserted-Identity");
        let asserted = asserted.and_then(|value| NameAddr::parse(&value).ok());
        Self {
            call,
            number,
            call_id: invite.call_id.clone(),
            from: from.as_ref().and_then(|it| it.uri.user()),
            display: from.and_then(|it| it.display).map(Into::into),
            asserted: asserted.as_ref().and_then(|it| it.uri.user()),
            asserted_display: asserted.and_then(|it| it.display).map(Into::into),
            invited: Instant::now(),
            picked_up: None,
            first_audio: None,
            heard: Vec::new(),
            tones_heard: Vec::new(),
            keys_heard: Vec::new(),
            ended: None,
        }
    }

    /// Picked up, and nobody has hung up yet.
    pub fn is_up(&self) -> bool {
        self.picked_up.is_some() && self.ended.is_none()
    }

    pub fn ending(&self) -> Option<Ending> {
        self.ended.map(|(_, why)| why)
    }

    /// From picking up to the end; zero if it was never up, to now while it is.
    pub fn talked(&self) -> Duration {
        let end = self.ended.map_or_else(Instant::now, |(at, _)| at);
        self.picked_up.map_or(Duration::ZERO, |at| end.saturating_duration_since(at))
    }

    /// Whether this tone was heard.
    pub fn has_heard_tone(&self, hz: u32) -> bool {
        self.tones_heard.iter().any(|(heard, _)| *heard == hz)
    }

    /// Whether this recording was heard to its end.
    pub fn has_heard(&self, recording: &RecordingId) -> bool {
        self.heard.iter().any(|(id, _, complete)| id == recording && *complete)
    }
}

/// An account that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The user part of To.
    pub user: String,
    /// The URI of Contact.
    pub contact: String,
    pub expires_s: u64,
    pub at: Instant,
}

/// Everything that a provider counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// In the order in which they came. One for each new INVITE transaction that was let in; an
    /// INVITE that was only asked for a password is not among them, nor is one that was repeated.
    pub calls: Vec<TakenCall>,
    /// Calls that are up, and the most that were at the same time.
    pub up: usize,
    pub up_max: usize,
    /// Calls that came and are not over, ringing or up, and the most at the same time. Those that
    /// never get a reply are not among them.
    pub at_once: usize,
    pub at_once_max: usize,
    /// INVITEs that came again with the same branch.
    pub repeated: u64,
    /// INVITEs that were answered 407, and those with a wrong password (403).
    pub challenged: u64,
    pub forbidden: u64,
    /// REGISTERs that were granted, one for each.
    pub registered: Vec<Registered>,
    pub options: u64,
}

impl Tally {
    pub fn calls_to<'a>(&'a self, number: &'a str) -> impl Iterator<Item = &'a TakenCall> {
        self.calls.iter().filter(move |call| call.number == number)
    }

    /// How often this number was called.
    pub fn times(&self, number: &str) -> usize {
        self.calls_to(number).count()
    }

    /// How often each number was called.
    pub fn times_by_number(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for call in &self.calls {
            *times.entry(call.number.clone()).or_default() += 1;
        }
        times
    }

    pub fn get(&self, call: ProviderCall) -> Option<&TakenCall> {
        self.calls.get(call.0)
    }

    /// The most calls that came within one second, wherever that second begins.
    pub fn starts_in_a_second_max(&self) -> usize {
        let mut window: VecDeque<Instant> = VecDeque::new();
        let mut most = 0;
        for call in &self.calls {
            window.push_back(call.invited);
            while window.front().is_some_and(|first| call.invited - *first >= SECOND) {
                window.pop_front();
            }
            most = most.max(window.len());
        }
        most
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// What a test waited for did not come in time. Shows the calls.
#[derive(Clone, thiserror::Error)]
pub struct NotCounted {
    within: Duration,
    calls: Vec<String>,
}

impl fmt::Display for NotCounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls.join("\n");
        write!(f, "not seen within {:?}; the provider saw:\n{calls}", self.within)
    }
}

impl fmt::Debug for NotCounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the provider's tasks write.
pub(super) struct Book {
    pages: Mutex<Pages>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Pages {
    tally: Tally,
    playouts: VecDeque<(ProviderCall, Playout)>,
}

impl Book {
    pub fn new() -> Self {
        let (changes, _) = watch::channel(0);
        Self { pages: Mutex::default(), changes }
    }

    pub fn write<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        let written = change(&mut self.pages().tally);
        self.changes.send_modify(|count| *count += 1);
        written
    }

    /// Something happened in a call.
    pub fn tell(&self, call: ProviderCall, at: Instant, what: &PhoneEvent) {
        self.write(|tally| {
            let Some(taken) = tally.calls.get_mut(call.0) else { return };
            match what {
                PhoneEvent::FirstAudio => taken.first_audio = Some(at),
                PhoneEvent::KeyHeard { key, .. } => taken.keys_heard.push(*key),
                PhoneEvent::RecordingHeard { recording, complete } => {
                    taken.heard.push((recording.clone(), at, *complete));
                }
                PhoneEvent::Ended { why } => {
                    let was_up = taken.is_up();
                    if taken.ended.is_none() {
                        taken.ended = Some((at, *why));
                        tally.at_once = tally.at_once.saturating_sub(1);
                        tally.up = tally.up.saturating_sub(usize::from(was_up));
                    }
                }
                PhoneEvent::ToneBegan { hz } => taken.tones_heard.push((*hz, at)),
                PhoneEvent::Invited
                | PhoneEvent::Status { .. }
                | PhoneEvent::Answered { .. }
                | PhoneEvent::KeySent { .. }
                | PhoneEvent::ToneEnded { .. }
                | PhoneEvent::Transferring { .. }
                | PhoneEvent::Reply { .. }
                | PhoneEvent::Request { .. } => {}
            }
        });
    }

    pub fn picked_up(&self, call: ProviderCall, at: Instant) {
        self.write(|tally| {
            if let Some(taken) = tally.calls.get_mut(call.0)
                && taken.picked_up.is_none()
            {
                taken.picked_up = Some(at);
                tally.up += 1;
                tally.up_max = tally.up_max.max(tally.up);
            }
        });
    }

    /// Keeps what was heard in a call that is over.
    pub fn keep(&self, call: ProviderCall, playout: Playout) {
        let mut pages = self.pages();
        if pages.playouts.len() == PLAYOUTS_MAX {
            pages.playouts.pop_front();
        }
        pages.playouts.push_back((call, playout));
        drop(pages);
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn tally(&self) -> Tally {
        self.pages().tally.clone()
    }

    pub async fn until<T>(
        &self,
        within: Duration,
        find: impl Fn(&Tally) -> Option<T>,
    ) -> Result<T, NotCounted> {
        self.wait(within, |pages| find(&pages.tally)).await
    }

    pub async fn playout(
        &self,
        call: ProviderCall,
        within: Duration,
    ) -> Result<Playout, NotCounted> {
        let is_it = |(kept, _): &&(ProviderCall, Playout)| *kept == call;
        self.wait(within, |pages| Some(pages.playouts.iter().find(is_it)?.1.clone())).await
    }

    async fn wait<T>(
        &self,
        within: Duration,
        find: impl Fn(&Pages) -> Option<T>,
    ) -> Result<T, NotCounted> {
        let mut changes = self.changes.subscribe();
        let until = Instant::now() + within;
        loop {
            if let Some(found) = find(&self.pages()) {
                return Ok(found);
            }
            // The sender lives as long as the book.
            if timeout_at(until, changes.changed()).await.is_err() {
                let lines = |call: &TakenCall| format!("{call:?}");
                let calls = self.pages().tally.calls.iter().map(lines).collect();
                return Err(NotCounted { within, calls });
            }
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // What is done while it is held does not panic, but for a test's closure: then it is over.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
