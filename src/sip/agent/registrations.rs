//! Phones that register, played without sockets.
//!
//! - this file: the house and the phones around it
//! - [`bindings`]: which phones an account has, and for how long
//! - [`passwords`]: who knows the password
//! - [`silence`]: phones that fall silent, and come back

mod bindings;
mod passwords;
mod silence;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::super::auth::credentials::Credentials;
use super::super::auth::digest::{self, Algorithm};
use super::super::border::{Offer, SipEvent};
use super::super::message::parse;
use super::super::settings::SipSettings;
use super::super::transport::{Flow, Link};
use super::Agent;
use crate::domain::{Account, Accounts, DigestChoice, Login, PhoneState};

const PHONE: &str = "192.0.2.10:5070";
const SDP: &str = "v=0\r\no=p 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 5004 RTP/AVP 8\r\n";

fn login(name: &str) -> Login {
    name.parse().unwrap()
}

pub(super) fn accounts(names: &[(&str, Option<DigestChoice>)]) -> Accounts {
    let account = |(name, digest): &(&str, Option<DigestChoice>)| {
        let password = format!("{name}-secret");
        (login(name), Account::new(login(name), "allo", &password, *digest))
    };
    names.iter().map(account).collect()
}

/// A house with the accounts anna and boris, and the time that passes in it.
struct House {
    agent: Agent,
    accounts: Arc<ArcSwap<Accounts>>,
    now_ms: u64,
    cseq: u32,
    counts: BTreeMap<String, u32>,
}

impl House {
    fn new() -> Self {
        Self::with(accounts(&[("anna", None), ("boris", None)]), DigestChoice::Md5)
    }

    fn with(accounts: Accounts, digest: DigestChoice) -> Self {
        let accounts = Arc::new(ArcSwap::from_pointee(accounts));
        let settings =
            SipSettings { accounts: Arc::clone(&accounts), digest, ..SipSettings::default() };
        let agent = Agent::new(settings, [7, 8]);
        Self { agent, accounts, now_ms: 1_700_000_000_000, cseq: 0, counts: BTreeMap::new() }
    }

    fn flow(from: &str, link: Link) -> Flow {
        Flow { link, remote: from.parse().unwrap(), local: "192.0.2.1:5060".parse().unwrap() }
    }

    fn send_on(&mut self, flow: Flow, text: &str) -> Vec<String> {
        self.agent.receive(self.now_ms, flow, parse(&Bytes::copy_from_slice(text.as_bytes())));
        self.sent().into_iter().map(|(_, text)| text).collect()
    }

    fn sent(&mut self) -> Vec<(Flow, String)> {
        let packets = self.agent.outbox().packets.drain(..);
        packets.map(|(flow, bytes)| (flow, String::from_utf8(bytes.to_vec()).unwrap())).collect()
    }

