//! Two telephones, joined.

use super::*;
use crate::media::g711;

const A_HZ: f64 = 500.0;
const B_HZ: f64 = 1_300.0;

/// A house of three workers, with room for so many legs.
fn house(first_port: u16, legs: u16) -> House {
    House::with(MediaSettings {
        ip: "127.0.0.1".parse().unwrap(),
        ports: first_port..=first_port + 2 * legs - 1,
        workers: 3,
        dead_after_ms: 60_000,
        ..MediaSettings::default()
    })
}

/// The n-th leg of a worker.
fn leg_of(worker: u128, n: u128) -> LegId {
    LegId(Uuid::from_u128(worker + 3 * n))
}

/// So many frames of 20 ms, of a tone.
fn tone(codec: Codec, hz: f64, frames: usize) -> Vec<u8> {
    let step = std::f64::consts::TAU * hz / 8_000.0;
    let sample = |n: usize| ((step * n as f64).sin() * 8_000.0) as i16;
    (0..frames * 160).map(|n| g711::encode(codec, sample(n))).collect()
}

/// The amplitude of a tone within the audio, by Goertzel.
fn loudness(codec: Codec, hz: f64, audio: &[u8]) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * hz / 8_000.0).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for &code in audio {
        (before, last) = (last, f64::from(g711::decode(codec, code)) + turn * last - before);
    }
    let power = last * last + before * before - turn * last * before;
    2.0 * power.max(0.0).sqrt() / audio.len() as f64
}

impl Phone {
    fn is_sound(&self, heard: &Heard) -> bool {
        heard.payload.iter().any(|&byte| byte != self.session.codec.silence())
    }

    /// Speaks until the other hears it, which means that they are joined; says the first packet.
    /// Before that the other hears silence; what is said in the moment of joining, nobody does.
    fn speak_until_heard(&mut self, other: &Phone, audio: &[u8]) -> Heard {
        // Patience, in tenths of a second.
        for _ in 0..50 {
            self.say(audio);
            if other.waits_for_packet(Duration::from_millis(100)) {
                let heard = other.hear();
                if other.is_sound(&heard) {
                    return heard;
                }
            }
        }
        panic!("nothing is heard");
    }

    fn waits_for_packet(&self, within: Duration) -> bool {
        self.rtp.set_read_timeout(Some(within)).unwrap();
        let comes = self.rtp.peek(&mut [0; 1]).is_ok();
        self.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
        comes
    }

