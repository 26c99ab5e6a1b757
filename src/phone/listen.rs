//! Which recordings are in what was heard, and where: the judge of the demo and of the tests. It
//! compares audio with audio and asks nobody.
//!
//! A recording is found in three steps, each dearer than the one before:
//! 1. the loudness curve of its beginning, in steps of 10 ms, fits the curve of what was heard;
//! 2. near such a place, the offset in samples at which the waveforms fit best;
//! 3. from there on, frame by frame (20 ms), the waveforms are alike (normalised correlation) or
//!    both silent. As far as that goes, the recording was heard.
//!
//! G.711 leaves a correlation above 0.99; another recording of the same voice stays far below the
//! limits here.

use crate::domain::RecordingId;

/// Samples in a millisecond.
pub(super) const PER_MS: usize = 8;
/// A step of the loudness curve: 10 ms.
pub(super) const HOP: usize = 10 * PER_MS;
/// A frame that is compared as a whole: 20 ms.
const FRAME: usize = 20 * PER_MS;
/// The part of a recording that is searched for: its first loud 300 ms.
pub(super) const ANCHOR_HOPS: usize = 30;
/// A shorter piece of a recording is not recognised.
const SHORTEST_PIECE: usize = 200 * PER_MS;
/// Below this a sample sequence is silence, whatever the rest is like (−54 dB of full scale).
const QUIET_RMS: f32 = 64.0;
/// How well the loudness curves must fit (correlation).
const CURVE_FIT_MIN: f32 = 0.8;
/// How well the waveforms must fit where the search begins.
const ANCHOR_FIT_MIN: f32 = 0.8;
/// How well one frame must fit.
const FRAME_FIT_MIN: f32 = 0.75;
/// So many frames in a row may be lost on the way without ending the match.
const LOST_FRAMES_MAX: usize = 2;
/// How far two recordings may overlap in the search for the next one: a frame's rounding.
pub(super) const OVERLAP: usize = 30 * PER_MS;

/// Audio of a recording, 8 kHz.
#[derive(Clone, Debug)]
pub struct Recording {
    pub id: RecordingId,
    pub samples: Vec<i16>,
}

/// A recording that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub id: RecordingId,
    /// Where the recording's first sample lies, milliseconds from the beginning of the audio.
    pub at_ms: u64,
    /// How much of it was heard; the recording's whole length if `complete`.
    pub length_ms: u64,
    /// To its end, not cut.
    pub complete: bool,
    /// Correlation over what was heard, up to 1.
    pub score: f32,
}

impl Heard {
    /// Where it ends, milliseconds from the beginning of the audio.
    pub fn end_ms(&self) -> u64 {
        self.at_ms + self.length_ms
    }
}

/// An expected recording is not in the audio where it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{id} was not heard {place}{}", cut_note(.cut))]
pub struct Missing {
    pub id: RecordingId,
    /// After which recording it was looked for.
    pub place: String,
    /// The beginning of it that was heard, if any.
    pub cut: Option<Heard>,
    /// What was found before.
    pub found: Vec<Heard>,
}

fn cut_note(cut: &Option<Heard>) -> String {
    match cut {
        Some(cut) => format!("; only {} ms of it, at {} ms", cut.length_ms, cut.at_ms),
        None => String::new(),
    }
}

/// Finds the expected recordings, complete and in this order; other audio may lie between them.
pub fn contains_in_order(heard: &[i16], expected: &[Recording]) -> Result<Vec<Heard>, Missing> {
    let ear = Ear::new(heard);
    let mut found: Vec<Heard> = Vec::new();
    let mut cursor = 0;
    for recording in expected {
        let matched = ear.find(recording, cursor);
        match matched {
            Some(next) if next.complete => {
                cursor = ms_to_samples(next.end_ms()).saturating_sub(OVERLAP);
                found.push(next);
            }
            cut => {
                let place = match found.last() {
                    Some(last) => format!("after {} (which ends at {} ms)", last.id, last.end_ms()),
                    None => "at all".to_owned(),
                };
                return Err(Missing { id: recording.id.clone(), place, cut, found });
            }
        }
    }
    Ok(found)
}

/// Names all candidates that were heard, complete or cut, by time. Where two claim the same time,
/// the one with the longer match stands.
pub fn identify(heard: &[i16], candidates: &[Recording]) -> Vec<Heard> {
    let ear = Ear::new(heard);
    let mut claims = Vec::new();
    for recording in candidates {
        let mut from = 0;
        while let Some(claim) = ear.find(recording, from) {
            from = ms_to_samples(claim.at_ms + claim.length_ms.max(1));
            claims.push(claim);
        }
    }
    claims.sort_by(|a, b| {
        let weight = |heard: &Heard| heard.score * heard.length_ms as f32;
        weight(b).total_cmp(&weight(a)).then_with(|| a.id.cmp(&b.id))
    });
    let mut accepted: Vec<Heard> = Vec::new();
    for claim in claims {
        let slack_ms = (OVERLAP / PER_MS) as u64;
        let overlaps = |other: &Heard| {
            claim.at_ms + slack_ms < other.end_ms() && other.at_ms + slack_ms < claim.end_ms()
        };
        if !accepted.iter().any(overlaps) {
            accepted.push(claim);
        }
    }
    accepted.sort_by_key(|heard| heard.at_ms);
    accepted
}

