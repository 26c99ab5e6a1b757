//! SIP: a message by itself, and what an agent makes of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::domain::{Account, Accounts, LegId, LocalMedia};
use crate::sip::agent::Agent;
use crate::sip::message::frame::{Frame, frame};
use crate::sip::message::{
    HeaderName, Headers, Parsed, Replaces, Request, Response, Status, body, parse,
};
use crate::sip::transport::{Flow, Link};
use crate::sip::{SipCommand, SipEvent, SipSettings};

const NOW_MS: u64 = 1_700_000_000_000;
/// All timers of a transaction have run after this time.
const LATER_MS: u64 = 70_000;
/// Timers are let run so often at most.
const TICKS_MAX: usize = 500;
/// What an agent may answer to one datagram beyond what it was told, bytes: its own headers. Nobody
/// can make it shout at a third party.
const ANSWER_MAX: usize = 4_096;

const CALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 5060);
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66)), 5060);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
const MEDIA: LocalMedia = LocalMedia { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), rtp_port: 20_000 };

/// Stands for our tag in what a caller sends.
const OUR_TAG: &[u8] = b"OURTAG";

static SETTINGS: LazyLock<SipSettings> = LazyLock::new(|| {
    let mut accounts = Accounts::new();
    for name in ["anna", "boris"] {
        if let Ok(login) = name.parse() {
            let account = Account::new(login, "allo", "never-shown", None);
            accounts.insert(account.login.clone(), account);
        }
    }
    SipSettings { accounts: Arc::new(ArcSwap::from_pointee(accounts)), ..SipSettings::default() }
});

fn flow_from(remote: SocketAddr) -> Flow {
    Flow { link: Link::Udp(0), remote, local: SERVER }
}

/// A datagram, alone and at an agent that has nothing to do.
pub(super) fn message(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    framed(input);
    match parse(&bytes) {
        Parsed::Request(request) => reads_the_same(&request),
        Parsed::Response(response) => response_reads_the_same(&response),
        Parsed::Fault(_) | Parsed::Nothing => {}
    }
    let mut agent = Agent::new(SETTINGS.clone(), [1, 2]);
    agent.receive(NOW_MS, flow_from(CALLER), parse(&bytes));
    let sent: usize = packets(&mut agent, &bytes).iter().map(Bytes::len).sum();
    assert!(sent <= input.len() * 2 + ANSWER_MAX, "{sent} bytes for {}", input.len());
    live_on(&mut agent, &bytes);
}

/// A datagram that meets a call that is up, from the caller and from a stranger.
pub(super) fn in_call(input: &[u8]) {
    for from in [CALLER, STRANGER] {
        let mut agent = Agent::new(SETTINGS.clone(), [1, 2]);
        let (leg, tag) = call(&mut agent);
        let bytes = with_tag(input, tag.as_bytes());
        let knows_the_call = contains(&bytes, tag.as_bytes()) && from == CALLER;
        agent.receive(NOW_MS + 1_000, flow_from(from), parse(&bytes));
        for event in live_on(&mut agent, &bytes) {
            let touched = match event {
                SipEvent::Ended { leg, .. }
                | SipEvent::MediaAgreed { leg, .. }
                | SipEvent::KeyPressed { leg, .. }
                | SipEvent::TransferAsked { leg, .. } => Some(leg),
                _ => None,
            };
            assert!(touched != Some(leg) || knows_the_call, "a stranger touched the call");
        }
    }
}

