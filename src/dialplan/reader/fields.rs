//! Arguments and properties of one line.

use super::Reader;
use crate::dialplan::finding::Span;
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::values;
use crate::domain::Key;

impl Reader<'_, '_> {
    /// Reports properties that this line does not have, and such as are given twice.
    pub(super) fn known_props(&mut self, node: &Node, known: &[&str]) {
        for (at, (key, _)) in node.props.iter().enumerate() {
            if !known.contains(&key.value.as_str()) {
                let what = format!("property of {}", node.name.value);
                let known = known.iter().copied();
                let none = known.len() == 0;
                if none {
                    let message = format!("{} has no property \"{}\"", node.name.value, key.value);
                    self.report.error(key.span, message);
                } else {
                    self.report.unknown(key.span, &what, &key.value, "not known", known);
                }
            } else if node.props[..at].iter().any(|(other, _)| other.value == key.value) {
                self.report.error(key.span, format!("{} is given twice", key.value));
            }
        }
    }

    /// Reports a block where none belongs.
    pub(super) fn no_block(&mut self, node: &Node) {
        if node.children.is_some() {
            self.report.error(node.head(), format!("{} has no block", node.name.value));
        }
    }

    pub(super) fn no_args(&mut self, node: &Node) {
        if let Some(arg) = node.args.first() {
            self.report.error(arg.span, format!("{} takes no argument", node.name.value));
        }
    }

    /// A value that must be a text.
    pub(super) fn text(
        &mut self,
        value: &Spanned<Value>,
        expected: &str,
    ) -> Option<Spanned<String>> {
        match &value.value {
            Value::Text(text) => {
                if text.starts_with(['“', '”', '„', '«']) {
                    let hint = "texts stand in straight double quotes: \"…\"";
                    self.report.error_hint(value.span, "these quotes are not known", hint);
                    return None;
                }
                Some(Spanned::new(text.clone(), value.span))
            }
            Value::Integer(number) => {
                let message = format!("{expected} is expected here");
                self.report.error_hint(value.span, message, format!("quote it: \"{number}\""));
                None
            }
            Value::Float(_) | Value::Bool(_) | Value::Null => {
                let message =
                    format!("{expected} is expected here, not {}", value.value.described());
                self.report.error(value.span, message);
                None
            }
        }
    }

    /// The one argument of a line, a text.
    pub(super) fn only_text(&mut self, node: &Node, expected: &str) -> Option<Spanned<String>> {
        let Some(first) = node.args.first() else {
            let message = format!("{} needs {expected}", node.name.value);
            self.report.error(node.head(), message);
            return None;
        };
        if let Some(second) = node.args.get(1) {
            let message = format!("{} takes one argument", node.name.value);
            self.report.error(second.span, message);
        }
        self.text(first, expected)
    }

    pub(super) fn text_prop(&mut self, node: &Node, name: &str) -> Option<Spanned<String>> {
        let value = node.prop(name)?;
        self.text(value, &format!("a text for {name}"))
    }

    /// A duration in milliseconds within `least..=most`.
    pub(super) fn duration_prop(
        &mut self,
        node: &Node,
        name: &str,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        let value = node.prop(name)?;
        self.duration(value, name, least, most)
    }

    pub(super) fn duration(
        &mut self,
        value: &Spanned<Value>,
        name: &str,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        let text = match &value.value {
            Value::Integer(number) => {
                let message = format!("{name} needs a unit");
                let hint =
                    format!("write \"{number}s\" for seconds, \"{number}ms\" for thousandths");
                self.report.error_hint(value.span, message, hint);
                return None;
            }
            Value::Text(_) | Value::Float(_) | Value::Bool(_) | Value::Null => {
                self.text(value, "a duration such as \"15s\"")?
            }
        };
        match values::duration(&text.value) {
            Ok(ms) if (least..=most).contains(&ms) => Some(ms),
            Ok(_) => {
                let message = format!("{name} must be from {} to {}", shown(least), shown(most));
                self.report.error(text.span, message);
                None
            }
            Err(message) => {
                self.report.error(text.span, message);
                None
            }
        }
    }

    /// A whole number within `least..=most`.
    pub(super) fn number_prop(
        &mut self,
        node: &Node,
        name: &str,
        least: u8,
        most: u8,
    ) -> Option<u8> {
        let value = node.prop(name)?;
        let number = match &value.value {
            Value::Integer(number) => u8::try_from(*number).ok(),
            Value::Text(text) if text.parse::<i64>().is_ok() => {
                let hint = format!("write {name}={text}");
                self.report.error_hint(value.span, "a number stands without quotes", hint);
                return None;
            }
            Value::Text(_) | Value::Float(_) | Value::Bool(_) | Value::Null => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!("{name} must be a whole number from {least} to {most}");
            self.report.error(value.span, message);
        }
        number
    }

    /// A whole number without quotes within `least..=most`.
    pub(super) fn whole(
        &mut self,
        value: &Spanned<Value>,
        what: &str,
        least: i64,
        most: i64,
    ) -> Option<i64> {
        let number = match &value.value {
            Value::Integer(number) => Some(*number),
            Value::Text(_) | Value::Float(_) | Value::Bool(_) | Value::Null => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!("{what} is a whole number from {least} to {most}");
            match &value.value {
                Value::Text(_) => {
                    self.report.error_hint(value.span, message, "numbers stand without quotes");
                }
                Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Null => {
                    self.report.error(value.span, message);
                }
            }
        }
        number
    }

    pub(super) fn key(&mut self, text: &Spanned<String>) -> Option<Key> {
        let mut chars = text.value.chars();
        let key = match (chars.next(), chars.next()) {
            (Some(c), None) => Key::try_from(c).ok(),
            _ => None,
        };
        if key.is_none() {
            let message = format!("\"{}\" is not a key of a telephone", text.value);
            self.report.error_hint(text.span, message, "keys are 0-9, *, # and A-D");
        }
        key
    }

    /// The name under which something is kept from now on: `as="order"`.
    pub(super) fn new_variable(&mut self, node: &Node, name: &str) -> Option<Spanned<String>> {
        let variable = self.text_prop(node, name)?;
        let is_name = crate::dialplan::condition::is_variable_name(&variable.value);
        if !is_name || crate::dialplan::names::kind_of(&variable.value).is_some() {
            let message = format!("\"{}\" cannot be the name of what is asked", variable.value);
            let hint = "use Latin letters, digits and -, such as \"order\" or \"card\"";
            self.report.error_hint(variable.span, message, hint);
            return None;
        }
        Some(variable)
    }

    /// The variable in `"{card}"`; bare `"card"` will do too.
    pub(super) fn variable_prop(&mut self, node: &Node, name: &str) -> Option<Spanned<String>> {
        self.variable(node.prop(name)?, name)
    }

    /// A variable that is mentioned, with or without braces.
    pub(super) fn variable(
        &mut self,
        value: &Spanned<Value>,
        name: &str,
    ) -> Option<Spanned<String>> {
        let text = self.text(value, &format!("a text for {name}"))?;
        let braced = text.value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let variable = braced.unwrap_or(&text.value).trim().to_owned();
        if !crate::dialplan::condition::is_variable_name(&variable) {
            let message = format!("\"{}\" is not what ask stored", text.value);
            let hint = format!("write {name}=\"{{x}}\" after ask … as=\"x\"");
            self.report.error_hint(text.span, message, hint);
            return None;
        }
        let start = usize::from(braced.is_some());
        let span = self.inside(&text, Span::new(start, start + variable.len()));
        Some(Spanned::new(variable, span))
    }
}

fn shown(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}
