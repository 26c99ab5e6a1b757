//! Conversations: hold, transfer from operator to operator, the topic, and wrap-up.

use std::sync::Arc;

use crate::dialplan::plan::{AfterRing, Group};
use crate::domain::{CallFact, CallId, Conversation, LineOutcome, Login, RingOutcome, Timestamp};

use super::border::{Act, TopicAnswer};
use super::line::Stage;
use super::operators::{Talk, Work};
use super::{Acd, Timer};

/// However often it is extended, wrap-up ends after an hour.
const WRAP_UP_MAX_MS: u64 = 3_600_000;

/// Longest topic code that an operator can type, in characters.
const TOPIC_MAX: usize = 32;

/// The rest of a phone that was picked up, but lost before the caller could be connected.
const LOST_DELAY_MS: u64 = 5_000;

impl Acd {
    /// The operator's part is over, whoever ended it. Wrap-up begins; the conversation is written
    /// down when that ends. If they never heard each other, there is nothing to write down, and the
    /// caller, if still there, waits for another operator. Of a customer who was called back and not
    /// reached, the ticket is released first: then the operator is simply free again.
    pub fn talk_ended(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        self.end_talk(now, login, out);
        self.settle(now, out);
    }

    /// The customer is put on hold by the operator, or taken back.
    pub fn hold(&mut self, now: Timestamp, login: &Login, is_on_hold: bool) {
        let Some(person) = self.staff.get_mut(login) else { return };
        let Work::Talking(talk) = &mut person.work else { return };
        talk.set_hold(now, is_on_hold);
    }

    /// Notes what the conversation was about, during it or its wrap-up; the last one counts. A
    /// group with topics takes the codes of these, one without takes any code.
    pub fn set_topic(&mut self, login: &Login, topic: String) -> TopicAnswer {
        let Some(person) = self.staff.get_mut(login) else { return TopicAnswer::NoConversation };
        let (Work::Talking(talk) | Work::WrapUp { talk, .. }) = &mut person.work else {
            return TopicAnswer::NoConversation;
        };
        let topics = talk.rules.as_ref().map(|rules| &rules.topics);
        let is_known = match topics.filter(|topics| !topics.is_empty()) {
            Some(topics) => topics.contains_key(&topic),
            None => !topic.is_empty() && topic.chars().count() <= TOPIC_MAX,
        };
        if !is_known {
            return TopicAnswer::Unknown;
        }
        talk.topic = Some(topic);
        TopicAnswer::Noted
    }

    /// An operator hands the caller over to another one, after having asked. The conversation of the
    /// first ends, that of the second begins, for the same group.
    pub fn takes_over(
        &mut self,
        now: Timestamp,
        call: CallId,
        from: &Login,
        to: &Login,
        out: &mut Vec<Act>,
    ) {
        let before = self.staff.get(from).and_then(|person| match &person.work {
            Work::Talking(talk) if talk.call == call => {
                Some((talk.rules.clone(), talk.group.clone()))
            }
            Work::Talking(_)
            | Work::None
            | Work::Ringing { .. }
            | Work::Reserved { .. }
            | Work::WrapUp { .. } => None,
        });
        if before.is_some() {
            self.end_talk(now, from, out);
        }
        let (rules, group) = before.unwrap_or_default();
        self.begin_talk(now, to, call, (rules, group), out);
        self.settle(now, out);
    }

    /// A caller reached an operator without a line: by extension, or by a transfer to it. `group`:
    /// whose rules hold for wrap-up, and that the conversation counts for.
    pub fn talk_began(
        &mut self,
        now: Timestamp,
        login: &Login,
        call: CallId,
        group: Option<Arc<Group>>,
        out: &mut Vec<Act>,
    ) {
        let name = group.as_ref().map(|group| group.name.clone());
        self.begin_talk(now, login, call, (group, name), out);
        self.settle(now, out);
    }

    /// Lengthens the wrap-up under way, to an hour at most. `false`: there is none.
    pub fn extend_wrap_up(
        &mut self,
        now: Timestamp,
        login: &Login,
        ms: u64,
        out: &mut Vec<Act>,
    ) -> bool {
        let Some(person) = self.staff.get_mut(login) else { return false };
        let Work::WrapUp { began, until, .. } = &mut person.work else { return false };
        self.timers.remove(&(*until, Timer::WrapUp(login.clone())));
        *until = until.plus_ms(ms).min(began.plus_ms(WRAP_UP_MAX_MS)).max(*until);
        self.timers.insert((*until, Timer::WrapUp(login.clone())));
        self.news.operators.insert(login.clone());
        self.settle(now, out);
        true
    }

    /// The operator is done before the time. `false`: there is no wrap-up.
    pub fn end_wrap_up(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) -> bool {
        let is_over = self.stop_wrap_up(now, login, out);
        self.settle(now, out);
        is_over
    }

    /// Nobody is rung any more: conversations and wrap-ups end now, and are written down.
    pub fn stop(&mut self, now: Timestamp, out: &mut Vec<Act>) {
        let logins: Vec<Login> = self.staff.iter().map(|p| p.operator.login.clone()).collect();
        for login in logins {
            self.end_talk(now, &login, out);
            self.stop_wrap_up(now, &login, out);
        }
    }

    pub(super) fn finish_wrap_up(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        let work = self.staff.get(login).map(|person| &person.work);
        if matches!(work, Some(Work::WrapUp { until, .. }) if *until <= now) {
            self.stop_wrap_up(now, login, out);
        }
    }

