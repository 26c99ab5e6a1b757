//! A mistake in the settings: where, what, and what to do.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why the settings could not be used: every mistake that was found, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub message: String,
    pub hint: Option<String>,
}

/// Where a mistake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A piece of the file. Line and column count from 1; the column counts characters.
    Text { file: PathBuf, line: usize, column: usize, width: usize, source_line: String },
    /// The file as a whole.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl Place {
    /// The place of these bytes in the text of a file.
    pub(super) fn of(file: &Path, text: &str, bytes: Range<usize>) -> Self {
        let start = floor_char_boundary(text, bytes.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let source_line = text[line_start..].lines().next().unwrap_or_default();
        let line_end = line_start + source_line.len();
        let end = floor_char_boundary(text, bytes.end.min(line_end)).max(start);
        Self::Text {
            file: file.to_owned(),
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            source_line: hide_secrets(source_line),
        }
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Puts dots over a password or a token, one for each character so that the caret stays where it belongs.
fn hide_secrets(line: &str) -> String {
    let dots = |text: &str| "•".repeat(text.chars().count());
    if ["pass", "token"].iter().any(|key| line.trim_start().starts_with(key)) {
        let value = line.find('=').map_or(line.len(), |at| at + 1);
        return format!("{}{}", &line[..value], dots(&line[value..]));
    }
    let authority = line.find("://").map(|at| at + 3);
    let password = authority.and_then(|at| {
        let end = at + line[at..].rfind('@')?;
        let start = at + line[at..end].find(':')? + 1;
        Some((start, end))
    });
    match password {
        Some((start, end)) => {
            format!("{}{}{}", &line[..start], dots(&line[start..end]), &line[end..])
        }
        None => line.to_owned(),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// ```text
/// allo.toml:2:1: unknown key "lisen" in [sip]
///   |
/// 2 | lisen = ["udp:0.0.0.0:5060"]
///   | ^^^^^
///   = did you mean "listen"?
/// ```
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Text { file, line, column, width, source_line } => {
                writeln!(f, "{}:{line}:{column}: {}", file.display(), self.message)?;
                let gutter = " ".repeat(line.to_string().len());
                let before: String = source_line
                    .chars()
                    .take(column - 1)
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                writeln!(f, "{gutter} |\n{line} | {source_line}")?;
                write!(f, "{gutter} | {before}{}", "^".repeat(*width))?;
                match &self.hint {
                    Some(hint) => write!(f, "\n{gutter} = {hint}"),
                    None => Ok(()),
                }
            }
            Place::File(file) => self.on_one_line(f, &file.display().to_string()),
            Place::Variable(name) => self.on_one_line(f, name),
        }
    }
}

impl Problem {
    fn on_one_line(&self, f: &mut fmt::Formatter<'_>, place: &str) -> fmt::Result {
        write!(f, "{place}: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_the_mistake_after_cyrillic_too() {
        let text = "[crm]\nname = \"Магазин\", x\n";
        let at = text.find('x').unwrap();
        let problem = Problem {
            place: Place::of(Path::new("a.toml"), text, at..at + 1),
            message: "what is x".into(),
            hint: None,
        };
        let expected = concat!(
            "a.toml:2:19: what is x\n",
            "  |\n",
            "2 | name = \"Магазин\", x\n",
            "  |                   ^",
        );
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        for range in [100..200, 3..3, 2..100] {
            let Place::Text { line, .. } = Place::of(Path::new("a"), "ж\n", range) else {
                panic!("a place in a text")
            };
            assert!(line <= 2);
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(hide_secrets("password = \"abc\""), "password =••••••");
        assert_eq!(hide_secrets("token = \"abc\""), "token =••••••");
        assert_eq!(
            hide_secrets("url = \"postgres://anna:secret@db/shop\""),
            "url = \"postgres://anna:••••••@db/shop\""
        );
        assert_eq!(hide_secrets("listen = \"udp:[::]:5060\""), "listen = \"udp:[::]:5060\"");
    }
}
