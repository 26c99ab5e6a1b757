//! Keys as pairs of tones (ITU-T Q.23), for callers whose phone knows no telephone events.

use crate::domain::{Codec, Key};
use crate::media::g711;

/// The lower tone names the row of the keypad, the higher one the column (Q.23), in Hz.
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYPAD: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

const SAMPLE_RATE_HZ: f32 = 8_000.0;

/// Samples judged together: 12.75 ms. Fine enough to tell neighbouring tones (73 Hz) apart, and
/// short enough that a tone or a pause of 40 ms (Q.24) always covers two whole blocks.
const BLOCK: usize = 102;
/// Blocks that must agree before a key counts as pressed.
const BLOCKS_TO_PRESS: u8 = 2;
/// Blocks without the key before it counts as released: a pause of 40 ms spoils at least three, an
/// interruption of 10 ms (Q.24) at most two.
const BLOCKS_TO_RELEASE: u8 = 3;

/// The weaker tone must be this strong: about −36 dBm0.
const AMPLITUDE_MIN: f32 = 350.0;
/// Each tone stands out of its group by 6 dB, as a ratio of powers.
const PEAK_MIN: f32 = 4.0;

// The rest is asked of two blocks together.

/// One tone may be stronger than the other by 8 dB (Q.24 table A-1), as a ratio of powers.
const TWIST_MAX: f32 = 6.31;
/// How far off its frequency a tone may be: 1.5 % + 2 Hz is to be heard, 3.5 % not (Q.24).
const DETUNE_MAX: f32 = 0.025;
/// Share of the whole power that both tones must hold. Speech has its power elsewhere too.
const SHARE_MIN: f32 = 0.85;
/// Voices have overtones, key tones don't: the second harmonic is 13 dB below, as a ratio of powers.
/// Only asked of columns: that of a row lies among the columns, where peak and share tell.
const HARMONIC_MAX: f32 = 0.05;

/// Tells the keys pressed from the audio of a caller.
#[derive(Debug)]
pub struct ToneDetector {
    /// The block before and the one being filled.
    samples: [f32; 2 * BLOCK],
    filled: usize,
    /// The key of the last blocks, and how many agreed.
    candidate: Option<Pair>,
    agreed: u8,
    /// The key that is held, and for how many blocks it has not been heard.
    held: Option<Pair>,
    missed: u8,
}

impl Default for ToneDetector {
    fn default() -> Self {
        Self {
            samples: [0.0; 2 * BLOCK],
            filled: BLOCK,
            candidate: None,
            agreed: 0,
            held: None,
            missed: 0,
        }
    }
}

impl ToneDetector {
    /// Hears a packet's audio. `pressed` gets each key about 25 ms after its beginning, once.
    pub fn hear(&mut self, codec: Codec, audio: &[u8], mut pressed: impl FnMut(Key)) {
        for &code in audio {
            self.samples[self.filled] = f32::from(g711::decode(codec, code));
            self.filled += 1;
            if self.filled == 2 * BLOCK {
                self.judge().into_iter().for_each(&mut pressed);
                self.samples.copy_within(BLOCK.., 0);
                self.filled = BLOCK;
            }
        }
    }

    /// The caller sent nothing for a while: whatever was held is released.
    pub fn pause(&mut self) {
        *self = Self::default();
    }

    /// Takes a full block into account.
    fn judge(&mut self) -> Option<Key> {
        let heard = Pair::in_block(&self.samples[BLOCK..]);
        self.agreed = if heard == self.candidate { self.agreed.saturating_add(1) } else { 1 };
        self.candidate = heard;
        if self.held.is_some() && heard != self.held {
            self.missed += 1;
            if self.missed >= BLOCKS_TO_RELEASE {
                self.held = None;
            }
        } else {
            self.missed = 0;
        }
        let pressed = heard.filter(|pair| {
            self.held.is_none() && self.agreed >= BLOCKS_TO_PRESS && pair.is_pure(&self.samples)
        })?;
        (self.held, self.missed) = (Some(pressed), 0);
        Some(pressed.key())
    }
}

/// A row and a column of the keypad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    row: usize,
    column: usize,
}

impl Pair {
    /// The tones that stand out of a block, if there are two.
    fn in_block(block: &[f32]) -> Option<Self> {
        Some(Self { row: strongest(block, &ROWS)?, column: strongest(block, &COLUMNS)? })
    }

