//! How things stand, for those who watch.

use crate::dialplan::plan::Target;
use crate::domain::{CallFact, CallerId, CallerName, Operator, Timestamp};

use super::super::acd::{OperatorState, Standing, WaitingCaller};
use super::super::service_level::{Standard, Tally};
use super::Hub;

/// Everybody and every line at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub at: Timestamp,
    /// Callers' calls that are not over.
    pub calls: usize,
    /// By name; groups of the plan, and those of calls under way by an older one.
    pub groups: Vec<GroupSnapshot>,
    /// By login.
    pub operators: Vec<(Operator, OperatorState)>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    pub name: String,
    /// The next one first.
    pub waiting: Vec<(WaitingCaller, CallerId, Option<CallerName>)>,
    /// Who asked to be called back and keeps the place.
    pub callbacks: usize,
    /// Since midnight in the time zone of the plan.
    pub today: Tally,
    pub target: Target,
}

impl Hub {
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let planned = self.plan.scripts.values().flat_map(|script| script.groups.keys());
        let names = planned.map(String::as_str).chain(self.acd.lines());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        let groups = names.into_iter().map(|name| self.group_snapshot(now, name)).collect();
        let operators =
            self.acd.operators().map(|(operator, state)| (operator.clone(), state)).collect();
        Snapshot { at: now, calls: self.calls.len(), groups, operators }
    }

    /// Why nobody of this group is rung just now, or who would be; `None`: there is no such group.
    pub fn explain_group(&self, now: Timestamp, group: &str) -> Option<Standing> {
        let is_planned = self.plan.scripts.values().any(|script| script.groups.contains_key(group));
        is_planned.then(|| self.acd.explain_group(now, group))
    }

    /// How many callers wait for a group.
    pub fn waiting(&self, group: &str) -> usize {
        self.acd.waiting(group)
    }

    fn group_snapshot(&self, now: Timestamp, name: String) -> GroupSnapshot {
        let waiting = self.acd.line(&name).into_iter().filter_map(|waiting| {
            let entry = self.calls.get(&waiting.call)?;
            Some((waiting, entry.caller.clone(), entry.caller_name.clone()))
        });
        GroupSnapshot {
            waiting: waiting.collect(),
            callbacks: self.acd.callbacks(&name).count(),
            today: self.today.tally(self.today(now), &name),
            target: self.target(&name),
            name,
        }
    }

    /// Counts a visit into the figures of the day.
    pub(super) fn count(&mut self, now: Timestamp, fact: &CallFact) {
        if let CallFact::LeftLine(visit) = fact {
            let standard = Standard::from(self.target(&visit.group));
            let date = self.today(now);
            self.today.add(date, visit, standard);
        }
    }

    /// What a group aims at by the first file that has it.
    fn target(&self, group: &str) -> Target {
        let groups = self.plan.scripts.values().filter_map(|script| script.groups.get(group));
        groups.map(|group| group.target).next().unwrap_or_default()
    }
}