    /// One who is not an operator any more goes when the conversation is over.
    pub(super) fn finish_if_removed(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        if !self.staff.get(login).is_some_and(|person| person.is_removed) {
            return;
        }
        self.stop_wrap_up(now, login, out);
        if self.staff.get(login).is_some_and(|person| matches!(person.work, Work::None)) {
            self.staff.remove(login);
            self.news.operators.insert(login.clone());
        }
    }

    /// Puts an end to whatever the operator does for a caller, and begins the conversation.
    fn begin_talk(
        &mut self,
        now: Timestamp,
        login: &Login,
        call: CallId,
        (rules, group): (Option<Arc<Group>>, Option<String>),
        out: &mut Vec<Act>,
    ) {
        if self.staff.get(login).is_none() {
            return;
        }
        self.begin_day(now);
        match self.staff.get(login).map(|person| &person.work) {
            Some(Work::Ringing { offer, .. }) => {
                self.withdraw(now, *offer, RingOutcome::Withdrawn, out);
            }
            Some(Work::Reserved { call: other, .. }) if *other != call => {
                self.lose_reservation(now, *other, out);
            }
            Some(Work::None | Work::Reserved { .. } | Work::Talking(_) | Work::WrapUp { .. })
            | None => {}
        }
        self.end_talk(now, login, out);
        self.stop_wrap_up(now, login, out);
        if let Some(other) = self.talks.get(&call).cloned() {
            self.end_talk(now, &other, out);
        }
        self.leave(now, call, LineOutcome::Answered, Some(login.clone()), out);
        let Some(person) = self.staff.get_mut(login) else { return };
        person.calls += 1;
        person.work = Work::Talking(Talk {
            call,
            rules,
            group,
            since: now,
            began: Some(now),
            held_ms: 0,
            on_hold_since: None,
            topic: None,
        });
        self.talks.insert(call, login.clone());
        self.news.operators.insert(login.clone());
        Self::record(call, CallFact::Connected { operator: login.clone() }, out);
    }

    pub(super) fn end_talk(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) {
        let Some(person) = self.staff.get_mut(login) else { return };
        let mut talk = match std::mem::replace(&mut person.work, Work::None) {
            Work::Talking(talk) => talk,
            other @ (Work::None
            | Work::Ringing { .. }
            | Work::Reserved { .. }
            | Work::WrapUp { .. }) => {
                person.work = other;
                return;
            }
        };
        self.talks.remove(&talk.call);
        self.news.operators.insert(login.clone());
        if talk.began.is_none() {
            person.calls = person.calls.saturating_sub(1);
            self.was_lost_before_connection(now, login, talk.call, out);
        } else {
            talk.set_hold(now, false);
            let wrap_up_ms = talk.rules.as_ref().map_or(0, |rules| rules.wrap_up_ms);
            let until = now.plus_ms(wrap_up_ms.min(WRAP_UP_MAX_MS));
            person.work = Work::WrapUp { talk, began: now, until };
            self.timers.insert((until, Timer::WrapUp(login.clone())));
            if wrap_up_ms == 0 {
                self.stop_wrap_up(now, login, out);
            }
        }
        self.finish_if_removed(now, login, out);
    }

    /// The operator picked up and was gone: the caller waits on.
    fn was_lost_before_connection(
        &mut self,
        now: Timestamp,
        login: &Login,
        call: CallId,
        out: &mut Vec<Act>,
    ) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        caller.stage = Stage::Waiting;
        let outcome = RingOutcome::Failed;
        let fact = CallFact::NotTaken { operator: login.clone(), outcome, rang_ms: 0 };
        Self::record(call, fact, out);
        self.requeue(now, call);
        self.look_again_for(call);
        self.was_not_taken(now, call, login, outcome, out);
        self.rest_after_ring(now, login, outcome, AfterRing::Delay { ms: LOST_DELAY_MS }, out);
    }

    /// Wrap-up is over: the conversation is complete and written down.
    fn stop_wrap_up(&mut self, now: Timestamp, login: &Login, out: &mut Vec<Act>) -> bool {
        let Some(person) = self.staff.get_mut(login) else { return false };
        let (talk, ended, until) = match std::mem::replace(&mut person.work, Work::None) {
            Work::WrapUp { talk, began, until } => (talk, began, until),
            other @ (Work::None
            | Work::Ringing { .. }
            | Work::Reserved { .. }
            | Work::Talking(_)) => {
                person.work = other;
                return false;
            }
        };
        person.idle_since = now;
        self.timers.remove(&(until, Timer::WrapUp(login.clone())));
        self.news.operators.insert(login.clone());
        let began = talk.began.unwrap_or(talk.since);
        let conversation = Conversation {
            operator: login.clone(),
            group: talk.group,
            began,
            talk_ms: ended.since(began).saturating_sub(talk.held_ms),
            hold_ms: talk.held_ms,
            wrap_up_ms: now.since(ended),
            topic: talk.topic,
        };
        if let Some(group) = &conversation.group {
            self.handling.entry(group.clone()).or_default().add(now.since(began));
        }
        Self::record(talk.call, CallFact::Conversed(conversation), out);
        self.finish_if_removed(now, login, out);
        true
    }
}

impl Talk {
    fn set_hold(&mut self, now: Timestamp, is_on_hold: bool) {
        match (self.on_hold_since, is_on_hold) {
            (None, true) => self.on_hold_since = Some(now),
            (Some(since), false) => {
                self.held_ms += now.since(since);
                self.on_hold_since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
}
