//! What one leg says becomes what another hears: the packets of one stream as packets of the
//! other. Pure.
//!
//! A relay is a translator (RFC 3550 §7.1): the payload goes through, the header becomes one of our
//! own stream. Sequence numbers keep their distances, so that the hearer sees what was lost on the
//! way and puts in order what came out of order; packets that are left out on purpose leave no gap.
//! Timestamps keep their distances as well.

use super::g711;
use super::packet::HEADER_BYTES;
use super::reception::{MISORDER_MAX, Order};
use super::sender::Sender;
use crate::domain::{Codec, MediaSession};

/// A packet from the peer of one leg, for those who hear it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speech<'a> {
    pub content: Content,
    pub order: Order,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Audio(Codec),
    /// A telephone event (RFC 4733).
    Event,
    /// What is not passed on, but has a sequence number: comfort noise.
    Other,
}

/// How the numbers of the stream that comes are those of the stream that goes.
#[derive(Debug, Default)]
pub(super) struct Relay(Option<Shift>);

#[derive(Clone, Copy, Debug)]
struct Shift {
    /// To be added.
    sequence: u16,
    timestamp: u32,
    /// The first number that is passed on: what is older belongs to a time before.
    first: u16,
}

impl Relay {
    /// The stream is fed by something else: what comes next begins anew.
    pub fn interrupt(&mut self) {
        self.0 = None;
    }

    /// Writes the packet to send into `buffer`, and says how long it is; `None` if nothing is to be
    /// sent. A telephone event reaches only a hearer who agreed on events.
    pub fn pass(
        &mut self,
        speech: &Speech<'_>,
        session: &MediaSession,
        sender: &mut Sender,
        now_us: u64,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let packet = buffer.get_mut(..HEADER_BYTES + speech.payload.len())?;
        let (header, payload) = packet.split_at_mut(HEADER_BYTES);
        let events = session.telephone_event;
        match (speech.content, events) {
            (Content::Audio(codec), _) => {
                let (sequence, timestamp) = self.numbers(speech, sender, now_us)?;
                g711::recode(codec, session.codec, speech.payload, payload);
                let samples = u32::try_from(payload.len()).unwrap_or(0);
                header.copy_from_slice(&sender.audio_header(
                    speech.marker,
                    sequence,
                    timestamp,
                    samples,
                    now_us,
                ));
            }
            (Content::Event, Some(event)) => {
                let (sequence, timestamp) = self.numbers(speech, sender, now_us)?;
                payload.copy_from_slice(speech.payload);
                header.copy_from_slice(&sender.event_header(
                    event.send,
                    speech.marker,
                    sequence,
                    timestamp,
                ));
            }
            (Content::Event, None) | (Content::Other, _) => {
                self.leave_out(speech.order);
                return None;
            }
        }
        Some(packet.len())
    }

    fn numbers(
        &mut self,
        speech: &Speech<'_>,
        sender: &mut Sender,
        now_us: u64,
    ) -> Option<(u16, u32)> {
        let known = match speech.order {
            Order::Leap => return None,
            Order::Restart => None,
            Order::Next { .. } | Order::Late => self.0,
        };
        let shift = known.unwrap_or_else(|| {
            sender.resume(now_us);
            let (sequence, timestamp) = sender.next();
            Shift {
                sequence: sequence.wrapping_sub(speech.sequence),
                timestamp: timestamp.wrapping_sub(speech.timestamp),
                first: speech.sequence,
            }
        });
        self.0 = Some(shift);
        let before = shift.first.wrapping_sub(speech.sequence);
        if speech.order == Order::Late && (1..=MISORDER_MAX).contains(&before) {
            return None;
        }
        Some((
            speech.sequence.wrapping_add(shift.sequence),
            speech.timestamp.wrapping_add(shift.timestamp),
        ))
    }

