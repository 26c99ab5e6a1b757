//! A request finds its transaction, then its method, then its call (RFC 3261 §8.2, §12.2.2).

use std::net::IpAddr;

use super::super::message::{HeaderName, KnownMethod, Method, Parsed, Request, Response, Status};
use super::super::transaction::{self, server};
use super::super::transport::Flow;
use super::admission::Peer;
use super::leg::Stage;
use super::tokens::{Digest, leg_of, tag_of};
use super::{ALLOW, Agent, SDP, SERVER, SUPPORTED, Server};
use crate::domain::LegId;

impl Agent {
    /// A request came on `flow`; its answers go out on `back`.
    pub(super) fn request(&mut self, now_ms: u64, flow: Flow, back: Flow, request: Request) {
        let key = self.key_of(flow, &request);
        let known = self.by_key.get(&key).copied();
        if request.method.is(KnownMethod::Ack) {
            if let Some(id) = known {
                self.drive_server(now_ms, id, server::Transaction::acknowledged);
            }
            self.acknowledge(now_ms, flow, &request);
            return;
        }
        if let Some(id) = known {
            if let Some(server) = self.servers.get_mut(&id) {
                // The answer goes where the question came from this time.
                server.flow = back;
            }
            self.drive_server(now_ms, id, server::Transaction::repeated);
            return;
        }
        if !self.has_room(now_ms, flow, &request) {
            return self.refuse_for_now(back, &request);
        }
        if request.method.is(KnownMethod::Register) {
            return self.register(now_ms, flow, back, key, &request);
        }
        let id = self.open(now_ms, back, &request, key);
        self.dispatch(now_ms, id, flow, request);
    }

    /// There is no time for anything new: what begins something is refused at once, everything else
    /// has its way. Times are those of [`Agent::receive`].
    pub fn refuse_new(&mut self, now_ms: u64, flow: Flow, parsed: Parsed) {
        let Parsed::Request(mut request) = parsed else {
            return self.receive(now_ms, flow, parsed);
        };
        let back = flow.back(request.stamp_via(flow.remote));
        let is_repeated = self.by_key.contains_key(&self.key_of(flow, &request));
        if is_repeated || !begins_something(&request) {
            return self.request(now_ms, flow, back, request);
        }
        self.refuse_for_now(back, &request);
    }

    /// By which the transaction of a request is found.
    fn key_of(&self, flow: Flow, request: &Request) -> Digest {
        let method = transaction::method_of(request);
        self.tokens.digest(&transaction::key(request, &method, flow.remote.ip()))
    }

    /// Whether one more transaction, and one more call if this begins one, may be taken on.
    fn has_room(&mut self, now_ms: u64, flow: Flow, request: &Request) -> bool {
        let limits = self.settings.limits;
        if self.servers.len() + self.clients.len() >= limits.transactions_max {
            return false;
        }
        if !request.method.is(KnownMethod::Invite) || is_in_dialog(request) {
            return true;
        }
        let peer = self.peer_of(flow);
        !self.draining
            && self.calls() < limits.legs_max
            && self.admission.admits(now_ms, peer, &limits)
    }

    /// Who calls, as far as the shares of sources go.
    pub(super) fn peer_of(&self, flow: Flow) -> Peer {
        let source = flow.remote.ip().to_canonical();
        let is_exempt = source.is_loopback() || self.trusts(source);
        if is_exempt { Peer::Exempt } else { Peer::Stranger(source) }
    }

    /// 503 with Retry-After. Nothing is kept of it: a flood costs no memory.
    fn refuse_for_now(&mut self, back: Flow, request: &Request) {
        let tag = self.stateless_tag(&request.headers);
        let busy = Response::answering(&request.headers, Status::SERVICE_UNAVAILABLE, Some(&tag));
        let busy = self.with_retry_after(busy).with(HeaderName::Server, SERVER);
        self.outbox.packets.push((back, busy.to_bytes()));
        self.outbox.refused += 1;
    }

