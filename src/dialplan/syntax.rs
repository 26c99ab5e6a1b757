//! KDL text → a tree of nodes with their places; syntax errors in an admin's words.

use kdl::{KdlDiagnostic, KdlDocument, KdlEntry, KdlNode, KdlValue};

use super::finding::{Report, Span};

/// Longer files are refused: no plan of this size is written by people.
const BYTES_MAX: usize = 1_000_000;
/// Deeper nesting is refused, because the KDL parser recurses.
const DEPTH_MAX: usize = 64;

/// One line of a file with its block: `name argument… property=value… { children }`.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: Spanned<String>,
    pub args: Vec<Spanned<Value>>,
    pub props: Vec<(Spanned<String>, Spanned<Value>)>,
    /// `None`: no braces at all.
    pub children: Option<Vec<Node>>,
}

/// A thing and where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A KDL value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Integer(i64),
    /// A number with a fraction, or one beyond 64 bits.
    Float(f64),
    Bool(bool),
    Null,
}

impl Value {
    /// "a text", for messages.
    pub fn described(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Null => "null",
        }
    }
}

impl Node {
    pub fn prop(&self, name: &str) -> Option<&Spanned<Value>> {
        self.props.iter().rev().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    /// The children, however the braces are.
    pub fn children(&self) -> &[Node] {
        self.children.as_deref().unwrap_or_default()
    }

    /// Name to the last argument or property.
    pub fn head(&self) -> Span {
        let ends = self.args.iter().map(|arg| arg.span.end);
        let ends = ends.chain(self.props.iter().map(|(_, value)| value.span.end));
        Span::new(self.name.span.start, ends.max().unwrap_or(self.name.span.end))
    }
}

/// Reads the nodes of a file. `None`: the file has syntax errors, which were reported.
pub fn parse(report: &mut Report<'_>) -> Option<Vec<Node>> {
    let text = report.source.text.as_str();
    if text.len() > BYTES_MAX {
        report.error(Span::default(), format!("the file is longer than {BYTES_MAX} bytes"));
        return None;
    }
    if let Some(at) = too_deep(text) {
        let message = format!("blocks are nested more than {DEPTH_MAX} deep");
        report.error(Span::new(at, at + 1), message);
        return None;
    }
    match KdlDocument::parse_v2(text) {
        Ok(document) => Some(nodes(text, &document)),
        Err(error) => {
            translate_all(report, &error.diagnostics);
            None
        }
    }
}

/// Where the nesting of braces or comments passes the limit. Strings are not told apart: a brace
/// in a text is closed again soon.
fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut braces, mut comments) = (0_usize, 0_usize);
    for (at, &byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        match byte {
            b'{' | b'(' => braces += 1,
            b'}' | b')' => braces = braces.saturating_sub(1),
            b'/' if next == Some(&b'*') => comments += 1,
            b'*' if next == Some(&b'/') => comments = comments.saturating_sub(1),
            _ => {}
        }
        if braces.max(comments) > DEPTH_MAX {
            return Some(at);
        }
    }
    None
}

fn nodes(text: &str, document: &KdlDocument) -> Vec<Node> {
    document.nodes().iter().map(|node| self::node(text, node)).collect()
}

fn node(text: &str, node: &KdlNode) -> Node {
    let span = |span: miette::SourceSpan| Span::new(span.offset(), span.offset() + span.len());
    let mut args = Vec::new();
    let mut props = Vec::new();
    for entry in node.entries() {
        match entry.name() {
            None => args.push(Spanned::new(value(entry), span(entry.span()))),
            Some(name) => {
                let key = Spanned::new(name.value().to_owned(), span(name.span()));
                let at = value_span(text, key.span, span(entry.span()));
                props.push((key, Spanned::new(value(entry), at)));
            }
        }
    }
    Node {
        name: Spanned::new(node.name().value().to_owned(), span(node.name().span())),
        args,
        props,
        children: node.children().map(|children| nodes(text, children)),
    }
}

fn value(entry: &KdlEntry) -> Value {
    match entry.value() {
        KdlValue::String(text) => Value::Text(text.clone()),
        KdlValue::Integer(number) => match i64::try_from(*number) {
            Ok(number) => Value::Integer(number),
            #[expect(clippy::cast_precision_loss, reason = "only to be refused as out of range")]
            Err(_) => Value::Float(*number as f64),
        },
        KdlValue::Float(number) => Value::Float(*number),
        KdlValue::Bool(yes) => Value::Bool(*yes),
        KdlValue::Null => Value::Null,
    }
}

/// The part of `name=value` behind the `=`.
fn value_span(text: &str, key: Span, entry: Span) -> Span {
    let Some(behind) = text.get(key.end..entry.end) else { return entry };
    let skipped = behind.len() - behind.trim_start_matches([' ', '\t', '=']).len();
    Span::new(key.end + skipped, entry.end)
}

