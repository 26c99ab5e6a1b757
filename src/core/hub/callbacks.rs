//! Operators who call customers back.
//!
//! A callback is a ticket in the line of its group, with a leg for the customer that is dialled when
//! an operator has picked up, or is reserved. The customer hears who calls (`outbound`), and the two
//! are connected when the one has picked up and the other has heard it.

use std::sync::Arc;

use crate::dialplan::plan::{CallbackRules, Group, Overflow, Piece, Pieces, Script, Way};
use crate::dialplan::waiting;
use crate::domain::{
    CallId, CallOutcome, EndReason, EndedBy, LegId, LinePlace, Login, Origin, Promise, PromiseId,
    PromiseKind, RecordingId, Timestamp,
};

use super::super::acd::{Joined, Release, Ticket, TicketWay};
use super::super::event::Command;
use super::super::flow::{Callback, display_callback};
use super::Hub;
use super::calls::Stay;
use super::outbound::{Begin, Customer, Outbound};

impl Hub {
    /// Puts the ticket of a promise into the line of its group.
    pub(super) fn enter_line_for(
        &mut self,
        now: Timestamp,
        promise: Promise,
        rules: &CallbackRules,
        script: Arc<Script>,
        out: &mut Vec<Command>,
    ) {
        let id = promise.id;
        let group = promise
            .group
            .as_ref()
            .and_then(|name| script.groups.get(name).or_else(|| self.plan.group(name)).cloned());
        let group = group.or_else(|| script.groups.values().next().cloned());
        let Some(group) = group else {
            return self.with_ledger(now, |ledger, wall, acts| ledger.left_line(wall, id, acts));
        };
        let helped = promise.escalated.then(|| with_help(&group, rules)).flatten();
        let group = helped.unwrap_or(group);
        let call = self.ids.call(now);
        let (way, press) = match rules.way {
            Way::OperatorFirst => (TicketWay::OperatorFirst, None),
            Way::CustomerFirst { press } => (TicketWay::CustomerFirst, press),
        };
        let prompt = rules.prompt.clone().unwrap_or_else(|| greeting(promise.kind));
        let begin = Begin::Callback(Callback { group: group.name.clone(), prompt, press });
        let label = script.incidents.get(&promise.name).and_then(|i| i.label.clone());
        let (language, zone) = (script.language, &script.timezone);
        let display = display_callback(language, promise.kind, label.as_deref(), promise.due, zone);
        let outbound = Outbound {
            way,
            needs_key: press.is_some(),
            display: Some(display),
            ..Outbound::to_keep(&promise, &rules.identity, rules.ring_ms)
        };
        let script = with_group(script, &group);
        self.place(now, call, &promise, outbound, script, begin, out);
        self.callbacks.insert(id, call);
        let place = promise.place.map(|place| LinePlace {
            entered: self.calendar.moment(place.entered),
            priority: place.priority,
        });
        let Some(entry) = self.calls.get_mut(&call) else { return };
        entry.origin = Origin::Callback;
        let ticket = Ticket { place, way, ..entry.ticket(call, group.clone()) };
        entry.stay = Stay::Waiting { group: Some(group) };
        match self.acd.join(now, ticket, &mut self.acts) {
            Joined::Waiting { .. } => {}
            Joined::Full | Joined::Nobody => {
                self.give_up_call(now, call, out);
                self.with_ledger(now, |ledger, wall, acts| ledger.left_line(wall, id, acts));
            }
        }
    }

    /// The promise will be late: from now on those help whom the plan names. A ticket for which
    /// somebody is rung already has its operator.
    pub(super) fn escalate(&mut self, now: Timestamp, promise: &Promise, out: &mut Vec<Command>) {
        let Some(&call) = self.callbacks.get(&promise.id) else { return };
        if self.acd.is_ringing(call) || self.acd.is_reserved(call) {
            return;
        }
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let rules = entry.flow.script().callbacks.get(&promise.kind).cloned();
        let (Some(rules), Some(group)) = (rules, entry.group().cloned()) else { return };
        let Some(outbound) = &entry.outbound else { return };
        let (is_waiting, way) = (outbound.customer == Customer::NotDialled, outbound.way);
        let Some(helped) = with_help(&group, &rules).filter(|_| is_waiting) else { return };
        let Some(place) = self.acd.release(now, call, Release::NotReached, &mut self.acts) else {
            return; // An operator has just picked up.
        };
        let Some(entry) = self.calls.get_mut(&call) else { return };
        entry.origin = Origin::Callback;
        let ticket = Ticket { place: Some(place), way, ..entry.ticket(call, helped.clone()) };
        entry.stay = Stay::Waiting { group: Some(helped) };
        match self.acd.join(now, ticket, &mut self.acts) {
            Joined::Waiting { .. } => {}
            Joined::Full | Joined::Nobody => self.give_up_call(now, call, out),
        }
    }

    /// The promise does not want an operator any more.
    pub(super) fn leave_line_for(
        &mut self,
        now: Timestamp,
        promise: PromiseId,
        out: &mut Vec<Command>,
    ) {
        if let Some(&call) = self.callbacks.get(&promise) {
            self.give_up_call(now, call, out);
        }
    }

