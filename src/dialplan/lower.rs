//! A checked tree → its part of the plan. Places are left behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::plan::{
    Ask, Block, CallbackRules, Due, Entry, Group, Incident, Lookup, Menu, Missed, Piece, Pieces,
    Plan, Promise, RecordRule, Robot, Script, Statement, Trigger,
};
use super::syntax::Spanned;
use super::tree::{
    AskTree, CallbackTree, DueTree, GroupTree, IncidentTree, Line, LineKind, LookupTree, MenuTree,
    PromiseTree, RobotTree, ScriptTree,
};

/// Adds one file to the plan. Of a tree with errors the result is not used.
pub fn add(tree: &ScriptTree, plan: &mut Plan) {
    for (block, number) in tree.numbers.iter().enumerate() {
        for dialled in &number.dialled {
            let entry = Entry { script: tree.name.clone(), block };
            plan.numbers.entry(dialled.value.clone()).or_insert(entry);
        }
    }
    let lower = Lower { tree };
    plan.scripts.insert(tree.name.clone(), Arc::new(lower.script()));
}

struct Lower<'a> {
    tree: &'a ScriptTree,
}

impl Lower<'_> {
    fn script(&self) -> Script {
        let tree = self.tree;
        let steps = tree.steps.iter().map(|(name, step)| (name.clone(), self.block(&step.body)));
        let menus = tree.menus.iter().map(|(name, menu)| (name.clone(), self.menu(name, menu)));
        Script {
            name: tree.name.clone(),
            language: tree.language,
            timezone: tree.timezone.clone(),
            transfer_to: tree.transfer_to.clone(),
            call_to: tree.call_to.clone(),
            hours: tree.hours.clone(),
            entries: tree.numbers.iter().map(|number| self.block(&number.body)).collect(),
            steps: steps.collect(),
            menus: menus.collect(),
            groups: shared(&tree.groups, |name, group| self.group(name, group)),
            robots: shared(&tree.robots, |name, tree| robot(name, tree)),
            incidents: shared(&tree.incidents, |name, incident| self.incident(name, incident)),
            callbacks: shared(&tree.callbacks, |_, callback| callback_rules(callback)),
        }
    }

    fn incident(&self, name: &str, incident: &IncidentTree) -> Incident {
        Incident {
            name: name.to_owned(),
            event: incident.event.value.clone(),
            due: self.due(&incident.due),
            group: incident.group.value.clone(),
            label: incident.label.clone(),
        }
    }

    fn group(&self, name: &str, group: &GroupTree) -> Group {
        let record = group.rules.record.as_ref().map(|rule| RecordRule {
            announce: pieces(&group.announce),
            refuse_key: rule.refuse_key,
        });
        Group {
            name: name.to_owned(),
            record,
            nobody: self.block(&group.nobody),
            full: self.block(&group.full),
            missed: group.missed.as_ref().map(|missed| Missed {
                after_ms: missed.after_ms,
                block: self.block(&missed.body),
            }),
            afterwards: self.block(&group.afterwards),
            ..group.rules.clone()
        }
    }

    fn menu(&self, name: &str, menu: &MenuTree) -> Menu {
        let keys = menu.keys.iter().map(|(key, tree)| (*key, self.block(&tree.body)));
        Menu {
            name: name.to_owned(),
            wait_ms: menu.wait_ms,
            tries: menu.tries,
            prompt: self.block(&menu.prompt),
            keys: keys.collect(),
            silence: menu.silence.as_ref().map(|lines| self.block(lines)),
            wrong: self.block(&menu.wrong),
        }
    }

    fn block(&self, lines: &[Line]) -> Block {
        lines.iter().map(|line| self.statement(&line.kind)).collect()
    }

    fn statement(&self, kind: &LineKind) -> Statement {
        match kind {
            LineKind::Say(said) => Statement::Say(pieces(said)),
            LineKind::LookupCustomer(lookup) => Statement::LookupCustomer(self.lookup(lookup)),
            LineKind::MatchCard { variable } => {
                Statement::MatchCard { variable: variable.value.clone() }
            }
            LineKind::LookupOrder { variable, lookup } => Statement::LookupOrder {
                variable: variable.value.clone(),
                lookup: self.lookup(lookup),
            },
            LineKind::If { condition, uses: _, then, otherwise } => Statement::If {
                condition: condition.clone(),
                then: self.block(then),
                otherwise: self.block(otherwise),
            },
            LineKind::Ask(ask) => Statement::Ask(self.ask(ask)),
            LineKind::Go(target) => Statement::Go(target.value.clone()),
            LineKind::Repeat => Statement::Repeat,
            LineKind::Language(language) => Statement::Language(*language),
            LineKind::Queue(group) => Statement::Queue { group: group.value.clone() },
            LineKind::Ring { operator, at: _, for_ms } => {
                Statement::Ring { operator: operator.clone(), for_ms: *for_ms }
            }
            LineKind::Promise(promise) => Statement::Promise(self.promise(promise)),
            LineKind::Rate(survey) => Statement::Rate { survey: survey.value.clone() },
            LineKind::Rated { survey, variable, score } => Statement::Rated {
                survey: survey.clone(),
                variable: variable.clone(),
                score: *score,
            },
            LineKind::DoNotCall => Statement::DoNotCall,
            LineKind::Bonus { points, reason } => {
                Statement::Bonus { points: *points, reason: reason.clone() }
            }
            LineKind::OrderStatus(status) => {
                Statement::OrderStatus { status: status.value.clone() }
            }
            LineKind::Message { max_ms } => Statement::Message { max_ms: *max_ms },
            LineKind::Hangup => Statement::Hangup,
        }
    }

    fn lookup(&self, lookup: &LookupTree) -> Lookup {
        Lookup {
            wait_ms: lookup.wait_ms,
            deadline_ms: lookup.deadline_ms,
            filler: pieces(&lookup.filler),
            unavailable: self.block(&lookup.unavailable),
        }
    }

    fn ask(&self, ask: &AskTree) -> Ask {
        Ask {
            prompt: pieces(&ask.prompt),
            variable: ask.variable.value.clone(),
            digits: ask.digits,
            end: ask.end,
            wait_ms: ask.wait_ms,
            tries: ask.tries,
            silence: self.block(&ask.silence),
        }
    }

    fn promise(&self, promise: &PromiseTree) -> Promise {
        let group = promise.group.as_ref().map(|group| group.value.clone());
        Promise { kind: promise.kind, due: self.due(&promise.due), group }
    }

    fn due(&self, due: &DueTree) -> Due {
        match due {
            DueTree::After { ms } => Due::After { ms: *ms },
            DueTree::NextOpening { hours, plus_ms, span: _ } => {
                let named = hours.as_ref().map(|hours| &hours.value);
                let hours = named.or_else(|| self.tree.hours.keys().next());
                Due::NextOpening { hours: hours.cloned().unwrap_or_default(), plus_ms: *plus_ms }
            }
            DueTree::Named { variable } => Due::Named { variable: variable.value.clone() },
        }
    }
}

fn robot(name: &str, robot: &RobotTree) -> Robot {
    let mut rules = Robot { name: name.to_owned(), ..robot.rules.clone() };
    if let Trigger::Conversation { groups, .. } = &mut rules.trigger {
        *groups = robot.groups.iter().map(|group| group.value.clone()).collect();
    }
    rules
}

fn callback_rules(callback: &CallbackTree) -> CallbackRules {
    CallbackRules {
        hours: callback.hours.as_ref().map(|hours| hours.value.clone()),
        prompt: callback.prompt.as_deref().map(pieces),
        escalate_to: callback.escalate_to.as_ref().map(|group| group.value.clone()),
        ..callback.rules.clone()
    }
}

fn shared<K: Clone + Ord, T, U>(
    all: &BTreeMap<K, T>,
    lower: impl Fn(&K, &T) -> U,
) -> BTreeMap<K, Arc<U>> {
    all.iter().map(|(name, tree)| (name.clone(), Arc::new(lower(name, tree)))).collect()
}

fn pieces(said: &[Spanned<Piece>]) -> Pieces {
    said.iter().map(|piece| piece.value.clone()).collect()
}
