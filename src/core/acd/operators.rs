//! What is known of each operator, and whether this one is free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::plan::Group;
use crate::domain::{Attendance, CallId, Login, Operator, PhoneState, RingOutcome, Timestamp};

use super::border::{OfferId, OperatorState};

/// One operator. There is one of each, whatever the number of groups: so there is one wrap-up, one
/// conversation and one ringing phone.
#[derive(Debug)]
pub(super) struct Person {
    pub operator: Operator,
    pub attendance: Attendance,
    pub phone: PhoneState,
    /// Logged in to, and a member of.
    pub groups: BTreeSet<String>,
    pub work: Work,
    /// Since when the operator makes a call of their own.
    pub own_call: Option<Timestamp>,
    /// Not rung until then, after a call that was not taken.
    pub delay: Option<(Timestamp, RingOutcome)>,
    /// Where idle time starts: the last wrap-up, log-in or unpause, or the last call not taken.
    pub idle_since: Timestamp,
    pub paused_since: Timestamp,
    /// Was logged in and not paused when last looked at.
    pub was_at_work: bool,
    /// Calls picked up today.
    pub calls: u32,
    /// Not an operator any more; goes when the conversation is over.
    pub is_removed: bool,
    /// The state that was made known last.
    pub shown: OperatorState,
}

/// What an operator does for a caller.
#[derive(Debug)]
pub(super) enum Work {
    None,
    Ringing {
        offer: OfferId,
        call: CallId,
        since: Timestamp,
    },
    /// Kept free for a customer who is being called.
    Reserved {
        call: CallId,
        since: Timestamp,
    },
    Talking(Talk),
    WrapUp {
        talk: Talk,
        began: Timestamp,
        until: Timestamp,
    },
}

/// A conversation, under way or ended.
#[derive(Debug)]
pub(super) struct Talk {
    pub call: CallId,
    /// The rules for wrap-up; `None`: not through a group.
    pub rules: Option<Arc<Group>>,
    /// The group that it counts for.
    pub group: Option<String>,
    /// When the operator picked up.
    pub since: Timestamp,
    /// When they heard each other; `None`: not yet.
    pub began: Option<Timestamp>,
    pub held_ms: u64,
    pub on_hold_since: Option<Timestamp>,
    pub topic: Option<String>,
}

impl Person {
    pub fn new(operator: Operator, now: Timestamp) -> Self {
        Self {
            operator,
            attendance: Attendance::default(),
            phone: PhoneState::default(),
            groups: BTreeSet::new(),
            work: Work::None,
            own_call: None,
            delay: None,
            idle_since: now,
            paused_since: now,
            was_at_work: false,
            calls: 0,
            is_removed: false,
            shown: OperatorState::Offline,
        }
    }

    /// Whether this operator could be rung, of whatever group the caller is.
    pub fn is_free(&self) -> bool {
        self.can_be_awaited()
            && matches!(self.work, Work::None)
            && self.own_call.is_none()
            && self.delay.is_none()
    }

    /// Logged in, reachable and not paused: will be free some time.
    pub fn can_be_awaited(&self) -> bool {
        self.is_reachable() && self.attendance.paused.is_none()
    }

    /// Logged in with a phone that answers.
    pub fn is_reachable(&self) -> bool {
        !self.groups.is_empty() && self.phone == PhoneState::Reachable
    }

    pub fn level(&self, skill: &str) -> u8 {
        self.operator.skills.get(skill).copied().unwrap_or(0)
    }

    /// Whether the levels of skills suffice.
    pub fn meets(&self, needs: &BTreeMap<String, u8>) -> bool {
        needs.iter().all(|(skill, needed)| self.level(skill) >= *needed)
    }

    /// Groups that the operator is logged in to now, by attendance and membership.
    pub fn groups_wanted(&self) -> BTreeSet<String> {
        if self.is_removed {
            return BTreeSet::new();
        }
        let wanted = self.attendance.groups.iter();
        wanted.filter(|group| self.operator.groups.contains(group)).cloned().collect()
    }

    pub fn state(&self) -> OperatorState {
        match &self.work {
            Work::Ringing { call, since, .. } => {
                return OperatorState::Ringing { call: *call, since: *since };
            }
            Work::Reserved { call, since } => {
                return OperatorState::Reserved { call: *call, since: *since };
            }
            Work::Talking(talk) => {
                return OperatorState::Talking { call: Some(talk.call), since: talk.since };
            }
            Work::WrapUp { until, .. } => return OperatorState::WrapUp { until: *until },
            Work::None => {}
        }
        if let Some(since) = self.own_call {
            return OperatorState::Talking { call: None, since };
        }
        match &self.attendance.paused {
            _ if self.groups.is_empty() => OperatorState::Offline,
            _ if self.phone != PhoneState::Reachable => OperatorState::Unreachable,
            Some(reason) => {
                OperatorState::Paused { reason: reason.clone(), since: self.paused_since }
            }
            None => OperatorState::Ready { since: self.idle_since },
        }
    }
}

/// All operators.
#[derive(Debug, Default)]
pub(super) struct Staff {
    people: BTreeMap<Login, Person>,
    /// By group: its members, logged in or not.
    members: BTreeMap<String, BTreeSet<Login>>,
}

impl Staff {
    pub fn get(&self, login: &Login) -> Option<&Person> {
        self.people.get(login)
    }

    pub fn get_mut(&mut self, login: &Login) -> Option<&mut Person> {
        self.people.get_mut(login)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Person> {
        self.people.values_mut()
    }

    /// Members of a group, by login.
    pub fn members(&self, group: &str) -> impl Iterator<Item = &Person> {
        let logins = self.members.get(group).into_iter().flatten();
        logins.filter_map(|login| self.people.get(login))
    }

    /// Members who are logged in to the group.
    pub fn present(&self, group: &str) -> impl Iterator<Item = &Person> {
        self.members(group).filter(move |person| person.groups.contains(group))
    }

    pub fn insert(&mut self, person: Person) {
        for group in &person.operator.groups {
            self.members.entry(group.clone()).or_default().insert(person.operator.login.clone());
        }
        self.people.insert(person.operator.login.clone(), person);
    }

    pub fn remove(&mut self, login: &Login) -> Option<Person> {
        let person = self.people.remove(login)?;
        for group in &person.operator.groups {
            let Some(members) = self.members.get_mut(group) else { continue };
            members.remove(login);
            if members.is_empty() {
                self.members.remove(group);
            }
        }
        Some(person)
    }

    pub fn forget_calls(&mut self) {
        for person in self.people.values_mut() {
            person.calls = 0;
        }
    }
}