/// A call that was answered and acknowledged: its leg, and our tag.
fn call(agent: &mut Agent) -> (LegId, String) {
    let sdp = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
               m=audio 5004 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    let request = |method: &str, to: &str, body: &str| {
        let length = body.len();
        let text = format!(
            "{method} sip:100@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:anna@198.51.100.7>;tag=theirs\r\nTo: <sip:100@192.0.2.1>{to}\r\n\
             Call-ID: call@198.51.100.7\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:anna@198.51.100.7>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        parse(&Bytes::from(text))
    };
    agent.receive(NOW_MS, flow_from(CALLER), request("INVITE", "", sdp));
    let offered = agent.outbox().events.drain(..).find_map(|event| match event {
        SipEvent::Offered(offer) => Some(offer.leg),
        _ => None,
    });
    let Some(leg) = offered else { unreachable!("a good INVITE is offered") };
    let tag = leg.0.simple().to_string();
    agent.command(NOW_MS, SipCommand::Answer { leg, media: MEDIA });
    agent.receive(NOW_MS, flow_from(CALLER), request("ACK", &format!(";tag={tag}"), ""));
    agent.outbox().packets.clear();
    agent.outbox().events.clear();
    (leg, tag)
}

/// Answers the calls that are offered and lets the time run; gives all that was told meanwhile.
fn live_on(agent: &mut Agent, cause: &Bytes) -> Vec<SipEvent> {
    let mut told = Vec::new();
    let mut now_ms = NOW_MS + 1_000;
    for _ in 0..TICKS_MAX {
        let events: Vec<SipEvent> = agent.outbox().events.drain(..).collect();
        for event in &events {
            if let SipEvent::Offered(offer) = event {
                agent.command(now_ms, SipCommand::Ring { leg: offer.leg });
                agent.command(now_ms, SipCommand::Answer { leg: offer.leg, media: MEDIA });
            }
        }
        told.extend(events);
        packets(agent, cause);
        // Later the call would end by its own timers.
        match agent.next_due_ms().filter(|due_ms| *due_ms < NOW_MS + LATER_MS) {
            Some(due_ms) => now_ms = due_ms.max(now_ms),
            None => return told,
        }
        agent.tick(now_ms);
    }
    told
}

/// Takes what is to be sent. All of it is SIP; the answer to a broken request repeats what was
/// broken, but no line of its own comes out of that.
fn packets(agent: &mut Agent, cause: &Bytes) -> Vec<Bytes> {
    let packets: Vec<Bytes> = agent.outbox().packets.drain(..).map(|(_, bytes)| bytes).collect();
    let is_fault = matches!(parse(cause), Parsed::Fault(_));
    for packet in &packets {
        match parse(packet) {
            Parsed::Request(_) | Parsed::Response(_) => {}
            Parsed::Fault(_) | Parsed::Nothing => {
                assert!(is_fault, "sent: {}", packet.escape_ascii());
            }
        }
        let head = packet.split(|byte| *byte == b'\n').take_while(|line| line.len() > 1);
        for line in head {
            assert!(line.ends_with(b"\r"), "a bare line end: {}", packet.escape_ascii());
            let inner = &line[..line.len() - 1];
            assert!(!inner.contains(&b'\r'), "a bare CR: {}", packet.escape_ascii());
        }
    }
    packets
}

fn framed(input: &[u8]) {
    match frame(input, 65_536) {
        Frame::Message { length }
        | Frame::Ping { length }
        | Frame::Pong { length }
        | Frame::Unframed { length } => assert!((1..=input.len()).contains(&length)),
        Frame::Partial { at_least, looked_at: _ } => assert!(at_least > input.len()),
        Frame::TooLong => {}
    }
}

fn reads_the_same(request: &Request) {
    look_at(&request.headers, &request.body);
    let _ = request.uri.user();
    if let Some(uri) = request.uri.sip() {
        let _ = (Replaces::of_uri(uri), uri.ip(), uri.is_loose());
    }
    let Parsed::Request(again) = parse(&request.to_bytes()) else {
        panic!("what was read can't be read again: {}", request.to_bytes().escape_ascii());
    };
    assert_eq!(own_headers(&request.headers), own_headers(&again.headers));
    assert_eq!((&request.method, &request.uri), (&again.method, &again.uri));
    assert_eq!(request.body, again.body);
    let answer = Response::answering(&request.headers, Status::OK, Some("tag"));
    let Parsed::Response(answer) = parse(&answer.to_bytes()) else {
        panic!("an answer that can't be read: {}", answer.to_bytes().escape_ascii());
    };
    for name in [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
        assert_eq!(request.headers.raw(&name), answer.headers.raw(&name));
    }
}

fn response_reads_the_same(response: &Response) {
    look_at(&response.headers, &response.body);
    let Parsed::Response(again) = parse(&response.to_bytes()) else {
        panic!("what was read can't be read again: {}", response.to_bytes().escape_ascii());
    };
    assert_eq!(response.status, again.status);
    assert_eq!(own_headers(&response.headers), own_headers(&again.headers));
    assert_eq!(response.body, again.body);
}

/// Content-Length is written anew.
fn own_headers(headers: &Headers) -> Vec<(&HeaderName, &Bytes)> {
    let own = headers.iter().filter(|header| header.name != HeaderName::ContentLength);
    own.map(|header| (&header.name, &header.value)).collect()
}

/// Reads every header that has a typed view.
fn look_at(headers: &Headers, content: &Bytes) {
    let _ = (headers.session_expires(), headers.min_se(), headers.rack(), headers.rseq());
    let _ = (headers.retry_after(), headers.accepts("application/sdp"));
    for name in [HeaderName::ReferTo, HeaderName::PAssertedIdentity, HeaderName::RemotePartyId] {
        let _ = headers.addresses(&name);
    }
    for name in [HeaderName::Require, HeaderName::Allow, HeaderName::Supported] {
        let _ = headers.items(&name);
    }
    let _ = headers.text(&HeaderName::Replaces).map(|text| Replaces::parse(&text));
    let _ = body::session(headers, content);
}

fn with_tag(input: &[u8], tag: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.windows(OUR_TAG.len()).position(|window| window == OUR_TAG) {
        bytes.extend([&rest[..at], tag].concat());
        rest = &rest[at + OUR_TAG.len()..];
    }
    bytes.extend(rest);
    bytes.into()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
