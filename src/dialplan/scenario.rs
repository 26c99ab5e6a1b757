//! Test files: calls that are played through a plan, and what must be heard.
//!
//! ```kdl
//! test "known client hears points, then an operator" {
//!     at "2026-11-23 12:00"
//!     call from="+79161112233" to="100"
//!     crm customer name="Анна" points=120
//!     hears "points-are" "120 баллов"
//!     press "0"
//!     expect queued="support"
//! }
//! ```
//!
//! - `opening`: who calls whom: a customer us, a robot or an operator a customer
//! - `crm`: what the CRM knows; `events`: what happened in the shop
//! - `staff`: who is there to answer, and who waits before the caller
//! - `expect`: what must have happened
//! - `fields`: arguments and properties

mod crm;
mod events;
mod expect;
mod fields;
mod opening;
mod staff;

use jiff::civil::{Date, DateTime};

use super::finding::{Finding, Report, Span};
use super::plan::{Plan, Script};
use super::syntax::{self, Node, Spanned};
use super::{Settings, Source, values};
use crate::domain::{
    CallOutcome, CallerId, Customer, Key, Language, Login, Order, PhoneNumber, PromiseKind,
    RecordingId, ShopEvent,
};

/// Longer rows of keys are mistakes.
const KEYS_MAX: usize = 64;
/// Nobody waits longer.
const WAIT_MAX_MS: u64 = 2 * 3_600_000;

/// One `test` block.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTest {
    pub name: String,
    /// As in [`Source::name`].
    pub file: String,
    pub line: usize,
    /// When the call comes, on the wall clock of the plan's time zone; when we owe a customer the
    /// call that we make. Without `at` it is a Monday noon: 2026-01-12 12:00.
    pub at: DateTime,
    pub opening: Opening,
    /// The file of the plan by which the call goes.
    pub script: String,
    /// What the CRM finds by the customer's number.
    pub customers: Vec<Customer>,
    /// Orders of other people, which are found by their number.
    pub other_orders: Vec<Order>,
    pub crm: CrmState,
    /// What the shop told of the customer before.
    pub events: Vec<ShopEvent>,
    /// Who is logged in; without any, nobody is.
    pub operators: Vec<TestOperator>,
    /// Callers who wait before this one, by group.
    pub ahead: Vec<(String, usize)>,
    /// In the order in which they are written.
    pub steps: Vec<TestStep>,
}

impl PlanTest {
    /// The number of the customer who calls, or is called.
    pub fn customer(&self) -> Option<&PhoneNumber> {
        match &self.opening {
            Opening::Call { from, .. } => from.number(),
            Opening::Robot { to, .. } | Opening::Callback { to, .. } => Some(to),
        }
    }
}

/// Who calls whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// A customer us. `to` is as it is dialled; the plan answers it.
    Call { from: CallerId, to: String },
    /// A survey or a robot of the plan calls a customer, who picks up.
    Robot { name: String, to: PhoneNumber },
    /// An operator of a group calls a customer back, who picks up. Without a group, whose it is
    /// follows from the plan.
    Callback { kind: PromiseKind, group: Option<String>, to: PhoneNumber },
}

/// How the CRM answers in a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrmState {
    #[default]
    Fast,
    Slow {
        ms: u64,
    },
    Unavailable,
}

/// Somebody who is logged in when the call of a test comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOperator {
    pub login: Login,
    pub groups: Vec<String>,
    pub presence: Presence,
    /// After so long a ringing phone is picked up; `None`: never.
    pub answer_ms: Option<u64>,
}

/// What an operator of a test does when the call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Ready,
    /// Takes no call; `None`: for the whole test.
    Busy {
        free_after_ms: Option<u64>,
    },
}

/// A line of a test, and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct TestStep {
    pub line: usize,
    pub column: usize,
    /// The line as it is written, for messages.
    pub text: String,
    pub action: Action,
}

/// What the caller does, or what must have happened by now.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// All of these are heard in this order; other things may be heard between them.
    Hears(Vec<Heard>),
    /// None of these was heard since the last key, or since the beginning.
    HearsNot(Vec<Heard>),
    Press(Key),
    /// Keys one after another, as for `ask`.
    Enter(Vec<Key>),
    /// The caller lets one wait pass; an `ask` or a menu may then be heard again.
    Silence,
    /// Time passes, whatever happens meanwhile.
    Wait {
        ms: u64,
    },
    HangsUp,
    /// All of these.
    Expect(Vec<Expectation>),
}

