//! An operator is kept free for a customer who is being called: there are never more such customers
//! than operators for them.

use crate::domain::{CallId, Login, Timestamp};

use super::Acd;
use super::border::Act;
use super::line::Stage;
use super::operators::Work;

impl Acd {
    /// The customer of a callback is on the line, and waits like any other caller from now on. The
    /// operator who was reserved is rung first; without one, or when this one does not take the call,
    /// it is whoever the rules name. Unknown calls are ignored.
    pub fn ring_reserved(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        if caller.is_live {
            return;
        }
        caller.is_live = true;
        match self.end_reservation(call) {
            Some(operator) => self.ring(now, call, vec![operator], out),
            None => self.requeue(now, call),
        }
        self.look_again_for(call);
        self.settle(now, out);
    }

    /// `chosen`: the best of those who are free.
    pub(super) fn reserve(
        &mut self,
        now: Timestamp,
        call: CallId,
        chosen: Vec<Login>,
        out: &mut Vec<Act>,
    ) {
        let Some(operator) = chosen.into_iter().next() else { return };
        let Some(caller) = self.callers.get_mut(&call) else { return };
        let Some(person) = self.staff.get_mut(&operator) else { return };
        person.work = Work::Reserved { call, since: now };
        caller.stage = Stage::Reserved { operator: operator.clone() };
        caller.reasons = None;
        self.news.operators.insert(operator.clone());
        self.requeue(now, call);
        out.push(Act::Reserve { call, operator });
    }

    /// The operator who was reserved is not there any more: the ticket waits for another one.
    pub(super) fn lose_reservation(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) {
        if self.end_reservation(call).is_some() {
            out.push(Act::Unreserved { call });
            self.requeue(now, call);
            self.look_again_for(call);
        }
    }

    /// The operator who was reserved for the call, and is free again: as long idle as before.
    pub(super) fn end_reservation(&mut self, call: CallId) -> Option<Login> {
        let caller = self.callers.get_mut(&call)?;
        let Stage::Reserved { operator } = &caller.stage else { return None };
        let operator = operator.clone();
        caller.stage = Stage::Waiting;
        if let Some(person) = self.staff.get_mut(&operator)
            && matches!(person.work, Work::Reserved { call: reserved, .. } if reserved == call)
        {
            person.work = Work::None;
        }
        self.news.operators.insert(operator.clone());
        Some(operator)
    }
}
