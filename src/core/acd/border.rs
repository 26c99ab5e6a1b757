//! What the line is told and what it asks for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dialplan::plan::Group;
use crate::domain::{Attendance, CallFact, CallId, LinePlace, Login, Origin, Timestamp};

/// One ringing of one operator for one call; counts up, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OfferId(pub u64);

/// A caller who wants into a line.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub call: CallId,
    /// The group with the rules that this caller waits by.
    pub group: Arc<Group>,
    pub origin: Origin,
    /// Who calls, for keeping the place of one who drops and calls again: a phone number; `None`:
    /// nobody can tell.
    pub caller: Option<String>,
    /// The sum of the group's priorities that hold for the caller.
    pub priority: i32,
    /// The personal manager, and for how long only this operator is rung.
    pub manager: Option<(Login, u64)>,
    /// The plan rings this one operator (`manager`) and nobody else: it is no line, nothing is
    /// counted, and the caller is turned away when the time is up or the call was not taken.
    pub only_manager: bool,
    /// The place that a callback was promised: as if the customer had waited since then. By the
    /// server's clock.
    pub place: Option<LinePlace>,
    pub way: TicketWay,
    /// Version of the plan, for the record of decisions.
    pub plan: String,
}

/// Who is to be called. A ticket without a caller on the line waits even while nobody is logged in
/// and if the line is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TicketWay {
    /// An operator: the caller is on the line.
    #[default]
    Caller,
    /// An operator, and then the customer.
    OperatorFirst,
    /// The customer, as soon as an operator is reserved ([`Act::Reserve`]), and then the operator.
    CustomerFirst,
}

/// What became of a [`Ticket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// `came_back`: with the place of an earlier call.
    Waiting { came_back: bool },
    /// The group's line is full: its `full` block is next.
    Full,
    /// Nobody is logged in to the group, or to one that helps it: its `nobody` block is next.
    Nobody,
}

/// What the line asks of the house.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Ring this operator for this call. With `ring-all`, several of one call at once.
    Offer { offer: OfferId, call: CallId, operator: Login, ring_ms: u64 },
    /// Stop ringing: the caller left, another operator answered, or the time is up.
    Withdraw { offer: OfferId },
    /// Dial the customer: this operator is kept free for the call. Ends with
    /// [`Acd::ring_reserved`](super::Acd::ring_reserved), [`Acd::release`](super::Acd::release) or
    /// [`Act::Unreserved`].
    Reserve { call: CallId, operator: Login },
    /// The operator who was reserved for the call is gone. The customer is perhaps being dialled:
    /// another operator is reserved as soon as one is free, or rung after
    /// [`Acd::ring_reserved`](super::Acd::ring_reserved).
    Unreserved { call: CallId },
    /// The last operator logged out: the group's `nobody` block is next; the ticket is gone.
    TurnAway { call: CallId },
    /// Write down a fact of the call: `Decided`, `NotTaken`, `LeftLine`, `Conversed`.
    Record { call: CallId, fact: CallFact },
    /// Keep what the operator wants, over restarts: after log-in, log-out, pause, unpause.
    Remember { operator: Login, attendance: Attendance },
    /// The operator's state is another one now.
    StateChanged { operator: Login },
}

/// Where an operator is in the work of taking calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OperatorState {
    #[default]
    /// Not logged in to any group.
    Offline,
    /// Logged in, and no phone is registered or it does not answer.
    Unreachable,
    Ready {
        since: Timestamp,
    },
    Ringing {
        call: CallId,
        since: Timestamp,
    },
    /// Kept free for a customer who is being called.
    Reserved {
        call: CallId,
        since: Timestamp,
    },
    Talking {
        /// `None`: a call of the operator's own.
        call: Option<CallId>,
        since: Timestamp,
    },
    WrapUp {
        until: Timestamp,
    },
    Paused {
        reason: String,
        since: Timestamp,
    },
}

/// What came of a topic that an operator named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicAnswer {
    Noted,
    /// The group has no such topic.
    Unknown,
    /// There is no conversation, or its wrap-up is over.
    NoConversation,
}

/// Why an operator can't log in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("there is no such operator")]
    UnknownOperator,
    #[error("the operator does not belong to this group")]
    NotInGroup,
}

/// Why a caller is not in the line any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The caller hung up.
    Abandoned,
    /// The caller asked to be called back, and is promised the place.
    Callback,
    /// The customer who was to be called back was not reached, or need not be any more.
    NotReached,
    /// The call ended for another reason.
    Lost,
}

/// How long a caller will probably still wait: a range, rounded up to what can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Estimate {
    pub from_ms: u64,
    pub to_ms: u64,
}
