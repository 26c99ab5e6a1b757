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
