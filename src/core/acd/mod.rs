//! Automatic call distribution: operators, the lines of callers before them, and who is rung for
//! whom.
//!
//! One owner drives it: each entry point is told the time and appends what is to be done to `out`.
//! After each of them no free operator is left beside a waiting caller whom this operator may take.
//!
//! - [`border`]: what the line is told and what it asks for
//! - `operators`: what is known of each operator, and whether this one is free
//! - [`line`]: callers, their order, and where each of them waits to be seen
//! - `places`: places kept for callers who hung up
//! - `joining`: a caller enters the line, and leaves it
//! - `attendance`: log in, log out, pause, phones
//! - `ringing`: what becomes of an offer
//! - `reserving`: an operator is kept free for a customer who is being called
//! - `talking`: conversations, hold, transfer and wrap-up
//! - `matching`: who is rung for whom
//! - [`decision`]: what was found of each operator, as a value
//! - `estimate`: how long a caller will probably still wait
//! - `invariants`: what must always hold, and how it is put right

pub mod border;
pub mod decision;

mod attendance;
mod estimate;
mod invariants;
mod joining;
mod line;
mod matching;
mod operators;
mod places;
mod reserving;
mod ringing;
mod talking;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use crate::domain::{Attendance, CallFact, CallId, Login, Operator, Origin, Timestamp};

pub use border::{
    Act, Estimate, Joined, NotAllowed, OfferId, OperatorState, Release, Ticket, TicketWay,
    TopicAnswer,
};
pub use decision::Standing;
pub use line::WaitingCaller;

use estimate::HandlingTimes;
use line::{Caller, Desks, Rank};
use operators::Staff;
use places::KeptPlaces;
use ringing::Offer;

/// All lines and operators of the house.
#[derive(Debug, Default)]
pub struct Acd {
    staff: Staff,
    /// Callers until they are connected or gone.
    callers: BTreeMap<CallId, Caller>,
    /// By group: those who wait, rung or not, in order.
    lines: BTreeMap<String, BTreeSet<Rank>>,
    /// Those for whom somebody may be rung now.
    desks: Desks,
    offers: BTreeMap<OfferId, Offer>,
    last_offer: u64,
    /// Who talks with whom.
    talks: BTreeMap<CallId, Login>,
    /// By group: who was rung last, for `round-robin`.
    turns: BTreeMap<String, Login>,
    handling: BTreeMap<String, HandlingTimes>,
    kept: KeptPlaces,
    timers: BTreeSet<(Timestamp, Timer)>,
    news: News,
    /// Where midnight begins the day of `fewest-calls`.
    zone: Option<TimeZone>,
    day_ends: Timestamp,
    is_unwatched: bool,
}

/// What an entry point changed, until [`Acd::settle`] has seen to it.
#[derive(Debug, Default)]
struct News {
    operators: BTreeSet<Login>,
    callers: BTreeSet<Rank>,
    /// A group lost its last operator.
    is_group_empty: bool,
    /// Groups whose first callers may have other reasons to wait than were written down.
    reasons: BTreeSet<String>,
    /// A timer is set to look at these reasons.
    are_reasons_planned: bool,
}

/// Why [`Acd::on_time`] is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The phone has rung for long enough.
    Ring(OfferId),
    WrapUp(Login),
    /// The operator may be rung again.
    Delay(Login),
    /// The personal manager's time is up, or another group helps from now on.
    Widen(CallId),
    Reasons,
}

