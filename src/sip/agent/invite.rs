//! A new call, from the INVITE to the ACK (RFC 3261 §13.3, RFC 3262).

use bytes::Bytes;

use super::super::auth::Verdict;
use super::super::border::{Offer, RefuseStatus, SipEvent};
use super::super::dialog::Dialog;
use super::super::message::body::{self, Session};
use super::super::message::{HeaderName, Headers, Request, Response, Status, Uri};
use super::super::offer_answer::{LocalDescription, Refusal, check_offer};
use super::super::transport::Flow;
use super::admission::HalfOpen;
use super::identity::{caller, without_parameters};
use super::leg::{Leg, Pending, Provisional, Stage, Unacknowledged};
use super::register::{Challenge, user_of};
use super::timers::Due;
use super::tokens::tag_of;
use super::{ALLOW, Agent, SDP, SERVER, SUPPORTED};
use crate::domain::{EndReason, EndedBy, LegId, LocalMedia, Login};

/// A longer name is called by nobody who has business here, bytes: 414.
const DIALLED_MAX: usize = 256;

/// Who is called: the user part.
pub(super) fn dialled(uri: &Uri) -> String {
    without_parameters(&uri.user().unwrap_or_default()).to_owned()
}

/// A 2xx to an INVITE.
pub(super) struct Answer<'a> {
    /// The transaction of the INVITE.
    pub server: u64,
    pub response: &'a Response,
    /// It holds our offer.
    pub with_offer: bool,
}

impl Agent {
    /// An INVITE outside of any dialog.
    pub(super) fn new_call(&mut self, now_ms: u64, server: u64, flow: Flow, request: Request) {
        let offer = match self.examine(&request) {
            Ok(offer) => offer,
            Err(response) => return self.respond(now_ms, server, &response),
        };
        let account = match self.prove_caller(now_ms, flow, &request) {
            Ok(account) => account,
            Err(response) => return self.respond(now_ms, server, &response),
        };
        let replaces = match self.replaced_by(&request.headers) {
            Ok(replaces) => replaces,
            Err(status) => return self.refuse_plainly(now_ms, server, &request, status),
        };
        let id = self.tokens.leg(now_ms);
        let Ok(dialog) = Dialog::answering(&request, &tag_of(id), flow) else {
            return self.refuse_plainly(now_ms, server, &request, Status::BAD_REQUEST);
        };
        let dialled = dialled(&request.uri);
        if dialled.len() > DIALLED_MAX {
            return self.refuse_plainly(now_ms, server, &request, Status::URI_TOO_LONG);
        }
        let source = flow.remote;
        let (caller, caller_name) =
            caller(&request, self.trusts(source.ip()), self.settings.region);
        let local = flow.local;
        let peer_allows_update = request.headers.lists(&HeaderName::Allow, "UPDATE");
        let answers_options = request.headers.lists(&HeaderName::Allow, "OPTIONS");
        let reliable = request.headers.lists(&HeaderName::Require, "100rel");
        let half_open = self.admission.half_open(self.peer_of(flow));
        let pending = Pending { server, request, offer, reliable, provisional: None, half_open };
        let leg = Leg {
            id,
            dialog,
            stage: Stage::Pending(Box::new(pending)),
            description: None,
            unacknowledged: None,
            session: None,
            refreshing: None,
            peer_allows_update,
            answers_options,
            probe: None,
            account: account.clone(),
            contact: None,
            trunk: None,
            we_called: false,
            transfer: None,
        };
        self.legs.insert(id, leg);
        if let Some(server) = self.servers.get_mut(&server) {
            server.leg = Some(id);
        }
        let offer = Offer {
            leg: id,
            dialled,
            caller,
            caller_name,
            account,
            is_near_phone: self.registrar.is_registered_from(source.ip()),
            stranger: self.peer_of(flow).stranger(),
            replaces,
            source,
            local,
        };
        self.outbox.events.push(SipEvent::Offered(Box::new(offer)));
    }

    /// All checks that need no plan. Gives the SDP of the offer, if there is one.
    fn examine(&mut self, request: &Request) -> Result<Option<Bytes>, Response> {
        let offer = self.offer_in(request)?;
        if !request.headers.accepts(SDP) {
            let response = self.reply(&request.headers, Status::NOT_ACCEPTABLE);
            return Err(response.with(HeaderName::Accept, SDP));
        }
        if let Some(offer) = &offer
            && let Err(refusal) = check_offer(offer)
        {
            return Err(self.not_acceptable(&request.headers, &refusal));
        }
        self.check_session(request)?;
        Ok(offer)
    }