fn translate_all(report: &mut Report<'_>, diagnostics: &[KdlDiagnostic]) {
    let unclosed_text = diagnostics.iter().any(|d| says(d, "Unexpected newline in single-line"));
    let mut said = false;
    for diagnostic in diagnostics {
        // Follow-ups of what was said already.
        let follow_up = says(diagnostic, "was not found after nodes")
            || (unclosed_text && says(diagnostic, "No closing '}'"));
        if !follow_up {
            translate(report, diagnostic);
            said = true;
        }
    }
    if !said {
        report.error(Span::default(), "this is not a KDL file");
    }
}

fn says(diagnostic: &KdlDiagnostic, words: &str) -> bool {
    diagnostic.message.as_deref().is_some_and(|message| message.contains(words))
}

fn translate(report: &mut Report<'_>, diagnostic: &KdlDiagnostic) {
    let text = report.source.text.clone();
    let start = diagnostic.span.offset().min(text.len());
    let span = Span::new(start, (start + diagnostic.span.len()).min(text.len()));
    if says(diagnostic, "Unexpected newline in single-line") {
        let hint = "close the text with \" on the same line";
        return report.error_hint(span, "this text has no closing quote", hint);
    }
    if says(diagnostic, "No closing '}'") {
        let hint = "each { needs its }";
        return report.error_hint(span, "this block is never closed", hint);
    }
    if let Some((token, message, hint)) = suspicious_token(&text, span) {
        return report.error_hint(token, message, hint);
    }
    let here = text.get(span.start..).unwrap_or_default();
    if here.starts_with('}') {
        return report.error_hint(
            span,
            "this } closes nothing",
            "remove it, or look above for a block that was closed too early",
        );
    }
    if follows_a_block(&text, span.start) {
        return report.error_hint(
            span,
            "a block ends its line; nothing may follow the }",
            "put this on a line of its own (or a ; after the })",
        );
    }
    if here.starts_with('=') {
        let hint = "a property is written name=\"value\" after the name of its line";
        return report.error_hint(span, "a line cannot have = here", hint);
    }
    let message = diagnostic.message.as_deref().unwrap_or("unexpected text").to_lowercase();
    let hint = diagnostic.help.clone().unwrap_or_else(|| {
        "a line is: name \"argument\" property=\"value\" { block }; texts stand in straight double quotes"
            .to_owned()
    });
    report.error_hint(span, format!("this cannot be read here ({message})"), hint);
}

/// Whether a `}` stands before this place on the same line.
fn follows_a_block(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.trim_end_matches([' ', '\t']).ends_with('}')
}

/// The first unquoted word around `span` that people write and KDL 2 does not know.
fn suspicious_token(text: &str, span: Span) -> Option<(Span, String, String)> {
    let line_end = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at);
    let (mut at, mut in_text) = (span.start, false);
    while at < line_end {
        let rest = text.get(at..line_end)?;
        let c = rest.chars().next()?;
        if in_text || c == '"' {
            if c == '"' {
                in_text = !in_text;
            }
            at += if c == '\\' { 1 + rest.chars().nth(1).map_or(0, char::len_utf8) } else { c.len_utf8() };
            if !in_text && text[at..line_end].starts_with(',') {
                let hint = "leave the comma out: arguments are separated by spaces";
                return Some((Span::new(at, at + 1), "a comma cannot stand here".into(), hint.into()));
            }
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '=' | '{' | '}' | ';' | '"' | '(' | ')');
        let length = rest.find(ends).unwrap_or(rest.len()).max(c.len_utf8());
        if let Some((message, hint)) = suspicion(&rest[..length]) {
            return Some((Span::new(at, at + length), message, hint));
        }
        at += length;
    }
    None
}

fn suspicion(token: &str) -> Option<(String, String)> {
    let word = token.trim_end_matches(',');
    if word.len() < token.len() {
        let hint = "leave the comma out: arguments are separated by spaces";
        return Some(("a comma cannot stand here".into(), hint.into()));
    }
    if let "true" | "false" | "null" = word {
        return Some((format!("{word} is written #{word}"), format!("write #{word}")));
    }
    if let "#yes" | "#no" | "#on" | "#off" = word {
        let meant = if matches!(word, "#yes" | "#on") { "#true" } else { "#false" };
        return Some((format!("{word} is not known"), format!("write {meant}")));
    }
    let starts_like_a_number = word.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit());
    let is_a_number = word.parse::<f64>().is_ok() && !word.ends_with('.');
    (starts_like_a_number && !is_a_number).then(|| {
        let hint = format!("quote it: \"{word}\" (durations, times, percents and phone numbers are texts)");
        (format!("{word} must be quoted"), hint)
    })
}
