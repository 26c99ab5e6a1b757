//! Client transactions: RFC 3261 §17.1 with the Accepted state of RFC 6026 §7.2.
//!
//! | state | timer | after | meaning |
//! |---|---|---|---|
//! | Calling | A: Resend | T1, doubling | the INVITE again |
//! | Trying | E: Resend | T1, doubling to T2 | the request again |
//! | Proceeding (others) | E: Resend | T2 | the request again |
//! | Calling, Trying, Proceeding (others) | B, F: GiveUp | 64·T1 | no final answer came |
//! | Completed (INVITE) | D: Linger | 64·T1 | acknowledges repeated refusals |
//! | Accepted (INVITE) | M: Linger | 64·T1 | passes repeated 2xx up, for another ACK |
//! | Completed (others) | K: Linger | T4 | swallows repeated answers |
//! | Abandoned (INVITE) | Linger | 64·T1 | takes a late answer; resends nothing |
//!
//! D and K are 0 on a reliable carrier, and A and E do not run there.

use bytes::Bytes;

use super::super::message::Status;
use super::super::settings::Timing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    Resend,
    GiveUp,
    Linger,
}

pub type Step = super::Step<Timer>;

/// A request of ours, and its answers.
#[derive(Debug)]
pub struct Transaction {
    invite: bool,
    state: State,
    reliable: bool,
    timing: Timing,
}

#[derive(Debug)]
enum State {
    /// Calling and Trying of RFC 3261.
    Sent {
        request: Bytes,
        interval_ms: u64,
    },
    Proceeding {
        request: Bytes,
    },
    Accepted,
    /// Refused; the ACK is kept for repetitions.
    Refused {
        ack: Bytes,
    },
    Completed,
    /// Nobody waits for the answer to this INVITE any more, but one may come.
    Abandoned,
}

impl Transaction {
    pub fn start(
        request: Bytes,
        invite: bool,
        reliable: bool,
        timing: Timing,
        steps: &mut Vec<Step>,
    ) -> Self {
        let interval_ms = timing.t1_ms;
        steps.push(Step::Send(request.clone()));
        if !reliable {
            steps.push(Step::Arm { timer: Timer::Resend, after_ms: interval_ms });
        }
        steps.push(Step::Arm { timer: Timer::GiveUp, after_ms: timing.give_up_ms() });
        Self { invite, state: State::Sent { request, interval_ms }, reliable, timing }
    }

    /// A response came; `true`: it is news. `ack` makes the ACK to a refused INVITE.
    pub fn response(
        &mut self,
        status: Status,
        ack: impl FnOnce() -> Bytes,
        steps: &mut Vec<Step>,
    ) -> bool {
        let timing = self.timing;
        match &self.state {
            State::Sent { request, .. } | State::Proceeding { request }
                if status.is_provisional() =>
            {
                self.state = State::Proceeding { request: request.clone() };
                true
            }
            State::Abandoned if status.is_provisional() => true,
            State::Sent { .. } | State::Proceeding { .. } | State::Abandoned => {
                if !self.invite {
                    self.state = State::Completed;
                    self.linger(timing.t4_ms, steps);
                } else if status.is_success() {
                    self.state = State::Accepted;
                    let after_ms = timing.give_up_ms();
                    steps.push(Step::Arm { timer: Timer::Linger, after_ms });
                } else {
                    let ack = ack();
                    steps.push(Step::Send(ack.clone()));
                    self.state = State::Refused { ack };
                    self.linger(timing.give_up_ms(), steps);
                }
                true
            }
            State::Accepted => status.is_success(),
            State::Refused { ack } => {
                if status.is_final() && !status.is_success() {
                    steps.push(Step::Send(ack.clone()));
                }
                false
            }
            State::Completed => false,
        }
    }

    pub fn fired(&mut self, timer: Timer, steps: &mut Vec<Step>) {
        match (&mut self.state, timer) {
            (State::Sent { request, interval_ms }, Timer::Resend) => {
                let longest = if self.invite { u64::MAX } else { self.timing.t2_ms };
                *interval_ms = (*interval_ms * 2).min(longest);
                steps.push(Step::Send(request.clone()));
                steps.push(Step::Arm { timer: Timer::Resend, after_ms: *interval_ms });
            }
            (State::Proceeding { request }, Timer::Resend) if !self.invite => {
                steps.push(Step::Send(request.clone()));
                let after_ms = self.timing.t2_ms;
                steps.push(Step::Arm { timer: Timer::Resend, after_ms });
            }
            // An INVITE that rings may ring on; others must be answered in time.
            (State::Sent { .. }, Timer::GiveUp) => steps.extend([Step::TimedOut, Step::Finished]),
            (State::Proceeding { .. }, Timer::GiveUp) if !self.invite => {
                steps.extend([Step::TimedOut, Step::Finished]);
            }
            (
                State::Accepted | State::Refused { .. } | State::Completed | State::Abandoned,
                Timer::Linger,
            ) => steps.push(Step::Finished),
            (
                State::Sent { .. }
                | State::Proceeding { .. }
                | State::Accepted
                | State::Refused { .. }
                | State::Completed
                | State::Abandoned,
                Timer::Resend | Timer::GiveUp | Timer::Linger,
            ) => {}
        }
    }

