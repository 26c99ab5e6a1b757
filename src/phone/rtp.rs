//! RTP packets as a phone sees them (RFC 3550 §5.1). The phone reads and writes them by itself, so
//! that a mistake of the media engine doesn't meet its own twin here.

const VERSION: u8 = 2;
const HEADER: usize = 12;

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// `None` if the bytes are no RTP packet.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        if header[0] >> 6 != VERSION {
            return None;
        }
        let mut rest = rest.get(usize::from(header[0] & 0x0F) * 4..)?;
        if header[0] & 0x10 != 0 {
            let words = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
            rest = rest.get(4 + usize::from(words) * 4..)?;
        }
        if header[0] & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            rest = rest.get(..rest.len().checked_sub(padding)?)?;
        }
        Some(Self {
            payload_type: header[1] & 0x7F,
            marker: header[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload: rest,
        })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.payload.len());
        bytes.push(VERSION << 6);
        bytes.push(self.payload_type | if self.marker { 0x80 } else { 0 });
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(self.payload);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_survives_the_wire() {
        let packet = Packet {
            payload_type: 101,
            marker: true,
            sequence: 65_535,
            timestamp: u32::MAX,
            ssrc: 7,
            payload: &[1, 2, 3],
        };
        assert_eq!(Packet::read(&packet.write()), Some(packet));
    }

    #[test]
    fn csrcs_extension_and_padding_are_skipped() {
        let mut bytes = vec![0x80 | 0x20 | 0x10 | 1, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([9; 4]); // one CSRC
        bytes.extend([0, 0, 0, 1, 9, 9, 9, 9]); // an extension of one word
        bytes.extend([0xD5, 0xD5, 0, 2]); // audio and two bytes of padding
        assert_eq!(Packet::read(&bytes).unwrap().payload, [0xD5, 0xD5]);
    }

    #[test]
    fn torn_packets_are_none() {
        for bytes in [&[][..], &[0x80; 11], &[0x40; 12], &[0x8F; 20], &[0x90; 12], &[0xA0; 12]] {
            assert_eq!(Packet::read(bytes), None, "{bytes:02x?}");
        }
        let too_much_padding = [0xA0, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 200];
        assert_eq!(Packet::read(&too_much_padding), None);
    }
}
