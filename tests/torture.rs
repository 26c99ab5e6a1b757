//! The messages of RFC 4475 and RFC 5118, sent to a running stack over UDP and TCP, IPv4 and IPv6.
//! `tests/torture/*/manifest.tsv` says for each which answers are right.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use allo::config::Transport;
use allo::domain::LocalMedia;
use allo::sip::message::frame::{Frame, frame};
use allo::sip::{
    Limits, RefuseStatus, SipCommand, SipEvent, SipHandle, SipSettings, SipStack, StartError,
};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

#[path = "torture/messages.rs"]
mod messages;

use messages::{Case, Dice, cases, damaged, names};

/// So long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a stack on these addresses, for UDP and TCP, whose app answers number 100 and knows no
/// other.
async fn start(addresses: &[&str]) -> Result<SipStack, StartError> {
    let listen = addresses
        .iter()
        .flat_map(|address| ["udp", "tcp"].map(|transport| format!("{transport}:{address}")))
        .map(|listen| listen.parse().unwrap());
    let settings = SipSettings {
        listen: listen.collect(),
        limits: Limits { half_message_ms: 400, ..Limits::default() },
        ..SipSettings::default()
    };
    let (sender, events) = mpsc::channel(64);
    let stack = SipStack::start(settings, sender).await?;
    tokio::spawn(app(stack.handle(), events));
    Ok(stack)
}

/// The same on IPv4 alone; gives the addresses of UDP and of TCP, too.
async fn start_ipv4() -> (SipStack, SocketAddr, SocketAddr) {
    let stack = start(&["127.0.0.1:0"]).await.unwrap();
    let [udp, tcp] = stack.bound() else { panic!("two listeners") };
    let (udp, tcp) = (udp.address, tcp.address);
    (stack, udp, tcp)
}

async fn app(handle: SipHandle, mut events: mpsc::Receiver<SipEvent>) {
    while let Some(event) = events.recv().await {
        if let SipEvent::Offered(offer) = event {
            let leg = offer.leg;
            let media = LocalMedia { ip: IpAddr::from([127, 0, 0, 1]), rtp_port: 20_000 };
            let command = match offer.dialled.as_str() {
                "100" => SipCommand::Answer { leg, media },
                _ => SipCommand::Refuse { leg, status: RefuseStatus::UnknownNumber },
            };
            handle.send(command).await.unwrap();
        }
    }
}

fn options(transport: &str, from: SocketAddr, number: usize) -> String {
    format!(
        "OPTIONS sip:100@test SIP/2.0\r\nVia: SIP/2.0/{transport} {from};branch=z9hG4bK-o{number}\r\n\
         From: <sip:probe@test>;tag=p\r\nTo: <sip:100@test>\r\nCall-ID: probe-{number}@{from}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// What came back. It is read without the stack's own parser, as the answer to a broken request
/// repeats what was broken.
#[derive(Debug, PartialEq)]
struct Answer {
    code: u16,
    headers: Vec<(String, String)>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let code =
            lines.next().and_then(|line| line.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok());
        let headers = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { code: code.unwrap_or_else(|| panic!("not a answer: {text}")), headers }
    }

    fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    fn is_final(&self) -> bool {
        self.code >= 200
    }

    fn is_probe(&self) -> bool {
        self.header("Call-ID").is_some_and(|call_id| call_id.starts_with("probe-"))
    }

    fn method(&self) -> &str {
        self.header("CSeq").and_then(|cseq| cseq.split(' ').nth(1)).unwrap_or("")
    }
}

fn check(case: &Case, answer: &Answer) {
    let code = answer.code;
    assert!(names(&case.accept, code), "{}: {code}, accepted are {}", case.name, case.accept);
    assert!(!names(&case.never, code), "{}: {code}", case.name);
    let demanded = match code {
        405 | 501 => Some("Allow"),
        415 | 406 => Some("Accept"),
        420 => Some("Unsupported"),
        503 => Some("Retry-After"),
        _ => None,
    };
    if let Some(header) = demanded {
        assert!(answer.header(header).is_some(), "{}: {code} without {header}", case.name);
    }
    if case.name == "bext01" {
        let unsupported = answer.header("Unsupported").unwrap();
        assert_eq!(unsupported, "nothingSupportsThis, nothingSupportsThisEither");
    }
}

struct Udp {
    socket: UdpSocket,
    probes: usize,
}

impl Udp {
    async fn connect(to: SocketAddr) -> Self {
        let any = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).await.unwrap();
        socket.connect(to).await.unwrap();
        Self { socket, probes: 0 }
    }

    async fn receive(&self) -> Answer {
        let mut buffer = vec![0; 65_536];
        let received = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        let length = received.expect("an answer in time").unwrap();
        Answer::read(&buffer[..length])
    }

    /// Asks for a sign of life; gives all other answers that came before it.
    async fn probe(&mut self) -> Vec<Answer> {
        self.probes += 1;
        let from = self.socket.local_addr().unwrap();
        self.socket.send(options("UDP", from, self.probes).as_bytes()).await.unwrap();
        let mut others = Vec::new();
        loop {
            let answer = self.receive().await;
            if answer.is_probe() {
                assert_eq!(answer.code, 200);
                return others;
            }
            others.push(answer);
        }
    }
}

/// The same answer may come again: the caller of a torture message sends no ACK.
fn is_answer_to(case: &Case, answer: &Answer) -> bool {
    let sent = String::from_utf8_lossy(&case.bytes);
    answer.header("Call-ID").is_none_or(|call_id| sent.contains(call_id))
}

