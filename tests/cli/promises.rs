//! What is owed to customers, what they thought, who is not to be called, and events of the shop.

use std::time::Duration;

use allo::config::DatabaseUrl;
use allo::domain::{
    About, Attempt, CallFact, CallId, CallOutcome, Conversation, PhoneNumber, Promise, PromiseId,
    PromiseKind, PromiseState, Rating, Region, Timestamp,
};
use allo::store::{PromiseWriter, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{PLAN, code, json, prepared, stderr, stdout};
use crate::support::eventually;
use crate::support::server::{Server, Setup};

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
    let survey = "survey \"rating\" { after \"answered\"; keys \"1-5\"; key \"9\" { do-not-call }; \
                  below 4 { promise \"callback-low-rating\" due=\"30m\" group=\"support\" }; \
                  loyalty \"share-of-4-5\" }\ngroup \"support\"\ngroup \"sales\"\n\
                  timezone \"Europe/Moscow\"\n";
    let server = prepared(&format!("{PLAN}{survey}"));
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
        let rehearsed = Promise { rehearsal: true, ..promise(21, missed, PromiseState::Open) };
        writer.store(rehearsed, at(0)).unwrap();
        writer.flush().await;
        asked_in_calls(&store, &writer).await;
        store.close().await;
    });
    server
}

/// Two callers of Anna are asked in the same call, and one presses 4, two minutes later.
async fn asked_in_calls(store: &Store, writer: &PromiseWriter) {
    let calls = store.writer();
    for number in [201, 202] {
        let call = CallId(Uuid::from_u128(number));
        let talk = Conversation {
            operator: "anna".parse().unwrap(),
            group: Some("support".into()),
            began: at(0),
            talk_ms: 60_000,
            hold_ms: 0,
            wrap_up_ms: 0,
            topic: None,
        };
        let asked = CallFact::Asked { survey: "rating".into() };
        for (minute, fact) in [(299, asked), (300, CallFact::Conversed(talk))] {
            calls.record(call, at(minute), fact);
        }
    }
    calls.flush().await;
    let given_in = CallId(Uuid::from_u128(201));
    let rating = Rating {
        survey: "rating".into(),
        score: 4,
        call: Some(given_in),
        promise: None,
        operator: Some("anna".parse().unwrap()),
        group: Some("support".into()),
        topic: None,
    };
    writer.rating(given_in, rating, at(301)).unwrap();
    writer.flush().await;
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
    assert!(told.contains(" in ") && told.contains("3 in all, 1 late"), "{told}");
    assert!(!told.contains("rating-call"), "that is over: {told}");
    let rehearsed = told.lines().find(|line| line.contains("rehearsal")).expect("one is of it");
    assert!(rehearsed.contains(" due 2026-11-20 "), "nobody's clock counts for it: {told}");
    assert!(done(&server, &["promises", "--late", "--full"]).contains("+79161112233"));
    assert!(done(&server, &["promises", "--kind", "incident"]).contains("nothing is owed"));
    let count = |arguments: &[&str]| {
        let list = json(&server.allo(&[arguments, &["--json"]].concat()));
        list["promises"].as_array().unwrap().len()
    };
    assert_eq!(count(&["promises", "--due", "30m"]), 1);
    assert_eq!(count(&["promises", "--group", "sales"]), 0);
    assert_eq!(count(&["promises", "--all"]), 9);
    assert_eq!(count(&["promises", "--all", "--limit", "2"]), 2);

    let story = done(&server, &["why", "promise", "1"]);
    for part in [
        "promise 1  callback-missed  +7916•••2233  scheduled, late ",
        "to be kept by support until 2026-11-20 13:30:00 (Europe/Moscow), by the rules of plan.kdl",
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
    assert_eq!(rehearsed["total"]["made"], 2);
    let csv = report("promises", &["--csv"]);
    assert!(csv.starts_with("kind,made,kept-in-time,too-late,"), "{csv}");
    assert!(csv.contains("\ncallback-missed,3,1,0,0,1,0,1,2,50.0,720000\n"), "{csv}");
    let list = report("promises", &["--csv", "--list"]);
    assert!(
        list.starts_with("number,kind,name,customer,") && list.contains("7916•••2233"),
        "{list}"
    );

    let thought = report("ratings", &["--list"]);
    let anna = thought.lines().find(|line| line.starts_with("anna")).unwrap();
    for part in ["3.75", "1.75–5.00", "75.0 % = 3/4", "30–95 %", "75.0 % = 3/4", "50.0 % = 1/2"]
    {
        assert!(anna.contains(part), "{part}: {thought}");
    }
    let by_day: Value =
        serde_json::from_str(&report("ratings", &["--by", "day", "--json"])).unwrap();
    assert_eq!(by_day["rows"][0]["day"], "2026-11-20");
    assert_eq!(by_day["total"]["counts"], json!([0, 1, 0, 2, 1]));
    let index = json!({ "share-of-4-5": { "index": 75.0, "n": 4 } });
    assert_eq!(by_day["rows"][0]["loyalty"], index);
    let csv = report("ratings", &["--by", "day", "--csv"]);
    assert!(csv.starts_with("day,n,score-1,") && csv.contains(",75.0,4\n"), "{csv}");
    assert!(
        report("ratings", &["--csv", "--list"]).contains(",rating,4,anna,support,"),
        "the call"
    );
    let none: Value =
        serde_json::from_str(&report("ratings", &["--group", "sales", "--json"])).unwrap();
    assert_eq!((&none["total"]["n"], &none["total"]["asked"]), (&json!(0), &json!(0)));
    // The report of calls is what it was.
    assert!(done(&server, &["report", "2026-11-20"]).contains("service level"));
}

#[test]
fn a_group_that_no_dialplan_has_is_a_slip_and_no_empty_list() {
    let server = prepared(&format!("{PLAN}group \"support\"\n"));
    for listing in ["promises", "report promises", "report ratings", "report"] {
        let with = |group: &'static str| -> Vec<&str> {
            listing.split(' ').chain(["--group", group]).collect()
        };
        let told = refused(&server, &with("suport"));
        let meant = "no dialplan has a group \"suport\"; did you mean \"support\"?";
        assert!(told.contains(meant), "{told}");
        assert!(refused(&server, &with("vip")).contains("; there are: support"));
        done(&server, &with("support"));
    }
}

