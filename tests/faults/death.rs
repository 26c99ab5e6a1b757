//! kill -9.

use std::fs;
use std::time::Duration;

use allo::domain::{CallFact, CallId, EndReason, LineOutcome, Timestamp};
use allo::phone::{Call, Desk};
use allo::store::{CallFilter, CallRecord};
use tokio::time::Instant;

use crate::house::{House, SOON, customer_hears, picks_up as is_picked_up, voice_of};
use crate::shop::{LATER, Shop, number, picks_up};
use crate::support::eventually;
use crate::support::server::get;

const PLAN: &str = r#"
    group "support" { wrap-up "0s"; record }
    number "200" { say "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" }
    robot "parcel" {
        when "parcel.arrived"; window "00:00-24:00"
        tries 2 every="1h"; at-once 20; per-second 40
        say "notice-hello" "notice-hello" "notice-hello" "notice-hello" "notice-hello" "notice-hello"
        key "1" { say "goodbye" }
        key "9" { do-not-call }
    }
"#;
const OPERATORS: [&str; 3] = ["anna", "boris", "vera"];
const WAITING: u32 = 7;
const PLAYING: u32 = 30;
const ROBOTS: u32 = 10;
const UP: usize = OPERATORS.len() + (WAITING + PLAYING + ROBOTS) as usize;
/// The first customer of a robot.
const FIRST: u32 = 5_000_000;
/// Two seconds of a conversation.
const RECORDED_BYTES: u64 = 64_000;
/// How long the house may be closed.
const CLOSED_MAX: Duration = Duration::from_secs(3);

/// Everybody who is in a call.
struct Everybody {
    callers: Vec<Call>,
    desks: Vec<Desk>,
}

/// Three conversations that are recorded, seven callers in the line, thirty who listen, ten whom the robot
/// called: fifty calls.
async fn fifty_calls(shop: &Shop) -> Everybody {
    let (mut callers, mut desks) = (Vec::new(), Vec::new());
    for (n, login) in (0..).zip(OPERATORS) {
        let desk = shop.house.quick_desk(login).await;
        shop.house.until_state(login, "ready").await;
        let mut customer = shop.house.customer(100 + n).await;
        is_picked_up(&desk).await;
        customer_hears(&mut customer, voice_of(login)).await;
        callers.push(customer);
        desks.push(desk);
    }
    for n in 0..WAITING {
        callers
            .push(shop.house.customer_with(200 + n, |options| options.sends_audio = false).await);
    }
    let arrived =
        |n| serde_json::json!({"event": "parcel.arrived", "phone": number(FIRST + n), "id": n});
    shop.tell(&(0..ROBOTS).map(arrived).collect()).await;
    for n in 0..PLAYING {
        let from = number(300 + n);
        let call = shop.house.server.call_with(&from, "200", |mut options| {
            options.sends_audio = false;
            options
        });
        callers.push(call.await);
    }
    let all_up = |tally: &allo::phone::Tally| (tally.up >= ROBOTS as usize).then_some(());
    shop.provider.until_within(LATER, all_up).await.unwrap();
    eventually("two seconds of each conversation are on the disk", LATER, async || {
        let parts = files(&shop.house, ".wav.part");
        let long = parts.iter().filter(|file| fs::metadata(file).unwrap().len() > RECORDED_BYTES);
        (long.count() == OPERATORS.len()).then_some(())
    })
    .await;
    let is_up = |call: &&CallRecord| call.ended.is_none() && call.answered.is_some();
    let all_written =
        |calls: &[CallRecord]| (calls.iter().filter(is_up).count() == UP).then_some(());
    shop.house.records("fifty calls are in the database", all_written).await;
    Everybody { callers, desks }
}

