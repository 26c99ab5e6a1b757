//! What a caller waits for: the answer, the first sound, the end of a prompt after a key, the
//! operator's voice. SIPp can't see when RTP comes, so the callers are the rig's own: ten calls a
//! second, each with a socket of its own, silent but for the key.

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use allo::domain::Codec;
use allo::media::Prompt;
use serde_json::json;

use crate::Run;
use crate::desks::{Desks, hire};
use crate::ears::{Ears, RIG, SPEECH};
use crate::histogram::Samples;
use crate::report::{Figure, Goal, Outcome};
use crate::server::{AFTER_KEY_SAMPLE, SERVER, SIP, Server};
use crate::stamped::{self, Batch, Stamped, now_ns};
use crate::wire::{Message, Start, sdp};

const BETWEEN_CALLS_NS: u64 = 100_000_000;
/// The key is pressed so long after the first sound.
const KEY_AFTER_NS: u64 = 700_000_000;
/// A call that did not get so far by then has failed.
const GIVE_UP_NS: u64 = 3_000_000_000;
const OPERATORS: usize = 40;
const EVENTS: u8 = 101;

/// What the callers do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    ListenAndPress,
    TalkToOperator,
}

/// One call, and when what happened; 0: not yet.
struct Call {
    media: UdpSocket,
    port: u16,
    invited_ns: u64,
    answered_ns: u64,
    first_rtp_ns: u64,
    key_ns: u64,
    reached_ns: u64,
    server: SocketAddrV4,
    to: String,
    contact: String,
    /// Packets of the key that were sent.
    key_packets: u16,
    is_over: bool,
}

pub fn latency(run: &Run) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("latency");
    let calls = run.latency.as_secs() as usize * 10;
    let server = Server::start(|folder| hire(folder, OPERATORS))?;
    let ears = Arc::new(Ears::open(false)?);
    let desks = Desks::open(OPERATORS, Arc::clone(&ears), None)?;
    std::thread::sleep(Duration::from_secs(1));
    let listening = Callers::new(Plan::ListenAndPress)?.call(calls)?;
    let talking = Callers::new(Plan::TalkToOperator)?.call(calls)?;
    let operators = desks.seen().answered_ns;
    drop(server);

    let since = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
    let mut times: [Samples; 4] = Default::default();
    for call in &listening {
        if call.answered_ns > 0 {
            times[0].add_ms(since(call.invited_ns, call.answered_ns));
        }
        if call.first_rtp_ns > 0 {
            times[1].add_ms(since(call.invited_ns, call.first_rtp_ns));
        }
        if call.reached_ns > 0 {
            times[2].add_ms(since(call.key_ns, call.reached_ns));
        }
    }
    for (number, call) in talking.iter().enumerate() {
        let picked_up = operators.get(&caller_number(number));
        if let (Some(&picked_up), true) = (picked_up, call.reached_ns > 0) {
            times[3].add_ms(since(picked_up, call.reached_ns));
        }
    }
    report(&mut outcome, &times, calls, run.floor.echo_ms);
    Ok(outcome)
}

fn report(outcome: &mut Outcome, times: &[Samples; 4], calls: usize, echo_ms: f64) {
    let names = [
        ("INVITE → 200", Goal::AtMost(1.0)),
        ("INVITE → first RTP, silent caller", Goal::AtMost(3.0)),
        ("key → prompt cut", Goal::Open),
        ("operator's 200 → caller hears the operator", Goal::Open),
    ];
    for ((what, goal), times) in names.into_iter().zip(times) {
        let at = |share| times.quantile_ms(share);
        println!(
            "  {what}: p50 {:.2} p90 {:.2} p99 {:.2} ms, {} of {calls}",
            at(0.5),
            at(0.9),
            at(0.99),
            times.count()
        );
        if times.count() < calls {
            outcome.remark(format!("{} of {calls} calls got no {what}", calls - times.count()));
        }
        let figure = Figure::new(format!("latency: {what}, p50"), at(0.5), "ms", goal);
        outcome.figures.push(figure.over(echo_ms));
        outcome.points.push(json!({
            "what": what,
            "calls": times.count(),
            "p50_ms": at(0.5),
            "p90_ms": at(0.9),
            "p99_ms": at(0.99),
        }));
    }
}

/// Numbers of callers, so that operators' phones know them apart.
fn caller_number(call: usize) -> u64 {
    79_160_000_000 + call as u64
}

struct Callers {
    plan: Plan,
    socket: UdpSocket,
    port: u16,
    after_key: u8,
    calls: Vec<Call>,
}

impl Callers {
    fn new(plan: Plan) -> anyhow::Result<Self> {
        let socket = stamped::bind(SocketAddrV4::new(RIG, 0))?;
        let port = socket.local_addr()?.port();
        let after_key = Prompt::encode([AFTER_KEY_SAMPLE].into_iter()).bytes(Codec::Pcma)[0];
        Ok(Self { plan, socket, port, after_key, calls: Vec::new() })
    }

