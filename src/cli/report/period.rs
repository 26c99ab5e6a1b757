//! `today`, `week`, `2026-11-01..2026-11-07` → moments.

use std::str::FromStr;

use anyhow::Context as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

use crate::crm::fields;
use crate::domain::Timestamp;

/// Which days are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    Today,
    Yesterday,
    /// The last seven, today included.
    Week,
    /// Both included; the first is not after the last.
    Between(Date, Date),
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = |text: &str| {
            fields::date(text).map_err(|_| {
                format!("\"{text}\" is not a day; write today, yesterday, week, 2026-11-21, 2026-11 or 2026-11-01..2026-11-21")
            })
        };
        if let Some(first) = first_of_month(text) {
            return Ok(Self::Between(first, first.last_of_month()));
        }
        match (text, text.split_once("..")) {
            ("today", _) => Ok(Self::Today),
            ("yesterday", _) => Ok(Self::Yesterday),
            ("week", _) => Ok(Self::Week),
            (_, None) => day(text).map(|date| Self::Between(date, date)),
            (_, Some((from, to))) => {
                let (from, to) = (day(from)?, day(to)?);
                match from <= to {
                    true => Ok(Self::Between(from, to)),
                    false => Err(format!("{from} is after {to}")),
                }
            }
        }
    }
}

/// `2026-11`
fn first_of_month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-')?;
    let is_month = year.len() == 4 && month.len() == 2;
    is_month.then(|| Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()).flatten()
}

/// Whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Date,
    pub last: Date,
    pub from: Timestamp,
    /// The first moment that is not in it.
    pub until: Timestamp,
}

impl Days {
    /// The moments at which these days begin and end in a time zone.
    pub fn span(self, now: Timestamp, zone: &TimeZone) -> anyhow::Result<Span> {
        let today = now.in_zone(zone).date();
        let (first, last) = match self {
            Self::Today => (today, today),
            Self::Yesterday => (today.yesterday()?, today.yesterday()?),
            Self::Week => (today.checked_sub(6.days())?, today),
            Self::Between(first, last) => (first, last),
        };
        let begin = |day: Date| -> anyhow::Result<Timestamp> {
            let begin: Zoned = day.to_zoned(zone.clone()).context("a day out of range")?;
            Ok(Timestamp::from(&begin))
        };
        Ok(Span { first, last, from: begin(first)?, until: begin(last.tomorrow()?)? })
    }
}

/// `2026-11-21`, `2026-11-01..2026-11-07`
impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}..{}", self.first, self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 01:00 in Moscow, still the 22nd in UTC.
    const NOW: Timestamp = Timestamp(1_795_384_800_000);

    fn span(text: &str) -> (String, i64) {
        let zone = TimeZone::get("Europe/Moscow").unwrap();
        let span = text.parse::<Days>().unwrap().span(NOW, &zone).unwrap();
        (span.to_string(), (span.until.0 - span.from.0) / 3_600_000)
    }

    #[test]
    fn days_are_those_of_the_time_zone() {
        assert_eq!(span("today"), ("2026-11-23".to_owned(), 24));
        assert_eq!(span("yesterday"), ("2026-11-22".to_owned(), 24));
        assert_eq!(span("week"), ("2026-11-17..2026-11-23".to_owned(), 168));
        assert_eq!(span("2026-11-01..2026-11-02"), ("2026-11-01..2026-11-02".to_owned(), 48));
        assert_eq!(span("01.11.2026"), ("2026-11-01".to_owned(), 24));
        assert_eq!(span("2026-02"), ("2026-02-01..2026-02-28".to_owned(), 672));
    }

    #[test]
    fn the_day_on_which_clocks_change_is_as_long_as_it_is() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let span = "2026-10-25".parse::<Days>().unwrap().span(NOW, &zone).unwrap();
        assert_eq!(span.until.since(span.from), 25 * 3_600_000);
    }

    #[test]
    fn what_is_no_day_is_told() {
        for text in
            ["", "tomorow", "2026-13", "2026-13-01", "2026-11-02..2026-11-01", "2026-11-02.."]
        {
            assert!(text.parse::<Days>().is_err(), "{text}");
        }
    }
}
