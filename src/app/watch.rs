//! What HTTP shows: events as they happen, counters, and the moment in the words of the API.

use std::collections::{BTreeMap, VecDeque};

use crate::core::acd::{OperatorState, Standing, WaitingCaller};
use crate::core::event::PromiseNews;
use crate::core::hub::snapshot::{GroupSnapshot, Snapshot};
use crate::core::promises::{Ledger, RobotStatus};
use crate::domain::{
    CallFact, CallId, CallerId, CallerName, Login, Operator, Promise, PromiseKind, RtpStatistics,
    Timestamp,
};
use crate::sip::{SipHandle, TrunkState, TrunkView};
use crate::web::{
    CandidateView, Counters, Events, GroupState, GroupWhy, LevelToday, Masked, OperatorNow,
    OperatorView, PromiseFigures, PromiseView, RobotView, RtpCounters, StateSnapshot, WaitingView,
    WebEvent,
};

/// Legs whose jitter makes the mean.
const JITTERS_MAX: usize = 100;

/// Follows the calls for those who watch.
pub struct Watch {
    events: Events,
    counters: Counters,
    callers: BTreeMap<CallId, Masked>,
    jitters: VecDeque<f32>,
}

impl Watch {
    pub fn new(events: Events) -> Self {
        Self {
            events,
            counters: Counters::default(),
            callers: BTreeMap::new(),
            jitters: VecDeque::new(),
        }
    }

    /// `waiting` tells how many wait for a group after the fact.
    pub fn on_fact(
        &mut self,
        at: Timestamp,
        call: CallId,
        fact: &CallFact,
        waiting: impl Fn(&str) -> usize,
    ) {
        let event = match fact {
            CallFact::Offered { dialled, caller, caller_name, .. } => {
                let caller = Masked::from(caller);
                self.callers.insert(call, caller.clone());
                let caller_name = caller_name.as_ref().map(Masked::from);
                WebEvent::CallBegan { call, caller, caller_name, dialled: dialled.clone() }
            }
            CallFact::Placed { purpose, customer, .. } => {
                let caller = Masked::from(customer);
                self.callers.insert(call, caller.clone());
                WebEvent::CallPlaced { call, customer: caller, purpose: purpose.clone() }
            }
            CallFact::Queued { group } => {
                let caller = self.callers.get(&call).cloned();
                let caller = caller.unwrap_or_else(|| Masked::from(&CallerId::Anonymous));
                let (group, waiting) = (group.clone(), waiting(group) as u64);
                WebEvent::CallerJoined { call, group, caller, waiting }
            }
            CallFact::LeftLine(visit) => WebEvent::CallerLeft {
                call,
                group: visit.group.clone(),
                outcome: visit.outcome,
                waited_ms: visit.wait_ms,
                waiting: waiting(&visit.group) as u64,
            },
            CallFact::Decided(decision) => WebEvent::Decided { call, decision: decision.clone() },
            CallFact::Ended { by: _, reason } => {
                self.callers.remove(&call);
                let outcome = reason.to_string();
                *self.counters.calls.entry(outcome.clone()).or_default() += 1;
                WebEvent::CallEnded { call, outcome }
            }
            CallFact::Answered
            | CallFact::Step { .. }
            | CallFact::Said { .. }
            | CallFact::Key { .. }
            | CallFact::Entered { .. }
            | CallFact::LookedUp { .. }
            | CallFact::NotTaken { .. }
            | CallFact::Connected { .. }
            | CallFact::Transferred { .. }
            | CallFact::Conversed(_)
            | CallFact::Asked { .. }
            | CallFact::Recorded(_)
            | CallFact::Promised { .. }
            | CallFact::NotReached { .. }
            | CallFact::Rtp(_) => return,
        };
        self.events.tell(at, event);
    }

    pub fn on_operator(&self, at: Timestamp, login: Login, state: OperatorState) {
        self.events.tell(at, WebEvent::OperatorChanged { login, now: shown(state) });
    }

    /// Something happened to a promise.
    pub fn on_promise(&mut self, at: Timestamp, promise: &Promise, news: PromiseNews) {
        let view = Box::new(PromiseView::of(promise, at));
        let event = match news {
            PromiseNews::Made => WebEvent::PromiseMade(view),
            PromiseNews::Changed => WebEvent::PromiseChanged(view),
            PromiseNews::Late => WebEvent::PromiseLate(view),
            PromiseNews::Overdue => WebEvent::PromiseOverdue(view),
            PromiseNews::Over => {
                let ending = (promise.kind, promise.state);
                *self.counters.promises.over.entry(ending).or_default() += 1;
                WebEvent::PromiseOver(view)
            }
        };
        self.events.tell(at, event);
    }

    pub fn on_audio_closed(&mut self, statistics: &RtpStatistics) {
        self.counters.rtp.packets += statistics.packets_received;
        self.counters.rtp.lost += statistics.packets_lost;
        if statistics.packets_received > 0 {
            self.jitters.push_back(statistics.jitter_ms);
        }
        if self.jitters.len() > JITTERS_MAX {
            self.jitters.pop_front();
        }
    }