    /// The request, as long as it has no final answer.
    pub fn unanswered(&self) -> Option<&Bytes> {
        match &self.state {
            State::Sent { request, .. } | State::Proceeding { request } => Some(request),
            State::Accepted | State::Refused { .. } | State::Completed | State::Abandoned => None,
        }
    }

    /// Whether no final answer came, wanted or not.
    pub fn awaits_answer(&self) -> bool {
        matches!(self.state, State::Sent { .. } | State::Proceeding { .. } | State::Abandoned)
    }

    /// Nobody waits for the answer to this INVITE any more: it is not resent, and after 64·T1 no
    /// answer is expected (RFC 3261 §9.1).
    pub fn abandon(&mut self, steps: &mut Vec<Step>) {
        if self.unanswered().is_some() {
            self.state = State::Abandoned;
            steps.push(Step::Arm { timer: Timer::Linger, after_ms: self.timing.give_up_ms() });
        }
    }

    /// The carrier failed (RFC 3261 §17.1.4).
    pub fn failed(&mut self, steps: &mut Vec<Step>) {
        if let State::Sent { .. } | State::Proceeding { .. } = self.state {
            steps.push(Step::TimedOut);
        }
        steps.push(Step::Finished);
    }

    fn linger(&self, after_ms: u64, steps: &mut Vec<Step>) {
        steps.push(if self.reliable {
            Step::Finished
        } else {
            Step::Arm { timer: Timer::Linger, after_ms }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn arm(timer: Timer, after_ms: u64) -> Step {
        Step::Arm { timer, after_ms }
    }

    fn started(invite: bool) -> Transaction {
        Transaction::start(bytes("request"), invite, false, Timing::default(), &mut Vec::new())
    }

    fn fire(transaction: &mut Transaction, timer: Timer) -> Vec<Step> {
        let mut steps = Vec::new();
        transaction.fired(timer, &mut steps);
        steps
    }

    fn answer(transaction: &mut Transaction, code: u16) -> (bool, Vec<Step>) {
        let mut steps = Vec::new();
        let status = Status::new(code).unwrap();
        let news = transaction.response(status, || bytes("ACK"), &mut steps);
        (news, steps)
    }

    #[test]
    fn a_request_is_repeated_at_growing_intervals_and_then_given_up() {
        let mut bye = started(false);
        for interval in [1_000, 2_000, 4_000, 4_000] {
            let sent = fire(&mut bye, Timer::Resend);
            assert_eq!(sent, [Step::Send(bytes("request")), arm(Timer::Resend, interval)]);
        }
        assert_eq!(fire(&mut bye, Timer::GiveUp), [Step::TimedOut, Step::Finished]);
    }

    #[test]
    fn an_answer_ends_the_repetitions() {
        let mut bye = started(false);
        assert_eq!(answer(&mut bye, 100), (true, vec![]));
        let sent = fire(&mut bye, Timer::Resend);
        assert_eq!(sent, [Step::Send(bytes("request")), arm(Timer::Resend, 4_000)]);
        assert_eq!(answer(&mut bye, 200), (true, vec![arm(Timer::Linger, 5_000)]));
        assert_eq!(answer(&mut bye, 200), (false, vec![]));
        assert_eq!(fire(&mut bye, Timer::Resend), []);
        assert_eq!(fire(&mut bye, Timer::GiveUp), []);
        assert_eq!(fire(&mut bye, Timer::Linger), [Step::Finished]);
    }

    #[test]
    fn a_refused_invite_is_acknowledged_each_time() {
        let mut invite = started(true);
        let ack = Step::Send(bytes("ACK"));
        let refused = answer(&mut invite, 486);
        assert_eq!(refused, (true, vec![ack.clone(), arm(Timer::Linger, 32_000)]));
        assert_eq!(answer(&mut invite, 486), (false, vec![ack]));
    }

    #[test]
    fn an_abandoned_invite_is_not_resent_but_takes_its_answer() {
        let mut invite = started(true);
        let mut steps = Vec::new();
        invite.abandon(&mut steps);
        assert_eq!(steps, [arm(Timer::Linger, 32_000)]);
        assert_eq!(fire(&mut invite, Timer::Resend), []);
        assert_eq!(fire(&mut invite, Timer::GiveUp), []);
        assert_eq!(answer(&mut invite, 180), (true, vec![]));
        assert!(answer(&mut invite, 487).0);
        assert_eq!(fire(&mut invite, Timer::Linger), [Step::Finished]);
    }

    #[test]
    fn each_2xx_of_an_invite_is_passed_up() {
        let mut invite = started(true);
        assert_eq!(answer(&mut invite, 180), (true, vec![]));
        assert_eq!(fire(&mut invite, Timer::Resend), []);
        assert_eq!(fire(&mut invite, Timer::GiveUp), []);
        assert_eq!(answer(&mut invite, 200), (true, vec![arm(Timer::Linger, 32_000)]));
        assert_eq!(answer(&mut invite, 200), (true, vec![]));
        assert_eq!(fire(&mut invite, Timer::Linger), [Step::Finished]);
    }
}
