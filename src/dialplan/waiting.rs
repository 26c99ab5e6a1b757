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

// What a line says by itself. The lists below tell which part of a group needs which recordings.
pub const ALL_BUSY: &str = "phrase/all-busy";
pub const OPERATOR_LOST: &str = "phrase/operator-lost";
pub const YOUR_PLACE: &str = "phrase/your-place";
pub const YOU_ARE_NEXT: &str = "phrase/you-are-next";
pub const WAIT_ABOUT: &str = "phrase/wait-about";
pub const WAIT_UNDER_A_MINUTE: &str = "phrase/wait-under-a-minute";
pub const RECORDING_REFUSED: &str = "phrase/recording-refused";
pub const OFFER_CALLBACK: &str = "phrase/offer-callback";
pub const CALLBACK_NUMBER: &str = "phrase/callback-number";
pub const ENTER_PHONE: &str = "phrase/enter-phone";
pub const YOU_ENTERED: &str = "phrase/you-entered";
pub const PRESS_1_IF_RIGHT: &str = "phrase/press-1-if-right";
pub const CALLBACK_PROMISED: &str = "phrase/callback-promised";
pub const STILL_BUSY: &str = "phrase/still-busy";

/// In any line.
pub const LINE: Heard = Heard { recordings: &[ALL_BUSY, OPERATOR_LOST], formats: &[] };

/// `tell "place"`
pub const PLACE: Heard =
    Heard { recordings: &[YOUR_PLACE, YOU_ARE_NEXT], formats: &[("the place", Format::Number)] };

/// `tell "estimate"`
pub const ESTIMATE: Heard = Heard {
    recordings: &[WAIT_ABOUT, WAIT_UNDER_A_MINUTE],
    formats: &[("the estimate", Format::Duration)],
};

/// `record refuse-key="9"`
pub const REFUSAL: Heard = Heard { recordings: &[RECORDING_REFUSED], formats: &[] };

/// `offer-callback`
pub const CALLBACK: Heard = Heard {
    recordings: &[
        OFFER_CALLBACK,
        CALLBACK_NUMBER,
        ENTER_PHONE,
        YOU_ENTERED,
        PRESS_1_IF_RIGHT,
        CALLBACK_PROMISED,
        STILL_BUSY,
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