impl Acd {
    /// The day of `fewest-calls` begins at midnight UTC; see [`Acd::in_zone`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the day of `fewest-calls` begin at midnight in `zone`.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self { zone: Some(zone), ..self }
    }

    /// A line for rehearsals, in which nobody asks why: decisions are not written down, and
    /// invariants are not looked at. Who is rung, and when, is the same.
    #[must_use]
    pub fn unwatched(self) -> Self {
        Self { is_unwatched: true, ..self }
    }

    /// When [`Acd::on_time`] wants to be called.
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due at `now`, all of it before anybody is rung. Calling it too early or too
    /// often does no harm.
    pub fn on_time(&mut self, now: Timestamp, out: &mut Vec<Act>) {
        let mut are_reasons_due = false;
        while self.next_timer().is_some_and(|at| at <= now)
            && let Some((_, timer)) = self.timers.pop_first()
        {
            match timer {
                Timer::Ring(offer) => self.ring_time_is_up(now, offer, out),
                Timer::WrapUp(login) => self.finish_wrap_up(now, &login, out),
                Timer::Delay(login) => self.delay_is_over(now, &login),
                Timer::Widen(call) => self.widen(now, call, out),
                Timer::Reasons => are_reasons_due = true,
            }
        }
        self.settle(now, out);
        if are_reasons_due {
            self.write_reasons(now, out);
        }
    }

    /// The place of a caller in the line of the group, 1 for the next one. `None`: not waiting, or
    /// not in a line.
    pub fn place(&self, call: CallId) -> Option<usize> {
        let caller = self.callers.get(&call)?;
        let line = self.lines.get(&caller.ticket.group.name)?;
        line.contains(&caller.rank).then(|| line.range(..=caller.rank).count())
    }

    /// How long a caller has been waiting; `None`: not waiting.
    pub fn waited_ms(&self, now: Timestamp, call: CallId) -> Option<u64> {
        self.callers.get(&call).map(|caller| now.since(caller.entered))
    }

    /// Whether a phone rings for this caller.
    pub fn is_ringing(&self, call: CallId) -> bool {
        self.callers.get(&call).is_some_and(|c| matches!(c.stage, line::Stage::Ringing { .. }))
    }

    /// Whether the call has a ticket: it waits, somebody is rung for it, or has just picked up.
    pub fn has(&self, call: CallId) -> bool {
        self.callers.contains_key(&call)
    }

    /// Whether an operator is kept free for the customer of this call.
    pub fn is_reserved(&self, call: CallId) -> bool {
        self.callers.get(&call).is_some_and(|c| matches!(c.stage, line::Stage::Reserved { .. }))
    }

    /// What an operator wants; `None`: there is no such operator.
    pub fn attendance(&self, login: &Login) -> Option<&Attendance> {
        self.staff.get(login).map(|person| &person.attendance)
    }

    /// Where an operator is; `None`: there is no such operator.
    pub fn state(&self, login: &Login) -> Option<OperatorState> {
        self.staff.get(login).map(operators::Person::state)
    }

    /// All operators with their states, by login.
    pub fn operators(&self) -> impl Iterator<Item = (&Operator, OperatorState)> {
        self.staff.iter().map(|person| (&person.operator, person.state()))
    }

    /// The groups in whose lines somebody waits.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// How many wait for a group.
    pub fn waiting(&self, group: &str) -> usize {
        self.lines.get(group).map_or(0, BTreeSet::len)
    }

    /// Everybody who waits for a group, in order.
    pub fn line(&self, group: &str) -> Vec<WaitingCaller> {
        let ranks = self.lines.get(group).into_iter().flatten();
        ranks
            .enumerate()
            .filter_map(|(before, rank)| Some(self.callers.get(&rank.call)?.snapshot(before + 1)))
            .collect()
    }

    /// The tickets of those who are to be called back by a group, in the order of their places.
    pub fn callbacks(&self, group: &str) -> impl Iterator<Item = CallId> {
        let line = self.lines.get(group).into_iter().flatten();
        let is_callback = |call: &CallId| {
            self.callers.get(call).is_some_and(|caller| caller.origin == Origin::Callback)
        };
        line.map(|rank| rank.call).filter(is_callback)
    }

    fn record(call: CallId, fact: CallFact, out: &mut Vec<Act>) {
        out.push(Act::Record { call, fact });
    }

    /// Calls are counted anew after midnight.
    fn begin_day(&mut self, now: Timestamp) {
        const DAY_MS: u64 = 86_400_000;
        if now < self.day_ends {
            return;
        }
        let zoned = now.in_zone(self.zone.as_ref().unwrap_or(&TimeZone::UTC));
        let midnight = zoned.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
        self.day_ends = midnight.map_or(now.plus_ms(DAY_MS), |midnight| Timestamp::from(&midnight));
        self.staff.forget_calls();
    }
}