    fn request(&mut self, method: &str, who: &str, from: &str, extra: &str, body: &str) -> String {
        self.cseq += 1;
        let cseq = self.cseq;
        let uri = if method == "REGISTER" { "sip:allo" } else { "sip:100@allo" };
        let to = if method == "REGISTER" { who } else { "100" };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-{cseq};rport\r\n\
             From: <sip:{who}@allo>;tag=p\r\nTo: <sip:{to}@allo>\r\nCall-ID: call-{who}\r\n\
             CSeq: {cseq} {method}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Sends a request without credentials from an address; gives the answer.
    fn ask(&mut self, method: &str, who: &str, from: &str, extra: &str) -> String {
        let text = self.request(method, who, from, extra, "");
        let mut sent = self.send_on(Self::flow(from, Link::Udp(0)), &text);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// The credentials that answer the challenge of an answer.
    fn credentials(&mut self, answer: &str, who: &str, password: &str, method: &str) -> String {
        let challenge = challenges(answer).remove(0);
        let algorithm = Algorithm::named(&field(&challenge, "algorithm")).unwrap();
        let nonce = field(&challenge, "nonce");
        let count = self.counts.entry(nonce.clone()).or_default();
        *count += 1;
        let uri = if method == "REGISTER" { "sip:allo" } else { "sip:100@allo" };
        let count = *count;
        credentials_of(algorithm, who, password, &nonce, count, method, uri)
    }

    /// Registers as phones do: asked for a password, it gives it. Gives the last answer.
    fn register(&mut self, who: &str, password: &str, from: &str, extra: &str) -> String {
        let asked = self.ask("REGISTER", who, from, extra);
        if challenges(&asked).is_empty() {
            return asked;
        }
        self.try_password(&asked, who, password, from, extra)
    }

    fn try_password(
        &mut self,
        asked: &str,
        who: &str,
        password: &str,
        from: &str,
        extra: &str,
    ) -> String {
        let credentials = self.credentials(asked, who, password, "REGISTER");
        let extra = format!("Authorization: {credentials}\r\n{extra}");
        self.ask("REGISTER", who, from, &extra)
    }

    fn anna(&mut self, extra: &str) -> String {
        self.register("anna", "anna-secret", PHONE, extra)
    }

    /// Registers anna's usual phone.
    fn anna_is_there(&mut self) {
        let ok = self.anna(&format!("Contact: <sip:anna@{PHONE}>\r\n"));
        assert_eq!(code(&ok), 200, "{ok}");
        assert_eq!(self.states(), [PhoneState::Reachable]);
    }

    fn invite(&mut self, who: &str, from: &str, extra: &str) -> Vec<String> {
        let extra =
            format!("Contact: <sip:{who}@{from}>\r\nContent-Type: application/sdp\r\n{extra}");
        let text = self.request("INVITE", who, from, &extra, SDP);
        self.send_on(Self::flow(from, Link::Udp(0)), &text)
    }

    fn offer(&mut self) -> Option<Offer> {
        self.events().into_iter().find_map(|event| match event {
            SipEvent::Offered(offer) => Some(*offer),
            _ => None,
        })
    }

    fn events(&mut self) -> Vec<SipEvent> {
        self.agent.outbox().events.drain(..).collect()
    }

    fn states(&mut self) -> Vec<PhoneState> {
        let states = self.events().into_iter().map(|event| match event {
            SipEvent::PhoneChanged { state, .. } => state,
            event => panic!("{event:?}"),
        });
        states.collect()
    }

    /// Lets time pass; gives our requests, answered by `answer` if that gives a status.
    fn wait(&mut self, ms: u64, answer: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
        let end = self.now_ms + ms;
        let mut sent = Vec::new();
        while let Some(due) = self.agent.next_due_ms().filter(|due| *due <= end) {
            self.now_ms = due;
            self.agent.tick(due);
            for (flow, text) in self.sent() {
                if let Some(status) = answer(&text) {
                    let reply = reply(&text, status);
                    self.send_on(flow, &reply);
                }
                sent.push(text);
            }
        }
        self.now_ms = end;
        sent
    }
}

fn reply(request: &str, status: &str) -> String {
    let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let kept = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 {status}\r\n{kept}Content-Length: 0\r\n\r\n")
}

#[allow(clippy::too_many_arguments, reason = "what RFC 7616 hashes")]
pub(super) fn credentials_of(
    algorithm: Algorithm,
    who: &str,
    password: &str,
    nonce: &str,
    count: u32,
    method: &str,
    uri: &str,
) -> String {
    let head = format!(
        "Digest username=\"{who}\", realm=\"allo\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm={}, qop=auth, nc={count:08x}, cnonce=\"c\"",
        algorithm.name()
    );
    let ha1 = algorithm.hash(&[who, "allo", password]);
    let credentials = Credentials::parse(&format!("{head}, response=\"\"")).unwrap();
    let response = digest::response(algorithm, &ha1, credentials.proof(), method);
    format!("{head}, response=\"{response}\"")
}

fn code(answer: &str) -> u16 {
    answer[8..11].parse().unwrap()
}

fn headers<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let prefix = format!("{name}: ");
    text.lines().filter_map(|line| line.strip_prefix(&prefix)).collect()
}

pub(super) fn challenges(answer: &str) -> Vec<String> {
    let all = ["WWW-Authenticate", "Proxy-Authenticate"].map(|name| headers(answer, name));
    all.concat().into_iter().map(str::to_owned).collect()
}

pub(super) fn field(challenge: &str, name: &str) -> String {
    let rest = challenge.split(&format!("{name}=")).nth(1).unwrap_or_default();
    rest.split(',').next().unwrap_or_default().trim_matches('"').to_owned()
}

/// What an answer shows, without what differs by chance or repeats the question.
fn shown(answer: &str, who: &str) -> String {
    let nonce = challenges(answer).first().map(|challenge| field(challenge, "nonce"));
    let without = |line: &str| {
        let line = line.replace(who, "WHO").replace(nonce.as_deref().unwrap_or("-"), "NONCE");
        match line.split_once(";tag=") {
            Some((before, _)) => before.to_owned(),
            None => line,
        }
    };
    let asked = ["CSeq:", "Via:", "Call-ID:"];
    let lines = answer.lines().filter(|line| !asked.iter().any(|name| line.starts_with(name)));
    lines.map(without).collect::<Vec<_>>().join("\n")
}
