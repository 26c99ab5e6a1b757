//! All calls and legs, their timers, and the only place where the cores meet.
//!
//! - `phones`: what happens at a phone finds what its leg is there for (`legs`)
//! - `calls`: callers, from the offer to the last word of their media
//! - `line`: what a caller's walk asks of the lines, and what the lines ask of the phones
//! - `whisper`: what operators are told by a voice
//! - `talk`: a caller and an operator hear each other: hold, the end, a broken connection
//! - `desk`: an operator's phone calls: colleagues, and the codes of `codes`
//! - `callbacks`: operators call customers back
//! - `outbound`: the phones of customers whom robots or operators call
//! - `promises`: what calls promise, and how the ledger has it kept
//! - `strangers`: how much is promised on the word of calls from anywhere
//! - `news`: what the house is told beside calls: people, promises, plans, and that it is to end
//! - `aftermath`: what follows when a conversation is over
//! - `recording`: conversations are written down
//! - `topic`: what a conversation was about
//! - `transfer`: a caller is sent on
//! - [`snapshot`]: how things stand, for those who watch
//! - `ids`, `tips`, `today`: identifiers; which tips were heard; the figures of the day

mod aftermath;
mod callbacks;
mod calls;
mod codes;
mod desk;
mod ids;
mod legs;
mod line;
mod news;
mod outbound;
mod phones;
mod promises;
mod recording;
pub mod snapshot;
mod strangers;
mod talk;
mod tips;
mod today;
mod topic;
mod transfer;
mod whisper;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::dialplan::Plan;
use crate::domain::{
    Calendar, CallFact, CallId, LegId, Login, Operator, PromiseId, Region, Timestamp,
};
use crate::speech::Catalogue;

use super::acd::{Acd, Act, OfferId};
use super::event::{Command, Event};
use super::promises::{Ledger, PromiseAct};
use aftermath::Aftermath;
use calls::Call;
use ids::Ids;
use legs::Role;
use strangers::Strangers;
use tips::TipMemory;
use today::Today;

/// The decisions of the whole house. Driven by one owner: [`Hub::handle`] for each event,
/// [`Hub::on_time`] when [`Hub::next_timer`] has come. Both append to `out`.
#[derive(Debug)]
pub struct Hub {
    plan: Arc<Plan>,
    catalogue: Arc<Catalogue>,
    /// For dialled numbers in a national spelling.
    region: Region,
    ids: Ids,
    calls: BTreeMap<CallId, Call>,
    timers: BTreeSet<(Timestamp, CallId)>,
    /// What each leg that is not over is there for.
    legs: BTreeMap<LegId, Role>,
    /// Who hears whom; both ways.
    bridges: BTreeMap<LegId, LegId>,
    /// The legs that ring for the offers of the lines.
    offers: BTreeMap<OfferId, LegId>,
    acd: Acd,
    /// What the lines asked for and was not done yet; empty between two events.
    acts: Vec<Act>,
    operators: BTreeMap<Login, Operator>,
    tips: TipMemory,
    today: Today,
    /// What the wall clock says: hours, due times and schedules follow it.
    calendar: Calendar,
    ledger: Ledger,
    /// What the ledger asked for and was not done yet; empty between two events.
    promise_acts: Vec<PromiseAct>,
    /// The calls that wait in the lines, or are up, for promises that operators keep.
    callbacks: BTreeMap<PromiseId, CallId>,
    /// Calls that wait for their promise to be stored, to speak of it.
    unspoken: BTreeMap<PromiseId, CallId>,
    /// Messages that are being left, or whose file is not closed yet, and what they belong to.
    messages: BTreeMap<CallId, Option<PromiseId>>,
    aftermath: Aftermath,
    strangers: Strangers,
    is_draining: bool,
}

impl Hub {
    /// `seed` makes the ids of dialled legs; nodes and restarts take different ones.
    pub fn new(plan: Arc<Plan>, catalogue: Arc<Catalogue>, region: Region, seed: u64) -> Self {
        let zone = plan.scripts.values().next().map(|script| script.timezone.clone());
        let acd = zone.map_or_else(Acd::new, |zone| Acd::new().in_zone(zone));
        let mut ledger = Ledger::new();
        let mut promise_acts = Vec::new();
        ledger.set_plan(Timestamp::default(), plan.clone(), &mut promise_acts);
        Self {
            plan,
            catalogue,
            region,
            ids: Ids::new(seed),
            calls: BTreeMap::new(),
            timers: BTreeSet::new(),
            legs: BTreeMap::new(),
            bridges: BTreeMap::new(),
            offers: BTreeMap::new(),
            acd,
            acts: Vec::new(),
            operators: BTreeMap::new(),
            tips: TipMemory::default(),
            today: Today::default(),
            calendar: Calendar::default(),
            ledger,
            promise_acts,
            callbacks: BTreeMap::new(),
            unspoken: BTreeMap::new(),
            messages: BTreeMap::new(),
            aftermath: Aftermath::default(),
            strangers: Strangers::default(),
            is_draining: false,
        }
    }

    /// Calls that are not over.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// What customers are owed.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// When [`Hub::on_time`] wants to be called.
    pub fn next_timer(&self) -> Option<Timestamp> {
        let calls = self.timers.first().map(|(at, _)| *at);
        let planned = self.ledger.next_timer().map(|at| self.calendar.moment(at));
        calls.into_iter().chain(self.acd.next_timer()).chain(planned).min()
    }

