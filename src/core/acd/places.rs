//! Places that outlive a call: of callers who hung up and may come back.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::Timestamp;

use super::line::Rank;

/// Places of callers who hung up. With more, the one that would be lost soonest is forgotten.
const KEPT_PLACES_MAX: usize = 10_000;

/// Places kept for callers who hung up in the line.
#[derive(Debug, Default)]
pub(super) struct KeptPlaces {
    /// By group and caller.
    places: BTreeMap<(String, String), (Timestamp, Rank)>,
    ends: BTreeSet<(Timestamp, (String, String))>,
}

impl KeptPlaces {
    pub fn keep(&mut self, now: Timestamp, until: Timestamp, whose: (String, String), rank: Rank) {
        self.forget_old(now);
        self.forget(&whose);
        if self.places.len() >= KEPT_PLACES_MAX
            && let Some((_, oldest)) = self.ends.pop_first()
        {
            self.places.remove(&oldest);
        }
        self.ends.insert((until, whose.clone()));
        self.places.insert(whose, (until, rank));
    }

    /// The place of a caller, who has it again or loses it.
    pub fn take(&mut self, now: Timestamp, whose: &(String, String)) -> Option<Rank> {
        self.forget_old(now);
        self.forget(whose)
    }

    fn forget(&mut self, whose: &(String, String)) -> Option<Rank> {
        let (until, rank) = self.places.remove(whose)?;
        self.ends.remove(&(until, whose.clone()));
        Some(rank)
    }

    fn forget_old(&mut self, now: Timestamp) {
        while let Some((until, _)) = self.ends.first()
            && *until <= now
            && let Some((_, whose)) = self.ends.pop_first()
        {
            self.places.remove(&whose);
        }
    }
}
