//! Calls played without sockets: a phone's lines go in, our packets and events come out.
//!
//! - this file: calls that come to us
//! - [`refusals`]: what is not served
//! - [`sessions`]: session timers
//! - [`dialled`]: calls that we make
//! - [`trunks`], [`outside`]: providers, and numbers that are dialled by them
//! - [`liveness`]: phones that die while they talk or ring
//! - [`transfers`]: REFER and Replaces
//! - [`lamps`]: SUBSCRIBE and NOTIFY
//! - [`strangers`]: messages in others' names

mod dialled;
mod lamps;
mod liveness;
mod outside;
mod refusals;
mod sessions;
mod strangers;
mod transfers;
mod trunks;

use bytes::Bytes;

use super::super::border::{Offer, RefuseStatus, SipCommand, SipEvent};
use super::super::message::parse;
use super::super::settings::{Limits, SipSettings};
use super::super::transport::{Flow, Link};
use super::Agent;
use crate::domain::{Direction, EndReason, EndedBy, LegId, LocalMedia};

const PHONE: &str = "127.0.0.1:4000";
const OFFER: &str = "v=0\r\no=p 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 5004 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// One phone, the agent, and the time between them.
struct Scene {
    agent: Agent,
    now_ms: u64,
    cseq: u32,
    /// The To header with our tag, once it is known.
    to: String,
    leg: Option<LegId>,
}

impl Scene {
    fn new() -> Self {
        Self::with(SipSettings::default())
    }

    fn with(settings: SipSettings) -> Self {
        let agent = Agent::new(settings, [7, 8]);
        let to = "<sip:100@127.0.0.1>".to_owned();
        Self { agent, now_ms: 1_700_000_000_000, cseq: 0, to, leg: None }
    }

    /// Sends a message as it is; gives what was sent back at once.
    fn send(&mut self, text: &str) -> Vec<String> {
        let flow = Flow {
            link: Link::Udp(0),
            remote: PHONE.parse().unwrap(),
            local: "127.0.0.1:5060".parse().unwrap(),
        };
        self.agent.receive(self.now_ms, flow, parse(&Bytes::copy_from_slice(text.as_bytes())));
        self.sent()
    }

    fn request(&self, method: &str, cseq: u32, extra: &str, body: &str) -> String {
        let cseq_method = if method == "ACK" { "ACK" } else { method };
        format!(
            "{method} sip:100@127.0.0.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {PHONE};branch=z9hG4bK-{cseq}-{method}\r\n\
             From: <sip:anna@phone>;tag=p1\r\nTo: {}\r\nCall-ID: call-1\r\n\
             CSeq: {cseq} {cseq_method}\r\nContact: <sip:anna@{PHONE}>\r\nMax-Forwards: 70\r\n\
             {extra}Content-Length: {}\r\n\r\n{body}",
            self.to,
            body.len()
        )
    }

    /// Sends the next request of this call.
    fn next(&mut self, method: &str, extra: &str, body: &str) -> Vec<String> {
        self.cseq += 1;
        let sent = self.send(&self.request(method, self.cseq, extra, body));
        if let Some(to) = sent.first().and_then(|text| header(text, "To")) {
            // Only our final or dialog-making answers carry a tag.
            if to.contains("tag=") && self.leg.is_some() {
                self.to = to;
            }
        }
        sent
    }

    fn next_with_sdp(&mut self, method: &str, extra: &str, body: &str) -> Vec<String> {
        self.next(method, &format!("Content-Type: application/sdp\r\n{extra}"), body)
    }

    fn invite(&mut self, extra: &str) -> Vec<String> {
        let sent = self.next_with_sdp("INVITE", extra, OFFER);
        self.take_offer();
        sent
    }

    fn take_offer(&mut self) -> Option<Offer> {
        let event = self.events().into_iter().next()?;
        let SipEvent::Offered(offer) = event else { panic!("{event:?}") };
        self.leg = Some(offer.leg);
        Some(*offer)
    }

    fn leg(&self) -> LegId {
        self.leg.expect("a call was offered")
    }

