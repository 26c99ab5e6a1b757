//! A caller is sent on: blind or attended, to a colleague, a group, a number of the plan or outside.

use std::sync::Arc;

use crate::dialplan::plan::{Block, Group, Script};
use crate::domain::{CallId, EndReason, EndedBy, LegId, Login, Origin, PhoneNumber, Timestamp};

use super::super::event::{Command, Destination, Dial, Offered, Refusal, TransferTarget};
use super::Hub;
use super::calls::Stay;
use super::legs::{Desk, Errand, Receiver, Role};
use super::line::{shown_number, transferred};
use super::talk::Talk;

/// How long a phone rings for a caller who is sent on.
const RING_MS: u64 = 30_000;

/// Where a blind transfer leads.
enum Aim {
    Phone(Destination),
    Group(Arc<Group>),
    Number(Arc<Script>, Block),
}

impl Hub {
    pub(super) fn transfer(
        &mut self,
        now: Timestamp,
        leg: LegId,
        target: TransferTarget,
        out: &mut Vec<Command>,
    ) {
        let is_done = match target {
            TransferTarget::Leg(other) => self.join_ends(now, leg, other, out),
            TransferTarget::Dialled(dialled) => self.send_on(now, leg, &dialled, out),
        };
        if is_done.is_none() {
            out.push(Command::RefuseTransfer { leg });
        }
    }

    /// Attended: the far ends of two legs of one phone hear each other. `None`: it can't be.
    fn join_ends(
        &mut self,
        now: Timestamp,
        leg: LegId,
        other: LegId,
        out: &mut Vec<Command>,
    ) -> Option<()> {
        // Either of the two may be the one with the caller.
        let (with_caller, consult) = match (self.legs.get(&leg)?, self.legs.get(&other)?) {
            (Role::Talker { .. }, Role::Desk(_)) => (leg, other),
            (Role::Desk(_), Role::Talker { .. }) => (other, leg),
            _ => return None,
        };
        let Role::Talker { call, operator } = self.legs.get(&with_caller)?.clone() else {
            return None;
        };
        let Some(Role::Desk(Desk { errand: Errand::Consult { peer }, .. })) =
            self.legs.get(&consult)
        else {
            return None;
        };
        let colleague = *peer;
        let Role::Colleague { operator: second, is_up, .. } = self.legs.get(&colleague)?.clone()
        else {
            return None;
        };
        out.push(Command::AcceptTransfer { leg });
        let to = second.as_ref().map_or_else(String::new, ToString::to_string);
        out.extend(operator.clone().map(|by| transferred(call, by, to, true)));
        if !is_up {
            if leg == consult {
                out.push(Command::EndTransfer { leg, succeeded: true });
            }
            let legs = (with_caller, consult, colleague);
            return self.hand_ringing_over(now, call, legs, second, out);
        }
        self.stop_recording(call, out);
        self.unbridge(consult, out);
        self.unbridge(with_caller, out);
        self.change_operator(now, call, operator.as_ref(), second.as_ref());
        self.with(call, now, out, |c, out| c.flow.on_held(now, false, out));
        self.connect(now, call, colleague, second, out);
        self.legs.remove(&with_caller);
        if let Some(Role::Desk(desk)) = self.legs.get_mut(&consult) {
            // The colleague stays when this phone hangs up.
            desk.errand = Errand::Told;
        }
        out.push(Command::EndTransfer { leg, succeeded: true });
        let (by, reason) = (EndedBy::Operator, EndReason::HungUp);
        out.extend([with_caller, consult].map(|leg| Command::Hangup { leg, by, reason }));
        Some(())
    }

    /// The colleague's phone still rings: from now on it rings for the caller, as after a blind
    /// transfer.
    fn hand_ringing_over(
        &mut self,
        now: Timestamp,
        call: CallId,
        (by, consult, colleague): (LegId, LegId, LegId),
        operator: Option<Login>,
        out: &mut Vec<Command>,
    ) -> Option<()> {
        let entry = self.calls.get_mut(&call)?;
        let caller = entry.leg;
        let Stay::Talking(talk) = &mut entry.stay else { return None };
        talk.receiver = Some(colleague);
        self.legs.insert(colleague, Role::Receiver(Receiver { call, operator, by }));
        if let Some(Role::Desk(desk)) = self.legs.get_mut(&consult) {
            desk.errand = Errand::Told;
        }
        self.unbridge(caller, out);
        self.with(call, now, out, |c, out| c.flow.on_held(now, true, out));
        let (by, reason) = (EndedBy::Operator, EndReason::HungUp);
        out.push(Command::Hangup { leg: consult, by, reason });
        Some(())
    }

