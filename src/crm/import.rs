//! CSV files → the embedded tables. All or nothing: with one bad row, nothing changes.
//!
//! Columns are found by the names in the first line, in any order; `phone` is required, for orders
//! also `number` and `status`. The separator may be a comma, a semicolon or a tab.
//!
//! - Customers: the file is the truth about each phone number in it. All customers of such a number
//!   are replaced by the file's, so importing a file twice changes nothing, and several customers
//!   may share a number. Columns that the file does not have keep their values where it is clear
//!   whose they are (same card, else same name, else the only customer of the number).
//! - Orders: `number` is the key. Columns that the file does not have keep their values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use jiff::civil::Date;
use sqlx::{QueryBuilder, Row};

use super::embedded::{SAMPLE_CUSTOMERS, SAMPLE_ORDERS};
use super::{CrmError, fields};
use crate::config::nearest;
use crate::database::{Pool, on_pool};
use crate::domain::{Language, Money, PhoneNumber, Region, Timestamp};

/// Bad rows that are named; more are counted.
const NAMED_MAX: usize = 100;
/// The largest file, bytes.
const FILE_MAX: u64 = 512 << 20;
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
    /// The files are wrong: every bad row, to a limit; then how many more there are.
    #[error("{}", lines(errors, *more))]
    Rows { errors: Vec<RowError>, more: usize },
    #[error("nothing was imported: {0}")]
    Database(CrmError),
}

/// One mistake in a file. Never repeats the value, which may be a customer's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RowError {
    pub file: PathBuf,
    /// From 1, the header included; `None`: the file as a whole.
    pub line: Option<u64>,
    /// Name of the column.
    pub column: Option<String>,
    pub message: String,
}

/// `customers.csv:7: points: not a whole number`
impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ": {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

fn lines(errors: &[RowError], more: usize) -> String {
    let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if more > 0 {
        lines.push(format!("and {more} more mistakes"));
    }
    lines.push("nothing was imported".to_owned());
    lines.join("\n")
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

#[derive(Default)]
struct Mistakes {
    named: Vec<RowError>,
    more: usize,
}

impl Mistakes {
    fn add(&mut self, file: &Path, line: Option<u64>, column: Option<&str>, message: String) {
        if self.named.len() == NAMED_MAX {
            self.more += 1;
            return;
        }
        let (file, column) = (file.to_owned(), column.map(str::to_owned));
        self.named.push(RowError { file, line, column, message });
    }

    fn none_or_error(self) -> Result<(), ImportError> {
        match self.named.is_empty() {
            true => Ok(()),
            false => Err(ImportError::Rows { errors: self.named, more: self.more }),
        }
    }
}

/// A file and its text.
pub(super) struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn text(name: &str, text: &str) -> Self {
        Self { file: name.into(), text: text.to_owned() }
    }

    fn read(file: &Path, mistakes: &mut Mistakes) -> Option<Self> {
        match Self::read_text(file) {
            Ok(text) => Some(Self { file: file.to_owned(), text }),
            Err((line, message)) => {
                mistakes.add(file, line, None, message);
                None
            }
        }
    }

    fn read_text(file: &Path) -> Result<String, (Option<u64>, String)> {
        let unreadable = |error: std::io::Error| (None, format!("can't be read: {error}"));
        if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_MAX {
            return Err((None, "larger than 512 MB; split it".to_owned()));
        }
        let bytes = std::fs::read(file).map_err(unreadable)?;
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err((None, "is UTF-16; save it as \"CSV UTF-8\"".to_owned()));
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let hint = "not UTF-8 (perhaps Windows-1251); save it as \"CSV UTF-8\"".to_owned();
            (u64::try_from(line).ok(), hint)
        })
    }
}

/// A row of a file, with its columns by name.
struct Line<'a> {
    file: &'a Path,
    number: u64,
    columns: &'a BTreeMap<&'static str, usize>,
    record: &'a StringRecord,
}

