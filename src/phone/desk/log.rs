//! What an operator's phone saw and did, for tests to wait for.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::DeskCall;
use crate::phone::playout::Playout;
use crate::phone::timeline::PhoneEvent;
use crate::phone::wire::Incoming;
use crate::sip::message::NameAddr;

/// How long a test waits for a fact.
const WAIT: Duration = Duration::from_secs(10);
/// Events kept; later ones are not written down.
const EVENTS_MAX: usize = 100_000;
/// Calls that are over and whose audio is kept; the oldest leave.
const PLAYOUTS_MAX: usize = 32;

/// A fact and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct DeskEvent {
    pub at: Instant,
    pub what: DeskFact,
}

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub enum DeskFact {
    /// 200 to REGISTER.
    Registered { expires_s: u64 },
    /// 200 to REGISTER with an expiry of 0.
    Unregistered,
    /// The final status of REGISTER, and of its repetition with a digest; 408: no answer.
    RegistrationRefused { code: u16 },
    /// OPTIONS came; `answered` unless the phone was told not to.
    OptionsAsked { answered: bool },
    /// A call came.
    Invited(Box<Invite>),
    /// Something happened in a call.
    Call { call: DeskCall, what: PhoneEvent },
    /// 200 to SUBSCRIBE.
    LampWatched { lamp: String },
    /// The final status of SUBSCRIBE; 408: no answer.
    LampRefused { lamp: String, code: u16 },
    /// NOTIFY with dialog-info (RFC 4235).
    LampShown {
        lamp: String,
        /// The first dialog's: `early`, `confirmed` …; `terminated` when there is none.
        state: String,
        body: String,
    },
    /// The sockets are closed.
    Died,
}

/// A call that came, as the phone's display may show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    pub call: DeskCall,
    pub call_id: String,
    /// User part of From.
    pub from: Option<String>,
    /// Display name of From.
    pub display: Option<String>,
    /// P-Asserted-Identity as it came.
    pub asserted: Option<String>,
    /// Display name of P-Asserted-Identity.
    pub asserted_display: Option<String>,
    pub call_info: Option<String>,
    pub alert_info: Option<String>,
    pub has_offer: bool,
}

impl Invite {
    pub(super) fn read(call: DeskCall, message: &Incoming) -> Self {
        let from = NameAddr::parse(&message.from).ok();
        let asserted = message.line("P-Asserted-Identity");
        let identity = asserted.as_deref().and_then(|value| NameAddr::parse(value).ok());
        Self {
            call,
            call_id: message.call_id.clone(),
            from: from.as_ref().and_then(|from| from.uri.user()),
            display: from.and_then(|from| from.display).map(Into::into),
            asserted_display: identity.and_then(|it| it.display).map(Into::into),
            asserted,
            call_info: message.line("Call-Info"),
            alert_info: message.line("Alert-Info"),
            has_offer: !message.body.is_empty(),
        }
    }

    /// Whether the phone is asked to pick up by itself: `answer-after=0` in Call-Info or
    /// Alert-Info, or an auto-answer ring.
    pub fn asks_for_auto_answer(&self) -> bool {
        let lines = [&self.call_info, &self.alert_info].into_iter().flatten();
        let mut lines = lines.map(|line| line.to_ascii_lowercase());
        lines.any(|line| line.contains("answer-after=0") || line.contains("auto-answer"))
    }
}

/// A fact that a test waited for did not come within 10 s. Shows the whole log.
#[derive(Clone, thiserror::Error)]
pub struct NotSeen(Vec<String>);

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not seen within {} s; the phone saw:\n{}", WAIT.as_secs(), self.0.join("\n"))
    }
}

impl fmt::Debug for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The log of one phone.
pub(super) struct Log {
    begun: Instant,
    pages: Mutex<Pages>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Pages {
    events: Vec<DeskEvent>,
    /// Where [`Log::next`] goes on.
    cursor: usize,
    playouts: Vec<(DeskCall, Playout)>,
}

impl Log {
    pub fn new(begun: Instant) -> Self {
        let (changes, _) = watch::channel(0);
        Self { begun, pages: Mutex::default(), changes }
    }

    pub fn write(&self, at: Instant, what: DeskFact) {
        let mut pages = self.pages();
        if pages.events.len() < EVENTS_MAX {
            pages.events.push(DeskEvent { at, what });
        }
        drop(pages);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Keeps what was heard in a call that is over.
    pub fn keep(&self, call: DeskCall, playout: Playout) {
        let mut pages = self.pages();
        if pages.playouts.len() == PLAYOUTS_MAX {
            pages.playouts.remove(0);
        }
        pages.playouts.push((call, playout));
        drop(pages);
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn events(&self) -> Vec<DeskEvent> {
        self.pages().events.clone()
    }

    pub fn len(&self) -> usize {
        self.pages().events.len()
    }

    /// Waits for an event behind the one that was returned last.
    pub async fn next(&self, is_it: impl Fn(&DeskEvent) -> bool) -> Result<DeskEvent, NotSeen> {
        self.wait(|pages| {
            let from = pages.cursor;
            let position = pages.events[from..].iter().position(&is_it)?;
            pages.cursor = from + position + 1;
            Some(pages.events[from + position].clone())
        })
        .await
    }

    /// Waits for an event at or behind this place of the log.
    pub async fn since(
        &self,
        from: usize,
        is_it: impl Fn(&DeskEvent) -> bool,
    ) -> Result<DeskEvent, NotSeen> {
        self.wait(|pages| pages.events.iter().skip(from).find(|event| is_it(event)).cloned()).await
    }

    /// Waits for what was heard in a call that is over.
    pub async fn playout(&self, call: DeskCall) -> Result<Playout, NotSeen> {
        let is_it = |(kept, _): &&(DeskCall, Playout)| *kept == call;
        self.wait(|pages| Some(pages.playouts.iter().find(is_it)?.1.clone())).await
    }

    async fn wait<T>(&self, find: impl Fn(&mut Pages) -> Option<T>) -> Result<T, NotSeen> {
        let mut changes = self.changes.subscribe();
        let until = Instant::now() + WAIT;
        loop {
            if let Some(found) = find(&mut self.pages()) {
                return Ok(found);
            }
            // The sender lives as long as the log.
            if timeout_at(until, changes.changed()).await.is_err() {
                return Err(NotSeen(self.lines()));
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |event: &DeskEvent| {
            let at = event.at.saturating_duration_since(self.begun).as_millis();
            format!("{at:>8} ms  {:?}", event.what)
        };
        self.pages().events.iter().map(line).collect()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Nothing panics while it is held.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