    /// The next packet takes the number of the one that is left out.
    fn leave_out(&mut self, order: Order) {
        match (&mut self.0, order) {
            (Some(shift), Order::Next { .. }) => shift.sequence = shift.sequence.wrapping_sub(1),
            (None, _) | (Some(_), Order::Late | Order::Leap | Order::Restart) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Direction, EventPayload};
    use crate::media::packet::Incoming;

    const NEXT: Order = Order::Next { lost: 0 };

    fn session(codec: Codec, events: bool) -> MediaSession {
        let nowhere = "127.0.0.1:9".parse().unwrap();
        MediaSession {
            codec,
            send_payload_type: 96,
            receive_payload_type: 97,
            telephone_event: events.then_some(EventPayload { send: 101, receive: 102 }),
            ptime_ms: 20,
            remote_rtp: nowhere,
            remote_rtcp: nowhere,
            rtcp_mux: false,
            direction: Direction::SendRecv,
        }
    }

    fn said(content: Content, order: Order, sequence: u16, timestamp: u32) -> Speech<'static> {
        let payload: &[u8] = match content {
            Content::Audio(_) => &[0x2A; 160],
            Content::Event | Content::Other => &[5, 10, 0, 160],
        };
        Speech { content, order, marker: false, sequence, timestamp, payload }
    }

