//! What the world tells the core, and what the core tells the world to do.
//!
//! Events are facts and may come late: an event about a call, a play or a lookup that is over is
//! ignored. A command that fails comes back as an event with the same id.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dialplan::Plan;
use crate::domain::{
    CallFact, CallId, CallerId, Customer, EndReason, EndedBy, Key, KeySource, Language, LegId,
    LookupId, Order, PhoneNumber, PlayId, RecordingId, RtpStatistics,
};
use crate::speech::Catalogue;

/// A fact.
#[derive(Clone, Debug)]
pub enum Event {
    /// A caller's INVITE is waiting for a decision.
    CallOffered {
        call: CallId,
        leg: LegId,
        dialled: String,
        caller: CallerId,
    },
    /// There was no room for the call's audio: `Answer` could not be carried out.
    AnswerFailed {
        call: CallId,
    },
    /// The caller's phone acknowledged the answer: from now on, what is played is heard.
    CallConfirmed {
        call: CallId,
    },
    KeyPressed {
        call: CallId,
        key: Key,
        source: KeySource,
    },
    /// All recordings of a play were sent, or it was cut after `after_ms`.
    PlayEnded {
        call: CallId,
        play: PlayId,
        cut_after_ms: Option<u64>,
    },
    LookupAnswered {
        call: CallId,
        lookup: LookupId,
        answer: LookupAnswer,
        took_ms: u64,
    },
    /// The signalling of the call is over; of its media, `PlayEnded` and `MediaClosed` still follow.
    CallEnded {
        call: CallId,
        by: EndedBy,
        reason: EndReason,
    },
    /// Nothing came from the caller's phone for too long.
    MediaDied {
        call: CallId,
    },
    MediaClosed {
        call: CallId,
        statistics: RtpStatistics,
    },
    /// New calls follow this plan; running calls keep theirs.
    PlanReplaced {
        plan: Arc<Plan>,
        catalogue: Arc<Catalogue>,
    },
    /// New calls are refused; running ones go on.
    DrainStarted,
    /// The drain's time is up: running calls are hung up.
    DrainEnded,
}

/// An imperative.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Answer {
        call: CallId,
    },
    Reject {
        call: CallId,
        reason: EndReason,
    },
    /// Plays the recordings without a gap, after all that was ordered to be played before.
    Play {
        call: CallId,
        play: PlayId,
        language: Language,
        recordings: Vec<RecordingId>,
    },
    /// Cuts what is heard and forgets what was still to be played.
    StopPlaying {
        call: CallId,
    },
    LookUp {
        call: CallId,
        lookup: LookupId,
        request: LookupRequest,
        deadline_ms: Option<u64>,
    },
    CancelLookup {
        call: CallId,
        lookup: LookupId,
    },
    Hangup {
        call: CallId,
        by: EndedBy,
        reason: EndReason,
    },
    /// Stores a fact of the call's life.
    Record {
        call: CallId,
        fact: CallFact,
    },
}

/// A question to the CRM.
#[derive(Clone, Debug, PartialEq)]
pub enum LookupRequest {
    /// All customers with this number, each with the orders.
    Customers {
        phone: PhoneNumber,
    },
    Order {
        number: String,
    },
}

/// What the CRM answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LookupAnswer {
    Customers(Vec<Customer>),
    Order(Option<Order>),
    /// Failed, too slow, or not asked because it failed just before.
    Unavailable {
        why: String,
    },
}
