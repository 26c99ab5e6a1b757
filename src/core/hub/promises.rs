//! Promises between the calls in which they are made, the ledger that plans them, and the calls by
//! which they are kept.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{
    About, CallId, CallerId, DoNotCall, LegId, PhoneNumber, PromiseId, PromiseKind, Rating,
    RecordingNote, ShopEvent, Timestamp,
};

use super::super::event::{Command, CrmWrite, PromiseNews};
use super::super::flow::Flow;
use super::super::flow::deeds::Deed;
use super::super::knowledge::Knowledge;
use super::super::promises::due::due_time;
use super::super::promises::{Ledger, Made, NewPromise, NotMade, PromiseAct};
use super::Hub;
use super::outbound::Outbound;
use crate::dialplan::plan::{Block, Script, Trigger};

/// Messages that may be under way; with more, the oldest belongs to no promise any more.
const MESSAGES_MAX: usize = 10_000;

impl Hub {
    /// What the wall clock says.
    pub(super) fn wall(&self, now: Timestamp) -> Timestamp {
        self.calendar.wall(now)
    }

    /// Lets the ledger decide something; what it asks for is done before the hub is.
    pub(super) fn with_ledger<T>(
        &mut self,
        now: Timestamp,
        decide: impl FnOnce(&mut Ledger, Timestamp, &mut Vec<PromiseAct>) -> T,
    ) -> T {
        let wall = self.wall(now);
        decide(&mut self.ledger, wall, &mut self.promise_acts)
    }

    /// Does what the ledger asks for.
    pub(super) fn keep_promise(&mut self, now: Timestamp, act: PromiseAct, out: &mut Vec<Command>) {
        match act {
            PromiseAct::Store(promise) => out.push(Command::StorePromise(promise)),
            PromiseAct::StoreAttempt(attempt) => out.push(Command::StoreAttempt(attempt)),
            PromiseAct::CallByRobot { promise, attempt, robot, script } => {
                self.call_by_robot(now, *promise, &attempt, &robot, script, out);
            }
            PromiseAct::EnterLine { promise, rules, script } => {
                self.enter_line_for(now, *promise, &rules, script, out);
            }
            PromiseAct::LeaveLine { promise } => self.leave_line_for(now, promise, out),
            PromiseAct::CallByHuman { promise, attempt: _ } => {
                self.call_customer(now, &promise, out);
            }
            PromiseAct::CallOff { promise: _, call } => self.give_up_call(now, call, out),
            PromiseAct::Tell { promise, news } => {
                if news == PromiseNews::Late {
                    self.escalate(now, &promise, out);
                }
                out.push(Command::ShowPromise { promise, news });
            }
        }
    }

    /// A promise is in the database: who waited to hear of it does.
    pub(super) fn may_speak_of(
        &mut self,
        now: Timestamp,
        promise: PromiseId,
        out: &mut Vec<Command>,
    ) {
        if let Some(call) = self.unspoken.remove(&promise) {
            self.with(call, now, out, |entry, out| entry.flow.on_deed_done(now, out));
        }
    }

    /// Does what a call asks for that outlives it.
    pub(super) fn carry_out_deed(
        &mut self,
        now: Timestamp,
        call: CallId,
        deed: Deed,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get(&call) else { return };
        let leg = entry.leg;
        let caller = entry.caller.number().cloned();
        match deed {
            Deed::Promise { kind, due, not_before, group, number } => {
                let terms = Terms { kind, due, not_before, group, number: number.or(caller) };
                self.promise(now, call, terms, out);
            }
            Deed::Rated { survey, score } => self.rated(now, call, survey, score, out),
            Deed::DoNotCall => {
                let robot = entry.outbound.as_ref().and_then(|outbound| outbound.robot.clone());
                if let Some(phone) = caller {
                    self.forbid(now, call, DoNotCall { phone, robot }, out);
                }
            }
            Deed::Bonus { points, reason } => {
                let write = CrmWrite::Bonus { points, reason };
                out.extend(caller.map(|phone| Command::WriteCrm { call, phone, write }));
            }
            Deed::OrderStatus { order, status } => {
                let write = CrmWrite::OrderStatus { order, status };
                out.extend(caller.map(|phone| Command::WriteCrm { call, phone, write }));
            }
            Deed::Message { max_ms } => {
                let promised = entry.promised;
                self.note_message(call, promised);
                out.push(Command::StartMessage { call, leg, max_ms });
            }
            Deed::StopMessage => out.push(Command::StopMessage { leg }),
        }
    }

