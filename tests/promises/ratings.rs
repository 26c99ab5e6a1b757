//! The robot, and the human who follows a low rating.

use allo::domain::{PromiseKind, PromiseState};
use allo::phone::Script;
use std::time::Duration;

use crate::house::{hangs_up, picks_up};
use crate::shop::{LATER, Shop, presses};

const SURVEY: &str = r#"
    group "support" { wrap-up "0s" }
    survey "rating" {
        after "answered"; within "30m"; talk-at-least "0s"; window "00:00-24:00"
        no-more-than 1 per="7d"; tries 2 every="1m"
        keys "1-5" as="score"
        key "9" { do-not-call }
        below 4 { promise "callback-low-rating" due="30m" group="support" }
    }
"#;
const CUSTOMER: &str = "+79160000001";

#[tokio::test(flavor = "multi_thread")]
async fn who_rates_low_is_called_back_by_an_operator() {
    let shop = Shop::open(SURVEY, &["anna"]).await;
    let anna = shop.house.quick_desk("anna").await;
    let second = Script::picks_up(Duration::from_millis(200));
    shop.provider.on_call(CUSTOMER, [presses("2s,2"), second]).await;
    shop.house.until_state("anna", "ready").await;

    let customer = shop.house.customer(1).await;
    picks_up(&anna).await;
    hangs_up(customer).await;

    let kept = |kind| {
        let shop = &shop;
        async move {
            shop.promises(&format!("{kind} is kept"), kind, |promises| {
                promises.iter().find(|p| p.state == PromiseState::Kept).cloned()
            })
            .await
        }
    };
    let asked = kept(PromiseKind::RatingCall).await;
    assert_eq!(asked.about.rating, Some(2));
    let call = picks_up(&anna).await;
    let invite = shop.provider.nth_call(CUSTOMER, 2).await.unwrap();
    let _ = tokio::time::timeout(
        LATER,
        anna.in_call(call, |what| matches!(what, allo::phone::PhoneEvent::FirstAudio)),
    )
    .await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    anna.hang_up(call).await;
    shop.provider.ended(invite.call).await.unwrap();
    kept(PromiseKind::CallbackLowRating).await;
    assert_eq!(shop.provider.tally().times(CUSTOMER), 2);
}
