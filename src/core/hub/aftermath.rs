//! What follows a conversation when everything is over: a robot asks how it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dialplan::plan::{Script, Trigger};
use crate::domain::{
    About, CallFact, CallId, Conversation, Login, PhoneNumber, PromiseKind, Timestamp,
};

use super::super::promises::NewPromise;
use super::Hub;

/// Conversations whose wrap-up, or whose call, is not over.
#[derive(Debug, Default)]
pub(super) struct Aftermath(BTreeMap<CallId, Past>);

/// A call in which somebody talked with an operator.
#[derive(Debug)]
struct Past {
    script: Arc<Script>,
    phone: PhoneNumber,
    timezone: Option<String>,
    /// Conversations that are not noted yet.
    open: u32,
    is_over: bool,
    /// What the customer answered in the same call.
    rating: Option<u8>,
    /// The customer was asked in the same call, and perhaps said nothing.
    was_asked: bool,
    /// The customer was called about a low rating: nobody is asked how that was.
    was_about_rating: bool,
    /// Whom the customer talked with last.
    operator: Login,
    group: Option<String>,
    last: Option<Conversation>,
}

impl Aftermath {
    /// The customer rates the conversation that was in this call: with whom, through which group.
    /// `None`: there was none.
    pub fn rated(&mut self, call: CallId, score: u8) -> Option<(Login, Option<String>)> {
        let past = self.0.get_mut(&call)?;
        past.rating = Some(score);
        Some((past.operator.clone(), past.group.clone()))
    }

    /// What is promised in a call in which there was a conversation is about that one.
    pub fn tell(&self, call: CallId, about: &mut About) {
        if let Some(past) = self.0.get(&call) {
            about.call = Some(call);
            about.operator = Some(past.operator.clone());
            about.group.clone_from(&past.group);
            (about.rating, about.topic) = (past.rating, None);
        }
    }

    /// The caller is asked in the same call.
    pub fn asked(&mut self, call: CallId) {
        if let Some(past) = self.0.get_mut(&call) {
            past.was_asked = true;
        }
    }

    fn take_finished(&mut self, call: CallId) -> Option<Past> {
        self.0.get(&call).filter(|past| past.is_over && past.open == 0)?;
        self.0.remove(&call)
    }
}

impl Hub {
    /// Notes what the lines say about conversations.
    pub(super) fn follow(&mut self, now: Timestamp, call: CallId, fact: &CallFact) {
        match fact {
            CallFact::Connected { operator } => self.conversation_began(now, call, operator),
            CallFact::Conversed(conversation) => {
                if let Some(past) = self.aftermath.0.get_mut(&call) {
                    past.open = past.open.saturating_sub(1);
                    past.last = Some(conversation.clone());
                }
                self.ask_for_ratings(now, call);
            }
            _ => {}
        }
    }

    fn conversation_began(&mut self, now: Timestamp, call: CallId, operator: &Login) {
        let Some(entry) = self.calls.get(&call) else { return };
        let Some(phone) = entry.caller.number().cloned() else { return };
        let (script, timezone) = (entry.flow.script().clone(), entry.flow.customer_timezone());
        let group = entry.group().map(|group| group.name.clone());
        let promise = entry.outbound.as_ref().map(|outbound| outbound.promise);
        let kind = entry.outbound.as_ref().map(|outbound| outbound.kind);
        let (past_group, by) = (group.clone(), operator.clone());
        let past = self.aftermath.0.entry(call).or_insert_with(|| Past {
            script,
            phone: phone.clone(),
            timezone,
            open: 0,
            is_over: false,
            rating: None,
            was_asked: false,
            was_about_rating: kind == Some(PromiseKind::CallbackLowRating),
            operator: by.clone(),
            group: past_group,
            last: None,
        });
        past.open += 1;
        past.operator = by;
        past.group.clone_from(&group);
        self.with_ledger(now, |ledger, wall, acts| match promise {
            Some(promise) => ledger.talking(wall, promise, Some(operator.clone()), acts),
            None => ledger.customer_reached(wall, &phone, operator, group.as_deref(), acts),
        });
    }

    /// Nothing more will be said in this call.
    pub(super) fn call_is_over(&mut self, now: Timestamp, call: CallId) {
        if let Some(past) = self.aftermath.0.get_mut(&call) {
            past.is_over = true;
        }
        self.ask_for_ratings(now, call);
    }

    /// The surveys of the plan that want to know of this conversation.
    fn ask_for_ratings(&mut self, now: Timestamp, call: CallId) {
        let Some(past) = self.aftermath.take_finished(call) else { return };
        if past.was_asked || past.was_about_rating {
            return;
        }
        let Some(last) = past.last else { return };
        let surveys = past.script.robots.values().filter(|robot| match &robot.trigger {
            Trigger::Conversation { talk_at_least_ms, groups } => {
                let is_theirs = last.group.as_ref().is_some_and(|group| groups.contains(group));
                last.talk_ms >= *talk_at_least_ms && (groups.is_empty() || is_theirs)
            }
            Trigger::Event(_) => false,
        });
        for survey in surveys {
            let new = NewPromise {
                id: self.ids.promise(now),
                kind: PromiseKind::RatingCall,
                name: survey.name.clone(),
                phone: past.phone.clone(),
                group: last.group.clone(),
                script: past.script.name.clone(),
                due: self.calendar.wall(now).plus_ms(survey.within_ms),
                not_before: None,
                place: None,
                about: About {
                    call: Some(call),
                    operator: Some(last.operator.clone()),
                    group: last.group.clone(),
                    topic: last.topic.clone(),
                    timezone: past.timezone.clone(),
                    ..About::default()
                },
                event: Some(format!("{} {call}", survey.name)),
            };
            let wall = self.calendar.wall(now);
            self.ledger.make(wall, new, &mut self.promise_acts);
        }
    }
}
