//! Arguments and properties of the lines of a test.

use super::Reader;
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::values;
use crate::domain::Money;

impl Reader<'_, '_> {
    /// A line of one word.
    pub(super) fn bare(&mut self, node: &Node) -> bool {
        self.known_props(node, &[]);
        if let Some(arg) = node.args.first() {
            self.report.error(arg.span, format!("{} takes no argument", node.name.value));
        }
        node.args.is_empty()
    }

    pub(super) fn known_props(&mut self, node: &Node, known: &[&str]) {
        for (key, _) in &node.props {
            if !known.contains(&key.value.as_str()) {
                let what = format!("property of {}", node.name.value);
                let known = known.iter().copied();
                self.report.unknown(key.span, &what, &key.value, "not known", known);
            }
        }
    }

    pub(super) fn one_text(&mut self, node: &Node, expected: &str) -> Option<Spanned<String>> {
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

    pub(super) fn text(
        &mut self,
        value: &Spanned<Value>,
        expected: &str,
    ) -> Option<Spanned<String>> {
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

    pub(super) fn text_prop(&mut self, node: &Node, name: &str) -> Option<String> {
        let value = node.prop(name)?;
        self.text(value, "a text").map(|text| text.value)
    }

    pub(super) fn parsed_prop<T>(
        &mut self,
        node: &Node,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = node.prop(name)?;
        let text = self.text(value, "a text")?;
        parse(&text.value).map_err(|message| self.report.error(text.span, message)).ok()
    }

    pub(super) fn integer_prop(&mut self, node: &Node, name: &str) -> Option<i64> {
        let value = node.prop(name)?;
        let Value::Integer(number) = value.value else {
            self.report.error(value.span, format!("{name} is a whole number without quotes"));
            return None;
        };
        Some(number)
    }

    pub(super) fn flag_prop(&mut self, node: &Node, name: &str) -> bool {
        let Some(value) = node.prop(name) else { return false };
        let Value::Bool(yes) = value.value else {
            self.report.error(value.span, format!("{name} is #true or #false"));
            return false;
        };
        yes
    }

    /// Rubles: `2341` or `"2341.50"`.
    pub(super) fn money_prop(&mut self, node: &Node, name: &str) -> Option<Money> {
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

    pub(super) fn duration_prop(&mut self, node: &Node, name: &str) -> Option<u64> {
        self.parsed_prop(node, name, values::duration)
    }

    /// A whole number of a property, at least 0.
    pub(super) fn count_prop(&mut self, node: &Node, name: &str, most: usize) -> Option<usize> {
        let span = node.prop(name)?.span;
        let number = self.integer_prop(node, name)?;
        let count = usize::try_from(number).ok().filter(|count| *count <= most);
        if count.is_none() {
            self.report.error(span, format!("{name} is a whole number from 0 to {most}"));
        }
        count
    }
}
