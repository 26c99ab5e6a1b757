//! A telephone, a CRM and a clock for one call through the hub.
//!
//! - `called`: the customer of the call does not call: we do
//! - `others`: operators with their phones, and callers who wait before this one

mod called;
mod others;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::core::event::Offered;
use crate::core::{Command, Event, Hub, LookupAnswer, LookupRequest};
use crate::dialplan::Plan;
use crate::dialplan::plan::Script;
use crate::dialplan::scenario::{CrmState, Opening, PlanTest};
use crate::domain::{
    CallFact, CallId, CallerId, EndReason, EndedBy, Key, KeySource, Language, LegId, LookupId,
    Order, PlayId, RecordingId, Region, RtpStatistics, Timestamp,
};
use crate::speech::Catalogue;

/// How long each recording lasts here; what a test asserts does not depend on it.
const RECORDING_MS: u64 = 1_000;
/// How soon a CRM in good health answers.
const FAST_MS: u64 = 20;
/// The CRM's own deadline: that of a server without settings.
const CRM_DEADLINE_MS: u64 = 4_000;
/// Things that may happen while a caller waits; more is a plan that runs in circles.
const HAPPENINGS_MAX: usize = 5_000_000;

/// One call, its caller and what surrounds it.
pub(super) struct World<'t> {
    test: &'t PlanTest,
    hub: Hub,
    now: Timestamp,
    /// By which the call goes.
    pub(super) script: Arc<Script>,
    call: CallId,
    leg: LegId,
    plays: VecDeque<Play>,
    lookup: Option<PendingLookup>,
    /// What others will do; the number keeps apart what happens at the same moment.
    ahead: BTreeMap<(Timestamp, u64), Happening>,
    happenings: u64,
    /// Operators' phones that ring.
    ringing: Vec<LegId>,
    /// The call whose customer the hub wants to dial.
    attempted: Option<CallId>,
    /// What happened, in order.
    pub(super) facts: Vec<CallFact>,
    /// What the call asked for that outlives it: ratings, outcomes, what is written into the CRM.
    pub(super) kept: Vec<Command>,
    /// When the customer called, or was called and picked up.
    pub(super) begun: Option<Timestamp>,
    /// What the ledger last noted.
    pub(super) note: String,
    /// Of what was ordered to be played last.
    pub(super) language: Option<Language>,
    pub(super) has_ended: bool,
}

struct Play {
    id: PlayId,
    recordings: Vec<RecordingId>,
    /// `None`: waits for the plays before it.
    ends: Option<Timestamp>,
}

/// Something that others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    /// An operator picks up.
    Answers { phone: LegId },
    /// An operator who was busy is free.
    Frees { operator: usize },
    /// Somebody else has heard something.
    Heard { leg: LegId, play: PlayId },
}

struct PendingLookup {
    id: LookupId,
    at: Timestamp,
    answer: LookupAnswer,
}

impl<'t> World<'t> {
    /// The test's call, picked up; or nobody was called, and `begun` says so.
    pub(super) fn open(
        test: &'t PlanTest,
        plan: &Arc<Plan>,
        catalogue: &Arc<Catalogue>,
        region: Region,
    ) -> Self {
        let empty = || Arc::new(Script::named(&test.script));
        let script = plan.scripts.get(&test.script).cloned().unwrap_or_else(empty);
        let at = script.timezone.to_ambiguous_zoned(test.at).compatible().ok();
        let mut world = Self {
            test,
            hub: Hub::new(others::with_lines(test, plan), catalogue.clone(), region, 0),
            now: at.as_ref().map_or(Timestamp::default(), Timestamp::from),
            script,
            call: CallId(Uuid::from_u128(1)),
            leg: LegId(Uuid::from_u128(2)),
            plays: VecDeque::new(),
            lookup: None,
            ahead: BTreeMap::new(),
            happenings: 0,
            ringing: Vec::new(),
            attempted: None,
            facts: Vec::new(),
            kept: Vec::new(),
            begun: None,
            note: String::new(),
            language: None,
            has_ended: false,
        };
        world.others_come();
        match &test.opening {
            Opening::Call { from, to } => world.customer_calls(from.clone(), to.clone()),
            Opening::Robot { .. } | Opening::Callback { .. } => world.customer_is_called(),
        }
        world
    }

    fn customer_calls(&mut self, caller: CallerId, dialled: String) {
        self.shop_tells();
        let (call, leg) = (self.call, self.leg);
        self.begun = Some(self.now);
        self.tell(Event::CallOffered(Box::new(Offered {
            call,
            leg,
            dialled,
            caller,
            caller_name: None,
            account: None,
            is_near_phone: false,
            stranger: None,
            replaces: None,
        })));
        self.tell(Event::Confirmed { leg });
    }

