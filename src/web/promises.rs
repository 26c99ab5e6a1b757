//! What the house owes to customers, and its robots, as `/api/promises` and `/api/robots` tell it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::state::Masked;
use crate::domain::{Promise, PromiseId, PromiseKind, PromiseState, Timestamp};

/// Promises that are told in one answer; those that are due later are only counted.
pub(super) const PROMISES_SHOWN_MAX: usize = 1_000;

/// What is owed now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PromisesNow {
    /// Promises that are not over.
    pub open: u64,
    /// Those of them that are late, or will be.
    pub late: u64,
    /// The first 1,000 by due time.
    pub promises: Vec<PromiseView>,
}

impl PromisesNow {
    /// `open`: all promises that are not over, in any order.
    pub(super) fn of(mut open: Vec<PromiseView>) -> Self {
        open.sort_by_key(|view| (view.due, view.promise));
        let late = open.iter().filter(|view| view.late).count() as u64;
        let count = open.len() as u64;
        open.truncate(PROMISES_SHOWN_MAX);
        Self { open: count, late, promises: open }
    }
}

/// A promise. Its times are those of the wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PromiseView {
    pub promise: PromiseId,
    pub kind: PromiseKind,
    /// The survey, robot or incident of the plan; empty for callbacks.
    pub name: String,
    pub phone: Masked,
    /// Whose operators talk with the customer.
    pub group: Option<String>,
    pub state: PromiseState,
    pub made: Timestamp,
    pub due: Timestamp,
    /// It will be late unless somebody sees to it, or is.
    pub late: bool,
    /// Not tried before; `null`: as soon as it is allowed.
    pub next_at: Option<Timestamp>,
    /// How often the customer was called.
    pub attempts: u32,
    /// Why it stands as it does, for people.
    pub note: String,
    /// Made on the clock of a rehearsal.
    pub rehearsal: bool,
}

impl PromiseView {
    /// The promise as it stands when the wall clock says `now`.
    pub fn of(promise: &Promise, now: Timestamp) -> Self {
        let is_met = promise.state == PromiseState::Talking || promise.contacted.is_some();
        Self {
            promise: promise.id,
            kind: promise.kind,
            name: promise.name.clone(),
            phone: Masked::from(&promise.phone),
            group: promise.group.clone(),
            state: promise.state,
            made: promise.made,
            due: promise.due,
            late: promise.state == PromiseState::Broken
                || (!promise.state.is_over()
                    && !is_met
                    && (promise.escalated || now > promise.due)),
            next_at: promise.next_at,
            attempts: promise.attempts,
            note: promise.note.clone(),
            rehearsal: promise.rehearsal,
        }
    }
}

/// A robot of the plan and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RobotView {
    pub name: String,
    pub stopped: bool,
    /// Promises made since then are counted below.
    pub since: Timestamp,
    /// Not over yet.
    pub left: u64,
    /// Calls that are up.
    pub up: u64,
    /// Over, however they ended.
    pub done: u64,
    /// The customer pressed a key.
    pub answered: u64,
    /// The customer wants no more such calls.
    pub opted_out: u64,
    /// When the last one will probably be done; `null`: nobody can tell yet.
    pub ends: Option<Timestamp>,
}

/// What `POST /api/robots/{name}/stop` and `…/resume` answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Switched {
    pub name: String,
    pub stopped: bool,
}

/// Figures of what is owed, for Prometheus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromiseFigures {
    /// Not over.
    pub open: BTreeMap<PromiseKind, u64>,
    /// Not over, past the due time, and nobody has spoken with the customer.
    pub late: BTreeMap<PromiseKind, u64>,
    /// Over since the server was started, by how they ended.
    pub over: BTreeMap<(PromiseKind, PromiseState), u64>,
    /// Calls of each robot of the plan.
    pub robot_calls_up: BTreeMap<String, u64>,
    /// Whether each trunk can be used.
    pub trunk_up: BTreeMap<String, bool>,
}
