//! Nodes → [`ScriptTree`]: each line by itself. Names that lines mention are looked at later, by
//! `check`. What is wrong is reported and left out, so that one run finds everything.
//!
//! - this file: the top of a file
//! - `fields`: arguments and properties of a line
//! - `statements`: what stands in blocks; `say`: what is spoken; `deeds`: what outlives the call
//! - `menus`, `timetable` (hours)
//! - `groups`: operators; `waiting`: what their callers hear
//! - `robots`, `robot_menus`: calls that the server makes; `callbacks`: those that humans make;
//!   `outbound`: what both have in common
//! - `day`: another kind of file, for rehearsals

mod callbacks;
mod day;
mod deeds;
mod fields;
mod groups;
mod menus;
mod outbound;
mod robot_menus;
mod robots;
mod say;
mod statements;
mod timetable;
mod waiting;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::Settings;
use super::day::Day;
use super::finding::{Report, Span};
use super::plan::{CallTo, Dialled, NumberPattern, Plan, TransferTo};
use super::syntax::{self, Node, Spanned, Value};
use super::tree::{NumberTree, ScriptTree, StepTree};
use crate::domain::{Language, PhoneNumber};
use crate::speech::Catalogue;
use statements::Place;

/// What may stand at the top of a file.
const TOP_LEVEL: &[&str] = &[
    "language",
    "timezone",
    "transfer-to",
    "call-to",
    "hours",
    "number",
    "menu",
    "step",
    "group",
    "survey",
    "robot",
    "incident",
    "callback",
];

/// Longer internal numbers are mistakes.
const INTERNAL_MAX: usize = 64;

/// Reads one file. `None`: it has syntax errors; they were reported.
pub fn read(
    name: &str,
    report: &mut Report<'_>,
    catalogue: &Catalogue,
    settings: &Settings,
) -> Option<ScriptTree> {
    let nodes = syntax::parse(report)?;
    let mut reader =
        Reader { report, catalogue, settings, language: Language::default(), scene: Scene::Call };
    // `say "free text"` is looked up in the file's language, wherever `language` stands.
    reader.language = reader.file_language(&nodes);
    let timezone = reader.timezone(&nodes);
    let mut tree = ScriptTree {
        name: name.to_owned(),
        language: reader.language,
        timezone,
        transfer_to: TransferTo::default(),
        call_to: CallTo::Country(settings.region),
        hours: BTreeMap::new(),
        numbers: Vec::new(),
        steps: BTreeMap::new(),
        menus: BTreeMap::new(),
        groups: BTreeMap::new(),
        robots: BTreeMap::new(),
        incidents: BTreeMap::new(),
        callbacks: BTreeMap::new(),
    };
    for node in &nodes {
        reader.top_level(node, &mut tree);
    }
    Some(tree)
}

/// Reads a file for rehearsals. `None`: it has no day; that was reported.
pub fn read_day(report: &mut Report<'_>, plan: Option<&Plan>) -> Option<Day> {
    let nodes = syntax::parse(report)?;
    let (catalogue, settings) = (Catalogue::default(), Settings::default());
    let (language, scene) = (Language::default(), Scene::Call);
    Reader { report, catalogue: &catalogue, settings: &settings, language, scene }
        .days(&nodes, plan)
}

/// Whose block is read, as far as it decides which names are known and what may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Somebody calls, or is in the line.
    Call,
    Survey,
    /// The only one that has an event of the shop.
    Robot,
}

/// Reads one file's nodes.
struct Reader<'a, 's> {
    report: &'a mut Report<'s>,
    catalogue: &'a Catalogue,
    settings: &'a Settings,
    language: Language,
    scene: Scene,
}

