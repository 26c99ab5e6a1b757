//! What is to be stored → statements, in one transaction. Writing the same batch again changes
//! nothing, so that a commit whose answer was lost does no harm.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use super::super::calls::uuid;
use super::super::statements::{Cell, Statement, execute};
use crate::database::{Pool, on_pool};
use crate::domain::{
    Attempt, CallId, DoNotCall, Login, PhoneNumber, Promise, PromiseId, Rating, Timestamp,
};

/// Ids of one query.
const IDS_PER_QUERY: usize = 1_000;
/// Characters of one entry of the register; longer ones are cut.
const SAID_MAX: usize = 500;

/// Something to be stored, and when it was so.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub at: Timestamp,
    pub note: Note,
}

#[derive(Clone, Debug)]
pub(super) enum Note {
    Promise(Box<Promise>),
    Attempt(Attempt),
    Rating { given_in: CallId, rating: Rating, rehearsal: bool },
    Forbid { forbidden: DoNotCall, source: String },
    Consent { phone: PhoneNumber, said: String },
    EventTaken { key: String },
    CrmWrite { id: Uuid, call: CallId, phone: PhoneNumber, what: String },
}

/// Writes all or nothing. Returns the promises that were not kept because another one came of the
/// same event. `base` is added to numbers of the history; it is read the first time.
pub(super) async fn write(
    pool: &Pool,
    base: &mut Option<i64>,
    batch: &[(i64, Noted)],
) -> Result<Vec<PromiseId>, sqlx::Error> {
    let latest = latest_promises(batch);
    Ok(on_pool!(pool, |pool, begin| {
        let mut transaction = pool.begin_with(begin).await?;
        let from = match *base {
            Some(from) => from,
            None => {
                let sql = "select coalesce(max(seq), 0) from promise_history";
                *base.insert(sqlx::query_scalar(sql).fetch_one(&mut *transaction).await?)
            }
        };
        let mut known = BTreeSet::new();
        let mut repeated = Vec::new();
        // First who is there, then, after the new ones were added, who is not.
        for round in ["known", "added"] {
            let asked = || latest.iter().filter(|p| round == "known" || !known.contains(&p.id));
            let mut found = BTreeSet::new();
            for ids in asked().collect::<Vec<_>>().chunks(IDS_PER_QUERY) {
                let mut query = sqlx::QueryBuilder::new("select id from promises where id in (");
                let mut list = query.separated(", ");
                for promise in ids {
                    list.push_bind(promise.id.to_string());
                }
                query.push(")");
                let query = query.build_query_scalar::<String>().persistent(false);
                for id in query.fetch_all(&mut *transaction).await? {
                    found.insert(PromiseId(uuid(&id)?));
                }
            }
            if round == "added" {
                repeated.extend(asked().map(|p| p.id).filter(|id| !found.contains(id)));
                break;
            }
            known = found;
            for statement in &promises(&latest, &known) {
                execute!(&mut *transaction, statement);
            }
        }
        for statement in &others(batch, from, &repeated) {
            execute!(&mut *transaction, statement);
        }
        transaction.commit().await?;
        repeated
    }))
}

/// Each promise of a batch as it stood last, in the order in which they came.
fn latest_promises(batch: &[(i64, Noted)]) -> Vec<&Promise> {
    let mut latest: Vec<&Promise> = Vec::new();
    let mut place: BTreeMap<PromiseId, usize> = BTreeMap::new();
    for (_, noted) in batch {
        let Note::Promise(promise) = &noted.note else { continue };
        match place.get(&promise.id) {
            Some(&index) => latest[index] = promise,
            None => {
                place.insert(promise.id, latest.len());
                latest.push(promise);
            }
        }
    }
    latest
}

