//! Reads the text of an `if` into a [`Condition`], and checks that its sides fit each other.

use super::expression::{Comparison, Condition, Operand};
use super::finding::Span;
use super::names::{Kind, NAMES, kind_of};
use super::suggest::closest;
use super::syntax::Spanned;
use super::tree::Use;
use super::values;

/// Deeper nesting of brackets and `not`s is refused.
const DEPTH_MAX: usize = 32;
/// Longer conditions are refused.
const BYTES_MAX: usize = 1_000;

/// What is wrong with a condition. The span counts from the start of the condition's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    pub span: Span,
    pub message: String,
    pub hint: Option<String>,
}

/// A condition, and what must exist for it. Spans count from the start of the condition's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub condition: Condition,
    pub uses: Vec<Use>,
}

/// Reads a condition; its first mistake otherwise.
pub fn parse(text: &str) -> Result<Parsed, Wrong> {
    if text.len() > BYTES_MAX {
        return Err(wrong(Span::new(0, text.len()), "the condition is too long"));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, end: text.len(), depth: 0, uses: Vec::new() };
    if parser.tokens.is_empty() {
        let hint = "write what must be true, such as \"customer.found\"";
        return Err(wrong_hint(Span::new(0, text.len()), "the condition is empty", hint));
    }
    let condition = parser.or()?;
    match parser.tokens.get(parser.at) {
        None => Ok(Parsed { condition, uses: parser.uses }),
        Some(rest) => Err(wrong_hint(
            rest.span,
            format!("{} is not expected here", rest.value.described()),
            "conditions are joined with \"and\" and \"or\"",
        )),
    }
}

fn wrong(span: Span, message: impl Into<String>) -> Wrong {
    Wrong { span, message: message.into(), hint: None }
}

fn wrong_hint(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { span, message: message.into(), hint: Some(hint.into()) }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// Names and the words `and or not open closed`.
    Word(String),
    Number(f64),
    Duration(u64),
    Text(String),
    Compare(Comparison),
    OpenBracket,
    CloseBracket,
}

impl Token {
    fn described(&self) -> String {
        match self {
            Self::Word(word) => format!("\"{word}\""),
            Self::Number(number) => number.to_string(),
            Self::Duration(_) => "a duration".to_owned(),
            Self::Text(text) => format!("'{text}'"),
            Self::Compare(comparison) => format!("\"{comparison}\""),
            Self::OpenBracket => "\"(\"".to_owned(),
            Self::CloseBracket => "\")\"".to_owned(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Spanned<Token>>, Wrong> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, length) = match c {
            '(' => (Token::OpenBracket, 1),
            ')' => (Token::CloseBracket, 1),
            '\'' => quoted(text, at)?,
            '=' | '!' | '<' | '>' => comparison(text, at)?,
            _ => word_or_number(text, at)?,
        };
        tokens.push(Spanned::new(token, Span::new(at, at + length)));
        at += length;
    }
    Ok(tokens)
}

fn quoted(text: &str, at: usize) -> Result<(Token, usize), Wrong> {
    let Some(length) = text[at + 1..].find('\'') else {
        return Err(wrong(Span::new(at, text.len()), "this text has no closing '"));
    };
    Ok((Token::Text(text[at + 1..at + 1 + length].to_owned()), length + 2))
}

fn comparison(text: &str, at: usize) -> Result<(Token, usize), Wrong> {
    let known = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    if let Some((sign, comparison)) = known.iter().find(|(sign, _)| text[at..].starts_with(sign)) {
        return Ok((Token::Compare(*comparison), sign.len()));
    }
    let span = Span::new(at, at + 1);
    Err(match &text[at..=at] {
        "=" => wrong_hint(span, "a single = compares nothing", "write =="),
        _ => wrong_hint(span, "\"!\" alone means nothing here", "write not"),
    })
}

fn word_or_number(text: &str, at: usize) -> Result<(Token, usize), Wrong> {
    let part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ',');
    let length = text[at..].find(|c| !part_of_word(c)).unwrap_or(text.len() - at);
    let word = &text[at..at + length];
    let span = Span::new(at, at + length);
    let Some(first) = word.chars().next() else {
        let symbol = text[at..].chars().next().unwrap_or('?');
        let span = Span::new(at, at + symbol.len_utf8());
        return Err(match symbol {
            '&' => wrong_hint(span, "\"&\" is not known here", "write and"),
            '|' => wrong_hint(span, "\"|\" is not known here", "write or"),
            '"' | '“' | '”' | '«' | '»' | '’' | '‘' => wrong_hint(
                span,
                format!("{symbol} is not known here"),
                "inside a condition texts stand in single quotes: 'shipped'",
            ),
            '{' | '}' => wrong_hint(
                span,
                "braces are not written in conditions",
                "write the bare name, such as customer.points",
            ),
            _ => wrong(span, format!("\"{symbol}\" is not known here")),
        });
    };
    let signed = first == '-' && word.len() > 1;
    if first.is_ascii_digit() || signed {
        if let Ok(number) = word.parse::<f64>()
            && number.is_finite()
        {
            return Ok((Token::Number(number), length));
        }
        return match values::duration(word) {
            Ok(ms) => Ok((Token::Duration(ms), length)),
            Err(_) => Err(wrong_hint(
                span,
                format!("\"{word}\" is neither a number nor a duration"),
                "texts stand in single quotes: 'shipped'",
            )),
        };
    }
    Ok((Token::Word(word.to_owned()), length))
}

