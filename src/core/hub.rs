//! All calls, their timers, and the only place where the cores meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::dialplan::Plan;
use crate::domain::{CallFact, CallId, CallerId, EndReason, EndedBy, Region, Timestamp};
use crate::speech::Catalogue;

use super::acd::Joined;
use super::event::{Command, Event};
use super::flow::{Flow, LineRequest, Outlook};
use super::knowledge::Knowledge;

/// How long the media of an ended call may take to hand in its statistics.
const CLOSING_MAX_MS: u64 = 2_000;

/// The decisions of the whole house. Driven by one owner: [`Hub::handle`] for each event,
/// [`Hub::on_time`] when [`Hub::next_timer`] has come. Both append to `out`.
#[derive(Debug)]
pub struct Hub {
    plan: Arc<Plan>,
    catalogue: Arc<Catalogue>,
    /// For dialled numbers in a national spelling.
    region: Region,
    calls: BTreeMap<CallId, Call>,
    timers: BTreeSet<(Timestamp, CallId)>,
    is_draining: bool,
}

/// One call.
#[derive(Debug)]
struct Call {
    flow: Flow,
    phase: Phase,
    /// The entry of this call in `Hub::timers`.
    timer: Option<Timestamp>,
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

impl Hub {
    pub fn new(plan: Arc<Plan>, catalogue: Arc<Catalogue>, region: Region) -> Self {
        let (calls, timers) = (BTreeMap::new(), BTreeSet::new());
        Self { plan, catalogue, region, calls, timers, is_draining: false }
    }

    /// Calls that are not over.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// When [`Hub::on_time`] wants to be called.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub fn handle(&mut self, now: Timestamp, event: Event, out: &mut Vec<Command>) {
        let from = out.len();
        match event {
            Event::CallOffered { call, leg: _, dialled, caller } => {
                self.offer(call, dialled, caller, out);
            }
            Event::AnswerFailed { call } => {
                if self.calls.remove(&call).is_some() {
                    refuse_busy(call, out);
                }
            }
            Event::CallConfirmed { call } => {
                self.with(call, now, out, |c, out| c.flow.on_confirmed(now, out));
            }
            Event::KeyPressed { call, key, source } => self.with(call, now, out, |c, out| {
                out.push(Command::Record { call, fact: CallFact::Key { key, source } });
                c.flow.on_key(now, key, out);
            }),
            Event::PlayEnded { call, play, cut_after_ms } => {
                self.with(call, now, out, |c, out| {
                    c.flow.on_play_ended(now, play, cut_after_ms, out);
                });
            }
            Event::LookupAnswered { call, lookup, answer, took_ms } => {
                self.with(call, now, out, |c, out| {
                    c.flow.on_lookup_answered(now, lookup, answer, took_ms, out);
                });
            }
            Event::CallEnded { call, by, reason } => self.end(call, now, by, reason, out),
            Event::MediaDied { call } => {
                let (by, reason) = (EndedBy::Network, EndReason::MediaDied);
                self.with(call, now, out, |_, out| out.push(Command::Hangup { call, by, reason }));
            }
            Event::MediaClosed { call, statistics } => {
                let is_known = self.calls.contains_key(&call);
                let fact = CallFact::Rtp(statistics);
                out.extend(is_known.then_some(Command::Record { call, fact }));
                self.close(call, out);
            }
            Event::PlanReplaced { plan, catalogue } => {
                self.plan = plan;
                self.catalogue = catalogue;
            }
            Event::DrainStarted => self.is_draining = true,
            Event::DrainEnded => {
                let (by, reason) = (EndedBy::Server, EndReason::Shutdown);
                out.extend(self.calls.keys().map(|&call| Command::Hangup { call, by, reason }));
            }
        }
        self.note_hangups(out, from);
    }

    /// Does what is due at `now`. A timer that is due again at once waits for the next turn, so that
    /// no call keeps the others waiting.
    pub fn on_time(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let from = out.len();
        let later = self.timers.split_off(&(now.plus_ms(1), CallId(Uuid::nil())));
        let due = std::mem::replace(&mut self.timers, later);
        for (_, call) in due {
            let Some(entry) = self.calls.get_mut(&call) else { continue };
            entry.timer = None;
            if matches!(entry.phase, Phase::Closing { until, .. } if until <= now) {
                self.close(call, out);
            } else {
                self.with(call, now, out, |c, out| c.flow.on_time(now, out));
            }
        }
        self.note_hangups(out, from);
    }

