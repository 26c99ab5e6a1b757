use super::*;
use crate::domain::Codec;

fn dialling() -> Dialling {
    let offering = Offering {
        codecs: Codec::ALL.to_vec(),
        event_payload_type: Some(101),
        rtp: "127.0.0.1:4000".parse().unwrap(),
    };
    Dialling {
        number: "100".into(),
        server: "127.0.0.1:5060".parse().unwrap(),
        local: "127.0.0.1:5070".parse().unwrap(),
        transport: Transport::Udp,
        from: From::Number { user: "+79160000001".into(), display: Some("A \"B\"".into()) },
        offer: Some(offering.clone()),
        accept: offering,
        unique: "u1".into(),
    }
}

/// A server in the hand of the test: answers what the phone sent last.
struct Table {
    uac: Uac,
    now: Duration,
    sent: Vec<Incoming>,
    told: Vec<PhoneEvent>,
    media: Vec<Agreement>,
}

impl Table {
    fn call(dialling: Dialling) -> Self {
        let uac = Uac::new(dialling);
        let mut table =
            Self { uac, now: Duration::ZERO, sent: vec![], told: vec![], media: vec![] };
        table.uac.call(table.now);
        table.collect();
        table
    }

    fn collect(&mut self) {
        while let Some(output) = self.uac.poll() {
            match output {
                Output::Send(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let read = Incoming::read(&bytes.into());
                    self.sent.push(read.unwrap_or_else(|| panic!("{text}")));
                }
                Output::Tell(event) => self.told.push(event),
                Output::Media(agreement) => self.media.push(agreement),
            }
        }
    }

    fn last(&self) -> &Incoming {
        self.sent.last().unwrap()
    }

    fn methods(&self) -> Vec<String> {
        let line = |message: &Incoming| match &message.start {
            Start::Request { method } => method.clone(),
            Start::Response { code, .. } => code.to_string(),
        };
        self.sent.iter().map(line).collect()
    }

    /// Answers the newest request of this method.
    fn answer(&mut self, method: &str, code: u16, body: &str) {
        let is_it = |m: &&Incoming| m.start == Start::Request { method: method.into() };
        let request = self.sent.iter().rev().find(is_it).unwrap().clone();
        let response = Incoming {
            start: Start::Response { code, reason: "Reason".into() },
            to: format!("{};tag=server", request.to.split(";tag").next().unwrap()),
            contact: Some("sip:server@127.0.0.1:5060".into()),
            record_routes: vec!["<sip:p1;lr>".into(), "<sip:p2;lr>".into()],
            body: body.to_owned().into_bytes().into(),
            ..request
        };
        self.uac.receive(self.now, &response);
        self.collect();
    }

    /// A request of the server within the call.
    fn ask(&mut self, method: &str, sequence: u32, body: &str) {
        let text = format!(
            "{method} sip:phone@127.0.0.1:5070 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKs{method}{sequence}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:100@127.0.0.1>;tag=server\r\n\
                 To: <sip:a@127.0.0.1>;tag=u1\r\nCall-ID: u1@127.0.0.1\r\n\
                 CSeq: {sequence} {method}\r\nContact: <sip:server@127.0.0.1:5060>\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.uac.receive(self.now, &Incoming::read(&text.into()).unwrap());
        self.collect();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.uac.next_timer().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.uac.on_timer(self.now);
            self.collect();
            if self.uac.is_done(self.now) {
                break;
            }
        }
        self.now = until;
    }
}

const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
        t=0 0\r\nm=audio 6000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

fn answered() -> Table {
    let mut table = Table::call(dialling());
    table.answer("INVITE", 180, "");
    table.answer("INVITE", 200, ANSWER);
    table
}

#[test]
fn a_call_is_answered_acknowledged_and_ended() {
    let mut table = answered();
    assert_eq!(table.methods(), ["INVITE", "ACK"]);
    assert_eq!(table.media[0].remote, "127.0.0.1:6000".parse().unwrap());
    let answered = PhoneEvent::Answered { codec: Codec::Pcma, telephone_event: true };
    assert!(table.told.contains(&answered));
    table.answer("INVITE", 200, ANSWER); // our ACK was lost
    assert_eq!(table.methods(), ["INVITE", "ACK", "ACK"]);
    table.uac.hang_up(table.now);
    table.collect();
    assert!(table.last().to.ends_with(";tag=server"));
    table.answer("BYE", 200, "");
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::ByUs }));
    table.pass(LINGER);
    assert!(table.uac.is_done(table.now));
}

