//! A caller on a bad road: what is lost, late, repeated or out of order costs neither keys nor the
//! call, and the recording keeps time.

use std::time::Duration;

use allo::domain::{CallFact, Conversation, RtpStatistics};
use allo::phone::PhoneEvent;
use allo::store::CallRecord;
use tokio::time::{Instant, sleep};

use crate::caller::{Ear, RawCall, Stream, Voice, address, socket};
use crate::house::{CUSTOMER_HZ, House, LINE, SOON, picks_up, voice_of};
use crate::road::{Road, Weather};
use crate::strangers::recording;
use crate::support::server::Setup;
use crate::support::{eventually, purity};

const JITTER: Duration = Duration::from_millis(60);
/// Every one of these is heard once, in this order.
const KEYS: &str = "1590*#2648#*37701122";

const PLAN: &str = r##"
language "ru"
timezone "Europe/Moscow"
number "300" { queue "support" }
number "501" { go "keys" }
menu "keys" wait="60s" tries=3 {
    say "menu-points"
    key "0" { repeat }
    key "1" { repeat }
    key "2" { repeat }
    key "3" { repeat }
    key "4" { repeat }
    key "5" { repeat }
    key "6" { repeat }
    key "7" { repeat }
    key "8" { repeat }
    key "9" { repeat }
    key "*" { repeat }
    key "#" { repeat }
    silence { hangup }
    wrong { hangup }
}
group "support" { record }
"##;

async fn house(at_work: &[&str]) -> House {
    let settings = "[recordings]\nfolder = \"{folder}/recordings\"\n".to_owned();
    House::of_plan(at_work, Setup { plan: PLAN.into(), settings, ..Setup::default() }).await
}

/// A caller behind a bad road.
struct Remote {
    call: RawCall,
    road: Road,
    voice: Voice,
    ear: Ear,
}

impl Remote {
    async fn dial(house: &House, number: &str, weather: Weather, seed: u64) -> Self {
        let socket = socket("127.0.0.1").await;
        let road = Road::open(address(&socket), weather, seed).await;
        let call = RawCall::dial(house.server.sip, "+79161110003", number, road.near).await;
        road.lead_to(call.media);
        let ear = Ear::open(socket.clone(), road.far);
        let voice = Voice::new(socket, road.far, Stream::new(3, CUSTOMER_HZ));
        Self { call, road, voice, ear }
    }

    /// Hangs up when nothing is under way any more.
    async fn hang_up(self) -> Road {
        sleep(2 * JITTER).await;
        self.call.hang_up().await;
        self.road
    }
}

fn facts<T>(calls: &[CallRecord], find: impl Fn(&CallFact) -> Option<T>) -> Vec<T> {
    calls.iter().flat_map(|call| &call.events).filter_map(|event| find(&event.fact)).collect()
}

async fn statistics(house: &House) -> RtpStatistics {
    let rtp = |fact: &CallFact| match fact {
        CallFact::Rtp(statistics) => Some(*statistics),
        _ => None,
    };
    house.records("the statistics", |calls| facts(calls, rtp).first().copied()).await
}

