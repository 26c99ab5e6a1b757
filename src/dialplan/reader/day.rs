//! `day`: calls to rehearse.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::Reader;
use super::statements::{HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::dialplan::day::{Day, GroupDay, Minutes, Misses, Rate, Shift, Times};
use crate::dialplan::plan::{Group, Plan};
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::values;

const PARTS: &[&str] = &[
    "calls",
    "peak",
    "handle-time",
    "patience",
    "operators",
    "ring-delay",
    "misses",
    "wrap-up",
    "vip",
    "calls-again",
];

/// More calls are not of one hotline.
const PER_HOUR_MAX: f64 = 100_000.0;
/// Operators of one line.
const OPERATORS_MAX: i64 = 500;

/// Names that stand in a file and must be groups of its day.
type Mentions = Vec<Spanned<String>>;

impl Reader<'_, '_> {
    /// The one day of a file.
    pub(super) fn days(&mut self, nodes: &[Node], plan: Option<&Plan>) -> Option<Day> {
        for node in nodes.iter().filter(|node| node.name.value != "day") {
            let name = node.name.value.as_str();
            self.report.unknown(node.name.span, "block", name, "not known", ["day"]);
        }
        let hint = "write day \"2026-11-23\" { group \"support\" { … } }";
        let Some(node) = self.only(nodes, "day") else {
            self.report.error_hint(Default::default(), "there is no day in this file", hint);
            return None;
        };
        self.known_props(node, &["seed"]);
        let date = self.only_text(node, "a date such as \"2026-11-23\"");
        let date = date.and_then(|text| self.parsed(&text, values::date));
        let (mut groups, mut mentions) = (BTreeMap::new(), Mentions::new());
        let mut order = Vec::new();
        for child in node.children() {
            if child.name.value != "group" {
                let name = child.name.value.as_str();
                self.report.unknown(child.name.span, "part of day", name, "not known", ["group"]);
            } else if let Some((name, group)) = self.group_day(child, plan, &mut mentions) {
                let is_twice = groups.insert(name.value.clone(), group).is_some();
                self.complain_if(is_twice, "group", &name);
                order.push(name.value);
            }
        }
        for name in mentions.iter().filter(|name| !groups.contains_key(&name.value)) {
            let known = groups.keys().map(String::as_str);
            self.report.unknown(name.span, "group", &name.value, "not in this day", known);
        }
        let has_operators = groups.values().any(|group| !group.shifts.is_empty());
        if !has_operators && !self.report.has_errors() {
            let hint = "write operators \"10:00-19:00\" 11 in a group";
            self.report.error_hint(node.head(), "nobody works on this day", hint);
        }
        let seed = self.seed(node);
        let groups = order.iter().filter_map(|name| groups.remove(name)).collect();
        Some(Day { date: date.unwrap_or(Date::ZERO), seed, groups })
    }

    fn seed(&mut self, node: &Node) -> u64 {
        let Some(value) = node.prop("seed") else { return 1 };
        let seed = match value.value {
            Value::Integer(seed) => u64::try_from(seed).ok(),
            Value::Text(_) | Value::Float(_) | Value::Bool(_) | Value::Null => None,
        };
        if seed.is_none() {
            self.report.error(value.span, "seed must be a whole number from 0, without quotes");
        }
        seed.unwrap_or(1)
    }

    fn group_day(
        &mut self,
        node: &Node,
        plan: Option<&Plan>,
        mentions: &mut Mentions,
    ) -> Option<(Spanned<String>, GroupDay)> {
        let name = self.block_name(node)?;
        let rules = self.rules(&name, plan)?;
        let unknown = Times::Exponential { mean_ms: 180 * SECOND_MS };
        let mut group = GroupDay::of(rules, unknown);
        let mut seen: Vec<&str> = Vec::new();
        for child in node.children() {
            let part = child.name.value.as_str();
            let may_repeat = matches!(part, "calls" | "peak" | "operators");
            if seen.contains(&part) && !may_repeat {
                self.report.error(child.name.span, format!("{part} is given twice"));
            }
            seen.push(part);
            self.no_block(child);
            self.day_part(child, &mut group, mentions);
        }
        if !seen.contains(&"handle-time") {
            let hint = "write handle-time \"180s\"";
            self.report.error_hint(node.head(), "how long does a call take?", hint);
        }
        Some((name, group))
    }

    /// Those of the plan's group. A name that the plan does not have is a mistake.
    fn rules(&mut self, name: &Spanned<String>, plan: Option<&Plan>) -> Option<Arc<Group>> {
        let Some(plan) = plan else { return Some(Arc::new(Group::named(&name.value))) };
        let found = plan.group(&name.value).cloned();
        if found.is_none() {
            let known = plan.group_names();
            self.report.unknown(name.span, "group", &name.value, "not in the plan", known);
        }
        found
    }

    fn day_part(&mut self, node: &Node, group: &mut GroupDay, mentions: &mut Mentions) {
        match node.name.value.as_str() {
            "calls" | "peak" => group.rates.extend(self.rate(node)),
            "handle-time" => {
                if let Some(times) = self.times(node) {
                    group.handle = times;
                }
            }
            "patience" => group.patience = self.times(node),
            "operators" => {
                if let Some((shift, also)) = self.shift(node) {
                    group.shifts.push(shift);
                    mentions.extend(also);
                }
            }
            "ring-delay" => {
                self.known_props(node, &[]);
                group.ring_delay_ms = self.duration_arg(node, 0, 5 * MINUTE_MS).unwrap_or(0);
            }
            "misses" => {
                self.known_props(node, &["back-after"]);
                let back_after_ms = self
                    .duration_prop(node, "back-after", SECOND_MS, 24 * HOUR_MS)
                    .unwrap_or(Misses::default().back_after_ms);
                let percent = self.first_percent(node).unwrap_or(0);
                group.misses = Misses { percent, back_after_ms };
            }
            "wrap-up" => {
                self.known_props(node, &[]);
                if let Some(wrap_up_ms) = self.duration_arg(node, 0, HOUR_MS) {
                    Arc::make_mut(&mut group.rules).wrap_up_ms = wrap_up_ms;
                }
            }
            "vip" => {
                self.known_props(node, &[]);
                group.vip_percent = self.first_percent(node).unwrap_or(0);
            }
            "calls-again" => {
                self.known_props(node, &["after"]);
                let after_ms = self.duration_prop(node, "after", 0, 24 * HOUR_MS);
                let percent = self.first_percent(node);
                group.calls_again = percent.map(|percent| (percent, after_ms.unwrap_or(MINUTE_MS)));
            }
            other => {
                let known = PARTS.iter().copied();
                self.report.unknown(node.name.span, "part of group", other, "not known", known);
            }
        }
    }

    /// `calls "10:00-19:00" per-hour=120`
    fn rate(&mut self, node: &Node) -> Option<Rate> {
        self.known_props(node, &["per-hour"]);
        let span = self.only_text(node, "a time such as \"10:00-19:00\"");
        let span = span.and_then(|text| self.minutes(&text));
        let Some(value) = node.prop("per-hour") else {
            let hint = format!("write {} \"10:00-19:00\" per-hour=120", node.name.value);
            self.report.error_hint(node.head(), "how many calls per hour?", hint);
            return None;
        };
        let per_hour = match value.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            Value::Text(_) | Value::Bool(_) | Value::Null => -1.0,
        };
        if !(0.0..=PER_HOUR_MAX).contains(&per_hour) {
            let message = format!("per-hour must be a number from 0 to {PER_HOUR_MAX}");
            self.report.error_hint(value.span, message, "a number stands without quotes");
            return None;
        }
        Some(Rate { span: span?, per_hour })
    }

    /// `handle-time "180s" deviation="90s"`
    fn times(&mut self, node: &Node) -> Option<Times> {
        self.known_props(node, &["deviation"]);
        let deviation_ms = self.duration_prop(node, "deviation", 0, 24 * HOUR_MS);
        let mean_ms = self.duration_arg(node, SECOND_MS, 24 * HOUR_MS)?;
        Some(match deviation_ms {
            None => Times::Exponential { mean_ms },
            Some(0) => Times::Fixed { ms: mean_ms },
            Some(deviation_ms) => Times::LogNormal { mean_ms, deviation_ms },
        })
    }

    /// `operators "10:00-19:00" 11 also="sales"`
    fn shift(&mut self, node: &Node) -> Option<(Shift, Mentions)> {
        self.known_props(node, &["also"]);
        let [span, operators] = node.args.as_slice() else {
            let hint = "write operators \"10:00-19:00\" 11";
            self.report.error_hint(node.head(), "operators need a time and a number", hint);
            return None;
        };
        let text = self.text(span, "a time such as \"10:00-19:00\"");
        let span = text.and_then(|text| self.minutes(&text));
        let number = match operators.value {
            Value::Integer(number) if (1..=OPERATORS_MAX).contains(&number) => {
                u32::try_from(number).ok()
            }
            Value::Integer(_) | Value::Text(_) | Value::Float(_) | Value::Bool(_) | Value::Null => {
                let message = format!("operators are a whole number from 1 to {OPERATORS_MAX}");
                self.report.error_hint(operators.span, message, "a number stands without quotes");
                None
            }
        };
        let also: Mentions = self.text_prop(node, "also").into_iter().collect();
        let names = also.iter().map(|name| name.value.clone()).collect();
        Some((Shift { span: span?, operators: number?, also: names }, also))
    }

    fn minutes(&mut self, text: &Spanned<String>) -> Option<Minutes> {
        let (start, end) = self.parsed(text, values::time_range)?;
        Some(Minutes { start: start.into(), end: end.into() })
    }

    fn first_percent(&mut self, node: &Node) -> Option<u8> {
        let text = self.only_text(node, "a percent such as \"5%\"")?;
        self.parsed(&text, values::percent)
    }

    fn parsed<T>(
        &mut self,
        text: &Spanned<String>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(&text.value).map_err(|message| self.report.error(text.span, message)).ok()
    }
}
