//! Texts of CSV cells and SQL columns → values.
//!
//! Each function takes trimmed, non-empty text and says in a few words what it wanted when it can't
//! read it. The words never repeat the value.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::domain::{Language, Money, Timestamp};

/// The columns of a customer (design of `customers.csv`).
pub const CUSTOMER_COLUMNS: [&str; 9] =
    ["phone", "name", "points", "vip", "manager", "language", "balance", "card", "timezone"];

/// The columns of an order.
pub const ORDER_COLUMNS: [&str; 6] = ["number", "phone", "status", "due", "sum", "updated"];

/// The longest text that a field may have, in characters.
const TEXT_MAX: usize = 200;

/// A name, card or status.
pub fn short_text(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > TEXT_MAX {
        return Err("longer than 200 characters");
    }
    if text.chars().any(char::is_control) {
        return Err("holds a line break or another control character");
    }
    Ok(text.to_owned())
}

/// A status word as recordings are named: `SHIPPED` and `in_transit` become `shipped`, `in-transit`.
pub fn status(text: &str) -> Result<String, &'static str> {
    short_text(text).map(|text| text.to_lowercase().replace(['_', ' '], "-"))
}

/// `1254`, `1 254`, `-5`, `1254.00`.
pub fn whole_number(text: &str) -> Result<i64, &'static str> {
    let text = without_spaces(text);
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((&text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte == b'0') {
        return Err("not a whole number");
    }
    whole.parse().map_err(|_| "not a whole number")
}

/// `2341.50`, `2 341,5`.
pub fn money(text: &str) -> Result<Money, &'static str> {
    Money::parse(&without_spaces(text)).ok_or("not an amount such as 2341.50")
}

/// Whether a customer is a VIP.
pub fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text.to_lowercase().as_str() {
        "yes" | "y" | "true" | "t" | "1" | "1.0" | "да" | "vip" => Ok(true),
        "no" | "n" | "false" | "f" | "0" | "0.0" | "нет" => Ok(false),
        _ => Err("neither yes nor no"),
    }
}

/// `ru`, `en`; also `RU` and `ru-RU`.
pub fn language(text: &str) -> Result<Language, &'static str> {
    let code = text.split(['-', '_']).next().unwrap_or(text).to_ascii_lowercase();
    code.parse().map_err(|_| "not a language that is spoken here: ru, en")
}

/// An IANA name.
pub fn timezone(text: &str) -> Result<String, &'static str> {
    match TimeZone::get(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("not a time zone such as Europe/Moscow"),
    }
}

/// `2026-11-21`, `21.11.2026`, or a moment, of which the day counts.
pub fn date(text: &str) -> Result<Date, &'static str> {
    let day = text.split(['T', ' ']).next().unwrap_or(text);
    let read = match day.split('.').collect::<Vec<_>>()[..] {
        [day, month, year] if year.len() == 4 => match (year.parse(), month.parse(), day.parse()) {
            (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).ok(),
            _ => None,
        },
        _ => day.parse().ok(),
    };
    read.ok_or("not a date such as 2026-11-21")
}

/// `2026-11-21T10:00:00+03:00`, `2026-11-21 10:00`, `2026-11-21`; without a zone in UTC. Seconds or
/// milliseconds since 1970 too.
pub fn moment(text: &str) -> Result<Timestamp, &'static str> {
    const WANTED: &str = "not a moment such as 2026-11-21T10:00:00+03:00";
    // 10^11 seconds would be the year 5138; 10^11 milliseconds are 1973.
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    if let Ok(number) = text.parse::<i64>() {
        let ms =
            if number.abs() < MILLISECONDS_FROM { number.checked_mul(1000) } else { Some(number) };
        return ms.map(Timestamp).ok_or(WANTED);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    let civil = match text.parse::<DateTime>() {
        Ok(civil) => civil,
        Err(_) => date(text).map_err(|_| WANTED)?.at(0, 0, 0, 0),
    };
    civil.to_zoned(TimeZone::UTC).map(|zoned| Timestamp::from(&zoned)).map_err(|_| WANTED)
}

/// The letters and digits of an order number, capital: `A-10 07` → `A1007`.
pub fn order_key(number: &str) -> String {
    number.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// Only the digits of an order number, which is all that a caller can type.
pub fn order_digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// Spreadsheets group thousands by spaces, also by such that don't break.
fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_spreadsheets_write_them() {
        for (text, number) in
            [("1254", 1254), ("1 254", 1254), ("1\u{a0}254", 1254), ("-5", -5), ("120.0", 120)]
        {
            assert_eq!(whole_number(text), Ok(number), "{text}");
        }
        for text in ["", "abc", "1.5", "1.", "1e3", "99999999999999999999"] {
            assert!(whole_number(text).is_err(), "{text}");
        }
        assert_eq!(money("2 341,5"), Ok(Money(234_150)));
    }

    #[test]
    fn dates_and_moments_are_read_in_their_usual_forms() {
        let day = jiff::civil::date(2026, 11, 21);
        for text in ["2026-11-21", "21.11.2026", "2026-11-21T10:00:00Z", "2026-11-21 10:00:00"] {
            assert_eq!(date(text), Ok(day), "{text}");
        }
        for text in ["", "21.11", "2026-13-01", "31.02.2026", "tomorrow"] {
            assert!(date(text).is_err(), "{text}");
        }
        let ten = Timestamp(1_795_255_200_000);
        for text in [
            "2026-11-21T10:00:00Z",
            "2026-11-21T13:00:00+03:00",
            "2026-11-21 10:00:00",
            "2026-11-21 10:00",
            "2026-11-21 10:00:00+00",
            "1795255200",
            "1795255200000",
        ] {
            assert_eq!(moment(text), Ok(ten), "{text}");
        }
        assert!(moment("2026-11-21").is_ok());
        assert!(moment("soon").is_err());
    }

    #[test]
    fn words_are_read_in_their_usual_forms() {
        assert_eq!(yes_or_no("Да"), Ok(true));
        assert_eq!(yes_or_no("FALSE"), Ok(false));
        assert!(yes_or_no("maybe").is_err());
        assert_eq!(language("ru-RU"), Ok(Language::Russian));
        assert!(language("de").is_err());
        assert!(timezone("Asia/Yekaterinburg").is_ok());
        assert!(timezone("Moscow").is_err());
        assert!(short_text(&"x".repeat(201)).is_err());
        assert!(short_text("a\nb").is_err());
        assert_eq!(status("IN_TRANSIT").as_deref(), Ok("in-transit"));
    }

    #[test]
    fn an_order_number_has_a_key_that_can_be_typed() {
        assert_eq!(order_key("48-15"), "4815");
        assert_eq!(order_key("a-10 07"), "A1007");
        assert_eq!(order_key("заказ 5"), "ЗАКАЗ5");
        assert_eq!(order_digits("A-1007"), "1007");
    }
}
