//! The engine tested through real sockets on the loopback interface: a telephone that says what
//! it likes and writes down what it hears.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::clock::Clock;
use super::dtmf;
use super::packet::{Incoming, OutgoingHeader};
use super::*;
use crate::domain::{
    Codec, Direction, EventPayload, Key, KeySource, Language, LegId, LocalMedia, MediaSession,
    PlayId, RecordingId,
};

mod bridge;
mod closing;

/// What must happen happens within this, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(5);
const EVENT_PAYLOAD: EventPayload = EventPayload { send: 101, receive: 96 };

/// An engine with a library of noises; one test each, on ports of its own.
struct House {
    engine: MediaEngine,
    workers: usize,
    events: mpsc::Receiver<MediaEvent>,
    library: Arc<PromptLibrary>,
    runtime: tokio::runtime::Runtime,
}

impl House {
    fn new(first_port: u16) -> Self {
        Self::with(MediaSettings {
            ip: "127.0.0.1".parse().unwrap(),
            ports: first_port..=first_port + 9,
            workers: 1,
            dead_after_ms: 60_000,
            ..MediaSettings::default()
        })
    }

    fn with(settings: MediaSettings) -> Self {
        let mut library = PromptLibrary::default();
        for (name, length, seed) in
            [("short", 1_001_u16, 3_i16), ("odd", 333, 5), ("long", 40_000, 7)]
        {
            let samples =
                (0..length).map(move |n| n.wrapping_mul(7919).cast_signed() ^ (seed << 9));
            library.insert(Language::Russian, RecordingId::new(name), Prompt::encode(samples));
        }
        let library = Arc::new(library);
        let (sender, events) = mpsc::channel(64);
        let shared = Arc::new(ArcSwap::new(Arc::clone(&library)));
        let engine = MediaEngine::start(&settings, shared, sender).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { engine, workers: settings.workers, events, library, runtime }
    }

    fn event(&mut self) -> MediaEvent {
        self.runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.events.recv()).await })
            .expect("an event comes in time")
            .expect("the engine runs")
    }

    fn play(&self, leg: LegId, play: u32, recordings: &[&str]) {
        let recordings: Vec<_> = recordings.iter().map(|&id| RecordingId::new(id)).collect();
        self.engine.handle().play(leg, PlayId(play), Language::Russian, &recordings);
    }

    fn audio(&self, recordings: &[&str]) -> Vec<u8> {
        let prompt = |&id: &&str| {
            self.library.get(Language::Russian, &RecordingId::new(id)).unwrap().bytes(Codec::Pcma)
        };
        recordings.iter().map(prompt).collect::<Vec<_>>().concat()
    }

    /// A leg with a telephone at its far end, in a call that flows both ways.
    fn call(&self, change: impl FnOnce(&mut MediaSession)) -> Phone {
        self.call_as(LegId(Uuid::now_v7()), change)
    }

    /// The same with a given id, which decides on the worker.
    fn call_as(&self, leg: LegId, change: impl FnOnce(&mut MediaSession)) -> Phone {
        let mut phone = Phone::dial(self, leg, "127.0.0.1".parse().unwrap());
        change(&mut phone.session);
        self.engine.handle().agree(phone.leg, phone.session.clone());
        phone
    }
}

struct Phone {
    leg: LegId,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    session: MediaSession,
    server: SocketAddr,
    sequence: u16,
    timestamp: u32,
}

/// A packet as the telephone heard it.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    payload_type: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

