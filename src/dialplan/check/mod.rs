//! What is wrong with a file as a whole, seen as callers go through it.
//!
//! - this file: names that lines mention
//! - `walk`: in which language and after what each line is reached; missing recordings
//! - `circles`: ways that never end, menus that cannot be left
//! - `keys`: what prompts tell to press, and the keys that there are
//! - `outbound`: surveys, robots, incidents, callbacks

mod circles;
mod keys;
mod outbound;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use super::expression::Condition;
use super::finding::{Report, Severity, Span};
use super::names::kind_of;
use super::plan::{Dialled, Pick, Piece};
use super::suggest::closest;
use super::syntax::Spanned;
use super::tree::{DueTree, Line, LineKind, ScriptTree, Use};
use crate::speech::{self, Catalogue};

/// What the files before this one have said.
#[derive(Default)]
pub struct Taken {
    /// Which file answers a number.
    numbers: BTreeMap<Dialled, String>,
    /// Whom a group rings first, and which file says so.
    picks: BTreeMap<String, (Pick, String)>,
    /// Which file answers an event of the shop in a language.
    events: outbound::Events,
}

/// Reports what is wrong with a file.
pub fn check(tree: &ScriptTree, taken: &mut Taken, catalogue: &Catalogue, report: &mut Report<'_>) {
    numbers(tree, &mut taken.numbers, report);
    picks(tree, &mut taken.picks, report);
    let mut check = Check { tree, catalogue, report, asked: asked(tree) };
    tree.each_line(&mut |line| check.line(line));
    check.groups();
    check.hours();
    check.outbound();
    outbound::check(tree, &mut taken.events, catalogue, check.report);
    let whole = !check.report.has_errors();
    walk::check(tree, catalogue, report);
    keys::check(tree, catalogue, report);
    if whole {
        circles::check(tree, report);
    }
}

fn numbers(tree: &ScriptTree, taken: &mut BTreeMap<Dialled, String>, report: &mut Report<'_>) {
    for dialled in tree.numbers.iter().flat_map(|number| &number.dialled) {
        if let Some(file) = taken.insert(dialled.value.clone(), report.source.name.clone()) {
            let here = file == report.source.name;
            let place = if here { "this file".to_owned() } else { file };
            let message = format!("this number is already answered in {place}");
            report.error_hint(dialled.span, message, "a number has one block in all files");
        }
    }
    if tree.numbers.is_empty() && !report.has_errors() {
        let hint = "write number \"100\" { … }";
        report.warning_hint(Span::default(), "no number leads into this file", hint);
    }
}

/// Groups of one name in several files have the same operators, who cannot follow two rules.
fn picks(tree: &ScriptTree, taken: &mut BTreeMap<String, (Pick, String)>, report: &mut Report<'_>) {
    for (name, group) in &tree.groups {
        let here = (group.rules.pick, report.source.name.clone());
        let (pick, file) = taken.entry(name.clone()).or_insert(here);
        if *pick != group.rules.pick {
            let message = format!("group \"{name}\" picks its operators otherwise in {file}");
            let hint = "it is one group with one line; write the same pick in both files";
            report.warning_hint(group.name, message, hint);
        }
    }
}

/// The variables that some `ask` or survey of the file fills.
fn asked(tree: &ScriptTree) -> BTreeSet<&str> {
    let mut asked = BTreeSet::new();
    tree.each_line(&mut |line| match &line.kind {
        LineKind::Ask(ask) => {
            asked.insert(ask.variable.value.as_str());
        }
        LineKind::Rated { variable, .. } => {
            asked.insert(variable.as_str());
        }
        _ => {}
    });
    asked
}

struct Check<'a, 'r, 's> {
    tree: &'a ScriptTree,
    catalogue: &'a Catalogue,
    report: &'r mut Report<'s>,
    asked: BTreeSet<&'a str>,
}

