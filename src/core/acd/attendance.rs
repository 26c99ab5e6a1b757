//! Operators come and go: log in, log out, pause, calls of their own, phones.

use std::collections::BTreeMap;

use crate::domain::{Attendance, CallId, Login, Operator, PhoneState, RingOutcome, Timestamp};

use super::Acd;
use super::border::{Act, NotAllowed};
use super::operators::{Person, Work};

impl Acd {
    /// The operators of the house, all of them. A difference to those before: nobody's state is
    /// touched by it, except that a phone which rings for a group that its owner has left stops. One
    /// who is gone finishes the conversation. Of several with one login the last counts.
    pub fn set_operators(&mut self, now: Timestamp, operators: Vec<Operator>, out: &mut Vec<Act>) {
        let mut wanted: BTreeMap<Login, Operator> =
            operators.into_iter().map(|operator| (operator.login.clone(), operator)).collect();
        let logins: Vec<_> = self.staff.iter().map(|p| p.operator.login.clone()).collect();
        for login in logins {
            let Some(mut person) = self.staff.remove(&login) else { continue };
            match wanted.remove(&login) {
                Some(operator) => {
                    person.operator = operator;
                    person.is_removed = false;
                }
                None => person.is_removed = true,
            }
            self.staff.insert(person);
            self.refresh(now, &login, out);
            self.finish_if_removed(now, &login, out);
        }
        for (login, operator) in wanted {
            self.staff.insert(Person::new(operator, now));
            self.refresh(now, &login, out);
        }
        self.settle(now, out);
    }

    /// What the database says of an operator's wishes; nothing is asked to be remembered.
    pub fn set_attendance(
        &mut self,
        now: Timestamp,
        login: &Login,
        attendance: Attendance,
        out: &mut Vec<Act>,
    ) {
        let Some(person) = self.staff.get_mut(login) else { return };
        if attendance.paused.is_some() && person.attendance.paused != attendance.paused {
            person.paused_since = now;
        }
        person.attendance = attendance;
        self.refresh(now, login, out);
        self.settle(now, out);
    }

    /// What is known of the operator's phone. One that vanishes while it rings counts as not taken;
    /// a conversation is not touched.
    pub fn set_phone(
        &mut self,
        now: Timestamp,
        login: &Login,
        phone: PhoneState,
        out: &mut Vec<Act>,
    ) {
        let Some(person) = self.staff.get_mut(login) else { return };
        person.phone = phone;
        self.refresh(now, login, out);
        self.settle(now, out);
    }

    /// Logs in to one group, or to all own groups, which ends a pause.
    ///
    /// # Errors
    /// The operator is unknown, or does not belong to the group (or to any).
    pub fn log_in(
        &mut self,
        now: Timestamp,
        login: &Login,
        group: Option<&str>,
        out: &mut Vec<Act>,
    ) -> Result<(), NotAllowed> {
        let (person, groups) = self.own_groups(login, group)?;
        if group.is_none() {
            person.attendance = Attendance { groups, paused: None };
        } else {
            let missing = groups.into_iter().filter(|g| !person.attendance.groups.contains(g));
            let missing: Vec<_> = missing.collect();
            person.attendance.groups.extend(missing);
        }
        self.attendance_changed(now, login, out);
        Ok(())
    }

    /// Logs out of one group or of all. Out of all, a pause is over too.
    ///
    /// # Errors
    /// The operator is unknown, or does not belong to the group (or to any).
    pub fn log_out(
        &mut self,
        now: Timestamp,
        login: &Login,
        group: Option<&str>,
        out: &mut Vec<Act>,
    ) -> Result<(), NotAllowed> {
        let (person, _) = self.own_groups(login, group)?;
        match group {
            Some(group) => person.attendance.groups.retain(|g| g != group),
            None => person.attendance.groups.clear(),
        }
        if person.attendance.groups.is_empty() {
            person.attendance.paused = None;
        }
        self.attendance_changed(now, login, out);
        Ok(())
    }

    /// Whether the operator is logged in to the group, or to any.
    pub fn is_logged_in(&self, login: &Login, group: Option<&str>) -> bool {
        let Some(person) = self.staff.get(login) else { return false };
        match group {
            Some(group) => person.groups.contains(group),
            None => !person.groups.is_empty(),
        }
    }

    /// No calls until [`Acd::unpause`]; a conversation and its wrap-up go on, a ringing phone stops.
    pub fn pause(&mut self, now: Timestamp, login: &Login, reason: String, out: &mut Vec<Act>) {
        let Some(person) = self.staff.get_mut(login) else { return };
        if person.attendance.paused.is_none() {
            person.paused_since = now;
        }
        person.attendance.paused = Some(reason);
        self.attendance_changed(now, login, out);
    }

