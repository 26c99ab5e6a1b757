//! What the shop knows of a caller: points, orders, and whose client they are; and what a call
//! changes of that.
//!
//! - [`Crm`]: the questions that may be asked, and the changes that may be made
//! - [`change`]: what is written back
//! - [`embedded`]: tables of our own database, filled by `allo crm import`
//! - [`import`](mod@import): CSV files → the embedded tables, all or nothing
//! - [`sql`]: any SQLite or PostgreSQL database, by queries of the settings
//! - [`guarded`]: deadline, circuit breaker and a cap on lookups at once, around any of them
//! - [`breaker`]: the circuit breaker's states, without a clock
//! - [`fields`]: texts of CSV cells and SQL columns → values

use std::future::Future;
use std::pin::Pin;

use crate::database::said_by;
use crate::domain::{Customer, Order, PhoneNumber, Region, ShopEvent};

pub mod breaker;
pub mod change;
pub mod embedded;
pub mod fields;
pub mod guarded;
pub mod import;
pub mod sql;

pub use change::{CrmChange, CrmWrite};
pub use embedded::EmbeddedCrm;
pub use guarded::{Guarded, Guards};
pub use import::{ImportError, Imported, import};
pub use sql::SqlCrm;

/// An answer that is still to come. Dropping it cancels the question.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<T, CrmError>> + Send + 'a>>;

/// A source of customers and orders.
pub trait Crm: Send + Sync {
    /// All customers with this number, each with the orders of the number, newest first (by
    /// `updated`, then by number). Nobody is an empty list.
    fn customers<'a>(&'a self, phone: &'a PhoneNumber) -> Lookup<'a, Vec<Customer>>;

    /// The order with this number, as the caller typed or the shop wrote it: dashes, spaces and
    /// case make no difference.
    fn order<'a>(&'a self, number: &'a str) -> Lookup<'a, Option<Order>>;

    /// Changes something. A failure means that it may be tried again with the same id, except for
    /// [`CrmError::Refused`].
    fn write<'a>(&'a self, change: &'a CrmChange) -> Lookup<'a, ()>;

    /// What happened in the shop, as far as this CRM tells: none unless it says so itself. The same
    /// events may come again. Those that can't be understood are named in the log and left out.
    fn events(&self, region: Region) -> Lookup<'_, Vec<ShopEvent>> {
        let _ = region;
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Why the CRM gave no answer. Names no caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmError {
    #[error("{0}")]
    Failed(String),
    #[error("no answer within {deadline_ms} ms")]
    TooSlow { deadline_ms: u64 },
    #[error("not asked, because it failed just before")]
    Resting,
    /// A change that it will never make: trying again is of no use.
    #[error("{0}")]
    Refused(String),
}

impl From<sqlx::Error> for CrmError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(said_by(&error))
    }
}

/// Newest first: by `updated`, orders without it last; then by number, the higher first.
fn sort_newest_first(orders: &mut [Order]) {
    orders.sort_by(|a, b| b.updated.cmp(&a.updated).then_with(|| b.number.cmp(&a.number)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn the_newest_order_is_first() {
        let order = |number: &str, updated: Option<i64>| Order {
            number: number.into(),
            updated: updated.map(Timestamp),
            ..Order::default()
        };
        let mut orders =
            [order("9", None), order("1", Some(5)), order("2", Some(5)), order("3", Some(7))];
        sort_newest_first(&mut orders);
        assert_eq!(orders.map(|o| o.number), ["3", "2", "1", "9"]);
    }
}
