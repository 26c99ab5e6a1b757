//! A CRM in any SQLite or PostgreSQL database, by the queries of `[crm.sql]`.
//!
//! The database is only read, but for the statements of `writing`. Columns are taken by name; their SQL types do not matter: SQLite gives
//! each value as text, PostgreSQL each row as JSON. A value that can't be understood is unknown.

mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, PgPool, Row};

use super::fields::{self, order_key};
use super::{Crm, CrmChange, CrmError, Lookup, sort_newest_first};
use crate::config::{CrmSql, DatabaseUrl};
use crate::domain::{
    Customer, EventMistake, Money, Order, PhoneNumber, RawEvent, Region, ShopEvent,
};

const POSTGRES_CONNECTIONS_MAX: u32 = 8;
/// How long a reader waits while somebody else writes to the SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Rows that are looked at; a number with more is no customer's phone.
const ROWS_MAX: usize = 100;
/// A row that is longer is no customer's: what is known of one is spoken, and nobody listens that long.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// Events that are looked at in one poll; of a query that finds more, the first ones.
const EVENTS_MAX: usize = 10_000;

/// Looks into a foreign database.
#[derive(Clone, Debug)]
pub struct SqlCrm {
    database: Database,
    customers: String,
    orders: Option<String>,
    order: Option<String>,
    bonus: Option<String>,
    order_status: Option<String>,
    events: Option<String>,
}

#[derive(Clone, Debug)]
enum Database {
    Sqlite(PathBuf),
    Postgres(PgPool),
}

/// The columns of a row that are not null, by their names in small letters.
type Cells = BTreeMap<String, String>;

impl SqlCrm {
    /// Does not connect yet: the database may come and go. `deadline` bounds each query on the
    /// server's side too. Fails only if a PostgreSQL URL is malformed.
    pub fn new(settings: &CrmSql, deadline: Duration) -> Result<Self, CrmError> {
        let statement = |sql: &String| sql.trim().trim_end_matches(';').to_owned();
        Ok(Self {
            database: match &settings.url {
                DatabaseUrl::Sqlite(file) => Database::Sqlite(file.clone()),
                DatabaseUrl::Postgres(url) => Database::Postgres(postgres_pool(url, deadline)?),
            },
            customers: statement(&settings.customers),
            orders: settings.orders.as_ref().map(statement),
            order: settings.order.as_ref().map(statement),
            bonus: settings.bonus.as_ref().map(statement),
            order_status: settings.order_status.as_ref().map(statement),
            events: settings.events.as_ref().map(statement),
        })
    }

