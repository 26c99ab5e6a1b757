//! The robot, and the human who follows a low rating.

use allo::domain::{CallOutcome, PromiseKind, PromiseState};
use allo::phone::{Desk, Script};
use allo::store::RatingFilter;

use crate::house::{hangs_up, over, picks_up, voice_of};
use crate::shop::{
    LATER, Shop, number, operator_and_customer_talk, picks_up as customer_picks_up, presses, talks,
};
use crate::support::{eventually, hears, key, russian};

const SURVEY: &str = r#"
    group "support" { wrap-up "0s" }
    survey "rating" {
        after "answered"; within "30m"; talk-at-least "0s"; window "00:00-24:00"
        no-more-than 5 per="7d"; tries 3 every="1m"
        keys "1-5" as="score"
        key "9" { do-not-call }
        below 4 { promise "callback-low-rating" due="30m" group="support" }
    }
"#;

/// A customer who calls and talks with Anna.
async fn converses(shop: &Shop, anna: &Desk, digits: u32) {
    let customer = shop.house.customer(digits).await;
    let call = picks_up(anna).await;
    hangs_up(customer).await;
    anna.ended(call).await.unwrap();
}

/// Hears the question, and presses a key.
fn rates(c: char) -> Script {
    let question = russian(&["rating-ask"]);
    let id = question[0].id.clone();
    customer_picks_up().listening_for(question).hear(id).press(key(c))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_rates_low_is_called_back_by_an_operator() {
    let shop = Shop::open(SURVEY, &["anna"]).await;
    let anna = shop.operator("anna").await;
    let phone = number(7_310_041);
    shop.provider.on_call(&phone, [rates('2'), talks("callback-low-rating")]).await;
    converses(&shop, &anna, 7_310_041).await;

    let asked = shop.promise(&phone, PromiseKind::RatingCall, PromiseState::Kept).await;
    assert_eq!(asked.about.rating, Some(2));
    let talk = operator_and_customer_talk(&anna, &shop, &phone, 2).await;
    assert!(talk.display.contains("оценка"), "{}", talk.display);
    let prompt = &talk.customer.heard[0];
    assert!(prompt.2, "the customer hears to its end who calls");
    assert!(talk.customer.tones_heard[0].1 >= prompt.1, "and then the operator");
    assert!(talk.customer.has_heard_tone(voice_of("anna")));
    anna.hang_up(talk.desk).await;
    shop.provider.ended(talk.customer.call).await.unwrap();

    let kept = shop.promise(&phone, PromiseKind::CallbackLowRating, PromiseState::Kept).await;
    assert_eq!((kept.about.call, kept.about.rating), (asked.about.call, Some(2)));
    assert_eq!(kept.group.as_deref(), Some("support"));
    let ratings = shop.house.store.ratings(&RatingFilter::default()).await.unwrap();
    let [rating] = &ratings[..] else { panic!("one rating: {ratings:?}") };
    assert_eq!(rating.rating.operator.as_ref().map(|login| login.as_str()), Some("anna"));
    assert_eq!(rating.rating.group.as_deref(), Some("support"));

    // Nobody is asked how the call about a rating was: the customer after that would be asked later.
    let next = number(7_310_042);
    shop.provider.on_call(&next, [rates('4')]).await;
    converses(&shop, &anna, 7_310_042).await;
    shop.promise(&next, PromiseKind::RatingCall, PromiseState::Kept).await;
    shop.books_agree().await;
    assert_eq!(shop.provider.tally().times(&phone), 2);
    assert_eq!(shop.stories().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_rates_high_is_not_called_back_and_who_wants_no_questions_is_not_asked_again() {
    let shop = Shop::open(SURVEY, &["anna"]).await;
    let anna = shop.operator("anna").await;
    let (content, tired, last) = (number(7_310_052), number(7_310_053), number(7_310_054));
    shop.provider.on_call(&content, [rates('5')]).await;
    shop.provider.on_call(&tired, [rates('9')]).await;
    shop.provider.on_call(&last, [rates('4')]).await;
    converses(&shop, &anna, 7_310_052).await;
    converses(&shop, &anna, 7_310_053).await;
    let asked = shop.promise(&content, PromiseKind::RatingCall, PromiseState::Kept).await;
    assert_eq!(asked.about.rating, Some(5));
    let refused = shop.promise(&tired, PromiseKind::RatingCall, PromiseState::Kept).await;
    assert_eq!(refused.about.rating, None);

    let refusals = shop.house.store.refusals(None).await.unwrap();
    let [refusal] = &refusals[..] else { panic!("one refusal: {refusals:?}") };
    assert_eq!(refusal.forbidden.phone.as_str(), tired);
    assert_eq!(refusal.forbidden.robot.as_deref(), Some("rating"));
    converses(&shop, &anna, 7_310_053).await;
    // When the customer after them was asked, they would have been.
    converses(&shop, &anna, 7_310_054).await;
    shop.promise(&last, PromiseKind::RatingCall, PromiseState::Kept).await;
    shop.books_agree().await;
    assert_eq!(shop.stories().await.len(), 3, "nobody is called back");
    let times = shop.provider.tally().times_by_number();
    assert_eq!(times.into_values().collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answering_machine_is_asked_once_more_and_then_left_alone() {
    let plan = SURVEY.replace("keys ", "say \"rating-ask\"; silence { hangup }; keys ");
    let shop = Shop::open_with(&plan, &["anna"], |setup| {
        // The second try follows after a second.
        let clock = ["--clock", "2026-11-24T12:40:00+03:00", "--clock-speed", "60"];
        setup.arguments = clock.map(str::to_owned).to_vec();
    })
    .await;
    let anna = shop.operator("anna").await;
    let phone = number(7_310_065);
    shop.provider.on_call(&phone, [customer_picks_up()]).await;
    converses(&shop, &anna, 7_310_065).await;
    let given_up = shop.promise(&phone, PromiseKind::RatingCall, PromiseState::GivenUp).await;
    let machine = CallOutcome::VoicemailSuspected;
    assert_eq!(shop.outcomes(&given_up).await, [machine, machine]);
    shop.books_agree().await;
    assert_eq!(shop.provider.tally().times(&phone), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rating_in_the_same_call_spares_the_robot_one() {
    let plan = SURVEY.replace("wrap-up \"0s\"", "wrap-up \"0s\"; afterwards { rate \"rating\" }");
    let shop = Shop::open(&plan, &["anna"]).await;
    let anna = shop.operator("anna").await;
    let (phone, other) = (number(7_310_076), number(7_310_077));
    let again = russian(&["callback-low-rating", "rate-same-call"]);
    let question = again[1].id.clone();
    let rates_again =
        talks("callback-low-rating").listening_for(again).hear(question).press(key('5'));
    shop.provider.on_call(&phone, [rates_again]).await;
    shop.provider.on_call(&other, [presses("2s,4")]).await;

    let mut customer = shop.house.customer(7_310_076).await;
    let call = picks_up(&anna).await;
    anna.hang_up(call).await;
    hears(&customer, &["rate-same-call"]).await;
    customer.press(key('3'), allo::phone::KeyBy::Event).await;
    over(&mut customer).await;
    let first = eventually("the rating is kept", LATER, async || {
        shop.house.store.ratings(&RatingFilter::default()).await.unwrap().pop()
    })
    .await;
    assert_eq!((first.rating.score, first.rating.promise), (3, None));
    assert_eq!(first.rating.call, Some(first.given_in));
    assert_eq!(first.rating.operator.map(|login| login.to_string()).as_deref(), Some("anna"));
    assert_eq!(first.rating.group.as_deref(), Some("support"));
    // Three is low: an operator calls.
    let talk = operator_and_customer_talk(&anna, &shop, &phone, 1).await;
    anna.hang_up(talk.desk).await;
    shop.provider.ended(talk.customer.call).await.unwrap();
    let kept = shop.promise(&phone, PromiseKind::CallbackLowRating, PromiseState::Kept).await;
    assert_eq!((kept.about.call, kept.about.rating), (first.rating.call, Some(3)));
    assert_eq!(kept.about.operator.map(|login| login.to_string()).as_deref(), Some("anna"));
    // The second rating is of the second conversation.
    let ratings = shop.house.store.ratings(&RatingFilter::default()).await.unwrap();
    let second = &ratings[1];
    assert_eq!((second.rating.score, second.rating.call), (5, Some(second.given_in)));

    // Who hangs up first is asked by the robot.
    converses(&shop, &anna, 7_310_077).await;
    shop.promise(&other, PromiseKind::RatingCall, PromiseState::Kept).await;
    shop.promises("only they are asked", PromiseKind::RatingCall, |promises| {
        (promises.len() == 1).then_some(())
    })
    .await;
}
