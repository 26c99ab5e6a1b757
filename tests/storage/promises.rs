//! The contract of promises, attempts and ratings, and of the writer that stores them.

use std::time::Duration;

use allo::config::DatabaseUrl;
use allo::domain::{
    About, Attempt, CallFact, CallOutcome, Conversation, LinePlace, Promise, PromiseId,
    PromiseKind, PromiseState, Rating,
};
use allo::store::{
    Change, PromiseFilter, PromiseRecord, PromiseWriter, QueueFull, RatingFilter, RobotCall, Store,
    Stored, WriterLimits,
};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::store::{at, call};
use crate::{phone, sqlite};

const LONG: Duration = Duration::from_secs(60);

pub fn promise(number: u128, kind: PromiseKind) -> Promise {
    Promise {
        id: PromiseId(Uuid::from_u128(number)),
        kind,
        name: if kind.is_human() { String::new() } else { "rating".into() },
        phone: phone("+79161112233"),
        group: Some("support".into()),
        script: "hotline.kdl".into(),
        made: at(0),
        due: at(1_800),
        state: PromiseState::Open,
        next_at: Some(at(60)),
        attempts: 0,
        not_counted: 0,
        overdue: false,
        place: Some(LinePlace { entered: at(-30), priority: 10 }),
        about: About {
            call: Some(call(7)),
            operator: Some("anna".parse().unwrap()),
            group: Some("support".into()),
            topic: Some("доставка".into()),
            rating: Some(2),
            timezone: Some("Asia/Vladivostok".into()),
            values: [("order".to_owned(), "48-15".to_owned())].into(),
            message: Some("message.wav".into()),
        },
        event: None,
        contacted: None,
        ended: None,
        escalated: false,
        note: "made".into(),
        rehearsal: false,
    }
}

pub fn attempt(of: &Promise, number: u32) -> Attempt {
    Attempt {
        promise: of.id,
        number,
        call: call(100 + u128::from(number)),
        at: at(60 * i64::from(number)),
        outcome: None,
        ended: None,
        operator: None,
    }
}

fn rating(of: &Promise, score: u8) -> Rating {
    Rating {
        survey: "rating".into(),
        score,
        call: of.about.call,
        promise: Some(of.id),
        operator: of.about.operator.clone(),
        group: of.about.group.clone(),
        topic: of.about.topic.clone(),
    }
}

/// A writer, and what it says is safe.
pub fn writer(store: &Store) -> (PromiseWriter, mpsc::Receiver<Stored>) {
    let (safe, said) = mpsc::channel(16);
    (store.promise_writer(safe), said)
}

/// All promises, by number.
async fn all(store: &Store) -> Vec<PromiseRecord> {
    let newest = PromiseFilter { newest: Some(100), ..PromiseFilter::default() };
    let mut all = store.promises(&newest).await.unwrap();
    all.reverse();
    all
}

#[tokio::test]
async fn sqlite_keeps_promises() {
    let folder = tempfile::tempdir().unwrap();
    contract(&sqlite(folder.path())).await;
}

#[tokio::test]
async fn postgres_keeps_promises() {
    let Some(server) = Postgres::start() else { return };
    contract(&server.database("promises")).await;
}

async fn contract(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    a_promise_is_read_as_it_was_stored_and_its_story_told(&store).await;
    an_event_gives_one_promise(&store).await;
    what_death_cut_off_counts_as_made(&store).await;
    promises_are_found_by_what_they_are(&store).await;
    the_last_key_of_a_rating_counts(&store).await;
    who_was_asked_in_the_same_call_is_known_with_the_operator(&store).await;
    store.close().await;
}

