//! What goes wrong in the shop, and what is done for those who waited for long.

use allo::domain::{PromiseKind, PromiseState};
use allo::phone::{KeyBy, wav};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep_until};

use crate::house::{CUSTOMER_HZ, at_once, hangs_up, over};
use crate::shop::{LATER, Shop, number, operator_and_customer_talk, picks_up, talks};
use crate::support::{eventually, hears};

const SHOP: &str = r#"
    group "support" {
        wrap-up "0s"
        afterwards { if "waited > 2s" { bonus 35 reason="долгое ожидание" } }
    }
    group "sales" { wrap-up "0s" }
    incident "item-missing" {
        when "order.item-missing"; due "15m"; group "sales"; label "Нет товара"
    }
    number "302" {
        if "incident.open" { say "callback-incident"; queue "sales" }
        queue "support"
    }
    number "303" {
        promise "callback-after-hours" due="30m" group="support"
        say "leave-message"
        message max="20s"
        say "message-saved"
        hangup
    }
"#;

fn missing(phone: &str, id: &str) -> Value {
    json!({"event": "order.item-missing", "phone": phone, "order": "61-07", "id": id})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_talks_with_the_customer_about_an_order_that_went_wrong() {
    let shop = Shop::open(SHOP, &["dasha"]).await;
    let dasha = shop.operator("dasha").await;
    let phone = number(6_660_301);
    shop.provider.on_call(&phone, [talks("callback-incident")]).await;
    let events = json!([missing(&phone, "a"), missing(&phone, "a"), missing(&phone, "b")]);
    assert_eq!(shop.tell(&events).await, json!({"new": 2, "repeated": 1}));
    let talk = operator_and_customer_talk(&dasha, &shop, &phone, 1).await;
    assert!(talk.display.contains("Нет товара"), "{}", talk.display);
    assert!(talk.customer.heard[0].2, "the customer hears why");
    dasha.hang_up(talk.desk).await;
    let kept = shop.promise(&phone, PromiseKind::Incident, PromiseState::Kept).await;
    assert_eq!((kept.name.as_str(), kept.group.as_deref()), ("item-missing", Some("sales")));
    assert_eq!(kept.about.values["order"], "61-07");
    shop.books_agree().await;
    assert_eq!(shop.provider.tally().times(&phone), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_while_something_is_wrong_is_led_to_those_who_know() {
    // Dasha is logged in, but her phone is not there yet.
    let shop = Shop::open(SHOP, &["dasha", "anna"]).await;
    let _anna = shop.operator("anna").await;
    let phone = number(6_660_318);
    shop.tell(&missing(&phone, "c")).await;
    shop.promise(&phone, PromiseKind::Incident, PromiseState::Scheduled).await;
    let customer = shop
        .house
        .server
        .call_with(&phone, "302", |mut options| {
            options.voice_hz = Some(CUSTOMER_HZ);
            options
        })
        .await;
    hears(&customer, &["callback-incident"]).await;
    let dasha = shop.house.desk_with("dasha", |options| options.on_invite = at_once()).await;
    let invite = dasha.next_invite().await.unwrap();
    dasha.hears_tone(invite.call, CUSTOMER_HZ).await.unwrap();
    hangs_up(customer).await;
    let kept = shop.promise(&phone, PromiseKind::Incident, PromiseState::Kept).await;
    assert!(kept.note.contains("dasha"), "{}", kept.note);
    assert_eq!((kept.attempts, shop.provider.tally().calls.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_for_long_has_points_for_it_once() {
    let shop = Shop::open_with(SHOP, &["anna"], |setup| {
        setup.customers = format!(
            "phone,name,points\n{},Лев,100\n{},Ия,100\n",
            number(6_660_404),
            number(6_660_405)
        );
    })
    .await;
    let came = Instant::now();
    let patient = shop.house.customer(6_660_404).await;
    // As long as the plan calls long.
    sleep_until(came + Duration::from_millis(2_300)).await;
    let anna = shop.house.quick_desk("anna").await;
    let talk = crate::house::picks_up(&anna).await;
    hangs_up(patient).await;
    anna.ended(talk).await.unwrap();
    shop.house.until_state("anna", "ready").await;
    let mut quick = shop.house.customer(6_660_405).await;
    let talk = crate::house::picks_up(&anna).await;
    anna.hang_up(talk).await;
    over(&mut quick).await;

    let writes = eventually("the CRM was told", LATER, async || {
        let rows = sqlx::query_as("select phone, what, status from crm_writes");
        let rows: Vec<(String, String, String)> = rows.fetch_all(shop.sqlite()).await.unwrap();
        rows.iter().all(|row| row.2 == "done").then_some(rows).filter(|rows| !rows.is_empty())
    })
    .await;
    let [(phone, what, _)] = &writes[..] else { panic!("one bonus: {writes:?}") };
    assert_eq!(*phone, number(6_660_404));
    let what: Value = serde_json::from_str(what).unwrap();
    assert_eq!(what, json!({"bonus": {"points": 35, "reason": "долгое ожидание"}}));
    let points = sqlx::query_as("select phone, points from customers order by phone");
    let points: Vec<(String, i64)> = points.fetch_all(shop.sqlite()).await.unwrap();
    assert_eq!(points, [(number(6_660_404), 135), (number(6_660_405), 100)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_kept_with_the_promise_to_call_back() {
    let shop = Shop::open(SHOP, &[]).await;
    let phone = number(6_660_512);
    shop.provider.on_call(&phone, [picks_up()]).await;
    let mut caller = shop
        .house
        .server
        .call_with(&phone, "303", |mut options| {
            options.voice_hz = Some(CUSTOMER_HZ);
            options
        })
        .await;
    hears(&caller, &["leave-message", "tone/beep"]).await;
    caller.play_script(&"2s,#".parse().unwrap(), KeyBy::Event).await;
    hears(&caller, &["message-saved"]).await;
    over(&mut caller).await;
    let kind = PromiseKind::CallbackAfterHours;
    let file = shop
        .promises("the message is known", kind, |promises| promises.first()?.about.message.clone())
        .await;
    let said = wav::load(&shop.house.server.path("recordings").join(file)).unwrap();
    assert!(said.len() >= 8_000 * 3 / 2, "{} samples", said.len());
    assert!(crate::support::purity(&said[800..12_000], CUSTOMER_HZ) > 0.9);
}
