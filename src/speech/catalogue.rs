//! Which recordings there are, and their texts.

use std::collections::BTreeMap;

use crate::domain::{Language, RecordingId};

/// The texts of all recordings of all languages (`prompts/LANG/catalogue.tsv`).
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    texts: BTreeMap<Language, BTreeMap<RecordingId, String>>,
}

impl Catalogue {
    /// Adds the rows of one `catalogue.tsv` (`id<TAB>text`, first row a header).
    /// All bad rows are named at once, as `line N: …`.
    pub fn add_tsv(&mut self, _language: Language, _tsv: &str) -> Result<(), Vec<String>> {
        todo!()
    }

    pub fn text(&self, language: Language, id: &RecordingId) -> Option<&str> {
        self.texts.get(&language)?.get(id).map(String::as_str)
    }

    pub fn contains(&self, language: Language, id: &RecordingId) -> bool {
        self.text(language, id).is_some()
    }

    /// The recording that says exactly this, whatever its case, punctuation and spacing.
    pub fn find_text(&self, _language: Language, _text: &str) -> Option<&RecordingId> {
        todo!()
    }

    pub fn ids(&self, language: Language) -> impl Iterator<Item = &RecordingId> {
        self.texts.get(&language).into_iter().flat_map(BTreeMap::keys)
    }
}
