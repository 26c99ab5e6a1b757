//! The commands of the real binary as an admin uses them: what they print, where they find mistakes,
//! and how they end. 0: done; 1: the files are wrong; 2: the command line is.

#[path = "cli/promises.rs"]
mod promises;
mod support;

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::project;
use support::server::{Server, Setup};

const PLAN: &str = r#"
language "ru"

number "300" {
    say "greeting"
    lookup "customer"
    if "customer.found" {
        say "points-are" "{customer.points:points}"
    } else {
        say "customer-unknown"
    }
    hangup
}
"#;

fn prepared(plan: &str) -> Server {
    Server::prepare(&Setup { plan: plan.to_owned(), ..Setup::default() })
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The one JSON document of stdout.
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

#[test]
fn usage_mistakes_end_with_2() {
    let server = prepared(PLAN);
    for arguments in [
        &["chek"][..],
        &["crm", "import"],
        &["crm", "import", "--json"],
        &["calls", "--limit", "x"],
    ] {
        let output = server.allo(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_shipped_plans_are_right_their_tests_pass_and_no_recording_is_missing() {
    let allo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allo"));
        command.args(arguments).current_dir(project()).stdin(Stdio::null()).output().unwrap()
    };
    for arguments in [&["check"][..], &["test"], &["graph"], &["prompts", "missing"]] {
        let output = allo(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    }
    let findings = json(&allo(&["check", "--json"]));
    assert_eq!((&findings["ok"], &findings["findings"]), (&true.into(), &Value::Array(vec![])));
}

#[test]
fn all_mistakes_of_a_plan_are_named_with_place_caret_and_hint() {
    let plan = PLAN.replace("\"greeting\"", "\"greting\"").replace("lookup", "lokup");
    let server = prepared(&plan);
    let output = server.allo(&["check"]);
    assert_eq!(code(&output), 1);
    let told = stdout(&output);
    for part in [
        "plan.kdl:5:9 error: recording \"greting\" is not known; did you mean \"greeting\"?",
        "    say \"greting\"\n        ^^^^^^^^^\nhint: ",
        "plan.kdl:6:5 error: statement \"lokup\" is not known; did you mean \"lookup\"?",
    ] {
        assert!(told.contains(part), "{part}\n---\n{told}");
    }
    let document = json(&server.allo(&["check", "--json"]));
    assert_eq!(document["ok"], false);
    assert_eq!(document["findings"][0]["line"], 5);
    assert_eq!(document["findings"][0]["column"], 9);
    for arguments in [&["test"][..], &["graph"], &["serve"]] {
        let output = server.allo(arguments);
        assert_eq!(code(&output), 1, "{arguments:?}");
        assert!(stderr(&output).contains("plan.kdl:5:9 error"), "{arguments:?}");
    }
}

#[test]
fn letters_and_quotes_that_look_right_are_explained() {
    for (wrong, explained) in [
        ("say \"grеeting\"", "Russian letters stand among the Latin ones of grеeting: е"),
        ("say “greeting”", "straight double quotes"),
        ("say greeting\"", "write \"greeting\""),
        ("say [\"greeting\"]", "one after another"),
        ("say\u{200b} \"greeting\"", "invisible character"),
        ("say \"customer.points:points\"", "a value stands in braces"),
    ] {
        let output = prepared(&PLAN.replace("say \"greeting\"", wrong)).allo(&["check"]);
        assert_eq!(code(&output), 1, "{wrong}");
        let told = stdout(&output);
        assert!(told.contains("plan.kdl:5:") && told.contains(explained), "{wrong}:\n{told}");
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_named_with_its_place() {
    let server = prepared(PLAN);
    let mut bytes = b"language \"ru\"\n// ".to_vec();
    // «Привет» in Windows-1251
    bytes.extend([0xCF, 0xF0, 0xE8, 0xE2, 0xE5, 0xF2]);
    fs::write(server.path("dialplans/old.kdl"), bytes).unwrap();
    let output = server.allo(&["check"]);
    assert_eq!(code(&output), 1);
    let told = stdout(&output);
    assert!(told.contains("old.kdl:2:4 error: this is not UTF-8\nhint: save the file"), "{told}");
}

#[test]
fn a_wrong_recording_and_a_wrong_plan_are_named_together() {
    let server = prepared(&PLAN.replace("hangup", "hangp"));
    let prompts = server.path("prompts/ru");
    fs::create_dir_all(prompts.join("phrase")).unwrap();
    fs::create_dir_all(server.path("prompts/en")).unwrap();
    fs::copy(project().join("prompts/ru/catalogue.tsv"), prompts.join("catalogue.tsv")).unwrap();
    let stereo = hound::WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(prompts.join("phrase/greeting.wav"), stereo).unwrap();
    (0..200).for_each(|_| wav.write_sample(0_i16).unwrap());
    wav.finalize().unwrap();
    let settings = fs::read_to_string(server.path("allo.toml")).unwrap();
    let shipped = project().join("prompts");
    let own = settings.replace(shipped.to_str().unwrap(), server.path("prompts").to_str().unwrap());
    server.write("allo.toml", &own);
    let output = server.allo(&["check"]);
    assert_eq!(code(&output), 1);
    let told = stdout(&output);
    assert!(told.contains("greeting.wav: is 44.1 kHz stereo"), "{told}");
    assert!(told.contains("plan.kdl:12:5 error: statement \"hangp\""), "{told}");
    let document = json(&server.allo(&["check", "--json"]));
    assert_eq!(document["problems"].as_array().map(Vec::len), Some(1));
}

#[test]
fn all_mistakes_of_the_settings_are_named_in_plain_words() {
    let server = prepared(PLAN);
    server.write("allo.toml", "[sip]\nlisten = 5060\nregoin = \"RU\"\n[rtp]\ndead-after = 30\n");
    for arguments in [&["check"][..], &["serve"], &["calls"], &["prompts", "missing"]] {
        let output = server.allo(arguments);
        assert_eq!(code(&output), 1, "{arguments:?}");
        let told = stderr(&output);
        for part in [
            "allo.toml:2:10: 5060 cannot stand here; wanted is a list",
            "allo.toml:3:1: unknown key \"regoin\" in [sip]",
            "did you mean \"region\"?",
            "allo.toml:5:14: 30 cannot stand here; wanted is a text",
            "a length of time is \"30s\"",
        ] {
            assert!(told.contains(part), "{part}\n---\n{told}");
        }
    }
}

#[test]
fn the_described_settings_are_settings() {
    let server = prepared(PLAN);
    let sample = stdout(&server.allo(&["config", "describe"]));
    let folder = format!("folder = \"{}\"", project().join("dialplans").display());
    let prompts = format!("folder = \"{}\"", project().join("prompts").display());
    let sample =
        sample.replace("folder = \"dialplans\"", &folder).replace("folder = \"prompts\"", &prompts);
    server.write("allo.toml", &sample);
    let output = server.allo(&["check"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn a_bad_row_keeps_everything_out_and_is_named_with_line_and_column() {
    let server = prepared(PLAN);
    server.import("phone,points\n+79035550142,7\n", "number,phone,status\n");
    server.write(
        "new.csv",
        "phone;points;name\n+79035550142;8;Олег\n+7903555014;1;Ира\n+79035550144;x;\"Пётр\n",
    );
    let file = server.path("new.csv");
    let arguments = ["crm", "import", "--customers", file.to_str().unwrap()];
    let output = server.allo(&arguments);
    assert_eq!(code(&output), 1);
    let told = stderr(&output);
    assert!(told.contains("new.csv:3: phone: a digit is missing or one too many"), "{told}");
    assert!(told.contains("new.csv:4: points: not a whole number"), "{told}");
    assert!(told.contains("nothing was imported"), "{told}");
    let document = json(&server.allo(&[&arguments[..], &["--json"]].concat()));
    assert_eq!(document["ok"], false);
    assert_eq!(document["problems"][0]["line"], 3);
    assert_eq!(document["problems"][0]["column"], "phone");
}

#[tokio::test]
async fn calls_are_listed_while_the_server_runs_masked_unless_in_full() {
    let server = Server::start(Setup {
        plan: PLAN.to_owned(),
        customers: "phone,points\n+79035550142,7\n".to_owned(),
        orders: "number,phone,status\n".to_owned(),
        ..Setup::default()
    })
    .await;
    // The settings say where to call.
    let wav = server.path("heard.wav");
    let call = ["call", "300", "--from", "8 903 555-01-42", "--seconds", "1", "--json", "--wav"];
    let output = server.allo(&[&call[..], &[wav.to_str().unwrap()]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let document = json(&output);
    assert_eq!((&document["answered"], &document["status"]), (&true.into(), &200.into()));
    assert_eq!(document["from"], "+7903•••0142");
    assert!(hound::WavReader::open(&wav).unwrap().duration() > 4_000);

    let list = support::eventually("the call is listed", Duration::from_secs(10), async || {
        let list = json(&server.allo(&["calls", "--json"]));
        (!list["calls"][0]["ended"].is_null()).then_some(list)
    })
    .await;
    let call = &list["calls"][0];
    assert_eq!((&call["caller"], &call["dialled"]), (&"+7903•••0142".into(), &"300".into()));
    let started = call["started"].as_str().unwrap();
    started.parse::<jiff::Timestamp>().expect("RFC 3339 with a zone");
    let full = json(&server.allo(&["calls", "--json", "--full"]));
    assert_eq!(full["calls"][0]["caller"], "+79035550142");
    let text = stdout(&server.allo(&["calls"]));
    assert!(text.contains("+7903•••0142 → 300") && text.contains("Здравствуйте!"), "{text}");
    assert!(!server.log().contains("9035550142"), "{}", server.log());
}

#[tokio::test]
async fn told_twice_to_stop_the_server_hangs_up_and_records_it() {
    let plan = PLAN.replace("hangup", "ask \"enter-order\" as=\"order\" wait=\"1m\"");
    let mut server = Server::start(Setup { plan, ..Setup::default() }).await;
    let mut call = server.call("+79035550142", "300").await;
    server.signal(libc::SIGTERM);
    support::eventually("the server drains", Duration::from_secs(10), async || {
        server.log().contains("new calls are refused").then_some(())
    })
    .await;
    assert!(server.terminate().await.success());
    while call.next_event().await.is_some() {}
    let list = json(&server.allo(&["calls", "--json"]));
    assert_eq!(list["calls"][0]["end-reason"], "shutdown", "{list:#}");
}

#[tokio::test]
async fn a_folder_of_plans_that_was_exchanged_is_followed_too() {
    let server = Server::start(Setup { plan: PLAN.to_owned(), ..Setup::default() }).await;
    let replaced = async |count: usize| {
        support::eventually("the plan is replaced", Duration::from_secs(20), async || {
            (server.log().matches("new plan in force").count() >= count).then_some(())
        })
        .await;
    };
    fs::rename(server.path("dialplans"), server.path("before")).unwrap();
    fs::create_dir(server.path("dialplans")).unwrap();
    server.write("dialplans/plan.kdl", &PLAN.replace("greeting", "goodbye"));
    replaced(1).await;
    let so_far = server.log().matches("new plan in force").count();
    server.write("dialplans/plan.kdl", &PLAN.replace("greeting", "wrong-key"));
    replaced(so_far + 1).await;
    server.write("dialplans/plan.kdl", &PLAN.replace("greeting", "wrng-key"));
    support::eventually("the mistake is told", Duration::from_secs(10), async || {
        server.log().contains("the running plan stays in force").then_some(())
    })
    .await;
    assert!(server.log().contains("plan.kdl:5:9 error"), "{}", server.log());
}

#[tokio::test]
async fn a_second_server_says_what_is_in_use_and_ends() {
    let server = Server::start(Setup { plan: PLAN.to_owned(), ..Setup::default() }).await;
    let output = server.allo(&["serve"]);
    assert_eq!(code(&output), 1);
    let told = stderr(&output).to_lowercase();
    assert!(told.contains("in use") && !told.contains("panicked"), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("allo:")).count(), 1, "{told}");
}

#[test]
fn a_database_that_cannot_be_used_is_one_clear_line() {
    let server = prepared(PLAN);
    fs::write(server.path("allo.db"), b"this is no database, but it is long enough".repeat(100))
        .unwrap();
    for arguments in [&["serve"][..], &["calls"]] {
        let output = server.allo(arguments);
        assert_eq!(code(&output), 1);
        let told = stderr(&output);
        assert!(told.starts_with("allo: ") && told.contains("not a SQLite database"), "{told}");
    }
}

#[test]
fn a_text_that_nobody_recorded_is_spoken_and_can_be_said_then() {
    let plan = PLAN.replace("say \"greeting\"", "say \"Сегодня скидки на всё\"");
    let server = prepared(&plan);
    let spoken = project().join("prompts/ru/phrase/greeting.wav");
    let prompts = server.path("prompts");
    let copied = Command::new("cp").arg("-r").arg(project().join("prompts")).arg(&prompts).status();
    assert!(copied.unwrap().success());
    let settings = fs::read_to_string(server.path("allo.toml")).unwrap();
    let shipped = project().join("prompts");
    let settings = settings.replace(shipped.to_str().unwrap(), prompts.to_str().unwrap());
    let render =
        format!("[prompts.render]\nru = [\"cp\", \"{}\", \"{{file}}\"]\n", spoken.display());
    server.write("allo.toml", &format!("{settings}\n{render}"));

    assert_eq!(code(&server.allo(&["check"])), 1);
    let missing = json(&server.allo(&["prompts", "missing", "--json"]));
    assert_eq!(missing["missing"][0]["text"], "Сегодня скидки на всё");
    let output = server.allo(&["prompts", "render"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(code(&server.allo(&["check"])), 0);
    assert_eq!(code(&server.allo(&["prompts", "missing"])), 0);
}

#[test]
fn without_a_server_a_robot_can_not_be_stopped_and_the_reason_is_clear() {
    let server = prepared(PLAN);
    for deed in ["stop", "resume", "status"] {
        let output = server.allo(&["robot", deed, "low-balance"]);
        assert_eq!(code(&output), 1);
        let told = stderr(&output);
        assert!(told.contains("no server answers on") && !told.contains("panicked"), "{told}");
        assert_eq!(told.contains("only a running server"), deed != "status", "{told}");
    }
}

#[tokio::test]
async fn a_rehearsal_shows_its_clock_and_needs_a_yes_where_a_trunk_is_registered() {
    let clock = ["serve", "--clock", "2026-11-27T18:50:00+03:00", "--clock-speed"];
    let arguments = [&clock[1..], &["60"]].concat().into_iter().map(str::to_owned).collect();
    let setup = Setup { plan: PLAN.to_owned(), arguments, ..Setup::default() };
    let server = Server::start(setup).await;
    let health = support::server::get(server.web, "/health").await.unwrap().1;
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["rehearsal"]["speed"], 60);
    let shown: jiff::Timestamp =
        health["rehearsal"]["clock"].as_str().unwrap().parse().expect("RFC 3339");
    assert!(shown >= "2026-11-27T15:50:00Z".parse().unwrap(), "{shown}");
    assert!(shown < "2026-11-27T17:50:00Z".parse().unwrap(), "{shown}");
    let banner = "a rehearsal from 2026-11-27T18:50:00+03:00, 60 times as fast";
    assert!(server.log().contains(banner), "{}", server.log());

    let registered = prepared(PLAN);
    let settings = fs::read_to_string(registered.path("allo.toml")).unwrap();
    let trunk = "[[trunk]]\nname = \"mts\"\naddress = \"127.0.0.1:9\"\nregister = true\n\
        username = \"shop\"\npassword = \"secret\"\n";
    registered.write("allo.toml", &format!("{settings}\n{trunk}"));
    let output = registered.allo(&[&clock[..], &["60"]].concat());
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("say --yes"), "{}", stderr(&output));
    let output = prepared(PLAN).allo(&[&clock[..], &["3601"]].concat());
    assert!(stderr(&output).contains("--clock-speed is 1 to 3600"), "{}", stderr(&output));
}

#[tokio::test]
async fn an_event_that_was_answered_outlives_the_server() {
    let mut server = Server::start(Setup { plan: PLAN.to_owned(), ..Setup::default() }).await;
    let url = format!("http://{}/api/events", server.web);
    let tell = async || {
        let url = url.clone();
        let telling = tokio::task::spawn_blocking(move || {
            let event =
                r#"{"event": "delayed", "phone": "89035550142", "id": 7, "order": "48-15"}"#;
            let request = ureq::post(&url).header("Content-Type", "application/json");
            let mut answer = request.send(event).unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        });
        telling.await.unwrap()
    };
    assert_eq!(tell().await, (202, r#"{"new":1,"repeated":0}"#.to_owned()));
    server.kill().await;
    server.launch().await;
    assert_eq!(tell().await, (202, r#"{"new":0,"repeated":1}"#.to_owned()));
    assert!(!server.log().contains("9035550142"), "{}", server.log());
}
