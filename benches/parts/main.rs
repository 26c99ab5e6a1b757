//! What a call takes in the parts without sockets: a message read, its signalling, its way through
//! the plan, a sentence put together, and the plan itself loaded.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::civil::date;
use uuid::Uuid;

use allo::app::plans::{read_catalogue, read_sources};
use allo::core::event::Offered;
use allo::core::{Command, Event, Hub};
use allo::dialplan::{self, Settings, Source};
use allo::domain::{
    CallId, CallerId, EndReason, EndedBy, Key, KeySource, Language, LegId, LocalMedia, Region,
    Timestamp,
};
use allo::sip::agent::Agent;
use allo::sip::message::parse;
use allo::sip::transport::{Flow, Link};
use allo::sip::{SipCommand, SipEvent, SipSettings};
use allo::speech::{Catalogue, Format, Value, speak};

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const PLAN: &str = r#"
language "ru"
number "100" { say "greeting"; go "main" }
menu "main" {
    say "menu-points" "menu-order" "menu-operator"
    key "1" { say "callback-30"; hangup }
    key "2" { say "callback-30"; hangup }
    key "0" { say "callback-30"; hangup }
    silence { repeat }
    wrong { repeat }
}
"#;

fn shipped(folder: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn catalogue() -> Catalogue {
    read_catalogue(&shipped("prompts")).expect("the shipped catalogue is right")
}

/// A request of a caller's phone; `to_tag` and `uri` are those of the dialog.
fn request(method: &str, number: u64, uri: &str, to_tag: &str, body: &str) -> Bytes {
    let sequence = if method == "BYE" { 2 } else { 1 };
    let (content, length) =
        if body.is_empty() { ("", 0) } else { ("Content-Type: application/sdp\r\n", body.len()) };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{number}{method};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Anna\" <sip:+79161112233@192.0.2.7>;tag=a{number}\r\n\
         To: <sip:100@192.0.2.1>{to_tag}\r\nCall-ID: {number}@192.0.2.7\r\nCSeq: {sequence} {method}\r\n\
         Contact: <sip:anna@192.0.2.7:5060>\r\nUser-Agent: a phone/1.0\r\n\
         Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n{content}Content-Length: {length}\r\n\r\n{body}"
    )
    .into()
}

fn offer() -> &'static str {
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
     m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
     a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
}

fn sip_parse(criterion: &mut Criterion) {
    let invite = request("INVITE", 1, "sip:100@192.0.2.1", "", offer());
    criterion.bench_function("SIP: an INVITE is read", |bencher| {
        bencher.iter(|| black_box(parse(&invite)));
    });
}

/// All that the SIP layer does for one call, without its sockets: three transactions and a dialog.
fn sip_call(criterion: &mut Criterion) {
    let mut agent = Agent::new(SipSettings::default(), [1, 2]);
    let mut number = 0;
    criterion.bench_function("SIP: the signalling of a call, INVITE to BYE", |bencher| {
        bencher.iter(|| {
            number += 1;
            // The transactions of the calls before are forgotten in their time.
            let now_ms = 1_767_225_600_000 + number * 1_000;
            agent.tick(now_ms);
            call(&mut agent, number, now_ms);
        });
    });
}

fn call(agent: &mut Agent, number: u64, now_ms: u64) {
    let flow = Flow {
        link: Link::Udp(0),
        remote: ([192, 0, 2, 7], 5060).into(),
        local: ([192, 0, 2, 1], 5060).into(),
    };
    let uri = "sip:100@192.0.2.1";
    agent.receive(now_ms, flow, parse(&request("INVITE", number, uri, "", offer())));
    let offered = agent.outbox().events.drain(..).find_map(|event| match event {
        SipEvent::Offered(offer) => Some(offer.leg),
        _ => None,
    });
    let leg = offered.expect("the call is offered");
    let media = LocalMedia { ip: [192, 0, 2, 1].into(), rtp_port: 20_000 };
    agent.command(now_ms, SipCommand::Answer { leg, media });
    let answer = agent.outbox().packets.drain(..).next_back().expect("an answer").1;
    let text = String::from_utf8_lossy(&answer);
    let to = text.lines().find_map(|line| line.strip_prefix("To: ")).unwrap_or_default();
    let tag = to.split_once('>').map_or("", |(_, tag)| tag);
    agent.receive(now_ms, flow, parse(&request("ACK", number, uri, tag, "")));
    agent.receive(now_ms, flow, parse(&request("BYE", number, uri, tag, "")));
    let outbox = agent.outbox();
    assert!(outbox.events.iter().any(|event| matches!(event, SipEvent::Ended { .. })));
    outbox.packets.clear();
    outbox.events.clear();
}

/// A call through the hub: greeting, menu, a key, the last word.
fn flow_step(criterion: &mut Criterion) {
    let catalogue = Arc::new(catalogue());
    let sources = [Source { name: "plan.kdl".into(), text: PLAN.to_owned() }];
    let settings = Settings { region: Region::default() };
    let loaded = dialplan::load(&sources, &catalogue, &settings).expect("the plan is right");
    let mut hub = Hub::new(Arc::new(loaded.plan), catalogue, Region::default(), 1);
    let (mut out, mut number) = (Vec::new(), 0_u128);
    criterion.bench_function("core: a call's way through menu and key", |bencher| {
        bencher.iter(|| {
            number += 1;
            walk(&mut hub, number, &mut out);
        });
    });
}

fn walk(hub: &mut Hub, number: u128, out: &mut Vec<Command>) {
    let (call, leg) = (CallId(Uuid::from_u128(number)), LegId(Uuid::from_u128(number)));
    let offered = Event::CallOffered(Box::new(Offered {
        call,
        leg,
        dialled: "100".to_owned(),
        caller: CallerId::Anonymous,
        caller_name: None,
        account: None,
        is_near_phone: false,
        stranger: None,
        replaces: None,
    }));
    let key = Event::KeyPressed {
        leg,
        key: Key::try_from('1').expect("a key"),
        source: KeySource::Event,
    };
    let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
    let ended = Event::LegEnded { leg, by, reason };
    for event in [offered, Event::Confirmed { leg }, key, ended] {
        hub.handle(NOW, event, out);
    }
    black_box(&*out);
    out.clear();
}

fn speech(criterion: &mut Criterion) {
    let (catalogue, today) = (catalogue(), date(2026, 11, 23));
    let value = Value::Number(1_254);
    criterion.bench_function("speech: 1254 points in Russian", |bencher| {
        bencher.iter(|| {
            speak(Language::Russian, Format::Points, black_box(&value), today, &catalogue)
        });
    });
}

fn plan_load(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let sources = read_sources(&shipped("dialplans")).expect("the shipped plans are there");
    let settings = Settings { region: Region::default() };
    criterion.bench_function("dialplan: the shipped plans are read and checked", |bencher| {
        bencher.iter_batched(
            || sources.clone(),
            |sources| dialplan::load(&sources, &catalogue, &settings),
            BatchSize::SmallInput,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = sip_parse, sip_call, flow_step, speech, plan_load
}
criterion_main!(benches);
