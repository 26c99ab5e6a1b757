//! Which recordings there are, and their texts.

use std::collections::BTreeMap;

use crate::domain::{Language, RecordingId};

/// The texts of all recordings of all languages (`prompts/LANG/catalogue.tsv`).
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    languages: BTreeMap<Language, Recordings>,
}

/// The recordings of one language.
#[derive(Clone, Debug, Default)]
struct Recordings {
    texts: BTreeMap<RecordingId, String>,
    /// By [`normalised`] text; recordings with the same words in the order of the file.
    by_text: BTreeMap<String, Vec<RecordingId>>,
}

impl Catalogue {
    /// Adds the rows of one `catalogue.tsv` (`id<TAB>text`, first row a header).
    /// All bad rows are named at once, as `line N: …`; then none of the rows is added.
    pub fn add_tsv(&mut self, language: Language, tsv: &str) -> Result<(), Vec<String>> {
        let mut lines = tsv.strip_prefix('\u{feff}').unwrap_or(tsv).lines().zip(1..);
        let mut problems = Vec::new();
        if lines.next().is_none_or(|(header, _)| header.trim_end() != "id\ttext") {
            problems.push("line 1: the first line must be \"id<TAB>text\"".to_owned());
        }
        let known = self.languages.get(&language);
        let mut rows: BTreeMap<RecordingId, usize> = BTreeMap::new();
        let mut added = Vec::new();
        for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
            match parse_row(line) {
                Err(problem) => problems.push(format!("line {number}: {problem}")),
                Ok((id, _)) if known.is_some_and(|known| known.texts.contains_key(&id)) => {
                    problems.push(format!("line {number}: \"{id}\" is already in the catalogue"));
                }
                Ok((id, text)) => match rows.insert(id.clone(), number) {
                    Some(first) => {
                        problems.push(format!("line {number}: \"{id}\" is already on line {first}"))
                    }
                    None => added.push((id, text)),
                },
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let recordings = self.languages.entry(language).or_default();
        for (id, text) in added {
            recordings.by_text.entry(normalised(text)).or_default().push(id.clone());
            recordings.texts.insert(id, text.to_owned());
        }
        Ok(())
    }

    pub fn text(&self, language: Language, id: &RecordingId) -> Option<&str> {
        self.languages.get(&language)?.texts.get(id).map(String::as_str)
    }

    pub fn contains(&self, language: Language, id: &RecordingId) -> bool {
        self.text(language, id).is_some()
    }

    /// The recording that says exactly this, whatever its case, punctuation and spacing, and with
    /// `ё` as `е`. Of several, the one that is first in its file.
    pub fn find_text(&self, language: Language, text: &str) -> Option<&RecordingId> {
        self.languages.get(&language)?.by_text.get(&normalised(text))?.first()
    }

    pub fn ids(&self, language: Language) -> impl Iterator<Item = &RecordingId> {
        self.languages.get(&language).into_iter().flat_map(|recordings| recordings.texts.keys())
    }

    /// Forgets the recordings for which `keep` is false, such as those without a file.
    pub fn retain(&mut self, mut keep: impl FnMut(Language, &RecordingId) -> bool) {
        for (&language, recordings) in &mut self.languages {
            let Recordings { texts, by_text } = recordings;
            texts.retain(|id, _| keep(language, id));
            by_text.retain(|_, ids| {
                ids.retain(|id| texts.contains_key(id));
                !ids.is_empty()
            });
        }
    }
}

/// Words in small letters with single spaces between them; without punctuation; `ё` as `е`.
pub(super) fn normalised(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'ё' => words.push('е'),
            c if c.is_alphanumeric() => words.push(c),
            _ if words.is_empty() || words.ends_with(' ') => {}
            _ => words.push(' '),
        }
    }
    words.truncate(words.trim_end().len());
    words
}

