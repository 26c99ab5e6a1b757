//! HTTP as a client sees it.

mod shop;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::feeds::EVENTS_MAX;
use super::*;
use crate::config::settings;
use crate::domain::{
    About, CallId, CallerId, CallerName, LineOutcome, Origin, PhoneNumber, Promise, PromiseId,
    PromiseKind, PromiseState, Region, ShopEvent, Timestamp, Verdict,
};

const TOKEN: &str = "0123456789abcdef";

fn settings(listen: &str, token: Option<&str>) -> settings::Web {
    let token = token.map(|token| token.parse().unwrap());
    settings::Web { listen: listen.parse().unwrap(), token }
}

fn well() -> Health {
    let health = Health::new(|| async { Ok(()) });
    health.set_sip(Ok(()));
    health.set_plan(Ok(()));
    health
}

fn call() -> CallId {
    CallId(Uuid::from_u128(7))
}

fn caller() -> Masked {
    let number = PhoneNumber::parse("+79161234567", Region::default()).unwrap();
    Masked::from(&CallerId::Number(number))
}

fn snapshot() -> StateSnapshot {
    let waiting = WaitingView {
        call: call(),
        caller: caller(),
        caller_name: CallerName::new("Анна П.").as_ref().map(Masked::from),
        place: 1,
        waited_ms: 12_500,
        priority: 10,
        is_ringing: true,
        origin: Origin::CameBack,
    };
    let today = LevelToday {
        formula: "of-offered".into(),
        numerator: 3,
        denominator: 4,
        target_percent: 80,
        within_ms: 20_000,
        offered: 4,
        answered: 4,
        abandoned: 0,
    };
    let group = |name: &str, line: Vec<WaitingView>, today| GroupState {
        name: name.into(),
        today,
        line,
        callbacks: 1,
    };
    let quiet =
        LevelToday { numerator: 0, denominator: 0, offered: 0, answered: 0, ..today.clone() };
    let operator = |login: &str, now| OperatorView {
        login: login.parse().unwrap(),
        name: "Анна".into(),
        extension: "201".parse().ok(),
        groups: vec!["support".into()],
        now,
    };
    StateSnapshot {
        at: Timestamp(1_000),
        calls: 2,
        groups: vec![group("support", vec![waiting], today), group("a\"b\\c\nd", vec![], quiet)],
        operators: vec![
            operator("anna", OperatorNow::Talking { call: None, since: Timestamp(900) }),
            operator("bob", OperatorNow::Offline),
        ],
    }
}

fn why() -> GroupWhy {
    let found = |verdict, words: &str| CandidateView { verdict, words: words.to_owned() };
    let candidates = BTreeMap::from([
        ("anna".parse().unwrap(), found(Verdict::Talking { for_ms: 73_000 }, "talking for 73 s")),
        ("bob".parse().unwrap(), found(Verdict::LoggedOut, "logged out")),
    ]);
    GroupWhy { group: "support".into(), waiting: 1, ringing: 0, call: Some(call()), candidates }
}

fn counters() -> Counters {
    Counters {
        calls: BTreeMap::from([("hung-up".into(), 5)]),
        sip_responses: BTreeMap::from([(2, 7), (4, 1)]),
        sip_refused: 12,
        sip_dropped: 34,
        rtp: RtpCounters { packets: 100, lost: 2, jitter_ms: 1.5 },
        promises: figures(),
        facts_waiting: 3,
    }
}

fn promise(kind: PromiseKind, due: i64) -> Promise {
    Promise {
        id: PromiseId(Uuid::from_u128(due as u128)),
        kind,
        name: String::new(),
        phone: PhoneNumber::parse("+79161234567", Region::default()).unwrap(),
        group: Some("support".into()),
        script: "hotline".into(),
        made: Timestamp(500),
        due: Timestamp(due),
        state: PromiseState::Scheduled,
        next_at: Some(Timestamp(due - 60)),
        attempts: 1,
        not_counted: 0,
        overdue: false,
        place: None,
        about: About::default(),
        event: None,
        contacted: None,
        ended: None,
        escalated: false,
        note: "busy; again at 12:40".into(),
        rehearsal: false,
    }
}

/// At the wall clock's 1,000.
fn promises() -> Vec<PromiseView> {
    let of = |kind, due| PromiseView::of(&promise(kind, due), Timestamp(1_000));
    vec![of(PromiseKind::CallbackMissed, 2_000), of(PromiseKind::Incident, 900)]
}

fn robot() -> RobotView {
    RobotView {
        name: "low balance".into(),
        stopped: true,
        since: Timestamp(400),
        left: 3,
        up: 1,
        done: 7,
        answered: 5,
        opted_out: 1,
        ends: None,
    }
}

