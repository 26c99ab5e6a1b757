//! Stores promises, attempts and ratings before anything is done or said about them.
//!
//! What is to be stored goes into a bounded queue in memory; one task writes what has gathered there
//! in one transaction, and says what is safe only after the commit. While the database is locked or
//! away the task tries again and again. A full queue is told to whoever wants to add something: a
//! promise that can't be kept in memory must not be given. The last tenth of the queue is for what
//! became of promises that were given already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::super::batches::{Batches, Patience, WriterLimits};
use super::batch::{self, Note, Noted};
use crate::database::{Pool, never_fits, said_by};
use crate::domain::{
    Attempt, CallId, DoNotCall, PhoneNumber, Promise, PromiseId, PromiseState, Rating, Timestamp,
};

/// The way to the promises. Cheap to clone; one task for each process.
#[derive(Clone, Debug)]
pub struct PromiseWriter {
    notes: Arc<Batches<Noted>>,
    rehearsal: Arc<AtomicBool>,
}

/// What is in the database now and survives anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Promise(PromiseId),
    /// Not kept: another promise came of the same event before.
    Repeated(PromiseId),
    /// The beginning of an attempt.
    Attempt(PromiseId, u32),
    /// What was said in this call.
    Rating(CallId),
}

/// Nothing was noted: the database has been away, or too slow, for so long that the queue is full;
/// or the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database is too slow: nothing more can be kept")]
pub struct QueueFull;

impl PromiseWriter {
    /// Starts the writing task on the current tokio runtime. What is safe is said on `safe`, in the
    /// order in which it was noted; whoever reads it may be slow, but must not wait for the writer.
    pub fn start(pool: Pool, limits: WriterLimits, safe: mpsc::Sender<Stored>) -> Self {
        let notes = Batches::new(limits);
        notes.emptied_by(write_on(Arc::clone(&notes), pool, safe));
        Self { notes, rehearsal: Arc::default() }
    }

    /// Whether ratings from now on are marked as such of a rehearsal. Promises say it themselves.
    pub fn set_rehearsal(&self, rehearsal: bool) {
        self.rehearsal.store(rehearsal, Ordering::Relaxed);
    }

    /// Keeps a promise as it stands at `at`. Answered by [`Stored::Promise`], or
    /// [`Stored::Repeated`].
    pub fn store(&self, promise: Promise, at: Timestamp) -> Result<(), QueueFull> {
        self.note(at, Note::Promise(Box::new(promise)))
    }

    /// Keeps the beginning of an attempt, which is answered by [`Stored::Attempt`], or its outcome,
    /// which is not.
    pub fn attempt(&self, attempt: Attempt) -> Result<(), QueueFull> {
        self.note(attempt.at, Note::Attempt(attempt))
    }

    /// Keeps what a customer said in the call `given_in`. The last key for one survey counts.
    /// Answered by [`Stored::Rating`].
    pub fn rating(&self, given_in: CallId, rating: Rating, at: Timestamp) -> Result<(), QueueFull> {
        let rehearsal = self.rehearsal.load(Ordering::Relaxed);
        self.note(at, Note::Rating { given_in, rating, rehearsal })
    }

    /// Keeps that a customer wants no such calls, and in the register who said so: `key 9 in CALL`.
    /// No answer.
    pub fn forbid(
        &self,
        forbidden: DoNotCall,
        source: String,
        at: Timestamp,
    ) -> Result<(), QueueFull> {
        self.note(at, Note::Forbid { forbidden, source })
    }

    /// Keeps in the register what a customer agreed to, in words. No answer.
    pub fn consent(
        &self,
        phone: PhoneNumber,
        said: String,
        at: Timestamp,
    ) -> Result<(), QueueFull> {
        self.note(at, Note::Consent { phone, said })
    }

    /// Keeps that an event of the shop was seen to. No answer.
    pub fn event_taken(&self, key: String, at: Timestamp) -> Result<(), QueueFull> {
        self.note(at, Note::EventTaken { key })
    }

    /// Keeps that something is to be written into the CRM, as `Store::pending_crm_writes` then says.
    /// `what` is the JSON of a `crm::CrmWrite`. No answer.
    pub fn crm_write(
        &self,
        call: CallId,
        phone: PhoneNumber,
        what: String,
        at: Timestamp,
    ) -> Result<(), QueueFull> {
        self.note(at, Note::CrmWrite { id: Uuid::now_v7(), call, phone, what })
    }

