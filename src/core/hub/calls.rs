//! Callers, from the offer to the last word of their media.

use std::net::IpAddr;
use std::sync::Arc;

use crate::dialplan::plan::{Block, Group, Script};
use crate::domain::{
    CallFact, CallId, CallerId, CallerName, EndReason, EndedBy, Language, LegId, LinePlace, Origin,
    PromiseId, RtpStatistics, Timestamp,
};

use super::super::acd::Release;
use super::super::event::{Command, Offered, Refusal};
use super::super::flow::{Flow, Setting};
use super::super::knowledge::{Knowledge, OpenIncident};
use super::Hub;
use super::legs::Role;
use super::outbound::Outbound;
use super::talk::Talk;

/// How long the media of an ended call may take to hand in its statistics.
const CLOSING_MAX_MS: u64 = 2_000;

/// One caller's call.
#[derive(Debug)]
pub(super) struct Call {
    pub leg: LegId,
    pub flow: Flow,
    pub caller: CallerId,
    pub caller_name: Option<CallerName>,
    /// Version of the plan that the call follows.
    pub plan: String,
    pub stay: Stay,
    /// How the call comes into the next line.
    pub origin: Origin,
    pub refuses_recording: bool,
    /// Where a call came from that nobody vouches for.
    pub stranger: Option<IpAddr>,
    /// A call of ours.
    pub outbound: Option<Outbound>,
    /// What was promised last in this call.
    pub promised: Option<PromiseId>,
    /// The file of a message that belongs to no promise yet.
    pub message: Option<String>,
    /// The place in the line that the caller left for a callback.
    pub place: Option<LinePlace>,
    phase: Phase,
    /// The entry of this call in `Hub::timers`.
    timer: Option<Timestamp>,
}

/// Where a caller is, beside the walk through the plan.
#[derive(Debug, Default)]
pub(super) enum Stay {
    #[default]
    Alone,
    /// In the line of a group, or (without a group) ringing one operator.
    Waiting { group: Option<Arc<Group>> },
    /// With an operator, or on the way to another one.
    Talking(Talk),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Up,
    /// We asked for the end and know why.
    Ending {
        by: EndedBy,
        reason: EndReason,
    },
    /// Signalling is over; the media's last words are awaited.
    Closing {
        by: EndedBy,
        reason: EndReason,
        until: Timestamp,
    },
}

impl Call {
    pub fn new(leg: LegId, flow: Flow, caller: CallerId, plan: String) -> Self {
        Self {
            leg,
            flow,
            caller,
            caller_name: None,
            plan,
            stay: Stay::Alone,
            origin: Origin::Called,
            refuses_recording: false,
            stranger: None,
            outbound: None,
            promised: None,
            message: None,
            place: None,
            phase: Phase::Up,
            timer: None,
        }
    }

    /// The group in whose line the caller waits, or through which an operator was found.
    pub fn group(&self) -> Option<&Arc<Group>> {
        match &self.stay {
            Stay::Alone => None,
            Stay::Waiting { group } => group.as_ref(),
            Stay::Talking(talk) => talk.group.as_ref(),
        }
    }

    /// We hang up; the first reason counts.
    pub fn ends_because(&mut self, by: EndedBy, reason: EndReason) {
        if self.phase == Phase::Up {
            self.phase = Phase::Ending { by, reason };
        }
    }
}

impl Hub {
    pub(super) fn offered(&mut self, now: Timestamp, offered: Offered, out: &mut Vec<Command>) {
        match offered.replaces {
            Some(replaced) => self.replace(now, offered, replaced, out),
            None => self.offer(now, offered, out),
        }
    }

    fn offer(&mut self, now: Timestamp, offered: Offered, out: &mut Vec<Command>) {
        if let Some((script, block)) = self.plan.answering(&offered.dialled, self.region) {
            let (script, block) = (script.clone(), block.clone());
            return self.offer_to_plan(now, offered, script, block, out);
        }
        match offered.account.clone() {
            Some(operator) => self.desk_calls(now, offered, operator, out),
            None => {
                let is_code = offered.dialled.starts_with('*');
                let may_be_phone = is_code || offered.is_near_phone;
                let why =
                    if may_be_phone { Refusal::Unauthenticated } else { Refusal::UnknownNumber };
                out.push(Command::Reject { leg: offered.leg, why });
            }
        }
    }

    fn offer_to_plan(
        &mut self,
        now: Timestamp,
        offered: Offered,
        script: Arc<Script>,
        block: Block,
        out: &mut Vec<Command>,
    ) {
        let Offered { call, leg, dialled, caller, caller_name, stranger, .. } = offered;
        let plan = self.plan.version.clone();
        let fact = CallFact::Offered {
            dialled: dialled.clone(),
            caller: caller.clone(),
            caller_name: caller_name.clone(),
            plan: plan.clone(),
        };
        out.push(Command::Record { call, fact });
        if self.is_draining {
            return refuse_overloaded(call, leg, out);
        }
        let knowledge = self.knowledge(caller.clone(), dialled, script.language);
        let flow = Flow::new(call, leg, script, block, knowledge, self.setting());
        self.legs.insert(leg, Role::Caller(call));
        self.caller_is_here(now, &caller, true);
        let entry = Call { stranger, caller_name, ..Call::new(leg, flow, caller, plan) };
        self.calls.insert(call, entry);
        out.push(Command::Answer { leg });
    }

