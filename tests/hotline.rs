//! The whole server over real sockets: who calls, what is heard, and when.

mod support;

use std::time::Duration;

use allo::domain::Codec;
use allo::phone::{Call, Ear, Ending, KeyBy, PhoneEvent, Playout};
use support::peers::{Baresip, sipp, sipp_statistic};
use support::server::{Server, Setup};
use support::{did_not_hear, eventually, heard, hears, hears_after, key, pauses_ms};

const PLAN: &str = r#"
language "ru"
timezone "Europe/Moscow"

number "200" "+78007775533" {
    if "caller.anonymous" {
        say "closed-short"
        go "main"
    }
    lookup "customer" wait="300ms" deadline="2s" {
        filler "one-moment"
        unavailable {
            say "crm-unavailable"
            go "main"
        }
    }
    if "customer.found" {
        say "points-are" "{customer.points:points}"
        if "order.found" {
            say "order-number" "{order.number:digits}" "{order.status:status}"
        }
        else {
            say "no-orders"
        }
    }
    else {
        say "customer-unknown"
    }
    go "main"
}

menu "main" wait="4s" tries=2 {
    say "menu-points" "menu-order" "menu-operator"
    key "1" {
        say "callback-30"
        hangup
    }
    key "2" {
        say "goodbye"
        hangup
    }
    key "0" { repeat }
    silence {
        say "no-choice"
        hangup
    }
    wrong { say "wrong-key" }
}
"#;

const CUSTOMERS: &str = "points,phone,name\n\
    7021,+79035550142,Олег\n\
    300,8 (903) 555-01-43,Ирина\n";
const ORDERS: &str = "status,number,phone\n\
    ready,70-932,+79035550142\n";

/// What the first customer hears at once.
const ACCOUNT: [&str; 10] = [
    "points-are",
    "thousand/07",
    "count/point/21",
    "order-number",
    "digit/7",
    "digit/0",
    "digit/9",
    "digit/3",
    "digit-end/2",
    "status/ready",
];

fn setup() -> Setup {
    Setup {
        plan: PLAN.into(),
        customers: CUSTOMERS.into(),
        orders: ORDERS.into(),
        ..Setup::default()
    }
}

/// Waits until the menu is being read out, long enough to be recognised when it is cut; where it
/// began, in samples.
async fn menu_begins(call: &Call, from: usize) -> usize {
    let prompt = support::russian(&["menu-points"]).remove(0);
    let began = eventually("the menu begins", Duration::from_secs(30), async || {
        let playout = call.heard().await?;
        let samples = playout.samples().get(from..)?;
        let heard = Ear::new(samples).find(&prompt, 0);
        heard.filter(|heard| heard.length_ms >= 600).map(|heard| heard.at_ms)
    });
    from + usize::try_from(began.await).unwrap() * 8
}

