//! What customers hear without the plan naming it: in the line, as soon as a group has the part, at
//! the end of a conversation, and when they are called back.

use crate::domain::PromiseKind;
use crate::speech::Format;

/// Recordings, and formats of values.
#[derive(Debug)]
pub struct Heard {
    pub recordings: &'static [&'static str],
    pub formats: &'static [(&'static str, Format)],
}

/// In any line.
pub const LINE: Heard =
    Heard { recordings: &["phrase/all-busy", "phrase/operator-lost"], formats: &[] };

/// `tell "place"`
pub const PLACE: Heard = Heard {
    recordings: &["phrase/your-place", "phrase/you-are-next"],
    formats: &[("the place", Format::Number)],
};

/// `tell "estimate"`
pub const ESTIMATE: Heard = Heard {
    recordings: &["phrase/wait-about", "phrase/wait-under-a-minute"],
    formats: &[("the estimate", Format::Duration)],
};

/// `record refuse-key="9"`
pub const REFUSAL: Heard = Heard { recordings: &["phrase/recording-refused"], formats: &[] };

/// `offer-callback`
pub const CALLBACK: Heard = Heard {
    recordings: &[
        "phrase/offer-callback",
        "phrase/callback-number",
        "phrase/enter-phone",
        "phrase/you-entered",
        "phrase/press-1-if-right",
        "phrase/callback-promised",
        "phrase/still-busy",
    ],
    formats: &[("the number", Format::Digits)],
};

/// `rate "…"`, instead of what the survey says.
pub const RATE: &str = "phrase/rate-same-call";

/// `message`, when the caller may speak.
pub const BEEP: &str = "tone/beep";

/// Said to a customer who is called back, with `press`, behind the greeting.
pub const PRESS: &str = "phrase/callback-press-1";

/// What a customer who is called back hears first; `None`: no human calls for this.
pub fn called_back(kind: PromiseKind) -> Option<&'static str> {
    match kind {
        PromiseKind::CallbackOrdered | PromiseKind::CallbackFromLine => {
            Some("phrase/callback-ordered")
        }
        PromiseKind::CallbackMissed | PromiseKind::CallbackAfterHours => {
            Some("phrase/callback-missed")
        }
        PromiseKind::CallbackLowRating => Some("phrase/callback-low-rating"),
        PromiseKind::Incident => Some("phrase/callback-incident"),
        PromiseKind::RatingCall | PromiseKind::Reminder => None,
    }
}
