//! What the server's death cut off: closed at the next start, so that nothing looks as if it still
//! went on, and who was in a line or in a conversation then is counted.

use std::collections::BTreeMap;

use super::Store;
use super::calls::{uuid, word};
use super::visits::{add_conversations, add_visits};
use crate::database::{DatabaseError, on_pool};
use crate::domain::{
    CallFact, CallId, Conversation, EndReason, EndedBy, LineOutcome, Login, Origin, RecordingNote,
    Timestamp, Visit,
};

/// Rows of one statement.
const ROWS_PER_STATEMENT: usize = 500;
/// Conversations of callers who came into a line longer ago than this are not looked for: a long wait,
/// a long conversation and the longest wrap-up.
const CONVERSATIONS_WITHIN_MS: u64 = 8 * 3_600_000;

/// What was written of a call: the number of each event, when it happened, and what.
type Life = Vec<(i64, Timestamp, CallFact)>;

/// A recording that was under way when the server died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRecording {
    pub call: CallId,
    /// By the wall clock.
    pub began: Timestamp,
    pub note: RecordingNote,
}

impl Store {
    /// To be called once at start, before the first call: ends the calls that were up when the
    /// server died, as `lost`, and the stays of those who were in a line; conversations, and
    /// wrap-ups after them, end there too. Such a call, and such a stay, ends when the call was last
    /// heard of, which is the end of its recording if it had one; its last event is at `now`.
    /// Returns how many calls there were.
    pub async fn close_lost_calls(
        &self,
        now: Timestamp,
        recordings: &[LostRecording],
    ) -> Result<u64, DatabaseError> {
        let mut added = Vec::new();
        for (call, mut life) in self.lives_cut_off(now).await? {
            let known = life.len();
            add_endings(&mut life, recordings.iter().filter(|recording| recording.call == call));
            added.extend(life.drain(known..).map(|(seq, at, fact)| (call, seq, at, fact)));
        }
        let facts: Vec<String> =
            added.iter().map(|(.., fact)| json(fact)).collect::<Result<_, _>>()?;
        let stays: Vec<(CallId, i64, &Visit)> = added
            .iter()
            .filter_map(|(call, seq, _, fact)| match fact {
                CallFact::LeftLine(visit) => Some((*call, *seq, visit)),
                _ => None,
            })
            .collect();
        let talks: Vec<(CallId, i64, &Conversation)> = added
            .iter()
            .filter_map(|(call, seq, _, fact)| match fact {
                CallFact::Conversed(talk) => Some((*call, *seq, talk)),
                _ => None,
            })
            .collect();
        let (by, reason) = (EndedBy::Server, EndReason::Lost);
        let ended = json(&CallFact::Ended { by, reason })?;
        let add_fact =
            "insert into call_events (call_id, seq, at_ms, fact) values ($1, $2, $3, $4)";
        let add_ended = "insert into call_events (call_id, seq, at_ms, fact) \
            select id, 1 + coalesce((select max(seq) from call_events where call_id = id), 0), \
            $1, $2 from calls where ended_ms is null";
        let end = "update calls set ended_by = $1, end_reason = $2, ended_ms = coalesce(\
            (select max(at_ms) from call_events where call_id = id and at_ms < $3), started_ms) \
            where ended_ms is null";
        let closed = on_pool!(&self.pool, |pool, begin| {
            let mut transaction = pool.begin_with(begin).await?;
            for ((call, seq, at, _), fact) in added.iter().zip(&facts) {
                let add = sqlx::query(add_fact).bind(call.to_string()).bind(*seq);
                add.bind(at.0).bind(fact).execute(&mut *transaction).await?;
            }
            for rows in stays.chunks(ROWS_PER_STATEMENT) {
                let query = &mut add_visits(rows);
                query.build().persistent(false).execute(&mut *transaction).await?;
            }
            for rows in talks.chunks(ROWS_PER_STATEMENT) {
                let query = &mut add_conversations(rows);
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

    /// What was written of the calls that are up, and of those after which an operator is still in the
    /// wrap-up.
    async fn lives_cut_off(&self, now: Timestamp) -> Result<Vec<(CallId, Life)>, DatabaseError> {
        let sql = "select call_id, seq, at_ms, fact from call_events where call_id in (\
            select id from calls where ended_ms is null union \
            select v.call_id from visits v where v.entered_ms >= $1 and v.operator is not null \
            and not exists (select 1 from conversations c where c.call_id = v.call_id)) \
            order by call_id, seq";
        let since = now.minus_ms(CONVERSATIONS_WITHIN_MS);
        let events: Vec<(String, i64, i64, String)> =
            on_pool!(&self.pool, |pool| sqlx::query_as(sql).bind(since.0).fetch_all(pool).await?);
        let mut lives: BTreeMap<String, Life> = BTreeMap::new();
        for (call, seq, at_ms, fact) in events {
            // A fact that this version does not know was written by another one.
            if let Ok(fact) = serde_json::from_str(&fact) {
                lives.entry(call).or_default().push((seq, Timestamp(at_ms), fact));
            }
        }
        let lives = lives.into_iter().map(|(call, life)| Ok((CallId(uuid(&call)?), life)));
        Ok(lives.collect::<Result<_, sqlx::Error>>()?)
    }
}

/// Adds to a life what nobody could write any more.
fn add_endings<'a>(life: &mut Life, recordings: impl Iterator<Item = &'a LostRecording>) {
    let add = |life: &mut Life, at: Timestamp, fact: CallFact| {
        let last = life.last().map_or(0, |(seq, ..)| *seq);
        life.push((last + 1, at, fact));
    };
    for recording in recordings {
        let ended = recording.began.plus_ms(recording.note.length_ms);
        add(life, ended, CallFact::Recorded(recording.note.clone()));
    }
    if let Some(visit) = unended_stay(life) {
        add(life, visit.entered.plus_ms(visit.wait_ms), CallFact::LeftLine(visit));
    }
    for talk in unended_conversations(life) {
        add(life, talk.began.plus_ms(talk.talk_ms), CallFact::Conversed(talk));
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

/// The conversations, and the wrap-ups after them, that the server's end cut short. How long somebody
/// held, and what was still to be done afterwards, is not known.
fn unended_conversations(life: &Life) -> Vec<Conversation> {
    /// Who talks, since when, until when if that is over.
    type Talk = (Login, Timestamp, Option<Timestamp>);
    let mut talks: Vec<Talk> = Vec::new();
    let mut group = None;
    for (_, at, fact) in life {
        match fact {
            CallFact::LeftLine(visit) => group = Some(visit.group.clone()),
            CallFact::Connected { operator } => talks.push((operator.clone(), *at, None)),
            CallFact::Conversed(over) => talks.retain(|(operator, ..)| *operator != over.operator),
            CallFact::Transferred { .. } | CallFact::Ended { .. } => {
                for (_, _, until) in &mut talks {
                    until.get_or_insert(*at);
                }
            }
            CallFact::Offered { .. }
            | CallFact::Placed { .. }
            | CallFact::Answered
            | CallFact::Step { .. }
            | CallFact::Said { .. }
            | CallFact::Key { .. }
            | CallFact::Entered { .. }
            | CallFact::LookedUp { .. }
            | CallFact::Queued { .. }
            | CallFact::Decided(_)
            | CallFact::NotTaken { .. }
            | CallFact::Asked { .. }
            | CallFact::Recorded(_)
            | CallFact::Promised { .. }
            | CallFact::NotReached { .. }
            | CallFact::Rtp(_) => {}
        }
    }
    let last_heard_of = life.iter().map(|(_, at, _)| *at).max().unwrap_or_default();
    let lost = |(operator, began, until): Talk| Conversation {
        operator,
        group: group.clone(),
        began,
        talk_ms: until.unwrap_or(last_heard_of).since(began),
        hold_ms: 0,
        wrap_up_ms: 0,
        topic: None,
    };
    talks.into_iter().map(lost).collect()
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

    #[test]
    fn who_talked_or_wrote_things_down_afterwards_is_counted() {
        let connected = |login: &str| CallFact::Connected { operator: login.parse().unwrap() };
        let left = || CallFact::LeftLine(stay("support", Origin::Called, at(0), 1_000));
        let talk = |login: &str, began: i64, talk_ms| Conversation {
            operator: login.parse().unwrap(),
            group: Some("support".into()),
            began: at(began),
            talk_ms,
            hold_ms: 0,
            wrap_up_ms: 0,
            topic: None,
        };
        let talks = |facts: Vec<CallFact>| {
            let life = (0..).zip(facts).map(|(n, fact)| (n, at(n), fact)).collect();
            unended_conversations(&life)
        };
        let ended = CallFact::Ended { by: EndedBy::Caller, reason: EndReason::HungUp };
        let key = || CallFact::Promised {
            promise: crate::domain::PromiseKind::RatingCall,
            due: String::new(),
            number: None,
        };
        assert_eq!(talks(vec![left(), connected("anna"), key()]), [talk("anna", 1, 1_000)]);
        assert_eq!(talks(vec![left(), connected("anna"), ended, key()]), [talk("anna", 1, 1_000)]);
        let over = CallFact::Conversed(talk("anna", 1, 1_000));
        assert_eq!(talks(vec![left(), connected("anna"), over]), []);
        let transferred = CallFact::Transferred {
            by: "anna".parse().unwrap(),
            to: "202".into(),
            attended: false,
        };
        let life = vec![left(), connected("anna"), key(), transferred, connected("boris"), key()];
        assert_eq!(talks(life), [talk("anna", 1, 2_000), talk("boris", 4, 1_000)]);
    }

    #[test]
    fn a_call_is_heard_of_to_the_end_of_its_recording() {
        let connected = CallFact::Connected { operator: "anna".parse().unwrap() };
        let file = "2026-11-22/a.wav".to_owned();
        let note = RecordingNote { file, length_ms: 60_000, paused: Vec::new(), problem: None };
        let call = CallId(uuid::Uuid::from_u128(1));
        let recording = LostRecording { call, began: at(2), note: note.clone() };
        let mut life = vec![(1, at(1), connected)];
        add_endings(&mut life, [&recording].into_iter());
        let [_, (2, ended, CallFact::Recorded(told)), (3, _, CallFact::Conversed(talk))] =
            &life[..]
        else {
            panic!("{life:?}")
        };
        assert_eq!((*ended, told, talk.talk_ms), (at(62), &note, 61_000));
    }
}
