//! How long recordings are kept, and what becomes of those that our death cut off.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::writer;
use crate::domain::{RecordingNote, Timestamp};
use crate::media::playlist::SAMPLES_PER_MS;

const DAY_MS: u64 = 86_400_000;
/// A second of a conversation.
const SECOND_BYTES: usize = 32_000;
/// Folders within folders; deeper ones are not looked into.
const DEPTH_MAX: usize = 4;

/// Which of the files (and when each was last written) are older than so many days; 0 days keep
/// everything.
pub fn expired(
    files: impl IntoIterator<Item = (PathBuf, Timestamp)>,
    days: u16,
    now: Timestamp,
) -> Vec<PathBuf> {
    let is_old = |written: Timestamp| days > 0 && now.since(written) > u64::from(days) * DAY_MS;
    let old = files.into_iter().filter(|(_, written)| is_old(*written));
    old.map(|(file, _)| file).collect()
}

/// Deletes the recordings in a folder and those below that are older than so many days, whole
/// (`.wav`) or torn (`.wav.part`), and nothing else. Says how many. A folder that is not there has
/// none. A file that can't be deleted is logged and left; an error is a folder that can't be read.
pub fn delete_old(folder: &Path, days: u16, now: Timestamp) -> io::Result<usize> {
    if days == 0 || !folder.exists() {
        return Ok(0);
    }
    let mut recordings = Vec::new();
    collect(folder, DEPTH_MAX, &mut recordings)?;
    let mut deleted = 0;
    for file in expired(recordings, days, now) {
        match fs::remove_file(&file) {
            Ok(()) => deleted += 1,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "an old recording can't be deleted");
            }
        }
    }
    Ok(deleted)
}

/// What a recording says of itself that ended with the server.
const CUT_OFF: &str = "the server died";

/// Makes the recordings whole that the death of a server left as `.wav.part`: under their names, with
/// all that reached the disk, which is all but the last second or two. Only for the one server that
/// records into this folder, before it records. A file in which nothing can be heard is left as it is;
/// an error is a folder that can't be read.
pub fn rescue(folder: &Path) -> io::Result<Vec<RecordingNote>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut recordings = Vec::new();
    collect(folder, DEPTH_MAX, &mut recordings)?;
    let parts = recordings.iter().filter(|(file, _)| file.extension().is_some_and(|e| e == "part"));
    let rescued = parts.filter_map(|(part, _)| {
        let whole = part.with_extension("");
        let moments = writer::rescue(&whole)?;
        let file = whole.strip_prefix(folder).ok()?.to_str()?.to_owned();
        let (length_ms, problem) = (moments / SAMPLES_PER_MS, Some(CUT_OFF.to_owned()));
        Some(RecordingNote { file, length_ms, paused: Vec::new(), problem })
    });
    Ok(rescued.collect())
}

/// Whether recordings can be written: tries with a second of one. A folder that is not there yet is made
/// by the first recording, so its absence is no trouble.
pub fn can_write(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let file = folder.join(".writable");
    let written = fs::write(&file, [0; SECOND_BYTES]);
    let removed = fs::remove_file(&file);
    written.and(removed)
}

fn collect(
    folder: &Path,
    depth: usize,
    recordings: &mut Vec<(PathBuf, Timestamp)>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, recordings)?;
        } else if kind.is_file() && is_recording(&path) {
            let written = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH);
            let ms = written.unwrap_or_default().as_millis();
            recordings.push((path, Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))));
        }
    }
    Ok(())
}

fn is_recording(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".wav") || name.ends_with(".wav.part")
}
