//! The service level of the day, group by group.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::domain::Visit;

use super::super::service_level::{Standard, Tally};

/// Tallies since midnight.
#[derive(Debug, Default)]
pub(super) struct Today {
    date: Date,
    groups: BTreeMap<String, Tally>,
}

impl Today {
    /// Counts a visit that ended on `date`; the first one of a new day begins anew.
    pub fn add(&mut self, date: Date, visit: &Visit, standard: Standard) {
        if self.date != date {
            self.date = date;
            self.groups.clear();
        }
        self.groups.entry(visit.group.clone()).or_default().add_visit(visit, standard);
    }

    pub fn tally(&self, date: Date, group: &str) -> Tally {
        let tally = self.groups.get(group).filter(|_| self.date == date);
        tally.cloned().unwrap_or_default()
    }
}
