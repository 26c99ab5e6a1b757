//! The database is locked by another process, or away.

use std::time::Duration;

use allo::domain::{CallFact, PromiseKind, PromiseState};
use allo::phone::{Desk, Ending};
use allo::store::{CallFilter, CallRecord, PromiseFilter, Store};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::audio;
use crate::house::{CUSTOMER_HZ, House, SOON, customer_hears, hangs_up, over, picks_up, voice_of};
use crate::postgres::Postgres;
use crate::process::Process;
use crate::shop::number;
use crate::support::server::{Server, Setup, get};
use crate::support::{did_not_hear, eventually, heard};

/// Longer than a connection waits for SQLite's lock (10 s), so that writes fail and are tried again.
const LOCKED: Duration = Duration::from_secs(12);
/// What a server may need more while nothing can be written, kB.
const MORE_MEMORY_KB: u64 = 60_000;

const PLAN: &str = r#"
language "ru"
timezone "Europe/Moscow"
number "300" { queue "support" }
number "200" {
    lookup "customer" wait="300ms" deadline="2s" {
        filler "one-moment"
        unavailable { say "crm-unavailable"; hangup }
    }
    if "customer.found" { say "points-are" "{customer.points:points}" } else { say "customer-unknown" }
    hangup
}
number "202" { say "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" }
number "301" {
    promise "callback-ordered" due="3h" group="support"
    say "callback-30"
    hangup
}
group "support" { wrap-up "0s" }
"#;
const CUSTOMERS: &str = "points,phone,name\n300,+79035550143,Ирина\n";
const KNOWN: &str = "+79035550143";

async fn locked(server: &Server) -> SqliteConnection {
    let file = SqliteConnectOptions::new().filename(server.path("allo.db"));
    let mut other = SqliteConnection::connect_with(&file).await.unwrap();
    sqlx::raw_sql("begin exclusive").execute(&mut other).await.unwrap();
    other
}

