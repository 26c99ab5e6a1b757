//! An attempt from its beginning to its outcome, and what follows.

use crate::domain::{Attempt, CallId, CallOutcome, Login, PromiseId, PromiseState, Timestamp};

use super::super::event::{Called, PromiseNews};
use super::entry::Stage;
use super::rules::Rules;
use super::scheduling::times;
use super::{Ledger, PromiseAct};

/// The pause after an attempt at which the customer's phone did not ring; it doubles with each.
const PAUSE_FIRST_MS: u64 = 30_000;
const PAUSE_MAX_MS: u64 = 300_000;
/// A promise is given up after so many attempts that did not count.
const NOT_COUNTED_MAX: u32 = 200;
/// An answering machine is tried once more.
const VOICEMAILS_MAX: u32 = 2;

impl Ledger {
    /// Keeps an attempt, so that the customer may be dialled when the database has it.
    pub(super) fn begin_attempt(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        call: CallId,
        operator: Option<Login>,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let promise = &mut entry.promise;
        promise.attempts = promise.attempts.saturating_add(1);
        promise.state = PromiseState::Attempting;
        promise.next_at = None;
        let number = promise.attempts;
        let attempt =
            Attempt { promise: id, number, call, at: wall, outcome: None, ended: None, operator };
        entry.stage = Stage::Storing(attempt.clone());
        let (phone, robot) = (entry.promise.phone.clone(), entry.promise.name.clone());
        let (is_human, is_first_try) = (entry.promise.kind.is_human(), entry.tried() == 1);
        self.numbers.occupy(&phone, id);
        self.outbound.begin(wall);
        if !is_human {
            self.robot_line(&robot).up.insert(id);
        }
        // The tries of a robot are one call; a human's promise has no name.
        if is_human || is_first_try {
            self.caps.called(Called { phone, robot, at: wall });
        }
        self.changed(id, PromiseNews::Changed, out);
        out.push(PromiseAct::StoreAttempt(attempt));
    }

