//! Walks a file on all ways that callers can take, and looks at each line with what is certain
//! there: which language is spoken, which menu a step returns to, whether the CRM was asked.

use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::{Report, Span};
use super::super::names::needs_lookup;
use super::super::plan::{Piece, Text};
use super::super::syntax::Spanned;
use super::super::tree::{GroupTree, Line, LineKind, LookupTree, MenuTree, ScriptTree, Use};
use super::super::waiting;
use crate::domain::{Language, PromiseKind, RecordingId};
use crate::speech::{self, Catalogue, Format};

/// Where callers can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station<'a> {
    Number(usize),
    Step(&'a str),
    Menu(&'a str),
    /// The branches of a group that has nobody, or no room.
    Group(&'a str),
}

/// What is certain there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State<'a> {
    language: Language,
    /// The menu that the caller was in last.
    menu: Option<&'a str>,
    looked_up: bool,
}

type States<'a> = BTreeSet<State<'a>>;

/// Reports missing recordings, names that are used before they are known, and what is never
/// reached.
pub fn check(tree: &ScriptTree, catalogue: &Catalogue, report: &mut Report<'_>) {
    let errors_before = report.has_errors();
    let mut walk = Walk {
        tree,
        catalogue,
        report,
        seen: BTreeSet::new(),
        todo: Vec::new(),
        missing: BTreeMap::new(),
        silent: BTreeSet::new(),
    };
    let state = State { language: tree.language, menu: None, looked_up: false };
    for number in 0..tree.numbers.len() {
        walk.visit(Station::Number(number), state);
    }
    // Nobody leads there: the server calls by itself.
    for name in tree.robots.keys() {
        walk.visit(Station::Menu(name), state);
    }
    walk.called_back(state);
    while let Some((station, state)) = walk.todo.pop() {
        walk.station(station, state);
    }
    if !errors_before {
        walk.report_unreached();
    }
}

struct Walk<'a, 'r, 's> {
    tree: &'a ScriptTree,
    catalogue: &'a Catalogue,
    report: &'r mut Report<'s>,
    seen: BTreeSet<(Station<'a>, State<'a>)>,
    todo: Vec<(Station<'a>, State<'a>)>,
    /// Of what a format can need, the recordings that are not there.
    missing: BTreeMap<(Format, Language), Vec<RecordingId>>,
    /// Languages without any recording, which is said once.
    silent: BTreeSet<Language>,
}

impl<'a> Walk<'a, '_, '_> {
    fn visit(&mut self, station: Station<'a>, state: State<'a>) {
        if self.seen.insert((station, state)) {
            self.todo.push((station, state));
        }
    }

    fn station(&mut self, station: Station<'a>, state: State<'a>) {
        let tree = self.tree;
        match station {
            Station::Number(number) => {
                let Some(number) = tree.numbers.get(number) else { return };
                let at = number.dialled.first().map_or(Span::default(), |dialled| dialled.span);
                self.whole_block(&number.body, state, at);
            }
            Station::Step(name) => {
                if let Some(step) = tree.steps.get(name) {
                    self.whole_block(&step.body, state, step.name);
                }
            }
            Station::Menu(name) => {
                if let Some(menu) = tree.menus.get(name) {
                    self.menu(menu, State { menu: Some(name), ..state });
                }
            }
            Station::Group(name) => {
                if let Some(group) = tree.groups.get(name) {
                    self.waiting(group, state);
                    self.whole_block(&group.nobody, state, group.name);
                    self.whole_block(&group.full, state, group.name);
                    self.whole_block(&group.afterwards, state, group.name);
                    if let Some(missed) = &group.missed {
                        self.block(&missed.body, States::from([state]));
                    }
                }
            }
        }
    }

    /// What is heard by those whom humans call back: in the language in which the file begins.
    fn called_back(&mut self, state: State<'a>) {
        let tree = self.tree;
        let mut kinds: BTreeMap<PromiseKind, Span> = BTreeMap::new();
        tree.each_line(&mut |line| {
            if let LineKind::Promise(promise) = &line.kind {
                kinds.entry(promise.kind).or_insert(line.span);
            }
        });
        let incidents = tree.incidents.values().map(|incident| incident.group.span);
        kinds.extend(incidents.map(|at| (PromiseKind::Incident, at)).next());
        for (kind, callback) in &tree.callbacks {
            kinds.insert(*kind, callback.kind);
            if let Some(prompt) = &callback.prompt {
                self.pieces(prompt, &States::from([state]));
                kinds.remove(kind);
            }
            if let Some(at) = callback.press {
                self.recording(waiting::PRESS, at, state);
            }
        }
        for (kind, at) in kinds {
            if let Some(id) = waiting::called_back(kind) {
                self.recording(id, at, state);
            }
        }
    }