    /// How much waits for the database.
    pub fn waiting(&self) -> usize {
        self.notes.waiting()
    }

    /// Why promises can't be written now; `None`: they can.
    pub fn trouble(&self) -> Option<String> {
        self.notes.trouble()
    }

    /// Returns when everything noted so far is in the database.
    pub async fn flush(&self) {
        self.notes.flush().await;
    }

    /// Writes what is queued and ends the task; nothing is noted any more. Gives up after `within`
    /// and returns how much is lost then: 0 unless the database is away.
    pub async fn close(&self, within: Duration) -> u64 {
        let lost = self.notes.close(within).await;
        if lost > 0 {
            tracing::error!(
                notes = lost,
                "the database is away; what became of the last promises is lost"
            );
        }
        lost
    }

    fn note(&self, at: Timestamp, note: Note) -> Result<(), QueueFull> {
        let queue_max = self.notes.limits.queue_max;
        let max = if note.is_new() { queue_max - queue_max / 10 } else { queue_max };
        if self.notes.push(Noted { at, note }, max) { Ok(()) } else { Err(QueueFull) }
    }
}

impl Note {
    /// Whether nothing was done yet that depends on it.
    fn is_new(&self) -> bool {
        match self {
            Self::Promise(promise) => promise.state == PromiseState::Open,
            Self::Attempt(attempt) => attempt.outcome.is_none(),
            Self::Rating { .. } | Self::CrmWrite { .. } => true,
            Self::Forbid { .. } | Self::Consent { .. } | Self::EventTaken { .. } => false,
        }
    }

    /// What is said when it is safe.
    fn stored(&self) -> Option<Stored> {
        match self {
            Self::Promise(promise) => Some(Stored::Promise(promise.id)),
            Self::Attempt(Attempt { promise, number, outcome: None, .. }) => {
                Some(Stored::Attempt(*promise, *number))
            }
            Self::Rating { given_in, .. } => Some(Stored::Rating(*given_in)),
            Self::Attempt(_)
            | Self::Forbid { .. }
            | Self::Consent { .. }
            | Self::EventTaken { .. }
            | Self::CrmWrite { .. } => None,
        }
    }
}

/// The task: gather, write, say what is safe; until closed and empty.
async fn write_on(notes: Arc<Batches<Noted>>, pool: Pool, safe: mpsc::Sender<Stored>) {
    // Numbers go on where those of the last process ended.
    let mut base = None;
    while let Some(batch) = notes.next().await {
        let last = batch.last().map_or(0, |(number, _)| *number);
        // What does not fit is found by halving: one bad row takes no good ones with it.
        let mut parts = vec![batch.as_slice()];
        while let Some(part) = parts.pop() {
            match write_until_done(&notes, &pool, &mut base, part).await {
                Some(repeated) => say(&notes, &safe, part, &repeated).await,
                None if part.len() == 1 => {
                    tracing::error!("something about a promise can't be stored; dropped");
                }
                None => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        notes.written(last);
    }
}

/// The promises that were repeated. `None`: it will never fit.
async fn write_until_done(
    notes: &Batches<Noted>,
    pool: &Pool,
    base: &mut Option<i64>,
    part: &[(i64, Noted)],
) -> Option<Vec<PromiseId>> {
    let mut patience = Patience::with("promises");
    loop {
        let written = batch::write(pool, base, part).await;
        notes.tried(&written);
        match written {
            Ok(repeated) => {
                patience.done();
                return Some(repeated);
            }
            Err(error) if never_fits(&error) => {
                tracing::debug!(error = %said_by(&error), notes = part.len(), "does not fit");
                return None;
            }
            Err(error) => patience.wait(&error, part.len() + notes.waiting()).await,
        }
    }
}

async fn say(
    notes: &Batches<Noted>,
    safe: &mpsc::Sender<Stored>,
    part: &[(i64, Noted)],
    repeated: &[PromiseId],
) {
    for stored in part.iter().filter_map(|(_, noted)| noted.note.stored()) {
        let stored = match stored {
            Stored::Promise(id) if repeated.contains(&id) => Stored::Repeated(id),
            stored => stored,
        };
        // When the server stops, nobody may be left to hear it.
        tokio::select! {
            biased;
            _ = safe.send(stored) => {}
            () = notes.closing() => {}
        }
    }
}
