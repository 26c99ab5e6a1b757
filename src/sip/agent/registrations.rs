//! Phones that register, played without sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::super::auth::credentials::Credentials;
use super::super::auth::digest::{self, Algorithm};
use super::super::auth::{guard, nonce};
use super::super::border::{Destination, Dial, Offer, RefuseStatus, SipCommand, SipEvent};
use super::super::message::parse;
use super::super::settings::SipSettings;
use super::super::transport::{Flow, Link};
use super::Agent;
use crate::domain::{Account, Accounts, DigestChoice, LegId, LocalMedia, Login, PhoneState};

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
    let response = digest::response(algorithm, &ha1, &credentials, method);
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

#[test]
fn a_phone_registers_with_its_password_and_is_reached_where_it_came_from() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "Contact: <sip:anna@10.0.0.5:5060>\r\n");
    assert_eq!(code(&asked), 401);
    let challenge = challenges(&asked).remove(0);
    assert!(challenge.starts_with("Digest realm=\"allo\", nonce=\""), "{challenge}");
    assert!(challenge.ends_with("\", algorithm=MD5, qop=\"auth\""), "{challenge}");
    let ok = house.anna("Contact: <sip:anna@10.0.0.5:5060>;q=0.5;expires=600\r\n");
    assert_eq!(code(&ok), 200);
    assert_eq!(headers(&ok, "Contact"), ["<sip:anna@10.0.0.5:5060>;q=0.5;expires=300"]);
    assert_eq!(headers(&ok, "Date"), ["Tue, 14 Nov 2023 22:13:20 GMT"]);
    let told = house.events();
    let state = PhoneState::Reachable;
    let local = Some("192.0.2.1".parse().unwrap());
    assert_eq!(told, [SipEvent::PhoneChanged { login: login("anna"), state, local }]);
    let contact = house.agent.registrar.contacts(&login("anna")).remove(0);
    assert_eq!(contact.uri.to_string(), "sip:anna@10.0.0.5:5060");
    assert_eq!((contact.flow.remote.to_string().as_str(), contact.q), (PHONE, 500));
    assert!(house.agent.registrar.is_registered_from("192.0.2.10".parse().unwrap()));
}

#[test]
fn a_refresh_changes_nothing_that_is_told_and_unregistering_does() {
    let mut house = House::new();
    house.anna_is_there();
    let contact = format!("Contact: <sip:anna@{PHONE}>");
    assert_eq!(code(&house.anna(&format!("{contact}\r\n"))), 200);
    assert_eq!(house.states(), []);
    let gone = house.anna(&format!("{contact};expires=0\r\n"));
    assert_eq!((code(&gone), headers(&gone, "Contact").len()), (200, 0));
    assert_eq!(house.states(), [PhoneState::Unregistered]);
    house.anna_is_there();
    assert_eq!(code(&house.anna("Contact: *\r\nExpires: 0\r\n")), 200);
    assert_eq!(house.states(), [PhoneState::Unregistered]);
    for wrong in ["Contact: *\r\n", "Contact: *, <sip:a@b>\r\nExpires: 0\r\n"] {
        assert_eq!(code(&house.anna(wrong)), 400, "{wrong}");
    }
}

#[test]
fn expiries_are_kept_within_bounds_and_garbage_means_the_longest() {
    for (extra, granted) in [
        ("Contact: <sip:a@b>\r\n", "300"),
        ("Contact: <sip:a@b>\r\nExpires: 120\r\n", "120"),
        ("Contact: <sip:a@b>;expires=90\r\nExpires: 120\r\n", "90"),
        ("Contact: <sip:a@b>;expires=4294967295\r\n", "300"),
        ("Contact: <sip:a@b>;expires=4294967296\r\n", "300"),
        ("Contact: <sip:a@b>;expires=99999999999999999999999\r\n", "300"),
        ("Contact: <sip:a@b>;expires=soon\r\n", "300"),
        ("Contact: <sip:a@b>\r\nExpires: -1\r\n", "300"),
    ] {
        let ok = House::new().anna(extra);
        let expected = format!("<sip:a@b>;expires={granted}");
        assert_eq!(headers(&ok, "Contact"), [expected.as_str()], "{extra}");
    }
    let brief = House::new().anna("Contact: <sip:a@b>;expires=59\r\n");
    assert_eq!((code(&brief), headers(&brief, "Min-Expires")), (423, vec!["60"]));
}

