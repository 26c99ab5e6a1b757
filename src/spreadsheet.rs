//! A CSV file from an office program → its lines, with columns by name and every mistake noted with
//! its place. Whoever imports one does so only when there is no mistake.
//!
//! Columns are found by the names in the first line, in any order. The separator may be a comma, a
//! semicolon or a tab.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::config::nearest;

/// Bad rows that are named; more are counted.
const NAMED_MAX: usize = 100;
/// The largest file, bytes.
const FILE_MAX: u64 = 512 << 20;

/// One mistake in a file. Never repeats a value that may be a customer's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RowError {
    pub file: PathBuf,
    /// From 1, the header included; `None`: the file as a whole.
    pub line: Option<u64>,
    /// Name of the column.
    pub column: Option<String>,
    pub message: String,
}

/// `customers.csv:7: points: not a whole number`
impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ": {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The files are wrong: every bad row, to a limit; then how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRows {
    pub errors: Vec<RowError>,
    pub more: usize,
}

impl std::error::Error for BadRows {}

/// A line for each mistake, and that nothing was imported.
impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{error}")?;
        }
        if self.more > 0 {
            writeln!(f, "and {} more mistakes", self.more)?;
        }
        f.write_str("nothing was imported")
    }
}

/// What was found to be wrong so far.
#[derive(Default)]
pub struct Mistakes {
    pub named: Vec<RowError>,
    pub more: usize,
}

impl Mistakes {
    pub fn add(&mut self, file: &Path, line: Option<u64>, column: Option<&str>, message: String) {
        if self.named.len() == NAMED_MAX {
            self.more += 1;
            return;
        }
        let (file, column) = (file.to_owned(), column.map(str::to_owned));
        self.named.push(RowError { file, line, column, message });
    }

    pub fn none_or_error(self) -> Result<(), BadRows> {
        match self.named.is_empty() {
            true => Ok(()),
            false => Err(BadRows { errors: self.named, more: self.more }),
        }
    }
}

/// A file and its text.
pub struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    /// A text that was read already.
    pub fn text(name: &str, text: &str) -> Self {
        Self { file: name.into(), text: text.to_owned() }
    }

    /// `None`: it can't be read, and the mistake is noted.
    pub fn read(file: &Path, mistakes: &mut Mistakes) -> Option<Self> {
        match Self::read_text(file) {
            Ok(text) => Some(Self { file: file.to_owned(), text }),
            Err((line, message)) => {
                mistakes.add(file, line, None, message);
                None
            }
        }
    }

    fn read_text(file: &Path) -> Result<String, (Option<u64>, String)> {
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
pub struct Line<'a> {
    pub file: &'a Path,
    /// From 1, the header included.
    pub number: u64,
    pub columns: &'a BTreeMap<&'static str, usize>,
    /// Columns that the file has beside those, if it may.
    others: &'a [(String, usize)],
    pub record: &'a StringRecord,
}

impl Line<'_> {
    /// The trimmed text of a cell; `None` if it is empty or there is no such column.
    pub fn text(&self, column: &str) -> Option<&str> {
        let text = self.record.get(*self.columns.get(column)?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The name and the trimmed text of each other cell that is not empty.
    pub fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        self.others.iter().filter_map(|(name, index)| {
            let text = self.record.get(*index)?.trim();
            (!text.is_empty()).then_some((name.as_str(), text))
        })
    }

    /// Notes that this cell is wrong.
    pub fn mistake(&self, column: &str, message: &str, mistakes: &mut Mistakes) {
        mistakes.add(self.file, Some(self.number), Some(column), message.to_owned());
    }

    /// The value of a cell; a cell that can't be read is noted and counts as empty.
    pub fn value<T, Why: fmt::Display>(
        &self,
        column: &str,
        read: impl Fn(&str) -> Result<T, Why>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        match read(self.text(column)?) {
            Ok(value) => Some(value),
            Err(why) => {
                self.mistake(column, &why.to_string(), mistakes);
                None
            }
        }
    }

    /// The same for a cell that must not be empty.
    pub fn required<T, Why: fmt::Display>(
        &self,
        column: &str,
        read: impl Fn(&str) -> Result<T, Why>,
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
pub fn read_lines(
    source: &Source,
    known: &'static [&'static str],
    required: &[&str],
    mistakes: &mut Mistakes,
    row: impl FnMut(&Line<'_>, &mut Mistakes),
) -> BTreeSet<&'static str> {
    read_rows(source, Header { known, required, is_open: false }, mistakes, row)
}

/// The same for a file that may have columns beside the known ones: [`Line::others`].
pub fn read_open_lines(
    source: &Source,
    known: &'static [&'static str],
    required: &[&str],
    mistakes: &mut Mistakes,
    row: impl FnMut(&Line<'_>, &mut Mistakes),
) {
    read_rows(source, Header { known, required, is_open: true }, mistakes, row);
}

/// What the first line may be.
#[derive(Clone, Copy)]
struct Header<'a> {
    known: &'static [&'static str],
    required: &'a [&'a str],
    /// Whether there may be others.
    is_open: bool,
}

fn read_rows(
    source: &Source,
    wanted: Header<'_>,
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
    let (columns, others) = read_header(file, &header, wanted, mistakes);
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
        row(&Line { file, number, columns: &columns, others: &others, record: &record }, mistakes);
    }
    columns.into_keys().collect()
}

/// The line that a record begins on. The reader tells where it began to look, which is before any
/// empty lines.
fn line_of(text: &str, record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let from = usize::try_from(position.byte()).unwrap_or(0);
    let empty = text.as_bytes().get(from..).into_iter().flatten();
    let skipped = empty.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + skipped.filter(|&&byte| byte == b'\n').map(|_| 1).sum::<u64>()
}

/// The separator that the first line has most of.
fn separator(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |separator: u8| header.bytes().filter(|&byte| byte == separator).count();
    // `max_by_key` takes the last of equals: a comma, unless there is something else.
    [b'\t', b';', b','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

fn read_header(
    file: &Path,
    header: &StringRecord,
    wanted: Header<'_>,
    mistakes: &mut Mistakes,
) -> (BTreeMap<&'static str, usize>, Vec<(String, usize)>) {
    let Header { known, required, is_open } = wanted;
    let (mut columns, mut others) = (BTreeMap::new(), Vec::new());
    for (index, name) in header.iter().enumerate() {
        let lower = name.trim().to_lowercase();
        let Some(name) = known.iter().copied().find(|known| *known == lower) else {
            if is_open {
                let name = name.trim().to_owned();
                if others.iter().any(|(other, _)| *other == name) {
                    let twice = "this column is there twice".to_owned();
                    mistakes.add(file, Some(1), Some(&name), twice);
                }
                others.push((name, index));
                continue;
            }
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
    (columns, others)
}
