//! Our requests, and what is answered to them.

use std::net::SocketAddr;

use bytes::Bytes;

use super::super::message::{
    HeaderName, Headers, KnownMethod, Method, Request, Response, Status, Uri, fields::sent_by,
};
use super::super::registrar::ContactId;
use super::super::transaction::{Step, client};
use super::super::transport::{Flow, Link};
use super::Agent;
use super::fork::Fork;
use super::leg::Stage;
use super::timers::Due;
use crate::domain::{EndReason, EndedBy, LegId};

/// A client transaction and what it is for.
#[derive(Debug)]
pub(super) struct Client {
    machine: client::Transaction,
    pub(super) flow: Flow,
    /// The connection was lost once, and the request sent again.
    resent: bool,
    pub(super) purpose: Purpose,
    /// The head of our request, for the ACK to a refusal (RFC 3261 §17.1.1.3) and for CANCEL.
    pub(super) request: Request,
}

/// Whom the answer to a request of ours concerns.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A request inside the dialog of this leg.
    Leg(LegId),
    /// An INVITE that is to become a leg.
    Fork(Box<Fork>),
    /// A NOTIFY of this subscription.
    Subscription(u64),
    /// Is this phone there?
    Probe(ContactId),
    /// Our REGISTER at this server of a trunk.
    Register { trunk: usize, server: SocketAddr },
    /// Is this server of a trunk there?
    TrunkProbe { trunk: usize, server: SocketAddr },
    /// A CANCEL, a PRACK, the BYE to a phone that came too late: any answer will do.
    Nothing,
}

impl Client {
    pub(super) fn is_unanswered(&self) -> bool {
        self.machine.awaits_answer()
    }
}

impl Agent {
    /// Ends a call from our side; the app is told at once.
    pub(super) fn hang_up(&mut self, now_ms: u64, id: LegId, by: EndedBy, reason: EndReason) {
        self.settle_transfer(now_ms, id);
        let Some(leg) = self.legs.get_mut(&id) else { return self.withdraw(now_ms, id) };
        match leg.stage {
            Stage::Pending(ref pending) => {
                let no_prack = pending.provisional.as_ref().is_some_and(|p| !p.acknowledged);
                let status = match reason {
                    EndReason::Shutdown => Status::SERVICE_UNAVAILABLE,
                    // RFC 3262 §3: a caller who sends no PRACK gets a 5xx.
                    _ if no_prack => Status::SERVER_INTERNAL_ERROR,
                    _ => Status::TEMPORARILY_UNAVAILABLE,
                };
                self.finish_pending_with(now_ms, id, status, by, reason);
            }
            Stage::Up => {
                leg.stage = Stage::Ending;
                let wait = leg.unacknowledged.as_ref().is_some_and(|waiting| waiting.first);
                self.tell_end(id, by, reason);
                if !wait {
                    self.send_bye(now_ms, id);
                }
            }
            Stage::Ending => {}
        }
    }

    pub(super) fn send_bye(&mut self, now_ms: u64, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.unacknowledged = None;
        let request = leg.dialog.request(KnownMethod::Bye);
        self.send_request(now_ms, id, request);
    }

    /// Ends a call whose peer has kept silent for 64·T1: whatever it answers, the call is over, so
    /// nothing is kept of it.
    pub(super) fn send_last_bye(&mut self, now_ms: u64, id: LegId) {
        let Some(mut leg) = self.legs.remove(&id) else { return };
        let request = leg.dialog.request(KnownMethod::Bye);
        self.send(now_ms, leg.dialog.next_hop(), request, Purpose::Nothing);
    }

    /// Sends a request inside the dialog of a leg; gives its transaction.
    pub(super) fn send_request(
        &mut self,
        now_ms: u64,
        leg: LegId,
        request: Request,
    ) -> Option<u64> {
        let flow = self.legs.get(&leg)?.dialog.next_hop();
        Some(self.send(now_ms, flow, request, Purpose::Leg(leg)))
    }

    /// Stamps a request with our Via and sends it; gives its transaction.
    pub(super) fn send(
        &mut self,
        now_ms: u64,
        flow: Flow,
        mut request: Request,
        purpose: Purpose,
    ) -> u64 {
        let id = self.next_id();
        request.headers.push_front(HeaderName::Via, self.via(flow, &self.tokens.branch(id)));
        request.headers.push(HeaderName::UserAgent, super::SERVER);
        self.start_client(now_ms, id, flow, request, purpose);
        id
    }

