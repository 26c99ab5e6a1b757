//! The formats of the dialplan and the values they speak.

use jiff::civil::{Date, DateTime};

use super::Catalogue;
use crate::domain::{Language, Money, RecordingId};

/// How a value is spoken: the word behind the colon in `"{customer.points:points}"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    Points,
    Rubles,
    Digits,
    Number,
    Date,
    Day,
    Time,
    Duration,
    Minutes,
    Status,
}

/// Something to be spoken.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(i64),
    Money(Money),
    Text(String),
    Date(Date),
    DateTime(DateTime),
    /// Seconds.
    Duration(u64),
}

/// What will be heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    pub recordings: Vec<RecordingId>,
    /// The same for a reader: `1254 балла`, `48-15`, `передан в доставку`.
    pub text: String,
}

/// Why a value can't be spoken in this format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unspeakable {
    #[error("{0} is out of the range that can be spoken (0 to 999,999,999)")]
    OutOfRange(i64),
    #[error("a {value} can't be spoken as {format}")]
    WrongKind { value: &'static str, format: &'static str },
    #[error("nothing in the value can be spoken")]
    Empty,
}

/// Speaks `value` as `format`. `today` decides between «сегодня», «завтра» and a date.
pub fn speak(
    _language: Language,
    _format: Format,
    _value: &Value,
    _today: Date,
    _catalogue: &Catalogue,
) -> Result<Spoken, Unspeakable> {
    todo!()
}
