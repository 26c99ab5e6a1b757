//! What is heard while waiting.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use allo::domain::{CallFact, Language, RecordingId};
use allo::phone::{Arrival, Call, Ear, Ending, KeyBy, PhoneEvent, Recording, identify, wav};
use allo::store::CallRecord;
use tokio::time::Instant;

use crate::audio::{PURITY_MIN, purity};
use crate::house::{CUSTOMER_HZ, House, SOON, customer_hears, voice_of};
use crate::support::server::Setup;
use crate::support::{eventually, hears_after, key, prompts, russian};

/// Shortened tips last so long.
const TIP_MS: usize = 1_200;
const TIPS: &str = "while-waiting { tips \"tip\" every=\"1s\" }";

/// The shipped recordings, but of each tip only the middle.
fn with_short_tips(folder: &Path) -> Vec<Recording> {
    let russian = folder.join("ru");
    fs::create_dir_all(russian.join("tip")).unwrap();
    symlink(prompts().join("en"), folder.join("en")).unwrap();
    for entry in fs::read_dir(prompts().join("ru")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "tip" {
            symlink(entry.path(), russian.join(entry.file_name())).unwrap();
        }
    }
    let mut tips = Vec::new();
    for entry in fs::read_dir(prompts().join("ru/tip")).unwrap() {
        let entry = entry.unwrap();
        let whole = wav::load(&entry.path()).unwrap();
        // They begin alike.
        let from = (whole.len() - TIP_MS * 8) / 2;
        let samples = whole[from..from + TIP_MS * 8].to_vec();
        wav::save(&russian.join("tip").join(entry.file_name()), &samples).unwrap();
        let name = entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
        tips.push(Recording { id: RecordingId::new(format!("tip/{name}")), samples });
    }
    tips
}

/// Tips that were said to the end in the newest call, as the server wrote them down.
fn tips_said(calls: &[CallRecord]) -> usize {
    let events = calls.last().map_or(&[][..], |call| &call.events);
    let is_tip = |fact: &CallFact| {
        matches!(fact, CallFact::Said { recordings, is_cut: false, .. }
            if recordings.iter().any(|id| id.as_str().starts_with("tip/")))
    };
    events.iter().filter(|event| is_tip(&event.fact)).count()
}

async fn hears_tips(house: &House, tips: &[Recording], number: usize) -> Vec<String> {
    let call = house.customer(7).await;
    house.records("enough tips", |calls| (tips_said(calls) >= number).then_some(())).await;
    let report = call.hang_up().await;
    let heard = identify(report.playout.samples(), tips);
    let whole = heard.into_iter().filter(|heard| heard.complete);
    whole.map(|heard| heard.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_hears_one_tip_after_the_other_and_none_twice_also_in_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let tips = with_short_tips(folder.path());
    let prompts = Some(folder.path().to_owned());
    // Anna is logged in, but her phone is not there.
    let house = House::open_with(TIPS, &["anna"], Setup { prompts, ..Setup::default() }).await;
    let mut heard = hears_tips(&house, &tips, 3).await;
    heard.extend(hears_tips(&house, &tips, 1).await);
    assert_eq!(heard, ["tip/01", "tip/02", "tip/03", "tip/04"]);
}

/// Waits until the caller hears this tip, long enough for it to be recognised; where it began, in
/// samples.
async fn tip_begins(call: &Call, tip: &Recording) -> usize {
    let began = eventually("a tip begins", 2 * SOON, async || {
        let playout = call.heard().await?;
        let heard = Ear::new(playout.samples()).find(tip, 0);
        heard.filter(|heard| heard.length_ms >= 500).map(|heard| heard.at_ms)
    });
    usize::try_from(began.await).unwrap() * 8
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_picks_up_in_the_middle_of_a_tip_is_heard_within_40_ms() {
    let house = House::open(TIPS, &["anna"]).await;
    let anna = house.desk("anna").await;
    let hz = voice_of("anna");
    let mut delays = Vec::new();
    for (number, tip) in (0..).zip(["tip/01", "tip/01", "tip/01"]) {
        let mut customer = house.customer(number).await;
        let phone = anna.next_invite().await.unwrap().call;
        let tip = russian(&[tip]).remove(0);
        let began = tip_begins(&customer, &tip).await;

        let picked_up = Instant::now();
        anna.answer(phone).await;
        let is_tone = |what: &PhoneEvent| *what == PhoneEvent::ToneBegan { hz };
        tokio::time::timeout(SOON, customer.event(is_tone)).await.unwrap().unwrap();
        anna.hears_tone(phone, CUSTOMER_HZ).await.unwrap();
        let began_at = customer.begun();
        let report = customer.hang_up().await;
        let samples = report.playout.samples();
        let is_pure =
            |a: &&Arrival| purity(&samples[a.offset..a.offset + a.samples], hz) > PURITY_MIN;
        let first = report.playout.arrivals().iter().find(is_pure).unwrap();
        delays.push((began_at + first.at).saturating_duration_since(picked_up));
        for part in samples[first.offset..].chunks_exact(800) {
            assert!(purity(part, hz) > PURITY_MIN, "a remnant of the tip: {}", purity(part, hz));
        }
        let cut = Ear::new(&samples[began.saturating_sub(80)..]).find(&tip, 0);
        assert!(!cut.unwrap().complete);
        anna.ended(phone).await.unwrap();
    }
    delays.sort();
    println!("heard after {delays:?}");
    assert!(delays[1] <= Duration::from_millis(40), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_middle_of_a_tip_orders_a_callback() {
    let support = format!("{TIPS}\noffer-callback after=\"60s\" key=\"1\"");
    let house = House::open(&support, &["anna"]).await;
    let customer = house.customer(7).await;
    let tip = wav::load_recordings(&prompts(), Language::Russian, &[RecordingId::new("tip/01")]);
    let began = tip_begins(&customer, &tip.unwrap()[0]).await;
    customer.press(key('1'), KeyBy::Event).await;
    let (found, _) = hears_after(&customer, began, &["callback-number"]).await;
    let asked = began + usize::try_from(found[0].at_ms).unwrap() * 8;
    customer.press(key('1'), KeyBy::Event).await;
    let report = customer.ended().await;
    assert_eq!(report.ending(), Some(Ending::ByServer));
    let after = &report.playout.samples()[asked..];
    let promised = Ear::new(after).find(&russian(&["callback-promised"])[0], 0);
    assert!(promised.is_some_and(|heard| heard.complete));
    house
        .records("the promise", |calls| {
            let mut facts = calls.last()?.events.iter().map(|event| &event.fact);
            facts.any(|fact| matches!(fact, CallFact::Promised { .. })).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_of_one_operator_are_served_in_the_order_of_their_coming() {
    let house = House::open("", &["anna"]).await;
    let anna = house.quick_desk("anna").await;
    let mut first = house.customer(1).await;
    let phone = anna.next_invite().await.unwrap().call;
    customer_hears(&mut first, voice_of("anna")).await;
    let mut second = house.customer(2).await;
    let third = house.customer(3).await;
    third.hang_up().await;
    anna.hang_up(phone).await;
    let invite = anna.next_invite().await.unwrap();
    assert_eq!(invite.from.as_deref(), Some("+79160000002"));
    customer_hears(&mut second, voice_of("anna")).await;
}
