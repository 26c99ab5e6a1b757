//! How many promises are open, and how many of them are late.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Promise, PromiseId, PromiseKind, Timestamp};

/// Figures for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub open: BTreeMap<PromiseKind, usize>,
    /// Open, past due, and nobody has spoken with the customer.
    pub late: BTreeMap<PromiseKind, usize>,
    /// How long the oldest of the late ones has been due.
    pub overdue_ms: u64,
}

/// Counts as promises come and go.
#[derive(Debug, Default)]
pub(super) struct Tally {
    open: BTreeMap<PromiseKind, usize>,
    late: BTreeSet<(Timestamp, PromiseId)>,
    late_of: BTreeMap<PromiseKind, usize>,
}

impl Tally {
    pub fn opened(&mut self, promise: &Promise) {
        *self.open.entry(promise.kind).or_default() += 1;
    }

    /// Its due time passed.
    pub fn is_late(&mut self, promise: &Promise) {
        if self.late.insert((promise.due, promise.id)) {
            *self.late_of.entry(promise.kind).or_default() += 1;
        }
    }

    /// It is not late any more: somebody speaks with the customer, or it has another due time.
    pub fn not_late(&mut self, promise: &Promise) {
        if self.late.remove(&(promise.due, promise.id)) {
            reduce(&mut self.late_of, promise.kind);
        }
    }

    pub fn over(&mut self, promise: &Promise) {
        self.not_late(promise);
        reduce(&mut self.open, promise.kind);
    }

    pub fn counts(&self, wall: Timestamp) -> Counts {
        let overdue_ms = self.late.first().map_or(0, |(due, _)| wall.since(*due));
        Counts { open: self.open.clone(), late: self.late_of.clone(), overdue_ms }
    }
}

fn reduce(counts: &mut BTreeMap<PromiseKind, usize>, kind: PromiseKind) {
    if let Some(count) = counts.get_mut(&kind) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&kind);
        }
    }
}
