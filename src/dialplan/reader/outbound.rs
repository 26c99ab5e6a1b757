//! What all calls to customers have in common: when they may be made, how often they are tried, and
//! how customers see them.

use super::Reader;
use super::groups::set;
use super::statements::{HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::dialplan::hours::TimeRange;
use crate::dialplan::plan::{Identity, Window};
use crate::dialplan::syntax::{Node, Spanned};
use crate::dialplan::values;
use crate::domain::PhoneNumber;

pub(super) const DAY_MS: u64 = 24 * HOUR_MS;

/// Minutes of the day between which nobody is disturbed by a call.
const DECENT: TimeRange = TimeRange { start: 9 * 60, end: 21 * 60 };
/// Who did not answer so often does not want to.
const TRIES_DECENT: u8 = 5;
const TRIES_MAX: i64 = 20;
/// Displays show no more.
const LABEL_CHARS_MAX: usize = 32;

impl Reader<'_, '_> {
    /// `window "10:00-20:00" customer-time`
    pub(super) fn window(&mut self, node: &Node) -> Option<Window> {
        self.plain(node);
        let Some((range, rest)) = node.args.split_first() else {
            let hint = "write window \"10:00-20:00\" customer-time";
            self.report.error_hint(node.head(), "window needs a time", hint);
            return None;
        };
        let mut in_customer_time = false;
        for arg in rest {
            let Some(word) = self.text(arg, "customer-time") else { continue };
            if word.value == "customer-time" {
                in_customer_time = true;
            } else {
                let known = ["customer-time"];
                self.report.unknown(word.span, "time", &word.value, "not known", known);
            }
        }
        let text = self.text(range, "a time such as \"10:00-20:00\"")?;
        match values::time_range(&text.value) {
            Ok((start, end)) => {
                if start < DECENT.start || end > DECENT.end {
                    let message = "people are called before 9:00 or after 21:00";
                    let hint = "let the window lie within \"09:00-21:00\"";
                    self.report.warning_hint(text.span, message, hint);
                }
                Some(Window { range: TimeRange { start, end }, in_customer_time })
            }
            Err(message) => {
                self.report.error(text.span, message);
                None
            }
        }
    }

    /// `tries 2 every="20m"`
    pub(super) fn tries(&mut self, node: &Node, tries: &mut u8, every_ms: &mut u64) {
        self.known_props(node, &["every"]);
        self.no_block(node);
        set(every_ms, self.duration_prop(node, "every", MINUTE_MS, 7 * DAY_MS));
        let number = self.whole_arg(node, "tries", 1, TRIES_MAX);
        let Some(number) = number.and_then(|number| u8::try_from(number).ok()) else { return };
        if number > TRIES_DECENT {
            let message = format!("a customer is called {number} times in vain");
            let hint = format!("{TRIES_DECENT} tries are enough");
            self.report.warning_hint(node.head(), message, hint);
        }
        *tries = number;
    }

    /// `ring "30s"`
    pub(super) fn rings(&mut self, node: &Node, ring_ms: &mut u64) {
        self.plain(node);
        set(ring_ms, self.duration_arg(node, 5 * SECOND_MS, 3 * MINUTE_MS));
    }

    /// `caller-id "+78003334455" label="Магазин"`
    pub(super) fn caller_id(&mut self, node: &Node, identity: &mut Identity) {
        self.known_props(node, &["label"]);
        self.no_block(node);
        if let Some(label) = self.text_prop(node, "label") {
            identity.label = self.label(&label);
        }
        let Some(text) = self.only_text(node, "a number such as \"+78003334455\"") else { return };
        match PhoneNumber::parse(&text.value, self.settings.region) {
            Some(number) => identity.caller_id = Some(number.as_str().to_owned()),
            None => {
                let message = format!("\"{}\" is no telephone number", text.value);
                let hint = "write it with + and country code";
                self.report.error_hint(text.span, message, hint);
            }
        }
    }

    /// A text for the display of a telephone.
    pub(super) fn label(&mut self, text: &Spanned<String>) -> Option<String> {
        let length = text.value.chars().count();
        if text.value.trim().is_empty() || length > LABEL_CHARS_MAX {
            let message = format!("a label has 1 to {LABEL_CHARS_MAX} characters, not {length}");
            self.report.error(text.span, message);
            return None;
        }
        Some(text.value.clone())
    }

    /// `trunk "main" "spare"`
    pub(super) fn trunks(&mut self, node: &Node, identity: &mut Identity) {
        self.plain(node);
        if node.args.is_empty() {
            let hint = "write the name of a trunk of allo.toml: trunk \"main\"";
            self.report.error_hint(node.head(), "by which trunk?", hint);
        }
        for arg in &node.args {
            let name = self.text(arg, "the name of a trunk");
            identity.trunks.extend(name.map(|name| name.value));
        }
    }

    /// The one argument of a line, a whole number within `least..=most`.
    pub(super) fn whole_arg(
        &mut self,
        node: &Node,
        what: &str,
        least: i64,
        most: i64,
    ) -> Option<i64> {
        let Some(first) = node.args.first() else {
            let message = format!("{} needs a number", node.name.value);
            self.report.error(node.head(), message);
            return None;
        };
        if let Some(second) = node.args.get(1) {
            let message = format!("{} takes one number", node.name.value);
            self.report.error(second.span, message);
        }
        self.whole(first, what, least, most)
    }
}
