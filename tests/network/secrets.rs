//! Whoever reads the log learns nothing about customers and no way in, at any level, in any form.

use std::time::Duration;

use allo::domain::CallFact;
use allo::phone::provider::Credentials;
use allo::phone::{Desk, DeskOptions, KeyBy, Provider, ProviderOptions, Script};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::caller::{RawCall, address, socket};
use crate::house::{House, LINE, PASSWORD, SOON, customer_hears, hangs_up, picks_up, voice_of};
use crate::postgres::Postgres;
use crate::support::server::{Server, Setup, get, post};
use crate::support::{eventually, hears, key};

const CUSTOMER: &str = "+79161234567";
/// Everything that is typed.
const TYPED: &str = "481516234208";
const TRUNK_PASSWORD: &str = "tRuNk-PaSs-0815";
const WRONG_PASSWORD: &str = "gUeSs-4711-gUeSs";

/// What no line may hold, in whatever way it is written. Parts of numbers that a mask shows are none.
const SECRETS: [&str; 18] = [
    // Numbers of callers, callees, and what they typed.
    "9161234567",
    "916 123",
    "9167654321",
    "916-765",
    "9035550142",
    "9001234567",
    "4951112233",
    TYPED,
    // Ways in.
    PASSWORD,
    TRUNK_PASSWORD,
    WRONG_PASSWORD,
    "response=",
    "nonce=",
    "cnonce",
    // What the CRM knows.
    "Секретова",
    "7702-4411",
    "4815.16",
    "99887766",
];

const PLAN: &str = r##"
language "ru"
timezone "Europe/Moscow"
transfer-to "+7495*"
number "300" { queue "support" }
number "700" {
    lookup "customer" wait="300ms" deadline="1s" { unavailable { say "crm-unavailable" } }
    if "customer.found" { say "points-are" "{customer.points:points}" "order-number" "{order.number:digits}" }
    ask "enter-order" digits=12 end="#" as="order" wait="2s" tries=1 { silence { hangup } }
    lookup "order" number="{order}" { unavailable { say "crm-unavailable" } }
    promise "callback-ordered" due="30m"
    say "callback-30"
    hangup
}
robot "low" {
    when "balance.low"; window "00:00-24:00"
    say "points-are" "{event.points:points}"
    key "1" { hangup }
    key "9" { do-not-call; hangup }
}
group "support" { wrap-up "0s"; offer-callback key="1"; missed after="1s" { promise "callback-missed" due="30m" } }
callback "callback-ordered" { way "operator-first" }
"##;

const CUSTOMERS: &str = "phone,name,points,card,balance\n\
    +79161234567,Секретова Анна,5,99887766,4815.16\n";
const ORDERS: &str = "number,phone,status\n7702-4411,+79161234567,ready\n";

struct Shop {
    house: House,
    provider: Provider,
}

impl Shop {
    async fn open(log: &str, crm: &str) -> Self {
        let (user, password) = ("shop".to_owned(), TRUNK_PASSWORD.to_owned());
        let credentials = Some(Credentials { user, password });
        let provider = ProviderOptions { credentials, ..ProviderOptions::default() };
        let provider = Provider::start(provider).await.unwrap();
        let trunk = |name: &str, password: &str| {
            format!(
                "[[trunk]]\nname = \"{name}\"\naddress = \"{}\"\nusername = \"shop\"\n\
                 password = \"{password}\"\nregister = true\n\n",
                provider.address()
            )
        };
        let settings = trunk("net", TRUNK_PASSWORD) + &trunk("locked", WRONG_PASSWORD) + crm;
        let setup = Setup {
            plan: PLAN.into(),
            customers: CUSTOMERS.into(),
            orders: ORDERS.into(),
            settings,
            arguments: vec!["--log".into(), log.into()],
            environment: at_every_level(),
            ..Setup::default()
        };
        let house = House::of_plan(&["anna"], setup).await;
        Self { house, provider }
    }
}

fn at_every_level() -> Vec<(String, String)> {
    vec![("ALLO_LOG".into(), "trace".into())]
}

/// Looks at the log, that it holds lines of this kind, and no secret.
fn assert_discreet(server: &Server, kinds: &[&str]) {
    let log = server.log();
    for kind in kinds {
        assert!(log.contains(kind), "the log holds no {kind}: what would it be silent about?");
    }
    for secret in SECRETS {
        let told = log.lines().find(|line| line.contains(secret));
        assert!(told.is_none(), "{secret} is in the log: {}", told.unwrap_or_default());
    }
}

