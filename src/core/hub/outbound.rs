//! Calls of ours to customers: by a robot, or because an operator calls back.
//!
//! A robot's call is one leg, which runs the robot's menu as soon as it is picked up. A callback is a
//! ticket in the line of its group, with a leg for the customer that is dialled when an operator has
//! picked up, or is reserved; then the customer hears who calls, and the two are connected when the
//! one has picked up and the other has heard it.

use std::sync::Arc;

use crate::dialplan::plan::{
    Block, CallbackRules, Group, Identity, Overflow, Piece, Robot, Script, Statement, Way,
};
use crate::domain::{
    About, Attempt, CallFact, CallId, CallOutcome, CallerId, EndReason, EndedBy, LegId, LinePlace,
    Login, Origin, Promise, PromiseId, PromiseKind, RecordingId, RingOutcome, Timestamp,
};

use super::super::acd::{Joined, Release, Ticket, TicketWay};
use super::super::event::{Command, Destination, Dial};
use super::super::flow::{Callback, Flow, display_callback};
use super::super::knowledge::Knowledge;
use super::Hub;
use super::calls::{Call, Stay};
use super::legs::Role;

/// From one tone to the next, for an operator whose customer's phone rings.
const TONE_EVERY_MS: u64 = 3_000;

/// What a call of ours is about, and how far it is.
#[derive(Debug)]
pub(super) struct Outbound {
    pub promise: PromiseId,
    pub kind: PromiseKind,
    pub about: About,
    /// The robot that calls; `None`: an operator calls back.
    pub robot: Option<String>,
    /// How the customer sees the call, and for how long the phone may ring.
    identity: Identity,
    ring_ms: u64,
    pub way: TicketWay,
    pub customer: Customer,
    /// The operator who picked up and waits for the customer.
    pub operator: Option<(LegId, Login)>,
    /// The ledger stores the attempt.
    is_reserved: bool,
    /// Somebody talked with the customer, or the customer pressed a key for the robot.
    pub is_reached: bool,
    /// When the waiting operator hears the next tone.
    pub tone_at: Option<Timestamp>,
    /// What the operator's phone shows.
    pub display: Option<String>,
}

/// How far the customer's side of a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Customer {
    NotDialled,
    Rings,
    /// Picked up: hears who calls.
    Up,
    /// Heard it.
    Ready,
}

impl Outbound {
    /// A callback whose customer is on the way to the operator.
    pub fn awaits_operator(&self) -> bool {
        self.robot.is_none() && self.customer == Customer::Up
    }
}

/// Robots.
impl Hub {
    pub(super) fn call_by_robot(
        &mut self,
        now: Timestamp,
        promise: Promise,
        attempt: &Attempt,
        robot: &Arc<Robot>,
        script: Arc<Script>,
        out: &mut Vec<Command>,
    ) {
        let begin = Begin::Menu(robot.name.clone());
        let outbound = Outbound {
            promise: promise.id,
            kind: promise.kind,
            about: promise.about.clone(),
            robot: Some(robot.name.clone()),
            identity: robot.identity.clone(),
            ring_ms: robot.ring_ms,
            way: TicketWay::Caller,
            customer: Customer::NotDialled,
            operator: None,
            is_reserved: true,
            is_reached: false,
            tone_at: None,
            display: None,
        };
        self.place(now, attempt.call, &promise, outbound, script, begin, out);
        self.dial_customer(now, attempt.call, out);
    }
}