    fn answer(&mut self) -> Vec<String> {
        let media = LocalMedia { ip: "127.0.0.1".parse().unwrap(), rtp_port: 20_000 };
        let leg = self.leg();
        self.tell(SipCommand::Answer { leg, media })
    }

    fn tell(&mut self, command: SipCommand) -> Vec<String> {
        self.agent.command(self.now_ms, command);
        let sent = self.sent();
        if let Some(to) = sent.first().and_then(|text| header(text, "To"))
            && to.contains("tag=")
            && sent[0].starts_with("SIP/2.0")
        {
            self.to = to;
        }
        sent
    }

    fn ack(&mut self, body: &str) -> Vec<String> {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = self.request("ACK", self.cseq, kind, body);
        self.send(&text.replace("z9hG4bK-", "z9hG4bK-a"))
    }

    /// Plays a call up to the ACK.
    fn call(extra: &str) -> Self {
        let mut scene = Self::new();
        scene.invite(extra);
        assert_eq!(codes(&scene.answer()), [200]);
        scene.ack("");
        scene.events();
        scene
    }

    /// Lets time pass; gives what was sent, with the milliseconds since the beginning.
    fn wait(&mut self, ms: u64) -> Vec<(u64, String)> {
        let (begin, end) = (self.now_ms, self.now_ms + ms);
        let mut sent = Vec::new();
        while let Some(due) = self.agent.next_due_ms().filter(|due| *due <= end) {
            self.now_ms = due;
            self.agent.tick(due);
            sent.extend(self.sent().into_iter().map(|text| (due - begin, text)));
        }
        self.now_ms = end;
        sent
    }

    fn sent(&mut self) -> Vec<String> {
        let packets = self.agent.outbox().packets.drain(..);
        packets.map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap()).collect()
    }

    fn events(&mut self) -> Vec<SipEvent> {
        self.agent.outbox().events.drain(..).collect()
    }

    /// Answers a request of ours.
    fn reply(&mut self, request: &str, status: &str, extra: &str, body: &str) -> Vec<String> {
        self.send(&answer_to(request, status, extra, body))
    }

    fn assert_all_forgotten(&mut self) {
        self.wait(64_001);
        assert_eq!(self.agent.load(), (0, 0));
        self.wait(200_000);
        assert_eq!(self.agent.next_due_ms(), None);
    }
}

/// The answer to a request.
fn answer_to(request: &str, status: &str, extra: &str, body: &str) -> String {
    let kept: String = request
        .lines()
        .filter(|line| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|h| line.starts_with(h))
        })
        .fold(String::new(), |text, line| text + line + "\r\n");
    let length = body.len();
    format!("SIP/2.0 {status}\r\n{kept}{extra}Content-Length: {length}\r\n\r\n{body}")
}

