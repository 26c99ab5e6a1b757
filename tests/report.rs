//! What the server says of its calls, and what was seen of them from outside: the phones of
//! customers and operators count for themselves.

mod support;

use std::time::Duration;

use allo::phone::{Desk, DeskOptions, OnInvite};
use serde_json::{Value, json};
use support::eventually;
use support::server::{Server, Setup};
use tokio::time::{Instant, sleep};

const PLAN: &str = r#"
language "ru"
timezone "UTC"

number "300" { queue "support" }
number "301" { queue "night" }

group "support" {
    target "80%" within="1s" short-abandon="1s"
    keep-place "0s"
    nobody { say "sorry-full"; hangup }
}

group "night" {
    nobody { say "sorry-full"; hangup }
}
"#;

/// How far the clocks of two sides may be apart.
const TOLERANCE_MS: f64 = 250.0;

/// A server, not yet started, with these operators of `support`, all of them logged in.
fn hotline(logins: &[&str]) -> (Server, Vec<String>) {
    let server = Server::prepare(&Setup { plan: PLAN.to_owned(), ..Setup::default() });
    let mut passwords = Vec::new();
    for login in logins {
        let told =
            done(&server, &["operator", "add", login, "--name", login, "--groups", "support"]);
        let password = told.lines().find_map(|line| line.strip_prefix("  password  "));
        passwords.push(password.expect("shown once").to_owned());
        done(&server, &["operator", "login", login]);
    }
    (server, passwords)
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.allo(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn document(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(server, arguments)).unwrap()
}

/// A registered phone that picks up at once.
async fn phone(server: &Server, login: &str, password: &str) -> Desk {
    let mut options = DeskOptions::new(server.sip, login, password);
    options.on_invite = OnInvite::Answer { after: Duration::ZERO };
    let desk = Desk::start(options).await.unwrap();
    desk.register().await.unwrap();
    desk
}

/// The report of today, as soon as it counts so many conversations.
async fn report(server: &Server, conversations: u64) -> Value {
    eventually("the report is complete", Duration::from_secs(10), async || {
        let report = document(server, &["report", "today", "--json", "--calls", "--full"]);
        (report["total"]["conversations"] == conversations).then_some(report)
    })
    .await
}

/// What was found of each operator whenever somebody was rung for this call.
fn choices(server: &Server, call: &str) -> Vec<(Value, Value)> {
    let why = document(server, &["why", call, "--json"]);
    let events = why["events"].as_array().unwrap().iter();
    let decided = events.filter(|event| event["kind"] == "decided" && event["chosen"] != json!([]));
    decided.map(|event| (event["chosen"].clone(), event["candidates"].clone())).collect()
}

#[track_caller]
fn is_about(figure: &Value, expected_ms: f64) {
    let ms = figure.as_f64().unwrap();
    assert!((ms - expected_ms).abs() <= TOLERANCE_MS, "{ms} ms, from outside {expected_ms} ms");
}

fn ms(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_and_the_reasons_agree_with_what_the_phones_saw() {
    let (mut server, passwords) = hotline(&["anna", "boris", "vera", "gleb"]);
    done(&server, &["operator", "pause", "boris", "--reason", "lunch"]);
    done(&server, &["operator", "logout", "vera"]);
    server.launch().await;
    let anna = phone(&server, "anna", &passwords[0]).await;
    let _boris = phone(&server, "boris", &passwords[1]).await;
    let _vera = phone(&server, "vera", &passwords[2]).await;

    let prompt = server.call("+79161112201", "300").await;
    let prompt_entered = Instant::now();
    let rung = anna.next_invite().await.unwrap();
    assert_eq!(rung.from.as_deref(), Some("+79161112201"));
    anna.answered(rung.call).await.unwrap();
    let prompt_answered = Instant::now();

    let late = server.call("+79161112202", "300").await;
    let late_entered = Instant::now();
    let impatient = server.call("+79161112203", "300").await;
    sleep(Duration::from_millis(300)).await;
    impatient.hang_up().await;
    sleep(Duration::from_millis(1_200)).await;
    prompt.hang_up().await;
    let prompt_ended = Instant::now();
    let rung = anna.next_invite().await.unwrap();
    assert_eq!(rung.from.as_deref(), Some("+79161112202"));
    anna.answered(rung.call).await.unwrap();
    let late_answered = Instant::now();

    let patient = server.call("+79161112204", "300").await;
    let at_night = server.call("+79161112205", "301").await;
    at_night.hang_up().await;
    sleep(Duration::from_millis(1_300)).await;
    patient.hang_up().await;
    anna.hang_up(rung.call).await;
    let late_ended = Instant::now();
    late.ended().await;

    let report = report(&server, 2).await;
    let total = &report["total"];
    for (figure, seen) in [
        ("offered", 4),
        ("answered", 2),
        ("answered-in-time", 1),
        ("abandoned", 2),
        ("abandoned-in-time", 1),
        ("abandoned-at-once", 1),
        ("nobody", 1),
        ("lost", 0),
    ] {
        assert_eq!(total[figure], seen, "{figure}: {total:#}");
    }
    let levels = total["levels"].as_array().unwrap().clone();
    let level = |formula: &str| {
        let level = levels.iter().find(|level| level["formula"] == formula).unwrap();
        (level["numerator"].clone(), level["denominator"].clone())
    };
    assert_eq!(level("of-offered"), (json!(1), json!(4)));
    assert_eq!(level("of-answered"), (json!(1), json!(2)));
    assert_eq!(level("late-abandons-count"), (json!(1), json!(3)));
    assert_eq!(level("without-short-abandons"), (json!(1), json!(3)));
    let waits = ms(prompt_entered, prompt_answered) + ms(late_entered, late_answered);
    is_about(&total["mean-wait-ms"], waits / 2.0);
    is_about(&total["talk-ms"], ms(prompt_answered, prompt_ended) + ms(late_answered, late_ended));

    let calls = report["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 5);
    let id =
        |number: &str| calls.iter().find(|call| call["caller"] == number).unwrap()["call"].clone();
    for number in ["+79161112201", "+79161112202"] {
        let [(chosen, candidates)] = &choices(&server, id(number).as_str().unwrap())[..] else {
            panic!("one phone rang for {number}")
        };
        assert_eq!(*chosen, json!(["anna"]));
        assert_eq!(candidates["anna"]["verdict"], "free");
        assert_eq!(candidates["boris"], json!({ "verdict": "paused", "reason": "lunch" }));
        assert_eq!(candidates["vera"], json!({ "verdict": "logged-out" }));
        assert_eq!(candidates["gleb"], json!({ "verdict": "unregistered" }));
    }
    assert!(choices(&server, id("+79161112204").as_str().unwrap()).is_empty(), "nobody was rung");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_operators_are_at_work_as_before_and_who_was_in_the_line_counts_as_lost() {
    let (mut server, passwords) = hotline(&["anna", "boris"]);
    done(&server, &["operator", "pause", "boris", "--reason", "lunch"]);
    server.launch().await;
    let _waiting = server.call("+79161112201", "300").await;
    eventually("the caller's entry is written", Duration::from_secs(5), async || {
        let why = server.allo(&["why", "last", "--json"]).stdout;
        String::from_utf8_lossy(&why).contains("queued").then_some(())
    })
    .await;
    server.kill().await;
    server.launch().await;

    let total = report(&server, 0).await["total"].clone();
    assert_eq!((&total["offered"], &total["lost"]), (&json!(1), &json!(1)), "{total:#}");
    let boris = phone(&server, "boris", &passwords[1]).await;
    let _caller = server.call("+79161112202", "300").await;
    let anna = phone(&server, "anna", &passwords[0]).await;
    let rung = anna.next_invite().await.unwrap();
    assert_eq!(rung.from.as_deref(), Some("+79161112202"), "rung as soon as the phone is back");
    anna.answered(rung.call).await.unwrap();
    let rings =
        boris.events().iter().any(|event| matches!(event.what, allo::phone::DeskFact::Invited(_)));
    assert!(!rings, "who paused stays paused");
}
