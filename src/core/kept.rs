//! How promises were kept, in figures.
//!
//! A promise was kept in time if somebody began to talk with the customer before it was due. Of those
//! that ended otherwise, and of those that are overdue and still open, it was not. Cancelled ones
//! (the customer called and was spoken to, or wants no calls) and those that still have time are
//! neither.

use serde::Serialize;

use crate::domain::{Promise, PromiseState, Timestamp};

/// The counts of some promises. Counts of parts add up to those of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    pub made: u64,
    pub in_time: u64,
    /// Done, but too late.
    pub too_late: u64,
    pub given_up: u64,
    pub cancelled: u64,
    /// Not over, with time left.
    pub open: u64,
    /// Not over, and overdue.
    pub overdue: u64,
    /// From the promise to the conversation, of all that came to one.
    #[serde(skip)]
    contact_ms: Vec<u64>,
}

impl Kept {
    /// Counts a promise as it stands at `now`.
    pub fn add(&mut self, promise: &Promise, now: Timestamp) {
        self.made += 1;
        let count = match promise.state {
            PromiseState::Kept => &mut self.in_time,
            PromiseState::Broken => &mut self.too_late,
            PromiseState::GivenUp => &mut self.given_up,
            PromiseState::Cancelled => &mut self.cancelled,
            PromiseState::Open
            | PromiseState::Scheduled
            | PromiseState::Attempting
            | PromiseState::Talking => match is_overdue(promise, now) {
                true => &mut self.overdue,
                false => &mut self.open,
            },
        };
        *count += 1;
        if let Some(contacted) = promise.contacted {
            self.contact_ms.push(contacted.since(promise.made));
        }
    }

    /// What the share of those kept in time is a share of.
    pub fn decided(&self) -> u64 {
        self.in_time + self.too_late + self.given_up + self.overdue
    }

    /// From 0 to 1; `None`: nothing is decided yet.
    pub fn share(&self) -> Option<f64> {
        super::ratings::share(self.in_time, self.decided())
    }

    /// Half of those that came to a conversation came to it within this time (nearest rank).
    pub fn median_contact_ms(&self) -> Option<u64> {
        let mut sorted = self.contact_ms.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }
}

/// Whether it is not over, nobody talked with the customer yet, and the due time passed.
pub fn is_overdue(promise: &Promise, now: Timestamp) -> bool {
    !promise.state.is_over()
        && promise.contacted.is_none_or(|at| at > promise.due)
        && now > promise.due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{About, PhoneNumber, PromiseId, PromiseKind, Region};

    fn promise(state: PromiseState, contacted: Option<i64>) -> Promise {
        Promise {
            id: PromiseId(uuid::Uuid::nil()),
            kind: PromiseKind::CallbackMissed,
            name: String::new(),
            phone: PhoneNumber::parse("+79161112233", Region::default()).unwrap(),
            group: None,
            script: String::new(),
            made: Timestamp(0),
            due: Timestamp(100),
            state,
            next_at: None,
            attempts: 0,
            not_counted: 0,
            place: None,
            about: About::default(),
            event: None,
            contacted: contacted.map(Timestamp),
            ended: None,
            escalated: false,
            overdue: false,
            note: String::new(),
            rehearsal: false,
        }
    }

    #[test]
    fn given_up_and_overdue_count_against_those_kept_in_time() {
        let mut kept = Kept::default();
        for (state, contacted) in [
            (PromiseState::Kept, Some(10)),
            (PromiseState::Kept, Some(30)),
            (PromiseState::Broken, Some(200)),
            (PromiseState::Broken, Some(110)),
            (PromiseState::GivenUp, None),
            (PromiseState::Cancelled, None),
            (PromiseState::Scheduled, None),
            (PromiseState::Talking, Some(90)),
        ] {
            kept.add(&promise(state, contacted), Timestamp(101));
        }
        assert_eq!((kept.made, kept.in_time, kept.decided()), (8, 2, 6));
        assert_eq!((kept.overdue, kept.open, kept.cancelled), (1, 1, 1), "talking began in time");
        assert_eq!(kept.share(), Some(2.0 / 6.0));
        assert_eq!(kept.median_contact_ms(), Some(90));
        assert_eq!(Kept::default().share(), None);
        assert_eq!(Kept::default().median_contact_ms(), None);
    }

    #[test]
    fn the_due_moment_itself_is_in_time() {
        let open = promise(PromiseState::Open, None);
        assert!(!is_overdue(&open, Timestamp(100)));
        assert!(is_overdue(&open, Timestamp(101)));
    }
}