    pub fn unpause(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        let Some(person) = self.staff.get_mut(login) else { return };
        if person.attendance.paused.take().is_some() {
            self.attendance_changed(now, login, out);
        }
    }

    /// The operator makes a call of their own, or has ended it; not rung meanwhile. A conversation
    /// with a caller may go on beside it (a consultation), and end before or after it.
    pub fn set_own_call(&mut self, now: Timestamp, login: &Login, is_up: bool, out: &mut Vec<Act>) {
        let Some(person) = self.staff.get_mut(login) else { return };
        person.own_call = is_up.then(|| person.own_call.unwrap_or(now));
        match person.work {
            Work::Ringing { offer, .. } if is_up => {
                self.withdraw(now, offer, RingOutcome::Withdrawn, out);
            }
            Work::Reserved { call, .. } if is_up => self.lose_reservation(now, call, out),
            Work::None
            | Work::Ringing { .. }
            | Work::Reserved { .. }
            | Work::Talking(_)
            | Work::WrapUp { .. } => {}
        }
        self.refresh(now, login, out);
        self.settle(now, out);
    }

    fn own_groups(
        &mut self,
        login: &Login,
        group: Option<&str>,
    ) -> Result<(&mut Person, Vec<String>), NotAllowed> {
        let person = self.staff.get_mut(login).filter(|person| !person.is_removed);
        let person = person.ok_or(NotAllowed::UnknownOperator)?;
        let own = person.operator.groups.iter();
        let groups: Vec<_> =
            own.filter(|own| group.is_none_or(|group| group == *own)).cloned().collect();
        if groups.is_empty() { Err(NotAllowed::NotInGroup) } else { Ok((person, groups)) }
    }

    fn attendance_changed(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        self.remember(login, out);
        self.refresh(now, login, out);
        self.settle(now, out);
    }

    pub(super) fn remember(&self, login: &Login, out: &mut Vec<Act>) {
        out.extend(self.staff.get(login).map(|person| Act::Remember {
            operator: login.clone(),
            attendance: person.attendance.clone(),
        }));
    }

    /// Draws the consequences of a changed wish, membership or phone.
    pub(super) fn refresh(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        let Some(person) = self.staff.get_mut(login) else { return };
        let groups = person.groups_wanted();
        let left = std::mem::replace(&mut person.groups, groups);
        let is_at_work = !person.groups.is_empty() && person.attendance.paused.is_none();
        if is_at_work && !person.was_at_work {
            person.idle_since = now;
        }
        person.was_at_work = is_at_work;

        let left: Vec<String> = left.difference(&person.groups).cloned().collect();
        let is_empty = |group: &String| self.staff.present(group).next().is_none();
        self.news.is_group_empty |= left.iter().any(is_empty);
        self.news.operators.insert(login.clone());
        self.stop_ringing_if_gone(now, login, out);
        self.stop_being_awaited_if_gone(now, login, out);
    }

    /// A phone does not go on ringing for one who is not there for this caller any more, and nobody
    /// counts on such a one.
    fn stop_ringing_if_gone(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        let Some(person) = self.staff.get(login) else { return };
        let (call, offer) = match person.work {
            Work::Ringing { offer, call, .. } => (call, Some(offer)),
            Work::Reserved { call, .. } => (call, None),
            Work::None | Work::Talking(_) | Work::WrapUp { .. } => return,
        };
        let Some(caller) = self.callers.get(&call) else { return };
        let is_manager = caller.ticket.manager.as_ref().is_some_and(|(m, _)| m == login);
        let is_member = person.groups.contains(&caller.group().name)
            || caller.helpers(now).any(|group| person.groups.contains(group));
        let outcome = if person.phone != PhoneState::Reachable {
            RingOutcome::Unreachable
        } else if !person.can_be_awaited() || !(is_manager || is_member) {
            RingOutcome::Withdrawn
        } else {
            return;
        };
        match offer {
            Some(offer) => self.withdraw(now, offer, outcome, out),
            None => self.lose_reservation(now, call, out),
        }
    }

    /// Nobody waits for a personal manager who is not there.
    fn stop_being_awaited_if_gone(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        let Some(person) = self.staff.get(login) else { return };
        let waiting = self.desks.of_manager(login).filter(|rank| {
            let only = self.callers.get(&rank.call).is_some_and(|c| c.ticket.only_manager);
            if only { !person.is_reachable() } else { !person.can_be_awaited() }
        });
        let waiting: Vec<CallId> = waiting.map(|rank| rank.call).collect();
        for call in waiting {
            self.stop_awaiting_manager(now, call, out);
        }
    }
}