    /// Opens a client transaction.
    pub(super) fn start_client(
        &mut self,
        now_ms: u64,
        id: u64,
        flow: Flow,
        mut request: Request,
        purpose: Purpose,
    ) {
        let reliable = flow.transport().is_reliable();
        let is_invite = request.method.is(KnownMethod::Invite);
        let mut steps = Vec::new();
        let machine = client::Transaction::start(
            request.to_bytes(),
            is_invite,
            reliable,
            self.settings.timing,
            &mut steps,
        );
        request.body = Bytes::new();
        if matches!(purpose, Purpose::Nothing) && !is_invite {
            // Nobody will look at it again.
            request.headers = Headers::default();
        }
        self.clients.insert(id, Client { machine, flow, resent: false, purpose, request });
        self.take_client_steps(now_ms, id, steps);
    }

    fn via(&self, flow: Flow, branch: &str) -> String {
        let host = sent_by(self.public_ip(flow), flow.local.port());
        let transport = flow.transport().token();
        format!("SIP/2.0/{transport} {host};branch={branch};rport")
    }

    /// The ACK to a 2xx is a request of its own (RFC 3261 §13.2.2.4).
    fn send_ack(&mut self, leg: LegId, cseq: u32) {
        let Some(leg) = self.legs.get(&leg) else { return };
        let flow = leg.dialog.next_hop();
        let ack = leg.dialog.request_numbered(KnownMethod::Ack, cseq);
        let ack = self.stamp_ack(flow, ack);
        self.outbox.packets.push((flow, ack));
    }

    /// The bytes of an ACK with a branch of its own.
    pub(super) fn stamp_ack(&mut self, flow: Flow, mut ack: Request) -> Bytes {
        let id = self.next_id();
        ack.headers.push_front(HeaderName::Via, self.via(flow, &self.tokens.branch(id)));
        ack.to_bytes()
    }

