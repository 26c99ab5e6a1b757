//! The operators' phones: one thread, one socket, as many accounts as are wanted. They register,
//! pick up at once, and speak through the ears' mouth.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use allo::config::DatabaseUrl;
use allo::domain::{Account, Attendance, Operator, Timestamp};
use allo::store::Store;
use anyhow::ensure;
use md5::{Digest as _, Md5};

use crate::ears::{Ears, RIG};
use crate::histogram::Samples;
use crate::server::{SERVER, SIP};
use crate::stamped::{self, Batch, Stamped, now_ns};
use crate::wire::{Message, Start, sdp};

const PASSWORD: &str = "kX7vQ2mZt9-kX7vQ2mZt9";
const REALM: &str = "allo";
const GROUPS: [&str; 2] = ["support", "recorded"];
/// Registered anew so often; the server forgets a phone after five minutes.
const REGISTER_EVERY: Duration = Duration::from_secs(120);
/// REGISTER requests under way at the same time.
const AT_ONCE: usize = 20;

/// Puts so many operators, logged in to all groups, into a new server's database.
pub fn hire(folder: &Path, count: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let groups = GROUPS.map(str::to_owned).to_vec();
    runtime.block_on(async {
        let store = Store::open(&DatabaseUrl::Sqlite(folder.join("allo.db"))).await?;
        let people = (0..count).map(|number| {
            let login: allo::domain::Login = login(number).parse().map_err(anyhow::Error::msg)?;
            let account = Account::new(login.clone(), REALM, PASSWORD, None);
            Ok((Operator { groups: groups.clone(), ..Operator::named(login) }, account))
        });
        let people = people.collect::<anyhow::Result<Vec<_>>>()?;
        store.save_operators(&people).await?;
        let attendance = Attendance { groups, paused: None };
        for (operator, _) in &people {
            store.set_attendance(&operator.login, &attendance, Timestamp(0)).await?;
        }
        store.close().await;
        Ok(())
    })
}

fn login(number: usize) -> String {
    format!("op{number}")
}

/// The thread, and what it saw.
pub struct Desks {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    registered: AtomicUsize,
    talking: AtomicUsize,
    seen: Mutex<Seen>,
}

/// What the phones saw since the last time somebody asked.
#[derive(Clone, Default)]
pub struct Seen {
    /// When a 200 was sent, by the caller's number.
    pub answered_ns: BTreeMap<u64, u64>,
    /// From hanging up to the next INVITE.
    pub rung_again: Samples,
    pub calls: usize,
}

