//! The tone detector of a leg, fed with packets as they come.

use super::dtmf::ToneDetector;
use super::packet::Incoming;
use super::reception::Order;
use crate::domain::{Codec, Key};

/// Phones that send nothing in silence leave a gap in the timestamps, but none in the sequence
/// numbers. One of 40 ms is a pause between keys.
const PAUSE_SAMPLES: u32 = 320;

#[derive(Debug, Default)]
pub(super) struct Tones {
    detector: ToneDetector,
    /// The timestamp that follows the last packet.
    next: Option<u32>,
}

impl Tones {
    /// Hears an audio packet; late ones are left out. The first key that is recognised by it.
    pub fn hear(&mut self, codec: Codec, packet: &Incoming<'_>, order: Order) -> Option<Key> {
        let samples = u32::try_from(packet.payload.len()).unwrap_or(0);
        let next = self.next.unwrap_or(packet.timestamp);
        let gap = packet.timestamp.wrapping_sub(next).cast_signed().unsigned_abs();
        match order {
            Order::Late | Order::Leap => return None,
            Order::Restart => self.detector.pause(),
            Order::Next { lost } if lost == 0 && gap >= PAUSE_SAMPLES => self.detector.pause(),
            Order::Next { .. } => {}
        }
        self.next = Some(packet.timestamp.wrapping_add(samples));
        let mut first = None;
        // Two keys within one packet are further apart than any packet of speech is long.
        self.detector.hear(codec, packet.payload, |key| first = first.or(Some(key)));
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{dtmf, g711};

    #[test]
    fn a_pause_in_which_nothing_is_sent_parts_two_presses_of_a_key() {
        let key = Key::try_from('5').unwrap();
        let press: Vec<u8> = dtmf::tone(key, 60).into_iter().map(g711::encode_alaw).collect();
        let (mut tones, mut keys) = (Tones::default(), 0);
        for start in [0, 4_000] {
            for (n, payload) in (0_u32..).zip(press.chunks(160)) {
                let timestamp = start + n * 160;
                let packet = Incoming {
                    marker: false,
                    payload_type: 8,
                    sequence: 0,
                    timestamp,
                    ssrc: 1,
                    payload,
                };
                keys += usize::from(
                    tones.hear(Codec::Pcma, &packet, Order::Next { lost: 0 }).is_some(),
                );
            }
        }
        assert_eq!(keys, 2);
    }
}
