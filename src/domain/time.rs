//! The one notion of time that pure code sees.

use std::fmt;

use jiff::{Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. The app's clock never lets it decrease.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment on the wall clock of `zone`. Moments outside jiff's range (years ±9999) become
    /// the epoch.
    pub fn in_zone(self, zone: &TimeZone) -> Zoned {
        jiff::Timestamp::from_millisecond(self.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(zone.clone())
    }

    /// `ms` milliseconds later.
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }

    /// Milliseconds from `earlier` to this moment; 0 if `earlier` is later.
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl From<&Zoned> for Timestamp {
    fn from(zoned: &Zoned) -> Self {
        Self(zoned.timestamp().as_millisecond())
    }
}

/// A length of time as people read it: `0 s`, `400 ms`, `73 s`, `12 min`, `1 h 5 min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub ms: u64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = |unit_ms: u64| (self.ms.saturating_add(unit_ms / 2)) / unit_ms;
        match self.ms {
            0 => f.write_str("0 s"),
            1..1_000 => write!(f, "{} ms", self.ms),
            1_000..600_000 => write!(f, "{} s", rounded(1_000)),
            600_000..3_570_000 => write!(f, "{} min", rounded(60_000)),
            _ => {
                let minutes = rounded(60_000);
                write!(f, "{} h {} min", minutes / 60, minutes % 60)
            }
        }
    }
}

/// RFC 3339 in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => at.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_as_exact_as_people_want_them() {
        for (ms, shown) in [
            (0, "0 s"),
            (400, "400 ms"),
            (1_499, "1 s"),
            (73_000, "73 s"),
            (720_000, "12 min"),
            (3_599_000, "1 h 0 min"),
            (3_900_000, "1 h 5 min"),
        ] {
            assert_eq!(Span { ms }.to_string(), shown);
        }
    }
}
