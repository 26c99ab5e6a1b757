//! What happened in a call, and when, seen from the phone.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::keys::KeyBy;
use crate::domain::{Codec, Key, RecordingId};

/// A fact and its time since the INVITE (of a [`Desk`](super::Desk): since it was started).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimelineEvent {
    #[serde(rename = "ms", serialize_with = "as_ms")]
    pub at: Duration,
    #[serde(flatten)]
    pub what: PhoneEvent,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum PhoneEvent {
    Invited,
    /// The status of a response to the INVITE.
    Status {
        code: u16,
        reason: String,
    },
    /// 200 and an agreement about the audio.
    Answered {
        codec: Codec,
        /// The other side takes keys as RFC 4733 events.
        telephone_event: bool,
    },
    /// The first RTP packet with audio.
    FirstAudio,
    KeySent {
        key: Key,
        by: KeyBy,
    },
    /// A key of the other side.
    KeyHeard {
        key: Key,
        by: KeyBy,
    },
    /// One of the tones that the phone listens for began; the time is that of the packet in which
    /// it began.
    ToneBegan {
        hz: u32,
    },
    /// It ended, or nothing comes any more.
    ToneEnded {
        hz: u32,
    },
    /// One of the recordings that the phone listens for ended.
    RecordingHeard {
        recording: RecordingId,
        /// To its end, not cut.
        complete: bool,
    },
    /// How far the other side is with a transfer that we asked for: the status of its own call.
    Transferring {
        code: u16,
    },
    /// The status of the answer to a request of ours within the call.
    Reply {
        method: String,
        code: u16,
    },
    /// A request of the other side within the call.
    Request {
        method: String,
    },
    /// Nothing more comes after this.
    Ended {
        why: Ending,
    },
}

/// How a call ended, seen from the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The other side sent BYE.
    ByServer,
    /// We sent BYE, and it was answered or timed out.
    ByUs,
    /// We gave up before the answer.
    Cancelled,
    /// A final response other than 2xx.
    Refused,
    /// We refused the call.
    Declined,
    /// The other side gave up before we answered (CANCEL).
    Withdrawn,
    /// No response within 64·T1 (32 s), or no audio could be agreed on.
    Failed,
}

impl PhoneEvent {
    /// One line for a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Invited => "INVITE sent".to_owned(),
            Self::Status { code, reason } => format!("{code} {reason}"),
            Self::Answered { codec, telephone_event: true } => {
                format!("answered, {} with telephone-event", codec.name())
            }
            Self::Answered { codec, telephone_event: false } => {
                format!("answered, {} without telephone-event", codec.name())
            }
            Self::FirstAudio => "first audio".to_owned(),
            Self::KeySent { key, by: KeyBy::Event } => format!("key {key} (event)"),
            Self::KeySent { key, by: KeyBy::Info } => format!("key {key} (INFO)"),
            Self::KeySent { key, by: KeyBy::Tone } => format!("key {key} (tone)"),
            Self::KeyHeard { key, .. } => format!("key {key} heard"),
            Self::ToneBegan { hz } => format!("a tone of {hz} Hz begins"),
            Self::ToneEnded { hz } => format!("the tone of {hz} Hz ends"),
            Self::RecordingHeard { recording, complete: true } => format!("{recording} heard"),
            Self::RecordingHeard { recording, complete: false } => {
                format!("{recording} heard, cut")
            }
            Self::Transferring { code } => format!("transfer: {code}"),
            Self::Reply { method, code } => format!("{code} for our {method}"),
            Self::Request { method } => format!("{method} from the server"),
            Self::Ended { why } => match why {
                Ending::ByServer => "the server hung up",
                Ending::ByUs => "we hung up",
                Ending::Cancelled => "cancelled",
                Ending::Refused => "refused",
                Ending::Declined => "we refused",
                Ending::Withdrawn => "the server gave up ringing",
                Ending::Failed => "failed: no usable answer",
            }
            .to_owned(),
        }
    }
}

fn as_ms<S: Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(super::playout::ms(*at))
}
