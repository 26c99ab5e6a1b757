//! Messages in the name of somebody else's call, and peers that ask for our passwords.

use super::dialled::{ANNA, SDP, ring, talk};
use super::*;
use crate::config::Trunk;

const STRANGER: &str = "203.0.113.66:5060";

fn from(remote: &str) -> Flow {
    Flow {
        link: Link::Udp(0),
        remote: remote.parse().unwrap(),
        local: "127.0.0.1:5060".parse().unwrap(),
    }
}

impl Scene {
    /// The same as [`Scene::send`] from another address; gives where what was sent goes, too.
    fn send_from(&mut self, remote: &str, text: &str) -> Vec<(Flow, String)> {
        let parsed = parse(&Bytes::copy_from_slice(text.as_bytes()));
        self.agent.receive(self.now_ms, from(remote), parsed);
        let packets = self.agent.outbox().packets.drain(..);
        packets.map(|(flow, bytes)| (flow, String::from_utf8(bytes.to_vec()).unwrap())).collect()
    }

    fn code_from(&mut self, remote: &str, text: &str) -> u16 {
        let sent: Vec<String> =
            self.send_from(remote, text).into_iter().map(|(_, text)| text).collect();
        codes(&sent)[0]
    }
}

#[test]
fn only_the_peer_speaks_in_a_call() {
    let mut scene = Scene::call("");
    let sdp = "Content-Type: application/sdp\r\n";
    let refer = "Refer-To: <sip:+74951112233@x>\r\n";
    for (method, extra, body) in [
        ("BYE", "", ""),
        ("INVITE", sdp, OFFER),
        ("UPDATE", sdp, OFFER),
        ("INFO", "Content-Type: application/dtmf\r\n", "5"),
        ("REFER", refer, ""),
        ("OPTIONS", "", ""),
        ("PRACK", "RAck: 1 1 INVITE\r\n", ""),
    ] {
        let forged = scene.request(method, 900_000, extra, body);
        assert_eq!(scene.code_from(STRANGER, &forged), 403, "{method}");
    }
    assert_eq!((scene.events(), scene.agent.load().0), (vec![], 1));
    let bye = scene.request("BYE", 2, "", "");
    assert_eq!(scene.code_from("127.0.0.1:61234", &bye), 200, "a NAT gave it another port");
    assert_eq!(ended(&scene.events()), Some((EndedBy::Caller, EndReason::HungUp)));
}

#[test]
fn the_peer_may_speak_from_every_address_that_it_named() {
    let named = ["192.0.2.7:5060", "192.0.2.8:5060", "192.0.2.9:4444", "192.0.2.10:5060"];
    for home in named {
        let mut scene = Scene::new();
        let path = "Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2\r\n\
                    Via: SIP/2.0/UDP pc.example.com;received=192.0.2.9;branch=z9hG4bK3\r\n\
                    Record-Route: <sip:192.0.2.7;lr>\r\nContent-Type: application/sdp\r\n";
        let invite = scene.request("INVITE", 1, path, OFFER);
        let contact = format!("Contact: <sip:anna@{PHONE}>");
        scene.send(&invite.replace(&contact, "Contact: <sip:anna@192.0.2.10>"));
        scene.cseq = 1;
        scene.take_offer();
        scene.answer();
        scene.ack("");
        let bye = scene.request("BYE", 2, "", "");
        assert_eq!(scene.code_from(home, &bye), 200, "{home}");
    }
}

#[test]
fn a_phone_that_has_registered_elsewhere_takes_its_call_along() {
    let (mut scene, mut phone) = talk("");
    let moved = "203.0.113.5:5060";
    let hold = OFFER.replace("a=rtpmap", "a=sendonly\r\na=rtpmap");
    let from_elsewhere = |scene: &mut Scene, text: &str| scene.code_from(moved, text);
    let ask = |phone: &mut super::dialled::Phone| phone.text("INVITE", SDP, &hold);
    assert_eq!(from_elsewhere(&mut scene, &ask(&mut phone)), 403);
    super::dialled::register_from(&mut scene, ANNA, moved);
    assert_eq!(from_elsewhere(&mut scene, &ask(&mut phone)), 200);
}

