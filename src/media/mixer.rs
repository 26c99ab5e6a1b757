//! Two voices that one leg hears at once. Pure.
//!
//! Each voice goes through a small buffer, because its packets come unevenly and frames leave
//! evenly: it is begun with 40 ms, and cut back to them when there are more than 120 ms, as when a
//! clock runs fast or packets were held up.

use std::collections::VecDeque;

use super::g711::{self, Encoder};
use super::reception::Order;
use super::relay::{Content, Speech};
use crate::domain::Codec;

/// Samples with which a voice is begun: 40 ms.
const BEGIN_WITH: usize = 320;
/// Samples that wait at most: 120 ms.
const WAIT_MAX: usize = 960;

/// Whose voice it is, for the one who hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The partner in the bridge; for a supervisor, the operator.
    Partner,
    /// The supervisor; for a supervisor, the customer.
    Third,
}

#[derive(Debug, Default)]
pub(super) struct Mixer {
    voices: [Buffer; 2],
}

#[derive(Debug, Default)]
struct Buffer {
    samples: VecDeque<i16>,
    flows: bool,
}

impl Mixer {
    /// Takes in what a voice says; what is late is left out.
    pub fn hear(&mut self, voice: Voice, speech: &Speech<'_>) {
        let (Content::Audio(codec), Order::Restart | Order::Next { .. }) =
            (speech.content, speech.order)
        else {
            return;
        };
        let samples = &mut self.voices[voice as usize].samples;
        samples.extend(speech.payload.iter().map(|&code| g711::decode(codec, code)));
        if samples.len() > WAIT_MAX {
            samples.drain(..samples.len() - BEGIN_WITH);
        }
    }

    /// Fills a frame with the sum of the voices.
    pub fn fill(&mut self, codec: Codec, frame: &mut [u8]) {
        let encoder = Encoder::of(codec);
        for voice in &mut self.voices {
            voice.flows |= voice.samples.len() >= BEGIN_WITH;
        }
        for code in frame {
            let [partner, third] = self.voices.each_mut().map(Buffer::next);
            *code = encoder.encode(partner.saturating_add(third));
        }
    }
}

impl Buffer {
    fn next(&mut self) -> i16 {
        let sample = if self.flows { self.samples.pop_front() } else { None };
        self.flows = sample.is_some();
        sample.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(payload: &[u8], order: Order) -> Speech<'_> {
        let content = Content::Audio(Codec::Pcma);
        Speech { content, order, marker: false, sequence: 1, timestamp: 1, payload }
    }

    fn value(frame: &[u8]) -> i16 {
        assert!(frame.iter().all(|code| *code == frame[0]), "{frame:?}");
        g711::decode(Codec::Pcmu, frame[0])
    }

    const NEXT: Order = Order::Next { lost: 0 };

    #[test]
    fn voices_are_added_and_never_overflow() {
        let mut mixer = Mixer::default();
        let mut frame = [0; 320];
        for (one, other, low, high) in [
            (1_000, 2_000, 2_900, 3_100),
            (30_000, 30_000, 31_000, 32_767),
            (-30_000, -20_000, -32_768, -31_000),
        ] {
            mixer.hear(Voice::Partner, &speech(&[g711::encode_alaw(one); 320], NEXT));
            mixer.hear(Voice::Third, &speech(&[g711::encode_alaw(other); 320], NEXT));
            mixer.fill(Codec::Pcmu, &mut frame);
            assert!((low..=high).contains(&value(&frame)), "{}", value(&frame));
        }
    }

    #[test]
    fn a_voice_begins_with_a_reserve_and_anew_after_a_gap() {
        let (mut mixer, mut frame) = (Mixer::default(), [0; 160]);
        let said = [g711::encode_alaw(1_000); 160];
        let mut heard = Vec::new();
        for speaks in [true, true, false, false, false, true, true] {
            if speaks {
                mixer.hear(Voice::Partner, &speech(&said, NEXT));
            }
            mixer.fill(Codec::Pcmu, &mut frame);
            heard.push(value(&frame) != 0);
        }
        assert_eq!(heard, [false, true, true, false, false, false, true]);
    }

    #[test]
    fn what_waits_has_a_limit_and_what_is_late_is_left_out() {
        let mut mixer = Mixer::default();
        for _ in 0..100 {
            mixer.hear(Voice::Partner, &speech(&[1; 160], NEXT));
            assert!(mixer.voices[0].samples.len() <= WAIT_MAX);
        }
        let waiting = mixer.voices[0].samples.len();
        mixer.hear(Voice::Partner, &speech(&[1; 160], Order::Late));
        mixer.hear(Voice::Partner, &speech(&[1; 160], Order::Leap));
        assert_eq!(mixer.voices[0].samples.len(), waiting);
    }
}