    /// What is heard while one waits.
    fn waiting(&mut self, group: &'a GroupTree, state: State<'a>) {
        self.pieces(&group.announce, &States::from([state]));
        for (at, heard) in &group.heard {
            for id in heard.recordings {
                self.recording(id, *at, state);
            }
            for (name, format) in heard.formats {
                self.value(name, *format, *at, state.language);
            }
        }
    }

    fn menu(&mut self, menu: &'a MenuTree, state: State<'a>) {
        let heard = self.block(&menu.prompt, States::from([state]));
        for state in heard {
            for key in menu.keys.values() {
                self.whole_block(&key.body, state, key.span);
            }
            match &menu.silence {
                Some(silence) => self.whole_block(silence, state, menu.name),
                None => self.recording("phrase/no-choice", menu.name, state),
            }
            self.whole_block(&menu.wrong, state, menu.name);
            self.recording("phrase/goodbye", menu.name, state);
        }
    }

    /// A block behind which the caller returns to the menu, or is said goodbye.
    fn whole_block(&mut self, lines: &'a [Line], state: State<'a>, at: Span) {
        for state in self.block(lines, States::from([state])) {
            match state.menu {
                Some(menu) => self.visit(Station::Menu(menu), state),
                None => {
                    let at = lines.last().map_or(at, |line| line.span);
                    self.recording("phrase/goodbye", at, state);
                }
            }
        }
    }

