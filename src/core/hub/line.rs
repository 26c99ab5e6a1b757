//! What a caller's walk asks of the lines, and what the lines ask of the phones.

use std::sync::Arc;

use crate::dialplan::plan::Group;
use crate::domain::{
    CallFact, CallId, CallerId, EndReason, EndedBy, LegId, LinePlace, Login, Origin, RecordingId,
    RingOutcome, Timestamp,
};

use super::super::acd::{Act, Joined, OperatorState, Release, Ticket, TicketWay};
use super::super::event::{Command, Destination, Dial, LampState};
use super::super::flow::{LineRequest, Outlook};
use super::Hub;
use super::calls::{Call, Stay};
use super::legs::{Role, Rung};
use super::outbound::Outbound;

/// How the phone of an operator shows a caller who withholds the number.
const ANONYMOUS: &str = "anonymous";
/// What a line without a group is called: an operator is rung in person.
const IN_PERSON: &str = "";

impl Hub {
    pub(super) fn answer_request(
        &mut self,
        now: Timestamp,
        call: CallId,
        request: LineRequest,
        out: &mut Vec<Command>,
    ) {
        match request {
            LineRequest::Join { group } => {
                let is_called_back = self.calls.get(&call).is_some_and(Call::is_called_back);
                if is_called_back {
                    self.customer_ready(now, call, out);
                } else {
                    self.join(now, call, group, out);
                }
            }
            LineRequest::RingOperator { operator, for_ms } => {
                self.ring_in_person(now, call, operator, for_ms, out);
            }
            LineRequest::Tip { recordings } => self.tell_tip(now, call, &recordings, out),
            LineRequest::Place => {
                let outlook = Outlook {
                    place: self.acd.place(call).unwrap_or(1),
                    estimate: self.acd.estimate(now, call),
                    is_ringing: self.acd.is_ringing(call),
                };
                self.with(call, now, out, |c, out| c.flow.on_place(now, outlook, out));
            }
            LineRequest::Callback { number, group, due } => {
                let place = self.acd.release(now, call, Release::Callback, &mut self.acts);
                let place = place.map(|place| LinePlace {
                    entered: self.wall(place.entered),
                    priority: place.priority,
                });
                if let Some(entry) = self.calls.get_mut(&call) {
                    entry.stay = Stay::Alone;
                    entry.place = place;
                }
                self.promise_callback(now, call, number, group, due, out);
            }
            LineRequest::RefuseRecording => {
                if let Some(entry) = self.calls.get_mut(&call) {
                    entry.refuses_recording = true;
                }
            }
        }
    }

    fn join(&mut self, now: Timestamp, call: CallId, group: Arc<Group>, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let manager = group.manager_first_ms.zip(entry.flow.manager());
        let ticket = Ticket {
            priority: entry.flow.priority(&group),
            manager: manager.map(|(for_ms, manager)| (manager, for_ms)),
            ..entry.ticket(call, group.clone())
        };
        entry.stay = Stay::Waiting { group: Some(group) };
        self.enter_line(now, ticket, out);
    }

    /// Rings one operator and nobody else.
    fn ring_in_person(
        &mut self,
        now: Timestamp,
        call: CallId,
        operator: Login,
        for_ms: u64,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let group = Arc::new(Group { ring_ms: for_ms, ..Group::named(IN_PERSON) });
        let ticket = Ticket {
            manager: Some((operator, for_ms)),
            only_manager: true,
            ..entry.ticket(call, group)
        };
        entry.stay = Stay::Waiting { group: None };
        self.enter_line(now, ticket, out);
    }

    /// The call waits, unless the line does not take it.
    pub(super) fn enter_line(&mut self, now: Timestamp, ticket: Ticket, out: &mut Vec<Command>) {
        let call = ticket.call;
        let joined = self.acd.join(now, ticket, &mut self.acts);
        match joined {
            Joined::Waiting { .. } => {}
            Joined::Full | Joined::Nobody => {
                if let Some(entry) = self.calls.get_mut(&call) {
                    entry.stay = Stay::Alone;
                }
            }
        }
        self.with(call, now, out, |c, out| c.flow.on_joined(now, joined, out));
    }

