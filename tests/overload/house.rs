//! A SIP stack with an app that has its own pace, and callers who come at a rate.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use allo::domain::{EndReason, LocalMedia};
use allo::sip::{Limits, SipCommand, SipEvent, SipSettings, SipStack, Timing};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, timeout};

const SDP: &str = "v=0\r\no=p 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 9 RTP/AVP 8\r\n";

/// See the [module](self).
pub struct House {
    stack: SipStack,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    /// Calls that ended because their ACK never came.
    pub never_acknowledged: Arc<AtomicUsize>,
}

impl House {
    /// The app answers each call, and takes so long for it.
    pub async fn open(limits: Limits, timing: Timing, pace: Duration) -> Self {
        let listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"].map(|text| text.parse().unwrap());
        let settings = SipSettings { listen: listen.into(), limits, timing, ..Default::default() };
        let (sender, mut events) = mpsc::channel(8_192);
        let stack = SipStack::start(settings, sender).await.unwrap();
        let (udp, tcp) = (stack.bound()[0].address, stack.bound()[1].address);
        let never_acknowledged = Arc::<AtomicUsize>::default();
        let (handle, lost) = (stack.handle(), Arc::clone(&never_acknowledged));
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    SipEvent::Offered(offer) => {
                        sleep(pace).await;
                        let media = LocalMedia { ip: [127, 0, 0, 1].into(), rtp_port: 20_000 };
                        let answer = SipCommand::Answer { leg: offer.leg, media };
                        let _ = handle.send(answer).await;
                    }
                    SipEvent::Ended { reason: EndReason::NotAcknowledged, .. } => {
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                    _ => {}
                }
            }
        });
        Self { stack, udp, tcp, never_acknowledged }
    }

    pub async fn close(self) {
        self.stack.shutdown().await;
    }
}

/// A request of a new call, or of the call that it names.
pub fn request(method: &str, from: SocketAddr, call: &str, to: &str, body: &str) -> String {
    let number = if method == "BYE" { 2 } else { 1 };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {from};branch=z9hG4bK{call}{method};rport\r\n\
         From: <sip:caller@{from}>;tag=c\r\nTo: {to}\r\nCall-ID: {call}\r\n\
         CSeq: {number} {method}\r\nContact: <sip:caller@{from}>\r\nMax-Forwards: 70\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn invite(from: SocketAddr, call: &str) -> String {
    request("INVITE", from, call, "<sip:100@127.0.0.1>", SDP)
}

pub fn options(from: SocketAddr, call: &str) -> String {
    request("OPTIONS", from, call, "<sip:100@127.0.0.1>", "")
}

/// How long it takes until an OPTIONS is answered 200; fails after 5 s.
pub async fn options_answered(server: SocketAddr) -> Duration {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let from = socket.local_addr().unwrap();
    let begun = Instant::now();
    let mut buffer = [0; 4_096];
    for number in 0..10 {
        // Repeated like any request that gets lost.
        socket.send_to(options(from, &format!("o{number}")).as_bytes(), server).await.unwrap();
        let answer = timeout(Duration::from_millis(500), socket.recv_from(&mut buffer)).await;
        if let Ok(Ok((length, _))) = answer {
            assert!(buffer[..length].starts_with(b"SIP/2.0 200"));
            return begun.elapsed();
        }
    }
    panic!("no answer to OPTIONS");
}

/// What became of the calls of one source.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub placed: usize,
    pub answered: usize,
    pub refused: usize,
    /// Refused with anything else than 503 and Retry-After.
    pub refused_otherwise: usize,
    /// The longest time from an INVITE to its final answer.
    pub slowest: Duration,
    /// BYEs of ours that were answered 200.
    pub ended: usize,
}

impl Outcome {
    pub fn lost(&self) -> usize {
        self.placed - self.answered - self.refused
    }
}

/// Callers at one address.
pub struct Callers {
    socket: Arc<UdpSocket>,
    server: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    placed: BTreeMap<String, Instant>,
    outcome: Outcome,
}

impl Callers {
    /// `acknowledge`: calls are acknowledged and ended at once; else they are left as they are.
    pub async fn new(at: [u8; 4], server: SocketAddr, acknowledge: bool) -> Self {
        let socket = UdpSocket::bind((IpAddr::from(at), 0)).await.unwrap();
        let (socket, state) = (Arc::new(socket), Arc::<Mutex<State>>::default());
        let listening = (Arc::clone(&socket), Arc::clone(&state));
        tokio::spawn(async move {
            let (socket, state) = listening;
            let from = socket.local_addr().unwrap();
            let mut buffer = [0; 4_096];
            while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                for answer in state.lock().unwrap().heard(&text, from, acknowledge) {
                    let _ = socket.try_send_to(answer.as_bytes(), server);
                }
            }
        });
        Self { socket, server, state }
    }

    /// Places so many calls in each second, for so long; then waits for the last answers.
    pub async fn call(&self, per_second: u32, for_so_long: Duration) -> Outcome {
        const TICK_MS: u32 = 10;
        let from = self.socket.local_addr().unwrap();
        let begun = Instant::now();
        let mut ticks = interval(Duration::from_millis(TICK_MS.into()));
        let mut number = 0_u32;
        self.state.lock().unwrap().outcome = Outcome::default();
        while begun.elapsed() < for_so_long {
            ticks.tick().await;
            let due = begun.elapsed().as_millis() * u128::from(per_second) / 1_000;
            while u128::from(number) < due {
                number += 1;
                let call = format!("{}-{number}-{}", from.port(), begun.elapsed().as_nanos());
                self.state.lock().unwrap().place(&call);
                let text = invite(from, &call);
                self.socket.send_to(text.as_bytes(), self.server).await.unwrap();
            }
        }
        let patience = Instant::now() + Duration::from_secs(4);
        while self.outcome().lost() > 0 && Instant::now() < patience {
            sleep(Duration::from_millis(10)).await;
        }
        self.outcome()
    }

    pub fn outcome(&self) -> Outcome {
        self.state.lock().unwrap().outcome.clone()
    }
}

impl State {
    fn place(&mut self, call: &str) {
        self.placed.insert(call.to_owned(), Instant::now());
        self.outcome.placed += 1;
    }

    /// A message came; what is to be sent.
    fn heard(&mut self, text: &str, from: SocketAddr, acknowledge: bool) -> Vec<String> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let code: u16 = text.get(8..11).and_then(|code| code.parse().ok()).unwrap_or(0);
        let (Some(call), Some(to)) = (field("Call-ID: "), field("To: ")) else { return Vec::new() };
        let is_of_invite = field("CSeq: ").is_some_and(|cseq| cseq.ends_with("INVITE"));
        if code == 200 && !is_of_invite {
            self.outcome.ended += 1;
        }
        if code < 200 || !is_of_invite {
            return Vec::new();
        }
        let ack = request("ACK", from, call, to, "");
        if let Some(placed) = self.placed.remove(call) {
            self.outcome.slowest = self.outcome.slowest.max(placed.elapsed());
            match code {
                200 => self.outcome.answered += 1,
                _ => self.outcome.refused += 1,
            }
            let is_503 = code == 503 && field("Retry-After: ").is_some();
            self.outcome.refused_otherwise += usize::from(code != 200 && !is_503);
        }
        match code {
            200 if acknowledge => vec![ack, request("BYE", from, call, to, "")],
            200 => Vec::new(),
            // RFC 3261 §17.1.1.3: with the branch of its INVITE.
            _ => vec![ack.replace("ACK;rport", "INVITE;rport")],
        }
    }
}
