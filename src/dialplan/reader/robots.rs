//! Robots: calls that the server makes by itself. A `survey` asks for a score after a conversation, a
//! `robot` says something that an event of the shop gave rise to.
//!
//! What is said and which keys count becomes a menu of the same name; `robot_menus` makes it.

use super::outbound::DAY_MS;
use super::robot_menus::Parts;
use super::statements::{self, HOUR_MS, MINUTE_MS};
use super::{Reader, Scene};
use crate::dialplan::plan::{Cap, Loyalty, Robot, RobotKind, Trigger};
use crate::dialplan::syntax::{Node, Spanned};
use crate::dialplan::tree::{MenuTree, RobotTree};

const SURVEY_PARTS: &[&str] = &[
    "after",
    "within",
    "talk-at-least",
    "groups",
    "window",
    "no-more-than",
    "tries",
    "ring",
    "at-once",
    "per-second",
    "caller-id",
    "trunk",
    "loyalty",
    "say",
    "if",
    "keys",
    "key",
    "below",
    "thanks",
    "silence",
    "wrong",
];

const ROBOT_PARTS: &[&str] = &[
    "when",
    "within",
    "window",
    "no-more-than",
    "tries",
    "ring",
    "at-once",
    "per-second",
    "caller-id",
    "trunk",
    "say",
    "if",
    "key",
    "silence",
    "wrong",
];

const AT_ONCE_MAX: i64 = 1_000;
const PER_SECOND_MAX: i64 = 100;
const CALLS_MAX: i64 = 100;

impl Reader<'_, '_> {
    /// A `survey` or `robot` block: its rules, and what is heard.
    pub(super) fn robot(&mut self, node: &Node) -> (RobotTree, MenuTree) {
        let is_survey = node.name.value == "survey";
        let name = node.args.first();
        let mut robot = RobotTree {
            name: name.map_or(node.name.span, |name| name.span),
            rules: if is_survey { Robot::survey("") } else { Robot::after_event("", "") },
            event: None,
            groups: Vec::new(),
        };
        self.known_props(node, if is_survey { &[] } else { &["kind"] });
        if let (Some(kind), false) = (self.text_prop(node, "kind"), is_survey) {
            robot.rules.kind = self.robot_kind(&kind).unwrap_or(robot.rules.kind);
        }
        self.scene = if is_survey { Scene::Survey } else { Scene::Robot };
        let mut parts = Parts::default();
        let mut seen: Vec<&str> = Vec::new();
        for child in node.children() {
            let part = child.name.value.as_str();
            let may_repeat = matches!(part, "say" | "if" | "else-if" | "else" | "key");
            if seen.contains(&part) && !may_repeat {
                self.twice(child);
            }
            seen.push(part);
            self.robot_part(child, is_survey, &mut robot, &mut parts);
        }
        self.complete(node, is_survey, &seen);
        let menu = self.robot_menu(node, is_survey, &parts);
        self.scene = Scene::Call;
        (robot, menu)
    }

    fn robot_kind(&mut self, text: &Spanned<String>) -> Option<RobotKind> {
        if let "advert" | "advertising" | "реклама" = text.value.as_str() {
            let message = "robots do not advertise";
            let hint = "automatic calls must not carry advertising (38-FZ, article 18 (2)); let an \
                        operator call those who agreed to it";
            self.report.error_hint(text.span, message, hint);
            return None;
        }
        self.one_of(text, "kind", &RobotKind::ALL.map(|kind| (kind.name(), kind)))
    }

    /// What must be written.
    fn complete(&mut self, node: &Node, is_survey: bool, seen: &[&str]) {
        let missing = |part: &str| !seen.contains(&part);
        if node.children.is_none() {
            let hint = "write { … } with when it calls, what it says and its keys";
            let message = format!("{} has no block", node.name.value);
            self.report.error_hint(node.head(), message, hint);
        } else if is_survey && missing("keys") {
            let hint = "write keys \"1-5\" as=\"score\"";
            self.report.error_hint(node.head(), "which keys are the score?", hint);
        } else if is_survey && missing("after") {
            let hint = "write after \"answered\"";
            self.report.error_hint(node.head(), "after which calls does it ask?", hint);
        } else if !is_survey && missing("when") {
            let hint = "write when \"balance.low\" with the name of an event of the shop";
            self.report.error_hint(node.head(), "what does it call for?", hint);
        }
    }