async fn a_promise_is_read_as_it_was_stored_and_its_story_told(store: &Store) {
    let (writer, mut said) = writer(store);
    let mut owed = promise(1, PromiseKind::RatingCall);
    writer.store(owed.clone(), at(0)).unwrap();
    assert_eq!(said.recv().await, Some(Stored::Promise(owed.id)), "after the commit");
    assert_eq!(store.open_promises().await.unwrap(), [owed.clone()]);

    // The same as before is no news; all of this may be one batch.
    writer.store(owed.clone(), at(1)).unwrap();
    let mut first = attempt(&owed, 1);
    owed = Promise { state: PromiseState::Attempting, attempts: 1, next_at: None, ..owed };
    writer.attempt(first.clone()).unwrap();
    writer.store(owed.clone(), at(60)).unwrap();
    first.outcome = Some(CallOutcome::Answered);
    first.ended = Some(at(90));
    writer.attempt(first.clone()).unwrap();
    writer.rating(first.call, rating(&owed, 5), at(80)).unwrap();
    owed.state = PromiseState::Kept;
    owed.contacted = Some(at(70));
    owed.ended = Some(at(90));
    (owed.escalated, owed.overdue) = (true, true);
    owed.note = "rated 5".into();
    // The wall clock was set back meanwhile; the order stays.
    writer.store(owed.clone(), at(50)).unwrap();
    writer.flush().await;
    let stored = Stored::Promise(owed.id);
    let expected =
        [stored, Stored::Attempt(owed.id, 1), stored, Stored::Rating(first.call), stored];
    for expected in expected {
        assert_eq!(said.try_recv(), Ok(expected));
    }
    assert!(said.try_recv().is_err(), "an outcome is not answered");

    assert!(store.open_promises().await.unwrap().is_empty());
    let story = store.promise_story(1).await.unwrap().expect("the first one");
    assert_eq!(story.promise, owed);
    assert_eq!(story.attempts, [first]);
    let told: Vec<_> = story.changes.iter().map(|Change { at, state, .. }| (*at, *state)).collect();
    let states = [PromiseState::Open, PromiseState::Attempting, PromiseState::Kept];
    assert_eq!(told, [at(0), at(60), at(50)].into_iter().zip(states).collect::<Vec<_>>());
    assert_eq!(story.ratings.len(), 1);
    assert_eq!(story.ratings[0].rating, rating(&owed, 5));
    assert_eq!(store.promise_story(2).await.unwrap(), None);
}

async fn an_event_gives_one_promise(store: &Store) {
    let (writer, mut said) = writer(store);
    let event = Some("item-not-found/48-15".to_owned());
    let first = Promise { event: event.clone(), ..promise(10, PromiseKind::Incident) };
    let again = Promise { event, ..promise(11, PromiseKind::Incident) };
    let other = promise(12, PromiseKind::Incident);
    for promise in [&first, &again, &other] {
        writer.store(promise.clone(), at(0)).unwrap();
    }
    assert_eq!(said.recv().await, Some(Stored::Promise(first.id)));
    assert_eq!(said.recv().await, Some(Stored::Repeated(again.id)));
    assert_eq!(said.recv().await, Some(Stored::Promise(other.id)));
    // Days later, too.
    writer.store(again.clone(), at(99_999)).unwrap();
    assert_eq!(said.recv().await, Some(Stored::Repeated(again.id)));
    let all = all(store).await;
    let numbers: Vec<_> = all.iter().map(|r| (r.number, r.promise.id)).skip(1).collect();
    assert_eq!(numbers.len(), 2, "{numbers:?}");
    assert_eq!((numbers[0].1, numbers[1].1), (first.id, other.id));
    assert!(numbers[0].0 < numbers[1].0);
}

async fn what_death_cut_off_counts_as_made(store: &Store) {
    let (writer, _said) = writer(store);
    let owed = promise(20, PromiseKind::Reminder);
    writer.store(owed.clone(), at(0)).unwrap();
    let congested = Attempt { outcome: Some(CallOutcome::Congested), ..attempt(&owed, 1) };
    writer.attempt(congested).unwrap();
    writer.attempt(attempt(&owed, 2)).unwrap();
    writer.flush().await;
    let robot =
        |second| RobotCall { phone: owed.phone.clone(), robot: "rating".into(), at: at(second) };
    // Of a call under way nobody knows yet whether the phone rang.
    assert_eq!(store.robot_calls_since(at(61)).await.unwrap(), [robot(120)]);
    // The tries of one promise are one call.
    writer.attempt(attempt(&owed, 3)).unwrap();
    writer.flush().await;
    assert_eq!(store.robot_calls_since(at(60)).await.unwrap(), [robot(60), robot(120)]);
    assert_eq!(store.robot_calls_since(at(121)).await.unwrap(), []);

    assert_eq!(store.close_lost_attempts(at(200)).await.unwrap(), 2);
    assert_eq!(store.close_lost_attempts(at(201)).await.unwrap(), 0);
    let open = store.open_promises().await.unwrap();
    let found = open.iter().find(|promise| promise.id == owed.id).expect("still owed");
    assert_eq!(found.attempts, 3, "the next attempt has a number of its own");
    let record = all(store).await.into_iter().find(|r| r.promise.id == owed.id).unwrap();
    let story = store.promise_story(record.number).await.unwrap().unwrap();
    let lost = &story.attempts[1];
    assert_eq!((lost.outcome, lost.ended), (Some(CallOutcome::Failed), Some(at(200))));
}

