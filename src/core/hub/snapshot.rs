//! How things stand, for those who watch.

use serde::{Deserialize, Serialize};

use crate::domain::{CallId, CallerId, Login, Timestamp};

use super::super::acd::{OperatorState, Standing};
use super::Hub;

/// Everybody and every line at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub at: Timestamp,
    /// Calls that are not over, those of operators' own not counted.
    pub calls: usize,
    /// By name; groups of the plan, and those of calls under way by an older one.
    pub groups: Vec<GroupSnapshot>,
    /// By login.
    pub operators: Vec<OperatorSnapshot>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupSnapshot {
    pub name: String,
    /// The next one first.
    pub waiting: Vec<WaitingSnapshot>,
}

/// One caller in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitingSnapshot {
    pub call: CallId,
    pub caller: Option<CallerId>,
    pub since: Timestamp,
}

/// One person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorSnapshot {
    pub login: Login,
    pub name: String,
    pub groups: Vec<String>,
    pub state: OperatorState,
}

impl Hub {
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let planned = self.plan.scripts.values().flat_map(|script| script.groups.keys());
        let mut names: Vec<String> =
            planned.map(String::as_str).chain(self.acd.lines()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        let groups = names.into_iter().map(|name| self.group_snapshot(name)).collect();
        let operators = self.operators.values().filter_map(|operator| {
            Some(OperatorSnapshot {
                login: operator.login.clone(),
                name: operator.name.clone(),
                groups: operator.groups.clone(),
                state: self.acd.state(&operator.login)?,
            })
        });
        Snapshot { at: now, calls: self.calls.len(), groups, operators: operators.collect() }
    }

    /// Why nobody of this group is rung just now, or who would be; `None`: there is no such group.
    pub fn explain_group(&self, now: Timestamp, group: &str) -> Option<Standing> {
        let is_planned = self.plan.scripts.values().any(|script| script.groups.contains_key(group));
        is_planned.then(|| self.acd.explain_group(now, group))
    }

    fn group_snapshot(&self, name: String) -> GroupSnapshot {
        let waiting = self.acd.line(&name).into_iter().map(|waiting| WaitingSnapshot {
            call: waiting.call,
            caller: self.calls.get(&waiting.call).map(|entry| entry.caller.clone()),
            since: waiting.entered,
        });
        GroupSnapshot { waiting: waiting.collect(), name }
    }
}