    /// Opens a server transaction whose answers go out on `flow`.
    pub(super) fn open(&mut self, now_ms: u64, flow: Flow, request: &Request, key: Digest) -> u64 {
        let id = self.next_id();
        let reliable = flow.transport().is_reliable();
        let timing = self.settings.timing;
        let mut steps = Vec::new();
        let is_invite = request.method.is(KnownMethod::Invite);
        let machine = if is_invite {
            let mut trying = Response::answering(&request.headers, Status::TRYING, None);
            trying.headers.copy(&HeaderName::Timestamp, &request.headers);
            server::Transaction::invite(trying.to_bytes(), reliable, timing, &mut steps)
        } else {
            server::Transaction::other(reliable, timing)
        };
        let via = if is_invite { request.headers.via().ok() } else { None };
        let branch = via.as_ref().and_then(|via| via.unique_branch());
        let branch = branch.map(|branch| self.tokens.digest(branch));
        self.by_key.insert(key, id);
        self.servers.insert(id, Server { machine, flow, key, call: None, branch, leg: None });
        self.take_server_steps(now_ms, id, steps);
        id
    }

    fn dispatch(&mut self, now_ms: u64, id: u64, flow: Flow, request: Request) {
        let headers = &request.headers;
        let Method::Known(method) = request.method else {
            let response = self.reply(headers, Status::NOT_IMPLEMENTED);
            return self.respond(now_ms, id, &response.with(HeaderName::Allow, ALLOW));
        };
        match method {
            KnownMethod::Invite
            | KnownMethod::Bye
            | KnownMethod::Options
            | KnownMethod::Info
            | KnownMethod::Update
            | KnownMethod::PRack
            | KnownMethod::Refer
            | KnownMethod::Subscribe => {}
            KnownMethod::Cancel => return self.cancel(now_ms, id, flow, &request),
            KnownMethod::Message | KnownMethod::Notify | KnownMethod::Publish => {
                let response = self.reply(headers, Status::METHOD_NOT_ALLOWED);
                return self.respond(now_ms, id, &response.with(HeaderName::Allow, ALLOW));
            }
            // Both were dealt with before.
            KnownMethod::Ack | KnownMethod::Register => return,
        }
        if request.uri.sip().is_none() {
            return self.refuse_plainly(now_ms, id, &request, Status::UNSUPPORTED_URI_SCHEME);
        }
        if let Some(response) = self.unsupported(&request) {
            return self.respond(now_ms, id, &response);
        }
        let to_tag = headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        match (to_tag, method) {
            (Some(tag), _) => match self.leg_of(&tag, &request) {
                Some(leg) => self.in_dialog(now_ms, id, leg, flow, method, &request),
                None => match self.subscription_of(&tag, headers) {
                    Some(subscription) if method == KnownMethod::Subscribe => {
                        self.resubscribe(now_ms, id, subscription, flow, &request);
                    }
                    Some(_) | None => {
                        self.refuse_plainly(now_ms, id, &request, Status::NO_SUCH_CALL);
                    }
                },
            },
            (None, KnownMethod::Invite) => {
                if self.is_merged(id, &request) {
                    return self.refuse_plainly(now_ms, id, &request, Status::LOOP_DETECTED);
                }
                self.new_call(now_ms, id, flow, request);
            }
            (None, KnownMethod::Options) => {
                let response = self.options(&request, None);
                self.respond(now_ms, id, &response);
            }
            (None, KnownMethod::Subscribe) => self.subscribe(now_ms, id, flow, &request),
            (None, KnownMethod::Refer) => {
                self.refuse_plainly(now_ms, id, &request, Status::FORBIDDEN);
            }
            (None, _) => self.refuse_plainly(now_ms, id, &request, Status::NO_SUCH_CALL),
        }
    }

    /// The call that a request inside a dialog belongs to: all of its ids must be right, so that a
    /// stranger can't end it.
    pub(super) fn leg_of(&self, to_tag: &str, request: &Request) -> Option<LegId> {
        let id = leg_of(to_tag)?;
        self.legs.get(&id).filter(|leg| leg.dialog.matches(&request.headers)).map(|leg| leg.id)
    }

