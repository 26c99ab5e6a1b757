//! What the house owes a customer: a call back, a question, a reminder, a solved incident.
//!
//! All are one thing, a [`Promise`]: to whom, why, due when, owed by which group, with every
//! [`Attempt`] to keep it. Times here are those of the [`Calendar`](super::Calendar): what the wall
//! clock says.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{CallId, Login, PhoneNumber, PromiseId, RingOutcome, Timestamp};

/// Why a customer is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromiseKind {
    /// The caller asked for it, perhaps at a named time.
    CallbackOrdered,
    /// The caller left the line and keeps the place in it.
    CallbackFromLine,
    /// The caller hung up before anybody answered.
    CallbackMissed,
    /// The shop was closed.
    CallbackAfterHours,
    /// The customer was not content.
    CallbackLowRating,
    /// A robot asks how the conversation was.
    RatingCall,
    /// A robot tells or asks something that an event of the shop gave rise to.
    Reminder,
    /// Something went wrong with an order: an operator talks with the customer about it.
    Incident,
}

impl PromiseKind {
    pub const ALL: [Self; 8] = [
        Self::CallbackOrdered,
        Self::CallbackFromLine,
        Self::CallbackMissed,
        Self::CallbackAfterHours,
        Self::CallbackLowRating,
        Self::RatingCall,
        Self::Reminder,
        Self::Incident,
    ];

    /// As plans, tables and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallbackOrdered => "callback-ordered",
            Self::CallbackFromLine => "callback-from-line",
            Self::CallbackMissed => "callback-missed",
            Self::CallbackAfterHours => "callback-after-hours",
            Self::CallbackLowRating => "callback-low-rating",
            Self::RatingCall => "rating-call",
            Self::Reminder => "reminder",
            Self::Incident => "incident",
        }
    }

    /// Whether it comes of a call that anybody may make, in the name of any number.
    pub fn is_asked_for(self) -> bool {
        match self {
            Self::CallbackOrdered
            | Self::CallbackFromLine
            | Self::CallbackMissed
            | Self::CallbackAfterHours => true,
            Self::CallbackLowRating | Self::Incident | Self::RatingCall | Self::Reminder => false,
        }
    }

    /// Whether a human must talk with the customer; else a robot does.
    pub fn is_human(self) -> bool {
        match self {
            Self::CallbackOrdered
            | Self::CallbackFromLine
            | Self::CallbackMissed
            | Self::CallbackAfterHours
            | Self::CallbackLowRating
            | Self::Incident => true,
            Self::RatingCall | Self::Reminder => false,
        }
    }
}

impl fmt::Display for PromiseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PromiseKind {
    type Err = String;

    /// Its name; `callback` is short for `callback-ordered`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "callback" {
            return Ok(Self::CallbackOrdered);
        }
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("\"{text}\" is not a kind of promise: {known}")
        })
    }
}

/// Where a promise is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromiseState {
    /// Made, and not planned yet.
    Open,
    /// The next attempt has a time, or waits for an operator.
    Scheduled,
    /// The customer is being called.
    Attempting,
    /// Somebody talks with the customer.
    Talking,
    /// Somebody spoke with the customer, perhaps in a call of the customer's own, before the due time.
    Kept,
    /// The same, but too late.
    Broken,
    /// Not wanted any more: the customer wants no such calls, or the plan has no such robot.
    Cancelled,
    /// The customer was not reached in as many attempts as the plan allows.
    GivenUp,
}

impl PromiseState {
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Scheduled,
        Self::Attempting,
        Self::Talking,
        Self::Kept,
        Self::Broken,
        Self::Cancelled,
        Self::GivenUp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Scheduled => "scheduled",
            Self::Attempting => "attempting",
            Self::Talking => "talking",
            Self::Kept => "kept",
            Self::Broken => "broken",
            Self::Cancelled => "cancelled",
            Self::GivenUp => "given-up",
        }
    }

    /// Whether nothing will be done any more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Open | Self::Scheduled | Self::Attempting | Self::Talking => false,
            Self::Kept | Self::Broken | Self::Cancelled | Self::GivenUp => true,
        }
    }
}

impl fmt::Display for PromiseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PromiseState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| format!("\"{text}\" is not a state of a promise"))
    }
}

/// Something owed to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Promise {
    pub id: PromiseId,
    pub kind: PromiseKind,
    /// The survey, robot or incident of the plan that it belongs to; empty for callbacks.
    pub name: String,
    pub phone: PhoneNumber,
    /// Whose operators talk with the customer.
    pub group: Option<String>,
    /// The file of the plan by whose rules it is kept.
    pub script: String,
    pub made: Timestamp,
    /// The conversation must have begun by then.
    pub due: Timestamp,
    pub state: PromiseState,
    /// Not tried before; `None`: as soon as it is allowed.
    pub next_at: Option<Timestamp>,
    /// How many attempts were begun; the number of the last one.
    pub attempts: u32,
    /// How many of them do not count against `tries`: the customer's phone never rang.
    #[serde(default)]
    pub not_counted: u32,
    /// The place in the line that waits for this customer.
    pub place: Option<LinePlace>,
    pub about: About,
    /// Names the event that it came of; a second promise of the same key is never made.
    pub event: Option<String>,
    /// When somebody began to talk with the customer.
    pub contacted: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Whether supervisors were told that it will be late.
    pub escalated: bool,
    /// Whether they were told that its due time passed.
    #[serde(default)]
    pub overdue: bool,
    /// Why it stands as it does, for people: `busy; again at 12:40`.
    pub note: String,
    /// Made while the server ran on a rehearsal clock.
    pub rehearsal: bool,
}