    /// The account of an INVITE that brings credentials. Who brings none is a customer, and is not
    /// asked for any.
    fn prove_caller(
        &mut self,
        now_ms: u64,
        flow: Flow,
        request: &Request,
    ) -> Result<Option<Login>, Response> {
        let names = [HeaderName::ProxyAuthorization, HeaderName::Authorization];
        let headers = &request.headers;
        let name = user_of(headers.from().ok());
        let verdict = self.verify(now_ms, flow, request, &names);
        match verdict {
            Verdict::Absent => Ok(None),
            Verdict::Proven(login) if name.parse().as_ref() == Ok(&login) => Ok(Some(login)),
            // RFC 3261 §22.3: the account may not call in another's name.
            Verdict::Proven(_) => Err(self.reply(headers, Status::FORBIDDEN)),
            Verdict::Wrong | Verdict::Stale => {
                let response = self.reply(headers, Status::PROXY_AUTHENTICATION_REQUIRED);
                let stale = verdict == Verdict::Stale;
                Err(self.challenge(now_ms, flow, response, Challenge::Proxy, &name, stale))
            }
        }
    }

    /// The SDP of an INVITE or UPDATE; 415 if the body is something else.
    pub(super) fn offer_in(&mut self, request: &Request) -> Result<Option<Bytes>, Response> {
        let headers = &request.headers;
        let encoding = headers.text(&HeaderName::ContentEncoding);
        let plain = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
        // RFC 3261 §20.11: a body that may be ignored is ignored when it is not understood.
        let optional = headers
            .text(&HeaderName::ContentDisposition)
            .is_some_and(|text| text.to_ascii_lowercase().contains("handling=optional"));
        match body::session(&request.headers, &request.body) {
            Session::Absent => Ok(None),
            Session::Sdp(offer) if plain => Ok(Some(offer)),
            Session::Sdp(_) | Session::Unknown if optional => Ok(None),
            Session::Sdp(_) | Session::Unknown => {
                let response = self.reply(headers, Status::UNSUPPORTED_MEDIA_TYPE);
                Err(response
                    .with(HeaderName::Accept, SDP)
                    .with(HeaderName::AcceptEncoding, "identity"))
            }
        }
    }

    pub(super) fn not_acceptable(&mut self, headers: &Headers, refusal: &Refusal) -> Response {
        let (code, text) = match refusal {
            Refusal::NoCommonCodec => (305, "no common codec: PCMA and PCMU are spoken here"),
            Refusal::Malformed(_) => (399, "session description not understood"),
        };
        self.reply(headers, Status::NOT_ACCEPTABLE_HERE)
            .with(HeaderName::Warning, format!("{code} allo \"{text}\""))
    }

    /// A response to a request of this leg, with our tag.
    pub(super) fn leg_reply(&self, leg: LegId, headers: &Headers, status: Status) -> Response {
        Response::answering(headers, status, Some(&tag_of(leg))).with(HeaderName::Server, SERVER)
    }

    /// A response that makes or refreshes a dialog.
    pub(super) fn dialog_reply(
        &self,
        leg: LegId,
        flow: Flow,
        headers: &Headers,
        status: Status,
    ) -> Response {
        let mut response = self.leg_reply(leg, headers, status);
        response.headers.copy(&HeaderName::RecordRoute, headers);
        response
            .with(HeaderName::Contact, self.contact_answering(flow, headers))
            .with(HeaderName::Allow, ALLOW)
            .with(HeaderName::Supported, SUPPORTED)
    }

    pub(super) fn ring(&mut self, now_ms: u64, id: LegId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let Stage::Pending(pending) = &leg.stage else { return };
        let reliable = pending.reliable;
        // The first reliable answer to an INVITE without an offer must bring ours (RFC 3262 §5),
        // and there is no media address yet: such a caller hears nothing until the answer.
        if reliable && (pending.provisional.is_some() || pending.offer.is_none()) {
            return;
        }
        let server = pending.server;
        let headers = &pending.request.headers;
        let response = self.dialog_reply(id, leg.dialog.flow, headers, Status::RINGING);
        if reliable {
            self.send_provisional(now_ms, id, response, false, false);
        } else {
            self.respond(now_ms, server, &response);
        }
    }

