//! The clock of a rehearsal: what is promised on Friday evening is kept on Monday morning.

use allo::domain::{Promise, PromiseKind, PromiseState, Timestamp};
use allo::phone::{Desk, OnInvite};
use allo::store::CallFilter;

use crate::house::{hangs_up, over};
use crate::shop::{Shop, number, operator_and_customer_talk, talks};
use crate::support::hears;
use crate::support::server::get;

const SHOP: &str = r#"
    hours "shop" { open "mon-fri" "10:00-19:00" }
    group "support" {
        wrap-up "0s"
        missed after="1s" { promise "callback-missed" due="30m" group="support" }
    }
    number "304" {
        if "closed('shop')" {
            promise "callback-after-hours" due="next-opening+1h" group="support"
            say "callback-first-hour"
            hangup
        }
        queue "support"
    }
"#;

fn clock(begins: &str, speed: &str) -> Vec<String> {
    ["--clock", begins, "--clock-speed", speed].map(str::to_owned).to_vec()
}

fn moment(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp(moment.as_millisecond())
}

/// The server begins anew at another moment.
async fn begins_at(shop: &mut Shop, begins: &str, speed: &str) {
    shop.house.server.terminate().await;
    shop.house.server.serve_with(clock(begins, speed));
    shop.house.server.launch().await;
    let (_, health) = get(shop.house.server.web, "/health").await.unwrap();
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    let shown = moment(health["rehearsal"]["clock"].as_str().unwrap());
    assert!(shown >= moment(begins) && shown < moment(begins).plus_ms(3_600_000), "{health}");
    assert_eq!(health["rehearsal"]["speed"].to_string(), speed);
}

/// Anna calls the customer; when that was.
async fn called(
    shop: &Shop,
    anna: &Desk,
    phone: &str,
    kind: PromiseKind,
    state: PromiseState,
) -> (Promise, Timestamp) {
    let talk = operator_and_customer_talk(anna, shop, phone, 1).await;
    // Who is due soon after must wait for the next start.
    anna.on_invite(OnInvite::Refuse(486)).await;
    anna.hang_up(talk.desk).await;
    let promise = shop.promise(phone, kind, state).await;
    let stories = shop.stories().await;
    let story = stories.into_iter().find(|story| story.promise.id == promise.id).unwrap();
    (promise, story.attempts[0].at)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_called_on_friday_evening_is_called_back_on_monday_morning() {
    // Anna is logged in, but her phone is not there.
    let mut shop = Shop::open_with(SHOP, &["anna"], |setup| {
        setup.arguments = clock("2026-11-27T18:55:00+03:00", "1");
    })
    .await;
    let (early, late) = (number(3_030_901), number(3_030_902));
    shop.provider.on_call(&early, [talks("callback-missed")]).await;
    shop.provider.on_call(&late, [talks("callback-missed")]).await;
    let caller = shop.house.customer(3_030_901).await;
    hears(&caller, &["all-busy"]).await;
    hangs_up(caller).await;
    let kind = PromiseKind::CallbackMissed;
    let missed = shop.promise(&early, kind, PromiseState::Scheduled).await;
    let (ten, half_past) =
        (moment("2026-11-30T10:00:00+03:00"), moment("2026-11-30T10:30:00+03:00"));
    assert!(missed.rehearsal && (ten..half_past).contains(&missed.due), "{missed:?}");

    begins_at(&mut shop, "2026-11-27T19:07:00+03:00", "1").await;
    let mut caller = shop.house.server.call(&late, "304").await;
    hears(&caller, &["callback-first-hour"]).await;
    over(&mut caller).await;
    let kind = PromiseKind::CallbackAfterHours;
    let after_hours = shop.promise(&late, kind, PromiseState::Scheduled).await;
    assert_eq!(after_hours.due, moment("2026-11-30T11:00:00+03:00"));
    assert!(after_hours.next_at.is_some_and(|at| (ten..after_hours.due).contains(&at)));

    begins_at(&mut shop, "2026-11-30T09:59:00+03:00", "60").await;
    let anna = shop.quick_operator("anna").await;
    let (kind, kept) = (PromiseKind::CallbackMissed, PromiseState::Kept);
    let (missed, at) = called(&shop, &anna, &early, kind, kept).await;
    assert!((ten..=missed.due).contains(&at), "{missed:?} at {at:?}");

    // The calls of those who met a closed shop are spread over the hour; this is its last part.
    begins_at(&mut shop, "2026-11-30T10:44:00+03:00", "60").await;
    let anna = shop.quick_operator("anna").await;
    let kind = PromiseKind::CallbackAfterHours;
    let (after_hours, at) = called(&shop, &anna, &late, kind, kept).await;
    assert!((ten..=after_hours.due).contains(&at), "{after_hours:?} at {at:?}");
    shop.books_agree().await;
    let calls = shop.house.store.calls(&CallFilter::default()).await.unwrap();
    let friday = moment("2026-11-27T18:55:00+03:00");
    assert!(calls.iter().all(|call| call.rehearsal && call.started >= friday), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_between_two_runs_calls_nobody_twice() {
    let mut shop = Shop::open_with(SHOP, &["anna"], |setup| {
        setup.arguments = clock("2026-11-25T14:00:00+03:00", "1");
    })
    .await;
    let phone = number(3_030_915);
    shop.provider.on_call(&phone, [talks("callback-missed")]).await;
    let caller = shop.house.customer(3_030_915).await;
    hears(&caller, &["all-busy"]).await;
    hangs_up(caller).await;
    let kind = PromiseKind::CallbackMissed;
    let made = shop.promise(&phone, kind, PromiseState::Scheduled).await;
    for begins in ["2026-11-25T15:00:00+03:00", "2026-11-25T13:00:00+03:00"] {
        begins_at(&mut shop, begins, "1").await;
        let same = shop.promise(&phone, kind, PromiseState::Scheduled).await;
        assert_eq!((same.id, same.due), (made.id, made.due));
    }
    begins_at(&mut shop, "2026-11-25T15:05:00+03:00", "1").await;
    let anna = shop.quick_operator("anna").await;
    // It was due while nobody was there.
    called(&shop, &anna, &phone, kind, PromiseState::Broken).await;
    begins_at(&mut shop, "2026-11-25T13:00:00+03:00", "1").await;
    shop.promise(&phone, kind, PromiseState::Broken).await;
    shop.books_agree().await;
    assert_eq!(shop.provider.tally().times(&phone), 1);
}
