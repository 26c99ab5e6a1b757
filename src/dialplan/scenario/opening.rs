//! Who calls whom in a test: `call …`, `robot …`, `callback …`.

use std::sync::Arc;

use super::{Opening, PlanTest, Reader};
use crate::dialplan::plan::{Dialled, Script, Trigger};
use crate::dialplan::syntax::Node;
use crate::domain::{CallerId, PhoneNumber, PromiseKind};

impl Reader<'_, '_> {
    pub(super) fn opening(&mut self, node: &Node) -> Option<(Opening, Arc<Script>)> {
        match node.name.value.as_str() {
            "robot" => self.robot(node),
            "callback" => self.callback(node),
            _ => self.call(node),
        }
    }

    /// `call from="+79161112233" to="100"`
    fn call(&mut self, node: &Node) -> Option<(Opening, Arc<Script>)> {
        self.known_props(node, &["from", "to"]);
        let from = match node.prop("from") {
            None => CallerId::Anonymous,
            Some(value) => {
                let text = self.text(value, "a telephone number")?;
                match PhoneNumber::parse(&text.value, self.settings.region) {
                    Some(number) => CallerId::Number(number),
                    None if text.value == "anonymous" => CallerId::Anonymous,
                    None => CallerId::Other(text.value),
                }
            }
        };
        let Some(to) = node.prop("to") else {
            let hint = "write to=\"100\"";
            self.report.error_hint(node.head(), "which number is called?", hint);
            return None;
        };
        let to = self.text(to, "a number of the plan")?;
        let dialled = match PhoneNumber::parse(&to.value, self.settings.region) {
            Some(number) => Dialled::Public(number),
            None => Dialled::Internal(to.value.clone()),
        };
        let entry = self.plan.numbers.get(&dialled);
        let Some(script) = entry.and_then(|entry| self.plan.scripts.get(&entry.script)) else {
            let known: Vec<String> = self.plan.numbers.keys().map(Dialled::to_string).collect();
            let known = known.iter().map(String::as_str);
            self.report.unknown(to.span, "number", &to.value, "not answered by the plan", known);
            return None;
        };
        Some((Opening::Call { from, to: to.value }, script.clone()))
    }

    /// `robot "rating" to="+79161112233"`
    fn robot(&mut self, node: &Node) -> Option<(Opening, Arc<Script>)> {
        self.known_props(node, &["to", "plan"]);
        let name = self.one_text(node, "the name of a survey or a robot")?;
        let script = self.script(node, |script| script.robots.contains_key(&name.value))?;
        let known = script.robots.keys().map(String::as_str);
        let is_known = self.defined(&name, "survey or robot", known);
        let to = self.whom(node)?;
        is_known.then_some((Opening::Robot { name: name.value, to }, script))
    }

    /// `callback "callback-missed" to="+79161112233" group="support"`
    fn callback(&mut self, node: &Node) -> Option<(Opening, Arc<Script>)> {
        self.known_props(node, &["to", "group", "plan"]);
        let name = self.one_text(node, "a kind of promise such as \"callback-missed\"")?;
        let kind = match name.value.parse::<PromiseKind>() {
            Ok(kind) if kind.is_human() => kind,
            Ok(_) => {
                let hint = "write robot \"…\" with its name";
                self.report.error_hint(name.span, "robots make these calls", hint);
                return None;
            }
            Err(message) => {
                self.report.error(name.span, message);
                return None;
            }
        };
        let script = self.script(node, |_| false)?;
        let mut group = None;
        if let Some(value) = node.prop("group") {
            let text = self.text(value, "the name of a group")?;
            group = self.is_group(&text, &script).then_some(text.value);
        }
        let to = self.whom(node)?;
        Some((Opening::Callback { kind, group, to }, script))
    }

    fn whom(&mut self, node: &Node) -> Option<PhoneNumber> {
        let Some(to) = node.prop("to") else {
            let hint = "write to=\"+79161112233\"";
            self.report.error_hint(node.head(), "who is called?", hint);
            return None;
        };
        let text = self.text(to, "a customer's number")?;
        let number = PhoneNumber::parse(&text.value, self.settings.region);
        if number.is_none() {
            self.report.error(text.span, format!("\"{}\" is not a telephone number", text.value));
        }
        number
    }

    /// The file of the plan that `plan` names; else the one that is called as the file of the test,
    /// else the first one that fits, else the first one.
    fn script(&mut self, node: &Node, fits: impl Fn(&Script) -> bool) -> Option<Arc<Script>> {
        let scripts = &self.plan.scripts;
        if let Some(named) = node.prop("plan") {
            let name = self.text(named, "a file of the plan such as \"hotline\"")?;
            let known = scripts.keys().map(String::as_str);
            self.defined(&name, "file", known);
            return scripts.get(&name.value).cloned();
        }
        let file = self.report.source.name.rsplit('/').next();
        let stem = file.and_then(|file| file.strip_suffix(".kdl"));
        let same = stem.and_then(|stem| scripts.get(stem));
        let fitting = || scripts.values().find(|script| fits(script));
        let script = same.or_else(fitting).or_else(|| scripts.values().next());
        if script.is_none() {
            self.report.error(node.head(), "the plan has no file");
        }
        script.cloned()
    }

    /// Robots that follow events, and incidents, need one.
    pub(super) fn needs_event(&mut self, node: &Node, script: &Script, test: &PlanTest) {
        let wanted: Vec<&str> = match &test.opening {
            Opening::Robot { name, .. } => {
                match script.robots.get(name).map(|robot| &robot.trigger) {
                    Some(Trigger::Event(event)) => vec![event],
                    Some(Trigger::Conversation { .. }) | None => return,
                }
            }
            Opening::Callback { kind: PromiseKind::Incident, .. } => {
                script.incidents.values().map(|incident| incident.event.as_str()).collect()
            }
            Opening::Callback { .. } | Opening::Call { .. } => return,
        };
        if test.events.iter().any(|event| wanted.contains(&event.name.as_str())) {
            return;
        }
        let hint = wanted.first().map(|event| format!("write event \"{event}\""));
        let hint = hint.unwrap_or_else(|| format!("{}.kdl has no incidents", script.name));
        self.report.error_hint(node.head(), "what happened in the shop?", hint);
    }
}