    pub(super) fn drive_client(
        &mut self,
        now_ms: u64,
        id: u64,
        act: impl FnOnce(&mut client::Transaction, &mut Vec<client::Step>),
    ) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let mut steps = Vec::new();
        act(&mut client.machine, &mut steps);
        self.take_client_steps(now_ms, id, steps);
    }

    fn take_client_steps(&mut self, now_ms: u64, id: u64, steps: Vec<client::Step>) {
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    let Some(client) = self.clients.get(&id) else { return };
                    self.outbox.packets.push((client.flow, bytes));
                }
                Step::Arm { timer, after_ms } => {
                    self.timers.arm(now_ms + after_ms, Due::Client { id, timer });
                }
                Step::TimedOut => self.answered(now_ms, id, Status::REQUEST_TIMEOUT, None),
                Step::Finished => {
                    self.clients.remove(&id);
                }
            }
        }
    }

    /// A connection is gone, or could not be made. Requests without an answer are sent once more,
    /// for which a new connection is made; then they have failed.
    pub fn link_closed(&mut self, now_ms: u64, link: Link) {
        self.registrar.link_closed(link);
        let of_link = self.clients.iter_mut().filter(|(_, client)| client.flow.link == link);
        let mut failed = Vec::new();
        for (id, client) in of_link {
            match client.machine.unanswered().filter(|_| !client.resent) {
                Some(request) => {
                    client.resent = true;
                    self.outbox.packets.push((client.flow, request.clone()));
                }
                None => failed.push(*id),
            }
        }
        for id in failed {
            self.drive_client(now_ms, id, client::Transaction::failed);
        }
    }

    /// The system can't send to an address at all: requests to a trunk there have failed. Phones have
    /// the time that they have after any lost datagram.
    pub fn undeliverable(&mut self, now_ms: u64, to: SocketAddr) {
        let is_of_trunk = |client: &Client| match &client.purpose {
            Purpose::Fork(fork) => fork.goes_to_trunk(),
            Purpose::Register { .. } | Purpose::TrunkProbe { .. } => true,
            Purpose::Leg(_) | Purpose::Subscription(_) | Purpose::Probe(_) | Purpose::Nothing => {
                false
            }
        };
        let lost = self.clients.iter().filter(|(_, client)| {
            client.flow.remote == to && client.is_unanswered() && is_of_trunk(client)
        });
        let lost: Vec<u64> = lost.map(|(id, _)| *id).collect();
        for id in lost {
            self.drive_client(now_ms, id, client::Transaction::failed);
        }
    }

    /// A response came. What belongs to no request of ours is dropped.
    pub(super) fn response(&mut self, now_ms: u64, response: &Response) {
        let branch = response.headers.via().ok();
        let id = branch.as_ref().and_then(|via| self.tokens.of_branch(via.branch()?));
        let Ok(cseq) = response.headers.cseq() else { return };
        let Some(id) = id.and_then(|id| self.sharing_branch(id, &cseq.method)) else { return };
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.request.method != cseq.method {
            return;
        }
        let status = response.status;
        let mut steps = Vec::new();
        let request = &client.request;
        let news =
            client.machine.response(status, || ack_to_refusal(request, response), &mut steps);
        // The ACK to a refusal goes out before what follows from it; the answer is read before the
        // transaction may be taken away.
        let is_sent = |step: &mut Step<_>| matches!(step, Step::Send(_));
        let sent = steps.extract_if(.., is_sent).collect();
        self.take_client_steps(now_ms, id, sent);
        if news && status.is_final() {
            self.answered(now_ms, id, status, Some(response));
        } else if news {
            self.fork_progress(now_ms, id, response);
        }
        self.take_client_steps(now_ms, id, steps);
    }

    /// A CANCEL has the branch of its INVITE (RFC 3261 §9.1), but a transaction of its own.
    fn sharing_branch(&self, id: u64, method: &Method) -> Option<u64> {
        if !method.is(KnownMethod::Cancel) {
            return Some(id);
        }
        match &self.clients.get(&id)?.purpose {
            Purpose::Fork(fork) => fork.cancel,
            Purpose::Leg(_)
            | Purpose::Subscription(_)
            | Purpose::Probe(_)
            | Purpose::Register { .. }
            | Purpose::TrunkProbe { .. }
            | Purpose::Nothing => None,
        }
    }

    /// A final answer, or 408 for none at all.
    fn answered(&mut self, now_ms: u64, id: u64, status: Status, response: Option<&Response>) {
        match self.clients.get(&id).map(|client| &client.purpose) {
            Some(Purpose::Leg(leg)) => self.leg_answered(now_ms, id, *leg, status, response),
            Some(Purpose::Fork(_)) => self.fork_answered(now_ms, id, status, response),
            Some(Purpose::Subscription(subscription)) => {
                self.notify_answered(now_ms, *subscription, status);
            }
            Some(Purpose::Probe(contact)) => self.probe_answered(now_ms, *contact, status),
            Some(&Purpose::Register { trunk, server }) => {
                self.register_answered(now_ms, id, (trunk, server), response);
            }
            Some(&Purpose::TrunkProbe { trunk, server }) => {
                self.trunk_probed(now_ms, id, trunk, server, response.is_some());
            }
            Some(Purpose::Nothing) | None => {}
        }
    }

    fn leg_answered(
        &mut self,
        now_ms: u64,
        id: u64,
        leg: LegId,
        status: Status,
        response: Option<&Response>,
    ) {
        let Some(request) = self.clients.get(&id).map(|client| &client.request) else { return };
        let Method::Known(method) = request.method else { return };
        let cseq = request.headers.cseq().map_or(0, |cseq| cseq.number);
        if response.is_some() {
            self.phone_spoke(self.legs.get(&leg).and_then(|leg| leg.contact));
        }
        match method {
            // Whatever they say, the call is over.
            KnownMethod::Bye => {
                self.legs.remove(&leg);
            }
            KnownMethod::Invite => {
                if status.is_success() {
                    self.send_ack(leg, cseq);
                }
                self.refresh_answered(now_ms, id, leg, status, response);
            }
            KnownMethod::Update => self.refresh_answered(now_ms, id, leg, status, response),
            KnownMethod::Notify => self.transfer_notified(now_ms, id, leg),
            KnownMethod::Options => {
                self.leg_probed(now_ms, id, leg, status, response.is_some());
            }
            KnownMethod::Ack
            | KnownMethod::Cancel
            | KnownMethod::Info
            | KnownMethod::Message
            | KnownMethod::PRack
            | KnownMethod::Publish
            | KnownMethod::Refer
            | KnownMethod::Register
            | KnownMethod::Subscribe => {}
        }
    }
}

/// RFC 3261 §17.1.1.3: same Request-URI, Via and routes as the INVITE; To as in the answer.
fn ack_to_refusal(invite: &Request, response: &Response) -> Bytes {
    let number = invite.headers.cseq().map_or(0, |cseq| cseq.number);
    let uri: Uri = invite.uri.clone();
    let mut ack = Request::new(Method::from(KnownMethod::Ack), uri);
    for name in [HeaderName::Via, HeaderName::MaxForwards, HeaderName::Route, HeaderName::From] {
        ack.headers.copy(&name, &invite.headers);
    }
    ack.headers.copy(&HeaderName::To, &response.headers);
    ack.headers.copy(&HeaderName::CallId, &invite.headers);
    ack.headers.push(HeaderName::CSeq, format!("{number} ACK"));
    ack.to_bytes()
}
