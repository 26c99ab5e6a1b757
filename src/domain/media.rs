//! What signalling and media agree on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// G.711, the codec that every phone has (ITU-T G.711, RFC 3551 §4.5.14). 8,000 samples a second,
/// one byte a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Codec {
    /// A-law, static payload type 8.
    Pcma,
    /// µ-law, static payload type 0.
    Pcmu,
}

impl Codec {
    pub const ALL: [Self; 2] = [Self::Pcma, Self::Pcmu];

    /// The encoding name of SDP's `rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// The static payload type (RFC 3551 §6).
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }

    /// The byte that codes silence.
    pub fn silence(self) -> u8 {
        match self {
            Self::Pcma => 0xD5,
            Self::Pcmu => 0xFF,
        }
    }
}

/// A key of the telephone keypad: `0`–`9`, `*`, `#`, `A`–`D`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "char", into = "char")]
pub struct Key(u8);

impl Key {
    /// In the order of the event codes of RFC 4733 §3.2, table 3.
    const IN_EVENT_ORDER: &'static [u8; 16] = b"0123456789*#ABCD";

    /// The key of this event code (0–15).
    pub fn from_event(code: u8) -> Option<Self> {
        Self::IN_EVENT_ORDER.get(usize::from(code)).copied().map(Self)
    }

    /// The event code of RFC 4733.
    pub fn event(self) -> u8 {
        let position = Self::IN_EVENT_ORDER.iter().position(|&key| key == self.0);
        u8::try_from(position.unwrap_or(0)).unwrap_or(0)
    }

    pub fn as_char(self) -> char {
        char::from(self.0)
    }
}

impl TryFrom<char> for Key {
    type Error = String;

    fn try_from(c: char) -> Result<Self, String> {
        u8::try_from(c)
            .ok()
            .map(|byte| byte.to_ascii_uppercase())
            .filter(|byte| Self::IN_EVENT_ORDER.contains(byte))
            .map(Self)
            .ok_or_else(|| format!("'{c}' is not a key; keys are 0-9, *, #, A-D"))
    }
}

impl From<Key> for char {
    fn from(key: Key) -> Self {
        key.as_char()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

/// Which way audio flows, seen from us (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// Where a leg's media is received on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The bound address; may be unspecified (0.0.0.0, ::).
    pub ip: IpAddr,
    /// Even; RTCP is received on the next port unless it is multiplexed.
    pub rtp_port: u16,
}

/// The payload types of telephone-event (RFC 4733), one for each direction: each side names the
/// number that it wants to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    pub send: u8,
    pub receive: u8,
}

/// What offer and answer agreed on for the one audio stream of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSession {
    pub codec: Codec,
    /// Payload type that the peer wants to receive for `codec`.
    pub send_payload_type: u8,
    /// Payload type that we named for `codec`.
    pub receive_payload_type: u8,
    /// `None`: keys come as tones in the audio.
    pub telephone_event: Option<EventPayload>,
    /// Milliseconds of audio in a packet that we send: 10, 20, 30, 40 or 60; 20 unless asked for.
    pub ptime_ms: u16,
    /// Where the peer said that it receives RTP. Port 0 or an unspecified address: nowhere.
    pub remote_rtp: SocketAddr,
    pub remote_rtcp: SocketAddr,
    /// RTCP shares the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    pub direction: Direction,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_survives_its_event_code() {
        for c in "0123456789*#ABCD".chars() {
            let key = Key::try_from(c).unwrap();
            assert_eq!(Key::from_event(key.event()), Some(key));
        }
        assert_eq!(Key::from_event(16), None); // flash
        assert!(Key::try_from('ж').is_err());
    }
}