async fn each_message_over_udp(to: SocketAddr) {
    for case in cases().unwrap() {
        // A socket of its own, so that repetitions of older answers don't come between.
        let mut udp = Udp::connect(to).await;
        udp.socket.send(&case.bytes).await.unwrap();
        if case.accept == "none" {
            assert_eq!(udp.probe().await, [], "{}", case.name);
            continue;
        }
        let answer = loop {
            let answer = udp.receive().await;
            assert!(is_answer_to(&case, &answer), "{}", case.name);
            if answer.is_final() {
                break answer;
            }
        };
        check(&case, &answer);
        for answer in udp.probe().await {
            // dblreq: what follows the body in a datagram is nothing.
            assert!(is_answer_to(&case, &answer), "{}", case.name);
            assert!(case.name != "dblreq" || answer.method() == "REGISTER");
        }
    }
}

struct Tcp {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Tcp {
    async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    /// `None`: the stack closed the connection.
    async fn receive(&mut self) -> Option<Answer> {
        loop {
            match frame(&self.buffer, 65_536) {
                Frame::Message { length } => {
                    return Some(Answer::read(&self.buffer.split_to(length)));
                }
                Frame::Pong { length } | Frame::Ping { length } => self.buffer.advance(length),
                Frame::Partial { .. } => {
                    let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
                    // A reset is a close too: we may have sent more than was read.
                    if read.expect("bytes or a close in time").unwrap_or(0) == 0 {
                        return None;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn receive_final(&mut self) -> Option<Answer> {
        loop {
            let answer = self.receive().await?;
            if answer.is_final() {
                return Some(answer);
            }
        }
    }

    async fn probe(&mut self, number: usize) -> Option<Answer> {
        let from = self.stream.local_addr().unwrap();
        self.stream.write_all(options("TCP", from, number).as_bytes()).await.ok()?;
        self.receive().await
    }
}

async fn each_message_over_tcp(to: SocketAddr) {
    for (number, case) in cases().unwrap().into_iter().enumerate() {
        let mut tcp = Tcp::connect(to).await;
        tcp.stream.write_all(&case.bytes).await.unwrap();
        match case.tcp.as_str() {
            "none" => {
                let answer = tcp.probe(number).await.expect("the connection stays");
                assert!(answer.is_probe(), "{}: {answer:?}", case.name);
            }
            "wait, then close (no reply)" => {
                assert_eq!(tcp.receive().await, None, "{}", case.name);
            }
            "both messages are answered" => {
                for method in ["REGISTER", "INVITE"] {
                    let answer = tcp
                        .receive_final()
                        .await
                        .unwrap_or_else(|| panic!("{}: no answer", case.name));
                    assert_eq!(answer.method(), method);
                }
            }
            "400 then close" => {
                check(
                    &case,
                    &tcp.receive_final()
                        .await
                        .unwrap_or_else(|| panic!("{}: no answer", case.name)),
                );
                assert_eq!(tcp.receive().await, None, "{}", case.name);
            }
            _ => check(
                &case,
                &tcp.receive_final().await.unwrap_or_else(|| panic!("{}: no answer", case.name)),
            ),
        }
        let mut other = Tcp::connect(to).await;
        let answer = other.probe(1000 + number).await.expect("a new connection is served");
        assert_eq!(answer.code, 200, "after {}", case.name);
    }
}

/// All of them to one server: the same message by another way has an answer of its own.
#[tokio::test]
async fn each_torture_message_gets_a_right_answer_by_each_way() {
    let stack = match start(&["127.0.0.1:0", "[::1]:0"]).await {
        Err(StartError::Listen { listen, why }) if listen.address.is_ipv6() => {
            println!("skipped over IPv6: this machine has none ({why})");
            start(&["127.0.0.1:0"]).await
        }
        started => started,
    };
    let stack = stack.unwrap();
    for listen in stack.bound() {
        match listen.transport {
            Transport::Udp => each_message_over_udp(listen.address).await,
            Transport::Tcp => each_message_over_tcp(listen.address).await,
            Transport::Tls => panic!("no TLS was asked for"),
        }
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn thousands_of_damaged_messages_are_survived() {
    let (stack, udp, tcp) = start_ipv4().await;
    let mut udp = Udp::connect(udp).await;
    let seed = 0x5EED_CA11;
    println!("seed {seed:#x}");
    let mut dice = Dice(seed);
    let cases = cases().unwrap();
    for round in 0..3_000 {
        let bytes = damaged(&cases, &mut dice);
        udp.socket.send(&bytes).await.unwrap();
        if round % 50 == 0 {
            udp.probe().await;
        }
    }
    udp.probe().await;
    for number in 0..150 {
        let bytes = damaged(&cases, &mut dice);
        let mut connection = Tcp::connect(tcp).await;
        let _ = connection.stream.write_all(&bytes).await;
        if number % 25 == 0 {
            let mut other = Tcp::connect(tcp).await;
            assert!(other.probe(number).await.is_some());
        }
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let (stack, address, _) = start_ipv4().await;
    let settings = SipSettings {
        listen: vec![format!("udp:{address}").parse().unwrap()],
        ..SipSettings::default()
    };
    let (sender, _events) = mpsc::channel(1);
    let error = SipStack::start(settings, sender).await.unwrap_err();
    let told =
        format!("udp:{address}: address already in use; stop what uses it, or change [sip] listen");
    assert_eq!(error.to_string(), told);
    stack.shutdown().await;
}
