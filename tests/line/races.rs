//! Everybody at once.

use std::sync::Arc;
use std::time::Duration;

use allo::phone::{Desk, DeskCall, Ending, OnInvite, PhoneEvent};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;

use crate::house::{House, customer_hears, hangs_up, over, voice_of};

const LOGINS: [&str; 3] = ["anna", "boris", "vera"];
const SEED: u64 = 20_261_122;

/// The one whose call goes on; all others were told CANCEL or BYE.
async fn winner(desks: &[Arc<Desk>; 3], calls: &[DeskCall; 3]) -> usize {
    let mut ends = JoinSet::new();
    for (operator, (desk, &call)) in desks.iter().zip(calls).enumerate() {
        let desk = desk.clone();
        ends.spawn(async move { (operator, desk.ended(call).await.unwrap()) });
    }
    let mut left: Vec<usize> = (0..desks.len()).collect();
    while left.len() > 1 {
        let (operator, ending) = ends.join_next().await.unwrap().unwrap();
        assert!(matches!(ending, Ending::Withdrawn | Ending::ByServer), "{ending:?}");
        left.retain(|other| *other != operator);
    }
    left[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_pick_up_at_once_one_wins_each_of_two_hundred_times() {
    let house = House::open("pick \"ring-all\"", &LOGINS).await;
    let mut random = StdRng::seed_from_u64(SEED);
    println!("seed {SEED}");
    let desks = [
        Arc::new(house.desk("anna").await),
        Arc::new(house.desk("boris").await),
        Arc::new(house.desk("vera").await),
    ];
    let mut wins = [0; 3];
    for number in 0..200 {
        for desk in &desks {
            let after = Duration::from_millis(random.random_range(0..3));
            desk.on_invite(OnInvite::Answer { after }).await;
        }
        let mut customer = house.customer(number).await;
        let mut calls = Vec::new();
        for desk in &desks {
            calls.push(desk.next_invite().await.unwrap().call);
        }
        let calls: [DeskCall; 3] = calls.try_into().unwrap();
        let winner = winner(&desks, &calls).await;
        wins[winner] += 1;
        if number.is_multiple_of(10) {
            customer_hears(&mut customer, voice_of(LOGINS[winner])).await;
        }
        assert_eq!(hangs_up(customer).await, Ending::ByUs, "the customer was lost");
        assert_eq!(desks[winner].ended(calls[winner]).await.unwrap(), Ending::ByServer);
    }
    println!("won: {wins:?}");
    assert_eq!(wins.iter().sum::<u32>(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_hangs_up_as_the_operator_picks_up_leaves_nobody_stuck() {
    let house = House::open("", &["anna"]).await;
    let mut random = StdRng::seed_from_u64(SEED);
    println!("seed {SEED}");
    let anna = house.desk("anna").await;
    for number in 0..100 {
        let mut customer = house.customer(number).await;
        let phone = anna.next_invite().await.unwrap().call;
        let first_ms: i32 = random.random_range(-2..=2);
        let wait =
            |ms: i32| tokio::time::sleep(Duration::from_millis(ms.max(0).unsigned_abs().into()));
        tokio::join!(
            async {
                wait(first_ms).await;
                anna.answer(phone).await;
            },
            async {
                wait(-first_ms).await;
                customer.begin_hang_up().await;
            }
        );
        assert_eq!(over(&mut customer).await, Ending::ByUs);
        anna.ended(phone).await.unwrap();
    }
    let mut customer = house.customer(100).await;
    let phone = anna.next_invite().await.unwrap().call;
    anna.answer(phone).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    anna.in_call(phone, |what| matches!(what, PhoneEvent::FirstAudio)).await.unwrap();
}
