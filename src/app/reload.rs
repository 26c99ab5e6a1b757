//! When files change, or SIGHUP comes: read all, and put all into force or nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::config::Config;
use crate::core::Event;
use crate::media::PromptLibrary;

use super::plans;

/// Editors write a file in several steps; this long after the last one it is read.
const SETTLE: Duration = Duration::from_millis(200);

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
    let (_dialplans, mut dialplans) = watch(&config.dialplans.folder);
    let (_prompts, mut prompts) = watch(&config.prompts.folder);
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
            Some(()) = dialplans.recv() => Cause::Dialplans,
            Some(()) = prompts.recv() => Cause::Prompts,
            true = sighup => Cause::Prompts,
            () = plans.closed() => return,
        };
        loop {
            tokio::select! {
                Some(()) = dialplans.recv() => {}
                Some(()) = prompts.recv() => cause = Cause::Prompts,
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
                warn!("{warning}");
            }
            info!(version = loaded.plan.version, "new plan in force for the next calls");
            current.store(loaded.library);
            Some(Event::PlanReplaced { plan: loaded.plan, catalogue: loaded.catalogue })
        }
        Err(error) => {
            warn!("the running plan stays in force:\n{error}");
            None
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
