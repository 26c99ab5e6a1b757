//! The codes of a plain telephone, and the lamps that show what became of them.

use std::time::Duration;

use allo::phone::{Desk, DeskCall, DeskEvent, DeskFact, Ending, KeyBy, PhoneEvent};

use crate::audio::{newest, purity};
use crate::house::{
    CUSTOMER_HZ, House, at_once, customer_hears, hangs_up, over, picks_up, voice_of,
};
use crate::support::{key, russian};

const SAID: [&str; 8] = [
    "code/logged-in",
    "code/logged-out",
    "code/paused",
    "code/unpaused",
    "code/wrap-up-extended",
    "code/wrap-up-done",
    "code/not-allowed",
    "code/listening",
];

/// A phone that listens for what is said of codes.
async fn desk(house: &House, login: &str) -> Desk {
    house
        .desk_with(login, |options| {
            options.on_invite = at_once();
            options.audio.listens_for = russian(&SAID);
        })
        .await
}

async fn hears(desk: &Desk, call: DeskCall, said: &str) {
    let is_it = |what: &PhoneEvent| matches!(what, PhoneEvent::RecordingHeard { recording, complete: true } if recording.as_str() == said);
    desk.in_call(call, is_it).await.unwrap();
}

/// Dials a code and hears this to the end.
async fn dials(desk: &Desk, code: &str, said: &str) {
    let call = desk.dial(code).await;
    hears(desk, call, said).await;
    assert_eq!(desk.ended(call).await.unwrap(), Ending::ByServer, "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_logs_in_pauses_and_logs_out_by_codes_and_the_lamps_show_it() {
    let house = House::open("", &[]).await;
    let (anna, boris) = (desk(&house, "anna").await, house.desk("boris").await);
    for lamp in ["201", "*46201"] {
        boris.watch_lamp(lamp).await;
        boris.lamp_shows(lamp, "terminated").await.unwrap();
    }
    dials(&anna, "*45", "code/logged-in").await;
    let customer = house.customer(1).await;
    boris.lamp_shows("201", "early").await.unwrap();
    picks_up(&anna).await;
    boris.lamp_shows("201", "confirmed").await.unwrap();
    hangs_up(customer).await;
    boris.lamp_shows("201", "terminated").await.unwrap();

    dials(&anna, "*46", "code/paused").await;
    boris.lamp_shows("*46201", "confirmed").await.unwrap();
    let mut customer = house.customer(2).await;
    dials(&anna, "*46", "code/unpaused").await;
    boris.lamp_shows("*46201", "terminated").await.unwrap();
    let unpaused = moment(&anna, "code/unpaused");
    let call = picks_up(&anna).await;
    let invited = anna.ever(|event| is_invite(event, call)).await.unwrap().at;
    assert!(invited >= unpaused, "rung while paused");
    customer_hears(&mut customer, voice_of("anna")).await;
    anna.hang_up(call).await;
    over(&mut customer).await;
    dials(&anna, "*45*sales", "code/not-allowed").await;
    dials(&anna, "*45*support", "code/logged-out").await;
}

/// When this was said last.
fn moment(desk: &Desk, said: &str) -> tokio::time::Instant {
    let is_it = |event: &&DeskEvent| {
        matches!(&event.what, DeskFact::Call { what: PhoneEvent::RecordingHeard { recording, .. }, .. }
            if recording.as_str() == said)
    };
    desk.events().iter().rev().find(is_it).expect("it was said").at
}

fn is_invite(event: &DeskEvent, call: DeskCall) -> bool {
    matches!(&event.what, DeskFact::Invited(invite) if invite.call == call)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrap_up_is_made_longer_and_ended_by_codes() {
    let house = House::open("wrap-up \"2s\"", &["anna"]).await;
    let anna = desk(&house, "anna").await;
    dials(&anna, "*49", "code/not-allowed").await;
    let customer = house.customer(1).await;
    let talk = picks_up(&anna).await;
    hangs_up(customer).await;
    anna.ended(talk).await.unwrap();
    let mut second = house.customer(2).await;
    dials(&anna, "*48", "code/wrap-up-extended").await;
    // The wrap-up of the plan would be over by now.
    let said = moment(&anna, "code/wrap-up-extended");
    assert!(tokio::time::Instant::now() - said < Duration::from_secs(2));
    dials(&anna, "*49", "code/wrap-up-done").await;
    let call = picks_up(&anna).await;
    let invited = anna.ever(|event| is_invite(event, call)).await.unwrap().at;
    assert!(invited > said + Duration::from_millis(200));
    customer_hears(&mut second, voice_of("anna")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_listens_whispers_and_joins_in() {
    let house = House::open("", &["anna"]).await;
    let (anna, gleb) = (desk(&house, "anna").await, desk(&house, "gleb").await);
    dials(&gleb, "*33201", "code/not-allowed").await;
    let mut customer = house.customer(1).await;
    let talk = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;

    let listening = gleb.dial("*33201").await;
    hears(&gleb, listening, "code/listening").await;
    gleb.hears_tone(listening, voice_of("anna")).await.unwrap();
    gleb.hears_tone(listening, CUSTOMER_HZ).await.unwrap();
    gleb.press(listening, key('2'), KeyBy::Event).await;
    anna.hears_tone(talk, voice_of("gleb")).await.unwrap();
    let heard = customer.heard().await.unwrap();
    let only_anna = purity(newest(heard.samples(), 200), voice_of("anna"));
    assert!(only_anna > 0.9, "the customer hears the whisper: {only_anna}");
    gleb.press(listening, key('3'), KeyBy::Event).await;
    customer_hears(&mut customer, voice_of("gleb")).await;
    gleb.hang_up(listening).await;
    hangs_up(customer).await;
    assert_eq!(anna.ended(talk).await.unwrap(), Ending::ByServer);

    let refused = anna.dial("*33209").await;
    hears(&anna, refused, "code/not-allowed").await;
}
