//! When files change, or SIGHUP comes: read all, and put all into force or nothing.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::config::Config;
use crate::core::Event;
use crate::domain::without_numbers;
use crate::media::PromptLibrary;

use super::plans;

/// Editors write a file in several steps; this long after the last one it is read.
const SETTLE: Duration = Duration::from_millis(200);
/// But not later than this after the first: what writes without end must not keep a plan from being
/// read.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// How often is looked whether a folder is still the one that is watched: a folder that was moved
/// away and made anew, or a link that was turned to another one, tells nobody.
const FOLDERS_EVERY: Duration = Duration::from_secs(1);

/// Why the plan is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Dialplans,
    /// Recordings are read again only when they changed: there may be thousands.
    Prompts,
}

/// Watches the folders of dialplans and recordings and listens for SIGHUP, until the event loop is
/// gone. A folder that can't be watched is told to the admin; SIGHUP still works.
pub async fn run(config: Config, library: Arc<ArcSwap<PromptLibrary>>, plans: mpsc::Sender<Event>) {
    let mut dialplans = Watched::new(config.dialplans.folder.clone());
    let mut prompts = Watched::new(config.prompts.folder.clone());
    let hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
    let mut hangups = match hangups {
        Ok(hangups) => Some(hangups),
        Err(error) => {
            warn!(%error, "SIGHUP can't be listened for");
            None
        }
    };
    loop {
        let sighup = async {
            match &mut hangups {
                Some(hangups) => hangups.recv().await.is_some(),
                None => std::future::pending().await,
            }
        };
        let mut cause = tokio::select! {
            () = dialplans.change() => Cause::Dialplans,
            () = prompts.change() => Cause::Prompts,
            true = sighup => Cause::Prompts,
            () = plans.closed() => return,
        };
        let latest = tokio::time::Instant::now() + SETTLE_MAX;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(latest) => break,
                () = dialplans.change() => {}
                () = prompts.change() => cause = Cause::Prompts,
                () = tokio::time::sleep(SETTLE) => break,
            }
        }
        let (config, current) = (config.clone(), library.clone());
        let read = tokio::task::spawn_blocking(move || read(&config, cause, &current)).await;
        if let Ok(Some(event)) = read
            && plans.send(event).await.is_err()
        {
            return;
        }
    }
}

/// Reads everything that may have changed; `None` leaves the running plan in force.
fn read(config: &Config, cause: Cause, current: &ArcSwap<PromptLibrary>) -> Option<Event> {
    let recordings = match cause {
        Cause::Dialplans => Ok(current.load_full()),
        Cause::Prompts => plans::load_library(config).map(Arc::new),
    };
    match recordings.and_then(|recordings| plans::load_with(config, recordings)) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                warn!("{}", without_numbers(&warning.to_string()));
            }
            info!(version = loaded.plan.version, "new plan in force for the next calls");
            current.store(loaded.library);
            Some(Event::PlanReplaced { plan: loaded.plan, catalogue: loaded.catalogue })
        }
        Err(error) => {
            let error = without_numbers(&error.to_string());
            warn!("the running plan stays in force:\n{error}");
            None
        }
    }
}

/// A folder whose changes are told.
struct Watched {
    folder: PathBuf,
    /// Device and number of the folder that is watched now.
    identity: Option<(u64, u64)>,
    _watcher: Option<notify::RecommendedWatcher>,
    changes: mpsc::Receiver<()>,
}

impl Watched {
    fn new(folder: PathBuf) -> Self {
        let identity = std::fs::metadata(&folder).ok().map(|found| (found.dev(), found.ino()));
        let (watcher, changes) = watch(&folder);
        Self { folder, identity, _watcher: watcher, changes }
    }

    /// Waits until something changed. May be dropped while it waits.
    async fn change(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.changes.recv() => return,
                () = tokio::time::sleep(FOLDERS_EVERY) => {
                    let found = tokio::fs::metadata(&self.folder).await.ok();
                    let identity = found.map(|found| (found.dev(), found.ino()));
                    if identity.is_some() && identity != self.identity {
                        self.identity = identity;
                        (self._watcher, self.changes) = watch(&self.folder);
                        return;
                    }
                }
            }
        }
    }
}

/// Tells each change below `folder`, until the watcher is dropped.
fn watch(folder: &Path) -> (Option<notify::RecommendedWatcher>, mpsc::Receiver<()>) {
    let (changed, changes) = mpsc::channel(1);
    let told = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel means that a change is already known.
            let _ = changed.try_send(());
        }
    };
    let watching = notify::recommended_watcher(told).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    let watcher = watching.inspect_err(|error| {
        let folder = folder.display();
        warn!(%folder, %error, "changes of this folder are not noticed; use SIGHUP");
    });
    (watcher.ok(), changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_told(watched: &mut Watched) -> bool {
        tokio::time::timeout(Duration::from_secs(10), watched.change()).await.is_ok()
    }

    #[tokio::test]
    async fn a_folder_that_was_replaced_is_watched_as_the_old_one_was() {
        let root = tempfile::tempdir().unwrap();
        let (folder, other) = (root.path().join("dialplans"), root.path().join("other"));
        std::fs::create_dir(&folder).unwrap();
        let mut watched = Watched::new(folder.clone());
        std::fs::write(folder.join("a.kdl"), "language \"ru\"").unwrap();
        assert!(is_told(&mut watched).await, "a new file");

        std::fs::rename(&folder, &other).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let replaced = std::fs::metadata(&folder).unwrap().ino();
        while watched.identity.is_none_or(|(_, number)| number != replaced) {
            assert!(is_told(&mut watched).await, "a new folder");
        }
        std::fs::write(folder.join("b.kdl"), "language \"en\"").unwrap();
        assert!(is_told(&mut watched).await, "a file in the new folder");
    }
}
