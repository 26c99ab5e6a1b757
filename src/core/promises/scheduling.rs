//! The next try of a promise, and the end of one.

use jiff::tz::TimeZone;

use crate::domain::{CallOutcome, PhoneNumber, PromiseId, PromiseState, Timestamp};

use super::super::event::PromiseNews;
use super::entry::{Alarm, Entry, Reason, Stage};
use super::rules::Rules;
use super::{Ledger, PromiseAct};

/// Hours that do not open for months are looked at again tomorrow: the plan may have changed.
const LOOK_AGAIN_MS: u64 = 24 * 3_600_000;
/// A phone that was in a call a moment ago is not dialled at once.
const BREATH_MS: u64 = 2_000;

impl Ledger {
    /// Finds the next moment, not before `from`, at which the customer may be called, and waits for
    /// it; gives the promise up if there must not be one. It stands in no queue before.
    pub(super) fn schedule(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        from: Timestamp,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get(&id) else { return };
        let rules = self.rules(&entry.promise);
        if let Rules::Gone = rules {
            let note = "the plan has no such robot any more".to_owned();
            return self.finish(wall, id, PromiseState::Cancelled, note, out);
        }
        if !rules.allow(&entry.promise.phone) {
            let note = "the plan allows no calls to this number".to_owned();
            return self.finish(wall, id, PromiseState::Cancelled, note, out);
        }
        if entry.tried() >= rules.tries() {
            let note = format!("not reached, called {}", times(entry.tried()));
            return self.finish(wall, id, PromiseState::GivenUp, note, out);
        }
        let next = rules.times(&entry.promise).next_from(from.max(wall));
        let stale = rules.stale_at(&entry.promise);
        if next.unwrap_or(wall) >= stale.unwrap_or(Timestamp(i64::MAX)) {
            return self.give_up_stale(wall, id, out);
        }
        let is_known = !matches!(rules, Rules::Unknown);
        let is_human = entry.promise.kind.is_human();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Waiting;
        entry.promise.state = if is_known { PromiseState::Scheduled } else { PromiseState::Open };
        entry.promise.next_at = Some(next.unwrap_or(from));
        match next {
            // Until there is a plan.
            _ if !is_known => {}
            Some(at) if is_human && at <= wall => self.make_ready(id),
            Some(at) if is_human => self.set_alarm(id, Alarm::Try, at),
            Some(at) => self.enqueue(id, at),
            None => self.set_alarm(id, Alarm::Try, wall.plus_ms(LOOK_AGAIN_MS)),
        }
    }

    pub(super) fn give_up_stale(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        out: &mut Vec<PromiseAct>,
    ) {
        let note = "too late to ask".to_owned();
        self.finish(wall, id, PromiseState::GivenUp, note, out);
    }

    /// Takes a promise out of wherever it waits. An attempt that is not dialled yet is withdrawn; one
    /// that is dialled stays as it is.
    pub(super) fn detach(&mut self, wall: Timestamp, id: PromiseId, out: &mut Vec<PromiseAct>) {
        self.clear_alarm(id, Alarm::Try);
        self.clear_alarm(id, Alarm::Closing);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.is_calling() {
            return;
        }
        let phone = entry.promise.phone.clone();
        match std::mem::replace(&mut entry.stage, Stage::Waiting) {
            Stage::Unstored | Stage::Waiting | Stage::Calling(_) => {}
            Stage::Queued(at) => self.dequeue(id, at),
            Stage::Ready => self.leave_ready(id),
            Stage::Parked => self.numbers.unpark(&phone, id),
            Stage::InLine => {
                out.push(PromiseAct::LeaveLine { promise: id });
                self.forget_ticket(id);
                self.vacate(wall, id, &phone);
            }
            Stage::Storing(attempt) => {
                if entry.promise.kind.is_human() {
                    out.push(PromiseAct::CallOff { promise: id, call: attempt.call });
                }
                self.end_attempt(wall, id, attempt, CallOutcome::Withdrawn, out);
            }
        }
    }

