//! What waiting callers hear without the plan naming it: needed as soon as a group has the part.

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
