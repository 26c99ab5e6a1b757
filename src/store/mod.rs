//! What outlives the process: call records, promises, operators, what callers heard.
//!
//! - [`calls`]: reading call records
//! - `lost`: closing what a crash cut off
//! - [`writer`]: writing them in batches without ever holding up a call
//! - [`visits`]: stays in the line and conversations, which reports count
//! - [`operators`]: the people who take calls, and whether they want calls now
//! - [`tips`]: which tips a caller heard
//! - [`promises`]: what is owed to customers, the attempts to keep it, and what they thought of it
//! - [`refusals`]: who is not to be called, what customers agreed to, robots that were stopped
//! - [`shop_events`]: what happened in the shop, until somebody has seen to it
//! - [`crm_writes`]: what is to be written into the CRM, and what came of it
//! - `batches`, `statements`: the queue before the database, and what is written of it

mod batches;
pub mod calls;
pub mod crm_writes;
mod lost;
pub mod operators;
pub mod promises;
pub mod refusals;
pub mod shop_events;
mod statements;
pub mod tips;
pub mod visits;
pub mod writer;

use std::sync::Arc;
use std::time::Duration;

pub use batches::WriterLimits;
pub use calls::{CallEvent, CallFilter, CallRecord};
pub use crm_writes::{CrmWriteEnd, PendingCrmWrite};
pub use lost::LostRecording;
pub use operators::{OperatorError, StoredOperator};
pub use promises::{
    AskedRecord, Change, PromiseFilter, PromiseRecord, PromiseStory, PromiseWriter, QueueFull,
    RatingFilter, RatingRecord, RobotCall, Stored,
};
pub use refusals::{Consent, Refusal};
pub use tips::TipHeard;
pub use visits::{ConversationRecord, VisitRecord};
pub use writer::CallWriter;

use tokio::sync::{Semaphore, mpsc};

use crate::config::DatabaseUrl;
use crate::database::{self, DatabaseError, Pool, on_pool, said_by};

/// How long [`Store::healthy`] waits.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// The database. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// Whose turn it is to ask whether the database takes writes.
    asking: Arc<Semaphore>,
}

impl Store {
    /// Opens the database and brings its tables up to date. A SQLite file is created when missing.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, DatabaseError> {
        Ok(Self { pool: database::open(url).await?, asking: Arc::new(Semaphore::new(1)) })
    }

    /// The connections, for the embedded CRM, whose tables live here.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Starts the task that writes call records. One per process.
    pub fn writer(&self) -> CallWriter {
        CallWriter::start(self.pool.clone(), WriterLimits::default())
    }

    /// Starts the task that stores promises and says on `safe` what is stored. One per process.
    pub fn promise_writer(&self, safe: mpsc::Sender<Stored>) -> PromiseWriter {
        PromiseWriter::start(self.pool.clone(), WriterLimits::default(), safe)
    }

    /// Writes something small; an error says in one line why nothing can be written. At most two
    /// seconds. While the database is locked a write waits longer than that; meanwhile no other is
    /// begun, so that those who ask never hold more than one connection.
    pub async fn healthy(&self) -> Result<(), String> {
        let (pool, asking) = (self.pool.clone(), Arc::clone(&self.asking));
        let write = async {
            // The semaphore is never closed.
            let turn = asking.acquire_owned().await;
            let write = tokio::spawn(async move {
                let _turn = turn;
                let sql = "insert into meta (name, value) values ('health', 'written') \
                           on conflict (name) do update set value = excluded.value";
                on_pool!(&pool, |pool| sqlx::query(sql).execute(pool).await.map(drop))
            });
            match write.await {
                Ok(written) => written.map_err(|error| said_by(&error)),
                Err(_) => Err("the server stops".to_owned()),
            }
        };
        if let Pool::Sqlite(pool) = &self.pool
            && let file = pool.connect_options().get_filename().to_owned()
            && !file.exists()
        {
            // The system still lets us write into the deleted file; nobody will ever read it.
            return Err(format!("{} is gone; restart allo to make a new one", file.display()));
        }
        match tokio::time::timeout(HEALTH_TIMEOUT, write).await {
            Ok(written) => written,
            Err(_) => Err("the database takes no write within two seconds".to_owned()),
        }
    }

    /// Ends all connections, after the queries under way.
    pub async fn close(&self) {
        on_pool!(&self.pool, |pool| pool.close().await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_was_deleted_is_not_healthy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("allo.db");
        let store = Store::open(&DatabaseUrl::Sqlite(file.clone())).await.unwrap();
        store.healthy().await.unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(store.healthy().await.unwrap_err().contains("is gone"));
    }
}
