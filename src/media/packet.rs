//! RTP packets as they come and go (RFC 3550 §5.1).

use rtp::header::Header;
use webrtc_util::marshal::{Marshal, Unmarshal};

/// The fixed part of the header: no contributing sources, no extension.
pub const HEADER_BYTES: usize = 12;

/// The second byte of RTCP packets lies in this range; no RTP payload type with its marker bit does
/// in practice (RFC 5761 §4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// What a packet that came says, and its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Without contributing sources, extension and padding. May be empty.
    pub payload: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// Reads a datagram; `None` for what is no RTP: another version, torn, or RTCP.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (&fixed, rest) = datagram.split_first_chunk::<HEADER_BYTES>()?;
        if is_rtcp(datagram) {
            return None;
        }
        let (sources, extended, padded) =
            (fixed[0] & 0x0F, fixed[0] & 0x10 != 0, fixed[0] & 0x20 != 0);
        // The `rtp` crate reads the fixed part. It is shown no more: reading a torn one-byte
        // extension (RFC 8285), version 0.17 would panic, and nothing of an extension is used.
        let plain = [fixed[0] & 0xC0];
        let header = Header::unmarshal(&mut bytes::Buf::chain(&plain[..], &fixed[1..])).ok()?;
        if header.version != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(sources) * 4..)?;
        if extended {
            let (&[_, _, high, low], after) = payload.split_first_chunk::<4>()?;
            payload = after.get(usize::from(u16::from_be_bytes([high, low])) * 4..)?;
        }
        if padded {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            marker: header.marker,
            payload_type: header.payload_type,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            payload,
        })
    }
}

/// Whether a datagram on a port shared by RTP and RTCP is for RTCP (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, second, ..] if first >> 6 == 2 && RTCP_TYPES.contains(second))
}

/// The header of a stream that we send: built once, patched for each packet.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingHeader([u8; HEADER_BYTES]);

impl OutgoingHeader {
    pub fn new(payload_type: u8, ssrc: u32) -> Self {
        let header = Header { version: 2, payload_type, ssrc, ..Header::default() };
        let mut bytes = [0; HEADER_BYTES];
        let written = header.marshal_to(&mut bytes);
        debug_assert_eq!(written.ok(), Some(HEADER_BYTES));
        Self(bytes)
    }

    /// The header of one packet.
    pub fn bytes(&self, marker: bool, sequence: u16, timestamp: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = self.0;
        bytes[1] |= u8::from(marker) << 7;
        bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = OutgoingHeader::new(8, 0xDEAD_BEEF).bytes(true, 7, 160).to_vec();
        bytes[0] |= first;
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn what_is_sent_can_be_read() {
        let sent = datagram(0, b"audio");
        let expected = Incoming {
            marker: true,
            payload_type: 8,
            sequence: 7,
            timestamp: 160,
            ssrc: 0xDEAD_BEEF,
            payload: b"audio",
        };
        assert_eq!(Incoming::parse(&sent), Some(expected));
    }

    #[test]
    fn sources_extensions_and_padding_are_left_out_of_the_payload() {
        let sent = datagram(0x31, b"csrc\xBE\xDE\x00\x01\x9Fxxxaudio\x00\x02");
        assert_eq!(Incoming::parse(&sent).unwrap().payload, b"audio");
    }

    #[test]
    fn torn_packets_are_no_packets() {
        assert_eq!(Incoming::parse(&[]), None);
        assert_eq!(Incoming::parse(&datagram(0, b"")[..11]), None);
        assert_eq!(Incoming::parse(&datagram(0x02, b"csrc")), None);
        assert_eq!(Incoming::parse(&datagram(0x10, b"\xBE\xDE\x00\x02xxxx")), None);
        assert_eq!(Incoming::parse(&datagram(0x20, b"abc\x09")), None);
        assert_eq!(Incoming::parse(&datagram(0x20, b"")), None);
    }

    #[test]
    fn stun_dtls_and_rtcp_are_no_rtp() {
        assert_eq!(Incoming::parse(b"\x00\x01\x00\x00\x21\x12\xA4\x42abcdefghijkl"), None);
        assert_eq!(Incoming::parse(b"\x16\xFE\xFDabcdefghijklmnopq"), None);
        let rtcp = b"\x80\xC9\x00\x01abcdefgh";
        assert_eq!(Incoming::parse(rtcp), None);
        assert!(is_rtcp(rtcp));
    }

    proptest! {
        #[test]
        fn no_bytes_can_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(packet) = Incoming::parse(&bytes) {
                prop_assert!(packet.payload.len() <= bytes.len() - HEADER_BYTES);
            }
        }
    }
}
