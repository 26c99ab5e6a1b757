//! Legs that we dial: forks, races between 200 and CANCEL, silence, and the call afterwards.

use super::super::super::border::{Destination, Dial};
use super::super::super::message::{Params, Uri};
use super::super::super::registrar::request::{Registration, Wanted, Wish};
use super::*;
use crate::domain::{PhoneState, RingOutcome};

pub(super) const SDP: &str = "Content-Type: application/sdp\r\n";
pub(super) const ANNA: &str = "sip:anna@127.0.0.1:4001";
pub(super) const ANNAS_OTHER: &str = "sip:anna@127.0.0.1:4002";

/// One phone that is rung.
pub(super) struct Phone {
    invite: String,
    tag: &'static str,
    cseq: u32,
}

impl Phone {
    fn new(invite: &str, tag: &'static str) -> Self {
        Self { invite: invite.to_owned(), tag, cseq: 0 }
    }

    /// Answers the INVITE.
    pub(super) fn says(
        &self,
        scene: &mut Scene,
        status: &str,
        extra: &str,
        body: &str,
    ) -> Vec<String> {
        let text = self.answer_text(status, extra, body);
        scene.send(&text)
    }

    /// An answer to the INVITE.
    pub(super) fn answer_text(&self, status: &str, extra: &str, body: &str) -> String {
        let to = header(&self.invite, "To").unwrap();
        let tagged = format!("To: {to};tag={}", self.tag);
        let invite = self.invite.replace(&format!("To: {to}"), &tagged);
        let contact = format!("Contact: <{}>\r\n{extra}", self.uri());
        answer_to(&invite, status, &contact, body)
    }

    pub(super) fn picks_up(&self, scene: &mut Scene) -> Vec<String> {
        self.says(scene, "200 OK", SDP, OFFER)
    }

    fn uri(&self) -> &str {
        self.invite.split(' ').nth(1).unwrap()
    }

    /// Sends a request inside the call.
    pub(super) fn asks(
        &mut self,
        scene: &mut Scene,
        method: &str,
        extra: &str,
        body: &str,
    ) -> Vec<String> {
        let text = self.text(method, extra, body);
        scene.send(&text)
    }

    /// The next request inside the call.
    pub(super) fn text(&mut self, method: &str, extra: &str, body: &str) -> String {
        self.cseq += 1;
        let part = |name| header(&self.invite, name).unwrap();
        format!(
            "{method} sip:allo@127.0.0.1:5060 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:4001;branch=z9hG4bK-{}-{}{method}\r\n\
             From: {};tag={}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n\
             Contact: <{}>\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            self.tag,
            self.cseq,
            part("To"),
            self.tag,
            part("From"),
            part("Call-ID"),
            self.cseq,
            self.uri(),
            body.len()
        )
    }
}

fn register(scene: &mut Scene, contact: &str) {
    let Ok(Uri::Sip(uri)) = Uri::parse(contact) else { panic!("{contact}") };
    register_from(scene, contact, &format!("127.0.0.1:{}", uri.port.unwrap()));
}

pub(super) fn register_from(scene: &mut Scene, contact: &str, remote: &str) {
    let Ok(Uri::Sip(uri)) = Uri::parse(contact) else { panic!("{contact}") };
    let flow = Flow {
        link: Link::Udp(0),
        remote: remote.parse().unwrap(),
        local: "127.0.0.1:5060".parse().unwrap(),
    };
    let params = Params::default();
    let wanted = Wanted { uri, params, instance: None, q: 1_000, expires_s: 3_600 };
    let registration = Registration {
        call_id: format!("{contact} from {remote}").into(),
        cseq: 1,
        flow,
        path: Vec::new(),
        wish: Wish::Change(vec![wanted]),
    };
    let login = "anna".parse().unwrap();
    scene.agent.registrar.register(scene.now_ms, &login, &registration).unwrap();
    scene.events();
}