#[test]
fn a_stranger_cancels_nothing_and_gets_no_answers_to_others() {
    let mut scene = Scene::new();
    scene.invite("");
    let cancel = scene.request("CANCEL", 1, "", "").replace("1-CANCEL", "1-INVITE");
    assert_eq!(scene.code_from(STRANGER, &cancel), 481);
    let caller = scene.leg;
    let repeated = scene.request("INVITE", 1, "Content-Type: application/sdp\r\n", OFFER);
    let repeater = "203.0.113.67:5060";
    scene.send_from(repeater, &repeated);
    scene.take_offer();
    assert_ne!(scene.leg, caller, "it is a call of his own");
    assert_eq!(scene.code_from(repeater, &cancel), 200);
    assert_eq!(ended(&scene.events()), Some((EndedBy::Caller, EndReason::Cancelled)));
    scene.leg = caller;
    let answered = scene.answer();
    assert_eq!(codes(&answered), [200]);
    let sent: Vec<(Flow, String)> = {
        scene.now_ms += 500;
        scene.agent.tick(scene.now_ms);
        let packets = scene.agent.outbox().packets.drain(..);
        packets.map(|(flow, bytes)| (flow, String::from_utf8_lossy(&bytes).into_owned())).collect()
    };
    let to_caller = |(flow, text): &(Flow, String)| {
        flow.remote.ip().is_loopback() == text.starts_with("SIP/2.0 200")
    };
    assert!(!sent.is_empty() && sent.iter().all(to_caller), "{sent:?}");
}

#[test]
fn the_caller_cancels_from_any_port() {
    let mut scene = Scene::new();
    scene.invite("");
    let cancel = scene.request("CANCEL", 1, "", "").replace("1-CANCEL", "1-INVITE");
    assert_eq!(scene.code_from("127.0.0.1:61234", &cancel), 200);
    assert_eq!(ended(&scene.events()), Some((EndedBy::Caller, EndReason::Cancelled)));
}

#[test]
fn an_ack_from_elsewhere_confirms_and_says_nothing_of_audio() {
    let mut scene = Scene::new();
    scene.next("INVITE", "", "");
    scene.take_offer();
    scene.answer();
    scene.events();
    let ack = scene.request("ACK", 1, "Content-Type: application/sdp\r\n", OFFER);
    let ack = ack.replace("1-ACK", "1-a");
    scene.send_from(STRANGER, &ack);
    assert_eq!(scene.events(), [], "it would say where our audio goes");
    scene.send(&ack);
    let events = scene.events();
    assert!(matches!(events[..], [SipEvent::MediaAgreed { .. }, SipEvent::Confirmed { .. }]));

    let mut scene = Scene::new();
    scene.invite("");
    scene.answer();
    scene.events();
    let ack = scene.request("ACK", 1, "", "").replace("1-ACK", "1-a");
    scene.send_from(STRANGER, &ack);
    let leg = scene.leg();
    assert_eq!(scene.events(), [SipEvent::Confirmed { leg }]);
    let flow = scene.agent.legs[&leg].dialog.flow;
    assert_eq!(flow.remote, PHONE.parse().unwrap(), "the way back stays");
}

#[test]
fn an_answer_that_was_not_asked_for_is_dropped() {
    let (mut scene, phones) = ring(&[ANNA]);
    let good = phones[0].answer_text("200 OK", SDP, OFFER);
    let branch = header(&good, "Via").unwrap();
    let branch = branch.split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    // The number of our transaction stands behind 16 digits that only we can make.
    let (cookie, rest) = branch.split_at(7);
    let (digits, number) = rest.split_at(16);
    let other: String = digits.chars().map(|c| if c == '0' { '1' } else { '0' }).collect();
    let other = format!("{cookie}{other}{number}");
    for forged in [
        good.replace(&branch, &other),
        good.replace(&branch, "z9hG4bK0000000000000000f"),
        good.replace(&branch, "z9hG4bK"),
        good.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        good.replace("CSeq: 1 INVITE", "CSeq: 1 CANCEL"),
    ] {
        assert_eq!(scene.send_from(STRANGER, &forged), [], "{forged}");
        assert_eq!(scene.events(), []);
    }
    assert!(scene.send(&good)[0].starts_with("ACK "));
}

/// A trunk with a password; what a phone or a customer asks for is not meant for it.
fn with_trunk() -> SipSettings {
    let mut trunk = Trunk::new("city", "192.0.2.200".parse().unwrap());
    trunk.username = Some("shop".to_owned());
    trunk.password = "kX7vQ2mZt9".parse().ok();
    SipSettings { trunks: vec![trunk], ..SipSettings::default() }
}

