//! Promises and their stories, as they are read.

use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Row};

use super::super::Store;
use super::super::calls::uuid;
use super::super::visits::{known, not_too_many, one_too_many};
use super::ratings::{RatingFilter, RatingRecord};
use crate::database::{DatabaseError, on_pool};
use crate::domain::{
    Attempt, CallId, PhoneNumber, Promise, PromiseId, PromiseKind, PromiseState, Timestamp,
};

/// A promise and its number for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromiseRecord {
    /// From 1, in the order in which they were stored.
    pub number: u64,
    pub promise: Promise,
}

/// Which promises to read; by their due time, unless the newest are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromiseFilter {
    /// Only those that are not over.
    pub open: bool,
    pub kind: Option<PromiseKind>,
    pub group: Option<String>,
    /// Made at this moment or later.
    pub made_from: Option<Timestamp>,
    /// Made before this moment.
    pub made_before: Option<Timestamp>,
    /// Over at this moment or later.
    pub ended_from: Option<Timestamp>,
    /// Over before this moment.
    pub ended_before: Option<Timestamp>,
    pub phone: Option<PhoneNumber>,
    pub number: Option<u64>,
    /// The newest so many, the newest first. `None`: all, and with more than a million an error.
    pub newest: Option<u32>,
}

/// How a promise came to stand as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Timestamp,
    pub state: PromiseState,
    pub due: Timestamp,
    pub next_at: Option<Timestamp>,
    pub attempts: u32,
    pub escalated: bool,
    pub note: String,
}

/// Everything that is known of one promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromiseStory {
    pub number: u64,
    pub promise: Promise,
    /// In the order in which they happened, also when the wall clock jumped.
    pub changes: Vec<Change>,
    pub attempts: Vec<Attempt>,
    /// What the customer answered in these attempts.
    pub ratings: Vec<RatingRecord>,
}

/// A robot called a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotCall {
    pub phone: PhoneNumber,
    /// The survey or robot of the plan.
    pub robot: String,
    pub at: Timestamp,
}

/// Reads a promise from a row with all columns.
macro_rules! promise_of {
    ($row:expr) => {{
        let row = $row;
        let time = |column| -> Result<Option<Timestamp>, sqlx::Error> {
            Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp))
        };
        let promise = Promise {
            id: PromiseId(uuid(row.try_get("id")?)?),
            kind: known(row.try_get("kind")?)?,
            name: row.try_get("name")?,
            phone: phone(row.try_get("phone")?)?,
            group: row.try_get("grp")?,
            script: row.try_get("script")?,
            made: Timestamp(row.try_get("made_ms")?),
            due: Timestamp(row.try_get("due_ms")?),
            state: known(row.try_get("state")?)?,
            next_at: time("next_ms")?,
            attempts: count(row.try_get("attempts")?),
            not_counted: count(row.try_get("not_counted")?),
            place: row.try_get::<Option<&str>, _>("place")?.map(from_json).transpose()?,
            about: from_json(row.try_get("about")?)?,
            event: row.try_get("event")?,
            contacted: time("contacted_ms")?,
            ended: time("ended_ms")?,
            escalated: row.try_get("escalated")?,
            overdue: row.try_get("overdue")?,
            note: row.try_get("note")?,
            rehearsal: row.try_get("rehearsal")?,
        };
        let number: i64 = row.try_get("number")?;
        Ok(PromiseRecord { number: number.unsigned_abs(), promise })
    }};
}

/// Reads an attempt from a row with all columns.
macro_rules! attempt_of {
    ($row:expr) => {{
        let row = $row;
        let operator: Option<String> = row.try_get("operator")?;
        Ok(Attempt {
            promise: PromiseId(uuid(row.try_get("promise")?)?),
            number: count(row.try_get("number")?),
            call: CallId(uuid(row.try_get("call_id")?)?),
            at: Timestamp(row.try_get("at_ms")?),
            outcome: row.try_get::<Option<String>, _>("outcome")?.map(known).transpose()?,
            ended: row.try_get::<Option<i64>, _>("ended_ms")?.map(Timestamp),
            operator: operator.and_then(|login| login.parse().ok()),
        })
    }};
}

impl Store {
    /// All promises that are not over, in the order in which they were stored: what a server has to
    /// know at its start. [`Store::close_lost_attempts`] comes before
    /// it.
    pub async fn open_promises(&self) -> Result<Vec<Promise>, DatabaseError> {
        let open = PromiseFilter { open: true, ..PromiseFilter::default() };
        let mut records = self.promises(&open).await?;
        records.sort_by_key(|record| record.number);
        Ok(records.into_iter().map(|record| record.promise).collect())
    }

