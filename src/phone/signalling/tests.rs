use super::*;
use crate::domain::Codec;
use crate::phone::wire::Start;

fn dialling() -> Dialling {
    let offering = Offering {
        codecs: Codec::ALL.to_vec(),
        event_payload_type: Some(101),
        rtp: "127.0.0.1:4000".parse().unwrap(),
    };
    Dialling {
        endpoint: Endpoint {
            local: "127.0.0.1:5070".parse().unwrap(),
            transport: Transport::Udp,
            user: "+79160000001".into(),
            accept: offering.clone(),
            unique: "u1".into(),
        },
        number: "100".into(),
        server: "127.0.0.1:5060".parse().unwrap(),
        from: From::Number { user: "+79160000001".into(), display: Some("A \"B\"".into()) },
        offer: Some(offering),
        credentials: None,
        replaces: None,
    }
}

/// A server in the hand of the test: answers what the phone sent last.
struct Table {
    call: Signalling,
    now: Duration,
    sent: Vec<Incoming>,
    told: Vec<PhoneEvent>,
    media: Vec<Agreement>,
}

impl Table {
    fn call(dialling: Dialling) -> Self {
        let call = Signalling::dialling(dialling);
        let mut table =
            Self { call, now: Duration::ZERO, sent: vec![], told: vec![], media: vec![] };
        table.call.call(table.now);
        table.collect();
        table
    }

    fn collect(&mut self) {
        while let Some(output) = self.call.poll() {
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
        self.call.receive(self.now, &response);
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
        self.call.receive(self.now, &Incoming::read(&text.into()).unwrap());
        self.collect();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.call.next_timer().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.call.on_timer(self.now);
            self.collect();
            if self.call.is_done(self.now) {
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
    table.call.hang_up(table.now);
    table.collect();
    assert!(table.last().to.ends_with(";tag=server"));
    table.answer("BYE", 200, "");
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::ByUs }));
    table.pass(LINGER);
    assert!(table.call.is_done(table.now));
}

#[test]
fn requests_within_the_call_take_the_recorded_route() {
    let mut call = answered().call;
    call.hang_up(Duration::ZERO);
    let Some(Output::Send(bye)) = call.poll() else { panic!("no BYE") };
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
    let mut dialling = dialling();
    dialling.endpoint.transport = Transport::Tcp;
    let mut table = Table::call(dialling);
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
    table.call.hang_up(table.now);
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
    table.call.hang_up(table.now);
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
    table.call.change_direction(table.now, Direction::SendOnly);
    table.collect();
    assert_eq!(table.last().cseq, (2, "INVITE".into()));
    assert!(String::from_utf8_lossy(&table.last().body).contains("a=sendonly"));
    table.answer("INVITE", 200, &format!("{ANSWER}a=recvonly\r\n"));
    assert_eq!(table.methods(), ["INVITE", "ACK", "INVITE", "ACK"]);
    assert_eq!(table.media[1].direction, Direction::SendOnly);
}

