//! One call's walk through the plan.
//!
//! Statements run ahead of what is heard: `say` orders recordings and goes on, so that a lookup is
//! under way while the greeting plays; only what needs the caller (a key, the end of the call)
//! waits. A key pressed before anybody asked for it is kept for the next menu, and what would have
//! been said until then is skipped, as people expect who know the way.
//!
//! - `say`: recordings and values
//! - `ask`: digits
//! - `lookup`: questions to the CRM
//! - [`line`](mod@line): the line of a group, and the conversation that it leads to
//! - `comfort`: what callers hear while they wait; `callback`: those who would rather be called back
//! - [`deeds`]: what a call does that outlives it
//! - `introduction`: how the caller is introduced to operators

mod ask;
mod callback;
mod comfort;
pub mod deeds;
mod introduction;
pub mod line;
mod lookup;
mod say;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::dialplan::plan::{Block, Due, Group, Menu, Promise, Script, Statement};
use crate::domain::{
    CallFact, CallId, EndReason, EndedBy, Key, Language, LegId, PhoneNumber, PlayId, PromiseKind,
    RecordingId, Region, Timestamp,
};
use crate::speech::Catalogue;

use super::condition;
use super::event::{Command, LookupAnswer, LookupRequest};
use super::knowledge::{Knowledge, Known};
use ask::Digits;
use comfort::Comfort;
use line::{Stay, Talk};
use lookup::Asking;
use say::{phrases, recording};

pub use line::{LineRequest, Outlook};

/// Statements between two things that a caller notices; more is a plan that runs in circles.
const STATEMENTS_MAX: u32 = 1_000;
/// Keys kept for a menu that is not reached yet; more are forgotten.
const TYPED_AHEAD_MAX: usize = 32;
/// Plays ordered and not yet heard; with more, the plan waits.
const PLAYS_MAX: usize = 16;
/// Silence between two fillers while the CRM still thinks.
const FILLER_PAUSE_MS: u64 = 3_000;

/// Where a caller is in the plan.
#[derive(Debug)]
pub struct Flow {
    call: CallId,
    /// The caller's.
    leg: LegId,
    script: Arc<Script>,
    catalogue: Arc<Catalogue>,
    knowledge: Knowledge,
    /// In whose way callers type telephone numbers.
    region: Region,
    /// Blocks under way, the innermost last.
    stack: Vec<Cursor>,
    activity: Activity,
    menu: Option<MenuVisit>,
    waiting: Waiting,
    /// Ordered and not yet heard to the end, oldest first.
    plays: VecDeque<Play>,
    /// When the oldest of `plays` began.
    hearing_since: Timestamp,
    typed_ahead: VecDeque<Key>,
    plays_ordered: u32,
    lookups_asked: u32,
    /// For whoever drives this flow, oldest first; taken after each event.
    requests: Vec<LineRequest>,
    is_recording_announced: bool,
    /// By lines and operators, since the world was heard of last.
    refusals: u8,
}

/// The next statement of a block.
#[derive(Debug)]
struct Cursor {
    block: Block,
    next: usize,
}

/// What the blocks on the stack are part of; decides what follows when they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    /// A number's block or a step.
    Walk,
    MenuPrompt,
    MenuKey,
    MenuSilence,
    MenuWrong,
}

/// The menu that the caller is in, or was in last.
#[derive(Clone, Debug)]
struct MenuVisit {
    name: String,
    /// Rounds without a valid key.
    failed: u8,
}

/// What the walk stands still for.
#[derive(Debug)]
enum Waiting {
    /// The caller's phone has yet to acknowledge the answer.
    Confirmation {
        entry: Block,
    },
    /// A key for the menu. The clock starts when the prompt was heard.
    MenuKey {
        until: Option<Timestamp>,
    },
    Digits(Digits),
    Lookup(Asking),
    /// Too much is ordered to be played.
    Room,
    /// The notice that conversations are recorded is heard; then the line is joined.
    Notice {
        group: Arc<Group>,
    },
    /// The answer to `LineRequest::Join`.
    Joining {
        group: Arc<Group>,
    },
    /// An operator of the group.
    Line(Box<Stay>),
    /// One operator, whose phone rings.
    Ringing(Comfort),
    /// The end of the conversation with an operator.
    Talking(Talk),
    /// Everything was said: the call ends for this reason when it was heard.
    LastWords {
        reason: EndReason,
    },
    Over,
}

/// What is being said, or will be next.
#[derive(Debug)]
struct Play {
    id: PlayId,
    language: Language,
    recordings: Vec<RecordingId>,
    text: String,
}

