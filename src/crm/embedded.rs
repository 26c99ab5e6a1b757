//! The embedded CRM: tables of our own database.

use sqlx::Row;

use super::fields::{order_digits, order_key};
use super::import::import_texts;
use super::{Crm, CrmChange, CrmError, CrmWrite, Lookup, fields, sort_newest_first};
use crate::database::{self, Pool, on_pool};
use crate::domain::{Customer, Money, Order, PhoneNumber, Region, Timestamp};
use crate::spreadsheet::Source;

/// The most customers that one number may have, and orders that are looked at; a number with more
/// is no customer's phone.
const ROWS_MAX: i64 = 100;

/// The sample data that a new house starts with.
pub(super) const SAMPLE_CUSTOMERS: &str = include_str!("sample/customers.csv");
pub(super) const SAMPLE_ORDERS: &str = include_str!("sample/orders.csv");

/// Reads a customer, without orders, from a row with all columns.
macro_rules! customer_of {
    ($row:expr) => {{
        let row = $row;
        let language = row.try_get::<Option<&str>, _>("language")?;
        Customer {
            name: row.try_get("name")?,
            points: row.try_get("points")?,
            vip: row.try_get("vip")?,
            manager: row.try_get("manager")?,
            language: language.and_then(|code| code.parse().ok()),
            balance: row.try_get::<Option<i64>, _>("balance")?.map(Money),
            card: row.try_get("card")?,
            timezone: row.try_get("timezone")?,
            orders: Vec::new(),
        }
    }};
}
pub(super) use customer_of;

/// Reads an order from a row with all columns.
macro_rules! order_of {
    ($row:expr) => {{
        let row = $row;
        Order {
            number: row.try_get("number")?,
            status: row.try_get("status")?,
            due: row.try_get::<Option<&str>, _>("due")?.and_then(|due| due.parse().ok()),
            sum: row.try_get::<Option<i64>, _>("sum")?.map(Money),
            updated: row.try_get::<Option<i64>, _>("updated_ms")?.map(Timestamp),
        }
    }};
}

/// Looks into the tables that `allo crm import` fills.
#[derive(Clone, Debug)]
pub struct EmbeddedCrm {
    pool: Pool,
    /// For lookups: callers are known while the database takes no writes.
    readers: Pool,
}

impl EmbeddedCrm {
    /// The tables must have been migrated.
    pub fn new(pool: Pool) -> Self {
        let readers = database::readers(&pool);
        Self { pool, readers }
    }

    /// Whether there is neither a customer nor an order.
    pub async fn is_empty(&self) -> Result<bool, CrmError> {
        let sql = "select (select count(*) from (select 1 from customers limit 1) as c) \
                   + (select count(*) from (select 1 from orders limit 1) as o)";
        let rows: i64 =
            on_pool!(&self.pool, |pool| sqlx::query_scalar(sql).fetch_one(pool).await?);
        Ok(rows == 0)
    }

    /// Fills in the sample customers and orders at the very first start: when the tables are empty
    /// and never had the sample. Returns whether it did.
    pub async fn fill_if_new(&self) -> Result<bool, CrmError> {
        if !self.is_empty().await? {
            return Ok(false);
        }
        let mark = "insert into meta (name, value) values ('crm-sample', 'filled') \
                    on conflict (name) do nothing";
        let marked =
            on_pool!(&self.pool, |pool| sqlx::query(mark).execute(pool).await?.rows_affected());
        if marked == 0 {
            return Ok(false);
        }
        let customers = Source::text("customers.csv", SAMPLE_CUSTOMERS);
        let orders = Source::text("orders.csv", SAMPLE_ORDERS);
        import_texts(&self.pool, Some(customers), Some(orders), Region::default())
            .await
            .map(|_| true)
            .map_err(|error| CrmError::Failed(error.to_string()))
    }

    async fn find_customers(&self, phone: &PhoneNumber) -> Result<Vec<Customer>, CrmError> {
        let customers_sql = "select * from customers where phone = $1 \
                             order by card, name limit $2";
        let orders_sql = "select * from orders where phone = $1 \
                          order by updated_ms is null, updated_ms desc, number desc limit $2";
        let phone = phone.as_str();
        let (mut customers, mut orders) = on_pool!(&self.readers, |pool| {
            let rows =
                sqlx::query(customers_sql).bind(phone).bind(ROWS_MAX).fetch_all(pool).await?;
            let customers = rows
                .iter()
                .map(|row| Ok(customer_of!(row)))
                .collect::<Result<Vec<_>, sqlx::Error>>()?;
            let rows = sqlx::query(orders_sql).bind(phone).bind(ROWS_MAX).fetch_all(pool).await?;
            let orders = rows
                .iter()
                .map(|row| Ok(order_of!(row)))
                .collect::<Result<Vec<_>, sqlx::Error>>()?;
            (customers, orders)
        });
        sort_newest_first(&mut orders);
        // Orders belong to the number; which of its customers made them is not known.
        for customer in &mut customers {
            customer.orders.clone_from(&orders);
        }
        Ok(customers)
    }

