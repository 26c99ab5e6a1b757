//! A phone whose every packet the test writes: its SIP is as plain as can be, its RTP goes from and to
//! sockets that the test may change, hand over or leave silent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use allo::domain::Codec;
use allo::media::packet::{Incoming, OutgoingHeader};
use allo::media::{dtmf, g711};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::house::SOON;
use crate::support::key;

/// The payload types that the phone offers: A-law and keys.
pub const AUDIO: u8 = 8;
pub const KEYS: u8 = 101;
pub const FRAME_MS: u64 = 20;
const FRAME: u32 = 160;

/// A call that was answered.
pub struct RawCall {
    sip: Arc<UdpSocket>,
    server: SocketAddr,
    number: String,
    from: String,
    call_id: String,
    to_tag: String,
    cseq: u32,
    answers: mpsc::Receiver<String>,
    /// Nothing of SIP arrives.
    deaf: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    reader: JoinHandle<()>,
    /// Where the server wants our audio.
    pub media: SocketAddr,
}

impl RawCall {
    /// Dials, and waits for the answer. `rtp` is the address that the SDP names.
    pub async fn dial(server: SocketAddr, from: &str, number: &str, rtp: SocketAddr) -> Self {
        let mut call = Self::begin(server, from, number).await;
        let answer = call.invite(rtp, "").await;
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        call
    }

    /// Somebody who has no call, and may ask for something all the same.
    pub async fn outside(server: SocketAddr, from: &str, number: &str) -> Self {
        Self::begin(server, from, number).await
    }

    async fn begin(server: SocketAddr, from: &str, number: &str) -> Self {
        let sip = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let (sender, answers) = mpsc::channel(64);
        let (deaf, ended) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let reader = Reader { sip: sip.clone(), sender, deaf: deaf.clone(), ended: ended.clone() };
        Self {
            call_id: format!("raw-{}", sip.local_addr().unwrap().port()),
            sip,
            server,
            number: number.to_owned(),
            from: from.to_owned(),
            to_tag: String::new(),
            cseq: 0,
            answers,
            deaf,
            ended,
            reader: tokio::spawn(reader.run()),
            media: server,
        }
    }

    /// An INVITE, inside the call if there is one, and the ACK of its answer.
    pub async fn invite(&mut self, rtp: SocketAddr, headers: &str) -> String {
        let sdp = format!(
            "v=0\r\no=raw 1 {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP {AUDIO} {KEYS}\r\na=rtpmap:{KEYS} telephone-event/8000\r\n",
            self.cseq + 1,
            rtp.port(),
            ip = rtp.ip(),
        );
        let more = format!("Content-Type: application/sdp\r\nAllow: OPTIONS\r\n{headers}");
        self.send("INVITE", &more, &sdp).await;
        let answer = self.answer().await;
        if let Some((_, tag)) = header(&answer, "To").split_once(";tag=") {
            self.to_tag = tag.to_owned();
        }
        self.send("ACK", "", "").await;
        let port = answer.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next());
        if let Some(port) = port.and_then(|port| port.parse().ok()) {
            self.media = SocketAddr::new(self.server.ip(), port);
        }
        answer
    }

    /// A request inside the call, and its final answer.
    pub async fn request(&mut self, method: &str, headers: &str) -> String {
        self.send(method, headers, "").await;
        self.answer().await
    }

    /// Loses all SIP that comes, or does not any more.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Relaxed);
    }

    /// Whether the server hung up.
    pub fn was_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub async fn hang_up(mut self) {
        let answer = self.request("BYE", "").await;
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    }

    async fn send(&mut self, method: &str, headers: &str, body: &str) {
        if method != "ACK" {
            self.cseq += 1;
        }
        let local = self.sip.local_addr().unwrap();
        let tag = if self.to_tag.is_empty() { "" } else { ";tag=" };
        let Self { server, number, from, call_id, to_tag, cseq, .. } = &*self;
        let message = format!(
            "{method} sip:{number}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK-{call_id}-{cseq}-{method}\r\n\
             From: <sip:{from}@{local}>;tag=raw\r\nTo: <sip:{number}@{server}>{tag}{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:raw@{local}>\r\n\
             Max-Forwards: 70\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sip.send_to(message.as_bytes(), server).await.unwrap();
    }

    async fn answer(&mut self) -> String {
        let wanted = format!("{} ", self.cseq);
        loop {
            let answer = timeout(SOON, self.answers.recv()).await.expect("the server answers");
            let answer = answer.expect("the phone listens");
            let is_final = !answer.starts_with("SIP/2.0 1");
            if is_final && header(&answer, "CSeq").starts_with(&wanted) {
                return answer;
            }
        }
    }
}

impl Drop for RawCall {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Takes the answers, and answers what the server asks inside the call.
struct Reader {
    sip: Arc<UdpSocket>,
    sender: mpsc::Sender<String>,
    deaf: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Reader {
    async fn run(self) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = self.sip.recv_from(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if self.deaf.load(Ordering::Relaxed) {
                continue;
            }
            if text.starts_with("SIP/2.0") {
                let _nobody_waits = self.sender.send(text).await;
                continue;
            }
            self.ended.fetch_or(text.starts_with("BYE"), Ordering::Relaxed);
            let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
            let copied = copied.map(|name| format!("{name}: {}\r\n", header(&text, name)));
            let answer = format!("SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n", copied.concat());
            let _lost = self.sip.send_to(answer.as_bytes(), from).await;
        }
    }
}

/// The first header of this name; empty if there is none.
pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let mut lines = message.split("\r\n");
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_default()
}

