//! A caller who would rather be called back: which number, is it right, goodbye. Until the last
//! answer the caller stays in the line, and an operator's answer ends the questions.

use crate::dialplan::plan::{Block, Due, Statement};
use crate::dialplan::waiting;
use crate::domain::{CallFact, Key, PhoneNumber, PromiseKind, Timestamp};
use crate::speech::{self, Format, Value};

use super::deeds::{Storing, until_stored};
use super::line::LineRequest;
use super::{Activity, Command, Flow, Waiting, recording};

/// The longest that a turn in the line is thought to take, in open time.
const CALLBACK_WITHIN_MS: u64 = 30 * 60_000;

/// Silence after a question, or after the last digit, that counts as an answer.
const ANSWER_MS: u64 = 5_000;
/// How often a question is heard before the caller waits on.
const TRIES: u8 = 2;
/// Longer numbers are mistakes.
const DIGITS_MAX: usize = 20;

/// A question and its answer so far.
#[derive(Debug)]
pub(super) struct Dialogue {
    question: Question,
    failed: u8,
    /// When the silence has become an answer. `None`: the question is being heard.
    pub(super) until: Option<Timestamp>,
}

impl Dialogue {
    /// The question was heard.
    pub(super) fn on_heard(&mut self, now: Timestamp) {
        self.until.get_or_insert(now.plus_ms(ANSWER_MS));
    }
}

#[derive(Clone, Debug)]
enum Question {
    /// 1: this one; 2: another one.
    ThisNumber(PhoneNumber),
    WhichNumber {
        typed: String,
    },
    /// 1: yes; 2: again.
    IsItRight {
        number: PhoneNumber,
        typed: String,
    },
}

impl Flow {
    pub(super) fn begin_callback(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let allowed = &self.script.call_to;
        let own = self.knowledge.caller.number().filter(|number| allowed.allows(number));
        let question = match own {
            Some(number) => Question::ThisNumber(number.clone()),
            None => Question::WhichNumber { typed: String::new() },
        };
        self.ask_callback(question, 0, now, out);
    }

    fn ask_callback(
        &mut self,
        question: Question,
        failed: u8,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) {
        self.cut(out);
        let spoken = match &question {
            Question::ThisNumber(_) => vec![self.sentence(waiting::CALLBACK_NUMBER)],
            Question::WhichNumber { .. } => vec![self.sentence(waiting::ENTER_PHONE)],
            Question::IsItRight { typed, .. } => {
                let language = self.knowledge.language;
                let today = self.today(now);
                let value = Value::Text(typed.clone());
                let digits =
                    speech::speak(language, Format::Digits, &value, today, &self.setting.catalogue);
                let you_entered = self.sentence(waiting::YOU_ENTERED);
                vec![you_entered, digits.ok(), self.sentence(waiting::PRESS_1_IF_RIGHT)]
            }
        };
        let Waiting::Line(stay) = &mut self.waiting else { return };
        stay.dialogue = Some(Dialogue { question, failed, until: None });
        for part in spoken {
            self.play_if_recorded(part, now, out);
        }
        if self.plays.is_empty() {
            self.on_silence(now, out);
        }
    }

    pub(super) fn take_callback_key(&mut self, now: Timestamp, key: Key, out: &mut Vec<Command>) {
        let Waiting::Line(stay) = &mut self.waiting else { return };
        let Some(dialogue) = &mut stay.dialogue else { return };
        match (&mut dialogue.question, key.as_char()) {
            (Question::ThisNumber(number) | Question::IsItRight { number, .. }, '1') => {
                let number = number.clone();
                self.promise_callback(number, now, out);
            }
            (Question::ThisNumber(_) | Question::IsItRight { .. }, '2') => {
                let question = Question::WhichNumber { typed: String::new() };
                self.ask_callback(question, 0, now, out);
            }
            (Question::ThisNumber(_) | Question::IsItRight { .. }, _) => {
                self.callback_failed(now, out);
            }
            (Question::WhichNumber { .. }, '#') => self.end_callback_number(now, out),
            (Question::WhichNumber { typed }, digit) => {
                if digit.is_ascii_digit() && typed.len() < DIGITS_MAX {
                    typed.push(digit);
                }
                dialogue.until = Some(now.plus_ms(ANSWER_MS));
                self.cut(out);
            }
        }
    }

    /// The caller said no more.
    pub(super) fn on_callback_silence(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let Waiting::Line(stay) = &self.waiting else { return };
        match stay.dialogue.as_ref().map(|dialogue| &dialogue.question) {
            Some(Question::WhichNumber { .. }) => self.end_callback_number(now, out),
            Some(Question::ThisNumber(_) | Question::IsItRight { .. }) => {
                self.callback_failed(now, out);
            }
            None => {}
        }
    }

    fn end_callback_number(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let Waiting::Line(stay) = &self.waiting else { return };
        let Some(Dialogue { question: Question::WhichNumber { typed }, failed, .. }) =
            &stay.dialogue
        else {
            return;
        };
        let (typed, failed) = (typed.clone(), *failed);
        let number = PhoneNumber::parse(&typed, self.setting.region);
        let may_be_called = |number: &PhoneNumber| {
            number.has_possible_length() && self.script.call_to.allows(number)
        };
        match number.filter(may_be_called) {
            Some(number) => {
                let (variable, digits) = ("callback-number".to_owned(), typed.len());
                out.push(self.record(CallFact::Entered { variable, digits }));
                self.ask_callback(Question::IsItRight { number, typed }, failed, now, out);
            }
            None => self.callback_failed(now, out),
        }
    }

    /// Nothing came, or nothing that makes sense: once more, or on with the waiting.
    fn callback_failed(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let Waiting::Line(stay) = &mut self.waiting else { return };
        let Some(Dialogue { question, failed, .. }) = stay.dialogue.take() else { return };
        let failed = failed + 1;
        if failed < TRIES {
            let question = match question {
                Question::WhichNumber { .. } => Question::WhichNumber { typed: String::new() },
                Question::ThisNumber(_) | Question::IsItRight { .. } => question,
            };
            return self.ask_callback(question, failed, now, out);
        }
        stay.comfort.on_heard(now);
        self.cut(out);
        let still_busy = self.sentence(waiting::STILL_BUSY);
        self.play_if_recorded(still_busy, now, out);
    }

    fn promise_callback(&mut self, number: PhoneNumber, now: Timestamp, out: &mut Vec<Command>) {
        let Waiting::Line(stay) = &self.waiting else { return };
        let group = stay.group.name.clone();
        let within = Due::After { ms: CALLBACK_WITHIN_MS };
        let due = self.due_time(&within, now).due;
        self.record_promise(PromiseKind::CallbackFromLine, due, Some(number.clone()), out);
        self.requests.push(LineRequest::Callback { number, group, due });
        self.cut(out);
        let promised = Statement::Say([recording(waiting::CALLBACK_PROMISED)].into());
        self.enter(Activity::Walk, Block::from([promised, Statement::Hangup]));
        self.waiting = until_stored(Storing::Promise, now);
    }
}
