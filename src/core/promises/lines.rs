//! Tickets for operators: promises of humans whose time has come.

use std::collections::BTreeSet;

use crate::domain::{CallId, Login, PromiseId, Timestamp};

use super::entry::{Alarm, Stage};
use super::rules::Rules;
use super::{Ledger, PromiseAct};

/// So many tickets of one group are in its line at most; the others follow in the order of their
/// due times.
const TICKETS_MAX: usize = 200;
/// So many promises are looked at in one go.
const ENTERED_AT_ONCE: usize = 500;
/// When no operator was there for a ticket, it comes back after so long.
const OPERATORS_GONE_MS: u64 = 60_000;
/// When there was no room for a call, or the number was busy, it comes back after so long.
const NO_ROOM_MS: u64 = 10_000;

/// Those who wait for the operators of a group.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// For room in the line, by due time.
    ready: BTreeSet<(Timestamp, PromiseId)>,
    tickets: BTreeSet<PromiseId>,
}

impl Ledger {
    /// An operator is there for the customer of a promise with a ticket in the line, who is dialled
    /// as `call` once that is stored.
    ///
    /// False: not any more; the promise is settled, its hours ended, the customer is in a call with
    /// us, or no trunk has room. Either way its ticket has left the line; it comes back by an
    /// `EnterLine`.
    pub fn reserve(
        &mut self,
        wall: Timestamp,
        promise: PromiseId,
        operator: Login,
        call: CallId,
        out: &mut Vec<PromiseAct>,
    ) -> bool {
        let Some(entry) = self.entries.get(&promise) else { return false };
        if entry.stage != Stage::InLine {
            return false;
        }
        let phone = entry.promise.phone.clone();
        let is_open = self.rules(&entry.promise).times(&entry.promise).are_open(wall);
        let is_possible = is_open && self.outbound.has_room() && !self.numbers.is_in_call(&phone);
        self.clear_alarm(promise, Alarm::Closing);
        self.forget_ticket(promise);
        if is_possible {
            self.begin_attempt(wall, promise, call, Some(operator), out);
        } else {
            self.wait_after_line(wall, promise, NO_ROOM_MS, out);
        }
        self.settle(wall, out);
        is_possible
    }

    /// The ticket is out of the line without an attempt: the operators are gone, or the line was
    /// full. It comes back later.
    pub fn left_line(&mut self, wall: Timestamp, promise: PromiseId, out: &mut Vec<PromiseAct>) {
        if self.entries.get(&promise).is_none_or(|entry| entry.stage != Stage::InLine) {
            return;
        }
        self.clear_alarm(promise, Alarm::Closing);
        self.forget_ticket(promise);
        self.wait_after_line(wall, promise, OPERATORS_GONE_MS, out);
        self.settle(wall, out);
    }

    fn wait_after_line(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        pause_ms: u64,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Waiting;
        let phone = entry.promise.phone.clone();
        self.schedule(wall, id, wall.plus_ms(pause_ms), out);
        self.vacate(wall, id, &phone);
    }

    /// Its time has come: it waits for room in the line of its group.
    pub(super) fn make_ready(&mut self, id: PromiseId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Ready;
        let group = entry.promise.group.clone().unwrap_or_default();
        self.lines.entry(group).or_default().ready.insert((entry.promise.due, id));
    }

    pub(super) fn leave_ready(&mut self, id: PromiseId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let group = entry.promise.group.clone().unwrap_or_default();
        if let Some(line) = self.lines.get_mut(&group) {
            line.ready.remove(&(entry.promise.due, id));
        }
        self.forget_empty_line(&group);
    }

    pub(super) fn forget_ticket(&mut self, id: PromiseId) {
        let Some(promise) = self.get(id) else { return };
        let group = promise.group.clone().unwrap_or_default();
        if let Some(line) = self.lines.get_mut(&group) {
            line.tickets.remove(&id);
        }
        self.forget_empty_line(&group);
    }

    fn forget_empty_line(&mut self, group: &str) {
        let line = self.lines.get(group);
        if line.is_some_and(|line| line.ready.is_empty() && line.tickets.is_empty()) {
            self.lines.remove(group);
        }
    }

    /// How many customers wait to be called by a human.
    pub(super) fn tickets(&self) -> usize {
        self.lines.values().map(|line| line.tickets.len()).sum()
    }

    /// No trunk works: nobody is to pick up for a call that cannot be made.
    pub(super) fn leave_lines(&mut self, wall: Timestamp, out: &mut Vec<PromiseAct>) {
        let tickets = self.lines.values().flat_map(|line| line.tickets.iter().copied());
        for id in tickets.collect::<Vec<_>>() {
            self.detach(wall, id, out);
            self.make_ready(id);
        }
    }

    /// Lets those who are ready into the lines, as far as there is room.
    pub(super) fn enter_lines(&mut self, wall: Timestamp, out: &mut Vec<PromiseAct>) {
        self.lines_at = None;
        if !self.outbound.works() {
            return;
        }
        let mut left = ENTERED_AT_ONCE;
        for group in self.lines.keys().cloned().collect::<Vec<_>>() {
            while let Some(id) = self.next_ready(&group) {
                if left == 0 {
                    self.lines_at = Some(wall);
                    return;
                }
                left -= 1;
                self.leave_ready(id);
                self.enter_line(wall, id, out);
            }
        }
    }

    fn next_ready(&self, group: &str) -> Option<PromiseId> {
        let line = self.lines.get(group).filter(|line| line.tickets.len() < TICKETS_MAX)?;
        line.ready.first().map(|(_, id)| *id)
    }

    fn enter_line(&mut self, wall: Timestamp, id: PromiseId, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Waiting;
        let Some(entry) = self.entries.get(&id) else { return };
        let rules = self.rules(&entry.promise);
        let times = rules.times(&entry.promise);
        if !times.are_open(wall) {
            return self.schedule(wall, id, wall, out);
        }
        if !self.numbers.is_free(&entry.promise.phone) {
            return self.park(id);
        }
        // Looked at again a day later at the latest.
        let closing = times.closing(wall).unwrap_or(wall.plus_ms(24 * 3_600_000));
        let Rules::Human(rules, script) = &rules else { return self.schedule(wall, id, wall, out) };
        let act = PromiseAct::EnterLine {
            promise: Box::new(entry.promise.clone()),
            rules: rules.clone(),
            script: script.clone(),
        };
        out.push(act);
        let group = entry.promise.group.clone().unwrap_or_default();
        self.numbers.occupy(&entry.promise.phone.clone(), id);
        self.lines.entry(group).or_default().tickets.insert(id);
        self.set_alarm(id, Alarm::Closing, closing);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stage = Stage::InLine;
        }
    }
}
