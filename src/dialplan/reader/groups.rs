//! Groups of operators: whom they ring, how, and what is counted. `waiting` reads what their
//! callers hear.

use super::Reader;
use super::statements::{HOUR_MS, MINUTE_MS, Place, SECOND_MS, hangup, say};
use crate::dialplan::names::{Kind, NAMES, kind_of};
use crate::dialplan::plan::{AfterRing, Formula, Group, LINE_MAX, Overflow, Pick};
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::tree::{self, GroupTree, LineKind, MissedTree};
use crate::dialplan::values;
use crate::dialplan::waiting;

const PARTS: &[&str] = &[
    "pick",
    "need",
    "ring",
    "wrap-up",
    "target",
    "manager-first",
    "priority",
    "ageing",
    "while-waiting",
    "offer-callback",
    "after",
    "line",
    "keep-place",
    "record",
    "topic",
    "nobody",
    "full",
    "missed",
    "afterwards",
];

const PICKS: &[(&str, Pick)] = &[
    ("longest-idle", Pick::LongestIdle),
    ("ring-all", Pick::RingAll),
    ("round-robin", Pick::RoundRobin),
    ("fewest-calls", Pick::FewestCalls),
    ("by-skill", Pick::BySkill),
];

/// A topic's code is typed on a telephone: no longer than this.
const TOPIC_DIGITS_MAX: usize = 8;

/// Who hangs up sooner is not missed, unless the plan says otherwise.
const MISSED_AFTER_MS: u64 = 5 * SECOND_MS;

/// Without `delay="…"`.
const DELAY_MS: u64 = 10 * SECOND_MS;

impl Reader<'_, '_> {
    pub(super) fn group(&mut self, node: &Node) -> GroupTree {
        let at = node.head();
        let name = node.args.first().map_or(node.name.span, |name| name.span);
        let mut group = GroupTree {
            name,
            rules: Group::named(""),
            announce: Vec::new(),
            offer_key: None,
            refuse_key: None,
            heard: vec![(name, &waiting::LINE)],
            nobody: vec![say("sorry-full", at), hangup(at)],
            full: vec![say("sorry-full", at), hangup(at)],
            missed: None,
            afterwards: Vec::new(),
            mentions: Vec::new(),
        };
        let mut seen: Vec<&str> = Vec::new();
        for child in node.children() {
            let name = child.name.value.as_str();
            let may_repeat = matches!(name, "after" | "priority" | "need" | "topic");
            if seen.contains(&name) && !may_repeat {
                self.twice(child);
            }
            seen.push(name);
            self.group_part(child, &mut group);
        }
        group.rules.overflow.sort_by_key(|overflow| overflow.after_ms);
        let topic = node.children().iter().find(|child| child.name.value == "topic");
        if let (Some(topic), 0) = (topic, group.rules.wrap_up_ms) {
            let message = "nobody has the time to type a topic";
            self.report.warning_hint(topic.head(), message, "write wrap-up \"20s\"");
        }
        group
    }

    fn group_part(&mut self, node: &Node, group: &mut GroupTree) {
        let rules = &mut group.rules;
        match node.name.value.as_str() {
            "pick" => self.pick(node, rules),
            "need" => self.need(node, rules),
            "ring" => self.ring_rules(node, rules),
            "wrap-up" => {
                self.plain(node);
                set(&mut rules.wrap_up_ms, self.duration_arg(node, 0, HOUR_MS));
            }
            "target" => self.target(node, rules),
            "manager-first" => {
                self.plain(node);
                rules.manager_first_ms = self.duration_arg(node, SECOND_MS, 5 * MINUTE_MS);
            }
            "topic" => self.topic(node, rules),
            "priority" => self.priority(node, rules),
            "ageing" => self.ageing(node, rules),
            "line" => self.line_rules(node, rules),
            "keep-place" => {
                self.plain(node);
                set(&mut rules.keep_place_ms, self.duration_arg(node, 0, HOUR_MS));
            }
            "while-waiting" => self.while_waiting(node, group),
            "offer-callback" => self.offer_callback(node, group),
            "record" => self.record(node, group),
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
            "missed" => group.missed = Some(self.missed(node)),
            "afterwards" => {
                self.no_args(node);
                self.known_props(node, &[]);
                group.afterwards = self.body(node, Place::Body);
            }
            other => {
                let known = PARTS.iter().copied();
                self.report.unknown(node.name.span, "part of group", other, "not known", known);
            }
        }
    }

