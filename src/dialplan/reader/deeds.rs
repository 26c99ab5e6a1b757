//! Statements that outlive the call: what is promised, rated, forbidden, given and written down.

use super::outbound::DAY_MS;
use super::statements::{MINUTE_MS, SECOND_MS};
use super::{Reader, Scene};
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::tree::{DueTree, LineKind, PromiseTree};
use crate::dialplan::values;
use crate::domain::PromiseKind;

/// Promises beyond this are forgotten by those to whom they were made.
const LATEST_MS: u64 = 31 * DAY_MS;
const POINTS_MAX: i64 = 100_000;
/// Reasons are read in a table.
const REASON_CHARS_MAX: usize = 200;
/// The length of a message, unless the plan says otherwise.
const MESSAGE_MS: u64 = MINUTE_MS;

impl Reader<'_, '_> {
    pub(super) fn deed(&mut self, node: &Node) -> Option<LineKind> {
        match node.name.value.as_str() {
            "rate" => self.rate_call(node),
            "bonus" => self.bonus(node),
            "order-status" => {
                self.plain(node);
                let status = self.only_text(node, "a status such as \"confirmed\"")?;
                Some(LineKind::OrderStatus(status))
            }
            "message" => {
                self.known_props(node, &["max"]);
                self.no_args(node);
                self.no_block(node);
                let max_ms = self.duration_prop(node, "max", 5 * SECOND_MS, 5 * MINUTE_MS);
                Some(LineKind::Message { max_ms: max_ms.unwrap_or(MESSAGE_MS) })
            }
            _ => {
                self.plain(node);
                self.no_args(node);
                Some(LineKind::DoNotCall)
            }
        }
    }

    /// `rate "rating"`
    fn rate_call(&mut self, node: &Node) -> Option<LineKind> {
        self.plain(node);
        if self.scene != Scene::Call {
            let hint = "rate stands where a caller has talked with an operator: in afterwards";
            self.report.error_hint(node.head(), "a robot is not rated", hint);
            return None;
        }
        self.only_text(node, "the name of a survey").map(LineKind::Rate)
    }

    /// `bonus 50 reason="долгое ожидание"`
    fn bonus(&mut self, node: &Node) -> Option<LineKind> {
        self.known_props(node, &["reason"]);
        self.no_block(node);
        let points = self.whole_arg(node, "a bonus", 1, POINTS_MAX);
        let Some(reason) = self.text_prop(node, "reason") else {
            if node.prop("reason").is_none() {
                let hint = "write bonus 50 reason=\"long wait\"";
                self.report.error_hint(node.head(), "what is it given for?", hint);
            }
            return None;
        };
        if reason.value.trim().is_empty() || reason.value.chars().count() > REASON_CHARS_MAX {
            let message = format!("a reason has 1 to {REASON_CHARS_MAX} characters");
            self.report.error(reason.span, message);
            return None;
        }
        Some(LineKind::Bonus { points: points?, reason: reason.value })
    }

    pub(super) fn promise(&mut self, node: &Node) -> Option<LineKind> {
        self.no_block(node);
        self.known_props(node, &["due", "group", "hours"]);
        let kind = self.only_text(node, "what is promised, such as \"callback\"")?;
        let group = self.text_prop(node, "group");
        let Some(due) = node.prop("due") else {
            let hint = "write due=\"30m\" or due=\"next-opening+1h\"";
            self.report.error_hint(node.head(), "when must this be done?", hint);
            return None;
        };
        let due = self.due(node, due)?;
        let kind = self.promised(&kind)?;
        Some(LineKind::Promise(PromiseTree { kind, due, group }))
    }

    /// What a plan may promise in so many words.
    fn promised(&mut self, text: &Spanned<String>) -> Option<PromiseKind> {
        let kind: PromiseKind = match text.value.parse() {
            Ok(kind) => kind,
            Err(_) => {
                let known = PromiseKind::ALL.map(PromiseKind::name);
                self.report.unknown(text.span, "promise", &text.value, "not known", known);
                return None;
            }
        };
        let by_itself = match kind {
            PromiseKind::CallbackOrdered
            | PromiseKind::CallbackMissed
            | PromiseKind::CallbackAfterHours
            | PromiseKind::CallbackLowRating => return Some(kind),
            PromiseKind::CallbackFromLine => "offer-callback in a group",
            PromiseKind::RatingCall => "a survey",
            PromiseKind::Reminder => "a robot",
            PromiseKind::Incident => "an incident",
        };
        let message = format!("{kind} is not promised here: {by_itself} does it by itself");
        self.report.error_hint(text.span, message, "for a call back write \"callback-ordered\"");
        None
    }

    /// `30m`, `next-opening+1h`, `{time}`
    pub(super) fn due(&mut self, node: &Node, due: &Spanned<Value>) -> Option<DueTree> {
        if let Value::Text(text) = &due.value
            && text.starts_with('{')
        {
            if let Some(hours) = node.prop("hours") {
                self.report.error(hours.span, "hours belong to due=\"next-opening\"");
            }
            return self.variable(due, "due").map(|variable| DueTree::Named { variable });
        }
        let text = match &due.value {
            Value::Text(text) => text.strip_prefix("next-opening"),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Null => None,
        };
        let Some(behind) = text else {
            let ms = self.duration(due, "due", MINUTE_MS, LATEST_MS)?;
            if let Some(hours) = node.prop("hours") {
                self.report.error(hours.span, "hours belong to due=\"next-opening\"");
            }
            return Some(DueTree::After { ms });
        };
        let plus_ms = match behind.trim() {
            "" => Ok(0),
            plus => plus
                .strip_prefix('+')
                .ok_or_else(|| "after next-opening comes +1h or nothing".to_owned())
                .and_then(values::duration),
        };
        match plus_ms {
            Ok(plus_ms) => {
                let hours = self.text_prop(node, "hours");
                Some(DueTree::NextOpening { hours, plus_ms, span: due.span })
            }
            Err(message) => {
                self.report.error_hint(due.span, message, "write due=\"next-opening+1h\"");
                None
            }
        }
    }
}
