//! Audio as WAV files: 8 kHz, mono, 16 bits.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::listen::Recording;
use crate::domain::{Language, RecordingId};

const SPEC: hound::WavSpec = hound::WavSpec {
    channels: 1,
    sample_rate: 8000,
    bits_per_sample: 16,
    sample_format: hound::SampleFormat::Int,
};

/// Writes the samples, replacing a file of this name.
pub fn save(path: &Path, samples: &[i16]) -> anyhow::Result<()> {
    let write = || -> Result<(), hound::Error> {
        let mut writer = hound::WavWriter::create(path, SPEC)?;
        for sample in samples {
            writer.write_sample(*sample)?;
        }
        writer.finalize()
    };
    write().with_context(|| format!("{} can't be written", path.display()))
}

/// Reads the samples of a file of this format.
pub fn load(path: &Path) -> anyhow::Result<Vec<i16>> {
    let read = || -> anyhow::Result<Vec<i16>> {
        let mut reader = hound::WavReader::open(path)?;
        ensure!(reader.spec() == SPEC, "not 8 kHz, mono, 16 bits");
        Ok(reader.samples().collect::<Result<_, _>>()?)
    };
    read().with_context(|| format!("{} can't be read", path.display()))
}

/// Reads recordings from `FOLDER/LANG/ID.wav`.
pub fn load_recordings(
    folder: &Path,
    language: Language,
    ids: &[RecordingId],
) -> anyhow::Result<Vec<Recording>> {
    let load_one = |id: &RecordingId| {
        let path = folder.join(language.code()).join(format!("{id}.wav"));
        Ok(Recording { id: id.clone(), samples: load(&path)? })
    };
    ids.iter().map(load_one).collect()
}