    /// The database has an attempt: the customer is dialled, unless something has come between.
    pub fn attempt_stored(
        &mut self,
        wall: Timestamp,
        promise: PromiseId,
        number: u32,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&promise) else { return };
        let Stage::Storing(attempt) = &entry.stage else { return };
        if attempt.number != number {
            return;
        }
        let attempt = attempt.clone();
        let rules = Rules::of(&entry.promise, self.plan.as_deref());
        let may_call = rules.allow(&entry.promise.phone);
        if !may_call || !rules.times(&entry.promise).are_open(wall) {
            self.detach(wall, promise, out);
            self.schedule(wall, promise, wall, out);
            self.changed(promise, PromiseNews::Changed, out);
            return self.settle(wall, out);
        }
        let copy = Box::new(entry.promise.clone());
        match rules {
            Rules::Robot(robot, script) => {
                entry.stage = Stage::Calling(attempt.clone());
                out.push(PromiseAct::CallByRobot { promise: copy, attempt, robot, script });
            }
            Rules::Human(..) => {
                entry.stage = Stage::Calling(attempt.clone());
                out.push(PromiseAct::CallByHuman { promise: copy, attempt });
            }
            Rules::Unknown | Rules::Gone => {
                self.detach(wall, promise, out);
                self.schedule(wall, promise, wall, out);
                self.changed(promise, PromiseNews::Changed, out);
                self.settle(wall, out);
            }
        }
    }

    /// A human and the customer hear each other, or the customer pressed the first key for a robot.
    pub fn talking(
        &mut self,
        wall: Timestamp,
        promise: PromiseId,
        operator: Option<Login>,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&promise) else { return };
        let Stage::Calling(attempt) = &mut entry.stage else { return };
        attempt.operator = operator.or(attempt.operator.take());
        if entry.promise.contacted.is_some() {
            return;
        }
        entry.promise.contacted = Some(wall);
        entry.promise.state = PromiseState::Talking;
        self.tally.not_late(&entry.promise);
        if !entry.promise.kind.is_human() {
            let name = entry.promise.name.clone();
            self.robot_line(&name).answered += 1;
        }
        self.changed(promise, PromiseNews::Changed, out);
    }

    /// An attempt is over. Who was talked with is not called again, whatever ended the call.
    pub fn called(
        &mut self,
        wall: Timestamp,
        promise: PromiseId,
        outcome: CallOutcome,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&promise) else { return };
        let (Stage::Calling(attempt) | Stage::Storing(attempt)) = &entry.stage else { return };
        let attempt = attempt.clone();
        entry.stage = Stage::Waiting;
        let was_talked_with = entry.promise.contacted.is_some();
        let outcome = if was_talked_with { CallOutcome::Answered } else { outcome };
        let settled = entry.settled.take();
        let spoken = (entry.promise.kind.is_human() && outcome == CallOutcome::Answered)
            .then(|| (entry.promise.phone.clone(), entry.promise.group.clone()));
        self.outbound.heard(wall, outcome);
        self.end_attempt(wall, promise, attempt, outcome, out);
        match settled {
            Some(note) if !was_talked_with => self.keep(wall, promise, note, out),
            Some(_) | None => self.go_on_after(wall, promise, outcome, out),
        }
        if let Some((phone, group)) = spoken {
            self.settle_others(wall, &phone, group.as_deref(), "spoken with in another call", out);
        }
        self.settle(wall, out);
    }

    /// Writes down what came of an attempt; the promise stands in no queue then.
    pub(super) fn end_attempt(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        mut attempt: Attempt,
        outcome: CallOutcome,
        out: &mut Vec<PromiseAct>,
    ) {
        self.outbound.end();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Waiting;
        let (phone, robot) = (entry.promise.phone.clone(), entry.promise.name.clone());
        let is_human = entry.promise.kind.is_human();
        if outcome.counts() {
            entry.pauses = 0;
        } else {
            entry.pauses += 1;
            entry.promise.not_counted += 1;
        }
        let never_rang = entry.tried() == 0;
        if !is_human {
            self.robot_line(&robot).up.remove(&id);
            if never_rang {
                self.caps.not_called(&robot, &phone, attempt.at);
            }
        }
        (attempt.outcome, attempt.ended) = (Some(outcome), Some(wall));
        out.push(PromiseAct::StoreAttempt(attempt));
        self.vacate(wall, id, &phone);
    }

    fn go_on_after(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        outcome: CallOutcome,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let tried = entry.tried();
        let why = said(outcome);
        match outcome {
            CallOutcome::Answered => {
                let is_robot = !entry.promise.kind.is_human();
                if is_robot && entry.promise.contacted.is_none() {
                    let name = entry.promise.name.clone();
                    self.robot_line(&name).answered += 1;
                }
                self.keep(wall, id, why.to_owned(), out);
            }
            // Who hangs up on a robot, or refuses its call, is left in peace.
            CallOutcome::Rejected if !entry.promise.kind.is_human() => {
                self.finish(wall, id, PromiseState::GivenUp, why.to_owned(), out);
            }
            CallOutcome::Unallocated | CallOutcome::Blocked => {
                self.finish(wall, id, PromiseState::GivenUp, why.to_owned(), out);
            }
            CallOutcome::VoicemailSuspected => {
                entry.voicemails += 1;
                if entry.voicemails >= VOICEMAILS_MAX {
                    let note = format!("{why}, called {}", times(tried));
                    return self.finish(wall, id, PromiseState::GivenUp, note, out);
                }
                self.retry(wall, id, why, out);
            }
            CallOutcome::Busy
            | CallOutcome::NoAnswer
            | CallOutcome::Rejected
            | CallOutcome::Failed => self.retry(wall, id, why, out),
            CallOutcome::Congested | CallOutcome::Withdrawn => self.pause(wall, id, why, out),
        }
    }

    /// The customer's phone rang: tried again by the rule of the plan, or given up.
    pub(super) fn retry(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        why: &str,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get(&id) else { return };
        let rules = self.rules(&entry.promise);
        if entry.tried() >= rules.tries() {
            let note = format!("{why}, called {}", times(entry.tried()));
            return self.finish(wall, id, PromiseState::GivenUp, note, out);
        }
        self.again(wall, id, wall.plus_ms(rules.every_ms()), why, out);
    }

    /// The customer's phone did not ring: tried again soon.
    fn pause(&mut self, wall: Timestamp, id: PromiseId, why: &str, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get(&id) else { return };
        if entry.promise.not_counted >= NOT_COUNTED_MAX {
            let note = format!("{why}, {}", times(entry.promise.not_counted));
            return self.finish(wall, id, PromiseState::GivenUp, note, out);
        }
        let doubled = PAUSE_FIRST_MS << entry.pauses.saturating_sub(1).min(8);
        self.again(wall, id, wall.plus_ms(doubled.min(PAUSE_MAX_MS)), why, out);
    }

    fn again(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        from: Timestamp,
        why: &str,
        out: &mut Vec<PromiseAct>,
    ) {
        self.schedule(wall, id, from, out);
        self.note_again(wall, id, why);
        self.changed(id, PromiseNews::Changed, out);
    }
}

/// An outcome in words.
fn said(outcome: CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Answered => "answered",
        CallOutcome::Busy => "busy",
        CallOutcome::NoAnswer => "no answer",
        CallOutcome::Rejected => "the customer refused the call",
        CallOutcome::Unallocated => "there is no such number",
        CallOutcome::Blocked => "the network refuses such calls",
        CallOutcome::VoicemailSuspected => "probably an answering machine",
        CallOutcome::Congested => "no trunk took the call",
        CallOutcome::Failed => "the call broke",
        CallOutcome::Withdrawn => "the call was taken back",
    }
}
