//! Server transactions: RFC 3261 §17.2 with the Accepted state of RFC 6026 §7.1.
//!
//! | state | timer | after | meaning |
//! |---|---|---|---|
//! | Proceeding (INVITE) | Trying | 200 ms | the app is slow: 100 |
//! | Completed (INVITE) | G: Resend | T1, doubling to T2 | the final answer again |
//! | Completed (INVITE) | H: GiveUp | 64·T1 | no ACK came |
//! | Confirmed | I: Linger | T4 | absorbs more ACKs |
//! | Accepted | L: Linger | 64·T1 | absorbs retransmitted INVITEs; the 2xx is the leg's |
//! | Completed (others) | J: Linger | 64·T1 | answers retransmissions |
//!
//! I and J are 0 on a reliable carrier, and G does not run there.

use bytes::Bytes;

use super::super::message::Status;
use super::super::settings::Timing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    Trying,
    Resend,
    GiveUp,
    Linger,
}

pub type Step = super::Step<Timer>;

/// One request that came, and its answers.
#[derive(Debug)]
pub struct Transaction {
    state: State,
    reliable: bool,
    timing: Timing,
}

#[derive(Debug)]
enum State {
    /// Of an INVITE: no final answer yet. Holds the 100 until it is needed, then the last
    /// provisional answer.
    Proceeding { trying: Option<Bytes>, last: Option<Bytes> },
    /// Of an INVITE: a 2xx was sent.
    Accepted,
    /// Of an INVITE: another final answer was sent.
    Completed { response: Bytes, interval_ms: u64 },
    /// Of an INVITE: its ACK came.
    Confirmed,
    /// Of any other method: no answer yet.
    Trying,
    /// Of any other method.
    Answered { response: Bytes },
}

impl Transaction {
    /// An INVITE came; `trying` is the 100 that it gets if the app is slow.
    pub fn invite(trying: Bytes, reliable: bool, timing: Timing, steps: &mut Vec<Step>) -> Self {
        steps.push(Step::Arm { timer: Timer::Trying, after_ms: timing.trying_ms });
        let state = State::Proceeding { trying: Some(trying), last: None };
        Self { state, reliable, timing }
    }

    /// A request of another method came.
    pub fn other(reliable: bool, timing: Timing) -> Self {
        Self { state: State::Trying, reliable, timing }
    }