    /// Throws away what comes until nothing has come for 100 ms: no frames are sent.
    fn wait_for_quiet(&self) {
        self.rtp.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        while self.rtp.recv(&mut [0; 2048]).is_ok() {}
        self.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

fn ulaw(session: &mut MediaSession) {
    session.codec = Codec::Pcmu;
    (session.send_payload_type, session.receive_payload_type) = (0, 0);
}

fn alaw(_session: &mut MediaSession) {}

/// Joins two phones and waits until neither hears frames of ours any more.
fn join(house: &House, a: &Phone, b: &Phone) {
    house.engine.handle().bridge(a.leg, b.leg);
    a.wait_for_quiet();
    b.wait_for_quiet();
}

#[test]
fn each_hears_the_other_whatever_the_codecs_and_the_workers() {
    let mut house = house(14_200, 40);
    let mut n = 0;
    for (worker_a, worker_b) in [(0, 0), (0, 1), (2, 1)] {
        for (codec_a, codec_b) in
            [(alaw as fn(&mut _), alaw as fn(&mut _)), (alaw, ulaw), (ulaw, alaw)]
        {
            n += 2;
            let mut a = house.call_as(leg_of(worker_a, n), codec_a);
            let mut b = house.call_as(leg_of(worker_b, n + 1), codec_b);
            join(&house, &a, &b);
            a.say(&tone(a.session.codec, A_HZ, 20));
            b.say(&tone(b.session.codec, B_HZ, 20));
            for (phone, hz, other_hz) in [(&a, B_HZ, A_HZ), (&b, A_HZ, B_HZ)] {
                let heard: Vec<u8> = (0..20).flat_map(|_| phone.hear().payload).collect();
                let loud = loudness(phone.session.codec, hz, &heard);
                assert!((7_500.0..8_500.0).contains(&loud), "{loud}");
                assert!(loudness(phone.session.codec, other_hz, &heard) < 100.0);
            }
            for phone in [&a, &b] {
                house.engine.handle().close(phone.leg);
                let closed = house.event();
                assert!(matches!(closed, MediaEvent::Closed { leg, .. } if leg == phone.leg));
            }
        }
    }
}

#[test]
fn fifty_bridges_at_once_do_not_mix() {
    let house = house(14_300, 100);
    let mut pairs: Vec<_> = (0..50)
        .map(|n| {
            let [a, b] = [0, 1].map(|k| house.call_as(leg_of((n + k) % 3, 2 * n + k), alaw));
            house.engine.handle().bridge(a.leg, b.leg);
            (a, b)
        })
        .collect();
    pairs.iter().for_each(|(_, b)| b.wait_for_quiet());
    for (code, (a, _)) in (1..).zip(&mut pairs) {
        a.catch_up();
        a.say(&[code; 1600]);
    }
    for (code, (_, b)) in (1..).zip(&pairs) {
        (0..10).for_each(|_| assert_eq!(b.hear().payload, [code; 160]));
    }
}

/// From a prompt to the partner and back; the longest gap and the time to the first packet of the
/// partner, in µs.
fn switch(house: &mut House, n: u128) -> (u64, u64) {
    let clock = Clock::start();
    let metronome = house.call(alaw);
    let caller = house.call_as(leg_of(0, n), alaw);
    let mut operator = house.call_as(leg_of(1, n), alaw);
    let voice = tone(Codec::Pcma, B_HZ, 1);
    house.play(caller.leg, 1, &["long"]);
    let mut heard = vec![(caller.hear_until_sound(), clock.now_us())];
    let listen = |heard: &mut Vec<(Heard, u64)>, count: usize| {
        (0..count).for_each(|_| heard.push((caller.hear(), clock.now_us())));
    };
    listen(&mut heard, 3);

    let bridged_us = clock.now_us();
    house.engine.handle().bridge(caller.leg, operator.leg);
    let mut first_us = None;
    let mut of_operator = 0;
    // What the operator says before the two are together is lost, so packets are not counted.
    while of_operator < 8 {
        metronome.hear();
        operator.say(&voice);
        for packet in caller.hear_waiting() {
            if packet.payload == voice {
                of_operator += 1;
                first_us = first_us.or(Some(clock.now_us() - bridged_us));
            }
            heard.push((packet, clock.now_us()));
        }
    }
    assert!(matches!(house.event(), MediaEvent::PlayEnded { cut_after_ms: Some(_), .. }));
    house.engine.handle().unbridge(caller.leg);
    house.play(caller.leg, 2, &["short"]);
    listen(&mut heard, 12);
    assert_eq!(house.event(), ended(&caller, 2, None));

    for pair in heard.windows(2) {
        let (before, after) = (&pair[0].0, &pair[1].0);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        let step = after.timestamp.wrapping_sub(before.timestamp);
        assert!((160..8_000).contains(&step), "a step of {step} samples");
        assert!(step == 160 || after.marker, "a leap without a marker");
    }
    let longest_us = heard.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap();
    (longest_us, first_us.expect("the operator is heard"))
}

#[test]
fn prompt_partner_and_prompt_are_one_stream_without_a_gap() {
    let mut house = house(14_540, 30);
    // On a busy machine the telephones may be held up: one good call is proof.
    let measured: Vec<_> = (1..=4).map(|n| switch(&mut house, n)).collect();
    let good = |&(gap_us, first_us): &(u64, u64)| gap_us <= 60_000 && first_us <= 40_000;
    assert!(measured.iter().any(good), "longest gap and first packet, µs: {measured:?}");
}

fn press_through(house: &mut House, from: &mut Phone, to: &Phone, c: char) {
    let voice = tone(from.session.codec, A_HZ, 1);
    from.say(&voice);
    from.press(c);
    from.say(&voice);
    let heard: Vec<_> = (0..9).map(|_| to.hear_packet()).collect();
    let press = &heard[1..8];
    let event = to.session.telephone_event.unwrap().send;
    assert!(press.iter().all(|packet| packet.payload_type == event));
    let told: Vec<_> = press.iter().map(|packet| packet.payload.clone()).collect();
    let sent: Vec<_> =
        dtmf::event_packets(key(c), 100, 20).iter().map(|it| it.payload.to_vec()).collect();
    assert_eq!(told, sent);
    assert!(press.iter().all(|packet| packet.timestamp == press[0].timestamp));
    assert!(press[0].marker && !press[1].marker);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
    }
    assert_eq!(heard[8].payload_type, to.session.send_payload_type);
    assert_eq!(house.event(), pressed(from, c, KeySource::Event));
}

#[test]
fn keys_pass_with_the_numbers_of_the_other_side_and_are_told() {
    let mut house = house(14_610, 4);
    let mut a = house.call_as(leg_of(0, 1), alaw);
    let mut b = house.call_as(leg_of(1, 2), |session| {
        ulaw(session);
        session.telephone_event = Some(EventPayload { send: 97, receive: 98 });
    });
    join(&house, &a, &b);
    press_through(&mut house, &mut a, &b, '5');
    press_through(&mut house, &mut b, &a, '#');
}

#[test]
fn a_phone_without_telephone_events_hears_no_gap_where_a_key_was() {
    let mut house = house(14_620, 4);
    let mut a = house.call(alaw);
    let b = house.call(|session| session.telephone_event = None);
    join(&house, &a, &b);
    a.say(&tone(Codec::Pcma, A_HZ, 1));
    a.press('5');
    a.say(&tone(Codec::Pcma, A_HZ, 1));
    let (first, second) = (b.hear(), b.hear());
    assert_eq!(second.sequence, first.sequence.wrapping_add(1));
    assert_eq!(house.event(), pressed(&a, '5', KeySource::Event));
}

#[test]
fn a_stranger_is_heard_by_nobody() {
    let house = house(14_630, 4);
    let (mut a, b) = (house.call(alaw), house.call(alaw));
    join(&house, &a, &b);
    a.say(&[1; 160]); // locks
    assert_eq!(b.hear().payload, [1; 160]);
    let stranger = socket("127.0.0.2".parse().unwrap());
    for _ in 0..20 {
        let packet = a.packet(8, false, 0, &[2; 160]);
        stranger.send_to(&packet, a.server).unwrap();
    }
    a.say(&[3; 160]);
    assert_eq!(b.hear().payload, [3; 160]);
}

#[test]
fn what_is_played_is_heard_instead_of_the_partner_until_it_ends() {
    let mut house = house(14_640, 4);
    let (mut a, b) = (house.call(alaw), house.call(alaw));
    join(&house, &a, &b);
    house.play(b.leg, 1, &["short"]);
    let expected = house.audio(&["short"]);
    for frame in expected.chunks(160) {
        a.say(&[1; 160]);
        assert_eq!(b.hear().payload[..frame.len()], *frame);
    }
    assert_eq!(house.event(), ended(&b, 1, None));
    a.speak_until_heard(&b, &[1; 160]);
    // And a key of the hearer ends it early.
    house.play(b.leg, 2, &["long"]);
    let mut b = b;
    std::iter::repeat_with(|| b.hear()).find(|heard| heard.payload != [1; 160]).unwrap();
    b.press('1');
    assert_eq!(house.event(), pressed(&b, '1', KeySource::Event));
    assert!(matches!(house.event(), MediaEvent::PlayEnded { cut_after_ms: Some(_), .. }));
    b.wait_for_quiet();
    a.say(&[4; 160]);
    assert_eq!(b.hear().payload, [4; 160]);
}

#[test]
fn on_hold_nobody_is_heard_where_the_direction_forbids_it() {
    let house = house(14_650, 4);
    let (mut a, mut b) = (house.call(alaw), house.call(alaw));
    join(&house, &a, &b);
    // We may send to a, and shall not hear it.
    let mut held = a.session.clone();
    held.direction = Direction::SendOnly;
    house.engine.handle().agree(a.leg, held);
    let heard = b.speak_until_heard(&a, &[1; 160]);
    assert_eq!(heard.payload, [1; 160]);
    a.say(&[2; 160]);
    b.wait_for_quiet();
    house.engine.handle().agree(a.leg, a.session.clone());
    let heard = a.speak_until_heard(&b, &[3; 160]);
    assert_eq!(heard.payload, [3; 160]);
}

#[test]
fn who_is_left_alone_hears_silence_and_can_be_joined_anew() {
    let mut house = house(14_660, 6);
    let caller = house.call_as(leg_of(0, 1), alaw);
    let lost = house.call_as(leg_of(1, 2), alaw);
    let mut next = house.call_as(leg_of(2, 3), alaw);
    join(&house, &caller, &lost);
    house.engine.handle().close(lost.leg);
    assert!(matches!(house.event(), MediaEvent::Closed { .. }));
    assert!(is_silence(&caller.hear()) && is_silence(&caller.hear()));
    house.engine.handle().bridge(next.leg, caller.leg);
    next.speak_until_heard(&caller, &[1; 160]);
    // A third who is joined with one of them parts them.
    let mut third = house.call_as(leg_of(0, 4), alaw);
    house.engine.handle().bridge(caller.leg, third.leg);
    third.speak_until_heard(&caller, &[2; 160]);
    std::iter::repeat_with(|| next.hear()).find(is_silence).unwrap();
}

#[test]
fn a_phone_that_was_dialled_is_heard_from_where_it_answered() {
    let house = house(14_680, 4);
    let (leg, nobody) = (leg_of(0, 1), "0.0.0.0".parse().unwrap());
    let local = "127.0.0.1".parse().unwrap();
    let media = house.engine.handle().open(leg, nobody, local).unwrap();
    let mut phone = Phone::dial(&house, leg_of(0, 2), local);
    (phone.leg, phone.server) = (leg, SocketAddr::new(local, media.rtp_port));
    // It names an address of its own network, and is behind a NAT.
    phone.session.remote_rtp = "10.0.0.7:4000".parse().unwrap();
    house.engine.handle().answered_from(leg, local);
    house.engine.handle().agree(leg, phone.session.clone());
    phone.say(&[Codec::Pcma.silence(); 640]);
    phone.hear();
}

/// Whether the tones are in what a phone hears of the next second, each at its whole loudness,
/// while all speak, paced by the frames of somebody else.
fn tones_heard(metronome: &Phone, phones: &mut [(&mut Phone, f64)], listener: usize) -> Vec<bool> {
    let frames = 80;
    let voices: Vec<_> =
        phones.iter().map(|(phone, hz)| tone(phone.session.codec, *hz, frames)).collect();
    metronome.catch_up();
    phones[listener].0.catch_up();
    let mut heard = Vec::new();
    phones[listener].0.rtp.set_nonblocking(true).unwrap();
    for n in 0..frames {
        metronome.hear();
        for ((phone, _), voice) in phones.iter_mut().zip(&voices) {
            phone.say(&voice[n * 160..(n + 1) * 160]);
        }
        let mut buffer = [0; 2048];
        while let Ok(length) = phones[listener].0.rtp.recv(&mut buffer) {
            heard.extend_from_slice(&buffer[12..length]);
        }
    }
    phones[listener].0.rtp.set_nonblocking(false).unwrap();
    let codec = phones[listener].0.session.codec;
    let end = &heard[heard.len() / 2..];
    phones.iter().map(|(_, hz)| loudness(codec, *hz, end) > 4_000.0).collect()
}

#[test]
fn a_supervisor_hears_both_and_is_heard_by_whom_the_mode_says() {
    let mut house = house(14_700, 8);
    let metronome = house.call(alaw);
    let mut customer = house.call_as(leg_of(0, 1), alaw);
    let mut operator = house.call_as(leg_of(1, 2), ulaw);
    let mut supervisor = house.call_as(leg_of(2, 3), alaw);
    join(&house, &customer, &operator);
    for mode in [Monitoring::Listen, Monitoring::Whisper, Monitoring::Barge, Monitoring::Listen] {
        house.engine.handle().monitor(supervisor.leg, operator.leg, mode);
        let to_operator = mode != Monitoring::Listen;
        let to_customer = mode == Monitoring::Barge;
        let hears = [[false, true, to_customer], [true, false, to_operator], [true, true, false]];
        for (listener, expected) in hears.iter().enumerate() {
            let mut phones =
                [(&mut customer, 437.5), (&mut operator, 1_312.5), (&mut supervisor, 2_187.5)];
            // On a busy machine the phones may be held up: one good second is proof.
            let mut seconds = (0..4).map(|_| tones_heard(&metronome, &mut phones, listener));
            assert!(seconds.any(|heard| heard == expected), "{mode:?}, listener {listener}");
        }
    }
    // The end of the conversation is the end of listening.
    house.engine.handle().close(operator.leg);
    assert!(matches!(house.event(), MediaEvent::Closed { .. }));
    supervisor.catch_up();
    assert!(is_silence(&supervisor.hear()) && is_silence(&supervisor.hear()));
}

#[test]
fn a_message_ends_when_it_is_told_to_or_with_its_leg_and_is_told_of_once() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut house = house(14_760, 8);
    let metronome = house.call(alaw);
    let mut customer = house.call_as(leg_of(0, 1), alaw);
    let (handle, leg) = (house.engine.handle(), customer.leg);
    let message = |file: &str| {
        let (folder, file) = (folder.path().to_owned(), file.to_owned());
        Message { leg, folder, file, length_max_ms: 60_000 }
    };
    handle.stop_message(leg);
    handle.start_message(message("first.wav"));
    tones_heard(&metronome, &mut [(&mut customer, 437.5)], 0);
    handle.stop_message(leg);
    handle.stop_message(leg);
    let MediaEvent::Recorded { leg: told, note } = house.event() else { panic!("not recorded") };
    assert_eq!((told, note.file.as_str(), &note.problem), (leg, "first.wav", &None));
    let mut reader = hound::WavReader::open(folder.path().join("first.wav")).unwrap();
    assert_eq!(reader.spec().channels, 1);
    let voice: Vec<u8> =
        reader.samples::<i16>().map(|sample| g711::encode_alaw(sample.unwrap())).collect();
    assert_eq!(voice.len() as u64 / 8, note.length_ms);
    let loud = loudness(Codec::Pcma, 437.5, &voice[3_200..9_600]);
    assert!((4_000.0..9_000.0).contains(&loud), "{loud}");