impl Check<'_, '_, '_> {
    fn line(&mut self, line: &Line) {
        match &line.kind {
            LineKind::Say(pieces) => self.pieces(pieces),
            LineKind::LookupCustomer(lookup) => self.pieces(&lookup.filler),
            LineKind::MatchCard { variable } => self.variable(variable),
            LineKind::LookupOrder { variable, lookup } => {
                self.variable(variable);
                self.pieces(&lookup.filler);
            }
            LineKind::If { uses, .. } => uses.iter().for_each(|use_| self.use_(use_)),
            LineKind::Ask(ask) => self.pieces(&ask.prompt),
            LineKind::Go(target) => self.target(target),
            LineKind::Queue(group) => self.group(group),
            LineKind::Promise(promise) => {
                promise.group.iter().for_each(|group| self.group(group));
                self.due(&promise.due);
            }
            LineKind::Rate(survey) => self.survey(survey),
            LineKind::OrderStatus(status) => self.status(status),
            LineKind::Repeat
            | LineKind::Language(_)
            | LineKind::Ring { .. }
            | LineKind::Rated { .. }
            | LineKind::DoNotCall
            | LineKind::Bonus { .. }
            | LineKind::Message { .. }
            | LineKind::Hangup => {}
        }
    }

    fn pieces(&mut self, pieces: &[Spanned<Piece>]) {
        for piece in pieces {
            if let Piece::Value { name, .. } = &piece.value
                && kind_of(name).is_none()
            {
                self.variable(&Spanned::new(name.clone(), piece.span));
            }
        }
    }

    fn use_(&mut self, use_: &Use) {
        match use_ {
            Use::Hours(name) => self.named_hours(name),
            Use::Variable(name) => self.variable(name),
            Use::Name(_) => {}
            Use::Status(word) => self.status(word),
        }
    }

    fn variable(&mut self, name: &Spanned<String>) {
        if self.asked.contains(name.value.as_str()) {
            return;
        }
        let names = super::names::NAMES.iter().map(|(name, _, _)| *name);
        let known = self.asked.iter().copied().chain(names);
        let mut message = format!("\"{}\" is not known", name.value);
        if let Some(meant) = closest(&name.value, known) {
            message.push_str(&format!("; did you mean \"{meant}\"?"));
        }
        let hint = format!(
            "it is neither one of the names like customer.points nor asked: ask … as=\"{}\"",
            name.value
        );
        self.report.error_hint(name.span, message, hint);
    }

    fn target(&mut self, name: &Spanned<String>) {
        let tree = self.tree;
        if tree.robots.contains_key(&name.value) {
            let hint = format!("write rate \"{}\" if it is a survey", name.value);
            let message = format!("\"{}\" is a call of its own", name.value);
            self.report.error_hint(name.span, message, hint);
        } else if !tree.steps.contains_key(&name.value) && !tree.menus.contains_key(&name.value) {
            let is_menu = |name: &&String| !tree.robots.contains_key(*name);
            let known = tree.steps.keys().chain(tree.menus.keys().filter(is_menu));
            let known = known.map(String::as_str);
            self.report.unknown(name.span, "step or menu", &name.value, "not defined", known);
        }
    }

    fn survey(&mut self, name: &Spanned<String>) {
        let surveys = self.tree.robots.iter().filter(|(_, robot)| robot.rules.is_survey());
        let surveys: Vec<&str> = surveys.map(|(name, _)| name.as_str()).collect();
        if !surveys.contains(&name.value.as_str()) {
            self.report.unknown(name.span, "survey", &name.value, "not defined", surveys);
        }
    }

    fn due(&mut self, due: &DueTree) {
        match due {
            DueTree::After { .. } => {}
            DueTree::NextOpening { hours, span, .. } => self.next_opening(hours.as_ref(), *span),
            DueTree::Named { variable } => self.variable(variable),
        }
    }

    /// Names that calls of the server mention.
    fn outbound(&mut self) {
        let tree = self.tree;
        for robot in tree.robots.values() {
            robot.groups.iter().for_each(|group| self.group(group));
        }
        for incident in tree.incidents.values() {
            self.group(&incident.group);
            self.due(&incident.due);
        }
        for callback in tree.callbacks.values() {
            callback.escalate_to.iter().for_each(|group| self.group(group));
            callback.hours.iter().for_each(|hours| self.named_hours(hours));
            self.pieces(callback.prompt.as_deref().unwrap_or_default());
        }
    }

    fn group(&mut self, name: &Spanned<String>) {
        if !self.tree.groups.contains_key(&name.value) {
            let known = self.tree.groups.keys().map(String::as_str);
            self.report.unknown(name.span, "group", &name.value, "not defined", known);
        }
    }

    fn named_hours(&mut self, name: &Spanned<String>) {
        if !self.tree.hours.contains_key(&name.value) {
            let known = self.tree.hours.keys().map(String::as_str);
            self.report.unknown(name.span, "hours", &name.value, "not defined", known);
        }
    }

    fn next_opening(&mut self, hours: Option<&Spanned<String>>, span: Span) {
        match (hours, self.tree.hours.len()) {
            (Some(name), _) => self.named_hours(name),
            (None, 1) => {}
            (None, 0) => {
                let hint = "write hours \"shop\" { open \"mon-fri\" \"10:00-19:00\" }";
                self.report.error_hint(span, "there are no opening hours in this file", hint);
            }
            (None, _) => {
                let hint = "write hours=\"…\" with the name of the hours";
                self.report.error_hint(span, "the opening of which hours?", hint);
            }
        }
    }

    fn status(&mut self, word: &Spanned<String>) {
        let known = speech::statuses(self.catalogue, self.tree.language);
        if known.is_empty() || known.contains(&word.value.as_str()) {
            return;
        }
        let mut message = format!("there is no recording for a status '{}'", word.value);
        if let Some(meant) = closest(&word.value, known.iter().copied()) {
            message.push_str(&format!("; did you mean '{meant}'?"));
        }
        let hint = format!("known statuses: {}", known.join(", "));
        self.report.warning_hint(word.span, message, hint);
    }

    fn groups(&mut self) {
        let tree = self.tree;
        for (name, group) in &tree.groups {
            for other in &group.mentions {
                self.group(other);
                if other.value == *name {
                    self.report.error(other.span, "a group cannot help itself");
                }
            }
            self.pieces(&group.announce);
            let mut speaks = false;
            for line in &group.nobody {
                speaks |= !matches!(line.kind, LineKind::Promise(_) | LineKind::Hangup);
            }
            if !speaks {
                let hint = "write nobody { say \"sorry-full\"; hangup }";
                let message = "callers hear nothing when nobody is logged in to this group";
                self.report.warning_hint(group.name, message, hint);
            }
        }
    }

    /// Opening hours that nothing asks about, although callers are sent to operators.
    fn hours(&mut self) {
        let mut asked_hours = false;
        let mut queue = None;
        self.tree.each_line(&mut |line| match &line.kind {
            LineKind::If { condition, .. } => asked_hours |= asks_hours(condition),
            LineKind::Queue(group) => queue = queue.or(Some(group.span)),
            _ => {}
        });
        if let (false, false, Some(at)) = (self.tree.hours.is_empty(), asked_hours, queue) {
            let name = self.tree.hours.keys().next().map_or("", String::as_str);
            let hint = format!("write if \"closed('{name}')\" {{ … }} before it");
            let message = "callers are queued at night, too: nothing asks for the opening hours";
            self.report.note(Severity::Warning, at, message.to_owned(), Some(hint));
        }
    }
}

fn asks_hours(condition: &Condition) -> bool {
    match condition {
        Condition::Or(parts) | Condition::And(parts) => parts.iter().any(asks_hours),
        Condition::Not(inner) => asks_hours(inner),
        Condition::Open { .. } | Condition::Closed { .. } => true,
        Condition::Compare { .. } | Condition::Holds(_) => false,
    }
}
