//! Digits that a caller types for `ask`.

use crate::dialplan::plan::Ask;
use crate::domain::{CallFact, Key, Timestamp};

use super::{Command, Cursor, Flow, Next, Waiting};

/// An `ask` under way.
#[derive(Debug)]
pub(super) struct Digits {
    pub(super) ask: Ask,
    pub(super) typed: String,
    pub(super) failed: u8,
    pub(super) until: Option<Timestamp>,
}

/// What is asked of the caller.
impl Flow {
    pub(super) fn ask(&mut self, ask: &Ask, now: Timestamp, out: &mut Vec<Command>) -> Next {
        self.say(ask.prompt.clone(), now, out);
        let digits = Digits { ask: ask.clone(), typed: String::new(), failed: 0, until: None };
        self.waiting = Waiting::Digits(digits);
        while let Some(key) = self.typed_ahead.pop_front() {
            if self.add_digit(key) {
                self.complete_digits(out);
                return Next::Run;
            }
        }
        match std::mem::replace(&mut self.waiting, Waiting::Over) {
            Waiting::Digits(mut digits) => {
                let started = !digits.typed.is_empty();
                digits.until = started.then(|| now.plus_ms(digits.ask.wait_ms));
                Next::Wait(Waiting::Digits(digits))
            }
            other => Next::Wait(other),
        }
    }

    pub(super) fn take_digit(&mut self, now: Timestamp, key: Key, out: &mut Vec<Command>) {
        if self.add_digit(key) {
            self.complete_digits(out);
            self.run(now, out);
        } else if let Waiting::Digits(digits) = &mut self.waiting {
            digits.until = Some(now.plus_ms(digits.ask.wait_ms));
        }
    }

    /// True if the input is complete with this key.
    fn add_digit(&mut self, key: Key) -> bool {
        let Waiting::Digits(digits) = &mut self.waiting else { return false };
        if Some(key) == digits.ask.end {
            return !digits.typed.is_empty();
        }
        if key.as_char().is_ascii_digit() {
            digits.typed.push(key.as_char());
        }
        digits.typed.len() >= digits.ask.digits
    }

    fn complete_digits(&mut self, out: &mut Vec<Command>) {
        let Waiting::Digits(digits) = &mut self.waiting else { return };
        let typed = std::mem::take(&mut digits.typed);
        let variable = digits.ask.variable.clone();
        let digits = typed.len();
        self.knowledge.set_variable(&variable, typed);
        out.push(self.record(CallFact::Entered { variable, digits }));
    }

    /// The pause after the last digit was long enough, or none came at all.
    pub(super) fn end_digits(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let Waiting::Digits(digits) = &mut self.waiting else { return };
        if !digits.typed.is_empty() {
            self.complete_digits(out);
            return self.run(now, out);
        }
        digits.failed = digits.failed.saturating_add(1);
        if digits.failed < digits.ask.tries {
            digits.until = None;
            let prompt = digits.ask.prompt.clone();
            self.say(prompt, now, out);
            if self.plays.is_empty() {
                self.on_silence(now, out);
            }
            return;
        }
        let silence = digits.ask.silence.clone();
        self.complete_digits(out);
        self.stack.push(Cursor { block: silence, next: 0 });
        self.run(now, out);
    }
}
