//! What customers thought of conversations, as reports read it.

use sqlx::{QueryBuilder, Row};

use super::super::Store;
use super::super::calls::uuid;
use super::super::visits::{not_too_many, one_too_many};
use crate::database::{DatabaseError, on_pool};
use crate::domain::{CallId, Login, PromiseId, Rating, Timestamp};

/// One rating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatingRecord {
    /// The call in which the key was pressed.
    pub given_in: CallId,
    pub rating: Rating,
    pub at: Timestamp,
    /// Given while the server ran on a rehearsal clock.
    pub rehearsal: bool,
}

/// Which ratings to read; by the time at which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RatingFilter {
    /// Given at this moment or later.
    pub from: Option<Timestamp>,
    /// Given before this moment.
    pub before: Option<Timestamp>,
    /// Of conversations of this group.
    pub group: Option<String>,
    /// Given in attempts of this promise.
    pub promise: Option<PromiseId>,
}

/// A caller was asked in the same call how the conversation was, with or without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRecord {
    pub call: CallId,
    pub survey: String,
    pub at: Timestamp,
    /// Whom the caller talked with last. `None`: still in wrap-up.
    pub operator: Option<Login>,
    pub group: Option<String>,
    /// Asked while the server ran on a rehearsal clock.
    pub rehearsal: bool,
}

impl Store {
    /// Who was asked in the same call at `from` or later and before `until`, the first first; with
    /// more than a million an error.
    pub async fn asked_in_call(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<AskedRecord>, DatabaseError> {
        let sql = "select a.*, c.operator, c.grp from asked_in_call a \
            left join conversations c on c.call_id = a.call_id \
            and c.seq = (select max(seq) from conversations where call_id = a.call_id) \
            where a.at_ms >= $1 and a.at_ms < $2 order by a.at_ms, a.call_id, a.survey limit $3";
        let asked = on_pool!(&self.pool, |pool| {
            let query = sqlx::query(sql).bind(from.0).bind(until.0).bind(one_too_many());
            let rows = query.fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    let operator: Option<String> = row.try_get("operator")?;
                    Ok(AskedRecord {
                        call: CallId(uuid(row.try_get("call_id")?)?),
                        survey: row.try_get("survey")?,
                        at: Timestamp(row.try_get("at_ms")?),
                        operator: operator.and_then(|login| login.parse().ok()),
                        group: row.try_get("grp")?,
                        rehearsal: row.try_get("rehearsal")?,
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        not_too_many(asked)
    }

    /// Ratings, the first first; with more than a million an error.
    pub async fn ratings(&self, filter: &RatingFilter) -> Result<Vec<RatingRecord>, DatabaseError> {
        let ratings = on_pool!(&self.pool, |pool| {
            let mut query = QueryBuilder::new("select * from ratings where at_ms >= ");
            query.push_bind(filter.from.map_or(i64::MIN, |from| from.0));
            query.push(" and at_ms < ");
            query.push_bind(filter.before.map_or(i64::MAX, |before| before.0));
            if let Some(group) = &filter.group {
                query.push(" and grp = ").push_bind(group);
            }
            if let Some(promise) = filter.promise {
                query.push(" and promise = ").push_bind(promise.to_string());
            }
            query.push(" order by at_ms, given_in, survey limit ").push_bind(one_too_many());
            let rows = query.build().persistent(false).fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    let call: Option<&str> = row.try_get("call_id")?;
                    let promise: Option<&str> = row.try_get("promise")?;
                    let operator: Option<String> = row.try_get("operator")?;
                    Ok(RatingRecord {
                        given_in: CallId(uuid(row.try_get("given_in")?)?),
                        rating: Rating {
                            survey: row.try_get("survey")?,
                            score: u8::try_from(row.try_get::<i64, _>("score")?).unwrap_or(0),
                            call: call.map(uuid).transpose()?.map(CallId),
                            promise: promise.map(uuid).transpose()?.map(PromiseId),
                            operator: operator.and_then(|login| login.parse().ok()),
                            group: row.try_get("grp")?,
                            topic: row.try_get("topic")?,
                        },
                        at: Timestamp(row.try_get("at_ms")?),
                        rehearsal: row.try_get("rehearsal")?,
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        not_too_many(ratings)
    }
}