    /// The caller left the line and keeps the place in it.
    pub(super) fn promise_callback(
        &mut self,
        now: Timestamp,
        call: CallId,
        number: PhoneNumber,
        group: String,
        due: Timestamp,
        out: &mut Vec<Command>,
    ) {
        let kind = PromiseKind::CallbackFromLine;
        let (group, number) = (Some(group), Some(number));
        let terms = Terms { kind, due, not_before: None, group, number };
        self.promise(now, call, terms, out);
    }

    fn promise(&mut self, now: Timestamp, call: CallId, terms: Terms, out: &mut Vec<Command>) {
        let made = self.make_promise(now, call, terms);
        match made {
            Some((id, Made::New)) => {
                if let Some(entry) = self.calls.get_mut(&call) {
                    entry.promised = Some(id);
                    self.unspoken.insert(id, call);
                }
            }
            Some((_, Made::Already(id))) => {
                if let Some(entry) = self.calls.get_mut(&call) {
                    entry.promised = Some(id);
                }
                self.with(call, now, out, |entry, out| entry.flow.on_deed_done(now, out));
            }
            // Nobody can be called whose number is not known.
            Some((_, Made::Refused(_))) | None => {
                self.with(call, now, out, |entry, out| entry.flow.on_deed_done(now, out));
            }
        }
    }

    fn make_promise(
        &mut self,
        now: Timestamp,
        call: CallId,
        terms: Terms,
    ) -> Option<(PromiseId, Made)> {
        let id = self.ids.promise(now);
        let entry = self.calls.get_mut(&call)?;
        let stranger = entry.stranger.filter(|_| terms.kind.is_asked_for());
        if stranger.is_some_and(|source| !self.strangers.may_be_promised(now, source)) {
            return Some((id, Made::Refused(NotMade::CalledOften)));
        }
        let is_from_line = terms.kind == PromiseKind::CallbackFromLine;
        let place = entry.place.take().filter(|_| is_from_line);
        let message = entry.message.take();
        // What comes of a robot's call is about the conversation that the robot asked about.
        let mut about = match &entry.outbound {
            Some(outbound) => About { message, ..outbound.about.clone() },
            None => About {
                message,
                call: Some(call),
                timezone: entry.flow.customer_timezone(),
                ..About::default()
            },
        };
        self.aftermath.tell(call, &mut about);
        let new = NewPromise {
            id,
            kind: terms.kind,
            name: String::new(),
            phone: terms.number?,
            group: terms.group,
            script: entry.flow.script().name.clone(),
            due: terms.due,
            not_before: terms.not_before,
            place,
            about,
            event: None,
        };
        Some((id, self.with_ledger(now, |ledger, wall, acts| ledger.make(wall, new, acts))))
    }

    fn rated(
        &mut self,
        now: Timestamp,
        call: CallId,
        survey: String,
        score: u8,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let spoke_here = self.aftermath.rated(call, score);
        let rating = match (spoke_here, &mut entry.outbound) {
            (None, Some(Outbound { promise, about, .. })) => {
                about.rating = Some(score);
                let (promise, about) = (*promise, about.clone());
                self.with_ledger(now, |ledger, _, acts| ledger.rated(promise, score, acts));
                Rating {
                    survey,
                    score,
                    call: about.call,
                    promise: Some(promise),
                    operator: about.operator,
                    group: about.group,
                    topic: about.topic,
                }
            }
            (spoke_here, _) => {
                let (operator, group) = spoke_here.unzip();
                Rating {
                    survey,
                    score,
                    call: Some(call),
                    promise: None,
                    operator,
                    group: group.flatten(),
                    topic: None,
                }
            }
        };
        out.push(Command::StoreRating { call, rating });
    }

    fn forbid(
        &mut self,
        now: Timestamp,
        call: CallId,
        forbidden: DoNotCall,
        out: &mut Vec<Command>,
    ) {
        let source = format!("by a key, in call {call}");
        out.push(Command::Forbid { forbidden: forbidden.clone(), source });
        self.with_ledger(now, |ledger, wall, acts| ledger.forbid(wall, forbidden, acts));
    }

    /// The caller's message will belong to this promise. A caller may hang up instead of ending the
    /// message, so that its file is closed after the call.
    fn note_message(&mut self, call: CallId, promised: Option<PromiseId>) {
        if self.messages.len() >= MESSAGES_MAX {
            self.messages.pop_first();
        }
        self.messages.insert(call, promised);
    }

