//! How humans call customers back, and what they call them for: `callback` and `incident`.

use super::Reader;
use super::groups::set;
use super::outbound::DAY_MS;
use super::statements::MINUTE_MS;
use crate::dialplan::plan::{CallbackRules, Incident, Way};
use crate::dialplan::syntax::{Node, Spanned};
use crate::dialplan::tree::{CallbackTree, DueTree, IncidentTree};
use crate::domain::{Key, PromiseKind};

const CALLBACK_PARTS: &[&str] =
    &["way", "tries", "ring", "window", "hours", "say", "escalate", "caller-id", "trunk"];

const INCIDENT_PARTS: &[&str] = &["when", "due", "group", "label"];

impl Reader<'_, '_> {
    /// `callback "callback-missed" { … }`
    pub(super) fn callback(&mut self, node: &Node) -> Option<(PromiseKind, CallbackTree)> {
        self.known_props(node, &[]);
        let kind = self.only_text(node, "what is promised, such as \"callback-missed\"");
        let mut callback = CallbackTree {
            kind: kind.as_ref().map_or(node.name.span, |kind| kind.span),
            rules: CallbackRules::default(),
            prompt: None,
            press: None,
            hours: None,
            escalate_to: None,
        };
        if node.children.is_none() {
            let hint = "write { … } with way, tries and so on";
            self.report.error_hint(node.head(), "callback has no block", hint);
        }
        let mut seen: Vec<&str> = Vec::new();
        for child in node.children() {
            let part = child.name.value.as_str();
            if seen.contains(&part) {
                self.twice(child);
            }
            seen.push(part);
            self.callback_part(child, &mut callback);
        }
        let kind = self.human_kind(&kind?)?;
        Some((kind, callback))
    }

    fn human_kind(&mut self, text: &Spanned<String>) -> Option<PromiseKind> {
        let kind = text.value.parse().ok().filter(|kind: &PromiseKind| kind.is_human());
        if kind.is_none() {
            let known = PromiseKind::ALL.into_iter().filter(|kind| kind.is_human());
            let known = known.map(PromiseKind::name);
            self.report.unknown(text.span, "callback", &text.value, "not known", known);
        }
        kind
    }

    fn callback_part(&mut self, node: &Node, callback: &mut CallbackTree) {
        let rules = &mut callback.rules;
        match node.name.value.as_str() {
            "way" => {
                if let Some((way, press)) = self.way(node) {
                    rules.way = way;
                    callback.press = press;
                }
            }
            "tries" => self.tries(node, &mut rules.tries, &mut rules.every_ms),
            "ring" => self.rings(node, &mut rules.ring_ms),
            "window" => rules.window = self.window(node),
            "hours" => {
                self.plain(node);
                callback.hours = self.only_text(node, "the name of hours, such as \"shop\"");
            }
            "say" => {
                self.plain(node);
                callback.prompt = Some(self.pieces(node));
            }
            "escalate" => self.escalate(node, callback),
            "caller-id" => self.caller_id(node, &mut rules.identity),
            "trunk" => self.trunks(node, &mut rules.identity),
            other => {
                let known = CALLBACK_PARTS.iter().copied();
                self.report.unknown(node.name.span, "part of callback", other, "not known", known);
            }
        }
    }

    /// `way "operator-first"`, `way "customer-first" press="1"`
    fn way(&mut self, node: &Node) -> Option<(Way, Option<crate::dialplan::finding::Span>)> {
        self.known_props(node, &["press"]);
        self.no_block(node);
        let press: Option<(Key, _)> = self
            .text_prop(node, "press")
            .and_then(|text| self.key(&text).map(|key| (key, text.span)));
        let text = self.only_text(node, "\"operator-first\" or \"customer-first\"")?;
        let customer_first = Way::CustomerFirst { press: press.map(|(key, _)| key) };
        let ways = [("operator-first", Way::OperatorFirst), ("customer-first", customer_first)];
        let way = self.one_of(&text, "way", &ways)?;
        if let (Way::OperatorFirst, Some(press)) = (way, node.prop("press")) {
            let hint = "write way \"customer-first\" press=\"1\", or leave press out";
            self.report.error_hint(press.span, "here nobody has to press a key", hint);
        }
        Some((way, press.map(|(_, span)| span)))
    }

    /// `escalate before="5m" to="supervisors"`
    fn escalate(&mut self, node: &Node, callback: &mut CallbackTree) {
        self.known_props(node, &["before", "to"]);
        self.no_args(node);
        self.no_block(node);
        let before_ms = self.duration_prop(node, "before", 0, DAY_MS);
        set(&mut callback.rules.escalate_before_ms, before_ms);
        callback.escalate_to = self.text_prop(node, "to");
    }

    /// `incident "item-not-found" { … }`
    pub(super) fn incident(&mut self, node: &Node) -> Option<(Spanned<String>, IncidentTree)> {
        let name = self.block_name(node);
        let (mut event, mut due, mut group, mut label) = (None, None, None, None);
        let mut seen: Vec<&str> = Vec::new();
        for child in node.children() {
            let part = child.name.value.as_str();
            if seen.contains(&part) {
                self.twice(child);
            }
            seen.push(part);
            match part {
                "when" => {
                    self.plain(child);
                    event = self.event_name(child);
                }
                "due" => due = self.incident_due(child),
                "group" => {
                    self.plain(child);
                    group = self.only_text(child, "the name of a group");
                }
                "label" => {
                    self.plain(child);
                    let text = self.only_text(child, "a text for the display");
                    label = text.and_then(|text| self.label(&text));
                }
                other => {
                    let known = INCIDENT_PARTS.iter().copied();
                    let what = "part of incident";
                    self.report.unknown(child.name.span, what, other, "not known", known);
                }
            }
        }
        if !seen.contains(&"group") {
            let hint = "write group \"orders\" in its block";
            self.report.error_hint(node.head(), "who talks with the customer about it?", hint);
        }
        let name = name?;
        let event = event.unwrap_or_else(|| name.clone());
        let due = due.unwrap_or(DueTree::After { ms: Incident::DUE_MS });
        Some((name, IncidentTree { event, due, group: group?, label }))
    }

    /// `due "15m"`, `due "next-opening+1h"`
    fn incident_due(&mut self, node: &Node) -> Option<DueTree> {
        self.known_props(node, &["hours"]);
        self.no_block(node);
        let Some(due) = node.args.first() else {
            let hint = format!("write due \"{}m\"", Incident::DUE_MS / MINUTE_MS);
            self.report.error_hint(node.head(), "when must this be done?", hint);
            return None;
        };
        let read = self.due(node, due)?;
        if let DueTree::Named { variable } = &read {
            let message = "nobody is asked for a time when an event comes";
            self.report.error_hint(variable.span, message, "write due \"15m\"");
            return None;
        }
        Some(read)
    }
}
