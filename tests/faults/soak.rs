//! Everything at once for a long time: calls of all kinds begin and end, plans are edited, strangers send
//! garbage. Afterwards the server is as light as it was.
//!
//! Ten minutes, or as many seconds as `ALLO_SOAK_SECONDS` says (`make soak HOURS=8`). It costs little: about
//! five calls are up.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allo::domain::{CallOutcome, PromiseKind};
use allo::phone::{Call, Ending, KeyBy};
use allo::store::{CallFilter, PromiseFilter};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::house::{SOON, voice_of};
use crate::process::Process;
use crate::shop::{Shop, number, presses};
use crate::support::server::{get, post};
use crate::support::{eventually, key};

const SECONDS: u64 = 600;
/// Of the whole: what fills up once (caches, statements, the rest of SIP transactions) is full by then.
const WARM_UP: f64 = 0.35;
const LOOK_EVERY: Duration = Duration::from_secs(3);
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is measured, and by how much it may have grown between the warm-up and the end, as a straight line
/// through all its values says. The database's caches have limits of their own, but take hours to fill.
const FIGURES: [(&str, f64); 7] = [
    ("memory, kB", 12_000.0),
    ("files", 6.0),
    ("threads", 3.0),
    ("tasks", 12.0),
    ("calls up", 4.0),
    ("facts waiting", 100.0),
    ("promises open", 8.0),
];

const PLAN: &str = r#"
    group "support" { wrap-up "0s"; record }
    callback "callback-ordered" { tries 2 every="1m" }
    number "200" { lookup "customer"; say "greeting"; go "main" }
    menu "main" wait="3s" tries=1 { say "menu-points"; key "1" { say "goodbye"; hangup } }
    number "301" { promise "callback-ordered" due="3h" group="support"; say "callback-30"; hangup }
    robot "parcel" {
        when "parcel.arrived"; window "00:00-24:00"
        tries 2 every="1h"; at-once 5; per-second 5
        say "notice-hello"
        key "1" { say "goodbye" }
        key "9" { do-not-call }
    }
"#;

