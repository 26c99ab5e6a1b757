//! Groups of operators. Everything in a group is checked here; what the line of waiting callers
//! does with it belongs to the core.

use super::Reader;
use super::statements::{HOUR_MS, MINUTE_MS, Place, SECOND_MS, hangup, say};
use crate::dialplan::names::{Kind, NAMES, kind_of};
use crate::dialplan::plan::Pick;
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::tree::GroupTree;
use crate::dialplan::values;

const PARTS: &[&str] = &[
    "pick",
    "ring",
    "wrap-up",
    "target",
    "priority",
    "while-waiting",
    "offer-callback",
    "after",
    "nobody",
    "full",
];

const PICKS: &[(&str, Pick)] = &[
    ("longest-idle", Pick::LongestIdle),
    ("ring-all", Pick::RingAll),
    ("round-robin", Pick::RoundRobin),
    ("fewest-calls", Pick::FewestCalls),
    ("by-skill", Pick::BySkill),
];

/// What operators who do not pick up are thought to do.
const NO_ANSWER: &[&str] = &["pause", "delay", "next"];

const FORMULAS: &[&str] =
    &["of-offered", "of-answered", "late-abandons-count", "without-short-abandons"];

const TOLD: &[&str] = &["place", "estimate"];

impl Reader<'_, '_> {
    pub(super) fn group(&mut self, node: &Node) -> GroupTree {
        const RING_MS: u64 = 15 * SECOND_MS;
        let at = node.head();
        let mut group = GroupTree {
            name: node.args.first().map_or(node.name.span, |name| name.span),
            pick: Pick::default(),
            ring_ms: RING_MS,
            nobody: vec![say("sorry-full", at), hangup(at)],
            full: Vec::new(),
            mentions: Vec::new(),
        };
        let mut seen: Vec<&str> = Vec::new();
        for child in node.children() {
            let name = child.name.value.as_str();
            let may_repeat = matches!(name, "after" | "priority");
            if seen.contains(&name) && !may_repeat {
                self.twice(child);
            }
            seen.push(name);
            self.group_part(child, &mut group);
        }
        group
    }

    fn group_part(&mut self, node: &Node, group: &mut GroupTree) {
        match node.name.value.as_str() {
            "pick" => {
                self.known_props(node, &[]);
                if let Some(pick) = self.pick(node) {
                    group.pick = pick;
                }
            }
            "ring" => {
                self.known_props(node, &["no-answer"]);
                self.one_of_prop(node, "no-answer", NO_ANSWER);
                if let Some(ms) = self.duration_arg(node, SECOND_MS, 5 * MINUTE_MS) {
                    group.ring_ms = ms;
                }
            }
            "wrap-up" => {
                self.known_props(node, &[]);
                self.duration_arg(node, 0, HOUR_MS);
            }
            "target" => self.target(node),
            "priority" => self.priority(node),
            "while-waiting" => self.while_waiting(node),
            "offer-callback" => {
                self.known_props(node, &["after", "key"]);
                self.duration_prop(node, "after", 0, HOUR_MS);
                if let Some(key) = self.text_prop(node, "key") {
                    self.key(&key);
                }
            }
            "after" => self.overflow(node, group),
            "nobody" => {
                self.no_args(node);
                self.known_props(node, &[]);
                group.nobody = self.body(node, Place::Body);
            }
            "full" => {
                self.no_args(node);
                self.known_props(node, &[]);
                group.full = self.body(node, Place::Body);
            }
            other => {
                let known = PARTS.iter().copied();
                self.report.unknown(node.name.span, "part of group", other, "not known", known);
            }
        }
    }

    fn pick(&mut self, node: &Node) -> Option<Pick> {
        let text = self.only_text(node, "whom to ring first, such as \"longest-idle\"")?;
        let found = PICKS.iter().find(|(name, _)| *name == text.value).map(|(_, pick)| *pick);
        if found.is_none() {
            let known = PICKS.iter().map(|(name, _)| *name);
            self.report.unknown(text.span, "pick", &text.value, "not known", known);
        }
        found
    }

    fn one_of_prop(&mut self, node: &Node, name: &str, known: &[&str]) {
        if let Some(text) = self.text_prop(node, name)
            && !known.contains(&text.value.as_str())
        {
            let known = known.iter().copied();
            self.report.unknown(text.span, name, &text.value, "not known", known);
        }
    }

    fn duration_arg(&mut self, node: &Node, least: u64, most: u64) -> Option<u64> {
        let Some(first) = node.args.first() else {
            let message = format!("{} needs a duration such as \"20s\"", node.name.value);
            self.report.error(node.head(), message);
            return None;
        };
        self.duration(first, &node.name.value, least, most)
    }

    /// `target "80%" within="20s" short-abandon="5s" formula="of-offered"`
    fn target(&mut self, node: &Node) {
        self.known_props(node, &["within", "short-abandon", "formula"]);
        self.duration_prop(node, "within", SECOND_MS, HOUR_MS);
        self.duration_prop(node, "short-abandon", 0, HOUR_MS);
        self.one_of_prop(node, "formula", FORMULAS);
        if let Some(text) = self.only_text(node, "a percent such as \"80%\"")
            && let Err(message) = values::percent(&text.value)
        {
            self.report.error(text.span, message);
        }
    }

    /// `priority "customer.vip" 10`
    fn priority(&mut self, node: &Node) {
        self.known_props(node, &[]);
        let [name, number] = node.args.as_slice() else {
            let hint = "write priority \"customer.vip\" 10";
            self.report.error_hint(node.head(), "priority needs a name and a number", hint);
            return;
        };
        if let Some(name) = self.text(name, "a name such as \"customer.vip\"")
            && kind_of(&name.value) != Some(Kind::Flag)
        {
            let flags = NAMES.iter().filter(|(_, kind, _)| *kind == Kind::Flag);
            let flags = flags.map(|(name, _, _)| *name);
            self.report.unknown(name.span, "name", &name.value, "not a yes-or-no one", flags);
        }
        if !matches!(number.value, Value::Integer(-100..=100)) {
            self.report.error(number.span, "a priority is a whole number from -100 to 100");
        }
    }

    fn while_waiting(&mut self, node: &Node) {
        self.known_props(node, &[]);
        for child in node.children() {
            self.known_props(child, &["every"]);
            self.duration_prop(child, "every", SECOND_MS, HOUR_MS);
            match child.name.value.as_str() {
                "tips" => {
                    self.only_text(child, "the folder of the tips, \"tip\"");
                }
                "tell" => {
                    for arg in &child.args {
                        self.told(arg);
                    }
                }
                other => {
                    let known = ["tips", "tell"];
                    let what = "part of while-waiting";
                    self.report.unknown(child.name.span, what, other, "not known", known);
                }
            }
        }
    }

    fn told(&mut self, arg: &Spanned<Value>) {
        if let Some(text) = self.text(arg, "\"place\" or \"estimate\"")
            && !TOLD.contains(&text.value.as_str())
        {
            let known = TOLD.iter().copied();
            self.report.unknown(text.span, "tell", &text.value, "not known", known);
        }
    }

    /// `after "180s" { also "sales" }`
    fn overflow(&mut self, node: &Node, group: &mut GroupTree) {
        self.known_props(node, &[]);
        self.duration_arg(node, SECOND_MS, 24 * HOUR_MS);
        for child in node.children() {
            if child.name.value == "also" {
                for arg in &child.args {
                    group.mentions.extend(self.text(arg, "the name of a group"));
                }
            } else {
                let name = child.name.value.as_str();
                self.report.unknown(child.name.span, "part of after", name, "not known", ["also"]);
            }
        }
    }
}
