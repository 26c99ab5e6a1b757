//! What a call does that outlives it. The flow asks with a [`Deed`]; whoever drives it takes the deeds
//! after each call of a method, as it takes the requests to the line.

use crate::domain::{PhoneNumber, PromiseKind, Timestamp};

/// Something that outlives the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Stored before it is spoken of: answered by `Flow::on_deed_done`.
    Promise {
        kind: PromiseKind,
        /// By the wall clock.
        due: Timestamp,
        /// Not tried before; for a time that the caller named, and for the hour after an opening.
        not_before: Option<Timestamp>,
        group: Option<String>,
        /// Whom to call, if not the number that called.
        number: Option<PhoneNumber>,
    },
    /// Stored before it is thanked for: answered by `Flow::on_deed_done`.
    Rated {
        survey: String,
        score: u8,
    },
    /// Never again. No answer.
    DoNotCall,
    /// No answer.
    Bonus {
        points: i64,
        reason: String,
    },
    /// No answer.
    OrderStatus {
        order: String,
        status: String,
    },
    /// Writes down what the caller says; ends with the [`Deed::StopMessage`] that follows. No answer.
    Message {
        max_ms: u64,
    },
    StopMessage,
}