    fn audio(order: Order, sequence: u16, timestamp: u32) -> Speech<'static> {
        said(Content::Audio(Codec::Pcma), order, sequence, timestamp)
    }

    /// One hearer; packets as (payload type, marker, sequence, timestamp).
    struct Hearer {
        relay: Relay,
        sender: Sender,
        session: MediaSession,
    }

    impl Hearer {
        /// Whose next packet would be number 1000 at 5000.
        fn new(events: bool) -> Self {
            let mut sender = Sender::new(0xABCD, 1_000, 5_000);
            sender.set_payload_type(96);
            Self { relay: Relay::default(), sender, session: session(Codec::Pcma, events) }
        }

        fn hear(&mut self, speech: Speech<'_>, now_us: u64) -> Option<(u8, bool, u16, u32)> {
            let mut buffer = [0; 512];
            let length =
                self.relay.pass(&speech, &self.session, &mut self.sender, now_us, &mut buffer)?;
            let packet = Incoming::parse(&buffer[..length]).unwrap();
            assert_eq!((packet.ssrc, packet.payload), (0xABCD, speech.payload));
            Some((packet.payload_type, packet.marker, packet.sequence, packet.timestamp))
        }

        /// A frame of our own, as when a prompt is played.
        fn frame(&mut self, now_us: u64) -> (u16, u32) {
            let numbers = self.sender.next();
            self.sender.next_header(160, now_us);
            numbers
        }
    }

    #[test]
    fn numbers_go_on_from_the_prompt_to_the_partner_and_back() {
        let mut hearer = Hearer::new(true);
        assert_eq!(hearer.frame(0), (1_000, 5_000));
        // 35 ms after the frame of 20 ms: the clock of the stream went on.
        assert_eq!(hearer.hear(audio(NEXT, 7, 70), 35_000), Some((96, true, 1_001, 5_280)));
        assert_eq!(hearer.hear(audio(NEXT, 8, 230), 55_000), Some((96, false, 1_002, 5_440)));
        hearer.relay.interrupt();
        hearer.sender.resume(75_000);
        assert_eq!(hearer.frame(75_000), (1_003, 5_600));
        // And if the prompt begins early, it waits for nobody.
        hearer.relay.interrupt();
        hearer.sender.resume(80_000);
        assert_eq!(hearer.frame(80_000), (1_004, 5_760));
    }

    #[test]
    fn loss_and_disorder_are_passed_on() {
        let mut hearer = Hearer::new(true);
        hearer.hear(audio(NEXT, 65_534, 0), 0);
        let lost = Order::Next { lost: 2 };
        assert_eq!(hearer.hear(audio(lost, 1, 480), 0), Some((96, false, 1_003, 5_480)));
        assert_eq!(hearer.hear(audio(Order::Late, 0, 320), 0), Some((96, false, 1_002, 5_320)));
        assert_eq!(hearer.hear(audio(NEXT, 2, 640), 0), Some((96, false, 1_004, 5_640)));
        // What was said before they were joined would have the numbers of a prompt.
        assert_eq!(hearer.hear(audio(Order::Late, 65_533, 0), 0), None);
        assert_eq!(hearer.hear(audio(Order::Leap, 30_000, 0), 0), None);
    }

    #[test]
    fn a_speaker_who_starts_anew_is_no_leap_for_the_hearer() {
        let mut hearer = Hearer::new(true);
        hearer.hear(audio(Order::Restart, 7, 70), 0);
        let anew = audio(Order::Restart, 40_000, 4_000_000_000);
        assert_eq!(hearer.hear(anew, 60_000), Some((96, true, 1_001, 5_480)));
    }

    #[test]
    fn what_is_left_out_leaves_no_gap() {
        let mut hearer = Hearer::new(false);
        hearer.hear(audio(NEXT, 1, 0), 0);
        assert_eq!(hearer.hear(said(Content::Event, NEXT, 2, 160), 20_000), None);
        assert_eq!(hearer.hear(said(Content::Other, NEXT, 3, 160), 40_000), None);
        assert_eq!(hearer.hear(audio(NEXT, 4, 480), 60_000), Some((96, false, 1_001, 5_480)));
    }

    #[test]
    fn a_key_has_the_number_that_was_agreed_and_does_not_move_the_audio() {
        let mut hearer = Hearer::new(true);
        hearer.hear(audio(NEXT, 1, 0), 0);
        for sequence in [2, 3] {
            let event = said(Content::Event, NEXT, sequence, 160);
            let expected = (101, false, 999 + sequence, 5_160);
            assert_eq!(hearer.hear(event, 20_000), Some(expected));
        }
        assert_eq!(hearer.hear(audio(NEXT, 4, 480), 60_000), Some((96, false, 1_003, 5_480)));
    }

    #[test]
    fn audio_is_recoded_for_a_hearer_with_another_codec() {
        let mut sender = Sender::new(1, 1, 1);
        let mut buffer = [0; 512];
        let heard = session(Codec::Pcmu, true);
        let speech = audio(NEXT, 1, 1);
        let length = Relay::default().pass(&speech, &heard, &mut sender, 0, &mut buffer);
        assert_eq!(length, Some(172));
        let expected = g711::encode_ulaw(g711::decode_alaw(0x2A));
        assert_eq!(buffer[12..172], [expected; 160]);
        // More than any packet may hold is not passed on.
        assert_eq!(
            Relay::default().pass(&speech, &heard, &mut sender, 0, &mut buffer[..171]),
            None
        );
    }

    proptest! {
        #[test]
        fn in_order_nothing_is_said_twice(steps in proptest::collection::vec(0_u8..8, 1..200)) {
            let mut hearer = Hearer::new(false);
            let (mut sequence, mut now_us, mut heard) = (65_000_u16, 0, Vec::new());
            for step in steps {
                sequence = sequence.wrapping_add(1);
                now_us += 20_000;
                match step {
                    0 => hearer.relay.interrupt(),
                    1 => {
                        hearer.relay.interrupt();
                        hearer.sender.resume(now_us);
                        heard.push(hearer.frame(now_us).0);
                    }
                    2 => heard.extend(hearer.hear(said(Content::Event, NEXT, sequence, 0), now_us).map(|it| it.2)),
                    _ => heard.extend(hearer.hear(audio(NEXT, sequence, u32::from(sequence) * 160), now_us).map(|it| it.2)),
                }
            }
            for pair in heard.windows(2) {
                prop_assert_eq!(pair[1], pair[0].wrapping_add(1));
            }
        }
    }
}
