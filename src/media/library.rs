//! The recordings: read once, encoded once for each codec, shared by all calls.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hound::{SampleFormat, WavReader, WavSpec};

use super::g711;
use super::playlist::SAMPLES_PER_MS;
use crate::domain::{Codec, Language, RecordingId};

/// The one format that recordings may have.
const WANTED: WavSpec = WavSpec {
    channels: 1,
    sample_rate: 8_000,
    bits_per_sample: 16,
    sample_format: SampleFormat::Int,
};

/// A longer file is no prompt: about an hour.
const FILE_BYTES_MAX: u64 = 60 * 1024 * 1024;

/// Folders within folders below a language at most.
const DEPTH_MAX: usize = 8;

/// One recording, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Prompt {
    pcma: Box<[u8]>,
    pcmu: Box<[u8]>,
}

impl Prompt {
    /// Encodes samples of 8 kHz, 16 bits.
    pub fn encode(samples: impl ExactSizeIterator<Item = i16>) -> Self {
        let (alaw, ulaw) = (g711::Encoder::of(Codec::Pcma), g711::Encoder::of(Codec::Pcmu));
        let mut pcma = Vec::with_capacity(samples.len());
        let mut pcmu = Vec::with_capacity(samples.len());
        for sample in samples {
            pcma.push(alaw.encode(sample));
            pcmu.push(ulaw.encode(sample));
        }
        Self { pcma: pcma.into(), pcmu: pcmu.into() }
    }

    /// One byte a sample, as RTP carries it.
    pub fn bytes(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcma => &self.pcma,
            Codec::Pcmu => &self.pcmu,
        }
    }

    /// How long it is heard; part of a millisecond is left out.
    pub fn duration_ms(&self) -> u64 {
        self.pcma.len() as u64 / SAMPLES_PER_MS
    }
}

/// All recordings of all languages. Never changed; a reload makes a new one.
#[derive(Debug, Default)]
pub struct PromptLibrary {
    prompts: BTreeMap<Language, BTreeMap<RecordingId, Arc<Prompt>>>,
}

impl PromptLibrary {
    /// Reads `folder/LANGUAGE/**/*.wav`: 8 kHz mono 16-bit PCM. A recording's name is its path
    /// below the language, without `.wav`. Nothing is trimmed, scaled or resampled.
    ///
    /// # Errors
    /// Every file that can't be used, at once; then none is.
    pub fn load(folder: &Path, languages: &[Language]) -> Result<Self, LibraryErrors> {
        let mut files = Vec::new();
        let mut errors = Vec::new();
        for &language in languages {
            let root = folder.join(language.code());
            find_files(&root, &mut Vec::new(), language, &mut files, &mut errors);
        }
        let mut library = Self::default();
        for (file, prompt) in read_all(&files) {
            match prompt {
                Ok(prompt) => library.insert(file.language, file.id.clone(), prompt),
                Err(problem) => errors.push(LibraryError { path: file.path.clone(), problem }),
            }
        }
        if errors.is_empty() {
            Ok(library)
        } else {
            errors.sort_by(|a, b| a.path.cmp(&b.path));
            Err(LibraryErrors(errors))
        }
    }

    /// Adds a recording, or replaces it.
    pub fn insert(&mut self, language: Language, id: RecordingId, prompt: Prompt) {
        self.prompts.entry(language).or_default().insert(id, Arc::new(prompt));
    }

    pub fn get(&self, language: Language, id: &RecordingId) -> Option<&Arc<Prompt>> {
        self.prompts.get(&language)?.get(id)
    }

    /// The names of a language's recordings, sorted.
    pub fn ids(&self, language: Language) -> impl Iterator<Item = &RecordingId> {
        self.prompts.get(&language).into_iter().flat_map(BTreeMap::keys)
    }

    /// The number of recordings in all languages.
    pub fn len(&self) -> usize {
        self.prompts.values().map(BTreeMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a recording can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct LibraryError {
    pub path: PathBuf,
    pub problem: String,
}

/// Every recording that can't be used; a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryErrors(pub Vec<LibraryError>);

impl fmt::Display for LibraryErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LibraryErrors {}

struct File {
    language: Language,
    id: RecordingId,
    path: PathBuf,
}

/// Collects the WAV files below a folder; `names` is the way to it from the language's folder.
fn find_files(
    folder: &Path,
    names: &mut Vec<String>,
    language: Language,
    files: &mut Vec<File>,
    errors: &mut Vec<LibraryError>,
) {
    let mut complain = |path: &Path, problem: String| {
        errors.push(LibraryError { path: path.to_owned(), problem });
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return complain(folder, format!("the folder can't be read: {error}")),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => return complain(folder, format!("the folder can't be read: {error}")),
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            complain(&path, "the name is not UTF-8; rename the file".to_owned());
            continue;
        };
        if path.is_dir() {
            folders.push((name.to_owned(), path));
        } else if let Some(stem) = wav_stem(name) {
            let id = names.iter().map(String::as_str).chain([stem]).collect::<Vec<_>>().join("/");
            files.push(File { language, id: RecordingId::new(id), path });
        }
    }
    for (name, path) in folders {
        if names.len() >= DEPTH_MAX {
            errors.push(LibraryError {
                path,
                problem: format!("more than {DEPTH_MAX} folders within each other"),
            });
            continue;
        }
        names.push(name);
        find_files(&path, names, language, files, errors);
        names.pop();
    }
}

/// The name without `.wav`, in any case of letters; `None` for another file or a hidden one.
fn wav_stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    (extension.eq_ignore_ascii_case("wav") && !stem.starts_with('.') && !stem.is_empty())
        .then_some(stem)
}

/// Reads the files on all cores.
fn read_all(files: &[File]) -> Vec<(&File, Result<Prompt, String>)> {
    let next = AtomicUsize::new(0);
    let read_some = || {
        let mut read = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            read.push((file, read_prompt(&file.path)));
        }
        read
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (1..threads).map(|_| scope.spawn(read_some)).collect();
        let mut read = read_some();
        for reader in readers {
            read.extend(reader.join().expect("reading a file reports its errors as values"));
        }
        read
    })
}

