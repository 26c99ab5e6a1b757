//! Stays in a group's line and conversations, as reports read them: each with its call, so that a
//! figure leads to the calls behind it.

use sqlx::{Database, Encode, QueryBuilder, Row, Type};

use super::Store;
use super::calls::{caller, from_word, uuid, word};
use super::statements::storable;
use crate::database::{DatabaseError, on_pool};
use crate::domain::{CallId, CallerId, Conversation, Login, Timestamp, Visit};

/// The most rows of one kind that are read for one report; with more it is refused.
pub const ROWS_MAX: usize = 1_000_000;

/// One stay in a group's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitRecord {
    pub call: CallId,
    /// Unmasked. `None`: the beginning of the call was lost.
    pub caller: Option<CallerId>,
    pub visit: Visit,
}

/// One conversation of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRecord {
    pub call: CallId,
    pub conversation: Conversation,
}

impl Store {
    /// The stays that began at `from` or later and before `until`, and are over; by their beginning.
    pub async fn visits(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<VisitRecord>, DatabaseError> {
        let sql = "select v.*, c.caller_kind, c.caller from visits v \
            left join calls c on c.id = v.call_id \
            where v.entered_ms >= $1 and v.entered_ms < $2 \
            order by v.entered_ms, v.call_id, v.seq limit $3";
        let visits = on_pool!(&self.pool, |pool| {
            let query = sqlx::query(sql).bind(from.0).bind(until.0).bind(one_too_many());
            let rows = query.fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    let kind: Option<&str> = row.try_get("caller_kind")?;
                    let name: Option<String> = row.try_get("caller")?;
                    Ok(VisitRecord {
                        call: CallId(uuid(row.try_get("call_id")?)?),
                        caller: kind.zip(name).map(|(kind, name)| caller(kind, name)),
                        visit: Visit {
                            group: row.try_get("grp")?,
                            origin: known(row.try_get("origin")?)?,
                            entered: Timestamp(row.try_get("entered_ms")?),
                            wait_ms: length(row.try_get("wait_ms")?),
                            outcome: known(row.try_get("outcome")?)?,
                            operator: row
                                .try_get::<Option<String>, _>("operator")?
                                .and_then(|login| login.parse().ok()),
                        },
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        not_too_many(visits)
    }

    /// The conversations that began at `from` or later and before `until`, and whose wrap-up is
    /// over; by their beginning.
    pub async fn conversations(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ConversationRecord>, DatabaseError> {
        let sql = "select * from conversations where began_ms >= $1 and began_ms < $2 \
            order by began_ms, call_id, seq limit $3";
        let conversations = on_pool!(&self.pool, |pool| {
            let query = sqlx::query(sql).bind(from.0).bind(until.0).bind(one_too_many());
            let rows = query.fetch_all(pool).await?;
            rows.iter()
                .map(|row| {
                    let operator: String = row.try_get("operator")?;
                    Ok(ConversationRecord {
                        call: CallId(uuid(row.try_get("call_id")?)?),
                        conversation: Conversation {
                            operator: operator
                                .parse()
                                .map_err(|why: String| sqlx::Error::Decode(why.into()))?,
                            group: row.try_get("grp")?,
                            began: Timestamp(row.try_get("began_ms")?),
                            talk_ms: length(row.try_get("talk_ms")?),
                            hold_ms: length(row.try_get("hold_ms")?),
                            wrap_up_ms: length(row.try_get("wrap_up_ms")?),
                            topic: row.try_get("topic")?,
                        },
                    })
                })
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        not_too_many(conversations)
    }
}

/// The statement that adds stays in a line, each with its call and the number of its event. Adding
/// one again changes nothing.
pub(super) fn add_visits<DB: Database>(rows: &[(CallId, i64, &Visit)]) -> QueryBuilder<DB>
where
    DB::Arguments: Default,
    i64: Type<DB> + for<'q> Encode<'q, DB>,
    String: Type<DB> + for<'q> Encode<'q, DB>,
    Option<String>: Type<DB> + for<'q> Encode<'q, DB>,
{
    let mut query = QueryBuilder::new(
        "insert into visits \
         (call_id, seq, grp, origin, entered_ms, wait_ms, outcome, operator) ",
    );
    query.push_values(rows, |mut row, (call, seq, visit)| {
        row.push_bind(call.to_string())
            .push_bind(*seq)
            .push_bind(storable(&visit.group))
            .push_bind(word(&visit.origin))
            .push_bind(visit.entered.0)
            .push_bind(column(visit.wait_ms))
            .push_bind(word(&visit.outcome))
            .push_bind(visit.operator.as_ref().map(Login::to_string));
    });
    query.push(" on conflict (call_id, seq) do nothing");
    query
}

/// The same for conversations.
pub(super) fn add_conversations<DB: Database>(
    rows: &[(CallId, i64, &Conversation)],
) -> QueryBuilder<DB>
where
    DB::Arguments: Default,
    i64: Type<DB> + for<'q> Encode<'q, DB>,
    String: Type<DB> + for<'q> Encode<'q, DB>,
    Option<String>: Type<DB> + for<'q> Encode<'q, DB>,
{
    let mut query = QueryBuilder::new(
        "insert into conversations \
         (call_id, seq, operator, grp, began_ms, talk_ms, hold_ms, wrap_up_ms, topic) ",
    );
    query.push_values(rows, |mut row, (call, seq, talk)| {
        row.push_bind(call.to_string())
            .push_bind(*seq)
            .push_bind(talk.operator.to_string())
            .push_bind(talk.group.as_deref().map(storable))
            .push_bind(talk.began.0)
            .push_bind(column(talk.talk_ms))
            .push_bind(column(talk.hold_ms))
            .push_bind(column(talk.wrap_up_ms))
            .push_bind(talk.topic.as_deref().map(storable));
    });
    query.push(" on conflict (call_id, seq) do nothing");
    query
}

/// The limit of a query of which [`not_too_many`] looks at the rows.
pub(super) fn one_too_many() -> i64 {
    i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX)
}

pub(super) fn not_too_many<T>(rows: Vec<T>) -> Result<Vec<T>, DatabaseError> {
    if rows.len() > ROWS_MAX { Err(DatabaseError::TooMuch { max: ROWS_MAX }) } else { Ok(rows) }
}

fn column(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn length(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// A word that the tables keep.
pub(super) fn known<T: serde::de::DeserializeOwned>(word: String) -> Result<T, sqlx::Error> {
    let unknown = format!("\"{word}\" is not known to this version");
    from_word(word).ok_or_else(|| sqlx::Error::Decode(unknown.into()))
}
