//! A customer whom we call back: hears who calls and why, says perhaps by a key to be a human, and
//! joins the line when that was heard to its end.

use std::sync::Arc;

use crate::dialplan::plan::{Block, Pieces, Script, Statement};
use crate::dialplan::waiting;
use crate::domain::{CallId, EndReason, Key, LegId, Timestamp};

use super::{Activity, Command, Entry, Flow, Knowledge, Setting, Waiting, recording};

/// Silence after the question that counts as an answer: nobody is there.
const ANSWER_MS: u64 = 5_000;
/// How often the question is heard.
const TRIES: u8 = 2;

/// How a customer is called back.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Of the script: whose line is joined, by [`LineRequest::Join`](super::LineRequest::Join).
    pub group: String,
    /// Who calls, and why.
    pub prompt: Pieces,
    /// Only who presses this key joins the line.
    pub press: Option<Key>,
}

/// The question whether a human is there.
#[derive(Debug)]
pub(super) struct Greeting {
    callback: Callback,
    press: Key,
    failed: u8,
    /// When the silence has become an answer. `None`: the question is being heard.
    pub(super) until: Option<Timestamp>,
}

impl Greeting {
    pub(super) fn on_heard(&mut self, now: Timestamp) {
        self.until.get_or_insert(now.plus_ms(ANSWER_MS));
    }
}

impl Flow {
    /// A call to a customer that waits to be picked up.
    pub fn for_callback(
        call: CallId,
        leg: LegId,
        script: Arc<Script>,
        callback: Callback,
        knowledge: Knowledge,
        setting: Setting,
    ) -> Self {
        let flow = Self::new(call, leg, script, Block::default(), knowledge, setting);
        let waiting = Waiting::Confirmation { entry: Entry::Callback(callback) };
        Self { is_callback: true, waiting, ..flow }
    }

    pub(super) fn greet(&mut self, callback: Callback, now: Timestamp, out: &mut Vec<Command>) {
        match callback.press {
            None => {
                self.say_in_any_case(callback.prompt.clone(), now, out);
                self.join_when_heard(&callback, now, out);
            }
            Some(press) => {
                let greeting = Greeting { callback, press, failed: 0, until: None };
                self.ask_for_human(greeting, now, out);
            }
        }
    }

    fn ask_for_human(&mut self, greeting: Greeting, now: Timestamp, out: &mut Vec<Command>) {
        self.say_in_any_case(greeting.callback.prompt.clone(), now, out);
        self.say_in_any_case([recording(waiting::PRESS)], now, out);
        self.waiting = Waiting::Greeting(greeting);
        if self.plays.is_empty() {
            self.on_silence(now, out);
        }
    }

    pub(super) fn take_greeting_key(&mut self, now: Timestamp, key: Key, out: &mut Vec<Command>) {
        let Waiting::Greeting(greeting) = &self.waiting else { return };
        self.cut(out);
        if key == greeting.press {
            let callback = greeting.callback.clone();
            self.join_when_heard(&callback, now, out);
        } else {
            self.greeting_failed(now, out);
        }
    }

    /// Nobody answers, or not as we asked.
    pub(super) fn greeting_failed(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let waiting = std::mem::replace(&mut self.waiting, Waiting::Over);
        let Waiting::Greeting(mut greeting) = waiting else {
            self.waiting = waiting;
            return;
        };
        greeting.failed += 1;
        greeting.until = None;
        if greeting.failed < TRIES {
            self.ask_for_human(greeting, now, out);
        } else {
            self.waiting = Waiting::LastWords { reason: EndReason::HungUp };
            if self.plays.is_empty() {
                self.on_silence(now, out);
            }
        }
    }

    fn join_when_heard(&mut self, callback: &Callback, now: Timestamp, out: &mut Vec<Command>) {
        let queue = Statement::Queue { group: callback.group.clone() };
        self.enter(Activity::Walk, Block::from([queue]));
        self.run(now, out);
    }
}
