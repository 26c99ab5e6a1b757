//! The plan as a picture: a Mermaid flowchart.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::expression::Condition;
use super::plan::{Block, Dialled, Plan, Script, Statement, Text, Trigger};

/// A Mermaid flowchart of the plan: every number, step, menu, group, survey, robot and incident is a
/// node, every way that a caller can take an edge with its reason: a key, `silence`, `wrong key`, the
/// condition of an `if`. A dotted edge leads back to the menu, or from a group to the survey that
/// asks after its conversations.
pub fn graph(plan: &Plan) -> String {
    let mut text = String::from("flowchart TD\n");
    for (index, script) in plan.scripts.values().enumerate() {
        let mut drawing = Drawing { prefix: format!("f{index}"), script, lines: Vec::new() };
        drawing.script(plan);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    subgraph f{index}[\"{}\"]", escaped(&script.name));
        let mut drawn = BTreeSet::new();
        for line in drawing.lines {
            if drawn.insert(line.clone()) {
                let _ = writeln!(text, "        {line}");
            }
        }
        text.push_str("    end\n");
    }
    text
}

struct Drawing<'a> {
    prefix: String,
    script: &'a Script,
    lines: Vec<String>,
}

/// Where edges begin, and how their labels begin.
struct From<'a> {
    node: &'a str,
    /// The menu that is returned to at the end of a block.
    back_to: Option<&'a str>,
}