impl Desks {
    /// Registers `count` phones; each hangs up after `talk`, if there is one.
    pub fn open(count: usize, ears: Arc<Ears>, talk: Option<Duration>) -> anyhow::Result<Self> {
        let socket = stamped::bind(SocketAddrV4::new(RIG, 0))?;
        let shared = Arc::new(Shared::default());
        let mut phones = Phones::new(count, socket, ears, talk, Arc::clone(&shared))?;
        let thread = std::thread::spawn(move || phones.run());
        let desks = Self { shared, thread: Some(thread) };
        let began = Instant::now();
        while desks.shared.registered.load(Ordering::Relaxed) < count {
            let registered = desks.shared.registered.load(Ordering::Relaxed);
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "{registered} of {count} registered"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(desks)
    }

    pub fn talking(&self) -> usize {
        self.shared.talking.load(Ordering::Relaxed)
    }

    pub fn seen(&self) -> Seen {
        std::mem::take(&mut *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Desks {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One account's phone.
#[derive(Default)]
struct Phone {
    registered: Option<Instant>,
    is_asking: bool,
    sequence: u32,
    call: Option<Talk>,
    hung_up_ns: Option<u64>,
}

/// A conversation.
struct Talk {
    call_id: String,
    /// INVITE's From and Contact, and the To that we answered with.
    from: String,
    to: String,
    contact: String,
    server: SocketAddrV4,
    port: u16,
    ends: Option<Instant>,
}

struct Phones {
    phones: Vec<Phone>,
    socket: UdpSocket,
    port: u16,
    ears: Arc<Ears>,
    talk: Option<Duration>,
    shared: Arc<Shared>,
    asking: usize,
    next_media: usize,
}

impl Phones {
    fn new(
        count: usize,
        socket: UdpSocket,
        ears: Arc<Ears>,
        talk: Option<Duration>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let port = socket.local_addr()?.port();
        let phones = (0..count).map(|_| Phone::default()).collect();
        Ok(Self { phones, socket, port, ears, talk, shared, asking: 0, next_media: 0 })
    }

    fn run(&mut self) {
        let mut batch = Batch::<4_096>::new();
        while !self.shared.stop.load(Ordering::Relaxed) {
            while batch.receive(&self.socket).expect("the rig's socket works") {
                batch.iter().for_each(|came| self.take(came));
            }
            batch.iter().for_each(|came| self.take(came));
            self.register_some();
            self.hang_up_some();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn send(&self, text: &str) {
        // On loopback with large buffers nothing is lost; what is, counts as the server's fault.
        let _ = self.socket.send_to(text.as_bytes(), SIP);
    }

    fn register_some(&mut self) {
        for number in 0..self.phones.len() {
            if self.asking >= AT_ONCE {
                return;
            }
            let phone = &mut self.phones[number];
            let is_fresh = phone.registered.is_some_and(|at| at.elapsed() < REGISTER_EVERY);
            if !is_fresh && !phone.is_asking {
                phone.is_asking = true;
                self.asking += 1;
                self.register(number, "");
            }
        }
    }

    fn register(&mut self, number: usize, proof: &str) {
        let (port, login) = (self.port, login(number));
        let phone = &mut self.phones[number];
        phone.sequence += 1;
        let sequence = phone.sequence;
        self.send(&format!(
            "REGISTER sip:{SIP} SIP/2.0\r\nVia: SIP/2.0/UDP {RIG}:{port};branch=z9hG4bKr{number}x{sequence}\r\n\
             From: <sip:{login}@{SIP}>;tag=r{number}\r\nTo: <sip:{login}@{SIP}>\r\nCall-ID: register-{number}@{RIG}\r\n\
             CSeq: {sequence} REGISTER\r\nContact: <sip:{login}@{RIG}:{port}>\r\nMax-Forwards: 70\r\nExpires: 300\r\n\
             {proof}Content-Length: 0\r\n\r\n"
        ));
    }

    fn take(&mut self, came: Stamped<'_>) {
        let Some(message) = Message::read(came.bytes) else { return };
        match message.start() {
            Start::Response(code) => self.take_response(&message, code),
            Start::Request(method) => self.take_request(&message, method, came.at_ns),
        }
    }

    fn take_response(&mut self, message: &Message<'_>, code: u16) {
        let Some(number) = message.header("Call-ID").strip_prefix("register-") else { return };
        let number = number.split('@').next().and_then(|text| text.parse::<usize>().ok());
        let Some(number) = number.filter(|&number| number < self.phones.len()) else { return };
        match code {
            401 => {
                let proof = proof(message.header("WWW-Authenticate"), &login(number));
                self.register(number, &proof);
            }
            200 => {
                let phone = &mut self.phones[number];
                phone.is_asking = false;
                self.asking -= 1;
                if phone.registered.replace(Instant::now()).is_none() {
                    self.shared.registered.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => {}
        }
    }

    fn take_request(&mut self, message: &Message<'_>, method: &str, at_ns: u64) {
        let number = message.user().strip_prefix("op").and_then(|text| text.parse::<usize>().ok());
        let number = number.filter(|&number| number < self.phones.len());
        match (method, number) {
            ("ACK", _) => {}
            ("INVITE", Some(number)) => self.invited(message, number, at_ns),
            ("BYE", Some(number)) => {
                self.send(&message.respond("200 OK", "", "", ""));
                self.over(number);
            }
            _ => self.send(&message.respond("200 OK", "rig", "", "")),
        }
    }

    fn invited(&mut self, message: &Message<'_>, number: usize, at_ns: u64) {
        let contact = format!("Contact: <sip:{}@{RIG}:{}>\r\n", login(number), self.port);
        let more = format!("{contact}Content-Type: application/sdp\r\n");
        let tag = format!("d{number}x{at_ns}");
        let call_id = message.header("Call-ID");
        if let Some(talk) = &self.phones[number].call {
            let response = if talk.call_id == call_id {
                message.respond("200 OK", &tag, &more, &sdp(talk.port))
            } else {
                message.respond("486 Busy Here", &tag, "", "")
            };
            return self.send(&response);
        }
        let port = self.ears.ports[self.next_media % self.ears.ports.len()];
        self.next_media += 1;
        self.send(&message.respond("200 OK", &tag, &more, &sdp(port)));
        let answered_ns = now_ns();
        let server = SocketAddrV4::new(SERVER, message.media_port().unwrap_or(0));
        self.ears.speak_to(server, port);
        let phone = &mut self.phones[number];
        let hung_up_ns = phone.hung_up_ns.take();
        phone.call = Some(Talk {
            call_id: call_id.to_owned(),
            from: message.header("From").to_owned(),
            to: format!("{};tag={tag}", message.header("To")),
            contact: message.contact().to_owned(),
            server,
            port,
            ends: self.talk.map(|talk| Instant::now() + talk),
        });
        self.shared.talking.fetch_add(1, Ordering::Relaxed);
        let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.calls += 1;
        seen.answered_ns.insert(caller_of(message.header("From")), answered_ns);
        if let Some(hung_up_ns) = hung_up_ns {
            seen.rung_again.add_ms(at_ns.saturating_sub(hung_up_ns) as f64 / 1e6);
        }
    }

    fn hang_up_some(&mut self) {
        let now = Instant::now();
        for number in 0..self.phones.len() {
            let phone = &self.phones[number];
            let Some(talk) =
                phone.call.as_ref().filter(|talk| talk.ends.is_some_and(|end| end < now))
            else {
                continue;
            };
            let Talk { call_id, from, to, contact, .. } = talk;
            let port = self.port;
            self.send(&format!(
                "BYE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {RIG}:{port};branch=z9hG4bKb{number}x{}\r\n\
                 From: {to}\r\nTo: {from}\r\nCall-ID: {call_id}\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
                now_ns()
            ));
            self.over(number);
            self.phones[number].hung_up_ns = Some(now_ns());
        }
    }

    fn over(&mut self, number: usize) {
        if let Some(talk) = self.phones[number].call.take() {
            self.ears.hush(talk.server);
            self.shared.talking.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The digits of who calls: the rig's callers number themselves.
fn caller_of(from: &str) -> u64 {
    let user = from.split_once("sip:").map_or("", |(_, rest)| rest);
    let digits: String = user.chars().filter(char::is_ascii_digit).take(11).collect();
    digits.parse().unwrap_or(0)
}

/// The line that answers a challenge (RFC 7616, MD5).
fn proof(challenge: &str, login: &str) -> String {
    let value = |name: &str| {
        let (_, rest) = challenge.split_once(&format!("{name}=\"")).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let hash = |text: String| {
        Md5::digest(text).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    let (realm, nonce, uri) = (value("realm"), value("nonce"), format!("sip:{SIP}"));
    let (first, second) =
        (hash(format!("{login}:{realm}:{PASSWORD}")), hash(format!("REGISTER:{uri}")));
    let response = hash(format!("{first}:{nonce}:00000001:rig:auth:{second}"));
    format!(
        "Authorization: Digest username=\"{login}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"rig\"\r\n"
    )
}