    pub(super) fn answer(&mut self, now_ms: u64, id: LegId, media: LocalMedia) {
        let session_id = self.tokens.next_u64() >> 1;
        let Some(leg) = self.legs.get(&id) else { return };
        let ip = self.public_ip(leg.dialog.flow);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let (Stage::Pending(pending), None) = (&leg.stage, &leg.description) else { return };
        let mut description = LocalDescription::new(ip, media, session_id);
        let (sdp, session) = match &pending.offer {
            None => (description.offer(), None),
            Some(offer) => match description.answer(offer) {
                Ok((sdp, session)) => (sdp, Some(session)),
                Err(refusal) => {
                    let headers = pending.request.headers.clone();
                    let response = self.not_acceptable(&headers, &refusal);
                    self.finish_pending(now_ms, id, &response, EndedBy::Server, EndReason::Failed);
                    return;
                }
            },
        };
        let we_offer = session.is_none();
        let reliable = pending.reliable && pending.provisional.is_none();
        leg.description = Some(description);
        if let Some(session) = session {
            self.tell_agreed(id, session);
        }
        if reliable {
            self.progress(now_ms, id, sdp, we_offer);
        } else {
            self.accept(now_ms, id, Some(sdp));
        }
    }

    /// The caller requires 100rel: a 183 takes our SDP there, and the 200 follows its PRACK.
    fn progress(&mut self, now_ms: u64, id: LegId, sdp: Vec<u8>, we_offer: bool) {
        let Some(leg) = self.legs.get(&id) else { return };
        let Stage::Pending(pending) = &leg.stage else { return };
        let headers = &pending.request.headers;
        let status = Status::SESSION_PROGRESS;
        let mut response = self.dialog_reply(id, leg.dialog.flow, headers, status);
        response.set_body(SDP, sdp);
        self.send_provisional(now_ms, id, response, true, we_offer);
    }

    /// Sends a reliable provisional answer (RFC 3262 §3).
    fn send_provisional(
        &mut self,
        now_ms: u64,
        id: LegId,
        response: Response,
        with_session: bool,
        with_offer: bool,
    ) {
        // RFC 3262 §3: the first number is from 1 to 2³¹ − 1.
        let rseq = u32::try_from(self.tokens.next_u64() >> 34).unwrap_or(0).max(1);
        let response =
            response.with(HeaderName::Require, "100rel").with(HeaderName::RSeq, rseq.to_string());
        let timing = self.settings.timing;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Pending(pending) = &mut leg.stage else { return };
        let server = pending.server;
        pending.provisional = Some(Provisional {
            rseq,
            response: response.to_bytes(),
            interval_ms: timing.t1_ms,
            acknowledged: false,
            with_session,
            with_offer,
        });
        self.respond(now_ms, server, &response);
        self.timers.arm(now_ms + timing.t1_ms, Due::RepeatProvisional { leg: id, rseq });
        self.timers.arm(now_ms + timing.give_up_ms(), Due::PrackMissing { leg: id, rseq });
    }

    fn waiting_provisional(&mut self, id: LegId, rseq: u32) -> Option<(u64, &mut Provisional)> {
        let leg = self.legs.get_mut(&id)?;
        let Stage::Pending(pending) = &mut leg.stage else { return None };
        let server = pending.server;
        let provisional = pending.provisional.as_mut()?;
        (provisional.rseq == rseq && !provisional.acknowledged).then_some((server, provisional))
    }

    pub(super) fn repeat_provisional(&mut self, now_ms: u64, id: LegId, rseq: u32) {
        let Some((server, provisional)) = self.waiting_provisional(id, rseq) else { return };
        provisional.interval_ms *= 2;
        let (after_ms, bytes) = (provisional.interval_ms, provisional.response.clone());
        if let Some(server) = self.servers.get(&server) {
            self.outbox.packets.push((server.flow, bytes));
        }
        self.timers.arm(now_ms + after_ms, Due::RepeatProvisional { leg: id, rseq });
    }

    /// RFC 3262 §3: the INVITE is refused with a 5xx.
    pub(super) fn prack_missing(&mut self, now_ms: u64, id: LegId, rseq: u32) {
        if self.waiting_provisional(id, rseq).is_some() {
            let (by, reason) = (EndedBy::Network, EndReason::NotAcknowledged);
            self.finish_pending_with(now_ms, id, Status::SERVER_INTERNAL_ERROR, by, reason);
        }
    }

