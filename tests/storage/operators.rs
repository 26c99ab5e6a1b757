//! The contract of operators, of what reports count, and of tips.

use std::time::Duration;

use allo::config::DatabaseUrl;
use allo::domain::{
    Account, Attendance, CallFact, CallerId, Conversation, DigestChoice, Ha1, LineOutcome,
    Operator, Origin, RecordingId, Role, Visit,
};
use allo::store::{CallFilter, OperatorError, Store};

use crate::postgres::Postgres;
use crate::store::{at, call, offered};
use crate::{phone, sqlite};

const LONG: Duration = Duration::from_secs(60);

fn person(login: &str, extension: Option<&str>, groups: &[&str]) -> (Operator, Account) {
    let login: allo::domain::Login = login.parse().unwrap();
    let operator = Operator {
        login: login.clone(),
        name: "Анна Петрова".into(),
        extension: extension.map(|text| text.parse().unwrap()),
        groups: groups.iter().map(ToString::to_string).collect(),
        skills: [("orders".to_owned(), 8), ("english".to_owned(), 5)].into(),
        role: Role::Supervisor,
        auto_answer: true,
        whisper: false,
    };
    let account = Account {
        login,
        realm: "allo".into(),
        md5: Ha1("a".repeat(32)),
        sha256: Ha1("b".repeat(64)),
        digest: Some(DigestChoice::Sha256),
    };
    (operator, account)
}

#[tokio::test]
async fn sqlite_keeps_operators() {
    let folder = tempfile::tempdir().unwrap();
    contract(&sqlite(folder.path())).await;
}

#[tokio::test]
async fn postgres_keeps_operators() {
    let Some(server) = Postgres::start() else { return };
    contract(&server.database("operators")).await;
}

async fn contract(url: &DatabaseUrl) {
    let store = Store::open(url).await.unwrap();
    operators_are_read_as_they_were_written(&store).await;
    extensions_belong_to_one(&store).await;
    attendance_lasts_and_its_changes_are_seen(&store).await;
    stays_and_conversations_are_written_once(&store).await;
    tips_are_remembered(&store).await;
    a_call_is_found_by_the_beginning_of_its_id(&store).await;
    store.close().await;
}

async fn operators_are_read_as_they_were_written(store: &Store) {
    assert!(store.operators().await.unwrap().is_empty());
    assert_eq!(store.operators_revision().await.unwrap(), 0);
    let (anna, account) = person("anna", Some("201"), &["support", "orders"]);
    store.add_operator(&anna, &account).await.unwrap();
    let (boris, boris_account) = person("boris", None, &[]);
    store.add_operator(&boris, &boris_account).await.unwrap();
    assert_eq!(store.operators_revision().await.unwrap(), 2);
    let all = store.operators().await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0].operator, &all[0].account), (&anna, &account));
    assert_eq!((&all[0].attendance, all[0].attendance_since), (&Attendance::default(), None));
    assert_eq!(all[1].operator, boris);
    let again = store.add_operator(&anna, &account).await;
    assert!(matches!(again, Err(OperatorError::LoginTaken(_))));
}

async fn extensions_belong_to_one(store: &Store) {
    let revision = store.operators_revision().await.unwrap();
    let both = [person("vera", Some("300"), &[]), person("boris", Some("201"), &[])];
    let why = store.save_operators(&both).await.unwrap_err().to_string();
    assert_eq!(why, "extension 201 belongs to anna");
    assert_eq!(store.operators().await.unwrap().len(), 2, "all or none");
    assert_eq!(store.operators_revision().await.unwrap(), revision);
    // Two exchange theirs.
    store.save_operators(&[person("boris", Some("202"), &[])]).await.unwrap();
    let exchanged =
        [person("anna", Some("202"), &["support", "orders"]), person("boris", Some("201"), &[])];
    store.save_operators(&exchanged).await.unwrap();
    let all = store.operators().await.unwrap();
    assert_eq!(all[0].operator.extension.as_ref().unwrap().as_str(), "202");
    assert_eq!(store.operators_revision().await.unwrap(), revision + 2);
}

