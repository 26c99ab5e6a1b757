//! One call's walk through the plan.
//!
//! Statements run ahead of what is heard: `say` orders recordings and goes on, so that a lookup is
//! under way while the greeting plays; only what needs the caller (a key, the end of the call)
//! waits. A key pressed before anybody asked for it is kept for the next menu, and what would have
//! been said until then is skipped, as people expect who know the way.
//!
//! - `say`: recordings and values
//! - `menu`: questions with keys; `ask`: digits
//! - `lookup`: questions to the CRM
//! - [`line`](mod@line): the line of a group, and the conversation that it leads to
//! - `comfort`: what callers hear while they wait; `callback`: those who would rather be called back
//! - [`deeds`]: what a call does that outlives it; `message`: what the caller leaves to be heard later
//! - `outgoing`: a customer whom we call back
//! - `introduction`: how the caller is introduced to operators

mod ask;
mod callback;
mod comfort;
pub mod deeds;
mod introduction;
pub mod line;
mod lookup;
mod menu;
mod message;
mod outgoing;
mod say;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::civil::Date;

use crate::dialplan::plan::{Block, Group, Script, Statement};
use crate::domain::{
    Calendar, CallFact, CallId, EndReason, EndedBy, Key, Language, LegId, PlayId, Region, Timestamp,
};
use crate::speech::Catalogue;

use super::condition;
use super::event::{Command, LookupAnswer, LookupRequest};
use super::knowledge::{Knowledge, Known};
use ask::Digits;
use comfort::Comfort;
use deeds::{Deed, Storing};
use line::{Stay, Talk};
use lookup::Asking;
use menu::MenuVisit;
use outgoing::Greeting;
use say::{Said, phrases, recording};

pub use introduction::display_callback;
pub use line::{LineRequest, Outlook};
pub use outgoing::Callback;

/// Statements between two things that a caller notices; more is a plan that runs in circles.
const STATEMENTS_MAX: u32 = 1_000;
/// Keys kept for a menu that is not reached yet; more are forgotten.
const TYPED_AHEAD_MAX: usize = 32;
/// Plays ordered and not yet heard; with more, the plan waits.
const PLAYS_MAX: usize = 16;
/// Silence between two fillers while the CRM still thinks.
const FILLER_PAUSE_MS: u64 = 3_000;

/// What every walk of the house has in common.
#[derive(Clone, Debug)]
pub struct Setting {
    pub catalogue: Arc<Catalogue>,
    /// In whose way callers type telephone numbers.
    pub region: Region,
    /// What the wall clock says: hours, dates and due times follow it.
    pub calendar: Calendar,
}

/// Where a caller is in the plan.
#[derive(Debug)]
pub struct Flow {
    call: CallId,
    /// The caller's.
    leg: LegId,
    script: Arc<Script>,
    setting: Setting,
    knowledge: Knowledge,
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
    /// The same.
    deeds: Vec<Deed>,
    /// Why the caller was given points already: the same reason counts once.
    bonuses: BTreeSet<String>,
    is_recording_announced: bool,
    /// We called, because that was promised.
    is_callback: bool,
    has_heard_key: bool,
    /// The operator has said goodbye: we need not.
    is_after_talk: bool,
    /// By lines and operators, since the world was heard of last.
    refusals: u8,
}

/// What follows when the call is answered.
#[derive(Clone, Debug)]
enum Entry {
    Plan(Block),
    Callback(Callback),
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

/// What the walk stands still for.
#[derive(Debug)]
enum Waiting {
    /// The caller's phone has yet to acknowledge the answer.
    Confirmation {
        entry: Entry,
    },
    /// A key for the menu. The clock starts when the prompt was heard.
    MenuKey {
        until: Option<Timestamp>,
    },
    Digits(Digits),
    Lookup(Asking),
    /// What is promised or rated is being stored; not for ever.
    Deed {
        storing: Storing,
        until: Timestamp,
    },
    /// What was said before the message, and the beep, is heard.
    Beep {
        max_ms: u64,
    },
    /// What the caller says is written down.
    Message {
        until: Timestamp,
    },
    /// The customer whom we called is greeted, and says by a key to be a human.
    Greeting(Greeting),
    /// Too much is ordered to be played.
    Room,
    /// The notice that conversations are recorded, or who calls and why, is heard; then the line is
    /// joined.
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
    said: Said,
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
        mut knowledge: Knowledge,
        setting: Setting,
    ) -> Self {
        knowledge.set_call_to(&script.call_to);
        Self {
            call,
            leg,
            script,
            setting,
            knowledge,
            stack: Vec::new(),
            activity: Activity::Walk,
            menu: None,
            waiting: Waiting::Confirmation { entry: Entry::Plan(entry) },
            plays: VecDeque::new(),
            hearing_since: Timestamp::default(),
            typed_ahead: VecDeque::new(),
            plays_ordered: 0,
            lookups_asked: 0,
            requests: Vec::new(),
            deeds: Vec::new(),
            bonuses: BTreeSet::new(),
            is_recording_announced: false,
            is_callback: false,
            has_heard_key: false,
            is_after_talk: false,
            refusals: 0,
        }
    }

    /// The file of the plan that the call follows.
    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    /// The time zone in which the customer lives, if the CRM knows it: an IANA name.
    pub fn customer_timezone(&self) -> Option<String> {
        self.knowledge.customer_timezone()
    }

    /// The wall clock was set.
    pub fn set_calendar(&mut self, calendar: Calendar) {
        self.setting.calendar = calendar;
    }

    /// What is known of the caller, for what the house learns during the call.
    pub fn knowledge_mut(&mut self) -> &mut Knowledge {
        &mut self.knowledge
    }

