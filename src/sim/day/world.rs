//! The clock of a day: callers, operators and the line's own timers take turns.
//!
//! The line is the one of real calls; only those who call and those who answer are made up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use uuid::Uuid;

use super::callers::{Caller, MINUTE_MS, MISS_STREAM, STREAMS, callers};
use super::operators::{SimulatedOperator, operators};
use super::staffing::Doing;
use super::{Rehearsal, half_hour_of};
use crate::core::acd::{Acd, Act, Joined, OfferId, OperatorState, Release, Ticket, TicketWay};
use crate::dialplan::day::{Day, GroupDay};
use crate::domain::{CallFact, CallId, Login, Origin, PhoneState, Timestamp};
use crate::sim::random::Random;

/// Something that will happen at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    ShiftBegins {
        operator: usize,
    },
    ShiftEnds {
        operator: usize,
    },
    /// From the pause that came of a missed call.
    ComesBack {
        operator: usize,
    },
    /// Calls again after having hung up.
    Calls {
        call: usize,
    },
    PicksUp {
        offer: OfferId,
        operator: usize,
    },
    TalkEnds {
        call: usize,
        operator: usize,
    },
    GivesUp {
        call: usize,
    },
}

/// One call of a caller.
struct Call {
    caller: Caller,
    /// The number of the first call; who calls again is the same caller.
    who: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not yet called.
    Coming,
    Waiting,
    Talking,
    Over,
}

pub(super) struct World<'d> {
    day: &'d Day,
    acd: Acd,
    midnight: Timestamp,
    now: Timestamp,
    calls: Vec<Call>,
    /// Of the callers drawn beforehand, in order: the next one.
    next_caller: usize,
    operators: Vec<SimulatedOperator>,
    by_login: BTreeMap<Login, usize>,
    misses: Vec<Random>,
    /// What will happen, the next first; the number keeps those of one moment in order.
    ahead: BinaryHeap<Reverse<(Timestamp, u64, Happening)>>,
    happenings: u64,
    acts: Vec<Act>,
    rehearsal: Rehearsal,
}

impl<'d> World<'d> {
    /// `acd`: a new line, watched or not.
    pub fn new(day: &'d Day, acd: Acd) -> Self {
        let midnight = day.date.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
        let midnight = midnight.map_or(Timestamp(0), |zoned| Timestamp::from(&zoned));
        let operators = operators(day);
        let by_login = operators.iter().enumerate().map(|(n, o)| (o.login().clone(), n)).collect();
        let calls = callers(day).into_iter().enumerate();
        let calls = calls.map(|(who, caller)| Call { caller, who, stage: Stage::Coming });
        let stream = |group| Random::new(day.seed, group as u64 * STREAMS + MISS_STREAM);
        let mut world = Self {
            day,
            acd,
            midnight,
            now: midnight,
            calls: calls.collect(),
            next_caller: 0,
            operators,
            by_login,
            misses: (0..day.groups.len()).map(stream).collect(),
            ahead: BinaryHeap::new(),
            happenings: 0,
            acts: Vec::new(),
            rehearsal: Rehearsal::of(day),
        };
        world.hire();
        world
    }

    /// Everybody has a phone and comes to work later.
    fn hire(&mut self) {
        let people = self.operators.iter().map(|operator| operator.person.clone()).collect();
        self.acd.set_operators(self.now, people, &mut self.acts);
        for index in 0..self.operators.len() {
            let SimulatedOperator { person, span, .. } = &self.operators[index];
            let at = |minute: u32| self.midnight.plus_ms(u64::from(minute) * MINUTE_MS);
            let (begins, ends) = (at(span.start), at(span.end));
            self.acd.set_phone(self.now, &person.login, PhoneState::Reachable, &mut self.acts);
            self.schedule(begins, Happening::ShiftBegins { operator: index });
            self.schedule(ends, Happening::ShiftEnds { operator: index });
        }
        self.obey();
    }

    fn schedule(&mut self, at: Timestamp, happening: Happening) {
        self.happenings += 1;
        self.ahead.push(Reverse((at, self.happenings, happening)));
    }

