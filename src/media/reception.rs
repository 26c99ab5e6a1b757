//! What the stream from the peer looks like: loss (RFC 3550 §A.1, §A.3) and jitter (§A.8). Pure.
//!
//! One source is heard at a time. Another one is let in when the first has been quiet for
//! [`TURN_US`]: a peer that changes its SSRC loses a packet by that, and somebody who writes the
//! peer's address on packets of their own is not heard between the peer's. If one gets in while the
//! peer is quiet, the peer takes its place back with its next packet.

/// A larger step forward in sequence numbers is a restart of the sender (§A.1).
const DROPOUT_MAX: u16 = 3_000;
/// A packet so much too late is still of the same run (§A.1).
pub(super) const MISORDER_MAX: u16 = 100;
/// A source that is quiet for so long has made room for another one.
const TURN_US: u64 = 35_000;

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
    /// Which of the newest came: the lowest bit is the newest, the next one that before it.
    came: u128,
}

impl Run {
    fn from(ssrc: u32, sequence: u16) -> Self {
        let first = u64::from(sequence);
        Self { ssrc, first, newest: first, leap_next: None, came: 1 }
    }

    /// By how much the sequence number is ahead of the newest.
    fn step(&self, sequence: u16) -> u16 {
        sequence.wrapping_sub((self.newest & 0xFFFF) as u16)
    }

    /// Whether the packet behind the newest by so many came for the first time.
    fn is_new(&mut self, behind: u16) -> bool {
        let bit = 1_u128.checked_shl(u32::from(behind)).unwrap_or(0);
        let is_new = self.came & bit == 0;
        self.came |= bit;
        is_new
    }
}

#[derive(Debug, Default)]
pub(super) struct Reception {
    run: Option<Run>,
    /// The run that another source has taken the place of in a pause.
    before: Option<Run>,
    heard_us: u64,
    /// Without repetitions.
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
    /// Counts a packet. `None`: it is of another source than the one that is heard.
    pub fn on_packet(&mut self, ssrc: u32, sequence: u16, now_us: u64) -> Option<Order> {
        let quiet_us = now_us.saturating_sub(self.heard_us);
        let order = match self.run {
            None => self.restart(ssrc, sequence),
            Some(run) if run.ssrc == ssrc => self.go_on(run, sequence),
            Some(_) if self.is_back(ssrc, sequence) => {
                self.before = None;
                self.restart(ssrc, sequence)
            }
            Some(run) if quiet_us >= TURN_US => {
                self.before = Some(run);
                self.restart(ssrc, sequence)
            }
            Some(_) => return None,
        };
        self.heard_us = now_us;
        Some(order)
    }

    /// The next packet of the source that is heard.
    fn go_on(&mut self, mut run: Run, sequence: u16) -> Order {
        let step = run.step(sequence);
        let order = if step == 0 || step > u16::MAX - MISORDER_MAX {
            self.received += u64::from(run.is_new(step.wrapping_neg()));
            Order::Late
        } else if step < DROPOUT_MAX {
            run.newest += u64::from(step);
            run.came = run.came.checked_shl(u32::from(step)).unwrap_or(0) | 1;
            run.leap_next = None;
            self.received += 1;
            Order::Next { lost: step - 1 }
        } else if run.leap_next == Some(sequence) {
            return self.restart(run.ssrc, sequence);
        } else {
            run.leap_next = Some(sequence.wrapping_add(1));
            Order::Leap
        };
        self.run = Some(run);
        order
    }

    /// Whether this is the source that was heard before another one came in.
    fn is_back(&self, ssrc: u32, sequence: u16) -> bool {
        self.before.is_some_and(|run| run.ssrc == ssrc && run.step(sequence) < DROPOUT_MAX)
    }

    /// The source that is heard.
    pub fn ssrc(&self) -> Option<u32> {
        self.run.map(|run| run.ssrc)
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
        self.run = Some(Run::from(ssrc, sequence));
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
            reception.on_packet(1, sequence, 0);
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
    fn repeated_packets_make_up_for_no_lost_ones() {
        let mut reception = Reception::default();
        receive(&mut reception, [1, 1, 1, 2, 5, 4, 4, 5, 1, 2]);
        assert_eq!((reception.received(), reception.lost()), (4, 1));
        receive(&mut reception, [400, 301, 301, 400]);
        assert_eq!((reception.received(), reception.lost()), (6, 394));
    }

    #[test]
    fn order_is_told_for_each_packet() {
        let mut reception = Reception::default();
        let mut order = |sequence| reception.on_packet(1, sequence, 0).unwrap();
        assert_eq!(order(10), Order::Restart);
        assert_eq!(order(11), Order::Next { lost: 0 });
        assert_eq!(order(14), Order::Next { lost: 2 });
        assert_eq!(order(13), Order::Late);
        assert_eq!(order(14), Order::Late);
        assert_eq!(order(40_000), Order::Leap);
        assert_eq!(order(15), Order::Next { lost: 0 });
        assert_eq!(order(40_000), Order::Leap);
        assert_eq!(order(40_001), Order::Restart);
    }

    #[test]
    fn a_source_that_changes_is_followed_when_the_first_has_gone_quiet() {
        let mut reception = Reception::default();
        let mut hears =
            |ssrc, sequence, ms: u64| reception.on_packet(ssrc, sequence, ms * 1_000).is_some();
        assert!(hears(1, 10, 0) && hears(1, 11, 20));
        assert!(!hears(2, 500, 40)); // one packet is lost by that
        assert!(hears(2, 501, 60) && hears(2, 502, 80));
        assert!(!hears(3, 7, 81) && hears(2, 503, 100));
        assert_eq!(reception.ssrc(), Some(2));
    }

    #[test]
    fn somebody_who_speaks_in_a_pause_is_cut_off_by_the_peer() {
        let mut reception = Reception::default();
        let mut hears =
            |ssrc, sequence, ms: u64| reception.on_packet(ssrc, sequence, ms * 1_000).is_some();
        assert!(hears(1, 10, 0));
        assert!((100..200_u16).all(|n| hears(2, n, n.into()))); // a thousand packets a second
        assert!(hears(1, 11, 200) && !hears(2, 200, 201) && hears(1, 12, 220));
        assert!(!hears(2, 201, 221));
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