fn socket(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

impl Phone {
    fn dial(house: &House, leg: LegId, ip: IpAddr) -> Self {
        let worker = (leg.0.as_u128() % house.workers as u128) as usize;
        let opened = house.engine.handle().open_on(Some(worker), leg, ip, ip);
        let LocalMedia { rtp_port, .. } = opened.unwrap();
        let (rtp, rtcp) = (socket(ip), socket(ip));
        let session = MediaSession {
            codec: Codec::Pcma,
            send_payload_type: 8,
            receive_payload_type: 8,
            telephone_event: Some(EVENT_PAYLOAD),
            ptime_ms: 20,
            remote_rtp: rtp.local_addr().unwrap(),
            remote_rtcp: rtcp.local_addr().unwrap(),
            rtcp_mux: false,
            direction: Direction::SendRecv,
        };
        let server = SocketAddr::new(ip, rtp_port);
        Self { leg, rtp, rtcp, session, server, sequence: 1, timestamp: 1 }
    }

    /// A packet of audio.
    fn hear(&self) -> Heard {
        let heard = self.hear_packet();
        assert_eq!(heard.payload_type, self.session.send_payload_type);
        heard
    }

    /// The packets that came already.
    fn hear_waiting(&self) -> Vec<Heard> {
        self.rtp.set_nonblocking(true).unwrap();
        let mut buffer = [0; 2048];
        let waiting = std::iter::from_fn(|| {
            self.rtp.recv_from(&mut buffer).ok().map(|it| self.read(&buffer[..it.0], it.1))
        });
        let heard = waiting.collect();
        self.rtp.set_nonblocking(false).unwrap();
        heard
    }

    fn hear_packet(&self) -> Heard {
        let mut buffer = [0; 2048];
        let (length, from) = self.rtp.recv_from(&mut buffer).expect("RTP flows");
        self.read(&buffer[..length], from)
    }

    fn read(&self, bytes: &[u8], from: SocketAddr) -> Heard {
        assert_eq!(from, self.server);
        let packet = Incoming::parse(bytes).unwrap();
        Heard {
            payload_type: packet.payload_type,
            marker: packet.marker,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload: packet.payload.to_vec(),
        }
    }

    /// Packets up to the first that is all silence, which is left out.
    fn hear_until_silence(&self) -> Vec<Heard> {
        std::iter::repeat_with(|| self.hear()).take_while(|heard| !is_silence(heard)).collect()
    }

    fn hear_until_sound(&self) -> Heard {
        std::iter::repeat_with(|| self.hear()).find(|heard| !is_silence(heard)).unwrap()
    }

    /// Takes what came already; says how much.
    fn catch_up(&self) -> usize {
        self.rtp.set_nonblocking(true).unwrap();
        let waiting = std::iter::from_fn(|| self.rtp.recv(&mut [0; 2048]).ok()).count();
        self.rtp.set_nonblocking(false).unwrap();
        waiting
    }

    fn packet(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let header = OutgoingHeader::new(payload_type, 77).bytes(marker, self.sequence, timestamp);
        self.sequence += 1;
        [&header[..], payload].concat()
    }

    fn say(&mut self, audio: &[u8]) {
        for frame in audio.chunks(160) {
            let payload_type = self.session.receive_payload_type;
            let packet = self.packet(payload_type, false, self.timestamp, frame);
            self.timestamp += 160;
            self.rtp.send_to(&packet, self.server).unwrap();
        }
    }

    /// All packets of a press at once.
    fn event(&mut self, key: char) -> Vec<Vec<u8>> {
        let payload_type = self.session.telephone_event.unwrap_or(EVENT_PAYLOAD).receive;
        let timestamp = self.timestamp;
        self.timestamp += 1600;
        dtmf::event_packets(self::key(key), 100, 20)
            .iter()
            .map(|event| self.packet(payload_type, event.marker, timestamp, &event.payload))
            .collect()
    }

    fn press(&mut self, key: char) {
        for packet in self.event(key) {
            self.rtp.send_to(&packet, self.server).unwrap();
        }
    }
}

fn is_silence(heard: &Heard) -> bool {
    heard.payload.iter().all(|&byte| byte == Codec::Pcma.silence())
}

fn key(c: char) -> Key {
    Key::try_from(c).unwrap()
}

fn pressed(phone: &Phone, c: char, source: KeySource) -> MediaEvent {
    MediaEvent::KeyPressed { leg: phone.leg, key: key(c), source }
}

fn ended(phone: &Phone, play: u32, cut_after_ms: Option<u64>) -> MediaEvent {
    MediaEvent::PlayEnded { leg: phone.leg, play: PlayId(play), cut_after_ms }
}

#[test]
fn recordings_arrive_as_they_were_encoded_without_a_gap_or_a_jump() {
    recordings_arrive(House::new(14_000));
}

#[test]
fn recordings_arrive_the_same_when_each_leg_sends_by_its_own_socket() {
    recordings_arrive(House::with(MediaSettings {
        ip: "127.0.0.1".parse().unwrap(),
        ports: 14_192..=14_195,
        workers: 1,
        raw_socket: false,
        ..MediaSettings::default()
    }));
}

fn recordings_arrive(mut house: House) {
    let phone = house.call(|_| {});
    let first = phone.hear();
    assert!(first.marker && is_silence(&first));
    house.play(phone.leg, 1, &["short", "odd"]);
    house.play(phone.leg, 2, &["short"]);
    let mut heard = vec![phone.hear_until_sound()];
    heard.extend(phone.hear_until_silence());

    let mut expected = house.audio(&["short", "odd", "short"]);
    expected.resize(expected.len().next_multiple_of(160), Codec::Pcma.silence());
    let audio: Vec<u8> = heard.iter().flat_map(|heard| heard.payload.clone()).collect();
    assert_eq!(audio, expected);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        assert!(!pair[1].marker);
    }
    assert_eq!(house.event(), ended(&phone, 1, None));
    assert_eq!(house.event(), ended(&phone, 2, None));
}

