//! Calls at the shop's expense: nobody has a number dialled that the plan does not allow, whoever
//! asks, and however it is spelled.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use allo::domain::PromiseKind;
use allo::phone::{Desk, DeskCall, Ending, PhoneEvent, Provider, ProviderOptions};
use allo::store::PromiseFilter;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::caller::{RawCall, address, header, socket};
use crate::house::{House, LINE, SOON, customer_hears, hangs_up, picks_up, voice_of};
use crate::support::eventually;
use crate::support::server::Setup;

const PLAN: &str = r#"
language "ru"
timezone "Europe/Moscow"
transfer-to "+7495*"
number "300" { queue "support" }
number "600" {
    if "caller.callable" { say "callback-30"; promise "callback-ordered" due="30m" }
    else { say "closed-short" }
    hangup
}
group "support" { missed after="1s" { promise "callback-missed" due="30m" } }
"#;

/// Numbers of every kind but the one that operators may dial.
const FORBIDDEN: [&str; 12] = [
    "+79001234567",
    "89001234567",
    "79001234567",
    "810441234567890",
    "00441234567890",
    "+441234567890",
    "+7-900-123-45-67",
    "+79001234567;phone-context=+7",
    "%2B79001234567",
    "+78095551234",
    "112",
    "+7499*",
];

/// A house whose trunk is somewhere else than its phones: who calls from 127.0.0.1 is a stranger.
pub struct Exchange {
    pub house: House,
    pub provider: Provider,
}

impl Exchange {
    pub async fn open(at_work: &[&str]) -> Self {
        let listen = ([127, 0, 0, 9], 0).into();
        let options = ProviderOptions { listen, ..ProviderOptions::default() };
        let provider = Provider::start(options).await.unwrap();
        let house = House::of_plan(at_work, with_trunk(provider.address())).await;
        Self { house, provider }
    }

    /// An INVITE of a stranger; its final status.
    async fn refuses(&self, uri: &str, from: &str, headers: &str) {
        let answer = invite(self.house.server.sip, uri, from, headers).await;
        let status = header_line(&answer);
        assert!(status.starts_with("SIP/2.0 4"), "{uri} from {from} with {headers:?}: {status}");
    }

    pub fn assert_nobody_called(&self) {
        let tally = self.provider.tally();
        assert!(tally.calls.is_empty(), "called: {:?}", tally.times_by_number());
    }
}

fn with_trunk(trunk: SocketAddr) -> Setup {
    let settings = format!("[[trunk]]\nname = \"net\"\naddress = \"{trunk}\"\n");
    Setup { plan: PLAN.into(), settings, ..Setup::default() }
}

