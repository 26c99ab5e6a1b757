//! The operator's phone against the caller's, and against a clerk who checks digests.

use super::*;
use crate::phone::call::{Call, CallOptions};
use crate::phone::digest::{Challenge, Credentials};
use crate::phone::signalling::{From, finish, response};
use crate::phone::wire::{Incoming, Start};

const ANNA_HZ: u32 = 440;
const CALLER_HZ: u32 = 950;

fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn speaking(voice_hz: u32, listens_for_hz: u32) -> AudioOptions {
    AudioOptions {
        voice_hz: Some(voice_hz),
        listens_for_hz: vec![listens_for_hz],
        ..AudioOptions::default()
    }
}

async fn anna(on_invite: OnInvite) -> Desk {
    let audio = speaking(ANNA_HZ, CALLER_HZ);
    let options = DeskOptions::new(nowhere(), "anna", "secret");
    Desk::start(DeskOptions { audio, on_invite, ..options }).await.unwrap()
}

/// A customer calls the phone directly.
async fn ring(desk: &Desk) -> Call {
    let from = From::Number { user: "+79161112233".into(), display: Some("Иван".into()) };
    let options = CallOptions {
        voice_hz: Some(CALLER_HZ),
        listens_for_hz: vec![ANNA_HZ],
        codecs: vec![Codec::Pcmu],
        ..CallOptions::new(desk.address(), "anna", from)
    };
    Call::dial(options).await.unwrap()
}

fn at_once() -> OnInvite {
    OnInvite::Answer { after: Duration::ZERO }
}

fn key(c: char) -> Key {
    Key::try_from(c).unwrap()
}

const WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn two_phones_hear_each_others_tones_and_keys() {
    let anna = anna(at_once()).await;
    let mut caller = ring(&anna).await;
    caller.answered(WITHIN).await.unwrap();
    let invite = anna.next_invite().await.unwrap();
    let call = invite.call;
    assert_eq!(
        (invite.from.as_deref(), invite.display.as_deref()),
        (Some("+79161112233"), Some("Иван"))
    );
    assert_eq!(anna.answered(call).await.unwrap(), Codec::Pcmu);
    anna.hears_tone(call, CALLER_HZ).await.unwrap();
    caller.event(|what| *what == PhoneEvent::ToneBegan { hz: ANNA_HZ }).await.unwrap();

    caller.press(key('5'), KeyBy::Event).await;
    let heard = PhoneEvent::KeyHeard { key: key('5'), by: KeyBy::Event };
    anna.in_call(call, |what| *what == heard).await.unwrap();
    anna.press(call, key('*'), KeyBy::Event).await;
    anna.press(call, key('#'), KeyBy::Info).await;
    for (c, by) in [('#', KeyBy::Info), ('*', KeyBy::Event)] {
        let heard = PhoneEvent::KeyHeard { key: key(c), by };
        let report =
            caller.event(|what| matches!(what, PhoneEvent::KeyHeard { .. })).await.unwrap();
        assert_eq!(report.what, heard);
    }

    caller.begin_hang_up().await;
    assert_eq!(anna.ended(call).await.unwrap(), Ending::ByServer);
    assert!(!anna.heard(call).await.unwrap().samples().is_empty());
    assert_eq!(caller.ended().await.ending(), Some(Ending::ByUs));
}

#[tokio::test]
async fn a_held_caller_is_not_heard_until_the_call_is_resumed() {
    let anna = anna(at_once()).await;
    let mut caller = ring(&anna).await;
    let call = anna.next_invite().await.unwrap().call;
    anna.hears_tone(call, CALLER_HZ).await.unwrap();
    anna.hold(call).await;
    anna.replied(call, "INVITE", 200).await.unwrap();
    anna.in_call(call, |what| *what == PhoneEvent::ToneEnded { hz: CALLER_HZ }).await.unwrap();
    let begins = |event: &DeskEvent| {
        matches!(event.what, DeskFact::Call { what: PhoneEvent::ToneBegan { .. }, .. })
    };
    let before = anna.events().iter().filter(|event| begins(event)).count();
    anna.resume(call).await;
    anna.until(|event| {
        matches!(event.what, DeskFact::Call { what: PhoneEvent::ToneEnded { .. }, .. })
    })
    .await
    .unwrap();
    anna.until(begins).await.unwrap();
    assert!(anna.events().iter().filter(|event| begins(event)).count() > before);
    anna.hang_up(call).await;
    caller.event(|what| *what == PhoneEvent::Ended { why: Ending::ByServer }).await.unwrap();
}

