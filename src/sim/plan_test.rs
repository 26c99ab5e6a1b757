//! Runs the tests that live beside the dialplans: the same core as in real calls, in milliseconds.

use std::fmt;
use std::sync::Arc;

use jiff::civil::DateTime;
use serde::Serialize;

use crate::core::Command;
use crate::core::event::CrmWrite;
use crate::dialplan::Plan;
use crate::dialplan::scenario::{Action, Expectation, Heard, PlanTest};
use crate::domain::{CallFact, Language, LineOutcome, PromiseKind, RecordingId, Region, Visit};
use crate::speech::{self, Catalogue};

use super::world::World;

/// Things that may happen by themselves between two lines of a test; more is a plan without end.
const STEPS_MAX: usize = 10_000;

/// How a test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    pub name: String,
    pub file: String,
    pub line: usize,
    /// `None`: passed.
    pub failure: Option<Failure>,
}

/// The line of a test that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    pub line: usize,
    pub column: usize,
    /// The line as it is written.
    pub text: String,
    pub why: String,
    /// All that was heard until then, as a reader sees it.
    pub heard: Vec<String>,
}

/// ```text
/// ok      known client hears points, then an operator
/// FAILED  a closed shop promises a callback
/// dialplans/tests/hotline.kdl:14:5 hears "closed"
///         phrase/closed was not heard
///         heard: Здравствуйте! Вы позвонили на горячую линию магазина.
/// ```
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(failure) = &self.failure else { return write!(f, "ok      {}", self.name) };
        let Failure { line, column, text, why, heard } = failure;
        writeln!(f, "FAILED  {}", self.name)?;
        write!(f, "{}:{line}:{column} {text}\n        {why}", self.file)?;
        heard.iter().try_for_each(|heard| write!(f, "\n        heard: {heard}"))
    }
}

/// Plays the call of a test and checks its lines.
pub fn run(
    test: &PlanTest,
    plan: &Arc<Plan>,
    catalogue: &Arc<Catalogue>,
    region: Region,
) -> Verdict {
    let world = World::open(test, plan, catalogue, region);
    let mut observer = Observer { world, catalogue, since_key: 0, place: Place::default() };
    let failure = test.steps.iter().find_map(|step| {
        observer.take(&step.action).err().map(|why| Failure {
            line: step.line,
            column: step.column,
            text: step.text.trim().to_owned(),
            why,
            heard: observer.said().map(|said| said.text.to_owned()).collect(),
        })
    });
    Verdict { name: test.name.clone(), file: test.file.clone(), line: test.line, failure }
}

/// Watches a call with the eyes of a test.
struct Observer<'t, 'c> {
    world: World<'t>,
    catalogue: &'c Catalogue,
    /// How much had been said when the last key was pressed.
    since_key: usize,
    /// Up to where `hears` has matched.
    place: Place,
}

/// A place in what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// Which `say`.
    said: usize,
    /// How many of its recordings lie before.
    recordings: usize,
}

/// One `say` that was heard.
#[derive(Clone, Copy)]
struct Said<'a> {
    language: Language,
    recordings: &'a [RecordingId],
    text: &'a str,
}

impl Observer<'_, '_> {
    fn take(&mut self, action: &Action) -> Result<(), String> {
        if self.world.begun.is_none() {
            let note = Some(&self.world.note).filter(|note| !note.is_empty());
            let why = note.map_or_else(String::new, |note| format!(": {note}"));
            return Err(format!("the customer was not called{why}"));
        }
        match action {
            Action::Hears(wanted) => wanted.iter().try_for_each(|heard| self.wait_to_hear(heard)),
            Action::HearsNot(unwanted) => {
                self.wait_for_quiet();
                unwanted.iter().try_for_each(|heard| self.must_not_have_heard(heard))
            }
            Action::Press(key) => {
                self.must_be_up()?;
                self.world.press(*key);
                self.forget_until_now();
                Ok(())
            }
            Action::Enter(keys) => {
                self.must_be_up()?;
                keys.iter().for_each(|key| self.world.press(*key));
                self.forget_until_now();
                Ok(())
            }
            Action::Silence => {
                self.wait_for_quiet();
                match self.world.fire_timer() {
                    true => Ok(()),
                    false => Err("the plan waits for nothing".to_owned()),
                }
            }
            Action::Wait { ms } => {
                self.must_be_up()?;
                self.world.pass(*ms);
                Ok(())
            }
            Action::HangsUp => {
                self.must_be_up()?;
                self.world.hang_up();
                Ok(())
            }
            Action::Expect(all) => {
                self.wait_for_quiet();
                all.iter().try_for_each(|expectation| self.must_have_happened(expectation))
            }
        }
    }

