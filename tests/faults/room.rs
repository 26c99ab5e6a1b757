//! RTP ports and file descriptors used up.

use std::time::Duration;

use allo::phone::{Call, CallOptions, From, NotAnswered};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::audio;
use crate::house::{SOON, hangs_up};
use crate::process::Process;
use crate::raw;
use crate::support::eventually;
use crate::support::server::{Server, Setup};

const PLAN: &str = r#"
language "ru"
number "300" { say "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" "greeting" }
"#;
/// Refused while there is no room.
const REFUSED: usize = 200;
/// What the log may say of all of them.
const LINES_MAX: usize = 40;
/// A pair of ports rests for five seconds after a call.
const RESTED: Duration = Duration::from_secs(6);

/// Calls until one is refused; those that are up.
async fn fill(server: &Server, calls_max: usize) -> Vec<Call> {
    let mut up = Vec::new();
    loop {
        let from = From::Number { user: format!("+7916{:07}", up.len()), display: None };
        let mut options = CallOptions::new(server.sip, "300", from);
        options.sends_audio = false;
        let mut call = Call::dial(options).await.unwrap();
        match call.answered(SOON).await {
            Ok(_) => up.push(call),
            Err(NotAnswered::Refused(503)) => return up,
            Err(why) => panic!("{why}\n{}", server.log()),
        }
        assert!(up.len() <= calls_max, "more calls than there is room for");
    }
}

/// Everybody else is told at once to come again, and the log stays readable.
async fn all_others_are_refused(server: &Server) {
    let lines = server.log().lines().count();
    for _ in 0..REFUSED / 20 {
        let began = audio::since();
        let asked = (0..20).map(|_| raw::invite(server.sip, "300"));
        for answer in futures_util::future::join_all(asked).await {
            assert!(answer.is_overload(), "{answer:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
    let more = server.log().lines().count() - lines;
    assert!(more < LINES_MAX, "{more} lines:\n{}", server.log());
}

async fn is_answered(server: &Server, within: Duration) -> Call {
    eventually("a call finds room", within, async || {
        let from = From::Number { user: "+79161230000".to_owned(), display: None };
        let mut call = Call::dial(CallOptions::new(server.sip, "300", from)).await.unwrap();
        call.answered(SOON).await.ok().map(|_| call)
    })
    .await
}

fn setup(rtp_ports: u16) -> Setup {
    Setup { plan: PLAN.into(), rtp_ports, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_rtp_ports_are_used_new_calls_get_503_and_others_hear_nothing_of_it() {
    let server = Server::start(setup(16)).await;
    let mut up = fill(&server, 8).await;
    assert_eq!(up.len(), 8);
    let began = audio::since();
    all_others_are_refused(&server).await;
    for call in &up {
        audio::went_on(call, began, "a call while all ports are used").await;
    }
    hangs_up(up.pop().unwrap()).await;
    is_answered(&server, RESTED + SOON).await;
    for call in &up {
        audio::went_on(call, began, "a call that was there before").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_file_can_be_opened_new_calls_get_503_and_others_hear_nothing_of_it() {
    let server = Server::start(setup(0)).await;
    let process = Process(server.process_id());
    let first = is_answered(&server, SOON).await;
    process.limit_files(8);
    let mut up = fill(&server, 40).await;
    up.push(first);
    // A file that was closed since makes no room either.
    process.limit_files(0);
    let began = audio::since();
    all_others_are_refused(&server).await;

    // Connections wait until there is room; waiting costs no time.
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(TcpStream::connect(server.sip).await.unwrap());
        waiting.push(TcpStream::connect(server.web).await.unwrap());
    }
    let (busy_before, looked) = (process.computed(), Instant::now());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let busy = (process.computed() - busy_before).as_secs_f64() / looked.elapsed().as_secs_f64();
    assert!(busy < 0.6, "{busy} of a core while nothing can be accepted");
    for call in &up {
        audio::went_on(call, began, "a call while no file can be opened").await;
    }

    process.unlimit_files();
    let freed = Instant::now();
    is_answered(&server, SOON).await;
    assert!(freed.elapsed() < Duration::from_secs(3), "{:?}", freed.elapsed());
    let mut connection = waiting.swap_remove(0);
    let options = format!(
        "OPTIONS sip:{0} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKroom\r\n\
         Max-Forwards: 70\r\nFrom: <sip:room@127.0.0.1>;tag=room\r\nTo: <sip:{0}>\r\n\
         Call-ID: room\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        server.sip
    );
    connection.write_all(options.as_bytes()).await.unwrap();
    let mut answer = [0; 256];
    let length = timeout(SOON, connection.read(&mut answer)).await.unwrap().unwrap();
    assert!(answer[..length].starts_with(b"SIP/2.0 200"), "{:?}", &answer[..length]);
    eventually("HTTP answers", SOON, async || {
        let (status, _) = crate::support::server::get(server.web, "/health").await.ok()?;
        (status == 200).then_some(())
    })
    .await;
}
