//! English: a number, then the noun in one of two forms; the month before the day.

use jiff::civil::Date;

use super::utterance::{Groups, NearDay, Unit, Utterance, below_hundred, final_group, hundreds};
use crate::domain::RecordingId;

/// Which recordings say this.
pub(super) fn recordings(utterance: &Utterance) -> Vec<RecordingId> {
    match utterance {
        Utterance::Counts(counts) => counts.iter().flat_map(|&(unit, n)| count(unit, n)).collect(),
        Utterance::Number(0) => vec![RecordingId::new("number-end/00")],
        Utterance::Number(n) => {
            let mut ids = millions_and_thousands(*n);
            ids.extend(final_group(Groups::of(*n).units));
            ids
        }
        Utterance::OnDate(date) | Utterance::NamedDate(date) => month_and_day(*date),
        Utterance::NearDay(day) => vec![day.recording()],
        Utterance::Clock { hour, minute } => clock(*hour, *minute),
    }
}

/// The same for a reader.
pub(super) fn text(utterance: &Utterance) -> String {
    match utterance {
        Utterance::Counts(counts) => {
            let counts: Vec<String> =
                counts.iter().map(|&(unit, n)| format!("{n} {}", noun(unit, n))).collect();
            counts.join(" ")
        }
        Utterance::Number(n) => n.to_string(),
        Utterance::OnDate(date) | Utterance::NamedDate(date) => {
            let month = usize::from(date.month().unsigned_abs()) - 1;
            format!("{} {}", MONTHS[month], date.day())
        }
        Utterance::NearDay(NearDay::Yesterday) => "yesterday".to_owned(),
        Utterance::NearDay(NearDay::Today) => "today".to_owned(),
        Utterance::NearDay(NearDay::Tomorrow) => "tomorrow".to_owned(),
        Utterance::Clock { hour, minute } => format!("{hour}:{minute:02}"),
    }
}

fn count(unit: Unit, n: u32) -> Vec<RecordingId> {
    let mut ids = match n {
        0 => vec![below_hundred(0)],
        _ => millions_and_thousands(n),
    };
    ids.extend(group(Groups::of(n).units));
    let form = if n == 1 { "one" } else { "many" };
    ids.push(RecordingId::new(format!("count/{}/{form}", unit.folder())));
    ids
}

/// What comes before the last three digits.
fn millions_and_thousands(n: u32) -> Vec<RecordingId> {
    let groups = Groups::of(n);
    let mut ids = Vec::new();
    for (digits, name) in [(groups.millions, "million/many"), (groups.thousands, "thousand/many")] {
        if digits > 0 {
            ids.extend(group(digits));
            ids.push(RecordingId::new(name));
        }
    }
    ids
}

/// Three digits with medial tone. Empty for zeros.
fn group(digits: u32) -> impl Iterator<Item = RecordingId> {
    let tail = digits % 100;
    hundreds(digits).into_iter().chain((tail > 0).then(|| below_hundred(tail)))
}

fn month_and_day(date: Date) -> Vec<RecordingId> {
    vec![
        RecordingId::new(format!("date/month-{:02}", date.month())),
        RecordingId::new(format!("date/day-{:02}", date.day())),
    ]
}

/// On the 24-hour clock: "fourteen thirty", "fourteen zero five".
fn clock(hour: u32, minute: u32) -> Vec<RecordingId> {
    let mut ids = vec![below_hundred(hour)];
    if minute < 10 {
        ids.push(RecordingId::new("digit/0"));
        ids.push(RecordingId::new(format!("digit-end/{minute}")));
    } else {
        ids.extend(final_group(minute));
    }
    ids
}

fn noun(unit: Unit, n: u32) -> &'static str {
    let (one, many) = match unit {
        Unit::Point => ("point", "points"),
        Unit::Ruble => ("ruble", "rubles"),
        Unit::Kopeck => ("kopeck", "kopecks"),
        Unit::Second => ("second", "seconds"),
        Unit::Minute => ("minute", "minutes"),
        Unit::Hour => ("hour", "hours"),
    };
    if n == 1 { one } else { many }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