struct Parser {
    tokens: Vec<Spanned<Token>>,
    at: usize,
    /// Length of the text: where something missing is pointed at.
    end: usize,
    depth: usize,
    uses: Vec<Use>,
}

/// An operand with its place and what it holds.
struct Side {
    operand: Operand,
    span: Span,
    /// `None`: a variable, which may hold anything typed.
    kind: Option<Kind>,
}

impl Parser {
    fn or(&mut self) -> Result<Condition, Wrong> {
        let mut parts = vec![self.and()?];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Or(parts) })
    }

    fn and(&mut self) -> Result<Condition, Wrong> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::And(parts) })
    }

    fn not(&mut self) -> Result<Condition, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(wrong(self.here(), "the condition is nested too deep"));
        }
        let condition = if self.take_word("not") {
            Condition::Not(Box::new(self.not()?))
        } else if self.take(&Token::OpenBracket) {
            let inner = self.or()?;
            self.close_bracket()?;
            inner
        } else if self.next_is_call() {
            self.opening_hours()?
        } else {
            self.compare()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn next_is_call(&self) -> bool {
        let word = self.tokens.get(self.at).map(|token| &token.value);
        let bracket = self.tokens.get(self.at + 1).map(|token| &token.value);
        matches!(word, Some(Token::Word(_))) && bracket == Some(&Token::OpenBracket)
    }

    /// `closed('shop')`
    fn opening_hours(&mut self) -> Result<Condition, Wrong> {
        let span = self.here();
        let Some(Token::Word(word)) = self.next() else {
            return Err(wrong(span, "a name is expected here"));
        };
        if !matches!(word.as_str(), "open" | "closed") {
            let hint = "what can be asked for is open('shop') and closed('shop')";
            return Err(wrong_hint(span, format!("\"{word}\" is not known"), hint));
        }
        self.at += 1;
        let name_span = self.here();
        let Some(Token::Text(hours)) = self.next() else {
            let hint = format!("write {word}('shop') with the name of your hours");
            return Err(wrong_hint(name_span, "the name of the hours is missing", hint));
        };
        self.close_bracket()?;
        self.uses.push(Use::Hours(Spanned::new(hours.clone(), name_span)));
        Ok(if word == "open" { Condition::Open { hours } } else { Condition::Closed { hours } })
    }

    fn compare(&mut self) -> Result<Condition, Wrong> {
        let left = self.operand()?;
        let Some(Token::Compare(comparison)) = self.tokens.get(self.at).map(|t| t.value.clone())
        else {
            return self.alone(left);
        };
        let sign = self.here();
        self.at += 1;
        let right = self.operand()?;
        self.check_sides(&left, comparison, sign, &right)?;
        // A name stands left, so that the interpreter and the readers of graphs see one form.
        if matches!(left.operand, Operand::Name(_)) {
            return Ok(Condition::Compare { left: left.operand, comparison, right: right.operand });
        }
        let comparison = match comparison {
            Comparison::Equal | Comparison::NotEqual => comparison,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        };
        Ok(Condition::Compare { left: right.operand, comparison, right: left.operand })
    }

    fn alone(&self, side: Side) -> Result<Condition, Wrong> {
        match side.operand {
            Operand::Name(_) => Ok(Condition::Holds(side.operand)),
            Operand::Number(_) | Operand::Text(_) | Operand::Duration(_) => Err(wrong_hint(
                side.span,
                "this alone is neither true nor false",
                "compare it with a name, such as customer.points > 0",
            )),
        }
    }

    fn operand(&mut self) -> Result<Side, Wrong> {
        let span = self.here();
        let token = self.tokens.get(self.at).map(|token| token.value.clone());
        let (operand, kind) = match token {
            Some(Token::Number(number)) => (Operand::Number(number), Some(Kind::Number)),
            Some(Token::Duration(ms)) => (Operand::Duration(ms), None),
            Some(Token::Text(text)) => (Operand::Text(text), Some(Kind::Text)),
            Some(Token::Word(word)) => {
                let kind = self.name(&word, span)?;
                (Operand::Name(word), kind)
            }
            Some(Token::Compare(_) | Token::OpenBracket | Token::CloseBracket) | None => {
                let what = token.map_or("the end".to_owned(), |token| token.described());
                let message = format!("a name or a value is missing before {what}");
                return Err(wrong(span, message));
            }
        };
        self.at += 1;
        Ok(Side { operand, span, kind })
    }

    /// What the name holds; `None` for a variable.
    fn name(&mut self, word: &str, span: Span) -> Result<Option<Kind>, Wrong> {
        if let "and" | "or" | "not" | "open" | "closed" = word {
            return Err(wrong(span, format!("a name or a value is missing before \"{word}\"")));
        }
        if let "true" | "false" = word {
            let hint = "write the name alone, or not and the name";
            return Err(wrong_hint(span, format!("\"{word}\" is not written"), hint));
        }
        if let Some(kind) = kind_of(word) {
            self.uses.push(Use::Name(Spanned::new(word.to_owned(), span)));
            // What the shop sends may be anything, as what a caller types.
            return Ok(Some(kind).filter(|kind| *kind != Kind::Field));
        }
        if is_variable_name(word) {
            self.uses.push(Use::Variable(Spanned::new(word.to_owned(), span)));
            return Ok(None);
        }
        Err(unknown_name(word, span))
    }

    fn check_sides(
        &mut self,
        left: &Side,
        comparison: Comparison,
        sign: Span,
        right: &Side,
    ) -> Result<(), Wrong> {
        let names = [left, right].map(|side| matches!(side.operand, Operand::Name(_)));
        if names == [false, false] {
            let hint = "one side is a name, such as customer.points";
            return Err(wrong_hint(left.span, "two fixed values are compared", hint));
        }
        let (name, other) = if names[0] { (left, right) } else { (right, left) };
        let Some(kind) = name.kind else {
            return Ok(()); // a variable: digits, compared as a number or as a text
        };
        if kind == Kind::Flag {
            let Operand::Name(word) = &name.operand else { return Ok(()) };
            let hint = format!("write {word} or not {word}");
            return Err(wrong_hint(other.span, format!("{word} is yes or no"), hint));
        }
        let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if ordered && !matches!(kind, Kind::Number | Kind::Money | Kind::Duration) {
            let message = format!("{} cannot be compared with {comparison}", kind.described());
            return Err(wrong_hint(sign, message, "use == or !="));
        }
        self.check_kinds(name, kind, other)
    }

    fn check_kinds(&mut self, name: &Side, kind: Kind, other: &Side) -> Result<(), Wrong> {
        let fits = match (&other.operand, kind) {
            (Operand::Number(_), Kind::Number | Kind::Money)
            | (Operand::Duration(_), Kind::Duration)
            | (Operand::Text(_), Kind::Text | Kind::Digits) => true,
            (Operand::Text(text), Kind::Status) => {
                self.uses.push(Use::Status(Spanned::new(text.clone(), other.span)));
                true
            }
            (Operand::Text(text), Kind::Language) => {
                if let Err(message) = text.parse::<crate::domain::Language>() {
                    return Err(wrong(other.span, message));
                }
                true
            }
            (Operand::Name(_), _) => other.kind.is_none_or(|other| other == kind),
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let message =
            format!("{} is {}, which cannot be compared with this", name.operand, kind.described());
        Err(match kind {
            Kind::Number | Kind::Money => wrong_hint(other.span, message, "compare with a number"),
            Kind::Date | Kind::Moment => {
                wrong_hint(other.span, message, "ask only whether it is known")
            }
            Kind::Duration => {
                let hint = format!("compare with a duration: {} > 300s", name.operand);
                wrong_hint(other.span, message, hint)
            }
            Kind::Flag
            | Kind::Text
            | Kind::Digits
            | Kind::Status
            | Kind::Language
            | Kind::Field => {
                wrong_hint(other.span, message, "compare with a text in single quotes: 'shipped'")
            }
        })
    }

    fn close_bracket(&mut self) -> Result<(), Wrong> {
        if self.take(&Token::CloseBracket) {
            return Ok(());
        }
        Err(wrong(self.here(), "a closing ) is missing here"))
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|token| token.value.clone());
        self.at += 1;
        token
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|next| next.value == *token);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.take(&Token::Word(word.to_owned()))
    }

    fn here(&self) -> Span {
        self.tokens.get(self.at).map_or(Span::new(self.end, self.end), |token| token.span)
    }
}

/// Whether `ask` may store under this name: letters, digits, `-` and `_`, no dot.
pub fn is_variable_name(word: &str) -> bool {
    let reserved = ["and", "or", "not", "open", "closed", "language", "true", "false"];
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        && !reserved.contains(&word)
}

/// What to say of a name that is neither known nor a variable.
pub fn unknown_name(word: &str, span: Span) -> Wrong {
    let names = NAMES.iter().map(|(name, _, _)| *name);
    let mut message = format!("\"{word}\" is not known");
    if let Some(meant) = closest(word, names.clone()) {
        message.push_str(&format!("; did you mean \"{meant}\"?"));
    }
    let family = word.split('.').next().unwrap_or_default();
    let relatives: Vec<&str> = names
        .filter(|name| name.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')))
        .collect();
    let hint = if relatives.is_empty() {
        "names begin with customer. order. orders. caller. crm. call. incident. promise. or, in \
         robots, event."
            .to_owned()
    } else {
        format!("known here: {}", relatives.join(", "))
    };
    wrong_hint(span, message, hint)
}

#[cfg(test)]
mod tests;
