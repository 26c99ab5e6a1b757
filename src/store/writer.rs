//! Writes call records in batches, so that no call ever waits for the database.
//!
//! A fact goes into a queue in memory; one task takes what has gathered there and writes it in one
//! transaction. While the database is locked or away the task tries again and the queue keeps the
//! facts. When the queue is nearly full, details are dropped and counted; the facts that open and
//! close a call, and those that reports count, have the last tenth of it for themselves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::QueryBuilder;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::calls::{caller_columns, word};
use super::visits::{add_conversations, add_visits};
use crate::database::{Pool, on_pool};
use crate::domain::{CallFact, CallId, Conversation, Timestamp, Visit};

/// Rows that one insert statement carries; 11 columns stay below the 32,766 parameters of SQLite.
const ROWS_PER_STATEMENT: usize = 500;
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// Sizes and times of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterLimits {
    /// Facts kept in memory while the database is away: some 200 bytes each.
    pub queue_max: usize,
    /// Facts in one transaction.
    pub batch_max: usize,
    /// How long facts may gather before they are written.
    pub gather: Duration,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { queue_max: 200_000, batch_max: 2_000, gather: Duration::from_millis(50) }
    }
}

/// The way to the call records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: WriterLimits,
    queue: Mutex<Queue>,
    /// Something changed in the queue that the task should look at.
    wake: Notify,
    /// The highest `seq` that is safe in the database.
    written: watch::Sender<i64>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    facts: VecDeque<Queued>,
    last_seq: i64,
    /// Since the last warning.
    dropped: u64,
    /// Somebody waits: don't gather.
    hurry: bool,
    closing: bool,
}

#[derive(Clone, Debug)]
struct Queued {
    call: CallId,
    seq: i64,
    at: Timestamp,
    fact: CallFact,
}

impl CallWriter {
    /// Starts the writing task on the current tokio runtime.
    pub fn start(pool: Pool, limits: WriterLimits) -> Self {
        let shared = Arc::new(Shared {
            limits,
            queue: Mutex::default(),
            wake: Notify::new(),
            written: watch::Sender::new(0),
            task: Mutex::new(None),
        });
        let task = tokio::spawn(write_on(Arc::clone(&shared), pool));
        *shared.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Self { shared }
    }

    /// Puts a fact of a call on its way. Never waits. Facts of one call keep their order.
    pub fn record(&self, call: CallId, at: Timestamp, fact: CallFact) {
        let Shared { limits, wake, .. } = &*self.shared;
        let mut queue = self.shared.queue();
        let max = match fact {
            CallFact::Offered { .. }
            | CallFact::Placed { .. }
            | CallFact::Answered
            | CallFact::LeftLine(_)
            | CallFact::Conversed(_)
            | CallFact::Ended { .. } => limits.queue_max,
            _ => limits.queue_max - limits.queue_max / 10,
        };
        if queue.closing || queue.facts.len() >= max {
            queue.dropped += 1;
            return;
        }
        queue.last_seq += 1;
        let seq = queue.last_seq;
        queue.facts.push_back(Queued { call, seq, at, fact });
        if queue.facts.len() == 1 || queue.facts.len() == limits.batch_max {
            wake.notify_one();
        }
    }

    /// Returns when everything recorded so far is in the database.
    pub async fn flush(&self) {
        let last = {
            let mut queue = self.shared.queue();
            queue.hurry = true;
            queue.last_seq
        };
        self.shared.wake.notify_one();
        // The sender lives in `shared`, so waiting can't fail.
        let _ = self.shared.written.subscribe().wait_for(|&written| written >= last).await;
    }

