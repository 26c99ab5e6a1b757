//! The customer's phone, when we are the ones who call: for a robot, or for an operator who calls
//! back (`callbacks`).
//!
//! It is dialled, picked up or not, and hears the robot's menu, or who calls; then the call is like
//! that of any caller.

use std::sync::Arc;

use crate::dialplan::plan::{Block, Identity, Robot, Script, Statement};
use crate::domain::{
    About, Attempt, CallFact, CallId, CallOutcome, CallerId, EndReason, EndedBy, LegId, Login,
    Promise, PromiseId, PromiseKind, RecordingId, RingOutcome, Timestamp,
};

use super::super::acd::{Joined, TicketWay};
use super::super::event::{Command, Destination, Dial};
use super::super::flow::{Callback, Flow};
use super::super::knowledge::Knowledge;
use super::Hub;
use super::calls::Call;
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
    pub identity: Identity,
    pub ring_ms: u64,
    pub way: TicketWay,
    pub customer: Customer,
    /// No operator is rung before the customer has shown by a key to be a human.
    pub needs_key: bool,
    /// The operator who picked up and waits for the customer.
    pub operator: Option<(LegId, Login)>,
    /// The ledger stores the attempt.
    pub is_reserved: bool,
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
    /// A call of an operator that keeps a promise; nobody is dialled yet.
    pub fn to_keep(promise: &Promise, identity: &Identity, ring_ms: u64) -> Self {
        Self {
            promise: promise.id,
            kind: promise.kind,
            about: promise.about.clone(),
            robot: None,
            identity: identity.clone(),
            ring_ms,
            way: TicketWay::Caller,
            customer: Customer::NotDialled,
            needs_key: false,
            operator: None,
            is_reserved: false,
            is_reached: false,
            tone_at: None,
            display: None,
        }
    }

    /// An operator calls back; else a robot calls, and the customer may come into a line like any
    /// caller.
    pub fn is_callback(&self) -> bool {
        self.robot.is_none()
    }

    /// A callback whose customer is on the way to the operator.
    pub fn awaits_operator(&self) -> bool {
        self.is_callback() && self.customer == Customer::Up
    }
}

impl Hub {
    /// The attempt is stored: the customer is dialled, and hears the menu of the robot.
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
            robot: Some(robot.name.clone()),
            is_reserved: true,
            ..Outbound::to_keep(&promise, &robot.identity, robot.ring_ms)
        };
        self.place(now, attempt.call, &promise, outbound, script, begin, out);
        self.dial_customer(now, attempt.call, out);
    }

    /// Makes the call; nothing rings yet.
    #[expect(clippy::too_many_arguments, reason = "a call is made of these")]
    pub(super) fn place(
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

    pub(super) fn dial_customer(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
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
        let calls_operator = outbound.is_callback() && !outbound.needs_key;
        self.legs.insert(leg, Role::Caller(call));
        if calls_operator {
            self.acd.ring_reserved(now, call, &mut self.acts);
        }
        self.with(call, now, out, |entry, out| entry.flow.on_confirmed(now, out));
    }

    /// The customer heard who calls and may be connected: with the operator who has picked up, even
    /// in the middle of a whisper, or with whoever picks up next.
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
            None if self.acd.has(call) => self.acd.ring_reserved(now, call, &mut self.acts),
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
        if !outbound.is_callback() && !outbound.is_reached {
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
            // Who hangs up on a robot has heard enough of it.
            (false, Some(_), EndedBy::Caller) => CallOutcome::Rejected,
            (false, Some(_), EndedBy::Plan | EndedBy::Operator) => CallOutcome::VoicemailSuspected,
            (false, None, EndedBy::Plan) => CallOutcome::VoicemailSuspected,
            (false, None, EndedBy::Caller | EndedBy::Operator) => CallOutcome::Rejected,
            (false, _, EndedBy::Server | EndedBy::Network) => CallOutcome::Failed,
        };
        let promise = outbound.promise;
        self.callbacks.remove(&promise);
        self.attempt_over(now, promise, outcome);
    }

    pub(super) fn attempt_over(
        &mut self,
        now: Timestamp,
        promise: PromiseId,
        outcome: CallOutcome,
    ) {
        self.with_ledger(now, |ledger, wall, acts| ledger.called(wall, promise, outcome, acts));
    }

    pub(super) fn outbound(&mut self, call: CallId) -> Option<&mut Outbound> {
        self.calls.get_mut(&call)?.outbound.as_mut()
    }
}

/// What a customer meets who picks up.
pub(super) enum Begin {
    /// The menu of a robot.
    Menu(String),
    Callback(Callback),
}
