//! A full disk, under the recordings and under the database. The disks are small ones in the memory of the
//! machine, seen by the server alone; where the system does not permit that, a line says so.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use allo::domain::{CallFact, RecordingNote};
use allo::phone::{Call, Desk, DeskCall};
use serde_json::Value;

use crate::audio;
use crate::house::{House, SOON, customer_hears, hangs_up, over, picks_up, voice_of};
use crate::support::eventually;
use crate::support::server::{Server, Setup, get};

/// Starts a program with a disk of its own.
fn with_disk(folder: &str, size: &str) -> Vec<String> {
    let script =
        format!("mkdir -p {folder} && mount -t tmpfs -o size={size} none {folder} && exec \"$@\"");
    [namespace(), vec!["sh".into(), "-c".into(), script, "sh".into()]].concat()
}

/// With mounts of its own: as root plainly, else as the root of a user namespace.
fn namespace() -> Vec<String> {
    let words: &[&str] = if is_root() {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--user", "--map-root-user", "--mount"]
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn is_root() -> bool {
    // SAFETY: geteuid(2) touches no memory and can't fail.
    unsafe { libc::geteuid() == 0 }
}

/// Whether the system lets us mount a disk; else says that the test is skipped.
fn disks_can_be_mounted() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let words = with_disk(&folder.path().display().to_string(), "64k");
    let tried =
        Command::new(&words[0]).args(&words[1..]).arg("true").stderr(Stdio::null()).status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        let _ = std::io::stderr().write_all(b"skipped: no disk can be mounted here\n");
    }
    can
}

/// A folder as the server sees it.
fn seen_by(server: &Server, name: &str) -> PathBuf {
    let inside = server.path(name);
    let inside = inside.strip_prefix("/").unwrap();
    Path::new("/proc").join(server.process_id().to_string()).join("root").join(inside)
}

/// Takes all room that is left. Returns the file that holds it.
fn fill(folder: &Path) -> PathBuf {
    let ballast = folder.join("ballast");
    let mut file = std::fs::File::options().create(true).append(true).open(&ballast).unwrap();
    while file.write_all(&[0; 4_096]).is_ok() {}
    ballast
}

