//! What is wrong with calls that the server makes: surveys, robots, incidents, callbacks.

use std::collections::BTreeMap;

use super::super::finding::{Report, Span};
use super::super::plan::{Trigger, Way};
use super::super::tree::{self, LineKind, MenuTree, ScriptTree};
use super::super::waiting::PRESS;
use super::keys::keys_named;
use crate::domain::{Language, RecordingId};
use crate::speech::Catalogue;

/// Which file answers an event in a language.
pub type Events = BTreeMap<(String, Language), String>;

/// Reports robots that nobody can refuse, events that another file answers, and keys that customers
/// are not told of.
pub fn check(
    tree: &ScriptTree,
    events: &mut Events,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) {
    for (name, robot) in &tree.robots {
        let menu = tree.menus.get(name).filter(|menu| menu.keys_whole && !menu.keys.is_empty());
        if menu.is_some_and(|menu| !can_be_refused(menu)) {
            let message = "people cannot refuse these calls";
            let hint = "write key \"9\" { do-not-call }, and say \"rating-opt-out\" before it";
            report.warning_hint(robot.name, message, hint);
        }
    }
    answered_twice(tree, events, report);
    pressed(tree, catalogue, report);
}

fn can_be_refused(menu: &MenuTree) -> bool {
    let mut can = false;
    for key in menu.keys.values() {
        tree::each_line(&key.body, &mut |line| can |= matches!(line.kind, LineKind::DoNotCall));
    }
    can
}

/// Of several files that answer an event, the first one in the customer's language calls.
fn answered_twice(tree: &ScriptTree, events: &mut Events, report: &mut Report<'_>) {
    let robots = tree.robots.values().filter_map(|robot| match &robot.rules.trigger {
        Trigger::Event(event) => Some((event.as_str(), robot.event?)),
        Trigger::Conversation { .. } => None,
    });
    let incidents = tree.incidents.values();
    let incidents = incidents.map(|incident| (incident.event.value.as_str(), incident.event.span));
    let here: Vec<(&str, Span)> = robots.chain(incidents).collect();
    for (event, at) in &here {
        if let Some(file) = events.get(&((*event).to_owned(), tree.language)) {
            let message = format!("event \"{event}\" is already answered in {file}");
            let hint = "of two files in one language the first one calls, and this one never does";
            report.warning_hint(*at, message, hint);
        }
    }
    for (event, _) in here {
        let file = report.source.name.clone();
        events.entry((event.to_owned(), tree.language)).or_insert(file);
    }
}

/// `press="1"` is the key of which the customer is told.
fn pressed(tree: &ScriptTree, catalogue: &Catalogue, report: &mut Report<'_>) {
    for callback in tree.callbacks.values() {
        let (Way::CustomerFirst { press: Some(key) }, Some(at)) =
            (callback.rules.way, callback.press)
        else {
            continue;
        };
        let id = RecordingId::new(PRESS);
        let texts = Language::ALL.map(|language| catalogue.text(language, &id));
        let mut told = texts.into_iter().flatten().flat_map(keys_named);
        if let Some(other) = told.find(|told| *told != key) {
            let message = format!("customers are told to press {other} ({id}), not {key}");
            let hint = format!("write press=\"{other}\", or record {id} anew with its text");
            report.error_hint(at, message, hint);
        }
    }
}
