//! Whom we called lately: robots, `no-more-than 1 per="7d"`, and operators, under no name.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialplan::plan::Cap;
use crate::domain::{PhoneNumber, Timestamp};

use super::super::event::Called;

/// Beyond so many calls the oldest are forgotten, and with them their caps.
const CALLED_MAX: usize = 500_000;

/// Calls by robot and number. The tries of one promise of a robot are one call; those of operators
/// are known from the start of the server on.
#[derive(Debug, Default)]
pub(super) struct Caps {
    of: BTreeMap<(String, PhoneNumber), BTreeSet<Timestamp>>,
    by_time: BTreeSet<(Timestamp, String, PhoneNumber)>,
}

impl Caps {
    pub fn called(&mut self, called: Called) {
        let Called { phone, robot, at } = called;
        self.of.entry((robot.clone(), phone.clone())).or_default().insert(at);
        self.by_time.insert((at, robot, phone));
        while self.by_time.len() > CALLED_MAX {
            self.forget_oldest();
        }
    }

    /// The customer's phone did not ring after all.
    pub fn not_called(&mut self, robot: &str, phone: &PhoneNumber, at: Timestamp) {
        self.by_time.remove(&(at, robot.to_owned(), phone.clone()));
        let key = (robot.to_owned(), phone.clone());
        if let Some(calls) = self.of.get_mut(&key) {
            calls.remove(&at);
            if calls.is_empty() {
                self.of.remove(&key);
            }
        }
    }

    /// When the cap allows one more call; `wall`, if it does now. Calls that seem to lie ahead,
    /// because the clock was put back, count as well.
    pub fn allowed_from(
        &self,
        wall: Timestamp,
        cap: Cap,
        robot: &str,
        phone: &PhoneNumber,
    ) -> Timestamp {
        let Some(calls) = self.of.get(&(robot.to_owned(), phone.clone())) else { return wall };
        let allowed = usize::try_from(cap.calls).unwrap_or(usize::MAX).max(1);
        // With the oldest of the last `calls` calls out of the period, there is room for one more.
        let nth_last = calls.iter().rev().nth(allowed - 1);
        nth_last.map_or(wall, |at| at.plus_ms(cap.per_ms).max(wall))
    }

    /// Forgets what no cap asks for.
    pub fn forget_before(&mut self, moment: Timestamp) {
        while self.by_time.first().is_some_and(|(at, ..)| *at < moment) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((at, robot, phone)) = self.by_time.first().cloned() {
            self.not_called(&robot, &phone, at);
        }
    }
}