fn header(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

fn codes(sent: &[String]) -> Vec<u16> {
    sent.iter().map(|text| text[8..11].parse().unwrap_or(0)).collect()
}

fn ended(events: &[SipEvent]) -> Option<(EndedBy, EndReason)> {
    match events.last() {
        Some(SipEvent::Ended { by, reason, .. }) => Some((*by, *reason)),
        Some(_) | None => None,
    }
}

fn direction(events: &[SipEvent]) -> Option<Direction> {
    events.iter().find_map(|event| match event {
        SipEvent::MediaAgreed { session, .. } => Some(session.direction),
        _ => None,
    })
}

#[test]
fn a_call_is_offered_answered_confirmed_and_hung_up() {
    let mut scene = Scene::new();
    assert_eq!(scene.invite(""), [""; 0]);
    let ok = scene.answer();
    assert_eq!(codes(&ok), [200]);
    assert_eq!(header(&ok[0], "Contact").as_deref(), Some("<sip:allo@127.0.0.1:5060>"));
    assert!(ok[0].contains("m=audio 20000"));
    assert!(matches!(scene.events()[..], [SipEvent::MediaAgreed { .. }]));
    assert_eq!(scene.ack(""), [""; 0]);
    assert_eq!(scene.events(), [SipEvent::Confirmed { leg: scene.leg() }]);
    assert_eq!(codes(&scene.next("BYE", "", "")), [200]);
    assert_eq!(ended(&scene.events()), Some((EndedBy::Caller, EndReason::HungUp)));
    scene.assert_all_forgotten();
}

#[test]
fn a_slow_app_is_covered_by_a_100_and_repetitions_get_it_again() {
    let mut scene = Scene::new();
    scene.invite("");
    let invite = scene.request("INVITE", 1, "Content-Type: application/sdp\r\n", OFFER);
    assert_eq!(scene.send(&invite), [""; 0]);
    let sent = scene.wait(300);
    assert_eq!((sent[0].0, codes(&[sent[0].1.clone()])), (200, vec![100]));
    assert_eq!(codes(&scene.send(&invite)), [100]);
    assert_eq!(scene.events(), [], "the same INVITE is not offered twice");
}

#[test]
fn a_caller_who_gives_up_gets_487() {
    let mut scene = Scene::new();
    scene.invite("");
    let leg = scene.leg();
    assert_eq!(codes(&scene.tell(SipCommand::Ring { leg })), [180]);
    scene.to = "<sip:100@127.0.0.1>".to_owned();
    let cancel = scene.request("CANCEL", 1, "", "").replace("-CANCEL", "-INVITE");
    let stranger = cancel.replace("tag=p1", "tag=p2");
    assert_eq!(codes(&scene.send(&stranger)), [481]);
    assert_eq!(codes(&scene.send(&cancel)), [200, 487]);
    assert_eq!(ended(&scene.events()), Some((EndedBy::Caller, EndReason::Cancelled)));
    assert_eq!(scene.answer(), [""; 0], "too late");
    scene.assert_all_forgotten();
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut scene = Scene::new();
    scene.invite("");
    scene.answer();
    scene.events();
    scene.to = "<sip:100@127.0.0.1>".to_owned();
    let cancel = scene.request("CANCEL", 1, "", "").replace("-CANCEL", "-INVITE");
    assert_eq!(codes(&scene.send(&cancel)), [200]);
    assert_eq!(scene.events(), []);
}

#[test]
fn a_200_is_repeated_until_64_t1_and_then_the_call_is_hung_up() {
    let mut scene = Scene::new();
    scene.invite("");
    scene.answer();
    scene.events();
    let sent = scene.wait(32_000);
    let times: Vec<u64> =
        sent.iter().filter(|(_, t)| t.starts_with("SIP/2.0 200")).map(|s| s.0).collect();
    assert_eq!(times[..5], [500, 1_500, 3_500, 7_500, 11_500]);
    assert!(sent.last().is_some_and(|(at, text)| *at == 32_000 && text.starts_with("BYE ")));
    assert_eq!(ended(&scene.events()), Some((EndedBy::Network, EndReason::NotAcknowledged)));
    // The BYE will be repeated for as long again, but the call is no more.
    assert_eq!(scene.agent.load().0, 0);
    scene.assert_all_forgotten();
}

#[test]
fn a_bye_of_ours_waits_for_the_ack() {
    let mut scene = Scene::new();
    scene.invite("");
    scene.answer();
    let leg = scene.leg();
    assert_eq!(scene.tell(SipCommand::Hangup { leg }), [""; 0]);
    assert_eq!(ended(&scene.events()), Some((EndedBy::Plan, EndReason::HungUp)));
    let bye = scene.ack("");
    assert!(bye[0].starts_with("BYE sip:anna@127.0.0.1:4000 SIP/2.0"), "{bye:?}");
    assert_eq!(scene.reply(&bye[0], "200 OK", "", ""), [""; 0]);
    assert_eq!(scene.events(), []);
    scene.assert_all_forgotten();
}

#[test]
fn both_may_hang_up_at_once() {
    let mut scene = Scene::call("");
    let leg = scene.leg();
    let bye = scene.tell(SipCommand::Hangup { leg });
    assert_eq!(codes(&scene.next("BYE", "", "")), [200]);
    scene.reply(&bye[0], "481 Gone", "", "");
    assert_eq!(scene.events().len(), 1);
    scene.assert_all_forgotten();
}

#[test]
fn an_invite_without_offer_gets_ours_and_answers_in_the_ack() {
    let mut scene = Scene::new();
    scene.next("INVITE", "", "");
    scene.take_offer();
    let ok = scene.answer();
    assert!(ok[0].contains("m=audio 20000"));
    assert_eq!(scene.events(), []);
    scene.ack(OFFER);
    let events = scene.events();
    assert!(matches!(events[..], [SipEvent::MediaAgreed { .. }, SipEvent::Confirmed { .. }]));
}

#[test]
fn an_ack_without_the_answer_that_it_owes_ends_the_call() {
    let mut scene = Scene::new();
    scene.next("INVITE", "", "");
    scene.take_offer();
    scene.answer();
    let sent = scene.ack("");
    assert!(sent[0].starts_with("BYE "));
    assert_eq!(ended(&scene.events()), Some((EndedBy::Server, EndReason::SignallingFailed)));
}

#[test]
fn hold_and_resume_are_agreed_by_re_invite() {
    let mut scene = Scene::call("");
    let ok = scene.next_with_sdp("INVITE", "", &format!("{OFFER}a=sendonly\r\n"));
    assert_eq!(codes(&ok), [200]);
    assert!(ok[0].contains("a=recvonly"));
    assert_eq!(direction(&scene.events()), Some(Direction::RecvOnly));
    scene.ack("");
    assert_eq!(scene.events(), [], "only the first ACK is told");
    scene.next_with_sdp("INVITE", "", OFFER);
    assert_eq!(direction(&scene.events()), Some(Direction::SendRecv));
    scene.ack("");
    let offerless = scene.next("INVITE", "", "");
    assert!(offerless[0].contains("m=audio 20000"));
    scene.ack(OFFER);
    assert_eq!(direction(&scene.events()), Some(Direction::SendRecv));
}

#[test]
fn a_refused_re_invite_leaves_the_call_as_it_was() {
    let mut scene = Scene::call("");
    let video = OFFER.replace("audio 5004 RTP/AVP 8 0 101", "audio 5004 RTP/AVP 18");
    assert_eq!(codes(&scene.next_with_sdp("INVITE", "", &video)), [488]);
    assert_eq!(scene.events(), []);
    assert_eq!(codes(&scene.next("OPTIONS", "", "")), [200]);
}

#[test]
fn a_re_invite_before_the_answer_or_over_our_offer_has_to_wait() {
    let mut scene = Scene::new();
    scene.invite("");
    let leg = scene.leg();
    scene.tell(SipCommand::Ring { leg });
    let early = scene.next_with_sdp("INVITE", "", OFFER);
    assert_eq!(codes(&early), [500]);
    assert!(header(&early[0], "Retry-After").is_some());

    let mut scene = Scene::call("");
    scene.next("INVITE", "", "");
    assert_eq!(codes(&scene.next_with_sdp("INVITE", "", OFFER)), [491]);
    assert_eq!(codes(&scene.next_with_sdp("UPDATE", "", OFFER)), [491]);
    assert_eq!(codes(&scene.next("UPDATE", "", "")), [200]);
}

#[test]
fn an_update_changes_the_session_at_once() {
    let mut scene = Scene::call("");
    let ok = scene.next_with_sdp("UPDATE", "", &format!("{OFFER}a=inactive\r\n"));
    assert_eq!(codes(&ok), [200]);
    assert_eq!(direction(&scene.events()), Some(Direction::Inactive));
    assert_eq!(scene.wait(40_000), []);
}

#[test]
fn keys_come_by_info() {
    let mut scene = Scene::call("");
    let kind = "Content-Type: application/dtmf-relay\r\n";
    assert_eq!(codes(&scene.next("INFO", kind, "Signal=5\r\nDuration=160\r\n")), [200]);
    let events = scene.events();
    assert!(matches!(events[..], [SipEvent::KeyPressed { key, .. }] if key.as_char() == '5'));
    let unknown = scene.next("INFO", "Content-Type: text/plain\r\n", "5");
    assert_eq!(codes(&unknown), [415]);
    assert!(header(&unknown[0], "Accept").is_some_and(|accept| accept.contains("dtmf-relay")));
    assert_eq!(codes(&scene.next("INFO", "", "")), [200]);
}

#[test]
fn strangers_and_stale_requests_do_not_touch_a_call() {
    let mut scene = Scene::call("");
    let bye = scene.request("BYE", 9, "", "");
    assert_eq!(codes(&scene.send(&bye.replace("tag=p1", "tag=x"))), [481]);
    assert_eq!(codes(&scene.send(&bye.replace("Call-ID: call-1", "Call-ID: call-2"))), [481]);
    let old = scene.request("INFO", 1, "", "");
    assert_eq!(codes(&scene.send(&old)), [500]);
    assert_eq!(scene.events(), []);
    assert_eq!(codes(&scene.next("BYE", "", "")), [200]);
    assert_eq!(codes(&scene.next("INFO", "", "")), [481], "the call is over");
}

#[test]
fn a_reliable_183_brings_the_answer_where_100rel_is_required() {
    let mut scene = Scene::new();
    scene.invite("Require: 100rel\r\n");
    let progress = scene.answer();
    assert_eq!(codes(&progress), [183]);
    assert_eq!(header(&progress[0], "Require").as_deref(), Some("100rel"));
    assert!(progress[0].contains("m=audio 20000"));
    let rseq = header(&progress[0], "RSeq").unwrap();
    let again = scene.wait(1_600);
    assert_eq!(again.iter().map(|sent| sent.0).collect::<Vec<_>>(), [500, 1_500]);
    let wrong = scene.next("PRACK", "RAck: 1 1 INVITE\r\n", "");
    assert_eq!(codes(&wrong), [481]);
    let done = scene.next("PRACK", &format!("RAck: {rseq} 1 INVITE\r\n"), "");
    assert_eq!(codes(&done), [200, 200]);
    assert!(done[1].contains("CSeq: 1 INVITE") && !done[1].contains("m=audio"));
    scene.cseq = 1;
    scene.ack("");
    assert!(matches!(
        scene.events()[..],
        [SipEvent::MediaAgreed { .. }, SipEvent::Confirmed { .. }]
    ));
}

#[test]
fn an_offer_in_a_reliable_183_is_answered_in_the_prack() {
    let mut scene = Scene::new();
    scene.next("INVITE", "Require: 100rel\r\n", "");
    scene.take_offer();
    let progress = scene.answer();
    assert_eq!(codes(&progress), [183]);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&progress[0], "RSeq").unwrap());
    assert_eq!(codes(&scene.next_with_sdp("PRACK", &rack, OFFER)), [200, 200]);
    assert_eq!(direction(&scene.events()), Some(Direction::SendRecv));
}

