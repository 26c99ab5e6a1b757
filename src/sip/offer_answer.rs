//! Offer and answer for the one audio stream of a leg.

use std::net::{IpAddr, SocketAddr};

use crate::domain::{Codec, Direction, LocalMedia, MediaSession};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("no common codec")]
    NoCommonCodec,
    #[error("malformed SDP: {0}")]
    Malformed(String),
}

/// Our side of the SDP of one leg.
#[derive(Debug)]
pub struct LocalDescription {
    ip: IpAddr,
    port: u16,
    session_id: u64,
    version: u64,
}

impl LocalDescription {
    pub fn new(ip: IpAddr, media: LocalMedia, session_id: u64) -> Self {
        Self { ip, port: media.rtp_port, session_id, version: 1 }
    }

    pub fn answer(&mut self, offer: &[u8]) -> Result<(Vec<u8>, MediaSession), Refusal> {
        let session = read(offer)?;
        self.version += 1;
        let direction = match session.direction {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        };
        Ok((self.write(session.send_payload_type, direction), session))
    }

    pub fn offer(&mut self) -> Vec<u8> {
        self.write(8, "sendrecv")
    }

    pub fn accept_answer(&mut self, answer: &[u8]) -> Result<MediaSession, Refusal> {
        read(answer)
    }

    fn write(&self, payload_type: u8, direction: &str) -> Vec<u8> {
        let kind = if self.ip.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- {} {} IN {kind} {ip}\r\ns=-\r\nc=IN {kind} {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP {payload_type}\r\na={direction}\r\n",
            self.session_id,
            self.version,
            self.port,
            ip = self.ip
        )
        .into_bytes()
    }
}

pub fn check_offer(offer: &[u8]) -> Result<(), Refusal> {
    read(offer).map(|_| ())
}

fn read(sdp: &[u8]) -> Result<MediaSession, Refusal> {
    let text = String::from_utf8_lossy(sdp);
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    if line("v=0").is_none() {
        return Err(Refusal::Malformed("no v=0".into()));
    }
    let media = line("m=audio ").ok_or(Refusal::NoCommonCodec)?;
    let mut words = media.split_ascii_whitespace();
    let port = words.next().and_then(|p| p.parse().ok()).unwrap_or(0);
    let types: Vec<u8> = words.skip(1).filter_map(|t| t.parse().ok()).collect();
    let codec = if types.contains(&8) {
        Codec::Pcma
    } else if types.contains(&0) {
        Codec::Pcmu
    } else {
        return Err(Refusal::NoCommonCodec);
    };
    let ip: IpAddr = line("c=IN IP4 ")
        .or_else(|| line("c=IN IP6 "))
        .and_then(|ip| ip.trim().parse().ok())
        .unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let direction = if line("a=sendonly").is_some() {
        Direction::RecvOnly
    } else if line("a=inactive").is_some() {
        Direction::Inactive
    } else {
        Direction::SendRecv
    };
    let payload_type = codec.static_payload_type();
    Ok(MediaSession {
        codec,
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        telephone_event: None,
        ptime_ms: 20,
        remote_rtp: SocketAddr::new(ip, port),
        remote_rtcp: SocketAddr::new(ip, port.wrapping_add(1)),
        rtcp_mux: false,
        direction,
    })
}
