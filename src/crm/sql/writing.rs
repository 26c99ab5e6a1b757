//! The statements that change the foreign database: `bonus` and `order-status`, one row of parameters
//! each, in a transaction of their own.

use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, Encode, IntoArguments, Type};

use super::super::{CrmChange, CrmError, CrmWrite};
use super::{Database, SqlCrm, open};

/// A parameter of a statement.
enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

impl SqlCrm {
    /// Makes a change, as far as the settings have a statement for it.
    pub(super) async fn make(&self, change: &CrmChange) -> Result<(), CrmError> {
        let phone = Value::Text(change.phone.as_str());
        let id = Value::Text(&change.id);
        let (statement, key, values) = match &change.what {
            CrmWrite::Bonus { points, reason } => {
                let values = [phone, Value::Number(*points), Value::Text(reason), id];
                (&self.bonus, "bonus", values)
            }
            CrmWrite::OrderStatus { order, status } => {
                let values = [phone, Value::Text(order), Value::Text(status), id];
                (&self.order_status, "order-status", values)
            }
        };
        let Some(statement) = statement else {
            return Err(CrmError::Refused(format!("[crm.sql] has no {key}")));
        };
        // A database refuses more parameters than the statement has.
        let values = &values[..parameters(statement).min(values.len())];
        let changed = match &self.database {
            Database::Sqlite(file) => {
                let mut connection = open(file, false).await?;
                let query = bound(sqlx::query(AssertSqlSafe(statement.as_str())), values);
                let changed = query.execute(&mut connection).await?.rows_affected();
                connection.close().await?;
                changed
            }
            Database::Postgres(pool) => {
                // Connections only read unless they are told otherwise.
                let mut transaction = pool.begin_with("begin read write").await?;
                let query = bound(sqlx::query(AssertSqlSafe(statement.as_str())), values);
                let changed = query.execute(&mut *transaction).await?.rows_affected();
                transaction.commit().await?;
                changed
            }
        };
        // An insert that finds the change made already adds no row.
        let must_change = statement.trim_start().to_lowercase().starts_with("update");
        match must_change && changed == 0 {
            true => Err(CrmError::Refused(format!("{key} changed no row"))),
            false => Ok(()),
        }
    }
}

fn bound<'q, DB>(
    mut query: Query<'q, DB, DB::Arguments>,
    values: &[Value<'q>],
) -> Query<'q, DB, DB::Arguments>
where
    DB: sqlx::Database,
    DB::Arguments: IntoArguments<DB>,
    &'q str: Type<DB> + Encode<'q, DB>,
    i64: Type<DB> + Encode<'q, DB>,
{
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(*text),
            Value::Number(number) => query.bind(*number),
        };
    }
    query
}

/// The highest `$n` of a statement.
fn parameters(statement: &str) -> usize {
    let digits = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().unwrap_or(0)
    };
    statement.split('$').skip(1).map(digits).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_parameter_is_found() {
        assert_eq!(parameters("update c set p = p + $2 where phone = $1"), 2);
        assert_eq!(parameters("insert into b values ($1,$2,$3,$4)"), 4);
        assert_eq!(parameters("select 'no $ at all'"), 0);
    }
}
