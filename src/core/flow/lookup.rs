//! What a call asks of the CRM, and what the caller hears meanwhile.

use crate::dialplan::plan::Lookup;
use crate::domain::{CallFact, LookupId, Timestamp};

use super::{Command, Cursor, Flow, LookupAnswer, LookupRequest, Next, Waiting};

/// A question to the CRM under way.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) id: LookupId,
    /// `customer` or `order`.
    pub(super) what: &'static str,
    pub(super) lookup: Lookup,
    /// When the filler is due, if the caller hears nothing then.
    pub(super) filler_at: Timestamp,
    pub(super) filler_said: bool,
}

impl Flow {
    pub fn on_lookup_answered(
        &mut self,
        now: Timestamp,
        lookup: LookupId,
        answer: LookupAnswer,
        took_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Waiting::Lookup(asking) = &self.waiting else { return };
        if asking.id != lookup {
            return;
        }
        let (what, unavailable) = (asking.what, asking.lookup.unavailable.clone());
        let outcome = match answer {
            LookupAnswer::Customers(customers) => {
                let outcome = match customers.len() {
                    0 => "not found".to_owned(),
                    1 => "found".to_owned(),
                    several => format!("{several} found"),
                };
                self.knowledge.set_customers(customers);
                outcome
            }
            LookupAnswer::Order(order) => {
                let outcome = if order.is_some() { "found" } else { "not found" };
                self.knowledge.set_order(order);
                outcome.to_owned()
            }
            LookupAnswer::Unavailable { why } => {
                self.knowledge.crm_available = false;
                self.stack.push(Cursor { block: unavailable, next: 0 });
                format!("unavailable: {why}")
            }
        };
        out.push(self.record(CallFact::LookedUp { what: what.to_owned(), outcome, took_ms }));
        self.run(now, out);
    }

    pub(super) fn look_up_customer(
        &mut self,
        lookup: &Lookup,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) -> Next {
        match self.knowledge.caller.number().cloned() {
            Some(phone) => {
                self.look_up("customer", LookupRequest::Customers { phone }, lookup, now, out)
            }
            None => {
                self.knowledge.set_customers(Vec::new());
                Next::Run
            }
        }
    }

    pub(super) fn look_up_order(
        &mut self,
        variable: &str,
        lookup: &Lookup,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) -> Next {
        let number = self.knowledge.variable(variable).to_owned();
        if number.is_empty() || self.knowledge.choose_own_order(&number) {
            self.knowledge.choose_own_order(&number);
            return Next::Run;
        }
        self.look_up("order", LookupRequest::Order { number }, lookup, now, out)
    }

    fn look_up(
        &mut self,
        what: &'static str,
        request: LookupRequest,
        lookup: &Lookup,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) -> Next {
        let id = LookupId(self.lookups_asked);
        self.lookups_asked += 1;
        let (call, deadline_ms) = (self.call, lookup.deadline_ms);
        out.push(Command::LookUp { call, lookup: id, request, deadline_ms });
        let filler_at = now.plus_ms(lookup.wait_ms);
        let lookup = lookup.clone();
        Next::Wait(Waiting::Lookup(Asking { id, what, lookup, filler_at, filler_said: false }))
    }
}