    handle.start_message(message("second.wav"));
    handle.close(leg);
    assert!(matches!(house.event(), MediaEvent::Closed { .. }));
    let MediaEvent::Recorded { note, .. } = house.event() else { panic!("not recorded") };
    assert_eq!(note.file, "second.wav");
}

#[test]
fn a_conversation_is_recorded_with_each_voice_on_its_side() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = "2026-11-22/call.wav";
    let mut house = house(14_720, 8);
    let metronome = house.call(alaw);
    let mut customer = house.call_as(leg_of(0, 1), alaw);
    let mut operator = house.call_as(leg_of(1, 2), ulaw);
    let handle = house.engine.handle();
    let (left, right) = (customer.leg, operator.leg);
    handle.bridge(left, right);
    let recording = Recording { left, right, folder: folder.path().to_owned(), file: file.into() };
    handle.record(recording);
    let mut phones = [(&mut customer, 437.5), (&mut operator, 1_312.5)];
    tones_heard(&metronome, &mut phones, 0);
    handle.pause_recording(right);
    tones_heard(&metronome, &mut phones, 0);
    handle.resume_recording(right);
    tones_heard(&metronome, &mut phones, 0);
    handle.close(left);
    assert!(matches!(house.event(), MediaEvent::Closed { .. }));
    let MediaEvent::Recorded { leg, note } = house.event() else { panic!("not recorded") };
    assert_eq!((leg, note.file.as_str(), &note.problem), (left, file, &None));
    let [(from_ms, to_ms)] = note.paused[..] else { panic!("{:?}", note.paused) };
    assert!(to_ms - from_ms >= 1_500, "{:?}", note.paused);

    let mut reader = hound::WavReader::open(folder.path().join(file)).unwrap();
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    assert_eq!(samples.len() as u64 / 16, note.length_ms);
    for (side, hz, other_hz) in [(0, 437.5, 1_312.5), (1, 1_312.5, 437.5)] {
        let voice: Vec<u8> =
            samples.iter().skip(side).step_by(2).map(|&it| g711::encode_ulaw(it)).collect();
        let part =
            |from_ms: u64, ms: u64| &voice[from_ms as usize * 8..(from_ms + ms) as usize * 8];
        let loud = loudness(Codec::Pcmu, hz, part(400, 800));
        assert!((4_000.0..9_000.0).contains(&loud), "{loud}");
        assert!(loudness(Codec::Pcmu, other_hz, part(400, 800)) < 400.0);
        assert!(part(from_ms, to_ms - from_ms).iter().all(|&code| code == 0xFF));
    }
}
