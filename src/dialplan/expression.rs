//! The conditions of `if`: a small grammar, checked when the plan is loaded.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | compare
//! compare = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand ]
//! operand = name | number | duration | 'text' | "closed" "(" 'hours' ")" | "open" "(" 'hours' ")" | "(" or ")"
//! ```
//!
//! A comparison with something that is unknown in a call (no such customer, a CRM that is down) does
//! not hold, `!=` neither.

use std::fmt;

/// A checked condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    Compare {
        left: Operand,
        comparison: Comparison,
        right: Operand,
    },
    /// True if the operand is known and neither `false`, zero nor empty.
    Holds(Operand),
    Open {
        hours: String,
    },
    Closed {
        hours: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// `customer.points`, `order.status`, or the bare name of what `ask` stored.
    Name(String),
    Number(f64),
    Text(String),
    /// Milliseconds.
    Duration(u64),
}

impl Condition {
    /// What is certain of this condition while `language` is spoken; `None` if it depends on more.
    pub(super) fn known_for(&self, language: &str) -> Option<bool> {
        match self {
            Self::Or(parts) => {
                let known: Vec<_> = parts.iter().map(|part| part.known_for(language)).collect();
                if known.contains(&Some(true)) {
                    return Some(true);
                }
                known.iter().all(|part| *part == Some(false)).then_some(false)
            }
            Self::And(parts) => {
                let known: Vec<_> = parts.iter().map(|part| part.known_for(language)).collect();
                if known.contains(&Some(false)) {
                    return Some(false);
                }
                known.iter().all(|part| *part == Some(true)).then_some(true)
            }
            Self::Not(inner) => inner.known_for(language).map(|known| !known),
            Self::Compare { left, comparison, right } => {
                let (Operand::Name(name), Operand::Text(text)) = (left, right) else { return None };
                match comparison {
                    Comparison::Equal if name == "language" => Some(text == language),
                    Comparison::NotEqual if name == "language" => Some(text != language),
                    _ => None,
                }
            }
            Self::Holds(_) | Self::Open { .. } | Self::Closed { .. } => None,
        }
    }
}

/// As it is written in a plan.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::Or(_) | Self::And(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Or(parts) => joined(f, parts, "or"),
            Self::And(parts) => joined(f, parts, "and"),
            Self::Not(inner) => match **inner {
                Self::Or(_) | Self::And(_) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Self::Compare { left, comparison, right } => write!(f, "{left} {comparison} {right}"),
            Self::Holds(operand) => operand.fmt(f),
            Self::Open { hours } => write!(f, "open('{hours}')"),
            Self::Closed { hours } => write!(f, "closed('{hours}')"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Duration(ms) if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            Self::Duration(ms) => write!(f, "{ms}ms"),
        }
    }
}