/// How long it takes.
fn length() -> Duration {
    let seconds = std::env::var("ALLO_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(SECONDS))
}

/// What those who use the house need.
struct World {
    shop: Shop,
    until: Instant,
    customers: AtomicU64,
    /// Calls that went as they should.
    served: AtomicU64,
}

impl World {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// A customer's number that nobody had before.
    fn next(&self) -> u32 {
        u32::try_from(self.customers.fetch_add(1, Ordering::Relaxed) % 9_000_000).unwrap()
    }

    fn served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    async fn call(&self, dialled: &str) -> Call {
        self.shop.house.server.call(&number(self.next()), dialled).await
    }
}

/// The call comes to its end.
async fn ends(call: Call) -> Ending {
    let report = timeout(2 * SOON, call.ended()).await.expect("the call ends");
    report.ending().expect("it has ended")
}

/// Listens, presses a key, or hangs up somewhere; some phones die, some callers think better of it.
async fn callers(world: Arc<World>) {
    for turn in 0_u64.. {
        if !world.goes_on() {
            return;
        }
        let call = world.call("200").await;
        match turn % 4 {
            0 => {
                sleep(Duration::from_secs(5)).await;
                call.press(key('1'), KeyBy::Event).await;
                assert_eq!(ends(call).await, Ending::ByServer);
            }
            1 => {
                sleep(Duration::from_millis(1_500)).await;
                assert_eq!(call.hang_up().await.ending(), Some(Ending::ByUs));
            }
            2 => call.pull_the_plug(),
            _ => {
                call.begin_hang_up().await;
                ends(call).await;
            }
        }
        world.served();
        sleep(Duration::from_secs(1)).await;
    }
}

/// Waits for an operator, talks, and one of both hangs up; every third one gives up before.
async fn line(world: Arc<World>, logins: [&'static str; 2]) {
    let mut desks = Vec::new();
    for login in logins {
        desks.push((login, world.shop.quick_operator(login).await));
    }
    for turn in 0_u64.. {
        if !world.goes_on() {
            return;
        }
        let mut customer = world.shop.house.customer(world.next()).await;
        if turn % 3 == 0 {
            sleep(Duration::from_millis(100)).await;
        } else {
            let hears_somebody = customer.event(|what| {
                matches!(what, allo::phone::PhoneEvent::ToneBegan { hz } if logins.map(voice_of).contains(hz))
            });
            timeout(3 * SOON, hears_somebody).await.expect("an operator talks").expect("it is up");
            sleep(Duration::from_secs(2)).await;
        }
        customer.begin_hang_up().await;
        ends(customer).await;
        world.served();
        sleep(Duration::from_secs(2)).await;
    }
}

/// Are promised a call, which comes.
async fn promised(world: Arc<World>) {
    while world.goes_on() {
        assert_eq!(ends(world.call("301").await).await, Ending::ByServer);
        world.served();
        sleep(Duration::from_secs(12)).await;
    }
}

/// Events of the shop, which a robot tells of.
async fn events(world: Arc<World>) {
    while world.goes_on() {
        let phone = number(world.next());
        let event = json!([{"event": "parcel.arrived", "phone": phone, "id": world.next()}]);
        let told = post(world.shop.house.server.web, "/api/events", &event.to_string()).await;
        assert_eq!(told.unwrap().0, 202);
        sleep(Duration::from_secs(7)).await;
    }
}

/// Edits the plan; every third time there is a mistake in it.
async fn admin(world: Arc<World>, plan: String) {
    let server = &world.shop.house.server;
    for turn in 1_u64.. {
        if !world.goes_on() {
            return;
        }
        let mistake = if turn.is_multiple_of(3) { "number \"9\" { go \"nowhere\" }\n" } else { "" };
        server.write("dialplans/plan.kdl", &format!("{plan}\n{mistake}"));
        if turn.is_multiple_of(2) {
            server.signal(libc::SIGHUP);
        }
        sleep(Duration::from_secs(11)).await;
    }
}

/// Garbage at every port, and connections that say nothing.
async fn strangers(world: Arc<World>) {
    let (sip, web) = (world.shop.house.server.sip, world.shop.house.server.web);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let garbage = [
        &b"\x00\xff\xfe"[..],
        b"INVITE sip:300@127.0.0.1 SIP/2.0\r\nVia: nothing\r\n\r\n",
        b"BYE sip:300@127.0.0.1 SIP/2.0\r\nCall-ID: nobody\r\n\r\n",
        &[0x80; 172],
    ];
    for turn in 0_u64.. {
        if !world.goes_on() {
            return;
        }
        for bytes in garbage {
            let _lost_is_fine = socket.send_to(bytes, sip);
            let port = 16_384 + u16::try_from(turn * 31 % 14_000).unwrap();
            let _lost_is_fine = socket.send_to(bytes, SocketAddr::from(([127, 0, 0, 1], port)));
        }
        let silent = tokio::net::TcpStream::connect(sip).await.unwrap();
        let _answer = get(web, "/api/state").await.unwrap();
        sleep(Duration::from_secs(1)).await;
        drop(silent);
    }
}

/// All figures at one moment.
async fn look(shop: &Shop) -> [f64; FIGURES.len()] {
    let process = Process(shop.house.server.process_id());
    let (_, page) = get(shop.house.server.web, "/metrics").await.unwrap();
    let sum = |name: &str| -> f64 {
        let lines = page.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    [
        process.rss_kb() as f64,
        process.files() as f64,
        process.threads() as f64,
        sum("allo_tasks"),
        sum("allo_calls_up"),
        sum("allo_facts_waiting"),
        sum("allo_promises_open"),
    ]
}

/// The slope of the straight line through the points that is nearest to them (least squares).
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    together / spread
}

/// Watches until the end. Returns what grew, and a table of all.
async fn watch(world: &World, began: Instant) -> (Vec<&'static str>, String) {
    let whole = world.until - began;
    let mut looks: Vec<(f64, [f64; FIGURES.len()])> = Vec::new();
    let mut told = began;
    while world.goes_on() {
        let figures = look(&world.shop).await;
        looks.push((began.elapsed().as_secs_f64(), figures));
        if told.elapsed() >= TELL_EVERY {
            told += TELL_EVERY;
            let minute = began.elapsed().as_secs() / 60;
            let shown = FIGURES.iter().zip(figures).map(|((name, _), now)| format!("{name} {now}"));
            let served = world.served.load(Ordering::Relaxed);
            println!("{minute:>4} min  {served} calls  {}", shown.collect::<Vec<_>>().join("  "));
        }
        sleep(LOOK_EVERY).await;
    }
    looks.retain(|(at, _)| *at >= whole.as_secs_f64() * WARM_UP);
    let span = whole.as_secs_f64() * (1.0 - WARM_UP);
    let (mut grew, mut table) = (Vec::new(), String::new());
    for (index, (name, growth_max)) in FIGURES.into_iter().enumerate() {
        let points: Vec<(f64, f64)> = looks.iter().map(|(at, all)| (*at, all[index])).collect();
        let growth = slope(&points) * span;
        let first = points[0].1;
        let _ =
            writeln!(table, "{name:>14}  {first:>9}  {growth:>+10.1}  (at most {growth_max:+})");
        if growth > growth_max {
            grew.push(name);
        }
    }
    (grew, table)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_time_the_server_is_as_light_as_before() {
    let shop = Shop::open_with(PLAN, &["anna", "boris"], |setup| {
        setup.rtp = "dead-after = \"5s\"".to_owned();
        setup.settings.push_str("starts-per-second = 40\nmax-calls = 60\n");
        setup.settings.push_str("[recordings]\nfolder = \"{folder}/recordings\"\n");
    })
    .await;
    shop.provider.otherwise(presses("1s,1").wait(Duration::from_secs(2)).hang_up()).await;
    let plan = std::fs::read_to_string(shop.house.server.path("dialplans/plan.kdl")).unwrap();
    let began = Instant::now();
    let (customers, served) = (AtomicU64::new(1_000), AtomicU64::new(0));
    let world = Arc::new(World { shop, until: began + length(), customers, served });
    let mut users = JoinSet::new();
    users.spawn(callers(Arc::clone(&world)));
    users.spawn(callers(Arc::clone(&world)));
    users.spawn(line(Arc::clone(&world), ["anna", "boris"]));
    users.spawn(promised(Arc::clone(&world)));
    users.spawn(events(Arc::clone(&world)));
    users.spawn(admin(Arc::clone(&world), plan));
    users.spawn(strangers(Arc::clone(&world)));
    let (grew, table) = {
        let mut watching = std::pin::pin!(watch(&world, began));
        loop {
            tokio::select! {
                verdict = &mut watching => break verdict,
                Some(ended) = users.join_next() => ended.expect("nobody met with trouble"),
            }
        }
    };
    while let Some(ended) = users.join_next().await {
        ended.expect("nobody met with trouble");
    }
    let served = world.served.load(Ordering::Relaxed);
    println!("{served} calls; growth after the warm-up:\n{table}");
    assert!(grew.is_empty(), "{grew:?} grew:\n{table}");
    assert!(served > length().as_secs() / 10, "{served} calls in {:?}", length());
    let mut world = Arc::into_inner(world).expect("everybody is gone");
    the_books_are_in_order(&mut world.shop).await;
}

async fn the_books_are_in_order(shop: &mut Shop) {
    let log = shop.house.server.log();
    assert!(!log.contains(" ERROR "), "{log}");
    shop.house.server.terminate().await;
    let filter = CallFilter { limit: 10_000, ..CallFilter::default() };
    let calls = shop.house.store.calls(&filter).await.unwrap();
    assert!(calls.iter().all(|call| call.ended.is_some()));
    let times = shop.provider.tally().times_by_number();
    let promises = shop.house.store.promises(&PromiseFilter::default()).await.unwrap();
    for record in promises {
        let phone = record.promise.phone.as_str();
        let tries = if record.promise.kind == PromiseKind::Reminder { 1 } else { 2 };
        assert!(times.get(phone).is_none_or(|times| *times <= tries), "{record:?}");
    }
    for story in shop.stories().await {
        let up =
            story.attempts.iter().filter(|attempt| attempt.outcome == Some(CallOutcome::Failed));
        assert_eq!(up.count(), 0, "{story:?}");
    }
    eventually("the database is whole", SOON, async || {
        shop.is_whole().await;
        Some(())
    })
    .await;
}