    pub fn handle(&mut self, now: Timestamp, event: Event, out: &mut Vec<Command>) {
        let from = out.len();
        match event {
            Event::CallOffered(offered) => self.offered(now, *offered, out),
            Event::NoRoom { leg } => self.no_room(now, leg, out),
            Event::Confirmed { leg } => self.confirmed(now, leg, out),
            Event::Ringing { leg } => self.ringing(leg, out),
            Event::Answered { leg } => self.answered(now, leg, out),
            Event::Unanswered { leg, outcome } => self.unanswered(now, leg, outcome, out),
            Event::Held { leg, is_held } => self.held(now, leg, is_held, out),
            Event::TransferAsked { leg, target } => self.transfer(now, leg, target, out),
            Event::KeyPressed { leg, key, source } => self.key_pressed(now, leg, key, source, out),
            Event::PlayEnded { leg, play, cut_after_ms } => {
                self.play_ended(now, leg, play, cut_after_ms, out);
            }
            Event::LookupAnswered { call, lookup, answer, took_ms } => {
                self.with(call, now, out, |entry, out| {
                    entry.flow.on_lookup_answered(now, lookup, answer, took_ms, out);
                });
            }
            Event::LegEnded { leg, by, reason } => self.leg_ended(now, leg, by, reason, out),
            Event::MediaQuiet { leg } => self.media_quiet(leg, out),
            Event::MediaDied { leg } => self.media_died(now, leg, out),
            Event::MediaClosed { leg, statistics } => self.media_closed(now, leg, statistics, out),
            Event::Recorded { call, note } => self.recorded(now, call, note, out),
            Event::OperatorsReplaced { operators, attendance } => {
                self.operators_replaced(now, operators, attendance);
            }
            Event::PhoneChanged { operator, state } => {
                self.acd.set_phone(now, &operator, state, &mut self.acts);
            }
            Event::TipsRemembered { heard } => self.tips_remembered(heard),
            Event::VisitsRemembered { visits } => self.visits_remembered(now, visits),
            Event::PromisesRemembered { promises, called } => {
                self.promises_remembered(now, promises, called);
            }
            Event::PromiseStored { promise } => self.promise_stored(now, promise, out),
            Event::PromiseRepeated { promise } => self.promise_repeated(now, promise, out),
            Event::AttemptStored { promise, number } => self.attempt_stored(now, promise, number),
            Event::RatingStored { call } => self.rating_stored(now, call, out),
            Event::DoNotCallReplaced { list } => self.do_not_call_replaced(now, list),
            Event::ShopEvents { events } => {
                events.into_iter().for_each(|event| self.shop_event(now, event, out));
            }
            Event::RobotSwitched { name, is_stopped } => {
                self.robot_switched(now, &name, is_stopped);
            }
            Event::TrunksChanged { calls_max, starts_per_second } => {
                self.trunks_changed(now, calls_max, starts_per_second);
            }
            Event::CalendarSet { calendar } => self.set_calendar(now, calendar),
            Event::PlanReplaced { plan, catalogue } => self.plan_replaced(now, plan, catalogue),
            Event::DrainStarted => self.drain_started(now),
            Event::DrainEnded => self.drain_ended(out),
        }
        self.settle(now, out);
        self.note_ends(out, from);
    }

    /// Does what is due at `now`. A timer that is due again at once waits for the next turn, so that
    /// no call keeps the others waiting.
    pub fn on_time(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let from = out.len();
        if self.acd.next_timer().is_some_and(|at| at <= now) {
            self.acd.on_time(now, &mut self.acts);
        }
        let is_due = |at: Timestamp| self.calendar.moment(at) <= now;
        if self.ledger.next_timer().is_some_and(is_due) {
            self.with_ledger(now, |ledger, wall, acts| ledger.on_time(wall, acts));
        }
        let later = self.timers.split_off(&(now.plus_ms(1), CallId(Uuid::nil())));
        let due = std::mem::replace(&mut self.timers, later);
        for (_, call) in due {
            self.call_is_due(now, call, out);
        }
        self.settle(now, out);
        self.note_ends(out, from);
    }

    /// The server ends after this. What operators still note about conversations is cut short, so
    /// that these are written down before the end.
    pub fn stop(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        self.acd.stop(now, &mut self.acts);
        self.settle(now, out);
    }

    /// Does what the lines and the ledger ask for, until they ask for nothing more.
    fn settle(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        while !self.acts.is_empty() || !self.promise_acts.is_empty() {
            for act in std::mem::take(&mut self.acts) {
                self.act(now, act, out);
            }
            for act in std::mem::take(&mut self.promise_acts) {
                self.keep_promise(now, act, out);
            }
        }
    }

    /// Remembers why we hang up on a caller: the end that signalling reports then is ours; and who
    /// was asked for a rating, so that no robot asks again.
    fn note_ends(&mut self, out: &[Command], from: usize) {
        for command in &out[from..] {
            if let Command::Record { call, fact: CallFact::Asked { .. } } = command {
                self.aftermath.asked(*call);
            }
            if let Command::Hangup { leg, by, reason } = command
                && let Some(Role::Caller(call)) = self.legs.get(leg)
                && let Some(call) = self.calls.get_mut(call)
            {
                call.ends_because(*by, *reason);
            }
        }
    }
}
