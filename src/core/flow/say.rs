//! What is said: pieces of a plan → recordings to be played.

use crate::dialplan::plan::{Block, Piece, Statement};
use crate::domain::{PlayId, RecordingId, Timestamp};
use crate::speech::{self, Format, Spoken, Value};

use super::{Command, Flow, Play};

/// What is said.
impl Flow {
    /// Orders the pieces to be played; skipped while keys are typed ahead.
    pub(super) fn say(&mut self, pieces: &[Piece], now: Timestamp, out: &mut Vec<Command>) {
        if self.typed_ahead.is_empty() {
            self.say_in_any_case(pieces, now, out);
        }
    }

    /// For words that no key can answer: those that fill a wait.
    pub(super) fn say_in_any_case(
        &mut self,
        pieces: &[Piece],
        now: Timestamp,
        out: &mut Vec<Command>,
    ) {
        // A sentence with a hole («На вашем счёте …») is worse than a plain word about it.
        let spoken = self
            .spoken(pieces, now)
            .or_else(|| self.spoken(&[recording("phrase/crm-unavailable")], now))
            .unwrap_or_default();
        self.play(spoken, now, out);
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
        self.play(spoken.unwrap_or_default(), now, out);
    }

    /// The sign of life between words, if there is one in this language. It has no text, so that it
    /// is not written down.
    pub(super) fn tone(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let tone = self.sentence("tone/comfort");
        let tone = tone.map(|tone| Spoken { text: String::new(), ..tone });
        self.play_if_recorded(tone, now, out);
    }

    fn play(&mut self, spoken: Spoken, now: Timestamp, out: &mut Vec<Command>) {
        if spoken.recordings.is_empty() {
            return;
        }
        let play = PlayId(self.plays_ordered);
        self.plays_ordered += 1;
        let language = self.knowledge.language;
        let Spoken { recordings, text } = spoken;
        if self.plays.is_empty() {
            self.hearing_since = now;
        }
        let said = recordings.clone();
        self.plays.push_back(Play { id: play, language, recordings: said, text });
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
        said.flatten().find_map(|piece| match piece {
            Piece::Value { name, format } if self.spoken_value(name, *format, now).is_none() => {
                Some(name.as_str())
            }
            Piece::Value { .. } | Piece::Recording(_) => None,
        })
    }

    /// `None` if a value is unknown or can't be spoken.
    fn spoken(&self, pieces: &[Piece], now: Timestamp) -> Option<Spoken> {
        let mut whole = Spoken::default();
        for piece in pieces {
            let part = match piece {
                Piece::Recording(id) => Spoken {
                    text: self
                        .setting
                        .catalogue
                        .text(self.knowledge.language, id)
                        .unwrap_or(id.as_str())
                        .to_owned(),
                    recordings: vec![id.clone()],
                },
                Piece::Value { name, format } => self.spoken_value(name, *format, now)?,
            };
            if !whole.text.is_empty() && !part.text.is_empty() {
                whole.text.push(' ');
            }
            whole.text.push_str(&part.text);
            whole.recordings.extend(part.recordings);
        }
        Some(whole)
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
