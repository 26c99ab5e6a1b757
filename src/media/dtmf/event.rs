//! Telephone events (RFC 4733).

use crate::domain::Key;

/// Packets repeat a key for as long as it is pressed; the end is sent three times (§2.5.1.4).
const END_REPEATS: usize = 3;
/// −10 dBm0 (§2.3.3).
const VOLUME: u8 = 10;
/// The longest duration that a segment can tell (§2.5.1.3).
const SEGMENT_MAX: u32 = 0xFFFF;
/// A segment that starts within so many samples of where the one before was last heard continues
/// it: 50 ms, so that one lost packet does not make two keys.
const SEGMENT_SLACK: u32 = 400;
/// A timestamp so far back is not late but of a sender that set its clock anew: 10 s.
const LATE_MAX: u32 = 80_000;

/// One press as it is being received.
#[derive(Clone, Copy, Debug)]
struct Press {
    event: u8,
    timestamp: u32,
    duration: u32,
    ended: bool,
}

/// Tells the keys pressed from event packets: lost, repeated and reordered ones make no
/// difference as long as one packet of the press arrives.
///
/// A press is known by its RTP timestamp. What is not newer than the newest press is late and
/// ignored. Long presses come as several segments with timestamps of their own (§2.5.1.3); a
/// segment continues the press before it if that has not ended, is of the same key, touches it, and
/// has no marker bit.
#[derive(Debug, Default)]
pub struct EventReceiver {
    last: Option<Press>,
}

impl EventReceiver {
    /// Takes the payload of one event packet in; the key, if it is the first that is seen of a
    /// press. Events that are no keys (flash, fax tones) are `None`.
    pub fn receive(&mut self, marker: bool, timestamp: u32, payload: &[u8]) -> Option<Key> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        let key = Key::from_event(event)?;
        let ended = flags & 0x80 != 0;
        let duration = u32::from(u16::from_be_bytes([high, low]));
        let press = Press { event, timestamp, duration, ended };
        let Some(last) = &mut self.last else {
            self.last = Some(press);
            return Some(key);
        };
        if timestamp == last.timestamp {
            last.duration = last.duration.max(duration);
            last.ended |= ended;
            return None;
        }
        if last.timestamp.wrapping_sub(timestamp) <= LATE_MAX {
            return None;
        }
        let continues = !marker && last.is_continued_by(&press);
        self.last = Some(press);
        (!continues).then_some(key)
    }
}

impl Press {
    fn is_continued_by(&self, next: &Self) -> bool {
        let step = next.timestamp.wrapping_sub(self.timestamp);
        let touches = step <= self.duration + SEGMENT_SLACK
            || (SEGMENT_MAX - SEGMENT_SLACK..=SEGMENT_MAX + 1).contains(&step);
        // After an end, only its repetitions may have timestamps of their own.
        self.event == next.event && (!self.ended || next.ended) && touches
    }
}

/// One packet of a press to be sent. All packets of a press carry the RTP timestamp of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// Set in the first packet only.
    pub marker: bool,
    pub payload: [u8; 4],
    /// Milliseconds from the start of the press to the sending of this packet.
    pub after_ms: u32,
}

