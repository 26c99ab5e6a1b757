//! `operators …`, `operator …`, `ahead …`: who is there to answer, and who waits before the caller.

use super::{PlanTest, Presence, Reader, TestOperator};
use crate::dialplan::plan::{LINE_MAX, Script};
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::domain::Login;

/// Operators of one line of a test.
const OPERATORS_MAX: usize = 100;
/// After so long a ringing phone is picked up, unless the test says otherwise.
const ANSWER_MS: u64 = 3_000;

impl Reader<'_, '_> {
    /// `operators "support" ready=2 busy=1 answer="3s" free="90s"`
    pub(super) fn operators(&mut self, node: &Node, script: &Script, test: &mut PlanTest) {
        self.known_props(node, &["ready", "busy", "answer", "free"]);
        let group = self.one_text(node, "the group that they are logged in to");
        let Some(group) = group.filter(|group| self.is_group(group, script)) else { return };
        let ready = self.count_prop(node, "ready", OPERATORS_MAX);
        let busy = self.count_prop(node, "busy", OPERATORS_MAX);
        if node.prop("ready").is_none() && node.prop("busy").is_none() {
            let hint = "write operators \"support\" ready=1, or busy=1";
            self.report.error_hint(node.head(), "how many operators are there?", hint);
        }
        let answer_ms = self.answer(node);
        let free_after_ms = self.duration_prop(node, "free");
        if let (Some(free), 0) = (node.prop("free"), busy.unwrap_or(0)) {
            let hint = "write busy=1 for operators who are free later";
            self.report.error_hint(free.span, "nobody is busy", hint);
        }
        let ready = std::iter::repeat_n(Presence::Ready, ready.unwrap_or(0));
        let busy = std::iter::repeat_n(Presence::Busy { free_after_ms }, busy.unwrap_or(0));
        for presence in ready.chain(busy) {
            let Ok(login) = format!("operator-{}", test.operators.len() + 1).parse() else {
                return;
            };
            let groups = vec![group.value.clone()];
            test.operators.push(TestOperator { login, groups, presence, answer_ms });
        }
    }

    /// `operator "boris" "support" answer="never"`
    pub(super) fn operator(&mut self, node: &Node, script: &Script, test: &mut PlanTest) {
        self.known_props(node, &["answer"]);
        let [login, groups @ ..] = node.args.as_slice() else {
            let hint = "write operator \"boris\" \"support\"";
            self.report.error_hint(node.head(), "operator needs a login and groups", hint);
            return;
        };
        let Some(login) = self.login(login, test) else { return };
        let mut names = Vec::new();
        for group in groups {
            let group = self.text(group, "the name of a group");
            names.extend(group.filter(|g| self.is_group(g, script)).map(|group| group.value));
        }
        if groups.is_empty() {
            let hint = "name them after the login: operator \"boris\" \"support\"";
            self.report.error_hint(node.head(), "in which groups is the operator?", hint);
        }
        let answer_ms = self.answer(node);
        let presence = Presence::Ready;
        test.operators.push(TestOperator { login, groups: names, presence, answer_ms });
    }

    fn login(&mut self, value: &Spanned<Value>, test: &PlanTest) -> Option<Login> {
        let text = self.text(value, "a login such as \"boris\"")?;
        let login = match text.value.parse::<Login>() {
            Ok(login) => login,
            Err(message) => {
                self.report.error(text.span, message);
                return None;
            }
        };
        if test.operators.iter().any(|other| other.login == login) {
            self.report.error(text.span, format!("operator {login} is already there"));
            return None;
        }
        Some(login)
    }

    /// `answer="3s"`, `answer="never"`; `None`: never.
    fn answer(&mut self, node: &Node) -> Option<u64> {
        match node.prop("answer").map(|answer| &answer.value) {
            None => Some(ANSWER_MS),
            Some(Value::Text(text)) if text == "never" => None,
            Some(_) => self.duration_prop(node, "answer"),
        }
    }

    /// `ahead "support" 3`
    pub(super) fn ahead(&mut self, node: &Node, script: &Script, test: &mut PlanTest) {
        self.known_props(node, &[]);
        let [group, count] = node.args.as_slice() else {
            let hint = "write ahead \"support\" 3";
            self.report.error_hint(node.head(), "ahead needs a group and a number", hint);
            return;
        };
        let Some(group) = self.text(group, "the name of a group") else { return };
        let callers = match count.value {
            Value::Integer(number) => usize::try_from(number).ok(),
            Value::Text(_) | Value::Float(_) | Value::Bool(_) | Value::Null => None,
        };
        let Some(callers) = callers.filter(|callers| (1..=LINE_MAX).contains(callers)) else {
            let message = format!("the callers ahead are a whole number from 1 to {LINE_MAX}");
            return self.report.error(count.span, message);
        };
        if self.is_group(&group, script) {
            test.ahead.push((group.value, callers));
        }
    }

    pub(super) fn is_group(&mut self, name: &Spanned<String>, script: &Script) -> bool {
        self.defined(name, "group", script.groups.keys().map(String::as_str))
    }
}
