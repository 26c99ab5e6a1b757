//! Writes call records in batches, so that no call ever waits for the database.
//!
//! A fact goes into a queue in memory; one task takes what has gathered there and writes it in one
//! transaction. While the database is locked or away the task tries again and the queue keeps the
//! facts. When the queue is nearly full, details are dropped and counted; the facts that open and
//! close a call, and those that reports count, have the last tenth of it for themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::QueryBuilder;

use super::batches::{Batches, Patience, WriterLimits};
use super::calls::{caller_columns, word};
use super::statements::storable;
use super::visits::{add_conversations, add_visits};
use crate::database::{Pool, never_fits, on_pool, said_by};
use crate::domain::{CallFact, CallId, Conversation, Timestamp, Visit};

/// Rows that one insert statement carries; 13 columns stay below the 32,766 parameters of SQLite.
const ROWS_PER_STATEMENT: usize = 500;

/// The way to the call records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    facts: Arc<Batches<Fact>>,
    /// Since the last warning.
    dropped: AtomicU64,
    rehearsal: AtomicBool,
}

/// What happened to a call.
#[derive(Debug)]
struct Fact {
    call: CallId,
    at: Timestamp,
    fact: CallFact,
    rehearsal: bool,
}

/// The same with its number, which orders the life of a call.
#[derive(Debug)]
struct Queued {
    call: CallId,
    seq: i64,
    at: Timestamp,
    fact: CallFact,
    rehearsal: bool,
}

impl CallWriter {
    /// Starts the writing task on the current tokio runtime.
    pub fn start(pool: Pool, limits: WriterLimits) -> Self {
        let facts = Batches::new(limits);
        let (dropped, rehearsal) = (AtomicU64::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { facts: Arc::clone(&facts), dropped, rehearsal });
        facts.emptied_by(write_on(Arc::clone(&shared), pool));
        Self { shared }
    }

    /// Whether calls that begin from now on are marked as such of a rehearsal.
    pub fn set_rehearsal(&self, rehearsal: bool) {
        self.shared.rehearsal.store(rehearsal, Ordering::Relaxed);
    }

    /// Puts a fact of a call on its way. Never waits. Facts of one call keep their order.
    pub fn record(&self, call: CallId, at: Timestamp, fact: CallFact) {
        let Shared { facts, dropped, rehearsal } = &*self.shared;
        let queue_max = facts.limits.queue_max;
        let max = match fact {
            CallFact::Offered { .. }
            | CallFact::Placed { .. }
            | CallFact::Answered
            | CallFact::LeftLine(_)
            | CallFact::Conversed(_)
            | CallFact::Ended { .. } => queue_max,
            _ => queue_max - queue_max / 10,
        };
        let rehearsal = rehearsal.load(Ordering::Relaxed);
        if !facts.push(Fact { call, at, fact, rehearsal }, max) {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many facts wait for the database.
    pub fn waiting(&self) -> usize {
        self.shared.facts.waiting()
    }

    /// Why facts can't be written now; `None`: they can.
    pub fn trouble(&self) -> Option<String> {
        self.shared.facts.trouble()
    }

    /// Returns when everything recorded so far is in the database.
    pub async fn flush(&self) {
        self.shared.facts.flush().await;
    }

    /// Writes what is queued and ends the task; later facts are dropped. Gives up after `within`
    /// and returns how many facts are lost then: 0 unless the database is away.
    pub async fn close(&self, within: Duration) -> u64 {
        let lost = self.shared.facts.close(within).await;
        if lost > 0 {
            tracing::error!(facts = lost, "the database is away; the last facts of calls are lost");
        }
        lost
    }
}

/// The task: gather, write, until closed and empty.
async fn write_on(shared: Arc<Shared>, pool: Pool) {
    while let Some(batch) = shared.facts.next().await {
        let last = batch.last().map_or(0, |(seq, _)| *seq);
        let batch: Vec<Queued> = batch
            .into_iter()
            .map(|(seq, Fact { call, at, fact, rehearsal })| Queued {
                call,
                seq,
                at,
                fact,
                rehearsal,
            })
            .collect();
        write_until_done(&shared, &pool, &batch).await;
        shared.facts.written(last);
        let dropped = shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                facts = dropped,
                "the database was too slow; details of calls are missing"
            );
        }
    }
}

