//! RTP and RTCP.

use crate::media::dtmf::event::EventReceiver;
use crate::media::packet::{HEADER_BYTES, Incoming, OutgoingHeader, is_rtcp};
use crate::media::rtcp;

/// One datagram as each of what may come to an RTP port.
pub(super) fn datagram(input: &[u8]) {
    let read = Incoming::parse(input);
    assert!(read.is_none() || !is_rtcp(input), "both RTP and RTCP");
    if let Some(packet) = read {
        assert!(packet.payload.len() <= input.len() - HEADER_BYTES);
        assert!(packet.payload_type < 128);
        let header = OutgoingHeader::new(packet.payload_type, packet.ssrc);
        let header = header.bytes(packet.marker, packet.sequence, packet.timestamp);
        let written = [&header[..], packet.payload].concat();
        // RFC 5761 §4: payload types 64 to 95 with a marker look like RTCP; none such is sent.
        assert!(is_rtcp(&written) || Incoming::parse(&written) == Some(packet));
        let mut keys = EventReceiver::default();
        let first = keys.receive(packet.marker, packet.timestamp, packet.payload);
        let again = keys.receive(packet.marker, packet.timestamp, packet.payload);
        assert!(again.is_none(), "one press is two keys: {first:?}");
    }
    if rtcp::read(input).is_some() {
        assert!(is_rtcp(input) && input.len().is_multiple_of(4));
    }
}
