//! The audio of one call: its RTP sockets, what is said and what is heard.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::keys::KeyBy;
use super::listen::Recording;
use super::listener::Listener;
use super::playout::Playout;
use super::rtp::Packet;
use super::sdp::{Agreement, Offering};
use super::sender::Sender;
use super::timeline::{PhoneEvent, TimelineEvent};
use super::tone::ToneEar;
use crate::domain::{Codec, Key};
use crate::media::dtmf::EventReceiver;

/// Largest UDP datagram.
const DATAGRAM_MAX: usize = 65_535;
/// A frame of audio.
const FRAME: Duration = Duration::from_millis(20);
/// Without a packet for so long, nothing is heard any more.
const STARVED_AFTER: Duration = Duration::from_millis(100);
/// Recordings are looked for after so many frames: 100 ms.
const LISTEN_FRAMES: u8 = 5;

/// What a phone says and listens for.
#[derive(Clone, Debug)]
pub struct AudioOptions {
    /// In order of preference; PCMA and PCMU unless said otherwise.
    pub codecs: Vec<Codec>,
    /// Offers telephone-event with this payload type; 101 unless said otherwise, `None`: not at all.
    pub event_payload_type: Option<u8>,
    /// Sends silence while nothing else is to be said. Without it the phone is mute, as behind a
    /// firewall.
    pub sends_audio: bool,
    /// The tone that the phone speaks with, in Hz; `None`: silence.
    pub voice_hz: Option<u32>,
    /// Tones whose beginnings and ends are told, in Hz, at least 100 Hz apart.
    pub listens_for_hz: Vec<u32>,
    /// Recordings that are told when they end. Each costs time; only those that matter.
    pub listens_for: Vec<Recording>,
    /// Keeps what is heard; it does unless said otherwise. Without it the phone notices that audio
    /// comes, and keys, but neither tones nor recordings: many calls cost little then.
    pub keeps_audio: bool,
}

impl Default for AudioOptions {
    fn default() -> Self {
        Self {
            codecs: Codec::ALL.to_vec(),
            event_payload_type: Some(101),
            sends_audio: true,
            voice_hz: None,
            listens_for_hz: Vec::new(),
            listens_for: Vec::new(),
            keeps_audio: true,
        }
    }
}

/// The sockets of a call, and everything behind them.
pub struct Audio {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    frames: Interval,
    buffer: Vec<u8>,
    offering: Offering,
    sends_silence: bool,
    voice_hz: Option<u32>,
    sender: Option<Sender>,
    remote: Option<SocketAddr>,
    may_send: bool,
    codecs_by_type: Vec<(u8, Codec)>,
    event_types: Vec<u8>,
    keys: EventReceiver,
    tones: ToneEar,
    listener: Option<Listener>,
    frames_unheard: u8,
    keeps_audio: bool,
    has_heard: bool,
    playout: Playout,
}

/// What [`Audio::wait`] waited for.
pub enum Due {
    Datagram { length: usize },
    Frame,
}

impl Audio {
    pub async fn open(ip: IpAddr, options: &AudioOptions) -> io::Result<Self> {
        let (rtp, rtcp) = bind_rtp_pair(ip).await?;
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let by_type = |codec: &Codec| (codec.static_payload_type(), *codec);
        Ok(Self {
            offering: Offering {
                codecs: options.codecs.clone(),
                event_payload_type: options.event_payload_type,
                rtp: rtp.local_addr()?,
            },
            rtp,
            rtcp,
            frames,
            buffer: vec![0; DATAGRAM_MAX],
            sends_silence: options.sends_audio,
            voice_hz: options.voice_hz,
            sender: None,
            remote: None,
            may_send: false,
            codecs_by_type: options.codecs.iter().map(by_type).collect(),
            event_types: options.event_payload_type.into_iter().collect(),
            keys: EventReceiver::default(),
            tones: ToneEar::new(&options.listens_for_hz),
            listener: (!options.listens_for.is_empty())
                .then(|| Listener::new(options.listens_for.clone())),
            frames_unheard: 0,
            keeps_audio: options.keeps_audio,
            has_heard: false,
            playout: Playout::default(),
        })
    }

    /// What is offered and accepted in SDP.
    pub fn offering(&self) -> &Offering {
        &self.offering
    }

    /// What was heard so far.
    pub fn playout(&self) -> &Playout {
        &self.playout
    }

    /// What was heard, when the call is over.
    pub fn into_playout(self) -> Playout {
        self.playout
    }

    /// Goes on as agreed, at first or anew.
    pub fn agree(&mut self, agreement: Agreement) {
        let Agreement { codec, payload_type, event_payload_type, remote, direction } = agreement;
        if !self.codecs_by_type.iter().any(|(number, _)| *number == payload_type) {
            self.codecs_by_type.push((payload_type, codec));
        }
        // Whoever answered took the number of who offered.
        self.event_types.extend(event_payload_type.filter(|it| !self.event_types.contains(it)));
        self.remote = Some(remote);
        self.may_send = direction.sends();
        match &mut self.sender {
            Some(sender) => sender.agree(codec, payload_type, event_payload_type),
            None => {
                let ssrc = uuid::Uuid::now_v7().as_fields().0 | 1;
                let mut sender = Sender::new(codec, payload_type, event_payload_type, ssrc);
                sender.speak(self.voice_hz);
                self.sender = Some(sender);
            }
        }
    }

