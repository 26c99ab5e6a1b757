//! What robots say, and what the keys do: a menu with the name of the robot, in which every key ends
//! the call unless its block goes elsewhere.

use std::collections::BTreeMap;

use super::Reader;
use super::statements::{Place, SECOND_MS, hangup, say};
use crate::dialplan::finding::Span;
use crate::dialplan::syntax::Node;
use crate::dialplan::tree::{self, KeyTree, Line, LineKind, MenuTree};
use crate::domain::Key;

/// Silence after what is said.
const WAIT_MS: u64 = 5 * SECOND_MS;
/// It is heard so often without a valid key; then the call ends.
const TRIES: u8 = 2;
const BEST_SCORE: u8 = 5;
/// Where the score goes, unless the plan says otherwise.
const SCORE: &str = "score";

/// The lines of a robot's block that make its menu.
#[derive(Default)]
pub(super) struct Parts {
    prompt: Vec<Node>,
    keys: Vec<Node>,
    scores: Option<Node>,
    below: Option<Node>,
    thanks: Option<Node>,
    silence: Option<Node>,
    wrong: Option<Node>,
}

impl Parts {
    pub fn add(&mut self, node: &Node) {
        let part = match node.name.value.as_str() {
            "keys" => &mut self.scores,
            "below" => &mut self.below,
            "thanks" => &mut self.thanks,
            "silence" => &mut self.silence,
            "wrong" => &mut self.wrong,
            _ => return self.keys.push(node.clone()),
        };
        part.get_or_insert_with(|| node.clone());
    }
}

/// `keys "1-5" as="score"`
struct Scores {
    from: u8,
    to: u8,
    variable: String,
    at: Span,
}

impl Reader<'_, '_> {
    /// A line of what is said.
    pub(super) fn prompt_part(&mut self, node: &Node, parts: &mut Parts) {
        let keys = !parts.keys.is_empty() || parts.scores.is_some();
        if keys {
            let message = format!("{} stands after the keys", node.name.value);
            self.report.error_hint(node.head(), message, "put what is said before the first key");
        } else {
            parts.prompt.push(node.clone());
        }
    }

    pub(super) fn robot_menu(&mut self, node: &Node, is_survey: bool, parts: &Parts) -> MenuTree {
        let at = node.head();
        let wrong = if is_survey { "rating-again" } else { "wrong-key" };
        let mut menu = MenuTree {
            name: node.args.first().map_or(node.name.span, |name| name.span),
            wait_ms: WAIT_MS,
            tries: TRIES,
            prompt: self.block(&parts.prompt, Place::Prompt),
            keys: BTreeMap::new(),
            // Without a score, which is an error, keys that are told and not there are none.
            keys_whole: !is_survey || parts.scores.is_some(),
            // It is asked again; «you have not chosen anything» is no answer to silence.
            silence: Some(Vec::new()),
            wrong: vec![say(wrong, at)],
        };
        if let Some(scores) = &parts.scores {
            match self.scores(scores) {
                Some(scores) => self.score_keys(node, &scores, parts, &mut menu),
                None => menu.keys_whole = false,
            }
        }
        for key in &parts.keys {
            self.robot_key(key, &mut menu);
        }
        if let Some(silence) = &parts.silence {
            self.bare(silence);
            menu.silence = Some(self.body(silence, Place::Menu));
        }
        if let Some(wrong) = &parts.wrong {
            self.bare(wrong);
            menu.wrong = self.body(wrong, Place::Menu);
        }
        self.what_is_said(node, is_survey, &mut menu);
        menu
    }

    /// What is said by itself, and what must be said by the plan.
    fn what_is_said(&mut self, node: &Node, is_survey: bool, menu: &mut MenuTree) {
        let at = node.head();
        if menu.prompt.is_empty() && is_survey {
            menu.prompt = vec![say("rating-hello", at), say("rating-ask", at)];
            if Key::try_from('9').is_ok_and(|nine| menu.keys.contains_key(&nine)) {
                menu.prompt.push(say("rating-opt-out", at));
            }
        } else if menu.prompt.is_empty() && node.children.is_some() {
            let hint = "write say \"…\" before the first key";
            self.report.error_hint(at, "the robot says nothing", hint);
        }
        if menu.keys.is_empty() && menu.keys_whole && node.children.is_some() && !is_survey {
            let hint = "write key \"9\" { do-not-call }; without a key nobody knows whether a human \
                        heard it or an answering machine";
            self.report.error_hint(at, "the robot has no key", hint);
        }
    }

    fn bare(&mut self, node: &Node) {
        self.no_args(node);
        self.known_props(node, &[]);
    }