async fn promises_are_found_by_what_they_are(store: &Store) {
    let (writer, _said) = writer(store);
    let sales = Promise {
        group: Some("sales".into()),
        phone: phone("+79169999999"),
        due: at(5),
        made: at(-1_000),
        ..promise(30, PromiseKind::CallbackMissed)
    };
    writer.store(sales.clone(), at(0)).unwrap();
    let ended = Some(at(700));
    let over = Promise { id: PromiseId(Uuid::from_u128(31)), ended, ..sales.clone() };
    writer.store(Promise { state: PromiseState::GivenUp, ..over }, at(0)).unwrap();
    writer.flush().await;
    let ids = async |filter: PromiseFilter| -> Vec<u128> {
        let found = store.promises(&filter).await.unwrap();
        found.iter().map(|record| record.promise.id.0.as_u128()).collect()
    };
    let none = PromiseFilter::default;
    let open = PromiseFilter { open: true, ..none() };
    assert_eq!(ids(open.clone()).await, [30, 10, 12, 20], "the first due first");
    let sales = Some("sales".to_owned());
    assert_eq!(ids(PromiseFilter { group: sales, ..none() }).await, [30, 31]);
    let kind = Some(PromiseKind::Incident);
    assert_eq!(ids(PromiseFilter { kind, ..open.clone() }).await, [10, 12]);
    assert_eq!(ids(PromiseFilter { made_before: Some(at(0)), ..none() }).await, [30, 31]);
    let ended = PromiseFilter { ended_from: Some(at(100)), ended_before: Some(at(701)), ..none() };
    assert_eq!(ids(ended).await, [31]);
    let phone = Some(phone("+79169999999"));
    assert_eq!(ids(PromiseFilter { phone, ..open }).await, [30]);
    assert_eq!(ids(PromiseFilter { newest: Some(2), ..none() }).await, [31, 30]);
}

async fn who_was_asked_in_the_same_call_is_known_with_the_operator(store: &Store) {
    let writer = store.writer();
    writer.set_rehearsal(true);
    let asked = CallFact::Asked { survey: "rating".to_owned() };
    for (second, fact) in [
        (600, asked.clone()),
        (601, asked),
        (602, CallFact::Conversed(talk("anna", "sales"))),
        (603, CallFact::Conversed(talk("boris", "support"))),
    ] {
        writer.record(call(950), at(second), fact);
    }
    writer.record(call(951), at(700), CallFact::Asked { survey: "rating".to_owned() });
    writer.flush().await;
    let [asked] = &store.asked_in_call(at(600), at(700)).await.unwrap()[..] else {
        panic!("once for each call and survey, and before the end");
    };
    assert_eq!((asked.call, asked.at, asked.rehearsal), (call(950), at(600), true));
    assert_eq!(asked.operator.as_ref().map(ToString::to_string).as_deref(), Some("boris"));
    assert_eq!((asked.group.as_deref(), asked.survey.as_str()), (Some("support"), "rating"));
    let [wrapping_up] = &store.asked_in_call(at(700), at(701)).await.unwrap()[..] else { panic!() };
    assert_eq!((&wrapping_up.operator, &wrapping_up.group), (&None, &None));
}

fn talk(operator: &str, group: &str) -> Conversation {
    Conversation {
        operator: operator.parse().unwrap(),
        group: Some(group.to_owned()),
        began: at(500),
        talk_ms: 60_000,
        hold_ms: 0,
        wrap_up_ms: 0,
        topic: None,
    }
}

async fn the_last_key_of_a_rating_counts(store: &Store) {
    let (writer, mut said) = writer(store);
    writer.set_rehearsal(true);
    let mut of = rating(&promise(1, PromiseKind::RatingCall), 1);
    of.promise = None;
    of.group = Some("sales".into());
    writer.rating(call(900), of.clone(), at(500)).unwrap();
    of.score = 4;
    writer.rating(call(900), of.clone(), at(501)).unwrap();
    assert_eq!(said.recv().await, Some(Stored::Rating(call(900))));
    writer.flush().await;
    let sales = RatingFilter { group: Some("sales".into()), ..RatingFilter::default() };
    let found = store.ratings(&sales).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].rating, found[0].at), (&of, at(501)));
    assert!(found[0].rehearsal);
    let before = RatingFilter { before: Some(at(500)), ..RatingFilter::default() };
    assert_eq!(store.ratings(&before).await.unwrap().len(), 1, "that of the first promise");
}

