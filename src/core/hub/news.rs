//! What the house is told beside calls: people, promises, plans, the time, and that it is to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dialplan::Plan;
use crate::domain::{
    Attendance, Calendar, CallFact, CallId, DoNotCall, EndReason, EndedBy, Login, Operator,
    Promise, PromiseId, RecordingId, Timestamp, Visit,
};
use crate::speech::Catalogue;

use super::super::event::{Called, Command};
use super::Hub;

impl Hub {
    pub(super) fn operators_replaced(
        &mut self,
        now: Timestamp,
        operators: Vec<Operator>,
        attendance: BTreeMap<Login, Attendance>,
    ) {
        self.operators = operators.iter().map(|o| (o.login.clone(), o.clone())).collect();
        self.acd.set_operators(now, operators, &mut self.acts);
        for (login, attendance) in attendance {
            self.acd.set_attendance(now, &login, attendance, &mut self.acts);
        }
    }

    pub(super) fn tips_remembered(&mut self, heard: Vec<(String, RecordingId)>) {
        heard.into_iter().for_each(|(caller, tip)| self.tips.remember(&caller, tip));
    }

    pub(super) fn visits_remembered(&mut self, now: Timestamp, visits: Vec<Visit>) {
        visits.into_iter().for_each(|visit| self.count(now, &CallFact::LeftLine(visit)));
    }

    pub(super) fn promises_remembered(
        &mut self,
        now: Timestamp,
        promises: Vec<Promise>,
        called: Vec<Called>,
    ) {
        self.with_ledger(now, |ledger, wall, acts| ledger.remember(wall, promises, called, acts));
    }

    pub(super) fn promise_stored(
        &mut self,
        now: Timestamp,
        promise: PromiseId,
        out: &mut Vec<Command>,
    ) {
        self.with_ledger(now, |ledger, wall, acts| ledger.stored(wall, promise, acts));
        self.may_speak_of(now, promise, out);
    }

    pub(super) fn promise_repeated(
        &mut self,
        now: Timestamp,
        promise: PromiseId,
        out: &mut Vec<Command>,
    ) {
        self.with_ledger(now, |ledger, wall, acts| ledger.repeated(wall, promise, acts));
        self.may_speak_of(now, promise, out);
    }

    pub(super) fn attempt_stored(&mut self, now: Timestamp, promise: PromiseId, number: u32) {
        self.with_ledger(now, |ledger, wall, acts| {
            ledger.attempt_stored(wall, promise, number, acts);
        });
    }

    pub(super) fn rating_stored(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Command>) {
        self.with(call, now, out, |entry, out| entry.flow.on_deed_done(now, out));
    }

    pub(super) fn do_not_call_replaced(&mut self, now: Timestamp, list: BTreeSet<DoNotCall>) {
        self.with_ledger(now, |ledger, wall, acts| ledger.set_do_not_call(wall, list, acts));
    }

    pub(super) fn robot_switched(&mut self, now: Timestamp, name: &str, is_stopped: bool) {
        self.with_ledger(now, |ledger, wall, acts| {
            ledger.switch_robot(wall, name, is_stopped, acts);
        });
    }

    /// A house that is about to end calls nobody, whatever the trunks could take.
    pub(super) fn trunks_changed(
        &mut self,
        now: Timestamp,
        calls_max: u32,
        starts_per_second: u32,
    ) {
        if !self.is_draining {
            self.with_ledger(now, |ledger, wall, acts| {
                ledger.set_outbound(wall, calls_max, starts_per_second, acts);
            });
        }
    }

    pub(super) fn plan_replaced(
        &mut self,
        now: Timestamp,
        plan: Arc<Plan>,
        catalogue: Arc<Catalogue>,
    ) {
        self.plan = plan.clone();
        self.catalogue = catalogue;
        self.with_ledger(now, |ledger, wall, acts| ledger.set_plan(wall, plan, acts));
    }

    pub(super) fn set_calendar(&mut self, now: Timestamp, calendar: Calendar) {
        self.calendar = calendar;
        self.calls.values_mut().for_each(|entry| entry.flow.set_calendar(calendar));
        self.with_ledger(now, |ledger, wall, acts| {
            ledger.set_rehearsal(calendar.is_rehearsal);
            ledger.on_time(wall, acts);
        });
    }

    pub(super) fn drain_started(&mut self, now: Timestamp) {
        self.is_draining = true;
        self.with_ledger(now, |ledger, wall, acts| ledger.set_outbound(wall, 0, 0, acts));
    }

    pub(super) fn drain_ended(&mut self, out: &mut Vec<Command>) {
        let (by, reason) = (EndedBy::Server, EndReason::Shutdown);
        out.extend(self.legs.keys().map(|&leg| Command::Hangup { leg, by, reason }));
    }
}
