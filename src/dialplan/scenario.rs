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

use jiff::civil::{Date, DateTime};

use super::finding::{Finding, Report, Span};
use super::plan::{Dialled, Plan, Script};
use super::syntax::{self, Node, Spanned, Value};
use super::{Settings, Source, values};
use crate::domain::{
    CallerId, Customer, Key, Language, Money, Order, PhoneNumber, RecordingId, Timestamp,
};

/// Longer rows of keys are mistakes.
const KEYS_MAX: usize = 64;

/// One `test` block.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTest {
    pub name: String,
    /// As in [`Source::name`].
    pub file: String,
    pub line: usize,
    /// When the call comes, on the wall clock of the plan's time zone. Without `at` it is a Monday
    /// noon: 2026-01-12 12:00.
    pub at: DateTime,
    pub from: CallerId,
    /// As it is dialled; the plan answers it.
    pub to: String,
    /// What the CRM finds by the caller's number.
    pub customers: Vec<Customer>,
    /// Orders of other people, which are found by their number.
    pub other_orders: Vec<Order>,
    pub crm: CrmState,
    /// In the order in which they are written.
    pub steps: Vec<TestStep>,
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
    HangsUp,
    Expect(Expectation),
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
    /// The plan ended the call.
    Hangup,
    /// Such a promise was made.
    Promise(String),
    /// The caller entered this step or menu.
    Step(String),
    Language(Language),
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

const LINES: &[&str] =
    &["at", "call", "crm", "hears", "hears-not", "press", "enter", "silence", "hangs-up", "expect"];

impl Reader<'_, '_> {
    fn test(&mut self, node: &Node) -> Option<PlanTest> {
        self.known_props(node, &[]);
        let name = self.one_text(node, "what is tested")?;
        let call = node.children().iter().find(|child| child.name.value == "call");
        let Some(call) = call else {
            let hint = "write call from=\"+79161112233\" to=\"100\"";
            self.report.error_hint(node.head(), "nobody calls in this test", hint);
            return None;
        };
        let (from, to, script) = self.call(call)?;
        let mut test = PlanTest {
            name: name.value,
            file: self.report.source.name.clone(),
            line: self.place(node).0,
            at: Date::constant(2026, 1, 12).at(12, 0, 0, 0),
            from,
            to,
            customers: Vec::new(),
            other_orders: Vec::new(),
            crm: CrmState::default(),
            steps: Vec::new(),
        };
        for child in node.children() {
            if child.name.value == "call" {
                if child.name.span != call.name.span {
                    self.report.error(child.name.span, "a test has one call");
                }
            } else {
                self.line(child, &script, &mut test);
            }
        }
        let sets_up = |node: &Node| matches!(node.name.value.as_str(), "at" | "call" | "crm");
        if node.children().iter().all(sets_up) {
            self.report.error_hint(node.head(), "nothing is tested", "write hears \"greeting\"");
        }
        Some(test)
    }

