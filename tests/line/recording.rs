//! Conversations of a group that is recorded.

use allo::domain::{CallFact, RecordingNote};
use allo::phone::{KeyBy, PhoneEvent};

use crate::audio::{PURITY_MIN, newest, purity};
use crate::house::{
    CUSTOMER_HZ, House, SOON, at_once, customer_hears, hangs_up, picks_up, voice_of,
};
use crate::support::server::Setup;
use crate::support::{eventually, hears, key, russian};

async fn recorded(house: &House) -> RecordingNote {
    house
        .records("a recording", |calls| {
            let mut facts = calls.iter().flat_map(|call| &call.events).map(|event| &event.fact);
            facts.find_map(|fact| match fact {
                CallFact::Recorded(note) => Some(note.clone()),
                _ => None,
            })
        })
        .await
}

fn setup() -> Setup {
    let settings = "[recordings]\nfolder = \"{folder}/recordings\"\n".to_owned();
    Setup { settings, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_has_the_customer_left_and_the_operator_right() {
    let house = House::open_with("record", &["anna"], setup()).await;
    let anna = house
        .desk_with("anna", |options| {
            options.on_invite = at_once();
            options.audio.listens_for =
                russian(&["code/recording-paused", "code/recording-resumed"]);
        })
        .await;
    let mut customer = house.customer(7).await;
    hears(&customer, &["recording-notice"]).await;
    let phone = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    eventually("a conversation", SOON, async || {
        let heard = customer.heard().await?;
        let talk = newest(heard.samples(), 400);
        (talk.len() == 3_200 && purity(talk, voice_of("anna")) > PURITY_MIN).then_some(())
    })
    .await;
    for said in ["code/recording-paused", "code/recording-resumed"] {
        for c in "*47".chars() {
            anna.press(phone, key(c), KeyBy::Event).await;
        }
        let is_it = |what: &PhoneEvent| matches!(what, PhoneEvent::RecordingHeard { recording, .. } if recording.as_str() == said);
        anna.in_call(phone, is_it).await.unwrap();
    }
    hangs_up(customer).await;

    let note = recorded(&house).await;
    assert_eq!(note.problem, None);
    assert_eq!(note.paused.len(), 1, "{note:?}");
    let (from_ms, to_ms) = note.paused[0];
    assert!(to_ms > from_ms + 500 && to_ms <= note.length_ms, "{note:?}");

    let file = house.server.path("recordings").join(&note.file);
    let mut wav = hound::WavReader::open(file).unwrap();
    let form = wav.spec();
    assert_eq!((form.channels, form.sample_rate, form.bits_per_sample), (2, 8_000, 16));
    let samples: Vec<i16> = wav.samples::<i16>().map(Result::unwrap).collect();
    let side = |side: usize| samples.iter().skip(side).step_by(2).copied().collect::<Vec<i16>>();
    let (left, right) = (side(0), side(1));
    assert_eq!(left.len() as u64 / 8, note.length_ms);
    let until = from_ms as usize * 8;
    // Before the first key.
    let talk = 800..2_800;
    assert!(purity(&left[talk.clone()], CUSTOMER_HZ) > PURITY_MIN);
    assert!(purity(&right[talk], voice_of("anna")) > PURITY_MIN);
    let paused = until + 400..to_ms as usize * 8 - 400;
    assert!(left[paused.clone()].iter().chain(&right[paused]).all(|sample| *sample == 0));

    let calls = house.server.allo(&["calls"]);
    let told = String::from_utf8(calls.stdout).unwrap();
    assert!(told.contains(&format!("recorded: {}", note.file)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_is_not_recorded() {
    let house = House::open_with("record refuse-key=\"9\"", &["anna"], setup()).await;
    let anna = house.desk("anna").await;
    let mut customer = house.customer(7).await;
    let phone = anna.next_invite().await.unwrap().call;
    customer.press(key('9'), KeyBy::Event).await;
    hears(&customer, &["code/recording-paused"]).await;
    anna.answer(phone).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    anna.hears_tone(phone, CUSTOMER_HZ).await.unwrap();
    hangs_up(customer).await;
    house
        .records("the end of the call", |calls| {
            let facts = &calls.last()?.events;
            assert!(!facts.iter().any(|event| matches!(event.fact, CallFact::Recorded(_))));
            facts.iter().any(|event| matches!(event.fact, CallFact::Ended { .. })).then_some(())
        })
        .await;
    assert!(!house.server.path("recordings").exists() || is_empty(&house));
}

fn is_empty(house: &House) -> bool {
    std::fs::read_dir(house.server.path("recordings")).unwrap().next().is_none()
}