/// A place in a group's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LinePlace {
    /// When the caller came into the line.
    pub entered: Timestamp,
    /// The points of priority that the caller had.
    pub priority: i32,
}

/// What a promise came of and is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct About {
    /// The call in which it was made, or which is to be rated.
    pub call: Option<CallId>,
    /// Who talked with the customer then.
    pub operator: Option<Login>,
    /// The group through which they met.
    pub group: Option<String>,
    /// The topic of that conversation.
    pub topic: Option<String>,
    /// What the customer answered, 1 to 5.
    pub rating: Option<u8>,
    /// The customer's time zone, an IANA name.
    pub timezone: Option<String>,
    /// The fields of the event, as texts: `order` → `48-15`.
    pub values: BTreeMap<String, String>,
    /// The file of a message that the caller left.
    pub message: Option<String>,
}

/// One call of the customer, stored before it is dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attempt {
    pub promise: PromiseId,
    /// From 1.
    pub number: u32,
    pub call: CallId,
    pub at: Timestamp,
    /// `None`: under way, or cut off by the death of the server.
    pub outcome: Option<CallOutcome>,
    pub ended: Option<Timestamp>,
    /// Who talked with the customer, or was to.
    pub operator: Option<Login>,
}

/// What came of calling a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallOutcome {
    /// Somebody talked with the customer, or the customer pressed a key for the robot.
    Answered,
    Busy,
    NoAnswer,
    /// The customer refused the call.
    Rejected,
    /// There is no such number.
    Unallocated,
    /// The network refuses such calls (603, 607, 608).
    Blocked,
    /// Picked up, but nobody pressed a key.
    VoicemailSuspected,
    /// No trunk took the call: the customer's phone never rang.
    Congested,
    /// The call broke, or was cut off by a failure of ours.
    Failed,
    /// We gave it up: the operator or the customer was faster.
    Withdrawn,
}

impl CallOutcome {
    pub const ALL: [Self; 10] = [
        Self::Answered,
        Self::Busy,
        Self::NoAnswer,
        Self::Rejected,
        Self::Unallocated,
        Self::Blocked,
        Self::VoicemailSuspected,
        Self::Congested,
        Self::Failed,
        Self::Withdrawn,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Rejected => "rejected",
            Self::Unallocated => "unallocated",
            Self::Blocked => "blocked",
            Self::VoicemailSuspected => "voicemail-suspected",
            Self::Congested => "congested",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether the customer's phone rang, so that the attempt counts against `tries`.
    pub fn counts(self) -> bool {
        match self {
            Self::Answered
            | Self::Busy
            | Self::NoAnswer
            | Self::Rejected
            | Self::Unallocated
            | Self::Blocked
            | Self::VoicemailSuspected
            | Self::Failed => true,
            Self::Congested | Self::Withdrawn => false,
        }
    }
}

impl fmt::Display for CallOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CallOutcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.name() == text)
            .ok_or_else(|| format!("\"{text}\" is not an outcome of a call"))
    }
}

/// What a phone that was dialled by a trunk did.
impl From<RingOutcome> for CallOutcome {
    fn from(outcome: RingOutcome) -> Self {
        match outcome {
            RingOutcome::NoAnswer => Self::NoAnswer,
            RingOutcome::Busy => Self::Busy,
            RingOutcome::Rejected => Self::Rejected,
            RingOutcome::Unallocated => Self::Unallocated,
            RingOutcome::Blocked => Self::Blocked,
            RingOutcome::Congested | RingOutcome::Unreachable => Self::Congested,
            RingOutcome::Failed => Self::Failed,
            RingOutcome::Withdrawn => Self::Withdrawn,
        }
    }
}

/// What a customer thought of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rating {
    /// The survey of the plan.
    pub survey: String,
    /// 1 to 5
    pub score: u8,
    /// The call with the conversation that is rated.
    pub call: Option<CallId>,
    /// `None`: asked in the same call.
    pub promise: Option<PromiseId>,
    pub operator: Option<Login>,
    pub group: Option<String>,
    pub topic: Option<String>,
}

/// Something that happened in the shop: an order changed, a balance is low.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ShopEvent {
    /// Its key among all events; the same key again is the same event.
    pub key: String,
    /// `balance.low`
    pub name: String,
    pub phone: PhoneNumber,
    /// All further fields, as texts.
    pub values: BTreeMap<String, String>,
}

impl ShopEvent {
    /// The key of an event to which its source gave this id. Events of different names may have the
    /// same id.
    pub fn key_of(name: &str, id: &str) -> String {
        format!("{name}:{id}")
    }
}

/// Who is not to be called, and by what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DoNotCall {
    pub phone: PhoneNumber,
    /// A survey or robot of the plan; `None`: by no robot at all.
    pub robot: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in PromiseKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        for state in PromiseState::ALL {
            assert_eq!(state.name().parse(), Ok(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
        for outcome in CallOutcome::ALL {
            assert_eq!(outcome.name().parse(), Ok(outcome));
            assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{outcome}\""));
        }
        assert_eq!("callback".parse(), Ok(PromiseKind::CallbackOrdered));
        assert!("callbak".parse::<PromiseKind>().is_err());
    }
}
