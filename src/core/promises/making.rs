//! Promises are made, once for each reason, and remembered after a restart.

use std::collections::{BTreeMap, VecDeque};

use crate::dialplan::Plan;
use crate::dialplan::plan::Cap;
use crate::domain::{Promise, PromiseId, PromiseKind, PromiseState, Timestamp};

use super::super::event::{Called, PromiseNews};
use super::entry::{Entry, Reason, Stage, hash};
use super::rules::Rules;
use super::{Ledger, Made, NewPromise, NotMade, PROMISES_MAX, PROMISES_OF_NUMBER_MAX, PromiseAct};

/// So many keys of events are kept in mind; older ones are known to the database alone.
const EVENT_KEYS_MAX: usize = 300_000;
/// Promises that may be kept within so long from `not_before` are spread over that time,
const SPREAD_FROM_MS: u64 = 30 * 60_000;
/// but for its last part, which is left for second tries: three quarters of it.
const SPREAD_OVER: (u64, u64) = (3, 4);
/// So often operators call one number back in a day because somebody called us with it or typed it:
/// that need not have been its owner.
const CALLBACKS_CAP: Cap = Cap { calls: 10, per_ms: 86_400_000 };
/// Calls older than this count for no cap; a duration in a plan is not longer.
const CAP_PERIOD_MAX_MS: u64 = 366 * 86_400_000;

/// The keys of events that promises came of.
#[derive(Debug, Default)]
pub(super) struct EventKeys {
    of: BTreeMap<String, PromiseId>,
    order: VecDeque<String>,
}

impl EventKeys {
    fn insert(&mut self, key: &str, promise: PromiseId) {
        if self.of.insert(key.to_owned(), promise).is_none() {
            self.order.push_back(key.to_owned());
        }
        if self.order.len() > EVENT_KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }
}

impl Ledger {
    /// Promises something. One open promise is enough for a customer and a reason: that is its kind
    /// and name, of incidents and reminders also the order (`order` of its values), else the event.
    /// One and the same event never gives rise to a second one. A customer who orders a callback
    /// again is called at the time that was said last.
    pub fn make(&mut self, wall: Timestamp, new: NewPromise, out: &mut Vec<PromiseAct>) -> Made {
        let known = new.event.as_ref().and_then(|key| self.events.of.get(key));
        if let Some(known) = known {
            return Made::Already(*known);
        }
        let promise = self.opened(wall, new);
        if let Some(known) = self.reasons.get(&Reason::of(&promise)).copied() {
            self.renew(wall, known, &promise, out);
            self.settle(wall, out);
            return Made::Already(known);
        }
        if let Some(why) = self.refusal(wall, &promise) {
            return Made::Refused(why);
        }
        let id = promise.id;
        self.insert(promise, Stage::Unstored);
        if let Some(promise) = self.get(id) {
            out.push(PromiseAct::Store(Box::new(promise.clone())));
        }
        Made::New
    }

    /// The database does not keep a promise, because another one came of the same event before: it is
    /// forgotten, as if it had never been made.
    pub fn repeated(&mut self, wall: Timestamp, promise: PromiseId, out: &mut Vec<PromiseAct>) {
        if self.entries.get(&promise).is_some_and(|entry| entry.stage == Stage::Unstored) {
            let unsaid = &mut Vec::new();
            self.finish(wall, promise, PromiseState::Cancelled, String::new(), unsaid);
            self.settle(wall, out);
        }
    }

    /// The database has a promise: it is tried from now on.
    pub fn stored(&mut self, wall: Timestamp, promise: PromiseId, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get_mut(&promise) else { return };
        if entry.stage != Stage::Unstored {
            return;
        }
        entry.stage = Stage::Waiting;
        let from = entry.promise.next_at.unwrap_or(wall);
        let news = Box::new(entry.promise.clone());
        out.push(PromiseAct::Tell { promise: news, news: PromiseNews::Made });
        self.schedule(wall, promise, from, out);
        self.settle(wall, out);
    }

    /// What the database knows at the start. Promises that are over only tell which events were seen
    /// to. An attempt that the death of the server cut off counts, and is not dialled again.
    pub fn remember(
        &mut self,
        wall: Timestamp,
        promises: Vec<Promise>,
        called: Vec<Called>,
        out: &mut Vec<PromiseAct>,
    ) {
        for call in called {
            self.caps.called(call);
        }
        for promise in promises {
            self.remember_one(wall, promise, out);
        }
        self.settle(wall, out);
    }

    fn remember_one(&mut self, wall: Timestamp, promise: Promise, out: &mut Vec<PromiseAct>) {
        if let Some(key) = &promise.event {
            self.events.insert(key, promise.id);
        }
        if promise.state.is_over() || self.entries.contains_key(&promise.id) {
            return;
        }
        let (id, state, next_at) = (promise.id, promise.state, promise.next_at);
        self.insert(promise, Stage::Waiting);
        match state {
            PromiseState::Open | PromiseState::Scheduled => {
                self.schedule(wall, id, next_at.unwrap_or(wall), out);
            }
            PromiseState::Attempting => self.retry(wall, id, "cut off by a restart", out),
            PromiseState::Talking => {
                self.keep(wall, id, "spoken with; cut off by a restart".to_owned(), out);
            }
            PromiseState::Kept
            | PromiseState::Broken
            | PromiseState::Cancelled
            | PromiseState::GivenUp => {}
        }
    }

    fn insert(&mut self, mut promise: Promise, stage: Stage) {
        let id = promise.id;
        if promise.kind.is_human() {
            promise.group = home(&promise, self.plan.as_deref());
        } else {
            self.robot_line(&promise.name).made(&promise);
        }
        self.tally.opened(&promise);
        self.numbers.add(&promise.phone, id);
        self.reasons.entry(Reason::of(&promise)).or_insert(id);
        if let Some(key) = &promise.event {
            self.events.insert(key, id);
        }
        self.entries.insert(id, Entry::new(promise, stage));
        self.arm(id);
    }

