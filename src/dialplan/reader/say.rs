//! What is spoken: recordings, values, and free text.

use super::{Reader, Scene};
use crate::dialplan::condition::{is_variable_name, unknown_name};
use crate::dialplan::finding::Span;
use crate::dialplan::names::{Kind, kind_of};
use crate::dialplan::plan::Piece;
use crate::dialplan::suggest::closest;
use crate::dialplan::syntax::{Node, Spanned, Value};
use crate::domain::{Language, RecordingId};
use crate::speech::Format;

impl Reader<'_, '_> {
    /// The arguments of `say` and its kin; at least one.
    pub(super) fn pieces(&mut self, node: &Node) -> Vec<Spanned<Piece>> {
        if node.args.is_empty() {
            let hint = "write the name of a recording, a text, or a {value:format}";
            let message = format!("{} says nothing", node.name.value);
            self.report.error_hint(node.name.span, message, hint);
        }
        node.args.iter().filter_map(|arg| self.piece(arg)).collect()
    }

    pub(super) fn piece(&mut self, arg: &Spanned<Value>) -> Option<Spanned<Piece>> {
        let text = self.text(arg, "a text")?;
        let piece = if text.value.starts_with('{') {
            self.value(&text)?
        } else if let Some(at) = text.value.find('{') {
            let span = self.inside(&text, Span::new(at, at + 1));
            let hint = "write say \"points-are\" \"{customer.points:points}\"";
            self.report.error_hint(span, "a value stands in quotes of its own", hint);
            return None;
        } else if text.value.contains(char::is_whitespace) {
            Piece::Recording(self.free_text(&text)?)
        } else {
            Piece::Recording(self.recording(&text)?)
        };
        Some(Spanned::new(piece, text.span))
    }

    /// `points-are`, `status/ready`
    fn recording(&mut self, text: &Spanned<String>) -> Option<RecordingId> {
        let id = full_id(&text.value);
        let languages = Language::ALL;
        if languages.iter().any(|language| self.catalogue.contains(*language, &id)) {
            return Some(id);
        }
        let known: Vec<&str> =
            self.catalogue.ids(self.language).map(|id| short_id(id.as_str())).collect();
        let mut message = format!("recording \"{}\" is not known", text.value);
        if let Some(meant) = closest(&text.value, known) {
            message.push_str(&format!("; did you mean \"{meant}\"?"));
        }
        let name = text.value.split(':').next().unwrap_or_default();
        let hint = if crate::dialplan::names::NAMES.iter().any(|(known, _, _)| *known == name) {
            format!("a value stands in braces: \"{{{}}}\"", text.value)
        } else {
            format!(
                "recordings are listed in prompts/{}/catalogue.tsv; a text to be spoken has a space in it",
                self.language
            )
        };
        self.report.error_hint(text.span, message, hint);
        None
    }

    fn free_text(&mut self, text: &Spanned<String>) -> Option<RecordingId> {
        let others = Language::ALL.into_iter().filter(|language| *language != self.language);
        let found = std::iter::once(self.language)
            .chain(others)
            .find_map(|language| self.catalogue.find_text(language, &text.value));
        if found.is_none() {
            let hint = format!(
                "record it and add it to prompts/{0}/catalogue.tsv, or speak it with: allo prompts render",
                self.language
            );
            self.report.error_hint(text.span, "there is no recording that says this", hint);
        }
        found.cloned()
    }

    /// `{customer.points:points}`
    fn value(&mut self, text: &Spanned<String>) -> Option<Piece> {
        let Some(inner) = text.value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
        else {
            let hint = "write \"{customer.points:points}\", each piece in quotes of its own";
            self.report.error_hint(text.span, "this is not one whole {value}", hint);
            return None;
        };
        let (name, format) = match inner.split_once(':') {
            Some((name, format)) => (name.trim(), Some(format.trim())),
            None => (inner.trim(), None),
        };
        let name_start = 1 + inner.find(name).unwrap_or(0);
        let name_span = self.inside(text, Span::new(name_start, name_start + name.len()));
        let kind = match kind_of(name) {
            Some(Kind::Field) if self.scene != Scene::Robot => {
                self.no_event(name, name_span);
                return None;
            }
            Some(kind) => kind,
            None if is_variable_name(name) => Kind::Digits,
            None => {
                let wrong = unknown_name(name, name_span);
                self.report.note(
                    crate::dialplan::Severity::Error,
                    wrong.span,
                    wrong.message,
                    wrong.hint,
                );
                return None;
            }
        };
        let is_variable = kind_of(name).is_none();
        let format = self.format(text, name, kind, is_variable, format)?;
        Some(Piece::Value { name: name.to_owned(), format })
    }

    /// Says that there is no event here whose fields could be meant.
    pub(super) fn no_event(&mut self, name: &str, span: Span) {
        let hint = "write it into a robot \"…\" { when \"…\" } block";
        let message = format!("{name} is known only in a robot that an event gave rise to");
        self.report.error_hint(span, message, hint);
    }

    fn format(
        &mut self,
        text: &Spanned<String>,
        name: &str,
        kind: Kind,
        is_variable: bool,
        word: Option<&str>,
    ) -> Option<Format> {
        let mut fitting: Vec<Format> = kind.formats().to_vec();
        if is_variable {
            fitting.push(Format::Number);
        }
        let Some(first) = fitting.first().copied() else {
            let message = format!("{name} is {}, which cannot be spoken", kind.described());
            self.report.error_hint(text.span, message, "use it in an if");
            return None;
        };
        let fitting_names: Vec<&str> = fitting.iter().map(|format| format.name()).collect();
        let Some(word) = word.filter(|word| !word.is_empty()) else {
            let message = format!("how shall {name} be spoken?");
            let hint = format!("write {{{name}:{}}}", first.name());
            self.report.error_hint(text.span, message, hint);
            return None;
        };
        let start = text.value.rfind(word).unwrap_or(0);
        let span = self.inside(text, Span::new(start, start + word.len()));
        let found = Format::ALL.into_iter().find(|format| format.name() == word);
        let Some(format) = found else {
            let known = Format::ALL.into_iter().map(Format::name);
            self.report.unknown(span, "format", word, "not known", known);
            return None;
        };
        if !fitting.contains(&format) {
            let message =
                format!("{name} is {}, which cannot be spoken as {word}", kind.described());
            let hint = format!("it can be spoken as {}", fitting_names.join(", "));
            self.report.error_hint(span, message, hint);
            return None;
        }
        Some(format)
    }
}

/// `points-are` → `phrase/points-are`
pub(super) fn full_id(text: &str) -> RecordingId {
    if text.contains('/') {
        RecordingId::new(text)
    } else {
        RecordingId::new(format!("phrase/{text}"))
    }
}

/// `phrase/points-are` → `points-are`
fn short_id(id: &str) -> &str {
    id.strip_prefix("phrase/").unwrap_or(id)
}