impl Drawing<'_> {
    fn script(&mut self, plan: &Plan) {
        let script = self.script;
        for (index, body) in script.entries.iter().enumerate() {
            let numbers: Vec<&str> = (plan.numbers.iter())
                .filter(|(_, entry)| entry.script == script.name && entry.block == index)
                .map(|(dialled, _)| match dialled {
                    Dialled::Public(number) => number.as_str(),
                    Dialled::Internal(number) => number,
                })
                .collect();
            let node = format!("{}_number_{index}", self.prefix);
            self.node(&node, "([\"", &numbers.join(", "), "\"])");
            self.block(body, &From { node: &node, back_to: None }, "");
        }
        for (name, menu) in &script.menus {
            let node = self.menu_id(name);
            let what = match script.robots.get(name) {
                Some(robot) if robot.is_survey() => "survey",
                Some(_) => "robot",
                None => "menu",
            };
            self.node(&node, "{{\"", &format!("{what} {name}"), "\"}}");
            let from = From { node: &node, back_to: Some(&node) };
            self.block(&menu.prompt, &From { node: &node, back_to: None }, "");
            for (key, body) in &menu.keys {
                self.branch(body, &from, &format!("key {key}"));
            }
            match &menu.silence {
                Some(body) => self.branch(body, &from, "silence"),
                None => self.dotted(&node, &node, "silence"),
            }
            self.branch(&menu.wrong, &from, "wrong key");
        }
        for (name, body) in &script.steps {
            let node = self.step_id(name);
            self.node(&node, "[\"", &format!("step {name}"), "\"]");
            self.block(body, &From { node: &node, back_to: None }, "");
        }
        for (name, group) in &script.groups {
            let node = self.group_id(name);
            self.node(&node, "[[\"", &format!("group {name}"), "\"]]");
            self.block(&group.nobody, &From { node: &node, back_to: None }, "nobody");
            self.block(&group.full, &From { node: &node, back_to: None }, "full");
            if let Some(missed) = &group.missed {
                self.block(&missed.block, &From { node: &node, back_to: None }, "missed");
            }
            self.block(&group.afterwards, &From { node: &node, back_to: None }, "afterwards");
        }
        self.events();
    }

    /// What the server calls for by itself.
    fn events(&mut self) {
        let script = self.script;
        for (name, robot) in &script.robots {
            let to = self.menu_id(name);
            match &robot.trigger {
                Trigger::Event(event) => {
                    let node = self.event(event);
                    self.edge(&node, &to, "");
                }
                Trigger::Conversation { groups, .. } => {
                    let all: Vec<&String> = script.groups.keys().collect();
                    let named: Vec<&String> = groups.iter().collect();
                    for group in if named.is_empty() { all } else { named } {
                        let node = self.group_id(group);
                        self.dotted(&node, &to, "after a conversation");
                    }
                }
            }
        }
        for (name, incident) in &script.incidents {
            let node = self.event(&incident.event);
            let to = format!("{}_incident_{}", self.prefix, identifier(name));
            self.node(&to, "[/\"", &format!("incident {name}"), "\"/]");
            self.edge(&node, &to, "");
            let group = self.group_id(&incident.group);
            self.edge(&to, &group, "");
        }
    }

    fn event(&mut self, event: &str) -> String {
        let node = format!("{}_event_{}", self.prefix, identifier(event));
        self.node(&node, "([\"", &format!("event {event}"), "\"])");
        node
    }

    /// A block behind a key: one that ends returns to its menu.
    fn branch(&mut self, body: &Block, from: &From<'_>, label: &str) {
        self.block(body, from, label);
        if let Some(menu) = from.back_to
            && !ends(body)
        {
            self.dotted(from.node, menu, label);
        }
    }

    fn block(&mut self, body: &Block, from: &From<'_>, label: &str) {
        for statement in body.iter() {
            self.statement(statement, from, label);
        }
    }

    fn statement(&mut self, statement: &Statement, from: &From<'_>, label: &str) {
        match statement {
            Statement::Go(name) => {
                let to = if self.script.steps.contains_key(name) {
                    self.step_id(name)
                } else {
                    self.menu_id(name)
                };
                self.edge(from.node, &to, label);
            }
            Statement::Repeat => {
                if let Some(menu) = from.back_to {
                    self.dotted(from.node, menu, label);
                }
            }
            Statement::Queue { group } => {
                let to = self.group_id(group);
                self.edge(from.node, &to, label);
            }
            Statement::Ring { operator, for_ms: _ } => {
                let who = match operator {
                    Text::Fixed(login) => login.clone(),
                    Text::Name(name) => format!("{{{name}}}"),
                };
                let to = format!("{}_operator_{}", self.prefix, identifier(&who));
                self.node(&to, "[[\"", &format!("operator {who}"), "\"]]");
                self.edge(from.node, &to, label);
            }
            Statement::Promise(promise) => {
                let to = format!("{}_promise_{}", self.prefix, identifier(promise.kind.name()));
                self.node(&to, "[/\"", &format!("promise {}", promise.kind), "\"/]");
                self.edge(from.node, &to, label);
            }
            Statement::Hangup => {
                let to = format!("{}_hangup", self.prefix);
                self.node(&to, "((\"", "hang up", "\"))");
                self.edge(from.node, &to, label);
            }
            Statement::If { condition, then, otherwise } => {
                self.block(then, from, &joined(label, &condition.to_string()));
                let not = Condition::Not(Box::new(condition.clone()));
                self.block(otherwise, from, &joined(label, &not.to_string()));
            }
            Statement::Ask(ask) => {
                self.block(&ask.silence, from, &joined(label, "no digits"));
            }
            Statement::LookupCustomer(lookup) | Statement::LookupOrder { lookup, .. } => {
                self.block(&lookup.unavailable, from, &joined(label, "CRM unavailable"));
            }
            Statement::Rate { survey } => {
                let to = self.menu_id(survey);
                self.edge(from.node, &to, label);
            }
            Statement::Say(_)
            | Statement::MatchCard { .. }
            | Statement::Language(_)
            | Statement::Rated { .. }
            | Statement::DoNotCall
            | Statement::Bonus { .. }
            | Statement::OrderStatus { .. }
            | Statement::Message { .. } => {}
        }
    }

    fn node(&mut self, id: &str, open: &str, label: &str, close: &str) {
        self.lines.push(format!("{id}{open}{}{close}", escaped(label)));
    }

    fn edge(&mut self, from: &str, to: &str, label: &str) {
        self.lines.push(match label {
            "" => format!("{from} --> {to}"),
            _ => format!("{from} -->|\"{}\"| {to}", escaped(label)),
        });
    }

    fn dotted(&mut self, from: &str, to: &str, label: &str) {
        self.lines.push(format!("{from} -.->|\"{}\"| {to}", escaped(label)));
    }

    fn step_id(&self, name: &str) -> String {
        format!("{}_step_{}", self.prefix, identifier(name))
    }

    fn menu_id(&self, name: &str) -> String {
        format!("{}_menu_{}", self.prefix, identifier(name))
    }

    fn group_id(&self, name: &str) -> String {
        format!("{}_group_{}", self.prefix, identifier(name))
    }
}

