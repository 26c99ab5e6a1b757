//! What the ledger is told and what it asks for.

use std::sync::Arc;

use crate::dialplan::plan::{CallbackRules, Robot, Script};
use crate::domain::{
    About, Attempt, CallId, LinePlace, PhoneNumber, Promise, PromiseId, PromiseKind, Timestamp,
};

use super::super::event::PromiseNews;

/// A promise that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPromise {
    /// Taken if a new promise comes of it.
    pub id: PromiseId,
    pub kind: PromiseKind,
    /// The survey, robot or incident of the plan; empty for callbacks.
    pub name: String,
    pub phone: PhoneNumber,
    pub group: Option<String>,
    /// The file of the plan by whose rules it is kept.
    pub script: String,
    /// A robot that may not call before then has `within` from the moment at which it may.
    pub due: Timestamp,
    /// Not tried before. Promises that may be kept within half an hour or more from then are spread
    /// over it, so that not all of them are tried when the shop opens.
    pub not_before: Option<Timestamp>,
    pub place: Option<LinePlace>,
    pub about: About,
    /// Names the event that it comes of.
    pub event: Option<String>,
}

/// What became of a [`NewPromise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    New,
    /// The customer is owed this already.
    Already(PromiseId),
    Refused(NotMade),
}

/// Why something was not promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMade {
    #[error("the customer wants no such calls")]
    Forbidden,
    #[error("the customer was called often enough lately")]
    CalledOften,
    #[error("the plan allows no calls to this number")]
    NotAllowed,
    #[error("too much is promised already")]
    Full,
}

/// What the ledger asks of the house.
#[derive(Clone, Debug)]
pub enum PromiseAct {
    /// Keep it as it stands now. Answered by `Ledger::stored`.
    Store(Box<Promise>),
    /// Keep an attempt: at its beginning, which is answered by
    /// `Ledger::attempt_stored`, and with its outcome.
    StoreAttempt(Attempt),
    /// A robot calls the customer now: the attempt is stored. Ends in
    /// `Ledger::called`.
    CallByRobot { promise: Box<Promise>, attempt: Attempt, robot: Arc<Robot>, script: Arc<Script> },
    /// The promise waits for an operator: its ticket goes into the group's line. Ends in
    /// `Ledger::left_line`, or in [`Ledger::reserve`](super::Ledger::reserve).
    EnterLine { promise: Box<Promise>, rules: Arc<CallbackRules>, script: Arc<Script> },
    /// It does not wait any more: its ticket leaves the line. No answer.
    LeaveLine { promise: PromiseId },
    /// The customer of a promise for which an operator was reserved is dialled now: the attempt is
    /// stored. Ends in `Ledger::called`.
    CallByHuman { promise: Box<Promise>, attempt: Attempt },
    /// A call that was asked for, or for which an operator was reserved, is not wanted any more:
    /// hang up, unless somebody talks. Ends in `Ledger::called` if the customer was dialled; a
    /// `called` that comes nevertheless does no harm.
    CallOff { promise: PromiseId, call: CallId },
    /// Tell those who watch.
    Tell { promise: Box<Promise>, news: PromiseNews },
}

/// How far a robot has come, for its progress bar. All numbers count promises made since `since`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotStatus {
    pub name: String,
    pub is_stopped: bool,
    /// Not over yet.
    pub left: usize,
    /// Calls that are up.
    pub up: usize,
    /// Over, however they ended.
    pub done: usize,
    /// The customer pressed a key.
    pub answered: usize,
    /// The customer wants no more such calls.
    pub opted_out: usize,
    /// When the last one will probably be done; `None`: nobody can tell yet.
    pub ends: Option<Timestamp>,
    pub since: Timestamp,
}