#[test]
fn requests_within_the_call_take_the_recorded_route() {
    let mut uac = answered().uac;
    uac.hang_up(Duration::ZERO);
    let Some(Output::Send(bye)) = uac.poll() else { panic!("no BYE") };
    let bye = String::from_utf8(bye).unwrap();
    assert!(bye.starts_with("BYE sip:server@127.0.0.1:5060 SIP/2.0\r\n"), "{bye}");
    assert!(bye.contains("Route: <sip:p2;lr>\r\nRoute: <sip:p1;lr>\r\n"), "{bye}");
    assert!(bye.contains("From: \"A \\\"B\\\"\" <sip:+79160000001@"), "{bye}");
}

#[test]
fn an_unanswered_invite_is_repeated_and_given_up_after_32_seconds() {
    let mut table = Table::call(dialling());
    table.pass(Duration::from_secs(40));
    assert_eq!(table.methods(), ["INVITE"; 7]);
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::Failed }));
}

#[test]
fn over_tcp_nothing_is_repeated() {
    let mut table = Table::call(Dialling { transport: Transport::Tcp, ..dialling() });
    assert!(table.last().vias[0].starts_with("SIP/2.0/TCP "));
    assert_eq!(
        table.last().contact.as_deref().unwrap(),
        "sip:+79160000001@127.0.0.1:5070;transport=tcp"
    );
    table.pass(Duration::from_secs(40));
    assert_eq!(table.methods(), ["INVITE"]);
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::Failed }));
}

#[test]
fn a_refusal_is_acknowledged_with_the_invites_branch() {
    let mut table = Table::call(dialling());
    table.answer("INVITE", 404, "");
    assert_eq!(table.methods(), ["INVITE", "ACK"]);
    assert_eq!(table.sent[0].branch, table.sent[1].branch);
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::Refused }));
    table.answer("INVITE", 404, "");
    assert_eq!(table.methods(), ["INVITE", "ACK", "ACK"]);
}

#[test]
fn cancel_waits_for_the_first_response() {
    let mut table = Table::call(dialling());
    table.uac.hang_up(table.now);
    table.collect();
    assert_eq!(table.methods(), ["INVITE"]);
    table.answer("INVITE", 100, "");
    assert_eq!(table.methods(), ["INVITE", "CANCEL"]);
    assert_eq!(table.sent[0].branch, table.sent[1].branch);
    table.answer("CANCEL", 200, "");
    table.answer("INVITE", 487, "");
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::Cancelled }));
}

#[test]
fn a_200_that_crosses_our_cancel_is_acknowledged_and_ended() {
    let mut table = Table::call(dialling());
    table.answer("INVITE", 100, "");
    table.uac.hang_up(table.now);
    table.collect();
    table.answer("INVITE", 200, ANSWER);
    assert_eq!(table.methods(), ["INVITE", "CANCEL", "ACK", "BYE"]);
}

#[test]
fn without_an_offer_the_answer_goes_into_the_ack() {
    let mut table = Table::call(Dialling { offer: None, ..dialling() });
    assert!(table.last().body.is_empty());
    table.answer("INVITE", 200, ANSWER);
    let body = String::from_utf8_lossy(&table.last().body).into_owned();
    assert!(body.contains("m=audio 4000 RTP/AVP 8 101"), "{body}");
    assert_eq!(table.media.len(), 1);
}

#[test]
fn the_servers_requests_are_answered_once_and_again_when_repeated() {
    let mut table = answered();
    table.ask("OPTIONS", 5, "");
    table.ask("OPTIONS", 5, "");
    assert_eq!(table.methods()[2..], ["200", "200"]);
    let asked = PhoneEvent::Request { method: "OPTIONS".into() };
    assert_eq!(table.told.iter().filter(|event| **event == asked).count(), 1);
    table.ask("INVITE", 6, &format!("{ANSWER}a=sendonly\r\n"));
    assert_eq!(table.media[1].direction, Direction::RecvOnly);
    table.pass(T1);
    assert_eq!(table.methods()[4..], ["200", "200"]);
    table.ask("ACK", 6, "");
    table.pass(T2);
    assert_eq!(table.methods().len(), 6);
    table.ask("BYE", 7, "");
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::ByServer }));
}

#[test]
fn hold_is_a_new_offer_within_the_call() {
    let mut table = answered();
    table.uac.change_direction(table.now, Direction::SendOnly);
    table.collect();
    assert_eq!(table.last().cseq, (2, "INVITE".into()));
    assert!(String::from_utf8_lossy(&table.last().body).contains("a=sendonly"));
    table.answer("INVITE", 200, &format!("{ANSWER}a=recvonly\r\n"));
    assert_eq!(table.methods(), ["INVITE", "ACK", "INVITE", "ACK"]);
    assert_eq!(table.media[1].direction, Direction::SendOnly);
}