#[test]
fn a_reliable_180_without_session_does_not_hold_up_the_answer() {
    let mut scene = Scene::new();
    scene.invite("Require: 100rel\r\n");
    let leg = scene.leg();
    let ringing = scene.tell(SipCommand::Ring { leg });
    assert_eq!(codes(&ringing), [180]);
    assert!(header(&ringing[0], "RSeq").is_some());
    let ok = scene.answer();
    assert_eq!(codes(&ok), [200]);
    assert!(ok[0].contains("m=audio"));
}

#[test]
fn a_reliable_answer_that_is_never_acknowledged_ends_the_invite() {
    let mut scene = Scene::new();
    scene.invite("Require: 100rel\r\n");
    scene.answer();
    scene.events();
    let sent = scene.wait(32_000);
    assert_eq!(codes(&[sent.last().unwrap().1.clone()]), [500]);
    assert_eq!(ended(&scene.events()), Some((EndedBy::Network, EndReason::NotAcknowledged)));
}

#[test]
fn a_call_that_ends_while_its_prack_is_missing_is_refused_with_a_5xx() {
    let mut scene = Scene::new();
    scene.invite("Require: 100rel\r\n");
    assert_eq!(codes(&scene.answer()), [183]);
    let leg = scene.leg();
    assert_eq!(codes(&scene.tell(SipCommand::Hangup { leg })), [500]);
}

