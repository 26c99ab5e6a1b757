//! Who is no party to a call is neither heard in it nor answered, whatever they send to its ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use allo::domain::{CallFact, RecordingNote};
use allo::phone::{Desk, DeskFact, PhoneEvent};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use crate::caller::{Ear, RawCall, Stream, Voice, address, socket};
use crate::house::{CUSTOMER_HZ, House, LINE, OTHER_CUSTOMER_HZ, SOON, picks_up, voice_of};
use crate::support::server::Setup;
use crate::support::{eventually, purity};

/// The tone of all strangers.
const STRANGER_HZ: u32 = OTHER_CUSTOMER_HZ;
/// The stream of the true caller.
const SSRC: u32 = 0x00C0_FFEE;
/// What a frame may be late by while strangers try their luck.
const GAP_MAX: Duration = Duration::from_millis(60);
/// How often a machine that is busy with other things is given another chance.
const ATTEMPTS: u32 = 4;

/// A menu that goes on for a minute; only the key 9 ends the call at once.
const PLAN: &str = r#"
language "ru"
timezone "Europe/Moscow"
number "300" { queue "support" }
number "500" { go "long" }
menu "long" wait="60s" tries=3 {
    say "tip/01" "tip/02" "tip/03" "tip/04" "tip/05" "tip/06" "tip/07" "tip/08"
    key "1" { repeat }
    key "9" { hangup }
    silence { hangup }
    wrong { repeat }
}
group "support" { record }
"#;

async fn house(at_work: &[&str]) -> House {
    let settings = "[recordings]\nfolder = \"{folder}/recordings\"\n".to_owned();
    House::of_plan(at_work, Setup { plan: PLAN.into(), settings, ..Setup::default() }).await
}

/// Sockets that have no part in the call, and what comes back to them.
struct Strangers {
    sockets: Vec<Arc<UdpSocket>>,
    stream: Stream,
}

impl Strangers {
    /// At the caller's address with another port, and elsewhere with two.
    async fn gather() -> Self {
        let mut sockets = Vec::new();
        for ip in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            sockets.push(socket(ip).await);
        }
        // They guessed the caller's SSRC.
        Self { sockets, stream: Stream::new(SSRC, STRANGER_HZ) }
    }

    async fn send(&self, packet: &[u8], port: u16) {
        for socket in &self.sockets {
            // What the system does not take is lost like any packet.
            let _ = socket.send_to(packet, ("127.0.0.1", port)).await;
        }
    }

    /// Speech, of each of them a row, keys, reports and things that are no RTP at all, to both ports of a
    /// call.
    async fn try_everything(&mut self, port: u16) {
        for socket in &self.sockets {
            for _ in 0..4 {
                let _ = socket.send_to(&self.stream.frame(), ("127.0.0.1", port)).await;
            }
        }
        for (_, key) in self.stream.press('9') {
            self.send(&key, port).await;
        }
        for odd in oddities() {
            self.send(&odd, port).await;
            self.send(&odd, port + 1).await;
        }
    }

    /// Nobody answered any of them.
    fn assert_unanswered(&self) {
        for socket in &self.sockets {
            let mut answer = [0; 2048];
            let answered = socket.try_recv_from(&mut answer);
            assert!(answered.is_err(), "{} was sent something: {answered:?}", address(socket));
        }
    }
}

/// What is no speech: reports that say goodbye in the caller's name, what browsers begin with, and
/// datagrams of all sizes.
fn oddities() -> Vec<Vec<u8>> {
    let ssrc = SSRC.to_be_bytes();
    let rtcp =
        |kind: u8, words: u8, rest: &[u8]| [&[0x81, kind, 0, words], &ssrc[..], rest].concat();
    let stun = b"\x00\x01\x00\x08\x21\x12\xA4\x42allo-allo-12\x00\x24\x00\x04\x6E\x00\x01\xFF";
    let hello = [&b"\x16\xFE\xFD\0\0\0\0\0\0\0\0\0\x10\x01\0\0\x04\0\0\0\0\0\0\0\x04"[..], &[1; 4]];
    let mut odd = vec![
        rtcp(200, 6, &[7; 20]),
        rtcp(203, 1, &[]),
        rtcp(204, 3, b"ALLOdata"),
        stun.to_vec(),
        hello.concat(),
    ];
    odd.extend([0, 1, 2, 11, 12, 13, 1_473, 9_000, 65_507].map(|size| vec![0x80; size]));
    odd.extend((0..=255).step_by(17).map(|byte| vec![byte; 172]));
    odd
}

