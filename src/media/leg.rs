//! One leg: its two sockets, the stream to the peer and the stream from it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mio::net::UdpSocket;

use super::border::MediaEvent;
use super::burst::Burst;
use super::clock::Clock;
use super::conversation::Listening;
use super::dtmf::EventReceiver;
use super::frames::Tick;
use super::library::Prompt;
use super::mixer::{Mixer, Voice};
use super::outbox::Outbox;
use super::packet::{HEADER_BYTES, Incoming, is_rtcp};
use super::playlist::{Playlist, SAMPLES_PER_MS};
use super::reception::{Order, Reception};
use super::recorder::Tap;
use super::relay::{Content, Relay, Speech};
use super::rtcp::{self, HeardFigures};
use super::sender::Sender;
use super::sockets::Sockets;
use super::source::{Evidence, Source};
use super::tones::Tones;
use crate::domain::{Direction, Key, KeySource, LegId, MediaSession, PlayId, RtpStatistics};

/// The largest packet that comes or goes; longer ones are cut: no packet of speech is so long.
pub(super) const PACKET_BYTES_MAX: usize = 2_048;

/// What phones send in silence, agreed on or not (RFC 3389 §4).
const COMFORT_NOISE: u8 = 13;

/// How often it is said that a peer is still quiet.
const QUIET_AGAIN_US: u64 = 4_000_000;

/// What is handed from the opener to the worker.
#[derive(Debug)]
pub(super) struct OpenLeg {
    pub id: LegId,
    pub signalling: IpAddr,
    pub sockets: Sockets,
    pub port: u16,
}

/// How long a peer may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub quiet_after_us: u64,
    pub dead_after_us: u64,
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
    /// The leg whose peer is heard here, by its number on this worker.
    pub partner: Option<u32>,
    relay: Relay,
    /// The supervisor who hears this leg; and what this leg does as a supervisor.
    pub supervisor: Option<u32>,
    pub listening: Option<Listening>,
    /// Only while two voices are heard here.
    mixer: Option<Box<Mixer>>,
    /// What the peer says is recorded here.
    pub tap: Option<Tap>,
    sender: Sender,
    reception: Reception,
    events: EventReceiver,
    /// Only without telephone events: half a kilobyte.
    tones: Option<Box<Tones>>,
    refused: u64,
    heard_us: u64,
    was_heard: bool,
    /// When it was last said that the peer is quiet.
    told_quiet_us: Option<u64>,
    died: bool,
    next_report_us: u64,
    /// The peer's last sender report: the middle of its NTP time, and when it came.
    sender_report: Option<(u32, u64)>,
}