#[tokio::test]
async fn the_script_says_what_becomes_of_a_call() {
    let anna = anna(OnInvite::Refuse(486)).await;
    assert_eq!(ring(&anna).await.ended().await.final_status(), Some(486));
    anna.on_invite(OnInvite::Refuse(603)).await;
    assert_eq!(ring(&anna).await.ended().await.final_status(), Some(603));

    anna.on_invite(OnInvite::Ring).await;
    let mut caller = ring(&anna).await;
    caller.event(|what| matches!(what, PhoneEvent::Status { code: 180, .. })).await.unwrap();
    caller.begin_hang_up().await;
    assert_eq!(caller.ended().await.ending(), Some(Ending::Cancelled));
    let withdrawn = |event: &DeskEvent| {
        matches!(
            event.what,
            DeskFact::Call { what: PhoneEvent::Ended { why: Ending::Withdrawn }, .. }
        )
    };
    anna.until(withdrawn).await.unwrap();

    anna.on_invite(OnInvite::AnswerCancelled).await;
    let mut caller = ring(&anna).await;
    caller.event(|what| matches!(what, PhoneEvent::Status { code: 180, .. })).await.unwrap();
    caller.begin_hang_up().await;
    let report = caller.ended().await;
    assert!(report.was_answered());
    assert_eq!(report.ending(), Some(Ending::ByUs));

    anna.on_invite(OnInvite::AnswerTwice { after: Duration::from_millis(20) }).await;
    let mut caller = ring(&anna).await;
    caller.answered(WITHIN).await.unwrap();
    assert_eq!(caller.hang_up().await.ending(), Some(Ending::ByUs));
}

/// Waits for the answer and the first packet of audio, which may be faster than the answer.
async fn is_connected(caller: &mut Call) {
    for _ in 0..2 {
        let next = caller
            .event(|what| matches!(what, PhoneEvent::Answered { .. } | PhoneEvent::FirstAudio));
        tokio::time::timeout(WITHIN, next).await.expect("in time").expect("the call is up");
    }
}

#[tokio::test]
async fn a_phone_that_dies_frees_its_ports_and_says_nothing() {
    let anna = anna(at_once()).await;
    let mut caller = ring(&anna).await;
    is_connected(&mut caller).await;
    anna.die().await;
    UdpSocket::bind(anna.address()).await.unwrap();
    let ended = caller.event(|what| matches!(what, PhoneEvent::Ended { .. }));
    assert!(tokio::time::timeout(Duration::from_millis(50), ended).await.is_err());
    caller.pull_the_plug();
}

/// A server that only asks for passwords: SUBSCRIBE gets a NOTIFY, INVITE a 486.
struct Clerk {
    socket: UdpSocket,
    challenge: &'static str,
}

impl Clerk {
    async fn start(challenge: &'static str) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(Self { socket, challenge }.run());
        address
    }

    async fn run(self) {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, phone)) = self.socket.recv_from(&mut buffer).await {
            let bytes = bytes::Bytes::copy_from_slice(&buffer[..length]);
            let message = Incoming::read(&bytes).unwrap();
            if let Start::Request { method } = &message.start
                && method != "ACK"
            {
                self.serve(&message, method, phone).await;
            }
        }
    }

    async fn serve(&self, message: &Incoming, method: &str, phone: SocketAddr) {
        let (code, asks, proof) = match method {
            "INVITE" => (407, "Proxy-Authenticate", message.line("Proxy-Authorization")),
            _ => (401, "WWW-Authenticate", message.line("Authorization")),
        };
        let status = match proof.as_ref().map(|proof| self.is_right(code, proof, method)) {
            None => {
                let status = format!("{code} Prove It");
                let asked = format!(
                    "{asks}: Digest algorithm=SHA-512-256, realm=\"allo\", nonce=\"n\"\r\n\
                        {asks}: {}\r\n",
                    self.challenge
                );
                return self.send(response(message, &status, "c", &asked), phone).await;
            }
            Some(false) => "403 Forbidden",
            Some(true) if method == "INVITE" => "486 Busy Here",
            Some(true) => "200 OK",
        };
        let expires = message.line("Expires").unwrap_or_default();
        let extra = format!(
            "Contact: <sip:clerk@{}>\r\nExpires: {expires}\r\n",
            self.socket.local_addr().unwrap()
        );
        self.send(response(message, status, "c", &extra), phone).await;
        if method == "SUBSCRIBE" && status == "200 OK" {
            self.notify(message, phone).await;
        }
    }

    fn is_right(&self, code: u16, proof: &str, method: &str) -> bool {
        let header = if code == 407 { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        let asked = format!(
            "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\
                From: <sip:a@h>;tag=a\r\nTo: <sip:a@h>;tag=b\r\nCall-ID: x\r\n\
                CSeq: 1 {method}\r\n{header}: {}\r\nContent-Length: 0\r\n\r\n",
            self.challenge
        );
        let asked = Incoming::read(&asked.into()).unwrap();
        let who = Credentials { user: "anna".into(), password: "secret".into() };
        let of = |name: &str| proof.split_once(name).unwrap().1.split('"').next().unwrap();
        let line = Challenge::choose(code, &asked).unwrap().answer(
            &who,
            method,
            of("uri=\""),
            of("cnonce=\""),
        );
        line.trim().split_once(": ").unwrap().1 == proof
    }

    async fn notify(&self, subscribe: &Incoming, phone: SocketAddr) {
        let body = "<dialog-info><dialog id=\"1\"><state>early</state></dialog></dialog-info>";
        let text = format!(
            "NOTIFY sip:anna@{phone} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKn\r\n\
                Max-Forwards: 70\r\nFrom: {};tag=c\r\nTo: {}\r\nCall-ID: {}\r\n\
                CSeq: 1 NOTIFY\r\nContact: <sip:c@h>\r\nEvent: dialog\r\n\
                Subscription-State: active\r\n",
            self.socket.local_addr().unwrap(),
            subscribe.to,
            subscribe.from,
            subscribe.call_id
        );
        let bytes = finish(text, Some(("application/dialog-info+xml", body.to_owned())));
        self.socket.send_to(&bytes, phone).await.unwrap();
    }

    async fn send(&self, head: String, phone: SocketAddr) {
        self.socket.send_to(&finish(head, None), phone).await.unwrap();
    }
}