#[tokio::test]
async fn numbers_for_people_have_no_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    numbers_go_on(&store).await;
    let Some(server) = Postgres::start() else { return };
    numbers_go_on(&Store::open(&server.database("numbers")).await.unwrap()).await;
}

async fn numbers_go_on(store: &Store) {
    let (writer, _said) = writer(store);
    for id in 1..=3 {
        for second in 0..5 {
            writer.store(promise(id, PromiseKind::CallbackOrdered), at(second)).unwrap();
            writer.flush().await;
        }
    }
    let numbers: Vec<u64> = all(store).await.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn one_that_never_fits_takes_no_others_with_it() {
    let Some(server) = Postgres::start() else { return };
    let store = Store::open(&server.database("misfit")).await.unwrap();
    let (writer, mut said) = writer(&store);
    for number in 1..=5 {
        let mut owed = promise(number, PromiseKind::CallbackOrdered);
        if number == 3 {
            // Too long for an index.
            owed.event = Some((0..1_000).map(|_| Uuid::now_v7().to_string()).collect());
        }
        writer.store(owed, at(0)).unwrap();
    }
    writer.flush().await;
    for number in [1, 2, 4, 5] {
        let id = PromiseId(Uuid::from_u128(number));
        assert_eq!(said.try_recv(), Ok(Stored::Promise(id)));
    }
    assert_eq!(store.open_promises().await.unwrap().len(), 4);
}

#[tokio::test]
async fn thousands_of_promises_are_safe_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let (safe, mut said) = mpsc::channel(16);
    let writer = store.promise_writer(safe);
    let began = tokio::time::Instant::now();
    for number in 1..=5_000 {
        let mut owed = promise(number, PromiseKind::Reminder);
        writer.store(owed.clone(), at(0)).unwrap();
        let mut first = attempt(&owed, 1);
        writer.attempt(first.clone()).unwrap();
        first.outcome = Some(CallOutcome::NoAnswer);
        writer.attempt(first).unwrap();
        owed.state = PromiseState::Scheduled;
        writer.store(owed, at(1)).unwrap();
    }
    for _ in 0..15_000 {
        said.recv().await.expect("told");
    }
    writer.flush().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    println!("20,000 notes in {:?}", began.elapsed());
    assert_eq!(store.open_promises().await.unwrap().len(), 5_000);
}

#[tokio::test]
async fn a_full_queue_says_so_and_keeps_room_for_what_is_owed_already() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let file = folder.path().join("allo.db");
    let options = SqliteConnectOptions::new().filename(&file);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("begin exclusive").execute(&mut other).await.unwrap();
    let limits = WriterLimits { queue_max: 100, batch_max: 1, gather: Duration::ZERO };
    let (safe, mut said) = mpsc::channel(200);
    let writer = PromiseWriter::start(store.pool().clone(), limits, safe);
    let mut taken = 0;
    while writer.store(promise(taken + 1, PromiseKind::CallbackOrdered), at(0)).is_ok() {
        taken += 1;
    }
    assert!((90..=91).contains(&taken), "nine tenths, and perhaps one under way: {taken}");
    let known = promise(1, PromiseKind::CallbackOrdered);
    let kept = Promise { state: PromiseState::Kept, ended: Some(at(1)), ..known };
    writer.store(kept.clone(), at(1)).unwrap();
    assert_eq!(writer.attempt(attempt(&kept, 1)), Err(QueueFull));
    assert!(said.try_recv().is_err(), "nothing is said before the commit");

    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    assert_eq!(writer.close(LONG).await, 0);
    assert_eq!(writer.store(kept, at(2)), Err(QueueFull), "closed");
    let mut told = 0;
    while said.try_recv().is_ok() {
        told += 1;
    }
    assert_eq!(told, taken + 1);
    assert_eq!(u128::try_from(store.open_promises().await.unwrap().len()).unwrap(), taken - 1);
}

#[tokio::test]
async fn closing_ends_when_nobody_listens_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite(folder.path())).await.unwrap();
    let (safe, _said) = mpsc::channel(1);
    let writer = store.promise_writer(safe);
    for number in 1..=50 {
        writer.store(promise(number, PromiseKind::CallbackOrdered), at(0)).unwrap();
    }
    assert_eq!(writer.close(LONG).await, 0);
    assert_eq!(store.open_promises().await.unwrap().len(), 50);
}