    fn tell_tip(
        &mut self,
        now: Timestamp,
        call: CallId,
        tips: &[RecordingId],
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get(&call) else { return };
        // Who withholds the number is somebody else with every call.
        let caller = match &entry.caller {
            CallerId::Number(number) => number.as_str().to_owned(),
            CallerId::Other(name) => name.clone(),
            CallerId::Anonymous => call.to_string(),
        };
        let tip = self.tips.next(&caller, tips);
        if let Some(tip) = &tip {
            self.tips.remember(&caller, tip.clone());
            if entry.caller != CallerId::Anonymous {
                out.push(Command::RememberTip { caller, tip: tip.clone() });
            }
        }
        self.with(call, now, out, |c, out| c.flow.on_tip(now, tip, out));
    }

    pub(super) fn act(&mut self, now: Timestamp, act: Act, out: &mut Vec<Command>) {
        match act {
            Act::Offer { offer, call, operator, ring_ms } => {
                let leg = self.ids.leg(now);
                let Some(entry) = self.calls.get(&call) else { return };
                let dial = Dial {
                    leg,
                    to: Destination::Operator(operator.clone()),
                    from: shown_number(&entry.caller),
                    display: entry.display(),
                    auto_answer: self.operators.get(&operator).is_some_and(|o| o.auto_answer),
                    ring_ms,
                };
                self.offers.insert(offer, leg);
                let rung = Rung { call, operator, offer, is_up: false };
                self.legs.insert(leg, Role::Rung(rung));
                out.push(Command::Dial(dial));
            }
            Act::Withdraw { offer } => {
                if let Some(leg) = self.offers.remove(&offer) {
                    let (by, reason) = (EndedBy::Server, EndReason::Cancelled);
                    out.push(Command::Hangup { leg, by, reason });
                }
            }
            Act::TurnAway { call } => {
                self.with(call, now, out, |entry, out| {
                    entry.stay = Stay::Alone;
                    entry.flow.on_turned_away(now, out);
                });
            }
            Act::Reserve { call, operator } => self.reserve(now, call, operator, out),
            Act::Unreserved { call: _ } => {}
            Act::Record { call, fact } => {
                self.count(now, &fact);
                self.follow(now, call, &fact);
                out.push(Command::Record { call, fact });
            }
            Act::Remember { operator, attendance } => {
                // A pause during a conversation changes no state, but a lamp.
                self.show_lamps(&operator, out);
                out.push(Command::RememberAttendance { operator, attendance });
            }
            Act::StateChanged { operator } => {
                self.end_after_talk(&operator, out);
                self.show_lamps(&operator, out);
                if let Some(state) = self.acd.state(&operator) {
                    out.push(Command::ShowOperator { operator, state });
                }
            }
        }
    }

    /// The phone of an operator was picked up for a caller of the line.
    pub(super) fn offer_answered(
        &mut self,
        now: Timestamp,
        leg: LegId,
        rung: &Rung,
        out: &mut Vec<Command>,
    ) {
        self.offers.remove(&rung.offer);
        let Some(call) = self.acd.answered(now, rung.offer, &mut self.acts) else {
            // Too late: the caller is gone, or with somebody else.
            let (by, reason) = (EndedBy::Server, EndReason::Cancelled);
            return out.push(Command::Hangup { leg, by, reason });
        };
        self.legs.insert(leg, Role::Rung(Rung { is_up: true, ..rung.clone() }));
        if self.is_callback(call) {
            self.operator_ready(now, call, leg, rung.operator.clone(), out);
            if !matches!(self.legs.get(&leg), Some(Role::Rung(_))) {
                return; // Connected: the customer was there already.
            }
        }
        let whisper = self.whisper(now, call, &rung.operator);
        if whisper.is_empty() {
            return self.whispered(now, leg, out);
        }
        out.push(self.say_to_phone(leg, whisper));
    }

    /// The operator knows what is to come: the caller follows. A customer who is called back follows
    /// when there.
    pub(super) fn whispered(&mut self, now: Timestamp, leg: LegId, out: &mut Vec<Command>) {
        if let Some(Role::Rung(Rung { call, operator, is_up: true, .. })) = self.legs.get(&leg) {
            let (call, operator) = (*call, operator.clone());
            if !self.is_callback(call) {
                self.connect(now, call, leg, Some(operator), out);
            }
        }
    }

    fn is_callback(&self, call: CallId) -> bool {
        let outbound = self.calls.get(&call).and_then(|entry| entry.outbound.as_ref());
        outbound.is_some_and(Outbound::is_callback)
    }

