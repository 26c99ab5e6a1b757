//! The names that a plan may use in `{…}` and in conditions, and what they hold.

use crate::speech::Format;

/// What a name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Flag,
    /// A whole number.
    Number,
    /// Rubles and kopecks; compared in rubles.
    Money,
    /// Words that can be compared, but not spoken.
    Text,
    /// A number that is read digit by digit: an order number, a card, a telephone number.
    Digits,
    /// A status word such as `shipped`.
    Status,
    /// `ru` or `en`.
    Language,
    Date,
    /// A date and a time of day.
    Moment,
    /// A span of time; compared with durations: `waited > 300s`.
    Duration,
    /// What an event of the shop brought: digits, money, a date, a status or another text.
    Field,
}

/// Every name, except for the variables of `ask`, with what it holds and what it means.
pub const NAMES: &[(&str, Kind, &str)] = &[
    ("customer.found", Kind::Flag, "the CRM knows the caller's number"),
    ("customer.several", Kind::Flag, "more than one customer has this number"),
    ("customer.verified", Kind::Flag, "the caller proved who it is by the digits of the card"),
    ("customer.name", Kind::Text, "name, as the CRM writes it"),
    ("customer.points", Kind::Number, "points on the account"),
    ("customer.vip", Kind::Flag, "marked as VIP"),
    ("customer.manager", Kind::Text, "login of the personal manager"),
    ("customer.language", Kind::Language, "language that the customer prefers"),
    ("customer.balance", Kind::Money, "money on the account"),
    ("customer.card", Kind::Digits, "number of the club card"),
    ("order.found", Kind::Flag, "there is an order to speak of"),
    ("order.active", Kind::Flag, "it is neither delivered nor cancelled nor returned"),
    ("order.number", Kind::Digits, "its number"),
    ("order.status", Kind::Status, "its status word"),
    ("order.due", Kind::Date, "when it is expected"),
    ("order.sum", Kind::Money, "what it costs"),
    ("order.updated", Kind::Moment, "when it changed last"),
    ("orders.count", Kind::Number, "how many orders the customer has"),
    ("orders.active", Kind::Number, "how many of them are active"),
    ("caller.known", Kind::Flag, "the caller's number is known"),
    ("caller.anonymous", Kind::Flag, "the caller withheld the number"),
    ("caller.callable", Kind::Flag, "the plan allows calls back to the caller's number"),
    ("caller.number", Kind::Digits, "the caller's number"),
    ("crm.available", Kind::Flag, "the last question to the CRM was answered"),
    ("call.number", Kind::Digits, "the number that was dialled"),
    ("incident.open", Kind::Flag, "something went wrong with an order of the caller"),
    ("incident.name", Kind::Text, "what went wrong: the name of the incident in the plan"),
    ("incident.order", Kind::Digits, "the number of that order"),
    ("promise.open", Kind::Flag, "the caller is owed a call back"),
    ("waited", Kind::Duration, "how long the caller waited in the line"),
    ("language", Kind::Language, "the language that is spoken now"),
];

/// Before the fields of the event that a robot calls for: `event.balance`.
const EVENT: &str = "event.";

/// Whether this names a field of the shop's event. Only robots have one.
pub fn is_event_field(name: &str) -> bool {
    let is_field = |field: &str| {
        field.starts_with(|c: char| c.is_ascii_alphabetic())
            && field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    name.strip_prefix(EVENT).is_some_and(is_field)
}

/// What this name holds; `None` if it is neither one of [`NAMES`] nor a field of an event.
pub fn kind_of(name: &str) -> Option<Kind> {
    if is_event_field(name) {
        return Some(Kind::Field);
    }
    NAMES.iter().find(|(known, _, _)| *known == name).map(|(_, kind, _)| *kind)
}

/// Whether this name is known only after `lookup "customer"`.
pub fn needs_lookup(name: &str) -> bool {
    ["customer.", "order.", "orders."].iter().any(|prefix| name.starts_with(prefix))
}

impl Kind {
    /// "a number", for messages.
    pub fn described(self) -> &'static str {
        match self {
            Self::Flag => "yes or no",
            Self::Number => "a number",
            Self::Money => "an amount of money",
            Self::Text => "a text",
            Self::Digits => "a row of digits",
            Self::Status => "a status",
            Self::Language => "a language",
            Self::Date => "a date",
            Self::Moment => "a date and time",
            Self::Duration => "a span of time",
            Self::Field => "a field of the event",
        }
    }

    /// The formats in which it can be spoken, the natural one first.
    pub fn formats(self) -> &'static [Format] {
        match self {
            Self::Flag | Self::Text | Self::Language => &[],
            Self::Number => &[Format::Points, Format::Number, Format::Minutes, Format::Digits],
            Self::Money => &[Format::Rubles],
            Self::Digits => &[Format::Digits],
            Self::Status => &[Format::Status],
            Self::Date => &[Format::Date, Format::Day],
            Self::Moment => &[Format::Date, Format::Day, Format::Time],
            Self::Duration => &[Format::Duration, Format::Minutes],
            Self::Field => &[
                Format::Digits,
                Format::Number,
                Format::Points,
                Format::Rubles,
                Format::Date,
                Format::Day,
                Format::Time,
                Format::Minutes,
                Format::Status,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_once() {
        for (at, (name, kind, meaning)) in NAMES.iter().enumerate() {
            assert!(NAMES[at + 1..].iter().all(|(other, _, _)| other != name), "{name}");
            assert_eq!(kind_of(name), Some(*kind));
            assert!(!meaning.is_empty());
        }
        assert_eq!(kind_of("customer.shoe-size"), None);
        assert_eq!(kind_of("event.shoe-size"), Some(Kind::Field));
        assert_eq!([kind_of("event."), kind_of("event.два")], [None, None]);
    }

    #[test]
    fn every_name_and_format_is_in_the_manual() {
        let manual = include_str!("../../docs/dialplan.md");
        for (name, _, meaning) in NAMES {
            assert!(manual.contains(&format!("| `{name}` | {meaning} |")), "{name}");
        }
        assert!(manual.contains("| `event.NAME` |"));
        for format in Format::ALL {
            assert!(manual.contains(&format!("| `{}` |", format.name())), "{format:?}");
        }
    }
}