/// What `/metrics` says of one figure.
async fn figure(server: &Server, name: &str) -> f64 {
    let (_, page) = get(server.web, "/metrics").await.unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

/// A customer talks with an operator and hangs up.
async fn is_served(house: &House, desk: &Desk, login: &str, digits: u32) {
    let mut customer = house.customer(digits).await;
    let phone = picks_up(desk).await;
    customer_hears(&mut customer, voice_of(login)).await;
    desk.hears_tone(phone, CUSTOMER_HZ).await.unwrap();
    hangs_up(customer).await;
    desk.ended(phone).await.unwrap();
}

/// A caller is promised nothing while nothing can be stored, and hears so.
async fn is_not_told_of_a_promise(server: &Server, from: &str) {
    let mut call = server.call(from, "301").await;
    assert_eq!(over(&mut call).await, Ending::ByServer);
    let playout = call.ended().await.playout;
    heard(&playout, &["sorry-error"]);
    did_not_hear(&playout, "callback-30");
}

async fn knows_its_caller(server: &Server) {
    let mut call = server.call(KNOWN, "200").await;
    over(&mut call).await;
    heard(&call.ended().await.playout, &["points-are"]);
}

fn is_whole(call: &CallRecord) -> bool {
    let has = |is_it: fn(&CallFact) -> bool| call.events.iter().any(|event| is_it(&event.fact));
    has(|fact| matches!(fact, CallFact::Offered { .. }))
        && has(|fact| matches!(fact, CallFact::Answered))
        && has(|fact| matches!(fact, CallFact::Ended { .. }))
        && call.ended.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_process_locks_the_database_callers_are_served_and_nothing_is_lost() {
    let setup = Setup { plan: PLAN.into(), customers: CUSTOMERS.into(), ..Setup::default() };
    let mut house = House::of_plan(&["anna", "boris"], setup).await;
    let (anna, boris) = (house.quick_desk("anna").await, house.quick_desk("boris").await);
    let mut customer = house.customer(1).await;
    let phone = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    house.until_state("boris", "ready").await;
    let process = Process(house.server.process_id());
    let before_kb = process.rss_kb();

    let lock = locked(&house.server).await;
    let began = audio::since();
    // Whoever watches asks again and again, and waits for no answer.
    let web = house.server.web;
    let watching = tokio::spawn(async move {
        loop {
            tokio::spawn(tokio::time::timeout(Duration::from_secs(1), get(web, "/health")));
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    let mut calls = 1;
    is_not_told_of_a_promise(&house.server, &number(9_100_001)).await;
    // A wish of an operator is not forgotten either.
    let pause = boris.dial("*46").await;
    boris.ended(pause).await.unwrap();
    house.until_state("boris", "paused").await;
    let back = boris.dial("*46").await;
    boris.ended(back).await.unwrap();
    house.until_state("boris", "ready").await;
    while began.elapsed() < LOCKED {
        knows_its_caller(&house.server).await;
        is_served(&house, &boris, "boris", 10 + calls).await;
        calls += 2;
    }
    let logout = boris.dial("*45").await;
    boris.ended(logout).await.unwrap();
    house.until_state("boris", "offline").await;
    audio::went_on(&customer, began, "a conversation while the database is locked").await;
    let (status, body) = get(web, "/health").await.unwrap();
    assert_eq!(status, 503);
    assert!(body.contains("database"), "{body}");
    assert!(figure(&house.server, "allo_facts_waiting").await > f64::from(calls));
    let more_kb = process.rss_kb().saturating_sub(before_kb);
    assert!(more_kb < MORE_MEMORY_KB, "{more_kb} kB");
    watching.abort();

    drop(lock);
    hangs_up(customer).await;
    anna.ended(phone).await.unwrap();
    let all = calls as usize + 1;
    house
        .records("all calls are whole", |records| {
            (records.iter().filter(|call| is_whole(call)).count() >= all).then_some(())
        })
        .await;
    eventually("the server is healthy", SOON, async || {
        (get(web, "/health").await.ok()?.0 == 200).then_some(())
    })
    .await;
    eventually("nothing waits", SOON, async || {
        (figure(&house.server, "allo_facts_waiting").await == 0.0).then_some(())
    })
    .await;
    // It was stored in the end, and nobody is forgotten.
    let promises = house.store.promises(&PromiseFilter::default()).await.unwrap();
    let [kept] = &promises[..] else { panic!("one promise: {promises:?}") };
    assert_eq!(kept.promise.kind, PromiseKind::CallbackOrdered);
    assert_eq!(kept.promise.state, PromiseState::Scheduled);
    let log = house.server.log();
    let told = log.lines().filter(|line| line.contains(" WARN ")).count();
    assert!(told < 40, "{told} warnings:\n{log}");
    house.server.terminate().await;
    house.server.launch().await;
    house.until_state("boris", "offline").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_server_is_away_calls_go_on_and_are_written_down_afterwards() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database("allo");
    let setup = Setup {
        plan: PLAN.into(),
        customers: CUSTOMERS.into(),
        database: postgres.url("allo"),
        ..Setup::default()
    };
    let mut server = Server::start(setup).await;
    knows_its_caller(&server).await;
    let listens = server.call(&number(1), "202").await;
    postgres.go_away();
    let began = audio::since();
    let mut polite = 0;
    while began.elapsed() < Duration::from_secs(6) {
        let mut call = server.call(KNOWN, "200").await;
        over(&mut call).await;
        let heard = heard(&call.ended().await.playout, &["crm-unavailable"]);
        assert!(heard[0].at_ms < 5_000, "{heard:?}");
        polite += 1;
    }
    is_not_told_of_a_promise(&server, &number(9_100_002)).await;
    audio::went_on(&listens, began, "a call while the database is away").await;
    let (status, body) = get(server.web, "/health").await.unwrap();
    assert!(status == 503 && body.contains("database"), "{body}");

    postgres.come_back();
    hangs_up(listens).await;
    eventually("the server is healthy", 3 * SOON, async || {
        (get(server.web, "/health").await.ok()?.0 == 200).then_some(())
    })
    .await;
    let store = Store::open(&database).await.unwrap();
    let all = 1 + 1 + polite + 1;
    eventually("all calls are whole", 3 * SOON, async || {
        let filter = CallFilter { limit: 1_000, ..CallFilter::default() };
        let calls = store.calls(&filter).await.unwrap();
        (calls.iter().filter(|call| is_whole(call)).count() == all).then_some(())
    })
    .await;
    assert_eq!(store.promises(&PromiseFilter::default()).await.unwrap().len(), 1);
    // The breaker rests for five seconds at most.
    eventually("callers are known again", 2 * SOON, async || {
        let mut call = server.call(KNOWN, "200").await;
        over(&mut call).await;
        let playout = call.ended().await.playout;
        let known = crate::support::russian(&["points-are"]);
        allo::phone::contains_in_order(playout.samples(), &known).ok().map(drop)
    })
    .await;
    server.terminate().await;
}
