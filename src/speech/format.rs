//! The formats of the dialplan and the values they speak.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time, date};

use super::utterance::{NUMBER_MAX, NearDay, Unit, Utterance};
use super::{Catalogue, english, russian};
use crate::domain::{Language, Money, RecordingId};

/// How a value is spoken: the word behind the colon in `"{customer.points:points}"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// «тысяча двести пятьдесят четыре балла»
    Points,
    /// «две тысячи триста сорок один рубль пятьдесят копеек»; no kopecks are said when there are
    /// none, and no rubles when there are only kopecks.
    Rubles,
    /// «четыре восемь один пять» for `48-15`. A letter is spelled if there is a recording
    /// `letter/x`, and skipped otherwise, as is everything else.
    Digits,
    /// «тысяча двести пятьдесят четыре»
    Number,
    /// Until when or on which date: «двадцать первого ноября».
    Date,
    /// Which day it is: «сегодня», «завтра», «вчера», else «двадцать первое ноября».
    Day,
    /// «четырнадцать часов тридцать минут», "fourteen thirty"
    Time,
    /// Seconds below a minute, else minutes rounded up, with hours above 60:
    /// «один час пять минут».
    Duration,
    /// A number of minutes, or a duration rounded up to minutes: «семьдесят пять минут».
    Minutes,
    /// The recording `status/WORD`; `status/unknown` if there is no such recording.
    Status,
}

impl Format {
    pub const ALL: [Self; 10] = [
        Self::Points,
        Self::Rubles,
        Self::Digits,
        Self::Number,
        Self::Date,
        Self::Day,
        Self::Time,
        Self::Duration,
        Self::Minutes,
        Self::Status,
    ];

    /// The word that names it in dialplans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Rubles => "rubles",
            Self::Digits => "digits",
            Self::Number => "number",
            Self::Date => "date",
            Self::Day => "day",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Minutes => "minutes",
            Self::Status => "status",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word behind the colon that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a format; use points, rubles, digits, number, date, day, time, duration, \
     minutes or status"
)]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// Something to be spoken.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(i64),
    Money(Money),
    /// Spoken as any format that it can be read as: `1254`, `2341.50`, `2026-11-21`, `14:30`.
    Text(String),
    Date(Date),
    DateTime(DateTime),
    /// Seconds.
    Duration(u64),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Money(_) => "sum of money",
            Self::Text(_) => "text",
            Self::Date(_) => "date",
            Self::DateTime(_) => "date and time",
            Self::Duration(_) => "duration",
        }
    }
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
///
/// Every recording of the answer is one of [`needed`], or is in the catalogue.
pub fn speak(
    language: Language,
    format: Format,
    value: &Value,
    today: Date,
    catalogue: &Catalogue,
) -> Result<Spoken, Unspeakable> {
    match format {
        Format::Digits => digits(language, value, catalogue),
        Format::Status => status(language, value, catalogue),
        _ => {
            let utterance = utterance(format, value, today)?;
            Ok(match language {
                Language::Russian => Spoken {
                    recordings: russian::recordings(&utterance),
                    text: russian::text(&utterance),
                },
                Language::English => Spoken {
                    recordings: english::recordings(&utterance),
                    text: english::text(&utterance),
                },
            })
        }
    }
}

