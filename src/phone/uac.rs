//! The phone's signalling: one outgoing call as a state machine without sockets (RFC 3261 §8.1,
//! §12–15, §17.1). Messages and the time go in; datagrams and facts come out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::keys::KeyBy;
use super::sdp::{self, Agreement, Offering};
use super::timeline::{Ending, PhoneEvent};
use super::wire::{Incoming, Start};
use crate::domain::{Direction, Key};

/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64·T1: after so long without a response a request has failed.
const GIVE_UP: Duration = Duration::from_secs(32);
/// How long a repeated response still gets its ACK after the call is over.
const LINGER: Duration = Duration::from_millis(200);
const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n";

/// Who calls whom.
#[derive(Clone, Debug)]
pub struct Dialling {
    /// The user part of the Request-URI: `100`, `+78003334455`.
    pub number: String,
    pub server: SocketAddr,
    /// Where our SIP socket is reached.
    pub local: SocketAddr,
    pub transport: Transport,
    pub from: From,
    /// `None`: the INVITE carries no offer; the answer goes into the ACK.
    pub offer: Option<Offering>,
    /// What we accept when the other side offers.
    pub accept: Offering,
    /// Makes tags, branches and the Call-ID unlike those of other calls.
    pub unique: String,
}

/// What carries SIP messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// Requests are repeated until they are answered.
    #[default]
    Udp,
    /// One connection, opened by us; the transport repeats what gets lost.
    Tcp,
}

/// The caller as the From header shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    Number {
        user: String,
        display: Option<String>,
    },
    /// RFC 3323 §4.1.1.3
    Anonymous,
}

/// What the shell has to do.
#[derive(Debug, PartialEq)]
pub enum Output {
    Send(Vec<u8>),
    Tell(PhoneEvent),
    /// Audio as agreed, at first or anew.
    Media(Agreement),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling {
        proceeding: bool,
        cancelled: bool,
    },
    Answered,
    /// Our BYE is under way.
    Leaving,
    Over,
}

/// A request of ours that waits for its final response.
#[derive(Debug)]
struct Pending {
    method: &'static str,
    branch: String,
    sequence: u32,
    bytes: Vec<u8>,
    resend_at: Option<Duration>,
    interval: Duration,
    give_up_at: Duration,
}

/// A 2xx of ours to a re-INVITE, repeated until its ACK (§13.3.1.4).
#[derive(Debug)]
struct Unacknowledged {
    sequence: u32,
    bytes: Vec<u8>,
    resend_at: Duration,
    interval: Duration,
    give_up_at: Duration,
}

/// One outgoing call.
#[derive(Debug)]
pub struct Uac {
    dialling: Dialling,
    state: State,
    sequence: u32,
    branches: u32,
    invite_sequence: u32,
    /// The dialog's To header, with the tag once it is known.
    to: String,
    remote_target: String,
    routes: Vec<String>,
    pending: Vec<Pending>,
    unacknowledged: Option<Unacknowledged>,
    /// ACKs by the sequence number of their INVITE, for repeated final responses.
    acks: Vec<(u32, Vec<u8>)>,
    /// The last request of the other side and our response, for its retransmissions.
    answered_request: Option<(u32, String, Vec<u8>)>,
    over_at: Option<Duration>,
    sdp_version: u32,
    direction: Direction,
    outputs: VecDeque<Output>,
}

impl Uac {
    pub fn new(dialling: Dialling) -> Self {
        let target = format!("sip:{}@{}", escape(&dialling.number), dialling.server);
        Self {
            state: State::Calling { proceeding: false, cancelled: false },
            sequence: 0,
            branches: 0,
            invite_sequence: 1,
            to: format!("<{target}>"),
            remote_target: target,
            routes: Vec::new(),
            pending: Vec::new(),
            unacknowledged: None,
            acks: Vec::new(),
            answered_request: None,
            over_at: None,
            sdp_version: 1,
            direction: Direction::SendRecv,
            outputs: VecDeque::new(),
            dialling,
        }
    }

    /// What is to be done next; `None` when nothing is.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Sends the INVITE.
    pub fn call(&mut self, now: Duration) {
        let body = self.dialling.offer.as_ref().map(|offer| offer.to_sdp(1, Direction::SendRecv));
        self.invite(now, body);
        self.tell(PhoneEvent::Invited);
    }