impl Line<'_> {
    /// The trimmed text of a cell; `None` if it is empty or there is no such column.
    fn text(&self, column: &str) -> Option<&str> {
        let text = self.record.get(*self.columns.get(column)?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn mistake(&self, column: &str, message: &str, mistakes: &mut Mistakes) {
        mistakes.add(self.file, Some(self.number), Some(column), message.to_owned());
    }

    /// The value of a cell; a cell that can't be read is noted and counts as empty.
    fn value<T>(
        &self,
        column: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        match read(self.text(column)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.mistake(column, message, mistakes);
                None
            }
        }
    }

    /// The same for a cell that must not be empty.
    fn required<T>(
        &self,
        column: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        if self.text(column).is_none() {
            self.mistake(column, "empty", mistakes);
        }
        self.value(column, read, mistakes)
    }
}

/// Calls `row` for each line of a source; returns the columns it has. Mistakes of header and
/// structure are noted.
fn read_lines(
    source: &Source,
    known: &'static [&'static str],
    required: &[&str],
    mistakes: &mut Mistakes,
    mut row: impl FnMut(&Line<'_>, &mut Mistakes),
) -> BTreeSet<&'static str> {
    let Source { file, text } = source;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = match records.next() {
        Some(Ok(header)) => header,
        Some(Err(_)) | None => {
            mistakes.add(file, None, None, "empty; the first line names the columns".to_owned());
            return BTreeSet::new();
        }
    };
    let columns = read_header(file, &header, known, required, mistakes);
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map(csv::Position::line);
                mistakes.add(file, line, None, "can't be read as CSV".to_owned());
                break;
            }
        };
        let number = line_of(text, &record);
        if record.len() != header.len() {
            let quote = match record.iter().any(|field| field.contains('\n')) {
                true => "; perhaps a quote \" is opened and never closed",
                false => "",
            };
            let (fields, columns) = (record.len(), header.len());
            let message = format!("{fields} fields, but {columns} columns{quote}");
            mistakes.add(file, Some(number), None, message);
            continue;
        }
        row(&Line { file, number, columns: &columns, record: &record }, mistakes);
    }
    columns.into_keys().collect()
}

/// The line that a record begins on. The reader tells where it began to look, which is before any
/// empty lines.
fn line_of(text: &str, record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let from = usize::try_from(position.byte()).unwrap_or(0);
    let empty = text.as_bytes().get(from..).into_iter().flatten();
    let skipped = empty.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + skipped.filter(|&&byte| byte == b'\n').map(|_| 1).sum::<u64>()
}

/// The separator that the first line has most of.
fn separator(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |separator: u8| header.bytes().filter(|&byte| byte == separator).count();
    // `max_by_key` takes the last of equals: a comma, unless there is something else.
    [b'\t', b';', b','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

fn read_header(
    file: &Path,
    header: &StringRecord,
    known: &'static [&'static str],
    required: &[&str],
    mistakes: &mut Mistakes,
) -> BTreeMap<&'static str, usize> {
    let mut columns = BTreeMap::new();
    for (index, name) in header.iter().enumerate() {
        let lower = name.trim().to_lowercase();
        let Some(name) = known.iter().copied().find(|known| *known == lower) else {
            let hint = match nearest(&lower, known.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("known columns: {}", known.join(", ")),
            };
            mistakes.add(file, Some(1), Some(name.trim()), format!("unknown column; {hint}"));
            continue;
        };
        if columns.insert(name, index).is_some() {
            mistakes.add(file, Some(1), Some(name), "this column is there twice".to_owned());
        }
    }
    for name in required.iter().filter(|name| !columns.contains_key(*name)) {
        mistakes.add(file, Some(1), Some(name), "this column is missing".to_owned());
    }
    columns
}

#[derive(Clone, Debug, Default, PartialEq)]
struct CustomerRow {
    phone: String,
    name: Option<String>,
    points: Option<i64>,
    vip: bool,
    manager: Option<String>,
    language: Option<Language>,
    balance: Option<Money>,
    card: Option<String>,
    timezone: Option<String>,
}