    /// The states in which the block is left at its end.
    fn block(&mut self, lines: &'a [Line], mut states: States<'a>) -> States<'a> {
        for line in lines {
            if states.is_empty() {
                break;
            }
            states = self.line(line, states);
        }
        states
    }

    fn line(&mut self, line: &'a Line, states: States<'a>) -> States<'a> {
        match &line.kind {
            LineKind::Say(pieces) => {
                self.pieces(pieces, &states);
                states
            }
            LineKind::LookupCustomer(lookup) => {
                let after = states.iter().map(|state| State { looked_up: true, ..*state });
                self.lookup(lookup, after.collect())
            }
            LineKind::LookupOrder { lookup, .. } => {
                let after = states.iter().map(|state| State { looked_up: true, ..*state });
                self.lookup(lookup, after.collect())
            }
            LineKind::If { condition, uses, then, otherwise } => {
                for use_ in uses {
                    if let Use::Name(name) = use_ {
                        self.needs_lookup(name, &states);
                    }
                }
                let certain = |state: &State| condition.known_for(state.language.code());
                let yes = states.iter().filter(|state| certain(state) != Some(false));
                let no = states.iter().filter(|state| certain(state) != Some(true));
                let mut after = self.block(then, yes.copied().collect());
                after.extend(self.block(otherwise, no.copied().collect()));
                after
            }
            LineKind::Ask(ask) => {
                self.pieces(&ask.prompt, &states);
                let mut after = self.block(&ask.silence, states.clone());
                after.extend(states);
                after
            }
            LineKind::Go(target) => {
                self.go(target, &states);
                States::new()
            }
            LineKind::Repeat => {
                for state in states {
                    if let Some(menu) = state.menu {
                        self.visit(Station::Menu(menu), state);
                    }
                }
                States::new()
            }
            LineKind::Language(language) => {
                states.iter().map(|state| State { language: *language, ..*state }).collect()
            }
            LineKind::Queue(group) => {
                for state in states {
                    self.visit(Station::Group(&group.value), State { menu: None, ..state });
                }
                States::new()
            }
            LineKind::Ring { operator, at, for_ms: _ } => {
                if let Text::Name(name) = operator {
                    self.needs_lookup(&Spanned::new(name.clone(), *at), &states);
                }
                states
            }
            LineKind::Rate(survey) => {
                for state in states {
                    self.recording(waiting::RATE, survey.span, state);
                    self.visit(Station::Menu(&survey.value), state);
                }
                States::new()
            }
            LineKind::Message { .. } => {
                for state in &states {
                    self.recording(waiting::BEEP, line.span, *state);
                }
                states
            }
            LineKind::MatchCard { .. }
            | LineKind::Promise(_)
            | LineKind::Rated { .. }
            | LineKind::DoNotCall
            | LineKind::Bonus { .. }
            | LineKind::OrderStatus(_) => states,
            LineKind::Hangup => States::new(),
        }
    }

    fn lookup(&mut self, lookup: &'a LookupTree, states: States<'a>) -> States<'a> {
        self.pieces(&lookup.filler, &states);
        let mut after = self.block(&lookup.unavailable, states.clone());
        after.extend(states);
        after
    }

    fn go(&mut self, target: &'a Spanned<String>, states: &States<'a>) {
        let name = target.value.as_str();
        let station = if self.tree.steps.contains_key(name) {
            Station::Step(name)
        } else {
            Station::Menu(name)
        };
        for state in states {
            self.visit(station, *state);
        }
    }

    fn pieces(&mut self, pieces: &[Spanned<Piece>], states: &States<'a>) {
        for piece in pieces {
            if let Piece::Value { name, .. } = &piece.value {
                self.needs_lookup(&Spanned::new(name.clone(), piece.span), states);
            }
            for state in states {
                match &piece.value {
                    Piece::Recording(id) => self.recording(id.as_str(), piece.span, *state),
                    Piece::Value { name, format } => {
                        self.value(name, *format, piece.span, state.language);
                    }
                }
            }
        }
    }

    fn needs_lookup(&mut self, name: &Spanned<String>, states: &States<'a>) {
        if needs_lookup(&name.value) && states.iter().any(|state| !state.looked_up) {
            let message = format!("{} is not known here: the CRM was not asked yet", name.value);
            let hint = "write lookup \"customer\" before it, on every way that leads here";
            self.report.warning_hint(name.span, message, hint);
        }
    }

    fn recording(&mut self, id: &str, at: Span, state: State<'_>) {
        let language = state.language;
        if self.says_nothing(language, at)
            || self.catalogue.contains(language, &RecordingId::new(id))
        {
            return;
        }
        let hint = format!(
            "record prompts/{language}/{id}.wav and add it to prompts/{language}/catalogue.tsv, \
             or speak it with: allo prompts render"
        );
        self.report.error_hint(at, format!("recording {id} is missing in {language}"), hint);
    }

    fn value(&mut self, name: &str, format: Format, at: Span, language: Language) {
        if self.says_nothing(language, at) {
            return;
        }
        let catalogue = self.catalogue;
        let missing = self.missing.entry((format, language)).or_insert_with(|| {
            let needed = speech::needed(format, language).into_iter();
            needed.filter(|id| !catalogue.contains(language, id)).collect()
        });
        let Some(first) = missing.first() else { return };
        let more = match missing.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "to speak {name} as {} the recording {first}{more} is missing in {language}",
            format.name()
        );
        let hint = "list them with: allo prompts missing";
        self.report.error_hint(at, message, hint);
    }

    /// Whether nothing at all is recorded in this language; that is said once.
    fn says_nothing(&mut self, language: Language, at: Span) -> bool {
        if self.catalogue.ids(language).next().is_some() {
            return false;
        }
        if self.silent.insert(language) {
            let message = format!("there are no recordings in {language}");
            let hint = format!("prompts/{language}/catalogue.tsv lists them");
            self.report.error_hint(at, message, hint);
        }
        true
    }

    fn report_unreached(&mut self) {
        let reached = |station: Station<'_>| self.seen.iter().any(|(seen, _)| *seen == station);
        let steps = self.tree.steps.iter().map(|(name, step)| (Station::Step(name), step.name));
        let menus = self.tree.menus.iter().map(|(name, menu)| (Station::Menu(name), menu.name));
        let unreached: Vec<_> =
            steps.chain(menus).filter(|(station, _)| !reached(*station)).collect();
        for (station, at) in unreached {
            let message = match station {
                Station::Step(name) => format!("step \"{name}\" is never reached"),
                Station::Menu(name) => format!("menu \"{name}\" is never reached"),
                Station::Number(_) | Station::Group(_) => continue,
            };
            self.report.warning_hint(at, message, "no go leads here");
        }
    }
}
