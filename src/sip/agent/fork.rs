//! One INVITE of ours and all that may come back to it (RFC 3261 §9.1, §13.2; RFC 3262 §4).
//!
//! An INVITE that nobody waits for any more is cancelled as soon as a provisional answer allows it,
//! and a phone that was picked up in spite of that is hung up at once.

use bytes::Bytes;

use super::super::border::{Dial, SipEvent};
use super::super::dialog::Dialog;
use super::super::message::body::{self, Session};
use super::super::message::uri::host_text;
use super::super::message::{
    HeaderName, Headers, KnownMethod, Method, NameAddr, Params, Request, Response, SessionExpires,
    SipUri, Status, Uri, grammar,
};
use super::super::offer_answer::LocalDescription;
use super::super::registrar::ContactId;
use super::super::transaction::client;
use super::super::transport::Flow;
use super::super::trunks::address::one_line;
use super::dial::Target;
use super::leg::{Leg, Stage};
use super::outgoing::Purpose;
use super::outside::Way;
use super::timers::Due;
use super::tokens::tag_of;
use super::{ALLOW, Agent, SDP, SUPPORTED};
use crate::domain::{LegId, MediaSession, RingOutcome};

/// A phone that has not answered at all after so many T1 (2.5 s: the INVITE went out three times,
/// and the last one had 1 s) is taken for unreachable: the next one should ring.
const SILENCE_T1: u64 = 5;
/// One INVITE may be forked behind a proxy; so many dialogs of it are told apart.
const DIALOGS_MAX: usize = 8;
/// What a phone shows, in characters.
const DISPLAY_MAX: usize = 30;
/// The session interval that we ask for, seconds (RFC 4028 §4 recommends it).
const SESSION_S: u32 = 1_800;

/// What is known of one INVITE of ours.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) leg: LegId,
    /// The registered phone that it goes to.
    pub(super) contact: Option<ContactId>,
    /// The trunk that it goes to.
    way: Option<Way>,
    description: LocalDescription,
    /// A provisional answer came.
    heard: bool,
    rang: bool,
    given_up: bool,
    /// The transaction of our CANCEL.
    pub(super) cancel: Option<u64>,
    early: Vec<Early>,
    acks: Vec<Acked>,
}

impl Fork {
    pub(super) fn goes_to_trunk(&self) -> bool {
        self.way.is_some()
    }
}

/// An early dialog (RFC 3261 §12.1.2).
#[derive(Debug)]
struct Early {
    dialog: Dialog,
    /// The last reliable provisional answer (RFC 3262 §4); 0: none.
    rseq: u32,
    /// The SDP that came in it. Never agreed before the 200, which may leave it out then.
    sdp: Option<Bytes>,
}

/// A 2xx that came, by its To tag, and our ACK, for repetitions.
#[derive(Debug)]
struct Acked {
    tag: Option<Box<str>>,
    flow: Flow,
    ack: Bytes,
}

impl Agent {
    /// Sends an INVITE to a phone; gives its transaction.
    pub(super) fn invite(&mut self, now_ms: u64, dial: &Dial, target: Target) -> u64 {
        let (flow, contact) = (target.flow, target.contact);
        let head = self.phone_head(dial, target);
        let client = self.start_fork(now_ms, dial, flow, head, None);
        if let Some(fork) = self.fork_mut(client) {
            fork.contact = Some(contact);
        }
        self.fork_silent_after(now_ms, client, SILENCE_T1);
        client
    }

    /// Sends an INVITE with this head and our offer; gives its transaction.
    pub(super) fn start_fork(
        &mut self,
        now_ms: u64,
        dial: &Dial,
        flow: Flow,
        mut request: Request,
        way: Option<Way>,
    ) -> u64 {
        let session_id = self.tokens.next_u64() >> 1;
        let mut description = LocalDescription::new(self.public_ip(flow), dial.media, session_id);
        request.set_body(SDP, description.offer());
        let fork = Fork {
            leg: dial.leg,
            contact: None,
            way,
            description,
            heard: false,
            rang: false,
            given_up: false,
            cancel: None,
            early: Vec::new(),
            acks: Vec::new(),
        };
        self.send(now_ms, flow, request, Purpose::Fork(Box::new(fork)))
    }

    /// Without any answer after so many T1 the INVITE has failed.
    pub(super) fn fork_silent_after(&mut self, now_ms: u64, client: u64, patience_t1: u64) {
        let patience_ms = self.settings.timing.t1_ms.saturating_mul(patience_t1);
        self.timers.arm(now_ms.saturating_add(patience_ms), Due::ForkSilent { client });
    }