fn header_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Sends an INVITE as it stands, and waits for its final answer.
async fn invite(server: SocketAddr, uri: &str, from: &str, headers: &str) -> String {
    let socket = socket("127.0.0.1").await;
    let local = address(&socket);
    let unique = local.port();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 9000 RTP/AVP 8\r\n";
    let message = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK-{unique}\r\n\
         From: {from};tag=f\r\nTo: <{uri}>\r\nCall-ID: fraud-{unique}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:me@{local}>\r\nMax-Forwards: 70\r\n{headers}\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    socket.send_to(message.as_bytes(), server).await.unwrap();
    loop {
        let mut buffer = [0; 4096];
        let received = timeout(SOON, socket.recv(&mut buffer)).await;
        let length = received.unwrap_or_else(|_| panic!("{uri}: no answer")).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if answer.starts_with("SIP/2.0") && !answer.starts_with("SIP/2.0 1") {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_from_outside_reaches_nothing_but_the_numbers_of_the_plan() {
    let exchange = Exchange::open(&["anna"]).await;
    let anna = exchange.house.quick_desk("anna").await;
    let (server, trunk) = (exchange.house.server.sip, exchange.provider.address());
    let stranger = "<sip:+79161112233@127.0.0.1>";
    for number in FORBIDDEN {
        exchange.refuses(&format!("sip:{number}@{server}"), stranger, "").await;
        exchange.refuses(&format!("sip:{number}@{trunk};user=phone"), stranger, "").await;
    }
    // What operators may dial, dialled by others: in the operator's name, by another way.
    let wanted = format!("sip:+74951112233@{server}");
    let routes = format!("Route: <sip:{trunk};lr>\r\n");
    let asserted = "P-Asserted-Identity: <sip:anna@allo>\r\nP-Preferred-Identity: <sip:anna@a>\r\n";
    let claims = "Remote-Party-ID: <sip:anna@allo>;party=calling;screen=yes\r\n";
    let referred = "Referred-By: <sip:anna@allo>\r\nDiversion: <sip:201@allo>\r\n";
    for from in [stranger, "\"201\" <sip:anna@127.0.0.1>", "<sip:201@127.0.0.1>", "<tel:201>"] {
        for headers in ["", &routes, asserted, claims, referred] {
            exchange.refuses(&wanted, from, headers).await;
        }
    }
    exchange.refuses("tel:+74951112233", stranger, "").await;
    exchange.refuses("tel:1112233;phone-context=+7495", stranger, "").await;
    for own in ["anna", "201", "*45", "*33201", "support"] {
        exchange.refuses(&format!("sip:{own}@{server}"), "<sip:anna@127.0.0.1>", "").await;
    }
    exchange.assert_nobody_called();
    assert!(anna.events().iter().all(|event| !is_invite(event)), "anna's phone rang");
}

fn is_invite(event: &allo::phone::DeskEvent) -> bool {
    matches!(event.what, allo::phone::DeskFact::Invited(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_and_strangers_transfer_nobody() {
    let exchange = Exchange::open(&["anna"]).await;
    let server = exchange.house.server.sip;
    let rtp = socket("127.0.0.1").await;
    let mut caller = RawCall::dial(server, "+79161112233", LINE, address(&rtp)).await;
    // In the line, and with an operator.
    let refers = [
        format!("Refer-To: <sip:+74951112233@{server}>\r\n"),
        format!("Refer-To: <sip:201@{server}>\r\nReferred-By: <sip:anna@{server}>\r\n"),
        format!("Refer-To: <sip:+79001234567@{}>\r\n", exchange.provider.address()),
        "Refer-To: <tel:+74951112233>\r\n".to_owned(),
    ];
    for refer in &refers {
        let answer = caller.request("REFER", refer).await;
        assert!(answer.starts_with("SIP/2.0 4"), "{refer}: {answer}");
    }
    let anna = exchange.house.quick_desk("anna").await;
    picks_up(&anna).await;
    for refer in &refers {
        let answer = caller.request("REFER", refer).await;
        assert!(answer.starts_with("SIP/2.0 403"), "{refer}: {answer}");
    }
    // By somebody who has no call at all.
    let mut nobody = RawCall::outside(server, "anna", LINE).await;
    for refer in &refers {
        let answer = nobody.request("REFER", refer).await;
        assert!(answer.starts_with("SIP/2.0 403"), "{refer}: {answer}");
    }
    exchange.assert_nobody_called();
    assert!(!caller.was_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_call_and_transfer_to_the_numbers_of_the_plan_alone() {
    let exchange = Exchange::open(&["anna"]).await;
    let anna = exchange.house.quick_desk("anna").await;
    for number in FORBIDDEN {
        let call = anna.dial(number).await;
        assert_eq!(anna.ended(call).await.unwrap(), Ending::Refused, "{number}");
    }
    let mut customer = exchange.house.customer(7).await;
    let phone = picks_up(&anna).await;
    customer_hears(&mut customer, voice_of("anna")).await;
    for number in FORBIDDEN {
        anna.transfer(phone, number).await;
        refused(&anna, phone).await;
    }
    exchange.assert_nobody_called();
    // The plan's own kind of number goes through.
    anna.transfer(phone, "+74951112233").await;
    exchange.provider.nth_call("+74951112233", 1).await.unwrap();
    hangs_up(customer).await;
}

async fn refused(desk: &Desk, call: DeskCall) {
    let refused = PhoneEvent::Reply { method: "REFER".into(), code: 403 };
    let is_it = |event: &allo::phone::DeskEvent| {
        event.what == allo::phone::DeskFact::Call { call, what: refused.clone() }
    };
    desk.until(is_it).await.unwrap();
}

/// A trunk that sends every call elsewhere; whom it was asked to call.
async fn redirecting_trunk(elsewhere: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let socket = socket("127.0.0.8").await;
    let (local, asked) = (address(&socket), Arc::<Mutex<Vec<String>>>::default());
    let invited = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status = if request.starts_with("INVITE") {
                invited.lock().unwrap().push(header_line(&request).to_owned());
                format!(
                    "302 Moved\r\nContact: <sip:+78095551234@{elsewhere}>;q=1.0, \
                     <sip:+79001234567@{local}>;q=0.9"
                )
            } else if request.starts_with("ACK") {
                continue;
            } else {
                "200 OK".to_owned()
            };
            answer(&socket, from, &request, &status).await;
        }
    });
    (local, asked)
}

async fn answer(socket: &UdpSocket, to: SocketAddr, request: &str, status: &str) {
    let copied = ["Via", "From", "Call-ID", "CSeq"];
    let copied = copied.map(|name| format!("{name}: {}\r\n", header(request, name)));
    let target = header(request, "To");
    let answer = format!(
        "SIP/2.0 {status}\r\n{}To: {target};tag=t\r\nContent-Length: 0\r\n\r\n",
        copied.concat()
    );
    socket.send_to(answer.as_bytes(), to).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_sends_a_call_elsewhere_is_not_followed() {
    let elsewhere = socket("127.0.0.7").await;
    let (trunk, asked) = redirecting_trunk(address(&elsewhere)).await;
    let house = House::of_plan(&["anna"], with_trunk(trunk)).await;
    let anna = house.quick_desk("anna").await;
    let call = anna.dial("+74951112233").await;
    assert_ne!(anna.ended(call).await.unwrap(), Ending::ByUs);
    // Time to do it after all.
    sleep(Duration::from_millis(500)).await;
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("74951112233"), "{asked:?}");
    assert!(elsewhere.try_recv(&mut [0; 16]).is_err(), "the call went where the trunk sent it");
}

/// A call that is given up in the line after a moment.
async fn is_missed(server: SocketAddr, number: String) {
    let rtp = socket("127.0.0.1").await;
    let call = RawCall::dial(server, &number, LINE, address(&rtp)).await;
    sleep(Duration::from_millis(1_600)).await;
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_owed_one_call_however_often_it_is_named_and_a_dear_one_none() {
    let exchange = Exchange::open(&["anna"]).await;
    // She does not pick up; so nobody is called back, either.
    let anna = exchange.house.desk("anna").await;
    let server = exchange.house.server.sip;
    // The victim's number, in every spelling; dear, foreign and short ones.
    let victim = ["+79161112233", "89161112233", "8 916 111-22-33", "79161112233"];
    let spelled = |text: &str| text.replace(' ', "%20");
    let dear = ["+78095551234", "+18765551234", "+77272223344", "+882161234567", "112", "809"];
    let mut calls = JoinSet::new();
    for n in 0..100 {
        calls.spawn(is_missed(server, spelled(victim[n % victim.len()])));
        if n % 50 == 49 {
            while calls.join_next().await.transpose().unwrap().is_some() {}
        }
    }
    for number in dear {
        calls.spawn(is_missed(server, number.to_owned()));
    }
    while calls.join_next().await.transpose().unwrap().is_some() {}

    // Somebody else asks for a call of their own.
    let friend = exchange.house.server.call("+79161112244", "600").await;
    friend.ended().await;
    let refused = exchange.house.server.call("+18765551234", "600").await;
    let told = refused.ended().await;
    crate::support::heard(&told.playout, &["closed-short"]);
    let owed = eventually("the promises", SOON, async || {
        let promises = exchange.house.store.promises(&PromiseFilter::default()).await.unwrap();
        let promises = promises.into_iter().map(|story| story.promise);
        let owed: Vec<_> = promises.map(|p| (p.phone.as_str().to_owned(), p.kind)).collect();
        (owed.len() >= 2).then_some(owed)
    });
    let mut owed = owed.await;
    owed.sort();
    let expected = [
        ("+79161112233".to_owned(), PromiseKind::CallbackMissed),
        ("+79161112244".to_owned(), PromiseKind::CallbackOrdered),
    ];
    assert_eq!(owed, expected);
    exchange.assert_nobody_called();
    drop(anna);
}
