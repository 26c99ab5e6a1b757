//! What a call does that outlives it. The flow asks with a [`Deed`]; whoever drives it takes the deeds
//! after each call of a method, as it takes the requests to the line.

use crate::core::condition;
use crate::core::promises::{DueTime, due_time};
use crate::dialplan::plan::{Block, Due, Promise, Statement};
use crate::domain::{CallFact, PhoneNumber, PromiseKind, Timestamp};

use super::line::{Stay, Talk};
use super::{Activity, Command, Flow, Next, Waiting, recording};

/// A store that takes longer keeps trying, but the caller does not wait for it.
const STORE_WAIT_MS: u64 = 3_000;

/// What a caller waits to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storing {
    /// What follows in the plan tells of it, so it is not said before.
    Promise,
    /// What follows is thanks, which cost nothing.
    Rating,
}

/// Something that outlives the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Stored before it is spoken of: answered by `Flow::on_deed_done`.
    Promise {
        kind: PromiseKind,
        /// By the wall clock.
        due: Timestamp,
        /// Not tried before; for a time that the caller named, and for the hour after an opening.
        not_before: Option<Timestamp>,
        group: Option<String>,
        /// Whom to call, if not the number that called.
        number: Option<PhoneNumber>,
    },
    /// Stored before it is thanked for: answered by `Flow::on_deed_done`.
    Rated {
        survey: String,
        score: u8,
    },
    /// Never again. No answer.
    DoNotCall,
    /// No answer.
    Bonus {
        points: i64,
        reason: String,
    },
    /// No answer.
    OrderStatus {
        order: String,
        status: String,
    },
    /// Writes down what the caller says; ends with the [`Deed::StopMessage`] that follows. No answer.
    Message {
        max_ms: u64,
    },
    StopMessage,
}

