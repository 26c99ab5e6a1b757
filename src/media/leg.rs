//! One leg: its two sockets, the stream to the peer and the stream from it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;

use super::border::MediaEvent;
use super::clock::Clock;
use super::dtmf::EventReceiver;
use super::frames::Tick;
use super::library::Prompt;
use super::outbox::Outbox;
use super::packet::{HEADER_BYTES, Incoming, OutgoingHeader, is_rtcp};
use super::playlist::{Playlist, SAMPLES_PER_MS};
use super::reception::{Order, Reception};
use super::rtcp::{self, HeardFigures, SentFigures};
use super::sockets::Sockets;
use super::source::Source;
use super::tones::Tones;
use crate::domain::{Direction, Key, KeySource, LegId, MediaSession, PlayId, RtpStatistics};

/// Milliseconds of audio in a packet at most.
const PTIME_MAX_MS: u16 = 60;
/// The largest packet that is sent.
pub(super) const FRAME_BYTES_MAX: usize =
    HEADER_BYTES + PTIME_MAX_MS as usize * SAMPLES_PER_MS as usize;

/// What phones send in silence, agreed on or not (RFC 3389 §4).
const COMFORT_NOISE: u8 = 13;

/// Packets in a row by which a peer is believed to have another port than it said: 80 ms.
const PROBATION: u8 = 4;

/// What is handed from the opener to the worker.
#[derive(Debug)]
pub(super) struct OpenLeg {
    pub id: LegId,
    pub signalling: std::net::IpAddr,
    pub sockets: Sockets,
    pub port: u16,
}

#[derive(Debug)]
pub(super) struct Leg {
    pub id: LegId,
    pub sockets: Sockets,
    pub port: u16,
    /// When the next frame is due on the frame clock; `None` while nothing is sent.
    pub due: Option<Tick>,
    session: Option<MediaSession>,
    /// Where RTP comes from and goes to, and the same for RTCP.
    far: Source,
    far_rtcp: Source,
    playlist: Playlist,
    sender: Sender,
    reception: Reception,
    events: EventReceiver,
    /// Only without telephone events: half a kilobyte.
    tones: Option<Box<Tones>>,
    refused: u64,
    heard_us: u64,
    died: bool,
    next_report_us: u64,
    /// The peer's last sender report: the middle of its NTP time, and when it came.
    sender_report: Option<(u32, u64)>,
}

/// The stream that we send.
#[derive(Debug)]
struct Sender {
    ssrc: u32,
    header: OutgoingHeader,
    sequence: u16,
    /// Of the next packet.
    timestamp: u32,
    /// The next packet begins a talkspurt (RFC 3551 §4.1).
    marker: bool,
    packets: u64,
    bytes: u64,
    /// When the last frame was sent and how many samples it had.
    last: Option<(u64, u32)>,
    /// Packets as of the last report: whether we are a sender (RFC 3550 §6.4).
    packets_reported: u64,
}

impl Leg {
    pub fn new(open: OpenLeg) -> Self {
        let ssrc = rand::random();
        Self {
            id: open.id,
            sockets: open.sockets,
            port: open.port,
            due: None,
            session: None,
            far: Source::new(open.signalling, PROBATION),
            // Reports are rare, and only reports follow.
            far_rtcp: Source::new(open.signalling, 1),
            playlist: Playlist::default(),
            sender: Sender {
                ssrc,
                header: OutgoingHeader::new(0, ssrc),
                sequence: rand::random(),
                timestamp: rand::random(),
                marker: true,
                packets: 0,
                bytes: 0,
                last: None,
                packets_reported: 0,
            },
            reception: Reception::default(),
            events: EventReceiver::default(),
            tones: None,
            refused: 0,
            heard_us: 0,
            died: false,
            next_report_us: u64::MAX,
            sender_report: None,
        }
    }

    /// Starts the stream, or changes it.
    pub fn agree(&mut self, mut session: MediaSession, now_us: u64) {
        if !matches!(session.ptime_ms, 10 | 20 | 30 | 40 | 60) {
            session.ptime_ms = 20;
        }
        let first = self.session.is_none();
        let moved = self.far.negotiate(session.remote_rtp);
        let recoded = self.session.as_ref().is_some_and(|before| before.codec != session.codec);
        if moved {
            self.events = EventReceiver::default();
        }
        self.sender.marker |= moved || recoded;
        let rtcp = if session.rtcp_mux { session.remote_rtp } else { session.remote_rtcp };
        self.far_rtcp.negotiate(rtcp);
        self.tones = match session.telephone_event {
            Some(_) => None,
            None => Some(self.tones.take().unwrap_or_default()),
        };
        self.sender.header = OutgoingHeader::new(session.send_payload_type, self.sender.ssrc);
        if first {
            self.next_report_us = now_us + rtcp::interval_us(rand::random(), true);
        }
        // The peer gets the whole time anew: on hold it was not to send.
        self.heard_us = now_us;
        self.session = Some(session);
    }

