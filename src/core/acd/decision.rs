//! What was found of each operator for a caller, as a value that is stored and shown.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::dialplan::plan::{Group, Pick};
use crate::domain::{CallFact, CallId, Decision, Login, Origin, PhoneState, Timestamp, Verdict};

use super::border::{Act, Ticket, TicketWay};
use super::line::{Caller, Desk, Rank, Stage};
use super::operators::{Person, Work};
use super::{Acd, Timer};

/// Changed reasons of the first in a line are written down at most this often.
const REASONS_EVERY_MS: u64 = 1_000;

/// An answer to "why is nobody being rung?".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    pub group: String,
    /// Callers in the line, those for whom a phone rings included.
    pub waiting: usize,
    /// Callers for whom a phone rings, or an operator is kept free.
    pub ringing: usize,
    /// The first caller for whom nobody is rung; the candidates are judged for this one. `None`: for
    /// any caller.
    pub call: Option<CallId>,
    /// Every operator of the group, and of groups that help this caller.
    pub candidates: BTreeMap<Login, Verdict>,
}

/// An operator, judged for one caller.
pub(super) struct Found<'a> {
    pub person: &'a Person,
    /// Logged in to the caller's own group.
    pub is_member: bool,
    pub verdict: Verdict,
}

impl Acd {
    /// Why somebody is rung for the group or nobody is, at `now`.
    pub fn explain_group(&self, now: Timestamp, group: &str) -> Standing {
        let line = self.lines.get(group).into_iter().flatten();
        let callers: Vec<_> = line.filter_map(|rank| self.callers.get(&rank.call)).collect();
        let first = callers.iter().find(|caller| caller.stage == Stage::Waiting);
        let anybody = Caller::anybody(now, group);
        let found = self.find_operators(now, first.unwrap_or(&&anybody));
        Standing {
            group: group.to_owned(),
            waiting: callers.len(),
            ringing: callers.iter().filter(|caller| caller.stage != Stage::Waiting).count(),
            call: first.map(|caller| caller.rank.call),
            candidates: candidates(found),
        }
    }

    /// Every operator who may take the caller some time, by login.
    pub(super) fn find_operators<'a>(&'a self, now: Timestamp, caller: &Caller) -> Vec<Found<'a>> {
        let manager = caller.manager.as_ref().and_then(|(login, _)| self.staff.get(login));
        let own: Vec<&Person> = if caller.ticket.only_manager {
            Vec::new()
        } else {
            self.staff.members(&caller.group().name).collect()
        };
        let mut people = own;
        let members = people.len();
        people.extend(manager);
        if !caller.ticket.only_manager {
            people.extend(caller.helpers(now).flat_map(|group| self.staff.members(group)));
        }
        if people.len() > members {
            people.sort_unstable_by(|a, b| a.operator.login.cmp(&b.operator.login));
            people.dedup_by(|a, b| a.operator.login == b.operator.login);
        }
        people.into_iter().map(|person| find(now, caller, person)).collect()
    }

    /// Writes down why nobody is rung for a caller at the head of a line, if that is new.
    pub(super) fn explain_wait(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) {
        let Some(caller) = self.callers.get(&call) else { return };
        let is_first = caller.desks.iter().any(|desk| self.desks.is_first(desk, &caller.rank));
        if self.is_unwatched || caller.stage != Stage::Waiting || !is_first {
            return;
        }
        let found = self.find_operators(now, caller);
        let reasons = fingerprint(&found);
        if caller.reasons == Some(reasons) {
            return;
        }
        let decision = caller.decided(now, Vec::new(), found);
        Self::record(call, CallFact::Decided(decision), out);
        if let Some(caller) = self.callers.get_mut(&call) {
            caller.reasons = Some(reasons);
        }
    }

    /// If reasons may have changed, sees to it that they are looked at soon.
    pub(super) fn plan_reasons(&mut self, now: Timestamp) {
        let desks = &self.desks;
        self.news.reasons.retain(|group| desks.of_group(group).next().is_some());
        if self.is_unwatched {
            self.news.reasons.clear();
        } else if !self.news.reasons.is_empty() && !self.news.are_reasons_planned {
            self.news.are_reasons_planned = true;
            self.timers.insert((now.plus_ms(REASONS_EVERY_MS), Timer::Reasons));
        }
    }

    pub(super) fn write_reasons(&mut self, now: Timestamp, out: &mut Vec<Act>) {
        self.news.are_reasons_planned = false;
        for group in std::mem::take(&mut self.news.reasons) {
            let firsts = self.desks.of_group(&group).filter_map(|(_, ranks)| ranks.first());
            let firsts: Vec<Rank> = firsts.copied().collect();
            for rank in firsts {
                self.explain_wait(now, rank.call, out);
            }
        }
    }
}

