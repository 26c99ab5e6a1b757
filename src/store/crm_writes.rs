//! What is to be written into the CRM: noted before it is tried, and kept as an audit afterwards.

use sqlx::Row;

use super::Store;
use super::calls::uuid;
use super::promises::phone;
use crate::database::{DatabaseError, on_pool};
use crate::domain::{CallId, PhoneNumber, Timestamp};

/// Tries after which a write is given up, and its row says why.
const TRIES_MAX: i64 = 50;

/// Something that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCrmWrite {
    /// Names it, also for the CRM.
    pub id: String,
    pub call: CallId,
    pub phone: PhoneNumber,
    /// The JSON of a `crm::CrmWrite`.
    pub what: String,
    pub at: Timestamp,
    /// How often it failed.
    pub tries: u32,
}

/// How a try to write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrmWriteEnd<'a> {
    Done,
    /// The CRM is away: to be tried again.
    Again(&'a str),
    /// The CRM will never take it.
    Failed(&'a str),
}

impl Store {
    /// What is still to be written, the oldest first; at most `limit`.
    pub async fn pending_crm_writes(
        &self,
        limit: u32,
    ) -> Result<Vec<PendingCrmWrite>, DatabaseError> {
        let sql = "select * from crm_writes where status = 'pending' order by number limit $1";
        Ok(on_pool!(&self.pool, |pool| {
            let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    Ok(PendingCrmWrite {
                        id: row.try_get("id")?,
                        call: CallId(uuid(row.try_get("call_id")?)?),
                        phone: phone(row.try_get("phone")?)?,
                        what: row.try_get("what")?,
                        at: Timestamp(row.try_get("at_ms")?),
                        tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or(0),
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        }))
    }

    /// Keeps how a try ended. After 50 tries a write is given up.
    pub async fn crm_write_ended(
        &self,
        id: &str,
        end: CrmWriteEnd<'_>,
        now: Timestamp,
    ) -> Result<(), DatabaseError> {
        let (status, error) = match end {
            CrmWriteEnd::Done => ("done", None),
            CrmWriteEnd::Again(why) => ("pending", Some(why)),
            CrmWriteEnd::Failed(why) => ("failed", Some(why)),
        };
        let sql = "update crm_writes set tries = tries + 1, error = $2, ended_ms = $3, \
            status = case when $4 = 'pending' and tries + 1 >= $5 then 'failed' else $4 end \
            where id = $1 and status = 'pending'";
        on_pool!(&self.pool, |pool| {
            let keep = sqlx::query(sql).bind(id).bind(error).bind(now.0);
            keep.bind(status).bind(TRIES_MAX).execute(pool).await?;
        });
        Ok(())
    }
}