    /// Whether a key was ever pressed: a human is there, and no answering machine.
    pub fn has_heard_key(&self) -> bool {
        self.has_heard_key
    }

    /// What the wall clock says.
    fn wall(&self, now: Timestamp) -> Timestamp {
        self.setting.calendar.wall(now)
    }

    /// The day in the time zone of the plan.
    fn today(&self, now: Timestamp) -> Date {
        self.wall(now).in_zone(&self.script.timezone).date()
    }

    /// When [`Flow::on_time`] wants to be called.
    pub fn timer(&self) -> Option<Timestamp> {
        match &self.waiting {
            Waiting::MenuKey { until } => *until,
            Waiting::Digits(digits) => digits.until,
            Waiting::Deed { until, .. } | Waiting::Message { until } => Some(*until),
            Waiting::Greeting(greeting) => greeting.until,
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
            | Waiting::Beep { .. }
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
            match entry {
                Entry::Plan(block) => {
                    self.enter(Activity::Walk, block);
                    self.run(now, out);
                }
                Entry::Callback(callback) => self.greet(callback, now, out),
            }
        }
    }

    pub fn on_key(&mut self, now: Timestamp, key: Key, out: &mut Vec<Command>) {
        self.refusals = 0;
        self.has_heard_key = true;
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
            Waiting::Lookup(_)
            | Waiting::Deed { .. }
            | Waiting::Room
            | Waiting::Confirmation { .. } => {
                self.cut(out);
                if self.typed_ahead.len() < TYPED_AHEAD_MAX {
                    self.typed_ahead.push_back(key);
                }
            }
            Waiting::Beep { .. } | Waiting::LastWords { .. } => self.cut(out),
            Waiting::Message { .. } => self.end_message(now, out),
            Waiting::Greeting(_) => self.take_greeting_key(now, key, out),
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
        let Some(Play { language, said, .. }) = self.plays.remove(position) else { return };
        let heard_ms = cut_after_ms.unwrap_or(now.since(self.hearing_since));
        self.hearing_since = now;
        // A tone without words is no news, however often it was heard.
        let text = said.text(language, &self.setting.catalogue);
        if cut_after_ms != Some(0) && !text.is_empty() {
            let (recordings, is_cut) = (said.recordings(), cut_after_ms.is_some());
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
                self.say_in_any_case(filler, now, out);
            }
            Waiting::Line(stay) if stay.dialogue.is_some() => self.on_callback_silence(now, out),
            Waiting::Line(_) | Waiting::Ringing(_) | Waiting::Talking(_) => self.comfort(now, out),
            Waiting::Deed { storing, .. } => {
                let storing = *storing;
                self.on_not_stored(storing, now, out);
            }
            Waiting::Message { .. } => self.end_message(now, out),
            Waiting::Greeting(_) => self.greeting_failed(now, out),
            Waiting::Confirmation { .. }
            | Waiting::Beep { .. }
            | Waiting::Room
            | Waiting::Notice { .. }
            | Waiting::Joining { .. }
            | Waiting::LastWords { .. }
            | Waiting::Over => {}
        }
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
            Waiting::Beep { max_ms } => {
                let max_ms = *max_ms;
                self.begin_message(max_ms, now);
            }
            Waiting::Greeting(greeting) => greeting.on_heard(now),
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
            | Waiting::Deed { .. }
            | Waiting::Message { .. }
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
        self.say([recording("phrase/sorry-error")], now, out);
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
            Statement::Say(pieces) => self.say(pieces.clone(), now, out),
            Statement::LookupCustomer(lookup) => return self.look_up_customer(lookup, now, out),
            Statement::MatchCard { variable } => {
                let digits = self.knowledge.variable(variable).to_owned();
                self.knowledge.match_card(&digits);
            }
            Statement::LookupOrder { variable, lookup } => {
                return self.look_up_order(variable, lookup, now, out);
            }
            Statement::If { condition, then, otherwise } => {
                let wall = self.wall(now);
                let holds = condition::holds(condition, &self.knowledge, &self.script, wall);
                let block = if holds { then } else { otherwise }.clone();
                self.stack.push(Cursor { block, next: 0 });
            }
            Statement::Ask(ask) => return self.ask(ask, now, out),
            Statement::Go(name) => self.go(name, out),
            Statement::Repeat => self.enter_menu(),
            Statement::Language(language) => self.knowledge.language = *language,
            Statement::Queue { group } => return self.queue(group, now, out),
            Statement::Ring { operator, for_ms } => return self.ring(operator, *for_ms, now),
            Statement::Promise(promise) => return self.promise(promise, now, out),
            Statement::Rate { survey } => self.rate(survey, out),
            Statement::Rated { survey, variable, score } => {
                return self.rated(survey, variable, *score, now);
            }
            Statement::DoNotCall => self.deeds.push(Deed::DoNotCall),
            Statement::Bonus { points, reason } => self.bonus(*points, reason),
            Statement::OrderStatus { status } => self.order_status(status),
            Statement::Message { max_ms } => return self.message(*max_ms, now, out),
            Statement::Hangup => return self.last_words(),
        }
        Next::Run
    }

    fn enter(&mut self, activity: Activity, block: Block) {
        self.activity = activity;
        self.stack.clear();
        self.stack.push(Cursor { block, next: 0 });
    }

    fn last_words(&mut self) -> Next {
        self.stack.clear();
        Next::Wait(Waiting::LastWords { reason: EndReason::HungUp })
    }

    fn farewell(&mut self, now: Timestamp, out: &mut Vec<Command>) -> Next {
        if self.is_after_talk {
            return self.last_words();
        }
        self.say([recording("phrase/goodbye")], now, out);
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
