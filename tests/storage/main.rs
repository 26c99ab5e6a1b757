//! Call records and the CRM against real databases: the same contract on SQLite and on PostgreSQL.

mod embedded_crm;
mod postgres;
mod sql_crm;
mod store;
mod writer;

use std::path::Path;

use allo::config::DatabaseUrl;
use allo::crm::Pool as CrmPool;
use allo::domain::{PhoneNumber, Region};
use allo::store::{Pool, Store};

fn sqlite(folder: &Path) -> DatabaseUrl {
    DatabaseUrl::Sqlite(folder.join("allo.db"))
}

/// The store's connections for the CRM, as the app passes them on.
fn crm_pool(store: &Store) -> CrmPool {
    match store.pool() {
        Pool::Sqlite(pool) => CrmPool::Sqlite(pool.clone()),
        Pool::Postgres(pool) => CrmPool::Postgres(pool.clone()),
    }
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text, Region::default()).unwrap()
}