    fn phone_head(&mut self, dial: &Dial, target: Target) -> Request {
        let flow = target.flow;
        let user = user_part(&dial.from_user);
        let host = self.public_ip(flow);
        let display = dial.display.as_deref().and_then(|name| one_line(name, DISPLAY_MAX));
        let identity = SipUri::new(Some(&user), host, flow.local.port());
        let identity = NameAddr { display, uri: Uri::Sip(identity), params: Params::default() };
        let mut from = identity.clone();
        from.params.push("tag", Some(&tag_of(dial.leg)));

        let to = format!("<{}>", bare(&target.uri));
        let mut request = Request::new(KnownMethod::Invite, target.uri);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        for route in target.route {
            headers.push(HeaderName::Route, route.to_string());
        }
        headers.push(HeaderName::From, from.to_string());
        headers.push(HeaderName::To, to);
        self.push_offer_headers(&mut request, flow);
        let headers = &mut request.headers;
        headers.push(HeaderName::PAssertedIdentity, identity.to_string());
        if dial.auto_answer {
            let host = host_text(host);
            headers.push(HeaderName::CallInfo, format!("<sip:{host}>;answer-after=0"));
            headers.push(HeaderName::AlertInfo, "<http://127.0.0.1>;info=alert-autoanswer");
        }
        request
    }