    /// The 200. `sdp` is `None` when a reliable provisional answer took it there.
    pub(super) fn accept(&mut self, now_ms: u64, id: LegId, sdp: Option<Vec<u8>>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !matches!(leg.stage, Stage::Pending(_)) {
            return;
        }
        let Stage::Pending(pending) = std::mem::replace(&mut leg.stage, Stage::Up) else { return };
        let flow = leg.dialog.flow;
        let headers = &pending.request.headers;
        let mut response = self.dialog_reply(id, flow, headers, Status::OK);
        self.grant_session(now_ms, id, headers, &mut response);
        let with_offer = sdp.is_some() && pending.offer.is_none();
        if let Some(sdp) = sdp {
            response.set_body(SDP, sdp);
        }
        let answer = Answer { server: pending.server, response: &response, with_offer };
        self.accept_with(now_ms, id, answer, Some(pending.half_open));
    }

    /// Sends a 2xx, and notes that it is to be acknowledged. `half_open`: it is the answer to the
    /// first INVITE.
    pub(super) fn accept_with(
        &mut self,
        now_ms: u64,
        id: LegId,
        answer: Answer<'_>,
        half_open: Option<HalfOpen>,
    ) {
        let timing = self.settings.timing;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Answer { server, response, with_offer } = answer;
        let interval_ms = timing.t1_ms;
        let (status, headers) = (response.status, &response.headers);
        let cseq = headers.cseq().map_or(0, |cseq| cseq.number);
        let response = response.to_bytes();
        leg.unacknowledged = Some(Unacknowledged {
            cseq,
            server,
            response: response.clone(),
            interval_ms,
            with_offer,
            first: half_open.is_some(),
            half_open,
        });
        self.timers.arm(now_ms + interval_ms, Due::RepeatAccepted { leg: id, cseq });
        self.timers.arm(now_ms + timing.give_up_ms(), Due::AckMissing { leg: id, cseq });
        self.drive_server(now_ms, server, |machine, steps| {
            machine.respond(status, response, steps);
        });
    }

    pub(super) fn repeat_accepted(&mut self, now_ms: u64, id: LegId, cseq: u32) {
        let t2_ms = self.settings.timing.t2_ms;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let dialog_flow = leg.dialog.flow;
        let waiting = leg.unacknowledged.as_mut().filter(|waiting| waiting.cseq == cseq);
        let Some(waiting) = waiting else { return };
        waiting.interval_ms = (waiting.interval_ms * 2).min(t2_ms);
        let flow = self.servers.get(&waiting.server).map_or(dialog_flow, |server| server.flow);
        self.outbox.packets.push((flow, waiting.response.clone()));
        let at_ms = now_ms + waiting.interval_ms;
        self.timers.arm(at_ms, Due::RepeatAccepted { leg: id, cseq });
    }

