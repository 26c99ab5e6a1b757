//! The conditions of `if`: a small grammar, checked when the plan is loaded.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | compare
//! compare = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand ]
//! operand = name | number | duration | 'text' | "closed" "(" 'hours' ")" | "open" "(" 'hours' ")" | "(" or ")"
//! ```

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