fn parse_row(line: &str) -> Result<(RecordingId, &str), String> {
    let Some((id, text)) = line.split_once('\t') else {
        return Err("there is no tab between id and text".to_owned());
    };
    let (id, text) = (id.trim(), text.trim());
    if !is_id(id) {
        return Err(format!(
            "\"{}\" is no id; ids look like phrase/greeting: letters, digits, '-', '_', '.' \
             and '/' between folders",
            id.escape_debug()
        ));
    }
    if text.is_empty() {
        return Err(format!("\"{id}\" has no text"));
    }
    if text.contains('\t') {
        return Err(format!("\"{id}\" has more than two columns"));
    }
    Ok((RecordingId::new(id), text))
}

/// Whether this can name a file below the folder of a language, and no other file.
fn is_id(id: &str) -> bool {
    let is_name = |part: &str| {
        !part.starts_with('.')
            && !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    id.len() <= ID_BYTES_MAX && id.split('/').all(is_name)
}

/// What file systems and call records bear.
const ID_BYTES_MAX: usize = 200;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The catalogues that are shipped.
    pub fn shipped() -> Catalogue {
        let mut catalogue = Catalogue::default();
        for language in Language::ALL {
            let path = format!("{}/prompts/{language}/catalogue.tsv", env!("CARGO_MANIFEST_DIR"));
            let tsv = std::fs::read_to_string(path).unwrap();
            catalogue.add_tsv(language, &tsv).unwrap();
        }
        catalogue
    }

    #[test]
    fn every_bad_row_is_named_and_nothing_is_added() {
        let mut catalogue = Catalogue::default();
        let tsv = "id\ttext\na/b\tтекст\nno tab\n\n../etc\tx\na/b\tснова\nc\t \n/d\tx\ne\tf\tg\n";
        let problems = catalogue.add_tsv(Language::Russian, tsv).unwrap_err();
        let lines: Vec<&str> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(lines, ["line 3", "line 5", "line 6", "line 7", "line 8", "line 9"]);
        assert_eq!(problems[2], "line 6: \"a/b\" is already on line 2");
        assert_eq!(catalogue.ids(Language::Russian).count(), 0);
    }

    #[test]
    fn the_header_may_not_be_left_out() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.add_tsv(Language::Russian, "").is_err());
        assert!(catalogue.add_tsv(Language::Russian, "a/b\tтекст\n").is_err());
        assert!(catalogue.add_tsv(Language::Russian, "\u{feff}id\ttext\r\na/b\tтекст\r\n").is_ok());
        let id = RecordingId::new("a/b");
        assert_eq!(catalogue.text(Language::Russian, &id), Some("текст"));
        assert!(!catalogue.contains(Language::English, &id));
        assert!(catalogue.add_tsv(Language::Russian, "id\ttext\na/b\tснова\n").is_err());
    }

    #[test]
    fn what_is_not_kept_is_forgotten_and_its_words_pass_to_the_next() {
        let mut catalogue = shipped();
        let found = |catalogue: &Catalogue| {
            catalogue.find_text(Language::Russian, "один").map(RecordingId::to_string)
        };
        assert_eq!(found(&catalogue).as_deref(), Some("number/01"));
        catalogue.retain(|_, id| id.as_str() != "number/01");
        assert_eq!(found(&catalogue).as_deref(), Some("number-end/01"));
        assert!(!catalogue.contains(Language::English, &RecordingId::new("number/01")));
        catalogue.retain(|language, _| language == Language::English);
        assert_eq!(found(&catalogue), None);
        assert_eq!(catalogue.ids(Language::Russian).count(), 0);
    }

    #[test]
    fn text_is_found_whatever_its_case_punctuation_and_spacing() {
        let catalogue = shipped();
        for text in ["На вашем счёте,", "на  вашем счете", " НА ВАШЕМ СЧЁТЕ! "]
        {
            let id = catalogue.find_text(Language::Russian, text).unwrap();
            assert_eq!(id.as_str(), "phrase/points-are", "{text}");
        }
        assert_eq!(catalogue.find_text(Language::Russian, "на вашем"), None);
        assert_eq!(catalogue.find_text(Language::English, "на вашем счёте"), None);
    }
}
