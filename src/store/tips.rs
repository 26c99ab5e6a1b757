//! Which tips a caller heard while waiting, so that none is heard twice until all were.

use super::Store;
use crate::database::{DatabaseError, on_pool};
use crate::domain::{RecordingId, Timestamp};

/// The most that are read at a start, the latest first: tips heard longer ago may be heard again.
const TIPS_MAX: i64 = 200_000;

/// One tip that one caller heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TipHeard {
    /// Unmasked.
    pub caller: String,
    pub tip: RecordingId,
    pub at: Timestamp,
}

impl Store {
    /// Which tips were heard at `since` or later, the latest first. Forgets those before it.
    pub async fn tips_heard(&self, since: Timestamp) -> Result<Vec<TipHeard>, DatabaseError> {
        let sql = "select caller, tip, at_ms from tips_heard order by at_ms desc, caller, tip \
            limit $1";
        let rows: Vec<(String, String, i64)> = on_pool!(&self.pool, |pool| {
            let forget = sqlx::query("delete from tips_heard where at_ms < $1").bind(since.0);
            forget.execute(pool).await?;
            sqlx::query_as(sql).bind(TIPS_MAX).fetch_all(pool).await?
        });
        let heard = |(caller, tip, at_ms): (String, String, i64)| TipHeard {
            caller,
            tip: RecordingId::new(tip),
            at: Timestamp(at_ms),
        };
        Ok(rows.into_iter().map(heard).collect())
    }

    /// Keeps that this caller heard this tip.
    pub async fn remember_tip(
        &self,
        caller: &str,
        tip: &RecordingId,
        at: Timestamp,
    ) -> Result<(), DatabaseError> {
        let sql = "insert into tips_heard (caller, tip, at_ms) values ($1, $2, $3) \
            on conflict (caller, tip) do update set at_ms = excluded.at_ms";
        on_pool!(&self.pool, |pool| {
            let keep = sqlx::query(sql).bind(super::statements::storable(caller));
            keep.bind(tip.as_str()).bind(at.0).execute(pool).await?;
        });
        Ok(())
    }
}
