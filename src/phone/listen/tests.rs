use super::*;
use proptest::prelude::*;

/// Something like speech: noise under a loudness that rises and falls, different for each seed.
pub fn speech(id: &str, seed: u32, length_ms: usize) -> Recording {
    let mut noise = Noise(seed);
    let syllable_ms = 90.0 + f32::from((seed % 7) as u8) * 15.0;
    let mut last = 0.0;
    let samples = (0..length_ms * PER_MS).map(|n| {
        let ms = n as f32 / PER_MS as f32;
        let loudness = (ms / syllable_ms * std::f32::consts::PI).sin().powi(2);
        last = 0.6 * last + noise.next();
        (last * loudness * 6000.0) as i16
    });
    Recording { id: RecordingId::new(id), samples: samples.collect() }
}

struct Noise(u32);

impl Noise {
    /// −1 to 1 (a linear congruential generator).
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// As coarse as G.711 at its worst: 4 bits of mantissa.
pub fn coarse(samples: &[i16]) -> Vec<i16> {
    let quantise = |&sample: &i16| {
        let magnitude = i32::from(sample).abs() + 132;
        let step = 1 << (31 - magnitude.leading_zeros()).saturating_sub(4);
        let rounded = (magnitude / step * step + step / 2 - 132).clamp(0, 32_000) as i16;
        if sample < 0 { -rounded } else { rounded }
    };
    samples.iter().map(quantise).collect()
}

pub fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * PER_MS]
}

#[test]
fn recordings_are_found_in_order_with_their_places() {
    let all = [speech("a", 1, 900), speech("b", 2, 400), speech("c", 3, 1500)];
    let mut heard = silence(333);
    for recording in &all {
        heard.extend(coarse(&recording.samples));
        heard.extend(silence(47));
    }
    let found = contains_in_order(&heard, &all).unwrap();
    let places: Vec<_> = found.iter().map(|heard| (heard.at_ms, heard.length_ms)).collect();
    assert_eq!(places, [(333, 900), (1280, 400), (1727, 1500)]);
    assert!(found.iter().all(|heard| heard.score > 0.98), "{found:?}");
}

#[test]
fn what_was_not_played_is_missing() {
    let played = [speech("a", 1, 900), speech("b", 2, 400)];
    let heard = coarse(&played.iter().flat_map(|r| r.samples.clone()).collect::<Vec<_>>());
    let other = speech("other", 9, 400);
    let missing = contains_in_order(&heard, &[played[0].clone(), other.clone()]).unwrap_err();
    assert_eq!((missing.id.as_str(), missing.cut.as_ref()), ("other", None));
    assert!(missing.to_string().contains("after a (which ends at 900 ms)"), "{missing}");
    // Both were played, but the other way round.
    let reversed = [played[1].clone(), played[0].clone()];
    assert_eq!(contains_in_order(&heard, &reversed).unwrap_err().id.as_str(), "a");
}

#[test]
fn a_cut_recording_is_found_as_far_as_it_was_heard() {
    let recording = speech("long", 5, 3000);
    let mut heard = silence(100);
    heard.extend(coarse(&recording.samples[..1200 * PER_MS]));
    heard.extend(silence(500));
    let found = Ear::new(&heard).find(&recording, 0).unwrap();
    assert!(!found.complete);
    assert_eq!(found.at_ms, 100);
    assert!((1140..=1240).contains(&found.length_ms), "{found:?}");
    let missing = contains_in_order(&heard, std::slice::from_ref(&recording)).unwrap_err();
    assert!(missing.to_string().starts_with("long was not heard at all; only 1"), "{missing}");
}

#[test]
fn a_lost_packet_does_not_hide_a_recording() {
    let recording = speech("a", 4, 1000);
    let mut heard = coarse(&recording.samples);
    heard[500 * PER_MS..520 * PER_MS].fill(0);
    assert!(contains_in_order(&heard, &[recording]).is_ok());
}

#[test]
fn noise_and_silence_hold_no_recording() {
    let recording = speech("a", 1, 600);
    let mut noise = Noise(77);
    let noise: Vec<i16> = (0..40_000).map(|_| (noise.next() * 8000.0) as i16).collect();
    assert_eq!(identify(&noise, std::slice::from_ref(&recording)), []);
    assert_eq!(identify(&silence(5000), &[recording]), []);
    let quiet = Recording { id: RecordingId::new("quiet"), samples: silence(500) };
    assert_eq!(identify(&silence(5000), &[quiet]), []);
}

