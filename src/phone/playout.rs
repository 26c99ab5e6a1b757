//! What arrives on the RTP port, as a listener's ear gets it: samples placed by their RTP
//! timestamps, and figures about the packets by the time at which they arrived.

use std::time::Duration;

use serde::Serialize;

use super::rtp::Packet;
use crate::domain::Codec;
use crate::media::g711;

/// Most audio that is kept; what comes later is counted but not heard.
const HEARD_MAX: Duration = Duration::from_secs(30 * 60);
/// Samples in a second.
const RATE: usize = 8000;
/// Packets this far behind the newest are strays, not latecomers.
const LATE_MAX: i16 = 3000;

/// What was heard so far.
#[derive(Clone, Debug, Default)]
pub struct Playout {
    samples: Vec<i16>,
    arrivals: Vec<Arrival>,
    stream: Option<Stream>,
    refused: u64,
    repeated: u64,
    reordered: u64,
    expected_before: u64,
}

/// One audio packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Since the INVITE.
    pub at: Duration,
    /// Where its first sample lies in [`Playout::samples`].
    pub offset: usize,
    pub samples: usize,
}

/// The numbers of one SSRC.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    first_sequence: i64,
    /// Highest sequence number seen, counted on over 65,535.
    highest_sequence: i64,
    /// RTP timestamp of the sample `base` of the playout.
    first_timestamp: u32,
    base: usize,
}

/// The stream in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReceiveReport {
    /// From the INVITE to the first packet.
    pub first_packet_ms: Option<f64>,
    pub packets: u64,
    pub lost: u64,
    pub repeated: u64,
    pub reordered: u64,
    /// No RTP, or of a payload type that was not agreed.
    pub refused: u64,
    /// Longest time between two packets.
    pub longest_gap_ms: f64,
    /// When that began, since the INVITE.
    pub longest_gap_at_ms: f64,
}

impl Playout {
    /// Takes a datagram that arrived `at` after the INVITE. `codec_of` knows the agreed payload
    /// types. Returns whether it was audio.
    pub fn receive(
        &mut self,
        at: Duration,
        datagram: &[u8],
        codec_of: impl Fn(u8) -> Option<Codec>,
    ) -> bool {
        let packet = Packet::read(datagram);
        let Some((packet, codec)) = packet.and_then(|p| Some((p, codec_of(p.payload_type)?)))
        else {
            self.refused += 1;
            return false;
        };
        let Some(offset) = self.place(at, &packet) else { return true };
        self.write(offset, codec, packet.payload);
        self.arrivals.push(Arrival { at, offset, samples: packet.payload.len() });
        true
    }

    /// Everything heard, 8 kHz, from the first packet on; what was not sent or was lost is 0.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// In order of arrival.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// When the packet with this sample arrived, since the INVITE.
    pub fn arrival_of(&self, sample: usize) -> Option<Duration> {
        let holds = |a: &&Arrival| (a.offset..a.offset + a.samples).contains(&sample);
        self.arrivals.iter().find(holds).map(|arrival| arrival.at)
    }

    pub fn report(&self) -> ReceiveReport {
        let mut report = ReceiveReport {
            first_packet_ms: self.arrivals.first().map(|first| ms(first.at)),
            packets: self.arrivals.len() as u64 + self.repeated,
            repeated: self.repeated,
            reordered: self.reordered,
            refused: self.refused,
            ..ReceiveReport::default()
        };
        let expected = self.expected_before + self.stream.map_or(0, |stream| stream.expected());
        report.lost = expected.saturating_sub(self.arrivals.len() as u64);
        for pair in self.arrivals.windows(2) {
            let gap_ms = ms(pair[1].at.saturating_sub(pair[0].at));
            if gap_ms > report.longest_gap_ms {
                report.longest_gap_ms = gap_ms;
                report.longest_gap_at_ms = ms(pair[0].at);
            }
        }
        report
    }

