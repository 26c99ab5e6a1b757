//! The statements of a block.

use super::say::full_id;
use super::{Reader, Scene};
use crate::dialplan::Severity;
use crate::dialplan::condition;
use crate::dialplan::expression::Condition;
use crate::dialplan::finding::Span;
use crate::dialplan::names::{Kind, is_event_field, kind_of};
use crate::dialplan::plan::{Piece, Text};
use crate::dialplan::syntax::{Node, Spanned};
use crate::dialplan::tree::{AskTree, Line, LineKind, LookupTree, Use};

/// What a line in a block may be.
pub(super) const NAMES: &[&str] = &[
    "say",
    "lookup",
    "if",
    "else-if",
    "else",
    "ask",
    "go",
    "repeat",
    "language",
    "queue",
    "ring",
    "promise",
    "rate",
    "do-not-call",
    "bonus",
    "order-status",
    "message",
    "hangup",
];

/// Where a block stands, as far as it decides what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Body,
    /// In a key, `silence` or `wrong`: `repeat` is known.
    Menu,
    /// In front of a menu's keys: only `say` and `if`.
    Prompt,
}

pub(super) const SECOND_MS: u64 = 1_000;
pub(super) const MINUTE_MS: u64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: u64 = 60 * MINUTE_MS;

impl Reader<'_, '_> {
    pub(super) fn block(&mut self, nodes: &[Node], place: Place) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut at = 0;
        while let Some(node) = nodes.get(at) {
            at += 1;
            if node.name.value == "if" {
                let alternatives = nodes[at..]
                    .iter()
                    .take_while(|node| matches!(node.name.value.as_str(), "else-if" | "else"))
                    .count();
                lines.extend(self.branches(node, &nodes[at..at + alternatives], place));
                at += alternatives;
            } else if let Some(kind) = self.statement(node, place) {
                lines.push(Line { span: node.head(), kind });
            }
        }
        self.warn_of_dead_lines(&lines);
        lines
    }

    fn warn_of_dead_lines(&mut self, lines: &[Line]) {
        let Some(last) = lines.iter().position(Line::ends_block) else { return };
        if let Some(dead) = lines.get(last + 1) {
            let message = "this is never reached";
            let hint = "the line above it ends the block";
            self.report.warning_hint(dead.span, message, hint);
        }
    }

    /// `if`, and the `else-if` and `else` that follow it.
    fn branches(&mut self, node: &Node, alternatives: &[Node], place: Place) -> Option<Line> {
        let then = self.body(node, place);
        let condition = self.condition(node);
        let otherwise = match alternatives.split_first() {
            None => Vec::new(),
            Some((next, rest)) if next.name.value == "else-if" => {
                self.branches(next, rest, place).into_iter().collect()
            }
            Some((next, rest)) => {
                self.check_else(next);
                for late in rest {
                    let message = format!("{} comes after else", late.name.value);
                    let hint = "else is the last branch of an if";
                    self.report.error_hint(late.name.span, message, hint);
                }
                self.body(next, place)
            }
        };
        let (condition, uses) = condition?;
        let kind = LineKind::If { condition, uses, then, otherwise };
        Some(Line { span: node.head(), kind })
    }

    fn check_else(&mut self, node: &Node) {
        self.known_props(node, &[]);
        if let Some(arg) = node.args.first() {
            let hint = "write else-if \"…\" { … } for another condition";
            self.report.error_hint(arg.span, "else has no condition", hint);
        }
    }

    fn condition(&mut self, node: &Node) -> Option<(Condition, Vec<Use>)> {
        self.known_props(node, &[]);
        let text = self.only_text(node, "a condition such as \"customer.found\"")?;
        match condition::parse(&text.value) {
            Ok(parsed) => {
                let uses = parsed.uses.into_iter().map(|use_| self.place_use(&text, use_));
                let uses: Vec<Use> = uses.collect();
                for use_ in &uses {
                    if let Use::Name(name) = use_
                        && is_event_field(&name.value)
                        && self.scene != Scene::Robot
                    {
                        self.no_event(&name.value, name.span);
                    }
                }
                Some((parsed.condition, uses))
            }
            Err(wrong) => {
                let span = self.inside(&text, wrong.span);
                self.report.note(Severity::Error, span, wrong.message, wrong.hint);
                None
            }
        }
    }

    fn place_use(&self, text: &Spanned<String>, use_: Use) -> Use {
        let placed = |name: Spanned<String>| Spanned::new(name.value, self.inside(text, name.span));
        match use_ {
            Use::Hours(name) => Use::Hours(placed(name)),
            Use::Variable(name) => Use::Variable(placed(name)),
            Use::Name(name) => Use::Name(placed(name)),
            Use::Status(name) => Use::Status(placed(name)),
        }
    }

    fn statement(&mut self, node: &Node, place: Place) -> Option<LineKind> {
        let name = node.name.value.as_str();
        if place == Place::Prompt && name != "say" && NAMES.contains(&name) {
            let message = format!("{name} cannot stand in front of a menu's keys");
            let hint = "only say and if stand there; put it into a key, or before go to this menu";
            self.report.error_hint(node.head(), message, hint);
            return None;
        }
        match name {
            "say" => {
                self.known_props(node, &[]);
                self.no_block(node);
                let pieces = self.pieces(node);
                (!pieces.is_empty()).then_some(LineKind::Say(pieces))
            }
            "lookup" => self.lookup(node, place),
            "ask" => self.ask(node, place),
            "go" => {
                self.plain(node);
                self.only_text(node, "the name of a step or menu").map(LineKind::Go)
            }
            "repeat" => {
                self.plain(node);
                self.no_args(node);
                if place != Place::Menu {
                    let hint = "repeat stands in a key, silence or wrong block of a menu";
                    self.report.error_hint(node.head(), "there is no menu to repeat", hint);
                    return None;
                }
                Some(LineKind::Repeat)
            }
            "hangup" => {
                self.plain(node);
                self.no_args(node);
                Some(LineKind::Hangup)
            }
            "language" => {
                self.no_block(node);
                self.language_of(node).map(LineKind::Language)
            }
            "queue" => {
                self.plain(node);
                self.only_text(node, "the name of a group").map(LineKind::Queue)
            }
            "ring" => self.ring(node),
            "promise" => self.promise(node),
            "rate" | "do-not-call" | "bonus" | "order-status" | "message" => self.deed(node),
            "else" | "else-if" => {
                let message = format!("{name} without an if before it");
                let hint = "it stands on the line after the } of its if";
                self.report.error_hint(node.head(), message, hint);
                None
            }
            other => {
                let known = NAMES.iter().copied();
                self.report.unknown(node.name.span, "statement", other, "not known", known);
                None
            }
        }
    }

    /// A line without properties and block.
    pub(super) fn plain(&mut self, node: &Node) {
        self.known_props(node, &[]);
        self.no_block(node);
    }

    fn lookup(&mut self, node: &Node, place: Place) -> Option<LineKind> {
        let what = self.only_text(node, "\"customer\" or \"order\"")?;
        match what.value.as_str() {
            "customer" if node.prop("card").is_some() => {
                self.known_props(node, &["card"]);
                self.no_block(node);
                let variable = self.variable_prop(node, "card")?;
                Some(LineKind::MatchCard { variable })
            }
            "customer" => {
                self.known_props(node, &["wait", "deadline", "card"]);
                Some(LineKind::LookupCustomer(self.lookup_terms(node, place)))
            }
            "order" => {
                self.known_props(node, &["number", "wait", "deadline"]);
                let lookup = self.lookup_terms(node, place);
                if node.prop("number").is_none() {
                    let hint = "write number=\"{order}\" after ask … as=\"order\"";
                    self.report.error_hint(node.head(), "which order?", hint);
                    return None;
                }
                let variable = self.variable_prop(node, "number")?;
                Some(LineKind::LookupOrder { variable, lookup })
            }
            other => {
                let known = ["customer", "order"];
                self.report.unknown(what.span, "lookup", other, "not known", known);
                None
            }
        }
    }

    fn lookup_terms(&mut self, node: &Node, place: Place) -> LookupTree {
        const WAIT_MS: u64 = 800;
        let wait_ms = self.duration_prop(node, "wait", 0, 30 * SECOND_MS).unwrap_or(WAIT_MS);
        let deadline_ms = self.duration_prop(node, "deadline", 1, 60 * SECOND_MS);
        let (mut filler, mut unavailable) = (None, None);
        for child in node.children() {
            match child.name.value.as_str() {
                "filler" if filler.is_none() => {
                    self.plain(child);
                    filler = Some(self.pieces(child));
                }
                "unavailable" if unavailable.is_none() => {
                    self.no_args(child);
                    self.known_props(child, &[]);
                    unavailable = Some(self.body(child, place));
                }
                "filler" | "unavailable" => self.twice(child),
                other => {
                    let known = ["filler", "unavailable"];
                    self.report.unknown(
                        child.name.span,
                        "part of lookup",
                        other,
                        "not known",
                        known,
                    );
                }
            }
        }
        let at = node.head();
        LookupTree {
            wait_ms,
            deadline_ms,
            filler: filler.unwrap_or_else(|| vec![phrase("one-moment", at)]),
            unavailable: unavailable.unwrap_or_else(|| vec![say("crm-unavailable", at)]),
        }
    }

    pub(super) fn twice(&mut self, child: &Node) {
        self.report.error(child.head(), format!("{} is given twice", child.name.value));
    }

    fn ask(&mut self, node: &Node, place: Place) -> Option<LineKind> {
        const DIGITS: u8 = 12;
        const WAIT_MS: u64 = 5 * SECOND_MS;
        const TRIES: u8 = 3;
        self.known_props(node, &["digits", "end", "as", "wait", "tries"]);
        let prompt = self.pieces(node);
        let digits = self.number_prop(node, "digits", 1, 32).unwrap_or(DIGITS);
        let end = self.text_prop(node, "end").and_then(|text| self.key(&text));
        let wait_ms = self.duration_prop(node, "wait", SECOND_MS, MINUTE_MS).unwrap_or(WAIT_MS);
        let tries = self.number_prop(node, "tries", 1, 10).unwrap_or(TRIES);
        let mut silence = Vec::new();
        for child in node.children() {
            if child.name.value == "silence" {
                self.no_args(child);
                silence.extend(self.body(child, place));
            } else {
                let name = child.name.value.as_str();
                self.report.unknown(child.name.span, "part of ask", name, "not known", ["silence"]);
            }
        }
        if node.prop("as").is_none() {
            let hint = "write as=\"order\"; later lines use it as {order}";
            self.report.error_hint(node.head(), "where do the digits go?", hint);
        }
        let variable = self.new_variable(node, "as")?;
        let digits = usize::from(digits);
        Some(LineKind::Ask(AskTree { prompt, variable, digits, end, wait_ms, tries, silence }))
    }

    fn ring(&mut self, node: &Node) -> Option<LineKind> {
        const FOR_MS: u64 = 20 * SECOND_MS;
        self.no_block(node);
        self.no_args(node);
        self.known_props(node, &["operator", "for"]);
        let for_ms = self.duration_prop(node, "for", SECOND_MS, 10 * MINUTE_MS).unwrap_or(FOR_MS);
        let Some(who) = self.text_prop(node, "operator") else {
            if node.prop("operator").is_none() {
                let hint = "write operator=\"anna\" or operator=\"{customer.manager}\"";
                self.report.error_hint(node.head(), "whom shall it ring?", hint);
            }
            return None;
        };
        let braced = who.value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let operator = match braced {
            None => Text::Fixed(who.value.clone()),
            Some(name) if kind_of(name) == Some(Kind::Text) => Text::Name(name.to_owned()),
            Some(name) => {
                let message = format!("{name} is not the login of an operator");
                let hint = "write operator=\"{customer.manager}\"";
                self.report.error_hint(who.span, message, hint);
                return None;
            }
        };
        Some(LineKind::Ring { operator, at: who.span, for_ms })
    }
}

/// A recording that is heard unless the plan says otherwise. It stands where it is missing.
pub(super) fn phrase(id: &str, at: Span) -> Spanned<Piece> {
    Spanned::new(Piece::Recording(full_id(id)), at)
}

/// `say` of one phrase, as a default.
pub(super) fn say(id: &str, at: Span) -> Line {
    Line { span: at, kind: LineKind::Say(vec![phrase(id, at)]) }
}

pub(super) fn hangup(at: Span) -> Line {
    Line { span: at, kind: LineKind::Hangup }
}