/// Whether the walk goes on with the next statement.
enum Next {
    Run,
    Wait(Waiting),
}

impl Flow {
    /// A call that waits to be answered and then begins with `entry`.
    pub fn new(
        call: CallId,
        leg: LegId,
        script: Arc<Script>,
        entry: Block,
        catalogue: Arc<Catalogue>,
        knowledge: Knowledge,
        region: Region,
    ) -> Self {
        Self {
            call,
            leg,
            script,
            catalogue,
            knowledge,
            region,
            stack: Vec::new(),
            activity: Activity::Walk,
            menu: None,
            waiting: Waiting::Confirmation { entry },
            plays: VecDeque::new(),
            hearing_since: Timestamp::default(),
            typed_ahead: VecDeque::new(),
            plays_ordered: 0,
            lookups_asked: 0,
            requests: Vec::new(),
            is_recording_announced: false,
            refusals: 0,
        }
    }

    /// The file of the plan that the call follows.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// When [`Flow::on_time`] wants to be called.
    pub fn timer(&self) -> Option<Timestamp> {
        match &self.waiting {
            Waiting::MenuKey { until } => *until,
            Waiting::Digits(digits) => digits.until,
            Waiting::Lookup(asking) if self.plays.is_empty() => Some(asking.filler_at),
            Waiting::Line(stay) => match &stay.dialogue {
                Some(dialogue) => dialogue.until,
                None => stay.comfort.next().filter(|_| self.plays.is_empty()),
            },
            Waiting::Ringing(comfort) | Waiting::Talking(Talk { hold: Some(comfort), .. }) => {
                comfort.next().filter(|_| self.plays.is_empty())
            }
            Waiting::Lookup(_)
            | Waiting::Confirmation { .. }
            | Waiting::Room
            | Waiting::Notice { .. }
            | Waiting::Joining { .. }
            | Waiting::Talking(Talk { hold: None, .. })
            | Waiting::LastWords { .. }
            | Waiting::Over => None,
        }
    }

    /// The caller can hear us.
    pub fn on_confirmed(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        if let Waiting::Confirmation { entry } = &self.waiting {
            let entry = entry.clone();
            out.push(self.record(CallFact::Answered));
            self.enter(Activity::Walk, entry);
            self.run(now, out);
        }
    }

    pub fn on_key(&mut self, now: Timestamp, key: Key, out: &mut Vec<Command>) {
        self.refusals = 0;
        match &mut self.waiting {
            Waiting::MenuKey { .. } => {
                self.cut(out);
                self.take_menu_key(key);
                self.run(now, out);
            }
            Waiting::Digits(_) => {
                self.cut(out);
                self.take_digit(now, key, out);
            }
            Waiting::Lookup(_) | Waiting::Room | Waiting::Confirmation { .. } => {
                self.cut(out);
                if self.typed_ahead.len() < TYPED_AHEAD_MAX {
                    self.typed_ahead.push_back(key);
                }
            }
            Waiting::LastWords { .. } => self.cut(out),
            Waiting::Notice { .. } | Waiting::Line(_) => self.take_line_key(now, key, out),
            Waiting::Joining { .. } | Waiting::Ringing(_) | Waiting::Talking(_) | Waiting::Over => {
            }
        }
    }

    /// Ends what is heard.
    fn cut(&self, out: &mut Vec<Command>) {
        if !self.plays.is_empty() {
            out.push(Command::StopPlaying { leg: self.leg });
        }
    }

    /// A play was heard to its end, or cut after so many milliseconds.
    pub fn on_play_ended(
        &mut self,
        now: Timestamp,
        play: PlayId,
        cut_after_ms: Option<u64>,
        out: &mut Vec<Command>,
    ) {
        self.refusals = 0;
        let Some(position) = self.plays.iter().position(|p| p.id == play) else { return };
        let Some(Play { language, recordings, text, .. }) = self.plays.remove(position) else {
            return;
        };
        let heard_ms = cut_after_ms.unwrap_or(now.since(self.hearing_since));
        self.hearing_since = now;
        // A tone without words is no news, however often it was heard.
        if cut_after_ms != Some(0) && !text.is_empty() {
            let is_cut = cut_after_ms.is_some();
            let said = CallFact::Said { language, recordings, text, heard_ms, is_cut };
            out.push(self.record(said));
        }
        if self.plays.is_empty() {
            self.on_silence(now, out);
        }
    }