impl Flow {
    /// The deeds that came up since they were taken last, oldest first.
    pub fn take_deeds(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    /// What was promised or rated is in the database, or will not be: the walk goes on.
    pub fn on_deed_done(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        if let Waiting::Deed { .. } = &self.waiting {
            self.run(now, out);
        }
    }

    /// The database is away. Nobody is told of a promise that may still be lost: the caller hears that
    /// something went wrong. It stays in memory and is tried on, so that it may be kept all the same.
    pub(super) fn on_not_stored(
        &mut self,
        storing: Storing,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) {
        if storing == Storing::Promise {
            self.finish_silently(now, out);
            let sorry = Statement::Say([recording("phrase/sorry-error")].into());
            self.enter(Activity::Walk, Block::from([sorry, Statement::Hangup]));
        }
        self.run(now, out);
    }

    pub(super) fn promise(
        &mut self,
        promise: &Promise,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) -> Next {
        self.make_promise(promise, now, out);
        Next::Wait(until_stored(Storing::Promise, now))
    }

    pub(super) fn rated(
        &mut self,
        survey: &str,
        variable: &str,
        score: u8,
        now: Timestamp,
    ) -> Next {
        self.knowledge.set_variable(variable, score.to_string());
        self.deeds.push(Deed::Rated { survey: survey.to_owned(), score });
        Next::Wait(until_stored(Storing::Rating, now))
    }

    /// Once for each reason, however often the plan comes by.
    pub(super) fn bonus(&mut self, points: i64, reason: &str) {
        if self.bonuses.insert(reason.to_owned()) {
            self.deeds.push(Deed::Bonus { points, reason: reason.to_owned() });
        }
    }

    /// Of the order that the event is about, else of the caller's. Without one nothing is written.
    pub(super) fn order_status(&mut self, status: &str) {
        if let Some(order) = self.knowledge.order_number() {
            self.deeds.push(Deed::OrderStatus { order, status: status.to_owned() });
        }
    }

    fn make_promise(&mut self, promise: &Promise, now: Timestamp, out: &mut Vec<Command>) {
        let DueTime { due, not_before } = self.due_time(&promise.due, now);
        self.record_promise(promise.kind, due, None, out);
        let (kind, group) = (promise.kind, promise.group.clone());
        self.deeds.push(Deed::Promise { kind, due, not_before, group, number: None });
    }

    pub(super) fn due_time(&self, due: &Due, now: Timestamp) -> DueTime {
        let typed = match due {
            Due::Named { variable } => Some(self.knowledge.variable(variable)),
            Due::After { .. } | Due::NextOpening { .. } => None,
        };
        due_time(due, &self.script, self.wall(now), typed)
    }

    /// Writes down what the caller was told. `due` is a moment of the wall clock.
    pub(super) fn record_promise(
        &self,
        promise: PromiseKind,
        due: Timestamp,
        number: Option<PhoneNumber>,
        out: &mut Vec<Command>,
    ) {
        let due = due.in_zone(&self.script.timezone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        out.push(self.record(CallFact::Promised { promise, due, number }));
    }
}

/// For a caller who is gone.
impl Flow {
    /// The call is over. What was heard is still written down, and what the plan still has to do
    /// and needs no ears is among the deeds that can be taken then: after a conversation, for a
    /// caller who was missed, or behind something that was just being stored.
    pub fn on_call_ended(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let is_after_talk = self.is_after_talk;
        match std::mem::replace(&mut self.waiting, Waiting::Over) {
            Waiting::Lookup(asking) => {
                out.push(Command::CancelLookup { call: self.call, lookup: asking.id });
            }
            Waiting::Deed { .. } => self.finish_silently(now, out),
            Waiting::Message { .. } => self.deeds.push(Deed::StopMessage),
            Waiting::Line(stay) => self.was_missed(&stay, now, out),
            Waiting::Talking(Talk { group: Some(group), .. }) => {
                self.carry_out_silently(&group.afterwards, now, out);
            }
            Waiting::Confirmation { .. }
            | Waiting::MenuKey { .. }
            | Waiting::Digits(_)
            | Waiting::Beep { .. }
            | Waiting::Greeting(_)
            | Waiting::Room
            | Waiting::Notice { .. }
            | Waiting::Joining { .. }
            | Waiting::Ringing(_)
            | Waiting::Talking(Talk { group: None, .. })
            | Waiting::LastWords { .. }
            | Waiting::Over => {}
        }
        if is_after_talk {
            self.finish_silently(now, out);
        }
        self.requests.clear();
    }

    /// Carries out what needs no ears: conditions, promises, points, what becomes of orders, and
    /// that there shall be no more calls. Ends where the plan leads elsewhere.
    pub fn carry_out_silently(&mut self, block: &Block, now: Timestamp, out: &mut Vec<Command>) {
        self.carry_out(block, 0, now, out);
    }

    /// The caller hung up in the line of the group.
    pub(super) fn was_missed(&mut self, stay: &Stay, now: Timestamp, out: &mut Vec<Command>) {
        let waited_ms = now.since(stay.since);
        self.knowledge.set_waited(waited_ms);
        let missed = stay.group.missed.as_ref();
        if let Some(missed) = missed.filter(|m| !self.is_callback && waited_ms > m.after_ms) {
            self.carry_out_silently(&missed.block, now, out);
        }
    }

    /// The rest of the blocks under way.
    pub(super) fn finish_silently(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        while let Some(cursor) = self.stack.pop() {
            if !self.carry_out(&cursor.block, cursor.next, now, out) {
                self.stack.clear();
            }
        }
    }

    /// `false`: the plan leads elsewhere. As deep as the blocks of the plan are nested.
    fn carry_out(
        &mut self,
        block: &Block,
        from: usize,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) -> bool {
        for statement in block.iter().skip(from) {
            match statement {
                Statement::If { condition, then, otherwise } => {
                    let wall = self.wall(now);
                    let holds = condition::holds(condition, &self.knowledge, &self.script, wall);
                    if !self.carry_out(if holds { then } else { otherwise }, 0, now, out) {
                        return false;
                    }
                }
                Statement::Promise(promise) => self.make_promise(promise, now, out),
                Statement::Bonus { points, reason } => self.bonus(*points, reason),
                Statement::OrderStatus { status } => self.order_status(status),
                Statement::DoNotCall => self.deeds.push(Deed::DoNotCall),
                Statement::Say(_)
                | Statement::LookupCustomer(_)
                | Statement::MatchCard { .. }
                | Statement::LookupOrder { .. }
                | Statement::Ask(_)
                | Statement::Language(_)
                | Statement::Rate { .. }
                | Statement::Rated { .. }
                | Statement::Message { .. } => {}
                Statement::Go(_)
                | Statement::Repeat
                | Statement::Queue { .. }
                | Statement::Ring { .. }
                | Statement::Hangup => return false,
            }
        }
        true
    }
}

pub(super) fn until_stored(storing: Storing, now: Timestamp) -> Waiting {
    Waiting::Deed { storing, until: now.plus_ms(STORE_WAIT_MS) }
}