impl Reader<'_, '_> {
    fn top_level(&mut self, node: &Node, tree: &mut ScriptTree) {
        match node.name.value.as_str() {
            "language" | "timezone" => {} // read before all others
            "transfer-to" => tree.transfer_to.0.extend(self.number_patterns(node)),
            "call-to" => self.call_to(node, &mut tree.call_to),
            "hours" => {
                if let Some((name, hours)) = self.hours(node) {
                    let twice = tree.hours.insert(name.value.clone(), hours).is_some();
                    self.complain_if(twice, "hours", &name);
                }
            }
            "number" => tree.numbers.extend(self.number(node)),
            "step" => {
                let body = self.body(node, Place::Body);
                if let Some(name) = self.block_name(node) {
                    let clash = clash_with(tree, &name.value);
                    let twice = tree.menus.contains_key(&name.value);
                    let step = StepTree { name: name.span, body };
                    let twice = twice | tree.steps.insert(name.value.clone(), step).is_some();
                    self.complain_if(twice, clash, &name);
                }
            }
            "menu" => {
                let menu = self.menu(node);
                if let Some(name) = self.block_name(node) {
                    let clash = clash_with(tree, &name.value);
                    let twice = tree.steps.contains_key(&name.value);
                    let twice = twice | tree.menus.insert(name.value.clone(), menu).is_some();
                    self.complain_if(twice, clash, &name);
                }
            }
            "group" => {
                let group = self.group(node);
                if let Some(name) = self.block_name(node) {
                    let twice = tree.groups.insert(name.value.clone(), group).is_some();
                    self.complain_if(twice, "group", &name);
                }
            }
            "survey" | "robot" => {
                let (robot, menu) = self.robot(node);
                if let Some(name) = self.block_name(node) {
                    let twice = tree.steps.contains_key(&name.value);
                    let twice = twice | tree.menus.insert(name.value.clone(), menu).is_some();
                    tree.robots.insert(name.value.clone(), robot);
                    self.complain_if(twice, "step, menu, survey or robot", &name);
                }
            }
            "incident" => {
                if let Some((name, incident)) = self.incident(node) {
                    let twice = tree.incidents.insert(name.value.clone(), incident).is_some();
                    self.complain_if(twice, "incident", &name);
                }
            }
            "callback" => {
                if let Some((kind, callback)) = self.callback(node) {
                    let name = Spanned::new(kind.name().to_owned(), callback.kind);
                    let twice = tree.callbacks.insert(kind, callback).is_some();
                    self.complain_if(twice, "callback", &name);
                }
            }
            statement if statements::NAMES.contains(&statement) => {
                let hint = "put it into a number, step or menu block";
                let message = format!("{statement} stands outside of a block");
                self.report.error_hint(node.name.span, message, hint);
            }
            other => {
                self.report.unknown(
                    node.name.span,
                    "block",
                    other,
                    "not known",
                    TOP_LEVEL.iter().copied(),
                );
            }
        }
    }

    fn complain_if(&mut self, twice: bool, what: &str, name: &Spanned<String>) {
        if twice {
            let message =
                format!("there is already a {what} named \"{}\" in this file", name.value);
            self.report.error_hint(name.span, message, "give one of them another name");
        }
    }

    fn file_language(&mut self, nodes: &[Node]) -> Language {
        let Some(node) = self.only(nodes, "language") else { return Language::default() };
        self.language_of(node).unwrap_or_default()
    }

    fn language_of(&mut self, node: &Node) -> Option<Language> {
        self.known_props(node, &[]);
        let code = self.only_text(node, "\"ru\" or \"en\"")?;
        match code.value.parse() {
            Ok(language) => Some(language),
            Err(message) => {
                let message: String = message;
                self.report.error(code.span, message);
                None
            }
        }
    }

    fn timezone(&mut self, nodes: &[Node]) -> TimeZone {
        let Some(node) = self.only(nodes, "timezone") else {
            if let Some(hours) = nodes.iter().find(|node| node.name.value == "hours") {
                let hint = "write timezone \"Europe/Moscow\" at the top of the file";
                let message = "hours without a time zone are in UTC";
                self.report.warning_hint(hours.name.span, message, hint);
            }
            return TimeZone::UTC;
        };
        self.known_props(node, &[]);
        let Some(name) = self.only_text(node, "a name such as \"Europe/Moscow\"") else {
            return TimeZone::UTC;
        };
        TimeZone::get(&name.value).unwrap_or_else(|_| {
            let known: Vec<String> =
                jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
            let known = known.iter().map(String::as_str);
            self.report.unknown(name.span, "time zone", &name.value, "not known", known);
            TimeZone::UTC
        })
    }

