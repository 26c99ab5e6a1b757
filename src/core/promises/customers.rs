//! Customers who call us, who rate, and who want no calls.

use std::collections::BTreeSet;

use crate::domain::{
    DoNotCall, Login, PhoneNumber, Promise, PromiseId, PromiseKind, PromiseState, Timestamp,
};

use super::super::event::PromiseNews;
use super::entry::Stage;
use super::{Ledger, PromiseAct};

impl Ledger {
    /// A call of a customer's own began, or ended: each of them says so once. Who is calling us is
    /// not dialled, and the operators are not offered a call to them.
    pub fn customer_in_call(
        &mut self,
        wall: Timestamp,
        phone: &PhoneNumber,
        is_in: bool,
        out: &mut Vec<PromiseAct>,
    ) {
        self.numbers.set_in_call(phone, is_in);
        if is_in {
            self.make_way(wall, phone, out);
        } else {
            self.number_freed(wall, phone);
        }
        self.settle(wall, out);
    }

    /// The ticket of a customer who calls leaves the line, and an attempt that is not dialled yet is
    /// withdrawn.
    fn make_way(&mut self, wall: Timestamp, phone: &PhoneNumber, out: &mut Vec<PromiseAct>) {
        let Some(id) = self.numbers.busy(phone) else { return };
        let Some(entry) = self.entries.get(&id).filter(|entry| !entry.is_calling()) else { return };
        let was_attempted = matches!(entry.stage, Stage::Storing(_));
        self.detach(wall, id, out);
        self.park(id);
        let Some(entry) = self.entries.get_mut(&id).filter(|_| was_attempted) else { return };
        entry.promise.state = PromiseState::Scheduled;
        entry.promise.next_at = Some(wall);
        entry.promise.note = "the customer is calling us".to_owned();
        self.changed(id, PromiseNews::Changed, out);
    }

    /// A customer who called was spoken to by an operator, in the line of `group`. That keeps what
    /// only asked for a conversation: ordered, missed and after-hours callbacks, those from the line,
    /// and incidents and low ratings that are this group's.
    pub fn customer_reached(
        &mut self,
        wall: Timestamp,
        phone: &PhoneNumber,
        operator: &Login,
        group: Option<&str>,
        out: &mut Vec<PromiseAct>,
    ) {
        let note = format!("called by themselves, spoke with {operator}");
        self.settle_others(wall, phone, group, &note, out);
        self.settle(wall, out);
    }

    pub(super) fn settle_others(
        &mut self,
        wall: Timestamp,
        phone: &PhoneNumber,
        group: Option<&str>,
        note: &str,
        out: &mut Vec<PromiseAct>,
    ) {
        let settled: Vec<PromiseId> = self
            .open_of(phone)
            .filter(|promise| is_settled_by_talk(promise, group))
            .map(|promise| promise.id)
            .collect();
        for id in settled {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let Stage::Calling(attempt) = &entry.stage else {
                self.keep(wall, id, note.to_owned(), out);
                continue;
            };
            if entry.promise.contacted.is_none() {
                out.push(PromiseAct::CallOff { promise: id, call: attempt.call });
                entry.settled = Some(note.to_owned());
            }
        }
    }

    /// The customer wants no such calls any more. Holds at once: open promises of these robots are
    /// cancelled; the call in which it was said goes on to its end.
    pub fn forbid(&mut self, wall: Timestamp, forbidden: DoNotCall, out: &mut Vec<PromiseAct>) {
        let phone = forbidden.phone.clone();
        for name in self.robots_talking(&forbidden) {
            self.robot_line(&name).opted_out += 1;
        }
        self.forbidden.insert(forbidden);
        self.cancel_forbidden(wall, &phone, out);
        self.settle(wall, out);
    }

    /// Who is not to be called, from now on.
    pub fn set_do_not_call(
        &mut self,
        wall: Timestamp,
        list: BTreeSet<DoNotCall>,
        out: &mut Vec<PromiseAct>,
    ) {
        let before = std::mem::replace(&mut self.forbidden, list);
        let new: BTreeSet<PhoneNumber> =
            self.forbidden.difference(&before).map(|forbidden| forbidden.phone.clone()).collect();
        for phone in new {
            self.cancel_forbidden(wall, &phone, out);
        }
        self.settle(wall, out);
    }

    /// Robots that are calling this customer, and will not any more.
    fn robots_talking(&self, forbidden: &DoNotCall) -> Vec<String> {
        self.open_of(&forbidden.phone)
            .filter(|promise| !promise.kind.is_human())
            .filter(|promise| forbidden.robot.as_ref().is_none_or(|robot| *robot == promise.name))
            .filter(|promise| self.entries.get(&promise.id).is_some_and(super::Entry::is_calling))
            .map(|promise| promise.name.clone())
            .collect()
    }

    fn cancel_forbidden(
        &mut self,
        wall: Timestamp,
        phone: &PhoneNumber,
        out: &mut Vec<PromiseAct>,
    ) {
        let cancelled: Vec<PromiseId> = self
            .open_of(phone)
            .filter(|promise| self.is_forbidden(promise))
            .filter(|promise| self.entries.get(&promise.id).is_some_and(|e| !e.is_calling()))
            .map(|promise| promise.id)
            .collect();
        for id in cancelled {
            let note = "the customer wants no such calls".to_owned();
            self.finish(wall, id, PromiseState::Cancelled, note, out);
        }
    }

    /// What the customer answered to the question of a survey, 1 to 5.
    pub fn rated(&mut self, promise: PromiseId, score: u8, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get_mut(&promise) else { return };
        entry.promise.about.rating = Some(score);
        self.changed(promise, PromiseNews::Changed, out);
    }

    /// The customer left a message in the call in which the promise was made.
    pub fn message_left(&mut self, promise: PromiseId, file: String, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get_mut(&promise) else { return };
        entry.promise.about.message = Some(file);
        self.changed(promise, PromiseNews::Changed, out);
    }
}

/// Whether a promise only asked for a conversation like the one that took place.
fn is_settled_by_talk(promise: &Promise, group: Option<&str>) -> bool {
    match promise.kind {
        PromiseKind::CallbackOrdered
        | PromiseKind::CallbackFromLine
        | PromiseKind::CallbackMissed
        | PromiseKind::CallbackAfterHours => true,
        PromiseKind::CallbackLowRating | PromiseKind::Incident => {
            group.is_some() && promise.group.as_deref() == group
        }
        PromiseKind::RatingCall | PromiseKind::Reminder => false,
    }
}