    /// Waits until the number is free.
    pub(super) fn park(&mut self, id: PromiseId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Parked;
        self.numbers.park(&entry.promise.phone, id);
    }

    /// The promise has no ticket and no call any more: others of its number may go on.
    pub(super) fn vacate(&mut self, wall: Timestamp, id: PromiseId, phone: &PhoneNumber) {
        self.numbers.vacate(phone, id);
        self.number_freed(wall, phone);
    }

    /// Those that waited for a number go on, if it is free.
    pub(super) fn number_freed(&mut self, wall: Timestamp, phone: &PhoneNumber) {
        for id in self.numbers.freed(phone) {
            self.numbers.unpark(phone, id);
            match self.get(id).map(|promise| promise.kind.is_human()) {
                Some(true) => self.make_ready(id),
                Some(false) => self.enqueue(id, wall.plus_ms(BREATH_MS)),
                None => {}
            }
        }
    }

    /// The end of a promise that is not being dialled.
    pub(super) fn finish(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        state: PromiseState,
        note: String,
        out: &mut Vec<PromiseAct>,
    ) {
        self.detach(wall, id, out);
        let Some(mut entry) = self.entries.remove(&id) else { return };
        self.tally.over(&entry.promise);
        self.numbers.remove(&entry.promise.phone, id);
        let reason = Reason::of(&entry.promise);
        if self.reasons.get(&reason) == Some(&id) {
            self.reasons.remove(&reason);
        }
        for (alarm, at) in std::mem::take(&mut entry.alarms) {
            self.alarms.remove(&(at, id, alarm));
        }
        let promise = &mut entry.promise;
        (promise.state, promise.note) = (state, note);
        (promise.ended, promise.next_at) = (Some(wall), None);
        if !promise.kind.is_human() {
            self.robot_line(&entry.promise.name).over(wall, &entry.promise);
        }
        out.push(PromiseAct::Store(Box::new(entry.promise.clone())));
        let promise = Box::new(entry.promise);
        out.push(PromiseAct::Tell { promise, news: PromiseNews::Over });
    }

    /// Somebody spoke with the customer: kept, if that began in time.
    pub(super) fn keep(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        note: String,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let contacted = *entry.promise.contacted.get_or_insert(wall);
        let in_time = contacted <= entry.promise.due;
        let state = if in_time { PromiseState::Kept } else { PromiseState::Broken };
        self.finish(wall, id, state, note, out);
    }

    pub(super) fn set_alarm(&mut self, id: PromiseId, alarm: Alarm, at: Timestamp) {
        self.clear_alarm(id, alarm);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.alarms.push((alarm, at));
        self.alarms.insert((at, id, alarm));
    }

    pub(super) fn clear_alarm(&mut self, id: PromiseId, alarm: Alarm) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(index) = entry.alarms.iter().position(|(a, _)| *a == alarm) else { return };
        let (_, at) = entry.alarms.swap_remove(index);
        self.alarms.remove(&(at, id, alarm));
    }

    /// Says in the note when it is tried again: `busy; again at 12:40`.
    pub(super) fn note_again(&mut self, wall: Timestamp, id: PromiseId, why: &str) {
        let Some(promise) = self.get(id) else { return };
        let rules = self.rules(promise);
        let zone = rules.script().map_or(TimeZone::UTC, |script| script.timezone.clone());
        let Some(Entry { promise, .. }) = self.entries.get_mut(&id) else { return };
        promise.note = match promise.next_at {
            Some(at) => format!("{why}; again {}", moment(at, wall, &zone)),
            None => why.to_owned(),
        };
    }
}

/// `at 12:40`, `on 2026-11-23 at 10:00`
fn moment(at: Timestamp, wall: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.in_zone(zone), wall.in_zone(zone));
    let format = if at.date() == now.date() { "at %H:%M" } else { "on %Y-%m-%d at %H:%M" };
    at.strftime(format).to_string()
}

/// `once`, `3 times`
pub(super) fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