    /// Whether two blocks are made of these two tones and of little else.
    fn is_pure(self, samples: &[f32; 2 * BLOCK]) -> bool {
        let tones =
            [ROWS[self.row], COLUMNS[self.column]].map(|hz| (hz, true_frequency(samples, hz)));
        if tones.iter().any(|(nominal_hz, hz)| (hz - nominal_hz).abs() > DETUNE_MAX * nominal_hz) {
            return false;
        }
        let [row, column] = tones.map(|(_, hz)| tone_power(samples, hz));
        let overtone = tone_power(samples, 2.0 * tones[1].1);
        // A tone of amplitude a gives (a·n/2)² by Goertzel, and a²·n/2 as a sum of squares.
        let all = samples.iter().map(|sample| sample * sample).sum::<f32>() * BLOCK as f32;
        let twisted = row > TWIST_MAX * column || column > TWIST_MAX * row;
        row + column >= SHARE_MIN * all && !twisted && overtone <= HARMONIC_MAX * column
    }

    fn key(self) -> Key {
        Key::try_from(KEYPAD[self.row][self.column]).expect("the keypad has only keys")
    }
}

/// The strongest tone of a group, if it is loud and stands out.
fn strongest(block: &[f32], group: &[f32; 4]) -> Option<usize> {
    let powers = group.map(|frequency_hz| tone_power(block, frequency_hz));
    let (best, &power) = powers.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let loud = power >= (AMPLITUDE_MIN * BLOCK as f32 / 2.0).powi(2);
    let stands_out =
        powers.iter().enumerate().all(|(other, &weak)| other == best || weak * PEAK_MIN <= power);
    (loud && stands_out).then_some(best)
}

/// Goertzel's algorithm: the power at one frequency.
fn tone_power(samples: &[f32], frequency_hz: f32) -> f32 {
    let turn = 2.0 * (std::f32::consts::TAU * frequency_hz / SAMPLE_RATE_HZ).cos();
    let (mut last, mut before) = (0.0_f32, 0.0_f32);
    for sample in samples {
        (last, before) = (sample + turn * last - before, last);
    }
    last * last + before * before - turn * last * before
}

/// The frequency of a tone near a nominal one: by how much its phase against the nominal one turns
/// from the first block to the second. Within ±39 Hz.
fn true_frequency(samples: &[f32; 2 * BLOCK], nominal_hz: f32) -> f32 {
    let step = std::f32::consts::TAU * nominal_hz / SAMPLE_RATE_HZ;
    let (mut phases, mut angle) = ([0.0_f32; 2], 0.0_f32);
    for (block, phase) in samples.chunks(BLOCK).zip(&mut phases) {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for sample in block {
            sine += sample * angle.cos();
            cosine += sample * angle.sin();
            angle += step;
        }
        *phase = f32::atan2(sine, cosine);
    }
    let turned = phases[1] - phases[0];
    let turned = turned - std::f32::consts::TAU * (turned / std::f32::consts::TAU).round();
    nominal_hz + turned * SAMPLE_RATE_HZ / (std::f32::consts::TAU * BLOCK as f32)
}

/// The tones of a key, each at about −10 dBm0, to be encoded and sent.
pub fn tone(key: Key, duration_ms: u32) -> Vec<i16> {
    const AMPLITUDE: f32 = 7_000.0;
    tone_with(key, duration_ms, AMPLITUDE, AMPLITUDE, 1.0)
}

