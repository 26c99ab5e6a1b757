//! The contract of the store.

use allo::config::DatabaseUrl;
use allo::domain::{
    CallFact, CallId, CallerId, CallerName, EndReason, EndedBy, Key, KeySource, Language,
    LineOutcome, Origin, RecordingId, RtpStatistics, Timestamp, Visit,
};
use allo::store::{CallFilter, Store};
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::{phone, sqlite};

pub const START: i64 = 1_795_255_200_000;

/// Ids that sort by their number, as UUIDv7 sort by time.
pub fn call(number: u128) -> CallId {
    CallId(Uuid::from_u128(number))
}

pub fn at(second: i64) -> Timestamp {
    Timestamp(START + second * 1000)
}

pub fn offered(caller: CallerId) -> CallFact {
    CallFact::Offered { dialled: "100".into(), caller, caller_name: None, plan: "a1b2".into() }
}

pub fn ended() -> CallFact {
    CallFact::Ended { by: EndedBy::Caller, reason: EndReason::HungUp }
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    contract(&sqlite(folder.path())).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let Some(server) = Postgres::start() else { return };
    contract(&server.database("contract")).await;
}

async fn contract(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    store.healthy().await.unwrap();
    a_call_is_read_as_it_was_written(&store).await;
    calls_are_listed_newest_first_and_filtered(&store).await;
    what_a_caller_sends_can_be_stored(&store).await;
    store.close().await;
    open_calls_of_a_dead_server_are_lost(url).await;
}

async fn a_call_is_read_as_it_was_written(store: &Store) {
    let writer = store.writer();
    let caller = CallerId::Number(phone("+79161112233"));
    let statistics = RtpStatistics {
        packets_sent: 500,
        packets_received: 480,
        jitter_ms: 1.5,
        ..Default::default()
    };
    let life = [
        offered(caller.clone()),
        CallFact::Answered,
        CallFact::Step { name: "main".into() },
        CallFact::Said {
            language: Language::Russian,
            recordings: vec![RecordingId::new("phrase/greeting")],
            text: "Здравствуйте!".into(),
            heard_ms: 240,
            is_cut: true,
        },
        CallFact::Key { key: Key::try_from('1').unwrap(), source: KeySource::Event },
        CallFact::LookedUp { what: "customer".into(), outcome: "found".into(), took_ms: 3 },
        ended(),
        CallFact::Rtp(statistics),
    ];
    for (second, fact) in (0..).zip(&life) {
        writer.record(call(1), at(second), fact.clone());
    }
    writer.flush().await;
    let calls = store.calls(&CallFilter::default()).await.unwrap();
    let [record] = &calls[..] else { panic!("one call: {calls:?}") };
    assert_eq!(record.id, call(1));
    assert_eq!((record.started, record.answered, record.ended), (at(0), Some(at(1)), Some(at(6))));
    assert_eq!(record.caller, caller);
    assert_eq!((record.dialled.as_str(), record.plan.as_str()), ("100", "a1b2"));
    assert_eq!(record.ended_by, Some(EndedBy::Caller));
    assert_eq!(record.end_reason, Some(EndReason::HungUp));
    assert_eq!(record.rtp, Some(statistics));
    let facts: Vec<CallFact> = record.events.iter().map(|event| event.fact.clone()).collect();
    assert_eq!(facts, life);
    assert_eq!(record.events[3].at, at(3));
    assert_eq!(writer.close(std::time::Duration::from_secs(10)).await, 0);
}

