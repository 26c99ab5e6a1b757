//! What the wall clock says: the world's, which may be set while the server runs, or that of a
//! rehearsal, which runs ahead.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::ensure;
use jiff::Zoned;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::config::Config;
use crate::core::Event;
use crate::domain::{Calendar, Timestamp};

use super::clock::Clock;

/// How often it is looked whether the wall clock was set.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A smaller difference is drift or a slow step of NTP, not a clock that was set.
const DIFFERENCE_MAX_MS: u64 = 1_000;

/// A moment with its zone, as `2026-11-27T18:50:00+03:00` or `…[Europe/Moscow]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment(pub Zoned);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a moment such as 2026-11-27T18:50:00+03:00");
        let pieces = Pieces::parse(text).map_err(|_| wrong())?;
        if pieces.time_zone_annotation().is_some() {
            return text.parse().map(Self).map_err(|_| wrong());
        }
        let Some(offset) = pieces.to_numeric_offset() else {
            return Err(format!("{}; the offset from UTC is missing", wrong()));
        };
        let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        Ok(Self(at.to_zoned(TimeZone::fixed(offset))))
    }
}

/// A clock on which hours, windows, due times and schedules run instead of the world's: an admin sees
/// a Friday evening in a minute. SIP and audio stay in real time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    begins: Zoned,
    speed: u32,
}

impl Rehearsal {
    /// A day in 24 s.
    pub const SPEED_MAX: u32 = 3_600;

    /// `speed`: seconds that pass in one, 1 to [`Rehearsal::SPEED_MAX`]. Where a trunk is registered
    /// real people could be called at a time that is not theirs, so that is refused unless
    /// `is_sure`.
    pub fn new(
        Moment(begins): Moment,
        speed: u32,
        config: &Config,
        is_sure: bool,
    ) -> anyhow::Result<Self> {
        let registered = config.trunks.iter().find(|trunk| trunk.register);
        if let Some(trunk) = registered.filter(|_| !is_sure) {
            anyhow::bail!(
                "--clock would call people by the trunk \"{}\" at hours of a rehearsal; remove its \
                 register, or say --yes if you are sure",
                trunk.name
            );
        }
        let speeds = 1..=Self::SPEED_MAX;
        ensure!(speeds.contains(&speed), "--clock-speed is 1 to {}", Self::SPEED_MAX);
        Ok(Self { begins, speed })
    }

    /// The calendar of a rehearsal that begins now.
    pub fn calendar(&self, now: Timestamp) -> Calendar {
        let wall = Timestamp::from(&self.begins);
        Calendar { anchor: now, wall, speed: self.speed, is_rehearsal: true }
    }

    /// Seconds that pass on its clock in one.
    pub fn speed(&self) -> u32 {
        self.speed
    }

    /// A moment of its clock as people read it, in the zone in which its beginning was named.
    pub fn shown(&self, wall: Timestamp) -> String {
        wall.in_zone(self.begins.time_zone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// `a rehearsal from 2026-11-27T18:50:00+03:00, 60 times as fast as the world`
impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a rehearsal from {}", self.shown(Timestamp::from(&self.begins)))?;
        match self.speed {
            1 => Ok(()),
            speed => write!(f, ", {speed} times as fast as the world"),
        }
    }
}

/// The wall clock for those who only write its times down.
#[derive(Clone, Copy, Debug)]
pub struct Wall {
    pub clock: Clock,
    pub calendar: Calendar,
}

impl Wall {
    pub fn now(&self) -> Timestamp {
        if self.calendar.is_rehearsal {
            self.calendar.wall(self.clock.now())
        } else {
            self.clock.wall()
        }
    }
}

/// The calendar of a world whose wall clock says `wall` now.
fn of_the_world(now: Timestamp, wall: Timestamp) -> Calendar {
    Calendar { anchor: now, wall, speed: 1, is_rehearsal: false }
}

/// The new calendar, if the wall clock was set.
fn corrected(calendar: Calendar, now: Timestamp, wall: Timestamp) -> Option<Calendar> {
    let expected = calendar.wall(now);
    let difference = expected.0.abs_diff(wall.0);
    (difference > DIFFERENCE_MAX_MS).then(|| of_the_world(now, wall))
}

/// Tells the event loop whenever somebody sets the wall clock, until the loop is gone.
pub async fn watch_wall_clock(clock: Clock, event_loop: mpsc::Sender<Event>) {
    let mut calendar = Calendar::default();
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = event_loop.closed() => return,
            _ = look.tick() => {}
        }
        let (now, wall) = (clock.now(), clock.wall());
        if let Some(new) = corrected(calendar, now, wall) {
            let by_ms = wall.0.saturating_sub(calendar.wall(now).0);
            warn!(by_ms, "the wall clock was set; due times and schedules follow it");
            calendar = new;
            if event_loop.send(Event::CalendarSet { calendar }).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINS: &str = "2026-11-27T18:50:00+03:00";

    fn rehearsal(toml: &str, is_sure: bool) -> anyhow::Result<Rehearsal> {
        let config = Config::from_text("allo.toml".as_ref(), toml, []).unwrap();
        Rehearsal::new(BEGINS.parse().unwrap(), 60, &config, is_sure)
    }

    #[test]
    fn a_rehearsal_begins_when_it_is_told_to_and_runs_ahead() {
        let rehearsal = rehearsal("", false).unwrap();
        let calendar = rehearsal.calendar(Timestamp(5_000));
        assert!(calendar.is_rehearsal);
        assert_eq!(rehearsal.shown(calendar.wall(Timestamp(5_000))), BEGINS);
        let after_a_minute = calendar.wall(Timestamp(65_000));
        assert_eq!(rehearsal.shown(after_a_minute), "2026-11-27T19:50:00+03:00");
    }

    #[test]
    fn a_registered_trunk_is_not_rehearsed_with_unless_the_admin_is_sure() {
        let trunk = "[[trunk]]\nname = \"mts\"\naddress = \"sip.example.org\"\n";
        assert!(rehearsal(trunk, false).is_ok());
        let registered = format!("{trunk}register = true\nusername = \"shop\"\n");
        let error = rehearsal(&registered, false).unwrap_err().to_string();
        assert!(error.contains("\"mts\"") && error.contains("--yes"), "{error}");
        assert!(rehearsal(&registered, true).is_ok());
    }

    #[test]
    fn a_moment_needs_its_zone() {
        let moscow: Moment = "2026-11-27T18:50:00+03:00[Europe/Moscow]".parse().unwrap();
        let offset: Moment = BEGINS.parse().unwrap();
        let utc: Moment = "2026-11-27T15:50:00Z".parse().unwrap();
        assert_eq!(moscow.0.timestamp(), offset.0.timestamp());
        assert_eq!(utc.0.timestamp(), offset.0.timestamp());
        let error = "2026-11-27T18:50:00".parse::<Moment>().unwrap_err();
        assert!(error.contains("offset"), "{error}");
        assert!("friday".parse::<Moment>().is_err());
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_drift_is_not() {
        let calendar = of_the_world(Timestamp(0), Timestamp(1_000_000));
        let (now, hour) = (Timestamp(10_000), 3_600_000);
        assert_eq!(corrected(calendar, now, Timestamp(1_010_900)), None);
        for wall in [Timestamp(1_010_000 + hour), Timestamp(1_010_000 - hour)] {
            let new = corrected(calendar, now, wall).unwrap();
            assert_eq!(new.wall(now), wall);
            assert_eq!(corrected(new, now.plus_ms(1_000), wall.plus_ms(1_000)), None);
        }
    }
}