    /// Whether frames are to be sent now.
    pub fn sends(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.direction.sends())
            && self.far.target().is_some()
    }

    /// Milliseconds of audio in a packet.
    pub fn ptime_ms(&self) -> Tick {
        self.session.as_ref().map_or(20, |session| Tick::from(session.ptime_ms))
    }

    /// After a time in which nothing was sent: the timestamp goes on with the clock.
    pub fn resume(&mut self, now_us: u64) {
        self.sender.marker = true;
        if let Some((at_us, samples)) = self.sender.last {
            let passed = (now_us.saturating_sub(at_us) * SAMPLES_PER_MS / 1000) as u32;
            let skipped = passed.saturating_sub(samples);
            self.sender.timestamp = self.sender.timestamp.wrapping_add(skipped);
        }
    }

    /// Sends the next frame: what the playlist has, else silence.
    pub fn send_frame(
        &mut self,
        now_us: u64,
        buffer: &mut [u8; FRAME_BYTES_MAX],
        outbox: &mut Outbox,
    ) {
        let (Some(session), Some(target)) = (&self.session, self.far.target()) else {
            return;
        };
        let samples = u32::from(session.ptime_ms) * SAMPLES_PER_MS as u32;
        let packet = &mut buffer[..HEADER_BYTES + samples as usize];
        let (header, audio) = packet.split_at_mut(HEADER_BYTES);
        let leg = self.id;
        self.playlist.fill(session.codec, audio, |play| {
            outbox.push(MediaEvent::PlayEnded { leg, play, cut_after_ms: None });
        });
        header.copy_from_slice(&self.sender.next_header(samples, now_us));
        // A packet that the system would not take is lost like any other: the stream goes on.
        if self.sockets.rtp.send_to(packet, target).is_ok() {
            self.sender.packets += 1;
            self.sender.bytes += u64::from(samples);
        }
    }

    pub fn play(&mut self, play: PlayId, prompts: Vec<Arc<Prompt>>, outbox: &mut Outbox) {
        if let Err(play) = self.playlist.push(play, prompts) {
            tracing::warn!(leg = %self.id, "too many plays are waiting; the newest is dropped");
            outbox.push(MediaEvent::PlayEnded { leg: self.id, play, cut_after_ms: Some(0) });
        }
    }

    pub fn stop_playing(&mut self, outbox: &mut Outbox) {
        let leg = self.id;
        self.playlist.cut(|play, sent_ms| {
            outbox.push(MediaEvent::PlayEnded { leg, play, cut_after_ms: Some(sent_ms) });
        });
    }

    /// A datagram on the RTP port.
    pub fn on_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now_us: u64,
        outbox: &mut Outbox,
    ) {
        // Before the first agreement nobody can tell a stranger from the peer.
        let Some(session) = &self.session else {
            return;
        };
        if session.rtcp_mux && is_rtcp(datagram) {
            return self.on_rtcp(from, datagram, now_us);
        }
        let Some(packet) = Incoming::parse(datagram) else {
            self.refused += 1;
            return;
        };
        let audio = packet.payload_type == session.receive_payload_type;
        let event =
            session.telephone_event.is_some_and(|event| event.receive == packet.payload_type);
        let noise = packet.payload_type == COMFORT_NOISE;
        if !self.far.admits(from, audio || event || noise) {
            self.refused += 1;
            return;
        }
        self.heard_us = now_us;
        let order = self.reception.on_packet(packet.ssrc, packet.sequence);
        if order == Order::Restart {
            self.events = EventReceiver::default();
        }
        if event {
            let key = self.events.receive(packet.marker, packet.timestamp, packet.payload);
            if let Some(key) = key {
                self.on_key(key, KeySource::Event, outbox);
            }
        } else if audio {
            self.on_audio(&packet, order, now_us, outbox);
        }
    }

    /// A datagram on the RTCP port, or RTCP on a shared one.
    pub fn on_rtcp(&mut self, from: SocketAddr, datagram: &[u8], now_us: u64) {
        if self.session.is_none() {
            return;
        }
        let Some(heard) = rtcp::read(datagram) else {
            self.refused += 1;
            return;
        };
        if !self.far_rtcp.admits(from, true) {
            self.refused += 1;
            return;
        }
        self.heard_us = now_us;
        if let Some(ntp) = heard.sender_report_ntp {
            self.sender_report = Some(((ntp >> 16) as u32, now_us));
        }
    }

    /// Looks after what has no frame: reports, and whether the peer still lives.
    pub fn check(&mut self, clock: &Clock, now_us: u64, dead_after_us: u64, outbox: &mut Outbox) {
        if now_us >= self.next_report_us {
            self.next_report_us = now_us + rtcp::interval_us(rand::random(), false);
            self.report(clock, now_us, false);
        }
        let talks = self.session.as_ref().is_some_and(|it| it.direction == Direction::SendRecv);
        if talks && !self.died && now_us.saturating_sub(self.heard_us) >= dead_after_us {
            self.died = true;
            outbox.push(MediaEvent::Died { leg: self.id });
        }
    }

    /// Says goodbye, and what the stream looked like.
    pub fn close(&mut self, clock: &Clock, now_us: u64, outbox: &mut Outbox) {
        if self.session.is_some() {
            self.report(clock, now_us, true);
        }
        self.stop_playing(outbox);
        let statistics = RtpStatistics {
            packets_sent: self.sender.packets,
            packets_received: self.reception.received(),
            packets_lost: self.reception.lost(),
            jitter_ms: self.reception.jitter_ms(),
            packets_refused: self.refused,
        };
        outbox.push(MediaEvent::Closed { leg: self.id, statistics });
    }

    /// A key stops what is being heard, before anybody else knows of it.
    fn on_key(&mut self, key: Key, source: KeySource, outbox: &mut Outbox) {
        outbox.push(MediaEvent::KeyPressed { leg: self.id, key, source });
        self.stop_playing(outbox);
    }

    fn on_audio(&mut self, packet: &Incoming<'_>, order: Order, now_us: u64, outbox: &mut Outbox) {
        self.reception.on_audio(packet.timestamp, now_us);
        let Some(session) = &self.session else {
            return;
        };
        let key = self.tones.as_mut().and_then(|tones| tones.hear(session.codec, packet, order));
        if let Some(key) = key {
            self.on_key(key, KeySource::Tone, outbox);
        }
    }

    fn report(&mut self, clock: &Clock, now_us: u64, goodbye: bool) {
        let Some(session) = &self.session else {
            return;
        };
        let (socket, target): (&UdpSocket, _) = if session.rtcp_mux {
            (&self.sockets.rtp, self.far.target())
        } else {
            (&self.sockets.rtcp, self.far_rtcp.target())
        };
        let Some(target) = target else {
            return;
        };
        let sent = self.sender.figures(clock, now_us);
        let heard = self.reception.report().map(|reception| {
            let (last_report, at_us) = self.sender_report.unwrap_or((0, now_us));
            let since_last_report = (now_us.saturating_sub(at_us) << 16) / 1_000_000;
            HeardFigures { reception, last_report, since_last_report: since_last_report as u32 }
        });
        // RFC 7022 §4.2: a name without a trace of who or where we are.
        let name = format!("{:08x}{:08x}", self.sender.ssrc, self.sender.ssrc.rotate_left(13));
        let report = rtcp::compound(self.sender.ssrc, &name, sent, heard, goodbye);
        let _lost_like_any_packet: io::Result<usize> = socket.send_to(&report, target);
    }
}

impl Sender {
    /// The header of the next packet of so many samples.
    fn next_header(&mut self, samples: u32, now_us: u64) -> [u8; HEADER_BYTES] {
        let header = self.header.bytes(self.marker, self.sequence, self.timestamp);
        self.marker = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(samples);
        self.last = Some((now_us, samples));
        header
    }

    /// What a sender report says, if anything was sent since the last one.
    fn figures(&mut self, clock: &Clock, now_us: u64) -> Option<SentFigures> {
        if self.packets == self.packets_reported {
            return None;
        }
        self.packets_reported = self.packets;
        let (at_us, samples) = self.last?;
        let passed = (now_us.saturating_sub(at_us) * SAMPLES_PER_MS / 1000) as u32;
        Some(SentFigures {
            ntp: clock.ntp(now_us),
            timestamp: self.timestamp.wrapping_sub(samples).wrapping_add(passed),
            packets: self.packets,
            bytes: self.bytes,
        })
    }
}
