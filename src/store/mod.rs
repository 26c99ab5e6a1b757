//! What lasts: SQLite or PostgreSQL.
//!
//! - [`database`]: opening, migrating, health
//! - [`calls`]: call records: reading them, closing those that a crash left open
//! - [`writer`]: call records: writing them in batches without ever holding up a call
//!
//! SQL text with `$1` works on both databases, so each query is written once and compiled for both
//! (`on_pool!`). Times are UTC milliseconds. The tables of the embedded CRM are migrated here too,
//! but only `crm` reads and writes them.

pub mod calls;
pub mod database;
pub mod writer;

pub use calls::{CallEvent, CallFilter, CallRecord};
pub use database::{Pool, Store, StoreError};
pub use writer::{CallWriter, WriterLimits};

/// Runs the same code on whichever pool there is; `begin` is the statement that starts a
/// transaction meant to write.
macro_rules! on_pool {
    ($pool:expr, |$p:ident| $body:expr) => {
        match $pool {
            $crate::store::Pool::Sqlite($p) => $body,
            $crate::store::Pool::Postgres($p) => $body,
        }
    };
    ($pool:expr, |$p:ident, $begin:ident| $body:expr) => {
        match $pool {
            $crate::store::Pool::Sqlite($p) => {
                // Takes the write lock at once: a transaction that reads first and writes later
                // can't wait for the lock, it fails.
                let $begin = "begin immediate";
                $body
            }
            $crate::store::Pool::Postgres($p) => {
                let $begin = "begin";
                $body
            }
        }
    };
}
use on_pool;