#[test]
fn a_caller_who_names_another_port_is_answered_there_each_time() {
    let mut scene = Scene::new();
    let to = |scene: &mut Scene| -> Vec<String> {
        let packets = scene.agent.outbox().packets.drain(..);
        packets.map(|(flow, _)| flow.remote.to_string()).collect()
    };
    let flow = Flow {
        link: Link::Udp(0),
        remote: "127.0.0.1:49999".parse().unwrap(),
        local: "127.0.0.1:5060".parse().unwrap(),
    };
    scene.cseq = 1;
    let invite = scene.request("INVITE", 1, "Content-Type: application/sdp\r\n", OFFER);
    scene.agent.receive(scene.now_ms, flow, parse(&Bytes::from(invite)));
    scene.take_offer();
    let media = LocalMedia { ip: "127.0.0.1".parse().unwrap(), rtp_port: 20_000 };
    let leg = scene.leg();
    scene.agent.command(scene.now_ms, SipCommand::Answer { leg, media });
    assert_eq!(to(&mut scene), [PHONE]);
    scene.agent.tick(scene.now_ms + 500);
    assert_eq!(to(&mut scene), [PHONE]);
}

#[test]
fn the_parameters_of_a_dialled_number_are_no_part_of_it() {
    let mut scene = Scene::new();
    for (user, dialled) in [
        ("+7-800-333-44-55;npdi;rn=+7800", "+7-800-333-44-55"),
        ("100;phone-context=+7", "100"),
        ("user;par=u%40example.net", "user;par=u@example.net"),
    ] {
        scene.cseq += 1;
        let invite = scene.request("INVITE", scene.cseq, "", "");
        let invite = invite.replace("sip:100@127.0.0.1 SIP", &format!("sip:{user}@127.0.0.1 SIP"));
        scene.send(&invite.replace("call-1", user));
        assert_eq!(scene.take_offer().unwrap().dialled, dialled);
    }
}