    /// Whether a request of a call comes from its peer: from an address that the
    /// [dialog knows](super::super::dialog::Dialog::is_home), from a trusted network or trunk, or from where a phone of the
    /// peer's account is registered. Whoever else knows the ids has overheard them.
    pub(super) fn is_of_peer(&self, id: LegId, source: IpAddr) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let dialled = leg.contact.and_then(|contact| self.registrar.owner(contact));
        let account = leg.account.as_ref().or(dialled);
        leg.dialog.is_home(source)
            || self.trusts(source)
            || account.is_some_and(|login| self.registrar.has_phone_at(login, source))
    }

    /// RFC 3261 §8.2.2.3: 420, naming all that is not understood.
    fn unsupported(&mut self, request: &Request) -> Option<Response> {
        let supported =
            |option: &String| SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(option));
        let required = request.headers.items(&HeaderName::Require);
        let unknown: Vec<String> = required.into_iter().filter(|o| !supported(o)).collect();
        (!unknown.is_empty()).then(|| {
            self.reply(&request.headers, Status::BAD_EXTENSION)
                .with(HeaderName::Unsupported, unknown.join(", "))
        })
    }

    /// RFC 3261 §8.2.2.2: the same request by another way, that is with another branch.
    fn is_merged(&mut self, id: u64, request: &Request) -> bool {
        let call = self.tokens.digest(&transaction::call_of(request));
        if let Some(other) = self.by_call.get(&call) {
            let branch_of = |id: &u64| self.servers.get(id).and_then(|server| server.branch);
            let (ours, other) = (branch_of(&id), branch_of(other));
            return ours.is_some() && other.is_some() && ours != other;
        }
        self.by_call.insert(call, id);
        if let Some(server) = self.servers.get_mut(&id) {
            server.call = Some(call);
        }
        false
    }

    /// RFC 3261 §11.2.
    pub(super) fn options(&mut self, request: &Request, leg: Option<LegId>) -> Response {
        if self.draining && leg.is_none() {
            let response = self.reply(&request.headers, Status::SERVICE_UNAVAILABLE);
            return self.with_retry_after(response);
        }
        self.reply(&request.headers, Status::OK)
            .with(HeaderName::Allow, ALLOW)
            .with(HeaderName::Accept, SDP)
            .with(HeaderName::Supported, SUPPORTED)
    }

    pub(super) fn refuse_plainly(
        &mut self,
        now_ms: u64,
        id: u64,
        request: &Request,
        status: Status,
    ) {
        let response = self.reply(&request.headers, status);
        self.respond(now_ms, id, &response);
    }

    pub(super) fn with_retry_after(&self, response: Response) -> Response {
        let seconds = self.settings.limits.retry_after_s.to_string();
        response.with(HeaderName::RetryAfter, seconds)
    }

    /// RFC 3261 §9.2. It comes the way of its INVITE, hop by hop: from its address.
    fn cancel(&mut self, now_ms: u64, id: u64, flow: Flow, request: &Request) {
        let invite = KnownMethod::Invite.into();
        let key = transaction::key(request, &invite, flow.remote.ip());
        let invite = self.by_key.get(&self.tokens.digest(&key));
        let Some(invite) = invite.and_then(|invite| self.servers.get(invite)) else {
            return self.refuse_plainly(now_ms, id, request, Status::NO_SUCH_CALL);
        };
        let leg = invite.leg;
        let tag = leg.map(tag_of);
        let ok = Response::answering(&request.headers, Status::OK, tag.as_deref())
            .with(HeaderName::Server, SERVER);
        self.respond(now_ms, id, &ok);
        let pending = leg.filter(|leg| {
            self.legs.get(leg).is_some_and(|leg| matches!(leg.stage, Stage::Pending(_)))
        });
        if let Some(leg) = pending {
            self.caller_gave_up(now_ms, leg);
        }
    }
}

/// Whether a request is of a dialog that is there already, as its sender says.
fn is_in_dialog(request: &Request) -> bool {
    request.headers.to().is_ok_and(|to| to.tag().is_some())
}

/// Whether a request is neither about something that is there already, nor a question whether we
/// are there.
fn begins_something(request: &Request) -> bool {
    match request.method {
        Method::Known(
            KnownMethod::Ack | KnownMethod::Bye | KnownMethod::Cancel | KnownMethod::Options,
        ) => false,
        Method::Known(_) => !is_in_dialog(request),
        Method::Other(_) => true,
    }
}
