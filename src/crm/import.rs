//! CSV files → the embedded tables. All or nothing: with one bad row, nothing changes.
//!
//! `phone` is required, for orders also `number` and `status`.
//!
//! - Customers: the file is the truth about each phone number in it. All customers of such a number
//!   are replaced by the file's, so importing a file twice changes nothing, and several customers
//!   may share a number. Columns that the file does not have keep their values where it is clear
//!   whose they are (same card, else same name, else the only customer of the number).
//! - Orders: `number` is the key. Columns that the file does not have keep their values.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::{QueryBuilder, Row};

use super::embedded::{SAMPLE_CUSTOMERS, SAMPLE_ORDERS, customer_of};
use super::{CrmError, fields};
use crate::database::{Pool, on_pool};
use crate::domain::{Customer, Language, Money, Region};
use crate::spreadsheet::{BadRows, Line, Mistakes, Source, read_lines};
use rows::{CustomerRow, OrderRow};

/// Customers that may share one phone number.
const CUSTOMERS_PER_PHONE_MAX: usize = 100;
/// Rows in one statement; 9 columns stay below the 32,766 parameters of SQLite.
const ROWS_PER_STATEMENT: usize = 500;

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// Rows read from the file of customers.
    pub customers: usize,
    /// Rows read from the file of orders.
    pub orders: usize,
}

/// Why nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Rows(#[from] BadRows),
    #[error("nothing was imported: {0}")]
    Database(CrmError),
}

/// Imports one or both files in one transaction. Works while a server uses the same database.
/// Numbers are read as people of `region` write them.
pub async fn import(
    pool: &Pool,
    customers: Option<&Path>,
    orders: Option<&Path>,
    region: Region,
) -> Result<Imported, ImportError> {
    let mut mistakes = Mistakes::default();
    let customers = customers.and_then(|file| Source::read(file, &mut mistakes));
    let orders = orders.and_then(|file| Source::read(file, &mut mistakes));
    let parsed = Parsed::of(customers, orders, region, &mut mistakes);
    mistakes.none_or_error()?;
    parsed.store(pool).await.map_err(|error| ImportError::Database(error.into()))
}

/// The same for texts that were read already.
pub(super) async fn import_texts(
    pool: &Pool,
    customers: Option<Source>,
    orders: Option<Source>,
    region: Region,
) -> Result<Imported, ImportError> {
    let mut mistakes = Mistakes::default();
    let parsed = Parsed::of(customers, orders, region, &mut mistakes);
    mistakes.none_or_error()?;
    parsed.store(pool).await.map_err(|error| ImportError::Database(error.into()))
}

/// Reads texts as [`import`] does, and keeps nothing.
pub(crate) fn check(
    customers: Option<Source>,
    orders: Option<Source>,
    region: Region,
) -> Result<(), BadRows> {
    let mut mistakes = Mistakes::default();
    Parsed::of(customers, orders, region, &mut mistakes);
    mistakes.none_or_error()
}

/// The rows of both files, all of them good.
struct Parsed {
    customers: Vec<CustomerRow>,
    customer_columns: BTreeSet<&'static str>,
    orders: Vec<OrderRow>,
    order_columns: BTreeSet<&'static str>,
}