#[test]
fn what_is_not_refreshed_expires() {
    let mut house = House::new();
    let ok = house.anna("Contact: <sip:anna@192.0.2.10:5070>;expires=60\r\n");
    assert_eq!(code(&ok), 200);
    house.wait(58_000, |_| Some("200 OK"));
    assert_eq!(house.states(), [PhoneState::Reachable]);
    house.wait(3_000, |_| Some("200 OK"));
    assert_eq!(house.states(), [PhoneState::Unregistered]);
    assert!(!house.agent.registrar.is_registered_from("192.0.2.10".parse().unwrap()));
    house.wait(100_000, |_| None);
    assert_eq!((house.agent.next_due_ms(), house.agent.load()), (None, (0, 0)));
}

#[test]
fn a_hundred_contacts_are_refused_and_leave_no_trace() {
    let mut house = House::new();
    let contacts: Vec<String> = (0..100).map(|n| format!("<sip:anna@10.0.0.{n}>")).collect();
    let refused = house.anna(&format!("Contact: {}\r\n", contacts.join(", ")));
    assert_eq!(code(&refused), 403);
    assert_eq!(house.events(), []);
    assert!(house.agent.registrar.is_empty());
    assert_eq!(code(&house.anna(&format!("Contact: <sip:{}@b>\r\n", "a".repeat(600)))), 400);
}

#[test]
fn an_eleventh_phone_takes_the_place_of_the_oldest() {
    let mut house = House::new();
    for port in 0..11 {
        assert_eq!(
            code(&house.anna(&format!("Contact: <sip:a@10.0.0.1:{}>\r\n", 6000 + port))),
            200
        );
    }
    let contacts = house.agent.registrar.contacts(&login("anna"));
    assert_eq!(contacts.len(), 10);
    assert_eq!(contacts[0].uri.to_string(), "sip:a@10.0.0.1:6010", "the newest first");
    assert!(contacts.iter().all(|contact| contact.uri.to_string() != "sip:a@10.0.0.1:6000"));
}

#[test]
fn a_phone_that_comes_back_from_another_address_is_the_same_phone() {
    let mut house = House::new();
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\";reg-id=1";
    for address in ["10.0.0.1", "10.0.0.2"] {
        assert_eq!(code(&house.anna(&format!("Contact: <sip:a@{address}>;{instance}\r\n"))), 200);
    }
    let contacts = house.agent.registrar.contacts(&login("anna"));
    let uris: Vec<String> = contacts.iter().map(|contact| contact.uri.to_string()).collect();
    assert_eq!(uris, ["sip:a@10.0.0.2"]);
}

#[test]
fn an_older_register_of_the_same_phone_changes_nothing() {
    let mut house = House::new();
    house.cseq = 10;
    house.anna_is_there();
    house.cseq = 5;
    assert_eq!(code(&house.anna(&format!("Contact: <sip:anna@{PHONE}>;expires=0\r\n"))), 500);
    house.cseq = 5;
    assert_eq!(code(&house.anna("Contact: *\r\nExpires: 0\r\n")), 500);
    assert_eq!(house.agent.registrar.contacts(&login("anna")).len(), 1);
}

#[test]
fn the_path_leads_back() {
    let mut house = House::new();
    let path = "Path: <sip:edge.example.com;lr>, <sip:192.0.2.7;lr>\r\n";
    let extra =
        format!("{path}Require: path\r\nSupported: path\r\nContact: <sip:anna@{PHONE}>\r\n");
    let ok = house.anna(&extra);
    assert_eq!(headers(&ok, "Path"), ["<sip:edge.example.com;lr>, <sip:192.0.2.7;lr>"]);
    let contact = house.agent.registrar.contacts(&login("anna")).remove(0);
    assert_eq!(contact.path.len(), 2);
    let options = house.wait(31_000, |_| None).remove(0);
    assert_eq!(headers(&options, "Route"), ["<sip:edge.example.com;lr>", "<sip:192.0.2.7;lr>"]);
    let unknown = house.ask("REGISTER", "anna", PHONE, "Require: gruu, path\r\n");
    assert_eq!((code(&unknown), headers(&unknown, "Unsupported")), (420, vec!["gruu"]));
}

