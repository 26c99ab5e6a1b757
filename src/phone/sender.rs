//! What the phone sends on its RTP port: silence or a tone for a voice, and keys as events or tones.
//!
//! Every 20 ms the caller of [`Sender::tick`] gets the packets that are due.

use std::collections::VecDeque;

use super::keys::KeyBy;
use super::rtp::Packet;
use crate::domain::{Codec, Key};
use crate::media::{dtmf, g711};

/// Samples in a packet: 20 ms.
const FRAME: u32 = 160;
/// How long a key is held: 100 ms. RFC 4733 has no least duration; ITU-T Q.24 asks for 40 ms.
const HELD_FRAMES: u16 = 5;
/// Silence between two keys: 80 ms (Q.24: at least 40 ms).
const PAUSE_FRAMES: u16 = 4;
/// The last packet of an event is sent so often (RFC 4733 §2.5.1.4).
const END_PACKETS: usize = 3;
/// −10 dBm0, in the middle of what phones send.
const EVENT_VOLUME: u8 = 10;
/// Keys that may wait to be sent.
const QUEUE_MAX: usize = 64;
/// How loud a voice is: −12 dB of full scale.
const VOICE: f32 = 8000.0;

/// Where and how packets are numbered.
#[derive(Debug)]
pub struct Sender {
    codec: Codec,
    payload_type: u8,
    event_payload_type: Option<u8>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    queue: VecDeque<(Key, KeyBy)>,
    voice_hz: Option<u32>,
    now: Now,
}

#[derive(Clone, Copy, Debug)]
enum Now {
    Silence,
    Event { key: Key, began: u32, frames: u16 },
    Tone { key: Key, frames: u16 },
    Pause { frames: u16 },
}

/// What is due now.
#[derive(Debug, Default, PartialEq)]
pub struct Tick {
    pub packets: Vec<Vec<u8>>,
    /// The key whose sending begins with these packets.
    pub pressed: Option<(Key, KeyBy)>,
}

impl Sender {
    /// `event_payload_type`: the number that the other side wants events with; `None` if it takes
    /// none.
    pub fn new(codec: Codec, payload_type: u8, event_payload_type: Option<u8>, ssrc: u32) -> Self {
        Self {
            codec,
            payload_type,
            event_payload_type,
            ssrc,
            // Near the end, so that every call crosses the wrap of sequence and timestamp.
            sequence: u16::MAX - 20,
            timestamp: u32::MAX - 40 * FRAME,
            queue: VecDeque::new(),
            voice_hz: None,
            now: Now::Silence,
        }
    }

    /// Puts a key behind those that wait; the oldest 64 are kept. A key by event that the other
    /// side does not take is sent as a tone.
    pub fn press(&mut self, key: Key, by: KeyBy) {
        if self.queue.len() < QUEUE_MAX {
            let by = if self.event_payload_type.is_none() { KeyBy::Tone } else { by };
            self.queue.push_back((key, by));
        }
    }

    /// Speaks with a tone from now on; `None`: is silent.
    pub fn speak(&mut self, voice_hz: Option<u32>) {
        self.voice_hz = voice_hz;
    }

    pub fn speaks(&self) -> bool {
        self.voice_hz.is_some()
    }

    /// New agreement within the call; numbering goes on.
    pub fn agree(&mut self, codec: Codec, payload_type: u8, event_payload_type: Option<u8>) {
        (self.codec, self.payload_type) = (codec, payload_type);
        self.event_payload_type = event_payload_type;
    }

    /// The packets of the next 20 ms.
    pub fn tick(&mut self) -> Tick {
        let mut tick = Tick::default();
        if matches!(self.now, Now::Silence)
            && let Some((key, by)) = self.queue.pop_front()
        {
            tick.pressed = Some((key, by));
            self.now = match by {
                KeyBy::Event | KeyBy::Info => Now::Event { key, began: self.timestamp, frames: 0 },
                KeyBy::Tone => Now::Tone { key, frames: 0 },
            };
        }
        self.now = match self.now {
            Now::Silence => {
                self.audio(&self.voice(), &mut tick);
                Now::Silence
            }
            Now::Event { key, began, frames } => self.event(key, began, frames + 1, &mut tick),
            Now::Tone { key, frames } => {
                self.audio(&tone(self.codec, key, frames), &mut tick);
                match frames + 1 {
                    HELD_FRAMES => Now::Pause { frames: 0 },
                    frames => Now::Tone { key, frames },
                }
            }
            Now::Pause { frames } => {
                self.audio(&[self.codec.silence(); FRAME as usize], &mut tick);
                match frames + 1 {
                    PAUSE_FRAMES => Now::Silence,
                    frames => Now::Pause { frames },
                }
            }
        };
        self.timestamp = self.timestamp.wrapping_add(FRAME);
        tick
    }

