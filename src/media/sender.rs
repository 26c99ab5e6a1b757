//! The stream that we send: one run of sequence numbers and timestamps (RFC 3550 §5.1), whatever
//! the packets carry: recordings, silence, or what another leg says. Pure.

use super::clock::Clock;
use super::packet::{HEADER_BYTES, OutgoingHeader};
use super::playlist::SAMPLES_PER_MS;
use super::rtcp::SentFigures;

#[derive(Debug)]
pub(super) struct Sender {
    pub ssrc: u32,
    header: OutgoingHeader,
    /// Of the next packet.
    sequence: u16,
    timestamp: u32,
    /// The next packet begins a talkspurt (RFC 3551 §4.1).
    marker: bool,
    pub packets: u64,
    bytes: u64,
    /// When the last audio was sent and how many samples it had.
    last: Option<(u64, u32)>,
    /// Packets as of the last report: whether we are a sender (RFC 3550 §6.4).
    packets_reported: u64,
}

impl Sender {
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            header: OutgoingHeader::new(0, ssrc),
            sequence,
            timestamp,
            marker: true,
            packets: 0,
            bytes: 0,
            last: None,
            packets_reported: 0,
        }
    }

    /// The payload type of audio from now on.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        self.header = OutgoingHeader::new(payload_type, self.ssrc);
    }

    /// The next audio packet begins a talkspurt.
    pub fn begin_talkspurt(&mut self) {
        self.marker = true;
    }

    /// The numbers of the next packet.
    pub fn next(&self) -> (u16, u32) {
        (self.sequence, self.timestamp)
    }

    /// After a time in which nothing was sent, or with another source of audio: a talkspurt begins,
    /// and the timestamp goes on with the clock.
    pub fn resume(&mut self, now_us: u64) {
        self.marker = true;
        if let Some((at_us, samples)) = self.last {
            let passed = (now_us.saturating_sub(at_us) * SAMPLES_PER_MS / 1000) as u32;
            let skipped = passed.saturating_sub(samples);
            self.timestamp = self.timestamp.wrapping_add(skipped);
            self.last = Some((now_us, samples - samples.min(passed)));
        }
    }

    /// The header of the next packet, of so many samples.
    pub fn next_header(&mut self, samples: u32, now_us: u64) -> [u8; HEADER_BYTES] {
        let (sequence, timestamp) = self.next();
        self.audio_header(false, sequence, timestamp, samples, now_us)
    }

    /// The header of a packet of audio whose numbers are known. The stream goes on behind it,
    /// unless it is older than what was sent already.
    pub fn audio_header(
        &mut self,
        marker: bool,
        sequence: u16,
        timestamp: u32,
        samples: u32,
        now_us: u64,
    ) -> [u8; HEADER_BYTES] {
        let header = self.header.bytes(marker || self.marker, sequence, timestamp);
        if self.move_on(sequence) {
            self.marker = false;
            self.timestamp = timestamp.wrapping_add(samples);
            self.last = Some((now_us, samples));
        }
        header
    }

    /// The header of a telephone event (RFC 4733 §2.2): all packets of one have the timestamp of
    /// its beginning, so the audio's does not move.
    pub fn event_header(
        &mut self,
        payload_type: u8,
        marker: bool,
        sequence: u16,
        timestamp: u32,
    ) -> [u8; HEADER_BYTES] {
        self.move_on(sequence);
        OutgoingHeader::new(payload_type, self.ssrc).bytes(marker, sequence, timestamp)
    }

    /// Counts what the system took.
    pub fn sent(&mut self, payload_bytes: usize) {
        self.packets += 1;
        self.bytes += payload_bytes as u64;
    }

    /// What a sender report says, if anything was sent since the last one.
    pub fn figures(&mut self, clock: &Clock, now_us: u64) -> Option<SentFigures> {
        if self.packets == self.packets_reported {
            return None;
        }
        self.packets_reported = self.packets;
        let (at_us, samples) = self.last?;
        let passed = (now_us.saturating_sub(at_us) * SAMPLES_PER_MS / 1000) as u32;
        Some(SentFigures {
            ntp: clock.ntp(now_us),
            timestamp: self.timestamp.wrapping_sub(samples).wrapping_add(passed),
            packets: self.packets,
            bytes: self.bytes,
        })
    }

    /// Whether the packet is the newest; then the next one follows it.
    fn move_on(&mut self, sequence: u16) -> bool {
        let is_newest = sequence.wrapping_sub(self.sequence) < 1 << 15;
        if is_newest {
            self.sequence = sequence.wrapping_add(1);
        }
        is_newest
    }
}