/// What `hears` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Recording(RecordingId),
    /// Words that occur in what is said, as a reader sees it: `120 баллов`.
    Text(String),
}

/// What `expect` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The call reached this group's line.
    Queued(String),
    /// The caller is in this group's line now.
    Waiting(String),
    /// An operator took the caller out of this group's line.
    Connected(String),
    /// The caller was connected with this operator.
    Operator(Login),
    /// The plan ended the call.
    Hangup,
    /// Such a promise was made, due at this time on the wall clock of the plan's time zone.
    Promise {
        kind: PromiseKind,
        due: Option<DateTime>,
    },
    /// The caller entered this step or menu.
    Step(String),
    Language(Language),
    /// The customer gave this score.
    Rating(u8),
    /// The customer is never called again.
    DoNotCall,
    /// This became of the order in the CRM.
    OrderStatus(String),
    /// The customer got so many points.
    Bonus(i64),
    /// This came of our call.
    Outcome(CallOutcome),
    /// The customer was called at this time on the wall clock of the plan's time zone.
    Called(DateTime),
}

/// Reads a test file. All mistakes are found at once.
///
/// # Errors
///
/// All findings by place; every one of them is an error.
pub fn parse_tests(
    source: &Source,
    plan: &Plan,
    settings: &Settings,
) -> Result<Vec<PlanTest>, Vec<Finding>> {
    let mut report = Report::new(source);
    let mut tests: Vec<PlanTest> = Vec::new();
    if let Some(nodes) = syntax::parse(&mut report) {
        let mut reader = Reader { report: &mut report, plan, settings };
        for node in &nodes {
            if node.name.value != "test" {
                let known = ["test"];
                let name = node.name.value.as_str();
                reader.report.unknown(node.name.span, "block", name, "not known", known);
            } else if let Some(test) = reader.test(node) {
                if tests.iter().any(|other| other.name == test.name) {
                    let message = "there is already a test of this name in this file";
                    reader.report.error(node.head(), message);
                }
                tests.push(test);
            }
        }
    }
    let mut findings = report.into_findings();
    findings.sort_by(|a, b| a.place().cmp(&b.place()));
    if findings.is_empty() { Ok(tests) } else { Err(findings) }
}

struct Reader<'a, 's> {
    report: &'a mut Report<'s>,
    plan: &'a Plan,
    settings: &'a Settings,
}

/// Lines that say who calls whom; a test has one.
const OPENINGS: &[&str] = &["call", "robot", "callback"];

const LINES: &[&str] = &[
    "at",
    "call",
    "robot",
    "callback",
    "crm",
    "event",
    "operators",
    "operator",
    "ahead",
    "hears",
    "hears-not",
    "press",
    "enter",
    "silence",
    "wait",
    "hangs-up",
    "expect",
];

/// Lines that say how things stand when the call comes.
const SET_UP: &[&str] = &["at", "crm", "event", "operators", "operator", "ahead"];

impl Reader<'_, '_> {
    fn test(&mut self, node: &Node) -> Option<PlanTest> {
        self.known_props(node, &[]);
        let name = self.one_text(node, "what is tested")?;
        let opens = |node: &&Node| OPENINGS.contains(&node.name.value.as_str());
        let mut openings = node.children().iter().filter(opens);
        let Some(first) = openings.next() else {
            let hint = "write call from=\"+79161112233\" to=\"100\"";
            self.report.error_hint(node.head(), "nobody calls in this test", hint);
            return None;
        };
        for another in openings {
            self.report.error(another.name.span, "a test has one call");
        }
        let (opening, script) = self.opening(first)?;
        let mut test = PlanTest {
            name: name.value,
            file: self.report.source.name.clone(),
            line: self.place(node).0,
            at: Date::constant(2026, 1, 12).at(12, 0, 0, 0),
            opening,
            script: script.name.clone(),
            customers: Vec::new(),
            other_orders: Vec::new(),
            crm: CrmState::default(),
            events: Vec::new(),
            operators: Vec::new(),
            ahead: Vec::new(),
            steps: Vec::new(),
        };
        for child in node.children().iter().filter(|child| !opens(child)) {
            self.line(child, &script, &mut test);
        }
        self.needs_event(first, &script, &test);
        let sets_up = |node: &Node| {
            let name = node.name.value.as_str();
            SET_UP.contains(&name) || OPENINGS.contains(&name)
        };
        if node.children().iter().all(sets_up) {
            self.report.error_hint(node.head(), "nothing is tested", "write hears \"greeting\"");
        }
        Some(test)
    }