    /// `missed after="5s" { promise "callback-missed" due="30m" }`
    fn missed(&mut self, node: &Node) -> MissedTree {
        self.known_props(node, &["after"]);
        self.no_args(node);
        let after_ms = self.duration_prop(node, "after", 0, HOUR_MS).unwrap_or(MISSED_AFTER_MS);
        let body = self.body(node, Place::Body);
        tree::each_line(&body, &mut |line| {
            let is_heard = match &line.kind {
                LineKind::Promise(_)
                | LineKind::Bonus { .. }
                | LineKind::If { .. }
                | LineKind::DoNotCall
                | LineKind::OrderStatus(_) => false,
                LineKind::Say(_)
                | LineKind::LookupCustomer(_)
                | LineKind::MatchCard { .. }
                | LineKind::LookupOrder { .. }
                | LineKind::Ask(_)
                | LineKind::Go(_)
                | LineKind::Repeat
                | LineKind::Language(_)
                | LineKind::Queue(_)
                | LineKind::Ring { .. }
                | LineKind::Rate(_)
                | LineKind::Rated { .. }
                | LineKind::Message { .. }
                | LineKind::Hangup => true,
            };
            if is_heard {
                let hint = "only promise, bonus and if do something here";
                let message = "this does nothing: the caller has hung up";
                self.report.warning_hint(line.span, message, hint);
            }
        });
        MissedTree { after_ms, body }
    }

    /// `pick "by-skill" skill="orders"`
    fn pick(&mut self, node: &Node, rules: &mut Group) {
        self.known_props(node, &["skill"]);
        self.no_block(node);
        let skill = self.text_prop(node, "skill");
        let Some(text) = self.only_text(node, "whom to ring first, such as \"longest-idle\"")
        else {
            return;
        };
        set(&mut rules.pick, self.one_of(&text, "pick", PICKS));
        let Some(skill) = skill else { return };
        if rules.pick == Pick::BySkill {
            rules.skill = self.skill(&skill);
        } else {
            let hint = format!("write pick \"by-skill\" skill=\"{}\"", skill.value);
            self.report.error_hint(skill.span, "a skill belongs to pick \"by-skill\"", hint);
        }
    }

    /// `need "english" 5`
    fn need(&mut self, node: &Node, rules: &mut Group) {
        self.plain(node);
        let [skill, level] = node.args.as_slice() else {
            let hint = "write need \"english\" 5";
            self.report.error_hint(node.head(), "need takes a skill and a level", hint);
            return;
        };
        let level = self.whole(level, "a level", 1, 10);
        let Some(skill) = self.text(skill, "a skill such as \"english\"") else { return };
        let Some(name) = self.skill(&skill) else { return };
        let level = level.and_then(|level| u8::try_from(level).ok());
        if rules.needs.insert(name, level.unwrap_or(1)).is_some() {
            let message = format!("how much \"{}\" is needed is already said", skill.value);
            self.report.error(skill.span, message);
        }
    }

    fn skill(&mut self, text: &Spanned<String>) -> Option<String> {
        let name = text.value.trim();
        if name.is_empty() || name.contains([',', '=']) {
            let hint = "write it as it stands at the operators: allo operator list";
            self.report.error_hint(text.span, "this is not the name of a skill", hint);
            return None;
        }
        Some(name.to_owned())
    }

    /// `ring "15s" no-answer="pause" rejected="delay" busy="next" delay="10s"`
    fn ring_rules(&mut self, node: &Node, rules: &mut Group) {
        self.known_props(node, &["no-answer", "rejected", "busy", "delay"]);
        self.no_block(node);
        let delay = self.duration_prop(node, "delay", SECOND_MS, HOUR_MS);
        let ms = delay.unwrap_or(DELAY_MS);
        let ways = [
            ("pause", AfterRing::Pause),
            ("delay", AfterRing::Delay { ms }),
            ("next", AfterRing::Next),
        ];
        let outcomes = [
            ("no-answer", &mut rules.no_answer),
            ("rejected", &mut rules.rejected),
            ("busy", &mut rules.busy),
        ];
        for (name, rule) in outcomes {
            if let AfterRing::Delay { ms: default_ms } = rule {
                *default_ms = ms;
            }
            if let Some(text) = self.text_prop(node, name) {
                set(rule, self.one_of(&text, name, &ways));
            }
        }
        let is_used =
            [rules.no_answer, rules.rejected, rules.busy].contains(&AfterRing::Delay { ms });
        if let (Some(delay), false) = (node.prop("delay"), is_used) {
            let hint = "write no-answer=\"delay\", or leave delay out";
            self.report.warning_hint(delay.span, "nothing here is delayed", hint);
        }
        set(&mut rules.ring_ms, self.duration_arg(node, SECOND_MS, 5 * MINUTE_MS));
    }