#[test]
fn packets_are_as_long_as_agreed_in_the_codec_agreed() {
    for (port, ptime_ms) in [(14_010, 10), (14_020, 30), (14_030, 60)] {
        let house = House::new(port);
        let phone = house.call(|session| {
            (session.codec, session.ptime_ms) = (Codec::Pcmu, ptime_ms);
        });
        let (first, second) = (phone.hear(), phone.hear());
        assert_eq!(first.payload, vec![0xFF; usize::from(ptime_ms) * 8]);
        assert_eq!(second.timestamp, first.timestamp.wrapping_add(u32::from(ptime_ms) * 8));
    }
}

/// The longest time without a packet and the whole time of 50, in µs, on a call of its own.
fn pace(house: &House, clock: Clock) -> (u64, u64) {
    let phone = house.call(|_| {});
    phone.hear();
    let first_us = clock.now_us();
    let (mut before_us, mut longest_us) = (first_us, 0);
    for _ in 0..50 {
        phone.hear();
        let now_us = clock.now_us();
        longest_us = longest_us.max(now_us - before_us);
        before_us = now_us;
    }
    (longest_us, before_us - first_us)
}

#[test]
fn packets_come_evenly() {
    let house = House::new(14_040);
    let clock = Clock::start();
    // On a busy machine the telephone may be held up, not the engine: one good second is proof.
    let paces: Vec<_> = (0..4).map(|_| pace(&house, clock)).collect();
    let good = |&(longest_us, whole_us): &(u64, u64)| {
        // The second packet may be early by half a frame.
        longest_us <= 60_000 && (985_000..1_030_000).contains(&whole_us)
    };
    assert!(paces.iter().any(good), "longest gap and whole time, µs: {paces:?}");
}

#[test]
fn a_key_cuts_what_is_heard_within_two_frames() {
    let mut house = House::new(14_050);
    let mut phone = house.call(|_| {});
    house.play(phone.leg, 1, &["long"]);
    house.play(phone.leg, 2, &["short"]);
    phone.hear_until_sound();
    let heard_before = 1 + phone.catch_up();
    phone.press('5');
    let still_heard = phone.hear_until_silence().len();
    assert!(still_heard <= 2, "{still_heard} frames after the key");

    assert_eq!(house.event(), pressed(&phone, '5', KeySource::Event));
    let MediaEvent::PlayEnded { play: PlayId(1), cut_after_ms: Some(after_ms), .. } = house.event()
    else {
        panic!("the play was not cut");
    };
    assert_eq!(after_ms, 20 * (heard_before + still_heard) as u64);
    assert_eq!(house.event(), ended(&phone, 2, Some(0)));
}

#[test]
fn lost_repeated_and_reordered_packets_make_one_key() {
    let mut house = House::new(14_060);
    let mut phone = house.call(|_| {});
    let (one, two) = (phone.event('1'), phone.event('2'));
    for packet in [&one[2], &one[1], &one[2], &two[0], &one[6], &two[5], &two[0]] {
        phone.rtp.send_to(packet, phone.server).unwrap();
    }
    phone.press('2');
    for expected in ['1', '2', '2'] {
        assert_eq!(house.event(), pressed(&phone, expected, KeySource::Event));
    }
}

#[test]
fn keys_are_heard_by_either_sides_number() {
    let mut house = House::new(14_180);
    let mut phone = house.call(|_| {});
    phone.press('1');
    phone.session.telephone_event =
        Some(EventPayload { send: EVENT_PAYLOAD.receive, receive: EVENT_PAYLOAD.send });
    phone.press('2');
    for expected in ['1', '2'] {
        assert_eq!(house.event(), pressed(&phone, expected, KeySource::Event));
    }
}

