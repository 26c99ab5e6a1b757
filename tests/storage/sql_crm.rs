//! A CRM in a foreign database with a schema of its own.

use std::time::Duration;

use allo::config::{CrmSql, DatabaseUrl};
use allo::crm::{Crm, CrmError, SqlCrm};
use allo::domain::{Language, Money};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, PgConnection};

use crate::phone;
use crate::postgres::Postgres;

const DEADLINE: Duration = Duration::from_secs(4);

fn crm(url: DatabaseUrl, customers: &str, orders: &str, order: &str) -> SqlCrm {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let settings = CrmSql {
        url,
        customers: customers.into(),
        orders: text(orders),
        order: text(order),
        bonus: None,
        order_status: None,
        events: None,
        events_every: CrmSql::default_events_every(),
    };
    SqlCrm::new(&settings, DEADLINE).unwrap()
}

/// Every question, and what must come of it, on a shop's database with odd types.
async fn finds_ivan(crm: &SqlCrm) {
    let found = crm.customers(&phone("+79161234567")).await.unwrap();
    let [ivan] = &found[..] else { panic!("{found:?}") };
    assert_eq!(ivan.name.as_deref(), Some("Иван"));
    assert_eq!((ivan.points, ivan.vip), (Some(1254), true));
    assert_eq!(ivan.balance, Some(Money(234_150)));
    assert_eq!(ivan.card.as_deref(), Some("2200"));
    assert_eq!(ivan.language, Some(Language::Russian));
    assert_eq!((ivan.manager.as_ref(), ivan.timezone.as_ref()), (None, None));
    let orders: Vec<_> =
        ivan.orders.iter().map(|o| (o.number.as_str(), o.status.as_deref())).collect();
    assert_eq!(orders, [("48-15", Some("in-transit")), ("47", None)]);
    assert_eq!(ivan.orders[0].due, Some(jiff::civil::date(2026, 12, 1)));
    assert_eq!(ivan.orders[0].sum, Some(Money(459_050)));
    assert!(ivan.orders[0].updated > ivan.orders[1].updated);
    assert!(crm.customers(&phone("+79160000000")).await.unwrap().is_empty());
    let order = crm.order("4815").await.unwrap().unwrap();
    assert_eq!(order.status.as_deref(), Some("in-transit"));
    assert_eq!(crm.order("1").await, Ok(None));
    assert_eq!(crm.order("--").await, Ok(None));
}

const CUSTOMERS: &str = "select upper('x') as extra, cl.fio as \"Name\", bonus as points, lang as language,
    is_vip as vip, saldo as balance, card_no as card from clients cl where '+' || tel = $1 -- ours\n;";
const ORDERS: &str = "select code as number, state as status, due_on as due, total as sum, changed as updated \
    from docs where '+' || tel = $1";
const ORDER: &str = "select code as number, state as status from docs \
    where replace(upper(code), '-', '') = $1";

#[tokio::test]
async fn a_sqlite_shop_with_a_schema_of_its_own_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut shop = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(
        "create table clients (tel integer, fio text, bonus real, is_vip integer, saldo real,
             card_no integer, lang varchar(5));
         insert into clients values (79161234567, 'Иван', 1254.75, 1, 2341.5, 2200, 'ru-RU');
         create table docs (code text, tel text, state text, due_on date, total numeric, changed datetime);
         insert into docs values
             ('47', '79161234567', '', null, null, '2026-11-01 10:00:00'),
             ('48-15', '79161234567', 'IN_TRANSIT', '2026-12-01', 4590.5, '2026-11-20 10:00:00');",
    )
    .execute(&mut shop)
    .await
    .unwrap();
    finds_ivan(&crm(DatabaseUrl::Sqlite(file), CUSTOMERS, ORDERS, ORDER)).await;
}

#[tokio::test]
async fn a_postgres_shop_with_a_schema_of_its_own_is_understood() {
    let Some(server) = Postgres::start() else { return };
    let url = server.database("shop");
    let DatabaseUrl::Postgres(text) = &url else { panic!("PostgreSQL") };
    let mut shop = PgConnection::connect(text).await.unwrap();
    sqlx::raw_sql(
        "create type stage as enum ('NEW', 'IN_TRANSIT');
         create table clients (tel bigint, fio varchar, bonus numeric(12,2), is_vip boolean,
             saldo double precision, card_no smallint, lang char(5));
         insert into clients values (79161234567, 'Иван', 1254.75, true, 2341.5, 2200, 'ru');
         create table docs (code text, tel text, state stage, due_on date, total numeric(12,4),
             changed timestamptz);
         insert into docs values
             ('47', '79161234567', null, null, null, '2026-11-01 10:00:00+03'),
             ('48-15', '79161234567', 'IN_TRANSIT', '2026-12-01', 4590.5, '2026-11-20 10:00:00+03');",
    )
    .execute(&mut shop)
    .await
    .unwrap();
    finds_ivan(&crm(url.clone(), CUSTOMERS, ORDERS, ORDER)).await;

    // Nothing is written, not even by a query that tries.
    let writes = "with gone as (delete from clients returning *) select $1::text as name from gone";
    let answer = crm(url, writes, "", "").customers(&phone("+79161234567")).await;
    assert!(matches!(answer, Err(CrmError::Failed(_))), "{answer:?}");
}

#[tokio::test]
async fn a_file_that_is_gone_is_an_error_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let crm = crm(DatabaseUrl::Sqlite(file.clone()), "select name from c where phone = $1", "", "");
    let anna = phone("+79161112233");
    assert!(matches!(crm.customers(&anna).await, Err(CrmError::Failed(_))));
    assert!(!file.exists(), "not created");

    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut shop = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(
        "create table c (phone text, name text); insert into c values ('+79161112233', 'Анна');",
    )
    .execute(&mut shop)
    .await
    .unwrap();
    assert_eq!(crm.customers(&anna).await.unwrap()[0].name.as_deref(), Some("Анна"));
    std::fs::remove_file(&file).unwrap();
    let error = crm.customers(&anna).await.unwrap_err().to_string();
    assert!(error.contains("shop.db"), "{error}");
}

#[tokio::test]
async fn a_wrong_query_says_what_the_database_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap().close().await.unwrap();
    let crm = crm(DatabaseUrl::Sqlite(file), "select name from clients where phone = $1", "", "");
    let error = crm.customers(&phone("+79161112233")).await.unwrap_err().to_string();
    assert!(error.contains("no such table: clients"), "{error}");
}
