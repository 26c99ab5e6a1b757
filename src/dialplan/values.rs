//! The small words of a plan: durations, times of day, dates, percents.

use jiff::civil::{Date, DateTime, Weekday};

const MINUTES_OF_DAY: u16 = 24 * 60;
/// Longer durations are mistakes.
const DURATION_MAX_MS: u64 = 366 * 24 * 3_600_000;

/// `15s`, `800ms`, `30m`, `2h`, `1h30m`, `2d` in milliseconds, at most 366 days.
pub fn duration(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("\"{text}\" is not a duration; write \"15s\", \"800ms\", \"30m\" or \"2h\"");
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total = total.saturating_add(number.saturating_mul(unit_ms));
        rest = behind;
    }
    if total > DURATION_MAX_MS {
        return Err(format!("\"{text}\" is longer than a year"));
    }
    Ok(total)
}

/// `80%` as 80.
pub fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<u8>().ok());
    number
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| format!("\"{text}\" is not a percent; write \"80%\""))
}

/// `10:00-19:00` as minutes of the day; an end that is not after the start is on the next day.
pub fn time_range(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("\"{text}\" is not a time range; write \"10:00-19:00\"");
    let (start, end) = text.split_once('-').ok_or_else(wrong)?;
    let start = time(start.trim()).filter(|start| *start < MINUTES_OF_DAY).ok_or_else(wrong)?;
    let end = time(end.trim()).ok_or_else(wrong)?;
    if start == end {
        return Err(format!("\"{text}\" is empty; for the whole day write \"00:00-24:00\""));
    }
    Ok((start, if end < start { end + MINUTES_OF_DAY } else { end }))
}

/// `9:30` as minutes of the day; `24:00` is the end of the day.
fn time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let all_digits = |s: &str| (1..=2).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(hours) || !all_digits(minutes) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MINUTES_OF_DAY).then_some(total)
}

/// What `open` and `closed` speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// Monday is 0.
    Week([bool; 7]),
    /// First and last.
    Dates(Date, Date),
}

/// `mon-fri`, `sat,sun`, `mon`, `2026-12-31..2027-01-08`, `2026-11-07`.
pub fn days(text: &str) -> Result<Days, String> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (date(first.trim())?, date(last.trim())?);
        if last < first {
            return Err(format!("\"{text}\": the last day is before the first"));
        }
        return Ok(Days::Dates(first, last));
    }
    let mut week = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (weekday(first.trim())?, weekday(last.trim())?);
        let mut day = first;
        week[day] = true;
        while day != last {
            day = (day + 1) % 7;
            week[day] = true;
        }
    }
    Ok(Days::Week(week))
}

/// `2026-11-07`
pub fn date(text: &str) -> Result<Date, String> {
    let wrong = || format!("\"{text}\" is not a date; write year-month-day: \"2026-11-07\"");
    let shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if !shaped {
        return Err(wrong());
    }
    text.parse().map_err(|_| format!("{}; is there such a day?", wrong()))
}

/// `2026-11-23 12:00`
pub fn moment(text: &str) -> Result<DateTime, String> {
    let wrong = || format!("\"{text}\" is not a moment; write \"2026-11-23 12:00\"");
    let (day, at) = text.trim().split_once([' ', 'T']).ok_or_else(wrong)?;
    let minutes = time(at.trim()).filter(|at| *at < MINUTES_OF_DAY).ok_or_else(wrong)?;
    let (hour, minute) = (i8::try_from(minutes / 60), i8::try_from(minutes % 60));
    let (Ok(hour), Ok(minute)) = (hour, minute) else { return Err(wrong()) };
    Ok(date(day)?.at(hour, minute, 0, 0))
}

/// Names as they are written in plans, Monday first.
pub const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn weekday(text: &str) -> Result<usize, String> {
    WEEKDAYS.iter().position(|name| *name == text).ok_or_else(|| {
        format!("\"{text}\" is not a day; days are mon tue wed thu fri sat sun, or \"2026-11-07\"")
    })
}

/// Monday is 0.
pub fn weekday_index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("15s", 15_000),
            ("800ms", 800),
            ("30m", 1_800_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(ms), "{text}");
        }
        for text in
            ["", "15", "s", "15 parrots", "-5s", "1.5s", "99999999999999999999s", "400d", "5с"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_may_end_on_the_next_day() {
        assert_eq!(time_range("10:00-19:00"), Ok((600, 1_140)));
        assert_eq!(time_range("9:30 - 24:00"), Ok((570, 1_440)));
        assert_eq!(time_range("22:00-02:00"), Ok((1_320, 1_560)));
        for text in [
            "10-19",
            "10:00",
            "24:00-02:00",
            "10:60-11:00",
            "10:00-10:00",
            "10:00–19:00",
            "25:00-26:00",
        ] {
            assert!(time_range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_are_weekdays_or_dates() {
        assert_eq!(days("mon-fri"), Ok(Days::Week([true, true, true, true, true, false, false])));
        assert_eq!(
            days("sat,sun"),
            Ok(Days::Week([false, false, false, false, false, true, true]))
        );
        assert_eq!(days("sat-mon"), Ok(Days::Week([true, false, false, false, false, true, true])));
        let date = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(days("2026-11-07"), Ok(Days::Dates(date("2026-11-07"), date("2026-11-07"))));
        assert_eq!(
            days("2026-12-31..2027-01-08"),
            Ok(Days::Dates(date("2026-12-31"), date("2027-01-08")))
        );
        for text in
            ["", "monday", "2026-13-01", "2026-02-30", "2027-01-08..2026-12-31", "07.11.2026"]
        {
            assert!(days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn percents_and_moments() {
        assert_eq!(percent("80%"), Ok(80));
        assert!(percent("80").is_err() && percent("180%").is_err());
        assert_eq!(moment("2026-11-23 12:05").unwrap().to_string(), "2026-11-23T12:05:00");
        assert!(moment("2026-11-23").is_err() && moment("2026-11-23 24:00").is_err());
    }
}