    /// The caller is gone before an operator who had picked up was connected.
    pub(super) fn let_whispered_go(
        &mut self,
        now: Timestamp,
        caller: CallId,
        out: &mut Vec<Command>,
    ) {
        let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
        let picked_up = self.legs.iter().find_map(|(leg, role)| match role {
            Role::Rung(Rung { call, operator, is_up: true, .. }) if *call == caller => {
                Some((*leg, operator.clone()))
            }
            _ => None,
        });
        if let Some((leg, operator)) = picked_up {
            self.legs.remove(&leg);
            out.push(Command::Hangup { leg, by, reason });
            self.acd.talk_ended(now, &operator, &mut self.acts);
        }
    }

    pub(super) fn offer_not_taken(
        &mut self,
        now: Timestamp,
        rung: &Rung,
        outcome: RingOutcome,
        out: &mut Vec<Command>,
    ) {
        self.offers.remove(&rung.offer);
        if rung.is_up {
            // Gone before the first word: the caller has not stopped waiting.
            self.operator_left(now, rung.call, out);
            self.acd.talk_ended(now, &rung.operator, &mut self.acts);
        } else {
            self.acd.not_taken(now, rung.offer, outcome, &mut self.acts);
        }
    }

    /// A caller who was with somebody, and whose walk stands in the line again, gets its head.
    pub(super) fn back_to_line(
        &mut self,
        now: Timestamp,
        call: CallId,
        group: Arc<Group>,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        entry.origin = Origin::OperatorLost;
        let priority = entry.flow.priority(&group);
        let ticket = Ticket { priority, ..entry.ticket(call, group.clone()) };
        entry.stay = Stay::Waiting { group: Some(group) };
        match self.acd.join(now, ticket, &mut self.acts) {
            Joined::Waiting { .. } => {}
            Joined::Full | Joined::Nobody => self.with(call, now, out, |entry, out| {
                entry.stay = Stay::Alone;
                entry.flow.on_turned_away(now, out);
            }),
        }
    }

    fn show_lamps(&self, operator: &Login, out: &mut Vec<Command>) {
        let extension = self.operators.get(operator).and_then(|o| o.extension.as_ref());
        let (Some(extension), Some(state)) = (extension, self.acd.state(operator)) else { return };
        let phone = match state {
            OperatorState::Offline
            | OperatorState::Unreachable
            | OperatorState::Ready { .. }
            | OperatorState::WrapUp { .. }
            | OperatorState::Paused { .. } => LampState::Off,
            OperatorState::Ringing { .. } | OperatorState::Reserved { .. } => LampState::Ringing,
            OperatorState::Talking { .. } => LampState::On,
        };
        let is_paused = self.acd.attendance(operator).is_some_and(|a| a.paused.is_some());
        let pause = if is_paused { LampState::On } else { LampState::Off };
        out.extend([
            Command::SetLamp { lamp: extension.to_string(), state: phone },
            Command::SetLamp { lamp: format!("*46{extension}"), state: pause },
        ]);
    }
}

impl Call {
    /// A customer whom an operator calls back, and who just heard it.
    fn is_called_back(&self) -> bool {
        self.outbound.as_ref().is_some_and(Outbound::awaits_operator)
    }

    /// What an operator's phone shows of the call.
    fn display(&self) -> Option<String> {
        let callback = self.outbound.as_ref().and_then(|outbound| outbound.display.clone());
        callback.or_else(|| self.flow.display())
    }

    /// What every ticket of this call says.
    pub(super) fn ticket(&mut self, call: CallId, group: Arc<Group>) -> Ticket {
        Ticket {
            call,
            group,
            origin: std::mem::take(&mut self.origin),
            caller: self.caller.number().map(|number| number.as_str().to_owned()),
            priority: 0,
            manager: None,
            only_manager: false,
            place: None,
            way: TicketWay::Caller,
            plan: self.plan.clone(),
        }
    }
}

/// What an operator's phone shows as the number of the caller.
pub(super) fn shown_number(caller: &CallerId) -> String {
    match caller {
        CallerId::Number(number) => number.as_str().to_owned(),
        CallerId::Other(name) => name.clone(),
        CallerId::Anonymous => ANONYMOUS.to_owned(),
    }
}

/// A transferred caller is told so in the records.
pub(super) fn transferred(call: CallId, by: Login, to: String, attended: bool) -> Command {
    Command::Record { call, fact: CallFact::Transferred { by, to, attended } }
}