    /// By all letters and digits; else by the digits alone, if that means one order only: a caller
    /// who wants `A-1007` can type no more than 1007.
    async fn find_order(&self, number: &str) -> Result<Option<Order>, CrmError> {
        let key = order_key(number);
        if key.is_empty() {
            return Ok(None);
        }
        let sql = "select * from orders where number_key = $1 or number_digits = $2 limit $3";
        let mut orders = on_pool!(&self.readers, |pool| {
            let query = sqlx::query(sql).bind(&key).bind(order_digits(number)).bind(ROWS_MAX);
            let rows = query.fetch_all(pool).await?;
            rows.iter().map(|row| Ok(order_of!(row))).collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        sort_newest_first(&mut orders);
        if let Some(exact) = orders.iter().position(|order| order_key(&order.number) == key) {
            return Ok(Some(orders.swap_remove(exact)));
        }
        let typed_digits_only = key.bytes().all(|byte| byte.is_ascii_digit());
        Ok(if typed_digits_only && orders.len() == 1 { orders.pop() } else { None })
    }
}

/// Writing.
impl EmbeddedCrm {
    async fn make(&self, change: &CrmChange) -> Result<(), CrmError> {
        match &change.what {
            CrmWrite::Bonus { points, .. } => self.add_points(change, *points).await,
            CrmWrite::OrderStatus { order, status } => {
                let status =
                    fields::status(status.trim()).map_err(|why| CrmError::Refused(why.into()))?;
                match self.find_order(order).await? {
                    Some(order) => self.set_status(change, &order.number, &status).await,
                    None => Err(CrmError::Refused("there is no such order".to_owned())),
                }
            }
        }
    }

    /// Of several customers with this number the first one gets them, as the first one is spoken
    /// to.
    async fn add_points(&self, change: &CrmChange, points: i64) -> Result<(), CrmError> {
        let find = "select card, name from customers where phone = $1 order by card, name limit 1";
        let add = "update customers set points = coalesce(points, 0) + $2 where phone = $1 \
                   and card is not distinct from $3 and name is not distinct from $4";
        let phone = change.phone.as_str();
        on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            let mark = sqlx::query(MARK).bind(&change.id).execute(&mut *transaction).await?;
            if mark.rows_affected() == 0 {
                return Ok(());
            }
            let first: Option<(Option<String>, Option<String>)> =
                sqlx::query_as(find).bind(phone).fetch_optional(&mut *transaction).await?;
            let Some((card, name)) = first else {
                return Err(CrmError::Refused("no customer has this number".to_owned()));
            };
            let add = sqlx::query(add).bind(phone).bind(points).bind(card).bind(name);
            add.execute(&mut *transaction).await?;
            transaction.commit().await?;
        });
        Ok(())
    }

    async fn set_status(
        &self,
        change: &CrmChange,
        number: &str,
        status: &str,
    ) -> Result<(), CrmError> {
        let set = "update orders set status = $2, updated_ms = $3 where number = $1";
        on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            let mark = sqlx::query(MARK).bind(&change.id).execute(&mut *transaction).await?;
            if mark.rows_affected() == 0 {
                return Ok(());
            }
            let set = sqlx::query(set).bind(number).bind(status).bind(change.at.0);
            set.execute(&mut *transaction).await?;
            transaction.commit().await?;
        });
        Ok(())
    }
}

/// Nothing is changed if this changes nothing: it was done before.
const MARK: &str = "insert into crm_changes (id) values ($1) on conflict (id) do nothing";

impl Crm for EmbeddedCrm {
    fn customers<'a>(&'a self, phone: &'a PhoneNumber) -> Lookup<'a, Vec<Customer>> {
        Box::pin(self.find_customers(phone))
    }

    fn order<'a>(&'a self, number: &'a str) -> Lookup<'a, Option<Order>> {
        Box::pin(self.find_order(number))
    }

    fn write<'a>(&'a self, change: &'a CrmChange) -> Lookup<'a, ()> {
        Box::pin(self.make(change))
    }
}
