//! A CSV file → its lines, with columns by name and every mistake noted with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::{FILE_MAX, ImportError, NAMED_MAX, RowError};
use crate::config::nearest;

#[derive(Default)]
pub(super) struct Mistakes {
    pub(super) named: Vec<RowError>,
    pub(super) more: usize,
}

impl Mistakes {
    pub(super) fn add(
        &mut self,
        file: &Path,
        line: Option<u64>,
        column: Option<&str>,
        message: String,
    ) {
        if self.named.len() == NAMED_MAX {
            self.more += 1;
            return;
        }
        let (file, column) = (file.to_owned(), column.map(str::to_owned));
        self.named.push(RowError { file, line, column, message });
    }

    pub(super) fn none_or_error(self) -> Result<(), ImportError> {
        match self.named.is_empty() {
            true => Ok(()),
            false => Err(ImportError::Rows { errors: self.named, more: self.more }),
        }
    }
}

/// A file and its text.
pub(in crate::crm) struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    pub(in crate::crm) fn text(name: &str, text: &str) -> Self {
        Self { file: name.into(), text: text.to_owned() }
    }

    pub(super) fn read(file: &Path, mistakes: &mut Mistakes) -> Option<Self> {
        match Self::read_text(file) {
            Ok(text) => Some(Self { file: file.to_owned(), text }),
            Err((line, message)) => {
                mistakes.add(file, line, None, message);
                None
            }
        }
    }

    pub(super) fn read_text(file: &Path) -> Result<String, (Option<u64>, String)> {
        let unreadable = |error: std::io::Error| (None, format!("can't be read: {error}"));
        if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_MAX {
            return Err((None, "larger than 512 MB; split it".to_owned()));
        }
        let bytes = std::fs::read(file).map_err(unreadable)?;
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err((None, "is UTF-16; save it as \"CSV UTF-8\"".to_owned()));
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let hint = "not UTF-8 (perhaps Windows-1251); save it as \"CSV UTF-8\"".to_owned();
            (u64::try_from(line).ok(), hint)
        })
    }
}

/// A row of a file, with its columns by name.
pub(super) struct Line<'a> {
    pub(super) file: &'a Path,
    pub(super) number: u64,
    pub(super) columns: &'a BTreeMap<&'static str, usize>,
    pub(super) record: &'a StringRecord,
}

impl Line<'_> {
    /// The trimmed text of a cell; `None` if it is empty or there is no such column.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        let text = self.record.get(*self.columns.get(column)?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn mistake(&self, column: &str, message: &str, mistakes: &mut Mistakes) {
        mistakes.add(self.file, Some(self.number), Some(column), message.to_owned());
    }

    /// The value of a cell; a cell that can't be read is noted and counts as empty.
    pub(super) fn value<T>(
        &self,
        column: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        match read(self.text(column)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.mistake(column, message, mistakes);
                None
            }
        }
    }

    /// The same for a cell that must not be empty.
    pub(super) fn required<T>(
        &self,
        column: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        if self.text(column).is_none() {
            self.mistake(column, "empty", mistakes);
        }
        self.value(column, read, mistakes)
    }
}

/// Calls `row` for each line of a source; returns the columns it has. Mistakes of header and
/// structure are noted.
pub(super) fn read_lines(
    source: &Source,
    known: &'static [&'static str],
    required: &[&str],
    mistakes: &mut Mistakes,
    mut row: impl FnMut(&Line<'_>, &mut Mistakes),
) -> BTreeSet<&'static str> {
    let Source { file, text } = source;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = match records.next() {
        Some(Ok(header)) => header,
        Some(Err(_)) | None => {
            mistakes.add(file, None, None, "empty; the first line names the columns".to_owned());
            return BTreeSet::new();
        }
    };
    let columns = read_header(file, &header, known, required, mistakes);
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map(csv::Position::line);
                mistakes.add(file, line, None, "can't be read as CSV".to_owned());
                break;
            }
        };
        let number = line_of(text, &record);
        if record.len() != header.len() {
            let quote = match record.iter().any(|field| field.contains('\n')) {
                true => "; perhaps a quote \" is opened and never closed",
                false => "",
            };
            let (fields, columns) = (record.len(), header.len());
            let message = format!("{fields} fields, but {columns} columns{quote}");
            mistakes.add(file, Some(number), None, message);
            continue;
        }
        row(&Line { file, number, columns: &columns, record: &record }, mistakes);
    }
    columns.into_keys().collect()
}

/// The line that a record begins on. The reader tells where it began to look, which is before any
/// empty lines.
pub(super) fn line_of(text: &str, record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let from = usize::try_from(position.byte()).unwrap_or(0);
    let empty = text.as_bytes().get(from..).into_iter().flatten();
    let skipped = empty.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + skipped.filter(|&&byte| byte == b'\n').map(|_| 1).sum::<u64>()
}

/// The separator that the first line has most of.
pub(super) fn separator(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |separator: u8| header.bytes().filter(|&byte| byte == separator).count();
    // `max_by_key` takes the last of equals: a comma, unless there is something else.
    [b'\t', b';', b','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

pub(super) fn read_header(
    file: &Path,
    header: &StringRecord,
    known: &'static [&'static str],
    required: &[&str],
    mistakes: &mut Mistakes,
) -> BTreeMap<&'static str, usize> {
    let mut columns = BTreeMap::new();
    for (index, name) in header.iter().enumerate() {
        let lower = name.trim().to_lowercase();
        let Some(name) = known.iter().copied().find(|known| *known == lower) else {
            let hint = match nearest(&lower, known.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("known columns: {}", known.join(", ")),
            };
            mistakes.add(file, Some(1), Some(name.trim()), format!("unknown column; {hint}"));
            continue;
        };
        if columns.insert(name, index).is_some() {
            mistakes.add(file, Some(1), Some(name), "this column is there twice".to_owned());
        }
    }
    for name in required.iter().filter(|name| !columns.contains_key(*name)) {
        mistakes.add(file, Some(1), Some(name), "this column is missing".to_owned());
    }
    columns
}