/// How long after the key was sent the last audio of the menu's first line arrived.
fn cut_after_key_ms(playout: &Playout, key_sent: Duration, from: usize) -> f64 {
    let prompt = support::russian(&["menu-points"]).remove(0);
    let samples = &playout.samples()[from.saturating_sub(400)..];
    let cut = Ear::new(samples).find(&prompt, 0).expect("the menu was heard");
    assert!(!cut.complete, "the prompt was heard to its end: {cut:?}");
    let last_sample = from.saturating_sub(400) + usize::try_from(cut.end_ms()).unwrap() * 8 - 8;
    let last_heard = playout.arrival_of(last_sample).unwrap();
    (last_heard.as_secs_f64() - key_sent.as_secs_f64()) * 1000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_caller_hears_points_and_the_order_within_a_second() {
    let server = Server::start(setup()).await;
    for number in ["200", "+78007775533"] {
        let call = server.call("89035550142", number).await;
        let (heard, playout) = hears(&call, &ACCOUNT).await;
        let pauses = pauses_ms(&heard);
        assert!(pauses.iter().all(|pause| *pause <= 150), "{pauses:?}");
        assert!(heard[0].at_ms <= 1000, "{heard:?}");
        let report = playout.report();
        assert!(report.first_packet_ms.is_some_and(|ms| ms <= 200.0), "{report:?}");
        assert_eq!((report.lost, report.repeated, report.refused), (0, 0, 0));
        assert_eq!(call.hang_up().await.ending(), Some(Ending::ByUs));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn round_hundreds_and_no_order_have_their_own_words() {
    let server = Server::start(setup()).await;
    let call = server.call("+79035550143", "200").await;
    let words = ["points-are", "number/300", "count/point/many", "no-orders", "menu-points"];
    let (_, playout) = hears(&call, &words).await;
    did_not_hear(&playout, "order-number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cuts_the_prompt_however_it_is_sent() {
    let server = Server::start(setup()).await;
    for (by, within_ms) in [(KeyBy::Event, 60.0), (KeyBy::Info, 60.0), (KeyBy::Tone, 160.0)] {
        let call = server
            .call_with("+79035550143", "200", |mut options| {
                if by == KeyBy::Tone {
                    options.event_payload_type = None;
                }
                options
            })
            .await;
        let from = menu_begins(&call, 0).await;
        call.press(key('1'), by).await;
        hears_after(&call, from, &["callback-30"]).await;
        let report = call.ended().await;
        assert_eq!(report.ending(), Some(Ending::ByServer), "{by:?}");
        let is_sent = |event: &PhoneEvent| matches!(event, PhoneEvent::KeySent { .. });
        let key_sent = report.time_of(is_sent).unwrap();
        let cut_ms = cut_after_key_ms(&report.playout, key_sent, from);
        assert!(cut_ms <= within_ms, "{by:?}: {cut_ms} ms");
        did_not_hear(&report.playout, "wrong-key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_key_silence_and_repeat_have_their_words() {
    let server = Server::start(setup()).await;
    let call = server.call("anonymous", "200").await;
    hears(&call, &["closed-short"]).await;
    let first = menu_begins(&call, 0).await;
    call.press(key('7'), KeyBy::Event).await;
    let (found, _) = hears_after(&call, first, &["wrong-key"]).await;
    let second = menu_begins(&call, first + usize::try_from(found[0].end_ms()).unwrap() * 8).await;
    call.press(key('0'), KeyBy::Event).await;
    let third = menu_begins(&call, second + 8 * 100).await;
    assert!(third > second);
    let report = call.ended().await;
    assert_eq!(report.ending(), Some(Ending::ByServer));
    heard(&report.playout, &["menu-operator", "no-choice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_hidden_numbers_hear_their_branch() {
    let server = Server::start(setup()).await;
    let stranger = server.call("+79990001122", "200").await;
    let (_, playout) = hears(&stranger, &["customer-unknown", "menu-points"]).await;
    did_not_hear(&playout, "points-are");
    let hidden = server.call("anonymous", "200").await;
    let (_, playout) = hears(&hidden, &["closed-short", "menu-points"]).await;
    did_not_hear(&playout, "customer-unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_with_only_mu_law_or_without_an_offer_is_served() {
    let server = Server::start(setup()).await;
    let mu_law = server
        .call_with("+79035550142", "200", |mut options| {
            options.codecs = vec![Codec::Pcmu];
            options
        })
        .await;
    hears(&mu_law, &ACCOUNT).await;
    let offerless = server
        .call_with("+79035550142", "200", |mut options| {
            options.offerless = true;
            options
        })
        .await;
    hears(&offerless, &ACCOUNT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_number_is_refused_with_404() {
    let server = Server::start(setup()).await;
    let from = allo::phone::From::Anonymous;
    let options = allo::phone::CallOptions::new(server.sip, "777", from);
    let mut call = Call::dial(options).await.unwrap();
    let refused = call.answered(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(refused.to_string(), "refused with 404");
}

/// An SQL CRM whose query counts to a large number first.
fn slow_crm(rows: u64) -> Setup {
    let settings = format!(
        "[crm]\nsource = \"sql\"\n\n[crm.sql]\nurl = \"sqlite:{{folder}}/crm.db\"\n\
         customers = \"with recursive n(i) as (select 1 union all select i + 1 from n where i < \
         {rows}) select name, points from client where phone = $1 and (select max(i) from n) > 0\"\n"
    );
    Setup { plan: PLAN.into(), settings, ..Setup::default() }
}

async fn fill_crm(server: &Server) {
    let url = format!("sqlite:{}?mode=rwc", server.path("crm.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    for statement in [
        "create table client (phone text, name text, points integer)",
        "insert into client values ('+79035550142', 'Олег', 41)",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_shop_is_the_crm() {
    let mut server = Server::prepare(&slow_crm(1));
    fill_crm(&server).await;
    server.launch().await;
    let call = server.call("+79035550142", "200").await;
    hears(&call, &["points-are", "count/point/41", "no-orders"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_crm_is_waited_for_with_a_filler_and_then_left() {
    let mut server = Server::prepare(&slow_crm(2_000_000_000));
    fill_crm(&server).await;
    server.launch().await;
    let call = server.call("+79035550142", "200").await;
    let (heard, _) = hears(&call, &["one-moment", "crm-unavailable", "menu-points"]).await;
    // Filler after 300 ms, the branch after the plan's 2 s (or the filler's end).
    assert!((200..=900).contains(&heard[0].at_ms), "{heard:?}");
    assert!(heard[1].at_ms <= heard[0].end_ms().max(2000) + 500, "{heard:?}");
    let report = call.hang_up().await.playout.report();
    assert!(report.longest_gap_ms <= 60.0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_whose_file_is_gone_blocks_nobody() {
    let mut server = Server::prepare(&slow_crm(1));
    server.launch().await;
    let call = server.call("+79035550142", "200").await;
    hears(&call, &["crm-unavailable", "menu-points"]).await;
    let report = call.hang_up().await.playout.report();
    assert!(report.longest_gap_ms <= 60.0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_plan_is_heard_by_the_next_caller_and_a_broken_one_by_nobody() {
    let server = Server::start(setup()).await;
    let running = server.call("+79035550143", "200").await;
    hears(&running, &["menu-points"]).await;

    let edited =
        PLAN.replace("\"closed-short\"", "\"emergency\"").replace("goodbye", "sorry-error");
    server.write("dialplans/plan.kdl", &edited);
    eventually("a caller hears the new words", Duration::from_secs(15), async || {
        let mut call = server.call("anonymous", "200").await;
        let old_or_new = support::russian(&["closed-short", "emergency"]);
        let first = eventually("the first words", Duration::from_secs(10), async || {
            let playout = call.heard().await?;
            let complete = |r| Ear::new(playout.samples()).find(r, 0).filter(|h| h.complete);
            old_or_new.iter().find_map(complete)
        });
        let is_new = first.await.id.as_str() == "phrase/emergency";
        call.begin_hang_up().await;
        call.event(|event| matches!(event, PhoneEvent::Ended { .. })).await;
        is_new.then_some(())
    })
    .await;
    running.press(key('2'), KeyBy::Event).await;
    hears(&running, &["goodbye"]).await;

    server.write("dialplans/plan.kdl", &edited.replace("go \"main\"", "go \"mian\""));
    let check = server.allo(&["check"]);
    let findings = [check.stdout, check.stderr].concat();
    let findings = String::from_utf8_lossy(&findings).into_owned();
    assert_eq!(check.status.code(), Some(1), "{findings}");
    assert!(findings.contains("plan.kdl:8:"), "{findings}");
    assert!(findings.contains("did you mean \"main\""), "{findings}");
    eventually("the server says why it keeps the old plan", Duration::from_secs(10), async || {
        server.log().contains("mian").then_some(())
    })
    .await;
    let call = server.call("anonymous", "200").await;
    hears(&call, &["emergency", "menu-points"]).await;
}

/// Without the anonymous ones, which only tried whether the server had heard the signal yet.
fn calls_of_customers(server: &Server) -> Vec<serde_json::Value> {
    let mut calls = calls(server);
    calls.retain(|call| call["caller"] != "anonymous");
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_kept_through_sigterm_and_told_apart_after_a_crash() {
    let mut server = Server::start(setup()).await;
    let call = server.call("+79035550142", "200").await;
    hears(&call, &ACCOUNT).await;
    call.hang_up().await;
    let running = server.call("+79035550143", "200").await;
    hears(&running, &["points-are"]).await;
    server.signal(libc::SIGTERM);
    let refused = async || {
        let options =
            allo::phone::CallOptions::new(server.sip, "200", allo::phone::From::Anonymous);
        let mut call = Call::dial(options).await.unwrap();
        let why = call.answered(Duration::from_secs(5)).await.err()?;
        Some(why.to_string())
    };
    let why = eventually("new calls are refused", Duration::from_secs(10), refused).await;
    assert_eq!(why, "refused with 503");
    running.hang_up().await;
    assert!(server.ended().await.success(), "{}", server.log());
    let listed = calls_of_customers(&server);
    assert_eq!(listed.len(), 2, "{listed:#?}");
    assert!(listed.iter().all(|call| call["ended-by"] == "caller"), "{listed:#?}");

    server.launch().await;
    let lost = server.call("+79035550142", "200").await;
    hears(&lost, &["points-are"]).await;
    eventually("the call is in the database", Duration::from_secs(10), async || {
        (calls_of_customers(&server).len() == 3).then_some(())
    })
    .await;
    server.kill().await;
    lost.pull_the_plug();
    server.launch().await;
    let listed = calls(&server);
    let lost = listed.iter().filter(|call| call["end-reason"] == "lost").count();
    assert_eq!(lost, 1, "{listed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_by_mistake_leaves_the_calls_of_the_first_alone() {
    let server = Server::start(setup()).await;
    let call = server.call("+79035550142", "200").await;
    hears(&call, &["points-are"]).await;
    eventually("the call is in the database", Duration::from_secs(10), async || {
        (!calls(&server).is_empty()).then_some(())
    })
    .await;
    let second = server.allo(&["serve"]);
    assert_eq!(second.status.code(), Some(1));
    let listed = calls(&server);
    assert!(listed.iter().all(|call| call["end-reason"] != "lost"), "{listed:#?}");
    call.hang_up().await;
}

fn calls(server: &Server) -> Vec<serde_json::Value> {
    let output = server.allo(&["calls", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!document.to_string().contains("555014"), "a number is not masked: {document}");
    serde_json::from_value(document["calls"].take()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_that_the_server_is_ready() {
    let server = Server::start(setup()).await;
    let (status, _) = support::server::get(server.web, "/health").await.unwrap();
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sipps_own_caller_is_served_without_a_retransmission() {
    let server = Server::start(setup()).await;
    let folder = tempfile::tempdir().unwrap();
    let target = server.sip;
    let place = folder.path().to_owned();
    let arguments = ["-sn", "uac", "-s", "200", "-r", "25", "-m", "100", "-trace_stat"];
    let output =
        tokio::task::spawn_blocking(move || sipp(&place, target, &arguments)).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sipp_statistic(folder.path(), "SuccessfulCall(C)"), 100);
    assert_eq!(sipp_statistic(folder.path(), "FailedCall(C)"), 0);
    assert_eq!(sipp_statistic(folder.path(), "Retransmissions(C)"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_hears_what_the_plan_says() {
    let server = Server::start(setup()).await;
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("sip:200@{}", server.sip);
    let baresip = Baresip::dial(folder.path(), "+79035550142", &uri);
    baresip.says("Call established", Duration::from_secs(20)).await;
    // baresip tells nobody what it hears; the menu's end is the call's.
    baresip.says("terminated", Duration::from_secs(60)).await;
    let samples = baresip.quit();
    let expected = support::russian(&ACCOUNT);
    if let Err(missing) = allo::phone::contains_in_order(&samples, &expected) {
        panic!("{missing}");
    }
}