async fn attendance_lasts_and_its_changes_are_seen(store: &Store) {
    let revision = store.operators_revision().await.unwrap();
    let anna = "anna".parse().unwrap();
    let ready =
        Attendance { groups: vec!["support".into(), "orders".into()], paused: Some("tea".into()) };
    store.remember_attendance(&anna, &ready, at(5)).await.unwrap();
    assert_eq!(store.operators_revision().await.unwrap(), revision, "the server knows");
    let stored = &store.operators().await.unwrap()[0];
    assert_eq!((&stored.attendance, stored.attendance_since), (&ready, Some(at(5))));
    let unpaused = Attendance { paused: None, ..ready.clone() };
    store.set_attendance(&anna, &unpaused, at(6)).await.unwrap();
    assert_eq!(store.operators_revision().await.unwrap(), revision + 1);
    assert_eq!(store.operators().await.unwrap()[0].attendance, unpaused);
    // No member of a group any more: logged out of it.
    store.save_operators(&[person("anna", None, &["orders"])]).await.unwrap();
    assert_eq!(store.operators().await.unwrap()[0].attendance.groups, ["orders"]);
    let nobody = "nobody".parse().unwrap();
    store.remember_attendance(&nobody, &ready, at(7)).await.unwrap();
    let unknown = store.set_attendance(&nobody, &ready, at(7)).await;
    assert!(matches!(unknown, Err(OperatorError::Unknown(_))));
    assert!(store.remove_operator(&anna).await.unwrap());
    assert!(!store.remove_operator(&anna).await.unwrap());
    // Whoever comes back under this name begins logged out.
    let (anna, account) = person("anna", None, &["orders"]);
    store.add_operator(&anna, &account).await.unwrap();
    assert_eq!(store.operators().await.unwrap()[0].attendance, Attendance::default());
}

async fn stays_and_conversations_are_written_once(store: &Store) {
    let writer = store.writer();
    let caller = CallerId::Number(phone("+79161112233"));
    let visit = |second, outcome| Visit {
        group: "support".into(),
        origin: Origin::CameBack,
        entered: at(second),
        wait_ms: 12_345,
        outcome,
        operator: (outcome == LineOutcome::Answered).then(|| "anna".parse().unwrap()),
    };
    let talk = Conversation {
        operator: "anna".parse().unwrap(),
        group: Some("support".into()),
        began: at(22),
        talk_ms: 60_000,
        hold_ms: 5_000,
        wrap_up_ms: 20_000,
        topic: Some("3".into()),
    };
    writer.record(call(0x30), at(0), offered(caller.clone()));
    writer.record(call(0x30), at(22), CallFact::LeftLine(visit(10, LineOutcome::Answered)));
    writer.record(call(0x30), at(110), CallFact::Conversed(talk.clone()));
    writer.record(call(0x31), at(40), CallFact::LeftLine(visit(20, LineOutcome::Abandoned)));
    writer.flush().await;
    let visits = store.visits(at(10), at(20)).await.unwrap();
    let [record] = &visits[..] else { panic!("one stay: {visits:?}") };
    assert_eq!((record.call, record.caller.as_ref()), (call(0x30), Some(&caller)));
    assert_eq!(record.visit, visit(10, LineOutcome::Answered));
    let visits = store.visits(at(0), at(1_000)).await.unwrap();
    assert_eq!(visits.len(), 2);
    assert_eq!((visits[1].caller.as_ref(), visits[1].visit.operator.as_ref()), (None, None));
    let talks = store.conversations(at(22), at(23)).await.unwrap();
    assert_eq!(talks.len(), 1);
    assert_eq!((talks[0].call, &talks[0].conversation), (call(0x30), &talk));
    assert_eq!(writer.close(LONG).await, 0);
}

async fn tips_are_remembered(store: &Store) {
    let (first, second) = (RecordingId::new("tip/01"), RecordingId::new("tip/02"));
    store.remember_tip("+79161112233", &first, at(0)).await.unwrap();
    store.remember_tip("+79161112233", &second, at(5)).await.unwrap();
    store.remember_tip("+79161112233", &first, at(9)).await.unwrap();
    store.remember_tip("+79160000000", &second, at(1)).await.unwrap();
    let heard = store.tips_heard(at(2)).await.unwrap();
    let heard: Vec<_> = heard.iter().map(|heard| (heard.tip.as_str(), heard.at)).collect();
    assert_eq!(heard, [("tip/01", at(9)), ("tip/02", at(5))]);
    assert_eq!(store.tips_heard(at(0)).await.unwrap().len(), 2, "the others are forgotten");
}

async fn a_call_is_found_by_the_beginning_of_its_id(store: &Store) {
    let found = async |beginning: &str| {
        let id_begins = Some(beginning.to_owned());
        let filter = CallFilter { id_begins, ..CallFilter::default() };
        store.calls(&filter).await.unwrap().len()
    };
    assert_eq!(found(&call(0x30).to_string()[..35]).await, 1);
    assert_eq!(found("ffff").await, 0);
    assert_eq!(found("%").await, 0);
}