fn figures() -> PromiseFigures {
    let mut figures = PromiseFigures {
        over: BTreeMap::from([((PromiseKind::RatingCall, PromiseState::GivenUp), 4)]),
        robot_calls_up: BTreeMap::from([("rating".into(), 2)]),
        trunk_up: BTreeMap::from([("mts".into(), true), ("second".into(), false)]),
        ..PromiseFigures::default()
    };
    for view in promises() {
        *figures.open.entry(view.kind).or_default() += 1;
        *figures.late.entry(view.kind).or_default() += u64::from(view.late);
    }
    figures
}

/// Keeps events whose name is not `broken`, of which the first is new; and what was kept.
fn intake() -> (Intake, Arc<Mutex<Vec<ShopEvent>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let inbox = Arc::clone(&kept);
    let intake = Intake::new(Region::default(), move |events: Vec<ShopEvent>| {
        let is_broken = events.iter().any(|event| event.name == "broken");
        let repeated = events.len().saturating_sub(1) as u64;
        if !is_broken {
            inbox.lock().unwrap().extend(events);
        }
        async move {
            let kept = Kept { new: 1, repeated };
            if is_broken { Err("the disk is full".to_owned()) } else { Ok(kept) }
        }
    });
    (intake, kept)
}

/// A house that answers; the sender tells events.
fn house() -> (Feeds, Events) {
    let (feeds, mut questions) = Feeds::new();
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            match question {
                Question::State(answer) => drop(answer.send(snapshot())),
                Question::Metrics(answer) => drop(answer.send((snapshot(), counters()))),
                Question::Promises(answer) => drop(answer.send(promises())),
                Question::Robots(answer) => drop(answer.send(vec![robot()])),
                Question::SwitchRobot { name, answer, .. } => {
                    let _ = answer.send(name == "low balance");
                }
                Question::Why { group, answer } => {
                    drop(answer.send((group == "support").then(why)));
                }
            }
        }
    });
    let events = feeds.events();
    (feeds, events)
}

async fn start(token: Option<&str>) -> (SocketAddr, Events, CancellationToken) {
    let (feeds, events) = house();
    let shutdown = CancellationToken::new();
    let settings = settings("127.0.0.1:0", token);
    let web = Web::start(&settings, well(), feeds, intake().0, shutdown.clone()).await.unwrap();
    (web.address(), events, shutdown)
}

async fn ask(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: allo\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let mut answer = String::new();
    ask(address, path, headers).await.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn get_json(address: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&get(address, path, "").await.1).unwrap()
}