fn dial(scene: &mut Scene) -> Dial {
    Dial {
        leg: scene.agent.tokens.leg(scene.now_ms),
        to: Destination::Account("anna".parse().unwrap()),
        media: LocalMedia { ip: "127.0.0.1".parse().unwrap(), rtp_port: 20_000 },
        from_user: "+79161112233".to_owned(),
        display: Some("Иван \"Ваня\" Петров".to_owned()),
        auto_answer: false,
        ring_ms: 20_000,
    }
}

/// Dials anna's phones.
pub(super) fn ring(contacts: &[&str]) -> (Scene, Vec<Phone>) {
    ring_with(SipSettings::default(), contacts)
}

pub(super) fn ring_with(settings: SipSettings, contacts: &[&str]) -> (Scene, Vec<Phone>) {
    let mut scene = Scene::with(settings);
    for contact in contacts {
        register(&mut scene, contact);
    }
    let dial = dial(&mut scene);
    scene.leg = Some(dial.leg);
    let invites = scene.tell(SipCommand::Dial(Box::new(dial)));
    let to = |contact: &str| {
        let begin = format!("INVITE {contact} ");
        invites.iter().find(|invite| invite.starts_with(&begin)).unwrap().as_str()
    };
    let tagged = contacts.iter().zip(["one", "two"]);
    let phones = tagged.map(|(contact, tag)| Phone::new(to(contact), tag)).collect();
    (scene, phones)
}

/// A call with anna's phone that is up.
pub(super) fn talk(extra: &str) -> (Scene, Phone) {
    let (mut scene, phones) = ring(&[ANNA]);
    let ack = phones[0].says(&mut scene, "200 OK", &format!("{SDP}{extra}"), OFFER);
    assert!(ack[0].starts_with("ACK "), "{ack:?}");
    scene.events();
    (scene, phones.into_iter().next().unwrap())
}

/// Lets time pass for phones that answer OPTIONS; gives what else was sent.
pub(super) fn wait_alive(scene: &mut Scene, ms: u64) -> Vec<String> {
    let end = scene.now_ms + ms;
    let mut others = Vec::new();
    while let Some(due) = scene.agent.next_due_ms().filter(|due| *due <= end) {
        scene.now_ms = due;
        scene.agent.tick(due);
        for text in scene.sent() {
            if text.starts_with("OPTIONS ") {
                scene.reply(&text, "200 OK", "", "");
            } else {
                others.push(text);
            }
        }
    }
    scene.now_ms = end;
    others
}

/// Anna's phones came or went.
pub(super) fn phones_are(state: PhoneState) -> SipEvent {
    let local = Some("127.0.0.1".parse().unwrap());
    SipEvent::PhoneChanged { login: "anna".parse().unwrap(), state, local }
}

