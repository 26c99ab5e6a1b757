//! The facts that make up the life of a call, as they are stored and shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    CallOutcome, CallerId, CallerName, Conversation, Decision, Key, Language, Login, PhoneNumber,
    PromiseId, PromiseKind, RecordingId, RingOutcome, Visit,
};

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    Caller,
    /// The operator who talked with the caller.
    Operator,
    /// The plan hung up, or refused the call.
    Plan,
    /// The server: shutdown, overload, a failure of ours.
    Server,
    /// Neither side meant it: media or signalling died.
    Network,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// A BYE in the ordinary way.
    HungUp,
    /// The caller gave up before the answer (CANCEL).
    Cancelled,
    /// The dialled number is not in the plan.
    UnknownNumber,
    /// The server had no room: ports, calls, or a drain under way.
    Busy,
    /// The 200 was never acknowledged within 64·T1 (RFC 3261 §13.3.1.4).
    NotAcknowledged,
    /// No RTP and no RTCP for 30 s while not on hold.
    MediaDied,
    /// The session timer ran out (RFC 4028).
    SessionExpired,
    /// A request of ours inside the dialog failed.
    SignallingFailed,
    /// The server was told to stop.
    Shutdown,
    /// The server died while the call was up; set at the next start.
    Lost,
    /// A fault of ours; the log says more.
    Failed,
    /// A call of ours that the customer did not take.
    NotReached,
}

/// The word that is stored: `hung-up`.
impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HungUp => "hung-up",
            Self::Cancelled => "cancelled",
            Self::UnknownNumber => "unknown-number",
            Self::Busy => "busy",
            Self::NotAcknowledged => "not-acknowledged",
            Self::MediaDied => "media-died",
            Self::SessionExpired => "session-expired",
            Self::SignallingFailed => "signalling-failed",
            Self::Shutdown => "shutdown",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::NotReached => "not-reached",
        })
    }
}

/// How a key reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// RFC 4733 telephone-event.
    Event,
    /// SIP INFO.
    Info,
    /// Tones in the audio.
    Tone,
}

/// What the RTP stream of a leg looked like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RtpStatistics {
    pub packets_sent: u64,
    pub packets_received: u64,
    /// By sequence numbers (RFC 3550 §A.3); never negative.
    pub packets_lost: u64,
    /// Interarrival jitter (RFC 3550 §A.8), milliseconds.
    pub jitter_ms: f32,
    /// Packets of strangers, and such that are no RTP.
    pub packets_refused: u64,
}

/// What became of the recording of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordingNote {
    /// Name of the file in the folder of the recordings.
    pub file: String,
    pub length_ms: u64,
    /// Stretches of the file, in milliseconds from its beginning, in which nothing was written
    /// down: `(from, to)`.
    pub paused: Vec<(u64, u64)>,
    /// Why it is incomplete: the disk was full, or too slow.
    pub problem: Option<String>,
}

/// One thing that happened to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CallFact {
    Offered {
        dialled: String,
        caller: CallerId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller_name: Option<CallerName>,
        plan: String,
    },
    /// A call of ours to a customer, because of a promise.
    Placed {
        /// The robot of the plan, or the kind of callback.
        purpose: String,
        customer: CallerId,
        promise: PromiseId,
        plan: String,
    },
    /// A call of ours was not taken by the customer.
    NotReached {
        outcome: CallOutcome,
    },
    Answered,
    /// The caller entered a number, step or menu of the plan.
    Step {
        name: String,
    },
    /// What the caller heard, noted when it ended: recordings, the same as a text, and for how
    /// long. `is_cut`: a key or the end of the call came before all of it was heard.
    Said {
        language: Language,
        recordings: Vec<RecordingId>,
        text: String,
        heard_ms: u64,
        is_cut: bool,
    },
    Key {
        key: Key,
        source: KeySource,
    },
    /// Digits that the caller typed for `ask`; only their number is kept.
    Entered {
        variable: String,
        digits: usize,
    },
    LookedUp {
        what: String,
        outcome: String,
        took_ms: u64,
    },
    /// The call reached a group's line.
    Queued {
        group: String,
    },
    /// The line chose whom to ring, or nobody, and why.
    Decided(Decision),
    /// An operator's phone stopped ringing without a conversation.
    NotTaken {
        operator: Login,
        outcome: RingOutcome,
        rang_ms: u64,
    },
    /// The caller and an operator hear each other.
    Connected {
        operator: Login,
    },
    /// The stay in a group's line is over.
    LeftLine(Visit),
    /// An operator sent the call on: to an extension, a group or a number.
    Transferred {
        by: Login,
        to: String,
        attended: bool,
    },
    /// An operator's part is over, wrap-up included.
    Conversed(Conversation),
    /// After the conversation the caller was asked in the same call how it was.
    Asked {
        survey: String,
    },
    /// A file with the conversation was closed.
    Recorded(RecordingNote),
    /// The caller was told that something will be done.
    Promised {
        promise: PromiseKind,
        due: String,
        /// Whom to call, if not the number that called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<PhoneNumber>,
    },
    Ended {
        by: EndedBy,
        reason: EndReason,
    },
    Rtp(RtpStatistics),
}

impl CallFact {
    /// The word by which it is stored: `looked-up`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Offered { .. } => "offered",
            Self::Placed { .. } => "placed",
            Self::NotReached { .. } => "not-reached",
            Self::Answered => "answered",
            Self::Step { .. } => "step",
            Self::Said { .. } => "said",
            Self::Key { .. } => "key",
            Self::Entered { .. } => "entered",
            Self::LookedUp { .. } => "looked-up",
            Self::Queued { .. } => "queued",
            Self::Decided(_) => "decided",
            Self::NotTaken { .. } => "not-taken",
            Self::Connected { .. } => "connected",
            Self::LeftLine(_) => "left-line",
            Self::Transferred { .. } => "transferred",
            Self::Conversed(_) => "conversed",
            Self::Asked { .. } => "asked",
            Self::Recorded(_) => "recorded",
            Self::Promised { .. } => "promised",
            Self::Ended { .. } => "ended",
            Self::Rtp(_) => "rtp",
        }
    }
}