#[test]
fn tones_are_heard_when_events_were_not_agreed_on() {
    let mut house = House::new(14_070);
    let mut phone = house.call(|session| session.telephone_event = None);
    for c in "90#".chars() {
        let tone: Vec<u8> = dtmf::tone(key(c), 60).into_iter().map(g711::encode_alaw).collect();
        phone.say(&tone);
        phone.say(&[Codec::Pcma.silence(); 480]);
    }
    for c in "90#".chars() {
        assert_eq!(house.event(), pressed(&phone, c, KeySource::Tone));
    }
}

#[test]
fn a_stranger_neither_steers_the_stream_nor_is_heard() {
    let mut house = House::new(14_080);
    let mut phone = house.call(|_| {});
    let stranger = socket("127.0.0.2".parse().unwrap());
    let neighbour = socket("127.0.0.1".parse().unwrap());
    for packet in phone.event('9') {
        stranger.send_to(&packet, phone.server).unwrap();
    }
    phone.press('1'); // locks
    assert_eq!(house.event(), pressed(&phone, '1', KeySource::Event));
    for packet in phone.event('8') {
        stranger.send_to(&packet, phone.server).unwrap();
        neighbour.send_to(&packet, phone.server).unwrap();
    }
    stranger.send_to(b"no packet at all", phone.server).unwrap();
    phone.press('2');
    assert_eq!(house.event(), pressed(&phone, '2', KeySource::Event));
    phone.hear();
    house.engine.handle().close(phone.leg);
    let MediaEvent::Closed { statistics, .. } = house.event() else {
        panic!("not closed");
    };
    assert_eq!(statistics.packets_refused, 7 + 14 + 1);
    // The second key was told at its first packet; the end may come before its other six are read.
    assert!((7 + 1..=14).contains(&statistics.packets_received), "{statistics:?}");
    stranger.set_nonblocking(true).unwrap();
    neighbour.set_nonblocking(true).unwrap();
    assert!(stranger.recv(&mut [0; 64]).is_err() && neighbour.recv(&mut [0; 64]).is_err());
}

#[test]
fn the_stream_follows_a_peer_whose_port_was_changed_on_the_way() {
    let house = House::new(14_090);
    let mut phone = house.call(|_| {});
    phone.hear();
    let behind_nat = socket("127.0.0.1".parse().unwrap());
    let named = std::mem::replace(&mut phone.rtp, behind_nat);
    // At about the pace of speech: half a second of it is needed.
    phone.rtp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let is_followed = (0..200).any(|_| {
        phone.say(&[Codec::Pcma.silence(); 160]);
        phone.rtp.recv(&mut [0; 512]).is_ok()
    });
    assert!(is_followed);
    // Until a new agreement names the address anew.
    let elsewhere = socket("127.0.0.1".parse().unwrap());
    phone.session.remote_rtp = elsewhere.local_addr().unwrap();
    house.engine.handle().agree(phone.leg, phone.session.clone());
    phone.rtp = elsewhere;
    phone.hear();
    drop(named);
}

#[test]
fn on_hold_nothing_is_sent_and_the_prompt_waits() {
    let house = House::new(14_100);
    let phone = house.call(|_| {});
    house.play(phone.leg, 1, &["long"]);
    let mut heard = vec![phone.hear_until_sound(), phone.hear(), phone.hear()];

    let mut held = phone.session.clone();
    held.direction = Direction::Inactive;
    house.engine.handle().agree(phone.leg, held);
    phone.rtp.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 2048];
    while let Ok(length) = phone.rtp.recv(&mut buffer) {
        let packet = Incoming::parse(&buffer[..length]).unwrap();
        let Incoming { payload_type, marker, sequence, timestamp, .. } = packet;
        let payload = packet.payload.to_vec();
        heard.push(Heard { payload_type, marker, sequence, timestamp, payload });
    }

    phone.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
    house.engine.handle().agree(phone.leg, phone.session.clone());
    let resumed = phone.hear();
    let last = heard.last().unwrap();
    assert!(resumed.marker);
    assert_eq!(resumed.sequence, last.sequence.wrapping_add(1));
    let passed = resumed.timestamp.wrapping_sub(last.timestamp);
    assert!((800..40_000).contains(&passed), "{passed} samples passed in 100 ms");
    heard.push(resumed);
    let audio: Vec<u8> = heard.iter().flat_map(|heard| heard.payload.clone()).collect();
    assert_eq!(audio, house.audio(&["long"])[..audio.len()]);
}