/// Heard audio, prepared for being searched many times.
pub struct Ear<'a> {
    samples: &'a [i16],
    curve: Vec<f32>,
}

impl<'a> Ear<'a> {
    pub fn new(samples: &'a [i16]) -> Self {
        Self { samples, curve: loudness_curve(samples) }
    }

    /// For comparing at a known place only.
    pub(super) fn without_curve(samples: &'a [i16]) -> Self {
        Self { samples, curve: Vec::new() }
    }

    /// The first complete occurrence at or after the sample `from`; else the longest cut one.
    pub fn find(&self, recording: &Recording, from: usize) -> Option<Heard> {
        let template = Template::new(recording)?;
        let mut cut: Option<Heard> = None;
        let mut checked_from = None;
        for anchor in self.likely_places(&template, from + template.first) {
            // Neighbouring places lead to the same offset; it is checked once.
            let Some(Aligned { offset: anchor, .. }) = self.align(&template, anchor) else {
                continue;
            };
            if checked_from == Some(anchor) || anchor + OVERLAP < from + template.first {
                continue;
            }
            checked_from = Some(anchor);
            let Some(heard) = self.follow(&template, anchor) else { continue };
            if heard.complete {
                return Some(heard);
            }
            if cut.as_ref().is_none_or(|best| best.length_ms < heard.length_ms) {
                cut = Some(heard);
            }
        }
        cut
    }

    /// Hops (as sample positions) where the loudness curve of the template's anchor fits.
    pub(super) fn likely_places(
        &self,
        template: &Template,
        from: usize,
    ) -> impl Iterator<Item = usize> {
        let first_hop = (from / HOP).saturating_sub(1);
        let places = self.curve.len().saturating_sub(template.curve.len() / 2);
        let fit = move |hop: usize| {
            let window = &self.curve[hop..self.curve.len().min(hop + template.curve.len())];
            curve_fit(window, &template.curve)
        };
        let is_flat = template.is_flat;
        let mut last_fits = [0.0, 0.0];
        (first_hop..=places).filter_map(move |hop| {
            if hop == places {
                return None;
            }
            if !self.is_loud(hop) && !self.curve.get(hop + 1).is_some_and(|&rms| rms >= QUIET_RMS) {
                return None;
            }
            if is_flat {
                return self.is_loud(hop).then_some(hop * HOP);
            }
            // A peak, or a point of a high plateau beside one.
            let here = fit(hop);
            last_fits = [last_fits[1], here];
            (here >= CURVE_FIT_MIN && here + 0.1 >= last_fits[0]).then_some(hop * HOP)
        })
    }

    fn is_loud(&self, hop: usize) -> bool {
        self.curve[hop] >= QUIET_RMS
    }

    /// The offset within a hop of `near` at which the anchor's waveform fits best.
    pub(super) fn align(&self, template: &Template, near: usize) -> Option<Aligned> {
        // Every fifth sample is enough to tell the right offset from the others.
        const STRIDE: usize = 5;
        let anchor = template.anchor();
        let mut best: Option<Aligned> = None;
        for offset in near.saturating_sub(HOP)..=near + HOP {
            let Some(rest) = self.samples.get(offset..) else { break };
            let length = anchor.len().min(rest.len());
            let fit = correlation(&rest[..length], &anchor[..length], STRIDE);
            if fit > best.as_ref().map_or(ANCHOR_FIT_MIN, |best| best.fit) {
                best = Some(Aligned { offset, fit });
            }
        }
        best
    }

    /// How far the recording goes on from `anchor`, the place of its first loud sample.
    fn follow(&self, template: &Template, anchor: usize) -> Option<Heard> {
        let followed = self.trace(template, anchor);
        self.judge(template, anchor, followed.good_until)
    }

    /// Compares frame by frame.
    pub(super) fn trace(&self, template: &Template, anchor: usize) -> Trace {
        let mut trace = Trace { good_until: 0, is_open: true };
        let mut lost = 0;
        for (index, frame) in template.loud().chunks(FRAME).enumerate() {
            let start = anchor + index * FRAME;
            let Some(heard) = self.samples.get(start..start + frame.len()) else { return trace };
            if is_alike(heard, frame) {
                trace.good_until = index * FRAME + frame.len();
                lost = 0;
            } else {
                lost += 1;
                if lost > LOST_FRAMES_MAX {
                    break;
                }
            }
        }
        Trace { is_open: false, ..trace }
    }

    /// Whether what was compared is enough to be called heard.
    pub(super) fn judge(
        &self,
        template: &Template,
        anchor: usize,
        good_until: usize,
    ) -> Option<Heard> {
        let complete = good_until + FRAME >= template.loud().len();
        if !complete && good_until < SHORTEST_PIECE {
            return None;
        }
        let samples = &self.samples[anchor..anchor + good_until];
        let score = correlation(samples, &template.loud()[..good_until], 1);
        if score < ANCHOR_FIT_MIN {
            return None;
        }
        let length = if complete { template.samples.len() } else { template.first + good_until };
        Some(Heard {
            id: template.id.clone(),
            at_ms: samples_to_ms(anchor.saturating_sub(template.first)),
            length_ms: samples_to_ms(length),
            complete,
            score,
        })
    }
}