    /// CANCEL, or BYE, whichever fits.
    pub fn hang_up(&mut self, now: Duration) {
        match self.state {
            // A CANCEL before the first provisional response may overtake the INVITE (§9.1).
            State::Calling { proceeding: false, .. } => {
                self.state = State::Calling { proceeding: false, cancelled: true };
            }
            State::Calling { proceeding: true, cancelled: false } => self.cancel(now),
            State::Calling { proceeding: true, cancelled: true } => {}
            State::Answered => {
                self.state = State::Leaving;
                self.request(now, "BYE", "", None);
            }
            State::Leaving | State::Over => {}
        }
    }

    /// INFO with a key, as Cisco and most others write it.
    pub fn press_by_info(&mut self, now: Duration, key: Key) {
        if self.state == State::Answered {
            let body = format!("Signal={key}\r\nDuration=100\r\n");
            self.request(now, "INFO", "", Some(("application/dtmf-relay", body)));
            self.tell(PhoneEvent::KeySent { key, by: KeyBy::Info });
        }
    }

    /// re-INVITE with another direction: `SendOnly` or `Inactive` holds, `SendRecv` resumes.
    pub fn change_direction(&mut self, now: Duration, direction: Direction) {
        if self.state == State::Answered {
            self.sdp_version += 1;
            self.direction = direction;
            let body = self.dialling.accept.to_sdp(self.sdp_version, direction);
            self.invite(now, Some(body));
        }
    }

    pub fn is_answered(&self) -> bool {
        self.state == State::Answered
    }

    /// The call is over and nothing more has to be sent.
    pub fn is_done(&self, now: Duration) -> bool {
        self.over_at.is_some_and(|over_at| now >= over_at + LINGER)
    }

    /// When [`Uac::on_timer`] wants to be called.
    pub fn next_timer(&self) -> Option<Duration> {
        let of_pending = |pending: &Pending| {
            pending.resend_at.map_or(pending.give_up_at, |at| at.min(pending.give_up_at))
        };
        let timers = self.pending.iter().map(of_pending);
        let timers = timers.chain(self.unacknowledged.iter().map(|answer| answer.resend_at));
        timers.chain(self.over_at.map(|at| at + LINGER)).min()
    }

    pub fn on_timer(&mut self, now: Duration) {
        for pending in &mut self.pending {
            if pending.resend_at.is_some_and(|at| at <= now) {
                self.outputs.push_back(Output::Send(pending.bytes.clone()));
                // Timer A doubles without a limit, timer E up to T2 (§17.1.1.2, §17.1.2.2).
                pending.interval *= 2;
                if pending.method != "INVITE" {
                    pending.interval = pending.interval.min(T2);
                }
                pending.resend_at = Some(now + pending.interval);
            }
        }
        if let Some(answer) = &mut self.unacknowledged
            && answer.resend_at <= now
        {
            self.outputs.push_back(Output::Send(answer.bytes.clone()));
            answer.interval = (answer.interval * 2).min(T2);
            answer.resend_at = now + answer.interval;
            if answer.give_up_at <= now {
                self.unacknowledged = None;
            }
        }
        let expired = |pending: &mut Pending| pending.give_up_at <= now;
        for pending in self.pending.extract_if(.., expired).collect::<Vec<_>>() {
            match (pending.method, self.state) {
                ("BYE", _) => self.end(now, Ending::ByUs),
                ("INVITE", State::Calling { .. }) => self.end(now, Ending::Failed),
                _ => {}
            }
        }
    }

    pub fn receive(&mut self, now: Duration, message: &Incoming) {
        if message.call_id != self.call_id() {
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

    // ---- responses to our requests

    fn response(&mut self, now: Duration, message: &Incoming, code: u16, reason: &str) {
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
                self.end(now, if cancelled { Ending::Cancelled } else { Ending::Refused });
            }
            return;
        }
        if is_first {
            self.to.clone_from(&message.to);
            self.routes = message.record_routes.iter().rev().cloned().collect();
        }
        if let Some(contact) = &message.contact {
            self.remote_target.clone_from(contact);
        }
        self.accept_answer(now, pending.sequence, &message.body, is_first);
    }

