//! What comes back to our requests.

use std::time::Duration;

use super::{GIVE_UP, Output, Pending, Signalling, State, T2};
use crate::domain::Direction;
use crate::phone::sdp;
use crate::phone::timeline::{Ending, PhoneEvent};
use crate::phone::wire::Incoming;

impl Signalling {
    pub(super) fn response(&mut self, now: Duration, message: &Incoming, code: u16, reason: &str) {
        let (sequence, method) = &message.cseq;
        if method == "INVITE" && code >= 200 && self.acks.iter().any(|(acked, _)| acked == sequence)
        {
            return self.repeat_ack(*sequence);
        }
        let position = self.pending.iter().position(|pending| {
            pending.sequence == *sequence
                && pending.method == method
                && message.branch.as_deref() == Some(&*pending.branch)
        });
        let Some(position) = position else { return };
        if code < 200 {
            let pending = &mut self.pending[position];
            if pending.method == "INVITE" {
                (pending.resend_at, pending.give_up_at) = (None, now + 6 * GIVE_UP);
                self.provisional(now, code, reason);
            } else {
                pending.interval = T2;
            }
            return;
        }
        let pending = self.pending.remove(position);
        match pending.method {
            "INVITE" => self.invite_response(now, &pending, message, code, reason),
            "BYE" => self.end(now, Ending::ByUs),
            "CANCEL" => {}
            other => self.tell(PhoneEvent::Reply { method: other.to_owned(), code }),
        }
    }

    fn provisional(&mut self, now: Duration, code: u16, reason: &str) {
        if let State::Calling { cancelled, .. } = self.state {
            let was_proceeding = self.state == State::Calling { proceeding: true, cancelled };
            self.state = State::Calling { proceeding: true, cancelled };
            self.tell(PhoneEvent::Status { code, reason: reason.to_owned() });
            if cancelled && !was_proceeding {
                self.cancel(now);
            }
        }
    }

    fn invite_response(
        &mut self,
        now: Duration,
        pending: &Pending,
        message: &Incoming,
        code: u16,
        reason: &str,
    ) {
        let is_first = matches!(self.state, State::Calling { .. });
        if is_first {
            self.tell(PhoneEvent::Status { code, reason: reason.to_owned() });
        } else {
            self.tell(PhoneEvent::Reply { method: "INVITE".to_owned(), code });
        }
        if code >= 300 {
            // ACK within the transaction: same branch, the response's To (§17.1.1.3).
            let to = message.to.clone();
            let target = self.remote_target.clone();
            let ack = self.text("ACK", &target, &to, pending.sequence, &pending.branch, "", None);
            self.acknowledge(pending.sequence, ack);
            if is_first {
                let State::Calling { cancelled, .. } = self.state else { return };
                if !cancelled && let Some(header) = self.authorization(code, message) {
                    return self.open(now, &header);
                }
                self.end(now, if cancelled { Ending::Cancelled } else { Ending::Refused });
            }
            return;
        }
        if is_first {
            self.remote.clone_from(&message.to);
            self.routes = message.record_routes.iter().rev().cloned().collect();
        }
        if let Some(contact) = &message.contact {
            self.remote_target.clone_from(contact);
        }
        self.accept_answer(now, pending.sequence, &message.body, is_first);
    }

    /// ACK to a 2xx, and what its body agrees to.
    fn accept_answer(&mut self, now: Duration, sequence: u32, body: &[u8], is_first: bool) {
        let we_offered =
            !is_first || self.opening.as_ref().is_some_and(|opening| opening.offer.is_some());
        let agreement = if we_offered {
            sdp::read_answer(body, &self.endpoint.accept)
        } else {
            sdp::read_offer(body, &self.endpoint.accept)
        };
        let answer = match &agreement {
            Some(_) if !we_offered => {
                let answer = self.endpoint.accept.answer_sdp(1, Direction::SendRecv, body);
                Some(("application/sdp", answer))
            }
            _ => None,
        };
        let branch = self.next_branch();
        let (target, to) = (self.remote_target.clone(), self.remote.clone());
        let ack = self.text("ACK", &target, &to, sequence, &branch, "", answer);
        self.acknowledge(sequence, ack);

        let was_cancelled = matches!(self.state, State::Calling { cancelled: true, .. });
        if is_first {
            self.state = State::Answered;
        }
        match agreement {
            Some(agreement) => {
                if is_first {
                    self.agreed_at_first(agreement);
                } else {
                    self.outputs.push_back(Output::Media(agreement));
                }
                if was_cancelled {
                    self.hang_up(now);
                }
            }
            None if is_first => self.hang_up(now),
            None => {}
        }
    }

    fn acknowledge(&mut self, sequence: u32, ack: Vec<u8>) {
        const ACKS_KEPT: usize = 8;
        self.outputs.push_back(Output::Send(ack.clone()));
        if self.acks.len() == ACKS_KEPT {
            self.acks.remove(0);
        }
        self.acks.push((sequence, ack));
    }

    fn repeat_ack(&mut self, sequence: u32) {
        if let Some((_, ack)) = self.acks.iter().find(|(acked, _)| *acked == sequence) {
            self.outputs.push_back(Output::Send(ack.clone()));
        }
    }
}
