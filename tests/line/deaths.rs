//! Phones that vanish.

use std::time::Duration;

use allo::domain::CallFact;
use allo::phone::{Ending, OnInvite};

use crate::house::{CUSTOMER_HZ, House, customer_hears, hangs_up, over, picks_up, voice_of};
use crate::support::hears_after;
use crate::support::server::Setup;

/// Phones are asked often whether they are there.
fn watchful() -> Setup {
    Setup { sip: "keepalive = \"1s\"".to_owned(), ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_phone_dies_while_it_rings_the_customer_reaches_the_next_operator() {
    let house =
        House::open_with("ring \"3s\" no-answer=\"next\"", &["anna", "boris"], watchful()).await;
    let anna = house.desk("anna").await;
    let boris = house.quick_desk("boris").await;
    let mut customer = house.customer(7).await;
    anna.next_invite().await.unwrap();
    anna.die().await;
    let phone = picks_up(&boris).await;
    customer_hears(&mut customer, voice_of("boris")).await;
    boris.hears_tone(phone, CUSTOMER_HZ).await.unwrap();
    house.until_state("anna", "unreachable").await;
    hangs_up(customer).await;
    boris.ended(phone).await.unwrap();

    // The dead one is not rung again, and found by the next customer only when it is back.
    let mut next = house.customer(8).await;
    let phone = picks_up(&boris).await;
    customer_hears(&mut next, voice_of("boris")).await;
    let back = house.quick_desk("anna").await;
    house.until_state("anna", "ready").await;
    let mut third = house.customer(9).await;
    picks_up(&back).await;
    customer_hears(&mut third, voice_of("anna")).await;
    boris.hang_up(phone).await;
    assert_eq!(over(&mut next).await, Ending::ByServer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_dead_before_it_is_rung_keeps_nobody_waiting_for_long() {
    let house = House::open("ring \"2s\"", &["anna", "boris"]).await;
    let anna = house.desk("anna").await;
    let boris = house.quick_desk("boris").await;
    anna.die().await;
    let mut customer = house.customer(7).await;
    picks_up(&boris).await;
    customer_hears(&mut customer, voice_of("boris")).await;
    let why = house.server.allo(&["why", "last"]);
    let why = String::from_utf8(why.stdout).unwrap();
    assert!(why.contains("anna did not take it"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_phone_dies_in_a_conversation_the_customer_is_told_so_and_is_next() {
    let house = House::open_with("wrap-up \"0s\"", &["anna", "boris"], watchful()).await;
    let (anna, boris) = (house.quick_desk("anna").await, house.quick_desk("boris").await);
    let mut customer = house.customer(7).await;
    picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    let mut other = house.customer(8).await;
    let busy = picks_up(&boris).await;
    customer_hears(&mut other, voice_of("boris")).await;
    let waiting = house.customer(9).await;

    let heard = customer.heard().await.unwrap().samples().len();
    anna.die().await;
    hears_after(&customer, heard, &["operator-lost"]).await;
    house.until_state("anna", "unreachable").await;
    boris.hang_up(busy).await;
    assert_eq!(over(&mut other).await, Ending::ByServer);
    // Who lost the operator goes before who came later.
    let invite = boris.next_invite().await.unwrap();
    assert_eq!(invite.from.as_deref(), Some("+79160000007"));
    customer_hears(&mut customer, voice_of("boris")).await;
    hangs_up(waiting).await;
    hangs_up(customer).await;
    house
        .records("both operators of the call", |calls| {
            let facts = calls.first()?.events.iter().map(|event| &event.fact);
            let talks = facts.filter(|fact| matches!(fact, CallFact::Conversed(_))).count();
            (talks == 2).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_whose_phone_dies_keeps_no_operator() {
    let setup = Setup { rtp: "dead-after = \"1s\"".to_owned(), ..Setup::default() };
    let house = House::open_with("wrap-up \"0s\"", &["anna"], setup).await;
    let anna = house.quick_desk("anna").await;
    let mut customer = house.customer(7).await;
    let phone = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    customer.pull_the_plug();
    assert_eq!(anna.ended(phone).await.unwrap(), Ending::ByServer);
    let mut next = house.customer(8).await;
    picks_up(&anna).await;
    customer_hears(&mut next, voice_of("anna")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_that_answer_twice_or_after_cancel_or_refuse_lose_nobody() {
    let house = House::open(
        "wrap-up \"0s\"\nring \"1s\" no-answer=\"next\" busy=\"next\" rejected=\"next\"",
        &["anna"],
    )
    .await;
    let anna = house.desk("anna").await;
    anna.on_invite(OnInvite::AnswerTwice { after: Duration::from_millis(20) }).await;
    let mut customer = house.customer(1).await;
    let phone = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    hangs_up(customer).await;
    anna.ended(phone).await.unwrap();

    anna.on_invite(OnInvite::AnswerCancelled).await;
    let mut customer = house.customer(2).await;
    let late = anna.next_invite().await.unwrap().call;
    anna.on_invite(OnInvite::Answer { after: Duration::ZERO }).await;
    anna.ended(late).await.unwrap();
    picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    hangs_up(customer).await;

    for code in [486, 488, 603] {
        anna.on_invite(OnInvite::Refuse(code)).await;
        let mut customer = house.customer(u32::from(code)).await;
        anna.next_invite().await.unwrap();
        anna.on_invite(OnInvite::Answer { after: Duration::ZERO }).await;
        picks_up(&anna).await;
        customer_hears(&mut customer, voice_of("anna")).await;
        hangs_up(customer).await;
    }
}