    /// RFC 3261 §13.3.1.4: no ACK within 64·T1 ends the call with a BYE.
    pub(super) fn ack_missing(&mut self, now_ms: u64, id: LegId, cseq: u32) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let waiting = leg.unacknowledged.take_if(|waiting| waiting.cseq == cseq);
        let Some(waiting) = waiting else { return };
        match leg.stage {
            // Nobody was ever there: nothing is kept of this call but the BYE itself.
            Stage::Up if waiting.first => {
                self.settle_transfer(now_ms, id);
                self.tell_end(id, EndedBy::Network, EndReason::NotAcknowledged);
                self.send_last_bye(now_ms, id);
            }
            Stage::Up => self.hang_up(now_ms, id, EndedBy::Network, EndReason::NotAcknowledged),
            // The BYE waited for the ACK; it waits no longer.
            Stage::Ending => self.send_last_bye(now_ms, id),
            Stage::Pending(_) => {}
        }
    }

    /// An ACK came that may be the one to a 2xx.
    pub(super) fn acknowledge(&mut self, now_ms: u64, flow: Flow, request: &Request) {
        let headers = &request.headers;
        let to = headers.to().ok();
        let Some(tag) = to.as_ref().and_then(|to| to.tag()) else { return };
        let Some(id) = self.leg_of(tag, request) else { return };
        let Ok(cseq) = headers.cseq() else { return };
        let is_of_peer = self.is_of_peer(id, flow.remote.ip());
        let Some(leg) = self.legs.get_mut(&id) else { return };
        // A stranger does not say where our audio goes.
        if leg.unacknowledged.as_ref().is_some_and(|waiting| waiting.with_offer && !is_of_peer) {
            return;
        }
        let waiting = leg.unacknowledged.take_if(|waiting| waiting.cseq == cseq.number);
        let Some(waiting) = waiting else { return };
        // An ACK goes its own way (RFC 3261 §13.2.2.4) and may come through a proxy that was never
        // heard of. It confirms the call, and no more.
        if is_of_peer {
            leg.dialog.flow = flow;
        }
        if matches!(leg.stage, Stage::Ending) {
            return self.send_bye(now_ms, id);
        }
        if waiting.with_offer {
            let agreed = match body::session(headers, &request.body) {
                Session::Sdp(sdp) => self.take_answer(id, &sdp),
                Session::Absent | Session::Unknown => false,
            };
            if !agreed {
                let (by, reason) = (EndedBy::Server, EndReason::SignallingFailed);
                return self.hang_up(now_ms, id, by, reason);
            }
        }
        if waiting.first {
            self.outbox.events.push(SipEvent::Confirmed { leg: id });
        }
    }

    /// Reads the peer's answer to our offer; `false`: there is no agreement.
    pub(super) fn take_answer(&mut self, id: LegId, sdp: &[u8]) -> bool {
        let description = self.legs.get_mut(&id).and_then(|leg| leg.description.as_mut());
        match description.map(|description| description.accept_answer(sdp)) {
            Some(Ok(session)) => {
                self.tell_agreed(id, session);
                true
            }
            Some(Err(refusal)) => {
                tracing::info!(leg = %id, %refusal, "the answer to our offer can't be used");
                false
            }
            None => false,
        }
    }

    pub(super) fn refuse(&mut self, now_ms: u64, id: LegId, status: RefuseStatus) {
        let (code, by, reason) = match status {
            RefuseStatus::UnknownNumber => {
                (Status::NOT_FOUND, EndedBy::Plan, EndReason::UnknownNumber)
            }
            RefuseStatus::Busy => (Status::BUSY_HERE, EndedBy::Plan, EndReason::Busy),
            RefuseStatus::Overloaded { .. } => {
                (Status::SERVICE_UNAVAILABLE, EndedBy::Server, EndReason::Busy)
            }
            RefuseStatus::Unauthenticated => {
                (Status::PROXY_AUTHENTICATION_REQUIRED, EndedBy::Plan, EndReason::Failed)
            }
            RefuseStatus::Forbidden => (Status::FORBIDDEN, EndedBy::Plan, EndReason::Failed),
            RefuseStatus::Failed => {
                (Status::SERVER_INTERNAL_ERROR, EndedBy::Server, EndReason::Failed)
            }
        };
        let Some(mut response) = self.pending_reply(id, code) else { return };
        if let RefuseStatus::Overloaded { retry_after_s } = status {
            response.headers.push(HeaderName::RetryAfter, retry_after_s.to_string());
            self.outbox.refused += 1;
        }
        if status == RefuseStatus::Unauthenticated
            && let Some(flow) = self.legs.get(&id).map(|leg| leg.dialog.flow)
        {
            let name = user_of(response.headers.from().ok());
            response = self.challenge(now_ms, flow, response, Challenge::Proxy, &name, false);
        }
        self.finish_pending(now_ms, id, &response, by, reason);
    }

    /// A CANCEL, or a BYE before the answer.
    pub(super) fn caller_gave_up(&mut self, now_ms: u64, id: LegId) {
        let (by, reason) = (EndedBy::Caller, EndReason::Cancelled);
        self.finish_pending_with(now_ms, id, Status::REQUEST_TERMINATED, by, reason);
    }

    fn pending_reply(&self, id: LegId, status: Status) -> Option<Response> {
        let Stage::Pending(pending) = &self.legs.get(&id)?.stage else { return None };
        Some(self.leg_reply(id, &pending.request.headers, status))
    }

    pub(super) fn finish_pending_with(
        &mut self,
        now_ms: u64,
        id: LegId,
        status: Status,
        by: EndedBy,
        reason: EndReason,
    ) {
        if let Some(response) = self.pending_reply(id, status) {
            self.finish_pending(now_ms, id, &response, by, reason);
        }
    }

    /// The final answer to an INVITE that becomes no call.
    pub(super) fn finish_pending(
        &mut self,
        now_ms: u64,
        id: LegId,
        response: &Response,
        by: EndedBy,
        reason: EndReason,
    ) {
        let Some(Leg { stage: Stage::Pending(pending), .. }) = self.legs.remove(&id) else {
            return;
        };
        self.respond(now_ms, pending.server, response);
        self.tell_end(id, by, reason);
    }
}