/// Answers each request with a challenge for as long as something is asked; nothing that is sent
/// proves a password.
fn challenge_all(scene: &mut Scene, mut sent: Vec<String>) {
    for round in 0..20 {
        let Some(request) = sent.pop() else { return };
        assert!(!request.to_lowercase().contains("authorization:"), "{request}");
        if !request.starts_with("ACK ") && !request.starts_with("SIP/2.0") {
            let (status, name) = match round % 2 {
                0 => ("407 Proxy Authentication Required", "Proxy-Authenticate"),
                _ => ("401 Unauthorized", "WWW-Authenticate"),
            };
            let extra = format!("{name}: Digest realm=\"192.0.2.200\", nonce=\"n\"\r\n");
            sent.extend(scene.reply(&request, status, &extra, ""));
        }
    }
    panic!("it is asked without end");
}

#[test]
fn a_peer_that_asks_for_our_password_inside_a_call_gets_none() {
    for allow in ["Allow: INVITE, UPDATE, OPTIONS\r\n", "Allow: INVITE, OPTIONS\r\n"] {
        let mut scene = Scene::with(with_trunk());
        scene.invite(&format!("{allow}Session-Expires: 100;refresher=uas\r\n"));
        scene.answer();
        scene.ack("");
        let leg = scene.leg();
        let probe = scene.tell(SipCommand::Probe { leg });
        assert!(probe[0].starts_with("OPTIONS "));
        challenge_all(&mut scene, probe);
        let refresh = scene.wait(50_000).pop().unwrap().1;
        assert!(refresh.starts_with("UPDATE ") || refresh.starts_with("INVITE "), "{refresh}");
        challenge_all(&mut scene, vec![refresh]);
        let bye = scene.tell(SipCommand::Hangup { leg });
        assert!(bye[0].starts_with("BYE "), "{bye:?}");
        challenge_all(&mut scene, bye);
        let later = scene.wait(64_000).into_iter().map(|(_, text)| text);
        assert!(later.into_iter().all(|text| !text.to_lowercase().contains("authorization:")));
    }
}

#[test]
fn a_phone_that_asks_for_our_password_when_it_is_rung_gets_none() {
    let (mut scene, phones) = super::dialled::ring_with(with_trunk(), &[ANNA]);
    for (status, name) in [("401 Who", "WWW-Authenticate"), ("407 Who", "Proxy-Authenticate")] {
        let extra = format!("{name}: Digest realm=\"192.0.2.200\", nonce=\"n\"\r\n");
        let sent = phones[0].says(&mut scene, status, &extra, "");
        assert!(sent.iter().all(|text| text.starts_with("ACK ")), "{sent:?}");
    }
    let outcome = scene.events().pop();
    assert!(matches!(outcome, Some(SipEvent::Unanswered { .. })), "{outcome:?}");
}

#[test]
fn the_ids_of_a_call_are_sent_as_they_came() {
    let mut scene = Scene::new();
    let invite = scene.request("INVITE", 1, "Content-Type: application/sdp\r\n", OFFER);
    let sent = |text: &str| -> Vec<u8> {
        let (before, after) = text.split_once("call-1").unwrap();
        [before.as_bytes(), b"\xFFcall\xFE", after.as_bytes()].concat()
    };
    let receive = |scene: &mut Scene, text: &str| {
        let parsed = parse(&Bytes::from(sent(text)));
        scene.agent.receive(scene.now_ms, from(PHONE), parsed);
    };
    receive(&mut scene, &invite);
    scene.take_offer();
    scene.agent.outbox().packets.clear();
    let leg = scene.leg();
    let media = LocalMedia { ip: "127.0.0.1".parse().unwrap(), rtp_port: 20_000 };
    scene.agent.command(scene.now_ms, SipCommand::Answer { leg, media });
    scene.agent.outbox().packets.clear();
    scene.to = format!("<sip:100@127.0.0.1>;tag={}", leg.0.simple());
    let ack = scene.request("ACK", 1, "", "").replace("1-ACK", "1-a");
    receive(&mut scene, &ack);
    scene.agent.command(scene.now_ms, SipCommand::Hangup { leg });
    let (_, bye) = scene.agent.outbox().packets.pop().unwrap();
    let wanted = b"\r\nCall-ID: \xFFcall\xFE\r\n";
    assert!(bye.starts_with(b"BYE ") && bye.windows(wanted.len()).any(|w| w == wanted));
}

#[test]
fn a_number_that_is_a_book_is_refused() {
    let mut scene = Scene::new();
    let invite = scene.request("INVITE", 1, "Content-Type: application/sdp\r\n", OFFER);
    let uri = |user: &str| invite.replacen("sip:100@", &format!("sip:{user}@"), 1);
    assert_eq!(codes(&scene.send(&uri(&"1".repeat(257)))), [414]);
    assert_eq!(scene.events(), []);
}