impl CustomerRow {
    fn read(line: &Line<'_>, region: Region, mistakes: &mut Mistakes) -> Option<Self> {
        let row = Self {
            phone: String::new(),
            name: line.value("name", fields::short_text, mistakes),
            points: line.value("points", fields::whole_number, mistakes),
            vip: line.value("vip", fields::yes_or_no, mistakes).unwrap_or(false),
            manager: line.value("manager", fields::short_text, mistakes),
            language: line.value("language", fields::language, mistakes),
            balance: line.value("balance", fields::money, mistakes),
            card: line.value("card", fields::short_text, mistakes),
            timezone: line.value("timezone", fields::timezone, mistakes),
        };
        let phone = line.required("phone", |text| phone(text, region), mistakes)?;
        Some(Self { phone: phone.as_str().to_owned(), ..row })
    }

    /// Takes over what the file has no column for.
    fn keep_from(&mut self, old: &Self, columns: &BTreeSet<&'static str>) {
        let keep = |column| !columns.contains(column);
        if keep("name") {
            self.name.clone_from(&old.name);
        }
        if keep("points") {
            self.points = old.points;
        }
        if keep("vip") {
            self.vip = old.vip;
        }
        if keep("manager") {
            self.manager.clone_from(&old.manager);
        }
        if keep("language") {
            self.language = old.language;
        }
        if keep("balance") {
            self.balance = old.balance;
        }
        if keep("card") {
            self.card.clone_from(&old.card);
        }
        if keep("timezone") {
            self.timezone.clone_from(&old.timezone);
        }
    }
}

fn phone(text: &str, region: Region) -> Result<PhoneNumber, &'static str> {
    let number = PhoneNumber::parse(text, region).ok_or("not a phone number")?;
    match number.has_possible_length() {
        true => Ok(number),
        false => Err("a digit is missing or one too many"),
    }
}

#[derive(Clone, Debug)]
struct OrderRow {
    number: String,
    phone: String,
    status: Option<String>,
    due: Option<Date>,
    sum: Option<Money>,
    updated: Option<Timestamp>,
}

impl OrderRow {
    fn read(line: &Line<'_>, region: Region, mistakes: &mut Mistakes) -> Option<Self> {
        let number = line.required("number", fields::short_text, mistakes);
        let phone = line.required("phone", |text| phone(text, region), mistakes);
        let status = line.value("status", fields::status, mistakes);
        let due = line.value("due", fields::date, mistakes);
        let sum = line.value("sum", fields::money, mistakes);
        let updated = line.value("updated", fields::moment, mistakes);
        let (number, phone) = (number?, phone?.as_str().to_owned());
        if fields::order_key(&number).is_empty() {
            line.mistake("number", "holds neither letter nor digit", mistakes);
        }
        Some(Self { number, phone, status, due, sum, updated })
    }
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
                let who = (row.phone.clone(), row.card.clone(), row.name.clone());
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
                            let language = row.try_get::<Option<&str>, _>("language")?;
                            Ok(CustomerRow {
                                phone: row.try_get("phone")?,
                                name: row.try_get("name")?,
                                points: row.try_get("points")?,
                                vip: row.try_get("vip")?,
                                manager: row.try_get("manager")?,
                                language: language.and_then(|code| code.parse().ok()),
                                balance: row.try_get::<Option<i64>, _>("balance")?.map(Money),
                                card: row.try_get("card")?,
                                timezone: row.try_get("timezone")?,
                            })
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
                        .push_bind(&row.name)
                        .push_bind(row.points)
                        .push_bind(row.vip)
                        .push_bind(&row.manager)
                        .push_bind(row.language.map(Language::code))
                        .push_bind(row.balance.map(|money| money.0))
                        .push_bind(&row.card)
                        .push_bind(&row.timezone);
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
    for customer in old {
        of_phone.entry(&customer.phone).or_default().push(customer);
    }
    for customers in rows.chunk_by_mut(|a, b| a.phone == b.phone) {
        let Some(old) = of_phone.get(customers[0].phone.as_str()) else { continue };
        let alone = customers.len() == 1 && old.len() == 1;
        for customer in customers {
            let same_card =
                |old: &&&CustomerRow| customer.card.is_some() && customer.card == old.card;
            let same_name =
                |old: &&&CustomerRow| customer.name.is_some() && customer.name == old.name;
            let found = old.iter().find(same_card).or_else(|| old.iter().find(same_name));
            if let Some(old) = found.or(old.first().filter(|_| alone)) {
                customer.keep_from(old, columns);
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
