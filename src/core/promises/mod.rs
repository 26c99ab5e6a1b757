//! The ledger of promises: what customers are owed, when it is tried, and what came of it.
//!
//! Everything that would hurt if it were done twice is stored first: a promise is tried only when
//! the database has it, and an attempt is dialled only when the database has the attempt. Times are
//! those of the wall clock, which may jump: a moment that came is acted upon once, whatever the clock
//! says next, and no duration is taken from it that matters to a call that is up.
//!
//! One owner drives it: each entry point is told what the wall clock says, and appends what is to be
//! done to `out`.
//!
//! - A promise is [made](Ledger::make) → `Store` → [`Ledger::stored`]: it has a next try.
//! - A robot's: `StoreAttempt` → [`Ledger::attempt_stored`] → `CallByRobot` → [`Ledger::talking`] at
//!   the first key → [`Ledger::called`].
//! - A human's: `EnterLine` → [`Ledger::reserve`] when an operator is there (or
//!   [`Ledger::left_line`]) → `StoreAttempt` → [`Ledger::attempt_stored`] → `CallByHuman` →
//!   [`Ledger::talking`] → [`Ledger::called`].
//! - `LeaveLine` and `CallOff` take back what was asked for.
//! - Customers who call: [`Ledger::customer_in_call`], [`Ledger::customer_reached`]; who want no
//!   calls: [`Ledger::forbid`].
//! - At the start: [`Ledger::set_plan`], [`Ledger::set_do_not_call`], [`Ledger::remember`], in any
//!   order; nothing is tried before there are a plan and trunks.
//!
//! The files:
//!
//! - [`border`]: what the ledger is told and what it asks for
//! - [`due`]: when a promise of the plan is due
//! - `entry`: a promise until it is over, and what it waits for
//! - `making`: promises are made, once for each reason, and remembered
//! - `scheduling`: the next try of a promise, and the end of one
//! - `robots`: robots' queues, their limits, and how far they have come
//! - `lines`: tickets for operators
//! - `attempts`: an attempt from its beginning to its outcome, and what follows
//! - `customers`: customers who call, and who want no calls
//! - `alarms`: what is done at a moment; supervisors are told of what is late
//! - `rules`: the rules of the plan, and when they let a customer be called
//! - `zones`: in which time zone a number is
//! - `numbers`: what each number is owed; one call at a time
//! - `trunks`: how many calls go out, and how fast they begin
//! - `caps`: whom robots called lately
//! - `tally`: how many promises are open, and how many of them are late

pub mod border;
pub mod due;

mod alarms;
mod attempts;
mod caps;
mod customers;
mod entry;
mod lines;
mod making;
mod numbers;
mod robots;
mod rules;
mod scheduling;
mod tally;
#[cfg(test)]
mod tests;
mod trunks;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::Plan;
use crate::domain::{DoNotCall, PhoneNumber, Promise, PromiseId, PromiseKind, Timestamp};

use super::event::PromiseNews;

pub use border::{Made, NewPromise, NotMade, PromiseAct, RobotStatus};
pub use due::{DueTime, due_time};
pub use tally::Counts;

use caps::Caps;
use entry::{Alarm, Entry, Reason};
use lines::Line;
use making::EventKeys;
use numbers::Numbers;
use robots::RobotLine;
use rules::Rules;
use tally::Tally;
use trunks::Outbound;

/// So many promises are open at most; what comes then is refused as [`NotMade::Full`].
pub const PROMISES_MAX: usize = 100_000;
/// So many promises of one number are open at most; the answer is the same.
pub const PROMISES_OF_NUMBER_MAX: usize = 100;

