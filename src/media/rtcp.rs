//! RTCP: reports of ours, and what is read of the peer's (RFC 3550 §6).

use bytes::Bytes;
use rtcp::goodbye::Goodbye;
use rtcp::packet::Packet;
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use rtcp::source_description::{
    SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
};

use super::reception::ReceptionFigures;

/// The least interval between reports (§6.2), before it is made random.
const INTERVAL_US: f64 = 5_000_000.0;
/// Timer reconsideration makes intervals longer than meant; this takes it back (§6.3.1).
const COMPENSATION: f64 = std::f64::consts::E - 1.5;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
/// SR, RR, SDES, BYE, APP, RTPFB, PSFB, XR.
const PACKET_TYPES: std::ops::RangeInclusive<u8> = 200..=207;

/// Microseconds until the next report. `dice` is random in 0…1; the first report comes after half
/// the interval.
pub(super) fn interval_us(dice: f64, first: bool) -> u64 {
    let interval = if first { INTERVAL_US / 2.0 } else { INTERVAL_US };
    (interval * (0.5 + dice.clamp(0.0, 1.0)) / COMPENSATION) as u64
}

/// What we say of our own stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentFigures {
    /// NTP time of now, and the RTP timestamp of the same moment.
    pub ntp: u64,
    pub timestamp: u32,
    pub packets: u64,
    pub bytes: u64,
}

/// What we say of the peer's stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeardFigures {
    pub reception: ReceptionFigures,
    /// The middle 32 bits of the peer's last SR and the age of that SR in 1/65536 s; zeros if none.
    pub last_report: u32,
    pub since_last_report: u32,
}

/// A compound packet: SR (if we sent) or RR, our name, and BYE at the end.
pub(super) fn compound(
    ssrc: u32,
    name: &str,
    sent: Option<SentFigures>,
    heard: Option<HeardFigures>,
    goodbye: bool,
) -> Bytes {
    let reports = heard.map(report_block).into_iter().collect();
    let report: Box<dyn Packet + Send + Sync> = match sent {
        Some(sent) => Box::new(SenderReport {
            ssrc,
            ntp_time: sent.ntp,
            rtp_time: sent.timestamp,
            // The counters wrap (§6.4.1).
            packet_count: sent.packets as u32,
            octet_count: sent.bytes as u32,
            reports,
            profile_extensions: Bytes::new(),
        }),
        None => Box::new(ReceiverReport { ssrc, reports, profile_extensions: Bytes::new() }),
    };
    let name = SourceDescriptionItem {
        sdes_type: SdesType::SdesCname,
        text: Bytes::copy_from_slice(name.as_bytes()),
    };
    let mut packets = vec![
        report,
        Box::new(SourceDescription {
            chunks: vec![SourceDescriptionChunk { source: ssrc, items: vec![name] }],
        }),
    ];
    if goodbye {
        packets.push(Box::new(Goodbye { sources: vec![ssrc], reason: Bytes::new() }));
    }
    rtcp::packet::marshal(&packets).unwrap_or_default()
}

fn report_block(heard: HeardFigures) -> ReceptionReport {
    const LOST_MAX: u64 = 0x7F_FFFF; // 24 bits, signed
    ReceptionReport {
        ssrc: heard.reception.ssrc,
        fraction_lost: heard.reception.fraction_lost,
        total_lost: heard.reception.lost.min(LOST_MAX) as u32,
        last_sequence_number: heard.reception.highest_sequence,
        jitter: heard.reception.jitter,
        last_sender_report: heard.last_report,
        delay: heard.since_last_report,
    }
}

/// What is used of the peer's compound packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The NTP time of its sender report.
    pub sender_report_ntp: Option<u64>,
    /// Whose report it is.
    pub ssrc: Option<u32>,
}

/// Reads a compound packet; `None` if it is none: its parts must fill the datagram exactly
/// (§A.2). The reader of the `rtcp` crate is not shown what strangers send: it allocates for each
/// part.
pub(crate) fn read(datagram: &[u8]) -> Option<Heard> {
    let mut heard = Heard::default();
    let mut rest = datagram;
    loop {
        let (&[first, packet_type, high, low], body) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([high, low])) * 4;
        if first >> 6 != 2 || !PACKET_TYPES.contains(&packet_type) {
            return None;
        }
        let (body, after) = body.split_at_checked(length)?;
        if matches!(packet_type, SENDER_REPORT | RECEIVER_REPORT) {
            heard.ssrc = Some(u32::from_be_bytes(*body.first_chunk::<4>()?));
        }
        if packet_type == SENDER_REPORT {
            let ntp = body.get(4..12)?.first_chunk::<8>()?;
            heard.sender_report_ntp = Some(u64::from_be_bytes(*ntp));
        }
        if after.is_empty() {
            return Some(heard);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(goodbye: bool) -> Bytes {
        let sent =
            SentFigures { ntp: 0x0123_4567_89AB_CDEF, timestamp: 160, packets: 2, bytes: 320 };
        let reception = ReceptionFigures {
            ssrc: 7,
            fraction_lost: 64,
            lost: u64::MAX,
            highest_sequence: 0x1_0002,
            jitter: 12,
        };
        let heard = HeardFigures { reception, last_report: 5, since_last_report: 6 };
        compound(9, "name", Some(sent), Some(heard), goodbye)
    }

    #[test]
    fn our_reports_can_be_read_by_the_crate_and_by_us() {
        let bytes = sample(true);
        let packets = rtcp::packet::unmarshal(&mut bytes.clone()).unwrap();
        let report = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
        assert_eq!((report.packet_count, report.octet_count, report.rtp_time), (2, 320, 160));
        assert_eq!(report.reports[0].total_lost, 0x7F_FFFF);
        assert!(packets[1].as_any().is::<SourceDescription>());
        assert_eq!(packets[2].as_any().downcast_ref::<Goodbye>().unwrap().sources, [9]);
        assert_eq!(
            read(&bytes),
            Some(Heard { sender_report_ntp: Some(0x0123_4567_89AB_CDEF), ssrc: Some(9) })
        );
    }

    #[test]
    fn a_silent_leg_sends_receiver_reports() {
        let bytes = compound(9, "name", None, None, false);
        assert_eq!(bytes[1], 201);
        assert_eq!(read(&bytes), Some(Heard { sender_report_ntp: None, ssrc: Some(9) }));
    }

    #[test]
    fn torn_reports_are_no_reports() {
        let bytes = sample(false);
        for length in 0..bytes.len() {
            // Cut between two parts it is a shorter report, which is as good.
            if length != 52 {
                assert_eq!(read(&bytes[..length]), None, "{length}");
            }
        }
        assert_eq!(read(b"\x80\xC8\x00\x01abcd"), None); // SR too short for its time
    }

    #[test]
    fn reports_come_every_five_seconds_or_so() {
        assert_eq!(interval_us(0.0, false) / 1000, 2052);
        assert_eq!(interval_us(1.0, false) / 1000, 6156);
        assert!(interval_us(1.0, true) < 3_100_000);
    }

    proptest! {
        #[test]
        fn no_bytes_can_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
        }
    }
}
