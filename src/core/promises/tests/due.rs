use super::*;
use crate::core::promises::{DueTime, due_time};
use crate::dialplan::hours::Exception;
use crate::dialplan::plan::Due;

/// The shop with holidays from 2026-12-31 to 2027-01-08.
fn with_holidays() -> Script {
    let mut script = script();
    let hours = script.hours.get_mut("shop").unwrap();
    hours.exceptions.push(Exception {
        first: "2026-12-31".parse().unwrap(),
        last: "2027-01-08".parse().unwrap(),
        ranges: Vec::new(),
        label: None,
    });
    script
}

fn after(ms: u64) -> Due {
    Due::After { ms }
}

fn next_opening() -> Due {
    Due::NextOpening { hours: "shop".into(), plus_ms: 3_600_000 }
}

#[test]
fn half_an_hour_is_half_an_hour_of_work() {
    for (made, due) in [
        ("2026-11-27T12:00", "2026-11-27T12:30"),
        ("2026-11-27T18:30", "2026-11-27T19:00"),
        ("2026-11-27T18:55", "2026-11-30T10:25"),
        ("2026-11-28T12:00", "2026-11-30T10:30"),
        ("2026-12-30T18:45", "2027-01-11T10:15"),
    ] {
        let found = due_time(&after(30 * 60_000), &with_holidays(), msk(made), None);
        assert_eq!(found, DueTime { due: msk(due), not_before: None }, "{made}");
    }
    let always = Script::named("always");
    let found = due_time(&after(1_000), &always, Timestamp(5), None);
    assert_eq!(found.due, Timestamp(1_005));
}

#[test]
fn an_hour_from_the_next_opening() {
    for (made, from, due) in [
        ("2026-11-27T12:00", None, "2026-11-27T13:00"),
        ("2026-11-27T19:00", Some("2026-11-30T10:00"), "2026-11-30T11:00"),
        ("2026-11-30T08:00", Some("2026-11-30T10:00"), "2026-11-30T11:00"),
        ("2027-01-01T12:00", Some("2027-01-11T10:00"), "2027-01-11T11:00"),
    ] {
        let found = due_time(&next_opening(), &with_holidays(), msk(made), None);
        assert_eq!(found, DueTime { due: msk(due), not_before: from.map(msk) }, "{made}");
    }
}

#[test]
fn the_time_that_a_caller_names_is_the_next_one_with_open_hours() {
    let named = Due::Named { variable: "time".into() };
    for (typed, from) in [
        ("1530", Some("2026-11-27T15:30")),
        ("930", None), // never open
        ("1100", Some("2026-11-30T11:00")),
        ("15", Some("2026-11-27T15:00")),
        ("2000", None),
        ("2561", None),
        ("99999", None),
        ("", None),
        ("*1", None),
    ] {
        let found = due_time(&named, &script(), msk("2026-11-27T12:00"), Some(typed));
        let due = from.map_or(msk("2026-11-27T12:30"), |from| msk(from).plus_ms(15 * 60_000));
        assert_eq!(found, DueTime { due, not_before: from.map(msk) }, "{typed}");
    }
}

#[test]
fn nights_when_clocks_are_changed_are_as_long_as_they_are() {
    let berlin = |text| in_zone(text, "Europe/Berlin");
    let mut script = script();
    script.timezone = TimeZone::get("Europe/Berlin").unwrap();
    let night = Hours {
        week: std::array::from_fn(|_| vec![TimeRange { start: 60, end: 240 }]),
        exceptions: Vec::new(),
    };
    script.hours.insert("shop".into(), night); // 01:00-04:00
    for (made, due) in [
        // 02:00 becomes 03:00: two hours are open.
        ("2026-03-29T01:00", "2026-03-29T04:00"),
        // 03:00 becomes 02:00: four hours are open.
        ("2026-10-25T01:00", "2026-10-25T02:00:00+01:00"),
        ("2026-10-24T01:00", "2026-10-24T03:00"),
    ] {
        let found = due_time(&after(2 * 3_600_000), &script, berlin(made), None);
        assert_eq!(found.due, berlin(due), "{made}");
    }
    let long = due_time(&after(3 * 3_600_000), &script, berlin("2026-03-29T01:00"), None);
    assert_eq!(long.due, berlin("2026-03-30T02:00"));
    let named = Due::Named { variable: "time".into() };
    let found = due_time(&named, &script, berlin("2026-03-28T12:00"), Some("0230"));
    assert_eq!(found.not_before, Some(berlin("2026-03-29T03:30")));
}

#[test]
fn a_night_shift_closes_in_the_morning() {
    let mut hours = Hours::default();
    hours.week[4].push(TimeRange { start: 1_320, end: 1_560 }); // fri 22:00-02:00
    hours.week[5].push(TimeRange { start: 600, end: 660 }); // sat 10:00-11:00
    let at = |text: &str| msk(text).in_zone(&TimeZone::get("Europe/Moscow").unwrap());
    for (from, closing) in [
        ("2026-11-27T22:00", "2026-11-28T02:00"),
        ("2026-11-28T01:59", "2026-11-28T02:00"),
        ("2026-11-28T10:30", "2026-11-28T11:00"),
        ("2026-11-28T12:00", "2026-11-28T12:00"),
    ] {
        assert_eq!(hours.next_closing(&at(from), 2), Some(at(closing)), "{from}");
    }
    let later = hours.after_open_time(&at("2026-11-28T01:30"), 3_600_000);
    assert_eq!(later, Some(at("2026-11-28T10:30")));
    assert_eq!(Hours::default().after_open_time(&at("2026-11-28T01:30"), 1), None);
}

proptest::proptest! {
    #[test]
    fn open_time_is_counted_minute_by_minute(
        minutes in 0_i64..(400 * 1_440),
        start in 0_u16..1_440,
        length in 1_u16..1_440,
        open in 1_u64..600,
    ) {
        let hours = Hours {
            week: std::array::from_fn(|_| vec![TimeRange { start, end: start + length }]),
            exceptions: Vec::new(),
        };
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let mut at = in_zone("2026-01-01T00:00", "Europe/Berlin").plus_ms(
            u64::try_from(minutes).unwrap() * 60_000,
        );
        let found = hours.after_open_time(&at.in_zone(&berlin), open * 60_000).unwrap();
        let mut left = open;
        loop {
            if hours.is_open(&at.in_zone(&berlin)) {
                left -= 1;
            }
            at = at.plus_ms(60_000);
            if left == 0 {
                break;
            }
        }
        proptest::prop_assert_eq!(Timestamp::from(&found), at);
    }
}
