//! Whatever a program wrote, as a recording: 8,000 samples a second, one channel, 16 bits.

use std::f64::consts::PI;
use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, ensure};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// Samples a second of a recording.
pub const RATE_HZ: u32 = 8_000;

/// What would be longer is no prompt.
const SECONDS_MAX: usize = 600;
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Reads a WAV file of any usual form; channels are mixed, other rates are converted.
pub fn read(path: &Path) -> anyhow::Result<Vec<i16>> {
    let size = std::fs::metadata(path).context("no WAV file was written")?.len();
    ensure!(size <= FILE_BYTES_MAX, "the WAV file is too long ({size} bytes)");
    let mut reader = WavReader::open(path).context("not a WAV file")?;
    let spec = reader.spec();
    ensure!(
        (RATE_HZ..=192_000).contains(&spec.sample_rate),
        "{} samples a second; at least {RATE_HZ} are needed",
        spec.sample_rate
    );
    let samples: Vec<f64> = match spec.sample_format {
        SampleFormat::Float => {
            reader.samples::<f32>().map(|sample| sample.map(f64::from)).collect::<Result<_, _>>()
        }
        SampleFormat::Int => {
            let full_scale = f64::from(1_u32 << (spec.bits_per_sample.clamp(1, 32) - 1));
            let scaled = |sample: i32| f64::from(sample) / full_scale;
            reader.samples::<i32>().map(|sample| sample.map(scaled)).collect::<Result<_, _>>()
        }
    }
    .context("the WAV file is cut short")?;
    let channels = usize::from(spec.channels.max(1));
    #[expect(clippy::cast_precision_loss, reason = "channels are few")]
    let mono: Vec<f64> =
        samples.chunks(channels).map(|frame| frame.iter().sum::<f64>() / channels as f64).collect();
    let samples = resample(&mono, spec.sample_rate);
    ensure!(!samples.is_empty(), "the WAV file has no sound");
    ensure!(samples.len() <= SECONDS_MAX * RATE_HZ as usize, "longer than {SECONDS_MAX} s");
    Ok(samples)
}

/// Zero crossings of the filter on each side: the more, the steeper.
const FILTER_CROSSINGS: f64 = 16.0;

/// Low-pass filter and choice of samples in one: a sinc with a Hann window, cut off a little below
/// half of the lower rate, so that nothing folds back into the audible band.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "positions in a recording of minutes are exact in f64, and not negative"
)]
fn resample(samples: &[f64], rate_hz: u32) -> Vec<i16> {
    let to_i16 = |sample: f64| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
    if rate_hz == RATE_HZ {
        return samples.iter().map(|sample| to_i16(*sample)).collect();
    }
    let step = f64::from(rate_hz) / f64::from(RATE_HZ);
    // In cycles per sample of the source.
    let cutoff = 0.5 * 0.95 / step;
    let half_width = FILTER_CROSSINGS / (2.0 * cutoff);
    let count = (samples.len() as f64 / step).ceil() as usize;
    let at = |index: usize| {
        let centre = index as f64 * step;
        let first = (centre - half_width).ceil().max(0.0) as usize;
        let last = ((centre + half_width).floor() as usize).min(samples.len().saturating_sub(1));
        let (mut sum, mut weights) = (0.0, 0.0);
        for (sample, position) in samples[first..=last].iter().zip(first..) {
            let distance = position as f64 - centre;
            let x = 2.0 * cutoff * distance;
            let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
            let weight = sinc * (0.5 + 0.5 * (PI * distance / half_width).cos());
            sum += sample * weight;
            weights += weight;
        }
        to_i16(sum / weights)
    };
    (0..count).map(at).collect()
}

/// Writes a recording; all or nothing.
pub fn write(path: &Path, samples: &[i16]) -> anyhow::Result<()> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    writer.finalize()?;
    super::replace(path, &bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate_hz: u32, frequency_hz: f64) -> Vec<f64> {
        let step = 2.0 * PI * frequency_hz / f64::from(rate_hz);
        (0..rate_hz).map(|n| 0.5 * (step * f64::from(n)).sin()).collect()
    }

    /// Root mean square of the middle, where the filter has all its samples.
    fn loudness(samples: &[i16]) -> f64 {
        let middle = &samples[1_000..7_000];
        let sum: f64 = middle.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum();
        (sum / 6_000.0).sqrt()
    }

    #[test]
    fn speech_survives_the_change_of_rate_and_what_would_fold_back_is_gone() {
        for rate_hz in [16_000, 22_050, 24_000, 44_100] {
            for frequency_hz in [300.0, 1_000.0, 3_000.0] {
                let kept = resample(&tone(rate_hz, frequency_hz), rate_hz);
                assert_eq!(kept.len(), 8_000, "{rate_hz}");
                let expected = 0.5 / 2.0_f64.sqrt();
                let error = (loudness(&kept) / expected - 1.0).abs();
                assert!(error < 0.02, "{rate_hz} {frequency_hz}: {error}");
            }
            let gone = resample(&tone(rate_hz, 5_000.0), rate_hz);
            assert!(loudness(&gone) < 0.001, "{rate_hz}: {}", loudness(&gone));
        }
    }

    #[test]
    fn a_recording_of_the_right_form_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/a.wav");
        let samples = [0, 1, -1, 32_767, -32_768, 12_345];
        write(&path, &samples).unwrap();
        assert_eq!(read(&path).unwrap(), samples);
    }

    #[test]
    fn stereo_is_mixed_and_floats_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let spec = WavSpec {
            channels: 2,
            sample_rate: RATE_HZ,
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
        };
        let mut writer = WavWriter::create(&path, spec).unwrap();
        for sample in [0.5_f32, 0.0, -1.0, -1.0, 2.0, 2.0] {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
        assert_eq!(read(&path).unwrap(), [8_192, -32_768, 32_767]);
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        assert_eq!(read(&path).unwrap_err().to_string(), "no WAV file was written");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "not a WAV file");
        write(&path, &[]).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "the WAV file has no sound");
    }
}
