//! Hears tones, each the voice of one phone (Goertzel's algorithm), while they are heard.
//!
//! Audio is judged in frames of 20 ms. A tone is there when it holds at least 0.35 of a frame's
//! energy, so that two phones are told from each other, and both at once from either; tones that are
//! listened for should lie 100 Hz apart or more. Speech does not hold one frequency for 60 ms.

/// Samples in a frame: 20 ms.
const FRAME: usize = 160;
/// The part of a frame's energy that makes a tone.
const SHARE_MIN: f32 = 0.35;
/// A frame below this is silent (−42 dB of full scale).
const RMS_MIN: f32 = 260.0;
/// A tone has begun after so many frames in a row; its time is that of the first.
const BEGINS_AFTER: u8 = 3;
/// A tone has ended after so many frames without it; its time is that of the first.
const ENDS_AFTER: u8 = 2;

/// Listens for some tones.
#[derive(Debug)]
pub struct ToneEar {
    tones: Vec<Tone>,
    /// Samples judged so far.
    judged: usize,
}

#[derive(Debug)]
struct Tone {
    hz: u32,
    is_on: bool,
    /// Frames in a row that contradict `is_on`.
    contrary: u8,
}

/// A tone began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToneChange {
    pub hz: u32,
    pub began: bool,
    /// The first sample of the frame in which it did.
    pub sample: usize,
}

/// Whether this tone was heard for a moment at least (60 ms); samples at 8 kHz.
pub fn holds_tone(samples: &[i16], hz: u32) -> bool {
    ToneEar::new(&[hz]).advance(samples).iter().any(|change| change.began)
}

impl ToneEar {
    pub fn new(frequencies_hz: &[u32]) -> Self {
        let tone = |&hz: &u32| Tone { hz, is_on: false, contrary: 0 };
        Self { tones: frequencies_hz.iter().map(tone).collect(), judged: 0 }
    }

    /// What changed since the last time; `samples` is all that was heard so far, 8 kHz.
    pub fn advance(&mut self, samples: &[i16]) -> Vec<ToneChange> {
        let mut changes = Vec::new();
        while let Some(frame) = samples.get(self.judged..self.judged + FRAME) {
            let energy: f32 = frame.iter().map(|&sample| f32::from(sample).powi(2)).sum();
            let is_loud = energy >= RMS_MIN * RMS_MIN * FRAME as f32;
            for tone in &mut self.tones {
                let is_there = is_loud && energy_at(frame, tone.hz) >= SHARE_MIN * energy;
                if let Some(frames) = tone.judge(is_there) {
                    let sample = self.judged - (usize::from(frames) - 1) * FRAME;
                    changes.push(ToneChange { hz: tone.hz, began: tone.is_on, sample });
                }
            }
            self.judged += FRAME;
        }
        changes
    }

    /// Nothing comes any more: every tone has ended.
    pub fn starve(&mut self) -> Vec<u32> {
        let on = self.tones.iter_mut().filter(|tone| tone.is_on);
        on.map(|tone| {
            (tone.is_on, tone.contrary) = (false, 0);
            tone.hz
        })
        .collect()
    }
}

impl Tone {
    /// After how many frames this one changed the state, if it did.
    fn judge(&mut self, is_there: bool) -> Option<u8> {
        if is_there == self.is_on {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        let enough = if self.is_on { ENDS_AFTER } else { BEGINS_AFTER };
        if self.contrary < enough {
            return None;
        }
        (self.is_on, self.contrary) = (is_there, 0);
        Some(enough)
    }
}

/// The energy of a sine at this frequency within the frame.
fn energy_at(frame: &[i16], hz: u32) -> f32 {
    let turn = std::f32::consts::TAU * hz as f32 / 8000.0;
    let coefficient = 2.0 * turn.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in frame {
        (last, before) = (f32::from(sample) + coefficient * last - before, last);
    }
    let power = last * last + before * before - coefficient * last * before;
    power * 2.0 / frame.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::listen::tests::{coarse, shipped, silence};

    fn sine(hz: u32, ms: usize) -> Vec<i16> {
        let turn = std::f32::consts::TAU * hz as f32 / 8000.0;
        (0..ms * 8).map(|n| (8000.0 * (turn * n as f32).sin()) as i16).collect()
    }

    #[test]
    fn tones_are_told_apart_and_timed_to_the_frame() {
        let mut heard = [silence(100), sine(440, 200), silence(60), sine(950, 100)].concat();
        heard.extend(sine(440, 200).iter().zip(sine(950, 200)).map(|(a, b)| a / 2 + b / 2));
        heard.extend(silence(60));
        let mut ear = ToneEar::new(&[440, 620, 950]);
        let changes = ear.advance(&coarse(&heard));
        let change = |hz, began, ms: usize| ToneChange { hz, began, sample: ms * 8 };
        let expected = [
            change(440, true, 100),
            change(440, false, 300),
            change(950, true, 360),
            change(440, true, 460),
            change(440, false, 660),
            change(950, false, 660),
        ];
        assert_eq!(changes, expected);
        assert_eq!(ear.starve(), [0; 0]);
    }

    #[test]
    fn speech_is_no_tone() {
        let mut ear = ToneEar::new(&[440, 620, 950, 1400]);
        for id in ["phrase/greeting", "phrase/menu-order", "phrase/closed", "thousand/01"] {
            let heard = coarse(&shipped(id).samples);
            ear.judged = 0;
            assert_eq!(ear.advance(&heard), [], "{id}");
        }
    }

    #[test]
    fn a_tone_that_stops_coming_has_ended() {
        let mut ear = ToneEar::new(&[440]);
        assert_eq!(ear.advance(&sine(440, 100)).len(), 1);
        assert_eq!(ear.starve(), [440]);
        assert_eq!(ear.starve(), [0; 0]);
    }
}