/// Whether every way through the block leads somewhere else.
fn ends(body: &Block) -> bool {
    body.iter().any(|statement| match statement {
        Statement::Go(_)
        | Statement::Repeat
        | Statement::Queue { .. }
        | Statement::Rate { .. }
        | Statement::Hangup => true,
        Statement::If { condition: _, then, otherwise } => ends(then) && ends(otherwise),
        Statement::Say(_)
        | Statement::LookupCustomer(_)
        | Statement::MatchCard { .. }
        | Statement::LookupOrder { .. }
        | Statement::Ask(_)
        | Statement::Language(_)
        | Statement::Ring { .. }
        | Statement::Promise(_)
        | Statement::Rated { .. }
        | Statement::DoNotCall
        | Statement::Bonus { .. }
        | Statement::OrderStatus { .. }
        | Statement::Message { .. } => false,
    })
}

fn joined(label: &str, more: &str) -> String {
    if label.is_empty() { more.to_owned() } else { format!("{label}, {more}") }
}

/// A node's name as Mermaid takes it; different names stay different.
fn identifier(name: &str) -> String {
    let mut id = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            id.push(c);
        } else {
            id.push_str(&format!("_{:x}_", u32::from(c)));
        }
    }
    id
}

fn escaped(label: &str) -> String {
    let mut safe = String::new();
    for c in label.chars() {
        match c {
            '"' => safe.push_str("#quot;"),
            '#' => safe.push_str("#35;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '\n' | '\r' => safe.push(' '),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::tests::{catalogue, shipped_plan};
    use crate::dialplan::{Settings, Source, load};

    #[test]
    fn every_way_is_an_edge_with_its_reason() {
        let text = r##"
timezone "Europe/Moscow"
hours "shop" { open "mon-fri" "10:00-19:00" }
number "100" "200" { say "greeting"; go "main" }
menu "main" {
    say "menu-order" "menu-operator-short" "menu-back"
    key "2" { if "closed('shop')" { go "по шагам" } else { hangup } }
    key "0" { queue "support" }
    key "#" { repeat }
    silence { hangup }
}
step "по шагам" {
    lookup "customer" { unavailable { go "main" } }
    ring operator="{customer.manager}"
    promise "callback" due="30m"
    hangup
}
group "support" { nobody { say "sorry-full"; hangup } }
"##;
        let source = Source { name: "shop.kdl".into(), text: text.into() };
        let loaded = load(&[source], &catalogue(), &Settings::default()).unwrap();
        let drawn = r##"flowchart TD
    subgraph f0["shop"]
        f0_number_0(["100, 200"])
        f0_number_0 --> f0_menu_main
        f0_menu_main{{"menu main"}}
        f0_menu_main -.->|"key #35;"| f0_menu_main
        f0_menu_main -->|"key 0"| f0_group_support
        f0_menu_main -->|"key 2, closed('shop')"| f0_step__43f__43e__20__448__430__433__430__43c_
        f0_hangup(("hang up"))
        f0_menu_main -->|"key 2, not closed('shop')"| f0_hangup
        f0_menu_main -->|"silence"| f0_hangup
        f0_menu_main -.->|"wrong key"| f0_menu_main
        f0_step__43f__43e__20__448__430__433__430__43c_["step по шагам"]
        f0_step__43f__43e__20__448__430__433__430__43c_ -->|"CRM unavailable"| f0_menu_main
        f0_operator__7b_customer_2e_manager_7d_[["operator {customer.manager}"]]
        f0_step__43f__43e__20__448__430__433__430__43c_ --> f0_operator__7b_customer_2e_manager_7d_
        f0_promise_callback_2d_ordered[/"promise callback-ordered"/]
        f0_step__43f__43e__20__448__430__433__430__43c_ --> f0_promise_callback_2d_ordered
        f0_step__43f__43e__20__448__430__433__430__43c_ --> f0_hangup
        f0_group_support[["group support"]]
        f0_group_support -->|"nobody"| f0_hangup
        f0_group_support -->|"full"| f0_hangup
    end
"##;
        assert_eq!(graph(&loaded.plan), drawn);
    }

    #[test]
    fn edges_lead_to_nodes_that_are_drawn() {
        let text = graph(&shipped_plan());
        for line in text.lines().filter(|line| line.contains("->")) {
            let to = line.rsplit(' ').next().unwrap();
            let drawn = text.lines().any(|line| {
                line.trim().strip_prefix(to).is_some_and(|rest| rest.starts_with(['[', '(', '{']))
            });
            assert!(drawn, "{line}");
        }
    }
}
