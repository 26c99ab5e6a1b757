//! What calls change in a CRM, and what a CRM tells of the shop.

use std::time::Duration;

use allo::config::{CrmSql, DatabaseUrl};
use allo::crm::{Crm, CrmChange, CrmError, CrmWrite, EmbeddedCrm, SqlCrm};
use allo::domain::Region;
use allo::store::Store;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, PgConnection};

use crate::postgres::Postgres;
use crate::store::at;
use crate::{phone, sqlite};

const DEADLINE: Duration = Duration::from_secs(4);

fn bonus(id: &str, number: &str, points: i64) -> CrmChange {
    let what = CrmWrite::Bonus { points, reason: "долгое ожидание".into() };
    CrmChange { id: id.into(), phone: phone(number), at: at(0), what }
}

fn status(id: &str, order: &str, status: &str) -> CrmChange {
    let what = CrmWrite::OrderStatus { order: order.into(), status: status.into() };
    CrmChange { id: id.into(), phone: phone("+79161234567"), at: at(0), what }
}

fn is_refused(answer: &Result<(), CrmError>) -> bool {
    matches!(answer, Err(CrmError::Refused(_)))
}

#[tokio::test]
async fn the_embedded_crm_makes_each_change_once() {
    let folder = tempfile::tempdir().unwrap();
    makes_each_change_once(&sqlite(folder.path())).await;
    let Some(server) = Postgres::start() else { return };
    makes_each_change_once(&server.database("changes")).await;
}

async fn makes_each_change_once(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    let crm = EmbeddedCrm::new(store.pool().clone());
    assert!(crm.fill_if_new().await.unwrap());
    let sergey = phone("+79031234567");
    let before = crm.customers(&sergey).await.unwrap().remove(0);
    let points = before.points.unwrap();
    for _ in 0..2 {
        crm.write(&bonus("a", sergey.as_str(), 50)).await.unwrap();
    }
    crm.write(&bonus("b", sergey.as_str(), -20)).await.unwrap();
    let after = crm.customers(&sergey).await.unwrap().remove(0);
    assert_eq!(after.points, Some(points + 30));
    assert!(is_refused(&crm.write(&bonus("c", "+79160000000", 50)).await));
    // Two share a number: the first of them is spoken to, and gets the points.
    crm.write(&bonus("shared", "+79105550202", 7)).await.unwrap();
    let both = crm.customers(&phone("+79105550202")).await.unwrap();
    assert_eq!((both[0].points, both[1].points), (Some(1_261), Some(301)));

    let order = before.orders[0].number.clone();
    crm.write(&status("d", &order, "CONFIRMED")).await.unwrap();
    let found = crm.order(&order).await.unwrap().unwrap();
    assert_eq!((found.status.as_deref(), found.updated), (Some("confirmed"), Some(at(0))));
    assert!(is_refused(&crm.write(&status("e", "no-such-order-0", "confirmed")).await));
    // What was refused may be asked for again.
    assert!(is_refused(&crm.write(&bonus("c", "+79160000000", 50)).await));
    assert_eq!(crm.events(Region::default()).await, Ok(Vec::new()));
}

fn sql_crm(url: DatabaseUrl, writes: bool) -> SqlCrm {
    let text = |text: &str| writes.then(|| text.to_owned());
    let settings = CrmSql {
        url,
        customers: "select name from clients where tel = $1".into(),
        orders: None,
        order: None,
        bonus: text(
            "insert into gifts (id, tel, points, why) values ($4, $1, $2, $3) \
            on conflict (id) do nothing;",
        ),
        order_status: text("update docs set state = $3 where code = $2"),
        events: text(
            "select number as ID, what as event, tel as phone, code as order_no, saldo \
            from happened order by number",
        ),
        events_every: CrmSql::default_events_every(),
    };
    SqlCrm::new(&settings, DEADLINE).unwrap()
}

const SHOP: &str = "create table gifts (id text primary key, tel text, points integer, why text);
    create table docs (code text, state text);
    insert into docs values ('48-15', 'new');
    create table happened (number integer, what text, tel text, code text, saldo numeric);
    insert into happened values (1, 'order.ready', '+79161234567', '48-15', null),
        (2, 'order.ready', 'not a number', '47', null),
        (null, 'order.ready', '+79161234567', '46', null),
        (4, 'balance.low', '8 916 123-45-67', null, 40.5);";

/// Every change and question, on a shop's own database.
async fn changes_and_tells(crm: &SqlCrm) {
    for _ in 0..2 {
        crm.write(&bonus("a", "+79161234567", 50)).await.unwrap();
    }
    crm.write(&status("b", "48-15", "confirmed")).await.unwrap();
    assert!(is_refused(&crm.write(&status("c", "no such", "confirmed")).await));
    let events = crm.events(Region::default()).await.unwrap();
    let told: Vec<_> = events.iter().map(|e| (e.key.as_str(), e.phone.as_str())).collect();
    let ivan = "+79161234567";
    assert_eq!(told, [("order.ready:1", ivan), ("balance.low:4", ivan)], "the others are junk");
    assert_eq!(events[0].values["order_no"], "48-15");
    assert_eq!(events[1].values["saldo"], "40.5");
    assert_eq!(events[0].values.len(), 1);
}

#[tokio::test]
async fn a_sqlite_shop_is_changed_and_tells_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut shop = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(SHOP).execute(&mut shop).await.unwrap();
    let url = DatabaseUrl::Sqlite(file);
    changes_and_tells(&sql_crm(url.clone(), true)).await;
    let gifts: Vec<(i64, String)> =
        sqlx::query_as("select points, why from gifts").fetch_all(&mut shop).await.unwrap();
    assert_eq!(gifts, [(50, "долгое ожидание".to_owned())]);

    let silent = sql_crm(url, false);
    let answer = silent.write(&bonus("z", "+79161234567", 50)).await;
    assert_eq!(answer, Err(CrmError::Refused("[crm.sql] has no bonus".into())));
    assert_eq!(silent.events(Region::default()).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_postgres_shop_is_changed_and_tells_what_happened() {
    let Some(server) = Postgres::start() else { return };
    let url = server.database("shop");
    let DatabaseUrl::Postgres(text) = &url else { panic!("PostgreSQL") };
    let mut shop = PgConnection::connect(text).await.unwrap();
    sqlx::raw_sql(SHOP).execute(&mut shop).await.unwrap();
    changes_and_tells(&sql_crm(url.clone(), true)).await;
    let state: String = sqlx::query_scalar("select state from docs where code = '48-15'")
        .fetch_one(&mut shop)
        .await
        .unwrap();
    assert_eq!(state, "confirmed");
}
