//! What is owed to customers, what they thought, who is not to be called, and events of the shop.

use allo::config::DatabaseUrl;
use allo::domain::{
    About, Attempt, CallId, CallOutcome, PhoneNumber, Promise, PromiseId, PromiseKind,
    PromiseState, Rating, Region, Timestamp,
};
use allo::store::Store;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{PLAN, code, json, prepared, stderr, stdout};
use crate::support::server::Server;

/// 2026-11-20 10:00 UTC
const MADE: i64 = 1_795_168_800_000;
const MINUTE: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    Timestamp(MADE + minute * MINUTE)
}

fn promise(number: u128, kind: PromiseKind, state: PromiseState) -> Promise {
    Promise {
        id: PromiseId(Uuid::from_u128(number)),
        kind,
        name: if kind.is_human() { String::new() } else { "rating".into() },
        phone: PhoneNumber::parse("+79161112233", Region::default()).unwrap(),
        group: kind.is_human().then(|| "support".to_owned()),
        script: "plan.kdl".into(),
        made: at(0),
        due: at(30),
        state,
        next_at: None,
        attempts: 1,
        not_counted: 0,
        place: None,
        about: About {
            operator: Some("anna".parse().unwrap()),
            group: Some("support".into()),
            topic: Some("доставка".into()),
            ..About::default()
        },
        event: None,
        contacted: None,
        ended: state.is_over().then(|| at(40)),
        escalated: false,
        overdue: false,
        note: "busy; again at 12:40".into(),
        rehearsal: false,
    }
}

fn rating(of: &Promise, score: u8) -> Rating {
    Rating {
        survey: "rating".into(),
        score,
        call: None,
        promise: Some(of.id),
        operator: of.about.operator.clone(),
        group: of.about.group.clone(),
        topic: of.about.topic.clone(),
    }
}

/// A house with a day of promises behind it.
fn house() -> Server {
    let server = prepared(PLAN);
    let url = DatabaseUrl::Sqlite(server.path("allo.db"));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&url).await.unwrap();
        let (safe, _said) = mpsc::channel(100);
        let writer = store.promise_writer(safe);
        let missed = PromiseKind::CallbackMissed;
        let late = promise(1, missed, PromiseState::Scheduled);
        let mut kept = promise(2, missed, PromiseState::Kept);
        kept.contacted = Some(at(12));
        let far =
            Promise { due: Timestamp(i64::MAX / 2), ..promise(3, missed, PromiseState::Open) };
        for promise in [&late, &kept, &far] {
            writer.store(promise.clone(), at(0)).unwrap();
        }
        let mut first = Attempt {
            promise: late.id,
            number: 1,
            call: CallId(Uuid::from_u128(101)),
            at: at(10),
            outcome: None,
            ended: None,
            operator: Some("anna".parse().unwrap()),
        };
        writer.attempt(first.clone()).unwrap();
        (first.outcome, first.ended) = (Some(CallOutcome::Busy), Some(at(11)));
        writer.attempt(first).unwrap();
        for (number, score) in [(10, Some(5)), (11, Some(2)), (12, None), (13, Some(4))] {
            let state = if score.is_some() { PromiseState::Kept } else { PromiseState::GivenUp };
            let survey = promise(number, PromiseKind::RatingCall, state);
            writer.store(survey.clone(), at(0)).unwrap();
            if let Some(score) = score {
                let given_in = CallId(Uuid::from_u128(number));
                writer.rating(given_in, rating(&survey, score), at(35)).unwrap();
            }
        }
        let rehearsed = Promise { rehearsal: true, ..promise(20, missed, PromiseState::Kept) };
        writer.store(rehearsed, at(0)).unwrap();
        writer.flush().await;
        store.close().await;
    });
    server
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.allo(arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = server.allo(arguments);
    assert_eq!(code(&output), 1, "{arguments:?}: {}", stdout(&output));
    stderr(&output)
}

