//! When a promise of the plan is due, in the working time of its file.

use crate::dialplan::hours::Hours;
use crate::dialplan::plan::{Due, Script};
use crate::domain::Timestamp;

/// A customer who named a time is called within a quarter of an hour from it.
const NAMED_WITHIN_MS: u64 = 15 * 60_000;
/// The open time that stands for a time that nobody understands.
const NONSENSE_MS: u64 = 30 * 60_000;

/// The span in which a customer is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTime {
    /// The conversation must have begun by then.
    pub due: Timestamp,
    /// Not called before; `None`: as soon as it is allowed.
    pub not_before: Option<Timestamp>,
}

/// When a promise is due that is made at `wall`.
///
/// - `30m`: counted while the script's only hours are open.
/// - `next-opening+1h`: an hour from the next opening, and not before it. While it is open, this
///   very moment is the opening.
/// - `{time}`: the next time at which clocks show what the caller `typed` (`1530`, `930`, `15`) and
///   the script's only hours are open; the customer is called within a quarter of an hour from
///   then. Anything that is no such time is half an hour of open time.
///
/// Hours that do not open within a year, and names of none, are taken for hours that never close.
pub fn due_time(due: &Due, script: &Script, wall: Timestamp, typed: Option<&str>) -> DueTime {
    match due {
        Due::After { ms } => after(script, wall, *ms),
        Due::NextOpening { hours, plus_ms } => {
            let hours = script.hours.get(hours).or_else(|| only_hours(script));
            let at = wall.in_zone(&script.timezone);
            let opening = hours.and_then(|hours| hours.next_opening(&at));
            let opening = opening.as_ref().map_or(wall, Timestamp::from);
            let not_before = (opening > wall).then_some(opening);
            DueTime { due: opening.plus_ms(*plus_ms), not_before }
        }
        Due::Named { variable: _ } => named(script, wall, typed.unwrap_or_default())
            .unwrap_or_else(|| after(script, wall, NONSENSE_MS)),
    }
}

/// The hours of a file that has no others.
pub(super) fn only_hours(script: &Script) -> Option<&Hours> {
    let mut all = script.hours.values();
    all.next().filter(|_| all.next().is_none())
}

fn after(script: &Script, wall: Timestamp, ms: u64) -> DueTime {
    let at = wall.in_zone(&script.timezone);
    let due = only_hours(script).and_then(|hours| hours.after_open_time(&at, ms));
    DueTime { due: due.as_ref().map_or(wall.plus_ms(ms), Timestamp::from), not_before: None }
}

fn named(script: &Script, wall: Timestamp, typed: &str) -> Option<DueTime> {
    let (hour, minute) = time_of_day(typed)?;
    let now = wall.in_zone(&script.timezone);
    let mut date = now.date();
    for _ in 0..=366 {
        let moment = date.at(hour, minute, 0, 0).to_zoned(script.timezone.clone()).ok()?;
        let is_open = only_hours(script).is_none_or(|hours| hours.is_open(&moment));
        if moment > now && is_open {
            let named = Timestamp::from(&moment);
            let due = named.plus_ms(NAMED_WITHIN_MS);
            return Some(DueTime { due, not_before: Some(named) });
        }
        date = date.tomorrow().ok()?;
    }
    None
}

/// `1530` and `930` are hours and minutes, `15` and `9` are hours.
fn time_of_day(typed: &str) -> Option<(i8, i8)> {
    let typed = typed.trim();
    if !(1..=4).contains(&typed.len()) || !typed.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i16 = typed.parse().ok()?;
    let (hour, minute) = if typed.len() <= 2 { (number, 0) } else { (number / 100, number % 100) };
    let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
    (hour < 24 && minute < 60).then_some((hour, minute))
}