    /// Where the packet's samples belong; `None` for a repeated packet, or beyond the limits.
    fn place(&mut self, at: Duration, packet: &Packet) -> Option<usize> {
        match &mut self.stream {
            Some(stream) if stream.ssrc == packet.ssrc => {
                let behind = (stream.highest_sequence as u16).wrapping_sub(packet.sequence) as i16;
                if behind > LATE_MAX {
                    self.refused += 1;
                    return None;
                }
                let is_late = behind >= 0;
                stream.highest_sequence =
                    stream.highest_sequence.max(stream.highest_sequence - i64::from(behind));
                let ahead = packet.timestamp.wrapping_sub(stream.first_timestamp) as i32;
                let offset = stream.base.checked_add_signed(ahead as isize)?;
                if is_late {
                    if self.arrivals.iter().rev().take(500).any(|seen| seen.offset == offset) {
                        self.repeated += 1;
                        return None;
                    }
                    self.reordered += 1;
                }
                Some(offset).filter(|offset| *offset < limit())
            }
            Some(_) | None => Some(self.start_stream(at, packet)).filter(|base| *base < limit()),
        }
    }

    /// A new SSRC goes on where the clock says, not where the old one ended.
    fn start_stream(&mut self, at: Duration, packet: &Packet) -> usize {
        let base = match self.arrivals.first() {
            Some(first) => {
                let since_first = at.saturating_sub(first.at);
                self.samples.len().max((since_first.as_secs_f64() * RATE as f64) as usize)
            }
            None => 0,
        };
        self.expected_before += self.stream.map_or(0, |stream| stream.expected());
        self.stream = Some(Stream {
            ssrc: packet.ssrc,
            first_sequence: i64::from(packet.sequence),
            highest_sequence: i64::from(packet.sequence),
            first_timestamp: packet.timestamp,
            base,
        });
        base
    }

    fn write(&mut self, offset: usize, codec: Codec, payload: &[u8]) {
        let end = offset + payload.len();
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        for (sample, byte) in self.samples[offset..end].iter_mut().zip(payload) {
            *sample = g711::decode(codec, *byte);
        }
    }
}

impl Stream {
    fn expected(&self) -> u64 {
        u64::try_from(self.highest_sequence - self.first_sequence + 1).unwrap_or(0)
    }
}

fn limit() -> usize {
    usize::try_from(HEARD_MAX.as_secs()).unwrap_or(usize::MAX / RATE) * RATE
}

/// Milliseconds with their fraction.
pub(super) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line {
        playout: Playout,
    }

    impl Line {
        fn packet(&mut self, at_ms: u64, sequence: u16, timestamp: u32, fill: u8) {
            let payload = [fill; 160];
            let packet = Packet {
                payload_type: 8,
                marker: false,
                sequence,
                timestamp,
                ssrc: 1,
                payload: &payload,
            };
            let known = |payload_type| (payload_type == 8).then_some(Codec::Pcma);
            self.playout.receive(Duration::from_millis(at_ms), &packet.write(), known);
        }
    }

    const LOUD: u8 = 0xAA;

    fn loud() -> i16 {
        g711::decode(Codec::Pcma, LOUD)
    }

    #[test]
    fn audio_lies_where_its_timestamp_says_not_when_it_came() {
        let mut line = Line { playout: Playout::default() };
        line.packet(100, 65_534, u32::MAX - 159, 0xD5);
        line.packet(145, 0, 160, LOUD); // the third overtakes the second
        line.packet(146, 65_535, 0, 0xD5);
        line.packet(200, 2, 480, LOUD); // one is lost
        line.packet(201, 2, 480, LOUD); // one comes twice
        let samples = line.playout.samples();
        assert_eq!(samples.len(), 5 * 160);
        assert_eq!(samples[320], loud());
        assert_eq!(samples[480], 0);
        assert_eq!(samples[640], loud());
        let report = line.playout.report();
        assert_eq!(report.first_packet_ms, Some(100.0));
        assert_eq!((report.packets, report.lost), (5, 1));
        assert_eq!((report.repeated, report.reordered), (1, 1));
        assert_eq!((report.longest_gap_ms, report.longest_gap_at_ms), (54.0, 146.0));
        assert_eq!(line.playout.arrival_of(330), Some(Duration::from_millis(145)));
    }

    #[test]
    fn absurd_packets_cost_nothing() {
        let mut line = Line { playout: Playout::default() };
        line.packet(0, 1, 1000, LOUD);
        line.packet(20, 2, 1000 + 0x7000_0000, LOUD); // days ahead
        line.packet(20, 3, 0, LOUD); // before the beginning
        let no_rtp = line.playout.receive(Duration::ZERO, b"hello", |_| Some(Codec::Pcma));
        assert!(!no_rtp);
        assert_eq!(line.playout.samples().len(), 160);
        assert_eq!(line.playout.report().refused, 1);
    }
}
