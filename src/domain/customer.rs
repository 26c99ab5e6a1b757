//! What the CRM knows of a caller.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Language, Timestamp};

/// An amount in kopecks (hundredths of the currency unit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    /// Reads `2341`, `2341.5`, `2341,50`, `-40.05`; at most two digits after the point.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, fraction) = unsigned.split_once(['.', ',']).unwrap_or((unsigned, "0"));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 2 {
            return None;
        }
        let kopecks = fraction.parse::<i64>().ok()? * if fraction.len() == 1 { 10 } else { 1 };
        let whole = whole.parse::<i64>().ok()?.checked_mul(100)?;
        Some(Self(sign * whole.checked_add(kopecks)?))
    }
}

/// `2341.50`
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let kopecks = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", kopecks / 100, kopecks % 100)
    }
}

/// A client of the shop. Absent fields are unknown, not zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Customer {
    pub name: Option<String>,
    pub points: Option<i64>,
    pub vip: bool,
    /// Login of the personal manager.
    pub manager: Option<String>,
    pub language: Option<Language>,
    pub balance: Option<Money>,
    /// Number of the club card, as the CRM writes it.
    pub card: Option<String>,
    /// IANA name of the customer's time zone.
    pub timezone: Option<String>,
    /// Newest first.
    pub orders: Vec<Order>,
}

/// One order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Order {
    /// As the shop writes it: `48-15`, `A-1007`.
    pub number: String,
    /// A status word such as `shipped`; see the `status/…` recordings.
    pub status: Option<String>,
    pub due: Option<Date>,
    pub sum: Option<Money>,
    pub updated: Option<Timestamp>,
}

impl Order {
    /// Whether there is still something to wait for.
    pub fn is_active(&self) -> bool {
        !matches!(self.status.as_deref(), Some("delivered" | "cancelled" | "returned" | "refunded"))
    }
}

impl Customer {
    /// The order that a caller most likely asks about: the newest active one, else the newest.
    pub fn current_order(&self) -> Option<&Order> {
        let active = self.orders.iter().find(|order| order.is_active());
        active.or_else(|| self.orders.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_with_point_or_comma() {
        for (text, kopecks) in
            [("2341", 234_100), ("2341.5", 234_150), ("2341,50", 234_150), ("-0.05", -5)]
        {
            assert_eq!(Money::parse(text), Some(Money(kopecks)), "{text}");
        }
        for text in ["", "-", "1.234", "1e3", "12 000", "99999999999999999999"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
        assert_eq!(Money(-4_005).to_string(), "-40.05");
    }

    #[test]
    fn the_newest_active_order_is_the_current_one() {
        let order = |number: &str, status: &str| Order {
            number: number.into(),
            status: Some(status.into()),
            ..Order::default()
        };
        let mut customer = Customer {
            orders: vec![order("3", "delivered"), order("2", "shipped"), order("1", "new")],
            ..Customer::default()
        };
        assert_eq!(customer.current_order().map(|o| o.number.as_str()), Some("2"));
        customer.orders.truncate(1);
        assert_eq!(customer.current_order().map(|o| o.number.as_str()), Some("3"));
    }
}