    fn line(&mut self, node: &Node, script: &Script, test: &mut PlanTest) {
        let action = match node.name.value.as_str() {
            "at" => {
                self.known_props(node, &[]);
                if let Some(text) = self.one_text(node, "a moment such as \"2026-11-23 12:00\"") {
                    match values::moment(&text.value) {
                        Ok(at) => test.at = at,
                        Err(message) => self.report.error(text.span, message),
                    }
                }
                None
            }
            "crm" => {
                self.crm(node, test);
                None
            }
            "event" => {
                self.event(node, test);
                None
            }
            "operators" => {
                self.operators(node, script, test);
                None
            }
            "operator" => {
                self.operator(node, script, test);
                None
            }
            "ahead" => {
                self.ahead(node, script, test);
                None
            }
            "hears" => self.heard(node).map(Action::Hears),
            "hears-not" => self.heard(node).map(Action::HearsNot),
            "press" => self.press(node),
            "enter" => self.keys(node).map(Action::Enter),
            "silence" => self.bare(node).then_some(Action::Silence),
            "wait" => self.wait(node),
            "hangs-up" => self.bare(node).then_some(Action::HangsUp),
            "expect" => self.expect(node, script).map(Action::Expect),
            other => {
                let known = LINES.iter().copied();
                self.report.unknown(node.name.span, "line", other, "not known", known);
                None
            }
        };
        if let Some(action) = action {
            let (line, column) = self.place(node);
            let head = node.head();
            let text = self.report.source.text.get(head.start..head.end).unwrap_or_default();
            test.steps.push(TestStep { line, column, text: text.to_owned(), action });
        }
    }

    fn heard(&mut self, node: &Node) -> Option<Vec<Heard>> {
        self.known_props(node, &[]);
        if node.args.is_empty() {
            let hint = "write the name of a recording or words that are said";
            self.report.error_hint(node.head(), "what is heard?", hint);
            return None;
        }
        let mut heard = Vec::new();
        for arg in &node.args {
            heard.push(match self.text(arg, "a recording or words")?.value {
                text if !is_id(&text) => Heard::Text(text),
                id if id.contains('/') => Heard::Recording(RecordingId::new(id)),
                id => Heard::Recording(RecordingId::new(format!("phrase/{id}"))),
            });
        }
        Some(heard)
    }

    fn press(&mut self, node: &Node) -> Option<Action> {
        let keys = self.keys(node)?;
        match keys.as_slice() {
            [key] => Some(Action::Press(*key)),
            _ => {
                let hint = "press is one key; write enter for several";
                self.report.error_hint(node.head(), "which one key?", hint);
                None
            }
        }
    }

    /// `wait "70s"`
    fn wait(&mut self, node: &Node) -> Option<Action> {
        self.known_props(node, &[]);
        let text = self.one_text(node, "a duration such as \"70s\"")?;
        let ms = values::duration(&text.value).and_then(|ms| match ms {
            1..=WAIT_MAX_MS => Ok(ms),
            _ => Err("a caller waits at most 2h in a test".to_owned()),
        });
        ms.map_err(|message| self.report.error(text.span, message))
            .ok()
            .map(|ms| Action::Wait { ms })
    }

    fn keys(&mut self, node: &Node) -> Option<Vec<Key>> {
        self.known_props(node, &[]);
        let text = self.one_text(node, "keys such as \"1\" or \"4815#\"")?;
        let keys: Result<Vec<Key>, String> =
            text.value.chars().take(KEYS_MAX + 1).map(Key::try_from).collect();
        match keys {
            Ok(keys) if (1..=KEYS_MAX).contains(&keys.len()) => Some(keys),
            Ok(_) => {
                self.report.error(text.span, format!("1 to {KEYS_MAX} keys can be pressed"));
                None
            }
            Err(message) => {
                self.report.error(text.span, message);
                None
            }
        }
    }

    fn defined<'n>(
        &mut self,
        name: &Spanned<String>,
        what: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) -> bool {
        let found = known.clone().any(|known| known == name.value);
        if !found {
            self.report.unknown(name.span, what, &name.value, "not defined", known);
        }
        found
    }

    fn place(&self, node: &Node) -> (usize, usize) {
        let Span { start, .. } = node.head();
        let before = self.report.source.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Whether this names a recording: small Latin letters, digits, `-`, `_` and `/`, a letter first.
/// `48-15` and `A-1007` are what is said.
fn is_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '/'))
}

#[cfg(test)]
mod tests;
