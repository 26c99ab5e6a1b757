//! Opening hours and holidays, in the time zone of the plan.
//!
//! What counts is the wall clock: on the night when clocks are put back, an hour that is open is
//! open both times; an hour that is skipped is neither.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan, Zoned};

use super::values::weekday_index;

/// How far [`Hours::next_opening`] looks ahead.
const HORIZON_DAYS: usize = 366;

/// A span of one day, in minutes from its midnight: `start` < 1440, `start` < `end` ≤ 2880. An end
/// beyond 1440 is on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    pub start: u16,
    pub end: u16,
}

impl TimeRange {
    pub const WHOLE_DAY: Self = Self { start: 0, end: MINUTES_OF_DAY };
}

const MINUTES_OF_DAY: u16 = 24 * 60;

/// What holds on certain dates, whatever the day of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    pub first: Date,
    pub last: Date,
    /// Empty: closed.
    pub ranges: Vec<TimeRange>,
    /// «Новогодние праздники»
    pub label: Option<String>,
}

/// When something is open. By default never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// Monday first. Empty: closed.
    pub week: [Vec<TimeRange>; 7],
    /// The last one that covers a date decides.
    pub exceptions: Vec<Exception>,
}

impl Hours {
    pub fn is_open(&self, at: &Zoned) -> bool {
        let minute = minute_of_day(at);
        let today = self.ranges(at.date());
        if today.iter().any(|range| (range.start..range.end).contains(&minute)) {
            return true;
        }
        // Yesterday's hours may reach into this morning.
        let Ok(yesterday) = at.date().yesterday() else { return false };
        let minute = minute + MINUTES_OF_DAY;
        self.ranges(yesterday).iter().any(|range| (range.start..range.end).contains(&minute))
    }