    /// Writes what is queued and ends the task; later facts are dropped. Gives up after `within`
    /// and returns how many facts are lost then: 0 unless the database is away.
    pub async fn close(&self, within: Duration) -> u64 {
        self.shared.queue().closing = true;
        self.shared.wake.notify_one();
        let task = self.shared.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && tokio::time::timeout(within, &mut task).await.is_err()
        {
            task.abort();
        }
        let written = *self.shared.written.borrow();
        let lost = self.shared.queue().last_seq.saturating_sub(written);
        if lost > 0 {
            tracing::error!(facts = lost, "the database is away; the last facts of calls are lost");
        }
        u64::try_from(lost).unwrap_or(0)
    }
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // Nothing panics while it is held, and a queue is whole at every moment.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task: gather, write, until closed and empty.
async fn write_on(shared: Arc<Shared>, pool: Pool) {
    while let Some(batch) = next_batch(&shared).await {
        let last = batch.last().map_or(0, |fact| fact.seq);
        write_until_done(&shared, &pool, &batch).await;
        shared.written.send_replace(last);
        let dropped = std::mem::take(&mut shared.queue().dropped);
        if dropped > 0 {
            tracing::warn!(
                facts = dropped,
                "the database was too slow; details of calls are missing"
            );
        }
    }
}

/// Waits for facts and lets some gather. `None`: closed, and nothing is left.
async fn next_batch(shared: &Shared) -> Option<Vec<Queued>> {
    loop {
        let (empty, closing) = {
            let queue = shared.queue();
            (queue.facts.is_empty(), queue.closing)
        };
        match (empty, closing) {
            (false, _) => break,
            (true, true) => return None,
            (true, false) => shared.wake.notified().await,
        }
    }
    let gathered = async {
        loop {
            {
                let queue = shared.queue();
                let enough = queue.facts.len() >= shared.limits.batch_max;
                if enough || queue.hurry || queue.closing {
                    break;
                }
            }
            shared.wake.notified().await;
        }
    };
    // A time-out is the ordinary end of gathering.
    let _ = tokio::time::timeout(shared.limits.gather, gathered).await;
    let mut queue = shared.queue();
    let count = queue.facts.len().min(shared.limits.batch_max);
    let batch = queue.facts.drain(..count).collect();
    queue.hurry &= !queue.facts.is_empty();
    Some(batch)
}

async fn write_until_done(shared: &Shared, pool: &Pool, batch: &[Queued]) {
    let mut pause = RETRY_FIRST;
    let mut warned = false;
    loop {
        match write(pool, batch).await {
            Ok(()) => {
                if warned {
                    tracing::info!("calls are written again");
                }
                return;
            }
            Err(error) if never_fits(&error) => {
                tracing::error!(%error, facts = batch.len(), "facts of calls can't be stored; dropped");
                return;
            }
            Err(error) if !warned => {
                let kept = batch.len() + shared.queue().facts.len();
                tracing::warn!(%error, kept, "calls can't be written; kept in memory, trying again");
                warned = true;
            }
            Err(error) => tracing::debug!(%error, "calls still can't be written"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}

/// Whether the values are at fault, so that trying again is of no use: a constraint (SQLite 19, 20;
/// SQLSTATE class 23) or a value that the database refuses (SQLSTATE class 22).
fn never_fits(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    match error.code() {
        Some(code) if code.len() == 5 => code.starts_with("22") || code.starts_with("23"),
        Some(code) => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xFF, 19 | 20)),
        None => false,
    }
}

/// What a batch changes in the row of one call. Empty where it says nothing.
#[derive(Default)]
struct RowChange {
    started_ms: i64,
    caller_kind: &'static str,
    caller: String,
    dialled: String,
    plan: String,
    answered_ms: Option<i64>,
    ended_ms: Option<i64>,
    ended_by: Option<String>,
    end_reason: Option<String>,
    rtp: Option<String>,
}

impl RowChange {
    fn apply(&mut self, queued: &Queued) {
        match &queued.fact {
            CallFact::Offered { dialled, caller, plan } => {
                self.started_ms = queued.at.0;
                (self.caller_kind, self.caller) = caller_columns(caller);
                self.caller = storable(&self.caller);
                self.dialled = storable(dialled);
                self.plan = storable(plan);
            }
            CallFact::Placed { purpose, customer, promise: _, plan } => {
                self.started_ms = queued.at.0;
                (self.caller_kind, self.caller) = caller_columns(customer);
                self.caller = storable(&self.caller);
                self.dialled = storable(purpose);
                self.plan = storable(plan);
            }
            CallFact::Answered => self.answered_ms = Some(queued.at.0),
            CallFact::Ended { by, reason } => {
                self.ended_ms = Some(queued.at.0);
                self.ended_by = Some(word(by));
                self.end_reason = Some(word(reason));
            }
            CallFact::Rtp(statistics) => self.rtp = serde_json::to_string(statistics).ok(),
            CallFact::Step { .. }
            | CallFact::Said { .. }
            | CallFact::Key { .. }
            | CallFact::Entered { .. }
            | CallFact::LookedUp { .. }
            | CallFact::Queued { .. }
            | CallFact::Decided(_)
            | CallFact::NotTaken { .. }
            | CallFact::Connected { .. }
            | CallFact::LeftLine(_)
            | CallFact::Transferred { .. }
            | CallFact::Conversed(_)
            | CallFact::Recorded(_)
            | CallFact::NotReached { .. }
            | CallFact::Promised { .. } => {}
        }
    }

    fn changes_row(fact: &CallFact) -> bool {
        matches!(
            fact,
            CallFact::Offered { .. }
                | CallFact::Placed { .. }
                | CallFact::Answered
                | CallFact::Ended { .. }
                | CallFact::Rtp(_)
        )
    }
}

/// PostgreSQL has no NUL in texts, and a caller may send one.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// One transaction. Writing the same batch again changes nothing, so that a commit whose answer was
/// lost does no harm.
async fn write(pool: &Pool, batch: &[Queued]) -> Result<(), sqlx::Error> {
    let mut changes: BTreeMap<CallId, RowChange> = BTreeMap::new();
    for queued in batch.iter().filter(|queued| RowChange::changes_row(&queued.fact)) {
        let change = changes.entry(queued.call).or_insert_with(|| RowChange {
            started_ms: queued.at.0,
            caller_kind: "other",
            ..RowChange::default()
        });
        change.apply(queued);
    }
    let changes: Vec<(CallId, RowChange)> = changes.into_iter().collect();
    let (visits, conversations) = (visits_of(batch), conversations_of(batch));
    on_pool!(pool, |pool, begin| {
        let mut transaction = pool.begin_with(begin).await?;
        for rows in changes.chunks(ROWS_PER_STATEMENT) {
            let mut query = QueryBuilder::new(
                "insert into calls (id, started_ms, caller_kind, caller, dialled, plan, \
                 answered_ms, ended_ms, ended_by, end_reason, rtp) ",
            );
            query.push_values(rows, |mut row, (id, change)| {
                row.push_bind(id.to_string())
                    .push_bind(change.started_ms)
                    .push_bind(change.caller_kind)
                    .push_bind(&change.caller)
                    .push_bind(&change.dialled)
                    .push_bind(&change.plan)
                    .push_bind(change.answered_ms)
                    .push_bind(change.ended_ms)
                    .push_bind(&change.ended_by)
                    .push_bind(&change.end_reason)
                    .push_bind(&change.rtp);
            });
            // A call's beginning came first, so its row is there; a call that is over stays over.
            query.push(
                " on conflict (id) do update set \
                 answered_ms = coalesce(calls.answered_ms, excluded.answered_ms), \
                 ended_ms = coalesce(calls.ended_ms, excluded.ended_ms), \
                 ended_by = coalesce(calls.ended_by, excluded.ended_by), \
                 end_reason = coalesce(calls.end_reason, excluded.end_reason), \
                 rtp = coalesce(excluded.rtp, calls.rtp)",
            );
            query.build().persistent(false).execute(&mut *transaction).await?;
        }
        for facts in batch.chunks(ROWS_PER_STATEMENT) {
            let mut query =
                QueryBuilder::new("insert into call_events (call_id, seq, at_ms, fact) ");
            query.push_values(facts, |mut row, queued| {
                row.push_bind(queued.call.to_string())
                    .push_bind(queued.seq)
                    .push_bind(queued.at.0)
                    .push_bind(serde_json::to_string(&queued.fact).unwrap_or_default());
            });
            query.push(" on conflict (call_id, seq) do nothing");
            query.build().persistent(false).execute(&mut *transaction).await?;
        }
        for rows in visits.chunks(ROWS_PER_STATEMENT) {
            let query = &mut add_visits(rows);
            query.build().persistent(false).execute(&mut *transaction).await?;
        }
        for rows in conversations.chunks(ROWS_PER_STATEMENT) {
            let query = &mut add_conversations(rows);
            query.build().persistent(false).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    })
}

/// The stays in a line of a batch, each with its call and number.
fn visits_of(batch: &[Queued]) -> Vec<(CallId, i64, &Visit)> {
    let of_line = batch.iter().filter_map(|queued| match &queued.fact {
        CallFact::LeftLine(visit) => Some((queued.call, queued.seq, visit)),
        _ => None,
    });
    of_line.collect()
}

/// The conversations of a batch.
fn conversations_of(batch: &[Queued]) -> Vec<(CallId, i64, &Conversation)> {
    let conversations = batch.iter().filter_map(|queued| match &queued.fact {
        CallFact::Conversed(talk) => Some((queued.call, queued.seq, talk)),
        _ => None,
    });
    conversations.collect()
}
