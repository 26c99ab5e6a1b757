//! Menus.

use std::collections::BTreeMap;

use super::Reader;
use super::statements::{MINUTE_MS, Place, SECOND_MS, say};
use crate::dialplan::syntax::Node;
use crate::dialplan::tree::{KeyTree, MenuTree};

const WAIT_MS: u64 = 5 * SECOND_MS;
const TRIES: u8 = 3;

impl Reader<'_, '_> {
    pub(super) fn menu(&mut self, node: &Node) -> MenuTree {
        self.known_props(node, &["wait", "tries"]);
        let mut menu = MenuTree {
            name: node.args.first().map_or(node.name.span, |name| name.span),
            wait_ms: self.duration_prop(node, "wait", SECOND_MS, MINUTE_MS).unwrap_or(WAIT_MS),
            tries: self.number_prop(node, "tries", 1, 10).unwrap_or(TRIES),
            prompt: Vec::new(),
            keys: BTreeMap::new(),
            keys_whole: true,
            silence: None,
            wrong: vec![say("wrong-key", node.head())],
        };
        if node.children.is_none() {
            let hint = "write { … } with what is said and the keys";
            self.report.error_hint(node.head(), "menu has no block", hint);
        }
        let is_part = |node: &Node| matches!(node.name.value.as_str(), "key" | "silence" | "wrong");
        let children = node.children();
        let keys_from = children.iter().position(is_part).unwrap_or(children.len());
        menu.prompt = self.block(&children[..keys_from], Place::Prompt);
        let (mut silence, mut wrong) = (false, false);
        for child in &children[keys_from..] {
            match child.name.value.as_str() {
                "key" => self.menu_key(child, &mut menu),
                "silence" => {
                    self.part(child, &mut silence);
                    menu.silence = Some(self.body(child, Place::Menu));
                }
                "wrong" => {
                    self.part(child, &mut wrong);
                    menu.wrong = self.body(child, Place::Menu);
                }
                "say" | "if" | "else" | "else-if" => {
                    let hint = "put what is said before the first key";
                    let message = "in a menu nothing is said after the keys";
                    self.report.error_hint(child.head(), message, hint);
                }
                other => {
                    let known = ["say", "if", "key", "silence", "wrong"];
                    let what = "part of menu";
                    self.report.unknown(child.name.span, what, other, "not known", known);
                }
            }
        }
        if menu.keys.is_empty() && menu.keys_whole && node.children.is_some() {
            let hint = "write key \"1\" { … }, or make it a step";
            self.report.error_hint(node.head(), "the menu has no key", hint);
        }
        if menu.prompt.is_empty() && node.children.is_some() {
            let hint = "write say \"…\" before the first key";
            self.report.warning_hint(node.head(), "nothing is said in this menu", hint);
        }
        menu
    }

    fn part(&mut self, child: &Node, seen: &mut bool) {
        self.no_args(child);
        self.known_props(child, &[]);
        if std::mem::replace(seen, true) {
            self.twice(child);
        }
    }

    pub(super) fn menu_key(&mut self, node: &Node, menu: &mut MenuTree) {
        self.known_props(node, &[]);
        let body = self.body(node, Place::Menu);
        let text = self.only_text(node, "a key such as \"1\"");
        let read = text.and_then(|text| self.key(&text).map(|key| (text, key)));
        let Some((text, key)) = read else {
            menu.keys_whole = false;
            return;
        };
        if menu.keys.insert(key, KeyTree { span: text.span, body }).is_some() {
            let message = format!("key \"{key}\" is already in this menu");
            self.report.error_hint(text.span, message, "only one of them would work");
        }
    }
}