#[tokio::test]
async fn health_is_200_once_every_part_is_well_and_503_with_the_reason_before() {
    let health = Health::new(|| async { Ok(()) });
    let shutdown = CancellationToken::new();
    let (feeds, _answers) = Feeds::new();
    let anywhere = settings("127.0.0.1:0", None);
    let web =
        Web::start(&anywhere, health.clone(), feeds, intake().0, shutdown.clone()).await.unwrap();
    let address = web.address();
    health.set_sip(Ok(()));
    let (status, body) = get(address, "/health", "").await;
    assert_eq!(status, 503);
    assert!(body.contains("the plan has not started yet"), "{body}");
    health.set_plan(Ok(()));
    let (status, body) = get(address, "/health", "").await;
    assert_eq!((status, body.as_str()), (200, "{\"status\":\"ok\"}"));
    health.watch_recordings(|| async { Err("no space".to_owned()) });
    let (status, body) = get(address, "/health", "").await;
    assert_eq!(status, 200);
    let degraded = json!({"status": "degraded", "reasons": {"recordings": "no space"}});
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), degraded);
    health.set_draining();
    assert_eq!(get(address, "/health", "").await.0, 503);
    shutdown.cancel();
    web.ended().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_database_that_takes_no_write_is_a_reason() {
    let health = Health::new(|| async { Err("the disk is full".to_owned()) });
    health.set_sip(Ok(()));
    health.set_plan(Ok(()));
    let report = health.report().await;
    assert!(!report.answers_calls());
    assert_eq!(report.reasons["database"], "the disk is full");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = taken.local_addr().unwrap();
    let settings = settings(&address.to_string(), None);
    let feeds = Feeds::new().0;
    let error = Web::start(&settings, well(), feeds, intake().0, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn without_a_token_only_this_machine_is_listened_to() {
    for (listen, token, starts) in [
        ("127.0.0.1:0", None, true),
        ("127.0.0.2:0", None, true),
        ("127.0.0.1:0", Some(TOKEN), true),
        ("0.0.0.0:0", None, false),
        ("0.0.0.0:0", Some(TOKEN), true),
        ("[::]:0", None, false),
        ("192.0.2.1:0", None, false),
        ("0.0.0.0:0", Some("too short"), false),
        ("127.0.0.1:0", Some(""), false),
    ] {
        let settings = settings(listen, token);
        let web =
            Web::start(&settings, well(), Feeds::new().0, intake().0, CancellationToken::new())
                .await;
        assert_eq!(web.is_ok(), starts, "{listen} {token:?}");
        if let Err(error) = web {
            assert!(error.to_string().contains("[web] token"), "{error}");
        }
    }
}

#[tokio::test]
async fn everything_but_health_asks_for_the_token() {
    let (address, ..) = start(Some(TOKEN)).await;
    assert_eq!(get(address, "/health", "").await.0, 200);
    let right = format!("authorization: bearer {TOKEN}\r\n");
    for path in ["/metrics", "/api/state", "/api/groups/support/why", "/api/promises"] {
        assert_eq!(get(address, path, &right).await.0, 200, "{path}");
        for wrong in [
            String::new(),
            format!("Authorization: {TOKEN}\r\n"),
            format!("Authorization: Basic {TOKEN}\r\n"),
            format!("Authorization: Bearer {TOKEN}0\r\n"),
            format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
            "Authorization: Bearer \r\n".to_owned(),
            "Authorization: Bearé\r\n".to_owned(),
        ] {
            let (status, body) = get(address, path, &wrong).await;
            assert_eq!(status, 401, "{path} {wrong}");
            assert!(!body.contains(TOKEN) && body.contains("a token is needed"), "{body}");
        }
    }
    assert_eq!(get(address, "/api/events", "").await.0, 401);
    assert_eq!(post(address, "/api/events", JSON, "[]").await.0, 401);
    assert_eq!(post(address, "/api/robots/low%20balance/stop", "", "").await.0, 401);
}

#[tokio::test]
async fn the_state_is_told_in_the_shape_that_the_docs_show() {
    let (address, ..) = start(None).await;
    let state = get_json(address, "/api/state").await;
    let expected = json!({
        "name": "support",
        "today": {
            "formula": "of-offered", "numerator": 3, "denominator": 4, "target-percent": 80,
            "within-ms": 20000, "offered": 4, "answered": 4, "abandoned": 0
        },
        "line": [{
            "call": "00000000-0000-0000-0000-000000000007", "caller": "+7916•••4567",
            "caller-name": "А•••", "place": 1, "waited-ms": 12500, "priority": 10, "is-ringing": true, "origin": "came-back"
        }],
        "callbacks": 1
    });
    assert_eq!(state["groups"][0], expected);
    assert_eq!((&state["at"], &state["calls"]), (&json!(1000), &json!(2)));
    let anna = json!({
        "login": "anna", "name": "Анна", "extension": "201", "groups": ["support"],
        "state": "talking", "call": null, "since": 900
    });
    assert_eq!(state["operators"][0], anna);
    assert_eq!(state["operators"][1]["state"], "offline");
}

#[tokio::test]
async fn why_nobody_is_rung_is_told_for_a_group_and_an_unknown_one_is_404() {
    let (address, ..) = start(None).await;
    let why = get_json(address, "/api/groups/support/why").await;
    let anna = json!({ "verdict": "talking", "for_ms": 73000, "words": "talking for 73 s" });
    assert_eq!((&why["waiting"], &why["candidates"]["anna"]), (&json!(1), &anna));
    assert_eq!(why["candidates"]["bob"]["verdict"], "logged-out");
    let (status, body) = get(address, "/api/groups/%D0%B0/why", "").await;
    assert_eq!(status, 404);
    assert!(body.contains("no such group"), "{body}");
}

const JSON: &str = "Content-Type: application/json; charset=utf-8\r\n";

async fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn a_house_that_does_not_answer_is_503() {
    let (feeds, answers) = Feeds::new();
    drop(answers);
    let settings = settings("127.0.0.1:0", None);
    let web =
        Web::start(&settings, well(), feeds, intake().0, CancellationToken::new()).await.unwrap();
    for path in ["/metrics", "/api/state", "/api/groups/support/why", "/api/robots"] {
        let (status, body) = get(web.address(), path, "").await;
        assert_eq!(status, 503, "{path}");
        assert!(body.contains("try again"), "{body}");
    }
}

#[tokio::test]
async fn metrics_are_text_that_prometheus_reads() {
    let (address, ..) = start(None).await;
    let (_, text) = get(address, "/metrics", "").await;
    for line in [
        "# TYPE allo_line_length gauge",
        "allo_calls_up 2",
        "allo_line_length{group=\"support\"} 1",
        "allo_line_length{group=\"a\\\"b\\\\c\\nd\"} 0",
        "allo_line_longest_wait_seconds{group=\"support\"} 12.5",
        "allo_service_level_ratio{group=\"support\",formula=\"of-offered\"} 0.75",
        "allo_service_level_target_ratio{group=\"support\"} 0.8",
        "allo_service_level_within_seconds{group=\"support\"} 20",
        "allo_operators{state=\"talking\"} 1",
        "allo_operators{state=\"ready\"} 0",
        "# TYPE allo_calls_total counter",
        "allo_calls_total{outcome=\"hung-up\"} 5",
        "allo_sip_responses_total{class=\"4xx\"} 1",
        "allo_sip_refused_total 12",
        "# TYPE allo_sip_dropped_total counter",
        "allo_sip_dropped_total 34",
        "allo_rtp_packets_lost_total 2",
        "allo_rtp_jitter_seconds 0.0015",
        "allo_facts_waiting 3",
        "allo_event_listeners 0",
        "allo_promises_open{kind=\"incident\"} 1",
        "allo_promises_late{kind=\"incident\"} 1",
        "allo_promises_late{kind=\"callback-missed\"} 0",
        "allo_promises_open{kind=\"reminder\"} 0",
        "allo_promises_total{kind=\"rating-call\",outcome=\"given-up\"} 4",
        "allo_robot_calls_up{robot=\"rating\"} 2",
        "allo_trunk_up{trunk=\"second\"} 0",
    ] {
        assert!(text.lines().any(|its| its == line), "{line} is not in\n{text}");
    }
    // Nobody has called the second group yet: there is no level, rather than a wrong one.
    assert_eq!(text.matches("\nallo_service_level_ratio{").count(), 1);
    assert!(!text.contains("4567"));
}

fn left(waiting: u64) -> WebEvent {
    WebEvent::CallerLeft {
        call: call(),
        group: "support".into(),
        outcome: LineOutcome::Answered,
        waited_ms: 3_000,
        waiting,
    }
}

/// Reads until the stream ends or everything expected was read.
async fn read_until(stream: &mut TcpStream, last: &str) -> String {
    let mut read = String::new();
    let mut buffer = [0; 4096];
    while !read.contains(last) {
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0, "{last} did not come: {read}");
        read += &String::from_utf8_lossy(&buffer[..length]);
    }
    read
}

#[tokio::test]
async fn a_client_gets_the_state_and_then_what_happens_until_the_server_ends() {
    let (address, events, shutdown) = start(None).await;
    let mut stream = ask(address, "/api/events", "").await;
    let head = read_until(&mut stream, "event: state\n").await;
    assert!(head.to_ascii_lowercase().contains("content-type: text/event-stream"), "{head}");
    events.tell(Timestamp(5), left(0));
    let joined = WebEvent::CallerJoined {
        call: call(),
        group: "support".into(),
        caller: caller(),
        waiting: 1,
    };
    events.tell(Timestamp(6), joined);
    let text = read_until(&mut stream, "\"waiting\":1}").await;
    assert!(text.contains("event: caller-left\nid: 1\n"), "{text}");
    assert!(text.contains("event: caller-joined\nid: 2\n"), "{text}");
    assert!(text.contains("\"waited-ms\":3000"), "{text}");
    shutdown.cancel();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_told_what_it_missed_and_goes_on() {
    let (feeds, events) = house();
    let seat = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let sse = super::events::stream(feeds, CancellationToken::new(), seat);
    for waiting in 0..EVENTS_MAX as u64 + 10 {
        events.tell(Timestamp(5), left(waiting));
    }
    let mut body = sse.into_response().into_body().into_data_stream();
    let mut next = async || {
        let bytes = body.next().await.unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert!(next().await.starts_with("event: state\n"));
    assert_eq!(next().await, "event: lagged\ndata: {\"missed\":10}\n\n");
    assert!(next().await.starts_with("event: state\n"));
    let event = next().await;
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let expected = json!({
        "id": 11, "at": 5, "event": "caller-left", "call": "00000000-0000-0000-0000-000000000007",
        "group": "support", "outcome": "answered", "waited-ms": 3000, "waiting": 10
    });
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), expected);
    assert!(event.contains("event: caller-left\n") && event.contains("id: 11\n"), "{event}");
}

#[tokio::test]
async fn only_so_many_clients_listen_at_once() {
    let (address, ..) = start(None).await;
    let mut clients = Vec::new();
    for _ in 0..super::serve::LISTENERS_MAX {
        let mut client = ask(address, "/api/events", "").await;
        read_until(&mut client, "event: state").await;
        clients.push(client);
    }
    assert_eq!(get(address, "/api/events", "").await.0, 503);
    let (_, metrics) = get(address, "/metrics", "").await;
    assert!(metrics.contains("\nallo_event_listeners 64\n"), "{metrics}");
}