/// A call that came, with this body.
fn received(body: &str, answers_cancelled: bool) -> Table {
    let invite = format!(
        "INVITE sip:anna@127.0.0.1:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKi\r\n\
         Max-Forwards: 70\r\nFrom: <sip:+79161112233@127.0.0.1>;tag=server\r\n\
         To: <sip:a@127.0.0.1>\r\nCall-ID: u1@127.0.0.1\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:server@127.0.0.1:5060>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let invite = Incoming::read(&invite.into()).unwrap();
    let call = Signalling::received(dialling().endpoint, &invite, answers_cancelled);
    let mut table = Table { call, now: Duration::ZERO, sent: vec![], told: vec![], media: vec![] };
    table.call.ring();
    table.collect();
    table
}

#[test]
fn a_call_that_came_rings_is_answered_until_its_ack_and_hung_up() {
    let mut table = received(ANSWER, false);
    table.call.answer(table.now);
    table.collect();
    assert!(table.last().to.ends_with(";tag=u1"), "{}", table.last().to);
    table.pass(T1);
    assert_eq!(table.methods(), ["180", "200", "200"]);
    assert_eq!(table.media[0].remote, "127.0.0.1:6000".parse().unwrap());
    table.ask("ACK", 1, "");
    table.pass(T2);
    assert_eq!(table.methods().len(), 3);
    table.call.hang_up(table.now);
    table.collect();
    let bye = table.last();
    assert_eq!(bye.start, Start::Request { method: "BYE".into() });
    assert_eq!(bye.from, "<sip:a@127.0.0.1>;tag=u1");
    assert_eq!(bye.to, "<sip:+79161112233@127.0.0.1>;tag=server");
}

#[test]
fn a_refusal_of_ours_is_repeated_until_its_ack() {
    let mut table = received(ANSWER, false);
    table.call.refuse(table.now, 486);
    table.collect();
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::Declined }));
    table.pass(T1);
    assert_eq!(table.methods(), ["180", "486", "486"]);
    table.ask("ACK", 1, "");
    table.pass(T2);
    assert_eq!(table.methods().len(), 3);
    assert!(table.call.is_done(table.now));
}

#[test]
fn cancel_ends_the_ringing_unless_the_phone_answers_all_the_same() {
    let mut table = received(ANSWER, false);
    table.ask("CANCEL", 1, "");
    assert_eq!(table.methods(), ["180", "200", "487"]);
    assert_eq!(table.told.last(), Some(&PhoneEvent::Ended { why: Ending::Withdrawn }));

    let mut table = received(ANSWER, true);
    table.ask("CANCEL", 1, "");
    assert_eq!(table.methods(), ["180", "200", "200"]);
    assert!(table.call.is_answered());
}

#[test]
fn what_can_not_be_spoken_is_488_and_a_call_without_offer_learns_from_the_ack() {
    let mut table = received(&ANSWER.replace("6000 RTP/AVP 8", "6000 RTP/AVP 9"), false);
    table.call.answer(table.now);
    table.collect();
    assert_eq!(table.methods(), ["180", "488"]);

    let mut table = received("", false);
    table.call.answer(table.now);
    table.collect();
    let body = String::from_utf8_lossy(&table.last().body).into_owned();
    assert!(body.contains("m=audio 4000 RTP/AVP 8 0 101"), "{body}");
    assert!(table.media.is_empty());
    table.ask("ACK", 1, ANSWER);
    assert_eq!(table.media.len(), 1);
}

#[test]
fn two_changes_at_once_are_refused_with_491() {
    let mut table = answered();
    table.call.change_direction(table.now, Direction::SendOnly);
    table.collect();
    table.ask("INVITE", 5, ANSWER);
    let Start::Response { code, .. } = table.last().start else { panic!("no response") };
    assert_eq!(code, 491);
}

#[test]
fn a_transfer_names_its_target_and_tells_how_it_goes() {
    let mut table = answered();
    let replaces = table.call.replaces().unwrap();
    assert_eq!(replaces, "u1@127.0.0.1;to-tag=server;from-tag=u1");
    table.call.refer(table.now, "sip:202@127.0.0.1:5060");
    table.collect();
    let target = table.last().line("Refer-To");
    assert_eq!(target.as_deref(), Some("<sip:202@127.0.0.1:5060>"));
    table.answer("REFER", 202, "");
    table.ask("NOTIFY", 5, "SIP/2.0 200 OK\r\n");
    assert_eq!(table.told.last(), Some(&PhoneEvent::Transferring { code: 200 }));
}

#[test]
fn keys_by_info_are_heard() {
    let mut table = answered();
    table.ask("INFO", 5, "Signal= #\r\nDuration= 160\r\n");
    let key = Key::try_from('#').unwrap();
    assert_eq!(table.told.last(), Some(&PhoneEvent::KeyHeard { key, by: KeyBy::Info }));
}