/// Callbacks.
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
        let prompt = rules.prompt.clone();
        let prompt = prompt.unwrap_or_else(|| vec![Piece::Recording(greeting(promise.kind))]);
        let begin = Begin::Callback(Callback { group: group.name.clone(), prompt, press });
        let label = script.incidents.get(&promise.name).and_then(|i| i.label.clone());
        let outbound = Outbound {
            promise: id,
            kind: promise.kind,
            about: promise.about.clone(),
            robot: None,
            identity: rules.identity.clone(),
            ring_ms: rules.ring_ms,
            way,
            customer: Customer::NotDialled,
            operator: None,
            is_reserved: false,
            is_reached: false,
            tone_at: None,
            display: Some(display_callback(
                script.language,
                promise.kind,
                label.as_deref(),
                promise.due,
                &script.timezone,
            )),
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

    /// An operator is reserved for a customer who is called first.
    pub(super) fn operator_reserved(
        &mut self,
        now: Timestamp,
        call: CallId,
        operator: Login,
        out: &mut Vec<Command>,
    ) {
        self.reserve(now, call, operator, out);
    }

    /// An operator has picked up for a callback: the customer is called, or is there already.
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

    fn reserve(&mut self, now: Timestamp, call: CallId, operator: Login, out: &mut Vec<Command>) {
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
    fn end_callback(
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

/// The customer's phone.
impl Hub {
    /// Makes the call; nothing rings yet.
    #[expect(clippy::too_many_arguments, reason = "a call is made of these")]
    fn place(
        &mut self,
        now: Timestamp,
        call: CallId,
        promise: &Promise,
        outbound: Outbound,
        script: Arc<Script>,
        begin: Begin,
        out: &mut Vec<Command>,
    ) {
        let (leg, setting) = (self.ids.leg(now), self.setting());
        let caller = CallerId::Number(promise.phone.clone());
        let purpose = outbound.robot.clone().unwrap_or_else(|| promise.kind.to_string());
        let mut knowledge = Knowledge::new(caller.clone(), purpose.clone(), script.language);
        knowledge.set_event(promise.about.values.clone());
        let flow = match begin {
            Begin::Menu(menu) => {
                let entry = Block::from([Statement::Go(menu)]);
                Flow::new(call, leg, script, entry, knowledge, setting)
            }
            Begin::Callback(callback) => {
                Flow::for_callback(call, leg, script, callback, knowledge, setting)
            }
        };
        let plan = self.plan.version.clone();
        let (promise, customer) = (promise.id, caller.clone());
        let fact = CallFact::Placed { purpose, customer, promise, plan: plan.clone() };
        out.push(Command::Record { call, fact });
        let mut entry = Call::new(leg, flow, caller, plan);
        entry.outbound = Some(outbound);
        self.calls.insert(call, entry);
    }

    fn dial_customer(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let (leg, number) = (entry.leg, entry.caller.number().cloned());
        let (Some(outbound), Some(number)) = (&mut entry.outbound, number) else { return };
        outbound.customer = Customer::Rings;
        let identity = &outbound.identity;
        let dial = Dial {
            leg,
            to: Destination::Number { number, trunks: identity.trunks.clone() },
            from: identity.caller_id.clone().unwrap_or_default(),
            display: identity.label.clone(),
            auto_answer: false,
            ring_ms: outbound.ring_ms,
        };
        if outbound.operator.is_some() {
            outbound.tone_at = Some(now);
        }
        self.legs.insert(leg, Role::Customer(call));
        out.push(Command::Dial(dial));
        self.with(call, now, out, |_, _| {});
    }

    /// The operator who waits hears that the customer's phone is being rung.
    pub(super) fn tone_for_operator(
        &mut self,
        now: Timestamp,
        call: CallId,
        out: &mut Vec<Command>,
    ) {
        let Some(outbound) = self.outbound(call) else { return };
        if outbound.tone_at.is_none_or(|at| at > now) {
            return;
        }
        let is_ringing = outbound.customer != Customer::Ready;
        outbound.tone_at = is_ringing.then(|| now.plus_ms(TONE_EVERY_MS));
        if let (true, Some((leg, _))) = (is_ringing, &outbound.operator) {
            let leg = *leg;
            out.push(self.say_to_phone(leg, vec![RecordingId::new("tone/comfort")]));
        }
    }

    /// The customer picked up: from now on a caller like any other.
    pub(super) fn customer_answered(
        &mut self,
        now: Timestamp,
        leg: LegId,
        call: CallId,
        out: &mut Vec<Command>,
    ) {
        let Some(outbound) = self.outbound(call) else { return };
        outbound.customer = Customer::Up;
        let calls_operator = outbound.robot.is_none() && outbound.operator.is_none();
        self.legs.insert(leg, Role::Caller(call));
        if calls_operator {
            self.acd.ring_reserved(now, call, &mut self.acts);
        }
        self.with(call, now, out, |entry, out| entry.flow.on_confirmed(now, out));
    }

    /// The customer heard who calls and may be connected.
    pub(super) fn customer_ready(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
        let Some(outbound) = self.outbound(call) else { return };
        outbound.customer = Customer::Ready;
        outbound.tone_at = None;
        let operator = outbound.operator.clone();
        let came_back = false;
        self.with(call, now, out, |entry, out| {
            entry.flow.on_joined(now, Joined::Waiting { came_back }, out);
        });
        match operator {
            Some((leg, operator)) => self.connect(now, call, leg, Some(operator), out),
            None if self.acd.place(call).is_some() => {}
            None => {
                let group = self.calls.get(&call).and_then(|entry| entry.group().cloned());
                if let Some(group) = group {
                    self.back_to_line(now, call, group, out);
                }
            }
        }
    }

    /// The customer did not take the call.
    pub(super) fn customer_unreached(
        &mut self,
        now: Timestamp,
        call: CallId,
        outcome: RingOutcome,
        out: &mut Vec<Command>,
    ) {
        let Some(outbound) = self.outbound(call) else { return };
        let (promise, outcome) = (outbound.promise, CallOutcome::from(outcome));
        out.push(Command::Record { call, fact: CallFact::NotReached { outcome } });
        self.end_callback(now, call, EndedBy::Network, EndReason::NotReached, out);
        self.attempt_over(now, promise, outcome);
    }

    /// A key shows that a human hears the robot.
    pub(super) fn customer_pressed(&mut self, now: Timestamp, call: CallId) {
        let Some(outbound) = self.outbound(call) else { return };
        if outbound.robot.is_some() && !outbound.is_reached {
            outbound.is_reached = true;
            let promise = outbound.promise;
            self.with_ledger(now, |ledger, wall, acts| ledger.talking(wall, promise, None, acts));
        }
    }

    /// The call of a customer who had picked up is over.
    pub(super) fn outbound_ended(&mut self, now: Timestamp, call: CallId, by: EndedBy) {
        let Some(outbound) = self.outbound(call) else { return };
        let outcome = match (outbound.is_reached, &outbound.robot, by) {
            (true, _, _) => CallOutcome::Answered,
            // Who hangs up on a robot is a human, and has answered it.
            (false, Some(_), EndedBy::Caller) => CallOutcome::Answered,
            (false, Some(_), EndedBy::Plan | EndedBy::Operator) => CallOutcome::VoicemailSuspected,
            (false, None, EndedBy::Plan) => CallOutcome::VoicemailSuspected,
            (false, None, EndedBy::Caller | EndedBy::Operator) => CallOutcome::Rejected,
            (false, _, EndedBy::Server | EndedBy::Network) => CallOutcome::Failed,
        };
        let promise = outbound.promise;
        self.callbacks.remove(&promise);
        self.attempt_over(now, promise, outcome);
    }

    fn attempt_over(&mut self, now: Timestamp, promise: PromiseId, outcome: CallOutcome) {
        self.with_ledger(now, |ledger, wall, acts| ledger.called(wall, promise, outcome, acts));
    }

    fn outbound(&mut self, call: CallId) -> Option<&mut Outbound> {
        self.calls.get_mut(&call)?.outbound.as_mut()
    }
}

/// What a customer meets who picks up.
enum Begin {
    /// The menu of a robot.
    Menu(String),
    Callback(Callback),
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

/// Who calls and why, in the words of the catalogue.
fn greeting(kind: PromiseKind) -> RecordingId {
    RecordingId::new(match kind {
        PromiseKind::CallbackOrdered | PromiseKind::CallbackFromLine => "phrase/callback-ordered",
        PromiseKind::CallbackMissed | PromiseKind::CallbackAfterHours => "phrase/callback-missed",
        PromiseKind::CallbackLowRating => "phrase/callback-low-rating",
        PromiseKind::Incident => "phrase/callback-incident",
        PromiseKind::RatingCall | PromiseKind::Reminder => "phrase/notice-hello",
    })
}