/// What was counted is what happened; the last packets of a call may be lost without a trace.
fn assert_counted(statistics: RtpStatistics, road: &Road) {
    let (counted, lost) = (statistics.packets_lost, road.lost());
    assert!(counted <= lost && counted + 4 >= lost, "{counted} of {lost} lost were counted");
    // Delays between 0 and 60 ms differ by 20 ms on average.
    let jitter_ms = statistics.jitter_ms;
    assert!((8.0..45.0).contains(&jitter_ms), "a jitter of {jitter_ms} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_heard_once_though_a_fifth_of_the_packets_is_lost() {
    let house = house(&[]).await;
    let weather = Weather { loss: 0.2, repeats: 0.1, jitter: JITTER };
    let mut remote = Remote::dial(&house, "501", weather, 20).await;
    let mut before = None;
    for key in KEYS.chars() {
        // So soon that packets of two keys overtake each other; a second press of one needs a pause.
        let pause_ms = if before.replace(key) == Some(key) { 100 } else { 20 };
        remote.voice.speak(Duration::from_millis(pause_ms)).await;
        remote.voice.press(key).await;
    }
    remote.voice.speak(Duration::from_millis(200)).await;
    assert!(!remote.ear.heard().is_empty());
    let road = remote.hang_up().await;
    let statistics = statistics(&house).await;
    let key = |fact: &CallFact| match fact {
        CallFact::Key { key, .. } => Some(key.as_char()),
        _ => None,
    };
    let keys: String =
        house.records("the keys", |calls| Some(facts(calls, key))).await.iter().collect();
    assert_eq!(keys, KEYS);
    assert_counted(statistics, &road);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_outlives_little_loss_and_three_seconds_without_a_network() {
    converse(Weather { loss: 0.05, repeats: 0.05, jitter: JITTER }, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_outlives_much_loss_and_three_seconds_without_a_network() {
    converse(Weather { loss: 0.2, repeats: 0.05, jitter: JITTER }, 7).await;
}

/// The customer's voice, in the order of the conversation.
const SAYS: Duration = Duration::from_millis(1_600);
const BLACKOUT: Duration = Duration::from_secs(3);
const SAYS_ON: Duration = Duration::from_millis(1_600);
const PAUSE: Duration = Duration::from_millis(400);

async fn converse(weather: Weather, seed: u64) {
    let house = house(&["anna"]).await;
    let anna = house.quick_desk("anna").await;
    let mut remote = Remote::dial(&house, LINE, weather, seed).await;
    remote.voice.stream.hz = 0;
    // A phone sends all the time, and the operator's phone hears that.
    let phone = {
        let mut picks_up = std::pin::pin!(picks_up(&anna));
        loop {
            tokio::select! {
                phone = &mut picks_up => break phone,
                () = remote.voice.speak(PAUSE) => {}
            }
        }
    };
    eventually("the caller hears the operator", SOON, async || {
        let heard = remote.ear.newest(Duration::from_millis(300));
        (heard.len() >= 2_400 && purity(&heard, voice_of("anna")) > 0.5).then_some(())
    })
    .await;
    let lateness = Lateness::begin();
    remote.voice.speak(PAUSE).await;

    remote.voice.stream.hz = CUSTOMER_HZ;
    remote.voice.speak(SAYS).await;
    remote.road.block(true);
    remote.call.set_deaf(true);
    remote.voice.speak(BLACKOUT).await;
    remote.road.block(false);
    remote.call.set_deaf(false);
    let back = Instant::now();
    remote.voice.speak(SAYS_ON).await;
    remote.voice.stream.hz = 0;
    remote.voice.speak(PAUSE).await;
    assert!(!remote.call.was_ended(), "the call did not outlive the blackout");
    let heard_again = |what: &PhoneEvent| *what == PhoneEvent::ToneBegan { hz: CUSTOMER_HZ };
    anna.until(|event| {
        event.at > back
            && matches!(&event.what, allo::phone::DeskFact::Call { what, .. } if heard_again(what))
    })
    .await
    .unwrap();
    let road = remote.hang_up().await;
    anna.ended(phone).await.unwrap();
    let slack_ms = 60 + lateness.end().await.as_millis() as u64;

    assert_counted(statistics(&house).await, &road);
    let note = recording(&house).await;
    assert_eq!(note.problem, None);
    let talk = conversation(&house).await;
    let (talk_ms, length_ms) = (talk.talk_ms + talk.hold_ms, note.length_ms);
    assert!(
        talk_ms.abs_diff(length_ms) <= slack_ms,
        "{length_ms} ms of {talk_ms} ms were recorded"
    );
    let customer = customer_side(&house, &note.file);
    assert_eq!(customer.len() as u64 / 8, length_ms);
    assert_in_time(&voice_in(&customer), weather.loss);
}

async fn conversation(house: &House) -> Conversation {
    let conversed = |fact: &CallFact| match fact {
        CallFact::Conversed(conversation) => Some(conversation.clone()),
        _ => None,
    };
    house.records("the conversation", |calls| facts(calls, conversed).first().cloned()).await
}

fn customer_side(house: &House, file: &str) -> Vec<i16> {
    let file = house.server.path("recordings").join(file);
    let samples = hound::WavReader::open(file).unwrap().into_samples::<i16>();
    samples.step_by(2).map(Result::unwrap).collect()
}

/// The 5 ms in which the customer's voice is, by their numbers.
fn voice_in(customer: &[i16]) -> Vec<usize> {
    let parts = customer.chunks_exact(40).enumerate();
    parts.filter(|(_, part)| purity(part, CUSTOMER_HZ) > 0.5).map(|(n, _)| n).collect()
}

/// The voice is heard for as long as it spoke, the blackout is as long as it was, and what was lost
/// is as long as it would have been.
fn assert_in_time(parts: &[usize], loss: f64) {
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let pause = parts.windows(2).max_by_key(|pair| pair[1] - pair[0]).unwrap();
    let ms = |from: usize, to: usize| (to - from) as u64 * 5;
    let near = |what: &str, is: u64, should: Duration| {
        let should = should.as_millis() as u64;
        assert!(is.abs_diff(should) <= 80, "{what}: {is} ms instead of {should} ms");
    };
    near("before the blackout", ms(first, pause[0] + 1), SAYS);
    near("from the first word to the first after it", ms(first, pause[1]), SAYS + BLACKOUT);
    near("all", ms(first, last + 1), SAYS + BLACKOUT + SAYS_ON);
    let spoken = (SAYS + SAYS_ON).as_millis() as f64 / 5.0;
    let share = parts.len() as f64 / spoken;
    assert!((share - (1.0 - loss)).abs() < 0.12, "{share} of the voice is there");
}

/// How late this busy machine wakes those who sleep, at worst.
struct Lateness(tokio::sync::watch::Sender<bool>, tokio::task::JoinHandle<Duration>);

impl Lateness {
    fn begin() -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            while !*stopped.borrow() {
                let (before, nap) = (Instant::now(), Duration::from_millis(5));
                sleep(nap).await;
                worst = worst.max(before.elapsed().saturating_sub(nap));
            }
            worst
        });
        Self(stop, task)
    }

    async fn end(self) -> Duration {
        let _ = self.0.send(true);
        self.1.await.unwrap_or_default()
    }
}