    fn refusal(&mut self, wall: Timestamp, promise: &Promise) -> Option<NotMade> {
        if self.is_forbidden(promise) {
            return Some(NotMade::Forbidden);
        }
        let rules = self.rules(promise);
        if !rules.allow(&promise.phone) {
            return Some(NotMade::NotAllowed);
        }
        self.caps.forget_before(wall.minus_ms(CAP_PERIOD_MAX_MS));
        let cap = match &rules {
            Rules::Robot(robot, _) => robot.cap.map(|cap| (cap, promise.due)),
            Rules::Human(..) => promise.kind.is_asked_for().then_some((CALLBACKS_CAP, wall)),
            Rules::Unknown | Rules::Gone => None,
        };
        if let Some((cap, until)) = cap
            && self.caps.allowed_from(wall, cap, &promise.name, &promise.phone) > until
        {
            return Some(NotMade::CalledOften);
        }
        let of_number = self.numbers.open(&promise.phone).count();
        let is_full = self.entries.len() >= PROMISES_MAX || of_number >= PROMISES_OF_NUMBER_MAX;
        is_full.then_some(NotMade::Full)
    }

    /// A promise as it begins: with its next try, if there is a plan.
    fn opened(&self, wall: Timestamp, new: NewPromise) -> Promise {
        let next_at = new.not_before.map(|from| spread(new.id, from, new.due));
        let mut promise = Promise {
            id: new.id,
            kind: new.kind,
            name: new.name,
            phone: new.phone,
            group: new.group,
            script: new.script,
            made: wall,
            due: new.due,
            state: PromiseState::Open,
            next_at,
            attempts: 0,
            not_counted: 0,
            place: new.place,
            about: new.about,
            event: new.event,
            contacted: None,
            ended: None,
            escalated: false,
            overdue: false,
            note: String::new(),
            rehearsal: self.is_rehearsal,
        };
        let rules = self.rules(&promise);
        if let Rules::Robot(robot, _) = &rules {
            let times = rules.times(&promise);
            Self::due_in_window(&times, robot, &mut promise);
        }
        if rules.script().is_some()
            && let Some(at) = rules.times(&promise).next_from(next_at.unwrap_or(wall).max(wall))
        {
            (promise.state, promise.next_at) = (PromiseState::Scheduled, Some(at));
        }
        promise
    }

    /// The customer ordered a callback again: the time that was said last is the right one.
    fn renew(&mut self, wall: Timestamp, id: PromiseId, new: &Promise, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get(&id) else { return };
        let is_under_way = match entry.stage {
            Stage::Unstored | Stage::Waiting | Stage::Ready | Stage::Parked | Stage::InLine => {
                new.kind != PromiseKind::CallbackOrdered
            }
            Stage::Queued(_) | Stage::Storing(_) | Stage::Calling(_) => true,
        };
        if is_under_way || entry.promise.due == new.due {
            return;
        }
        let is_unstored = entry.stage == Stage::Unstored;
        self.detach(wall, id, out);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.tally.not_late(&entry.promise);
        (entry.promise.due, entry.promise.next_at) = (new.due, new.next_at);
        (entry.promise.escalated, entry.promise.overdue) = (false, false);
        if is_unstored {
            entry.stage = Stage::Unstored;
        } else {
            self.schedule(wall, id, new.next_at.unwrap_or(wall), out);
        }
        self.arm(id);
        self.changed(id, PromiseNews::Changed, out);
    }

    /// A promise learns what a new plan says of it.
    pub(super) fn follow_plan(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get(&id) else { return };
        let home = home(&entry.promise, self.plan.as_deref());
        let moves = entry.promise.kind.is_human() && home != entry.promise.group;
        let rules = self.rules(&entry.promise);
        let is_gone = matches!(rules, Rules::Gone) || !rules.allow(&entry.promise.phone);
        let is_unplanned = entry.promise.state == PromiseState::Open;
        let from = entry.promise.next_at.unwrap_or(wall);
        if entry.stage == Stage::Unstored {
            let Some(entry) = self.entries.get_mut(&id) else { return };
            entry.promise.group = home;
            return self.arm(id);
        }
        if moves || is_gone || is_unplanned {
            self.detach(wall, id, out);
            let Some(entry) = self.entries.get_mut(&id) else { return };
            entry.promise.group = home;
            self.schedule(wall, id, from, out);
            if moves {
                self.changed(id, PromiseNews::Changed, out);
            }
        }
        self.arm(id);
    }
}

/// Whose promise it is: nobody's is nobody's. The group that it names, else the one through which
/// customer and operator met, else the first one of its file, if the plan has them.
fn home(promise: &Promise, plan: Option<&Plan>) -> Option<String> {
    let Some(plan) = plan else { return promise.group.clone() };
    let named = [&promise.group, &promise.about.group].into_iter().flatten();
    let known = named.into_iter().find(|group| plan.group(group).is_some()).cloned();
    known.or_else(|| {
        let script = plan.scripts.get(&promise.script)?;
        script.groups.keys().next().cloned().or_else(|| promise.group.clone())
    })
}

/// When a promise that may not be tried before `from` is tried first: not all of them at once.
fn spread(id: PromiseId, from: Timestamp, due: Timestamp) -> Timestamp {
    let span_ms = due.since(from);
    if span_ms < SPREAD_FROM_MS {
        return from;
    }
    let (part, whole) = SPREAD_OVER;
    from.plus_ms((hash(&id, &[]) >> 16) % (span_ms / whole * part).max(1))
}