    /// What each INVITE of ours has, whoever it goes to.
    pub(super) fn push_offer_headers(&mut self, request: &mut Request, flow: Flow) {
        let call_id = format!("{:016x}{:016x}", self.tokens.next_u64(), self.tokens.next_u64());
        let session = SessionExpires { seconds: SESSION_S, refresher: None };
        let headers = &mut request.headers;
        headers.push(HeaderName::CallId, call_id);
        headers.push(HeaderName::CSeq, "1 INVITE");
        headers.push(HeaderName::Contact, self.contact(flow));
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::Supported, SUPPORTED);
        headers.push(HeaderName::SessionExpires, session.to_string());
        headers.push(HeaderName::MinSe, self.settings.min_session_s.to_string());
    }

    pub(super) fn fork_mut(&mut self, client: u64) -> Option<&mut Fork> {
        match &mut self.clients.get_mut(&client)?.purpose {
            Purpose::Fork(fork) => Some(fork),
            Purpose::Leg(_)
            | Purpose::Subscription(_)
            | Purpose::Probe(_)
            | Purpose::Register { .. }
            | Purpose::TrunkProbe { .. }
            | Purpose::Nothing => None,
        }
    }

    /// A provisional answer came.
    pub(super) fn fork_progress(&mut self, now_ms: u64, client: u64, response: &Response) {
        let Some(fork) = self.fork_mut(client) else { return };
        let was_heard = std::mem::replace(&mut fork.heard, true);
        let (contact, given_up, way) = (fork.contact, fork.given_up, fork.way.clone());
        self.phone_spoke(contact);
        if let Some(way) = way.filter(|_| !was_heard) {
            self.way_heard(now_ms, &way);
        }
        if given_up {
            return self.cancel_fork(now_ms, client);
        }
        if !was_heard {
            self.ask_ringing_later(now_ms, client);
        }
        let Some(fork) = self.fork_mut(client) else { return };
        if response.status == Status::TRYING {
            return;
        }
        fork.rang = true;
        let leg = fork.leg;
        self.note_early(now_ms, client, response);
        self.fork_rings(leg, client);
    }

    /// Keeps the early dialog, and acknowledges a reliable answer in it (RFC 3262 §4).
    fn note_early(&mut self, now_ms: u64, client: u64, response: &Response) {
        let headers = &response.headers;
        let reliable = headers.lists(&HeaderName::Require, "100rel");
        let rseq = headers.rseq().ok().flatten().filter(|_| reliable);
        let sdp = session_in(response);
        if rseq.is_none() && sdp.is_none() {
            return;
        }
        let Some(known) = self.clients.get_mut(&client) else { return };
        let cseq = number_of(&known.request);
        let Ok(dialog) = Dialog::answered(&known.request, response, known.flow) else { return };
        let Purpose::Fork(fork) = &mut known.purpose else { return };
        let place = fork.early.iter().position(|e| e.dialog.remote_tag == dialog.remote_tag);
        let place = match place {
            Some(place) => place,
            None if fork.early.len() < DIALOGS_MAX => {
                fork.early.push(Early { dialog, rseq: 0, sdp: None });
                fork.early.len() - 1
            }
            None => return,
        };
        let early = &mut fork.early[place];
        early.sdp = sdp.or(early.sdp.take());
        // Repetitions and what comes out of order is not acknowledged (RFC 3262 §4).
        let Some(rseq) = rseq.filter(|n| early.rseq == 0 || *n == early.rseq.wrapping_add(1))
        else {
            return;
        };
        early.rseq = rseq;
        let mut prack = early.dialog.request(KnownMethod::PRack);
        prack.headers.push(HeaderName::RAck, format!("{rseq} {cseq} INVITE"));
        let flow = early.dialog.next_hop();
        self.send(now_ms, flow, prack, Purpose::Nothing);
    }

    /// The final answer to an INVITE of ours, or one more 2xx; `None`: nobody answered.
    pub(super) fn fork_answered(
        &mut self,
        now_ms: u64,
        client: u64,
        status: Status,
        response: Option<&Response>,
    ) {
        let Some(fork) = self.fork_mut(client) else { return };
        let (leg, contact, rang) = (fork.leg, fork.contact, fork.rang);
        let Some(response) = response else { return self.fork_unanswered(now_ms, client) };
        if status != Status::REQUEST_TIMEOUT {
            self.phone_spoke(contact);
        }
        let way = self.fork_mut(client).and_then(|fork| fork.way.clone());
        match way {
            way if status.is_success() => {
                way.iter().for_each(|way| self.way_accepted(way));
                self.fork_accepted(now_ms, client, response);
            }
            Some(way) => self.way_refused(now_ms, client, leg, rang, way, response),
            None => self.fork_failed(leg, client, outcome_of(status, rang)),
        }
    }

    /// The INVITE did not reach the phone, or the trunk.
    fn fork_unanswered(&mut self, now_ms: u64, client: u64) {
        let Some(fork) = self.fork_mut(client) else { return };
        let (leg, contact, rang) = (fork.leg, fork.contact, fork.rang);
        if let Some(way) = fork.way.clone() {
            return self.way_silent(now_ms, client, leg, rang, &way);
        }
        if let Some(contact) = contact {
            self.phone_is_gone(now_ms, contact);
        }
        self.fork_failed(leg, client, RingOutcome::Unreachable);
    }

    /// RFC 3261 §13.2.2.4: each 2xx is acknowledged, each repetition again; one dialog is kept.
    fn fork_accepted(&mut self, now_ms: u64, client: u64, response: &Response) {
        let tag = response.headers.to().ok().and_then(|to| to.tag().map(Box::<str>::from));
        let Some(fork) = self.fork_mut(client) else { return };
        let leg = fork.leg;
        if let Some(known) = fork.acks.iter().find(|acked| acked.tag == tag) {
            let packet = (known.flow, known.ack.clone());
            return self.outbox.packets.push(packet);
        }
        if fork.acks.len() >= DIALOGS_MAX {
            return;
        }
        let Some(known) = self.clients.get(&client) else { return };
        let Ok(mut dialog) = Dialog::answered(&known.request, response, known.flow) else {
            return self.fork_failed(leg, client, RingOutcome::Failed);
        };
        let flow = dialog.next_hop();
        let ack = dialog.request_numbered(KnownMethod::Ack, number_of(&known.request));
        let ack = self.stamp_ack(flow, ack);
        self.outbox.packets.push((flow, ack.clone()));
        let wanted = self.is_wanted(leg, client);
        let Some(fork) = self.fork_mut(client) else { return };
        fork.acks.push(Acked { tag, flow, ack });
        let early = fork.early.iter().find(|early| early.dialog.remote_tag == dialog.remote_tag);
        if let Some(early) = early {
            dialog.count_on(&early.dialog);
        }
        if !wanted {
            return self.hang_up_stray(now_ms, dialog);
        }
        let sdp = session_in(response).or_else(|| early.and_then(|early| early.sdp.clone()));
        match sdp.map(|sdp| fork.description.accept_answer(&sdp)) {
            Some(Ok(session)) => {
                let description = fork.description.clone();
                self.pick_up(now_ms, client, dialog, description, session, &response.headers);
            }
            Some(Err(_)) | None => {
                tracing::info!(%leg, "a phone was picked up, but its answer can't be used");
                self.hang_up_stray(now_ms, dialog);
                self.fork_failed(leg, client, RingOutcome::Failed);
            }
        }
    }

    /// From here on the leg is like one that came to us.
    fn pick_up(
        &mut self,
        now_ms: u64,
        client: u64,
        dialog: Dialog,
        description: LocalDescription,
        session: MediaSession,
        headers: &Headers,
    ) {
        let Some(fork) = self.fork_mut(client) else { return };
        let (id, contact) = (fork.leg, fork.contact);
        let trunk = fork.way.as_ref().map(|way| way.trunk);
        let leg = Leg {
            id,
            dialog,
            stage: Stage::Up,
            description: Some(description),
            unacknowledged: None,
            session: None,
            refreshing: None,
            peer_allows_update: headers.lists(&HeaderName::Allow, "UPDATE"),
            answers_options: contact.is_some() || headers.lists(&HeaderName::Allow, "OPTIONS"),
            probe: None,
            account: None,
            contact,
            trunk,
            we_called: true,
            transfer: None,
        };
        self.legs.insert(id, leg);
        self.adopt_session(now_ms, id, headers);
        self.fork_won(now_ms, id, client);
        self.tell_agreed(id, session);
        self.outbox.events.push(SipEvent::Answered { leg: id });
    }

    /// A phone was picked up that nobody waits for: it lost the race, or CANCEL came too late.
    fn hang_up_stray(&mut self, now_ms: u64, mut dialog: Dialog) {
        let bye = dialog.request(KnownMethod::Bye);
        self.send(now_ms, dialog.next_hop(), bye, Purpose::Nothing);
    }

    /// The phone has said nothing at all.
    pub(super) fn fork_silent(&mut self, now_ms: u64, client: u64) {
        let Some(fork) = self.fork_mut(client).filter(|fork| !fork.heard) else { return };
        let leg = fork.leg;
        if self.is_wanted(leg, client) {
            self.give_up_fork(now_ms, client);
            self.fork_unanswered(now_ms, client);
        }
    }

    /// Nobody waits for this INVITE any more. Without a provisional answer there is nothing to
    /// cancel yet (RFC 3261 §9.1): it is only not resent.
    pub(super) fn give_up_fork(&mut self, now_ms: u64, client: u64) {
        let Some(fork) = self.fork_mut(client) else { return };
        fork.given_up = true;
        let heard = fork.heard;
        self.drive_client(now_ms, client, client::Transaction::abandon);
        if heard {
            self.cancel_fork(now_ms, client);
        }
    }

    /// RFC 3261 §9.1: the same Request-URI, topmost Via, routes and ids.
    fn cancel_fork(&mut self, now_ms: u64, client: u64) {
        let id = self.next_id();
        let Some(known) = self.clients.get_mut(&client) else { return };
        let Purpose::Fork(fork) = &mut known.purpose else { return };
        if fork.cancel.is_some() || !fork.acks.is_empty() {
            return;
        }
        fork.cancel = Some(id);
        let (invite, flow) = (&known.request, known.flow);
        let mut cancel = Request::new(Method::from(KnownMethod::Cancel), invite.uri.clone());
        for name in [
            HeaderName::Via,
            HeaderName::MaxForwards,
            HeaderName::Route,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
        ] {
            cancel.headers.copy(&name, &invite.headers);
        }
        cancel.headers.push(HeaderName::CSeq, format!("{} CANCEL", number_of(invite)));
        self.start_client(now_ms, id, flow, cancel, Purpose::Nothing);
        let due = Due::CancelSilent { invite: client, cancel: id };
        self.timers.arm(now_ms + self.answer_ms(), due);
    }
}

