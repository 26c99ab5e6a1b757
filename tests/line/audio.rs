//! Who hears whom: tones of different frequency at both ends, keys, hold.

use allo::domain::Codec::{self, Pcma, Pcmu};
use allo::phone::{Desk, DeskEvent, DeskFact, KeyBy, PhoneEvent};

use crate::house::{CUSTOMER_HZ, House, at_once, customer_hears, customer_hears_no_more, voice_of};
pub use crate::support::purity;
use crate::support::{eventually, key};

/// The least part of the energy that lies on the tone.
pub const PURITY_MIN: f64 = 0.95;

async fn only(house: &House, login: &str, codec: Codec) -> Desk {
    house
        .desk_with(login, |options| {
            options.audio.codecs = vec![codec];
            options.on_invite = at_once();
        })
        .await
}

/// The last milliseconds of what was heard.
pub fn newest(samples: &[i16], ms: usize) -> &[i16] {
    &samples[samples.len().saturating_sub(ms * 8)..]
}

#[tokio::test(flavor = "multi_thread")]
async fn customer_and_operator_hear_each_other_whichever_codecs_they_speak() {
    let house = House::open("pick \"round-robin\"", &["anna", "boris"]).await;
    let (anna, boris) = (only(&house, "anna", Pcma).await, only(&house, "boris", Pcmu).await);
    for (number, codec) in (0..).zip([Pcma, Pcma, Pcmu, Pcmu]) {
        let (login, desk) = if number % 2 == 0 { ("anna", &anna) } else { ("boris", &boris) };
        let hz = voice_of(login);
        let mut customer =
            house.customer_with(number, |options| options.codecs = vec![codec]).await;
        let phone = desk.next_invite().await.unwrap().call;
        customer_hears(&mut customer, hz).await;
        desk.hears_tone(phone, CUSTOMER_HZ).await.unwrap();
        eventually("both tones are pure", crate::house::SOON, async || {
            let heard = customer.heard().await?;
            let by_customer = purity(newest(heard.samples(), 200), hz);
            let heard = desk.heard(phone).await.ok()?;
            let by_operator = purity(newest(heard.samples(), 200), CUSTOMER_HZ);
            (by_customer >= PURITY_MIN && by_operator >= PURITY_MIN).then_some(())
        })
        .await;

        customer.press(key('5'), KeyBy::Event).await;
        let heard = PhoneEvent::KeyHeard { key: key('5'), by: KeyBy::Event };
        desk.in_call(phone, |what| *what == heard).await.unwrap();
        desk.press(phone, key('8'), KeyBy::Event).await;
        let heard = PhoneEvent::KeyHeard { key: key('8'), by: KeyBy::Event };
        customer.event(|what| *what == heard).await.unwrap();

        customer.hang_up().await;
        desk.ended(phone).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_on_hold_hears_tips_until_the_operator_is_back() {
    let support = "while-waiting { tips \"tip\" every=\"1s\" }";
    let house = House::open(support, &["anna"]).await;
    let anna = house.quick_desk("anna").await;
    let mut customer = house.customer(7).await;
    let phone = anna.next_invite().await.unwrap().call;
    customer_hears(&mut customer, voice_of("anna")).await;
    anna.hears_tone(phone, CUSTOMER_HZ).await.unwrap();

    anna.hold(phone).await;
    anna.replied(phone, "INVITE", 200).await.unwrap();
    customer_hears_no_more(&mut customer, voice_of("anna")).await;
    let held_at = customer.heard().await.unwrap().samples().len();
    crate::support::hears_after(&customer, held_at, &["tip/01"]).await;
    assert_eq!(tones_begun(&anna), 1, "the operator does not hear the customer meanwhile");

    anna.resume(phone).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    anna.until(|event| is_tone(event, true)).await.unwrap();
    anna.until(|event| is_tone(event, true)).await.unwrap();
    anna.hang_up(phone).await;
    let report = customer.ended().await;
    crate::support::did_not_hear(&report.playout, "operator-lost");
}

fn is_tone(event: &DeskEvent, begins: bool) -> bool {
    match &event.what {
        DeskFact::Call { what: PhoneEvent::ToneBegan { hz }, .. } => begins && *hz == CUSTOMER_HZ,
        DeskFact::Call { what: PhoneEvent::ToneEnded { hz }, .. } => !begins && *hz == CUSTOMER_HZ,
        _ => false,
    }
}

fn tones_begun(desk: &Desk) -> usize {
    desk.events().iter().filter(|event| is_tone(event, true)).count()
}
