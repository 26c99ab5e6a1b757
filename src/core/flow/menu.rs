//! Questions with keys: rounds, wrong keys, silence, and the question how the conversation was.

use crate::dialplan::plan::{Block, Menu};
use crate::dialplan::waiting;
use crate::domain::{CallFact, Key, Timestamp};

use super::{Activity, Command, Flow, Next, Waiting, phrases};

/// The menu that the caller is in, or was in last.
#[derive(Clone, Debug)]
pub(super) struct MenuVisit {
    name: String,
    /// Rounds without a valid key.
    failed: u8,
    /// A survey of the plan, asked in the same call: it needs no introduction.
    is_rating: bool,
}

impl Flow {
    /// What follows when the last block ended without saying where to go.
    pub(super) fn end_of_blocks(&mut self, now: Timestamp, out: &mut Vec<Command>) -> Next {
        let Some(visit) = self.menu.clone() else { return self.farewell(now, out) };
        match self.activity {
            Activity::MenuPrompt => match self.typed_ahead.pop_front() {
                Some(key) => self.take_menu_key(key),
                None => return Next::Wait(Waiting::MenuKey { until: None }),
            },
            // A robot asks once: what it was told is not asked again.
            Activity::Walk | Activity::MenuKey if self.is_in_robot(&visit) => {
                return self.farewell(now, out);
            }
            Activity::Walk | Activity::MenuKey => self.enter_menu(),
            Activity::MenuSilence | Activity::MenuWrong => return self.next_round(visit, now, out),
        }
        Next::Run
    }

    /// A round of the menu brought no valid key: once more, or enough.
    fn next_round(&mut self, visit: MenuVisit, now: Timestamp, out: &mut Vec<Command>) -> Next {
        let Some(menu) = self.script.menus.get(&visit.name) else { return self.farewell(now, out) };
        let failed = visit.failed.saturating_add(1);
        if failed < menu.tries {
            let prompt = prompt(menu, &visit);
            self.menu = Some(MenuVisit { failed, ..visit });
            self.enter(Activity::MenuPrompt, prompt);
            return Next::Run;
        }
        // Wrong keys to the end: the silence branch is where the plan helps those who don't choose.
        match menu.silence.clone().filter(|_| self.activity == Activity::MenuWrong) {
            Some(silence) => {
                self.menu = Some(MenuVisit { failed, ..visit });
                self.enter(Activity::MenuSilence, silence);
                Next::Run
            }
            None => self.farewell(now, out),
        }
    }

    fn is_in_robot(&self, visit: &MenuVisit) -> bool {
        self.script.robots.contains_key(&visit.name)
    }

    /// From the beginning of the current menu.
    pub(super) fn enter_menu(&mut self) {
        let Some(visit) = &mut self.menu else { return };
        visit.failed = 0;
        let prompt = self.script.menus.get(&visit.name).map(|menu| prompt(menu, visit));
        self.enter(Activity::MenuPrompt, prompt.unwrap_or_default());
    }

    pub(super) fn go(&mut self, name: &str, out: &mut Vec<Command>) {
        out.push(self.record(CallFact::Step { name: name.to_owned() }));
        if let Some(step) = self.script.steps.get(name) {
            self.enter(Activity::Walk, step.clone());
        } else {
            self.enter_menu_of(name, false);
        }
    }

    /// Asks how the conversation was, by the menu of the survey.
    pub(super) fn rate(&mut self, survey: &str, out: &mut Vec<Command>) {
        if self.script.menus.contains_key(survey) {
            out.push(self.record(CallFact::Step { name: survey.to_owned() }));
            out.push(self.record(CallFact::Asked { survey: survey.to_owned() }));
            self.enter_menu_of(survey, true);
        }
    }

    fn enter_menu_of(&mut self, name: &str, is_rating: bool) {
        self.menu = Some(MenuVisit { name: name.to_owned(), failed: 0, is_rating });
        self.enter_menu();
    }

    fn current_menu(&self) -> Option<&Menu> {
        self.script.menus.get(&self.menu.as_ref()?.name)
    }

    pub(super) fn menu_wait_ms(&self) -> u64 {
        self.current_menu().map_or(0, |menu| menu.wait_ms)
    }

    pub(super) fn take_menu_key(&mut self, key: Key) {
        let Some(menu) = self.current_menu() else { return };
        let (activity, block) = match menu.keys.get(&key) {
            Some(block) => (Activity::MenuKey, block.clone()),
            None => (Activity::MenuWrong, menu.wrong.clone()),
        };
        if activity == Activity::MenuWrong {
            self.typed_ahead.clear();
        }
        self.enter(activity, block);
    }

    pub(super) fn hear_menu_silence(&mut self) {
        let silence = self.current_menu().and_then(|menu| menu.silence.clone());
        let block = silence.unwrap_or_else(|| phrases(&["phrase/no-choice"]));
        self.enter(Activity::MenuSilence, block);
    }
}

fn prompt(menu: &Menu, visit: &MenuVisit) -> Block {
    if visit.is_rating { phrases(&[waiting::RATE]) } else { menu.prompt.clone() }
}
