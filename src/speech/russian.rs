//! Russian: nouns in three forms, thousands feminine, days as ordinals in two cases.
//!
//! The last two digits and their noun are one recording (`count/point/54` = «пятьдесят четыре
//! балла»), so gender and case are right by construction wherever that recording exists.

use jiff::civil::Date;

use super::utterance::{Groups, NearDay, Unit, Utterance, below_hundred, final_group, hundreds};
use crate::domain::RecordingId;

/// Which recordings say this.
pub(super) fn recordings(utterance: &Utterance) -> Vec<RecordingId> {
    match utterance {
        Utterance::Counts(counts) => {
            let last = counts.len().saturating_sub(1);
            let counts = counts.iter().enumerate();
            counts.flat_map(|(i, &(unit, n))| count(folder(unit, i == last), unit, n)).collect()
        }
        Utterance::Number(0) => vec![RecordingId::new("number-end/00")],
        Utterance::Number(n) => {
            let mut ids = millions_and_thousands(*n);
            ids.extend(final_group(Groups::of(*n).units));
            ids
        }
        Utterance::OnDate(date) => day_and_month(*date, "genitive"),
        Utterance::NamedDate(date) => day_and_month(*date, "nominative"),
        Utterance::NearDay(day) => vec![day.recording()],
        Utterance::Clock { hour, minute } => recordings(&clock(*hour, *minute)),
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
            format!("{} {}", date.day(), MONTHS[month])
        }
        Utterance::NearDay(NearDay::Yesterday) => "вчера".to_owned(),
        Utterance::NearDay(NearDay::Today) => "сегодня".to_owned(),
        Utterance::NearDay(NearDay::Tomorrow) => "завтра".to_owned(),
        Utterance::Clock { hour, minute } => format!("{hour}:{minute:02}"),
    }
}

/// «четырнадцать часов тридцать минут»; whole hours without minutes.
fn clock(hour: u32, minute: u32) -> Utterance {
    let minutes = (minute > 0).then_some((Unit::Minute, minute));
    Utterance::Counts([(Unit::Hour, hour)].into_iter().chain(minutes).collect())
}

/// Rubles have recordings of their own for the middle of a sentence, where kopecks follow.
fn folder(unit: Unit, last: bool) -> &'static str {
    if unit == Unit::Ruble && !last { "ruble-medial" } else { unit.folder() }
}

fn count(folder: &str, unit: Unit, n: u32) -> Vec<RecordingId> {
    let ending = |name: &str| RecordingId::new(format!("count/{folder}/{name}"));
    if n == 0 {
        return vec![ending("00")];
    }
    let mut ids = millions_and_thousands(n);
    ids.extend(hundreds(Groups::of(n).units));
    match n % 100 {
        0 => ids.push(ending("many")),
        tail if tail <= recorded_max(unit) => ids.push(ending(&format!("{tail:02}"))),
        // «семьдесят» + «пять минут»: above twenty the last digit decides the noun's form.
        tail if tail % 10 == 0 => ids.extend([below_hundred(tail), ending("many")]),
        tail => {
            ids.push(below_hundred(tail / 10 * 10));
            ids.push(ending(&format!("{:02}", tail % 10)));
        }
    }
    ids
}

/// Up to where the last two digits are recorded together with the noun.
fn recorded_max(unit: Unit) -> u32 {
    match unit {
        Unit::Point | Unit::Ruble | Unit::Kopeck => 99,
        Unit::Second | Unit::Minute => 59,
        Unit::Hour => 24,
    }
}

/// What comes before the last three digits.
fn millions_and_thousands(n: u32) -> Vec<RecordingId> {
    let groups = Groups::of(n);
    let mut ids = Vec::new();
    if groups.millions > 0 {
        ids.extend(hundreds(groups.millions));
        ids.extend(millions(groups.millions % 100));
    }
    if groups.thousands > 0 {
        ids.extend(hundreds(groups.thousands));
        let alone = ids.is_empty();
        ids.extend(thousands(groups.thousands % 100, alone));
    }
    ids
}

/// The last two digits of the millions with their noun; recorded up to twenty.
fn millions(tail: u32) -> Vec<RecordingId> {
    let million = |n: u32| RecordingId::new(format!("million/{n:02}"));
    let many = || RecordingId::new("million/many");
    match (tail, tail % 10) {
        (0, _) => vec![many()],
        (1..=20, _) => vec![million(tail)],
        // «двадцать» + «два миллиона»
        (_, unit @ 1..=4) => vec![below_hundred(tail - unit), million(unit)],
        _ => vec![below_hundred(tail), many()],
    }
}

/// The last two digits of the thousands with their noun. `thousand/01` says only «тысяча», which
/// is right at the beginning of a number; elsewhere it is «сто одна тысяча».
fn thousands(tail: u32, alone: bool) -> Vec<RecordingId> {
    match tail {
        0 => vec![RecordingId::new("thousand/many")],
        1 if !alone => {
            vec![RecordingId::new("number/01-feminine"), RecordingId::new("thousand/01")]
        }
        _ => vec![RecordingId::new(format!("thousand/{tail:02}"))],
    }
}

fn day_and_month(date: Date, case: &str) -> Vec<RecordingId> {
    vec![
        RecordingId::new(format!("date/day-{:02}-{case}", date.day())),
        RecordingId::new(format!("date/month-{:02}", date.month())),
    ]
}

/// The noun as it stands after this number (CLDR plural rules: one, few, many).
fn noun(unit: Unit, n: u32) -> &'static str {
    let [one, few, many] = match unit {
        Unit::Point => ["балл", "балла", "баллов"],
        Unit::Ruble => ["рубль", "рубля", "рублей"],
        Unit::Kopeck => ["копейка", "копейки", "копеек"],
        Unit::Second => ["секунда", "секунды", "секунд"],
        Unit::Minute => ["минута", "минуты", "минут"],
        Unit::Hour => ["час", "часа", "часов"],
    };
    match (n % 10, n % 100) {
        (_, 11..=14) => many,
        (1, _) => one,
        (2..=4, _) => few,
        _ => many,
    }
}

const MONTHS: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];