    /// Puts a key behind those that wait. Before the first agreement there is nobody to hear it.
    pub fn press(&mut self, key: Key, by: KeyBy) {
        if let Some(sender) = &mut self.sender {
            sender.press(key, by);
        }
    }

    /// Speaks with another tone, or not at all.
    pub fn speak(&mut self, voice_hz: Option<u32>) {
        self.voice_hz = voice_hz;
        if let Some(sender) = &mut self.sender {
            sender.speak(voice_hz);
        }
    }

    /// Begins to count frames now; those that passed while nobody waited are not made up for.
    pub fn begin_frames(&mut self) {
        self.frames.reset();
    }

    /// Waits for something to be done by [`Audio::act`]. May be dropped while it waits.
    pub async fn wait(&mut self) -> Due {
        let mut report = [0; 1500];
        loop {
            tokio::select! {
                Ok((length, _)) = self.rtp.recv_from(&mut self.buffer) => {
                    return Due::Datagram { length };
                }
                // Taken off the wire like a phone does, so that the server meets no ICMP errors.
                _ = self.rtcp.recv_from(&mut report) => {}
                _ = self.frames.tick() => return Due::Frame,
            }
        }
    }

    /// Does what is due at `now`; `is_up` while the call is answered. Returns what happened.
    pub async fn act(&mut self, due: Due, now: Duration, is_up: bool) -> Vec<TimelineEvent> {
        match due {
            Due::Datagram { length } => self.hear(now, length),
            Due::Frame => {
                let mut events = self.listen(now);
                if is_up {
                    events.extend(self.send_frame(now).await);
                }
                events
            }
        }
    }

    fn hear(&mut self, now: Duration, length: usize) -> Vec<TimelineEvent> {
        let datagram = &self.buffer[..length];
        if let Some(packet) = Packet::read(datagram)
            && self.event_types.contains(&packet.payload_type)
        {
            let key = self.keys.receive(packet.marker, packet.timestamp, packet.payload);
            let heard = |key| PhoneEvent::KeyHeard { key, by: KeyBy::Event };
            return key
                .map(|key| TimelineEvent { at: now, what: heard(key) })
                .into_iter()
                .collect();
        }
        let codecs = &self.codecs_by_type;
        let codec_of = |number| codecs.iter().find(|known| known.0 == number).map(|known| known.1);
        let is_audio = if self.keeps_audio {
            self.playout.receive(now, datagram, codec_of)
        } else {
            Packet::read(datagram).is_some_and(|packet| codec_of(packet.payload_type).is_some())
        };
        if !is_audio {
            return Vec::new();
        }
        let is_first = !std::mem::replace(&mut self.has_heard, true);
        let first = is_first.then_some(TimelineEvent { at: now, what: PhoneEvent::FirstAudio });
        let mut events: Vec<TimelineEvent> = first.into_iter().collect();
        for change in self.tones.advance(self.playout.samples()) {
            let hz = change.hz;
            let what = if change.began {
                PhoneEvent::ToneBegan { hz }
            } else {
                PhoneEvent::ToneEnded { hz }
            };
            let at = self.playout.arrival_of(change.sample).unwrap_or(now);
            events.push(TimelineEvent { at, what });
        }
        events
    }

    /// What is only known after a while.
    fn listen(&mut self, now: Duration) -> Vec<TimelineEvent> {
        let mut events = Vec::new();
        let last = self.playout.arrivals().last().map(|last| last.at);
        if last.is_some_and(|last| now.saturating_sub(last) > STARVED_AFTER) {
            let ended = |hz| TimelineEvent { at: now, what: PhoneEvent::ToneEnded { hz } };
            events.extend(self.tones.starve().into_iter().map(ended));
        }
        self.frames_unheard += 1;
        if let Some(listener) = &mut self.listener
            && self.frames_unheard >= LISTEN_FRAMES
        {
            self.frames_unheard = 0;
            for heard in listener.advance(self.playout.samples()) {
                let (recording, complete) = (heard.id, heard.complete);
                let what = PhoneEvent::RecordingHeard { recording, complete };
                events.push(TimelineEvent { at: now, what });
            }
        }
        self.frames_unheard %= LISTEN_FRAMES;
        events
    }

    async fn send_frame(&mut self, now: Duration) -> Option<TimelineEvent> {
        let (Some(sender), Some(remote)) = (&mut self.sender, self.remote) else { return None };
        if !self.may_send {
            return None;
        }
        let tick = sender.tick();
        let is_mute = !self.sends_silence && !sender.speaks();
        for packet in tick.packets {
            // Audio is longer than any event.
            let is_silence = is_mute && packet.len() > 100;
            if !is_silence {
                // A datagram that can't be sent is one that got lost.
                let _ = self.rtp.send_to(&packet, remote).await;
            }
        }
        let (key, by) = tick.pressed?;
        Some(TimelineEvent { at: now, what: PhoneEvent::KeySent { key, by } })
    }
}

/// An even port for RTP and the next one for RTCP.
async fn bind_rtp_pair(ip: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let rtp = UdpSocket::bind((ip, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind((ip, port + 1)).await
        {
            return Ok((rtp, rtcp));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no pair of free ports for RTP and RTCP"))
}
