//! Callers are sent on, and operators call each other.

use allo::phone::{Call, Desk, DeskCall, DeskFact, Ending, OnInvite, PhoneEvent};

use crate::house::{
    CUSTOMER_HZ, House, customer_hears, customer_hears_no_more, extension_of, over, picks_up,
    voice_of,
};

/// A customer talks with anna.
async fn talks_with_anna(house: &House) -> (Desk, DeskCall, Call) {
    let anna = house.quick_desk("anna").await;
    let mut customer = house.customer(7).await;
    let phone = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    (anna, phone, customer)
}

async fn transferring(desk: &Desk, phone: DeskCall, code: u16) {
    desk.in_call(phone, |what| *what == PhoneEvent::Transferring { code }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_sent_on_to_a_colleague_and_to_another_group() {
    let house = House::open("wrap-up \"0s\"", &["anna", "dasha"]).await;
    let (boris, dasha) = (house.quick_desk("boris").await, house.quick_desk("dasha").await);
    for (target, login, desk) in
        [(extension_of("boris"), "boris", &boris), ("sales", "dasha", &dasha)]
    {
        let (anna, phone, mut customer) = talks_with_anna(&house).await;
        anna.transfer(phone, target).await;
        anna.replied(phone, "REFER", 202).await.unwrap();
        let other = picks_up(desk).await;
        transferring(&anna, phone, 200).await;
        assert_eq!(anna.ended(phone).await.unwrap(), Ending::ByServer, "{target}");
        customer_hears(&mut customer, voice_of(login)).await;
        desk.hears_tone(other, CUSTOMER_HZ).await.unwrap();
        desk.hang_up(other).await;
        assert_eq!(over(&mut customer).await, Ending::ByServer);
        anna.die().await;
    }
    let transfers = house.server.allo(&["why", "last"]);
    let told = String::from_utf8(transfers.stdout).unwrap();
    assert!(told.contains("anna transferred it to sales, without asking"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_fails_or_is_forbidden_leaves_caller_and_operator_together() {
    let house = House::open("", &["anna"]).await;
    let boris = house.desk_with("boris", |options| options.on_invite = OnInvite::Refuse(486)).await;
    let (anna, phone, mut customer) = talks_with_anna(&house).await;
    for forbidden in ["+79991112233", "nosuch"] {
        anna.transfer(phone, forbidden).await;
        anna.until(|event| {
            let refused = PhoneEvent::Reply { method: "REFER".into(), code: 403 };
            event.what == DeskFact::Call { call: phone, what: refused }
        })
        .await
        .unwrap();
    }
    // Busy, without a phone, and without a trunk to the outside: the caller is back.
    for lost in [extension_of("boris"), extension_of("vera"), "+74951112233"] {
        anna.transfer(phone, lost).await;
        anna.until(|event| {
            matches!(event.what, DeskFact::Call { what: PhoneEvent::Transferring { code }, .. } if code >= 300)
        })
        .await
        .unwrap_or_else(|error| panic!("{lost}: {error}"));
    }
    anna.speak(phone, Some(voice_of("vera"))).await;
    customer_hears(&mut customer, voice_of("vera")).await;
    assert_eq!(boris.events().iter().filter(|e| matches!(e.what, DeskFact::Invited(_))).count(), 1);
    anna.hang_up(phone).await;
    assert_eq!(over(&mut customer).await, Ending::ByServer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_handed_over_after_the_colleague_was_asked() {
    let house = House::open("wrap-up \"0s\"", &["anna"]).await;
    let boris = house.quick_desk("boris").await;
    let (anna, phone, mut customer) = talks_with_anna(&house).await;
    anna.hold(phone).await;
    anna.replied(phone, "INVITE", 200).await.unwrap();
    customer_hears_no_more(&mut customer, voice_of("anna")).await;

    let consult = anna.dial(extension_of("boris")).await;
    let other = picks_up(&boris).await;
    anna.hears_tone(consult, voice_of("boris")).await.unwrap();
    boris.hears_tone(other, voice_of("anna")).await.unwrap();

    anna.transfer_to_call(phone, consult).await;
    anna.replied(phone, "REFER", 202).await.unwrap();
    customer_hears(&mut customer, voice_of("boris")).await;
    boris.hears_tone(other, CUSTOMER_HZ).await.unwrap();
    transferring(&anna, phone, 200).await;
    assert_eq!(anna.ended(phone).await.unwrap(), Ending::ByServer);
    assert_eq!(anna.ended(consult).await.unwrap(), Ending::ByServer);
    customer.begin_hang_up().await;
    assert_eq!(over(&mut customer).await, Ending::ByUs);
    assert_eq!(boris.ended(other).await.unwrap(), Ending::ByServer);

    // Anna is free again.
    let mut next = house.customer(8).await;
    customer_hears(&mut next, voice_of("anna")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_be_sent_to_a_colleague_who_was_rung_and_has_not_picked_up() {
    let house = House::open("", &["anna"]).await;
    let boris = house.desk("boris").await;
    let (anna, phone, mut customer) = talks_with_anna(&house).await;
    anna.hold(phone).await;
    anna.replied(phone, "INVITE", 200).await.unwrap();
    let consult = anna.dial(extension_of("boris")).await;
    let rung = boris.next_invite().await.unwrap().call;
    let rings = |what: &PhoneEvent| matches!(what, PhoneEvent::Status { code: 180, .. });
    anna.in_call(consult, rings).await.unwrap();
    // What phones do then: they give up the second call, and transfer without asking.
    anna.hang_up(consult).await;
    assert_eq!(boris.ended(rung).await.unwrap(), Ending::Withdrawn);
    anna.transfer(phone, extension_of("boris")).await;
    let rung = boris.next_invite().await.unwrap().call;
    boris.answer(rung).await;
    customer_hears(&mut customer, voice_of("boris")).await;
    boris.hears_tone(rung, CUSTOMER_HZ).await.unwrap();
    assert_eq!(anna.ended(phone).await.unwrap(), Ending::ByServer);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_call_each_other_and_are_not_rung_meanwhile() {
    let house = House::open("", &["anna"]).await;
    let (anna, boris) = (house.quick_desk("anna").await, house.quick_desk("boris").await);
    let out = boris.dial(extension_of("anna")).await;
    let call = picks_up(&anna).await;
    boris.hears_tone(out, voice_of("anna")).await.unwrap();
    anna.hears_tone(call, voice_of("boris")).await.unwrap();
    let mut customer = house.customer(7).await;
    assert_eq!(invites(&anna), 1);
    boris.hang_up(out).await;
    assert_eq!(anna.ended(call).await.unwrap(), Ending::ByServer);
    picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    let nobody = boris.dial("999").await;
    assert_eq!(boris.ended(nobody).await.unwrap(), Ending::Refused);
}

fn invites(desk: &Desk) -> usize {
    desk.events().iter().filter(|event| matches!(event.what, DeskFact::Invited(_))).count()
}