    fn event(&mut self, key: Key, began: u32, frames: u16, tick: &mut Tick) -> Now {
        let is_end = frames == HELD_FRAMES;
        let duration = (u32::from(frames) * FRAME) as u16;
        let flags = if is_end { 0x80 | EVENT_VOLUME } else { EVENT_VOLUME };
        let [high, low] = duration.to_be_bytes();
        let payload = [key.event(), flags, high, low];
        for _ in 0..if is_end { END_PACKETS } else { 1 } {
            let payload_type = self.event_payload_type.unwrap_or(self.payload_type);
            self.send(payload_type, frames == 1, began, &payload, tick);
        }
        if is_end { Now::Pause { frames: 0 } } else { Now::Event { key, began, frames } }
    }

    /// 20 ms of the voice. Its phase follows the timestamp, so that frames join without a click.
    fn voice(&self) -> [u8; FRAME as usize] {
        let Some(hz) = self.voice_hz else { return [self.codec.silence(); FRAME as usize] };
        std::array::from_fn(|n| {
            let sample = u64::from(self.timestamp) + n as u64;
            // Whole turns are taken away before the number grows too large for a float.
            let turn = (sample * u64::from(hz) % 8000) as f32 / 8000.0;
            g711::encode(self.codec, (VOICE * (turn * std::f32::consts::TAU).sin()) as i16)
        })
    }

    fn audio(&mut self, payload: &[u8], tick: &mut Tick) {
        self.send(self.payload_type, false, self.timestamp, payload, tick);
    }

    fn send(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        data: &[u8],
        tick: &mut Tick,
    ) {
        let (sequence, ssrc) = (self.sequence, self.ssrc);
        let packet = Packet { payload_type, marker, sequence, timestamp, ssrc, payload: data };
        tick.packets.push(packet.write());
        self.sequence = sequence.wrapping_add(1);
    }
}

/// The two tones of a key, in the given frame since it was pressed.
fn tone(codec: Codec, key: Key, frame: u16) -> Vec<u8> {
    let samples = dtmf::tone(key, u32::from(HELD_FRAMES) * 20);
    let frame = samples.chunks(FRAME as usize).nth(frame.into()).unwrap_or_default();
    frame.iter().map(|&sample| g711::encode(codec, sample)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        Sender::new(Codec::Pcma, 8, Some(101), 7)
    }

    fn key(c: char) -> Key {
        Key::try_from(c).unwrap()
    }

    #[test]
    fn silence_goes_out_every_tick_with_growing_numbers() {
        let mut sender = sender();
        let (first, second) = (sender.tick().packets, sender.tick().packets);
        let (first, second) = (Packet::read(&first[0]).unwrap(), Packet::read(&second[0]).unwrap());
        assert_eq!(first.payload, [0xD5; 160]);
        assert_eq!(second.sequence, first.sequence.wrapping_add(1));
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(160));
    }

    #[test]
    fn a_key_is_one_event_whose_end_comes_three_times() {
        let mut sender = sender();
        sender.press(key('#'), KeyBy::Event);
        let ticks: Vec<Tick> = (0..6).map(|_| sender.tick()).collect();
        assert_eq!(ticks[0].pressed, Some((key('#'), KeyBy::Event)));
        let events: Vec<_> = ticks[..5]
            .iter()
            .flat_map(|tick| tick.packets.iter().map(|bytes| Packet::read(bytes).unwrap()))
            .collect();
        assert_eq!(events.len(), 4 + 3);
        assert!(events[0].marker && !events[1].marker);
        assert!(events.iter().all(|e| e.payload_type == 101 && e.timestamp == events[0].timestamp));
        assert_eq!(events[0].payload, [11, 10, 0, 160]);
        assert_eq!(events[6].payload, [11, 0x8A, 3, 32]);
        let sequences: Vec<_> = events.iter().map(|e| e.sequence - events[0].sequence).collect();
        assert_eq!(sequences, [0, 1, 2, 3, 4, 5, 6]);
        let after = Packet::read(&ticks[5].packets[0]).unwrap();
        assert_eq!(after.timestamp, events[0].timestamp.wrapping_add(5 * 160));
    }

    #[test]
    fn without_telephone_event_a_key_is_a_tone() {
        let mut sender = Sender::new(Codec::Pcmu, 0, None, 7);
        sender.press(key('5'), KeyBy::Event);
        let tick = sender.tick();
        assert_eq!(tick.pressed, Some((key('5'), KeyBy::Tone)));
        let packet = Packet::read(&tick.packets[0]).unwrap();
        let energy: f64 = packet
            .payload
            .iter()
            .map(|&byte| f64::from(g711::decode(Codec::Pcmu, byte)).powi(2))
            .sum();
        assert!((energy / 160.0).sqrt() > 3000.0);
    }
}