    /// ACK to a 2xx, and what its body agrees to.
    fn accept_answer(&mut self, now: Duration, sequence: u32, body: &[u8], is_first: bool) {
        let we_offered = self.dialling.offer.is_some() || !is_first;
        let agreement = if we_offered {
            sdp::read_answer(body, &self.dialling.accept)
        } else {
            sdp::read_offer(body, &self.dialling.accept)
        };
        let answer = match &agreement {
            Some(_) if !we_offered => {
                let answer = self.dialling.accept.answer_sdp(1, Direction::SendRecv, body);
                Some(("application/sdp", answer))
            }
            _ => None,
        };
        let branch = self.next_branch();
        let (target, to) = (self.remote_target.clone(), self.to.clone());
        let ack = self.text("ACK", &target, &to, sequence, &branch, "", answer);
        self.acknowledge(sequence, ack);

        let was_cancelled = matches!(self.state, State::Calling { cancelled: true, .. });
        if is_first {
            self.state = State::Answered;
        }
        match agreement {
            Some(agreement) => {
                if is_first {
                    self.tell(PhoneEvent::Answered {
                        codec: agreement.codec,
                        telephone_event: agreement.event_payload_type.is_some(),
                    });
                }
                self.outputs.push_back(Output::Media(agreement));
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

    // ---- requests of the other side

    fn incoming_request(&mut self, now: Duration, message: &Incoming, method: &str) {
        let sequence = message.cseq.0;
        if method == "ACK" {
            if self.unacknowledged.as_ref().is_some_and(|answer| answer.sequence == sequence) {
                self.unacknowledged = None;
            }
            return;
        }
        if let Some((seen, seen_method, response)) = &self.answered_request
            && *seen == sequence
            && seen_method == method
        {
            let response = response.clone();
            self.outputs.push_back(Output::Send(response));
            return;
        }
        self.tell(PhoneEvent::Request { method: method.to_owned() });
        match method {
            "BYE" => {
                self.respond(message, "200 OK", None);
                let by_us = self.state == State::Leaving;
                self.end(now, if by_us { Ending::ByUs } else { Ending::ByServer });
            }
            "OPTIONS" | "INFO" | "NOTIFY" => {
                self.respond(message, "200 OK", None);
            }
            "INVITE" | "UPDATE" => self.change_of_media(now, message, method),
            _ => {
                self.respond(message, "405 Method Not Allowed", None);
            }
        }
    }

    fn change_of_media(&mut self, now: Duration, message: &Incoming, method: &str) {
        self.sdp_version += 1;
        let body = if message.body.is_empty() {
            (method == "INVITE")
                .then(|| self.dialling.accept.to_sdp(self.sdp_version, self.direction))
        } else {
            let Some(agreement) = sdp::read_offer(&message.body, &self.dialling.accept) else {
                self.respond(message, "488 Not Acceptable Here", None);
                return;
            };
            self.outputs.push_back(Output::Media(agreement));
            let answer =
                self.dialling.accept.answer_sdp(self.sdp_version, self.direction, &message.body);
            Some(answer)
        };
        let response = self.respond(message, "200 OK", body);
        if method == "INVITE" {
            self.unacknowledged = Some(Unacknowledged {
                sequence: message.cseq.0,
                bytes: response,
                resend_at: now + T1,
                interval: T1,
                give_up_at: now + GIVE_UP,
            });
        }
    }

    fn respond(&mut self, message: &Incoming, status: &str, sdp: Option<String>) -> Vec<u8> {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in &message.vias {
            text += &format!("Via: {via}\r\n");
        }
        let (sequence, method) = &message.cseq;
        text += &format!("From: {}\r\nTo: {}\r\n", message.from, message.to);
        text += &format!("Call-ID: {}\r\nCSeq: {sequence} {method}\r\n", message.call_id);
        text += &format!("Contact: {}\r\n{ALLOW}", self.contact("phone"));
        let bytes = finish(text, sdp.map(|sdp| ("application/sdp", sdp)));
        if message.call_id == self.call_id() {
            self.answered_request = Some((*sequence, method.clone(), bytes.clone()));
        }
        self.outputs.push_back(Output::Send(bytes.clone()));
        bytes
    }

    // ---- our requests

    fn invite(&mut self, now: Duration, sdp: Option<String>) {
        self.invite_sequence = self.sequence + 1;
        self.request(now, "INVITE", ALLOW, sdp.map(|sdp| ("application/sdp", sdp)));
    }

    fn cancel(&mut self, now: Duration) {
        self.state = State::Calling { proceeding: true, cancelled: true };
        let invite = self.pending.iter().find(|pending| pending.method == "INVITE");
        let Some(invite) = invite else { return };
        // The INVITE's own branch and number name what is cancelled (§9.1).
        let (branch, sequence) = (invite.branch.clone(), invite.sequence);
        let (target, to) = (self.remote_target.clone(), self.to.clone());
        let bytes = self.text("CANCEL", &target, &to, sequence, &branch, "", None);
        self.send_reliably(now, "CANCEL", branch, sequence, bytes);
    }

    fn request(
        &mut self,
        now: Duration,
        method: &'static str,
        headers: &str,
        body: Option<(&str, String)>,
    ) {
        self.sequence += 1;
        let (sequence, branch) = (self.sequence, self.next_branch());
        let (target, to) = (self.remote_target.clone(), self.to.clone());
        let bytes = self.text(method, &target, &to, sequence, &branch, headers, body);
        self.send_reliably(now, method, branch, sequence, bytes);
    }

    fn send_reliably(
        &mut self,
        now: Duration,
        method: &'static str,
        branch: String,
        sequence: u32,
        bytes: Vec<u8>,
    ) {
        self.outputs.push_back(Output::Send(bytes.clone()));
        self.pending.push(Pending {
            method,
            branch,
            sequence,
            bytes,
            resend_at: (self.dialling.transport == Transport::Udp).then(|| now + T1),
            interval: T1,
            give_up_at: now + GIVE_UP,
        });
    }

    #[expect(clippy::too_many_arguments, reason = "the lines of a message, in their order")]
    fn text(
        &self,
        method: &str,
        target: &str,
        to: &str,
        sequence: u32,
        branch: &str,
        headers: &str,
        body: Option<(&str, String)>,
    ) -> Vec<u8> {
        let Dialling { local, from, unique, transport, .. } = &self.dialling;
        let via = match transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        let (from, user) = match from {
            From::Number { user, display } => {
                let display = display.as_deref().map(quote).unwrap_or_default();
                (format!("{display}<sip:{}@{local}>", escape(user)), escape(user))
            }
            From::Anonymous => {
                let uri = "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned();
                (uri, "phone".to_owned())
            }
        };
        let mut text = format!("{method} {target} SIP/2.0\r\n");
        text += &format!("Via: SIP/2.0/{via} {local};rport;branch={branch}\r\n");
        text += "Max-Forwards: 70\r\n";
        for route in &self.routes {
            text += &format!("Route: {route}\r\n");
        }
        text += &format!("From: {from};tag={unique}\r\nTo: {to}\r\n");
        text += &format!("Call-ID: {}\r\nCSeq: {sequence} {method}\r\n", self.call_id());
        text += &format!("Contact: {}\r\n", self.contact(&user));
        text += &format!("User-Agent: allo-phone\r\n{headers}");
        finish(text, body)
    }

    fn contact(&self, user: &str) -> String {
        let transport = match self.dialling.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        };
        format!("<sip:{user}@{}{transport}>", self.dialling.local)
    }

    fn call_id(&self) -> String {
        format!("{}@{}", self.dialling.unique, self.dialling.local.ip())
    }

    fn next_branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bK{}.{}", self.dialling.unique, self.branches)
    }

    fn tell(&mut self, event: PhoneEvent) {
        self.outputs.push_back(Output::Tell(event));
    }

    fn end(&mut self, now: Duration, why: Ending) {
        if self.state != State::Over {
            self.state = State::Over;
            self.over_at = Some(now);
            self.pending.clear();
            self.unacknowledged = None;
            self.tell(PhoneEvent::Ended { why });
        }
    }
}

/// Closes the headers and adds the body.
fn finish(mut text: String, body: Option<(&str, String)>) -> Vec<u8> {
    let body = match body {
        Some((content_type, body)) => {
            text += &format!("Content-Type: {content_type}\r\n");
            body
        }
        None => String::new(),
    };
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// Percent-escapes what a user part may not hold (§25.1).
fn escape(user: &str) -> String {
    let mut escaped = String::new();
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

/// A display name as a quoted string, and a space.
fn quote(display: &str) -> String {
    let visible = display.chars().filter(|c| !c.is_control());
    let escaped: String = visible
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    format!("\"{escaped}\" ")
}

#[cfg(test)]
mod tests;
