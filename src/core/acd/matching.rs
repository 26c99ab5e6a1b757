//! Who is rung for whom.
//!
//! Callers are seen in the order of their [`Rank`], across all groups; each has the best of the
//! operators who are free by then. Only callers and operators with news are looked at: between all
//! others nothing has become possible since the last time.

use std::cmp::Reverse;

use crate::dialplan::plan::Pick;
use crate::domain::{CallFact, CallId, Login, RingOutcome, Timestamp, Verdict};

use super::Acd;
use super::border::Act;
use super::decision::Found;
use super::line::{Caller, Rank, Stage};
use super::operators::Person;

impl Acd {
    /// Sees to everything that the entry point has changed.
    pub(super) fn settle(&mut self, now: Timestamp, out: &mut Vec<Act>) {
        self.begin_day(now);
        self.turn_away_the_hopeless(now, out);
        self.match_all(now, out);
        self.tell_states(now, out);
        debug_assert!(self.is_unwatched || self.check(now).is_empty(), "{:?}", self.check(now));
    }

    fn turn_away_the_hopeless(&mut self, now: Timestamp, out: &mut Vec<Act>) {
        let all = std::mem::take(&mut self.news.is_group_empty);
        let calls: Vec<CallId> = if all {
            self.callers.keys().copied().collect()
        } else {
            self.news.callers.iter().map(|rank| rank.call).collect()
        };
        for call in calls {
            let Some(caller) = self.callers.get(&call) else { continue };
            if caller.stage == Stage::Waiting && !self.has_somebody(now, caller) {
                self.turn_away(now, call, out);
            }
        }
    }

    fn match_all(&mut self, now: Timestamp, out: &mut Vec<Act>) {
        let mut seeking: Vec<Login> = self.news.operators.iter().cloned().collect();
        loop {
            let mut first = self.news.callers.first().copied();
            seeking.retain(|login| {
                let next = self.next_caller_for(login);
                let is_before = next.is_some_and(|rank| first.is_none_or(|first| rank < first));
                first = if is_before { next } else { first };
                next.is_some()
            });
            let Some(rank) = first else { return };
            let is_news = self.news.callers.remove(&rank);
            let is_rung = self.ring_for(now, rank.call, out);
            if !is_rung && !is_news {
                // Cannot be: an operator sees a caller who does not see the operator.
                debug_assert!(false, "{rank:?} is seen one-sidedly");
                return;
            }
        }
    }

    /// Of all whom this operator may take, if free, the caller who comes first.
    pub(super) fn next_caller_for(&self, login: &Login) -> Option<Rank> {
        let person = self.staff.get(login).filter(|person| person.is_free())?;
        let is_new = |rank: &&Rank| {
            self.callers.get(&rank.call).is_some_and(|caller| !caller.has_tried(login))
        };
        let as_manager = self.desks.of_manager(login).find(is_new);
        let desks = person.groups.iter().flat_map(|group| self.desks.of_group(group));
        let suitable = desks.filter(|(needs, _)| person.meets(needs));
        let as_member = suitable.filter_map(|(_, ranks)| ranks.iter().find(is_new));
        as_member.chain(as_manager).min().copied()
    }

    /// Rings or reserves the best operator, or rings all. `false`: nobody is free.
    fn ring_for(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) -> bool {
        let Some(caller) = self.callers.get(&call) else { return false };
        if caller.desks.is_empty() {
            return false;
        }
        let is_to_reserve = caller.reserves();
        let mut found = self.find_operators(now, caller);
        let chosen = self.choose(caller, &found);
        if chosen.is_empty() {
            self.explain_wait(now, call, out);
            return false;
        }
        if !self.is_unwatched {
            mark_just_rung(caller, &chosen, &mut found);
            let decision = caller.decided(now, chosen.clone(), found);
            Self::record(call, CallFact::Decided(decision), out);
        }
        if let [login] = chosen.as_slice() {
            self.turns.insert(caller.group().name.clone(), login.clone());
        }
        if is_to_reserve {
            self.reserve(now, call, chosen, out);
        } else {
            self.ring(now, call, chosen, out);
        }
        true
    }

