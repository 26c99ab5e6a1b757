//! Calls that were up when the server died: closed at the next start, so that nothing looks as if
//! it still went on, and who was in a line then is counted.

use std::collections::BTreeMap;

use super::Store;
use super::calls::{uuid, word};
use super::visits::add_visits;
use crate::database::{DatabaseError, on_pool};
use crate::domain::{CallFact, CallId, EndReason, EndedBy, LineOutcome, Origin, Timestamp, Visit};

/// Rows of one statement.
const ROWS_PER_STATEMENT: usize = 500;

/// What was written of a call: the number of each event, when it happened, and what.
type Life = Vec<(i64, Timestamp, CallFact)>;

impl Store {
    /// To be called once at start, before the first call: ends the calls that were up when the
    /// server died, as `lost`, and the stays of those who were in a line. Such a call, and such a
    /// stay, ends when the call was last heard of; its last event is at `now`. Returns how many
    /// calls there were.
    pub async fn close_lost_calls(&self, now: Timestamp) -> Result<u64, DatabaseError> {
        let stays = self.lost_stays().await?;
        let (by, reason) = (EndedBy::Server, EndReason::Lost);
        let ended = json(&CallFact::Ended { by, reason })?;
        let left = stays.iter().map(|(.., visit)| json(&CallFact::LeftLine(visit.clone())));
        let left: Vec<String> = left.collect::<Result<_, _>>()?;
        let stays: Vec<(CallId, i64, &Visit)> =
            stays.iter().map(|(call, seq, visit)| (*call, *seq, visit)).collect();
        let add_left =
            "insert into call_events (call_id, seq, at_ms, fact) values ($1, $2, $3, $4)";
        let add_ended = "insert into call_events (call_id, seq, at_ms, fact) \
            select id, 1 + coalesce((select max(seq) from call_events where call_id = id), 0), \
            $1, $2 from calls where ended_ms is null";
        let end = "update calls set ended_by = $1, end_reason = $2, ended_ms = coalesce(\
            (select max(at_ms) from call_events where call_id = id and at_ms < $3), started_ms) \
            where ended_ms is null";
        let closed = on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            for ((call, seq, visit), fact) in stays.iter().zip(&left) {
                let add = sqlx::query(add_left).bind(call.to_string()).bind(*seq);
                let add = add.bind(visit.entered.plus_ms(visit.wait_ms).0).bind(fact);
                add.execute(&mut *transaction).await?;
            }
            for rows in stays.chunks(ROWS_PER_STATEMENT) {
                let query = &mut add_visits(rows);
                query.build().persistent(false).execute(&mut *transaction).await?;
            }
            sqlx::query(add_ended).bind(now.0).bind(ended).execute(&mut *transaction).await?;
            let end = sqlx::query(end).bind(word(&by)).bind(word(&reason)).bind(now.0);
            let closed = end.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            closed
        });
        Ok(closed)
    }

    /// The stays that no event ends, of calls that are up: each with its call and the number that
    /// its event gets.
    async fn lost_stays(&self) -> Result<Vec<(CallId, i64, Visit)>, DatabaseError> {
        let sql = "select call_id, seq, at_ms, fact from call_events \
            where call_id in (select id from calls where ended_ms is null) order by call_id, seq";
        let events: Vec<(String, i64, i64, String)> =
            on_pool!(&self.pool, |pool| sqlx::query_as(sql).fetch_all(pool).await?);
        let mut lives: BTreeMap<String, Life> = BTreeMap::new();
        for (call, seq, at_ms, fact) in events {
            // A fact that this version does not know was written by another one.
            if let Ok(fact) = serde_json::from_str(&fact) {
                lives.entry(call).or_default().push((seq, Timestamp(at_ms), fact));
            }
        }
        let mut stays = Vec::new();
        for (call, life) in lives {
            let Some(visit) = unended_stay(&life) else { continue };
            let last = life.last().map_or(0, |(seq, ..)| *seq);
            stays.push((CallId(uuid(&call)?), last + 1, visit));
        }
        Ok(stays)
    }
}

/// The stay in a line that the server's end cut short.
fn unended_stay(life: &Life) -> Option<Visit> {
    let mut stay = None;
    let mut origin = Origin::Called;
    for (_, at, fact) in life {
        match fact {
            CallFact::Queued { group } => stay = Some((group.clone(), *at, origin)),
            CallFact::LeftLine(_) => stay = None,
            CallFact::Transferred { .. } => origin = Origin::Transferred,
            CallFact::Placed { .. } => origin = Origin::Callback,
            CallFact::Offered { .. }
            | CallFact::Answered
            | CallFact::Step { .. }
            | CallFact::Said { .. }
            | CallFact::Key { .. }
            | CallFact::Entered { .. }
            | CallFact::LookedUp { .. }
            | CallFact::Decided(_)
            | CallFact::NotTaken { .. }
            | CallFact::Connected { .. }
            | CallFact::Conversed(_)
            | CallFact::Asked { .. }
            | CallFact::Recorded(_)
            | CallFact::Promised { .. }
            | CallFact::NotReached { .. }
            | CallFact::Ended { .. }
            | CallFact::Rtp(_) => {}
        }
    }
    let (group, entered, origin) = stay?;
    let last_heard_of = life.iter().map(|(_, at, _)| *at).max()?;
    Some(Visit {
        group,
        origin,
        entered,
        wait_ms: last_heard_of.since(entered),
        outcome: LineOutcome::Lost,
        operator: None,
    })
}

fn json(fact: &CallFact) -> Result<String, sqlx::Error> {
    serde_json::to_string(fact).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000)
    }

    fn queued(group: &str) -> CallFact {
        CallFact::Queued { group: group.to_owned() }
    }

    fn stay(group: &str, origin: Origin, entered: Timestamp, wait_ms: u64) -> Visit {
        let (group, outcome) = (group.to_owned(), LineOutcome::Lost);
        Visit { group, origin, entered, wait_ms, outcome, operator: None }
    }

    fn unended(facts: Vec<CallFact>) -> Option<Visit> {
        let life = (0..).zip(facts).map(|(n, fact)| (n, at(n), fact)).collect();
        unended_stay(&life)
    }

    #[test]
    fn a_caller_in_the_line_waited_until_last_heard_of() {
        let anna = || CallFact::Connected { operator: "anna".parse().unwrap() };
        let not_taken = || CallFact::NotTaken {
            operator: "anna".parse().unwrap(),
            outcome: crate::domain::RingOutcome::NoAnswer,
            rang_ms: 1_000,
        };
        let left = || CallFact::LeftLine(stay("support", Origin::Called, at(1), 1_000));
        let transferred = CallFact::Transferred {
            by: "anna".parse().unwrap(),
            to: "sales".into(),
            attended: false,
        };
        let waited = stay("support", Origin::Called, at(1), 2_000);
        let life = vec![CallFact::Answered, queued("support"), not_taken(), not_taken()];
        assert_eq!(unended(life), Some(waited));
        assert_eq!(unended(vec![CallFact::Answered, queued("support"), left(), anna()]), None);
        assert_eq!(unended(vec![CallFact::Answered]), None);
        let life = vec![queued("support"), left(), anna(), transferred, queued("sales")];
        assert_eq!(unended(life), Some(stay("sales", Origin::Transferred, at(4), 0)));
    }
}
