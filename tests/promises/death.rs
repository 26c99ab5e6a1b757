//! kill -9: nobody is forgotten, nobody is called more often than the plan allows.

use std::collections::BTreeSet;
use std::time::Duration;

use allo::domain::{CallOutcome, PromiseKind, PromiseState};
use allo::phone::{Ending, Script, Tally};
use allo::store::{PromiseFilter, PromiseStory};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::shop::{LATER, Shop, number, operator_and_customer_talk, presses, talks};
use crate::support::{eventually, hears};

/// Beginning at a minute of a rehearsal, so that second tries follow in time. Each run begins a while
/// after the one before.
fn clock(begins: &str) -> Vec<String> {
    ["--clock", begins, "--clock-speed", "60"].map(str::to_owned).to_vec()
}

const PARCEL: &str = r#"
    group "support" { wrap-up "0s" }
    robot "parcel" {
        when "parcel.arrived"; window "00:00-24:00"
        tries 2 every="1m"; at-once 20; per-second 40
        say "notice-hello"
        key "1" { say "goodbye" }
        key "9" { do-not-call }
    }
"#;
const CUSTOMERS: u32 = 72;
const FIRST: u32 = 4_400_000;
/// Every seventh customer is always busy, and so called twice.
const BUSY: u32 = 7;

fn arrivals() -> Value {
    let event = |n| json!({"event": "parcel.arrived", "phone": number(FIRST + n), "id": n});
    (0..CUSTOMERS).map(event).collect()
}