    /// Until nothing is ahead any more: shifts end, and then nobody waits.
    pub fn run(mut self) -> Rehearsal {
        loop {
            let arrival = self.calls_at(self.next_caller);
            let happening = self.ahead.peek().map(|Reverse((at, ..))| *at);
            let timer = self.acd.next_timer();
            let Some(at) = [timer, happening, arrival].into_iter().flatten().min() else { break };
            self.now = self.now.max(at);
            if timer == Some(at) {
                self.acd.on_time(self.now, &mut self.acts);
            } else if happening == Some(at)
                && let Some(Reverse((_, _, happening))) = self.ahead.pop()
            {
                self.happen(happening);
            } else {
                self.next_caller += 1;
                self.call(self.next_caller - 1);
            }
            self.obey();
        }
        self.rehearsal
    }

    /// When one of the callers who were drawn beforehand calls; those who call again are scheduled.
    fn calls_at(&self, index: usize) -> Option<Timestamp> {
        let call = self.calls.get(index).filter(|call| call.who == index)?;
        Some(self.midnight.plus_ms(call.caller.at_ms))
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ShiftBegins { operator } => {
                let operator = &self.operators[operator].person;
                let _ = self.acd.log_in(self.now, &operator.login, None, &mut self.acts);
            }
            Happening::ShiftEnds { operator } => {
                let operator = &self.operators[operator].person;
                let _ = self.acd.log_out(self.now, &operator.login, None, &mut self.acts);
            }
            Happening::ComesBack { operator } => {
                let operator = &self.operators[operator].person;
                self.acd.unpause(self.now, &operator.login, &mut self.acts);
            }
            Happening::Calls { call } => self.call(call),
            Happening::PicksUp { offer, operator } => self.picks_up(offer, operator),
            Happening::TalkEnds { call, operator } => {
                self.calls[call].stage = Stage::Over;
                let operator = &self.operators[operator].person;
                self.acd.talk_ended(self.now, &operator.login, &mut self.acts);
            }
            Happening::GivesUp { call } => self.gives_up(call),
        }
    }

    fn call(&mut self, index: usize) {
        let call = &mut self.calls[index];
        call.stage = Stage::Waiting;
        let caller = call.caller;
        let ticket = ticket(&self.day.groups[caller.group], &caller, call_id(index), call.who);
        match self.acd.join(self.now, ticket, &mut self.acts) {
            Joined::Waiting { .. } => {}
            Joined::Full | Joined::Nobody => self.calls[index].stage = Stage::Over,
        }
        self.obey();
        if let Some(patience_ms) = caller.patience_ms
            && self.calls[index].stage == Stage::Waiting
        {
            self.schedule(self.now.plus_ms(patience_ms), Happening::GivesUp { call: index });
        }
    }

    fn gives_up(&mut self, index: usize) {
        let Call { caller, who, stage } = &mut self.calls[index];
        if *stage != Stage::Waiting {
            return;
        }
        *stage = Stage::Over;
        let (caller, who) = (*caller, *who);
        self.acd.release(self.now, call_id(index), Release::Abandoned, &mut self.acts);
        if let Some((_, after_ms)) = self.day.groups[caller.group].calls_again
            && caller.is_persistent
        {
            // Whoever hangs up twice has had enough.
            let caller = Caller { is_persistent: false, ..caller };
            self.calls.push(Call { caller, who, stage: Stage::Coming });
            let call = self.calls.len() - 1;
            self.schedule(self.now.plus_ms(after_ms), Happening::Calls { call });
        }
    }

    /// The operator takes the call, unless another one was quicker or the caller has gone.
    fn picks_up(&mut self, offer: OfferId, operator: usize) {
        let Some(call) = self.acd.answered(self.now, offer, &mut self.acts) else { return };
        self.acd.connected(self.now, call, &mut self.acts);
        let call = call_index(call);
        self.calls[call].stage = Stage::Talking;
        let ends = self.now.plus_ms(self.calls[call].caller.handle_ms);
        self.schedule(ends, Happening::TalkEnds { call, operator });
    }

    /// Does what the line asks for, until it asks for nothing more.
    fn obey(&mut self) {
        while !self.acts.is_empty() {
            for act in std::mem::take(&mut self.acts) {
                self.act(act);
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Offer { offer, operator, ring_ms, .. } => self.ring(offer, &operator, ring_ms),
            Act::TurnAway { call } => self.calls[call_index(call)].stage = Stage::Over,
            Act::Record { fact, .. } => self.note(&fact),
            Act::StateChanged { operator } => self.operator_changed(&operator),
            // A phone that stopped ringing is not picked up; what operators want outlives nothing here.
            Act::Withdraw { .. } | Act::Remember { .. } => {}
            // Nobody asks to be called back here.
            Act::Reserve { .. } | Act::Unreserved { .. } => {}
        }
    }

    fn ring(&mut self, offer: OfferId, operator: &Login, ring_ms: u64) {
        let Some(&operator) = self.by_login.get(operator) else { return };
        let group = self.operators[operator].group;
        let GroupDay { ring_delay_ms, misses, .. } = &self.day.groups[group];
        let (delay_ms, percent) = (*ring_delay_ms, misses.percent);
        let is_missed = percent > 0 && self.misses[group].happens(percent);
        if is_missed || delay_ms >= ring_ms {
            // The line itself counts how long a phone rings.
        } else if delay_ms == 0 {
            self.picks_up(offer, operator);
        } else {
            self.schedule(self.now.plus_ms(delay_ms), Happening::PicksUp { offer, operator });
        }
    }

    fn operator_changed(&mut self, login: &Login) {
        let Some(&index) = self.by_login.get(login) else { return };
        let Some(state) = self.acd.state(login) else { return };
        let operator = &mut self.operators[index];
        let (before, since) = (operator.doing, operator.since);
        (operator.doing, operator.since) = (Doing::from(&state), self.now);
        let group = operator.group;
        self.rehearsal.groups[group].staffing.add(before, self.midnight, since, self.now);
        if let OperatorState::Paused { since, .. } = state
            && since == self.now
        {
            let back_after_ms = self.day.groups[group].misses.back_after_ms;
            let back = self.now.plus_ms(back_after_ms);
            self.schedule(back, Happening::ComesBack { operator: index });
        }
    }

    fn note(&mut self, fact: &CallFact) {
        match fact {
            CallFact::LeftLine(visit) => {
                self.rehearsal.came_back += u64::from(visit.origin == Origin::CameBack);
                let half_hour = half_hour_of(visit.entered, self.midnight);
                if let Some(group) = self.rehearsal.group_mut(&visit.group) {
                    let standard = group.standard;
                    group.tally_of(half_hour).add_visit(visit, standard);
                }
            }
            CallFact::Conversed(conversation) => {
                let name = conversation.group.as_deref().unwrap_or_default();
                let half_hour = half_hour_of(conversation.began, self.midnight);
                if let Some(group) = self.rehearsal.group_mut(name) {
                    group.tally_of(half_hour).add_conversation(conversation);
                }
            }
            CallFact::NotTaken { .. } => self.rehearsal.not_taken += 1,
            _ => {}
        }
    }
}

fn ticket(group: &GroupDay, caller: &Caller, call: CallId, who: usize) -> Ticket {
    let of_vips = group.rules.priorities.iter().filter(|(name, _)| name == "customer.vip");
    let priority = if caller.is_vip { of_vips.map(|(_, points)| points).sum() } else { 0 };
    Ticket {
        call,
        group: group.rules.clone(),
        origin: Origin::Called,
        // Nobody keeps a place for those who do not call again.
        caller: group.calls_again.map(|_| who.to_string()),
        priority,
        manager: None,
        only_manager: false,
        place: None,
        way: TicketWay::Caller,
        plan: String::new(),
    }
}

fn call_id(index: usize) -> CallId {
    CallId(Uuid::from_u128(index as u128))
}

fn call_index(call: CallId) -> usize {
    usize::try_from(call.0.as_u128()).unwrap_or(usize::MAX)
}