    fn call(&mut self, node: &Node) -> Option<(CallerId, String, Script)> {
        self.known_props(node, &["from", "to"]);
        let from = match node.prop("from") {
            None => CallerId::Anonymous,
            Some(value) => {
                let text = self.text(value, "a telephone number")?;
                match PhoneNumber::parse(&text.value, self.settings.region) {
                    Some(number) => CallerId::Number(number),
                    None if text.value == "anonymous" => CallerId::Anonymous,
                    None => CallerId::Other(text.value),
                }
            }
        };
        let Some(to) = node.prop("to") else {
            let hint = "write to=\"100\"";
            self.report.error_hint(node.head(), "which number is called?", hint);
            return None;
        };
        let to = self.text(to, "a number of the plan")?;
        let dialled = match PhoneNumber::parse(&to.value, self.settings.region) {
            Some(number) => Dialled::Public(number),
            None => Dialled::Internal(to.value.clone()),
        };
        let entry = self.plan.numbers.get(&dialled);
        let Some(script) = entry.and_then(|entry| self.plan.scripts.get(&entry.script)) else {
            let known: Vec<String> = self.plan.numbers.keys().map(shown).collect();
            let known = known.iter().map(String::as_str);
            self.report.unknown(to.span, "number", &to.value, "not answered by the plan", known);
            return None;
        };
        Some((from, to.value, Script::clone(script)))
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
            "hears" => self.heard(node).map(Action::Hears),
            "hears-not" => self.heard(node).map(Action::HearsNot),
            "press" => self.press(node),
            "enter" => self.keys(node).map(Action::Enter),
            "silence" => self.bare(node).then_some(Action::Silence),
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

    /// `crm customer …`, `crm order …`, `crm unavailable`, `crm slow="5s"`
    fn crm(&mut self, node: &Node, test: &mut PlanTest) {
        if let Some(slow) = node.prop("slow")
            && node.args.is_empty()
        {
            self.known_props(node, &["slow"]);
            let Some(text) = self.text(slow, "a duration such as \"5s\"") else { return };
            match values::duration(&text.value) {
                Ok(ms) => test.crm = CrmState::Slow { ms },
                Err(message) => self.report.error(text.span, message),
            }
            return;
        }
        let expected = "customer, order, unavailable, or slow=\"5s\"";
        let Some(what) = self.one_text(node, expected) else { return };
        match what.value.as_str() {
            "customer" => {
                let customer = self.customer(node);
                test.customers.push(customer);
            }
            "order" => {
                let order = self.order(node);
                test.other_orders.extend(order);
            }
            "unavailable" => {
                self.known_props(node, &[]);
                test.crm = CrmState::Unavailable;
            }
            other => {
                let known = ["customer", "order", "unavailable"];
                self.report.unknown(what.span, "crm", other, "not known", known);
            }
        }
    }

    fn customer(&mut self, node: &Node) -> Customer {
        self.known_props(
            node,
            &["name", "points", "vip", "manager", "language", "balance", "card", "timezone"],
        );
        let mut customer = Customer {
            name: self.text_prop(node, "name"),
            points: self.integer_prop(node, "points"),
            vip: self.flag_prop(node, "vip"),
            manager: self.text_prop(node, "manager"),
            language: self.parsed_prop(node, "language", |text| text.parse::<Language>()),
            balance: self.money_prop(node, "balance"),
            card: self.text_prop(node, "card"),
            timezone: self.text_prop(node, "timezone"),
            orders: Vec::new(),
        };
        for child in node.children() {
            if child.name.value == "order" {
                let order = self.order(child);
                customer.orders.extend(order);
            } else {
                let name = child.name.value.as_str();
                let known = ["order"];
                self.report.unknown(child.name.span, "part of customer", name, "not known", known);
            }
        }
        customer
    }

    fn order(&mut self, node: &Node) -> Option<Order> {
        self.known_props(node, &["number", "status", "due", "sum", "updated"]);
        let Some(number) = self.text_prop(node, "number") else {
            if node.prop("number").is_none() {
                let hint = "write order number=\"48-15\" status=\"shipped\"";
                self.report.error_hint(node.head(), "an order needs a number", hint);
            }
            return None;
        };
        let updated = self.parsed_prop(node, "updated", |text| {
            let zoned = values::moment(text)?.to_zoned(jiff::tz::TimeZone::UTC);
            zoned.map(|zoned| Timestamp::from(&zoned)).map_err(|error| error.to_string())
        });
        Some(Order {
            number,
            status: self.text_prop(node, "status"),
            due: self.parsed_prop(node, "due", values::date),
            sum: self.money_prop(node, "sum"),
            updated,
        })
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

    fn expect(&mut self, node: &Node, script: &Script) -> Option<Expectation> {
        self.known_props(node, &["queued", "promise", "step", "language"]);
        let property = node.props.first();
        let Some((key, value)) = property else {
            let word = self.one_text(node, "queued=\"…\", step=\"…\", promise=\"…\" or hangup")?;
            if word.value == "hangup" {
                return Some(Expectation::Hangup);
            }
            let known = ["hangup"];
            self.report.unknown(word.span, "expectation", &word.value, "not known", known);
            return None;
        };
        let text = self.text(value, "a name")?;
        match key.value.as_str() {
            "queued" => {
                let known = script.groups.keys().map(String::as_str);
                self.defined(&text, "group", known).then_some(Expectation::Queued(text.value))
            }
            "step" => {
                let known = script.steps.keys().chain(script.menus.keys()).map(String::as_str);
                self.defined(&text, "step or menu", known).then_some(Expectation::Step(text.value))
            }
            "promise" => Some(Expectation::Promise(text.value)),
            "language" => match text.value.parse() {
                Ok(language) => Some(Expectation::Language(language)),
                Err(message) => {
                    let message: String = message;
                    self.report.error(text.span, message);
                    None
                }
            },
            _ => None, // reported as an unknown property
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

    /// A line of one word.
    fn bare(&mut self, node: &Node) -> bool {
        self.known_props(node, &[]);
        if let Some(arg) = node.args.first() {
            self.report.error(arg.span, format!("{} takes no argument", node.name.value));
        }
        node.args.is_empty()
    }

    fn known_props(&mut self, node: &Node, known: &[&str]) {
        for (key, _) in &node.props {
            if !known.contains(&key.value.as_str()) {
                let what = format!("property of {}", node.name.value);
                let known = known.iter().copied();
                self.report.unknown(key.span, &what, &key.value, "not known", known);
            }
        }
    }

    fn one_text(&mut self, node: &Node, expected: &str) -> Option<Spanned<String>> {
        match node.args.as_slice() {
            [] => {
                self.report.error(node.head(), format!("{} needs {expected}", node.name.value));
                None
            }
            [one] => self.text(one, expected),
            [_, more, ..] => {
                self.report.error(more.span, format!("{} takes one argument", node.name.value));
                None
            }
        }
    }

    fn text(&mut self, value: &Spanned<Value>, expected: &str) -> Option<Spanned<String>> {
        match &value.value {
            Value::Text(text) => Some(Spanned::new(text.clone(), value.span)),
            Value::Integer(number) => {
                let hint = format!("quote it: \"{number}\"");
                self.report.error_hint(value.span, format!("{expected} is expected here"), hint);
                None
            }
            Value::Float(_) | Value::Bool(_) | Value::Null => {
                self.report.error(value.span, format!("{expected} is expected here"));
                None
            }
        }
    }

    fn text_prop(&mut self, node: &Node, name: &str) -> Option<String> {
        let value = node.prop(name)?;
        self.text(value, "a text").map(|text| text.value)
    }

    fn parsed_prop<T>(
        &mut self,
        node: &Node,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = node.prop(name)?;
        let text = self.text(value, "a text")?;
        parse(&text.value).map_err(|message| self.report.error(text.span, message)).ok()
    }

    fn integer_prop(&mut self, node: &Node, name: &str) -> Option<i64> {
        let value = node.prop(name)?;
        let Value::Integer(number) = value.value else {
            self.report.error(value.span, format!("{name} is a whole number without quotes"));
            return None;
        };
        Some(number)
    }

    fn flag_prop(&mut self, node: &Node, name: &str) -> bool {
        let Some(value) = node.prop(name) else { return false };
        let Value::Bool(yes) = value.value else {
            self.report.error(value.span, format!("{name} is #true or #false"));
            return false;
        };
        yes
    }

    /// Rubles: `2341` or `"2341.50"`.
    fn money_prop(&mut self, node: &Node, name: &str) -> Option<Money> {
        let value = node.prop(name)?;
        let text = match &value.value {
            Value::Text(text) => text.clone(),
            Value::Integer(rubles) => rubles.to_string(),
            Value::Float(rubles) => rubles.to_string(),
            Value::Bool(_) | Value::Null => String::new(),
        };
        let money = Money::parse(&text);
        if money.is_none() {
            self.report.error(value.span, format!("{name} is an amount such as 2341.50"));
        }
        money
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

fn shown(dialled: &Dialled) -> String {
    match dialled {
        Dialled::Public(number) => number.as_str().to_owned(),
        Dialled::Internal(number) => number.clone(),
    }
}

#[cfg(test)]
mod tests;
