//! Ways that never end: steps that go round in circles, menus that cannot be left.

use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::{Report, Span};
use super::super::tree::{self, Line, LineKind, ScriptTree};
use super::walk::Station;

/// Reports them. Every name in the tree is known to exist.
pub fn check(tree: &ScriptTree, report: &mut Report<'_>) {
    circles(tree, report);
    traps(tree, report);
}

/// What happened between the beginning of a step and a `go`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Past {
    /// Something was said.
    heard: bool,
    /// The caller, or an operator, was waited for.
    waited: bool,
}

/// A way from one step or group to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Passage<'a> {
    past: Past,
    to: Station<'a>,
    at: Span,
}

type Passages<'a> = BTreeMap<Station<'a>, BTreeSet<Passage<'a>>>;

fn circles(tree: &ScriptTree, report: &mut Report<'_>) {
    let steps = tree.steps.iter().map(|(name, step)| (Station::Step(name), &step.body));
    // When nobody is logged in, or the line is full, that branch of a group runs at once.
    let groups = tree.groups.iter().flat_map(|(name, group)| {
        [&group.nobody, &group.full].map(|body| (Station::Group(name), body))
    });
    let mut passages: Passages<'_> = BTreeMap::new();
    for (station, body) in steps.chain(groups) {
        let mut found = BTreeSet::new();
        pass(tree, body, BTreeSet::from([Past::default()]), &mut found);
        found.retain(|passage| !passage.past.waited);
        passages.entry(station).or_default().extend(found);
    }
    let unheard: Passages<'_> = (passages.iter())
        .map(|(from, found)| (*from, found.iter().filter(|p| !p.past.heard).copied().collect()))
        .collect();
    let mut reported = BTreeSet::new();
    for (passages, message) in [
        (&unheard, "this goes round in a circle, and the caller hears nothing"),
        (&passages, "this goes round in a circle, and nothing in it waits for the caller"),
    ] {
        for (from, found) in passages {
            for passage in found {
                let circle = reach(passages, passage.to);
                if circle.contains(from) && reported.insert(*from) {
                    // One report is enough for all steps of the circle.
                    reported
                        .extend(circle.iter().filter(|at| reach(passages, **at).contains(from)));
                    let hint = "let it end in a menu, an ask or a hangup";
                    report.error_hint(passage.at, message, hint);
                }
            }
        }
    }
}

/// What is reached from this station, with itself.
fn reach<'a>(passages: &Passages<'a>, from: Station<'a>) -> BTreeSet<Station<'a>> {
    let mut reached = BTreeSet::from([from]);
    let mut todo = vec![from];
    while let Some(station) = todo.pop() {
        for passage in passages.get(&station).into_iter().flatten() {
            if reached.insert(passage.to) {
                todo.push(passage.to);
            }
        }
    }
    reached
}

/// Collects the `go`s of a block; returns what may have happened at its end.
fn pass<'a>(
    tree: &'a ScriptTree,
    lines: &'a [Line],
    mut pasts: BTreeSet<Past>,
    found: &mut BTreeSet<Passage<'a>>,
) -> BTreeSet<Past> {
    for line in lines {
        let heard = |pasts: &BTreeSet<Past>| -> BTreeSet<Past> {
            pasts.iter().map(|past| Past { heard: true, ..*past }).collect()
        };
        let waited = |pasts: &BTreeSet<Past>| -> BTreeSet<Past> {
            pasts.iter().map(|_| Past { heard: true, waited: true }).collect()
        };
        pasts = match &line.kind {
            LineKind::Say(_) => heard(&pasts),
            LineKind::Ask(ask) => {
                let asked = waited(&pasts);
                let mut after = pass(tree, &ask.silence, asked.clone(), found);
                after.extend(asked);
                after
            }
            LineKind::Ring { .. } => waited(&pasts),
            LineKind::LookupCustomer(lookup) | LineKind::LookupOrder { lookup, .. } => {
                let mut after = pass(tree, &lookup.unavailable, pasts.clone(), found);
                after.extend(pasts);
                after
            }
            LineKind::If { condition: _, uses: _, then, otherwise } => {
                let mut after = pass(tree, then, pasts.clone(), found);
                after.extend(pass(tree, otherwise, pasts, found));
                after
            }
            LineKind::Go(target) => {
                // A menu waits for a key, so that only ways from step to step can be circles.
                if tree.steps.contains_key(&target.value) {
                    let to = Station::Step(&target.value);
                    let at = target.span;
                    found.extend(pasts.iter().map(|past| Passage { past: *past, to, at }));
                }
                BTreeSet::new()
            }
            LineKind::Queue(group) => {
                let (to, at) = (Station::Group(&group.value), group.span);
                found.extend(pasts.iter().map(|past| Passage { past: *past, to, at }));
                BTreeSet::new()
            }
            LineKind::Repeat | LineKind::Rate(_) | LineKind::Hangup => BTreeSet::new(),
            LineKind::Message { .. } => waited(&pasts),
            LineKind::MatchCard { .. }
            | LineKind::Language(_)
            | LineKind::Promise(_)
            | LineKind::Rated { .. }
            | LineKind::DoNotCall
            | LineKind::Bonus { .. }
            | LineKind::OrderStatus(_) => pasts,
        };
        if pasts.is_empty() {
            break;
        }
    }
    pasts
}

/// Menus whose keys and silence all lead back.
fn traps(script: &ScriptTree, report: &mut Report<'_>) {
    let mut left: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = left.len();
        for (name, step) in &script.steps {
            if leaves(&step.body, &left) {
                left.insert(name);
            }
        }
        for (name, menu) in &script.menus {
            // Who says nothing for too long is said goodbye, unless the plan goes elsewhere.
            let by_silence = menu
                .silence
                .as_ref()
                .is_none_or(|silence| leaves(silence, &left) || !tree::ends(silence));
            let by_key = menu.keys.values().any(|key| leaves(&key.body, &left));
            if by_silence || by_key || leaves(&menu.wrong, &left) {
                left.insert(name);
            }
        }
        if left.len() == before {
            break;
        }
    }
    for (name, menu) in script.menus.iter().filter(|(name, _)| !left.contains(name.as_str())) {
        let message = format!("menu \"{name}\" cannot be left: every key and silence lead back");
        let hint = "let a key, or silence, go to an operator or hang up";
        report.warning_hint(menu.name, message, hint);
    }
}

/// Whether a way through the block leads to an operator, to the end, or to one of `left`.
fn leaves(lines: &[Line], left: &BTreeSet<&str>) -> bool {
    lines.iter().any(|line| match &line.kind {
        LineKind::Queue(_) | LineKind::Ring { .. } | LineKind::Rate(_) | LineKind::Hangup => true,
        LineKind::Go(target) => left.contains(target.value.as_str()),
        LineKind::Say(_)
        | LineKind::LookupCustomer(_)
        | LineKind::MatchCard { .. }
        | LineKind::LookupOrder { .. }
        | LineKind::If { .. }
        | LineKind::Ask(_)
        | LineKind::Repeat
        | LineKind::Language(_)
        | LineKind::Promise(_)
        | LineKind::Rated { .. }
        | LineKind::DoNotCall
        | LineKind::Bonus { .. }
        | LineKind::OrderStatus(_)
        | LineKind::Message { .. } => line.blocks().iter().any(|block| leaves(block, left)),
    })
}