    /// To be called once at the start, before the first call: attempts that the server's death cut
    /// off failed, at `now`; nobody knows whether the customer's phone rang, so they count. Returns
    /// how many there were.
    pub async fn close_lost_attempts(&self, now: Timestamp) -> Result<u64, DatabaseError> {
        let end = "update attempts set outcome = 'failed', ended_ms = $1 where outcome is null";
        // An attempt is stored before its promise counts it.
        let count = "update promises set attempts = \
             (select max(a.number) from attempts a where a.promise = promises.id) \
             where ended_ms is null and attempts < \
             (select max(a.number) from attempts a where a.promise = promises.id)";
        Ok(on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            let ended = sqlx::query(end).bind(now.0).execute(&mut *transaction).await?;
            sqlx::query(count).execute(&mut *transaction).await?;
            transaction.commit().await?;
            ended.rows_affected()
        }))
    }

    /// Promises, by their due time; or the newest ones.
    pub async fn promises(
        &self,
        filter: &PromiseFilter,
    ) -> Result<Vec<PromiseRecord>, DatabaseError> {
        let promises = on_pool!(&self.pool, |pool| {
            let mut query = QueryBuilder::new("select * from promises where number > 0");
            if filter.open {
                query.push(" and ended_ms is null");
            }
            for (condition, text) in [
                (" and kind = ", filter.kind.map(PromiseKind::name)),
                (" and grp = ", filter.group.as_deref()),
                (" and phone = ", filter.phone.as_ref().map(PhoneNumber::as_str)),
            ] {
                if let Some(text) = text {
                    query.push(condition).push_bind(text);
                }
            }
            let number = filter.number.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
            for (condition, value) in [
                (" and made_ms >= ", filter.made_from.map(|at| at.0)),
                (" and made_ms < ", filter.made_before.map(|at| at.0)),
                (" and ended_ms >= ", filter.ended_from.map(|at| at.0)),
                (" and ended_ms < ", filter.ended_before.map(|at| at.0)),
                (" and number = ", number),
            ] {
                if let Some(value) = value {
                    query.push(condition).push_bind(value);
                }
            }
            query.push(match filter.newest {
                Some(_) => " order by number desc limit ",
                None => " order by due_ms, number limit ",
            });
            query.push_bind(filter.newest.map_or_else(one_too_many, i64::from));
            let rows = query.build().persistent(false).fetch_all(pool).await?;
            rows.iter()
                .map(|row| promise_of!(row))
                .collect::<Result<Vec<PromiseRecord>, sqlx::Error>>()?
        });
        not_too_many(promises)
    }

    /// The whole story of a promise; `None`: there is no such number.
    pub async fn promise_story(&self, number: u64) -> Result<Option<PromiseStory>, DatabaseError> {
        let filter = PromiseFilter { number: Some(number), ..PromiseFilter::default() };
        let Some(record) = self.promises(&filter).await?.pop() else { return Ok(None) };
        let PromiseRecord { number, promise } = record;
        let id = promise.id.to_string();
        let (mut changes, attempts) = on_pool!(&self.pool, |pool| {
            let sql = "select * from promise_history where promise = $1 order by seq";
            let rows = sqlx::query(sql).bind(&id).fetch_all(pool).await?;
            let changes = rows
                .iter()
                .map(|row| {
                    Ok(Change {
                        at: Timestamp(row.try_get("at_ms")?),
                        state: known(row.try_get("state")?)?,
                        due: Timestamp(row.try_get("due_ms")?),
                        next_at: row.try_get::<Option<i64>, _>("next_ms")?.map(Timestamp),
                        attempts: count(row.try_get("attempts")?),
                        escalated: row.try_get("escalated")?,
                        note: row.try_get("note")?,
                    })
                })
                .collect::<Result<Vec<Change>, sqlx::Error>>()?;
            let sql = "select * from attempts where promise = $1 order by number";
            let rows = sqlx::query(sql).bind(&id).fetch_all(pool).await?;
            let attempts = rows
                .iter()
                .map(|row| attempt_of!(row))
                .collect::<Result<Vec<Attempt>, sqlx::Error>>()?;
            (changes, attempts)
        });
        // The same again at another moment is no change.
        changes.dedup_by(|later, earlier| *later == Change { at: later.at, ..earlier.clone() });
        let filter = RatingFilter { promise: Some(promise.id), ..RatingFilter::default() };
        let ratings = self.ratings(&filter).await?;
        Ok(Some(PromiseStory { number, promise, changes, attempts, ratings }))
    }

    /// Whom robots called first at `since` or later, the first first. The tries of one promise are
    /// one call: the first of which the customer's phone rang, or may have rung.
    pub async fn robot_calls_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<RobotCall>, DatabaseError> {
        let sql = "select p.phone, p.name, min(a.at_ms) as at_ms from attempts a \
            join promises p on p.id = a.promise \
            where p.kind in ('rating-call', 'reminder') \
            and (a.outcome is null or a.outcome not in ('congested', 'withdrawn')) \
            group by p.id, p.phone, p.name having min(a.at_ms) >= $1 \
            order by 3, 1 limit $2";
        let rows: Vec<(String, String, i64)> = on_pool!(&self.pool, |pool| {
            sqlx::query_as(sql).bind(since.0).bind(one_too_many()).fetch_all(pool).await?
        });
        let call = |(number, robot, at_ms): (String, String, i64)| {
            Ok(RobotCall { phone: phone(&number)?, robot, at: Timestamp(at_ms) })
        };
        not_too_many(rows.into_iter().map(call).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// A number as we stored it.
pub(in super::super) fn phone(text: &str) -> Result<PhoneNumber, sqlx::Error> {
    PhoneNumber::parse(text, crate::domain::Region::default())
        .ok_or_else(|| sqlx::Error::Decode("a phone number that is none".into()))
}

pub(super) fn count(column: i64) -> u32 {
    u32::try_from(column).unwrap_or(0)
}

fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(json).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
