//! Conversations are not kept for ever.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::config::Recordings;
use crate::core::Event;
use crate::media;

use super::clock::Clock;

const ONCE_A_DAY: Duration = Duration::from_secs(24 * 3_600);

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
