//! Callers who are called back instead of waiting: they lose no place, win none, and are never called
//! twice.

use allo::domain::{CallFact, LineOutcome, PromiseKind, PromiseState};
use allo::phone::{Call, Desk, DeskCall, Script};

use crate::house::{CUSTOMER_HZ, SOON, hangs_up, over, picks_up};
use crate::shop::{Shop, number, talks};
use crate::support::{eventually, hears, key, russian};

const LINE: &str = r#"
    group "support" { wrap-up "0s"; offer-callback key="1"; keep-place "3m" }
    callback "callback-from-line" { WAY }
"#;
const FIRST: u32 = 2_600_010;

/// The customer with this place in the line calls, and has it.
async fn comes(shop: &Shop, place: u32) -> Call {
    let call = shop.house.customer(FIRST + place).await;
    shop.house
        .records(&format!("{place} is in the line"), |calls| {
            let facts = calls.last()?.events.iter();
            facts.map(|e| &e.fact).any(|fact| matches!(fact, CallFact::Queued { .. })).then_some(())
        })
        .await;
    call
}

/// Leaves the line for a callback.
async fn orders_a_callback(mut call: Call) {
    call.press(key('1'), allo::phone::KeyBy::Event).await;
    hears(&call, &["callback-number"]).await;
    call.press(key('1'), allo::phone::KeyBy::Event).await;
    hears(&call, &["callback-promised"]).await;
    over(&mut call).await;
}

/// Anna's phone is called because of the customer with this place.
async fn serves(anna: &Desk, place: u32) -> DeskCall {
    let invite = anna.next_invite().await.unwrap();
    assert_eq!(invite.from, Some(number(FIRST + place)));
    anna.hears_tone(invite.call, CUSTOMER_HZ).await.unwrap();
    invite.call
}

/// Five wait; the third takes a callback, the fourth hangs up and calls again.
async fn five_wait(way: &str, customer: Script) {
    let shop = Shop::open(&LINE.replace("WAY", way), &["anna"]).await;
    let anna = shop.operator("anna").await;
    let third = number(FIRST + 3);
    shop.provider.on_call(&third, [customer]).await;
    let talking = shop.house.customer(FIRST).await;
    let busy = picks_up(&anna).await;
    let mut line = Vec::new();
    for place in 1..=5 {
        line.push(comes(&shop, place).await);
    }
    let (fifth, fourth, of_third) = (line.pop().unwrap(), line.pop().unwrap(), line.pop().unwrap());
    orders_a_callback(of_third).await;
    hangs_up(fourth).await;
    let fourth = comes(&shop, 4).await;

    hangs_up(talking).await;
    anna.ended(busy).await.unwrap();
    for (place, call) in (1..).zip(line) {
        let talk = serves(&anna, place).await;
        hangs_up(call).await;
        anna.ended(talk).await.unwrap();
    }
    let talk = serves(&anna, 3).await;
    anna.hang_up(talk).await;
    for (place, call) in [(4, fourth), (5, fifth)] {
        let talk = serves(&anna, place).await;
        hangs_up(call).await;
        anna.ended(talk).await.unwrap();
    }
    let kept = shop.promise(&third, PromiseKind::CallbackFromLine, PromiseState::Kept).await;
    assert!(kept.place.is_some());
    shop.books_agree().await;
    assert_eq!(shop.provider.tally().times(&third), 1);
    let outcomes = shop
        .house
        .records("the fourth was answered", |calls| {
            let theirs = calls.iter().filter(|call| {
                call.caller.number().is_some_and(|phone| phone.as_str() == number(FIRST + 4))
            });
            let visits = theirs.flat_map(|call| &call.events).filter_map(|e| match &e.fact {
                CallFact::LeftLine(visit) => Some(visit.outcome),
                _ => None,
            });
            let outcomes: Vec<LineOutcome> = visits.collect();
            (outcomes.len() == 2).then_some(outcomes)
        })
        .await;
    assert_eq!(outcomes, [LineOutcome::Abandoned, LineOutcome::Answered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_callback_is_served_in_turn() {
    five_wait("way \"operator-first\"", talks("callback-ordered")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_callback_is_served_in_turn_also_when_dialled_before_the_operator() {
    let press = russian(&["callback-press-1"]);
    let id = press[0].id.clone();
    let presses = talks("callback-press-1").hear(id).press(key('1'));
    five_wait("way \"customer-first\" press=\"1\"", presses).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_operators_call_one_customer_once() {
    let plan = r#"
        group "support" { wrap-up "0s"; pick "ring-all" }
        number "301" {
            promise "callback-ordered" due="30m" group="support"
            say "callback-30"
            hangup
        }
        robot "parcel" {
            when "parcel.arrived"; window "00:00-24:00"
            say "notice-hello"
            key "1" { hangup }
        }
    "#;
    let shop = Shop::open(plan, &["anna", "boris", "vera"]).await;
    let desks =
        [shop.operator("anna").await, shop.operator("boris").await, shop.operator("vera").await];
    let phone = number(2_700_023);
    let script = talks("callback-ordered").play(&"1500ms,1".parse().unwrap());
    shop.provider.on_call(&phone, [script]).await;
    let mut call = shop.house.server.call(&phone, "301").await;
    // While the customer is in a call with us, a robot wants to call, too.
    shop.tell(&serde_json::json!({"event": "parcel.arrived", "phone": phone})).await;
    over(&mut call).await;
    let talk = eventually("somebody has the customer", SOON, async || {
        let called = shop.provider.tally();
        called.calls_to(&phone).find(|call| !call.tones_heard.is_empty()).cloned()
    })
    .await;
    for desk in &desks {
        for event in desk.events() {
            if let allo::phone::DeskFact::Invited(invite) = event.what {
                desk.hang_up(invite.call).await;
            }
        }
    }
    shop.provider.ended(talk.call).await.unwrap();
    shop.promise(&phone, PromiseKind::CallbackOrdered, PromiseState::Kept).await;
    shop.promise(&phone, PromiseKind::Reminder, PromiseState::Kept).await;
    shop.books_agree().await;
    assert_eq!(shop.provider.tally().times(&phone), 2);
}
