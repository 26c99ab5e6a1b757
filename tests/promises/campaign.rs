//! A robot with many customers: no faster than allowed, stopped at once, and never twice.

use std::time::Duration;

use allo::domain::{DoNotCall, PromiseKind};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::shop::{LATER, Shop, number, presses};
use crate::support::eventually;

const PICKUP: &str = r#"
    group "support" { wrap-up "0s" }
    robot "pickup" {
        when "order.ready"; window "00:00-24:00"
        at-once 5; per-second 10; tries 1
        say "notice-hello"
        key "1" { order-status "confirmed"; hangup }
        key "9" { do-not-call; hangup }
    }
"#;
const CUSTOMERS: u32 = 150;
const FIRST: u32 = 8_070_000;
/// One of so many wants no such calls.
const REFUSES: u32 = 15;
const REFUSALS: u32 = CUSTOMERS / REFUSES;

fn phone(n: u32) -> String {
    number(FIRST + n)
}

fn refuses(n: u32) -> bool {
    n.is_multiple_of(REFUSES)
}

fn orders() -> String {
    let line = |n| format!("{},R-{n},stored\n", phone(n));
    std::iter::once("phone,number,status\n".to_owned()).chain((0..CUSTOMERS).map(line)).collect()
}

/// The orders are ready; `day` tells these events from others.
fn events(day: &str) -> Value {
    let event = |n| {
        let (phone, order, id) = (phone(n), format!("R-{n}"), format!("{day}-{n}"));
        json!({"event": "order.ready", "phone": phone, "order": order, "id": id})
    };
    (0..CUSTOMERS).map(event).collect()
}

async fn campaign() -> Shop {
    let shop = Shop::open_with(PICKUP, &[], |setup| {
        setup.orders = orders();
        setup.settings.push_str("starts-per-second = 40\n");
    })
    .await;
    shop.provider.otherwise(presses("100ms,1")).await;
    for n in (0..CUSTOMERS).filter(|n| refuses(*n)) {
        shop.provider.on_call(&phone(n), [presses("100ms,9")]).await;
    }
    shop
}

/// Waits until so many customers are done; what the robot says of itself then.
async fn done(shop: &Shop, least: u64) -> Value {
    eventually(&format!("{least} are done"), LATER, async || {
        let robot = shop.robot("pickup").await;
        let (left, done) = (robot["left"].as_u64().unwrap(), robot["done"].as_u64().unwrap());
        assert!(left + done <= u64::from(CUSTOMERS) && robot["up"].as_u64().unwrap() <= 5);
        (done >= least).then_some(robot)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_fifty_reminders_keep_their_limits_and_stop_within_two_seconds() {
    let shop = campaign().await;
    assert_eq!(shop.tell(&events("mon")).await, json!({"new": CUSTOMERS, "repeated": 0}));
    assert_eq!(shop.tell(&events("mon")).await, json!({"new": 0, "repeated": CUSTOMERS}));
    done(&shop, 40).await;

    shop.switch("pickup", "stop").await;
    let stopped = Instant::now();
    let within = stopped + Duration::from_secs(2);
    eventually("no call is up", LATER, async || {
        (shop.robot("pickup").await["up"] == 0).then_some(())
    })
    .await;
    let robot = shop.robot("pickup").await;
    assert_eq!((&robot["stopped"], robot["left"].as_u64() > Some(0)), (&json!(true), true));
    // That nothing happens takes its time.
    sleep_until(within + Duration::from_secs(1)).await;
    shop.switch("pickup", "resume").await;
    let resumed = Instant::now();
    let robot = done(&shop, u64::from(CUSTOMERS)).await;
    let expected = json!({
        "name": "pickup", "stopped": false, "since": robot["since"], "left": 0, "up": 0,
        "done": CUSTOMERS, "answered": CUSTOMERS, "opted-out": REFUSALS, "ends": null,
    });
    assert_eq!(robot, expected);

    let tally = shop.provider.tally();
    assert!(tally.up_max <= 5 && tally.at_once_max <= 5, "{} up", tally.at_once_max);
    // Each call waits for the database, some a little longer than others.
    assert!(tally.starts_in_a_second_max() <= 12, "{}", tally.starts_in_a_second_max());
    let in_pause = |at: &Instant| *at > within && *at < resumed;
    assert!(!tally.calls.iter().any(|call| in_pause(&call.invited)), "called while stopped");
    assert_eq!(tally.times_by_number().len(), CUSTOMERS as usize);
    shop.books_agree().await;
    crm_knows(&shop).await;

    // Who refused is not called again, whatever happens; the others are, for another order.
    let again: Value = (0..CUSTOMERS)
        .take(REFUSES as usize * 2)
        .map(|n| json!({"event": "order.ready", "phone": phone(n), "order": format!("S-{n}")}))
        .collect();
    shop.tell(&again).await;
    let others = u64::from(REFUSES) * 2 - 2;
    shop.promises("the others are called", PromiseKind::Reminder, |promises| {
        let over = promises.iter().filter(|promise| promise.state.is_over()).count() as u64;
        (over == u64::from(CUSTOMERS) + others).then_some(())
    })
    .await;
    let tally = shop.provider.tally();
    for n in 0..REFUSES * 2 {
        assert_eq!(tally.times(&phone(n)), if refuses(n) { 1 } else { 2 });
    }
}

/// What customers decided about their orders stands in the CRM, each with its row in the audit.
async fn crm_knows(shop: &Shop) {
    let confirmed = i64::from(CUSTOMERS - REFUSALS);
    let count = async |sql: &str| -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
            .fetch_one(shop.sqlite())
            .await
            .unwrap()
    };
    eventually("the CRM knows", LATER, async || {
        let done = count("select count(*) from crm_writes where status = 'done'").await;
        (done == confirmed).then_some(())
    })
    .await;
    assert_eq!(count("select count(*) from crm_writes").await, confirmed);
    let orders = "select count(*) from orders where status = ";
    assert_eq!(count(&format!("{orders}'confirmed'")).await, confirmed);
    assert_eq!(count(&format!("{orders}'stored'")).await, i64::from(REFUSALS));
    let forbidden = shop.house.store.do_not_call().await.unwrap();
    let robot = Some("pickup".to_owned());
    assert_eq!(forbidden.len(), REFUSALS as usize);
    for DoNotCall { robot: by, .. } in forbidden {
        assert_eq!(by, robot);
    }
}
