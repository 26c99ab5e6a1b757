//! The phone's signalling: one call, dialled or received, as a state machine without sockets (RFC
//! 3261 §8, §12–15, §17). Messages and the time go in; datagrams and facts come out.
//!
//! - this file: what a call is made from, what its user does, its timers
//! - `responses`: what comes back to our requests
//! - `requests`: what the other side asks
//! - `write`: messages as text

mod requests;
mod responses;
#[cfg(test)]
mod tests;
mod write;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub use requests::response;
use write::quote;
pub use write::{escape, finish};

use super::digest::{Challenge, Credentials};
use super::keys::KeyBy;
use super::sdp::{Agreement, Offering};
use super::timeline::{Ending, PhoneEvent};
use super::wire::Incoming;
use crate::domain::{Direction, Key};

/// RFC 3261 §17.1.1.1.
pub const T1: Duration = Duration::from_millis(500);
pub const T2: Duration = Duration::from_secs(4);
/// 64·T1: after so long without a response a request has failed.
pub const GIVE_UP: Duration = Duration::from_secs(32);
/// How long a repeated response still gets its ACK after the call is over.
const LINGER: Duration = Duration::from_millis(200);
/// What the phone understands.
pub const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n";

/// Where and as what a phone takes part in a call.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where our SIP socket is reached.
    pub local: SocketAddr,
    pub transport: Transport,
    /// The user part of Contact.
    pub user: String,
    /// What we accept when the other side offers.
    pub accept: Offering,
    /// Makes tags, branches and the Call-ID unlike those of other calls.
    pub unique: String,
}

