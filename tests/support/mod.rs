//! For the tests that run the real binary: a server of their own, a phone that listens, and real
//! SIP programs as peers.

#![allow(dead_code, reason = "each test crate uses a part of this")]

pub mod house;
pub mod peers;
pub mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use allo::domain::{Key, Language, RecordingId};
use allo::phone::{Call, Heard, Playout, Recording, contains_in_order, wav};
use tokio::time::{Instant, sleep};

/// How often a fact that can't be waited for is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The folder of the sources.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped recordings.
pub fn prompts() -> PathBuf {
    project().join("prompts")
}

/// Russian recordings by their ids; a bare name is a phrase.
pub fn russian(ids: &[&str]) -> Vec<Recording> {
    let full = |id: &&str| {
        RecordingId::new(if id.contains('/') { (*id).to_owned() } else { format!("phrase/{id}") })
    };
    let ids: Vec<RecordingId> = ids.iter().map(full).collect();
    wav::load_recordings(&prompts(), Language::Russian, &ids).unwrap()
}

pub fn key(c: char) -> Key {
    Key::try_from(c).unwrap()
}

/// Looks again and again until there is something; fails after `within`.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until the call heard these recordings in their order, after the sample `from`.
pub async fn hears_after(call: &Call, from: usize, ids: &[&str]) -> (Vec<Heard>, Playout) {
    let expected = russian(ids);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let playout = call.heard().await.unwrap_or_else(|| panic!("the call ended before {ids:?}"));
        let samples = playout.samples().get(from..).unwrap_or_default();
        match contains_in_order(samples, &expected) {
            Ok(found) => return (found, playout),
            Err(missing) => assert!(Instant::now() < deadline, "{missing}"),
        }
        sleep(LOOK_EVERY).await;
    }
}

pub async fn hears(call: &Call, ids: &[&str]) -> (Vec<Heard>, Playout) {
    hears_after(call, 0, ids).await
}

/// Checks what a call that is over heard.
#[track_caller]
pub fn heard(playout: &Playout, ids: &[&str]) -> Vec<Heard> {
    contains_in_order(playout.samples(), &russian(ids))
        .unwrap_or_else(|missing| panic!("{missing}"))
}

#[track_caller]
pub fn did_not_hear(playout: &Playout, id: &str) {
    let found = contains_in_order(playout.samples(), &russian(&[id]));
    assert!(found.is_err(), "{id} was heard: {found:?}");
}

/// Milliseconds between the end of each recording and the beginning of the next.
pub fn pauses_ms(heard: &[Heard]) -> Vec<u64> {
    heard.windows(2).map(|pair| pair[1].at_ms.saturating_sub(pair[0].end_ms())).collect()
}

/// How much of the audio is this tone, 0 to 1.
pub fn purity(samples: &[i16], hz: u32) -> f64 {
    let turn = std::f64::consts::TAU * f64::from(hz) / 8_000.0;
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let (value, angle) = (f64::from(sample), turn * n as f64);
        sine += value * angle.sin();
        cosine += value * angle.cos();
        energy += value * value;
    }
    (sine * sine + cosine * cosine) * 2.0 / samples.len().max(1) as f64 / energy.max(1.0)
}