/// New promises are added, known ones changed.
fn promises(latest: &[&Promise], known: &BTreeSet<PromiseId>) -> Vec<Statement> {
    let is_known = |promise: &&&Promise| known.contains(&promise.id);
    let new: Vec<Vec<Cell>> =
        latest.iter().filter(|promise| !is_known(promise)).map(|p| new_row(p)).collect();
    let changed: Vec<Vec<Cell>> = latest.iter().filter(is_known).map(|p| changed_row(p)).collect();
    let add = "insert into promises (id, kind, name, phone, grp, script, made_ms, due_ms, next_ms, \
               contacted_ms, ended_ms, state, attempts, not_counted, place, about, event, \
               escalated, overdue, note, rehearsal) ";
    let change = "update promises set grp = $2, due_ms = $3, next_ms = $4, contacted_ms = $5, \
                  ended_ms = $6, state = $7, attempts = $8, not_counted = $9, place = $10, \
                  about = $11, escalated = $12, overdue = $13, note = $14 where id = $1";
    Statement::inserts(add, &new, " on conflict do nothing")
        .chain([Statement::Each { sql: change, rows: changed }])
        .collect()
}

fn new_row(promise: &Promise) -> Vec<Cell> {
    vec![
        promise.id.to_string().into(),
        promise.kind.name().into(),
        promise.name.as_str().into(),
        promise.phone.as_str().into(),
        promise.group.as_deref().into(),
        promise.script.as_str().into(),
        promise.made.into(),
        promise.due.into(),
        promise.next_at.into(),
        promise.contacted.into(),
        promise.ended.into(),
        promise.state.name().into(),
        promise.attempts.into(),
        promise.not_counted.into(),
        promise.place.map(|place| json(&place)).as_deref().into(),
        json(&promise.about).into(),
        promise.event.as_deref().into(),
        promise.escalated.into(),
        promise.overdue.into(),
        promise.note.as_str().into(),
        promise.rehearsal.into(),
    ]
}

fn changed_row(promise: &Promise) -> Vec<Cell> {
    vec![
        promise.id.to_string().into(),
        promise.group.as_deref().into(),
        promise.due.into(),
        promise.next_at.into(),
        promise.contacted.into(),
        promise.ended.into(),
        promise.state.name().into(),
        promise.attempts.into(),
        promise.not_counted.into(),
        promise.place.map(|place| json(&place)).as_deref().into(),
        json(&promise.about).into(),
        promise.escalated.into(),
        promise.overdue.into(),
        promise.note.as_str().into(),
    ]
}

/// Everything but the promises themselves.
fn others(batch: &[(i64, Noted)], from: i64, repeated: &[PromiseId]) -> Vec<Statement> {
    let mut history = Vec::new();
    let mut attempts = BTreeMap::new();
    let mut ratings = BTreeMap::new();
    let mut forbidden = Vec::new();
    let mut consents = Vec::new();
    let mut taken = Vec::new();
    let mut writes = Vec::new();
    for (number, Noted { at, note }) in batch {
        match note {
            Note::Promise(promise) if repeated.contains(&promise.id) => {}
            Note::Promise(promise) => history.push(history_row(promise, from + number, *at)),
            Note::Attempt(attempt) => {
                attempts.insert((attempt.promise, attempt.number), attempt_row(attempt));
            }
            Note::Rating { given_in, rating, rehearsal } => {
                let row = rating_row(*given_in, rating, *at, *rehearsal);
                ratings.insert((*given_in, &rating.survey), row);
            }
            Note::Forbid { forbidden: DoNotCall { phone, robot }, source } => {
                let robot = robot.as_deref().unwrap_or_default();
                let row = [phone.as_str().into(), robot.into(), source.as_str().into()];
                forbidden.push([row.to_vec(), vec![(*at).into()]].concat());
                consents.push(consent_row(phone, &forbade(robot, source), *at));
            }
            Note::Consent { phone, said } => consents.push(consent_row(phone, said, *at)),
            Note::EventTaken { key } => taken.push(vec![key.as_str().into(), (*at).into()]),
            Note::CrmWrite { id, call, phone, what } => writes.push(vec![
                id.to_string().into(),
                (*at).into(),
                call.to_string().into(),
                phone.as_str().into(),
                what.as_str().into(),
                "pending".into(),
                0_i64.into(),
            ]),
        }
    }
    let (attempts, ratings): (Vec<_>, Vec<_>) =
        (attempts.into_values().collect(), ratings.into_values().collect());
    let inserts = [
        (ADD_HISTORY, history, " on conflict do nothing"),
        (ADD_ATTEMPTS, attempts, END_ATTEMPTS),
        (ADD_RATINGS, ratings, CHANGE_RATINGS),
        (ADD_FORBIDDEN, forbidden, " on conflict do nothing"),
        (ADD_CONSENTS, consents, " on conflict do nothing"),
        (ADD_WRITES, writes, " on conflict do nothing"),
    ];
    let taken = Statement::Each { sql: TAKE_EVENT, rows: taken };
    let insert = |(into, rows, on_conflict): &(&'static str, Vec<Vec<Cell>>, &'static str)| {
        Statement::inserts(into, rows, on_conflict).collect::<Vec<_>>()
    };
    inserts.iter().flat_map(insert).chain([taken]).collect()
}