    fn scores(&mut self, node: &Node) -> Option<Scores> {
        self.known_props(node, &["as"]);
        self.no_block(node);
        let text = self.only_text(node, "keys such as \"1-5\"")?;
        let ends = text.value.split_once('-');
        let ends = ends.and_then(|(a, b)| Some((a.parse::<u8>().ok()?, b.parse::<u8>().ok()?)));
        let is_score = |&(from, to): &(u8, u8)| from >= 1 && from < to && to <= BEST_SCORE;
        let Some((from, to)) = ends.filter(is_score) else {
            let message = format!("\"{}\" is not a row of scores", text.value);
            self.report.error_hint(text.span, message, "write keys \"1-5\" as=\"score\"");
            return None;
        };
        let variable = match node.prop("as") {
            Some(_) => self.new_variable(node, "as")?.value,
            None => SCORE.to_owned(),
        };
        Some(Scores { from, to, variable, at: text.span })
    }

    fn score_keys(&mut self, node: &Node, scores: &Scores, parts: &Parts, menu: &mut MenuTree) {
        let survey = match node.args.first().map(|name| &name.value) {
            Some(crate::dialplan::syntax::Value::Text(name)) => name.clone(),
            _ => String::new(), // which was reported
        };
        let below = parts.below.as_ref().and_then(|node| self.below(node, scores.to));
        if parts.below.is_none() {
            let message = "who is not content is thanked like all others";
            let hint = "write below 4 { promise \"callback-low-rating\" due=\"30m\" }";
            self.report.warning_hint(node.head(), message, hint);
        }
        for score in scores.from..=scores.to {
            let is_low = below.is_some_and(|below| score < below);
            let part = if is_low { &parts.below } else { &parts.thanks };
            let own = part.as_ref().map_or_else(Vec::new, |node| self.body(node, Place::Menu));
            if let (Some(part), true) = (part, is_low) {
                self.warn_of_empty_words(part, &own);
            }
            let (survey, variable) = (survey.clone(), scores.variable.clone());
            let kind = LineKind::Rated { survey, variable, score };
            let mut body = vec![Line { span: scores.at, kind }];
            body.extend(own);
            let default = if is_low { "rating-sorry" } else { "rating-thanks" };
            let at = part.as_ref().map_or(scores.at, Node::head);
            end_call(&mut body, Some(default), at);
            let key = char::from_digit(u32::from(score), 10).and_then(|c| Key::try_from(c).ok());
            if let Some(key) = key {
                menu.keys.insert(key, KeyTree { span: scores.at, body });
            }
        }
        if let Some(thanks) = &parts.thanks {
            self.bare(thanks);
        }
    }

    /// `below 4 { … }`
    fn below(&mut self, node: &Node, best: u8) -> Option<u8> {
        self.known_props(node, &[]);
        let below = self.whole_arg(node, "below", 2, i64::from(best))?;
        u8::try_from(below).ok()
    }

    /// `rating-sorry` says that somebody will call.
    fn warn_of_empty_words(&mut self, node: &Node, lines: &[Line]) {
        let promises = |line: &Line| matches!(line.kind, LineKind::Promise(_));
        if !any(lines, &says) && !any(lines, &promises) && !tree::ends(lines) {
            let message = "the customer is told of a call back, and nobody promises it";
            let hint = "write promise \"callback-low-rating\" due=\"30m\", or say something else";
            self.report.warning_hint(node.head(), message, hint);
        }
    }

    fn robot_key(&mut self, node: &Node, menu: &mut MenuTree) {
        self.menu_key(node, menu);
        let text = node.args.first().and_then(|arg| match &arg.value {
            crate::dialplan::syntax::Value::Text(text) => Some(text),
            _ => None,
        });
        let key = text.and_then(|text| text.parse::<char>().ok());
        let key = key.and_then(|c| Key::try_from(c).ok());
        if let Some(tree) = key.and_then(|key| menu.keys.get_mut(&key)) {
            let forbids = |line: &Line| matches!(line.kind, LineKind::DoNotCall);
            let farewell = any(&tree.body, &forbids).then_some("opted-out");
            end_call(&mut tree.body, farewell, node.head());
        }
    }
}

/// Ends the call behind a block that does not go elsewhere; with `words` if it says nothing itself.
fn end_call(body: &mut Vec<Line>, words: Option<&str>, at: Span) {
    if tree::ends(body) {
        return;
    }
    if !any(body, &says) {
        body.extend(words.map(|words| say(words, at)));
    }
    body.push(hangup(at));
}

fn says(line: &Line) -> bool {
    matches!(line.kind, LineKind::Say(_))
}

fn any(lines: &[Line], is: &impl Fn(&Line) -> bool) -> bool {
    let mut found = false;
    tree::each_line(lines, &mut |line| found |= is(line));
    found
}