/// A call of a phone at 127.0.0.1, and one beside it that nobody disturbs: what the machine itself
/// delays shows there.
struct Pair {
    call: RawCall,
    socket: Arc<UdpSocket>,
    ear: Ear,
    undisturbed: Ear,
    _control: RawCall,
}

impl Pair {
    async fn dial(house: &House, number: &str) -> Self {
        let (call, socket, ear) = listen(house, "+79161110001", number).await;
        let (control, _, undisturbed) = listen(house, "+79161110002", number).await;
        Self { call, socket, ear, undisturbed, _control: control }
    }

    /// Disturbs until no frame came late, or no later than beside it; few attempts are enough. Nobody
    /// is answered, and the call goes on.
    async fn holds(&self, strangers: &mut Strangers, mut disturb: impl AsyncFnMut(&mut Strangers)) {
        let mut gaps = Vec::new();
        for _ in 0..ATTEMPTS {
            let since = Instant::now();
            disturb(strangers).await;
            strangers.assert_unanswered();
            assert!(!self.call.was_ended(), "a stranger ended the call");
            let (ours, beside) = (self.ear.longest_gap(since), self.undisturbed.longest_gap(since));
            if ours <= GAP_MAX.max(beside + GAP_MAX / 2) {
                return;
            }
            gaps.push((ours, beside));
        }
        panic!("the longest gaps, and those of the call beside: {gaps:?}");
    }
}

async fn listen(house: &House, from: &str, number: &str) -> (RawCall, Arc<UdpSocket>, Ear) {
    let socket = socket("127.0.0.1").await;
    let call = RawCall::dial(house.server.sip, from, number, address(&socket)).await;
    let ear = Ear::open(socket.clone(), call.media);
    eventually("audio", SOON, async || (!ear.heard().is_empty()).then_some(())).await;
    (call, socket, ear)
}

