//! Call records while the database is locked, away or too slow.

use std::time::Duration;

use allo::database::Pool;
use allo::domain::{CallFact, CallerId};
use allo::store::{CallFilter, CallWriter, Store, WriterLimits};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::postgres::Postgres;
use crate::sqlite;
use crate::store::{at, call, ended, offered};

const LONG: Duration = Duration::from_secs(60);

async fn sqlite_pool_that_gives_up_at_once(file: &std::path::Path) -> Pool {
    let options =
        SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_millis(20));
    Pool::Sqlite(sqlx::SqlitePool::connect_with(options).await.unwrap())
}

#[tokio::test]
async fn facts_are_kept_while_another_process_locks_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let file = folder.path().join("allo.db");
    let pool = sqlite_pool_that_gives_up_at_once(&file).await;
    let writer = CallWriter::start(pool, WriterLimits::default());

    let options = SqliteConnectOptions::new().filename(&file);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("begin exclusive").execute(&mut other).await.unwrap();
    for number in 0..50 {
        writer.record(call(number), at(0), offered(CallerId::Anonymous));
        writer.record(call(number), at(1), ended());
    }
    // The lock outlasts the first tries.
    assert!(tokio::time::timeout(Duration::from_millis(250), writer.flush()).await.is_err());
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    writer.flush().await;
    let calls = store.calls(&CallFilter::default()).await.unwrap();
    assert_eq!(calls.len(), 50);
    assert!(calls.iter().all(|call| call.ended == Some(at(1)) && call.events.len() == 2));
}

#[tokio::test]
async fn closing_writes_everything_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let writer = store.writer();
    for number in 0..5_000 {
        writer.record(call(number), at(0), offered(CallerId::Anonymous));
        writer.record(call(number), at(1), ended());
    }
    assert_eq!(writer.close(LONG).await, 0);
    writer.record(call(9_999), at(2), offered(CallerId::Anonymous)); // too late
    assert_eq!(writer.close(LONG).await, 0);
    let all = CallFilter { limit: 10_000, ..CallFilter::default() };
    let calls = store.calls(&all).await.unwrap();
    assert_eq!(calls.len(), 5_000);
    assert!(calls.iter().all(|call| call.events.len() == 2));
}

#[tokio::test]
async fn closing_gives_up_in_the_end_and_says_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let _store = Store::open(&sqlite(folder.path())).await.unwrap();
    let file = folder.path().join("allo.db");
    let writer =
        CallWriter::start(sqlite_pool_that_gives_up_at_once(&file).await, WriterLimits::default());
    let options = SqliteConnectOptions::new().filename(&file);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("begin exclusive").execute(&mut other).await.unwrap();
    writer.record(call(1), at(0), offered(CallerId::Anonymous));
    writer.record(call(1), at(1), ended());
    assert_eq!(writer.close(Duration::from_millis(100)).await, 2);
}

#[tokio::test]
async fn a_full_queue_drops_details_before_beginnings_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let limits = WriterLimits { queue_max: 100, batch_max: 1_000, gather: LONG };
    let writer = CallWriter::start(store.pool().clone(), limits);
    writer.record(call(1), at(0), offered(CallerId::Anonymous));
    for second in 1..200 {
        writer.record(call(1), at(second), CallFact::Step { name: "main".into() });
    }
    writer.record(call(1), at(200), ended());
    writer.flush().await;
    let calls = store.calls(&CallFilter::default()).await.unwrap();
    assert_eq!(calls[0].ended, Some(at(200)));
    assert_eq!(calls[0].events.len(), 91, "nine tenths of 100, and the end");
}

#[tokio::test]
async fn facts_survive_a_restart_of_postgres() {
    let Some(server) = Postgres::start() else { return };
    let store = Store::open(&server.database("restart")).await.unwrap();
    let writer = store.writer();
    writer.record(call(1), at(0), offered(CallerId::Anonymous));
    writer.flush().await;
    server.restart();
    writer.record(call(1), at(1), ended());
    writer.flush().await;
    let calls = store.calls(&CallFilter::default()).await.unwrap();
    assert_eq!((calls.len(), calls[0].ended), (1, Some(at(1))));
    store.healthy().await.unwrap();
}