/// Where an anchor's waveform fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aligned {
    pub offset: usize,
    pub fit: f32,
}

/// How far a recording was followed.
pub(super) struct Trace {
    /// The end of the last frame that was alike, in samples from the recording's first loud one.
    pub good_until: usize,
    /// The audio ended before the recording did.
    pub is_open: bool,
}

/// A recording, prepared for being searched for.
pub(super) struct Template<'a> {
    id: &'a RecordingId,
    samples: &'a [i16],
    /// Its first loud sample, to a hop.
    pub first: usize,
    /// The end of its last loud hop.
    last: usize,
    /// The loudness curve of the anchor.
    curve: Vec<f32>,
    /// The curve hardly moves (noise, a tone): it can't tell places apart.
    is_flat: bool,
}

impl<'a> Template<'a> {
    /// `None` if there is nothing in it that could be heard.
    pub fn new(recording: &'a Recording) -> Option<Self> {
        let curve = loudness_curve(&recording.samples);
        let first_hop = curve.iter().position(|&rms| rms >= QUIET_RMS)?;
        let last_hop = curve.iter().rposition(|&rms| rms >= QUIET_RMS)?;
        let anchor_end = (first_hop + ANCHOR_HOPS).min(last_hop + 1);
        let anchor = curve[first_hop..anchor_end].to_vec();
        let mean = anchor.iter().sum::<f32>() / anchor.len() as f32;
        let spread = anchor.iter().map(|rms| (rms - mean).abs()).sum::<f32>() / anchor.len() as f32;
        Some(Self {
            id: &recording.id,
            samples: &recording.samples,
            first: first_hop * HOP,
            last: ((last_hop + 1) * HOP).min(recording.samples.len()),
            is_flat: spread < 0.25 * mean,
            curve: anchor,
        })
    }

    fn loud(&self) -> &'a [i16] {
        &self.samples[self.first..self.last]
    }

    fn anchor(&self) -> &'a [i16] {
        let length = (self.curve.len() * HOP).min(self.last - self.first);
        &self.loud()[..length]
    }
}

/// The same waveform, or silence in both.
fn is_alike(heard: &[i16], expected: &[i16]) -> bool {
    if rms(expected) < QUIET_RMS {
        return rms(heard) < 2.0 * QUIET_RMS;
    }
    correlation(heard, expected, 1) >= FRAME_FIT_MIN
}

/// Root mean square of each hop.
fn loudness_curve(samples: &[i16]) -> Vec<f32> {
    samples.chunks(HOP).map(rms).collect()
}

fn rms(samples: &[i16]) -> f32 {
    let energy: f32 = samples.iter().map(|&sample| f32::from(sample) * f32::from(sample)).sum();
    (energy / samples.len().max(1) as f32).sqrt()
}

/// Pearson's correlation of two loudness curves, over their common length.
fn curve_fit(heard: &[f32], expected: &[f32]) -> f32 {
    let n = heard.len().min(expected.len());
    if n < 2 {
        return 0.0;
    }
    let mean = |curve: &[f32]| curve[..n].iter().sum::<f32>() / n as f32;
    let (mean_heard, mean_expected) = (mean(heard), mean(expected));
    let (mut both, mut energy_heard, mut energy_expected) = (0.0, 0.0, 0.0);
    for (h, e) in heard[..n].iter().zip(&expected[..n]) {
        let (h, e) = (h - mean_heard, e - mean_expected);
        both += h * e;
        energy_heard += h * h;
        energy_expected += e * e;
    }
    ratio(both, energy_heard, energy_expected)
}

/// Normalised cross-correlation of equally long samples, −1 to 1; every `stride`th sample is used.
fn correlation(a: &[i16], b: &[i16], stride: usize) -> f32 {
    let (mut both, mut energy_a, mut energy_b) = (0.0, 0.0, 0.0);
    let mut index = 0;
    while index < a.len() {
        let (x, y) = (f32::from(a[index]), f32::from(b[index]));
        both += x * y;
        energy_a += x * x;
        energy_b += y * y;
        index += stride;
    }
    ratio(both, energy_a, energy_b)
}

fn ratio(both: f32, energy_a: f32, energy_b: f32) -> f32 {
    if energy_a <= 0.0 || energy_b <= 0.0 { 0.0 } else { both / (energy_a * energy_b).sqrt() }
}

pub(super) fn samples_to_ms(samples: usize) -> u64 {
    (samples / PER_MS) as u64
}

pub(super) fn ms_to_samples(ms: u64) -> usize {
    usize::try_from(ms).unwrap_or(usize::MAX / PER_MS) * PER_MS
}

#[cfg(test)]
pub(super) mod tests {
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
        let short =
            Recording { id: RecordingId::new("short"), samples: long.samples[..6400].to_vec() };
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
}