/// All open promises of the house.
#[derive(Debug, Default)]
pub struct Ledger {
    plan: Option<Arc<Plan>>,
    is_rehearsal: bool,
    entries: BTreeMap<PromiseId, Entry>,
    /// What is owed already.
    reasons: BTreeMap<Reason, PromiseId>,
    events: EventKeys,
    numbers: Numbers,
    alarms: BTreeSet<(Timestamp, PromiseId, Alarm)>,
    /// By name.
    robots: BTreeMap<String, RobotLine>,
    /// When a robot has something to do.
    robots_at: Option<Timestamp>,
    /// What the wall clock said last.
    last_wall: Timestamp,
    /// Robots take turns: this one was the last.
    last_robot: String,
    /// By group: those who wait for its operators.
    lines: BTreeMap<String, Line>,
    /// When there is more to do in the lines than was done at once.
    lines_at: Option<Timestamp>,
    outbound: Outbound,
    forbidden: BTreeSet<DoNotCall>,
    caps: Caps,
    tally: Tally,
}

impl Ledger {
    /// Nothing is owed, and there are neither a plan nor trunks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Promises that are made from now on are marked as made under a rehearsal clock.
    pub fn set_rehearsal(&mut self, is_rehearsal: bool) {
        self.is_rehearsal = is_rehearsal;
    }

    /// Promises follow this plan from their next step on. Those of robots that are gone are
    /// cancelled; those of groups that are gone go to another one.
    pub fn set_plan(&mut self, wall: Timestamp, plan: Arc<Plan>, out: &mut Vec<PromiseAct>) {
        self.plan = Some(plan);
        let waiting: Vec<PromiseId> = (self.entries.iter())
            .filter(|(_, entry)| !entry.is_calling())
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.follow_plan(wall, id, out);
        }
        self.settle(wall, out);
    }

    /// How many calls to numbers outside may be up, and begun in a second, over all trunks. With 0
    /// promises wait; when trunks come back, calls begin at this pace from the first one on.
    pub fn set_outbound(
        &mut self,
        wall: Timestamp,
        calls_max: u32,
        starts_per_second: u32,
        out: &mut Vec<PromiseAct>,
    ) {
        self.outbound.set(wall, calls_max, starts_per_second);
        if !self.outbound.works() {
            self.leave_lines(wall, out);
        }
        self.settle(wall, out);
    }

    /// When [`Ledger::on_time`] wants to be called. A moment that has passed: at once.
    pub fn next_timer(&self) -> Option<Timestamp> {
        let alarm = self.alarms.first().map(|(at, ..)| *at);
        [alarm, self.robots_at, self.lines_at].into_iter().flatten().min()
    }

    /// An open promise.
    pub fn get(&self, promise: PromiseId) -> Option<&Promise> {
        self.entries.get(&promise).map(|entry| &entry.promise)
    }

    /// All open promises, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Promise> {
        self.entries.values().map(|entry| &entry.promise)
    }

    /// What is owed to a number.
    pub fn open_of(&self, phone: &PhoneNumber) -> impl Iterator<Item = &Promise> {
        self.numbers.open(phone).filter_map(|id| self.get(id))
    }

    /// The open incident of a number that is due first.
    pub fn incident_of(&self, phone: &PhoneNumber) -> Option<&Promise> {
        self.open_of(phone)
            .filter(|promise| promise.kind == PromiseKind::Incident)
            .min_by_key(|promise| (promise.due, promise.id))
    }

    /// How many promises are open and late.
    pub fn counts(&self, wall: Timestamp) -> Counts {
        self.tally.counts(wall)
    }

    fn rules(&self, promise: &Promise) -> Rules {
        Rules::of(promise, self.plan.as_deref())
    }

    /// Everything that an entry point made possible.
    fn settle(&mut self, wall: Timestamp, out: &mut Vec<PromiseAct>) {
        let before = std::mem::replace(&mut self.last_wall, wall);
        if wall < before {
            self.clock_put_back(before, wall);
        }
        self.enter_lines(wall, out);
        self.start_robots(wall, out);
    }

    /// A promise stands differently: keeps it, and tells those who watch.
    fn changed(&self, id: PromiseId, news: PromiseNews, out: &mut Vec<PromiseAct>) {
        if let Some(promise) = self.get(id) {
            out.push(PromiseAct::Store(Box::new(promise.clone())));
            out.push(PromiseAct::Tell { promise: Box::new(promise.clone()), news });
        }
    }
}
