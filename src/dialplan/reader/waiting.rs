//! What the callers of a group hear while they wait, and before that.

use std::collections::BTreeSet;

use super::Reader;
use super::groups::set;
use super::statements::{HOUR_MS, SECOND_MS};
use crate::dialplan::plan::{OfferCallback, Pieces, RecordRule, Tell, Tips};
use crate::dialplan::suggest::closest;
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::dialplan::tree::GroupTree;
use crate::dialplan::waiting;
use crate::domain::{Key, RecordingId};

const TIPS_EVERY_MS: u64 = 20 * SECOND_MS;
const TELL_EVERY_MS: u64 = 60 * SECOND_MS;
const OFFER_AFTER_MS: u64 = 60 * SECOND_MS;
const OFFER_KEY: char = '1';
/// More often is a nuisance.
const TELL_EVERY_LEAST_MS: u64 = 10 * SECOND_MS;

impl Reader<'_, '_> {
    pub(super) fn while_waiting(&mut self, node: &Node, group: &mut GroupTree) {
        self.known_props(node, &[]);
        self.no_args(node);
        for child in node.children() {
            match child.name.value.as_str() {
                "tips" => self.tips(child, group),
                "tell" => self.tell(child, group),
                other => {
                    let known = ["tips", "tell"];
                    let what = "part of while-waiting";
                    self.report.unknown(child.name.span, what, other, "not known", known);
                }
            }
        }
    }

    /// `tips "tip" every="20s"`
    fn tips(&mut self, node: &Node, group: &mut GroupTree) {
        self.known_props(node, &["every"]);
        self.no_block(node);
        if group.rules.tips.is_some() {
            self.twice(node);
        }
        let every_ms = self.duration_prop(node, "every", SECOND_MS, HOUR_MS);
        let Some(folder) = self.only_text(node, "the folder of the tips, \"tip\"") else { return };
        let recordings = self.folder(&folder);
        let every_ms = every_ms.unwrap_or(TIPS_EVERY_MS);
        group.rules.tips = Some(Tips { recordings, every_ms });
    }

    /// All recordings below a folder of the file's language.
    fn folder(&mut self, folder: &Spanned<String>) -> Vec<RecordingId> {
        let name = folder.value.trim_end_matches('/');
        let parent =
            |id: &RecordingId| id.as_str().rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let (catalogue, language) = (self.catalogue, self.language);
        let ids = || catalogue.ids(language);
        let found: Vec<_> =
            ids().filter(|id| parent(id).as_deref() == Some(name)).cloned().collect();
        if found.is_empty() && ids().next().is_some() {
            let folders: BTreeSet<String> = ids().filter_map(parent).collect();
            let mut message = format!("there are no recordings in prompts/{language}/{name}");
            if let Some(meant) = closest(name, folders.iter().map(String::as_str)) {
                message.push_str(&format!("; did you mean \"{meant}\"?"));
            }
            let hint = format!(
                "record prompts/{language}/{name}/01.wav and so on, and add them to \
                 prompts/{language}/catalogue.tsv"
            );
            self.report.error_hint(folder.span, message, hint);
        }
        found
    }

    /// `tell "place" "estimate" every="60s"`
    fn tell(&mut self, node: &Node, group: &mut GroupTree) {
        self.known_props(node, &["every"]);
        self.no_block(node);
        if group.rules.tell.is_some() {
            self.twice(node);
        }
        let every_ms = self.duration_prop(node, "every", TELL_EVERY_LEAST_MS, HOUR_MS);
        let every_ms = every_ms.unwrap_or(TELL_EVERY_MS);
        let mut tell = Tell { place: false, estimate: false, every_ms };
        if node.args.is_empty() {
            let hint = "write tell \"place\" \"estimate\" every=\"60s\"";
            self.report.error_hint(node.head(), "what shall be told?", hint);
        }
        for arg in &node.args {
            self.told(arg, &mut tell, group);
        }
        group.rules.tell = Some(tell);
    }

    fn told(&mut self, arg: &Spanned<Value>, tell: &mut Tell, group: &mut GroupTree) {
        let Some(text) = self.text(arg, "\"place\" or \"estimate\"") else { return };
        match text.value.as_str() {
            "place" => {
                tell.place = true;
                group.heard.push((text.span, &waiting::PLACE));
            }
            "estimate" => {
                tell.estimate = true;
                group.heard.push((text.span, &waiting::ESTIMATE));
            }
            other => {
                let known = ["place", "estimate"];
                self.report.unknown(text.span, "tell", other, "not known", known);
            }
        }
    }

    /// `offer-callback after="60s" key="1"`
    pub(super) fn offer_callback(&mut self, node: &Node, group: &mut GroupTree) {
        self.known_props(node, &["after", "key"]);
        self.no_args(node);
        self.no_block(node);
        let after_ms = self.duration_prop(node, "after", 0, HOUR_MS).unwrap_or(OFFER_AFTER_MS);
        let mut key = Key::try_from(OFFER_KEY).ok();
        let mut at = node.head();
        if let Some(text) = self.text_prop(node, "key") {
            at = text.span;
            set(&mut key, self.key(&text).map(Some));
        }
        let Some(key) = key else { return };
        group.rules.offer_callback = Some(OfferCallback { after_ms, key });
        group.offer_key = Some(Spanned::new(key, at));
        group.heard.push((node.head(), &waiting::CALLBACK));
    }

    /// `record announce="recording-notice" refuse-key="9"`
    pub(super) fn record(&mut self, node: &Node, group: &mut GroupTree) {
        self.known_props(node, &["announce", "refuse-key"]);
        self.no_args(node);
        self.no_block(node);
        group.announce = match node.prop("announce") {
            Some(announce) => self.piece(announce).into_iter().collect(),
            None => vec![super::statements::phrase("recording-notice", node.head())],
        };
        let refuse = self.text_prop(node, "refuse-key");
        let refuse =
            refuse.and_then(|text| self.key(&text).map(|key| Spanned::new(key, text.span)));
        let refuse_key = refuse.as_ref().map(|key| key.value);
        group.heard.extend(refuse.as_ref().map(|key| (key.span, &waiting::REFUSAL)));
        group.rules.record = Some(RecordRule { announce: Pieces::default(), refuse_key });
        group.refuse_key = refuse;
    }
}
