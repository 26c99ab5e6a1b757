//! What must always hold between callers, operators and offers, and how it is put right.

use std::collections::BTreeSet;

use crate::domain::{CallId, Login, Timestamp};

use super::border::{Act, OfferId};
use super::line::{Desks, Stage};
use super::operators::Work;
use super::{Acd, Timer};

impl Acd {
    /// What is wrong, each in a sentence; empty: nothing. Takes a walk through all callers and
    /// operators.
    pub fn check(&self, now: Timestamp) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check_offers(&mut wrong);
        self.check_callers(now, &mut wrong);
        self.check_operators(&mut wrong);
        wrong
    }

    /// Puts right whatever [`Acd::check`] finds, and returns that. Phones that ring without being
    /// known are withdrawn; callers without an operator wait.
    pub fn repair_and_report(&mut self, now: Timestamp, out: &mut Vec<Act>) -> Vec<String> {
        let wrong = self.check(now);
        if !wrong.is_empty() {
            self.repair_offers(out);
            self.repair_reservations(out);
            self.repair_operators();
            self.repair_lines(now);
            self.settle(now, out);
        }
        wrong
    }

    /// Whether the operator's phone rings by this offer.
    fn is_rung_by(&self, login: &Login, offer: OfferId) -> bool {
        let work = self.staff.get(login).map(|person| &person.work);
        matches!(work, Some(Work::Ringing { offer: ringing, .. }) if *ringing == offer)
    }

    fn is_known_to_caller(&self, call: CallId, offer: OfferId) -> bool {
        let stage = self.callers.get(&call).map(|caller| &caller.stage);
        matches!(stage, Some(Stage::Ringing { offers, .. }) if offers.contains(&offer))
    }

    fn talks_with(&self, login: &Login, call: CallId) -> bool {
        let work = self.staff.get(login).map(|person| &person.work);
        matches!(work, Some(Work::Talking(talk)) if talk.call == call)
    }

    fn is_reserved_for(&self, login: &Login, call: CallId) -> bool {
        let work = self.staff.get(login).map(|person| &person.work);
        matches!(work, Some(Work::Reserved { call: reserved, .. }) if *reserved == call)
    }

    fn counts_on(&self, call: CallId, login: &Login) -> bool {
        let stage = self.callers.get(&call).map(|caller| &caller.stage);
        matches!(stage, Some(Stage::Reserved { operator }) if operator == login)
    }

    fn check_offers(&self, wrong: &mut Vec<String>) {
        for (id, offer) in &self.offers {
            if !self.is_rung_by(&offer.operator, *id) {
                wrong.push(format!("offer {} does not ring {}", id.0, offer.operator));
            }
            if !self.is_known_to_caller(offer.call, *id) {
                wrong.push(format!("offer {} is unknown to call {}", id.0, offer.call));
            }
            if !self.timers.contains(&(offer.until, Timer::Ring(*id))) {
                wrong.push(format!("offer {} rings for ever", id.0));
            }
        }
    }

    fn check_callers(&self, now: Timestamp, wrong: &mut Vec<String>) {
        for (call, caller) in &self.callers {
            let line = self.lines.get(&caller.group().name);
            if line.is_some_and(|line| line.contains(&caller.rank)) != caller.is_in_line() {
                wrong.push(format!("call {call} is not where it waits"));
            }
            let is_at_desks =
                caller.desks.iter().all(|desk| self.desks.contains(desk, &caller.rank));
            if !is_at_desks {
                wrong.push(format!("call {call} is not seen by operators"));
            }
            match &caller.stage {
                Stage::Waiting => {
                    if caller.desks.is_empty() {
                        wrong.push(format!("call {call} waits for nobody"));
                    }
                    if !self.has_somebody(now, caller) {
                        wrong.push(format!("call {call} waits though nobody is logged in"));
                    }
                }
                Stage::Ringing { offers, .. } => {
                    if offers.is_empty() {
                        wrong.push(format!("call {call} is rung nowhere"));
                    }
                    let ringing = |o: &OfferId| self.offers.get(o).is_some_and(|o| o.call == *call);
                    if !offers.iter().all(ringing) {
                        wrong.push(format!("call {call} knows an offer that is over"));
                    }
                }
                Stage::Reserved { operator } => {
                    if !self.is_reserved_for(operator, *call) || caller.is_live {
                        wrong.push(format!("call {call} counts on {operator}, who is gone"));
                    }
                }
                Stage::Answered { operator } => {
                    if !self.talks_with(operator, *call) {
                        wrong.push(format!("call {call} was answered by {operator}, who is gone"));
                    }
                }
            }
        }
        let lines: usize = self.lines.values().map(BTreeSet::len).sum();
        if lines > self.callers.len() {
            wrong.push(format!("{lines} places for {} callers", self.callers.len()));
        }
    }

    fn check_operators(&self, wrong: &mut Vec<String>) {
        for person in self.staff.iter() {
            let login = &person.operator.login;
            match &person.work {
                Work::Ringing { offer, .. } => {
                    if self.offers.get(offer).is_none_or(|o| o.operator != *login) {
                        wrong.push(format!("{login} rings without an offer"));
                    }
                }
                Work::Reserved { call, .. } => {
                    if !self.counts_on(*call, login) {
                        wrong.push(format!("{login} is kept free for nobody"));
                    }
                }
                Work::Talking(talk) => {
                    if self.talks.get(&talk.call) != Some(login) {
                        wrong.push(format!("call {} does not know of {login}", talk.call));
                    }
                }
                Work::WrapUp { until, .. } => {
                    if !self.timers.contains(&(*until, Timer::WrapUp(login.clone()))) {
                        wrong.push(format!("the wrap-up of {login} has no end"));
                    }
                }
                Work::None => {
                    if let Some(rank) = self.next_caller_for(login) {
                        wrong.push(format!("{login} is free and call {} waits", rank.call));
                    }
                }
            }
            if let Some((until, _)) = person.delay
                && !self.timers.contains(&(until, Timer::Delay(login.clone())))
            {
                wrong.push(format!("the delay of {login} has no end"));
            }
        }
        for (call, login) in &self.talks {
            if !self.talks_with(login, *call) {
                wrong.push(format!("call {call} is with {login}, who is gone"));
            }
        }
    }

    fn repair_offers(&mut self, out: &mut Vec<Act>) {
        let is_sound = |id: &OfferId| {
            self.offers.get(id).is_some_and(|offer| {
                self.is_rung_by(&offer.operator, *id) && self.is_known_to_caller(offer.call, *id)
            })
        };
        let unsound: Vec<_> = self.offers.keys().filter(|id| !is_sound(id)).copied().collect();
        for offer in unsound {
            self.offers.remove(&offer);
            out.push(Act::Withdraw { offer });
        }
        for caller in self.callers.values_mut() {
            let Stage::Ringing { offers, .. } = &mut caller.stage else { continue };
            offers.retain(|offer| self.offers.contains_key(offer));
            if offers.is_empty() {
                caller.stage = Stage::Waiting;
            }
        }
        self.timers.extend(self.offers.iter().map(|(id, o)| (o.until, Timer::Ring(*id))));
    }

    fn repair_reservations(&mut self, out: &mut Vec<Act>) {
        let reserved = |person: &super::operators::Person| match person.work {
            Work::Reserved { call, .. } => Some((person.operator.login.clone(), call)),
            Work::None | Work::Ringing { .. } | Work::Talking(_) | Work::WrapUp { .. } => None,
        };
        let reserved: Vec<_> = self.staff.iter().filter_map(reserved).collect();
        for (login, call) in reserved {
            if !self.counts_on(call, &login)
                && let Some(person) = self.staff.get_mut(&login)
            {
                person.work = Work::None;
            }
        }
        let calls: Vec<CallId> = self.callers.keys().copied().collect();
        for call in calls {
            let Some(caller) = self.callers.get(&call) else { continue };
            let Stage::Reserved { operator } = &caller.stage else { continue };
            if caller.is_live || !self.is_reserved_for(operator, call) {
                self.end_reservation(call);
                out.push(Act::Unreserved { call });
            }
        }
    }

    fn repair_operators(&mut self) {
        let mut talks = std::collections::BTreeMap::new();
        for person in self.staff.iter_mut() {
            let login = person.operator.login.clone();
            match &person.work {
                Work::Ringing { offer, .. } if !self.offers.contains_key(offer) => {
                    person.work = Work::None;
                }
                Work::Talking(talk) => {
                    talks.insert(talk.call, login.clone());
                }
                Work::WrapUp { until, .. } => {
                    self.timers.insert((*until, Timer::WrapUp(login.clone())));
                }
                Work::None | Work::Ringing { .. } | Work::Reserved { .. } => {}
            }
            self.timers.extend(person.delay.map(|(until, _)| (until, Timer::Delay(login.clone()))));
            self.news.operators.insert(login);
        }
        self.talks = talks;
    }

    fn repair_lines(&mut self, now: Timestamp) {
        (self.lines, self.desks) = Default::default();
        let calls: Vec<CallId> = self.callers.keys().copied().collect();
        for call in calls {
            let Some(caller) = self.callers.get_mut(&call) else { continue };
            caller.desks.clear();
            if let Stage::Answered { operator } = &caller.stage
                && self.talks.get(&call) != Some(operator)
            {
                caller.stage = Stage::Waiting;
            }
            self.requeue(now, call);
            self.look_again_for(call);
        }
    }
}

impl Desks {
    fn contains(&self, desk: &super::line::Desk, rank: &super::line::Rank) -> bool {
        self.at(desk).is_some_and(|ranks| ranks.contains(rank))
    }
}
