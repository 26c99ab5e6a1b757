//! All calls and legs, their timers, and the only place where the cores meet.
//!
//! - `phones`: what happens at a phone finds what its leg is there for (`legs`)
//! - `calls`: callers, from the offer to the last word of their media
//! - `line`: what a caller's walk asks of the lines, and what the lines ask of the phones
//! - `whisper`: what operators are told by a voice
//! - `talk`: a caller and an operator hear each other: hold, the end, a broken connection
//! - `desk`: an operator's phone calls: colleagues, and the codes of `codes`
//! - `recording`: conversations are written down
//! - `topic`: what a conversation was about
//! - `transfer`: a caller is sent on
//! - [`snapshot`]: how things stand, for those who watch
//! - `ids`, `tips`, `today`: identifiers; which tips were heard; the figures of the day

mod calls;
mod codes;
mod desk;
mod ids;
mod legs;
mod line;
mod phones;
mod recording;
pub mod snapshot;
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
    CallFact, CallId, EndReason, EndedBy, LegId, Login, Operator, Region, Timestamp,
};
use crate::speech::Catalogue;

use super::acd::{Acd, Act, OfferId};
use super::event::{Command, Event};
use calls::Call;
use ids::Ids;
use legs::Role;
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
    is_draining: bool,
}

impl Hub {
    /// `seed` makes the ids of dialled legs; nodes and restarts take different ones.
    pub fn new(plan: Arc<Plan>, catalogue: Arc<Catalogue>, region: Region, seed: u64) -> Self {
        let zone = plan.scripts.values().next().map(|script| script.timezone.clone());
        let acd = zone.map_or_else(Acd::new, |zone| Acd::new().in_zone(zone));
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
            is_draining: false,
        }
    }

    /// Calls that are not over.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// When [`Hub::on_time`] wants to be called.
    pub fn next_timer(&self) -> Option<Timestamp> {
        let calls = self.timers.first().map(|(at, _)| *at);
        calls.into_iter().chain(self.acd.next_timer()).min()
    }

    pub fn handle(&mut self, now: Timestamp, event: Event, out: &mut Vec<Command>) {
        let from = out.len();
        match event {
            Event::CallOffered { call, leg, dialled, caller, account, is_near_phone, replaces } => {
                let offered = calls::Offered { call, leg, dialled, caller, account, is_near_phone };
                match replaces {
                    Some(replaced) => self.replace(now, offered, replaced, out),
                    None => self.offer(now, offered, out),
                }
            }
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
                self.with(call, now, out, |c, out| {
                    c.flow.on_lookup_answered(now, lookup, answer, took_ms, out);
                });
            }
            Event::LegEnded { leg, by, reason } => self.leg_ended(now, leg, by, reason, out),
            Event::MediaQuiet { leg } => {
                let is_known = self.legs.contains_key(&leg);
                out.extend(is_known.then_some(Command::Probe { leg }));
            }
            Event::MediaDied { leg } => self.media_died(now, leg, out),
            Event::MediaClosed { leg, statistics } => self.media_closed(leg, statistics, out),
            Event::Recorded { call, note } => {
                out.push(Command::Record { call, fact: CallFact::Recorded(note) });
            }
            Event::OperatorsReplaced { operators, attendance } => {
                self.operators = operators.iter().map(|o| (o.login.clone(), o.clone())).collect();
                self.acd.set_operators(now, operators, &mut self.acts);
                for (login, attendance) in attendance {
                    self.acd.set_attendance(now, &login, attendance, &mut self.acts);
                }
            }
            Event::PhoneChanged { operator, state } => {
                self.acd.set_phone(now, &operator, state, &mut self.acts);
            }
            Event::TipsRemembered { heard } => {
                heard.into_iter().for_each(|(caller, tip)| self.tips.remember(&caller, tip));
            }
            Event::VisitsRemembered { visits } => {
                visits.into_iter().for_each(|visit| self.count(now, &CallFact::LeftLine(visit)));
            }
            Event::PromisesRemembered { .. }
            | Event::PromiseStored { .. }
            | Event::AttemptStored { .. }
            | Event::RatingStored { .. }
            | Event::DoNotCallReplaced { .. }
            | Event::ShopEvents { .. }
            | Event::RobotSwitched { .. }
            | Event::TrunksChanged { .. }
            | Event::CalendarSet { .. } => {}
            Event::PlanReplaced { plan, catalogue } => {
                self.plan = plan;
                self.catalogue = catalogue;
            }
            Event::DrainStarted => self.is_draining = true,
            Event::DrainEnded => {
                let (by, reason) = (EndedBy::Server, EndReason::Shutdown);
                out.extend(self.legs.keys().map(|&leg| Command::Hangup { leg, by, reason }));
            }
        }
        self.settle(now, out);
        self.note_hangups(out, from);
    }

    /// Does what is due at `now`. A timer that is due again at once waits for the next turn, so that
    /// no call keeps the others waiting.
    pub fn on_time(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let from = out.len();
        if self.acd.next_timer().is_some_and(|at| at <= now) {
            self.acd.on_time(now, &mut self.acts);
        }
        let later = self.timers.split_off(&(now.plus_ms(1), CallId(Uuid::nil())));
        let due = std::mem::replace(&mut self.timers, later);
        for (_, call) in due {
            self.call_is_due(now, call, out);
        }
        self.settle(now, out);
        self.note_hangups(out, from);
    }

    /// The server ends after this. What operators still note about conversations is cut short, so
    /// that these are written down before the end.
    pub fn stop(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        self.acd.stop(now, &mut self.acts);
        self.settle(now, out);
    }

    /// Does what the lines ask for, until they ask for nothing more.
    fn settle(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        while !self.acts.is_empty() {
            for act in std::mem::take(&mut self.acts) {
                self.act(now, act, out);
            }
        }
    }

    /// Remembers why we hang up on a caller: the end that signalling reports then is ours.
    fn note_hangups(&mut self, out: &[Command], from: usize) {
        for command in &out[from..] {
            if let Command::Hangup { leg, by, reason } = command
                && let Some(Role::Caller(call)) = self.legs.get(leg)
                && let Some(call) = self.calls.get_mut(call)
            {
                call.ends_because(*by, *reason);
            }
        }
    }
}