#[test]
fn nobody_registers_in_anothers_name() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    let credentials = house.credentials(&asked, "boris", "boris-secret", "REGISTER");
    let extra = format!("Authorization: {credentials}\r\nContact: <sip:b@{PHONE}>\r\n");
    assert_eq!(code(&house.ask("REGISTER", "anna", PHONE, &extra)), 403);
    assert!(house.agent.registrar.is_empty());
}

#[test]
fn a_phone_is_asked_in_each_way_that_its_account_wants() {
    let both = accounts(&[
        ("anna", Some(DigestChoice::Both)),
        ("boris", Some(DigestChoice::Sha256)),
        ("vera", None),
    ]);
    let mut house = House::with(both, DigestChoice::Md5);
    for (who, algorithms) in
        [("anna", &["SHA-256", "MD5"][..]), ("boris", &["SHA-256"]), ("vera", &["MD5"])]
    {
        let asked = house.ask("REGISTER", who, PHONE, "");
        let named: Vec<String> =
            challenges(&asked).iter().map(|challenge| field(challenge, "algorithm")).collect();
        assert_eq!(named, algorithms);
        let ok = house.try_password(&asked, who, &format!("{who}-secret"), PHONE, "");
        assert_eq!(code(&ok), 200, "{who}");
    }
    // A weaker hash than was asked for is none.
    let asked = house.ask("REGISTER", "boris", PHONE, "");
    let nonce = field(&challenges(&asked)[0], "nonce");
    let weak =
        credentials_of(Algorithm::Md5, "boris", "boris-secret", &nonce, 1, "REGISTER", "sip:allo");
    assert_eq!(
        code(&house.ask("REGISTER", "boris", PHONE, &format!("Authorization: {weak}\r\n"))),
        401
    );
}

#[test]
fn a_nonce_serves_many_times_but_no_count_twice() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    let credentials = house.credentials(&asked, "anna", "anna-secret", "REGISTER");
    let extra = format!("Authorization: {credentials}\r\nContact: <sip:a@b>\r\n");
    let request = house.request("REGISTER", "anna", PHONE, &extra, "");
    let flow = House::flow(PHONE, Link::Udp(0));
    let ok = house.send_on(flow, &request);
    assert_eq!(code(&ok[0]), 200);
    assert_eq!(house.send_on(flow, &request), ok, "a repetition gets the same answer");
    let replayed = house.ask("REGISTER", "anna", PHONE, &extra);
    assert_eq!(code(&replayed), 401);
    assert!(challenges(&replayed)[0].ends_with("stale=true"), "{replayed}");
    let next = house.try_password(&asked, "anna", "anna-secret", PHONE, "");
    assert_eq!(code(&next), 200);
}

#[test]
fn an_old_nonce_is_stale_and_a_foreign_one_too() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    house.now_ms += nonce::LIFETIME_MS;
    let stale = house.try_password(&asked, "anna", "anna-secret", PHONE, "");
    assert!(challenges(&stale)[0].ends_with("stale=true"), "{stale}");
    assert_eq!(code(&house.try_password(&stale, "anna", "anna-secret", PHONE, "")), 200);
    let elsewhere = house.ask("REGISTER", "anna", "192.0.2.99:5060", "");
    let stolen = house.try_password(&elsewhere, "anna", "anna-secret", PHONE, "");
    assert!(challenges(&stolen)[0].ends_with("stale=true"), "{stolen}");
}