    fn shop_tells(&mut self) {
        if !self.test.events.is_empty() {
            self.tell(Event::ShopEvents { events: self.test.events.clone() });
        }
    }

    pub(super) fn press(&mut self, key: Key) {
        self.tell(Event::KeyPressed { leg: self.leg, key, source: KeySource::Event });
    }

    pub(super) fn hang_up(&mut self) {
        self.end(EndedBy::Caller, EndReason::HungUp);
    }

    /// Whether the caller is in this group's line.
    pub(super) fn is_waiting(&self, group: &str) -> bool {
        let lines = self.hub.snapshot(self.now).groups;
        let mut callers = lines.iter().filter(|line| line.name == group).flat_map(|l| &l.waiting);
        callers.any(|(waiting, ..)| waiting.call == self.call)
    }

    /// Lets happen what comes next by itself: a recording ends, the CRM answers, an operator picks
    /// up, or what is due before that. False if nothing is under way and only the caller can go on.
    pub(super) fn step(&mut self) -> bool {
        let answers = |what: &Happening| matches!(what, Happening::Answers { .. });
        let play = self.plays.front().is_some_and(|play| play.ends.is_some());
        let is_awaited = play || self.lookup.is_some() || self.ahead.values().any(answers);
        is_awaited && self.happen_until(None)
    }