impl Parsed {
    fn of(
        customers: Option<Source>,
        orders: Option<Source>,
        region: Region,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut parsed = Self {
            customers: Vec::new(),
            customer_columns: BTreeSet::new(),
            orders: Vec::new(),
            order_columns: BTreeSet::new(),
        };
        if let Some(source) = customers {
            let rows = &mut parsed.customers;
            let mut seen = BTreeMap::new();
            let mut of_phone: BTreeMap<String, usize> = BTreeMap::new();
            let each = |line: &Line<'_>, mistakes: &mut Mistakes| {
                let Some(row) = CustomerRow::read(line, region, mistakes) else { return };
                let count = of_phone.entry(row.phone.clone()).or_default();
                *count += 1;
                if *count > CUSTOMERS_PER_PHONE_MAX {
                    line.mistake("phone", "more than 100 customers have this number", mistakes);
                }
                let who = (row.phone.clone(), row.customer.card.clone(), row.customer.name.clone());
                if let Some(first) = seen.insert(who, line.number) {
                    let message = format!("the same phone, card and name as in line {first}");
                    line.mistake("phone", &message, mistakes);
                }
                rows.push(row);
            };
            let known = &fields::CUSTOMER_COLUMNS;
            parsed.customer_columns = read_lines(&source, known, &["phone"], mistakes, each);
        }
        if let Some(source) = orders {
            let rows = &mut parsed.orders;
            let mut seen = BTreeMap::new();
            let each = |line: &Line<'_>, mistakes: &mut Mistakes| {
                let Some(row) = OrderRow::read(line, region, mistakes) else { return };
                if let Some(first) = seen.insert(row.number.clone(), line.number) {
                    line.mistake("number", &format!("the same as in line {first}"), mistakes);
                }
                rows.push(row);
            };
            let (known, required) = (&fields::ORDER_COLUMNS, ["number", "phone", "status"]);
            parsed.order_columns = read_lines(&source, known, &required, mistakes, each);
        }
        // A number's customers stay together, so that a chunk replaces all of them.
        parsed.customers.sort_by(|a, b| a.phone.cmp(&b.phone));
        parsed
    }

    async fn store(mut self, pool: &Pool) -> Result<Imported, sqlx::Error> {
        let complete = self.customer_columns.len() == fields::CUSTOMER_COLUMNS.len();
        on_pool!(pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            for rows in chunks_of_whole_phones(&mut self.customers) {
                let phones: BTreeSet<&str> = rows.iter().map(|row| row.phone.as_str()).collect();
                let phones: Vec<String> = phones.into_iter().map(str::to_owned).collect();
                if !complete {
                    let mut query = QueryBuilder::new("select * from customers where phone in (");
                    let mut list = query.separated(", ");
                    for phone in &phones {
                        list.push_bind(phone);
                    }
                    query.push(")");
                    let old = query.build().persistent(false).fetch_all(&mut *transaction).await?;
                    let old = old
                        .iter()
                        .map(|row| {
                            let phone = row.try_get("phone")?;
                            Ok(CustomerRow { phone, customer: customer_of!(row) })
                        })
                        .collect::<Result<Vec<_>, sqlx::Error>>()?;
                    keep_what_the_file_lacks(rows, &old, &self.customer_columns);
                }
                let mut query = QueryBuilder::new("delete from customers where phone in (");
                let mut list = query.separated(", ");
                for phone in &phones {
                    list.push_bind(phone);
                }
                query.push(")");
                query.build().persistent(false).execute(&mut *transaction).await?;
                let mut query = QueryBuilder::new(
                    "insert into customers \
                     (phone, name, points, vip, manager, language, balance, card, timezone) ",
                );
                query.push_values(rows.iter(), |mut values, row| {
                    values
                        .push_bind(&row.phone)
                        .push_bind(&row.customer.name)
                        .push_bind(row.customer.points)
                        .push_bind(row.customer.vip)
                        .push_bind(&row.customer.manager)
                        .push_bind(row.customer.language.map(Language::code))
                        .push_bind(row.customer.balance.map(|money| money.0))
                        .push_bind(&row.customer.card)
                        .push_bind(&row.customer.timezone);
                });
                query.build().persistent(false).execute(&mut *transaction).await?;
            }
            for number in sample_orders_of(&self.customers) {
                let forget = sqlx::query("delete from orders where number = $1").bind(number);
                forget.execute(&mut *transaction).await?;
            }
            let on_conflict = update_orders(&self.order_columns);
            for rows in self.orders.chunks(ROWS_PER_STATEMENT) {
                let mut query = QueryBuilder::new(
                    "insert into orders \
                     (number, number_key, number_digits, phone, status, due, sum, updated_ms) ",
                );
                query.push_values(rows, |mut values, row| {
                    values
                        .push_bind(&row.number)
                        .push_bind(fields::order_key(&row.number))
                        .push_bind(fields::order_digits(&row.number))
                        .push_bind(&row.phone)
                        .push_bind(&row.status)
                        .push_bind(row.due.map(|due| due.to_string()))
                        .push_bind(row.sum.map(|money| money.0))
                        .push_bind(row.updated.map(|at| at.0));
                });
                query.push(&on_conflict);
                query.build().persistent(false).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(Imported { customers: self.customers.len(), orders: self.orders.len() })
    }
}

/// Slices of rows sorted by phone, none of which divides a phone's customers.
fn chunks_of_whole_phones(rows: &mut [CustomerRow]) -> impl Iterator<Item = &mut [CustomerRow]> {
    let mut count = 0;
    rows.chunk_by_mut(move |a, b| {
        count += 1;
        let divide = count >= ROWS_PER_STATEMENT && a.phone != b.phone;
        if divide {
            count = 0;
        }
        !divide
    })
}

fn keep_what_the_file_lacks(
    rows: &mut [CustomerRow],
    old: &[CustomerRow],
    columns: &BTreeSet<&'static str>,
) {
    let mut of_phone: BTreeMap<&str, Vec<&CustomerRow>> = BTreeMap::new();
    for row in old {
        of_phone.entry(&row.phone).or_default().push(row);
    }
    for rows in rows.chunk_by_mut(|a, b| a.phone == b.phone) {
        let Some(old) = of_phone.get(rows[0].phone.as_str()) else { continue };
        let alone = rows.len() == 1 && old.len() == 1;
        for row in rows {
            let new = &row.customer;
            let same_card =
                |old: &&&CustomerRow| new.card.is_some() && new.card == old.customer.card;
            let same_name =
                |old: &&&CustomerRow| new.name.is_some() && new.name == old.customer.name;
            let found = old.iter().find(same_card).or_else(|| old.iter().find(same_name));
            if let Some(old) = found.or(old.first().filter(|_| alone)) {
                row.keep_from(old, columns);
            }
        }
    }
}

/// The numbers of sample orders that would be told to imported customers as theirs. The sample
/// itself brings its orders along afterwards.
fn sample_orders_of(customers: &[CustomerRow]) -> Vec<String> {
    let sample = |text: &str| -> Vec<(String, String)> {
        let mut lines = text.lines().map(|line| line.split(','));
        lines.next();
        lines.filter_map(|mut c| Some((c.next()?.to_owned(), c.next()?.to_owned()))).collect()
    };
    debug_assert!(SAMPLE_CUSTOMERS.starts_with("phone,"));
    sample(SAMPLE_ORDERS)
        .into_iter()
        .filter(|(_, phone)| customers.binary_search_by(|row| row.phone.cmp(phone)).is_ok())
        .map(|(number, _)| number)
        .collect()
}

fn update_orders(columns: &BTreeSet<&'static str>) -> String {
    let stored = |column: &str| if column == "updated" { "updated_ms" } else { column }.to_owned();
    let updates: Vec<String> = columns
        .iter()
        .filter(|column| **column != "number")
        .map(|column| format!("{0} = excluded.{0}", stored(column)))
        .collect();
    format!(" on conflict (number) do update set {}", updates.join(", "))
}

#[cfg(test)]
mod tests;