    pub fn on_time(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        if self.timer().is_none_or(|due| due > now) {
            return;
        }
        self.refusals = 0;
        match &mut self.waiting {
            Waiting::MenuKey { .. } => {
                self.hear_menu_silence();
                self.run(now, out);
            }
            Waiting::Digits(_) => self.end_digits(now, out),
            Waiting::Lookup(asking) => {
                let filler = asking.lookup.filler.clone();
                asking.filler_said = true;
                // Counted anew when the filler was heard; an empty one is not due at once again.
                asking.filler_at = now.plus_ms(FILLER_PAUSE_MS);
                self.say_in_any_case(&filler, now, out);
            }
            Waiting::Line(stay) if stay.dialogue.is_some() => self.on_callback_silence(now, out),
            Waiting::Line(_) | Waiting::Ringing(_) | Waiting::Talking(_) => self.comfort(now, out),
            Waiting::Confirmation { .. }
            | Waiting::Room
            | Waiting::Notice { .. }
            | Waiting::Joining { .. }
            | Waiting::LastWords { .. }
            | Waiting::Over => {}
        }
    }

    /// The call is over: nothing will be decided any more, only what was heard is still written down.
    pub fn on_call_ended(&mut self, out: &mut Vec<Command>) {
        if let Waiting::Lookup(asking) = &self.waiting {
            out.push(Command::CancelLookup { call: self.call, lookup: asking.id });
        }
        self.waiting = Waiting::Over;
        self.requests.clear();
    }

    /// Nothing is being heard any more: the clocks that wait for the caller start.
    fn on_silence(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let menu_until = now.plus_ms(self.menu_wait_ms());
        match &mut self.waiting {
            Waiting::MenuKey { until } => *until = Some(menu_until),
            Waiting::Digits(digits) => {
                digits.until.get_or_insert(now.plus_ms(digits.ask.wait_ms));
            }
            Waiting::Lookup(asking) if asking.filler_said => {
                asking.filler_at = now.plus_ms(FILLER_PAUSE_MS);
            }
            Waiting::Lookup(_) => {}
            Waiting::Room => self.run(now, out),
            Waiting::Notice { group } => {
                let group = group.clone();
                self.waiting = self.join(group);
            }
            Waiting::Line(stay) => match &mut stay.dialogue {
                Some(dialogue) => dialogue.on_heard(now),
                None => stay.comfort.on_heard(now),
            },
            Waiting::Ringing(comfort) | Waiting::Talking(Talk { hold: Some(comfort), .. }) => {
                comfort.on_heard(now);
            }
            Waiting::LastWords { reason } => {
                let reason = *reason;
                self.hang_up(EndedBy::Plan, reason, out);
            }
            Waiting::Confirmation { .. }
            | Waiting::Joining { .. }
            | Waiting::Talking(Talk { hold: None, .. })
            | Waiting::Over => {}
        }
    }

    /// Runs statements until one of them has to wait.
    fn run(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        for _ in 0..STATEMENTS_MAX {
            if self.plays.len() >= PLAYS_MAX {
                self.waiting = Waiting::Room;
                return;
            }
            let next = match self.next_statement() {
                Some(statement) => self.execute(&statement, now, out),
                None => self.end_of_blocks(now, out),
            };
            if let Next::Wait(waiting) = next {
                self.waiting = waiting;
                if self.plays.is_empty() {
                    self.on_silence(now, out);
                }
                return;
            }
        }
        self.give_up(now, out);
    }

    /// The plan runs in circles.
    fn give_up(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        self.typed_ahead.clear();
        self.stack.clear();
        self.say(&[recording("phrase/sorry-error")], now, out);
        self.waiting = Waiting::LastWords { reason: EndReason::Failed };
    }

    fn next_statement(&mut self) -> Option<Statement> {
        loop {
            let cursor = self.stack.last_mut()?;
            if let Some(statement) = cursor.block.get(cursor.next) {
                cursor.next += 1;
                return Some(statement.clone());
            }
            self.stack.pop();
        }
    }

