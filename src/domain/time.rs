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

    /// `ms` milliseconds earlier.
    pub fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)))
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

/// What the wall clock says at a moment of the server's own clock, which never jumps: hours, due
/// times and schedules follow the wall; SIP, media and what a caller waits for follow the server.
/// They differ after the wall clock was set, and under a rehearsal clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Calendar {
    /// A moment of the server's clock,
    pub anchor: Timestamp,
    /// and what the wall clock said then.
    pub wall: Timestamp,
    /// How many wall seconds pass in one of the server's; at least 1.
    pub speed: u32,
    /// Set by hand for a rehearsal: it has nothing to do with the world's time.
    pub is_rehearsal: bool,
}

/// The wall clock and the server's agree.
impl Default for Calendar {
    fn default() -> Self {
        let (anchor, wall) = (Timestamp::default(), Timestamp::default());
        Self { anchor, wall, speed: 1, is_rehearsal: false }
    }
}

impl Calendar {
    /// What the wall clock says at this moment of the server's.
    pub fn wall(&self, now: Timestamp) -> Timestamp {
        let passed = i128::from(now.0) - i128::from(self.anchor.0);
        let wall = i128::from(self.wall.0) + passed * i128::from(self.speed.max(1));
        Timestamp(i64::try_from(wall).unwrap_or(i64::MAX))
    }

    /// The moment of the server's clock at which the wall clock will say `wall`, rounded up.
    pub fn moment(&self, wall: Timestamp) -> Timestamp {
        let ahead = i128::from(wall.0) - i128::from(self.wall.0);
        let speed = i128::from(self.speed.max(1));
        let passed = ahead.div_euclid(speed) + i128::from(ahead.rem_euclid(speed) != 0);
        Timestamp(i64::try_from(i128::from(self.anchor.0) + passed).unwrap_or(i64::MAX))
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
    fn a_rehearsal_passes_faster_and_its_moments_are_found() {
        let rehearsal = Calendar {
            anchor: Timestamp(1_000),
            wall: Timestamp(5_000_000),
            speed: 60,
            is_rehearsal: true,
        };
        assert_eq!(rehearsal.wall(Timestamp(1_000)), Timestamp(5_000_000));
        assert_eq!(rehearsal.wall(Timestamp(2_000)), Timestamp(5_060_000));
        for wall in [4_999_999, 5_000_000, 5_000_001, 5_060_000, 9_999_999] {
            let moment = rehearsal.moment(Timestamp(wall));
            assert!(rehearsal.wall(moment) >= Timestamp(wall));
            assert!(rehearsal.wall(moment.minus_ms(1)) < Timestamp(wall));
        }
        assert_eq!(Calendar::default().wall(Timestamp(77)), Timestamp(77));
        assert_eq!(Calendar::default().moment(Timestamp(77)), Timestamp(77));
    }

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