    async fn find_customers(&self, phone: &PhoneNumber) -> Result<Vec<Customer>, CrmError> {
        let queries: Vec<&str> = [Some(&self.customers), self.orders.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let mut answers = self.ask(&queries, Some(phone.as_str()), ROWS_MAX).await?.into_iter();
        let customers = answers.next().unwrap_or_default();
        let mut orders: Vec<Order> =
            answers.next().unwrap_or_default().iter().filter_map(order_of).collect();
        sort_newest_first(&mut orders);
        let with_orders = |row| Customer { orders: orders.clone(), ..customer_of(row) };
        Ok(customers.iter().map(with_orders).collect())
    }

    async fn find_order(&self, number: &str) -> Result<Option<Order>, CrmError> {
        let (Some(query), key) = (&self.order, order_key(number)) else { return Ok(None) };
        if key.is_empty() {
            return Ok(None);
        }
        let answers = self.ask(&[query], Some(&key), ROWS_MAX).await?;
        let mut orders: Vec<Order> = answers.iter().flatten().filter_map(order_of).collect();
        sort_newest_first(&mut orders);
        Ok(orders.into_iter().next())
    }

    async fn find_events(&self, region: Region) -> Result<Vec<ShopEvent>, CrmError> {
        let Some(query) = &self.events else { return Ok(Vec::new()) };
        let answers = self.ask(&[query], None, EVENTS_MAX).await?;
        let (mut events, mut wrong, mut first) = (Vec::new(), 0_usize, None);
        for (row, cells) in (1_usize..).zip(answers.into_iter().flatten()) {
            match event_of(cells, region) {
                Ok(event) => events.push(event),
                Err(mistake) => {
                    wrong += 1;
                    first.get_or_insert((row, mistake));
                }
            }
        }
        if let Some((row, mistake)) = first {
            tracing::warn!(rows = wrong, row, %mistake, "events of the CRM can't be understood; left out");
        }
        Ok(events)
    }

    /// The rows of each query, at most so many.
    async fn ask(
        &self,
        queries: &[&str],
        argument: Option<&str>,
        rows_max: usize,
    ) -> Result<Vec<Vec<Cells>>, CrmError> {
        let mut answers = Vec::with_capacity(queries.len());
        match &self.database {
            Database::Sqlite(file) => {
                let mut connection = open(file, true).await?;
                for query in queries {
                    answers.push(ask_sqlite(&mut connection, query, argument, rows_max).await?);
                }
            }
            Database::Postgres(pool) => {
                for query in queries {
                    answers.push(ask_postgres(pool, query, argument, rows_max).await?);
                }
            }
        }
        Ok(answers)
    }
}

fn postgres_pool(url: &str, deadline: Duration) -> Result<PgPool, CrmError> {
    let deadline_ms = deadline.as_millis().max(1).to_string();
    let options = PgConnectOptions::from_str(url)?.application_name("allo").options([
        ("statement_timeout", deadline_ms.as_str()),
        ("default_transaction_read_only", "on"),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS_MAX)
        // A server that is away is noticed in half the time, so that the reason can be told.
        .acquire_timeout(deadline / 2)
        .connect_lazy_with(options))
}

/// A connection for one lookup. A file that was deleted or replaced is noticed this way; opening
/// costs less than a millisecond.
async fn open(file: &Path, read_only: bool) -> Result<SqliteConnection, CrmError> {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .read_only(read_only)
        .busy_timeout(BUSY_TIMEOUT)
        .connect()
        .await
        .map_err(|error| CrmError::Failed(format!("{}: {error}", file.display())))
}

async fn ask_sqlite(
    connection: &mut SqliteConnection,
    query: &str,
    argument: Option<&str>,
    rows_max: usize,
) -> Result<Vec<Cells>, CrmError> {
    let mut query = sqlx::query(AssertSqlSafe(query));
    if let Some(argument) = argument {
        query = query.bind(argument);
    }
    let mut found = query.fetch(connection);
    let mut rows = Vec::new();
    while rows.len() < rows_max
        && let Some(row) = found.try_next().await?
    {
        let texts = row.columns().iter().filter_map(|column| {
            // SQLite turns a value of any type into text.
            let text: Option<&str> = row.try_get_unchecked(column.ordinal()).ok()?;
            Some((column.name(), text?))
        });
        bounded(texts.clone().map(|(_, text)| text.len()).sum())?;
        rows.push(texts.map(|(name, text)| (name.to_lowercase(), text.to_owned())).collect());
    }
    Ok(rows)
}

/// An answer that is no answer is not read through.
fn bounded(row_bytes: usize) -> Result<(), CrmError> {
    if row_bytes <= ROW_BYTES_MAX {
        return Ok(());
    }
    Err(CrmError::Failed(format!(
        "a row of the answer has {row_bytes} bytes; {ROW_BYTES_MAX} are read"
    )))
}

async fn ask_postgres(
    pool: &PgPool,
    query: &str,
    argument: Option<&str>,
    rows_max: usize,
) -> Result<Vec<Cells>, CrmError> {
    // JSON spells values of every type, also such that no driver knows. The line breaks guard
    // against a comment at the end of the query.
    let as_json = format!("select to_json(found)::text from (\n{query}\n) as found");
    let mut query = sqlx::query_scalar::<_, String>(AssertSqlSafe(as_json));
    if let Some(argument) = argument {
        query = query.bind(argument);
    }
    let mut found = query.fetch(pool);
    let mut rows = Vec::new();
    while rows.len() < rows_max
        && let Some(row) = found.try_next().await?
    {
        bounded(row.len())?;
        rows.push(row);
    }
    let cells = |row: &String| -> Cells {
        let Ok(Value::Object(columns)) = serde_json::from_str(row) else { return Cells::new() };
        columns
            .into_iter()
            .filter_map(|(name, value)| {
                let text = match value {
                    Value::Null => return None,
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                Some((name.to_lowercase(), text))
            })
            .collect()
    };
    Ok(rows.iter().map(cells).collect())
}

fn customer_of(row: &Cells) -> Customer {
    Customer {
        name: value(row, "name", fields::short_text),
        points: value(row, "points", points),
        vip: value(row, "vip", fields::yes_or_no).unwrap_or(false),
        manager: value(row, "manager", fields::short_text),
        language: value(row, "language", fields::language),
        balance: value(row, "balance", amount),
        card: value(row, "card", fields::short_text),
        timezone: value(row, "timezone", fields::timezone),
        orders: Vec::new(),
    }
}

/// An order without a number can't be spoken of.
fn order_of(row: &Cells) -> Option<Order> {
    Some(Order {
        number: value(row, "number", fields::short_text)?,
        status: value(row, "status", fields::status),
        due: value(row, "due", fields::date),
        sum: value(row, "sum", amount),
        updated: value(row, "updated", fields::moment),
    })
}

/// An event of a query must have an id, for the query finds it again.
fn event_of(mut row: Cells, region: Region) -> Result<ShopEvent, EventMistake> {
    let id = row.remove("id").filter(|id| !id.trim().is_empty());
    if id.is_none() {
        return Err(EventMistake::new("id", "is missing"));
    }
    let [event, phone] = ["event", "phone"].map(|name| row.remove(name).unwrap_or_default());
    RawEvent { id, event, phone, values: row }.read(region, String::new)
}

fn value<T>(
    row: &Cells,
    column: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Option<T> {
    let text = row.get(column)?.trim();
    if text.is_empty() {
        return None;
    }
    read(text)
        .inspect_err(|why| tracing::warn!(column, why, "a value of the CRM is not understood"))
        .ok()
}

/// Points may be kept with a fraction; only whole ones are spoken.
fn points(text: &str) -> Result<i64, &'static str> {
    fields::whole_number(text.split(['.', ',']).next().unwrap_or(text))
}

/// Amounts may be floating-point numbers; they are rounded to kopecks.
fn amount(text: &str) -> Result<Money, &'static str> {
    fields::money(text).or_else(|why| {
        let kopecks = text.parse::<f64>().map_err(|_| why)? * 100.0;
        // Above 2^53 a float is not exact any more.
        if kopecks.abs() > 9e15 || kopecks.is_nan() {
            return Err(why);
        }
        #[expect(clippy::cast_possible_truncation, reason = "in range, and rounded")]
        Ok(Money(kopecks.round() as i64))
    })
}

impl Crm for SqlCrm {
    fn customers<'a>(&'a self, phone: &'a PhoneNumber) -> Lookup<'a, Vec<Customer>> {
        Box::pin(self.find_customers(phone))
    }

    fn order<'a>(&'a self, number: &'a str) -> Lookup<'a, Option<Order>> {
        Box::pin(self.find_order(number))
    }

    fn write<'a>(&'a self, change: &'a CrmChange) -> Lookup<'a, ()> {
        Box::pin(self.make(change))
    }

    fn events(&self, region: Region) -> Lookup<'_, Vec<ShopEvent>> {
        Box::pin(self.find_events(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_any_numeric_type_are_read() {
        for (text, kopecks) in [
            ("2341.5", 234_150),
            ("2341.5000", 234_150),
            ("0.30000000000000004", 30),
            ("1e3", 100_000),
            ("-5", -500),
        ] {
            assert_eq!(amount(text), Ok(Money(kopecks)), "{text}");
        }
        assert!(amount("1e300").is_err());
        assert!(amount("NaN").is_err());
        assert_eq!(points("120.75"), Ok(120));
    }
}
