//! Whether an `if` holds. A comparison with something unknown does not hold.

use std::cmp::Ordering;

use crate::dialplan::expression::{Comparison, Condition, Operand};
use crate::dialplan::plan::Script;
use crate::domain::Timestamp;

use super::knowledge::{Knowledge, Known};

/// Evaluates `condition` for a call of `script` when the wall clock says `now`.
pub fn holds(
    condition: &Condition,
    knowledge: &Knowledge,
    script: &Script,
    now: Timestamp,
) -> bool {
    let holds = |condition| holds(condition, knowledge, script, now);
    match condition {
        Condition::Or(any) => any.iter().any(holds),
        Condition::And(all) => all.iter().all(holds),
        Condition::Not(condition) => !holds(condition),
        Condition::Compare { left, comparison, right } => {
            let sides = (Side::of(left, knowledge), Side::of(right, knowledge));
            let (Some(left), Some(right)) = sides else { return false };
            comparison_holds(*comparison, left.compare(&right))
        }
        Condition::Holds(operand) => Side::of(operand, knowledge).is_some_and(|side| side.is_set()),
        Condition::Open { hours } => is_open(script, hours, now),
        Condition::Closed { hours } => !is_open(script, hours, now),
    }
}

fn is_open(script: &Script, hours: &str, now: Timestamp) -> bool {
    script.hours.get(hours).is_some_and(|hours| hours.is_open(&now.in_zone(&script.timezone)))
}

/// `None`: the sides are of different kinds, so they are unequal and neither is less.
fn comparison_holds(comparison: Comparison, ordering: Option<Ordering>) -> bool {
    match comparison {
        Comparison::Equal => ordering == Some(Ordering::Equal),
        Comparison::NotEqual => ordering != Some(Ordering::Equal),
        Comparison::Less => ordering == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => ordering == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// A side of a comparison, reduced to what can be compared.
enum Side {
    Truth(bool),
    /// Money in rubles, durations and moments in milliseconds.
    Number(f64),
    Text(String),
}

impl Side {
    #[expect(clippy::cast_precision_loss, reason = "amounts and times stay far below 2^53")]
    fn of(operand: &Operand, knowledge: &Knowledge) -> Option<Self> {
        Some(match operand {
            Operand::Number(n) => Self::Number(*n),
            Operand::Text(text) => Self::Text(text.clone()),
            Operand::Duration(ms) => Self::Number(*ms as f64),
            Operand::Name(name) => match knowledge.value(name)? {
                Known::Truth(truth) => Self::Truth(truth),
                Known::Number(n) => Self::Number(n as f64),
                Known::Money(money) => Self::Number(money.0 as f64 / 100.0),
                Known::Text(text) => Self::Text(text),
                Known::Date(date) => Self::Text(date.to_string()),
                Known::Moment(at) => Self::Number(at.0 as f64),
                Known::Duration(ms) => Self::Number(ms as f64),
            },
        })
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Truth(a), Self::Truth(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            // What a caller typed is a text; `card == 1234` means the number.
            (Self::Text(a), Self::Number(b)) => a.parse::<f64>().ok()?.partial_cmp(b),
            (Self::Number(a), Self::Text(b)) => a.partial_cmp(&b.parse::<f64>().ok()?),
            (Self::Truth(_), Self::Number(_) | Self::Text(_))
            | (Self::Number(_) | Self::Text(_), Self::Truth(_)) => None,
        }
    }

    fn is_set(&self) -> bool {
        match self {
            Self::Truth(truth) => *truth,
            Self::Number(n) => *n != 0.0,
            Self::Text(text) => !text.is_empty(),
        }
    }
}
