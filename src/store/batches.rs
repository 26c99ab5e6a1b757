//! A bounded queue in memory in front of the database: what gathers there is taken in batches by
//! one task, which tries again for as long as the database is away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::database::said_by;

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// Sizes and times of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterLimits {
    /// What is kept in memory while the database is away: some hundred bytes each.
    pub queue_max: usize,
    /// Of these in one transaction.
    pub batch_max: usize,
    /// How long they may gather before they are written.
    pub gather: Duration,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { queue_max: 200_000, batch_max: 2_000, gather: Duration::from_millis(50) }
    }
}

/// The queue, and the task that empties it.
#[derive(Debug)]
pub(super) struct Batches<T> {
    pub limits: WriterLimits,
    queue: Mutex<Queue<T>>,
    /// Something changed in the queue that the task should look at.
    wake: Notify,
    /// The highest number that is safe in the database.
    written: watch::Sender<i64>,
    closing: CancellationToken,
    /// Why what waits can't be written.
    trouble: Mutex<Option<String>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Queue<T> {
    /// Each with its number, from 1.
    items: VecDeque<(i64, T)>,
    last: i64,
    /// Somebody waits: don't gather.
    hurry: bool,
}

impl<T: Send + 'static> Batches<T> {
    pub fn new(limits: WriterLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            queue: Mutex::new(Queue { items: VecDeque::new(), last: 0, hurry: false }),
            wake: Notify::new(),
            written: watch::Sender::new(0),
            closing: CancellationToken::new(),
            trouble: Mutex::new(None),
            task: Mutex::new(None),
        })
    }

    /// Starts the task on the current tokio runtime.
    pub fn emptied_by(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(task);
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Puts something into the queue, unless that would be more than `max`, or it is closed. Never
    /// waits. The order is kept.
    pub fn push(&self, item: T, max: usize) -> bool {
        let mut queue = self.queue();
        if self.closing.is_cancelled() || queue.items.len() >= max {
            return false;
        }
        queue.last += 1;
        let number = queue.last;
        queue.items.push_back((number, item));
        if queue.items.len() == 1 || queue.items.len() == self.limits.batch_max {
            self.wake.notify_one();
        }
        true
    }

    /// Waits for something and lets more gather. `None`: closed, and nothing is left.
    pub async fn next(&self) -> Option<Vec<(i64, T)>> {
        while self.queue().items.is_empty() {
            if self.closing.is_cancelled() {
                return None;
            }
            self.wake.notified().await;
        }
        let gathered = async {
            loop {
                {
                    let queue = self.queue();
                    let enough = queue.items.len() >= self.limits.batch_max;
                    if enough || queue.hurry || self.closing.is_cancelled() {
                        break;
                    }
                }
                self.wake.notified().await;
            }
        };
        // A time-out is the ordinary end of gathering.
        let _ = tokio::time::timeout(self.limits.gather, gathered).await;
        let mut queue = self.queue();
        let count = queue.items.len().min(self.limits.batch_max);
        let batch = queue.items.drain(..count).collect();
        queue.hurry &= !queue.items.is_empty();
        Some(batch)
    }

    /// All up to this number is in the database.
    pub fn written(&self, number: i64) {
        self.written.send_replace(number);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue().items.len()
    }

    /// Why what waits can't be written now; `None`: it can.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last try failed, or did not.
    pub fn tried<R>(&self, outcome: &Result<R, sqlx::Error>) {
        let trouble = outcome.as_ref().err().map(said_by);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Returns when closing begins.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Returns when all that is in the queue now is in the database.
    pub async fn flush(&self) {
        let last = {
            let mut queue = self.queue();
            queue.hurry = true;
            queue.last
        };
        self.wake.notify_one();
        // The sender lives in `self`, so waiting can't fail.
        let _ = self.written.subscribe().wait_for(|&written| written >= last).await;
    }

    /// Lets the task empty the queue and end; nothing goes into it any more. Gives up after `within`
    /// and returns how many are lost then.
    pub async fn close(&self, within: Duration) -> u64 {
        {
            // Under the lock, so that nothing is pushed after the task has looked for the last time.
            let _queue = self.queue();
            self.closing.cancel();
        }
        self.wake.notify_one();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && tokio::time::timeout(within, &mut task).await.is_err()
        {
            task.abort();
        }
        let written = *self.written.borrow();
        u64::try_from(self.queue().last.saturating_sub(written)).unwrap_or(0)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        // Nothing panics while it is held, and a queue is whole at every moment.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the writing of one batch goes: one warning, longer and longer pauses, and word when it goes
/// again.
pub(super) struct Patience {
    what: &'static str,
    pause: Duration,
    warned: bool,
}

impl Patience {
    /// `what` is written, in the plural.
    pub fn with(what: &'static str) -> Self {
        Self { what, pause: RETRY_FIRST, warned: false }
    }

    /// Waits before the next try; `kept` wait in memory.
    pub async fn wait(&mut self, error: &sqlx::Error, kept: usize) {
        let (what, error) = (self.what, said_by(error));
        if self.warned {
            tracing::debug!(%error, "{what} still can't be written");
        } else {
            tracing::warn!(%error, kept, "{what} can't be written; kept in memory, trying again");
            self.warned = true;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_LONGEST);
    }

    pub fn done(&self) {
        if self.warned {
            tracing::info!("{} are written again", self.what);
        }
    }
}