    pub fn counters(&self, sip: &SipHandle) -> Counters {
        let sum: f64 = self.jitters.iter().map(|jitter| f64::from(*jitter)).sum();
        let jitter_ms = if self.jitters.is_empty() { 0.0 } else { sum / self.jitters.len() as f64 };
        let rtp = RtpCounters { jitter_ms, ..self.counters.rtp };
        let (sip_responses, losses) = (sip.responses(), sip.losses());
        let (sip_refused, sip_dropped) = (losses.refused, losses.dropped);
        let Counters { calls, promises, facts_waiting, .. } = self.counters.clone();
        Counters { calls, sip_responses, sip_refused, sip_dropped, rtp, promises, facts_waiting }
    }
}

/// What is owed when the wall clock says `wall`.
pub fn promises(ledger: &Ledger, wall: Timestamp) -> Vec<PromiseView> {
    ledger.open().map(|promise| PromiseView::of(promise, wall)).collect()
}

pub fn robots(ledger: &Ledger, wall: Timestamp) -> Vec<RobotView> {
    ledger.robots(wall).into_iter().map(robot).collect()
}

/// Whether each trunk can be used.
pub fn trunks_up(trunks: Vec<TrunkView>) -> BTreeMap<String, bool> {
    trunks.into_iter().map(|trunk| (trunk.name, trunk.state == TrunkState::Up)).collect()
}

/// Adds what is so now to the figures that only grow.
pub fn count_promises(ledger: &Ledger, wall: Timestamp, figures: &mut PromiseFigures) {
    let counts = ledger.counts(wall);
    let all = |counts: BTreeMap<PromiseKind, usize>| {
        counts.into_iter().map(|(kind, count)| (kind, count as u64)).collect()
    };
    figures.open = all(counts.open);
    figures.late = all(counts.late);
    let up = ledger.robots(wall).into_iter().map(|robot| (robot.name, robot.up as u64));
    figures.robot_calls_up = up.collect();
}

/// The moment in the words of the API.
pub fn state(snapshot: Snapshot) -> StateSnapshot {
    let at = snapshot.at;
    StateSnapshot {
        at,
        calls: snapshot.calls as u64,
        groups: snapshot.groups.into_iter().map(|group| group_state(at, group)).collect(),
        operators: snapshot.operators.into_iter().map(operator).collect(),
    }
}

/// How far a robot has come, in the words of the API.
fn robot(status: RobotStatus) -> RobotView {
    RobotView {
        name: status.name,
        stopped: status.is_stopped,
        since: status.since,
        left: status.left as u64,
        up: status.up as u64,
        done: status.done as u64,
        answered: status.answered as u64,
        opted_out: status.opted_out as u64,
        ends: status.ends,
    }
}

pub fn why(standing: Standing) -> GroupWhy {
    let candidates = standing.candidates.into_iter().map(|(login, verdict)| {
        let words = verdict.to_string();
        (login, CandidateView { verdict, words })
    });
    GroupWhy {
        group: standing.group,
        waiting: standing.waiting as u64,
        ringing: standing.ringing as u64,
        call: standing.call,
        candidates: candidates.collect(),
    }
}

fn group_state(at: Timestamp, group: GroupSnapshot) -> GroupState {
    let level = group.today.level(group.target.formula);
    let today = LevelToday {
        formula: level.formula.name().to_owned(),
        numerator: level.numerator,
        denominator: level.denominator,
        target_percent: group.target.percent,
        within_ms: group.target.within_ms,
        offered: group.today.offered(),
        answered: group.today.answered,
        abandoned: group.today.abandoned,
    };
    let line = group.waiting.into_iter();
    let line = line.map(|(place, caller, name)| waiting(at, &place, &caller, name.as_ref()));
    GroupState { name: group.name, today, line: line.collect(), callbacks: group.callbacks as u64 }
}

fn waiting(
    at: Timestamp,
    waiting: &WaitingCaller,
    caller: &CallerId,
    name: Option<&CallerName>,
) -> WaitingView {
    WaitingView {
        call: waiting.call,
        caller: Masked::from(caller),
        caller_name: name.map(Masked::from),
        place: waiting.place as u64,
        waited_ms: at.since(waiting.entered),
        priority: waiting.priority,
        is_ringing: waiting.is_ringing,
        origin: waiting.origin,
    }
}

fn operator((operator, state): (Operator, OperatorState)) -> OperatorView {
    OperatorView {
        login: operator.login,
        name: operator.name,
        extension: operator.extension,
        groups: operator.groups,
        now: shown(state),
    }
}

fn shown(state: OperatorState) -> OperatorNow {
    match state {
        OperatorState::Offline => OperatorNow::Offline,
        OperatorState::Unreachable => OperatorNow::Unreachable,
        OperatorState::Ready { since } => OperatorNow::Ready { since },
        OperatorState::Ringing { call, since } => OperatorNow::Ringing { call, since },
        OperatorState::Reserved { call, since } => OperatorNow::Reserved { call, since },
        OperatorState::Talking { call, since } => OperatorNow::Talking { call, since },
        OperatorState::WrapUp { until } => OperatorNow::WrapUp { until },
        OperatorState::Paused { reason, since } => OperatorNow::Paused { reason, since },
    }
}