#[test]
fn the_longest_of_recordings_with_the_same_beginning_is_named() {
    let long = speech("long", 6, 1400);
    let short = Recording { id: RecordingId::new("short"), samples: long.samples[..6400].to_vec() };
    let other = speech("other", 7, 700);
    let heard = coarse(&[&other.samples[..], &silence(80), &long.samples].concat());
    let found = identify(&heard, &[short, long, other]);
    let ids: Vec<_> = found.iter().map(|heard| heard.id.as_str()).collect();
    assert_eq!(ids, ["other", "long"]);
}

#[test]
fn a_steady_sound_is_found_too() {
    let mut noise = Noise(3);
    let samples: Vec<i16> = (0..2400).map(|_| (noise.next() * 5000.0) as i16).collect();
    let burst = Recording { id: RecordingId::new("burst"), samples };
    let heard = [silence(213), coarse(&burst.samples), silence(200)].concat();
    let found = contains_in_order(&heard, &[burst]).unwrap();
    assert_eq!(found[0].at_ms, 213);
}

pub fn shipped(id: &str) -> Recording {
    let path = format!("{}/prompts/ru/{id}.wav", env!("CARGO_MANIFEST_DIR"));
    let mut wav = hound::WavReader::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let samples = wav.samples().map(Result::unwrap).collect();
    Recording { id: RecordingId::new(id), samples }
}

#[test]
fn numbers_of_the_same_voice_are_told_apart() {
    let ids: Vec<String> = (0..100).map(|n| format!("number/{n:02}")).collect();
    let all: Vec<Recording> = ids.iter().map(|id| shipped(id)).collect();
    for played in [20, 1, 21, 54, 50, 4, 11, 12, 40] {
        let heard = [silence(61), coarse(&all[played].samples), silence(200)].concat();
        let ear = Ear::new(&heard);
        for (other, recording) in all.iter().enumerate() {
            let complete = ear.find(recording, 0).is_some_and(|found| found.complete);
            assert_eq!(complete, other == played, "{} for {}", ids[other], ids[played]);
        }
    }
}

#[test]
fn a_minute_of_speech_is_understood() {
    let ids = [
        "phrase/greeting",
        "phrase/points-are",
        "thousand/01",
        "number/200",
        "count/point/54",
        "phrase/order-number",
        "digit/4",
        "digit/8",
        "digit/1",
        "digit-end/5",
        "status/shipped",
        "phrase/menu-points",
        "phrase/menu-order",
        "phrase/menu-operator",
        "phrase/wrong-key",
        "phrase/enter-order",
        "phrase/order-not-found",
        "phrase/closed",
        "phrase/callback-first-hour",
        "phrase/goodbye",
    ];
    let expected = ids.map(shipped);
    let mut heard = silence(500);
    for recording in &expected {
        heard.extend(coarse(&recording.samples));
    }
    let found = contains_in_order(&heard, &expected).unwrap();
    assert!(found.iter().all(|heard| heard.complete && heard.score > 0.95), "{found:?}");
    let ends = found.windows(2).map(|pair| pair[1].at_ms.abs_diff(pair[0].end_ms()));
    assert!(ends.max() <= Some(10), "{found:?}");
    let without_goodbye = &heard[..heard.len() - expected[19].samples.len()];
    assert_eq!(contains_in_order(without_goodbye, &expected).unwrap_err().id, expected[19].id);
    let named: Vec<_> = identify(&heard, &expected).into_iter().map(|heard| heard.id).collect();
    assert_eq!(named, expected.map(|recording| recording.id));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_offset_is_found_to_the_millisecond(offset in 0usize..4000, seed in 1u32..500) {
        let recording = speech("a", seed, 500);
        let mut heard = vec![0; offset];
        heard.extend(coarse(&recording.samples));
        heard.extend(silence(300));
        let found = contains_in_order(&heard, &[recording]).unwrap();
        prop_assert!(found[0].at_ms.abs_diff(samples_to_ms(offset)) <= 1, "{found:?}");
    }
}
