//! KDL text → a tree of nodes with their places; syntax errors in an admin's words.

use std::collections::BTreeSet;

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
    let braces = Braces::scan(text);
    if let Some(at) = braces.too_deep {
        let message = format!("blocks are nested more than {DEPTH_MAX} deep");
        report.error(Span::new(at, at + 1), message);
        return None;
    }
    match KdlDocument::parse_v2(&braces.with_else_on_lines_of_their_own(text)) {
        Ok(document) => Some(nodes(text, &document)),
        Err(error) => {
            translate_all(report, &braces, &error.diagnostics);
            None
        }
    }
}

/// A dialplan's text as KDL has it: `} else {` on one line is ours. All other bytes stay where they
/// are.
pub fn as_kdl(text: &str) -> String {
    Braces::scan(text).with_else_on_lines_of_their_own(text)
}

/// What the braces of a file look like, texts and comments left aside.
#[derive(Debug, Default)]
struct Braces {
    /// The first `}` without its `{`.
    unopened: Option<usize>,
    /// The `{`s without their `}`.
    unclosed: Vec<usize>,
    too_deep: Option<usize>,
    /// The blanks between a `}` and an `else` on the same line.
    before_else: Vec<usize>,
}

impl Braces {
    fn scan(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut braces = Self::default();
        let mut brackets = 0_usize;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &text.as_bytes()[at..];
            match rest[0] {
                b'"' | b'#' if quote_length(rest) > 0 => {
                    at += text_length(rest);
                    continue;
                }
                b'/' if rest.starts_with(b"//") => {
                    at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                    continue;
                }
                b'/' if rest.starts_with(b"/*") => {
                    let Some(length) = comment_length(rest) else {
                        braces.too_deep = Some(at);
                        return braces;
                    };
                    at += length;
                    continue;
                }
                b'{' => braces.unclosed.push(at),
                b'}' => {
                    if braces.unclosed.pop().is_none() {
                        braces.unopened = braces.unopened.or(Some(at));
                    }
                    let blank = rest[1..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                    if blank > 0 && rest[1 + blank..].starts_with(b"else") {
                        braces.before_else.push(at + 1);
                    }
                }
                b'(' => brackets += 1,
                b')' => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            if braces.unclosed.len().max(brackets) > DEPTH_MAX {
                braces.too_deep = Some(at);
                return braces;
            }
            at += 1;
        }
        braces
    }

    /// `} else {` as people write it: to KDL an `else` is a line like any other, so that it gets a
    /// `;` before it, in the place of a blank. All other bytes stay where they are.
    fn with_else_on_lines_of_their_own(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for at in &self.before_else {
            bytes[*at] = b';';
        }
        String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
    }
}

/// The length of a comment with the comments inside it; `None` if they are nested too deep.
fn comment_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
        if depth > DEPTH_MAX {
            return None;
        }
    }
    Some(at)
}

/// The length of `"`, `"""`, `#"`, `##"""`… here; 0 if no text begins here.
fn quote_length(text: &[u8]) -> usize {
    let marks = text.iter().take_while(|b| **b == b'#').count();
    let quotes = text[marks..].iter().take_while(|b| **b == b'"').count();
    match quotes {
        0 => 0,
        1 | 2 => marks + 1,
        _ => marks + 3,
    }
}

