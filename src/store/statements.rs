//! Statements as values, so that what a batch writes is decided without a database.

use crate::domain::Timestamp;

/// Rows of one insert; 20 columns stay below the 32,766 parameters of SQLite.
const ROWS_PER_STATEMENT: usize = 500;

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(bool),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(Some(storable(text)))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(storable))
    }
}

impl From<Timestamp> for Cell {
    fn from(at: Timestamp) -> Self {
        Self::Number(Some(at.0))
    }
}

impl From<Option<Timestamp>> for Cell {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Number(at.map(|at| at.0))
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(Some(i64::from(number)))
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// PostgreSQL has no NUL in texts, and a caller may send one.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// Something to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// `insert into ONE (columns) ` … ` on conflict …`
    Insert { into: &'static str, rows: Vec<Vec<Cell>>, on_conflict: &'static str },
    /// With `$1` and so on for the cells of a row; executed for each.
    Each { sql: &'static str, rows: Vec<Vec<Cell>> },
}

impl Statement {
    /// Inserts of all rows, none too long.
    pub fn inserts(
        into: &'static str,
        rows: &[Vec<Cell>],
        on_conflict: &'static str,
    ) -> impl Iterator<Item = Self> {
        let insert =
            move |rows: &[Vec<Cell>]| Self::Insert { into, rows: rows.to_vec(), on_conflict };
        rows.chunks(ROWS_PER_STATEMENT).map(insert)
    }
}

/// Executes a statement on a connection of either database, and evaluates to the rows affected.
macro_rules! execute {
    ($connection:expr, $statement:expr) => {
        match $statement {
            $crate::store::statements::Statement::Insert { into, rows, on_conflict } => {
                let mut query = sqlx::QueryBuilder::new(*into);
                query.push_values(rows, |mut values, row| {
                    for cell in row {
                        match cell {
                            Cell::Text(text) => values.push_bind(text.as_deref()),
                            Cell::Number(number) => values.push_bind(*number),
                            Cell::Flag(flag) => values.push_bind(*flag),
                        };
                    }
                });
                query.push(*on_conflict);
                query.build().persistent(false).execute($connection).await?.rows_affected()
            }
            $crate::store::statements::Statement::Each { sql, rows } => {
                let mut affected = 0;
                for row in rows {
                    let mut query = sqlx::query(*sql);
                    for cell in row {
                        query = match cell {
                            Cell::Text(text) => query.bind(text.as_deref()),
                            Cell::Number(number) => query.bind(*number),
                            Cell::Flag(flag) => query.bind(*flag),
                        };
                    }
                    affected += query.execute(&mut *$connection).await?.rows_affected();
                }
                affected
            }
        }
    };
}
pub(super) use execute;
