//! SIGTERM while calls are up.

use std::time::Duration;

use allo::domain::CallFact;
use allo::phone::{Call, Ending};
use allo::store::{CallFilter, CallRecord};
use tokio::time::Instant;

use crate::audio;
use crate::house::{House, SOON, customer_hears, hangs_up, over, picks_up, voice_of};
use crate::raw;
use crate::support::server::{Setup, get};
use crate::support::{eventually, hears};

const PLAN: &str = r#"
language "ru"
number "300" { queue "support" }
number "200" { say "greeting" "greeting" "greeting"; hangup }
group "support" { wrap-up "0s" }
"#;

/// A house with a conversation, and somebody who listens to a prompt.
async fn at_work(drain: &str) -> (House, allo::phone::Desk, Call, Call) {
    let settings = format!("[shutdown]\ndrain = \"{drain}\"\n");
    let setup = Setup { plan: PLAN.into(), settings, ..Setup::default() };
    let house = House::of_plan(&["anna"], setup).await;
    let anna = house.quick_desk("anna").await;
    let mut customer = house.customer(1).await;
    picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    let listener = house.server.call("+79160000002", "200").await;
    (house, anna, customer, listener)
}

/// What is there after the end: every call with its end and its reason.
async fn written(house: &House) -> Vec<CallRecord> {
    let calls = house.store.calls(&CallFilter::default()).await.unwrap();
    for call in &calls {
        assert!(call.ended.is_some(), "{call:?}");
        let ends = call.events.iter().filter(|e| matches!(e.fact, CallFact::Ended { .. })).count();
        assert_eq!(ends, 1, "{call:?}");
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_running_calls_finish_in_peace_and_new_ones_are_sent_elsewhere() {
    let (mut house, anna, customer, listener) = at_work("60s").await;
    house.server.signal(libc::SIGTERM);
    let told = audio::since();
    eventually("/health says so", SOON, async || {
        let (status, body) = get(house.server.web, "/health").await.ok()?;
        (status == 503 && body.contains("draining")).then_some(())
    })
    .await;
    let answer = raw::invite(house.server.sip, "200").await;
    assert!(answer.is_overload(), "{answer:?}");
    hears(&listener, &["greeting", "greeting", "greeting"]).await;
    let report = listener.ended().await;
    assert_eq!(report.ending(), Some(Ending::ByServer));
    assert_eq!(report.playout.report().lost, 0);
    audio::went_on(&customer, told, "a conversation while the server stops").await;
    hangs_up(customer).await;
    let status = house.server.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(written(&house).await.len(), 2);
    drop(anna);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_outlast_the_limit_are_hung_up() {
    let (mut house, _anna, mut customer, _listener) = at_work("2s").await;
    house.server.signal(libc::SIGTERM);
    let told = audio::since();
    assert_eq!(over(&mut customer).await, Ending::ByServer);
    let after = told.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_secs(6)).contains(&after), "{after:?}");
    assert!(house.server.ended().await.success());
    written(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_waits_for_nobody() {
    let (mut house, _anna, mut customer, mut listener) = at_work("60s").await;
    house.server.signal(libc::SIGTERM);
    eventually("/health says so", SOON, async || {
        get(house.server.web, "/health").await.ok()?.1.contains("draining").then_some(())
    })
    .await;
    house.server.signal(libc::SIGTERM);
    let hurried = Instant::now();
    assert_eq!(over(&mut customer).await, Ending::ByServer);
    assert_eq!(over(&mut listener).await, Ending::ByServer);
    assert!(house.server.ended().await.success());
    assert!(hurried.elapsed() < Duration::from_secs(8), "{:?}", hurried.elapsed());
    written(&house).await;
}
