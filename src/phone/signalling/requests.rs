//! What the other side asks: the call itself, and changes within it.

use std::time::Duration;

use super::{
    ALLOW, AnsweredRequest, GIVE_UP, Output, Signalling, State, T1, Unacknowledged, finish,
};
use crate::domain::Key;
use crate::phone::keys::KeyBy;
use crate::phone::sdp::{self, Agreement};
use crate::phone::timeline::{Ending, PhoneEvent};
use crate::phone::wire::{Incoming, Start};

impl Signalling {
    /// Takes a message in.
    pub fn receive(&mut self, now: Duration, message: &Incoming) {
        if message.call_id != self.call_id {
            if let Start::Request { method } = &message.start
                && method != "ACK"
            {
                self.respond(message, "481 Call/Transaction Does Not Exist", None);
            }
            return;
        }
        match &message.start {
            Start::Response { code, reason } => self.response(now, message, *code, reason),
            Start::Request { method } => self.incoming_request(now, message, method),
        }
    }

    fn incoming_request(&mut self, now: Duration, message: &Incoming, method: &str) {
        if method == "ACK" {
            return self.ack(now, message);
        }
        let is_it = |answered: &&AnsweredRequest| {
            answered.sequence == message.cseq.0 && answered.method == method
        };
        if let Some(answered) = self.answered_requests.iter().find(is_it) {
            self.outputs.push_back(Output::Send(answered.response.clone()));
            return;
        }
        if method == "INVITE" && self.state == State::Ringing {
            // Repeated before we said anything.
            return;
        }
        self.tell(PhoneEvent::Request { method: method.to_owned() });
        match method {
            "BYE" => {
                self.respond(message, "200 OK", None);
                let by_us = self.state == State::Leaving;
                self.end(now, if by_us { Ending::ByUs } else { Ending::ByServer });
            }
            "CANCEL" => {
                self.respond(message, "200 OK", None);
                self.withdrawn(now);
            }
            "OPTIONS" => {
                self.respond(message, "200 OK", None);
            }
            "INFO" => {
                self.respond(message, "200 OK", None);
                if let Some(key) = key_of_info(&message.body) {
                    self.tell(PhoneEvent::KeyHeard { key, by: KeyBy::Info });
                }
            }
            "NOTIFY" => {
                self.respond(message, "200 OK", None);
                if let Some(code) = status_of_fragment(&message.body) {
                    self.tell(PhoneEvent::Transferring { code });
                }
            }
            "INVITE" if self.pending.iter().any(|pending| pending.method == "INVITE") => {
                // Glare (§14.2): both sides change the call at once.
                self.respond(message, "491 Request Pending", None);
            }
            "INVITE" | "UPDATE" => self.change_of_media(now, message, method),
            _ => {
                self.respond(message, "405 Method Not Allowed", None);
            }
        }
    }

    /// Audio before the call is picked up; without an offer it rings only.
    pub(super) fn progress_with_audio(&mut self) {
        let Some(received) = &self.received else { return };
        let invite = received.invite.clone();
        let accept = &self.endpoint.accept;
        let Some(agreement) = sdp::read_offer(&invite.body, accept) else { return self.ring() };
        let body = accept.answer_sdp(1, self.direction, &invite.body);
        self.respond(&invite, "183 Session Progress", Some(body));
        self.outputs.push_back(Output::Media(agreement));
    }

    /// The call that came, picked up.
    pub(super) fn pick_up(&mut self, now: Duration) {
        let Some(received) = &self.received else { return };
        let invite = received.invite.clone();
        let agreement = sdp::read_offer(&invite.body, &self.endpoint.accept);
        if !invite.body.is_empty() && agreement.is_none() {
            return self.turn_down(now, 488, Ending::Failed);
        }
        let accept = &self.endpoint.accept;
        let body = match agreement {
            Some(_) => accept.answer_sdp(1, self.direction, &invite.body),
            None => accept.to_sdp(1, self.direction),
        };
        self.respond_until_ack(now, &invite, "200 OK", Some(body));
        self.state = State::Answered;
        if let Some(agreement) = agreement {
            self.agreed_at_first(agreement);
        }
    }

    /// The call that came, refused.
    pub(super) fn turn_down(&mut self, now: Duration, code: u16, why: Ending) {
        let Some(received) = &self.received else { return };
        let invite = received.invite.clone();
        self.respond_until_ack(now, &invite, &format!("{code} {}", reason_of(code)), None);
        // Not `end`: the refusal is repeated until its ACK comes.
        self.state = State::Over;
        self.tell(PhoneEvent::Ended { why });
    }

