//! Two voices on one line of time. Pure.
//!
//! A voice is laid down by its RTP timestamps from where its first packet arrived, so that jitter
//! moves nothing and what was lost leaves its own length of silence. Where timestamps and arrival
//! disagree by [`DRIFT_MAX`] (another sender, a clock that runs differently, a pause in which the
//! timestamps stood still), arrival is right and the voice is laid down anew from there.

use std::collections::VecDeque;

/// Samples by which a packet may be laid down beside its arrival: 200 ms.
const DRIFT_MAX: u64 = 1_600;
/// Samples that wait to be written at most: 4 s. What is laid down further ahead pushes out what is
/// before.
pub(super) const WINDOW_MAX: usize = 32_000;

/// The channel of a voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum Side {
    Left,
    Right,
}

/// One sample of each channel.
pub(super) type Moment = [i16; 2];

/// What is known of both voices and not yet written.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Samples from the beginning up to the first of `window`.
    written: u64,
    window: VecDeque<Moment>,
    anchors: [Option<Anchor>; 2],
}

/// This timestamp is that place.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    timestamp: u32,
    place: u64,
}

impl Track {
    /// Where the track ends that was taken out.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Lays down a packet of a voice that arrived so many samples after the beginning. What comes
    /// too late, where the track was taken out already, is left out.
    pub fn lay(
        &mut self,
        side: Side,
        arrival: u64,
        timestamp: u32,
        samples: impl ExactSizeIterator<Item = i16>,
        mut out: impl FnMut(Moment),
    ) {
        let place = self.place(side, arrival, timestamp);
        let end = place + samples.len() as u64;
        let first_kept = end.saturating_sub(WINDOW_MAX as u64);
        self.take_until(first_kept, &mut out);
        let needed = end.saturating_sub(self.written) as usize;
        if self.window.len() < needed {
            self.window.resize(needed, [0, 0]);
        }
        for (at, sample) in (place..).zip(samples) {
            let index = at.checked_sub(self.written).map(|index| index as usize);
            if let Some(moment) = index.and_then(|index| self.window.get_mut(index)) {
                moment[side as usize] = sample;
            }
        }
    }

    /// Takes out all up to a place; where nothing was laid down is silence.
    pub fn take_until(&mut self, end: u64, mut out: impl FnMut(Moment)) {
        while self.written < end {
            out(self.window.pop_front().unwrap_or([0, 0]));
            self.written += 1;
        }
    }

    fn place(&mut self, side: Side, arrival: u64, timestamp: u32) -> u64 {
        let anchor = &mut self.anchors[side as usize];
        let told = anchor.and_then(|anchor| {
            let passed = timestamp.wrapping_sub(anchor.timestamp).cast_signed();
            anchor.place.checked_add_signed(i64::from(passed))
        });
        let place = told.filter(|place| place.abs_diff(arrival) <= DRIFT_MAX).unwrap_or(arrival);
        *anchor = Some(Anchor { timestamp, place });
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets as (arrival in ms, timestamp, value); the left channel up to the end, each 20 ms as
    /// the value that it has throughout.
    fn left(packets: &[(u64, u32, i16)], end_ms: u64) -> Vec<i16> {
        let (mut track, mut heard) = (Track::default(), Vec::new());
        for &(arrival_ms, timestamp, value) in packets {
            let samples = [value; 160].into_iter();
            track.lay(Side::Left, arrival_ms * 8, timestamp, samples, |moment| heard.push(moment));
        }
        track.take_until(end_ms * 8, |moment| heard.push(moment));
        assert_eq!(track.written(), heard.len() as u64);
        let frames = heard.chunks(160);
        frames
            .map(|frame| {
                assert!(frame.iter().all(|moment| *moment == frame[0]), "{frame:?}");
                frame[0][0]
            })
            .collect()
    }

    #[test]
    fn jitter_and_disorder_move_nothing() {
        let packets = [(40, 1000, 1), (75, 1160, 2), (76, 1480, 4), (77, 1320, 3), (120, 1640, 5)];
        assert_eq!(left(&packets, 160), [0, 0, 1, 2, 3, 4, 5, 0]);
    }

    #[test]
    fn lost_packets_leave_their_own_length_of_silence() {
        assert_eq!(left(&[(0, 0, 1), (20, 160, 2), (80, 640, 5)], 100), [1, 2, 0, 0, 5]);
    }

    #[test]
    fn timestamps_that_leap_or_stand_still_are_not_believed() {
        assert_eq!(left(&[(0, 0, 1), (20, 9_000_000, 2), (40, 9_000_160, 3)], 60), [1, 2, 3]);
        let after_pause = left(&[(0, 0, 1), (400, 160, 2), (420, 320, 3)], 440);
        assert_eq!((after_pause[0], &after_pause[19..]), (1, &[0, 2, 3][..]));
        assert_eq!(left(&[(0, 4_294_967_200, 1), (20, 64, 2)], 40), [1, 2]);
    }

    #[test]
    fn an_hour_with_a_clock_that_runs_fast_is_an_hour() {
        let (mut track, mut length, mut sound) = (Track::default(), 0_u64, 0_u64);
        let mut timestamp = 0_u32;
        for n in 0..180_000_u64 {
            // 300 ppm fast: 48 samples in 20 s.
            timestamp = timestamp.wrapping_add(if n % 20 == 0 { 161 } else { 160 });
            track.lay(Side::Right, n * 160, timestamp, [1; 160].into_iter(), |moment| {
                length += 1;
                sound += u64::from(moment[1] != 0);
            });
        }
        track.take_until(28_800_000, |moment| {
            length += 1;
            sound += u64::from(moment[1] != 0);
        });
        assert_eq!(length, 28_800_000);
        assert!(sound > 28_700_000, "{sound} samples of sound");
    }

    #[test]
    fn both_sides_lie_beside_each_other() {
        let (mut track, mut heard) = (Track::default(), Vec::new());
        track.lay(Side::Right, 160, 5, [7; 160].into_iter(), |_| {});
        track.lay(Side::Left, 0, 99, [3; 320].into_iter(), |_| {});
        track.take_until(320, |moment| heard.push(moment));
        assert_eq!((heard[0], heard[160]), ([3, 0], [3, 7]));
        // What comes for a time that is written is left out.
        track.lay(Side::Left, 200, 99 + 160, [9; 160].into_iter(), |_| panic!());
        assert_eq!(track.written(), 320);
    }

    #[test]
    fn what_waits_has_a_limit() {
        let (mut track, mut written) = (Track::default(), 0);
        track.lay(Side::Left, 0, 0, [1; 160].into_iter(), |_| written += 1);
        track.lay(Side::Left, 8_000_000, 0, [1; 160].into_iter(), |_| written += 1);
        assert_eq!(written, 8_000_160 - WINDOW_MAX);
        assert_eq!(track.window.len(), WINDOW_MAX);
    }
}