pub(super) fn starts(sent: &[String]) -> Vec<String> {
    sent.iter().map(|text| text.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

pub(super) fn unanswered(leg: LegId, outcome: RingOutcome) -> [SipEvent; 1] {
    [SipEvent::Unanswered { leg, outcome }]
}

#[test]
fn a_phone_rings_is_picked_up_and_hangs_up() {
    let (mut scene, mut phones) = ring(&[ANNA]);
    let leg = scene.leg();
    assert_eq!(phones[0].says(&mut scene, "180 Ringing", "", ""), [""; 0]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    assert_eq!(scene.events(), [SipEvent::Ringing { leg }], "told once");
    let ack = phones[0].picks_up(&mut scene);
    assert_eq!(starts(&ack), [format!("ACK {ANNA}")]);
    assert!(ack[0].contains(";tag=one\r\n") && ack[0].contains("CSeq: 1 ACK"), "{}", ack[0]);
    let events = scene.events();
    assert_eq!(direction(&events), Some(Direction::SendRecv));
    assert_eq!(events[1], SipEvent::Answered { leg });
    let again = phones[0].picks_up(&mut scene);
    assert_eq!(again, ack, "a repeated 200 gets the same ACK");
    assert_eq!(codes(&phones[0].asks(&mut scene, "BYE", "", "")), [200]);
    assert_eq!(ended(&scene.events()), Some((EndedBy::Caller, EndReason::HungUp)));
    scene.assert_all_forgotten();
}

#[test]
fn an_invite_says_who_calls() {
    let (mut scene, phones) = ring(&[ANNA]);
    let invite = &phones[0].invite;
    assert!(invite.starts_with(&format!("INVITE {ANNA} SIP/2.0\r\n")), "{invite}");
    let identity = "\"Иван \\\"Ваня\\\" Петров\" <sip:+79161112233@127.0.0.1:5060>";
    assert_eq!(header(invite, "P-Asserted-Identity").as_deref(), Some(identity));
    assert!(header(invite, "From").unwrap().starts_with(&format!("{identity};tag=")));
    assert!(invite.contains("m=audio 20000 RTP/AVP 8 0 101"), "{invite}");
    assert!(!invite.contains("Call-Info"));

    let mut shy = dial(&mut scene);
    shy.from_user = String::new();
    shy.display = Some(format!("A\r\nVia: x\u{7}{}", "я".repeat(100)));
    shy.auto_answer = true;
    let invite = scene.tell(SipCommand::Dial(Box::new(shy))).remove(0);
    let shown = format!("\"AVia: x{}\" <sip:anonymous@", "я".repeat(23));
    assert!(header(&invite, "From").unwrap().starts_with(&shown), "{invite}");
    let call_info = header(&invite, "Call-Info");
    assert_eq!(call_info.as_deref(), Some("<sip:127.0.0.1>;answer-after=0"));
    assert!(header(&invite, "Alert-Info").unwrap().contains("info=alert-autoanswer"));
}

#[test]
fn all_phones_ring_and_the_first_that_is_picked_up_wins() {
    let (mut scene, phones) = ring(&[ANNA, ANNAS_OTHER]);
    let leg = scene.leg();
    phones[0].says(&mut scene, "180 Ringing", "", "");
    phones[1].says(&mut scene, "180 Ringing", "", "");
    let sent = phones[1].picks_up(&mut scene);
    assert_eq!(starts(&sent), [format!("ACK {ANNAS_OTHER}"), format!("CANCEL {ANNA}")]);
    for name in ["Via", "Call-ID", "From", "To"] {
        assert_eq!(header(&sent[1], name), header(&phones[0].invite, name), "{name}");
    }
    scene.reply(&sent[1], "200 OK", "", "");
    let ack = phones[0].says(&mut scene, "487 Request Terminated", "", "");
    assert_eq!(starts(&ack), [format!("ACK {ANNA}")]);
    let events = scene.events();
    assert_eq!(events.last(), Some(&SipEvent::Answered { leg }));
    assert_eq!(scene.wait(10_000), [], "nothing is resent");
}

#[test]
fn a_phone_that_is_picked_up_too_late_is_hung_up() {
    let (mut scene, phones) = ring(&[ANNA, ANNAS_OTHER]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    phones[1].picks_up(&mut scene);
    scene.events();
    let sent = phones[0].picks_up(&mut scene);
    assert_eq!(starts(&sent), [format!("ACK {ANNA}"), format!("BYE {ANNA}")]);
    assert_eq!(starts(&phones[0].picks_up(&mut scene)), [format!("ACK {ANNA}")]);
    scene.reply(&sent[1], "200 OK", "", "");
    assert_eq!(scene.events(), []);
}

#[test]
fn a_loser_without_provisional_answer_is_cancelled_when_one_comes() {
    let (mut scene, phones) = ring(&[ANNA, ANNAS_OTHER]);
    assert_eq!(starts(&phones[1].picks_up(&mut scene)), [format!("ACK {ANNAS_OTHER}")]);
    assert_eq!(scene.wait(1_000), [], "the other INVITE is not resent");
    let sent = phones[0].says(&mut scene, "180 Ringing", "", "");
    assert_eq!(starts(&sent), [format!("CANCEL {ANNA}")]);
    assert_eq!(phones[0].says(&mut scene, "180 Ringing", "", ""), [""; 0], "once");
}

#[test]
fn a_phone_that_nobody_picks_up_is_given_up_after_the_time() {
    let (mut scene, phones) = ring(&[ANNA]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    scene.events();
    assert_eq!(wait_alive(&mut scene, 19_999), [""; 0]);
    assert_eq!(starts(&wait_alive(&mut scene, 1)), [format!("CANCEL {ANNA}")]);
    assert_eq!(scene.events(), unanswered(scene.leg(), RingOutcome::NoAnswer));
    // The 200 crosses our CANCEL.
    assert_eq!(starts(&phones[0].picks_up(&mut scene)).len(), 2);
    assert_eq!(scene.events(), []);
    scene.assert_all_forgotten();
}

#[test]
fn a_phone_that_never_answers_a_cancel_is_forgotten() {
    let (mut scene, phones) = ring(&[ANNA]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    let leg = scene.leg();
    scene.tell(SipCommand::Hangup { leg });
    assert_eq!(scene.events().last(), unanswered(leg, RingOutcome::Withdrawn).last());
    scene.assert_all_forgotten();
}

#[test]
fn a_silent_phone_is_unreachable_soon() {
    let (mut scene, phones) = ring(&[ANNA]);
    let sent = scene.wait(2_499);
    assert_eq!(sent.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [500, 1_500]);
    assert_eq!(scene.events(), []);
    assert_eq!(scene.wait(3_000), []);
    let events = scene.events();
    assert_eq!(events[0], phones_are(PhoneState::Unreachable), "nobody rings it again");
    assert_eq!(events[1..], unanswered(scene.leg(), RingOutcome::Unreachable));
    // It wakes up: it must not go on ringing.
    let sent = phones[0].says(&mut scene, "180 Ringing", "", "");
    assert_eq!(scene.events(), [phones_are(PhoneState::Reachable)]);
    assert_eq!(starts(&sent), [format!("CANCEL {ANNA}")]);
    scene.assert_all_forgotten();
}

#[test]
fn a_call_that_is_withdrawn_at_once_does_not_ring_on() {
    let (mut scene, phones) = ring(&[ANNA]);
    let leg = scene.leg();
    assert_eq!(scene.tell(SipCommand::Hangup { leg }), [""; 0], "nothing to cancel yet");
    assert_eq!(scene.events(), unanswered(leg, RingOutcome::Withdrawn));
    let cancel = phones[0].says(&mut scene, "100 Trying", "", "");
    assert_eq!(starts(&cancel), [format!("CANCEL {ANNA}")]);
    assert_eq!(scene.tell(SipCommand::Hangup { leg }), [""; 0]);
    assert_eq!(scene.events(), []);
}

#[test]
fn refusals_say_what_became_of_the_call() {
    for (status, rings, outcome) in [
        ("486 Busy", false, RingOutcome::Busy),
        ("600 Busy", true, RingOutcome::Busy),
        ("603 Decline", true, RingOutcome::Rejected),
        ("302 Moved", false, RingOutcome::Rejected),
        ("404 No", false, RingOutcome::Unreachable),
        ("480 No", false, RingOutcome::Unreachable),
        ("480 No", true, RingOutcome::NoAnswer),
        ("503 No", false, RingOutcome::Unreachable),
        ("401 Who", false, RingOutcome::Failed),
        ("407 Who", false, RingOutcome::Failed),
        ("488 No", false, RingOutcome::Failed),
    ] {
        let (mut scene, phones) = ring(&[ANNA]);
        if rings {
            phones[0].says(&mut scene, "180 Ringing", "", "");
        }
        scene.events();
        let challenge = "WWW-Authenticate: Digest realm=\"allo\", nonce=\"x\"\r\n";
        let sent = phones[0].says(&mut scene, status, challenge, "");
        assert_eq!(starts(&sent), [format!("ACK {ANNA}")], "{status}");
        assert_eq!(scene.events(), unanswered(scene.leg(), outcome), "{status}");
        scene.assert_all_forgotten();
    }
}

#[test]
fn one_busy_phone_does_not_stop_the_other() {
    let (mut scene, phones) = ring(&[ANNA, ANNAS_OTHER]);
    phones[0].says(&mut scene, "486 Busy", "", "");
    assert_eq!(scene.events(), []);
    phones[1].says(&mut scene, "404 Gone", "", "");
    assert_eq!(scene.events(), unanswered(scene.leg(), RingOutcome::Busy));
}

#[test]
fn an_account_without_phones_is_unreachable() {
    let (mut scene, phones) = ring(&[]);
    assert!(phones.is_empty());
    assert_eq!(scene.events(), unanswered(scene.leg(), RingOutcome::Unreachable));
    scene.assert_all_forgotten();
}

#[test]
fn a_broken_connection_is_tried_once_more_and_then_unreachable() {
    let (mut scene, _) = ring(&[ANNA]);
    let link = Link::Udp(0);
    scene.agent.link_closed(scene.now_ms, link);
    assert_eq!(scene.sent().len(), 1);
    scene.agent.link_closed(scene.now_ms, link);
    assert_eq!(scene.events()[1..], unanswered(scene.leg(), RingOutcome::Unreachable));
}

#[test]
fn an_answer_that_can_not_be_used_is_hung_up() {
    for body in ["", "nonsense", "v=0\r\nm=audio 5004 RTP/AVP 18\r\n"] {
        let (mut scene, phones) = ring(&[ANNA]);
        let sent = phones[0].says(&mut scene, "200 OK", SDP, body);
        assert_eq!(starts(&sent), [format!("ACK {ANNA}"), format!("BYE {ANNA}")]);
        assert_eq!(scene.events(), unanswered(scene.leg(), RingOutcome::Failed));
        scene.reply(&sent[1], "200 OK", "", "");
        scene.assert_all_forgotten();
    }
}

#[test]
fn early_media_is_not_heard() {
    let (mut scene, phones) = ring(&[ANNA]);
    let leg = scene.leg();
    phones[0].says(&mut scene, "183 Session Progress", SDP, OFFER);
    assert_eq!(scene.events(), [SipEvent::Ringing { leg }]);
}

#[test]
fn a_reliable_answer_is_acknowledged_once_and_may_bring_the_session() {
    let (mut scene, phones) = ring(&[ANNA]);
    let reliable = format!("{SDP}Require: 100rel\r\nRSeq: 7\r\n");
    let prack = phones[0].says(&mut scene, "183 Session Progress", &reliable, OFFER);
    assert_eq!(starts(&prack), [format!("PRACK {ANNA}")]);
    assert_eq!(header(&prack[0], "RAck").as_deref(), Some("7 1 INVITE"));
    assert_eq!(header(&prack[0], "CSeq").as_deref(), Some("2 PRACK"));
    let again = phones[0].says(&mut scene, "183 Session Progress", &reliable, OFFER);
    assert_eq!(again, [""; 0]);
    scene.reply(&prack[0], "200 OK", "", "");
    let ack = phones[0].says(&mut scene, "200 OK", "", "");
    assert_eq!(starts(&ack), [format!("ACK {ANNA}")]);
    assert_eq!(direction(&scene.events()), Some(Direction::SendRecv));
    let leg = scene.leg();
    let bye = scene.tell(SipCommand::Hangup { leg });
    assert_eq!(header(&bye[0], "CSeq").as_deref(), Some("3 BYE"));
}

#[test]
fn two_phones_behind_one_proxy_are_told_apart() {
    let (mut scene, phones) = ring(&[ANNA]);
    phones[0].picks_up(&mut scene);
    scene.events();
    let second = Phone::new(&phones[0].invite, "other");
    let sent = second.picks_up(&mut scene);
    assert_eq!(starts(&sent), [format!("ACK {ANNA}"), format!("BYE {ANNA}")]);
    assert!(sent.iter().all(|text| text.contains(";tag=other")));
    assert_eq!(scene.events(), []);
}

#[test]
fn a_call_that_we_made_is_held_and_hung_up_like_any_other() {
    let (mut scene, mut phone) = talk("Record-Route: <sip:127.0.0.8;lr>, <sip:127.0.0.9;lr>\r\n");
    let held = phone.asks(&mut scene, "INVITE", SDP, &format!("{OFFER}a=sendonly\r\n"));
    assert_eq!(codes(&held), [200]);
    assert_eq!(direction(&scene.events()), Some(Direction::RecvOnly));
    phone.cseq -= 1;
    phone.asks(&mut scene, "ACK", "", "");
    let key = "Content-Type: application/dtmf-relay\r\n";
    assert_eq!(codes(&phone.asks(&mut scene, "INFO", key, "Signal=5\r\n")), [200]);
    assert_eq!(codes(&phone.asks(&mut scene, "UPDATE", SDP, OFFER)), [200]);
    assert_eq!(scene.events().len(), 2);
    let leg = scene.leg();
    let bye = scene.tell(SipCommand::Hangup { leg });
    assert_eq!(starts(&bye), [format!("BYE {ANNA}")]);
    assert!(bye[0].contains("Route: <sip:127.0.0.9;lr>\r\nRoute: <sip:127.0.0.8;lr>\r\n"));
    assert_eq!(ended(&scene.events()), Some((EndedBy::Plan, EndReason::HungUp)));
    scene.assert_all_forgotten();
}

#[test]
fn we_refresh_the_session_and_come_back_after_glare() {
    let (mut scene, _) = talk("Session-Expires: 100;refresher=uac\r\nAllow: INVITE\r\n");
    let sent = scene.wait(50_000);
    let (at, invite) = sent.last().unwrap();
    assert!(*at == 50_000 && invite.starts_with("INVITE "), "{sent:?}");
    let ack = scene.reply(invite, "491 Request Pending", "", "");
    assert_eq!(starts(&ack), [format!("ACK {ANNA}")]);
    let sent = scene.wait(4_000);
    // RFC 3261 §14.1: the Call-ID is ours.
    assert!((2_100..=4_000).contains(&sent[0].0) && sent[0].1.starts_with("INVITE "), "{sent:?}");
    assert_eq!(starts(&scene.reply(&sent[0].1, "200 OK", SDP, OFFER)), [format!("ACK {ANNA}")]);
}

#[test]
fn a_phone_that_is_gone_ends_the_call_at_its_next_refresh() {
    let (mut scene, _) = talk("Session-Expires: 100;refresher=uas\r\n");
    let sent = scene.wait(100_000);
    assert!(sent[0].1.starts_with("BYE "), "{sent:?}");
    assert_eq!(ended(&scene.events()), Some((EndedBy::Network, EndReason::SessionExpired)));
    scene.assert_all_forgotten();
}

#[test]
fn a_shutdown_cancels_what_rings() {
    let (mut scene, phones) = ring(&[ANNA]);
    phones[0].says(&mut scene, "180 Ringing", "", "");
    scene.events();
    scene.agent.hang_up_all(scene.now_ms);
    assert_eq!(starts(&scene.sent()), [format!("CANCEL {ANNA}")]);
    assert_eq!(scene.events(), unanswered(scene.leg(), RingOutcome::Withdrawn));
}

#[test]
fn a_call_for_which_there_is_no_room_is_not_dialled() {
    let limits = Limits { legs_max: 1, ..Limits::default() };
    let mut scene = Scene::with(SipSettings { limits, ..SipSettings::default() });
    register(&mut scene, ANNA);
    scene.invite("");
    let dial = dial(&mut scene);
    let leg = dial.leg;
    assert_eq!(scene.tell(SipCommand::Dial(Box::new(dial))), [""; 0]);
    let outcome = RingOutcome::Failed;
    assert_eq!(scene.events(), [SipEvent::Unanswered { leg, outcome }]);
    assert_eq!(scene.agent.load().0, 1);
}