const ADD_HISTORY: &str = "insert into promise_history \
    (promise, seq, at_ms, state, due_ms, next_ms, attempts, escalated, note) ";
const ADD_ATTEMPTS: &str =
    "insert into attempts (promise, number, call_id, at_ms, outcome, ended_ms, operator) ";
const END_ATTEMPTS: &str = " on conflict (promise, number) do update set \
    call_id = excluded.call_id, at_ms = excluded.at_ms, outcome = excluded.outcome, \
    ended_ms = excluded.ended_ms, operator = excluded.operator";
const ADD_RATINGS: &str = "insert into ratings \
    (given_in, survey, score, call_id, promise, operator, grp, topic, at_ms, rehearsal) ";
const CHANGE_RATINGS: &str = " on conflict (given_in, survey) do update set \
    score = excluded.score, at_ms = excluded.at_ms";
pub(in super::super) const ADD_FORBIDDEN: &str =
    "insert into do_not_call (phone, robot, source, at_ms) ";
pub(in super::super) const ADD_CONSENTS: &str = "insert into consents (phone, at_ms, said) ";
const ADD_WRITES: &str = "insert into crm_writes (id, at_ms, call_id, phone, what, status, tries) ";
const TAKE_EVENT: &str = "update shop_events set taken_ms = $2 where key = $1 and taken_ms is null";

/// As the register says it.
pub(in super::super) fn forbade(robot: &str, source: &str) -> String {
    match robot {
        "" => format!("no calls by robots any more: {source}"),
        robot => format!("no calls by {robot} any more: {source}"),
    }
}

fn history_row(promise: &Promise, number: i64, at: Timestamp) -> Vec<Cell> {
    vec![
        promise.id.to_string().into(),
        number.into(),
        at.into(),
        promise.state.name().into(),
        promise.due.into(),
        promise.next_at.into(),
        promise.attempts.into(),
        promise.escalated.into(),
        promise.note.as_str().into(),
    ]
}

fn attempt_row(attempt: &Attempt) -> Vec<Cell> {
    vec![
        attempt.promise.to_string().into(),
        attempt.number.into(),
        attempt.call.to_string().into(),
        attempt.at.into(),
        attempt.outcome.map(|outcome| outcome.name()).into(),
        attempt.ended.into(),
        attempt.operator.as_ref().map(Login::as_str).into(),
    ]
}

fn rating_row(given_in: CallId, rating: &Rating, at: Timestamp, rehearsal: bool) -> Vec<Cell> {
    vec![
        given_in.to_string().into(),
        rating.survey.as_str().into(),
        u32::from(rating.score).into(),
        rating.call.map(|call| call.to_string()).as_deref().into(),
        rating.promise.map(|promise| promise.to_string()).as_deref().into(),
        rating.operator.as_ref().map(Login::as_str).into(),
        rating.group.as_deref().into(),
        rating.topic.as_deref().into(),
        at.into(),
        rehearsal.into(),
    ]
}

pub(in super::super) fn consent_row(phone: &PhoneNumber, said: &str, at: Timestamp) -> Vec<Cell> {
    let said: String = said.chars().take(SAID_MAX).collect();
    vec![phone.as_str().into(), at.into(), said.into()]
}

/// Values of the domain always have a JSON.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
