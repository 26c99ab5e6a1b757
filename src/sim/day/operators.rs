//! The operators of a day: everybody is a person of one shift.

use std::collections::BTreeMap;

use super::staffing::Doing;
use crate::dialplan::day::{Day, Minutes};
use crate::domain::{Login, Operator, Role, Timestamp};

/// Levels of skills that everybody has here: nobody lacks what a group asks for.
const BEST: u8 = 10;

pub(super) struct SimulatedOperator {
    pub person: Operator,
    /// Index into [`Day::groups`] of the group whose shift it is.
    pub group: usize,
    pub span: Minutes,
    pub doing: Doing,
    pub since: Timestamp,
}

impl SimulatedOperator {
    pub fn login(&self) -> &Login {
        &self.person.login
    }
}

/// All who work on this day, shift by shift.
pub(super) fn operators(day: &Day) -> Vec<SimulatedOperator> {
    let mut operators = Vec::new();
    for (index, group) in day.groups.iter().enumerate() {
        for shift in &group.shifts {
            for _ in 0..shift.operators {
                // Equals are told apart by their logins, so these count like numbers.
                let Ok(login) = format!("op-{:06}", operators.len() + 1).parse::<Login>() else {
                    continue;
                };
                let groups = std::iter::once(&group.rules.name).chain(&shift.also);
                let person = Operator {
                    name: login.to_string(),
                    login,
                    extension: None,
                    groups: groups.cloned().collect(),
                    skills: skills(day),
                    role: Role::Operator,
                    auto_answer: false,
                    whisper: false,
                };
                operators.push(SimulatedOperator {
                    person,
                    group: index,
                    span: shift.span,
                    doing: Doing::Neither,
                    since: Timestamp(0),
                });
            }
        }
    }
    operators
}

fn skills(day: &Day) -> BTreeMap<String, u8> {
    let needed = day.groups.iter().flat_map(|group| group.rules.needs.keys());
    needed.map(|skill| (skill.clone(), BEST)).collect()
}
