//! Call records as they are read: what happened to each call.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::Store;
use crate::database::{DatabaseError, on_pool};
use crate::domain::{
    CallFact, CallId, CallerId, CallerName, EndReason, EndedBy, PhoneNumber, Region, RtpStatistics,
    Timestamp,
};

/// The most calls that one listing returns.
const CALLS_MAX: u32 = 10_000;
/// Calls whose events are read with one query.
const CHUNK: usize = 500;

/// One call with its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    pub id: CallId,
    pub started: Timestamp,
    pub answered: Option<Timestamp>,
    /// `None`: the call is up, or the server that had it is gone and did not start again yet. Of a
    /// lost call: when it was last heard of.
    pub ended: Option<Timestamp>,
    /// Unmasked.
    pub caller: CallerId,
    /// The name that came with the call; unmasked.
    #[serde(default)]
    pub caller_name: Option<CallerName>,
    pub dialled: String,
    /// Version of the dialplan.
    pub plan: String,
    pub ended_by: Option<EndedBy>,
    pub end_reason: Option<EndReason>,
    pub rtp: Option<RtpStatistics>,
    /// Made while the server ran on a rehearsal clock.
    #[serde(default)]
    pub rehearsal: bool,
    /// In the order in which they happened; begins with `Offered`.
    pub events: Vec<CallEvent>,
}

/// One thing that happened to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallEvent {
    pub at: Timestamp,
    pub fact: CallFact,
}

/// Which calls to list; the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFilter {
    /// Calls that started at this moment or later.
    pub since: Option<Timestamp>,
    /// Calls that started before this moment.
    pub until: Option<Timestamp>,
    /// Calls of this caller: E.164, or the name that the network gave.
    pub caller: Option<String>,
    /// Only this call.
    pub id: Option<CallId>,
    /// Only calls whose id begins so: small hexadecimal digits and dashes, other characters match
    /// nothing.
    pub id_begins: Option<String>,
    /// At most so many, and never more than 10,000. 100 unless said otherwise.
    pub limit: u32,
    /// Whether to read the events too; yes unless said otherwise.
    pub events: bool,
}

impl Default for CallFilter {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            caller: None,
            id: None,
            id_begins: None,
            limit: 100,
            events: true,
        }
    }
}

impl Store {
    /// Past and running calls, the newest first.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Vec<CallRecord>, DatabaseError> {
        let mut calls = on_pool!(&self.pool, |pool| {
            let mut query = QueryBuilder::new("select * from calls where started_ms >= ");
            query.push_bind(filter.since.map_or(i64::MIN, |since| since.0));
            query.push(" and started_ms < ");
            query.push_bind(filter.until.map_or(i64::MAX, |until| until.0));
            if let Some(caller) = &filter.caller {
                query.push(" and caller = ").push_bind(caller);
            }
            if let Some(id) = filter.id {
                query.push(" and id = ").push_bind(id.to_string());
            }
            if let Some(beginning) = &filter.id_begins {
                // `%` and `_` would match anything.
                let plain = beginning.replace(['%', '_', '\\'], "?");
                query.push(" and id like ").push_bind(format!("{plain}%"));
            }
            query.push(" order by started_ms desc, id desc limit ");
            query.push_bind(i64::from(filter.limit.min(CALLS_MAX)));
            let rows = query.build().fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    Ok(CallRecord {
                        id: CallId(uuid(row.try_get("id")?)?),
                        started: Timestamp(row.try_get("started_ms")?),
                        answered: row.try_get::<Option<i64>, _>("answered_ms")?.map(Timestamp),
                        ended: row.try_get::<Option<i64>, _>("ended_ms")?.map(Timestamp),
                        caller: caller(row.try_get("caller_kind")?, row.try_get("caller")?),
                        caller_name: row
                            .try_get::<Option<&str>, _>("caller_name")?
                            .and_then(CallerName::new),
                        dialled: row.try_get("dialled")?,
                        plan: row.try_get("plan")?,
                        ended_by: row.try_get::<Option<_>, _>("ended_by")?.and_then(from_word),
                        end_reason: row.try_get::<Option<_>, _>("end_reason")?.and_then(from_word),
                        rtp: row
                            .try_get::<Option<&str>, _>("rtp")?
                            .and_then(|json| serde_json::from_str(json).ok()),
                        rehearsal: row.try_get("rehearsal")?,
                        events: Vec::new(),
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        if filter.events {
            for chunk in calls.chunks_mut(CHUNK) {
                self.read_events(chunk).await?;
            }
        }
        Ok(calls)
    }

    async fn read_events(&self, calls: &mut [CallRecord]) -> Result<(), DatabaseError> {
        if calls.is_empty() {
            return Ok(());
        }
        let events: Vec<(String, i64, String)> = on_pool!(&self.pool, |pool| {
            let sql = "select call_id, at_ms, fact from call_events where call_id in (";
            let mut query = QueryBuilder::new(sql);
            let mut ids = query.separated(", ");
            for call in &*calls {
                ids.push_bind(call.id.to_string());
            }
            query.push(") order by call_id, seq");
            query.build_query_as().persistent(false).fetch_all(pool).await?
        });
        let mut by_id: std::collections::BTreeMap<String, &mut CallRecord> =
            calls.iter_mut().map(|call| (call.id.to_string(), call)).collect();
        for (id, at_ms, fact) in events {
            let Some(call) = by_id.get_mut(&id) else { continue };
            // A fact that this version does not know was written by another one; the rest of the
            // call is still worth showing.
            if let Ok(fact) = serde_json::from_str(&fact) {
                call.events.push(CallEvent { at: Timestamp(at_ms), fact });
            }
        }
        Ok(())
    }
}

pub(super) fn uuid(text: &str) -> Result<Uuid, sqlx::Error> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Kind and text of a caller, as they are stored.
pub(super) fn caller_columns(caller: &CallerId) -> (&'static str, String) {
    let kind = match caller {
        CallerId::Number(_) => "number",
        CallerId::Anonymous => "anonymous",
        CallerId::Other(_) => "other",
    };
    (kind, caller.full().to_owned())
}

pub(super) fn caller(kind: &str, text: String) -> CallerId {
    match kind {
        "anonymous" => CallerId::Anonymous,
        "number" => match PhoneNumber::parse(&text, Region::default()) {
            Some(number) => CallerId::Number(number),
            None => CallerId::Other(text),
        },
        _ => CallerId::Other(text),
    }
}

/// The serde name of an enum without fields.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

pub(super) fn from_word<T: DeserializeOwned>(word: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word)).ok()
}
