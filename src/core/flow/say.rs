//! What is said: pieces of a plan → recordings to be played.

use crate::dialplan::plan::{Block, Piece, Pieces, Statement};
use crate::domain::{Language, PlayId, RecordingId, Timestamp};
use crate::speech::{self, Catalogue, Format, Spoken, Value};

use super::{Command, Flow, Play};

/// What is being said, kept until it was heard. What a plan says in fixed words is not copied for
/// each caller; their texts are looked up when they are written down.
#[derive(Debug)]
pub(super) enum Said {
    /// The parts of a `say`, and what became of the values among them, in their order.
    Pieces { pieces: Pieces, values: Box<[Spoken]> },
    /// Put together for this caller.
    Words(Spoken),
}

/// A part of what is said.
enum Part<'a> {
    Fixed(&'a RecordingId),
    Value(&'a Spoken),
}

impl Said {
    pub fn recordings(&self) -> Vec<RecordingId> {
        let mut recordings = Vec::new();
        for part in self.parts() {
            match part {
                Part::Fixed(id) => recordings.push(id.clone()),
                Part::Value(spoken) => recordings.extend_from_slice(&spoken.recordings),
            }
        }
        recordings
    }

    /// The same for a reader; empty for a mere tone.
    pub fn text(&self, language: Language, catalogue: &Catalogue) -> String {
        let mut text = String::new();
        for part in self.parts() {
            let words = match part {
                Part::Fixed(id) => catalogue.text(language, id).unwrap_or(id.as_str()),
                Part::Value(spoken) => &spoken.text,
            };
            if !text.is_empty() && !words.is_empty() {
                text.push(' ');
            }
            text.push_str(words);
        }
        text
    }

    fn parts(&self) -> Vec<Part<'_>> {
        match self {
            Self::Words(spoken) => vec![Part::Value(spoken)],
            Self::Pieces { pieces, values } => {
                let mut values = values.iter();
                let parts = pieces.iter().filter_map(|piece| match piece {
                    Piece::Recording(id) => Some(Part::Fixed(id)),
                    Piece::Value { .. } => values.next().map(Part::Value),
                });
                parts.collect()
            }
        }
    }
}

/// What is said.
impl Flow {
    /// Orders the pieces to be played; skipped while keys are typed ahead.
    pub(super) fn say(
        &mut self,
        pieces: impl Into<Pieces>,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) {
        if self.typed_ahead.is_empty() {
            self.say_in_any_case(pieces, now, out);
        }
    }

    /// For words that no key can answer: those that fill a wait.
    pub(super) fn say_in_any_case(
        &mut self,
        pieces: impl Into<Pieces>,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) {
        // A sentence with a hole («На вашем счёте …») is worse than a plain word about it.
        let pieces = pieces.into();
        let said = self.spoken_values(&pieces, now).map_or_else(
            || Said::Pieces {
                pieces: [recording("phrase/crm-unavailable")].into(),
                values: Box::default(),
            },
            |values| Said::Pieces { pieces, values },
        );
        self.play(said, now, out);
    }

    /// One sentence, if it is recorded in the caller's language.
    pub(super) fn sentence(&self, id: &str) -> Option<Spoken> {
        let id = RecordingId::new(id);
        let text = self.setting.catalogue.text(self.knowledge.language, &id)?.to_owned();
        Some(Spoken { recordings: vec![id], text })
    }

    pub(super) fn play_if_recorded(
        &mut self,
        spoken: Option<Spoken>,
        now: Timestamp,
        out: &mut Vec<Command>,
    ) {
        self.play(Said::Words(spoken.unwrap_or_default()), now, out);
    }

    /// The sign of life between words, if there is one in this language. It has no text, so that it
    /// is not written down.
    pub(super) fn tone(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let tone = self.sentence("tone/comfort");
        let tone = tone.map(|tone| Spoken { text: String::new(), ..tone });
        self.play_if_recorded(tone, now, out);
    }

    fn play(&mut self, said: Said, now: Timestamp, out: &mut Vec<Command>) {
        let recordings = said.recordings();
        if recordings.is_empty() {
            return;
        }
        let play = PlayId(self.plays_ordered);
        self.plays_ordered += 1;
        let language = self.knowledge.language;
        if self.plays.is_empty() {
            self.hearing_since = now;
        }
        self.plays.push_back(Play { id: play, language, said });
        out.push(Command::Play { leg: self.leg, play, language, recordings });
    }

    /// The first value of what a menu says in any case that is unknown or can't be spoken. Nobody
    /// should be called to hear of a hole.
    pub fn unspeakable(&self, menu: &str, now: Timestamp) -> Option<&str> {
        let statements = self.script.menus.get(menu)?.prompt.iter();
        let said = statements.filter_map(|statement| match statement {
            Statement::Say(pieces) => Some(pieces),
            _ => None,
        });
        said.flat_map(|pieces| pieces.iter()).find_map(|piece| match piece {
            Piece::Value { name, format } if self.spoken_value(name, *format, now).is_none() => {
                Some(name.as_str())
            }
            Piece::Value { .. } | Piece::Recording(_) => None,
        })
    }

    /// The values among the pieces, in their order; `None` if one is unknown or can't be spoken.
    fn spoken_values(&self, pieces: &[Piece], now: Timestamp) -> Option<Box<[Spoken]>> {
        let values = pieces.iter().filter_map(|piece| match piece {
            Piece::Value { name, format } => Some(self.spoken_value(name, *format, now)),
            Piece::Recording(_) => None,
        });
        values.collect()
    }

    fn spoken_value(&self, name: &str, format: Format, now: Timestamp) -> Option<Spoken> {
        let known =
            self.knowledge.value(name).and_then(|known| known.to_speech(&self.script.timezone));
        let value = match (known, format) {
            (Some(value), _) => value,
            // An order whose status nobody wrote down is «в обработке».
            (None, Format::Status) => Value::Text("unknown".to_owned()),
            (None, _) => return None,
        };
        let today = self.today(now);
        speech::speak(self.knowledge.language, format, &value, today, &self.setting.catalogue).ok()
    }
}

pub(super) fn recording(id: &str) -> Piece {
    Piece::Recording(RecordingId::new(id))
}

pub(super) fn phrases(ids: &[&str]) -> Block {
    let pieces = ids.iter().map(|id| recording(id)).collect();
    Block::from(vec![Statement::Say(pieces)])
}