    /// The first moment at or after `at` at which it is open; `None` if it does not open within a
    /// year (366 days).
    pub fn next_opening(&self, at: &Zoned) -> Option<Zoned> {
        if self.is_open(at) {
            return Some(at.clone());
        }
        let mut date = at.date();
        for _ in 0..=HORIZON_DAYS {
            let opening = (self.candidates(date, at).into_iter())
                .filter(|candidate| candidate >= at && self.is_open(candidate))
                .min();
            if opening.is_some() {
                return opening;
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The first moment after `at` at which it is not open, within so many days (at most 366);
    /// `at` itself if it is closed. `None`: it stays open.
    pub fn next_closing(&self, at: &Zoned, days: usize) -> Option<Zoned> {
        if !self.is_open(at) {
            return Some(at.clone());
        }
        // A range that began yesterday may end today, before or after one of today's.
        let mut date = at.date().yesterday().ok()?;
        for _ in 0..days.min(HORIZON_DAYS).saturating_add(2) {
            let tomorrow = date.tomorrow().ok()?;
            let closing = [date, tomorrow]
                .into_iter()
                .flat_map(|date| self.closings(date, at))
                .filter(|candidate| candidate > at && !self.is_open(candidate))
                .min();
            if closing.is_some() {
                return closing;
            }
            date = tomorrow;
        }
        None
    }

    /// The moment at which it has been open for `ms` since `at`, a closing time included: half an
    /// hour from Friday 18:55 on is Monday 10:25 for a shop that is open from 10 to 19 on working
    /// days. `None`: it does not open within a year.
    pub fn after_open_time(&self, at: &Zoned, ms: u64) -> Option<Zoned> {
        const DAY_MS: u64 = 86_400_000;
        let mut at = self.next_opening(at)?;
        let mut left = i64::try_from(ms).ok()?;
        loop {
            let days = usize::try_from(left.unsigned_abs() / DAY_MS).ok()?.saturating_add(1);
            let Some(closing) = self.next_closing(&at, days) else {
                return at.checked_add(SignedDuration::from_millis(left)).ok();
            };
            let open = closing.timestamp().as_millisecond() - at.timestamp().as_millisecond();
            if left <= open {
                return at.checked_add(SignedDuration::from_millis(left)).ok();
            }
            left -= open;
            at = self.next_opening(&closing)?;
        }
    }

    /// Moments at which the ranges of a date end, and at which the clocks are changed then.
    fn closings(&self, date: Date, at: &Zoned) -> Vec<Zoned> {
        let zone = at.time_zone();
        let mut closings = Vec::new();
        for range in self.ranges(date) {
            let Ok(midnight) = date.at(0, 0, 0, 0).checked_add(i64::from(range.end).minutes())
            else {
                continue;
            };
            closings.extend(zone.to_ambiguous_zoned(midnight).earlier());
            closings.extend(zone.to_ambiguous_zoned(midnight).later());
        }
        closings.extend(clock_changes(date, zone));
        closings
    }

    /// Moments of a date at which it may become open: where a range starts (twice, when that
    /// wall-clock time comes twice), and where the clocks are changed.
    fn candidates(&self, date: Date, at: &Zoned) -> Vec<Zoned> {
        let zone = at.time_zone();
        let mut candidates = Vec::new();
        for range in self.ranges(date) {
            let (hour, minute) = (range.start / 60, range.start % 60);
            let (Ok(hour), Ok(minute)) = (i8::try_from(hour), i8::try_from(minute)) else {
                continue;
            };
            let start = date.at(hour, minute, 0, 0);
            candidates.extend(zone.to_ambiguous_zoned(start).earlier());
            candidates.extend(zone.to_ambiguous_zoned(start).later());
        }
        candidates.extend(clock_changes(date, zone));
        candidates
    }

    fn ranges(&self, date: Date) -> &[TimeRange] {
        let exception = (self.exceptions.iter().rev())
            .find(|exception| (exception.first..=exception.last).contains(&date));
        match exception {
            Some(exception) => &exception.ranges,
            None => &self.week[weekday_index(date.weekday()).min(6)],
        }
    }
}

/// When the clocks of the zone are changed on a date.
fn clock_changes(date: Date, zone: &TimeZone) -> Vec<Zoned> {
    let Ok(midnight) = date.to_zoned(zone.clone()) else { return Vec::new() };
    let changes = zone.following(midnight.timestamp()).take(2);
    let changes = changes.map(|change| change.timestamp().to_zoned(zone.clone()));
    changes.filter(|change| change.date() == date).collect()
}

fn minute_of_day(at: &Zoned) -> u16 {
    let minutes = i16::from(at.hour()) * 60 + i16::from(at.minute());
    u16::try_from(minutes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mon-fri 10:00-19:00`, closed 2026-12-31..2027-01-08, open 2026-11-07 10:00-16:00.
    fn shop() -> Hours {
        let day = vec![TimeRange { start: 600, end: 1_140 }];
        let mut hours = Hours::default();
        for weekday in &mut hours.week[..5] {
            weekday.clone_from(&day);
        }
        hours.exceptions.push(Exception {
            first: "2026-12-31".parse().unwrap(),
            last: "2027-01-08".parse().unwrap(),
            ranges: Vec::new(),
            label: None,
        });
        hours.exceptions.push(Exception {
            first: "2026-11-07".parse().unwrap(),
            last: "2026-11-07".parse().unwrap(),
            ranges: vec![TimeRange { start: 600, end: 960 }],
            label: Some("Рабочая суббота".into()),
        });
        hours
    }

    fn every_day(start: u16, end: u16) -> Hours {
        let mut hours = Hours::default();
        for day in &mut hours.week {
            day.push(TimeRange { start, end });
        }
        hours
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn weekdays_holidays_and_working_saturdays() {
        let hours = shop();
        for (moment, open) in [
            ("2026-11-23T12:00", true),
            ("2026-11-23T09:59:59", false),
            ("2026-11-23T10:00", true),
            ("2026-11-23T18:59:59", true),
            ("2026-11-23T19:00", false),
            ("2026-11-22T12:00", false),
            ("2026-11-07T12:00", true),
            ("2026-11-07T16:30", false),
            ("2026-12-31T12:00", false),
            ("2027-01-08T12:00", false),
            ("2027-01-11T12:00", true),
        ] {
            let moment = at(&format!("{moment}[Europe/Moscow]"));
            assert_eq!(hours.is_open(&moment), open, "{moment}");
        }
    }

    #[test]
    fn the_next_opening_skips_nights_weekends_and_holidays() {
        let hours = shop();
        for (from, opening) in [
            ("2026-11-23T12:00", "2026-11-23T12:00"),
            ("2026-11-23T08:00", "2026-11-23T10:00"),
            ("2026-11-23T19:00", "2026-11-24T10:00"),
            ("2026-11-06T20:00", "2026-11-07T10:00"),
            ("2026-11-20T20:00", "2026-11-23T10:00"),
            ("2026-12-30T19:30", "2027-01-11T10:00"),
        ] {
            let zoned = |text: &str| at(&format!("{text}[Europe/Moscow]"));
            assert_eq!(hours.next_opening(&zoned(from)), Some(zoned(opening)), "{from}");
        }
        assert_eq!(Hours::default().next_opening(&at("2026-11-23T12:00[Europe/Moscow]")), None);
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_start() {
        let mut hours = Hours::default();
        hours.week[4].push(TimeRange { start: 1_320, end: 1_560 }); // fri 22:00-02:00
        hours.exceptions.push(Exception {
            first: "2026-11-28".parse().unwrap(),
            last: "2026-11-28".parse().unwrap(),
            ranges: Vec::new(),
            label: None,
        });
        for (moment, open) in [
            ("2026-11-27T21:59", false),
            ("2026-11-27T22:00", true),
            ("2026-11-28T01:59", true), // closed on the 28th, but Friday's night goes on
            ("2026-11-28T02:00", false),
            ("2026-11-28T22:30", false),
            ("2026-11-27T01:00", false),
        ] {
            let moment = at(&format!("{moment}[Europe/Moscow]"));
            assert_eq!(hours.is_open(&moment), open, "{moment}");
        }
    }

    #[test]
    fn the_whole_day_has_no_gap_at_midnight() {
        let hours = every_day(0, 1_440);
        for moment in ["2026-11-27T23:59:59", "2026-11-28T00:00"] {
            assert!(hours.is_open(&at(&format!("{moment}[Europe/Moscow]"))));
        }
    }

    #[test]
    fn a_skipped_hour_opens_when_the_clocks_have_jumped() {
        // Berlin 2026-03-29: 02:00 becomes 03:00.
        let hours = every_day(150, 300); // 02:30-05:00
        let opening = hours.next_opening(&at("2026-03-29T01:00[Europe/Berlin]"));
        assert_eq!(opening, Some(at("2026-03-29T03:00[Europe/Berlin]")));
    }

    #[test]
    fn an_hour_that_comes_twice_is_open_twice() {
        // Berlin 2026-10-25: 03:00+02:00 becomes 02:00+01:00.
        let hours = every_day(135, 165); // 02:15-02:45
        let first = at("2026-10-25T02:50:00+02:00[Europe/Berlin]");
        assert!(!hours.is_open(&first));
        let second = at("2026-10-25T02:15:00+01:00[Europe/Berlin]");
        assert_eq!(hours.next_opening(&first), Some(second));

        let reaching_in = every_day(60, 150); // 01:00-02:30
        let between = at("2026-10-25T02:45:00+02:00[Europe/Berlin]");
        let back = at("2026-10-25T02:00:00+01:00[Europe/Berlin]");
        assert_eq!(reaching_in.next_opening(&between), Some(back));
    }

    proptest::proptest! {
        #[test]
        fn the_next_opening_is_open_and_nothing_before_it_is(
            minutes in 0_i64..(400 * 1_440),
            start in 0_u16..1_440,
            length in 1_u16..1_440,
        ) {
            let hours = every_day(start, start + length);
            let from = at("2026-01-01T00:00[Europe/Berlin]");
            let from = from.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
            let opening = hours.next_opening(&from).unwrap();
            proptest::prop_assert!(hours.is_open(&opening) && opening >= from);
            let mut before = opening.clone();
            while before > from {
                before = before.checked_sub(jiff::SignedDuration::from_mins(1)).unwrap();
                proptest::prop_assert!(before < from || !hours.is_open(&before));
            }
        }
    }
}