    pub(super) fn caller_ended(
        &mut self,
        now: Timestamp,
        call: CallId,
        by: EndedBy,
        reason: EndReason,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let (by, reason) = match entry.phase {
            Phase::Up => (by, reason),
            Phase::Ending { by, reason } | Phase::Closing { by, reason, .. } => (by, reason),
        };
        match std::mem::take(&mut entry.stay) {
            Stay::Alone => {}
            Stay::Waiting { .. } => {
                let is_callback = entry.outbound.as_ref().is_some_and(Outbound::is_callback);
                let release = match (is_callback, by) {
                    (true, _) => Release::NotReached,
                    (false, EndedBy::Caller) => Release::Abandoned,
                    (false, _) => Release::Lost,
                };
                self.acd.release(now, call, release, &mut self.acts);
                self.let_whispered_go(now, call, out);
            }
            Stay::Talking(talk) => self.caller_left(now, call, talk, out),
        }
        // Whoever was still rung for the call is not any more.
        self.acd.release(now, call, Release::Lost, &mut self.acts);
        self.with(call, now, out, |entry, out| {
            entry.flow.on_call_ended(now, out);
            entry.phase = Phase::Closing { by, reason, until: now.plus_ms(CLOSING_MAX_MS) };
        });
        self.outbound_ended(now, call, by);
    }

    pub(super) fn media_closed(
        &mut self,
        now: Timestamp,
        leg: LegId,
        statistics: RtpStatistics,
        out: &mut Vec<Command>,
    ) {
        if let Some(&Role::Caller(call)) = self.legs.get(&leg) {
            out.push(Command::Record { call, fact: CallFact::Rtp(statistics) });
            self.close(now, call, out);
        }
    }

    pub(super) fn call_is_due(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        entry.timer = None;
        if matches!(entry.phase, Phase::Closing { until, .. } if until <= now) {
            self.close(now, call, out);
        } else {
            self.tone_for_operator(now, call, out);
            self.with(call, now, out, |c, out| c.flow.on_time(now, out));
        }
    }

    /// Runs `act` on a call, if it is not over, answers what its walk asks for then, and sets its
    /// timer anew.
    pub(super) fn with(
        &mut self,
        call: CallId,
        now: Timestamp,
        out: &mut Vec<Command>,
        act: impl FnOnce(&mut Call, &mut Vec<Command>),
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        act(entry, out);
        for request in entry.flow.take_requests() {
            self.answer_request(now, call, request, out);
        }
        let deeds = self.calls.get_mut(&call).map(|entry| entry.flow.take_deeds());
        for deed in deeds.unwrap_or_default() {
            self.carry_out_deed(now, call, deed, out);
        }
        self.set_timer(now, call);
    }

    fn set_timer(&mut self, now: Timestamp, call: CallId) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let wanted = match entry.phase {
            Phase::Closing { until, .. } => Some(until),
            Phase::Up | Phase::Ending { .. } => {
                let tone_at = entry.outbound.as_ref().and_then(|outbound| outbound.tone_at);
                entry.flow.timer().into_iter().chain(tone_at).min()
            }
        };
        let wanted = wanted.map(|at| at.max(now));
        if wanted != entry.timer {
            if let Some(old) = entry.timer {
                self.timers.remove(&(old, call));
            }
            self.timers.extend(wanted.map(|at| (at, call)));
            entry.timer = wanted;
        }
    }

    fn close(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.get(&call) else { return };
        let (by, reason) = match entry.phase {
            Phase::Closing { by, reason, .. } | Phase::Ending { by, reason } => (by, reason),
            Phase::Up => (EndedBy::Server, EndReason::Failed),
        };
        if entry.outbound.is_none() {
            let caller = entry.caller.clone();
            self.caller_is_here(now, &caller, false);
        }
        self.drop_call(call, by, reason, out);
        self.call_is_over(now, call);
    }

    /// Forgets a call; its last fact.
    pub(super) fn drop_call(
        &mut self,
        call: CallId,
        by: EndedBy,
        reason: EndReason,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.remove(&call) else { return };
        self.legs.remove(&entry.leg);
        if let Some(at) = entry.timer {
            self.timers.remove(&(at, call));
        }
        out.push(Command::Record { call, fact: CallFact::Ended { by, reason } });
    }

    /// What is known of a caller before anybody is asked.
    fn knowledge(&self, caller: CallerId, dialled: String, language: Language) -> Knowledge {
        let mut knowledge = Knowledge::new(caller, dialled, language);
        if let Some(phone) = knowledge.caller.number().cloned() {
            let incident = self.ledger.incident_of(&phone).map(|promise| OpenIncident {
                name: promise.name.clone(),
                order: promise.about.values.get("order").cloned(),
            });
            knowledge.set_incident(incident);
            knowledge.set_promise_open(self.ledger.open_of(&phone).any(|p| p.kind.is_human()));
        }
        knowledge
    }

    /// What every walk has in common now.
    pub(super) fn setting(&self) -> Setting {
        let (catalogue, region) = (self.catalogue.clone(), self.region);
        Setting { catalogue, region, calendar: self.calendar }
    }

    /// Somebody who is talking with us is not called at the same time.
    pub(super) fn caller_is_here(&mut self, now: Timestamp, caller: &CallerId, is_here: bool) {
        if let Some(phone) = caller.number() {
            self.with_ledger(now, |ledger, wall, acts| {
                ledger.customer_in_call(wall, phone, is_here, acts);
            });
        }
    }
}

/// A call that the plan would take and the server can't.
pub(super) fn refuse_overloaded(call: CallId, leg: LegId, out: &mut Vec<Command>) {
    let fact = CallFact::Ended { by: EndedBy::Server, reason: EndReason::Busy };
    out.extend([Command::Reject { leg, why: Refusal::Overloaded }, Command::Record { call, fact }]);
}