    fn said(&self) -> impl Iterator<Item = Said<'_>> {
        self.world.facts.iter().filter_map(|fact| match fact {
            CallFact::Said { language, recordings, text, .. } => {
                Some(Said { language: *language, recordings, text })
            }
            _ => None,
        })
    }

    fn forget_until_now(&mut self) {
        self.since_key = self.said().count();
        self.place = Place { said: self.since_key, recordings: 0 };
    }

    fn must_be_up(&self) -> Result<(), String> {
        if self.world.has_ended { Err("the call is over".to_owned()) } else { Ok(()) }
    }

    fn wait_for_quiet(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.world.step() {
                return;
            }
        }
    }

    fn wait_to_hear(&mut self, heard: &Heard) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            if let Some(place) = self.find(heard, self.place) {
                self.place = place;
                return Ok(());
            }
            if !self.world.step() {
                break;
            }
        }
        let before = self.find(heard, Place::default()).is_some();
        let note = if before { " here (it was heard before)" } else { "" };
        Err(format!("{} was not heard{note}", described(heard)))
    }

    fn must_not_have_heard(&self, heard: &Heard) -> Result<(), String> {
        let since_key = Place { said: self.since_key, recordings: 0 };
        match self.find(heard, since_key) {
            None => Ok(()),
            Some(_) => Err(format!("{} was heard", described(heard))),
        }
    }

    /// The place behind the first match at or after `from`.
    fn find(&self, heard: &Heard, from: Place) -> Option<Place> {
        self.said().enumerate().skip(from.said).find_map(|(n, said)| {
            let skipped = if n == from.said { from.recordings } else { 0 };
            let recordings = match heard {
                Heard::Recording(id) => {
                    let at = said.recordings.iter().skip(skipped).position(|other| other == id)?;
                    skipped + at + 1
                }
                Heard::Text(text) => said.says(text, self.catalogue).then_some(skipped)?,
            };
            Some(Place { said: n, recordings })
        })
    }

    fn must_have_happened(&self, expectation: &Expectation) -> Result<(), String> {
        let facts = || self.world.facts.iter();
        let (has_happened, instead) = match expectation {
            Expectation::Queued(wanted) => {
                (facts().any(|f| matches!(f, CallFact::Queued { group } if group == wanted)), None)
            }
            Expectation::Waiting(wanted) => (
                self.world.is_waiting(wanted),
                Some(format!("the caller is not in the line of {wanted}")),
            ),
            Expectation::Connected(wanted) => {
                let is_answer = |visit: &Visit| {
                    visit.outcome == LineOutcome::Answered && visit.group == *wanted
                };
                (facts().any(|f| matches!(f, CallFact::LeftLine(visit) if is_answer(visit))), None)
            }
            Expectation::Operator(wanted) => (
                facts()
                    .any(|f| matches!(f, CallFact::Connected { operator } if operator == wanted)),
                None,
            ),
            Expectation::Promise { kind, due } => self.promised(*kind, *due),
            Expectation::Step(wanted) => {
                (facts().any(|f| matches!(f, CallFact::Step { name } if name == wanted)), None)
            }
            Expectation::Hangup => (self.world.has_ended, Some("the call is up".to_owned())),
            Expectation::Language(wanted) => (
                self.world.language == Some(*wanted),
                self.world.language.map(|language| format!("the language is {language}")),
            ),
            Expectation::Called(wanted) => self.called(*wanted),
            Expectation::Rating(_)
            | Expectation::DoNotCall
            | Expectation::OrderStatus(_)
            | Expectation::Bonus(_)
            | Expectation::Outcome(_) => self.kept(expectation),
        };
        match has_happened {
            true => Ok(()),
            false => Err(instead.unwrap_or_else(|| "that did not happen".to_owned())),
        }
    }
}

