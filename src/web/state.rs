//! What `/api/state` and `/api/groups/{group}/why` answer. Times are UTC milliseconds since 1970,
//! lengths of time milliseconds. Phone numbers are masked by their type.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::domain::{
    CallId, CallerId, CallerName, Extension, Login, Origin, PhoneNumber, Pii, Timestamp, Verdict,
};

/// The house at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StateSnapshot {
    pub at: Timestamp,
    /// Calls that are up, in whatever part of the plan.
    pub calls: u64,
    /// By name.
    pub groups: Vec<GroupState>,
    /// By login, those who are logged out included.
    pub operators: Vec<OperatorView>,
}

/// A group and its line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupState {
    pub name: String,
    /// Since midnight of the plan's time zone.
    pub today: LevelToday,
    /// Everybody who waits, the next one first.
    pub line: Vec<WaitingView>,
    /// Callers who asked to be called back and keep their place.
    pub callbacks: u64,
}

impl GroupState {
    /// The wait of the one who has waited longest; 0 when nobody waits.
    pub fn longest_wait_ms(&self) -> u64 {
        self.line.iter().map(|caller| caller.waited_ms).max().unwrap_or(0)
    }
}

/// The service level of the day with what is needed to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LevelToday {
    /// `of-offered` …, as plans name it.
    pub formula: String,
    pub numerator: u64,
    /// 0: there is no level yet.
    pub denominator: u64,
    /// What the group aims at, 0 to 100.
    pub target_percent: u8,
    /// An answer after this wait is still in time.
    pub within_ms: u64,
    /// Callers who were answered or left unanswered.
    pub offered: u64,
    pub answered: u64,
    pub abandoned: u64,
}

/// A caller who waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WaitingView {
    pub call: CallId,
    /// `+7916•••4567`, `anonymous`.
    pub caller: Masked,
    /// The name that came with the call: `А•••`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<Masked>,
    /// 1 for the next one.
    pub place: u64,
    pub waited_ms: u64,
    pub priority: i32,
    /// Somebody's phone rings for this caller.
    pub is_ringing: bool,
    pub origin: Origin,
}

/// A caller's number or name that can only be seen masked.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Masked(String);

impl From<&CallerId> for Masked {
    fn from(caller: &CallerId) -> Self {
        Self(Pii(caller).to_string())
    }
}

impl From<&CallerName> for Masked {
    fn from(name: &CallerName) -> Self {
        Self(Pii(name).to_string())
    }
}

impl From<&PhoneNumber> for Masked {
    fn from(number: &PhoneNumber) -> Self {
        Self(Pii(number).to_string())
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OperatorView {
    pub login: Login,
    pub name: String,
    pub extension: Option<Extension>,
    /// The groups whose calls this operator takes.
    pub groups: Vec<String>,
    #[serde(flatten)]
    pub now: OperatorNow,
}

/// Where an operator is in the work of taking calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OperatorNow {
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
    /// Kept free for a customer who is being called back.
    Reserved {
        call: CallId,
        since: Timestamp,
    },
    /// Without a call: one of the operator's own.
    Talking {
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

impl OperatorNow {
    /// All names, as they stand in JSON and in labels of metrics.
    pub const NAMES: [&'static str; 8] =
        ["offline", "unreachable", "ready", "ringing", "reserved", "talking", "wrap-up", "paused"];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Unreachable => "unreachable",
            Self::Ready { .. } => "ready",
            Self::Ringing { .. } => "ringing",
            Self::Reserved { .. } => "reserved",
            Self::Talking { .. } => "talking",
            Self::WrapUp { .. } => "wrap-up",
            Self::Paused { .. } => "paused",
        }
    }
}

/// Why somebody is rung for a group or nobody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupWhy {
    pub group: String,
    /// Callers in the line, those for whom a phone rings included.
    pub waiting: u64,
    /// Callers for whom a phone rings.
    pub ringing: u64,
    /// The first caller for whom nobody is rung; the operators are judged for this one. `None`: for
    /// any caller.
    pub call: Option<CallId>,
    /// What was found of each operator who may take the caller.
    pub candidates: BTreeMap<Login, CandidateView>,
}

/// What was found of one operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CandidateView {
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The same for people: `wrap-up, 7 s left`.
    pub words: String,
}