/// The texts of recordings that are heard one after another, as one text: the punctuation between
/// pieces goes, but sentences stay sentences. A recording without a text is named by its id.
pub fn spoken_text(
    language: Language,
    recordings: &[RecordingId],
    catalogue: &Catalogue,
) -> String {
    let mut joined = String::new();
    for id in recordings {
        let text = catalogue.text(language, id).unwrap_or(id.as_str());
        if joined.ends_with('.') && !text.starts_with(char::is_uppercase) {
            joined.pop();
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(text.trim_end_matches(','));
    }
    joined.truncate(joined.trim_end_matches('.').len());
    joined
}

/// The words that have a recording `status/WORD`, in alphabetical order.
pub fn statuses(catalogue: &Catalogue, language: Language) -> Vec<&str> {
    catalogue.ids(language).filter_map(|id| id.as_str().strip_prefix("status/")).collect()
}

/// Order statuses that every shop has. [`statuses`] may know more.
pub const COMMON_STATUSES: [&str; 16] = [
    "assembling",
    "awaiting-payment",
    "cancelled",
    "confirmed",
    "delayed",
    "delivered",
    "in-transit",
    "item-not-found",
    "new",
    "paid",
    "ready",
    "refunded",
    "returned",
    "shipped",
    "unknown",
    "with-courier",
];

/// Every recording that a value of this format can need: all numbers from 0 to 999,999,999, all
/// dates, all digits, the [`COMMON_STATUSES`]. Ordered by id. Takes milliseconds.
pub fn needed(format: Format, language: Language) -> Vec<RecordingId> {
    let ids: BTreeSet<RecordingId> = match format {
        Format::Digits => (0..10)
            .flat_map(|d| [format!("digit/{d}"), format!("digit-end/{d}")])
            .map(RecordingId::new)
            .collect(),
        Format::Status => {
            COMMON_STATUSES.iter().map(|word| RecordingId::new(format!("status/{word}"))).collect()
        }
        _ => {
            let recordings = match language {
                Language::Russian => russian::recordings,
                Language::English => english::recordings,
            };
            samples(format).iter().flat_map(recordings).collect()
        }
    };
    ids.into_iter().collect()
}

/// Utterances that together use each recording that any utterance of the format uses.
fn samples(format: Format) -> Vec<Utterance> {
    let counts = |unit| covering_numbers().map(move |n| Utterance::Counts(vec![(unit, n)]));
    match format {
        Format::Points => counts(Unit::Point).collect(),
        Format::Minutes => counts(Unit::Minute).collect(),
        Format::Rubles => {
            let kopecks = (1..100).map(|n| Utterance::Counts(vec![(Unit::Kopeck, n)]));
            let both = covering_numbers()
                .skip(1)
                .map(|n| Utterance::Counts(vec![(Unit::Ruble, n), (Unit::Kopeck, 1)]));
            counts(Unit::Ruble).chain(both).chain(kopecks).collect()
        }
        Format::Duration => {
            let below_hour = (0..3_600).map(span);
            below_hour.chain(counts(Unit::Hour).skip(1)).collect()
        }
        Format::Number => covering_numbers().map(Utterance::Number).collect(),
        Format::Date => days_of_a_leap_year().map(Utterance::OnDate).collect(),
        Format::Day => {
            let near = NearDay::ALL.into_iter().map(Utterance::NearDay);
            near.chain(days_of_a_leap_year().map(Utterance::NamedDate)).collect()
        }
        Format::Time => (0..24)
            .flat_map(|hour| (0..60).map(move |minute| Utterance::Clock { hour, minute }))
            .collect(),
        Format::Digits | Format::Status => Vec::new(),
    }
}

/// Each group of three digits is spoken by itself; only whether something came before matters.
fn covering_numbers() -> impl Iterator<Item = u32> {
    (0..1_000)
        .chain((1..1_000).flat_map(|n| [n * 1_000, 1_000_000 + n * 1_000]))
        .chain((1..1_000).map(|n| n * 1_000_000))
}

fn days_of_a_leap_year() -> impl Iterator<Item = Date> {
    date(2024, 1, 1).series(jiff::Span::new().days(1)).take(366)
}

/// Reads the value as what the format speaks.
fn utterance(format: Format, value: &Value, today: Date) -> Result<Utterance, Unspeakable> {
    let wrong_kind = || Unspeakable::WrongKind { value: value.kind(), format: format.name() };
    if let Value::Text(text) = value {
        let text = text.trim();
        if text.is_empty() {
            return Err(Unspeakable::Empty);
        }
        let read = read_text(format, text).ok_or_else(wrong_kind)?;
        return utterance(format, &read, today);
    }
    let count = |unit, n| Utterance::Counts(vec![(unit, n)]);
    match (format, value) {
        (Format::Points, Value::Number(n)) => Ok(count(Unit::Point, in_range(*n)?)),
        (Format::Number, Value::Number(n)) => Ok(Utterance::Number(in_range(*n)?)),
        (Format::Minutes, Value::Number(n)) => Ok(count(Unit::Minute, in_range(*n)?)),
        (Format::Minutes, Value::Duration(seconds)) => {
            Ok(count(Unit::Minute, seconds_in_range(*seconds)?.div_ceil(60)))
        }
        (Format::Rubles, Value::Number(n)) => Ok(count(Unit::Ruble, in_range(*n)?)),
        (Format::Rubles, Value::Money(money)) => rubles(*money),
        (Format::Duration, Value::Number(n)) => Ok(span(in_range(*n)?)),
        (Format::Duration, Value::Duration(seconds)) => Ok(span(seconds_in_range(*seconds)?)),
        (Format::Date | Format::Day, Value::Date(date)) => Ok(day(format, *date, today)),
        (Format::Date | Format::Day, Value::DateTime(at)) => Ok(day(format, at.date(), today)),
        (Format::Time, Value::DateTime(at)) => Ok(Utterance::Clock {
            hour: u32::from(at.hour().unsigned_abs()),
            minute: u32::from(at.minute().unsigned_abs()),
        }),
        _ => Err(wrong_kind()),
    }
}

/// A text, such as digits that the caller typed, as the kind of value that the format speaks.
fn read_text(format: Format, text: &str) -> Option<Value> {
    match format {
        Format::Points | Format::Number | Format::Minutes | Format::Duration => {
            text.parse().ok().map(Value::Number)
        }
        Format::Rubles => Money::parse(text).map(Value::Money),
        Format::Date | Format::Day => text.parse().ok().map(Value::Date),
        Format::Time => text.parse().ok().map(Value::DateTime).or_else(|| {
            let time: Time = text.parse().ok()?;
            Some(Value::DateTime(DateTime::from_parts(date(2000, 1, 1), time)))
        }),
        Format::Digits | Format::Status => None,
    }
}

fn in_range(n: i64) -> Result<u32, Unspeakable> {
    u32::try_from(n).ok().filter(|&n| n <= NUMBER_MAX).ok_or(Unspeakable::OutOfRange(n))
}

fn seconds_in_range(seconds: u64) -> Result<u32, Unspeakable> {
    in_range(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// A debt is out of range too: there is no recording for "minus", and without it the caller would
/// hear the opposite.
fn rubles(money: Money) -> Result<Utterance, Unspeakable> {
    let rubles = in_range(money.0.div_euclid(100))?;
    let kopecks = in_range(money.0.rem_euclid(100))?;
    Ok(Utterance::Counts(match (rubles, kopecks) {
        (rubles, 0) => vec![(Unit::Ruble, rubles)],
        (0, kopecks) => vec![(Unit::Kopeck, kopecks)],
        (rubles, kopecks) => vec![(Unit::Ruble, rubles), (Unit::Kopeck, kopecks)],
    }))
}

fn span(seconds: u32) -> Utterance {
    let minutes = seconds.div_ceil(60);
    Utterance::Counts(match (minutes / 60, minutes % 60) {
        _ if seconds < 60 => vec![(Unit::Second, seconds)],
        (0, minutes) => vec![(Unit::Minute, minutes)],
        (hours, 0) => vec![(Unit::Hour, hours)],
        (hours, minutes) => vec![(Unit::Hour, hours), (Unit::Minute, minutes)],
    })
}

fn day(format: Format, date: Date, today: Date) -> Utterance {
    if format == Format::Date {
        return Utterance::OnDate(date);
    }
    NearDay::of(date, today).map_or(Utterance::NamedDate(date), Utterance::NearDay)
}

/// Longer order numbers are absurd; what is beyond is not spoken.
const DIGITS_MAX: usize = 64;

fn digits(language: Language, value: &Value, catalogue: &Catalogue) -> Result<Spoken, Unspeakable> {
    let text = match value {
        Value::Number(n) => n.to_string(),
        Value::Text(text) => text.trim().to_owned(),
        Value::Money(_) | Value::Date(_) | Value::DateTime(_) | Value::Duration(_) => {
            let (value, format) = (value.kind(), Format::Digits.name());
            return Err(Unspeakable::WrongKind { value, format });
        }
    };
    let is_recorded = |c: char| catalogue.contains(language, &letter(c));
    let spoken: Vec<char> = text
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|&c| c.is_ascii_digit() || c.is_alphabetic() && is_recorded(c))
        .take(DIGITS_MAX)
        .collect();
    let Some((&last, before)) = spoken.split_last() else { return Err(Unspeakable::Empty) };
    let one = |c: char, folder: &str| match c {
        '0'..='9' => RecordingId::new(format!("{folder}/{c}")),
        _ => letter(c),
    };
    let medial = before.iter().map(|&c| one(c, "digit"));
    Ok(Spoken { recordings: medial.chain([one(last, "digit-end")]).collect(), text })
}

fn letter(c: char) -> RecordingId {
    RecordingId::new(format!("letter/{c}"))
}

/// The value is a status word (`in-transit`, `In_Transit`), or the words of a status recording.
fn status(language: Language, value: &Value, catalogue: &Catalogue) -> Result<Spoken, Unspeakable> {
    let Value::Text(text) = value else {
        let (value, format) = (value.kind(), Format::Status.name());
        return Err(Unspeakable::WrongKind { value, format });
    };
    let word = text.trim().to_lowercase().replace([' ', '_'], "-");
    let by_word = RecordingId::new(format!("status/{word}"));
    let id = if catalogue.contains(language, &by_word) {
        by_word
    } else {
        let by_text = catalogue.find_text(language, text);
        let by_text = by_text.filter(|id| id.as_str().starts_with("status/"));
        by_text.cloned().unwrap_or_else(|| RecordingId::new("status/unknown"))
    };
    let text = spoken_text(language, std::slice::from_ref(&id), catalogue);
    Ok(Spoken { recordings: vec![id], text })
}

#[cfg(test)]
mod tests;