    /// The node of this name; a second one is reported.
    fn only<'n>(&mut self, nodes: &'n [Node], name: &str) -> Option<&'n Node> {
        let mut found = nodes.iter().filter(|node| node.name.value == name);
        let first = found.next()?;
        for twice in found {
            self.report.error(twice.name.span, format!("{name} is already set in this file"));
        }
        Some(first)
    }

    fn number(&mut self, node: &Node) -> Option<NumberTree> {
        self.known_props(node, &[]);
        let dialled: Vec<_> = node.args.iter().filter_map(|arg| self.dialled(arg)).collect();
        let body = self.body(node, Place::Body);
        if node.args.is_empty() {
            let hint = "write number \"+74951234567\" \"100\" { … }";
            self.report.error_hint(node.name.span, "which number is this?", hint);
        }
        (!dialled.is_empty()).then_some(NumberTree { dialled, body })
    }

    fn dialled(&mut self, arg: &Spanned<Value>) -> Option<Spanned<Dialled>> {
        let text = self.text(arg, "a number such as \"100\"")?;
        if let Some(number) = PhoneNumber::parse(&text.value, self.settings.region) {
            return Some(Spanned::new(Dialled::Public(number), text.span));
        }
        let is_word = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_.*#".contains(c))
        };
        if text.value.len() > INTERNAL_MAX || !is_word(&text.value) {
            let message = format!("\"{}\" is no telephone number", text.value);
            let hint = "write a public number with + and country code, or a short one like \"100\"";
            self.report.error_hint(text.span, message, hint);
            return None;
        }
        Some(Spanned::new(Dialled::Internal(text.value), text.span))
    }

    /// `call-to "+7*" "+375*"`
    fn call_to(&mut self, node: &Node, allowed: &mut CallTo) {
        let new = self.number_patterns(node);
        match allowed {
            CallTo::Country(_) => *allowed = CallTo::Numbers(new),
            CallTo::Numbers(known) => known.extend(new),
        }
    }

    /// `transfer-to "+7495*" "+78001234567"`
    fn number_patterns(&mut self, node: &Node) -> Vec<NumberPattern> {
        self.plain(node);
        if node.args.is_empty() {
            let hint = format!("write {} \"+7495*\" \"+78001234567\"", node.name.value);
            self.report.error_hint(node.head(), "to which numbers?", hint);
        }
        let mut patterns = Vec::new();
        for arg in &node.args {
            let Some(text) = self.text(arg, "a number such as \"+7495*\"") else { continue };
            match NumberPattern::parse(&text.value, self.settings.region) {
                Some(pattern) => patterns.push(pattern),
                None => {
                    let message = format!("\"{}\" is no telephone number", text.value);
                    let hint = "write +, the country code and digits; a * at the end stands for \
                                any more of them: \"+7495*\"";
                    self.report.error_hint(text.span, message, hint);
                }
            }
        }
        patterns
    }

    /// The statements in a node's braces.
    fn body(&mut self, node: &Node, place: Place) -> Vec<super::tree::Line> {
        if node.children.is_none() {
            let message = format!("{} has no block", node.name.value);
            self.report.error_hint(node.head(), message, "write { … } with what shall happen");
        }
        self.block(node.children(), place)
    }

    /// The one name behind `step`, `menu`, `group`.
    fn block_name(&mut self, node: &Node) -> Option<Spanned<String>> {
        if !matches!(node.name.value.as_str(), "menu" | "robot") {
            self.known_props(node, &[]);
        }
        let name = self.only_text(node, "a name such as \"main\"")?;
        if name.value.trim().is_empty() {
            self.report.error(name.span, "the name is empty");
            return None;
        }
        Some(name)
    }

    /// Where a part of a quoted text stands in the file.
    fn inside(&self, text: &Spanned<String>, part: Span) -> Span {
        let start = text.span.start + 1;
        let written = self.report.source.text.get(start..start + text.value.len());
        if written == Some(text.value.as_str()) {
            return Span::new(start + part.start, start + part.end);
        }
        text.span // there are escapes in it; the whole text will do
    }
}

/// What a step or menu of this name would clash with.
fn clash_with(tree: &ScriptTree, name: &str) -> &'static str {
    if tree.robots.contains_key(name) { "survey or robot" } else { "step or menu" }
}
