//! How much two sounds are alike.

use super::HOP;

/// Below this a sample sequence is silence, whatever the rest is like (−54 dB of full scale).
pub(super) const QUIET_RMS: f32 = 64.0;
/// How well one frame must fit.
const FRAME_FIT_MIN: f32 = 0.75;

/// The same waveform, or silence in both.
pub(super) fn is_alike(heard: &[i16], expected: &[i16]) -> bool {
    if rms(expected) < QUIET_RMS {
        return rms(heard) < 2.0 * QUIET_RMS;
    }
    correlation(heard, expected, 1) >= FRAME_FIT_MIN
}

/// Root mean square of each hop.
pub(super) fn loudness_curve(samples: &[i16]) -> Vec<f32> {
    samples.chunks(HOP).map(rms).collect()
}

fn rms(samples: &[i16]) -> f32 {
    let energy: f32 = samples.iter().map(|&sample| f32::from(sample) * f32::from(sample)).sum();
    (energy / samples.len().max(1) as f32).sqrt()
}

/// Pearson's correlation of two loudness curves, over their common length.
pub(super) fn curve_fit(heard: &[f32], expected: &[f32]) -> f32 {
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
pub(super) fn correlation(a: &[i16], b: &[i16], stride: usize) -> f32 {
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