/// What outlives the call, and what came instead, for the message.
impl Observer<'_, '_> {
    fn kept(&self, expectation: &Expectation) -> (bool, Option<String>) {
        let mut instead = None;
        for command in &self.world.kept {
            let (is_it, other) = match (expectation, command) {
                (Expectation::Rating(wanted), Command::StoreRating { rating, .. }) => {
                    (rating.score == *wanted, format!("the rating is {}", rating.score))
                }
                (Expectation::Outcome(wanted), Command::StoreAttempt(attempt)) => {
                    let Some(outcome) = attempt.outcome else { continue };
                    (outcome == *wanted, format!("the outcome is {outcome}"))
                }
                (Expectation::DoNotCall, Command::Forbid { .. }) => (true, String::new()),
                (
                    Expectation::OrderStatus(wanted),
                    Command::WriteCrm { write: CrmWrite::OrderStatus { status, .. }, .. },
                ) => (status == wanted, format!("the status is {status}")),
                (
                    Expectation::Bonus(wanted),
                    Command::WriteCrm { write: CrmWrite::Bonus { points, .. }, .. },
                ) => (points == wanted, format!("the bonus is {points}")),
                _ => continue,
            };
            if is_it {
                return (true, None);
            }
            instead = Some(other);
        }
        (false, instead)
    }

    fn called(&self, wanted: DateTime) -> (bool, Option<String>) {
        let shown = |at: DateTime| at.strftime("%Y-%m-%d %H:%M").to_string();
        let Some(begun) = self.world.begun else { return (false, None) };
        let called = shown(begun.in_zone(&self.world.script.timezone).datetime());
        (called == shown(wanted), Some(format!("the call was at {called}")))
    }

    /// Also the due times of other such promises.
    fn promised(&self, kind: PromiseKind, due: Option<DateTime>) -> (bool, Option<String>) {
        let dues = self.world.facts.iter().filter_map(|fact| match fact {
            CallFact::Promised { promise, due, .. } if *promise == kind => Some(due.as_str()),
            _ => None,
        });
        let dues: Vec<&str> = dues.collect();
        // `2026-11-30T11:00:00+03:00` is told with the clock on the plan's wall.
        let shown = |due: &str| due.get(..16).unwrap_or(due).replace('T', " ");
        let Some(wanted) = due else { return (!dues.is_empty(), None) };
        let wanted = wanted.strftime("%Y-%m-%d %H:%M").to_string();
        let dues: Vec<String> = dues.into_iter().map(shown).collect();
        let instead = (!dues.is_empty()).then(|| format!("it is due {}", dues.join(", ")));
        (dues.contains(&wanted), instead)
    }
}

impl Said<'_> {
    /// Whether these words occur, as a reader sees the text or as it is spoken.
    fn says(self, text: &str, catalogue: &Catalogue) -> bool {
        let wanted = words(text);
        let spoken = speech::spoken_text(self.language, self.recordings, catalogue);
        [self.text, &spoken].iter().any(|said| words(said).contains(&wanted))
    }
}

/// Words with one space around each, in small letters, without punctuation.
fn words(text: &str) -> String {
    let text = text.to_lowercase().replace('ё', "е");
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(" ".to_owned(), |line, word| line + word + " ")
}

fn described(heard: &Heard) -> String {
    match heard {
        Heard::Recording(id) => id.to_string(),
        Heard::Text(text) => format!("«{text}»"),
    }
}