    /// The caller's conversation goes from one operator to another; the own call by which they
    /// spoke is over for both.
    fn change_operator(
        &mut self,
        now: Timestamp,
        call: CallId,
        first: Option<&Login>,
        second: Option<&Login>,
    ) {
        if let Some(second) = second {
            self.acd.set_own_call(now, second, false, &mut self.acts);
        }
        match (first, second) {
            (Some(first), Some(second)) => {
                self.acd.takes_over(now, call, first, second, &mut self.acts);
            }
            (Some(first), None) => self.acd.talk_ended(now, first, &mut self.acts),
            (None, Some(second)) => {
                self.acd.talk_began(now, second, call, None, &mut self.acts);
            }
            (None, None) => {}
        }
    }

    /// Blind. `None`: there is no such number, or it is not allowed, or nobody is to be sent on.
    fn send_on(
        &mut self,
        now: Timestamp,
        leg: LegId,
        dialled: &str,
        out: &mut Vec<Command>,
    ) -> Option<()> {
        let Role::Talker { call, operator: Some(by) } = self.legs.get(&leg)?.clone() else {
            return None;
        };
        let aim = self.aim(call, dialled)?;
        let Stay::Talking(talk) = &self.calls.get(&call)?.stay else { return None };
        if talk.receiver.is_some() {
            return None;
        }
        let colleague = match &aim {
            Aim::Phone(Destination::Operator(colleague)) if *colleague == by => return None,
            Aim::Phone(Destination::Operator(colleague)) => Some(colleague),
            Aim::Phone(Destination::Number { .. }) | Aim::Group(_) | Aim::Number(..) => None,
        };
        out.push(Command::AcceptTransfer { leg });
        if colleague.is_some_and(|colleague| self.is_on_the_phone(colleague)) {
            // As if the colleague's phone were busy: the caller stays.
            out.push(Command::EndTransfer { leg, succeeded: false });
            return Some(());
        }
        out.push(transferred(call, by.clone(), dialled.to_owned(), false));
        match aim {
            Aim::Phone(to) => self.dial_receiver(now, call, leg, to, out),
            Aim::Group(group) => {
                self.let_go(now, call, leg, &by, out);
                self.with(call, now, out, |c, out| {
                    c.origin = Origin::Transferred;
                    c.flow.on_transferred_to_line(now, group, out);
                });
            }
            Aim::Number(script, block) => {
                self.let_go(now, call, leg, &by, out);
                self.with(call, now, out, |c, out| {
                    c.origin = Origin::Transferred;
                    c.flow.on_transferred_to_plan(now, script, block, out);
                });
            }
        }
        Some(())
    }

    fn aim(&self, call: CallId, dialled: &str) -> Option<Aim> {
        let script = self.calls.get(&call)?.flow.script();
        if let Some(to) = self.destination(dialled, script) {
            return Some(Aim::Phone(to));
        }
        if let Some(group) = script.groups.get(dialled) {
            return Some(Aim::Group(group.clone()));
        }
        let (script, block) = self.plan.answering(dialled, self.region)?;
        Some(Aim::Number(script.clone(), block.clone()))
    }

    /// The phone behind a number: a colleague's, or one outside that the plan allows.
    pub(super) fn destination(&self, dialled: &str, script: &Script) -> Option<Destination> {
        let colleague = self.operators.values().find(|operator| {
            operator.extension.as_ref().is_some_and(|e| e.as_str() == dialled)
                || operator.login.as_str() == dialled
        });
        if let Some(colleague) = colleague {
            return Some(Destination::Operator(colleague.login.clone()));
        }
        let number = PhoneNumber::parse(dialled, self.region)?;
        let trunks = Vec::new();
        script.transfer_to.allows(&number).then_some(Destination::Number { number, trunks })
    }

    fn dial_receiver(
        &mut self,
        now: Timestamp,
        call: CallId,
        by: LegId,
        to: Destination,
        out: &mut Vec<Command>,
    ) {
        let leg = self.ids.leg(now);
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let Stay::Talking(talk) = &mut entry.stay else { return };
        talk.receiver = Some(leg);
        let (caller, from, display) =
            (entry.leg, shown_number(&entry.caller), entry.flow.display());
        let operator = match &to {
            Destination::Operator(login) => Some(login.clone()),
            Destination::Number { .. } => None,
        };
        if let Some(operator) = &operator {
            // The line is not to ring the same phone.
            self.acd.set_own_call(now, operator, true, &mut self.acts);
        }
        self.unbridge(caller, out);
        self.with(call, now, out, |c, out| c.flow.on_held(now, true, out));
        self.legs.insert(leg, Role::Receiver(Receiver { call, operator, by }));
        let dial = Dial { leg, to, from, display, auto_answer: false, ring_ms: RING_MS };
        out.push(Command::Dial(dial));
    }