impl Leg {
    pub fn new(open: OpenLeg) -> Self {
        Self {
            id: open.id,
            sockets: open.sockets,
            port: open.port,
            due: None,
            session: None,
            far: Source::new(open.signalling),
            far_rtcp: Source::new(open.signalling),
            playlist: Playlist::default(),
            partner: None,
            relay: Relay::default(),
            supervisor: None,
            listening: None,
            mixer: None,
            tap: None,
            sender: Sender::new(rand::random(), rand::random(), rand::random()),
            reception: Reception::default(),
            events: EventReceiver::default(),
            tones: None,
            refused: 0,
            heard_us: 0,
            was_heard: false,
            told_quiet_us: None,
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
        let moved = self.far.negotiate(session.remote_rtp, now_us);
        let recoded = self.session.as_ref().is_some_and(|before| before.codec != session.codec);
        if moved {
            self.events = EventReceiver::default();
        }
        if moved || recoded {
            self.sender.begin_talkspurt();
        }
        let rtcp = if session.rtcp_mux { session.remote_rtp } else { session.remote_rtcp };
        self.far_rtcp.negotiate(rtcp, now_us);
        self.tones = match session.telephone_event {
            Some(_) => None,
            None => Some(self.tones.take().unwrap_or_default()),
        };
        self.sender.set_payload_type(session.send_payload_type);
        if first {
            self.next_report_us = now_us + rtcp::interval_us(rand::random(), true);
        }
        // The peer gets the whole time anew: on hold it was not to send.
        self.heard_us = now_us;
        self.told_quiet_us = None;
        self.session = Some(session);
    }

    /// Takes over where the signalling of a leg comes from that was opened without knowing it.
    pub fn signalled_from(&mut self, peer: IpAddr) {
        self.far.signalled_from(peer);
        self.far_rtcp.signalled_from(peer);
    }

    /// Whether frames are to be sent now. A leg with a partner sends what the partner's peer says,
    /// when it says it; frames only while something is played, or voices are mixed.
    pub fn sends_frames(&self) -> bool {
        let may_send = self.session.as_ref().is_some_and(|session| session.direction.sends());
        let has_audio = self.partner.is_none() || self.mixer.is_some() || !self.playlist.is_empty();
        may_send && has_audio && self.far.target().is_some()
    }

    /// Milliseconds of audio in a packet.
    pub fn ptime_ms(&self) -> Tick {
        self.session.as_ref().map_or(20, |session| Tick::from(session.ptime_ms))
    }

    /// After a time without frames.
    pub fn resume(&mut self, now_us: u64) {
        self.relay.interrupt();
        self.sender.resume(now_us);
    }

    /// Sends the next frame: what the playlist has, else the voices that are mixed, else silence.
    pub fn send_frame(&mut self, now_us: u64, burst: &mut Burst, outbox: &mut Outbox) {
        let (Some(session), Some(target)) = (&self.session, self.far.target()) else {
            return;
        };
        let samples = u32::from(session.ptime_ms) * SAMPLES_PER_MS as u32;
        let length = HEADER_BYTES + samples as usize;
        let packet = &mut burst.room()[..length];
        let (header, audio) = packet.split_at_mut(HEADER_BYTES);
        let leg = self.id;
        match &mut self.mixer {
            Some(mixer) if self.playlist.is_empty() => mixer.fill(session.codec, audio),
            Some(_) | None => self.playlist.fill(session.codec, audio, |play| {
                outbox.push(MediaEvent::PlayEnded { leg, play, cut_after_ms: None });
            }),
        }
        header.copy_from_slice(&self.sender.next_header(samples, now_us));
        // A packet that the system would not take is lost like any other: the stream goes on.
        if self.far.may_send(now_us) && burst.send(&self.sockets, target, length) {
            self.sender.sent(samples as usize);
        }
    }

    /// Sends what the partner's peer says; not while something is played, which is heard instead,
    /// nor while the direction forbids sending. If voices are mixed, it waits for the next frame.
    pub fn hear(&mut self, voice: Voice, speech: &Speech<'_>, now_us: u64, burst: &mut Burst) {
        if let Some(mixer) = &mut self.mixer {
            return mixer.hear(voice, speech);
        }
        let (Some(session), Some(target)) = (&self.session, self.far.target()) else {
            return;
        };
        if !self.playlist.is_empty() || !session.direction.sends() {
            return self.relay.interrupt();
        }
        let room = burst.room();
        let Some(length) = self.relay.pass(speech, session, &mut self.sender, now_us, room) else {
            return;
        };
        if self.far.may_send(now_us) && burst.send(&self.sockets, target, length) {
            self.sender.sent(length - HEADER_BYTES);
        }
    }

    /// From now on the peer of `partner` is heard; what is being played is cut.
    pub fn join(&mut self, partner: u32, outbox: &mut Outbox) {
        self.stop_playing(outbox);
        self.partner = Some(partner);
        self.relay.interrupt();
    }

    /// The end of what [`Leg::join`] began.
    pub fn part(&mut self) {
        self.partner = None;
        self.relay.interrupt();
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

    /// Begins or ends that two voices are heard here.
    pub fn mix(&mut self, two_voices: bool) {
        if two_voices != self.mixer.is_some() {
            self.mixer = two_voices.then(Box::default);
            self.relay.interrupt();
        }
    }

    /// A datagram on the RTP port; what the others of a conversation hear of it.
    pub fn on_datagram<'a>(
        &mut self,
        from: SocketAddr,
        datagram: &'a [u8],
        now_us: u64,
        outbox: &mut Outbox,
    ) -> Option<Speech<'a>> {
        // Before the first agreement nobody can tell a stranger from the peer.
        let session = self.session.as_ref()?;
        if session.rtcp_mux && is_rtcp(datagram) {
            self.on_rtcp(from, datagram, now_us);
            return None;
        }
        let Some(packet) = Incoming::parse(datagram) else {
            self.refused += 1;
            return None;
        };
        let content = content(&packet, session);
        let receives = session.direction.receives();
        let (ssrc, sequence) = (packet.ssrc, packet.sequence);
        let evidence = content.map_or(Evidence::None, |_| Evidence::Stream { ssrc, sequence });
        if !self.far.admits(from, evidence, now_us) {
            self.refused += 1;
            return None;
        }
        // Somebody else who writes our peer's address on the envelope.
        let Some(order) = self.reception.on_packet(ssrc, sequence, now_us) else {
            self.refused += 1;
            return None;
        };
        self.note_heard(now_us);
        if order == Order::Restart {
            self.events = EventReceiver::default();
        }
        let content = content.unwrap_or(Content::Other);
        if let Some((key, source)) = self.take(content, &packet, order, now_us) {
            self.on_key(key, source, outbox);
        }
        let Incoming { marker, sequence, timestamp, payload, .. } = packet;
        receives.then_some(Speech { content, order, marker, sequence, timestamp, payload })
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
        let names_stream = self.reception.ssrc().is_some_and(|ssrc| heard.ssrc == Some(ssrc));
        // Reports move only together with what they report on.
        let moves = names_stream && self.far.has_moved();
        let evidence = if moves { Evidence::NamesStream } else { Evidence::None };
        if !self.far_rtcp.admits(from, evidence, now_us) {
            self.refused += 1;
            return;
        }
        self.far.note_heard();
        self.note_heard(now_us);
        if let Some(ntp) = heard.sender_report_ntp {
            self.sender_report = Some(((ntp >> 16) as u32, now_us));
        }
    }