    /// The one of `known` that the text names.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        text: &Spanned<String>,
        what: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(name, _)| *name == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let known = known.iter().map(|(name, _)| *name);
            self.report.unknown(text.span, what, &text.value, "not known", known);
        }
        found
    }

    pub(super) fn duration_arg(&mut self, node: &Node, least: u64, most: u64) -> Option<u64> {
        let Some(first) = node.args.first() else {
            let message = format!("{} needs a duration such as \"20s\"", node.name.value);
            self.report.error(node.head(), message);
            return None;
        };
        if let Some(second) = node.args.get(1) {
            let message = format!("{} takes one argument", node.name.value);
            self.report.error(second.span, message);
        }
        self.duration(first, &node.name.value, least, most)
    }

    /// `target "80%" within="20s" short-abandon="5s" formula="of-offered"`
    fn target(&mut self, node: &Node, rules: &mut Group) {
        self.known_props(node, &["within", "short-abandon", "formula"]);
        self.no_block(node);
        let target = &mut rules.target;
        set(&mut target.within_ms, self.duration_prop(node, "within", SECOND_MS, HOUR_MS));
        set(&mut target.short_abandon_ms, self.duration_prop(node, "short-abandon", 0, HOUR_MS));
        if let Some(text) = self.text_prop(node, "formula") {
            let formulas = Formula::ALL.map(|formula| (formula.name(), formula));
            set(&mut target.formula, self.one_of(&text, "formula", &formulas));
        }
        let Some(text) = self.only_text(node, "a percent such as \"80%\"") else { return };
        match values::percent(&text.value) {
            Ok(percent) => target.percent = percent,
            Err(message) => self.report.error(text.span, message),
        }
    }

    /// `priority "customer.vip" 10`
    fn priority(&mut self, node: &Node, rules: &mut Group) {
        self.plain(node);
        let [name, number] = node.args.as_slice() else {
            let hint = "write priority \"customer.vip\" 10";
            self.report.error_hint(node.head(), "priority needs a name and a number", hint);
            return;
        };
        let number = self.whole(number, "a priority", -100, 100);
        let Some(name) = self.text(name, "a name such as \"customer.vip\"") else { return };
        if kind_of(&name.value) != Some(Kind::Flag) {
            let flags = NAMES.iter().filter(|(_, kind, _)| *kind == Kind::Flag);
            let flags = flags.map(|(name, _, _)| *name);
            self.report.unknown(name.span, "name", &name.value, "not a yes-or-no one", flags);
        }
        let number = number.and_then(|number| i32::try_from(number).ok());
        rules.priorities.extend(number.map(|number| (name.value, number)));
    }

    /// `topic "12" "Доставка"`
    fn topic(&mut self, node: &Node, rules: &mut Group) {
        self.plain(node);
        let [code, name] = node.args.as_slice() else {
            let hint = "write topic \"12\" \"Delivery\"";
            self.report.error_hint(node.head(), "topic takes a code and a name", hint);
            return;
        };
        let (Some(code), Some(name)) =
            (self.text(code, "a code such as \"12\""), self.text(name, "a name"))
        else {
            return;
        };
        let is_code = (1..=TOPIC_DIGITS_MAX).contains(&code.value.len())
            && code.value.bytes().all(|byte| byte.is_ascii_digit());
        if !is_code {
            let message = format!("the code of a topic has 1 to {TOPIC_DIGITS_MAX} digits");
            self.report.error_hint(code.span, message, "operators type it on the telephone");
        } else if name.value.trim().is_empty() {
            self.report.error(name.span, "a topic needs a name");
        } else if rules.topics.insert(code.value.clone(), name.value).is_some() {
            self.report.error(code.span, format!("topic \"{}\" has a name already", code.value));
        }
    }

    /// `ageing "60s"`, `ageing "never"`
    fn ageing(&mut self, node: &Node, rules: &mut Group) {
        self.plain(node);
        let is_never = |value: &Value| matches!(value, Value::Text(text) if text == "never");
        rules.ageing_ms = match node.args.first() {
            Some(first) if is_never(&first.value) => None,
            _ => self.duration_arg(node, SECOND_MS, HOUR_MS),
        };
    }

    /// `line max=50`
    fn line_rules(&mut self, node: &Node, rules: &mut Group) {
        self.known_props(node, &["max"]);
        self.no_args(node);
        self.no_block(node);
        let Some(max) = node.prop("max") else {
            self.report.error_hint(node.head(), "how long may the line be?", "write line max=50");
            return;
        };
        let most = i64::try_from(LINE_MAX).unwrap_or(i64::MAX);
        let max = self.whole(max, "max", 1, most);
        set(&mut rules.line_max, max.and_then(|max| usize::try_from(max).ok()));
    }

    /// `after "180s" { also "sales" }`
    fn overflow(&mut self, node: &Node, group: &mut GroupTree) {
        self.known_props(node, &[]);
        let after_ms = self.duration_arg(node, SECOND_MS, 24 * HOUR_MS);
        let mut also = Vec::new();
        for child in node.children() {
            if child.name.value == "also" {
                self.plain(child);
                for arg in &child.args {
                    also.extend(self.text(arg, "the name of a group"));
                }
            } else {
                let name = child.name.value.as_str();
                self.report.unknown(child.name.span, "part of after", name, "not known", ["also"]);
            }
        }
        if also.is_empty() && node.children().iter().all(|child| child.args.is_empty()) {
            let hint = "write after \"180s\" { also \"sales\" }";
            self.report.error_hint(node.head(), "which group helps then?", hint);
        }
        if let Some(after_ms) = after_ms {
            let also = also.iter().map(|name| name.value.clone()).collect();
            group.rules.overflow.push(Overflow { after_ms, also });
        }
        group.mentions.extend(also);
    }
}

/// What was read takes the place of the default.
pub(super) fn set<T>(place: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *place = read;
    }
}
