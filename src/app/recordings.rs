//! Conversations in files: what is cut off by the server's death is found with its call, what is too
//! old is deleted, and it is told when there is no room.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tracing::{info, warn};
use uuid::Uuid;

use crate::config::Recordings;
use crate::core::Event;
use crate::domain::{CallId, RecordingNote, Timestamp};
use crate::media;
use crate::store::LostRecording;

use super::clock::Clock;

const ONCE_A_DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long a disk may take to say whether there is room.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of a recording, without its folder: no name from outside is part of it.
pub fn file_name(call: CallId, began: Timestamp) -> String {
    format!("{call}-{}.wav", began.0)
}

/// Makes the files whole that nobody finished. Trouble is told to the admin and stops nobody.
pub async fn rescue(folder: PathBuf) -> Vec<LostRecording> {
    let rescuing = tokio::task::spawn_blocking(move || media::keeping::rescue(&folder));
    let notes = match rescuing.await {
        Ok(Ok(notes)) => notes,
        Ok(Err(error)) => {
            warn!(%error, "the folder of the recordings can't be read");
            return Vec::new();
        }
        Err(_) => return Vec::new(),
    };
    if !notes.is_empty() {
        info!(files = notes.len(), "recordings that the server's death cut off are whole again");
    }
    notes.into_iter().filter_map(of_call).collect()
}

/// Which call it is of; `None`: the file is not ours.
fn of_call(note: RecordingNote) -> Option<LostRecording> {
    let (call, began) = Path::new(&note.file).file_stem()?.to_str()?.rsplit_once('-')?;
    let call = CallId(Uuid::try_parse(call).ok()?);
    let began = Timestamp(began.parse().ok()?);
    Some(LostRecording { call, began, note })
}

/// Deletes recordings that are too old, now and once a day, until the event loop is gone.
pub async fn delete_daily(recordings: Recordings, clock: Clock, event_loop: mpsc::Sender<Event>) {
    loop {
        let Recordings { folder, keep_days } = recordings.clone();
        let now = clock.now();
        let deleting = tokio::task::spawn_blocking(move || {
            media::keeping::delete_old(&folder, keep_days, now)
        });
        match deleting.await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(files)) => info!(files, "old recordings deleted"),
            Ok(Err(error)) => warn!(%error, "the folder of the recordings can't be read"),
        }
        tokio::select! {
            () = event_loop.closed() => return,
            () = tokio::time::sleep(ONCE_A_DAY) => {}
        }
    }
}

/// Asks at each call whether conversations can be written down. A disk that stands still holds one
/// thread, however often it is asked.
pub fn probe(
    folder: PathBuf,
) -> impl Fn() -> futures_util::future::BoxFuture<'static, Result<(), String>> + Send + Sync {
    let asking = Arc::new(Semaphore::new(1));
    move || {
        let (folder, asking) = (folder.clone(), Arc::clone(&asking));
        Box::pin(async move {
            let asked = async {
                // The semaphore is never closed.
                let turn = asking.acquire_owned().await;
                let write = move || {
                    let _turn = turn;
                    media::keeping::can_write(&folder).map_err(|error| error.to_string())
                };
                let written = tokio::task::spawn_blocking(write).await;
                written.unwrap_or_else(|_| Err("the server stops".to_owned()))
            };
            match tokio::time::timeout(PROBE_TIMEOUT, asked).await {
                Ok(can_write) => can_write,
                Err(_) => Err("the disk takes no write within two seconds".to_owned()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_call() {
        let (call, began) = (CallId(Uuid::now_v7()), Timestamp(1_795_255_200_000));
        let note = |file: String| RecordingNote {
            file,
            length_ms: 1_000,
            paused: Vec::new(),
            problem: None,
        };
        let ours = note(format!("2026-11-22/{}", file_name(call, began)));
        assert_eq!(of_call(ours.clone()), Some(LostRecording { call, began, note: ours }));
        assert_eq!(of_call(note("2026-11-22/song.wav".to_owned())), None);
    }
}
