//! Call records, promises, operators and the CRM against real databases: the same contract on SQLite and on PostgreSQL.

mod crm_changes;
mod embedded_crm;
mod operators;
mod outbound;
mod postgres;
mod promises;
mod sql_crm;
mod store;
mod writer;

use std::path::Path;

use allo::config::DatabaseUrl;
use allo::domain::{PhoneNumber, Region};

fn sqlite(folder: &Path) -> DatabaseUrl {
    DatabaseUrl::Sqlite(folder.join("allo.db"))
}

fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text, Region::default()).unwrap()
}
