//! A day of calls in a moment: the line of real calls, with callers and operators who are made up.
//!
//! - `callers`: who calls when, for how long, with how much patience
//! - `operators`: who works when
//! - `world`: the clock; lets both meet in the line
//! - [`staffing`]: what operators did with their time
//! - [`theory`]: what Erlang would have said of the same day
//! - [`report`]: all figures of a day, half hour by half hour

mod callers;
mod operators;
pub mod report;
pub mod staffing;
#[cfg(test)]
mod tests;
pub mod theory;
mod world;

use std::collections::BTreeMap;

use crate::core::acd::Acd;
use crate::core::service_level::{Standard, Tally};
use crate::dialplan::day::Day;
use crate::domain::Timestamp;
use staffing::{HALF_HOUR_MS, Staffing};
use world::World;

/// What came of a day.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// In the order of [`Day::groups`].
    pub groups: Vec<GroupResult>,
    /// Phones that stopped ringing without a conversation.
    pub not_taken: u64,
    /// Callers who called again in time and got their places back.
    pub came_back: u64,
}

/// What came of a day in one group.
#[derive(Clone, Debug)]
pub struct GroupResult {
    pub name: String,
    pub standard: Standard,
    /// By half hours since midnight; those without calls are not there.
    pub tallies: BTreeMap<u32, Tally>,
    pub staffing: Staffing,
}

impl GroupResult {
    fn tally_of(&mut self, half_hour: u32) -> &mut Tally {
        self.tallies.entry(half_hour).or_default()
    }
}

impl Rehearsal {
    fn of(day: &Day) -> Self {
        let groups = day.groups.iter().map(|group| GroupResult {
            name: group.rules.name.clone(),
            standard: group.rules.target.into(),
            tallies: BTreeMap::new(),
            staffing: Staffing::default(),
        });
        Self { groups: groups.collect(), not_taken: 0, came_back: 0 }
    }

    fn group_mut(&mut self, name: &str) -> Option<&mut GroupResult> {
        self.groups.iter_mut().find(|group| group.name == name)
    }
}

/// Lives through a day. The same day gives the same figures.
pub fn rehearse(day: &Day) -> Rehearsal {
    World::new(day, Acd::new().unwatched()).run()
}

/// Half hours since midnight.
fn half_hour_of(at: Timestamp, midnight: Timestamp) -> u32 {
    u32::try_from(at.since(midnight) / HALF_HOUR_MS).unwrap_or(u32::MAX)
}
