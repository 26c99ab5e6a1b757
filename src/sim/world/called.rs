//! The customer does not call: a robot or an operator does. A customer who is dialled picks up at once.

use uuid::Uuid;

use super::{HAPPENINGS_MAX, Happening, World};
use crate::core::Event;
use crate::core::event::Dial;
use crate::dialplan::plan::Trigger;
use crate::dialplan::scenario::Opening;
use crate::domain::{
    About, CallFact, CallId, PhoneNumber, Promise, PromiseId, PromiseKind, PromiseState,
};

/// Trunks that are no hindrance.
const CALLS_MAX: u32 = 100;
const STARTS_PER_SECOND: u32 = 100;
/// What is owed is due in so long, if no event of the shop says when.
const DUE_MS: u64 = 30 * 60_000;
/// A customer who was not called until then will not be.
const CALLED_WITHIN_MS: u64 = 31 * 24 * 3_600_000;

impl World<'_> {
    /// We owe the customer a call, and time passes until it is picked up.
    pub(super) fn customer_is_called(&mut self) {
        self.tell(Event::TrunksChanged {
            calls_max: CALLS_MAX,
            starts_per_second: STARTS_PER_SECOND,
        });
        self.shop_tells();
        if let Some(promise) = self.owed() {
            let (promises, called) = (vec![promise], Vec::new());
            self.tell(Event::PromisesRemembered { promises, called });
        }
        let until = self.now.plus_ms(CALLED_WITHIN_MS);
        for _ in 0..HAPPENINGS_MAX {
            if self.begun.is_some() || !self.happen_until(Some(until)) {
                break;
            }
        }
    }

    /// What the shop's events of the test do not give rise to.
    fn owed(&self) -> Option<Promise> {
        match &self.test.opening {
            Opening::Call { .. } | Opening::Callback { kind: PromiseKind::Incident, .. } => None,
            Opening::Callback { kind, group, to } => {
                Some(self.promise(*kind, String::new(), group.clone(), to))
            }
            Opening::Robot { name, to } => match &self.script.robots.get(name)?.trigger {
                Trigger::Event(_) => None,
                Trigger::Conversation { .. } => {
                    Some(self.promise(PromiseKind::RatingCall, name.clone(), None, to))
                }
            },
        }
    }

    fn promise(
        &self,
        kind: PromiseKind,
        name: String,
        group: Option<String>,
        to: &PhoneNumber,
    ) -> Promise {
        Promise {
            id: PromiseId(Uuid::from_u128(1)),
            kind,
            name,
            phone: to.clone(),
            group,
            script: self.test.script.clone(),
            made: self.now,
            due: self.now.plus_ms(DUE_MS),
            state: PromiseState::Open,
            next_at: None,
            attempts: 0,
            not_counted: 0,
            place: None,
            about: About::default(),
            event: None,
            contacted: None,
            ended: None,
            escalated: false,
            overdue: false,
            note: String::new(),
            rehearsal: false,
        }
    }

    /// A call of ours with the purpose of the test is the test's call, until its customer is there.
    pub(super) fn note_fact(&mut self, call: CallId, fact: CallFact) {
        if let CallFact::Placed { purpose, .. } = &fact
            && self.begun.is_none()
            && *purpose == self.purpose()
        {
            self.call = call;
            self.facts.clear();
        }
        if call == self.call {
            self.facts.push(fact);
        }
    }

    fn purpose(&self) -> String {
        match &self.test.opening {
            Opening::Call { .. } => String::new(),
            Opening::Robot { name, .. } => name.clone(),
            Opening::Callback { kind, .. } => kind.to_string(),
        }
    }

    /// A number outside is dialled. False: not for the call of the test.
    pub(super) fn dials_customer(&mut self, dial: &Dial) -> bool {
        let is_ours = self.begun.is_none() && self.attempted == Some(self.call);
        if is_ours {
            self.leg = dial.leg;
            self.schedule(self.now, Happening::Answers { phone: dial.leg });
        }
        is_ours
    }
}