#[test]
fn a_leg_that_hears_nothing_dies_once_but_not_on_hold() {
    let mut house = House::with(MediaSettings {
        ip: "127.0.0.1".parse().unwrap(),
        ports: 14_110..=14_119,
        workers: 1,
        dead_after_ms: 200,
        ..MediaSettings::default()
    });
    let held = house.call(|session| session.direction = Direction::RecvOnly);
    let silent = house.call(|_| {});
    assert_eq!(house.event(), MediaEvent::Died { leg: silent.leg });
    let alive = house.call(|_| {});
    alive
        .rtcp
        .send_to(
            b"\x80\xC9\x00\x01abcd",
            SocketAddr::new(alive.server.ip(), alive.server.port() + 1),
        )
        .unwrap();
    assert_eq!(house.event(), MediaEvent::Died { leg: alive.leg });
    house.engine.handle().close(held.leg);
    house.engine.handle().close(silent.leg);
    assert!(matches!(house.event(), MediaEvent::Closed { leg, .. } if leg == held.leg));
    assert!(matches!(house.event(), MediaEvent::Closed { leg, .. } if leg == silent.leg));
}

#[test]
fn a_peer_that_falls_silent_is_told_of_each_time_but_not_one_that_never_spoke_or_holds() {
    let mut house = House::with(MediaSettings {
        ip: "127.0.0.1".parse().unwrap(),
        ports: 14_160..=14_169,
        workers: 1,
        dead_after_ms: 60_000,
        quiet_after_ms: 150,
        ..MediaSettings::default()
    });
    let mut held = house.call(|session| session.direction = Direction::RecvOnly);
    held.say(&[Codec::Pcma.silence(); 160]);
    let never_heard = house.call(|_| {});
    let mut phone = house.call(|_| {});
    phone.say(&[Codec::Pcma.silence(); 160]);
    assert_eq!(house.event(), MediaEvent::Quiet { leg: phone.leg });
    phone.say(&[Codec::Pcma.silence(); 160]);
    assert_eq!(house.event(), MediaEvent::Quiet { leg: phone.leg });
    let rtcp = SocketAddr::new(phone.server.ip(), phone.server.port() + 1);
    phone.rtcp.send_to(b"\x80\xC9\x00\x01abcd", rtcp).unwrap();
    assert_eq!(house.event(), MediaEvent::Quiet { leg: phone.leg }, "reports are heard, too");
    house.engine.handle().close(never_heard.leg);
    assert!(matches!(house.event(), MediaEvent::Closed { leg, .. } if leg == never_heard.leg));
}

#[test]
fn ports_that_ran_out_and_ports_in_use_are_told_apart() {
    let house = House::with(MediaSettings {
        ip: "127.0.0.1".parse().unwrap(),
        ports: 14_130..=14_133,
        ..MediaSettings::default()
    });
    // Somebody else has one of the two pairs.
    let _taken = UdpSocket::bind("127.0.0.1:14131").unwrap();
    let local = "127.0.0.1".parse().unwrap();
    let handle = house.engine.handle();
    let leg = LegId(Uuid::now_v7());
    assert_eq!(handle.open(leg, local, local).unwrap().rtp_port, 14_132);
    let error = handle.open(LegId(Uuid::now_v7()), local, local).unwrap_err();
    assert_eq!(error.to_string(), "all RTP ports of 14130-14133 are in use");
    handle.close(leg); // and even then, the pair rests first
    assert!(handle.open(LegId(Uuid::now_v7()), local, local).is_err());
}

#[test]
fn a_caller_by_ipv6_is_served_by_ipv6() {
    let house = House::new(14_140);
    let phone = Phone::dial(&house, LegId(Uuid::now_v7()), "::1".parse().unwrap());
    house.engine.handle().agree(phone.leg, phone.session.clone());
    assert!(phone.hear().marker);
}

#[test]
fn the_end_of_the_engine_is_the_end_of_its_legs() {
    let mut house = House::new(14_150);
    let phone = house.call(|_| {});
    phone.hear();
    let handle = house.engine.handle();
    house.engine.shutdown();
    let closed = house.events.blocking_recv();
    assert!(matches!(closed, Some(MediaEvent::Closed { leg, .. }) if leg == phone.leg));
    let local = "127.0.0.1".parse().unwrap();
    assert!(handle.open(LegId(Uuid::now_v7()), local, local).is_err());
    handle.close(phone.leg);
}