/// A customer's whole day: calls, waits, talks, types, is called back, by people and by a robot.
async fn everything_works(shop: &Shop) {
    let house = &shop.house;
    let anna = house.quick_desk("anna").await;
    let call = house.server.call(CUSTOMER, "700").await;
    hears(&call, &["enter-order"]).await;
    for c in TYPED.chars().chain(['#']) {
        call.press(key(c), KeyBy::Event).await;
    }
    call.ended().await;
    let talk = anna.next_invite().await.unwrap().call;
    let back = shop.provider.nth_call(CUSTOMER, 1).await.unwrap().call;
    let connected = |fact: &CallFact| matches!(fact, CallFact::Connected { .. });
    house
        .records("the callback", |calls| {
            let mut facts = calls.iter().flat_map(|call| &call.events);
            facts.any(|event| connected(&event.fact)).then_some(())
        })
        .await;
    anna.hang_up(talk).await;
    shop.provider.ended(back).await.unwrap();

    let mut customer = house.customer_with(7_654_321, |_| {}).await;
    let phone = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    for c in TYPED.chars().take(4) {
        customer.press(key(c), KeyBy::Info).await;
        anna.press(phone, key(c), KeyBy::Info).await;
    }
    anna.transfer(phone, "+79001234567").await;
    anna.replied(phone, "REFER", 403).await.unwrap();
    anna.transfer(phone, "+74951112233").await;
    shop.provider.nth_call("+74951112233", 1).await.unwrap();
    hangs_up(customer).await;

    let event = |key: &str, phone: &str, points: &str| json!({ "event": "balance.low", "phone": phone, "id": key, "points": points });
    let events = json!([
        event("low 1 +79161234567", CUSTOMER, "5"),
        event("low 2 +79161234567", CUSTOMER, "no number of points 4815.16"),
    ]);
    let (status, answer) =
        post(house.server.web, "/api/events", &events.to_string()).await.unwrap();
    assert!(status < 300, "{status} {answer}");
    shop.provider.nth_call(CUSTOMER, 2).await.unwrap();
}