    /// Looks after what has no frame: reports, and whether the peer still lives.
    pub fn check(&mut self, clock: &Clock, now_us: u64, limits: Limits, outbox: &mut Outbox) {
        if now_us >= self.next_report_us {
            self.next_report_us = now_us + rtcp::interval_us(rand::random(), false);
            self.report(clock, now_us, false);
        }
        let talks = self.session.as_ref().is_some_and(|it| it.direction == Direction::SendRecv);
        if !talks {
            return;
        }
        let silent_us = now_us.saturating_sub(self.heard_us);
        let is_due = self.told_quiet_us.is_none_or(|told_us| now_us >= told_us + QUIET_AGAIN_US);
        if self.was_heard && is_due && silent_us >= limits.quiet_after_us {
            self.told_quiet_us = Some(now_us);
            outbox.push(MediaEvent::Quiet { leg: self.id });
        }
        if !self.died && silent_us >= limits.dead_after_us {
            self.died = true;
            outbox.push(MediaEvent::Died { leg: self.id });
        }
    }

    fn note_heard(&mut self, now_us: u64) {
        self.heard_us = now_us;
        self.was_heard = true;
        self.told_quiet_us = None;
    }

    /// Says goodbye, and what the stream looked like. Of plays that had not begun nothing is told:
    /// a leg that is closed needs nothing from them.
    pub fn close(&mut self, clock: &Clock, now_us: u64, outbox: &mut Outbox) {
        if self.session.is_some() {
            self.report(clock, now_us, true);
        }
        let leg = self.id;
        self.playlist.cut(|play, sent_ms| {
            if sent_ms > 0 {
                outbox.push(MediaEvent::PlayEnded { leg, play, cut_after_ms: Some(sent_ms) });
            }
        });
        let statistics = RtpStatistics {
            packets_sent: self.sender.packets,
            packets_received: self.reception.received(),
            packets_lost: self.reception.lost(),
            jitter_ms: self.reception.jitter_ms(),
            packets_refused: self.refused,
        };
        outbox.push(MediaEvent::Closed { leg: self.id, statistics });
    }