    pub(super) fn ring(
        &mut self,
        now: Timestamp,
        call: CallId,
        logins: Vec<Login>,
        out: &mut Vec<Act>,
    ) {
        let offers: Vec<_> =
            logins.iter().filter_map(|login| self.offer(now, call, login.clone(), out)).collect();
        let Some(caller) = self.callers.get_mut(&call) else { return };
        caller.reasons = None;
        if let Stage::Ringing { offers: ringing, tried } = &mut caller.stage {
            ringing.extend(offers);
            tried.extend(logins.into_iter().map(|login| (login, None)));
        } else {
            let tried = logins.into_iter().map(|login| (login, None)).collect();
            caller.stage = Stage::Ringing { offers, tried };
        }
        self.requeue(now, call);
    }

    /// The best of those found free, or all of them for `ring-all`. Not the one who was rung last in
    /// vain while there is another; members before helpers.
    fn choose(&self, caller: &Caller, found: &[Found<'_>]) -> Vec<Login> {
        let login = |found: &Found<'_>| found.person.operator.login.clone();
        let free = || found.iter().filter(|found| matches!(found.verdict, Verdict::Free { .. }));
        if caller.rings_all() {
            return free().map(login).filter(|login| !caller.has_tried(login)).collect();
        }
        let rung_last = caller.last_rung.as_ref().map(|(login, _)| login);
        let is_another = |found: &&Found<'_>| Some(&found.person.operator.login) != rung_last;
        let only_the_last = !free().any(|found| is_another(&found));
        let pool = || free().filter(|found| only_the_last || is_another(found));
        let group = caller.group();
        let best_is_member = pool().any(|found| found.is_member);
        let pool = pool().filter(|found| found.is_member == best_is_member);
        let chosen = match group.pick {
            Pick::LongestIdle | Pick::RingAll => pool.min_by_key(|found| found.person.turn()),
            Pick::RoundRobin => {
                let last = self.turns.get(&group.name);
                pool.min_by_key(|found| {
                    let login = &found.person.operator.login;
                    (last.is_some_and(|last| login <= last), login)
                })
            }
            Pick::FewestCalls => pool.min_by_key(|found| (found.person.calls, found.person.turn())),
            Pick::BySkill => {
                let skill = caller.skill();
                pool.min_by_key(|found| (Reverse(found.person.level(skill)), found.person.turn()))
            }
        };
        chosen.into_iter().map(login).collect()
    }

    /// Tells whose state is another one, and that the reasons of those who wait may be others.
    fn tell_states(&mut self, now: Timestamp, out: &mut Vec<Act>) {
        for login in std::mem::take(&mut self.news.operators) {
            let Some(person) = self.staff.get_mut(&login) else {
                out.push(Act::StateChanged { operator: login });
                continue;
            };
            let state = person.state();
            if state != person.shown {
                person.shown = state;
                self.news.reasons.extend(person.operator.groups.iter().cloned());
                out.push(Act::StateChanged { operator: login });
            }
        }
        self.plan_reasons(now);
    }
}

/// Those who are free, but were rung for this caller just now and were passed over for it.
fn mark_just_rung(caller: &Caller, chosen: &[Login], found: &mut [Found<'_>]) {
    for Found { person, verdict, .. } in found {
        let login = &person.operator.login;
        if matches!(verdict, Verdict::Free { .. })
            && !chosen.contains(login)
            && let Some(outcome) = caller.outcome_of(login)
        {
            *verdict = Verdict::JustRang { outcome };
        }
    }
}

impl Person {
    /// Who has been idle for longest comes first; ties by login.
    fn turn(&self) -> (Timestamp, &Login) {
        (self.idle_since, &self.operator.login)
    }
}

impl Caller {
    /// The skill that counts for this caller.
    pub(super) fn skill(&self) -> &str {
        self.group().skill.as_deref().unwrap_or(&self.group().name)
    }

    /// How the operator did not take this call: the last one rung, or one of this round.
    fn outcome_of(&self, login: &Login) -> Option<RingOutcome> {
        let last = self.last_rung.as_ref().filter(|(last, _)| last == login);
        let tried = match &self.stage {
            Stage::Ringing { tried, .. } => tried.get(login).copied().flatten(),
            Stage::Waiting | Stage::Reserved { .. } | Stage::Answered { .. } => None,
        };
        tried.or(last.map(|(_, outcome)| *outcome))
    }

    /// The name of the rule in the record of decisions.
    pub(super) fn rule(&self) -> &'static str {
        if self.manager.is_some() {
            return "personal-manager";
        }
        match self.group().pick {
            Pick::LongestIdle => "longest-idle",
            Pick::RingAll => "ring-all",
            Pick::RoundRobin => "round-robin",
            Pick::FewestCalls => "fewest-calls",
            Pick::BySkill => "by-skill",
        }
    }
}
