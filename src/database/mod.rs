//! The one database: SQLite or PostgreSQL. Opening it and bringing its tables up to date.
//!
//! SQL text with `$1` works on both, so each query is written once and compiled for both
//! (`on_pool!`). Times are UTC milliseconds. `store` keeps call records here, `crm` the embedded
//! customers and orders.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgPool, SqlitePool};

use crate::config::DatabaseUrl;
use crate::domain::without_numbers;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long SQLite waits for another process's write before it says "locked".
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a query waits for a free connection, and for PostgreSQL to be reached.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_CONNECTIONS_MAX: u32 = 4;
const POSTGRES_CONNECTIONS_MAX: u32 = 10;
/// Of those that only read, and never wait behind writes.
const READERS_MAX: u32 = 4;

/// The connections to the one database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Why the database can't be used. One line, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(
        "{file}: the folder of the database does not exist; create it, or change [database] url"
    )]
    NoFolder { file: PathBuf },
    #[error("{file} is a folder; [database] url must name a file")]
    IsFolder { file: PathBuf },
    #[error(
        "{file}: the database can't be opened ({why}); look at the permissions of file and folder"
    )]
    CantOpen { file: PathBuf, why: String },
    #[error(
        "{file} is not a SQLite database, or it is damaged ({why}); move it away, or restore a copy"
    )]
    Damaged { file: PathBuf, why: String },
    #[error("{database} can't be written ({why}); look at its permissions and at the free space")]
    ReadOnly { database: DatabaseUrl, why: String },
    #[error("{database} can't be reached ({why}); is it running, and is [database] url right?")]
    Unreachable { database: DatabaseUrl, why: String },
    #[error("{database} was made by a newer version of allo; update allo, or use another database")]
    FromTheFuture { database: DatabaseUrl },
    #[error("{database} can't be brought up to date: {why}")]
    Migration { database: DatabaseUrl, why: String },
    #[error("there are more than {max} rows; choose a shorter time")]
    TooMuch { max: usize },
    #[error("database: {}", said_by(.0))]
    Query(#[from] sqlx::Error),
}

impl DatabaseError {
    /// Whether the same may succeed later: the database is locked, full or away.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Query(error) => !never_fits(error),
            Self::NoFolder { .. }
            | Self::IsFolder { .. }
            | Self::CantOpen { .. }
            | Self::Damaged { .. }
            | Self::ReadOnly { .. }
            | Self::FromTheFuture { .. }
            | Self::Migration { .. }
            | Self::TooMuch { .. } => false,
        }
    }
}

/// Whether the values are at fault, so that trying again is of no use: a constraint (SQLite 19, 20;
/// SQLSTATE class 23), a value that the database refuses (class 22), or one too long (class 54).
pub(crate) fn never_fits(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    match error.code() {
        Some(code) if code.len() == 5 => {
            ["22", "23", "54"].iter().any(|class| code.starts_with(class))
        }
        Some(code) => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xFF, 19 | 20)),
        None => false,
    }
}

/// What the log may tell of an error, on one line: without what the database quotes, for a value that it
/// did not like is a customer's. Names of tables and columns are kept.
pub(crate) fn said_by(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // SQLSTATE class 22: data exceptions.
    let quotes_values = code.is_some_and(|code| code.len() == 5 && code.starts_with("22"));
    let text = error.to_string();
    let text = if quotes_values { without_quotes(&text) } else { text };
    without_numbers(&text).replace('\n', " ")
}

/// What stands between quotes becomes dots.
fn without_quotes(text: &str) -> String {
    let parts = text.split('"').enumerate();
    parts.map(|(n, part)| if n % 2 == 0 { part } else { "•••" }).collect::<Vec<_>>().join("\"")
}

/// Runs the same code on whichever pool there is; `begin` is the statement that starts a
/// transaction meant to write.
macro_rules! on_pool {
    ($pool:expr, |$p:ident| $body:expr) => {
        match $pool {
            $crate::database::Pool::Sqlite($p) => $body,
            $crate::database::Pool::Postgres($p) => $body,
        }
    };
    ($pool:expr, |$p:ident, $begin:ident| $body:expr) => {
        match $pool {
            $crate::database::Pool::Sqlite($p) => {
                // Takes the write lock at once: a transaction that reads first and writes later
                // can't wait for the lock, it fails.
                let $begin = "begin immediate";
                $body
            }
            $crate::database::Pool::Postgres($p) => {
                let $begin = "begin";
                $body
            }
        }
    };
}
pub(crate) use on_pool;

/// Opens the database and brings its tables up to date. A SQLite file is created when missing.
pub async fn open(url: &DatabaseUrl) -> Result<Pool, DatabaseError> {
    let pool = match url {
        DatabaseUrl::Sqlite(file) => Pool::Sqlite(open_sqlite(file).await?),
        DatabaseUrl::Postgres(text) => Pool::Postgres(open_postgres(url, text).await?),
    };
    // Two processes may create the same tables at the same moment; the second of them finds
    // everything done when it looks again.
    if let Err(error) = migrate(&pool).await {
        tracing::debug!(%error, "migration failed, once more");
        migrate(&pool).await.map_err(|error| migration_error(url, error))?;
    }
    Ok(pool)
}