    /// Calls at their times, until all are over.
    fn call(mut self, count: usize) -> anyhow::Result<Vec<Call>> {
        let mut batch = Batch::<2_048>::new();
        let began = now_ns();
        loop {
            let now = now_ns();
            if self.calls.len() < count && now >= began + self.calls.len() as u64 * BETWEEN_CALLS_NS
            {
                self.invite()?;
            }
            batch.receive(&self.socket)?;
            batch.iter().for_each(|came| self.take_sip(came));
            for number in 0..self.calls.len() {
                if !self.calls[number].is_over {
                    batch.receive(&self.calls[number].media)?;
                    batch.iter().for_each(|came| self.take_rtp(number, came));
                    self.go_on(number, now);
                }
            }
            if self.calls.len() == count && self.calls.iter().all(|call| call.is_over) {
                return Ok(self.calls);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn head(&self, method: &str, uri: &str, number: usize, to: &str) -> String {
        let (port, caller) = (self.port, caller_number(number));
        let sequence = if method == "BYE" { 2 } else { 1 };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {RIG}:{port};branch=z9hG4bKc{caller}{method}\r\n\
             From: <sip:+{caller}@{RIG}>;tag=c{number}\r\nTo: {to}\r\nCall-ID: call-{number}-{port}@{RIG}\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:caller@{RIG}:{port}>\r\nMax-Forwards: 70\r\n"
        )
    }

    fn invite(&mut self) -> anyhow::Result<()> {
        let media = stamped::bind(SocketAddrV4::new(RIG, 0))?;
        let port = media.local_addr()?.port();
        let dialled = match self.plan {
            Plan::ListenAndPress => "100",
            Plan::TalkToOperator => "300",
        };
        let (uri, body) = (format!("sip:{dialled}@{SIP}"), sdp(port));
        let head = self.head("INVITE", &uri, self.calls.len(), &format!("<{uri}>"));
        let length = body.len();
        let text = format!(
            "{head}Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let invited_ns = now_ns();
        self.socket.send_to(text.as_bytes(), SIP)?;
        self.calls.push(Call {
            media,
            port,
            invited_ns,
            answered_ns: 0,
            first_rtp_ns: 0,
            key_ns: 0,
            reached_ns: 0,
            server: SIP,
            to: String::new(),
            contact: String::new(),
            key_packets: 0,
            is_over: false,
        });
        Ok(())
    }

    fn take_sip(&mut self, came: Stamped<'_>) {
        let Some(message) = Message::read(came.bytes) else { return };
        let number = message.header("Call-ID").strip_prefix("call-");
        let number = number.and_then(|text| text.split('-').next()?.parse::<usize>().ok());
        let Some(number) = number.filter(|&number| number < self.calls.len()) else { return };
        match message.start() {
            Start::Response(200) if message.header("CSeq").ends_with("INVITE") => {
                let call = &mut self.calls[number];
                if call.answered_ns == 0 {
                    call.answered_ns = came.at_ns;
                    call.to = message.header("To").to_owned();
                    call.contact = message.contact().to_owned();
                    call.server = SocketAddrV4::new(SERVER, message.media_port().unwrap_or(0));
                }
                self.send_in_dialog("ACK", number);
            }
            Start::Request(_) => {
                let _ = self.socket.send_to(message.respond("200 OK", "", "", "").as_bytes(), SIP);
            }
            Start::Response(_) => {}
        }
    }

    fn send_in_dialog(&self, method: &str, number: usize) {
        let Call { contact, to, .. } = &self.calls[number];
        let text = self.head(method, contact, number, to) + "Content-Length: 0\r\n\r\n";
        let _ = self.socket.send_to(text.as_bytes(), SIP);
    }

    fn take_rtp(&mut self, number: usize, came: Stamped<'_>) {
        let Some(payload) = came.bytes.get(12..).filter(|payload| payload.len() == 160) else {
            return;
        };
        let call = &mut self.calls[number];
        if call.first_rtp_ns == 0 {
            call.first_rtp_ns = came.at_ns;
        }
        let (awaited, may_come) = match self.plan {
            Plan::ListenAndPress => (self.after_key, call.key_ns > 0),
            Plan::TalkToOperator => (SPEECH, true),
        };
        // The packet in which the prompt ends may be mixed: its last bytes are what follows.
        if may_come && call.reached_ns == 0 && payload[120..].iter().all(|&byte| byte == awaited) {
            call.reached_ns = came.at_ns;
        }
    }

    /// What is due: the key, its packets, the end.
    fn go_on(&mut self, number: usize, now: u64) {
        let call = &mut self.calls[number];
        if self.plan == Plan::ListenAndPress && call.first_rtp_ns > 0 && call.reached_ns == 0 {
            let due = call.first_rtp_ns
                + KEY_AFTER_NS
                // Keys fall anywhere into the server's frame.
                + number as u64 % 20 * 1_000_000
                + u64::from(call.key_packets) * 20_000_000;
            if now >= due && call.key_packets < 8 {
                press(call);
            }
        }
        let call = &self.calls[number];
        if call.reached_ns > 0 || now > call.invited_ns + GIVE_UP_NS {
            self.calls[number].is_over = true;
            self.send_in_dialog("BYE", number);
        }
    }
}

/// The next packet of key 1 (RFC 4733): five that grow, then three that say it is over.
fn press(call: &mut Call) {
    let number = call.key_packets;
    let is_end = number >= 5;
    let mut packet = [0_u8; 16];
    packet[0] = 0x80;
    packet[1] = EVENTS | if number == 0 { 0x80 } else { 0 };
    packet[2..4].copy_from_slice(&(number + 1).to_be_bytes());
    packet[4..8].copy_from_slice(&8_000_u32.to_be_bytes());
    packet[8..12].copy_from_slice(&u32::from(call.port).to_be_bytes());
    packet[12] = 1;
    packet[13] = 10 | if is_end { 0x80 } else { 0 };
    packet[14..].copy_from_slice(&((number.min(5) + 1) * 160).to_be_bytes());
    call.key_packets += 1;
    if call.key_ns == 0 {
        call.key_ns = now_ns();
    }
    let _ = call.media.send_to(&packet, call.server);
}
