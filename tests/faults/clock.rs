//! Somebody sets the wall clock while calls are up, by an hour to and fro.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use allo::domain::{CallFact, PromiseKind, PromiseState, Timestamp};
use allo::phone::Script;
use allo::store::CallFilter;
use serde_json::json;
use tempfile::TempDir;

use crate::audio;
use crate::house::{SOON, customer_hears, hangs_up, picks_up as is_picked_up, voice_of};
use crate::shop::{LATER, Shop, number, picks_up, presses};
use crate::support::{eventually, project};

const HOUR_S: i64 = 3_600;
/// The server looks once a second whether the clock was set.
const NOTICED: Duration = Duration::from_millis(2_500);
/// A wait on a clock that was not set.
const WAIT_MAX_MS: u64 = 120_000;

const PLAN: &str = r#"
    group "support" { wrap-up "0s" }
    robot "parcel" {
        when "parcel.arrived"; window "00:00-24:00"
        tries 2 every="30m"; at-once 20; per-second 40
        say "notice-hello"
        key "1" { say "goodbye" }
        key "9" { do-not-call }
    }
"#;

/// The wall clock of one server.
struct WallClock {
    folder: TempDir,
}

impl WallClock {
    fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap() };
        clock.is_ahead(0);
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.library())
            .arg(project().join("tests/faults/wall_clock.c"))
            .arg("-ldl")
            .status()
            .expect("a C compiler, as the README asks for");
        assert!(built.success());
        clock
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("wall_clock.so")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }

    fn environment(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.display().to_string();
        vec![
            ("LD_PRELOAD".to_owned(), text(self.library())),
            ("WALL_CLOCK_FILE".to_owned(), text(self.file())),
        ]
    }

    /// By how much it is ahead of the machine's, from now on.
    fn is_ahead(&self, seconds: i64) {
        use std::os::unix::fs::FileExt as _;
        let file = fs::File::options().create(true).truncate(false).write(true).open(self.file());
        file.unwrap().write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }
}

async fn notices(shop: &Shop, times: usize) {
    eventually("the server notices", SOON, async || {
        (shop.house.server.log().matches("the wall clock was set").count() == times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_is_set_by_an_hour_moves_due_times_and_harms_no_call() {
    let clock = WallClock::new();
    let shop = Shop::open_with(PLAN, &["anna", "boris"], |setup| {
        setup.environment = clock.environment();
        setup.settings.push_str("starts-per-second = 40\nmax-calls = 60\n");
    })
    .await;
    let (busy, long) = (number(8_800_001), number(8_800_002));
    shop.provider.on_call(&busy, [Script::refuses(486), presses("500ms,1")]).await;
    shop.provider.on_call(&long, [picks_up()]).await;
    let anna = shop.house.quick_desk("anna").await;
    let mut customer = shop.house.customer(1).await;
    let phone = is_picked_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    let waits = shop.house.customer(2).await;
    let event = |phone: &str, id: u32| json!({"event": "parcel.arrived", "phone": phone, "id": id});
    shop.tell(&json!([event(&busy, 1), event(&long, 2)])).await;
    let reminder = PromiseKind::Reminder;
    shop.promise(&busy, reminder, PromiseState::Scheduled).await;
    shop.provider.nth_call(&long, 1).await.unwrap();

    let began = audio::since();
    clock.is_ahead(HOUR_S);
    notices(&shop, 1).await;
    // What was due in half an hour is due now, once.
    shop.promise(&busy, reminder, PromiseState::Kept).await;
    for (times, ahead_s) in [(2, -HOUR_S), (3, HOUR_S), (4, 0)] {
        clock.is_ahead(ahead_s);
        notices(&shop, times).await;
        let new = shop.house.server.call(&number(50), "300").await;
        tokio::time::sleep(NOTICED).await;
        audio::went_on(&new, new.begun() + Duration::from_secs(1), "a new call").await;
        hangs_up(new).await;
    }
    audio::went_on(&customer, began, "a conversation while the clock is set").await;
    audio::went_on(&waits, began, "a caller in the line while the clock is set").await;
    shop.house.until_state("anna", "talking").await;
    hangs_up(customer).await;
    anna.ended(phone).await.unwrap();
    // Who waited is next, and waited as long as it was.
    is_picked_up(&anna).await;
    hangs_up(waits).await;

    let none_is_up = |tally: &allo::phone::Tally| (tally.up == 0).then_some(());
    shop.provider.until_within(LATER, none_is_up).await.unwrap();
    eventually("all attempts are written down", LATER, async || {
        let stories = shop.stories().await;
        let mut attempts = stories.iter().flat_map(|story| &story.attempts);
        attempts.all(|attempt| attempt.ended.is_some()).then_some(())
    })
    .await;
    let tally = shop.provider.tally();
    assert_eq!((tally.times(&busy), tally.times(&long)), (2, 1));
    shop.books_agree().await;
    let calls = shop.house.records("all calls are over", |calls| {
        calls.iter().all(|call| call.ended.is_some()).then_some(calls.len())
    });
    assert_eq!(calls.await, 2 + 3 + 3);
    let calls = shop.house.store.calls(&CallFilter::default()).await.unwrap();
    for call in calls {
        let ends = call.events.iter().filter(|e| matches!(e.fact, CallFact::Ended { .. })).count();
        assert_eq!(ends, 1, "{call:?}");
    }
    let (from, until) = (Timestamp(0), Timestamp(i64::MAX));
    for visit in shop.house.store.visits(from, until).await.unwrap() {
        assert!(visit.visit.wait_ms < WAIT_MAX_MS, "{visit:?}");
    }
    for talk in shop.house.store.conversations(from, until).await.unwrap() {
        assert!(talk.conversation.talk_ms < WAIT_MAX_MS, "{talk:?}");
    }
    let listed = shop.house.server.allo(&["calls"]);
    assert!(listed.status.success());
}