fn session_in(response: &Response) -> Option<Bytes> {
    match body::session(&response.headers, &response.body) {
        Session::Sdp(sdp) => Some(sdp),
        Session::Absent | Session::Unknown => None,
    }
}

/// The number of an INVITE of ours: it grows with each challenge.
fn number_of(invite: &Request) -> u32 {
    invite.headers.cseq().map_or(1, |cseq| cseq.number)
}

/// What a refusal says of the phone and its owner. A redirection is not followed: it would take
/// the customer to a number that nobody here chose. Credentials are never given (401, 407): a
/// phone that asks for them is after an answer to crack.
fn outcome_of(status: Status, rang: bool) -> RingOutcome {
    match status.code() {
        486 | 600 => RingOutcome::Busy,
        408 | 480 if rang => RingOutcome::NoAnswer,
        404 | 408 | 410 | 430 | 480 | 502..=504 | 604 => RingOutcome::Unreachable,
        300..400 | 403 | 433 | 603 | 607 | 608 => RingOutcome::Rejected,
        _ => RingOutcome::Failed,
    }
}

/// The user part of our From: escaped where it must be (RFC 3261 §25.1), never empty.
fn user_part(user: &str) -> String {
    if user.is_empty() { "anonymous".to_owned() } else { grammar::escape_user(user) }
}

/// The address of the phone without what concerns only the way to it (RFC 3261 §8.1.1.2, §19.1.5).
fn bare(uri: &Uri) -> Uri {
    match uri.clone() {
        Uri::Sip(uri) => {
            Uri::Sip(SipUri { params: Params::default(), headers: None, password: None, ..uri })
        }
        other @ Uri::Other { .. } => other,
    }
}