async fn calls_are_listed_newest_first_and_filtered(store: &Store) {
    let writer = store.writer();
    for number in 2..=5 {
        let caller = if number == 3 { CallerId::Anonymous } else { CallerId::Other("anna".into()) };
        writer.record(call(number), at(1_000 + number as i64), offered(caller));
        writer.record(call(number), at(1_100), ended());
    }
    writer.flush().await;
    let listed = async |filter: CallFilter| -> Vec<u128> {
        let calls = store.calls(&filter).await.unwrap();
        calls.iter().map(|call| call.id.0.as_u128()).collect()
    };
    assert_eq!(listed(CallFilter::default()).await, [5, 4, 3, 2, 1]);
    assert_eq!(listed(CallFilter { limit: 2, ..CallFilter::default() }).await, [5, 4]);
    let since = CallFilter { since: Some(at(1_004)), ..CallFilter::default() };
    assert_eq!(listed(since).await, [5, 4]);
    let until = CallFilter { until: Some(at(1_004)), ..CallFilter::default() };
    assert_eq!(listed(until).await, [3, 2, 1]);
    let caller = CallFilter { caller: Some("anonymous".into()), ..CallFilter::default() };
    assert_eq!(listed(caller).await, [3]);
    let one = CallFilter { id: Some(call(4)), events: false, ..CallFilter::default() };
    let calls = store.calls(&one).await.unwrap();
    assert!(calls[0].events.is_empty());
    assert_eq!(calls[0].caller, CallerId::Other("anna".into()));
    writer.close(std::time::Duration::from_secs(10)).await;
}

async fn what_a_caller_sends_can_be_stored(store: &Store) {
    let writer = store.writer();
    let odd = "x\0'; drop table calls; --\u{10FFFF}";
    writer.record(
        call(9),
        at(2_000),
        CallFact::Offered {
            dialled: odd.into(),
            caller: CallerId::Other(odd.into()),
            caller_name: CallerName::new(odd),
            plan: String::new(),
        },
    );
    writer.record(call(9), at(2_001), ended());
    writer.flush().await;
    let one = CallFilter { id: Some(call(9)), ..CallFilter::default() };
    let calls = store.calls(&one).await.unwrap();
    assert!(calls[0].dialled.contains("drop table"));
    let name = calls[0].caller_name.as_ref().map(CallerName::full);
    assert_eq!(name, Some("x\u{FFFD}'; drop table calls; --\u{10FFFF}"));
    assert_eq!(calls[0].events.len(), 2);
    writer.close(std::time::Duration::from_secs(10)).await;
}

/// As after `kill -9`: what was written is there, and nobody closed the calls.
async fn open_calls_of_a_dead_server_are_lost(url: &DatabaseUrl) {
    let dead = Store::open(url).await.unwrap();
    let writer = dead.writer();
    writer.record(call(20), at(3_000), offered(CallerId::Anonymous));
    writer.record(call(20), at(3_001), CallFact::Answered);
    writer.record(call(20), at(3_007), CallFact::Step { name: "main".into() });
    writer.record(call(21), at(3_008), offered(CallerId::Anonymous));
    writer.record(call(21), at(3_009), CallFact::Queued { group: "support".into() });
    writer.record(call(21), at(3_012), CallFact::Step { name: "main".into() });
    writer.flush().await;

    let store = Store::open(url).await.unwrap();
    assert_eq!(store.close_lost_calls(at(4_000), &[]).await.unwrap(), 2);
    assert_eq!(store.close_lost_calls(at(4_001), &[]).await.unwrap(), 0);
    let since = CallFilter { since: Some(at(3_000)), ..CallFilter::default() };
    let calls = store.calls(&since).await.unwrap();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call.end_reason, Some(EndReason::Lost));
        assert_eq!(call.ended_by, Some(EndedBy::Server));
        let last = call.events.last().unwrap();
        let (by, reason) = (EndedBy::Server, EndReason::Lost);
        assert_eq!((last.at, &last.fact), (at(4_000), &CallFact::Ended { by, reason }));
    }
    assert_eq!(calls[1].ended, Some(at(3_007)), "when it was last heard of");
    let visits = store.visits(at(3_000), at(4_000)).await.unwrap();
    let lost = Visit {
        group: "support".into(),
        origin: Origin::Called,
        entered: at(3_009),
        wait_ms: 3_000,
        outcome: LineOutcome::Lost,
        operator: None,
    };
    let [record] = &visits[..] else { panic!("one was in a line: {visits:?}") };
    assert_eq!((record.call, &record.visit), (call(21), &lost));
    let [.., left, _] = &calls[0].events[..] else { panic!("too short a life") };
    assert_eq!((left.at, &left.fact), (at(3_012), &CallFact::LeftLine(lost)));
}