async fn health(server: &Server) -> (u16, Value) {
    let (status, body) = get(server.web, "/health").await.unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// The notes of the recordings that are over.
async fn notes(house: &House, count: usize) -> Vec<RecordingNote> {
    house
        .records("the notes of the recordings", |calls| {
            let facts = calls.iter().flat_map(|call| &call.events).map(|event| &event.fact);
            let notes: Vec<RecordingNote> = facts
                .filter_map(|fact| match fact {
                    CallFact::Recorded(note) => Some(note.clone()),
                    _ => None,
                })
                .collect();
            (notes.len() == count).then_some(notes)
        })
        .await
}

async fn talks(house: &House, anna: &Desk, digits: u32) -> (Call, DeskCall) {
    let mut customer = house.customer(digits).await;
    let phone = picks_up(anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    (customer, phone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_recordings_their_ends_and_calls_nothing() {
    if !disks_can_be_mounted() {
        return;
    }
    let setup = Setup {
        settings: "[recordings]\nfolder = \"{folder}/disk/recordings\"\n".to_owned(),
        around: with_disk("{folder}/disk", "400k"),
        ..Setup::default()
    };
    let house = House::open_with("wrap-up \"0s\"; record", &["anna"], setup).await;
    let anna = house.quick_desk("anna").await;
    let (customer, phone) = talks(&house, &anna, 1).await;
    eventually("the conversation is being recorded", SOON, async || {
        let folder = seen_by(&house.server, "disk/recordings");
        let mut files = walk(&folder).into_iter();
        files.any(|file| file.metadata().is_ok_and(|it| it.len() > 30_000)).then_some(())
    })
    .await;
    assert_eq!(health(&house.server).await.0, 200);

    let ballast = fill(&seen_by(&house.server, "disk"));
    let full = audio::since();
    eventually("the log says so", SOON, async || {
        let log = house.server.log();
        (log.contains("a recording will be incomplete") && log.contains("No space")).then_some(())
    })
    .await;
    let (status, report) = health(&house.server).await;
    assert_eq!((status, report["status"].as_str()), (200, Some("degraded")), "{report}");
    assert!(report["reasons"]["recordings"].as_str().unwrap().contains("No space"), "{report}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    audio::went_on(&customer, full, "a conversation that can't be recorded").await;
    hangs_up(customer).await;
    anna.ended(phone).await.unwrap();
    // One that begins on the full disk.
    let (customer, phone) = talks(&house, &anna, 2).await;
    hangs_up(customer).await;
    anna.ended(phone).await.unwrap();
    let torn = notes(&house, 2).await;
    assert!(torn.iter().all(|note| note.problem.is_some()), "{torn:?}");
    let begun = seen_by(&house.server, "disk/recordings").join(&torn[0].file);
    let wav = hound::WavReader::open(begun).unwrap();
    assert!(torn[0].length_ms >= 900, "{torn:?}");
    assert_eq!(u64::from(wav.duration()) / 8, torn[0].length_ms);

    std::fs::remove_file(ballast).unwrap();
    let (status, report) = health(&house.server).await;
    assert_eq!((status, report["status"].as_str()), (200, Some("ok")), "{report}");
    let (customer, phone) = talks(&house, &anna, 3).await;
    hangs_up(customer).await;
    anna.ended(phone).await.unwrap();
    let notes = notes(&house, 3).await;
    assert_eq!(notes.last().unwrap().problem, None, "{notes:?}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// Runs a command of allo where the server's disk is.
fn beside(server: &Server, arguments: &[&str]) -> Output {
    let mut enter = Command::new("nsenter");
    if !is_root() {
        enter.args(["--user", "--preserve-credentials"]);
    }
    enter
        .args(["--mount", "--target", &server.process_id().to_string()])
        .arg(env!("CARGO_BIN_EXE_allo"))
        .args(arguments)
        .arg("--config")
        .arg(server.path("allo.toml"))
        .output()
        .unwrap()
}

const PLAN: &str = r#"
language "ru"
number "200" { say "greeting"; hangup }
number "202" { say "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_on_a_full_disk_costs_calls_nothing_and_is_written_when_there_is_room() {
    if !disks_can_be_mounted() {
        return;
    }
    let setup = Setup {
        plan: PLAN.into(),
        database: "sqlite:{folder}/disk/allo.db".into(),
        around: with_disk("{folder}/disk", "6m"),
        ..Setup::default()
    };
    let server = Server::start(setup).await;
    let listens = server.call("+79160000001", "202").await;
    eventually("the call is in the database", SOON, async || {
        (calls(&server).len() == 1).then_some(())
    })
    .await;
    let ballast = fill(&seen_by(&server, "disk"));
    let full = audio::since();
    for n in 2..6 {
        let mut call = server.call(&format!("+7916000000{n}"), "200").await;
        over(&mut call).await;
        crate::support::heard(&call.ended().await.playout, &["greeting"]);
    }
    let log = server.log();
    assert!(log.contains("can't be written; kept in memory"), "{log}");
    let (status, report) = health(&server).await;
    assert_eq!((status, report["status"].as_str()), (503, Some("failing")), "{report}");
    assert!(report["reasons"]["database"].as_str().unwrap().contains("full"), "{report}");
    audio::went_on(&listens, full, "a call while the disk is full").await;

    std::fs::remove_file(ballast).unwrap();
    hangs_up(listens).await;
    eventually("everything is written", SOON, async || {
        let calls = calls(&server);
        let over = calls.iter().filter(|call| !call["ended"].is_null()).count();
        (calls.len() == 5 && over == 5).then_some(())
    })
    .await;
    assert_eq!(health(&server).await.0, 200);
}

fn calls(server: &Server) -> Vec<Value> {
    let listed = beside(server, &["calls", "--json"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let mut document: Value = serde_json::from_slice(&listed.stdout).unwrap();
    serde_json::from_value(document["calls"].take()).unwrap()
}
