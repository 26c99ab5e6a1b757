//! The contract of who is not to be called, of stopped robots, of events of the shop, and of what is
//! written into the CRM.

use std::collections::BTreeSet;

use allo::config::DatabaseUrl;
use allo::domain::{DoNotCall, ShopEvent};
use allo::store::{CrmWriteEnd, Store};

use crate::postgres::Postgres;
use crate::promises::writer;
use crate::store::{at, call};
use crate::{phone, sqlite};

#[tokio::test]
async fn sqlite_keeps_refusals_events_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    contract(&sqlite(folder.path())).await;
}

#[tokio::test]
async fn postgres_keeps_refusals_events_and_writes() {
    let Some(server) = Postgres::start() else { return };
    contract(&server.database("outbound")).await;
}

async fn contract(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    refusals_last_and_changes_from_outside_are_seen(&store).await;
    stopped_robots_stay_stopped(&store).await;
    events_wait_until_they_were_taken(&store).await;
    writes_are_audited(&store).await;
    store.close().await;
}

fn forbidden(number: &str, robot: Option<&str>) -> DoNotCall {
    DoNotCall { phone: phone(number), robot: robot.map(str::to_owned) }
}

async fn refusals_last_and_changes_from_outside_are_seen(store: &Store) {
    let (writer, _said) = writer(store);
    let anna = forbidden("+79161112233", Some("rating"));
    let source = || "key 9 in a call".to_owned();
    writer.forbid(anna.clone(), source(), at(0)).unwrap();
    writer.forbid(anna.clone(), source(), at(0)).unwrap();
    writer.consent(phone("+79161112233"), "a callback: key 1".into(), at(1)).unwrap();
    writer.flush().await;
    assert_eq!(store.do_not_call().await.unwrap(), BTreeSet::from([anna.clone()]));
    assert_eq!(store.outbound_revision().await.unwrap(), 0, "the server knows");

    let everybody = [anna.clone(), forbidden("+79162223344", None)];
    let imported = everybody.clone().map(|entry| (entry, "import".to_owned()));
    assert_eq!(store.forbid(&imported, at(2)).await.unwrap(), 1);
    assert_eq!(store.outbound_revision().await.unwrap(), 1);
    assert_eq!(store.do_not_call().await.unwrap(), everybody.clone().into());
    let refusals = store.refusals(None).await.unwrap();
    assert_eq!((refusals[0].source.as_str(), refusals[0].at), ("key 9 in a call", at(0)));

    assert!(store.allow(&anna, "command line", at(3)).await.unwrap());
    assert!(!store.allow(&anna, "command line", at(4)).await.unwrap());
    assert_eq!(store.outbound_revision().await.unwrap(), 3);
    assert_eq!(store.refusals(Some(&anna.phone)).await.unwrap(), []);
    let register = store.consents(Some(&anna.phone)).await.unwrap();
    let said: Vec<&str> = register.iter().map(|entry| entry.said.as_str()).collect();
    let expected = [
        "no calls by rating any more: key 9 in a call",
        "a callback: key 1",
        "no calls by rating any more: import",
        "calls by rating again: command line",
    ];
    assert_eq!(said, expected, "never changed, only added to");
    assert_eq!(store.consents(None).await.unwrap().len(), 5);
}

async fn stopped_robots_stay_stopped(store: &Store) {
    let before = store.outbound_revision().await.unwrap();
    assert!(store.set_robot_stopped("low-balance", true, at(5)).await.unwrap());
    assert!(!store.set_robot_stopped("low-balance", true, at(6)).await.unwrap());
    let stopped = store.stopped_robots().await.unwrap();
    assert_eq!(stopped, [("low-balance".to_owned(), at(5))].into());
    assert!(store.set_robot_stopped("low-balance", false, at(7)).await.unwrap());
    assert!(store.stopped_robots().await.unwrap().is_empty());
    assert_eq!(store.outbound_revision().await.unwrap(), before + 3);
}

async fn events_wait_until_they_were_taken(store: &Store) {
    let event = |key: &str| ShopEvent {
        key: key.into(),
        name: "balance.low".into(),
        phone: phone("+79161112233"),
        values: [("balance".to_owned(), "40.5".to_owned())].into(),
    };
    let (b, a, c) = (event("b"), event("a"), event("c"));
    let first = [b.clone(), a.clone(), b.clone()];
    assert_eq!(store.add_shop_events(&first, "api", at(0)).await.unwrap(), (2, 1));
    assert_eq!(store.add_shop_events(&[a.clone(), c.clone()], "csv", at(1)).await.unwrap(), (1, 1));
    let pending = || store.pending_shop_events(10);
    assert_eq!(pending().await.unwrap(), [b.clone(), a.clone(), c.clone()], "as they came");
    assert_eq!(store.pending_shop_events(1).await.unwrap(), std::slice::from_ref(&b));
    let (writer, _said) = writer(store);
    writer.event_taken("b".into(), at(2)).unwrap();
    writer.event_taken("no such event".into(), at(2)).unwrap();
    writer.flush().await;
    assert_eq!(pending().await.unwrap(), [a, c]);
    // Taken, but not forgotten.
    assert_eq!(store.add_shop_events(&[b], "api", at(3)).await.unwrap(), (0, 1));
}

async fn writes_are_audited(store: &Store) {
    let (writer, _said) = writer(store);
    for what in ["one", "two"] {
        writer.crm_write(call(1), phone("+79161112233"), what.into(), at(0)).unwrap();
    }
    writer.flush().await;
    let pending = || store.pending_crm_writes(10);
    let found = pending().await.unwrap();
    let [one, two] = &found[..] else { panic!("{found:?}") };
    assert_eq!((one.what.as_str(), one.call, one.at, one.tries), ("one", call(1), at(0), 0));
    store.crm_write_ended(&one.id, CrmWriteEnd::Done, at(1)).await.unwrap();
    store.crm_write_ended(&two.id, CrmWriteEnd::Again("away"), at(1)).await.unwrap();
    let found = pending().await.unwrap();
    assert_eq!((found.len(), found[0].id.as_str(), found[0].tries), (1, two.id.as_str(), 1));
    store.crm_write_ended(&two.id, CrmWriteEnd::Failed("no such order"), at(2)).await.unwrap();
    assert!(pending().await.unwrap().is_empty());
}