#[test]
fn credentials_of_the_old_kind_and_garbage_prove_nothing() {
    for credentials in [
        "Basic YW5uYTphbm5hLXNlY3JldA==",
        "Digest",
        "Digest username=\"anna\"",
        "Digest username=\"anna\", realm=\"allo\", nonce=\"x\", uri=\"sip:allo\", response=\"y\"",
        "Digest username=\"anna\", realm=\"allo\", nonce=\"x\", uri=\"sip:allo\", response=\"y\", \
         qop=auth-int, nc=00000001, cnonce=\"c\"",
        "Digest username=\"anna\", realm=\"other\", nonce=\"x\", uri=\"sip:allo\", \
         response=\"y\", qop=auth, nc=00000001, cnonce=\"c\"",
        "Digest username=\"\", realm=\"\", nonce=\"\", uri=\"\", response=\"\", qop=auth, \
         nc=zzzzzzzz, cnonce=\"\"",
    ] {
        let mut house = House::new();
        let extra = format!("Authorization: {credentials}\r\nContact: <sip:a@b>\r\n");
        assert_eq!(code(&house.ask("REGISTER", "anna", PHONE, &extra)), 401, "{credentials}");
        assert_eq!((house.events(), house.agent.load()), (vec![], (0, 0)));
    }
}

#[test]
fn a_thousand_wrong_passwords_lock_nobody_out() {
    let mut house = House::new();
    let guesser = "192.0.2.66:5060";
    for number in 0..1_000 {
        let answer = house.register("anna", &format!("guess-{number}"), guesser, "");
        assert_eq!(code(&answer), 401);
        house.now_ms += 1;
    }
    // The guesser is not heard any more, even when the guess is right, and can't tell.
    let wrong = house.register("anna", "wrong", guesser, "");
    let right = house.register("anna", "anna-secret", guesser, "Contact: <sip:x@y>\r\n");
    assert_eq!(shown(&wrong, "anna"), shown(&right, "anna"));
    // The owner's phone beside the guesser, others, and soon everybody.
    let contact = "Contact: <sip:anna@192.0.2.66:7000>\r\n";
    assert_eq!(code(&house.register("anna", "anna-secret", "192.0.2.66:7000", contact)), 200);
    assert_eq!(code(&house.register("boris", "boris-secret", PHONE, "")), 200);
    house.now_ms += guard::ENDPOINT.interval_ms;
    assert_eq!(code(&house.register("anna", "anna-secret", guesser, "")), 200);
    assert_eq!(house.agent.load().0, 0);
}

#[test]
fn an_account_that_is_guessed_from_everywhere_stays_its_owners() {
    let mut house = House::new();
    house.anna_is_there();
    let tries = u32::try_from(guard::ACCOUNT.at_once).unwrap() * 3;
    for number in 0..tries {
        let source = SocketAddr::from(([198, 51, u8::try_from(number / 200).unwrap(), 1], 5060));
        let port = u16::try_from(6000 + number).unwrap();
        let source = SocketAddr::new(source.ip(), port).to_string();
        assert_eq!(code(&house.register("anna", "guess", &source, "")), 401);
    }
    let newcomer = "203.0.113.5:5060";
    assert_eq!(code(&house.register("anna", "anna-secret", newcomer, "")), 401, "slowed");
    assert_eq!(code(&house.anna("")), 200, "at home");
    assert_eq!(code(&house.register("anna", "anna-secret", "192.0.2.10:9999", "")), 200);
    house.now_ms += guard::ACCOUNT.interval_ms;
    assert_eq!(code(&house.register("anna", "anna-secret", newcomer, "")), 200);
}

