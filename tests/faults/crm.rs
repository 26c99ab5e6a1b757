//! A shop's database that misbehaves: slow, full of garbage, endless, cut off. The peer in front of it is
//! ours, and what stands behind is a real PostgreSQL.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use allo::phone::contains_in_order;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::house::{SOON, over};
use crate::postgres::Postgres;
use crate::process::Process;
use crate::support::server::{Server, Setup};
use crate::support::{eventually, heard, russian};

const PLAN: &str = r#"
language "ru"
number "200" {
    lookup "customer" wait="300ms" deadline="2s" {
        filler "one-moment"
        unavailable { say "crm-unavailable"; hangup }
    }
    if "customer.found" { say "points-are" "{customer.points:points}" } else { say "customer-unknown" }
    hangup
}
"#;
const KNOWN: &str = "+79035550142";
/// The number of a customer whose name has ten million letters.
const ENDLESS: &str = "+79035550199";
/// From the answer to the words that the data is not available: the plan's two seconds, the filler, and
/// what a busy machine adds.
const SERVED_MAX: Duration = Duration::from_secs(5);
/// What ten million letters may cost, kB; they are there twice while they are looked at.
const MORE_MEMORY_KB: u64 = 80_000;

/// Who knows the manner of a peer that nobody is connected with: the peer and its listener.
const CONNECTED_NEVER: usize = 2;

/// What the peer does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Manner {
    /// Everything goes through.
    Good,
    /// Takes what it is asked, and says nothing.
    Mute,
    /// Answers at once, in no language.
    Garbage,
    /// Ends in the middle of an answer.
    CutOff,
    Away,
}

/// A peer that speaks for PostgreSQL, with the manner of the moment. Connections have the manner in which
/// they were made; with another manner all of them end.
struct Peer {
    port: u16,
    manner: Arc<AtomicU8>,
}

impl Peer {
    async fn start(postgres: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let manner = Arc::new(AtomicU8::new(Manner::Good as u8));
        let now = Arc::clone(&manner);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (postgres, now) = (postgres.clone(), Arc::clone(&now));
                tokio::spawn(async move {
                    let made = now.load(Ordering::Relaxed);
                    let changed = async {
                        while now.load(Ordering::Relaxed) == made {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    };
                    tokio::select! {
                        () = behave(made, client, postgres) => {}
                        () = changed => {}
                    }
                });
            }
        });
        Self { port, manner }
    }

    /// Returns when no connection of before is left.
    async fn behaves(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
        let nobody = async || (Arc::strong_count(&self.manner) == CONNECTED_NEVER).then_some(());
        eventually("the connections end", SOON, nobody).await;
    }
}

async fn behave(manner: u8, mut client: TcpStream, postgres: PathBuf) {
    let mut bytes = [0; 4_096];
    if manner == Manner::Good as u8 {
        let mut server = UnixStream::connect(postgres).await.unwrap();
        let _ended = copy_bidirectional(&mut client, &mut server).await;
    } else if manner == Manner::Mute as u8 {
        while client.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
    } else if manner == Manner::Garbage as u8 {
        let _asked = client.read(&mut bytes).await;
        let _sent = client.write_all(&b"HTTP/1.1 418 \x00\xff teapot\r\n\r\n".repeat(1_000)).await;
    } else if manner == Manner::CutOff as u8 {
        let mut server = UnixStream::connect(postgres).await.unwrap();
        let length = client.read(&mut bytes).await.unwrap_or(0);
        server.write_all(&bytes[..length]).await.unwrap();
        let length = server.read(&mut bytes).await.unwrap_or(0);
        let _sent = client.write_all(&bytes[..length / 2]).await;
    }
}

async fn shop(postgres: &Postgres) -> (Server, Peer) {
    postgres.database("shop");
    let pool = sqlx::PgPool::connect(&postgres.url("shop")).await.unwrap();
    for statement in [
        "create table client (phone text, name text, points integer)",
        "insert into client values ('+79035550142', 'Олег', 41)",
        "insert into client select '+79035550199', repeat('ю', 10000000), 41",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let peer = Peer::start(postgres.socket()).await;
    let settings = format!(
        "[crm]\nsource = \"sql\"\n\n[crm.sql]\n\
         url = \"postgres://allo@127.0.0.1:{}/shop?sslmode=disable\"\n\
         customers = \"select name, points from client where phone = $1\"\n",
        peer.port
    );
    let setup = Setup { plan: PLAN.into(), settings, ..Setup::default() };
    (Server::start(setup).await, peer)
}

/// A caller hears that nothing is known, in time; how long that took.
async fn is_served_without(server: &Server, from: &str, what: &str) -> Duration {
    let mut call = server.call(from, "200").await;
    over(&mut call).await;
    let heard = heard(&call.ended().await.playout, &["crm-unavailable"]);
    let began = Duration::from_millis(heard[0].at_ms);
    assert!(began < SERVED_MAX, "{what}: {began:?}");
    began
}

async fn is_known_again(server: &Server, what: &str) {
    eventually(&format!("callers are known after {what}"), 2 * SOON, async || {
        let mut call = server.call(KNOWN, "200").await;
        over(&mut call).await;
        let playout = call.ended().await.playout;
        contains_in_order(playout.samples(), &russian(&["points-are"])).ok().map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_that_misbehaves_is_waited_for_as_long_as_the_plan_says_and_asked_again_when_it_is_well()
 {
    let Some(postgres) = Postgres::start() else { return };
    let (server, peer) = shop(&postgres).await;
    is_known_again(&server, "the start").await;
    for manner in [Manner::Mute, Manner::Garbage, Manner::CutOff, Manner::Away] {
        let what = format!("{manner:?}");
        let before = breaks(&server);
        peer.behaves(manner).await;
        for _ in 0..3 {
            is_served_without(&server, KNOWN, &what).await;
        }
        // Three failures in a row: it is left in peace, and nobody waits for it.
        eventually("the breaker opens", SOON, async || (breaks(&server) > before).then_some(()))
            .await;
        let began = is_served_without(&server, KNOWN, &what).await;
        assert!(began < Duration::from_millis(1_500), "{what}: {began:?}");
        peer.behaves(Manner::Good).await;
        is_known_again(&server, &what).await;
    }
}

/// How often the breaker has opened.
fn breaks(server: &Server) -> usize {
    server.log().matches("it is not asked for a while").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_ten_million_letters_is_no_answer_and_costs_little() {
    let Some(postgres) = Postgres::start() else { return };
    let (server, _peer) = shop(&postgres).await;
    is_known_again(&server, "the start").await;
    let process = Process(server.process_id());
    let before_kb = process.rss_kb();
    for _ in 0..2 {
        is_served_without(&server, ENDLESS, "an endless name").await;
        is_known_again(&server, "an endless name").await;
    }
    let more_kb = process.rss_kb().saturating_sub(before_kb);
    assert!(more_kb < MORE_MEMORY_KB, "{more_kb} kB");
}