    /// Whether a final answer can still be given.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Proceeding { .. } | State::Trying)
    }

    /// The same request came again.
    pub fn repeated(&mut self, steps: &mut Vec<Step>) {
        match &self.state {
            State::Proceeding { last: Some(response), .. }
            | State::Completed { response, .. }
            | State::Answered { response } => steps.push(Step::Send(response.clone())),
            State::Proceeding { last: None, .. }
            | State::Accepted
            | State::Confirmed
            | State::Trying => {}
        }
    }

    /// We answer.
    pub fn respond(&mut self, status: Status, response: Bytes, steps: &mut Vec<Step>) {
        match &mut self.state {
            State::Proceeding { trying, last } if status.is_provisional() => {
                *trying = None;
                *last = Some(response.clone());
                steps.push(Step::Send(response));
            }
            State::Proceeding { .. } if status.is_success() => {
                self.state = State::Accepted;
                steps.push(Step::Send(response));
                self.linger(self.timing.give_up_ms(), steps);
            }
            State::Proceeding { .. } => {
                let interval_ms = self.timing.t1_ms;
                steps.push(Step::Send(response.clone()));
                self.state = State::Completed { response, interval_ms };
                if !self.reliable {
                    steps.push(Step::Arm { timer: Timer::Resend, after_ms: interval_ms });
                }
                let after_ms = self.timing.give_up_ms();
                steps.push(Step::Arm { timer: Timer::GiveUp, after_ms });
            }
            State::Trying if status.is_final() => {
                steps.push(Step::Send(response.clone()));
                self.state = State::Answered { response };
                let after_ms = if self.reliable { 0 } else { self.timing.give_up_ms() };
                self.linger(after_ms, steps);
            }
            State::Trying | State::Accepted => steps.push(Step::Send(response)),
            State::Completed { .. } | State::Confirmed | State::Answered { .. } => {}
        }
    }

    /// The ACK to a final answer other than 2xx came.
    pub fn acknowledged(&mut self, steps: &mut Vec<Step>) {
        if let State::Completed { .. } = self.state {
            self.state = State::Confirmed;
            let after_ms = if self.reliable { 0 } else { self.timing.t4_ms };
            self.linger(after_ms, steps);
        }
    }

    pub fn fired(&mut self, timer: Timer, steps: &mut Vec<Step>) {
        match (&mut self.state, timer) {
            (State::Proceeding { trying, last }, Timer::Trying) => {
                if let Some(trying) = trying.take() {
                    *last = Some(trying.clone());
                    steps.push(Step::Send(trying));
                }
            }
            (State::Completed { response, interval_ms }, Timer::Resend) => {
                *interval_ms = (*interval_ms * 2).min(self.timing.t2_ms);
                steps.push(Step::Send(response.clone()));
                steps.push(Step::Arm { timer: Timer::Resend, after_ms: *interval_ms });
            }
            (State::Completed { .. }, Timer::GiveUp) => {
                steps.extend([Step::TimedOut, Step::Finished]);
            }
            (State::Accepted | State::Confirmed | State::Answered { .. }, Timer::Linger) => {
                steps.push(Step::Finished);
            }
            (
                State::Proceeding { .. }
                | State::Accepted
                | State::Completed { .. }
                | State::Confirmed
                | State::Trying
                | State::Answered { .. },
                Timer::Trying | Timer::Resend | Timer::GiveUp | Timer::Linger,
            ) => {}
        }
    }

    fn linger(&self, after_ms: u64, steps: &mut Vec<Step>) {
        steps.push(if after_ms == 0 {
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

    fn steps(act: impl FnOnce(&mut Vec<Step>)) -> Vec<Step> {
        let mut steps = Vec::new();
        act(&mut steps);
        steps
    }

    fn invite(reliable: bool) -> Transaction {
        Transaction::invite(bytes("100"), reliable, Timing::default(), &mut Vec::new())
    }

    #[test]
    fn a_slow_answer_is_preceded_by_a_100() {
        let mut invite = invite(false);
        assert_eq!(steps(|s| invite.repeated(s)), []);
        assert_eq!(steps(|s| invite.fired(Timer::Trying, s)), [Step::Send(bytes("100"))]);
        assert_eq!(steps(|s| invite.fired(Timer::Trying, s)), []);
        assert_eq!(steps(|s| invite.repeated(s)), [Step::Send(bytes("100"))]);
    }

    #[test]
    fn a_refusal_is_repeated_until_its_ack() {
        let mut invite = invite(false);
        assert_eq!(
            steps(|s| invite.respond(Status::BUSY_HERE, bytes("486"), s)),
            [Step::Send(bytes("486")), arm(Timer::Resend, 500), arm(Timer::GiveUp, 32_000)]
        );
        for interval in [1_000, 2_000, 4_000, 4_000] {
            assert_eq!(
                steps(|s| invite.fired(Timer::Resend, s)),
                [Step::Send(bytes("486")), arm(Timer::Resend, interval)]
            );
        }
        assert_eq!(steps(|s| invite.repeated(s)), [Step::Send(bytes("486"))]);
        assert_eq!(steps(|s| invite.acknowledged(s)), [arm(Timer::Linger, 5_000)]);
        assert_eq!(steps(|s| invite.acknowledged(s)), []);
        assert_eq!(steps(|s| invite.fired(Timer::Resend, s)), []);
        assert_eq!(steps(|s| invite.fired(Timer::GiveUp, s)), []);
        assert_eq!(steps(|s| invite.fired(Timer::Linger, s)), [Step::Finished]);
    }

    #[test]
    fn a_refusal_that_is_never_acknowledged_times_out() {
        let mut invite = invite(true);
        let sent = steps(|s| invite.respond(Status::BUSY_HERE, bytes("486"), s));
        assert_eq!(sent, [Step::Send(bytes("486")), arm(Timer::GiveUp, 32_000)]);
        assert_eq!(steps(|s| invite.fired(Timer::GiveUp, s)), [Step::TimedOut, Step::Finished]);
    }

    #[test]
    fn an_accepted_invite_swallows_its_repetitions() {
        let mut invite = invite(false);
        assert_eq!(
            steps(|s| invite.respond(Status::OK, bytes("200"), s)),
            [Step::Send(bytes("200")), arm(Timer::Linger, 32_000)]
        );
        assert_eq!(steps(|s| invite.repeated(s)), []);
        assert_eq!(
            steps(|s| invite.respond(Status::OK, bytes("200"), s)),
            [Step::Send(bytes("200"))]
        );
        assert_eq!(steps(|s| invite.fired(Timer::Linger, s)), [Step::Finished]);
    }

    #[test]
    fn other_requests_answer_their_repetitions_for_a_while() {
        let mut bye = Transaction::other(false, Timing::default());
        assert_eq!(steps(|s| bye.repeated(s)), []);
        assert_eq!(
            steps(|s| bye.respond(Status::OK, bytes("200"), s)),
            [Step::Send(bytes("200")), arm(Timer::Linger, 32_000)]
        );
        assert_eq!(steps(|s| bye.repeated(s)), [Step::Send(bytes("200"))]);
        assert_eq!(steps(|s| bye.respond(Status::OK, bytes("again"), s)), []);
        let mut on_tcp = Transaction::other(true, Timing::default());
        assert_eq!(
            steps(|s| on_tcp.respond(Status::OK, bytes("200"), s)),
            [Step::Send(bytes("200")), Step::Finished]
        );
    }
}
