//! A promise as the ledger holds it until it is over.

use crate::domain::{Attempt, PhoneNumber, Promise, PromiseId, PromiseKind, Timestamp};

/// An open promise, and where it stands.
#[derive(Debug)]
pub(super) struct Entry {
    pub promise: Promise,
    pub stage: Stage,
    /// What [`super::Ledger::on_time`] will do for it, and when.
    pub alarms: Vec<(Alarm, Timestamp)>,
    /// The customer has called, and was spoken to, while we were about to call.
    pub settled: Option<String>,
    /// Attempts in a row that did not count: the pause grows with them.
    pub pauses: u32,
    /// Attempts that probably reached an answering machine.
    pub voicemails: u32,
}

/// What a promise waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The database does not have it yet.
    Unstored,
    /// For an alarm, or for a plan.
    Waiting,
    /// In the queue of its robot, from this moment on.
    Queued(Timestamp),
    /// For room in the line of its group.
    Ready,
    /// The number has another call with us.
    Parked,
    /// A ticket is in the line of its group.
    InLine,
    /// The database does not have the attempt yet: nothing is dialled.
    Storing(Attempt),
    /// The customer is dialled, or is talked with.
    Calling(Attempt),
}

/// What is done at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The customer may be called from now on.
    Try,
    /// The hours end: the ticket leaves the line.
    Closing,
    /// It will be late.
    Late,
    /// The due time passed.
    Overdue,
    /// It is too late to be of any use.
    Stale,
}

impl Entry {
    pub fn new(promise: Promise, stage: Stage) -> Self {
        Self { promise, stage, alarms: Vec::new(), settled: None, pauses: 0, voicemails: 0 }
    }

    /// How often the customer's phone rang.
    pub fn tried(&self) -> u32 {
        self.promise.attempts.saturating_sub(self.promise.not_counted)
    }

    /// Whether the customer is dialled, or is talked with.
    pub fn is_calling(&self) -> bool {
        matches!(self.stage, Stage::Calling(_))
    }
}

/// What a customer is owed only once at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    phone: PhoneNumber,
    kind: PromiseKind,
    name: String,
    /// The order, else the event, of incidents and reminders.
    of: Option<String>,
}

impl Reason {
    pub fn of(promise: &Promise) -> Self {
        let of = match promise.kind {
            PromiseKind::Incident | PromiseKind::Reminder => {
                promise.about.values.get("order").or(promise.event.as_ref()).cloned()
            }
            PromiseKind::CallbackOrdered
            | PromiseKind::CallbackFromLine
            | PromiseKind::CallbackMissed
            | PromiseKind::CallbackAfterHours
            | PromiseKind::CallbackLowRating
            | PromiseKind::RatingCall => None,
        };
        Self { phone: promise.phone.clone(), kind: promise.kind, name: promise.name.clone(), of }
    }
}

/// FNV-1a of an id and what follows it: the bytes of an id are random only in part.
pub(super) fn hash(id: &PromiseId, more: &[u8]) -> u64 {
    let bytes = id.0.as_bytes().iter().chain(more);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
