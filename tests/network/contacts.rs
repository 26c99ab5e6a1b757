//! Phones that claim to be somewhere else: whoever knows a password has calls to the account sent to the
//! phone that registered, and to nobody else at the shop's expense.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use allo::sip::auth::client::Challenge;
use allo::sip::message::{HeaderName, Headers, Status};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::caller::{RawCall, address, header, socket};
use crate::fraud::Exchange;
use crate::house::{LINE, PASSWORD, SOON};

/// The phone of anna, who knows her password.
struct Phone {
    socket: Arc<UdpSocket>,
    server: SocketAddr,
    registers: u32,
}

impl Phone {
    async fn ask(&mut self, contact: &str, headers: &str) -> String {
        self.registers += 1;
        let (local, n) = (address(&self.socket), self.registers);
        let register = format!(
            "REGISTER sip:allo SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-claim-{n}\r\n\
             From: <sip:anna@allo>;tag=claim\r\nTo: <sip:anna@allo>\r\nCall-ID: claim-{n}\r\n\
             CSeq: {n} REGISTER\r\nContact: {contact}\r\nMax-Forwards: 70\r\nExpires: 300\r\n\
             {headers}Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(register.as_bytes(), self.server).await.unwrap();
        let answer = self.next().await;
        assert!(answer.starts_with("SIP/2.0"), "{answer}");
        answer
    }

    /// Registers a contact with whatever else the request is to say.
    async fn claim(&mut self, contact: &str, headers: &str) {
        let mut asked = Headers::default();
        let question = self.ask(contact, headers).await;
        let question = header(&question, "WWW-Authenticate").to_owned();
        asked.push(HeaderName::WwwAuthenticate, question);
        let challenge = Challenge::strongest(Status::UNAUTHORIZED, &asked, None).unwrap();
        let (_, proof) = challenge.answer("anna", PASSWORD, "REGISTER", "sip:allo", "c");
        let answer = self.ask(contact, &format!("{headers}Authorization: {proof}\r\n")).await;
        assert!(answer.starts_with("SIP/2.0 200"), "{contact}: {answer}");
    }

    async fn next(&self) -> String {
        let mut buffer = [0; 4_096];
        let length = timeout(SOON, self.socket.recv(&mut buffer)).await.expect("a message");
        String::from_utf8_lossy(&buffer[..length.unwrap()]).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_claims_to_be_a_trunk_or_the_server_is_rung_itself() {
    let exchange = Exchange::open(&["anna"]).await;
    let (server, trunk) = (exchange.house.server.sip, exchange.provider.address());
    let socket = socket("127.0.0.1").await;
    let here = address(&socket);
    let mut anna = Phone { socket, server, registers: 0 };
    let path = format!("Path: <sip:{trunk};lr>\r\n");
    // Where it says that it is, and what else it says.
    let claims = [
        (format!("sip:+74951112233@{trunk}"), ""),
        (format!("sip:+79001234567@{trunk};transport=udp"), path.as_str()),
        (format!("sip:+78095551234@{here};maddr={}", trunk.ip()), ""),
        (format!("sip:+18765551234@localhost:{}", trunk.port()), ""),
    ];
    for (uri, headers) in &claims {
        anna.claim(&format!("<{uri}>"), headers).await;
    }
    // Nobody is there: the server asks itself for a number outside, and refuses.
    anna.claim(&format!("<sip:+74951112244@{server}>"), "").await;

    let rtp = crate::caller::socket("127.0.0.1").await;
    let caller = RawCall::dial(server, "+79161112233", LINE, address(&rtp)).await;
    let mut missing = BTreeSet::from(claims.map(|(uri, _)| uri));
    let ring = async {
        while !missing.is_empty() {
            let request = anna.next().await;
            let uri = request.strip_prefix("INVITE ").and_then(|rest| rest.split(' ').next());
            missing.remove(uri.unwrap_or_default());
        }
    };
    let _late = timeout(SOON, ring).await;
    exchange.assert_nobody_called();
    assert!(missing.is_empty(), "calls went elsewhere: {missing:?}");
    assert!(!caller.was_ended());
}
