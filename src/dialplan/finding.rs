//! What is wrong with a file, told with its place and what to do.

use std::fmt;

use serde::Serialize;

use super::Source;
use super::suggest::{closest, unseen};

/// Findings of one file beyond this are dropped: nobody reads more.
const FINDINGS_MAX: usize = 200;

/// Whether a finding keeps a plan from being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Error,
    Warning,
}

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    pub severity: Severity,
    /// As the caller named the source: `dialplans/hotline.kdl`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The whole line, without its end.
    pub source_line: String,
    /// Characters to underline, at least 1, within the line.
    pub width: usize,
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// Order of listing: by file, place, then errors before warnings.
    pub(super) fn place(&self) -> (&str, usize, usize, Severity, &str) {
        (&self.file, self.line, self.column, self.severity, &self.message)
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// ```text
/// dialplans/hotline.kdl:14:9 error: group "sale" is not defined; did you mean "sales"?
///     queue "sale"
///           ^^^^^^
/// hint: …
/// ```
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}:{} {severity}: {}", self.file, self.line, self.column, self.message)?;
        if !self.source_line.trim().is_empty() {
            // Tabs stay tabs, so that the caret stands under its word at any tab width.
            let padding: String = (self.source_line.chars().take(self.column - 1))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            write!(f, "\n{}\n{padding}{}", self.source_line, "^".repeat(self.width))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Bytes `start..end` of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }
}

/// Collects the findings of one file.
pub(super) struct Report<'a> {
    pub source: &'a Source,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub fn new(source: &'a Source) -> Self {
        Self { source, findings: Vec::new() }
    }

    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.note(Severity::Error, span, message.into(), None);
    }

    pub fn error_hint(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Error, span, message.into(), Some(hint.into()));
    }

    pub fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.note(Severity::Warning, span, message.into(), None);
    }

    pub fn warning_hint(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.note(Severity::Warning, span, message.into(), Some(hint.into()));
    }

    /// `{what} "{word}" is {trouble}; did you mean "…"?`, and the known words as a hint.
    pub fn unknown<'w>(
        &mut self,
        span: Span,
        what: &str,
        word: &str,
        trouble: &str,
        known: impl IntoIterator<Item = &'w str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let mut message = format!("{what} \"{word}\" is {trouble}");
        if let Some(meant) = closest(word, known.iter().copied()) {
            message.push_str(&format!("; did you mean \"{meant}\"?"));
        }
        self.note(Severity::Error, span, message, listed(&known));
    }

    pub fn note(&mut self, severity: Severity, span: Span, message: String, hint: Option<String>) {
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        let hint = match (unseen(&message), hint) {
            (Some(unseen), Some(hint)) => Some(format!("{unseen}; {hint}")),
            (unseen, hint) => unseen.or(hint),
        };
        let finding = locate(self.source, severity, span, message, hint);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

/// "known: a, b, c"; nothing when the list is empty or too long to help.
fn listed(known: &[&str]) -> Option<String> {
    const HELPFUL_MAX: usize = 24;
    match known.len() {
        0 => Some("none is defined in this file".to_owned()),
        1..=HELPFUL_MAX => Some(format!("known here: {}", known.join(", "))),
        _ => None,
    }
}

fn locate(
    source: &Source,
    severity: Severity,
    span: Span,
    message: String,
    hint: Option<String>,
) -> Finding {
    let text = source.text.as_str();
    let start = char_boundary(text, span.start);
    let end = char_boundary(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let underlined = text[start..end.min(line_end)].trim_end().chars().count();
    Finding {
        severity,
        file: source.name.clone(),
        line: text[..line_start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        source_line: text[line_start..line_end].trim_end_matches('\r').to_owned(),
        width: underlined.max(1),
        message,
        hint,
    }
}

/// The nearest character boundary at or before `at`.
fn char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_with_a_caret_under_the_word() {
        let source =
            Source { name: "a.kdl".into(), text: "say \"x\"\n\tqueue \"прод\"\r\n".into() };
        let mut report = Report::new(&source);
        let start = source.text.find("\"прод").unwrap();
        report.unknown(
            Span::new(start, start + 10),
            "group",
            "прод",
            "not defined",
            ["продажи", "sales"],
        );
        report.warning(Span::new(9_999, 10_000), "at the end");
        let shown: Vec<String> = report.into_findings().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown[0],
            "a.kdl:2:8 error: group \"прод\" is not defined\n\tqueue \"прод\"\n\t      ^^^^^^\n\
             hint: known here: продажи, sales"
        );
        assert_eq!(shown[1], "a.kdl:3:1 warning: at the end");
    }
}