    /// The operator's part is over; the caller stays.
    fn let_go(
        &mut self,
        now: Timestamp,
        call: CallId,
        leg: LegId,
        operator: &Login,
        out: &mut Vec<Command>,
    ) {
        self.stop_recording(call, out);
        self.unbridge(leg, out);
        self.legs.remove(&leg);
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.stay = Stay::Alone;
        }
        self.acd.talk_ended(now, operator, &mut self.acts);
        self.finish_transfer(leg, true, out);
    }

    /// Tells the phone what came of its wish, and ends its part.
    pub(super) fn finish_transfer(&mut self, leg: LegId, succeeded: bool, out: &mut Vec<Command>) {
        out.push(Command::EndTransfer { leg, succeeded });
        if succeeded {
            self.legs.remove(&leg);
            let (by, reason) = (EndedBy::Operator, EndReason::HungUp);
            out.push(Command::Hangup { leg, by, reason });
        }
    }

    /// A phone calls to take the place of another leg: the second half of an attended transfer by
    /// phones that do it themselves.
    pub(super) fn replace(
        &mut self,
        now: Timestamp,
        offered: Offered,
        replaced: LegId,
        out: &mut Vec<Command>,
    ) {
        let leg = offered.leg;
        let Some(second) = offered.account else {
            return out.push(Command::Reject { leg, why: Refusal::Unauthenticated });
        };
        let Some(Role::Talker { call, operator }) = self.legs.get(&replaced).cloned() else {
            return out.push(Command::Reject { leg, why: Refusal::Forbidden });
        };
        self.stop_recording(call, out);
        self.unbridge(replaced, out);
        self.legs.remove(&replaced);
        out.push(Command::Answer { leg });
        if operator.as_ref() != Some(&second) {
            out.extend(operator.clone().map(|by| transferred(call, by, second.to_string(), true)));
            self.change_operator(now, call, operator.as_ref(), Some(&second));
        }
        self.connect(now, call, leg, Some(second), out);
        let (by, reason) = (EndedBy::Operator, EndReason::HungUp);
        out.push(Command::Hangup { leg: replaced, by, reason });
    }

    pub(super) fn receiver_answered(
        &mut self,
        now: Timestamp,
        leg: LegId,
        receiver: Receiver,
        out: &mut Vec<Command>,
    ) {
        let Receiver { call, operator, by } = receiver;
        let Some(entry) = self.calls.get_mut(&call) else {
            let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
            return out.push(Command::Hangup { leg, by, reason });
        };
        let caller = entry.leg;
        let (group, first) = match &entry.stay {
            Stay::Talking(talk) => (talk.group.clone(), talk.operator.clone()),
            Stay::Waiting { .. } | Stay::Alone => (None, None),
        };
        let first_is_there = matches!(&entry.stay, Stay::Talking(Talk { phone: Some(_), .. }));
        self.stop_recording(call, out);
        self.unbridge(caller, out);
        self.with(call, now, out, |c, out| c.flow.on_held(now, false, out));
        if let Some(first) = first.filter(|_| first_is_there) {
            self.acd.talk_ended(now, &first, &mut self.acts);
        }
        if let Some(operator) = &operator {
            self.acd.talk_began(now, operator, call, group, &mut self.acts);
        }
        self.connect(now, call, leg, operator.clone(), out);
        if let Some(operator) = &operator {
            self.own_call_ended(now, operator);
        }
        self.finish_transfer(by, true, out);
    }

    /// Whom the transfer led to is not there: back to the first operator, or to the line.
    pub(super) fn receiver_lost(
        &mut self,
        now: Timestamp,
        receiver: &Receiver,
        out: &mut Vec<Command>,
    ) {
        if let Some(operator) = &receiver.operator {
            self.own_call_ended(now, operator);
        }
        let call = receiver.call;
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let caller = entry.leg;
        let Stay::Talking(talk) = &mut entry.stay else { return };
        talk.receiver = None;
        let (phone, group) = (talk.phone, talk.group.clone());
        self.with(call, now, out, |c, out| c.flow.on_held(now, false, out));
        match phone {
            Some(phone) => {
                out.push(Command::EndTransfer { leg: receiver.by, succeeded: false });
                self.bridge(caller, phone, out);
            }
            None => {
                self.with(call, now, out, |c, out| {
                    c.stay = Stay::Alone;
                    c.flow.on_operator_lost(now, out);
                });
                if let Some(group) = group {
                    self.back_to_line(now, call, group, out);
                }
            }
        }
    }
}