impl Caller {
    /// The record of a choice, or that there was none.
    pub(super) fn decided(
        &self,
        now: Timestamp,
        chosen: Vec<Login>,
        found: Vec<Found<'_>>,
    ) -> Decision {
        Decision {
            group: self.group().name.clone(),
            rule: self.rule().to_owned(),
            plan: self.ticket.plan.clone(),
            waited_ms: now.since(self.entered),
            chosen,
            candidates: candidates(found),
        }
    }

    /// A caller without any wishes, to judge operators by.
    fn anybody(now: Timestamp, group: &str) -> Self {
        let ticket = Ticket {
            call: CallId(Uuid::nil()),
            group: Arc::new(Group::named(group)),
            origin: Origin::Called,
            caller: None,
            priority: 0,
            manager: None,
            only_manager: false,
            place: None,
            way: TicketWay::Caller,
            plan: String::new(),
        };
        Self {
            origin: ticket.origin,
            rank: Rank::of(&ticket, now, true),
            entered: now,
            stage: Stage::Waiting,
            is_live: true,
            manager: None,
            last_rung: None,
            desks: Vec::<Desk>::new(),
            told: None,
            reasons: None,
            widens_at: None,
            ticket,
        }
    }
}

fn candidates(found: Vec<Found<'_>>) -> BTreeMap<Login, Verdict> {
    found.into_iter().map(|found| (found.person.operator.login.clone(), found.verdict)).collect()
}

fn find<'a>(now: Timestamp, caller: &Caller, person: &'a Person) -> Found<'a> {
    let is_member = person.groups.contains(&caller.group().name);
    let is_manager =
        caller.manager.as_ref().is_some_and(|(login, _)| *login == person.operator.login);
    let may_take =
        is_member || is_manager || caller.helpers(now).any(|group| person.groups.contains(group));
    let verdict = if may_take && !person.groups.is_empty() {
        judge(now, caller, person, is_manager)
    } else {
        Verdict::LoggedOut
    };
    Found { person, is_member, verdict }
}

/// The first reason that stands against a logged-in operator, if there is one.
fn judge(now: Timestamp, caller: &Caller, person: &Person, is_manager: bool) -> Verdict {
    match &person.work {
        Work::Ringing { .. } => return Verdict::Ringing,
        Work::Reserved { .. } => return Verdict::Reserved,
        Work::Talking(talk) => return Verdict::Talking { for_ms: now.since(talk.since) },
        Work::WrapUp { until, .. } => return Verdict::WrapUp { left_ms: until.since(now) },
        Work::None => {}
    }
    if let Some(since) = person.own_call {
        return Verdict::Talking { for_ms: now.since(since) };
    }
    match person.phone {
        PhoneState::Unregistered => return Verdict::Unregistered,
        PhoneState::Unreachable => return Verdict::Unreachable,
        PhoneState::Reachable => {}
    }
    if let Some(reason) = &person.attendance.paused {
        return Verdict::Paused { reason: reason.clone() };
    }
    if let Some((until, after)) = person.delay {
        return Verdict::Delayed { left_ms: until.since(now), after };
    }
    if let Some((_, until)) = &caller.manager
        && !is_manager
    {
        return Verdict::NotTheManager { left_ms: until.since(now) };
    }
    let lacking = caller.group().needs.iter().find(|(s, needed)| person.level(s) < **needed);
    if let Some((skill, needed)) = lacking.filter(|_| !is_manager) {
        let (skill, level, needed) = (skill.clone(), person.level(skill), *needed);
        return Verdict::LacksSkill { skill, level, needed };
    }
    let by_skill = caller.group().pick == Pick::BySkill;
    Verdict::Free {
        idle_ms: now.since(person.idle_since),
        calls: person.calls,
        level: by_skill.then(|| person.level(caller.skill())),
    }
}

/// Equal for equal reasons: times that merely pass are left out.
fn fingerprint(found: &[Found<'_>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for Found { person, verdict, .. } in found {
        person.operator.login.hash(&mut hasher);
        std::mem::discriminant(verdict).hash(&mut hasher);
        match verdict {
            Verdict::Paused { reason } => reason.hash(&mut hasher),
            Verdict::LacksSkill { skill, level, needed } => {
                (skill, level, needed).hash(&mut hasher);
            }
            Verdict::Delayed { after: outcome, .. } | Verdict::JustRang { outcome } => {
                std::mem::discriminant(outcome).hash(&mut hasher);
            }
            Verdict::Free { .. }
            | Verdict::LoggedOut
            | Verdict::Unregistered
            | Verdict::Unreachable
            | Verdict::Ringing
            | Verdict::Reserved
            | Verdict::Talking { .. }
            | Verdict::WrapUp { .. }
            | Verdict::NotTheManager { .. } => {}
        }
    }
    hasher.finish()
}