#[test]
fn nobody_learns_which_accounts_there_are() {
    for digest in [None, Some(DigestChoice::Both)] {
        let mut house =
            House::with(accounts(&[("anna", digest), ("boris", digest)]), DigestChoice::Md5);
        house.anna_is_there();
        let from = "192.0.2.66:5060";
        for method in ["REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH", "FROBNICATE"] {
            let answers = ["anna", "nemo", "1000", "!"].map(|who| {
                let plain = house.ask(method, who, from, "");
                let to_who = house
                    .request(method, "stranger", from, "", "")
                    .replace("sip:100@allo", &format!("sip:{who}@allo"));
                let to_who = house.send_on(House::flow(from, Link::Udp(0)), &to_who).remove(0);
                (shown(&plain, who), shown(&to_who, who))
            });
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{method}: {answers:#?}");
        }
        let wrong = ["anna", "nemo"].map(|who| {
            let answer = house.register(who, "wrong", from, "Contact: <sip:a@b>\r\n");
            shown(&answer, who)
        });
        assert_eq!(wrong[0], wrong[1]);
    }
}

#[test]
fn an_unproven_flood_keeps_nothing() {
    let mut house = House::new();
    for number in 0..10_000 {
        let from = format!("198.51.100.7:{}", 1024 + number);
        house.ask("REGISTER", "anna", &from, "");
    }
    assert_eq!((house.agent.load(), house.agent.next_due_ms()), ((0, 0), None));
}

#[test]
fn a_phone_that_falls_silent_is_unreachable_until_it_answers() {
    let mut house = House::new();
    house.anna_is_there();
    let options = house.wait(30_000, |_| Some("404 Not Found"));
    assert!(options[0].starts_with("OPTIONS sip:anna@192.0.2.10:5070 SIP/2.0"), "{options:?}");
    assert_eq!((options.len(), house.states()), (1, vec![]), "any answer will do");
    house.wait(41_000, |_| None);
    assert_eq!(house.states(), [PhoneState::Unreachable]);
    assert_eq!(house.agent.registrar.contacts(&login("anna")), []);
    house.wait(60_000, |_| None);
    assert_eq!(house.states(), [], "told once");
    house.wait(31_000, |_| Some("200 OK"));
    assert_eq!(house.states(), [PhoneState::Reachable]);
}

#[test]
fn a_silent_phone_that_registers_is_reachable_at_once() {
    let mut house = House::new();
    house.anna_is_there();
    house.wait(70_000, |_| None);
    assert_eq!(house.states(), [PhoneState::Unreachable]);
    house.anna_is_there();
}

#[test]
fn a_phone_that_says_nothing_to_a_call_is_unreachable() {
    let mut house = House::new();
    house.anna_is_there();
    let leg = LegId(uuid::Uuid::from_u128(5));
    let media = LocalMedia { ip: "192.0.2.1".parse().unwrap(), rtp_port: 20_000 };
    let dial = Dial {
        leg,
        to: Destination::Account(login("anna")),
        media,
        from_user: "anonymous".to_owned(),
        display: None,
        auto_answer: false,
        ring_ms: 20_000,
    };
    house.agent.dial(house.now_ms, &dial, None);
    assert!(house.sent()[0].1.starts_with("INVITE sip:anna@192.0.2.10:5070 SIP/2.0"));
    house.wait(5_000, |text| text.starts_with("OPTIONS").then_some("200 OK"));
    let (state, local) = (PhoneState::Unreachable, Some("192.0.2.1".parse().unwrap()));
    let told = house.events();
    assert!(
        told.contains(&SipEvent::PhoneChanged { login: login("anna"), state, local }),
        "{told:?}"
    );
}

#[test]
fn the_keep_alives_of_many_phones_are_spread() {
    let names: Vec<String> = (0..60).map(|number| format!("op{number}")).collect();
    let pairs: Vec<(&str, Option<DigestChoice>)> =
        names.iter().map(|name| (name.as_str(), None)).collect();
    let mut house = House::with(accounts(&pairs), DigestChoice::Md5);
    for name in &names {
        let contact = format!("Contact: <sip:{name}@{PHONE}>\r\n");
        assert_eq!(code(&house.register(name, &format!("{name}-secret"), PHONE, &contact)), 200);
    }
    let mut busiest = 0;
    let mut all = 0;
    for _ in 0..31 {
        let sent = house.wait(1_000, |_| Some("200 OK")).len();
        busiest = busiest.max(sent);
        all += sent;
    }
    assert!(all >= 60 && busiest <= 8, "{all} in all, {busiest} in one second");
}

#[test]
fn a_phone_whose_connection_is_gone_is_unreachable() {
    let mut house = House::new();
    let asked = house.ask("REGISTER", "anna", PHONE, "");
    let credentials = house.credentials(&asked, "anna", "anna-secret", "REGISTER");
    let extra =
        format!("Authorization: {credentials}\r\nContact: <sip:anna@{PHONE};transport=tcp>\r\n");
    let request = house.request("REGISTER", "anna", PHONE, &extra, "").replace("/UDP", "/TCP");
    let ok = house.send_on(House::flow(PHONE, Link::Tcp(5)), &request);
    assert_eq!(code(&ok[0]), 200);
    let contact = house.agent.registrar.contacts(&login("anna")).remove(0);
    assert_eq!(contact.flow.link, Link::Tcp(5));
    house.agent.link_closed(house.now_ms, Link::Tcp(5));
    assert_eq!(house.states(), [PhoneState::Reachable, PhoneState::Unreachable]);
    assert_eq!(house.wait(120_000, |_| None), [] as [String; 0], "nothing is sent there");
}

#[test]
fn an_account_that_is_removed_or_has_a_new_password_loses_its_phones() {
    let mut house = House::new();
    house.anna_is_there();
    let ok = house.register("boris", "boris-secret", PHONE, "Contact: <sip:boris@b>\r\n");
    assert_eq!(code(&ok), 200);
    assert_eq!(house.states(), [PhoneState::Reachable]);
    let mut changed = accounts(&[("boris", None)]);
    changed.insert(login("boris"), Account::new(login("boris"), "allo", "new", None));
    house.accounts.store(Arc::new(changed));
    house.wait(1_001, |_| None);
    assert_eq!(house.states(), [PhoneState::Unregistered, PhoneState::Unregistered]);
    assert_eq!(code(&house.anna("")), 401);
    let contact = "Contact: <sip:boris@b>\r\n";
    assert_eq!(code(&house.register("boris", "new", PHONE, contact)), 200);
    house.events();

    let newer = Account::new(login("boris"), "allo", "newer", None);
    house.accounts.store(Arc::new([(login("boris"), newer)].into()));
    assert_eq!(code(&house.register("boris", "newer", PHONE, contact)), 200);
    house.events();
    house.wait(1_001, |_| None);
    assert_eq!(house.states(), [], "who came with the new password stays");
}

#[test]
fn customers_call_without_a_password_and_operators_prove_theirs_when_asked() {
    let mut house = House::new();
    assert_eq!(house.invite("79161112233", "198.51.100.9:5060", ""), [] as [String; 0]);
    let offer = house.offer().unwrap();
    assert_eq!((offer.account, offer.is_near_phone), (None, false));

    house.anna_is_there();
    house.invite("anna", "192.0.2.10:6000", "");
    let offer = house.offer().unwrap();
    assert_eq!((offer.account, offer.is_near_phone), (None, true));
    let refuse = |leg: LegId| SipCommand::Refuse { leg, status: RefuseStatus::Unauthenticated };
    house.agent.command(house.now_ms, refuse(offer.leg));
    let asked = house.sent().remove(0).1;
    assert_eq!(code(&asked), 407);

    let right = house.credentials(&asked, "anna", "anna-secret", "INVITE");
    house.invite("anna", "192.0.2.10:6000", &format!("Proxy-Authorization: {right}\r\n"));
    let offer = house.events().into_iter().find_map(|event| match event {
        SipEvent::Offered(offer) => Some(*offer),
        _ => None,
    });
    assert_eq!(offer.unwrap().account, Some(login("anna")));

    let wrong = house.credentials(&asked, "anna", "wrong", "INVITE");
    let header = format!("Proxy-Authorization: {wrong}\r\n");
    let refused = house.invite("anna", "192.0.2.10:6000", &header);
    assert_eq!((code(&refused[0]), house.offer()), (407, None));
    let right = house.credentials(&asked, "anna", "anna-secret", "INVITE");
    let header = format!("Proxy-Authorization: {right}\r\n");
    let refused = house.invite("boris", "192.0.2.10:6000", &header);
    assert_eq!((code(&refused[0]), house.offer()), (403, None));
}

#[test]
fn credentials_for_another_house_do_not_hinder_a_customer() {
    let mut house = House::new();
    let header = "Proxy-Authorization: Digest username=\"x\", realm=\"trunk.example.com\", \
                  nonce=\"n\", uri=\"sip:100@allo\", response=\"r\", qop=auth, nc=00000001, \
                  cnonce=\"c\"\r\n";
    assert_eq!(house.invite("79161112233", PHONE, header), [] as [String; 0]);
    assert_eq!(house.offer().unwrap().account, None);
}