    fn robot_part(
        &mut self,
        node: &Node,
        is_survey: bool,
        robot: &mut RobotTree,
        parts: &mut Parts,
    ) {
        let known = if is_survey { SURVEY_PARTS } else { ROBOT_PARTS };
        match node.name.value.as_str() {
            "say" | "if" | "else-if" | "else" => self.prompt_part(node, parts),
            other if !known.contains(&other) => {
                if statements::NAMES.contains(&other) {
                    let message = format!("{other} stands outside of a key");
                    let hint = format!("put it into a key: key \"1\" {{ {other} … }}");
                    self.report.error_hint(node.head(), message, hint);
                } else {
                    let what = format!("part of {}", if is_survey { "survey" } else { "robot" });
                    let known = known.iter().copied();
                    self.report.unknown(node.name.span, &what, other, "not known", known);
                }
            }
            "keys" | "key" | "below" | "thanks" | "silence" | "wrong" => parts.add(node),
            "after" | "talk-at-least" | "groups" | "when" => self.trigger(node, robot),
            _ => self.calls(node, &mut robot.rules),
        }
    }

    /// What it calls after.
    fn trigger(&mut self, node: &Node, robot: &mut RobotTree) {
        self.plain(node);
        match (node.name.value.as_str(), &mut robot.rules.trigger) {
            ("after", _) => {
                if let Some(text) = self.only_text(node, "\"answered\"") {
                    self.one_of(&text, "after", &[("answered", ())]);
                }
            }
            ("talk-at-least", Trigger::Conversation { talk_at_least_ms, .. }) => {
                let read = self.duration_arg(node, 0, HOUR_MS);
                super::groups::set(talk_at_least_ms, read);
            }
            ("when", Trigger::Event(event)) => {
                if let Some(text) = self.event_name(node) {
                    event.clone_from(&text.value);
                    robot.event = Some(text.span);
                }
            }
            _ => {
                for arg in &node.args {
                    robot.groups.extend(self.text(arg, "the name of a group"));
                }
            }
        }
    }

    /// `when "balance.low"`
    pub(super) fn event_name(&mut self, node: &Node) -> Option<Spanned<String>> {
        let text = self.only_text(node, "an event of the shop such as \"balance.low\"")?;
        if text.value.trim() != text.value || text.value.is_empty() {
            self.report.error(text.span, "this is not the name of an event");
            return None;
        }
        Some(text)
    }

    /// When and how often it calls, and how it is seen.
    fn calls(&mut self, node: &Node, rules: &mut Robot) {
        let small = |read: Option<i64>| read.and_then(|read| u32::try_from(read).ok());
        match node.name.value.as_str() {
            "within" => {
                self.plain(node);
                super::groups::set(&mut rules.within_ms, self.duration_arg(node, 0, 31 * DAY_MS));
            }
            "window" => super::groups::set(&mut rules.window, self.window(node)),
            "no-more-than" => rules.cap = self.cap(node).or(rules.cap),
            "tries" => self.tries(node, &mut rules.tries, &mut rules.every_ms),
            "ring" => self.rings(node, &mut rules.ring_ms),
            "at-once" => {
                self.plain(node);
                let read = small(self.whole_arg(node, "at-once", 1, AT_ONCE_MAX));
                super::groups::set(&mut rules.at_once, read);
            }
            "per-second" => {
                self.plain(node);
                let read = small(self.whole_arg(node, "per-second", 1, PER_SECOND_MAX));
                super::groups::set(&mut rules.per_second, read);
            }
            "caller-id" => self.caller_id(node, &mut rules.identity),
            "loyalty" => rules.loyalty = self.loyalty(node).or(rules.loyalty),
            _ => self.trunks(node, &mut rules.identity),
        }
    }

    /// `loyalty "share-of-4-5"`
    fn loyalty(&mut self, node: &Node) -> Option<Loyalty> {
        self.plain(node);
        let text = self.only_text(node, "\"share-of-4-5\" or \"mean-of-100\"")?;
        self.one_of(&text, "loyalty", &Loyalty::ALL.map(|formula| (formula.name(), formula)))
    }

    /// `no-more-than 1 per="7d"`
    fn cap(&mut self, node: &Node) -> Option<Cap> {
        self.known_props(node, &["per"]);
        self.no_block(node);
        let calls = self.whole_arg(node, "no-more-than", 1, CALLS_MAX);
        if node.prop("per").is_none() {
            let hint = "write no-more-than 1 per=\"7d\"";
            self.report.error_hint(node.head(), "so many calls in which time?", hint);
        }
        let per_ms = self.duration_prop(node, "per", MINUTE_MS, 366 * DAY_MS)?;
        Some(Cap { calls: calls.and_then(|calls| u32::try_from(calls).ok())?, per_ms })
    }
}