    /// The file of a message, or of a conversation, was closed.
    pub(super) fn recorded(
        &mut self,
        now: Timestamp,
        call: CallId,
        note: RecordingNote,
        out: &mut Vec<Command>,
    ) {
        if let Some(promised) = self.messages.remove(&call) {
            let file = note.file.clone();
            match (promised, self.calls.get_mut(&call)) {
                (Some(promise), _) => self.with_ledger(now, |ledger, _, acts| {
                    ledger.message_left(promise, file, acts);
                }),
                (None, Some(entry)) => entry.message = Some(file),
                (None, None) => {}
            }
            self.with(call, now, out, |entry, out| entry.flow.on_message_ended(now, out));
        }
        out.push(Command::Record { call, fact: crate::domain::CallFact::Recorded(note) });
    }

    /// A value of the event that the robot says in any case, and can't.
    fn unspeakable(
        &self,
        now: Timestamp,
        script: &Arc<Script>,
        robot: &str,
        event: &ShopEvent,
    ) -> Option<String> {
        let caller = CallerId::Number(event.phone.clone());
        let mut knowledge = Knowledge::new(caller, robot.to_owned(), script.language);
        knowledge.set_event(event.values.clone());
        let (call, leg) = (CallId(Uuid::nil()), LegId(Uuid::nil()));
        let entry = Block::default();
        let flow = Flow::new(call, leg, script.clone(), entry, knowledge, self.setting());
        flow.unspeakable(robot, now).map(str::to_owned)
    }

    /// Something happened in the shop: a robot calls, or operators have something to settle. Of
    /// several files that care, the one in the customer's language does, else the first.
    pub(super) fn shop_event(&mut self, now: Timestamp, event: ShopEvent, out: &mut Vec<Command>) {
        let wall = self.wall(now);
        let wants = |robot: &crate::dialplan::plan::Robot| matches!(&robot.trigger, Trigger::Event(name) if *name == event.name);
        let language = event.values.get("language").and_then(|code| code.parse().ok());
        let mut takers: Vec<_> = self.plan.scripts.values().cloned().collect();
        takers.retain(|script| {
            script.robots.values().any(|robot| wants(robot))
                || script.incidents.values().any(|incident| incident.event == event.name)
        });
        let spoken = takers.iter().find(|script| Some(script.language) == language);
        let Some(script) = spoken.or(takers.first()).cloned() else {
            return out.push(Command::ShopEventTaken { key: event.key, problem: None });
        };
        let about = About {
            timezone: event.values.get("timezone").cloned(),
            values: event.values.clone(),
            ..About::default()
        };
        let mut new = Vec::new();
        let mut problem = None;
        for robot in script.robots.values().filter(|robot| wants(robot)) {
            if let Some(name) = self.unspeakable(now, &script, &robot.name, &event) {
                problem = Some(format!("{} has to say {name}, which can't be said", robot.name));
                continue;
            }
            let (kind, due) = (PromiseKind::Reminder, wall.plus_ms(robot.within_ms));
            new.push((kind, robot.name.clone(), None, due, None));
        }
        for incident in script.incidents.values().filter(|incident| incident.event == event.name) {
            let due = due_time(&incident.due, &script, wall, None);
            let (kind, group) = (PromiseKind::Incident, Some(incident.group.clone()));
            new.push((kind, incident.name.clone(), group, due.due, due.not_before));
        }
        for (kind, name, group, due, not_before) in new {
            let new = NewPromise {
                id: self.ids.promise(now),
                kind,
                event: Some(format!("{kind} {name} {}", event.key)),
                name,
                phone: event.phone.clone(),
                group,
                script: script.name.clone(),
                due,
                not_before,
                place: None,
                about: about.clone(),
            };
            let made = self.with_ledger(now, |ledger, wall, acts| ledger.make(wall, new, acts));
            if made == Made::Refused(NotMade::NotAllowed) {
                problem = Some(NotMade::NotAllowed.to_string());
            }
        }
        // After the promises that came of it.
        self.settle(now, out);
        out.push(Command::ShopEventTaken { key: event.key, problem });
    }
}

/// What a call promises.
struct Terms {
    kind: PromiseKind,
    due: Timestamp,
    not_before: Option<Timestamp>,
    group: Option<String>,
    number: Option<PhoneNumber>,
}