    fn offer(&mut self, call: CallId, dialled: String, caller: CallerId, out: &mut Vec<Command>) {
        let Some((script, block)) = self.plan.answering(&dialled, self.region) else {
            out.push(Command::Reject { call, reason: EndReason::UnknownNumber });
            return;
        };
        let plan = self.plan.version.clone();
        let fact = CallFact::Offered { dialled: dialled.clone(), caller: caller.clone(), plan };
        out.push(Command::Record { call, fact });
        if self.is_draining {
            return refuse_busy(call, out);
        }
        let knowledge = Knowledge::new(caller, dialled, script.language);
        let (script, block, catalogue) = (script.clone(), block.clone(), self.catalogue.clone());
        let flow = Flow::new(call, script, block, catalogue, knowledge, self.region);
        self.calls.insert(call, Call { flow, phase: Phase::Up, timer: None });
        out.push(Command::Answer { call });
    }

    /// Runs `act` on a call, if it is not over, answers what it asks, and sets its timer anew.
    fn with(
        &mut self,
        call: CallId,
        now: Timestamp,
        out: &mut Vec<Command>,
        act: impl FnOnce(&mut Call, &mut Vec<Command>),
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        act(entry, out);
        entry.answer_requests(now, out);
        let wanted = match entry.phase {
            Phase::Closing { until, .. } => Some(until),
            Phase::Up | Phase::Ending { .. } => entry.flow.timer(),
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

    fn end(
        &mut self,
        call: CallId,
        now: Timestamp,
        by: EndedBy,
        reason: EndReason,
        out: &mut Vec<Command>,
    ) {
        self.with(call, now, out, |entry, out| {
            entry.flow.on_call_ended(out);
            let (by, reason) = match entry.phase {
                Phase::Up => (by, reason),
                Phase::Ending { by, reason } | Phase::Closing { by, reason, .. } => (by, reason),
            };
            entry.phase = Phase::Closing { by, reason, until: now.plus_ms(CLOSING_MAX_MS) };
        });
    }

    fn close(&mut self, call: CallId, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.remove(&call) else { return };
        if let Some(at) = entry.timer {
            self.timers.remove(&(at, call));
        }
        let (by, reason) = match entry.phase {
            Phase::Closing { by, reason, .. } | Phase::Ending { by, reason } => (by, reason),
            Phase::Up => (EndedBy::Server, EndReason::Failed),
        };
        out.push(Command::Record { call, fact: CallFact::Ended { by, reason } });
    }

    /// Remembers why we hang up: the end that signalling reports then is ours.
    fn note_hangups(&mut self, out: &[Command], from: usize) {
        for command in &out[from..] {
            if let Command::Hangup { call, by, reason } = command
                && let Some(entry) = self.calls.get_mut(call)
                && entry.phase == Phase::Up
            {
                entry.phase = Phase::Ending { by: *by, reason: *reason };
            }
        }
    }
}

impl Call {
    /// No operator is logged in anywhere.
    fn answer_requests(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        loop {
            let requests = self.flow.take_requests();
            if requests.is_empty() {
                return;
            }
            for request in requests {
                match request {
                    LineRequest::Join { group: _ } => {
                        self.flow.on_joined(now, Joined::Nobody, out);
                    }
                    LineRequest::RingOperator { operator: _, for_ms: _ } => {
                        self.flow.on_turned_away(now, out);
                    }
                    LineRequest::Tip { recordings: _ } => self.flow.on_tip(now, None, out),
                    LineRequest::Place => self.flow.on_place(now, Outlook::default(), out),
                    LineRequest::Callback { number: _ } | LineRequest::RefuseRecording => {}
                }
            }
        }
    }
}

/// A call that the plan would take and the server can't.
fn refuse_busy(call: CallId, out: &mut Vec<Command>) {
    let reason = EndReason::Busy;
    let fact = CallFact::Ended { by: EndedBy::Server, reason };
    out.extend([Command::Reject { call, reason }, Command::Record { call, fact }]);
}
