//! A checked tree → its part of the plan. Places are left behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::plan::{
    Ask, Block, Due, Entry, Group, Lookup, Menu, Piece, Plan, Promise, RecordRule, Script,
    Statement,
};
use super::syntax::Spanned;
use super::tree::{
    AskTree, DueTree, GroupTree, Line, LineKind, LookupTree, MenuTree, PromiseTree, ScriptTree,
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
        let groups = tree
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), Arc::new(self.group(name, group))));
        Script {
            name: tree.name.clone(),
            language: tree.language,
            timezone: tree.timezone.clone(),
            transfer_to: tree.transfer_to.clone(),
            hours: tree.hours.clone(),
            entries: tree.numbers.iter().map(|number| self.block(&number.body)).collect(),
            steps: steps.collect(),
            menus: menus.collect(),
            groups: groups.collect(),
            robots: BTreeMap::new(),
            incidents: BTreeMap::new(),
            callbacks: BTreeMap::new(),
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
        let due = match &promise.due {
            DueTree::After { ms } => Due::After { ms: *ms },
            DueTree::NextOpening { hours, plus_ms, span: _ } => {
                let named = hours.as_ref().map(|hours| &hours.value);
                let hours = named.or_else(|| self.tree.hours.keys().next());
                Due::NextOpening { hours: hours.cloned().unwrap_or_default(), plus_ms: *plus_ms }
            }
        };
        let group = promise.group.as_ref().map(|group| group.value.clone());
        Promise { kind: promise.kind, due, group }
    }
}

fn pieces(said: &[Spanned<Piece>]) -> Vec<Piece> {
    said.iter().map(|piece| piece.value.clone()).collect()
}
