//! `allo operator`, `allo report` and `allo why` as an admin and a supervisor use them.

mod support;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use allo::config::DatabaseUrl;
use allo::domain::{
    Account, CallFact, CallId, CallerId, Conversation, Decision, DigestChoice, EndReason, EndedBy,
    LineOutcome, Login, Origin, PhoneNumber, Region, RingOutcome, Timestamp, Verdict, Visit,
};
use allo::store::Store;
use serde_json::Value;
use support::server::{Server, Setup};
use uuid::Uuid;

const PLAN: &str = r#"
language "ru"
timezone "Europe/Moscow"

number "300" {
    say "greeting"
    queue "support"
}

group "support" {
    nobody { say "sorry-full"; hangup }
}
"#;

/// 2026-11-23 10:00:00 in Moscow.
const TEN: i64 = 1_795_417_200_000;

fn prepared() -> Server {
    Server::prepare(&Setup { plan: PLAN.to_owned(), ..Setup::default() })
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a command that must succeed.
fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.allo(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// Runs a command that must fail.
fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = server.allo(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stdout(&output));
    stderr(&output)
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(server, arguments)).unwrap()
}

async fn store(server: &Server) -> Store {
    Store::open(&DatabaseUrl::Sqlite(server.path("allo.db"))).await.unwrap()
}

const ANNA: &[&str] = &[
    "operator",
    "add",
    "anna",
    "--name",
    "Анна Петрова",
    "--extension",
    "201",
    "--groups",
    "support",
    "--skills",
    "orders=8,english=5",
    "--auto-answer",
    "--digest",
    "sha-256",
];

#[tokio::test]
async fn an_added_operator_gets_a_password_once_and_only_its_hashes_are_kept() {
    let server = prepared();
    let told = done(&server, ANNA);
    for part in [
        "anna is an operator now: Анна Петрова, extension 201, group support, skills english=5, orders=8",
        &format!("  server    {} (UDP or TCP)\n", server.sip),
        "  user      anna\n",
    ] {
        assert!(told.contains(part), "{part}\n---\n{told}");
    }
    let password = told.lines().find_map(|line| line.strip_prefix("  password  ")).unwrap();
    assert!(password.len() >= 20, "{password}");
    let store = store(&server).await;
    let [anna] = &store.operators().await.unwrap()[..] else { panic!("one operator") };
    let expected =
        Account::new(anna.operator.login.clone(), "allo", password, Some(DigestChoice::Sha256));
    assert_eq!(anna.account, expected);
    assert!(anna.operator.auto_answer && !anna.operator.whisper);
    let written = std::fs::read(server.path("allo.db-wal"))
        .into_iter()
        .chain([std::fs::read(server.path("allo.db")).unwrap()]);
    for bytes in written {
        assert!(!bytes.windows(password.len()).any(|part| part == password.as_bytes()));
    }
}

#[tokio::test]
async fn a_password_may_come_from_stdin() {
    let server = prepared();
    let with_password = |password: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allo"));
        command.args(["operator", "add", "boris", "--name", "Борис", "--password-stdin"]);
        command.arg("--config").arg(server.path("allo.toml")).stdin(Stdio::piped());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let short = with_password("12345");
    assert_eq!(short.status.code(), Some(1));
    assert!(stderr(&short).contains("a password has 12 to 128 characters"));
    let output = with_password("correct horse battery");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stdout(&output).contains("correct horse"), "it is not repeated");
    let boris = store(&server).await.operators().await.unwrap().remove(0);
    let login = boris.operator.login;
    assert_eq!(boris.account, Account::new(login, "allo", "correct horse battery", None));
}