    /// An operator has picked up for a callback: the customer is called while the operator hears why,
    /// or is there already.
    pub(super) fn operator_ready(
        &mut self,
        now: Timestamp,
        call: CallId,
        leg: LegId,
        operator: Login,
        out: &mut Vec<Command>,
    ) {
        let Some(outbound) = self.outbound(call) else { return };
        outbound.operator = Some((leg, operator.clone()));
        match outbound.customer {
            Customer::NotDialled => self.reserve(now, call, operator, out),
            Customer::Rings => {}
            Customer::Up => {}
            Customer::Ready => self.connect(now, call, leg, Some(operator), out),
        }
    }

    /// The operator is gone before the customer was connected. A customer who is there waits for
    /// another one; one whose phone rings is not disturbed for nobody.
    pub(super) fn operator_left(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
        let Some(outbound) = self.outbound(call) else { return };
        outbound.operator = None;
        outbound.tone_at = None;
        let customer = outbound.customer;
        match customer {
            // When the attempt is stored, it will be seen that nobody is there.
            Customer::NotDialled => {}
            Customer::Rings => {
                let Some(leg) = self.calls.get(&call).map(|entry| entry.leg) else { return };
                self.acd.release(now, call, Release::NotReached, &mut self.acts);
                let (by, reason) = (EndedBy::Operator, EndReason::Cancelled);
                out.push(Command::Hangup { leg, by, reason });
            }
            Customer::Up | Customer::Ready => {}
        }
        self.with(call, now, out, |_, _| {});
    }

    /// An operator is there for the customer, or kept free: the attempt is stored, once.
    pub(super) fn reserve(
        &mut self,
        now: Timestamp,
        call: CallId,
        operator: Login,
        out: &mut Vec<Command>,
    ) {
        let Some(outbound) = self.outbound(call) else { return };
        if outbound.is_reserved {
            return;
        }
        outbound.is_reserved = true;
        let promise = outbound.promise;
        let is_wanted = self.with_ledger(now, |ledger, wall, acts| {
            ledger.reserve(wall, promise, operator, call, acts)
        });
        if !is_wanted {
            self.give_up_call(now, call, out);
            self.with_ledger(now, |ledger, wall, acts| ledger.left_line(wall, promise, acts));
        }
    }

    /// The attempt is stored: the customer is dialled, if an operator is still there.
    pub(super) fn call_customer(
        &mut self,
        now: Timestamp,
        promise: &Promise,
        out: &mut Vec<Command>,
    ) {
        let id = promise.id;
        let call = self.callbacks.get(&id).copied();
        let is_awaited = call.is_some_and(|call| {
            let way = self.calls.get(&call).and_then(|entry| entry.outbound.as_ref());
            way.is_some_and(|outbound| match outbound.way {
                TicketWay::OperatorFirst => outbound.operator.is_some(),
                TicketWay::CustomerFirst | TicketWay::Caller => self.acd.is_reserved(call),
            })
        });
        match call {
            Some(call) if is_awaited => self.dial_customer(now, call, out),
            Some(call) => {
                self.give_up_call(now, call, out);
                self.attempt_over(now, id, CallOutcome::Withdrawn);
            }
            None => self.attempt_over(now, id, CallOutcome::Withdrawn),
        }
    }

    /// Takes a call that is not wanted any more out of everything, unless somebody hears it.
    pub(super) fn give_up_call(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.get(&call) else { return };
        match entry.outbound.as_ref().map(|outbound| outbound.customer) {
            Some(Customer::NotDialled) => {
                self.end_callback(now, call, EndedBy::Server, EndReason::Cancelled, out);
            }
            Some(Customer::Rings) => {
                let leg = entry.leg;
                let (by, reason) = (EndedBy::Server, EndReason::Cancelled);
                out.push(Command::Hangup { leg, by, reason });
            }
            Some(Customer::Up | Customer::Ready) | None => {}
        }
    }

    /// A call whose customer never was there is over.
    pub(super) fn end_callback(
        &mut self,
        now: Timestamp,
        call: CallId,
        by: EndedBy,
        reason: EndReason,
        out: &mut Vec<Command>,
    ) {
        let Some(outbound) = self.outbound(call) else { return };
        let promise = outbound.promise;
        self.callbacks.remove(&promise);
        self.acd.release(now, call, Release::NotReached, &mut self.acts);
        self.let_whispered_go(now, call, out);
        self.drop_call(call, by, reason, out);
    }
}

/// The group with another one that helps at once; `None`: the plan names none.
fn with_help(group: &Arc<Group>, rules: &CallbackRules) -> Option<Arc<Group>> {
    let also = vec![rules.escalate_to.clone()?];
    let mut helped = Group::clone(group);
    helped.overflow.insert(0, Overflow { after_ms: 0, also });
    Some(Arc::new(helped))
}

/// The script with a group of another file.
fn with_group(script: Arc<Script>, group: &Arc<Group>) -> Arc<Script> {
    if script.groups.contains_key(&group.name) {
        return script;
    }
    let mut own = Script::clone(&script);
    own.groups.insert(group.name.clone(), group.clone());
    Arc::new(own)
}

/// Who calls and why, unless the plan says otherwise.
fn greeting(kind: PromiseKind) -> Pieces {
    let heard = waiting::called_back(kind).map(RecordingId::new);
    heard.map(Piece::Recording).into_iter().collect()
}