    /// Takes a packet of the peer in; the key that is pressed, if it is the first sign of one.
    fn take(
        &mut self,
        content: Content,
        packet: &Incoming<'_>,
        order: Order,
        now_us: u64,
    ) -> Option<(Key, KeySource)> {
        match content {
            Content::Audio(codec) => {
                self.reception.on_audio(packet.timestamp, now_us);
                let receives = self.session.as_ref().is_some_and(|it| it.direction.receives());
                if let Some(tap) = self.tap.as_ref().filter(|_| receives) {
                    tap.hear(codec, packet, now_us);
                }
                let key = self.tones.as_mut()?.hear(codec, packet, order)?;
                Some((key, KeySource::Tone))
            }
            Content::Event => {
                let key = self.events.receive(packet.marker, packet.timestamp, packet.payload)?;
                Some((key, KeySource::Event))
            }
            Content::Other => None,
        }
    }

    /// A key stops what is being heard, before anybody else knows of it.
    fn on_key(&mut self, key: Key, source: KeySource, outbox: &mut Outbox) {
        outbox.push(MediaEvent::KeyPressed { leg: self.id, key, source });
        self.stop_playing(outbox);
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

/// What a packet is by what was agreed; `None` for what was not.
fn content(packet: &Incoming<'_>, session: &MediaSession) -> Option<Content> {
    // Some phones send keys by the number that they named themselves, instead of ours.
    let is_event = |payload_type: u8| {
        let event = session.telephone_event;
        event.is_some_and(|event| payload_type == event.receive || payload_type == event.send)
    };
    match packet.payload_type {
        audio if audio == session.receive_payload_type => Some(Content::Audio(session.codec)),
        key if is_event(key) => Some(Content::Event),
        COMFORT_NOISE => Some(Content::Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Ear;

    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::super::packet::OutgoingHeader;
    use super::*;
    use crate::domain::Codec;

    const FRAME_US: u64 = 20_000;

    /// A leg whose caller names this ear, and calls from elsewhere.
    fn leg_towards(ear: SocketAddr) -> Leg {
        let bind = || UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let sockets = Sockets { rtp: bind(), rtcp: bind(), local: None };
        let signalling = "203.0.113.9".parse().unwrap();
        let mut leg =
            Leg::new(OpenLeg { id: LegId(Uuid::nil()), signalling, sockets, port: 20_000 });
        let session = MediaSession {
            codec: Codec::Pcma,
            send_payload_type: 8,
            receive_payload_type: 8,
            telephone_event: None,
            ptime_ms: 20,
            remote_rtp: ear,
            remote_rtcp: ear,
            rtcp_mux: false,
            direction: Direction::SendRecv,
        };
        leg.agree(session, 0);
        leg
    }

    #[test]
    fn a_third_machine_that_keeps_silent_is_left_alone() {
        let ear = Ear::bind("127.0.0.1:0").unwrap();
        ear.set_nonblocking(true).unwrap();
        let address = ear.local_addr().unwrap();
        let mut leg = leg_towards(address);
        let (sender, _events) = mpsc::channel(8);
        let (mut outbox, mut burst) = (Outbox::new(sender), Burst::new(false));
        let arrived = || std::iter::from_fn(|| ear.recv(&mut [0; 200]).ok()).count();

        let mut played = 0;
        for frame in 0..1_000 {
            leg.send_frame(frame * FRAME_US, &mut burst, &mut outbox);
            played += arrived();
        }
        assert_eq!(played, 250, "five seconds of it");
        let audio = [0xD5; 160];
        let speech = Speech {
            content: Content::Audio(Codec::Pcma),
            order: Order::Next { lost: 0 },
            marker: false,
            sequence: 1,
            timestamp: 160,
            payload: &audio,
        };
        leg.hear(Voice::Partner, &speech, 1_000 * FRAME_US, &mut burst);
        assert_eq!(arrived(), 0, "nor what an operator says");

        let packet = [&OutgoingHeader::new(8, 7).bytes(false, 1, 160)[..], &audio].concat();
        leg.on_datagram(address, &packet, 1_001 * FRAME_US, &mut outbox);
        leg.send_frame(1_002 * FRAME_US, &mut burst, &mut outbox);
        leg.hear(Voice::Partner, &Speech { sequence: 2, ..speech }, 1_003 * FRAME_US, &mut burst);
        assert_eq!(arrived(), 2, "it was the caller's own");
    }
}