/// More connections to the same database for those who can't wait until writes are done: while somebody
/// holds SQLite's write lock, each connection that is to write is busy for ten seconds.
pub fn readers(pool: &Pool) -> Pool {
    match pool {
        Pool::Sqlite(pool) => {
            let options = pool.connect_options().as_ref().clone();
            let readers = SqlitePoolOptions::new().max_connections(READERS_MAX);
            let readers = readers.acquire_timeout(ACQUIRE_TIMEOUT);
            Pool::Sqlite(readers.connect_lazy_with(options.read_only(true)))
        }
        Pool::Postgres(pool) => {
            let options = pool.connect_options().as_ref().clone();
            let readers = PgPoolOptions::new().max_connections(READERS_MAX);
            Pool::Postgres(readers.acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options))
        }
    }
}

async fn migrate(pool: &Pool) -> Result<(), MigrateError> {
    match pool {
        Pool::Sqlite(pool) => SQLITE.run(pool).await,
        Pool::Postgres(pool) => POSTGRES.run(pool).await,
    }
}

async fn open_sqlite(file: &Path) -> Result<SqlitePool, DatabaseError> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(DatabaseError::NoFolder { file: file.to_owned() });
    }
    if file.is_dir() {
        return Err(DatabaseError::IsFolder { file: file.to_owned() });
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    SqlitePoolOptions::new()
        .max_connections(SQLITE_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // On a full disk SQLite takes a transaction back by itself, and the driver believes for ever that
        // it goes on: such a connection is closed, and another takes its place.
        .before_acquire(|connection, _| {
            let is_free = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_free) })
        })
        .connect_with(options)
        .await
        .map_err(|error| sqlite_error(file, &error))
}

fn sqlite_error(file: &Path, error: &sqlx::Error) -> DatabaseError {
    let (file, why) = (file.to_owned(), error.to_string());
    match sqlite_code(error) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => DatabaseError::Damaged { file, why },
        Some(SQLITE_READONLY) => {
            DatabaseError::ReadOnly { database: DatabaseUrl::Sqlite(file), why }
        }
        Some(_) | None => DatabaseError::CantOpen { file, why },
    }
}

// Result codes of SQLite (sqlite.org/rescode.html).
const SQLITE_READONLY: u32 = 8;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;
const SQLITE_NOTADB: u32 = 26;

/// The primary result code: the low byte of the extended one.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else { return None };
    error.code()?.parse::<u32>().ok().map(|code| code & 0xFF)
}

async fn open_postgres(url: &DatabaseUrl, text: &str) -> Result<PgPool, DatabaseError> {
    let unreachable = |error: sqlx::Error| DatabaseError::Unreachable {
        database: url.clone(),
        why: error.to_string(),
    };
    let options = PgConnectOptions::from_str(text).map_err(unreachable)?;
    let options = options.application_name("allo");
    PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(unreachable)
}

fn migration_error(url: &DatabaseUrl, error: MigrateError) -> DatabaseError {
    let database = url.clone();
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            DatabaseError::FromTheFuture { database }
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            match (url, sqlite_code(&error)) {
                (DatabaseUrl::Sqlite(file), Some(SQLITE_CORRUPT | SQLITE_NOTADB)) => {
                    DatabaseError::Damaged { file: file.clone(), why: error.to_string() }
                }
                (DatabaseUrl::Sqlite(_), Some(SQLITE_READONLY | SQLITE_FULL)) => {
                    DatabaseError::ReadOnly { database, why: error.to_string() }
                }
                _ => DatabaseError::Migration { database, why: error.to_string() },
            }
        }
        other => DatabaseError::Migration { database, why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn message(file: &Path) -> String {
        let url = DatabaseUrl::Sqlite(file.to_owned());
        open(&url).await.expect_err("can't be opened").to_string()
    }

    #[test]
    fn an_error_of_a_database_quotes_no_customer() {
        assert_eq!(
            without_quotes("invalid input syntax for type bigint: \"Анна\", \"a\""),
            "invalid input syntax for type bigint: \"•••\", \"•••\""
        );
    }

    #[tokio::test]
    async fn what_is_no_database_gets_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/allo.db");
        assert!(message(&missing).await.contains("folder of the database does not exist"));
        assert!(message(folder.path()).await.contains("is a folder"));
        let text = folder.path().join("text.db");
        std::fs::write(&text, "not a database at all, but long enough to look at ".repeat(100))
            .unwrap();
        let line = message(&text).await;
        assert!(line.contains("text.db is not a SQLite database"), "{line}");
        assert!(!line.contains('\n'));
    }

    #[tokio::test]
    async fn a_torn_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("allo.db");
        let url = DatabaseUrl::Sqlite(file.clone());
        let pool = open(&url).await.unwrap();
        on_pool!(&pool, |pool| pool.close().await);
        let mut bytes = std::fs::read(&file).unwrap();
        for byte in &mut bytes[200..] {
            *byte = 0xA5;
        }
        std::fs::write(&file, bytes).unwrap();
        let line = message(&file).await;
        assert!(line.contains("damaged"), "{line}");
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("allo.db"));
        let Pool::Sqlite(pool) = open(&url).await.unwrap() else { panic!("SQLite") };
        sqlx::query(
            "insert into _sqlx_migrations values (9999, 'later', current_timestamp, true, x'00', 1)",
        )
        .execute(&pool)
        .await
        .unwrap();
        pool.close().await;
        let line = open(&url).await.unwrap_err().to_string();
        assert!(line.contains("newer version of allo"), "{line}");
    }

    #[tokio::test]
    async fn an_absent_postgres_gets_one_line_without_its_password() {
        let url: DatabaseUrl = "postgres://anna:hunter2@127.0.0.1:1/shop".parse().unwrap();
        let line = open(&url).await.unwrap_err().to_string();
        assert!(line.contains("postgres://anna:•••@127.0.0.1:1/shop can't be reached"), "{line}");
    }
}
