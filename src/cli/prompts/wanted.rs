//! What dialplans say, read without the checker: a plan with a text that is not recorded yet is
//! wrong, and that text is just what is wanted here.

use std::collections::BTreeSet;

use kdl::{KdlDocument, KdlNode, KdlValue};

use crate::dialplan::as_kdl;
use crate::dialplan::waiting::{self, Heard};
use crate::domain::{Language, RecordingId};
use crate::speech::{self, Format};

/// Recordings and texts that dialplans say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    recordings: BTreeSet<(Language, RecordingId)>,
    texts: BTreeSet<(Language, String)>,
}

impl Wanted {
    /// Adds what one dialplan file says, in the language that it declares; the recordings of a
    /// value are all that its format can need.
    ///
    /// # Errors
    /// A file that is not KDL; `allo check` says where.
    pub fn add_plan(&mut self, kdl: &str) -> Result<(), String> {
        let document = KdlDocument::parse_v2(&as_kdl(kdl))
            .map_err(|error| format!("not a dialplan ({error}); allo check says more"))?;
        let declared = document.get_arg("language").and_then(KdlValue::as_string);
        let language = declared.and_then(|code| code.parse().ok()).unwrap_or_default();
        self.add_nodes(language, &document);
        Ok(())
    }

    pub fn recordings(&self, language: Language) -> impl Iterator<Item = &RecordingId> {
        self.recordings.iter().filter(move |(of, _)| *of == language).map(|(_, id)| id)
    }

    pub fn texts(&self, language: Language) -> impl Iterator<Item = &str> {
        self.texts.iter().filter(move |(of, _)| *of == language).map(|(_, text)| text.as_str())
    }

    fn add_nodes(&mut self, language: Language, document: &KdlDocument) {
        for node in document.nodes() {
            if matches!(node.name().value(), "say" | "ask" | "filler") {
                self.add_pieces(language, node);
            }
            match node.name().value() {
                "group" => self.add_heard(language, &waiting::LINE),
                "offer-callback" => self.add_heard(language, &waiting::CALLBACK),
                "tell" => self.add_told(language, node),
                "record" => self.add_notice(language, node),
                _ => {}
            }
            if let Some(children) = node.children() {
                self.add_nodes(language, children);
            }
        }
    }

    fn add_told(&mut self, language: Language, node: &KdlNode) {
        for told in node.entries().iter().filter_map(|entry| entry.value().as_string()) {
            match told {
                "place" => self.add_heard(language, &waiting::PLACE),
                "estimate" => self.add_heard(language, &waiting::ESTIMATE),
                _ => {}
            }
        }
    }

    fn add_notice(&mut self, language: Language, node: &KdlNode) {
        let announced = node.get("announce").and_then(KdlValue::as_string);
        self.add_piece(language, announced.unwrap_or("recording-notice"));
    }

    fn add_heard(&mut self, language: Language, heard: &Heard) {
        let recordings = heard.recordings.iter().map(|id| (language, RecordingId::new(*id)));
        self.recordings.extend(recordings);
        for (_, format) in heard.formats {
            self.add_format(language, *format);
        }
    }

    fn add_pieces(&mut self, language: Language, node: &KdlNode) {
        let arguments = node.entries().iter().filter(|entry| entry.name().is_none());
        for piece in arguments.filter_map(|entry| entry.value().as_string()) {
            self.add_piece(language, piece);
        }
    }

    fn add_piece(&mut self, language: Language, piece: &str) {
        if piece.starts_with('{') {
            let format = piece.trim_end_matches('}').rsplit_once(':');
            if let Some(format) = format.and_then(|(_, name)| name.trim().parse().ok()) {
                self.add_format(language, format);
            }
        } else if piece.contains(char::is_whitespace) {
            self.texts.insert((language, piece.trim().to_owned()));
        } else if !piece.is_empty() {
            let folder = if piece.contains('/') { "" } else { "phrase/" };
            let id = RecordingId::new(format!("{folder}{piece}"));
            self.recordings.insert((language, id));
        }
    }

    fn add_format(&mut self, language: Language, format: Format) {
        let needed = speech::needed(format, language);
        self.recordings.extend(needed.into_iter().map(|id| (language, id)));
    }
}

/// An id made from the first words of a text: `phrase/skidki-nachnutsya-v-pyatnitsu`; with a number
/// behind it if that is taken.
pub(super) fn id_for(text: &str, taken: &BTreeSet<RecordingId>) -> RecordingId {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if name.len() >= ID_NAME_BYTES {
            break;
        }
        match latin(c) {
            Some(letters) => name.push_str(letters),
            None if c.is_ascii_alphanumeric() => name.push(c),
            None if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            None => {}
        }
    }
    let name = name.trim_matches('-');
    let name = if name.is_empty() { "text" } else { name };
    let first = RecordingId::new(format!("phrase/{name}"));
    let numbered = (2..).map(|n: u32| RecordingId::new(format!("phrase/{name}-{n}")));
    std::iter::once(first.clone()).chain(numbered).find(|id| !taken.contains(id)).unwrap_or(first)
}

/// As much of a text as fits well into a file's name.
const ID_NAME_BYTES: usize = 40;

/// A Russian letter in Latin letters, as passports write it; the signs are silent.
fn latin(c: char) -> Option<&'static str> {
    const LETTERS: [&str; 32] = [
        "a", "b", "v", "g", "d", "e", "zh", "z", "i", "i", "k", "l", "m", "n", "o", "p", "r", "s",
        "t", "u", "f", "kh", "ts", "ch", "sh", "shch", "", "y", "", "e", "iu", "ia",
    ];
    if c == 'ё' {
        return Some("e");
    }
    let place = u32::from(c).checked_sub(u32::from('а'))?;
    LETTERS.get(usize::try_from(place).ok()?).copied()
}