/// Two thousand packets a second, for as long as is said.
async fn flood(strangers: &mut Strangers, port: u16, length: Duration) {
    let until = Instant::now() + length;
    while Instant::now() < until {
        for _ in 0..7 {
            let packet = strangers.stream.frame();
            strangers.send(&packet, port).await;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The keys that the server noted in the calls so far.
async fn keys(house: &House) -> Vec<char> {
    let find = |calls: &[allo::store::CallRecord]| {
        let ended = calls.iter().all(|call| {
            call.events.iter().any(|event| matches!(event.fact, CallFact::Ended { .. }))
        });
        let facts = calls.iter().flat_map(|call| &call.events);
        let key = |fact: &CallFact| match fact {
            CallFact::Key { key, .. } => Some(key.as_char()),
            _ => None,
        };
        ended.then(|| facts.filter_map(|event| key(&event.fact)).collect())
    };
    house.records("all calls to end", find).await
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_neither_press_keys_in_a_menu_nor_delay_it_nor_hear_it() {
    let house = house(&[]).await;
    let pair = Pair::dial(&house, "500").await;
    let port = pair.call.media.port();
    let mut voice =
        Voice::new(pair.socket.clone(), pair.call.media, Stream::new(SSRC, CUSTOMER_HZ));
    voice.speak(Duration::from_millis(100)).await;
    let mut strangers = Strangers::gather().await;
    pair.holds(&mut strangers, async |strangers| {
        for _ in 0..10 {
            strangers.try_everything(port).await;
            sleep(Duration::from_millis(20)).await;
        }
        flood(strangers, port, Duration::from_secs(1)).await;
    })
    .await;
    voice.press('1').await;
    let Pair { call, _control: control, .. } = pair;
    call.hang_up().await;
    control.hang_up().await;
    assert_eq!(keys(&house).await, ['1']);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_caller_has_spoken_nobody_else_is_taken_for_the_caller() {
    let house = house(&[]).await;
    let mut pair = Pair::dial(&house, "500").await;
    let mut strangers = Strangers::gather().await;
    // All ports of the server, those of the call among them, again and again.
    let ports = pair.call.media.port().saturating_sub(100)..=pair.call.media.port() + 100;
    pair.holds(&mut strangers, async |strangers| {
        for _ in 0..5 {
            for port in ports.clone() {
                let packet = strangers.stream.frame();
                strangers.send(&packet, port).await;
            }
        }
        // And those who found it keep trying for less than it takes to be believed.
        for _ in 0..15 {
            strangers.try_everything(*ports.start() + 100).await;
            sleep(Duration::from_millis(20)).await;
        }
        flood(strangers, *ports.start() + 100, Duration::from_secs(1)).await;
    })
    .await;

    // The caller moves; again the strangers are the first to speak.
    let moved = socket("127.0.0.1").await;
    let answer = pair.call.invite(address(&moved), "").await;
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    let ear = Ear::open(moved.clone(), pair.call.media);
    for _ in 0..10 {
        strangers.try_everything(pair.call.media.port()).await;
        let (old, port) = (&pair.socket, pair.call.media.port());
        let _ = old.send_to(&strangers.stream.frame(), ("127.0.0.1", port)).await;
        sleep(Duration::from_millis(20)).await;
    }
    let left_behind = Instant::now();
    sleep(Duration::from_millis(300)).await;
    strangers.assert_unanswered();
    assert!(
        pair.ear.heard().iter().all(|heard| heard.at <= left_behind),
        "who moved away hears on"
    );
    assert!(ear.heard().iter().any(|heard| heard.at > left_behind), "who moved hears nothing");

    let mut voice = Voice::new(moved, pair.call.media, Stream::new(SSRC, CUSTOMER_HZ));
    voice.press('1').await;
    // Who was heard there moves once more.
    let moved = socket("127.0.0.1").await;
    pair.call.invite(address(&moved), "").await;
    let ear = Ear::open(moved, pair.call.media);
    eventually("audio at the third address", SOON, async || {
        (!ear.heard().is_empty()).then_some(())
    })
    .await;
    let Pair { call, _control: control, .. } = pair;
    call.hang_up().await;
    control.hang_up().await;
    assert_eq!(keys(&house).await, ['1']);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_the_line_hears_no_stranger_and_no_gap() {
    let house = house(&["anna"]).await;
    // She is there, and does not pick up.
    let anna = house.desk("anna").await;
    let pair = Pair::dial(&house, LINE).await;
    let mut strangers = Strangers::gather().await;
    let port = pair.call.media.port();
    let mut voice =
        Voice::new(pair.socket.clone(), pair.call.media, Stream::new(SSRC, CUSTOMER_HZ));
    voice.speak(Duration::from_millis(100)).await;
    pair.holds(&mut strangers, async |strangers| {
        for _ in 0..10 {
            strangers.try_everything(port).await;
            sleep(Duration::from_millis(20)).await;
        }
        flood(strangers, port, Duration::from_secs(1)).await;
    })
    .await;
    drop(anna);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_and_its_recording_hold_the_two_who_talk_and_nobody_else() {
    let house = house(&["anna"]).await;
    let anna = house.quick_desk("anna").await;
    let (call, socket, ear) = listen(&house, "+79161110001", LINE).await;
    let mut voice = Voice::new(socket.clone(), call.media, Stream::new(SSRC, CUSTOMER_HZ));
    voice.speak(Duration::from_millis(100)).await;
    // The customer speaks all the time; at some point with another stream, as after a transfer
    // inside a telephone system. Each packet is followed by speech and garbage of a forger who writes
    // the customer's address on them: only a voice that does not pause is safe from that.
    let (is_heard, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut forged = Stream::new(0xBAD, STRANGER_HZ);
    let road = (&*socket, call.media);
    let talk = async {
        while !is_heard.load(Ordering::Relaxed) {
            speak_before(&mut forged, &mut voice.stream, road, Duration::from_millis(100)).await;
        }
        voice.stream = Stream::new(SSRC + 1, CUSTOMER_HZ);
        speak_before(&mut forged, &mut voice.stream, road, Duration::from_secs(3)).await;
        is_over.store(true, Ordering::Relaxed);
        voice.speak(Duration::from_millis(200)).await;
    };
    let answer = async {
        let phone = picks_up(&anna).await;
        anna.hears_tone(phone, CUSTOMER_HZ).await.unwrap();
        is_heard.store(true, Ordering::Relaxed);
        phone
    };
    let disturb = async {
        let mut strangers = Strangers::gather().await;
        while !is_over.load(Ordering::Relaxed) {
            strangers.try_everything(call.media.port()).await;
            sleep(Duration::from_millis(20)).await;
        }
        strangers.assert_unanswered();
    };
    let ((), phone, ()) = tokio::join!(talk, answer, disturb);
    let heard = ear.newest(Duration::from_millis(400));
    assert!(purity(&heard, voice_of("anna")) > 0.9, "the caller hears the operator");
    let is_stranger = |what: &PhoneEvent| *what == PhoneEvent::ToneBegan { hz: STRANGER_HZ };
    assert!(!happened(&anna, is_stranger), "the operator heard a stranger");
    let breaks = count(&anna, |what| *what == PhoneEvent::ToneBegan { hz: CUSTOMER_HZ });
    assert!(breaks <= 2, "the customer's voice broke off {breaks} times");
    call.hang_up().await;
    anna.ended(phone).await.unwrap();

    let note = recording(&house).await;
    let mut wav = hound::WavReader::open(house.server.path("recordings").join(note.file)).unwrap();
    let samples: Vec<i16> = wav.samples::<i16>().map(Result::unwrap).collect();
    let customer: Vec<i16> = samples.iter().step_by(2).copied().collect();
    let strange = customer.chunks(800).filter(|part| purity(part, STRANGER_HZ) > 0.1).count();
    let true_voice = customer.chunks(800).filter(|part| purity(part, CUSTOMER_HZ) > 0.5).count();
    assert_eq!(strange, 0, "tenths of a second with a stranger's voice");
    assert!(true_voice >= 20, "{true_voice} tenths of a second with the customer's voice");
}

/// The customer speaks for so long; speech and garbage of the forger follow each packet at once.
async fn speak_before(
    forged: &mut Stream,
    own: &mut Stream,
    road: (&UdpSocket, SocketAddr),
    length: Duration,
) {
    const FRAME: Duration = Duration::from_millis(20);
    let mut ticks = tokio::time::interval(FRAME);
    let garbage = oddities();
    for garbage in garbage.iter().cycle().take((length.as_millis() / FRAME.as_millis()) as usize) {
        ticks.tick().await;
        for packet in [&own.frame(), &forged.frame(), garbage] {
            // Nobody else has a turn in between. What the system does not take is lost like any packet.
            let _ = road.0.try_send_to(packet, road.1);
        }
    }
}

fn happened(desk: &Desk, is_it: impl Fn(&PhoneEvent) -> bool) -> bool {
    count(desk, is_it) > 0
}

fn count(desk: &Desk, is_it: impl Fn(&PhoneEvent) -> bool) -> usize {
    let of_call = |fact: &DeskFact| matches!(fact, DeskFact::Call { what, .. } if is_it(what));
    desk.events().iter().filter(|event| of_call(&event.what)).count()
}

pub async fn recording(house: &House) -> RecordingNote {
    house
        .records("a recording", |calls| {
            let mut facts = calls.iter().flat_map(|call| &call.events);
            facts.find_map(|event| match &event.fact {
                CallFact::Recorded(note) => Some(note.clone()),
                _ => None,
            })
        })
        .await
}
