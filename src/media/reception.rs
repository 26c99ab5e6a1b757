//! What the stream from the peer looks like: loss (RFC 3550 §A.1, §A.3) and jitter (§A.8). Pure.

/// A larger step forward in sequence numbers is a restart of the sender (§A.1).
const DROPOUT_MAX: u16 = 3_000;
/// A packet so much too late is still of the same run (§A.1).
pub(super) const MISORDER_MAX: u16 = 100;

/// How a packet relates to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The first of a source, or of a sender that started anew.
    Restart,
    /// It follows the newest, after a gap of so many packets.
    Next { lost: u16 },
    /// Older than the newest, or a repetition of it.
    Late,
    /// A leap that a second packet has yet to confirm; not counted.
    Leap,
}

/// The run of sequence numbers of one source.
#[derive(Debug, Clone, Copy)]
struct Run {
    ssrc: u32,
    first: u64,
    /// With the cycles above the lower 16 bits.
    newest: u64,
    /// The sequence number that would confirm a leap.
    leap_next: Option<u16>,
}

#[derive(Debug, Default)]
pub(super) struct Reception {
    run: Option<Run>,
    received: u64,
    /// Packets expected in the runs before.
    expected_before: u64,
    /// As of the report before (§A.3).
    reported: (u64, u64),
    /// Arrival minus timestamp of the audio packet before, in samples.
    transit: Option<u32>,
    /// In samples.
    jitter: f32,
}

/// The figures of a report block (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ReceptionFigures {
    pub ssrc: u32,
    pub fraction_lost: u8,
    pub lost: u64,
    pub highest_sequence: u32,
    pub jitter: u32,
}

impl Reception {
    /// Counts a packet.
    pub fn on_packet(&mut self, ssrc: u32, sequence: u16) -> Order {
        let Some(run) = self.run.as_mut().filter(|run| run.ssrc == ssrc) else {
            return self.restart(ssrc, sequence);
        };
        let newest = (run.newest & 0xFFFF) as u16;
        let step = sequence.wrapping_sub(newest);
        let order = if step == 0 || step > u16::MAX - MISORDER_MAX {
            Order::Late
        } else if step < DROPOUT_MAX {
            run.newest += u64::from(step);
            run.leap_next = None;
            Order::Next { lost: step - 1 }
        } else if run.leap_next == Some(sequence) {
            return self.restart(ssrc, sequence);
        } else {
            run.leap_next = Some(sequence.wrapping_add(1));
            return Order::Leap;
        };
        self.received += 1;
        order
    }

    /// Takes the arrival of an audio packet into the jitter. Not for telephone events: their
    /// packets share a timestamp.
    pub fn on_audio(&mut self, timestamp: u32, arrival_us: u64) {
        // Samples since the engine's start; only differences count, so it may wrap.
        let arrival = (arrival_us * 8 / 1000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A leap of the sender's clock is no jitter.
            if difference < 8 * 10_000 {
                self.jitter += (difference as f32 - self.jitter) / 16.0;
            }
        }
    }

    pub fn received(&self) -> u64 {
        self.received
    }

    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    pub fn jitter_ms(&self) -> f32 {
        self.jitter / 8.0
    }

    /// The figures since the last report, which begin anew. `None` before the first packet.
    pub fn report(&mut self) -> Option<ReceptionFigures> {
        let run = self.run?;
        let (expected, received) = (self.expected(), self.received);
        let expected_since = expected - self.reported.0;
        let lost_since = expected_since.saturating_sub(received - self.reported.1);
        self.reported = (expected, received);
        let fraction = (lost_since << 8).checked_div(expected_since).unwrap_or(0);
        Some(ReceptionFigures {
            ssrc: run.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: self.lost(),
            highest_sequence: run.newest as u32,
            jitter: self.jitter as u32,
        })
    }

    fn expected(&self) -> u64 {
        self.expected_before + self.run.map_or(0, |run| run.newest - run.first + 1)
    }

    fn restart(&mut self, ssrc: u32, sequence: u16) -> Order {
        self.expected_before = self.expected();
        let first = u64::from(sequence);
        self.run = Some(Run { ssrc, first, newest: first, leap_next: None });
        self.received += 1;
        self.transit = None;
        Order::Restart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(reception: &mut Reception, sequences: impl IntoIterator<Item = u16>) {
        for sequence in sequences {
            reception.on_packet(1, sequence);
        }
    }

    #[test]
    fn lost_packets_are_those_that_never_came() {
        let mut reception = Reception::default();
        receive(&mut reception, (65_530..=65_535).chain([0, 1, 3, 2, 6]));
        // 65530 … 6 are 13 numbers; 4 and 5 did not come.
        assert_eq!((reception.received(), reception.lost()), (11, 2));
    }

    #[test]
    fn repeated_packets_never_make_the_loss_negative() {
        let mut reception = Reception::default();
        receive(&mut reception, [1, 1, 1, 2]);
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn order_is_told_for_each_packet() {
        let mut reception = Reception::default();
        assert_eq!(reception.on_packet(1, 10), Order::Restart);
        assert_eq!(reception.on_packet(1, 11), Order::Next { lost: 0 });
        assert_eq!(reception.on_packet(1, 14), Order::Next { lost: 2 });
        assert_eq!(reception.on_packet(1, 13), Order::Late);
        assert_eq!(reception.on_packet(1, 14), Order::Late);
        assert_eq!(reception.on_packet(1, 40_000), Order::Leap);
        assert_eq!(reception.on_packet(1, 15), Order::Next { lost: 0 });
        assert_eq!(reception.on_packet(1, 40_000), Order::Leap);
        assert_eq!(reception.on_packet(1, 40_001), Order::Restart);
        assert_eq!(reception.on_packet(2, 7), Order::Restart);
    }

    #[test]
    fn the_fraction_lost_is_of_the_time_since_the_last_report() {
        let mut reception = Reception::default();
        assert_eq!(reception.report(), None);
        receive(&mut reception, 0..100);
        assert_eq!(reception.report().unwrap().fraction_lost, 0);
        receive(&mut reception, (100..200).filter(|n| n % 4 != 1));
        let report = reception.report().unwrap();
        assert_eq!((report.fraction_lost, report.lost), (64, 25));
        assert_eq!(report.highest_sequence, 199);
        assert_eq!(reception.report().unwrap().fraction_lost, 0);
    }

    #[test]
    fn jitter_follows_the_formula_of_the_standard() {
        let mut reception = Reception::default();
        receive(&mut reception, [1]);
        // 20 ms apart, but the third is 16 ms late: |D| = 128 samples, then 128 back.
        for (timestamp, arrival_us) in [(0, 0), (160, 20_000), (320, 56_000), (480, 60_000)] {
            reception.on_audio(timestamp, arrival_us);
        }
        let expected = 8.0 + (128.0 - 8.0) / 16.0;
        assert!((reception.jitter_ms() - expected / 8.0).abs() < 1e-4);
    }
}