    fn withdrawn(&mut self, now: Duration) {
        let answers = self.received.as_ref().is_some_and(|received| received.answers_cancelled);
        match self.state {
            State::Ringing if answers => self.pick_up(now),
            State::Ringing => self.turn_down(now, 487, Ending::Withdrawn),
            // Too late: the final answer is under way.
            State::Calling { .. } | State::Answered | State::Leaving | State::Over => {}
        }
    }

    fn ack(&mut self, now: Duration, message: &Incoming) {
        let sequence = message.cseq.0;
        if self.unacknowledged.as_ref().is_none_or(|answer| answer.sequence != sequence) {
            return;
        }
        self.acknowledged(now);
        let is_answer = self.received.as_ref().is_some_and(|received| {
            received.invite.cseq.0 == sequence && received.invite.body.is_empty()
        });
        if is_answer && let Some(agreement) = sdp::read_answer(&message.body, &self.endpoint.accept)
        {
            self.agreed_at_first(agreement);
        }
    }

    pub(super) fn agreed_at_first(&mut self, agreement: Agreement) {
        self.tell(PhoneEvent::Answered {
            codec: agreement.codec,
            telephone_event: agreement.event_payload_type.is_some(),
        });
        self.outputs.push_back(Output::Media(agreement));
    }

    fn change_of_media(&mut self, now: Duration, message: &Incoming, method: &str) {
        self.sdp_version += 1;
        let body = if message.body.is_empty() {
            (method == "INVITE")
                .then(|| self.endpoint.accept.to_sdp(self.sdp_version, self.direction))
        } else {
            let Some(agreement) = sdp::read_offer(&message.body, &self.endpoint.accept) else {
                self.respond(message, "488 Not Acceptable Here", None);
                return;
            };
            self.outputs.push_back(Output::Media(agreement));
            let answer =
                self.endpoint.accept.answer_sdp(self.sdp_version, self.direction, &message.body);
            Some(answer)
        };
        if method == "INVITE" {
            self.respond_until_ack(now, message, "200 OK", body);
        } else {
            self.respond(message, "200 OK", body);
        }
    }

    fn respond_until_ack(
        &mut self,
        now: Duration,
        message: &Incoming,
        status: &str,
        sdp: Option<String>,
    ) {
        let bytes = self.respond(message, status, sdp);
        self.unacknowledged = Some(Unacknowledged {
            sequence: message.cseq.0,
            bytes,
            resend_at: now + T1,
            interval: T1,
            give_up_at: now + GIVE_UP,
        });
    }

    pub(super) fn respond(
        &mut self,
        message: &Incoming,
        status: &str,
        sdp: Option<String>,
    ) -> Vec<u8> {
        let is_ours = message.call_id == self.call_id;
        let extra = format!("Contact: {}\r\n{ALLOW}", self.contact());
        let text = response(message, status, &self.endpoint.unique, &extra);
        let bytes = finish(text, sdp.map(|sdp| ("application/sdp", sdp)));
        if is_ours {
            self.remember(message, bytes.clone());
        }
        self.outputs.push_back(Output::Send(bytes.clone()));
        bytes
    }

    fn remember(&mut self, message: &Incoming, response: Vec<u8>) {
        const REMEMBERED: usize = 8;
        let (sequence, method) = &message.cseq;
        self.answered_requests
            .retain(|answered| (answered.sequence, &answered.method) != (*sequence, method));
        if self.answered_requests.len() == REMEMBERED {
            self.answered_requests.pop_front();
        }
        let answered = AnsweredRequest { sequence: *sequence, method: method.clone(), response };
        self.answered_requests.push_back(answered);
    }
}

/// The head of a response, still open: Via, From, To (with a tag), Call-ID, CSeq.
pub fn response(message: &Incoming, status: &str, tag: &str, extra: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for via in &message.vias {
        text += &format!("Via: {via}\r\n");
    }
    let (sequence, method) = &message.cseq;
    let tag = if message.to.contains(";tag=") { String::new() } else { format!(";tag={tag}") };
    text += &format!("From: {}\r\nTo: {}{tag}\r\n", message.from, message.to);
    text += &format!("Call-ID: {}\r\nCSeq: {sequence} {method}\r\n{extra}", message.call_id);
    text
}

fn reason_of(code: u16) -> &'static str {
    match code {
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        503 => "Service Unavailable",
        600 => "Busy Everywhere",
        603 => "Decline",
        _ => "Refused",
    }
}

/// `Signal=5` of `application/dtmf-relay`.
fn key_of_info(body: &[u8]) -> Option<Key> {
    let body = std::str::from_utf8(body).ok()?;
    let signal = body.lines().find_map(|line| line.trim().strip_prefix("Signal"))?;
    let key = signal.trim_start_matches([' ', '=']).trim().chars().next()?;
    Key::try_from(key).ok()
}

/// The status of a `message/sipfrag` (RFC 3515 §2.4.5).
fn status_of_fragment(body: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(body).ok()?.lines().next()?;
    line.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
}
