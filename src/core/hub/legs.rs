//! What each leg is there for.

use crate::domain::{CallId, LegId, Login};

use super::super::acd::OfferId;
use super::codes::Code;

/// A leg's part in the house.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    /// The phone of a caller, whose walk through the plan is the call's.
    Caller(CallId),
    /// The phone of a customer whom we call, until it is picked up: from then on a caller's.
    Customer(CallId),
    /// An operator's phone that rings, or has just been picked up, for an offer of the line.
    Rung(Rung),
    /// A phone that was dialled to take over a caller from an operator.
    Receiver(Receiver),
    /// The phone at the other end of a caller's conversation.
    Talker { call: CallId, operator: Option<Login> },
    /// The caller hung up; the operator may type what it was about.
    AfterTalk { operator: Login, typed: String },
    /// An operator's phone that called us.
    Desk(Desk),
    /// A phone that was dialled for a desk.
    Colleague { desk: LegId, operator: Option<Login>, is_up: bool },
}

/// See [`Role::Rung`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rung {
    pub call: CallId,
    pub operator: Login,
    pub offer: OfferId,
    /// Picked up: hears a whisper, and then the caller.
    pub is_up: bool,
}

/// See [`Role::Receiver`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Receiver {
    pub call: CallId,
    pub operator: Option<Login>,
    /// The phone that asked for the transfer and waits to hear what came of it.
    pub by: LegId,
}

/// See [`Role::Desk`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Desk {
    /// For the records: a call like any other.
    pub call: CallId,
    pub operator: Login,
    pub errand: Errand,
}

/// What an operator's phone called for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Errand {
    /// A code. It is carried out when the phone can hear what came of it.
    Code(Code),
    /// What came of the code is being said.
    Told,
    /// A colleague, or a number outside.
    Consult { peer: LegId },
    /// Listens in.
    Monitor { target: LegId },
}
