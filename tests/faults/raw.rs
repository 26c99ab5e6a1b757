//! A phone without manners: it asks and looks at the answer, and that is all.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;
use uuid::Uuid;

/// Longer than a server may think.
const PATIENCE: Duration = Duration::from_secs(8);

/// A final answer to an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u32>,
}

impl Answer {
    /// 503 with the time after which it may be tried again (RFC 3261 §21.5.4).
    pub fn is_overload(self) -> bool {
        self.status == 503 && self.retry_after.is_some_and(|seconds| seconds > 0)
    }
}

/// Sends an INVITE from a port of its own, and acknowledges a refusal.
pub async fn invite(server: SocketAddr, number: &str) -> Answer {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    let (me, unique) = (socket.local_addr().unwrap(), Uuid::now_v7().simple());
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {} RTP/AVP 8\r\n",
        me.port()
    );
    let head = |method: &str, to_tag: &str| {
        format!(
            "{method} sip:{number}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {me};branch=z9hG4bK{unique}\r\nMax-Forwards: 70\r\n\
             From: <sip:+79160009988@{me}>;tag={unique}\r\nTo: <sip:{number}@{server}>{to_tag}\r\n\
             Call-ID: {unique}\r\nCSeq: 1 {method}\r\nContact: <sip:{me}>\r\n"
        )
    };
    let body =
        format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    let invite = head("INVITE", "") + &body;
    let mut buffer = [0; 4_096];
    for _ in 0..4 {
        socket.send(invite.as_bytes()).await.unwrap();
        while let Ok(Ok(length)) = timeout(PATIENCE / 4, socket.recv(&mut buffer)).await {
            let response = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status: u16 = response.split(' ').nth(1).unwrap().parse().unwrap();
            if status >= 200 {
                let field = |name: &str| {
                    let line =
                        response.lines().find(|line| line.to_lowercase().starts_with(name))?;
                    Some(line[name.len()..].trim().to_owned())
                };
                let tag = field("to:").and_then(|to| Some(to.rsplit_once(";tag=")?.1.to_owned()));
                let tag = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
                let ack = head("ACK", &tag) + "Content-Length: 0\r\n\r\n";
                socket.send(ack.as_bytes()).await.unwrap();
                let retry_after = field("retry-after:").and_then(|text| text.parse().ok());
                return Answer { status, retry_after };
            }
        }
    }
    panic!("no final answer to an INVITE within {PATIENCE:?}");
}