/// A stream of RTP, packet by packet.
#[derive(Clone, Debug)]
pub struct Stream {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub hz: u32,
}

impl Stream {
    pub fn new(ssrc: u32, hz: u32) -> Self {
        Self { ssrc, sequence: 65_500, timestamp: u32::MAX - 8_000, hz }
    }

    /// The next 20 ms of the tone.
    pub fn frame(&mut self) -> Vec<u8> {
        let tone = |n: u32| {
            let sample = u64::from(self.timestamp) + u64::from(n);
            let turn = (sample * u64::from(self.hz) % 8_000) as f32 / 8_000.0;
            g711::encode(Codec::Pcma, (8_000.0 * (turn * std::f32::consts::TAU).sin()) as i16)
        };
        let audio: Vec<u8> = (0..FRAME).map(tone).collect();
        let packet = self.packet(AUDIO, false, self.timestamp, &audio);
        self.skip();
        packet
    }

    /// A frame of time in which nothing is said.
    pub fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(FRAME);
    }

    /// The packets of one press, and after how many ms each is due.
    pub fn press(&mut self, c: char) -> Vec<(u32, Vec<u8>)> {
        let timestamp = self.timestamp;
        let packets = dtmf::event_packets(key(c), 100, 20);
        let packets = packets.iter().map(|event| {
            (event.after_ms, self.packet(KEYS, event.marker, timestamp, &event.payload))
        });
        packets.collect()
    }

    fn packet(&mut self, kind: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let header = OutgoingHeader::new(kind, self.ssrc).bytes(marker, self.sequence, timestamp);
        self.sequence = self.sequence.wrapping_add(1);
        [&header[..], payload].concat()
    }
}

/// What a phone says: a tone, with keys in between, at the pace of speech.
pub struct Voice {
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    pub stream: Stream,
}

impl Voice {
    pub fn new(socket: Arc<UdpSocket>, to: SocketAddr, stream: Stream) -> Self {
        Self { socket, to, stream }
    }

    /// Speaks for so long; the first frame comes when its time is over.
    pub async fn speak(&mut self, length: Duration) {
        let frame = Duration::from_millis(FRAME_MS);
        let mut ticks = interval_at(Instant::now() + frame, frame);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for _ in 0..length.as_millis() as u64 / FRAME_MS {
            ticks.tick().await;
            let packet = self.stream.frame();
            self.send(&packet).await;
        }
    }

    /// Presses a key for 100 ms; the tone stands still meanwhile.
    pub async fn press(&mut self, c: char) {
        let began = Instant::now();
        let packets = self.stream.press(c);
        for (after_ms, packet) in packets {
            tokio::time::sleep_until(began + Duration::from_millis(after_ms.into())).await;
            self.send(&packet).await;
            self.stream.skip();
        }
    }

    pub async fn send(&self, packet: &[u8]) {
        // What the system does not take is lost like any packet.
        let _ = self.socket.send_to(packet, self.to).await;
    }
}

/// One packet of audio as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Instant,
    pub audio: Vec<u8>,
}

/// What arrives at a socket. Everything is kept.
pub struct Ear {
    heard: Arc<std::sync::Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Ear {
    /// Only packets from `from` may come.
    pub fn open(socket: Arc<UdpSocket>, from: SocketAddr) -> Self {
        let heard = Arc::<std::sync::Mutex<Vec<Heard>>>::default();
        let sink = heard.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, source)) = socket.recv_from(&mut buffer).await {
                let at = Instant::now();
                if let Some(packet) = Incoming::parse(&buffer[..length]).filter(|_| source == from)
                {
                    let audio = packet.payload.to_vec();
                    sink.lock().unwrap().push(Heard { at, audio });
                }
            }
        });
        Self { heard, task }
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The longest time without a packet since then.
    pub fn longest_gap(&self, since: Instant) -> Duration {
        let times = self.heard().into_iter().map(|heard| heard.at).filter(|at| *at >= since);
        let times: Vec<Instant> =
            [since].into_iter().chain(times).chain([Instant::now()]).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// The newest samples.
    pub fn newest(&self, length: Duration) -> Vec<i16> {
        let frames = (length.as_millis() as u64 / FRAME_MS) as usize;
        let heard = self.heard();
        let newest = &heard[heard.len().saturating_sub(frames)..];
        let decode = |&code: &u8| g711::decode(Codec::Pcma, code);
        newest.iter().flat_map(|heard| heard.audio.iter().map(decode)).collect()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket on any port of this address.
pub async fn socket(ip: &str) -> Arc<UdpSocket> {
    let ip: IpAddr = ip.parse().unwrap();
    Arc::new(UdpSocket::bind((ip, 0)).await.unwrap())
}

pub fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}