const MD5: &str = "Digest realm=\"allo\", nonce=\"1\", qop=\"auth\"";
const SHA_256: &str =
    "Digest realm=\"allo\", nonce=\"2\", algorithm=SHA-256, qop=\"auth,auth-int\", opaque=\"o\"";

#[tokio::test]
async fn a_phone_registers_with_either_digest_and_unregisters() {
    for challenge in [MD5, SHA_256] {
        let clerk = Clerk::start(challenge).await;
        let anna = Desk::start(DeskOptions::new(clerk, "anna", "secret")).await.unwrap();
        assert_eq!(anna.register().await.unwrap(), DeskFact::Registered { expires_s: 600 });
        assert_eq!(anna.unregister().await.unwrap(), DeskFact::Unregistered);
        let thief = Desk::start(DeskOptions::new(clerk, "anna", "guess")).await.unwrap();
        let refused = DeskFact::RegistrationRefused { code: 403 };
        assert_eq!(thief.register().await.unwrap(), refused);
    }
}

#[tokio::test]
async fn a_phone_that_dials_proves_its_account_and_lamps_are_shown() {
    let clerk = Clerk::start(MD5).await;
    let anna = Desk::start(DeskOptions::new(clerk, "anna", "secret")).await.unwrap();
    let call = anna.dial("*45").await;
    assert_eq!(anna.ended(call).await.unwrap(), Ending::Refused);
    anna.in_call(call, |what| matches!(what, PhoneEvent::Status { code: 486, .. })).await.unwrap();
    anna.watch_lamp("*46201").await;
    anna.lamp_shows("*46201", "early").await.unwrap();
}

#[tokio::test]
async fn keep_alives_are_answered_unless_the_phone_is_told_not_to() {
    let anna = anna(OnInvite::Ring).await;
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = |number: u32| {
        format!(
            "OPTIONS sip:anna@h SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{number}\r\n\
                Max-Forwards: 70\r\nFrom: <sip:s@h>;tag=s\r\nTo: <sip:anna@h>\r\n\
                Call-ID: o{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            server.local_addr().unwrap()
        )
    };
    server.send_to(ask(1).as_bytes(), anna.address()).await.unwrap();
    let mut answer = [0; 2000];
    let length = server.recv(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"SIP/2.0 200 OK"));
    anna.answer_options(false).await;
    server.send_to(ask(2).as_bytes(), anna.address()).await.unwrap();
    anna.until(|event| event.what == DeskFact::OptionsAsked { answered: false }).await.unwrap();
    assert!(server.try_recv(&mut answer).is_err());
}

#[test]
fn the_display_shows_name_identity_and_the_wish_for_auto_answer() {
    let invite = "INVITE sip:anna@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKi\r\n\
        Max-Forwards: 70\r\nFrom: \"Анна\" <sip:+79161112233@h>;tag=s\r\nTo: <sip:anna@h>\r\n\
        Call-ID: i\r\nCSeq: 1 INVITE\r\nContact: <sip:s@h>\r\n\
        P-Asserted-Identity: \"Анна П.\" <sip:+79161112233@h>\r\n\
        Call-Info: <sip:h>;answer-after=0\r\nContent-Length: 0\r\n\r\n";
    let message = Incoming::read(&invite.to_owned().into()).unwrap();
    let shown = Invite::read(DeskCall(1), &message);
    assert_eq!(shown.display.as_deref(), Some("Анна"));
    assert_eq!(shown.asserted_display.as_deref(), Some("Анна П."));
    assert!(shown.asks_for_auto_answer() && !shown.has_offer);
}