#[test]
fn operators_are_listed_changed_and_removed() {
    let server = prepared();
    assert!(done(&server, &["operator", "list"]).contains("no operators yet"));
    done(&server, ANNA);
    assert!(refused(&server, ANNA).contains("there is an operator anna already"));
    let same_extension = ["operator", "add", "boris", "--name", "Борис", "--extension", "201"];
    assert!(refused(&server, &same_extension).contains("extension 201 belongs to anna"));
    done(
        &server,
        &["operator", "set", "anna", "--extension", "", "--role", "supervisor", "--auto-answer=no"],
    );
    let list = json(&server, &["operator", "list", "--json"]);
    let anna = &list["operators"][0];
    assert_eq!(anna["login"], "anna");
    assert_eq!(anna["extension"], Value::Null);
    assert_eq!(anna["role"], "supervisor");
    assert_eq!(anna["auto-answer"], false);
    assert_eq!(anna["skills"]["english"], 5, "what was not named stays");
    assert_eq!(anna["digest"], "sha-256");
    let table = done(&server, &["operator", "list"]);
    assert!(table.starts_with("login  name          extension  groups"), "{table}");
    assert!(refused(&server, &["operator", "remove", "ana"]).contains("did you mean anna?"));
    done(&server, &["operator", "remove", "anna"]);
    assert!(done(&server, &["operator", "list"]).contains("no operators yet"));
    for wrong in [
        &["operator", "add", "Анна", "--name", "Анна"][..],
        &["operator", "add", "anna", "--name", "Анна", "--skills", "english=11"],
        &["operator", "add", "anna", "--name", "Анна", "--extension", "1"],
        &["operator", "add", "anna"],
    ] {
        assert_eq!(server.allo(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_new_password_replaces_the_old_one_and_a_changed_realm_is_told() {
    let server = prepared();
    done(&server, ANNA);
    let told = done(&server, &["operator", "set", "anna", "--new-password"]);
    assert!(told.contains("  password  "), "{told}");
    let settings = std::fs::read_to_string(server.path("allo.toml")).unwrap();
    server.write("allo.toml", &settings.replace("[sip]", "[sip]\nrealm = \"shop\""));
    let list = done(&server, &["operator", "list"]);
    assert!(list.contains("anna can't register: the password was made for the realm \"allo\""));
    done(&server, &["operator", "set", "anna", "--new-password"]);
    assert!(!done(&server, &["operator", "list"]).contains("can't register"));
}

#[test]
fn an_operator_logs_in_and_out_and_pauses() {
    let server = prepared();
    done(&server, ANNA);
    done(&server, &["operator", "set", "anna", "--groups", "support,orders"]);
    let attendance = |arguments: &[&str]| {
        let arguments = [&["operator"][..], arguments].concat();
        done(&server, &arguments).trim_end().to_owned()
    };
    assert_eq!(attendance(&["login", "anna"]), "anna is logged in to support, orders");
    assert_eq!(
        attendance(&["pause", "anna", "--reason", "lunch"]),
        "anna is logged in to support, orders, paused: lunch"
    );
    let anna = &json(&server, &["operator", "list", "--json"])["operators"][0];
    assert_eq!((&anna["paused"], &anna["logged-in"][1]), (&"lunch".into(), &"orders".into()));
    assert_eq!(attendance(&["unpause", "anna"]), "anna is logged in to support, orders");
    assert_eq!(
        attendance(&["logout", "anna", "--group", "orders"]),
        "anna is logged in to support"
    );
    assert_eq!(attendance(&["logout", "anna"]), "anna is logged out");
    let wrong = refused(&server, &["operator", "login", "anna", "--group", "suport"]);
    assert!(wrong.contains("did you mean support?"), "{wrong}");
}

#[test]
fn a_group_that_no_dialplan_has_is_told_with_what_was_meant() {
    let server = prepared();
    let arguments = ["operator", "add", "vera", "--name", "Вера", "--groups", "suport"];
    let output = server.allo(&arguments);
    assert_eq!(output.status.code(), Some(0));
    let told = stderr(&output);
    assert!(
        told.contains("no dialplan has a group \"suport\"; did you mean \"support\"?"),
        "{told}"
    );
}

#[test]
fn a_sheet_of_operators_is_imported_whole_or_not_at_all() {
    let server = prepared();
    done(&server, ANNA);
    server.write(
        "people.csv",
        "\u{feff}name;login;groups;extension;skills;digest\n\
         Борис;boris;support,orders;202;;\n\
         Анна П.;anna;support;203;english=7;default\n",
    );
    let file = server.path("people.csv");
    let import = ["operator", "import", file.to_str().unwrap()];
    let told = done(&server, &import);
    assert!(told.starts_with("imported: 1 new, 1 changed\n"), "{told}");
    let passwords: Vec<&str> = told.lines().filter(|line| line.starts_with("boris  ")).collect();
    assert_eq!(passwords.len(), 1, "the new one gets a password: {told}");
    let list = json(&server, &["operator", "list", "--json"]);
    let (anna, boris) = (&list["operators"][0], &list["operators"][1]);
    assert_eq!((&anna["name"], &anna["extension"]), (&"Анна П.".into(), &"203".into()));
    assert_eq!((&anna["skills"]["english"], &anna["digest"]), (&7.into(), &Value::Null));
    assert_eq!(anna["auto-answer"], true, "there is no such column");
    assert_eq!((&boris["name"], &boris["groups"][1]), (&"Борис".into(), &"orders".into()));

    server.write(
        "people.csv",
        "login,name,extension,role,skills,password\n\
         gleb,Глеб,201,oparator,orders,\n\
         gleb,Глеб,203,,,\n\
         vera,,202,,,short\n",
    );
    let wrong = refused(&server, &import);
    for part in [
        "people.csv:2: role: \"oparator\" is not a role",
        "people.csv:2: skills: \"orders\" is not a skill with a level",
        "people.csv:3: login: the same as in line 2",
        "people.csv:3: extension: 203 belongs to anna, who is not in this file",
        "people.csv:4: name: empty",
        "people.csv:4: password: a password has 12 to 128 characters",
        "nothing was imported",
    ] {
        assert!(wrong.contains(part), "{part}\n---\n{wrong}");
    }
    assert!(!wrong.contains("short"), "{wrong}");
    assert_eq!(json(&server, &["operator", "list", "--json"])["operators"], list["operators"]);
}

fn call(number: u128) -> CallId {
    CallId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + number))
}

fn at(second: i64) -> Timestamp {
    Timestamp(TEN + second * 1_000)
}

fn offered() -> CallFact {
    let caller = PhoneNumber::parse("+79161112233", Region::default()).unwrap();
    CallFact::Offered {
        dialled: "300".into(),
        caller: CallerId::Number(caller),
        caller_name: None,
        plan: "a1".into(),
    }
}

fn visit(second: i64, wait_s: u64, outcome: LineOutcome) -> Visit {
    let answered = outcome == LineOutcome::Answered;
    Visit {
        group: "support".into(),
        origin: Origin::Called,
        entered: at(second),
        wait_ms: wait_s * 1_000,
        outcome,
        operator: answered.then(|| "anna".parse().unwrap()),
    }
}

/// Two half hours of a morning, and an evening call of the day before.
async fn a_morning(server: &Server) {
    use LineOutcome::{Abandoned, Answered, Callback, Nobody};
    let store = store(server).await;
    let writer = store.writer();
    let visits = [
        visit(0, 5, Answered),
        visit(60, 20, Answered),
        visit(120, 40, Answered),
        visit(180, 3, Abandoned),
        visit(1_800, 10, Answered),
        visit(1_900, 30, Abandoned),
        visit(2_000, 70, Callback),
        visit(-50_000, 0, Nobody),
    ];
    for (number, visit) in (1..).zip(visits) {
        let (entered, wait_ms) = (visit.entered, visit.wait_ms);
        let answered = visit.outcome == Answered;
        writer.record(call(number), entered, offered());
        writer.record(call(number), entered.plus_ms(wait_ms), CallFact::LeftLine(visit));
        if answered {
            let conversation = Conversation {
                operator: "anna".parse().unwrap(),
                group: Some("support".into()),
                began: entered.plus_ms(wait_ms),
                talk_ms: 60_000,
                hold_ms: 10_000,
                wrap_up_ms: 20_000,
                topic: None,
            };
            writer.record(call(number), entered, CallFact::Conversed(conversation));
        }
    }
    assert_eq!(writer.close(Duration::from_secs(60)).await, 0);
    store.close().await;
}

#[tokio::test]
async fn the_report_shows_formula_numerator_and_denominator() {
    let server = prepared();
    a_morning(&server).await;
    let table = done(&server, &["report", "2026-11-23", "--by", "half-hour"]);
    for part in [
        "all groups, 2026-11-23 (Europe/Moscow)\n",
        "2026-11-23 10:00        4         3        2          1  of-offered 50.0 % = 2/4  25.0 % = 1/4  22 s",
        "2026-11-23 10:30        2         1        1          1  of-offered 50.0 % = 1/2  50.0 % = 1/2  10 s",
        "all                     6         4        3          2  of-offered 50.0 % = 3/6  33.3 % = 2/6  19 s",
        "1 ordered a callback",
        "of-offered: answered in time / (answered + abandoned)",
        "in time: within 20 s",
    ] {
        assert!(table.contains(part), "{part}\n---\n{table}");
    }
    let closed = done(&server, &["report", "2026-11-22"]);
    assert!(closed.contains("closed") && !closed.contains("100"), "{closed}");
    let quiet = done(&server, &["report", "2026-11-24"]);
    assert!(!quiet.contains('%') && !quiet.contains("closed"), "{quiet}");
    let operators = done(&server, &["report", "2026-11-23", "--by", "operator"]);
    assert!(
        operators
            .contains("anna            –         4        3          –  of-answered 75.0 % = 3/4"),
        "{operators}"
    );
}

#[tokio::test]
async fn all_formulas_are_in_the_json_and_others_can_be_asked_for() {
    let server = prepared();
    a_morning(&server).await;
    let level = |arguments: &[&str]| {
        let arguments = [&["report", "2026-11-23", "--json"][..], arguments].concat();
        let level = json(&server, &arguments)["total"]["service-level"].clone();
        (
            level["formula"].as_str().unwrap().to_owned(),
            level["numerator"].clone(),
            level["denominator"].clone(),
        )
    };
    let of = |formula: &str, numerator: i32, denominator: i32| {
        (formula.to_owned(), Value::from(numerator), Value::from(denominator))
    };
    assert_eq!(level(&[]), of("of-offered", 3, 6));
    assert_eq!(level(&["--formula", "of-answered"]), of("of-answered", 3, 4));
    assert_eq!(level(&["--formula", "late-abandons-count"]), of("late-abandons-count", 3, 5));
    assert_eq!(level(&["--formula", "without-short-abandons"]), of("without-short-abandons", 3, 5));
    assert_eq!(level(&["--within", "5s"]), of("of-offered", 1, 6));
    let document = json(&server, &["report", "2026-11-22..2026-11-23", "--by", "day", "--json"]);
    assert_eq!(document["rows"].as_array().unwrap().len(), 2);
    assert_eq!(document["rows"][0]["service-level"]["closed"], true);
    assert_eq!(document["rows"][0]["service-level"]["percent"], Value::Null);
    assert_eq!(document["total"]["levels"][2]["percent"], 60.0);
    assert_eq!(document["total"]["mean-handle-ms"], 90_000);
    // Midnight in Vladivostok divides the days elsewhere.
    let far = ["report", "2026-11-22", "--timezone", "Asia/Vladivostok", "--json"];
    assert_eq!(json(&server, &far)["total"]["nobody"], 0);
    let formula = server.allo(&["report", "--formula", "of-offerd"]);
    assert_eq!(formula.status.code(), Some(2));
    let group = server.allo(&["report", "--group", "suport"]);
    assert_eq!(group.status.code(), Some(1));
    assert!(stderr(&group).contains("did you mean \"support\"?"));
}

#[tokio::test]
async fn a_group_is_measured_by_its_own_target() {
    let target = "group \"support\" {\n    target \"80%\" within=\"40s\" formula=\"of-answered\"";
    let plan = PLAN.replace("group \"support\" {", target);
    let server = Server::prepare(&Setup { plan, ..Setup::default() });
    a_morning(&server).await;
    let table = done(&server, &["report", "2026-11-23"]);
    for part in ["of-answered 100.0 % = 4/4", "in time: within 40 s"] {
        assert!(table.contains(part), "{part}\n---\n{table}");
    }
}

#[tokio::test]
async fn figures_lead_to_their_calls_with_masked_numbers() {
    let server = prepared();
    a_morning(&server).await;
    let table = done(&server, &["report", "2026-11-23", "--calls"]);
    let first = format!(
        "2026-11-23 10:00:00  +7916•••2233  support  waited 5 s: answered by anna  {}",
        call(1)
    );
    assert!(table.contains(&first), "{table}");
    assert!(!table.contains("+79161112233"));
    let full = done(&server, &["report", "2026-11-23", "--calls", "--full"]);
    assert!(full.contains("+79161112233"));
    let calls = done(&server, &["report", "2026-11-23", "--calls", "--csv"]);
    assert_eq!(calls.lines().count(), 8, "{calls}");
    let rows = done(&server, &["report", "2026-11-23", "--by", "half-hour", "--csv"]);
    let lines: Vec<&str> = rows.lines().collect();
    assert!(lines[0].starts_with("half-hour,offered,answered,answered-in-time,abandoned"));
    assert!(lines[1].starts_with("2026-11-23 10:00,4,3,2,1,0,1,1,"), "{rows}");
    assert!(lines[1].ends_with(",of-offered,2,4,50.00"), "{rows}");
}

#[tokio::test]
async fn a_call_tells_who_was_rung_and_why_everybody_else_was_not() {
    let server = prepared();
    assert!(refused(&server, &["why", "last"]).contains("no calls yet"));
    let store = store(&server).await;
    let writer = store.writer();
    let login = |name: &str| name.parse::<Login>().unwrap();
    let lacks = Verdict::LacksSkill { skill: "english".into(), level: 3, needed: 5 };
    let decision = |chosen: &str, others: Vec<(&str, Verdict)>| Decision {
        group: "support".into(),
        rule: "longest-idle".into(),
        plan: "a1".into(),
        waited_ms: 0,
        chosen: vec![login(chosen)],
        candidates: others.into_iter().map(|(name, verdict)| (login(name), verdict)).collect(),
    };
    let free = |idle_ms| Verdict::Free { idle_ms, calls: 2, level: None };
    let first = vec![
        ("anna", free(73_000)),
        ("boris", Verdict::WrapUp { left_ms: 7_000 }),
        ("vera", lacks),
    ];
    let rang = Verdict::JustRang { outcome: RingOutcome::NoAnswer };
    let life = [
        (0, offered()),
        (1, CallFact::Queued { group: "support".into() }),
        (1, CallFact::Decided(decision("anna", first))),
        (
            16,
            CallFact::NotTaken {
                operator: login("anna"),
                outcome: RingOutcome::NoAnswer,
                rang_ms: 15_000,
            },
        ),
        (16, CallFact::Decided(decision("boris", vec![("anna", rang), ("boris", free(8_000))]))),
        (20, CallFact::Connected { operator: login("boris") }),
        (
            20,
            CallFact::LeftLine(Visit {
                operator: Some(login("boris")),
                ..visit(1, 19, LineOutcome::Answered)
            }),
        ),
        (
            80,
            CallFact::Transferred {
                by: login("boris"),
                to: "+79167778899".into(),
                attended: false,
            },
        ),
        (90, CallFact::Ended { by: EndedBy::Caller, reason: EndReason::HungUp }),
    ];
    for (second, fact) in life {
        writer.record(call(1), at(second), fact);
    }
    // A later call that was in no line.
    writer.record(call(2), at(200), offered());
    assert_eq!(writer.close(Duration::from_secs(60)).await, 0);

    let id = call(1).to_string();
    let told = done(&server, &["why", &id]);
    for part in [
        "+7916•••2233 → 300  90 s, caller: hung up",
        "    1.000  support after 0 s: rings anna (rule longest-idle, plan a1)\n",
        "             anna   chosen: idle 73 s, 2 calls today\n",
        "             boris  wrap-up, 7 s left\n",
        "             vera   skill english 3 < 5\n",
        "   16.000  anna did not take it: no answer after 15 s\n",
        "             anna   rang last for this caller: no answer\n",
        "   20.000  left the line of support after 19 s: answered by boris\n",
        "   80.000  boris transferred it to +7916•••8899, without asking\n",
    ] {
        assert!(told.contains(part), "{part}\n---\n{told}");
    }
    assert_eq!(done(&server, &["why", "last"]), told, "the last call that was in a line");
    let beginning = refused(&server, &["why", &id[..30]]);
    assert!(beginning.contains("several calls") && beginning.contains(&id), "{beginning}");
    assert!(refused(&server, &["why", "ffff"]).contains("no call begins with ffff"));
    let document = json(&server, &["why", &id, "--json"]);
    let decided = &document["events"][1];
    assert_eq!(decided["kind"], "decided");
    assert_eq!(decided["reasons"][0]["why"], "chosen: idle 73 s, 2 calls today");
    assert_eq!(decided["candidates"]["vera"]["needed"], 5);
    assert!(!document.to_string().contains("+79167778899"));
    assert!(!done(&server, &["calls", "--json"]).contains("+79167778899"));
    assert!(done(&server, &["why", &call(2).to_string()]).contains("in no group's line"));
}