/// The packets of one press: an update every `ptime_ms`, then the end three times, each `ptime_ms`
/// after the other. Presses are at most 8 s long, so that one segment is enough.
pub fn event_packets(key: Key, duration_ms: u32, ptime_ms: u32) -> Vec<EventPacket> {
    let ptime_ms = ptime_ms.max(1);
    let duration_ms = duration_ms.clamp(ptime_ms, 8_000);
    let packet = |after_ms: u32, ended: bool| {
        let samples = u16::try_from(after_ms.min(duration_ms) * 8).unwrap_or(u16::MAX);
        let [high, low] = samples.to_be_bytes();
        let flags = if ended { 0x80 | VOLUME } else { VOLUME };
        EventPacket { marker: false, payload: [key.event(), flags, high, low], after_ms }
    };
    let updates = duration_ms.div_ceil(ptime_ms);
    let mut packets: Vec<_> = (1..updates).map(|n| packet(n * ptime_ms, false)).collect();
    packets.extend((updates..).take(END_REPEATS).map(|n| packet(n * ptime_ms, true)));
    if let Some(first) = packets.first_mut() {
        first.marker = true;
    }
    packets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Packets as (timestamp, packet).
    fn press(key: char, timestamp: u32, duration_ms: u32) -> Vec<(u32, EventPacket)> {
        event_packets(Key::try_from(key).unwrap(), duration_ms, 20)
            .into_iter()
            .map(|packet| (timestamp, packet))
            .collect()
    }

    fn keys<'a>(packets: impl IntoIterator<Item = &'a (u32, EventPacket)>) -> String {
        let mut receiver = EventReceiver::default();
        packets
            .into_iter()
            .filter_map(|(timestamp, packet)| {
                receiver.receive(packet.marker, *timestamp, &packet.payload)
            })
            .map(Key::as_char)
            .collect()
    }

    #[test]
    fn a_press_is_one_key_at_its_first_packet() {
        let packets = press('5', 1000, 100);
        assert_eq!(packets.len(), 7);
        assert_eq!(keys(&packets), "5");
        assert_eq!(keys(&packets[..1]), "5");
        assert_eq!(packets[6].1.payload, [5, 0x8A, 0x03, 0x20]);
    }

    #[test]
    fn a_press_without_start_or_without_end_is_one_key() {
        let packets = press('#', 1000, 100);
        assert_eq!(keys(&packets[3..]), "#");
        assert_eq!(keys(&packets[6..]), "#");
        assert_eq!(keys(&packets[..4]), "#");
    }

    #[test]
    fn the_same_key_pressed_twice_is_two_keys() {
        let (first, second) = (press('7', 1000, 60), press('7', 2000, 60));
        assert_eq!(keys(first.iter().chain(&second)), "77");
        // Neither the end of the first nor the start of the second came.
        assert_eq!(keys(first[..2].iter().chain(&second[2..])), "77");
    }

    #[test]
    fn late_packets_of_an_old_press_are_ignored() {
        let (first, second) = (press('1', 1000, 60), press('2', 2000, 60));
        let packets = first[..2].iter().chain(&second[..2]).chain(&first[2..]).chain(&second[2..]);
        assert_eq!(keys(packets), "12");
    }

    #[test]
    fn a_long_press_in_segments_is_one_key() {
        let segment = |timestamp: u32, samples: u16, flags: u8, marker| {
            let [high, low] = samples.to_be_bytes();
            (timestamp, EventPacket { marker, payload: [3, flags, high, low], after_ms: 0 })
        };
        let packets = [
            segment(1000, 160, 10, true),
            segment(1000, 65_360, 10, false),
            segment(1000, 0xFFFF, 10, false),
            segment(66_535, 160, 10, false),
            segment(66_535, 0xFFFF, 10, false),
            segment(132_070, 400, 0x8A, false),
        ];
        assert_eq!(keys(&packets), "3");
        // Even if most of it is lost.
        assert_eq!(keys([&packets[0], &packets[3], &packets[5]]), "3");
    }

    #[test]
    fn a_sender_that_counts_the_timestamp_on_is_understood() {
        // Against §2.2.1, but phones do it: every packet has a timestamp of its own.
        let packets: Vec<_> = press('4', 0, 100)
            .into_iter()
            .map(|(_, packet)| (1000 + packet.after_ms * 8, packet))
            .collect();
        assert_eq!(keys(&packets), "4");
    }

    #[test]
    fn a_timestamp_set_anew_is_no_late_packet() {
        let (first, second) = (press('1', 1_000_000, 60), press('2', 500, 60));
        assert_eq!(keys(first.iter().chain(&second)), "12");
    }

    #[test]
    fn what_is_no_key_is_none() {
        let mut receiver = EventReceiver::default();
        assert_eq!(receiver.receive(true, 1, &[16, 10, 0, 160]), None); // flash
        assert_eq!(receiver.receive(true, 2, &[1, 10, 0]), None);
        assert_eq!(receiver.receive(true, 3, &[]), None);
    }

    proptest! {
        #[test]
        fn keys_come_once_and_in_order_whatever_is_lost_or_repeated(
            pressed in "[0-9A-D*#]{1,12}",
            start in any::<u32>(),
            kept in proptest::collection::vec(any::<bool>(), 96),
            repeated in proptest::collection::vec(0_usize..3, 96),
        ) {
            let mut packets = Vec::new();
            for (n, key) in (0_u32..).zip(pressed.chars()) {
                let press = press(key, start.wrapping_add(n * 1600), 100);
                for (m, &packet) in press.iter().enumerate() {
                    let index = n as usize * 8 + m;
                    if m == 0 || kept[index] {
                        packets.extend(std::iter::repeat_n(packet, 1 + repeated[index]));
                    }
                }
            }
            prop_assert_eq!(keys(&packets), pressed);
        }
    }
}
