//! What a refusal of a provider says: that another way should be tried, or the last word about the
//! number.
//!
//! | answer | before 180 | after 180 or 183 |
//! |---|---|---|
//! | 486, 600 | busy | busy |
//! | 404, 410, 484, 604 | no such number | no such number |
//! | 603, 607, 608 | blocked | blocked |
//! | 480 | another way, then no answer | no answer |
//! | 408 | another way | no answer |
//! | 487 | failed | no answer |
//! | 500, 502, 503, 504, silence, broken connection | another way | failed |
//! | 401, 402, 403, 407: we are refused, not the number | another way | congested |
//! | all others | failed | failed |
//!
//! After 180 or 183 no other way is tried: the customer's phone has rung, and must not ring twice for
//! one call. A redirection (3xx) is not followed: it would take the call to a number that nobody here
//! chose.

use super::super::message::Status;
use crate::domain::RingOutcome;

/// What comes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This way did not lead to the number; the outcome if there is no other.
    TryNext(RingOutcome),
    Final(RingOutcome),
}

/// Judges a final answer; `rang`: 180 or 183 came before.
pub fn of(status: Status, rang: bool) -> Verdict {
    match status.code() {
        486 | 600 => Verdict::Final(RingOutcome::Busy),
        404 | 410 | 484 | 604 => Verdict::Final(RingOutcome::Unallocated),
        603 | 607 | 608 => Verdict::Final(RingOutcome::Blocked),
        408 | 480 | 487 if rang => Verdict::Final(RingOutcome::NoAnswer),
        // The network of the number has spoken: its phone is switched off, most likely.
        480 => Verdict::TryNext(RingOutcome::NoAnswer),
        408 | 500 | 502..=504 if !rang => Verdict::TryNext(RingOutcome::Congested),
        401..=403 | 407 if !rang => Verdict::TryNext(RingOutcome::Congested),
        _ => Verdict::Final(RingOutcome::Failed),
    }
}

/// No answer at all, or the connection broke.
pub fn of_silence(rang: bool) -> Verdict {
    if rang {
        Verdict::Final(RingOutcome::Failed)
    } else {
        Verdict::TryNext(RingOutcome::Congested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_nothing_of_the_number_leads_to_another_way() {
        let verdict = |code, rang| of(Status::new(code).unwrap(), rang);
        for code in 300..700 {
            let tried = matches!(verdict(code, false), Verdict::TryNext(_));
            let expected =
                matches!(code, 401 | 402 | 403 | 407 | 408 | 480 | 500 | 502 | 503 | 504);
            assert_eq!(tried, expected, "{code}");
            assert!(matches!(verdict(code, true), Verdict::Final(_)), "{code} after 180");
        }
    }

    #[test]
    fn each_answer_has_the_outcome_that_reports_count() {
        for (code, rang, outcome) in [
            (486, false, RingOutcome::Busy),
            (600, true, RingOutcome::Busy),
            (404, false, RingOutcome::Unallocated),
            (484, false, RingOutcome::Unallocated),
            (603, true, RingOutcome::Blocked),
            (607, false, RingOutcome::Blocked),
            (480, true, RingOutcome::NoAnswer),
            (408, true, RingOutcome::NoAnswer),
            (503, true, RingOutcome::Failed),
            (488, false, RingOutcome::Failed),
            (302, false, RingOutcome::Failed),
        ] {
            assert_eq!(of(Status::new(code).unwrap(), rang), Verdict::Final(outcome), "{code}");
        }
    }
}
