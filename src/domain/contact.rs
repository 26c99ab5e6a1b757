//! A caller's stay in a group's line, and the conversation that came of it: what reports count.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Login, Timestamp};

/// How a caller came into the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    #[default]
    Called,
    /// Called again soon after hanging up in the line, and got the old place back.
    CameBack,
    /// An operator transferred the call to the group.
    Transferred,
    /// The connection to the operator broke; at the head of the line.
    OperatorLost,
    /// The customer is not on the line: we call when the turn comes.
    Callback,
}

/// How a stay in the line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineOutcome {
    /// A human was connected.
    Answered,
    /// The caller hung up.
    Abandoned,
    /// The caller asked to be called back and keeps the place.
    Callback,
    /// Nobody was logged in.
    Nobody,
    /// The line was full.
    Full,
    /// The call ended for another reason: a failure, the shutdown.
    Lost,
    /// A customer who was to be called back was not reached, or not needed any more.
    NotReached,
}

/// For people: `answered`.
impl fmt::Display for LineOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "answered",
            Self::Abandoned => "the caller hung up",
            Self::Callback => "will be called back",
            Self::Nobody => "nobody was logged in",
            Self::Full => "the line was full",
            Self::Lost => "lost",
            Self::NotReached => "the customer was not reached",
        })
    }
}

/// One stay in a group's line. Written when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Visit {
    pub group: String,
    pub origin: Origin,
    /// When the caller entered the line: where the clock of the wait starts.
    pub entered: Timestamp,
    /// From `entered` to the connection with a human, or to the end.
    pub wait_ms: u64,
    pub outcome: LineOutcome,
    /// Who answered.
    pub operator: Option<Login>,
}

/// One conversation of an operator with a caller. Written when its wrap-up ends. A transfer ends
/// the first operator's conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Conversation {
    pub operator: Login,
    /// `None`: not through a group (a personal manager, an extension).
    pub group: Option<String>,
    pub began: Timestamp,
    /// Without hold.
    pub talk_ms: u64,
    pub hold_ms: u64,
    pub wrap_up_ms: u64,
    /// The topic code that the operator typed afterwards.
    pub topic: Option<String>,
}