#[test]
fn the_loyalty_index_is_measured_daily_and_summed_up_monthly() {
    let server = house();
    let report = |more: &[&str]| done(&server, &[&["report", "ratings"], more].concat());
    let month = report(&["2026-11", "--by", "day", "--timezone", "America/New_York"]);
    let line = |start: &str| month.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("2026-11-20").ends_with("share-of-4-5 75.0 (n 4)"), "{month}");
    assert!(line("all").ends_with("share-of-4-5 75.0 (n 4)"), "{month}");
    assert!(month.contains("loyalty, share-of-4-5: 100 · number of 4 and 5 / n"), "{month}");
    assert!(report(&["2026-11", "--by", "month"]).contains("\n2026-11 "));
    assert!(!report(&["2026-11", "--by", "operator"]).contains("loyalty"));
    // A question of the last minute of a day belongs to that day, even if the answer does not.
    let asked = report(&["2026-11-20", "--by", "day", "--timezone", "Etc/GMT-9"]);
    let line = asked.lines().find(|line| line.starts_with("all")).unwrap();
    assert!(line.contains("66.7 % = 2/3") && line.contains("50.0 % = 1/2"), "{asked}");
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

const INCIDENT: &str = "incident \"item-not-found\" { group \"support\" }\ngroup \"support\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_api_csv_and_crm_tell_is_one_promise() {
    let settings = "[crm]\nsource = \"sql\"\n\n[crm.sql]\nurl = \"sqlite:{folder}/crm.db\"\n\
        customers = \"select name from client where phone = $1\"\n\
        events = \"select id, event, phone, item from happened\"\n";
    let setup =
        Setup { plan: format!("{PLAN}{INCIDENT}"), settings: settings.into(), ..Setup::default() };
    let mut server = Server::prepare(&setup);
    let url = format!("sqlite:{}?mode=rwc", server.path("crm.db").display());
    let crm = sqlx::SqlitePool::connect(&url).await.unwrap();
    for statement in [
        "create table client (phone text, name text)",
        "create table happened (id integer, event text, phone text, item text)",
        "insert into happened values (1507, 'item-not-found', '8 (916) 111-22-33', 'kettle')",
    ] {
        sqlx::query(statement).execute(&crm).await.unwrap();
    }
    crm.close().await;
    server.launch().await;
    let owed = || {
        let list = json(&server.allo(&["promises", "--all", "--full", "--json"]));
        list["promises"].as_array().unwrap().clone()
    };
    let first = eventually("the CRM is asked", Duration::from_secs(20), async || owed().pop());
    assert_eq!(first.await["customer"], "+79161112233");

    let event = r#"{"event": "item-not-found", "phone": "+7 916 111-22-33", "id": 1507}"#;
    let url = format!("http://{}/api/events", server.web);
    let request = ureq::post(url).header("Content-Type", "application/json");
    let answer = request.send(event).unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(answer, r#"{"new":0,"repeated":1}"#);
    server.write("events.csv", "event,phone,id\nitem-not-found,89161112233, 1507 \n");
    let file = server.path("events.csv").display().to_string();
    assert!(done(&server, &["event", "import", &file]).contains("0 new, 1 known already"));
    assert_eq!(owed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_in_a_rehearsal_counts_down_by_its_clock_while_it_runs() {
    let arguments = ["--clock", "2030-11-27T12:00:00+03:00"].map(str::to_owned).to_vec();
    let setup = Setup { plan: format!("{PLAN}{INCIDENT}"), arguments, ..Setup::default() };
    let mut server = Server::prepare(&setup);
    server.launch().await;
    server.write("events.csv", "event,phone\nitem-not-found,+79161112233\n");
    let file = server.path("events.csv").display().to_string();
    done(&server, &["event", "import", &file]);
    let owed = |server: &Server| {
        let list = json(&server.allo(&["promises", "--json"]));
        list["promises"].as_array().unwrap().first().cloned()
    };
    let told = "the event is seen to";
    let promise = eventually(told, Duration::from_secs(20), async || owed(&server)).await;
    let left = promise["left-ms"].as_i64().expect("the server tells its clock");
    assert!((1..16 * MINUTE).contains(&left), "15 minutes, by a clock in seconds: {promise}");
    assert!(done(&server, &["promises", "--due", "16m"]).contains("1 in all"), "{promise}");
    server.terminate().await;
    assert_eq!(owed(&server).unwrap()["left-ms"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_of_a_running_server_are_watched_stopped_and_resumed() {
    let robot = "robot \"low-balance\" { when \"balance.low\"; say \"balance-hello\"; \
                 key \"9\" { do-not-call } }\n";
    let mut server = prepared(&format!("{PLAN}{robot}"));
    let told = refused(&server, &["robot", "stop", "low-balance"]);
    assert!(told.contains("is allo serve running?"), "{told}");
    server.launch().await;
    let status = || done(&server, &["robot", "status"]);
    assert!(status().contains(" idle"), "{}", status());
    server.write("events.csv", "event,phone\nbalance.low,+79161112233\n");
    let file = server.path("events.csv").display().to_string();
    done(&server, &["event", "import", &file]);
    let told = "its call waits for its hours, or for a trunk";
    eventually(told, Duration::from_secs(20), async || status().contains(" waits").then_some(()))
        .await;
    assert!(done(&server, &["robot", "stop", "low-balance"]).contains("robot resume low-balance"));
    assert!(status().contains(" stopped"), "{}", status());
    assert!(done(&server, &["robot", "resume", "low-balance"]).contains("goes on"));
    assert!(!status().contains(" stopped"), "{}", status());
    let one = json(&server.allo(&["robot", "status", "low-balance", "--json"]));
    assert_eq!((&one[0]["left"], &one[0]["up"]), (&json!(1), &json!(0)));
    let told = refused(&server, &["robot", "stop", "low-blance"]);
    assert!(told.contains("no robot low-blance; it has low-balance"), "{told}");
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