/// The tones of a key with amplitudes of their own and all frequencies off by a factor.
fn tone_with(key: Key, duration_ms: u32, row: f32, column: f32, detune: f32) -> Vec<i16> {
    let position = KEYPAD.as_flattened().iter().position(|&c| c == key.as_char()).unwrap_or(0);
    let (row_hz, column_hz) = (ROWS[position / 4] * detune, COLUMNS[position % 4] * detune);
    (0..duration_ms * 8)
        .map(|n| {
            let turns = std::f32::consts::TAU * n as f32 / SAMPLE_RATE_HZ;
            (row * (turns * row_hz).sin() + column * (turns * column_hz).sin()) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const KEYS: &str = "123A456B789C*0#D";

    fn key(c: char) -> Key {
        Key::try_from(c).unwrap()
    }

    fn heard_by(codec: Codec, samples: &[i16]) -> String {
        let (mut detector, mut keys) = (ToneDetector::default(), String::new());
        let audio: Vec<u8> = samples.iter().map(|&sample| g711::encode(codec, sample)).collect();
        for packet in audio.chunks(160) {
            detector.hear(codec, packet, |key| keys.push(key.as_char()));
        }
        keys
    }

    fn heard(samples: &[i16]) -> String {
        heard_by(Codec::Pcma, samples)
    }

    /// The key after `lead` samples of silence, with silence after it.
    fn pressed(lead: usize, tone: Vec<i16>) -> Vec<i16> {
        let mut samples = vec![0; lead];
        samples.extend(tone);
        samples.resize(samples.len() + 400, 0);
        samples
    }

    #[test]
    fn every_key_is_heard_in_both_codecs() {
        for codec in Codec::ALL {
            let mut samples = Vec::new();
            for c in KEYS.chars() {
                samples.extend(pressed(0, tone(key(c), 60)));
            }
            assert_eq!(heard_by(codec, &samples), KEYS);
        }
    }

    #[test]
    fn forty_milliseconds_of_tone_and_of_pause_are_enough_wherever_they_begin() {
        for lead in 0..BLOCK {
            let mut samples = vec![0; lead];
            for c in "2258".chars() {
                samples.extend(tone(key(c), 40));
                samples.resize(samples.len() + 320, 0);
            }
            assert_eq!(heard(&samples), "2258", "{lead}");
        }
    }

    #[test]
    fn a_long_press_with_a_short_dropout_is_one_key() {
        for lead in 0..BLOCK {
            let mut samples = pressed(lead, tone(key('6'), 1000));
            samples[lead + 3000..lead + 3080].fill(0); // 10 ms (Q.24)
            assert_eq!(heard(&samples), "6", "{lead}");
        }
    }

    #[test]
    fn twenty_milliseconds_are_no_key() {
        for lead in 0..BLOCK {
            assert_eq!(heard(&pressed(lead, tone(key('6'), 20))), "", "{lead}");
        }
    }

    #[test]
    fn quiet_twisted_and_detuned_tones_are_heard() {
        for c in KEYS.chars() {
            for (row, column) in
                [(500.0, 500.0), (12_000.0, 12_000.0), (6_000.0, 2_800.0), (2_800.0, 6_000.0)]
            {
                for detune in [0.985, 1.0, 1.015] {
                    let samples = pressed(7, tone_with(key(c), 80, row, column, detune));
                    assert_eq!(heard(&samples), c.to_string(), "{row} {column} {detune}");
                }
            }
        }
    }

    #[test]
    fn too_much_twist_and_single_tones_are_no_keys() {
        for (row, column) in
            [(8_000.0, 2_500.0), (2_500.0, 8_000.0), (8_000.0, 0.0), (0.0, 8_000.0)]
        {
            assert_eq!(heard(&pressed(0, tone_with(key('5'), 200, row, column, 1.0))), "");
        }
        assert_eq!(heard(&pressed(0, tone_with(key('5'), 200, 150.0, 150.0, 1.0))), ""); // too quiet
    }

    #[test]
    fn keys_are_heard_through_noise_and_noise_is_no_key() {
        let mut random = StdRng::seed_from_u64(7);
        let mut noisy = |samples: &mut [i16], loud: i16| {
            for sample in samples {
                *sample = sample.saturating_add(random.random_range(-loud..=loud));
            }
        };
        let mut samples = Vec::new();
        for c in KEYS.chars() {
            samples.extend(pressed(33, tone(key(c), 80)));
        }
        noisy(&mut samples, 1_500); // 18 dB below the tones
        assert_eq!(heard(&samples), KEYS);

        for loud in [300, 3_000, 30_000] {
            let mut minute = vec![0; 60 * 8_000];
            noisy(&mut minute, loud);
            assert_eq!(heard(&minute), "");
        }
    }

    #[test]
    fn voices_are_no_keys() {
        // Vowels: a gliding pitch with overtones through two formants.
        let mut random = StdRng::seed_from_u64(11);
        let mut samples = Vec::new();
        for _ in 0..200 {
            let (pitch_hz, formants) = (
                random.random_range(80.0..300.0_f32),
                [random.random_range(300.0..1000.0_f32), random.random_range(900.0..2500.0_f32)],
            );
            for n in 0..1_600_u16 {
                let seconds = f32::from(n) / SAMPLE_RATE_HZ;
                let pitch_hz = pitch_hz * (1.0 + 0.2 * seconds);
                let voice: f32 = (1..=20_u8)
                    .map(|overtone| {
                        let hz = pitch_hz * f32::from(overtone);
                        let loud = formants
                            .map(|formant| 1.0 / (1.0 + (hz - formant).abs() / 60.0))
                            .iter()
                            .sum::<f32>();
                        loud * (std::f32::consts::TAU * hz * seconds).sin()
                    })
                    .sum();
                samples.push((voice * 4_000.0) as i16);
            }
        }
        assert_eq!(heard(&samples), "");
    }
}