fn is_busy(n: u32) -> bool {
    n.is_multiple_of(BUSY)
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_go_on_after_kill_9_and_call_nobody_too_often() {
    let mut shop = Shop::open_with(PARCEL, &[], |setup| {
        setup.arguments = clock("2026-11-25T11:20:00+03:00");
        setup.settings.push_str("starts-per-second = 40\nmax-calls = 60\n");
    })
    .await;
    shop.provider.otherwise(presses("800ms,1")).await;
    for n in (0..CUSTOMERS).filter(|n| is_busy(*n)) {
        let busy = Script::refuses(486);
        shop.provider.on_call(&number(FIRST + n), [busy]).await;
    }
    assert_eq!(shop.tell(&arrivals()).await["new"], CUSTOMERS);
    // Some are over, some are up, some are still to be made.
    let some_are_over = |tally: &Tally| {
        let over =
            tally.calls.iter().filter(|call| call.talked() > Duration::ZERO && !call.is_up());
        (over.count() >= 8 && tally.up >= 8).then_some(())
    };
    shop.provider.until_within(LATER, some_are_over).await.unwrap();
    shop.house.server.kill().await;
    let died = Instant::now();
    let before = shop.provider.tally();
    assert!(before.times_by_number().len() < CUSTOMERS as usize, "it died in the middle");
    let served: BTreeSet<String> = before
        .calls
        .iter()
        .filter(|call| call.ended.is_some_and(|(at, why)| why == Ending::ByServer && at < died))
        .filter(|call| call.picked_up.is_some())
        .map(|call| call.number.clone())
        .collect();
    assert!(served.len() >= 8, "{}", served.len());

    shop.house.server.serve_with(clock("2026-11-25T12:20:00+03:00"));
    shop.house.server.launch().await;
    eventually("all promises are over", LATER, async || {
        let open = PromiseFilter { open: true, ..PromiseFilter::default() };
        shop.house.store.promises(&open).await.unwrap().is_empty().then_some(())
    })
    .await;
    let tally = shop.provider.tally();
    for PromiseStory { promise, attempts, .. } in shop.stories().await {
        let times = tally.times(promise.phone.as_str());
        let by_robot = 1..=2;
        assert!(by_robot.contains(&attempts.len()) && times <= attempts.len(), "{attempts:?}");
        assert!(times >= 1, "{promise:?} is forgotten");
        if served.contains(promise.phone.as_str()) {
            assert_eq!((times, promise.state), (1, PromiseState::Kept), "{promise:?}");
        }
        assert!(attempts.iter().all(|attempt| attempt.outcome.is_some()), "{attempts:?}");
    }
    let times = tally.times_by_number();
    assert_eq!(times.len(), CUSTOMERS as usize);
    for n in (0..CUSTOMERS).filter(|n| is_busy(*n)) {
        // An attempt that was stored, but not dialled before the end, counts.
        let phone = number(FIRST + n);
        let given_up = shop.promise(&phone, PromiseKind::Reminder, PromiseState::GivenUp).await;
        assert_eq!((shop.outcomes(&given_up).await.len(), times[&phone] <= 2), (2, true));
    }
    assert_eq!(shop.tell(&arrivals()).await["repeated"], CUSTOMERS);
    shop.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_promised_aloud_is_there_after_kill_9() {
    let plan = r#"
        group "support" { wrap-up "0s" }
        number "301" {
            promise "callback-ordered" due="30m" group="support"
            say "callback-30"
            hangup
        }
    "#;
    let mut shop = Shop::open(plan, &["anna"]).await;
    let phone = number(4_500_117);
    shop.provider.on_call(&phone, [talks("callback-ordered")]).await;
    let call = shop.house.server.call(&phone, "301").await;
    hears(&call, &["callback-30"]).await;
    shop.house.server.kill().await;
    call.pull_the_plug();
    let stories = shop.stories().await;
    let [story] = &stories[..] else { panic!("one promise: {stories:?}") };
    assert_eq!(story.promise.kind, PromiseKind::CallbackOrdered);
    assert_eq!((story.promise.phone.as_str(), story.attempts.len()), (phone.as_str(), 0));

    shop.house.server.launch().await;
    let anna = shop.quick_operator("anna").await;
    let talk = operator_and_customer_talk(&anna, &shop, &phone, 1).await;
    anna.hang_up(talk.desk).await;
    shop.promise(&phone, PromiseKind::CallbackOrdered, PromiseState::Kept).await;
    shop.books_agree().await;
    shop.is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_kill_9_cut_off_counts_and_one_in_which_they_talked_is_kept() {
    let plan = r#"
        group "support" { wrap-up "0s" }
        callback "callback-ordered" { tries 2 every="1m" }
        number "301" { promise "callback-ordered" due="3h" group="support"; hangup }
    "#;
    let mut shop = Shop::open_with(plan, &["anna"], |setup| {
        setup.arguments = clock("2026-11-25T13:00:00+03:00");
    })
    .await;
    let phone = number(4_500_204);
    shop.provider.on_call(&phone, [Script::rings(), talks("callback-ordered")]).await;
    let anna = shop.operator("anna").await;
    shop.house.server.call(&phone, "301").await.ended().await;
    let rings = shop.provider.nth_call(&phone, 1).await.unwrap();
    shop.house.server.kill().await;
    anna.die().await;
    assert!(rings.ended.is_none());

    shop.house.server.serve_with(clock("2026-11-25T13:30:00+03:00"));
    shop.house.server.launch().await;
    let kind = PromiseKind::CallbackOrdered;
    let waits = shop.promise(&phone, kind, PromiseState::Scheduled).await;
    assert_eq!(shop.outcomes(&waits).await, [CallOutcome::Failed]);
    let anna = shop.quick_operator("anna").await;
    let talk = operator_and_customer_talk(&anna, &shop, &phone, 2).await;
    shop.promise(&phone, kind, PromiseState::Talking).await;
    shop.house.server.kill().await;
    anna.die().await;
    assert!(talk.customer.ended.is_none());

    shop.house.server.serve_with(clock("2026-11-25T14:00:00+03:00"));
    shop.house.server.launch().await;
    let kept = shop.promise(&phone, kind, PromiseState::Kept).await;
    assert_eq!(kept.attempts, 2);
    let _anna = shop.operator("anna").await;
    assert_eq!(shop.provider.tally().times(&phone), 2);
    shop.is_whole().await;
}