/// Reads and encodes one file, or says what is wrong with it.
fn read_prompt(path: &Path) -> Result<Prompt, String> {
    let unreadable = |error: &dyn fmt::Display| format!("can't be read: {error}");
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size > FILE_BYTES_MAX {
        return Err("is longer than an hour".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let wav = WavReader::new(Cursor::new(&bytes[..])).map_err(|error| {
        format!("is no WAV file of PCM: {error}; wanted is {}", describe(WANTED))
    })?;
    if wav.spec() != WANTED {
        let (found, wanted) = (describe(wav.spec()), describe(WANTED));
        return Err(format!("is {found}; wanted is {wanted}"));
    }
    let promised = usize::try_from(wav.len()).unwrap_or(usize::MAX).saturating_mul(2);
    let start = usize::try_from(wav.into_inner().position()).unwrap_or(usize::MAX);
    let audio = bytes.get(start..).unwrap_or_default();
    let Some(audio) = audio.get(..promised) else {
        let (there, promised) = (audio.len() / 2, promised / 2);
        return Err(format!("is cut short: {there} of {promised} samples are there"));
    };
    if audio.is_empty() {
        return Err("holds no audio".to_owned());
    }
    let (samples, _) = audio.as_chunks::<2>();
    Ok(Prompt::encode(samples.iter().map(|&bytes| i16::from_le_bytes(bytes))))
}

/// `44.1 kHz stereo 16-bit PCM`
fn describe(spec: WavSpec) -> String {
    let channels = match spec.channels {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        more => format!("{more}-channel"),
    };
    let format = match spec.sample_format {
        SampleFormat::Int => "PCM",
        SampleFormat::Float => "floating point",
    };
    let rate_khz = f64::from(spec.sample_rate) / 1000.0;
    format!("{rate_khz} kHz {channels} {}-bit {format}", spec.bits_per_sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, spec: WavSpec, samples: &[i16]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn recordings_are_named_by_their_path_and_kept_to_the_sample() {
        let folder = tempfile::tempdir().unwrap();
        let samples: Vec<i16> = (-400..401).map(|n| n * 80).collect();
        write(&folder.path().join("ru/phrase/greeting.wav"), WANTED, &samples);
        write(&folder.path().join("ru/short.WAV"), WANTED, &[0; 9]);
        write(&folder.path().join("en/phrase/greeting.wav"), WANTED, &[1]);
        std::fs::write(folder.path().join("ru/catalogue.tsv"), "id\ttext").unwrap();

        let library = PromptLibrary::load(folder.path(), &[Language::Russian]).unwrap();
        let ids: Vec<_> = library.ids(Language::Russian).map(RecordingId::as_str).collect();
        assert_eq!(ids, ["phrase/greeting", "short"]);
        let greeting =
            library.get(Language::Russian, &RecordingId::new("phrase/greeting")).unwrap();
        let alaw: Vec<u8> = samples.iter().map(|&sample| g711::encode_alaw(sample)).collect();
        let ulaw: Vec<u8> = samples.iter().map(|&sample| g711::encode_ulaw(sample)).collect();
        assert_eq!(greeting.bytes(Codec::Pcma), alaw);
        assert_eq!(greeting.bytes(Codec::Pcmu), ulaw);
        assert_eq!(greeting.duration_ms(), 100);
        assert_eq!(library.len(), 2);
    }

    #[test]
    fn every_bad_file_is_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("ru").join(name);
        write(&at("good.wav"), WANTED, &[1, 2, 3]);
        write(&at("cd.wav"), WavSpec { channels: 2, sample_rate: 44_100, ..WANTED }, &[0; 4]);
        write(&at("short.wav"), WANTED, &[0; 100]);
        write(&at("empty.wav"), WANTED, &[]);
        std::fs::write(at("text.wav"), "not a sound").unwrap();
        let whole = std::fs::read(at("short.wav")).unwrap();
        std::fs::write(at("short.wav"), &whole[..whole.len() - 50]).unwrap();

        let languages = [Language::Russian, Language::English];
        let errors = PromptLibrary::load(folder.path(), &languages).unwrap_err();
        let shown = errors.to_string().replace(folder.path().to_str().unwrap(), "");
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("/en: the folder can't be read: "), "{shown}");
        assert_eq!(
            lines[1],
            "/ru/cd.wav: is 44.1 kHz stereo 16-bit PCM; wanted is 8 kHz mono 16-bit PCM"
        );
        assert_eq!(lines[2], "/ru/empty.wav: holds no audio");
        assert_eq!(lines[3], "/ru/short.wav: is cut short: 75 of 100 samples are there");
        assert!(lines[4].starts_with("/ru/text.wav: is no WAV file of PCM: "), "{shown}");
        assert_eq!(lines.len(), 5);
    }
}