#[test]
fn a_body_that_may_be_ignored_is() {
    let mut scene = Scene::new();
    let optional = "Content-Disposition: render;handling=optional\r\n";
    let text = format!("Content-Type: text/plain\r\n{optional}");
    assert_eq!(codes(&scene.next("INVITE", &text, "hello")), [0; 0]);
    assert!(scene.take_offer().is_some());
}

#[test]
fn the_same_call_by_another_way_is_merged() {
    let mut scene = Scene::new();
    scene.invite("");
    let copy = scene.request("INVITE", 1, "", "").replace("z9hG4bK-1", "z9hG4bK-other");
    assert_eq!(codes(&scene.send(&copy)), [482]);
    assert_eq!(scene.events(), []);
}

#[test]
fn record_routes_come_back_and_lead_our_requests() {
    let mut scene = Scene::new();
    scene.invite("Record-Route: <sip:127.0.0.9;lr>\r\n");
    let ok = scene.answer();
    assert_eq!(header(&ok[0], "Record-Route").as_deref(), Some("<sip:127.0.0.9;lr>"));
    scene.ack("");
    let leg = scene.leg();
    let bye = scene.tell(SipCommand::Hangup { leg });
    assert_eq!(header(&bye[0], "Route").as_deref(), Some("<sip:127.0.0.9;lr>"));
}

#[test]
fn requests_of_rfc_2543_are_told_apart_without_a_branch() {
    let mut scene = Scene::new();
    let options = |call: &str| {
        format!(
            "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK\r\nFrom: <sip:c>;tag=1\r\n\
             To: <sip:a>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\n\r\n"
        )
    };
    let [first, second] = [scene.send(&options("x")), scene.send(&options("y"))];
    assert_eq!(codes(&[first[0].clone(), second[0].clone()]), [200, 200]);
    assert!(second[0].contains("Call-ID: y"));
    assert_eq!(scene.send(&options("x")), first, "a repetition gets the same answer");
}

#[test]
fn a_shutdown_hangs_up_every_call() {
    let mut scene = Scene::call("");
    scene.agent.hang_up_all(scene.now_ms);
    assert!(scene.sent()[0].starts_with("BYE "));
    assert_eq!(ended(&scene.events()), Some((EndedBy::Server, EndReason::Shutdown)));

    let mut scene = Scene::new();
    scene.invite("");
    scene.agent.hang_up_all(scene.now_ms);
    assert_eq!(codes(&scene.sent()), [503]);
}
