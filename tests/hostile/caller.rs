//! A phone whose every byte the test writes.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// An answer comes within this, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket of its own at an address of this machine.
pub fn socket(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

/// The next datagram, if one comes within this time.
pub fn receive(socket: &UdpSocket, within: Duration) -> Option<Vec<u8>> {
    let until = Instant::now() + within;
    let mut buffer = vec![0; 65_536];
    while Instant::now() < until {
        if let Ok((length, _)) = socket.recv_from(&mut buffer) {
            buffer.truncate(length);
            return Some(buffer);
        }
    }
    None
}

/// Sends a request; gives the status of its final answer, found by its CSeq.
pub fn ask(socket: &UdpSocket, to: SocketAddr, request: &[u8]) -> (u16, String) {
    let cseq = header(&String::from_utf8_lossy(request), "CSeq").expect("a CSeq");
    socket.send_to(request, to).unwrap();
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let Some(answer) = receive(socket, PATIENCE) else { break };
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let code = answer.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        if let Some(code) = code.filter(|code| *code >= 200)
            && header(&answer, "CSeq").as_deref() == Some(&cseq)
        {
            return (code, answer);
        }
    }
    panic!("no answer to {}", String::from_utf8_lossy(request));
}

pub fn header(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

/// The ids by which a request belongs to a call.
#[derive(Clone, Debug)]
pub struct Ids {
    pub call_id: Vec<u8>,
    /// The value of From, with its tag.
    pub from: Vec<u8>,
    /// The value of To; once the call is answered with its tag.
    pub to: String,
}

/// A call.
pub struct Caller {
    pub sip: UdpSocket,
    pub rtp: UdpSocket,
    pub server: SocketAddr,
    pub ids: Ids,
    pub cseq: u32,
}

impl Caller {
    /// Calls a number. `from` is the value of From without its tag, `extra` more headers.
    pub fn dial(server: SocketAddr, number: &str, from: &[u8], extra: &[u8]) -> (Self, u16) {
        let (sip, rtp) = (socket("127.0.0.1"), socket("127.0.0.1"));
        let local = sip.local_addr().unwrap();
        let ids = Ids {
            call_id: format!("call-{local}").into_bytes(),
            from: [from, b";tag=theirs"].concat(),
            to: format!("<sip:{number}@{server}>"),
        };
        Self::dial_as(sip, rtp, server, number, ids, extra)
    }

    /// The same with ids of its own.
    pub fn dial_as(
        sip: UdpSocket,
        rtp: UdpSocket,
        server: SocketAddr,
        number: &str,
        ids: Ids,
        extra: &[u8],
    ) -> (Self, u16) {
        let mut caller = Self { sip, rtp, server, ids, cseq: 1 };
        let offer = offer(caller.rtp.local_addr().unwrap());
        let uri = format!("sip:{number}@{server}");
        let invite = request(&caller.sip, "INVITE", &uri, &caller.ids, 1, extra, &offer);
        let (code, answer) = ask(&caller.sip, server, &invite);
        caller.ids.to = header(&answer, "To").expect("a To");
        let ack = request(&caller.sip, "ACK", &uri, &caller.ids, 1, b"", "");
        caller.sip.send_to(&ack, server).unwrap();
        (caller, code)
    }

    /// Sends the next request of the call; gives the status of its answer.
    pub fn next(&mut self, method: &str, extra: &[u8], body: &str) -> u16 {
        self.cseq += 1;
        let uri = format!("sip:allo@{}", self.server);
        let request = request(&self.sip, method, &uri, &self.ids, self.cseq, extra, body);
        ask(&self.sip, self.server, &request).0
    }

    /// Hears at least half a second of audio from now on.
    pub fn hears(&self) -> bool {
        let mut stale = [0; 2_048];
        self.rtp.set_nonblocking(true).unwrap();
        while self.rtp.recv(&mut stale).is_ok() {}
        self.rtp.set_nonblocking(false).unwrap();
        (0..25).all(|_| receive(&self.rtp, Duration::from_secs(3)).is_some())
    }
}

pub fn offer(rtp: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        ip = rtp.ip(),
        port = rtp.port()
    )
}

/// A request as the socket's owner would write it.
pub fn request(
    socket: &UdpSocket,
    method: &str,
    uri: &str,
    ids: &Ids,
    cseq: u32,
    extra: &[u8],
    body: &str,
) -> Vec<u8> {
    let local = socket.local_addr().unwrap();
    // RFC 3261 §9.1: a CANCEL has the branch of its INVITE.
    let of = if method == "CANCEL" { "INVITE" } else { method };
    let branch = format!("z9hG4bK-{cseq}-{of}-{}", local.port());
    let kind = match method {
        "INFO" => "application/dtmf-relay",
        _ => "application/sdp",
    };
    let mut bytes = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={branch};rport\r\n\
         Max-Forwards: 70\r\nTo: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:x@{local}>\r\n",
        ids.to
    )
    .into_bytes();
    bytes.extend(
        [&b"From: "[..], &ids.from, b"\r\nCall-ID: ", &ids.call_id, b"\r\n", extra].concat(),
    );
    if !body.is_empty() {
        bytes.extend(format!("Content-Type: {kind}\r\n").bytes());
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).bytes());
    bytes
}