async fn write_until_done(shared: &Shared, pool: &Pool, batch: &[Queued]) {
    let mut patience = Patience::with("calls");
    loop {
        let written = write(pool, batch).await;
        shared.facts.tried(&written);
        match written {
            Ok(()) => return patience.done(),
            Err(error) if never_fits(&error) => {
                let (error, facts) = (said_by(&error), batch.len());
                tracing::error!(%error, facts, "facts of calls can't be stored; dropped");
                return;
            }
            Err(error) => patience.wait(&error, batch.len() + shared.facts.waiting()).await,
        }
    }
}

/// What a batch changes in the row of one call. Empty where it says nothing.
#[derive(Default)]
struct RowChange {
    started_ms: i64,
    caller_kind: &'static str,
    caller: String,
    caller_name: Option<String>,
    dialled: String,
    plan: String,
    answered_ms: Option<i64>,
    ended_ms: Option<i64>,
    ended_by: Option<String>,
    end_reason: Option<String>,
    rtp: Option<String>,
    rehearsal: bool,
}

impl RowChange {
    fn apply(&mut self, queued: &Queued) {
        match &queued.fact {
            CallFact::Offered { dialled, caller, caller_name, plan } => {
                self.started_ms = queued.at.0;
                (self.caller_kind, self.caller) = caller_columns(caller);
                self.caller_name = caller_name.as_ref().map(|name| storable(name.full()));
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
            | CallFact::Asked { .. }
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

/// One transaction. Writing the same batch again changes nothing, so that a commit whose answer was
/// lost does no harm.
async fn write(pool: &Pool, batch: &[Queued]) -> Result<(), sqlx::Error> {
    let mut changes: BTreeMap<CallId, RowChange> = BTreeMap::new();
    for queued in batch.iter().filter(|queued| RowChange::changes_row(&queued.fact)) {
        let change = changes.entry(queued.call).or_insert_with(|| RowChange {
            started_ms: queued.at.0,
            caller_kind: "other",
            rehearsal: queued.rehearsal,
            ..RowChange::default()
        });
        change.apply(queued);
    }
    let changes: Vec<(CallId, RowChange)> = changes.into_iter().collect();
    let (visits, conversations) = (visits_of(batch), conversations_of(batch));
    let asked = asked_of(batch);
    on_pool!(pool, |pool, begin| {
        let mut transaction = pool.begin_with(begin).await?;
        for rows in changes.chunks(ROWS_PER_STATEMENT) {
            let mut query = QueryBuilder::new(
                "insert into calls (id, started_ms, caller_kind, caller, caller_name, dialled, plan, \
                 answered_ms, ended_ms, ended_by, end_reason, rtp, rehearsal) ",
            );
            query.push_values(rows, |mut row, (id, change)| {
                row.push_bind(id.to_string())
                    .push_bind(change.started_ms)
                    .push_bind(change.caller_kind)
                    .push_bind(&change.caller)
                    .push_bind(&change.caller_name)
                    .push_bind(&change.dialled)
                    .push_bind(&change.plan)
                    .push_bind(change.answered_ms)
                    .push_bind(change.ended_ms)
                    .push_bind(&change.ended_by)
                    .push_bind(&change.end_reason)
                    .push_bind(&change.rtp)
                    .push_bind(change.rehearsal);
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
        for rows in asked.chunks(ROWS_PER_STATEMENT) {
            let mut query =
                QueryBuilder::new("insert into asked_in_call (call_id, survey, at_ms, rehearsal) ");
            query.push_values(rows, |mut row, (queued, survey)| {
                row.push_bind(queued.call.to_string())
                    .push_bind(storable(survey))
                    .push_bind(queued.at.0)
                    .push_bind(queued.rehearsal);
            });
            query.push(" on conflict (call_id, survey) do nothing");
            query.build().persistent(false).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    })
}

/// The questions of a batch how a conversation was, each with its survey.
fn asked_of(batch: &[Queued]) -> Vec<(&Queued, &str)> {
    let asked = batch.iter().filter_map(|queued| match &queued.fact {
        CallFact::Asked { survey } => Some((queued, survey.as_str())),
        _ => None,
    });
    asked.collect()
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
