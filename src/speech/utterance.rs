//! What a grammar is given to speak: values reduced to numbers, units and days.

use jiff::civil::Date;

use crate::domain::RecordingId;

/// The greatest number that can be spoken.
pub(super) const NUMBER_MAX: u32 = 999_999_999;

/// Something that each language says in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Utterance {
    /// Numbers of things, one after another: «два рубля пять копеек».
    Counts(Vec<(Unit, u32)>),
    /// A plain number at the end of a sentence.
    Number(u32),
    /// When something happens or until when: «двадцать первого ноября».
    OnDate(Date),
    /// Which day it is: «двадцать первое ноября».
    NamedDate(Date),
    NearDay(NearDay),
    Clock {
        hour: u32,
        minute: u32,
    },
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Point,
    Ruble,
    Kopeck,
    Second,
    Minute,
    Hour,
}

impl Unit {
    /// The folder of its recordings below `count/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Ruble => "ruble",
            Self::Kopeck => "kopeck",
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }
}

/// A day that has a name of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NearDay {
    Yesterday,
    Today,
    Tomorrow,
}

impl NearDay {
    pub const ALL: [Self; 3] = [Self::Yesterday, Self::Today, Self::Tomorrow];

    pub fn of(date: Date, today: Date) -> Option<Self> {
        if date == today {
            Some(Self::Today)
        } else if today.tomorrow().is_ok_and(|tomorrow| tomorrow == date) {
            Some(Self::Tomorrow)
        } else if today.yesterday().is_ok_and(|yesterday| yesterday == date) {
            Some(Self::Yesterday)
        } else {
            None
        }
    }

    pub fn recording(self) -> RecordingId {
        RecordingId::new(match self {
            Self::Yesterday => "date/yesterday",
            Self::Today => "date/today",
            Self::Tomorrow => "date/tomorrow",
        })
    }
}

/// A number in groups of three digits, as all our languages speak it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Groups {
    pub millions: u32,
    pub thousands: u32,
    pub units: u32,
}

impl Groups {
    /// Of a number up to [`NUMBER_MAX`].
    pub fn of(n: u32) -> Self {
        Self { millions: n / 1_000_000, thousands: n / 1_000 % 1_000, units: n % 1_000 }
    }
}

/// The hundreds of a group with medial tone: `number/300`; nothing below a hundred.
pub(super) fn hundreds(group: u32) -> Option<RecordingId> {
    let hundreds = group / 100 * 100;
    (hundreds > 0).then(|| RecordingId::new(format!("number/{hundreds}")))
}

/// `number/54` for the last two digits of a number, with medial tone.
pub(super) fn below_hundred(n: u32) -> RecordingId {
    RecordingId::new(format!("number/{n:02}"))
}

/// The end of a plain number: `number-end/300`, `number-end/54`. Empty for a group of zeros.
pub(super) fn final_group(group: u32) -> Vec<RecordingId> {
    let end = |n: u32| RecordingId::new(format!("number-end/{n:02}"));
    match (group / 100 * 100, group % 100) {
        (0, 0) => Vec::new(),
        (hundreds, 0) => vec![end(hundreds)],
        (_, tail) => hundreds(group).into_iter().chain([end(tail)]).collect(),
    }
}
