//! A circuit breaker: after failures in a row, the CRM is left in peace for a while.
//!
//! ```text
//! closed ── `failures_max` failures in a row ──▶ open ── `rest` is over, next question ──▶ probing
//!    ▲                                            ▲                                          │
//!    │                                            └──────────────── the probe failed ────────┤
//!    └────────────────────────────────────────────────────────────── the probe succeeded ────┘
//! ```
//!
//! While one question probes, others are refused. A probe that never came back (cancelled) lets the
//! next question probe.

use std::time::Duration;

/// The states. `I` is a moment: whatever clock the caller has, as time since some beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Duration },
    Probing,
}

/// Decides whether a question may be asked. `now` is the time since any fixed beginning.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    failures_max: u32,
    rest: Duration,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Answered,
    Failed,
    /// Nobody waited for the answer; it says nothing of the CRM.
    Cancelled,
}

impl Breaker {
    pub fn new(failures_max: u32, rest: Duration) -> Self {
        Self { state: State::Closed { failures: 0 }, failures_max, rest }
    }

    /// Whether to ask now. After `true`, [`Breaker::ended`] must follow.
    pub fn admits(&mut self, now: Duration) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                true
            }
            State::Open { .. } | State::Probing => false,
        }
    }

    /// A question that was admitted came to its end. True if this changed whether the CRM is asked.
    pub fn ended(&mut self, verdict: Verdict, now: Duration) -> bool {
        let before = self.is_closed();
        self.state = match (verdict, self.state) {
            (Verdict::Answered, _) => State::Closed { failures: 0 },
            (Verdict::Failed, State::Closed { failures }) if failures + 1 < self.failures_max => {
                State::Closed { failures: failures + 1 }
            }
            (Verdict::Failed, State::Closed { .. } | State::Probing) => {
                State::Open { until: now + self.rest }
            }
            (Verdict::Cancelled, State::Probing) => State::Open { until: now },
            // Asked before it opened; the rest has begun already.
            (Verdict::Failed | Verdict::Cancelled, state @ State::Open { .. })
            | (Verdict::Cancelled, state @ State::Closed { .. }) => state,
        };
        before != self.is_closed()
    }

    /// Whether everything is well.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to the breaker, one word each: `ask` (and what it must answer), or an end.
    enum Step {
        Ask(bool),
        End(Verdict),
    }
    use Step::{Ask, End};
    use Verdict::{Answered, Cancelled, Failed};

    fn play(steps: &[(u64, Step)]) {
        let mut breaker = Breaker::new(3, Duration::from_secs(5));
        for (number, (second, step)) in steps.iter().enumerate() {
            let now = Duration::from_secs(*second);
            match step {
                Ask(admitted) => assert_eq!(breaker.admits(now), *admitted, "step {number}"),
                End(verdict) => {
                    breaker.ended(*verdict, now);
                }
            }
        }
    }

    #[test]
    fn three_failures_in_a_row_open_it_for_five_seconds() {
        play(&[
            (0, Ask(true)),
            (0, End(Failed)),
            (1, Ask(true)),
            (1, End(Failed)),
            (2, Ask(true)),
            (2, End(Failed)),
            (2, Ask(false)),
            (6, Ask(false)),
            (7, Ask(true)),  // the probe
            (7, Ask(false)), // one at a time
            (8, End(Answered)),
            (8, Ask(true)),
            (8, Ask(true)),
        ]);
    }

    #[test]
    fn an_answer_forgives_the_failures_before() {
        play(&[
            (0, End(Failed)),
            (0, End(Failed)),
            (1, End(Answered)),
            (2, End(Failed)),
            (2, End(Failed)),
            (2, Ask(true)),
        ]);
    }

    #[test]
    fn a_failed_probe_begins_a_new_rest_and_a_cancelled_one_does_not() {
        play(&[
            (0, End(Failed)),
            (0, End(Failed)),
            (0, End(Failed)),
            (5, Ask(true)),
            (6, End(Failed)),
            (10, Ask(false)),
            (11, Ask(true)),
            (12, End(Cancelled)),
            (12, Ask(true)),
        ]);
    }

    #[test]
    fn failures_of_old_questions_do_not_prolong_the_rest() {
        play(&[
            (0, End(Failed)),
            (0, End(Failed)),
            (0, End(Failed)),
            (4, End(Failed)),
            (4, End(Cancelled)),
            (5, Ask(true)),
        ]);
    }
}