fn files(house: &House, ending: &str) -> Vec<std::path::PathBuf> {
    let Ok(days) = fs::read_dir(house.server.path("recordings")) else { return Vec::new() };
    let days = days.map(|day| day.unwrap().path()).filter(|day| day.is_dir());
    let files = days.flat_map(|day| fs::read_dir(day).unwrap()).map(|file| file.unwrap().path());
    files.filter(|file| file.to_string_lossy().ends_with(ending)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_that_kill_9_cut_off_are_accounted_for_and_the_house_is_open_again_at_once() {
    let mut shop = Shop::open_with(PLAN, &OPERATORS, |setup| {
        setup.settings.push_str("starts-per-second = 40\nmax-calls = 60\n");
        setup.settings.push_str("[recordings]\nfolder = \"{folder}/recordings\"\n");
    })
    .await;
    shop.provider.otherwise(picks_up()).await;
    let Everybody { callers, desks } = fifty_calls(&shop).await;

    shop.house.server.kill().await;
    callers.into_iter().for_each(Call::pull_the_plug);
    for desk in &desks {
        desk.die().await;
    }
    let died = Instant::now();
    shop.house.server.launch().await;
    let closed = died.elapsed();

    let calls = shop.house.store.calls(&CallFilter { limit: 100, ..CallFilter::default() }).await;
    all_are_lost(&calls.unwrap());
    nobody_is_counted_twice_or_forgotten(&shop).await;
    no_operator_is_a_ghost(&shop).await;
    recordings_can_be_heard(&shop).await;
    let tally = shop.provider.tally();
    assert!(
        (0..ROBOTS).all(|n| tally.times(&number(FIRST + n)) == 1),
        "{:?}",
        tally.times_by_number()
    );
    shop.is_whole().await;

    // A start after a proper end is the measure of this machine.
    shop.house.server.terminate().await;
    let began = Instant::now();
    shop.house.server.launch().await;
    let usual = began.elapsed();
    assert!(closed < CLOSED_MAX.max(usual * 2), "closed for {closed:?}; usual is {usual:?}");
}

fn all_are_lost(calls: &[CallRecord]) {
    assert_eq!(calls.len(), UP);
    for call in calls {
        assert_eq!(call.end_reason, Some(EndReason::Lost), "{call:?}");
        assert!(call.ended >= call.answered, "{call:?}");
    }
}

async fn nobody_is_counted_twice_or_forgotten(shop: &Shop) {
    let (from, until) = (Timestamp(0), Timestamp(i64::MAX));
    let visits = shop.house.store.visits(from, until).await.unwrap();
    let lost = |outcome: LineOutcome| outcome == LineOutcome::Lost;
    let lost = visits.iter().filter(|record| lost(record.visit.outcome)).count();
    assert_eq!((visits.len(), lost), (OPERATORS.len() + WAITING as usize, WAITING as usize));
    let talks = shop.house.store.conversations(from, until).await.unwrap();
    let mut operators: Vec<&str> =
        talks.iter().map(|record| record.conversation.operator.as_str()).collect();
    operators.sort_unstable();
    assert_eq!(operators, OPERATORS);
    for talk in &talks {
        assert!(talk.conversation.talk_ms >= 1_000, "as long as its recording: {talk:?}");
    }
    for story in shop.stories().await {
        assert_eq!(story.attempts.len(), 1, "{story:?}");
        assert!(story.attempts[0].outcome.is_some(), "{story:?}");
    }
}

async fn no_operator_is_a_ghost(shop: &Shop) {
    let (_, body) = get(shop.house.server.web, "/api/state").await.unwrap();
    let house: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(house["calls"], 0, "{house}");
    for operator in house["operators"].as_array().unwrap() {
        let state = operator["state"].as_str().unwrap();
        assert!(["unreachable", "offline"].contains(&state), "{operator}");
    }
    let anna = shop.house.quick_desk("anna").await;
    shop.house.until_state("anna", "ready").await;
    let mut customer = shop.house.customer(7).await;
    is_picked_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    crate::house::hangs_up(customer).await;
}

async fn recordings_can_be_heard(shop: &Shop) {
    let filter = CallFilter { limit: 100, ..CallFilter::default() };
    let calls = shop.house.store.calls(&filter).await.unwrap();
    let lost = calls.iter().filter(|call| call.end_reason == Some(EndReason::Lost));
    let recorded = lost.flat_map(|call| {
        call.events.iter().filter_map(move |event| match &event.fact {
            CallFact::Recorded(note) => Some((call.id, note)),
            _ => None,
        })
    });
    let recorded: Vec<(CallId, _)> = recorded.collect();
    assert_eq!(recorded.len(), OPERATORS.len(), "{recorded:?}");
    for (call, note) in recorded {
        assert!(note.file.contains(&call.to_string()), "{call} {note:?}");
        let file = shop.house.server.path("recordings").join(&note.file);
        let wav = hound::WavReader::open(&file).unwrap();
        assert_eq!(u64::from(wav.duration()) / 8, note.length_ms, "{note:?}");
        assert!(fs::metadata(&file).unwrap().len() > RECORDED_BYTES, "{note:?}");
        let samples = wav.into_samples::<i16>().map(Result::unwrap);
        assert!(samples.filter(|sample| sample.unsigned_abs() > 1_000).count() > 8_000);
    }
    eventually("nothing is left torn", SOON, async || {
        files(&shop.house, ".part").is_empty().then_some(())
    })
    .await;
}
