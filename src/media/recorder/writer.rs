//! A WAV file of one or two channels, 8,000 samples a second of 16 bits, that is readable at any
//! time.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};

use super::track::Moment;

const SAMPLE_BYTES: u64 = 2;
/// The header that comes before the samples.
const HEADER_BYTES: u64 = 44;
/// One second goes to the system at once.
const BUFFER_BYTES: usize = 32_000;

/// Moments for which hound has room at a time: 200 ms.
const WRITTEN_AT_ONCE: usize = 1_600;

pub(super) struct WavFile {
    writer: WavWriter<BufWriter<File>>,
    path: PathBuf,
    channels: u16,
}

impl WavFile {
    /// Makes `….part` for the file, and the folders that are missing. One channel, that of the left
    /// side, or both.
    pub fn create(path: &Path, channels: u16) -> Result<Self, hound::Error> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let buffer = BufWriter::with_capacity(BUFFER_BYTES, File::create(part(path))?);
        let sample_format = SampleFormat::Int;
        let spec = WavSpec { channels, sample_rate: 8_000, bits_per_sample: 16, sample_format };
        let mut writer = WavWriter::new(buffer, spec)?;
        writer.flush()?;
        Ok(Self { writer, path: path.to_owned(), channels })
    }

    pub fn write(&mut self, moments: &[Moment]) -> Result<(), hound::Error> {
        let channels = usize::from(self.channels);
        for part in moments.chunks(WRITTEN_AT_ONCE) {
            let mut writer = self.writer.get_i16_writer((part.len() * channels) as u32);
            let samples = part.iter().flat_map(|moment| &moment[..channels]);
            samples.for_each(|&sample| writer.write_sample(sample));
            writer.flush()?;
        }
        Ok(())
    }

    /// From now on the file can be read up to here, even if we are killed.
    pub fn checkpoint(&mut self) -> Result<(), hound::Error> {
        self.writer.flush()
    }

    /// Gives the whole file its name.
    pub fn finish(self) -> Result<(), hound::Error> {
        let moment_bytes = self.moment_bytes();
        let finished = self.writer.finalize();
        if finished.is_err() {
            mend(&part(&self.path), moment_bytes);
        }
        fs::rename(part(&self.path), &self.path)?;
        finished
    }

    /// After an error: keeps what reached the disk, under the name of the whole; says how many
    /// moments that is.
    pub fn give_up(self) -> u64 {
        let moment_bytes = self.moment_bytes();
        // Writes what it can, and its error is no news.
        drop(self.writer);
        let moments = mend(&part(&self.path), moment_bytes);
        let _stays_a_part = fs::rename(part(&self.path), &self.path);
        moments
    }

    fn moment_bytes(&self) -> u64 {
        u64::from(self.channels) * SAMPLE_BYTES
    }
}

/// Gives a file that somebody's death cut off its name, with all that reached the disk; says how many
/// moments that is. `whole`: the name. `None`: nothing can be heard in it; it stays what it is.
pub(super) fn rescue(whole: &Path) -> Option<u64> {
    let mut head = [0; HEADER_BYTES as usize];
    File::open(part(whole)).ok()?.read_exact(&mut head).ok()?;
    let channels = u64::from(u16::from_le_bytes([head[22], head[23]]));
    if !head.starts_with(b"RIFF") || !(1..=2).contains(&channels) {
        return None;
    }
    let moments = mend(&part(whole), channels * SAMPLE_BYTES);
    fs::rename(part(whole), whole).ok()?;
    Some(moments)
}

fn part(path: &Path) -> PathBuf {
    path.with_added_extension("part")
}

/// Makes the header tell the length that the file has; on a full disk, or after our death, a header
/// may tell more or less. Says how many moments there are.
fn mend(path: &Path, moment_bytes: u64) -> u64 {
    let mended = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let moments = file.metadata()?.len().saturating_sub(HEADER_BYTES) / moment_bytes;
        let bytes = moments * moment_bytes;
        let told = u32::try_from(bytes).unwrap_or(u32::MAX);
        for (at, length) in [(4, told.saturating_add(HEADER_BYTES as u32 - 8)), (40, told)] {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&length.to_le_bytes())?;
        }
        std::io::Result::Ok(moments)
    };
    mended().unwrap_or(0)
}