    fn execute(&mut self, statement: &Statement, now: Timestamp, out: &mut Vec<Command>) -> Next {
        match statement {
            Statement::Say(pieces) => self.say(pieces, now, out),
            Statement::LookupCustomer(lookup) => return self.look_up_customer(lookup, now, out),
            Statement::MatchCard { variable } => {
                let digits = self.knowledge.variable(variable).to_owned();
                self.knowledge.match_card(&digits);
            }
            Statement::LookupOrder { variable, lookup } => {
                return self.look_up_order(variable, lookup, now, out);
            }
            Statement::If { condition, then, otherwise } => {
                let holds = condition::holds(condition, &self.knowledge, &self.script, now);
                let block = if holds { then } else { otherwise }.clone();
                self.stack.push(Cursor { block, next: 0 });
            }
            Statement::Ask(ask) => return self.ask(ask, now, out),
            Statement::Go(name) => self.go(name, out),
            Statement::Repeat => self.enter_menu(),
            Statement::Language(language) => self.knowledge.language = *language,
            Statement::Queue { group } => return self.queue(group, now, out),
            Statement::Ring { operator, for_ms } => return self.ring(operator, *for_ms, now),
            Statement::Promise(promise) => self.promise(promise, now, out),
            Statement::Rate { .. }
            | Statement::Rated { .. }
            | Statement::DoNotCall
            | Statement::Bonus { .. }
            | Statement::OrderStatus { .. }
            | Statement::Message { .. } => {}
            Statement::Hangup => return self.last_words(),
        }
        Next::Run
    }

    /// What follows when the last block ended without saying where to go.
    fn end_of_blocks(&mut self, now: Timestamp, out: &mut Vec<Command>) -> Next {
        let Some(visit) = self.menu.clone() else { return self.farewell(now, out) };
        match self.activity {
            Activity::MenuPrompt => match self.typed_ahead.pop_front() {
                Some(key) => self.take_menu_key(key),
                None => return Next::Wait(Waiting::MenuKey { until: None }),
            },
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
            let prompt = menu.prompt.clone();
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

    fn enter(&mut self, activity: Activity, block: Block) {
        self.activity = activity;
        self.stack.clear();
        self.stack.push(Cursor { block, next: 0 });
    }

    /// From the beginning of the current menu.
    fn enter_menu(&mut self) {
        let Some(visit) = &mut self.menu else { return };
        visit.failed = 0;
        let prompt = self.script.menus.get(&visit.name).map(|menu| menu.prompt.clone());
        self.enter(Activity::MenuPrompt, prompt.unwrap_or_default());
    }

    fn go(&mut self, name: &str, out: &mut Vec<Command>) {
        out.push(self.record(CallFact::Step { name: name.to_owned() }));
        if let Some(step) = self.script.steps.get(name) {
            self.enter(Activity::Walk, step.clone());
        } else {
            self.menu = Some(MenuVisit { name: name.to_owned(), failed: 0 });
            self.enter_menu();
        }
    }

    fn current_menu(&self) -> Option<&Menu> {
        self.script.menus.get(&self.menu.as_ref()?.name)
    }

    fn menu_wait_ms(&self) -> u64 {
        self.current_menu().map_or(0, |menu| menu.wait_ms)
    }

    fn take_menu_key(&mut self, key: Key) {
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

    fn hear_menu_silence(&mut self) {
        let silence = self.current_menu().and_then(|menu| menu.silence.clone());
        let block = silence.unwrap_or_else(|| phrases(&["phrase/no-choice"]));
        self.enter(Activity::MenuSilence, block);
    }

    fn promise(&mut self, promise: &Promise, now: Timestamp, out: &mut Vec<Command>) {
        let due = match &promise.due {
            Due::After { ms } => now.plus_ms(*ms),
            Due::NextOpening { hours, plus_ms } => {
                let at = now.in_zone(&self.script.timezone);
                let opening = self.script.hours.get(hours).and_then(|h| h.next_opening(&at));
                opening.as_ref().map_or(now, Timestamp::from).plus_ms(*plus_ms)
            }
            Due::Named { variable: _ } => now,
        };
        self.record_promise(promise.kind, due, None, out);
    }

    fn record_promise(
        &self,
        promise: PromiseKind,
        due: Timestamp,
        number: Option<PhoneNumber>,
        out: &mut Vec<Command>,
    ) {
        let due = due.in_zone(&self.script.timezone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        out.push(self.record(CallFact::Promised { promise, due, number }));
    }

    fn last_words(&mut self) -> Next {
        self.stack.clear();
        Next::Wait(Waiting::LastWords { reason: EndReason::HungUp })
    }

    fn farewell(&mut self, now: Timestamp, out: &mut Vec<Command>) -> Next {
        self.say(&[recording("phrase/goodbye")], now, out);
        self.last_words()
    }

    fn hang_up(&mut self, by: EndedBy, reason: EndReason, out: &mut Vec<Command>) {
        self.waiting = Waiting::Over;
        out.push(Command::Hangup { leg: self.leg, by, reason });
    }

    fn record(&self, fact: CallFact) -> Command {
        Command::Record { call: self.call, fact }
    }
}