/// What goes wrong, goes wrong without a word too many.
async fn everything_fails(shop: &Shop) {
    let house = &shop.house;
    let server = house.server.sip;
    // Passwords that are wrong, on registering and on dialling.
    for password in [WRONG_PASSWORD, ""] {
        let options = DeskOptions::new(server, "boris", password);
        let _refused = Desk::start(options).await.unwrap().register().await;
    }
    // Messages that are none, with a number in every part, by UDP and TCP.
    let broken = [
        format!(
            "INVITE sip:{CUSTOMER}@x SIP/2.0\r\nFrom: <sip:{CUSTOMER}@x\r\nTo: {CUSTOMER}\r\n\r\n"
        ),
        format!("{CUSTOMER} sip:300@x SIP/9.9\r\nCall-ID: {CUSTOMER}\r\n\r\n"),
        format!(
            "REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=\"anna\", realm=\"allo\", \
                 nonce=\"{CUSTOMER}\", response=\"{CUSTOMER}\"\r\nVia: SIP/2.0/UDP {CUSTOMER}\r\n\r\n"
        ),
        format!("SIP/2.0 200 {CUSTOMER}\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{CUSTOMER}\r\n\r\n"),
    ];
    let stranger = socket("127.0.0.1").await;
    for message in &broken {
        stranger.send_to(message.as_bytes(), server).await.unwrap();
        let mut stream = TcpStream::connect(server).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, message.as_bytes()).await.unwrap();
    }
    let rtp = socket("127.0.0.1").await;
    let mut call = RawCall::dial(server, "8%20(916)%20123-45-67", LINE, address(&rtp)).await;
    let info =
        format!("Info-Package: x\r\nX-Number: {CUSTOMER}\r\nReason: SIP;text=\"{CUSTOMER}\"\r\n");
    for method in ["INFO", "MESSAGE", "NOTIFY", "UPDATE", "OPTIONS", "REFER"] {
        call.request(method, &format!("{info}Refer-To: <sip:+79001234567@x>\r\n")).await;
    }
    call.hang_up().await;
    // Somebody dials what nobody has, and nobody is there for a callback.
    let mut nobody = RawCall::outside(server, CUSTOMER, "+79001234567").await;
    let answer = nobody.invite(address(&rtp), "").await;
    assert!(answer.starts_with("SIP/2.0 4"), "{answer}");
    shop.provider.on_call(CUSTOMER, [Script::refuses(404), Script::refuses(503)]).await;
    // A plan that can't be, and questions of strangers to the API.
    let plan = format!("{PLAN}\nnumber \"{CUSTOMER} or so\" {{ go \"nowhere\" }}\n");
    house.server.write("dialplans/plan.kdl", &plan);
    house.server.signal(libc::SIGHUP);
    let phone = CUSTOMER.replace('+', "%2B");
    for path in ["customers", "promises", "calls", "do-not-call"] {
        get(house.server.web, &format!("/api/{path}?phone={phone}")).await.unwrap();
        get(house.server.web, &format!("/api/{path}/{phone}")).await.unwrap();
    }
    let bad = json!([{ "event": 5, "phone": CUSTOMER }]).to_string();
    post(house.server.web, "/api/events", &bad).await.unwrap();
    let called = house.server.call(CUSTOMER, "700").await;
    sleep(Duration::from_millis(1_500)).await;
    called.hang_up().await;
    eventually("the plan is refused", Duration::from_secs(20), async || {
        house.server.log().contains("the running plan stays in force").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_calls_leaves_no_number_no_key_and_no_password_in_the_log() {
    let shop = Shop::open("text", "").await;
    everything_works(&shop).await;
    assert_discreet(
        &shop.house.server,
        &["TRACE", "DEBUG", "call offered", "looked up", "connected"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_calls_leaves_nothing_in_a_log_of_json_either() {
    let shop = Shop::open("json", "").await;
    everything_works(&shop).await;
    everything_fails(&shop).await;
    assert_discreet(&shop.house.server, &["\"TRACE\"", "\"DEBUG\"", "call offered", "looked up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_failures_leaves_no_number_no_key_and_no_password_in_the_log() {
    // Of a table that is not there, and of one whose values are nonsense.
    let crm = "[crm]\nsource = \"sql\"\n\n[crm.sql]\nurl = \"sqlite:{folder}/allo.db\"\n\
               customers = \"select name, card as points, 'x' as language from customers where phone = $1\"\n\
               orders = \"select number from nothing where phone = $1\"\n";
    let shop = Shop::open("text", crm).await;
    everything_fails(&shop).await;
    assert_discreet(
        &shop.house.server,
        &["TRACE", "the CRM gave no answer", "a trunk refuses our account"],
    );
}

/// Rules of an admin's own. PostgreSQL quotes the row that breaks one: of the first in a detail, of the
/// others in the message, as the admin wrote it. Only the last may be obeyed by trying again.
const RULES: &str = "
create unique index once on calls (caller);
create function refuse() returns trigger language plpgsql as $$ begin
    raise exception 'no room for %', new using errcode = tg_argv[0]; end $$;
create trigger refuse before update on calls for each row execute function refuse('23514');
create trigger refuse before insert on promises for each row execute function refuse('53100');
";

const SHORT_PLAN: &str = r#"
language "ru"
number "300" { say "menu-points" "menu-order" "menu-operator" "menu-points" "menu-order" }
number "301" { promise "callback-ordered" due="3h"; hangup }
number "302" { lookup "customer" { unavailable { say "crm-unavailable"; hangup } }; hangup }
group "support" { wrap-up "0s" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_does_not_repeat_what_a_database_quotes_of_rows_that_it_refuses() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.database("allo");
    // A query that takes a number and a name for a figure; the name is not in the query itself.
    let crm = "[crm]\nsource = \"sql\"\n\n[crm.sql]\n\
               customers = \"select ($1 || ' Секрет' || 'ова')::bigint as points\"\nurl = ";
    let setup = Setup {
        plan: SHORT_PLAN.into(),
        database: postgres.url("allo"),
        settings: format!("{crm}\"{}\"\n", postgres.url("allo")),
        environment: at_every_level(),
        ..Setup::default()
    };
    let server = Server::start(setup).await;
    let call = server.call(CUSTOMER, "300").await;
    let mut admin = PgConnection::connect(&postgres.url("allo")).await.unwrap();
    eventually("the call is in the database", SOON, async || {
        let answered = "select 1 from calls where answered_ms is not null";
        sqlx::query(answered).fetch_optional(&mut admin).await.unwrap()
    })
    .await;
    sqlx::raw_sql(RULES).execute(&mut admin).await.unwrap();
    call.hang_up().await;
    let told = |what: &str, times: usize| {
        let (server, what) = (&server, what.to_owned());
        eventually("a refusal is told", SOON, async move || {
            (server.log().matches(&what).count() >= times).then_some(())
        })
    };
    told("can't be stored; dropped", 1).await;
    server.call(CUSTOMER, "300").await.hang_up().await;
    told("can't be stored; dropped", 2).await;
    server.call("+79035550142", "301").await.begin_hang_up().await;
    told("promises can't be written", 1).await;
    server.call(CUSTOMER, "302").await.ended().await;
    told("the CRM gave no answer", 1).await;
    let health = eventually("the server's health tells why", SOON, async || {
        let (_, health) = get(server.web, "/health").await.unwrap();
        health.contains("no room for").then_some(health)
    })
    .await;
    assert!(!health.contains("9035550142"), "{health}");
    let kinds = ["TRACE", "no room for", "violates unique constraint", "invalid input syntax"];
    assert_discreet(&server, &kinds);
}