    /// Lets time pass, and happen what happens meanwhile.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        for _ in 0..HAPPENINGS_MAX {
            if !self.happen_until(Some(until)) {
                break;
            }
        }
        self.now = self.now.max(until);
    }

    /// The next thing of all, if it is not later than `until`. False: there is none.
    fn happen_until(&mut self, until: Option<Timestamp>) -> bool {
        let timer = self.hub.next_timer();
        let play = self.plays.front().and_then(|play| play.ends);
        let lookup = self.lookup.as_ref().map(|lookup| lookup.at);
        let other = self.ahead.first_key_value().map(|((at, _), _)| *at);
        let next = [timer, play, lookup, other].into_iter().flatten().min();
        let Some(next) = next.filter(|next| until.is_none_or(|until| *next <= until)) else {
            return false;
        };
        if timer == Some(next) {
            self.fire_timer();
        } else if play == Some(next) {
            self.end_play(next);
        } else if lookup == Some(next)
            && let Some(PendingLookup { id, at, answer }) = self.lookup.take()
        {
            let took_ms = at.since(self.now);
            self.now = self.now.max(at);
            let (call, lookup) = (self.call, id);
            self.tell(Event::LookupAnswered { call, lookup, answer, took_ms });
        } else {
            self.others_go_on();
        }
        true
    }

    /// The caller waits until the plan does something because of it. False if it never will.
    pub(super) fn fire_timer(&mut self) -> bool {
        let Some(at) = self.hub.next_timer() else { return false };
        self.now = self.now.max(at);
        let mut commands = Vec::new();
        self.hub.on_time(self.now, &mut commands);
        self.carry_out(commands);
        true
    }

    fn end_play(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        let Some(play) = self.plays.pop_front() else { return };
        self.start_next_play();
        self.tell(Event::PlayEnded { leg: self.leg, play: play.id, cut_after_ms: None });
    }

    fn start_next_play(&mut self) {
        if let Some(play) = self.plays.front_mut()
            && play.ends.is_none()
        {
            let length = RECORDING_MS.saturating_mul(play.recordings.len() as u64);
            play.ends = Some(self.now.plus_ms(length));
        }
    }

    fn tell(&mut self, event: Event) {
        let mut commands = Vec::new();
        self.hub.handle(self.now, event, &mut commands);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        // The database of a test is quick: it has everything as soon as all else is done.
        let mut stored = Vec::new();
        for command in commands {
            match command {
                Command::Play { leg, play, language, recordings } if leg == self.leg => {
                    self.language = Some(language);
                    self.plays.push_back(Play { id: play, recordings, ends: None });
                    self.start_next_play();
                }
                Command::Play { leg, play, .. } => {
                    self.schedule(self.now, Happening::Heard { leg, play });
                }
                Command::StopPlaying { leg } => self.cut_on(leg),
                Command::Bridge { one, other } => {
                    self.cut_on(one);
                    self.cut_on(other);
                }
                Command::Dial(dial) => self.ring(&dial),
                Command::LookUp { lookup, request, deadline_ms, .. } => {
                    self.lookup = Some(self.asked(lookup, &request, deadline_ms));
                }
                Command::CancelLookup { .. } => self.lookup = None,
                Command::Hangup { leg, by, reason } if leg == self.leg => self.end(by, reason),
                Command::Hangup { leg, by, reason } => self.end_other(leg, by, reason),
                Command::Reject { leg, .. } => self.has_ended |= leg == self.leg,
                Command::Record { call, fact } => self.note_fact(call, fact),
                Command::StorePromise(promise) => {
                    stored.push(Event::PromiseStored { promise: promise.id });
                }
                Command::StoreAttempt(attempt) if attempt.outcome.is_none() => {
                    self.attempted = Some(attempt.call);
                    let (promise, number) = (attempt.promise, attempt.number);
                    stored.push(Event::AttemptStored { promise, number });
                }
                Command::StoreAttempt(ref attempt) => {
                    self.kept.extend((attempt.call == self.call).then_some(command));
                }
                Command::StoreRating { call, .. } => {
                    self.kept.extend((call == self.call).then_some(command));
                    stored.push(Event::RatingStored { call });
                }
                Command::WriteCrm { call, .. } => {
                    self.kept.extend((call == self.call).then_some(command));
                }
                Command::Forbid { .. } => self.kept.push(command),
                Command::ShowPromise { promise, .. } => self.note = promise.note,
                // Nothing of it is heard by the caller, or seen by the test.
                Command::Answer { .. }
                | Command::Ring { .. }
                | Command::Probe { .. }
                | Command::Unbridge { .. }
                | Command::Monitor { .. }
                | Command::StartRecording { .. }
                | Command::PauseRecording { .. }
                | Command::ResumeRecording { .. }
                | Command::StopRecording { .. }
                | Command::AcceptTransfer { .. }
                | Command::RefuseTransfer { .. }
                | Command::EndTransfer { .. }
                | Command::SetLamp { .. }
                | Command::ShowOperator { .. }
                | Command::RememberAttendance { .. }
                | Command::RememberTip { .. }
                | Command::StartMessage { .. }
                | Command::StopMessage { .. }
                | Command::ShopEventTaken { .. } => {}
            }
        }
        stored.into_iter().for_each(|event| self.tell(event));
    }

    fn cut_on(&mut self, leg: LegId) {
        if leg == self.leg {
            self.cut();
        } else {
            self.cut_other(leg);
        }
    }

    fn cut(&mut self) {
        for Play { id, recordings, ends } in std::mem::take(&mut self.plays) {
            let length = RECORDING_MS.saturating_mul(recordings.len() as u64);
            let heard_ms = ends.map_or(0, |ends| length.saturating_sub(ends.since(self.now)));
            let cut_after_ms = Some(heard_ms);
            self.tell(Event::PlayEnded { leg: self.leg, play: id, cut_after_ms });
        }
    }

    fn asked(
        &self,
        id: LookupId,
        request: &LookupRequest,
        deadline_ms: Option<u64>,
    ) -> PendingLookup {
        let deadline_ms = deadline_ms.map_or(CRM_DEADLINE_MS, |ms| ms.min(CRM_DEADLINE_MS));
        let answer = match request {
            LookupRequest::Customers { .. } => LookupAnswer::Customers(self.test.customers.clone()),
            LookupRequest::Order { number } => LookupAnswer::Order(self.find_order(number)),
        };
        let unavailable = |why: &str| LookupAnswer::Unavailable { why: why.to_owned() };
        let (ms, answer) = match self.test.crm {
            CrmState::Fast => (FAST_MS, answer),
            CrmState::Slow { ms } if ms <= deadline_ms => (ms, answer),
            CrmState::Slow { .. } => (deadline_ms, unavailable("too slow")),
            CrmState::Unavailable => (FAST_MS, unavailable("as the test says")),
        };
        PendingLookup { id, at: self.now.plus_ms(ms), answer }
    }

    fn find_order(&self, typed: &str) -> Option<Order> {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let known = self.test.customers.iter().flat_map(|customer| &customer.orders);
        let mut all = known.chain(&self.test.other_orders);
        all.find(|order| digits(&order.number) == typed).cloned()
    }

    fn end(&mut self, by: EndedBy, reason: EndReason) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        let leg = self.leg;
        self.tell(Event::LegEnded { leg, by, reason });
        self.cut();
        self.tell(Event::MediaClosed { leg, statistics: RtpStatistics::default() });
    }
}