/// The length of the text that begins here, with its quotes. A text without end ends with its
/// line, so that the rest of the file keeps its meaning.
fn text_length(text: &[u8]) -> usize {
    let opening = quote_length(text);
    let marks = text.iter().take_while(|b| **b == b'#').count();
    let closing: Vec<u8> = text[marks..opening].iter().chain(&text[..marks]).copied().collect();
    let whole_lines = opening - marks == 3;
    let mut at = opening;
    while at < text.len() {
        if text[at..].starts_with(&closing) {
            return at + closing.len();
        }
        match text[at] {
            b'\\' if marks == 0 => at += 2,
            b'\n' if !whole_lines => return at,
            _ => at += 1,
        }
    }
    text.len()
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

fn translate_all(report: &mut Report<'_>, braces: &Braces, diagnostics: &[KdlDiagnostic]) {
    let text = report.source.text.as_str();
    let mut told_lines = BTreeSet::new();
    let mut puzzles = Vec::new();
    for diagnostic in diagnostics {
        // Braces are told of below: after another mistake the KDL parser miscounts them.
        let here = text.get(diagnostic.span.offset()..).unwrap_or_default();
        let of_braces = says(diagnostic, "No closing '}'")
            || says(diagnostic, "was not found after nodes")
            || here.starts_with('}');
        if of_braces {
            continue;
        }
        let span = span_of(text, diagnostic);
        match understood(text, span, diagnostic) {
            Some((token, message, hint)) => {
                told_lines.insert(line_of(text, span));
                report.error_hint(token, message, hint);
            }
            None => puzzles.push(span),
        }
    }
    // The KDL parser often says several times that it does not understand a line.
    for span in puzzles {
        if told_lines.insert(line_of(text, span)) {
            puzzled(report, span);
        }
    }
    if let Some(at) = braces.unopened {
        report.error_hint(
            Span::new(at, at + 1),
            "this } closes nothing",
            "remove it, or look above for a block that was closed too early",
        );
    }
    if let Some(at) = braces.unclosed.last() {
        let span = Span::new(*at, at + 1);
        report.error_hint(span, "this block is never closed", "each { needs its }");
    }
    if !report.has_errors()
        && let Some(first) = diagnostics.first()
    {
        puzzled(report, span_of(text, first));
    }
    if !report.has_errors() {
        report.error(Span::default(), "this is not a KDL file");
    }
}

fn span_of(text: &str, diagnostic: &KdlDiagnostic) -> Span {
    let start = diagnostic.span.offset().min(text.len());
    Span::new(start, (start + diagnostic.span.len()).min(text.len()))
}

fn line_of(text: &str, span: Span) -> usize {
    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
}

fn says(diagnostic: &KdlDiagnostic, words: &str) -> bool {
    diagnostic.message.as_deref().is_some_and(|message| message.contains(words))
}

/// Place, message and hint, if we can tell what an admin meant to write.
fn understood(
    text: &str,
    span: Span,
    diagnostic: &KdlDiagnostic,
) -> Option<(Span, String, String)> {
    let told = |message: &str, hint: &str| Some((span, message.to_owned(), hint.to_owned()));
    if says(diagnostic, "Unexpected newline in single-line") {
        return told("this text has no closing quote", "close the text with \" on the same line");
    }
    if let Some(found) = suspicious_token(text, span) {
        return Some(found);
    }
    if follows_a_block(text, span.start) {
        let hint = "put this on a line of its own (or a ; after the })";
        return told("a block ends its line; nothing may follow the }", hint);
    }
    if text.get(span.start..).unwrap_or_default().starts_with('=') {
        let hint = "a property is written name=\"value\" after the name of its line";
        return told("a line cannot have = here", hint);
    }
    None
}

fn puzzled(report: &mut Report<'_>, span: Span) {
    report.error_hint(
        span,
        "this cannot be read here",
        "a line is: name \"argument\" property=\"value\" { block }; texts stand in straight double quotes",
    );
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
                if !in_text && let Some(found) = quote_after_a_word(text, at) {
                    return Some(found);
                }
                in_text = !in_text;
            }
            at += if c == '\\' {
                1 + rest.chars().nth(1).map_or(0, char::len_utf8)
            } else {
                c.len_utf8()
            };
            if !in_text && text[at..line_end].starts_with(',') {
                let hint = "leave the comma out: arguments are separated by spaces";
                return Some((
                    Span::new(at, at + 1),
                    "a comma cannot stand here".into(),
                    hint.into(),
                ));
            }
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let ends =
            |c: char| c.is_whitespace() || matches!(c, '=' | '{' | '}' | ';' | '"' | '(' | ')');
        let length = rest.find(ends).unwrap_or(rest.len()).max(c.len_utf8());
        if let Some((message, hint)) = suspicion(&rest[..length]) {
            return Some((Span::new(at, at + length), message, hint));
        }
        at += length;
    }
    None
}

/// `greeting"` and `r"greeting"`: a quote that stands right behind a word.
fn quote_after_a_word(text: &str, quote: usize) -> Option<(Span, String, String)> {
    let before = &text[..quote];
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.');
    let word = &before[before.trim_end_matches(is_word).len()..];
    if word.is_empty() || before[..before.len() - word.len()].ends_with('"') {
        return None;
    }
    let span = Span::new(quote - word.len(), quote + 1);
    let (message, hint) = match word {
        "r" => ("raw texts are written #\"…\"#", "or write a plain text: \"…\"".to_owned()),
        _ => ("this text has no opening quote", format!("write \"{word}\"")),
    };
    Some((span, message.to_owned(), hint))
}

fn suspicion(token: &str) -> Option<(String, String)> {
    if token.starts_with('[') || token.ends_with(']') {
        let hint = "write the pieces one after another: say \"greeting\" \"closed\"";
        return Some(("there are no square brackets here".into(), hint.into()));
    }
    if token == "#" {
        return Some(("a remark begins with //".into(), "write // in the place of #".into()));
    }
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
    let starts_like_a_number =
        word.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit());
    let is_a_number = word.parse::<f64>().is_ok() && !word.ends_with('.');
    (starts_like_a_number && !is_a_number).then(|| {
        let hint = format!(
            "quote it: \"{word}\" (durations, times, percents and phone numbers are texts)"
        );
        (format!("{word} must be quoted"), hint)
    })
}
