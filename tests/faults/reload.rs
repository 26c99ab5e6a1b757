//! Plans that are edited again and again while everybody is on the phone.

use std::time::Duration;

use allo::phone::Call;

use crate::audio;
use crate::house::{SOON, over};
use crate::process::Process;
use crate::support::server::{Server, Setup};
use crate::support::{eventually, heard};

/// Callers say nothing, and are not dead.
const PATIENT: &str = "dead-after = \"10m\"";
const CALLS: u32 = 100;
const RELOADS: u32 = 100;
/// Read last: one that is good, then one that leads nowhere and would say something else.
const LAST_GOOD: u32 = 98;
const BROKEN: u32 = 99;
/// Between two of them; longer than the server waits for an editor to finish.
const PACE: Duration = Duration::from_millis(260);
/// Many are read one by one, on the slowest machine.
const READ_MIN: usize = 20;
/// What a hundred plans may leave behind, kB; one holds a thousand recordings.
const MORE_MEMORY_KB: u64 = 40_000;

/// `says` is what the next caller hears; every third plan leads nowhere.
fn plan(n: u32) -> String {
    let leads_to = if n.is_multiple_of(3) { "nowhere" } else { "main" };
    format!(
        "language \"ru\"\nnumber \"200\" {{ go \"{leads_to}\" }}\n\
         number \"201\" {{ say \"{}\"; hangup }}\n\
         step \"main\" {{ say {} }}\n",
        says(n),
        "\"greeting\" ".repeat(30),
    )
}

fn says(n: u32) -> &'static str {
    if n.is_multiple_of(2) { "all-busy" } else { "goodbye" }
}

fn read(server: &Server) -> (usize, usize) {
    let log = server.log();
    let count = |what: &str| log.matches(what).count();
    (count("new plan in force"), count("the running plan stays in force"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_harm_none_of_a_hundred_calls() {
    let server =
        Server::start(Setup { plan: plan(1), rtp: PATIENT.to_owned(), ..Setup::default() }).await;
    let mut calls: Vec<Call> = Vec::new();
    for n in 0..CALLS {
        let from = format!("+7916{n:07}");
        let call = server.call_with(&from, "200", |mut options| {
            options.sends_audio = false;
            options
        });
        calls.push(call.await);
    }
    let process = Process(server.process_id());
    let began = audio::since();
    let mut early = None;
    for n in 1..RELOADS {
        server.write("dialplans/plan.kdl", &plan(n));
        if n.is_multiple_of(10) {
            server.signal(libc::SIGHUP);
        }
        tokio::time::sleep(PACE).await;
        if n == 30 {
            early = Some((process.rss_kb(), process.files(), process.threads()));
        }
    }
    server.write("dialplans/plan.kdl", &plan(LAST_GOOD));
    eventually("the last good plan is read", 3 * SOON, async || {
        (says_now(&server).await == says(LAST_GOOD)).then_some(())
    })
    .await;
    let (_, before) = read(&server);
    server.write("dialplans/plan.kdl", &plan(BROKEN));
    eventually("the last plan is looked at", SOON, async || {
        (read(&server).1 > before).then_some(())
    })
    .await;
    let (good, broken) = read(&server);
    assert!(good >= READ_MIN && broken >= READ_MIN / 2, "{good} good ones, {broken} broken ones");
    assert_eq!(says_now(&server).await, says(LAST_GOOD));
    for call in &calls {
        audio::went_on(call, began, "a call while plans are read").await;
    }
    let (rss_kb, files, threads) = early.unwrap();
    let more_kb = process.rss_kb().saturating_sub(rss_kb);
    assert!(more_kb < MORE_MEMORY_KB, "{more_kb} kB more than after 30 reloads");
    assert!(process.files() <= files + 3, "{} files, {files} after 30 reloads", process.files());
    assert!(process.threads() <= threads + 3, "{} threads, {threads} before", process.threads());
    for call in &calls {
        call.begin_hang_up().await;
    }
}

/// What a new caller hears.
async fn says_now(server: &Server) -> &'static str {
    let mut call = server.call("+79169999999", "201").await;
    over(&mut call).await;
    let playout = call.ended().await.playout;
    let is = |id: &str| {
        let recordings = crate::support::russian(&[id]);
        allo::phone::contains_in_order(playout.samples(), &recordings).is_ok()
    };
    if is("goodbye") {
        return "goodbye";
    }
    heard(&playout, &["all-busy"]);
    "all-busy"
}