/// Who calls whom.
#[derive(Clone, Debug)]
pub struct Dialling {
    pub endpoint: Endpoint,
    /// The user part of the Request-URI: `100`, `+78003334455`.
    pub number: String,
    pub server: SocketAddr,
    pub from: From,
    /// `None`: the INVITE carries no offer; the answer goes into the ACK.
    pub offer: Option<Offering>,
    /// What proves who calls, when the server asks.
    pub credentials: Option<Credentials>,
    /// The call whose place this one takes: the value of Replaces (RFC 3891).
    pub replaces: Option<String>,
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
    /// An account at the server: `sip:anna@192.0.2.1:5060`.
    Account {
        login: String,
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
    /// Their INVITE waits for our final answer.
    Ringing,
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

/// A final response of ours to an INVITE, repeated until its ACK (§13.3.1.4, §17.2.1).
#[derive(Debug)]
struct Unacknowledged {
    sequence: u32,
    bytes: Vec<u8>,
    resend_at: Duration,
    interval: Duration,
    give_up_at: Duration,
}

/// A request of the other side and our last response, for its retransmissions.
#[derive(Debug)]
struct AnsweredRequest {
    sequence: u32,
    method: String,
    response: Vec<u8>,
}

/// How a dialled call begins, and begins again when the server asks who calls.
#[derive(Debug)]
struct Opening {
    offer: Option<Offering>,
    replaces: Option<String>,
    credentials: Option<Credentials>,
    challenges: u8,
}

/// How a received call began.
#[derive(Debug)]
struct Received {
    invite: Incoming,
    /// A CANCEL comes too late for this phone: it answers all the same.
    answers_cancelled: bool,
}

/// One call.
#[derive(Debug)]
pub struct Signalling {
    endpoint: Endpoint,
    opening: Option<Opening>,
    received: Option<Received>,
    call_id: String,
    state: State,
    sequence: u32,
    branches: u32,
    /// Our side of the dialog as From (or To) names it, with the tag.
    local: String,
    /// The other side, with the tag once it is known.
    remote: String,
    remote_target: String,
    routes: Vec<String>,
    pending: Vec<Pending>,
    unacknowledged: Option<Unacknowledged>,
    /// ACKs by the sequence number of their INVITE, for repeated final responses.
    acks: Vec<(u32, Vec<u8>)>,
    answered_requests: VecDeque<AnsweredRequest>,
    over_at: Option<Duration>,
    sdp_version: u32,
    direction: Direction,
    outputs: VecDeque<Output>,
}

impl Signalling {
    /// A call that [`Signalling::call`] begins.
    pub fn dialling(dialling: Dialling) -> Self {
        let Dialling { endpoint, number, server, from, offer, credentials, replaces } = dialling;
        let target = format!("sip:{}@{server}", escape(&number));
        let from = match from {
            From::Number { user, display } => {
                let display = display.as_deref().map(quote).unwrap_or_default();
                format!("{display}<sip:{}@{}>", escape(&user), endpoint.local)
            }
            From::Account { login } => format!("<sip:{}@{server}>", escape(&login)),
            From::Anonymous => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
        };
        Self {
            opening: Some(Opening { offer, replaces, credentials, challenges: 0 }),
            call_id: format!("{}@{}", endpoint.unique, endpoint.local.ip()),
            local: format!("{from};tag={}", endpoint.unique),
            remote: format!("<{target}>"),
            remote_target: target,
            ..Self::begin(endpoint, State::Calling { proceeding: false, cancelled: false })
        }
    }

    /// A call that came with this INVITE; nothing is answered yet. A phone that
    /// `answers_cancelled` calls picks up when CANCEL comes.
    pub fn received(endpoint: Endpoint, invite: &Incoming, answers_cancelled: bool) -> Self {
        Self {
            call_id: invite.call_id.clone(),
            local: format!("{};tag={}", invite.to, endpoint.unique),
            remote: invite.from.clone(),
            remote_target: invite.contact.clone().unwrap_or_default(),
            // The callee's route set is in the order of the request (§12.1.1).
            routes: invite.record_routes.clone(),
            received: Some(Received { invite: invite.clone(), answers_cancelled }),
            ..Self::begin(endpoint, State::Ringing)
        }
    }

    fn begin(endpoint: Endpoint, state: State) -> Self {
        Self {
            endpoint,
            opening: None,
            received: None,
            call_id: String::new(),
            state,
            sequence: 0,
            branches: 0,
            local: String::new(),
            remote: String::new(),
            remote_target: String::new(),
            routes: Vec::new(),
            pending: Vec::new(),
            unacknowledged: None,
            acks: Vec::new(),
            answered_requests: VecDeque::new(),
            over_at: None,
            sdp_version: 1,
            direction: Direction::SendRecv,
            outputs: VecDeque::new(),
        }
    }

    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// What is to be done next; `None` when nothing is.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Sends the INVITE.
    pub fn call(&mut self, now: Duration) {
        self.open(now, "");
        self.tell(PhoneEvent::Invited);
    }

    /// The first INVITE, at once or again with proof of who calls.
    fn open(&mut self, now: Duration, authorization: &str) {
        let Some(opening) = &self.opening else { return };
        let replaces = opening.replaces.as_ref();
        let replaces = replaces.map(|value| format!("Require: replaces\r\nReplaces: {value}\r\n"));
        let headers = format!("{ALLOW}{}{authorization}", replaces.unwrap_or_default());
        let body = opening.offer.as_ref().map(|offer| offer.to_sdp(1, Direction::SendRecv));
        self.request(now, "INVITE", &headers, body.map(|sdp| ("application/sdp", sdp)));
    }

    /// What proves who calls; `None` when it can't be proven or was refused before.
    fn authorization(&mut self, code: u16, message: &Incoming) -> Option<String> {
        const CHALLENGES_MAX: u8 = 2;
        let opening = self.opening.as_mut()?;
        let challenge = Challenge::choose(code, message)?;
        if opening.challenges == CHALLENGES_MAX {
            return None;
        }
        opening.challenges += 1;
        let credentials = opening.credentials.as_ref()?;
        Some(challenge.answer(credentials, "INVITE", &self.remote_target, &self.endpoint.unique))
    }

    /// 180 for a call that came.
    pub fn ring(&mut self) {
        if let (State::Ringing, Some(received)) = (self.state, &self.received) {
            let invite = received.invite.clone();
            self.respond(&invite, "180 Ringing", None);
        }
    }

    /// 183 with our side of the audio for a call that came: early media. Nobody has picked up.
    pub fn ring_with_audio(&mut self) {
        if self.state == State::Ringing {
            self.progress_with_audio();
        }
    }

    /// 200 for a call that came.
    pub fn answer(&mut self, now: Duration) {
        if self.state == State::Ringing {
            self.pick_up(now);
        }
    }

    /// The 200 once more, without being asked.
    pub fn repeat_answer(&mut self) {
        if let Some(answer) = &self.unacknowledged {
            self.outputs.push_back(Output::Send(answer.bytes.clone()));
        }
    }

    /// A final answer other than 200 for a call that came.
    pub fn refuse(&mut self, now: Duration, code: u16) {
        if self.state == State::Ringing {
            self.turn_down(now, code, Ending::Declined);
        }
    }

    /// CANCEL, BYE or 603, whichever fits.
    pub fn hang_up(&mut self, now: Duration) {
        match self.state {
            // A CANCEL before the first provisional response may overtake the INVITE (§9.1).
            State::Calling { proceeding: false, .. } => {
                self.state = State::Calling { proceeding: false, cancelled: true };
            }
            State::Calling { proceeding: true, cancelled: false } => self.cancel(now),
            State::Calling { proceeding: true, cancelled: true } => {}
            State::Ringing => self.refuse(now, 603),
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
            let body = self.endpoint.accept.to_sdp(self.sdp_version, direction);
            self.request(now, "INVITE", ALLOW, Some(("application/sdp", body)));
        }
    }

    /// REFER (RFC 3515): the other side shall call `target`, a URI.
    pub fn refer(&mut self, now: Duration, target: &str) {
        if self.state == State::Answered {
            let headers = format!("Refer-To: <{target}>\r\n");
            self.request(now, "REFER", &headers, None);
        }
    }

    /// The dialog as Replaces (RFC 3891 §6.1) names it to the other side: their tag is `to-tag`.
    /// `None` before it is up.
    pub fn replaces(&self) -> Option<String> {
        let tag_of = |side: &str| side.rsplit_once(";tag=").map(|(_, tag)| tag.to_owned());
        let (to_tag, from_tag) = (tag_of(&self.remote)?, tag_of(&self.local)?);
        let is_up = self.state == State::Answered;
        is_up.then(|| format!("{};to-tag={to_tag};from-tag={from_tag}", self.call_id))
    }

    /// The URI of the other side.
    pub fn remote_uri(&self) -> &str {
        let uri = self.remote.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        uri.map_or(&self.remote, |(uri, _)| uri)
    }

    pub fn is_answered(&self) -> bool {
        self.state == State::Answered
    }

    /// The call is over and nothing more has to be sent.
    pub fn is_done(&self, now: Duration) -> bool {
        self.over_at.is_some_and(|over_at| now >= over_at + LINGER)
    }

    /// When [`Signalling::on_timer`] wants to be called.
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
        self.repeat_unacknowledged(now);
        let expired = |pending: &mut Pending| pending.give_up_at <= now;
        for pending in self.pending.extract_if(.., expired).collect::<Vec<_>>() {
            match (pending.method, self.state) {
                ("BYE", _) => self.end(now, Ending::ByUs),
                ("INVITE", State::Calling { .. }) => self.end(now, Ending::Failed),
                _ => {}
            }
        }
    }

    fn repeat_unacknowledged(&mut self, now: Duration) {
        let Some(answer) = &mut self.unacknowledged else { return };
        if answer.resend_at > now {
            return;
        }
        self.outputs.push_back(Output::Send(answer.bytes.clone()));
        answer.interval = (answer.interval * 2).min(T2);
        answer.resend_at = now + answer.interval;
        if answer.give_up_at <= now {
            self.acknowledged(now);
        }
    }

    /// Our final response needs no more repeating.
    fn acknowledged(&mut self, now: Duration) {
        self.unacknowledged = None;
        if self.state == State::Over {
            self.over_at.get_or_insert(now);
        }
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