#[test]
fn what_is_owed_counts_down_and_its_story_is_told() {
    let server = house();
    let told = done(&server, &["promises"]);
    let late = told.lines().find(|line| line.contains(" late ")).expect("one is late");
    for part in
        ["1  ", "callback-missed", "+7916•••2233", "support", "scheduled", "доставка", "busy;"]
    {
        assert!(late.contains(part), "{part}: {told}");
    }
    assert!(told.contains(" in ") && told.contains("2 in all, 1 late"), "{told}");
    assert!(!told.contains("rating-call"), "that is over: {told}");
    assert!(done(&server, &["promises", "--late", "--full"]).contains("+79161112233"));
    assert!(done(&server, &["promises", "--kind", "incident"]).contains("nothing is owed"));
    let count = |arguments: &[&str]| {
        let list = json(&server.allo(&[arguments, &["--json"]].concat()));
        list["promises"].as_array().unwrap().len()
    };
    assert_eq!(count(&["promises", "--due", "30m"]), 1);
    assert_eq!(count(&["promises", "--group", "sales"]), 0);
    assert_eq!(count(&["promises", "--all"]), 8);
    assert_eq!(count(&["promises", "--all", "--limit", "2"]), 2);

    let story = done(&server, &["why", "promise", "1"]);
    for part in [
        "promise 1  callback-missed  +7916•••2233  scheduled, late ",
        "to be kept by support until",
        "anna talked with the customer before",
        "made; busy; again at 12:40",
        "attempt 1 for anna: call 00000000-0000-0000-0000-000000000065",
        "attempt 1: busy",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
    let story = json(&server.allo(&["why", "promise", "4", "--json"]));
    assert_eq!(story["ratings"][0]["rating"]["score"], 5, "{story}");
    assert!(refused(&server, &["why", "promise", "99"]).contains("no promise 99"));
    assert!(refused(&server, &["why", "promise", "x"]).contains("not the number of a promise"));
    assert!(refused(&server, &["why", "promise"]).contains("which promise?"));
}

#[test]
fn reports_say_how_promises_were_kept_and_what_customers_thought() {
    let server = house();
    let day = ["2026-11-20", "--timezone", "UTC"];
    let report =
        |what: &str, more: &[&str]| done(&server, &[&["report", what], &day[..], more].concat());
    let kept = report("promises", &["--list"]);
    let missed = kept.lines().find(|line| line.starts_with("callback-missed")).unwrap();
    assert!(missed.contains("50.0 % = 1/2") && missed.contains("12 min"), "{kept}");
    let surveys = kept.lines().find(|line| line.starts_with("rating-call")).unwrap();
    assert!(surveys.contains("75.0 % = 3/4"), "{kept}");
    assert_eq!(kept.matches("+7916•••2233").count(), 7, "all but the rehearsal: {kept}");
    let rehearsed: Value =
        serde_json::from_str(&report("promises", &["--rehearsal", "--json"])).unwrap();
    assert_eq!(rehearsed["total"]["made"], 1);

    let thought = report("ratings", &["--list"]);
    let anna = thought.lines().find(|line| line.starts_with("anna")).unwrap();
    for part in ["3.67", "1.00–5.00", "66.7 % = 2/3", "21–94 %", "75.0 % = 3/4"] {
        assert!(anna.contains(part), "{part}: {thought}");
    }
    let by_day: Value =
        serde_json::from_str(&report("ratings", &["--by", "day", "--json"])).unwrap();
    assert_eq!(by_day["rows"][0]["day"], "2026-11-20");
    assert_eq!(by_day["total"]["counts"], json!([0, 1, 0, 1, 1]));
    let none: Value =
        serde_json::from_str(&report("ratings", &["--group", "sales", "--json"])).unwrap();
    assert_eq!((&none["total"]["n"], &none["total"]["asked"]), (&json!(0), &json!(0)));
    // The report of calls is what it was.
    assert!(done(&server, &["report", "2026-11-20"]).contains("service level"));
}

#[test]
fn the_list_of_who_is_not_to_be_called_is_kept_by_hand() {
    let server = prepared(PLAN);
    assert!(done(&server, &["dnc", "list"]).contains("everybody may be called"));
    done(&server, &["dnc", "add", "8 916 111-22-33", "--source", "letter of 1 November"]);
    let output = server.allo(&["dnc", "add", "+79161112233", "--robot", "ratng"]);
    assert!(stderr(&output).contains("no dialplan has a survey or robot \"ratng\""));
    server.write("dnc.csv", "phone;robot\n+79162223344;\n+79161112233;ratng\n");
    let file = server.path("dnc.csv").display().to_string();
    assert!(done(&server, &["dnc", "import", &file]).contains("1 new, 1 known already"));
    let list = done(&server, &["dnc", "list"]);
    assert!(list.contains("+7916•••2233") && list.contains("letter of 1 November"), "{list}");
    assert!(!list.contains("79161112233"), "{list}");
    assert!(done(&server, &["dnc", "list", "--full"]).contains("+79162223344"));

    done(&server, &["dnc", "remove", "+79161112233"]);
    let told = refused(&server, &["dnc", "remove", "+79161112233"]);
    assert!(told.contains("on the list for \"ratng\" only"), "{told}");
    let register = done(&server, &["dnc", "consents", "+79161112233"]);
    for part in ["no calls by robots any more: letter", "calls by robots again: command line"] {
        assert!(register.contains(part), "{part}: {register}");
    }

    server.write("dnc.csv", "phone,robot,reason\n+7916222,x,y\n,,\n");
    let told = refused(&server, &["dnc", "import", &file]);
    for part in
        ["dnc.csv:1: reason: unknown column", "dnc.csv:2: phone: ", "dnc.csv:3: phone: empty"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains("nothing was imported") && !told.contains("7916222"), "{told}");
    assert!(refused(&server, &["dnc", "add", "100"]).contains("not a phone number"));
}

#[test]
fn events_of_the_shop_come_from_csv_all_or_none() {
    let server = prepared(PLAN);
    let file = server.path("events.csv").display().to_string();
    server.write(
        "events.csv",
        "event,phone,id,Balance,note\nbalance.low,8 916 111-22-33,7,40.5,\n\
         balance.low,+79161112233,7,41,\norder.ready,+79161112233,,,забрать\n",
    );
    let import = ["event", "import", &file];
    assert!(done(&server, &import).contains("2 new, 1 known already"));
    assert!(done(&server, &import).contains("0 new, 3 known already"), "the same day");
    let pending = pending(&server);
    assert_eq!(pending[0].values, [("Balance".to_owned(), "40.5".to_owned())].into());
    assert_eq!(pending[1].values, [("note".to_owned(), "забрать".to_owned())].into());

    server.write("events.csv", "event,phone,bal ance\nlow,+79161112299,1\n,100,\n");
    let told = refused(&server, &import);
    for part in ["events.csv:2: bal ance: not a name", "events.csv:3: event: is missing"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let document = json(&server.allo(&[&import[..], &["--json"]].concat()));
    assert_eq!(
        (&document["ok"], &document["problems"][1]["column"]),
        (&json!(false), &json!("event"))
    );
    assert_eq!(self::pending(&server).len(), 2, "nothing half-stored");
}

fn pending(server: &Server) -> Vec<allo::domain::ShopEvent> {
    let url = DatabaseUrl::Sqlite(server.path("allo.db"));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&url).await.unwrap();
        let pending = store.pending_shop_events(10).await.unwrap();
        store.close().await;
        pending
    })
}
