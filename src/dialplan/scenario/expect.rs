//! `expect …`: what must have happened.

use super::{Expectation, Reader};
use crate::dialplan::plan::Script;
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::values;

const PROPERTIES: &[&str] = &[
    "queued",
    "waiting",
    "connected",
    "operator",
    "promise",
    "due",
    "step",
    "language",
    "rating",
    "order-status",
    "bonus",
    "outcome",
    "called",
];

/// What is written without a value.
const WORDS: &[&str] = &["hangup", "do-not-call"];

impl Reader<'_, '_> {
    /// `expect rating=2 promise="callback-low-rating" due="2026-11-30 11:00" do-not-call hangup`
    pub(super) fn expect(&mut self, node: &Node, script: &Script) -> Option<Vec<Expectation>> {
        self.known_props(node, PROPERTIES);
        if let (Some(value), None) = (node.prop("due"), node.prop("promise")) {
            let hint = "write promise=\"callback-missed\" due=\"2026-11-30 11:00\"";
            self.report.error_hint(value.span, "what is due then?", hint);
            return None;
        }
        let mut expected = Vec::new();
        for (key, value) in node.props.iter().filter(|(key, _)| key.value != "due") {
            expected.push(self.property(node, &key.value, value, script)?);
        }
        for word in &node.args {
            expected.push(self.word(word)?);
        }
        if expected.is_empty() {
            let message = "expect needs waiting=\"…\", step=\"…\", promise=\"…\" or hangup";
            self.report.error(node.head(), message);
            return None;
        }
        Some(expected)
    }

    fn word(&mut self, value: &Spanned<Value>) -> Option<Expectation> {
        let word = self.text(value, "hangup or do-not-call")?;
        match word.value.as_str() {
            "hangup" => Some(Expectation::Hangup),
            "do-not-call" => Some(Expectation::DoNotCall),
            other => {
                let known = WORDS.iter().copied();
                self.report.unknown(word.span, "expectation", other, "not known", known);
                None
            }
        }
    }

    fn property(
        &mut self,
        node: &Node,
        key: &str,
        value: &Spanned<Value>,
        script: &Script,
    ) -> Option<Expectation> {
        match key {
            "rating" => match self.integer_prop(node, key).map(u8::try_from)? {
                Ok(score @ 1..=5) => Some(Expectation::Rating(score)),
                Ok(_) | Err(_) => {
                    self.report.error(value.span, "a rating is 1 to 5");
                    None
                }
            },
            "bonus" => self.integer_prop(node, key).map(Expectation::Bonus),
            "order-status" => self.text_prop(node, key).map(Expectation::OrderStatus),
            "outcome" => self.parsed_prop(node, key, str::parse).map(Expectation::Outcome),
            "called" => self.parsed_prop(node, key, values::moment).map(Expectation::Called),
            "operator" => self.parsed_prop(node, key, str::parse).map(Expectation::Operator),
            "language" => self.parsed_prop(node, key, str::parse).map(Expectation::Language),
            "promise" => {
                let due = self.parsed_prop(node, "due", values::moment);
                let kind = self.parsed_prop(node, key, str::parse)?;
                Some(Expectation::Promise { kind, due })
            }
            "step" => {
                let text = self.text(value, "a name")?;
                let known = script.steps.keys().chain(script.menus.keys()).map(String::as_str);
                self.defined(&text, "step or menu", known).then_some(Expectation::Step(text.value))
            }
            "queued" => self.group_of(value, script).map(Expectation::Queued),
            "waiting" => self.group_of(value, script).map(Expectation::Waiting),
            "connected" => self.group_of(value, script).map(Expectation::Connected),
            _ => None, // reported as an unknown property
        }
    }

    fn group_of(&mut self, value: &Spanned<Value>, script: &Script) -> Option<String> {
        let group = self.text(value, "a name")?;
        self.is_group(&group, script).then_some(group.value)
    }
}
