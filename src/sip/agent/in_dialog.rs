//! What comes during a call (RFC 3261 §12.2.2, §14.2, §15; RFC 3262, RFC 3311, RFC 6086).

use super::super::border::SipEvent;
use super::super::message::body::{self, Session};
use super::super::message::{HeaderName, KnownMethod, Method, Request, Response, Status};
use super::super::transport::Flow;
use super::dtmf::{self, Info};
use super::invite::Answer;
use super::leg::Stage;
use super::subscriptions::ALLOW_EVENTS;
use super::{Agent, SDP};
use crate::domain::{EndReason, EndedBy, LegId, MediaSession};

impl Agent {
    pub(super) fn in_dialog(
        &mut self,
        now_ms: u64,
        server: u64,
        id: LegId,
        flow: Flow,
        method: KnownMethod,
        request: &Request,
    ) {
        if !self.is_of_peer(id, flow.remote.ip()) {
            tracing::debug!(leg = %id, source = %flow.remote, "not from the peer of the call; refused");
            return self.refuse_plainly(now_ms, server, request, Status::FORBIDDEN);
        }
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !leg.dialog.in_order(number) {
            return self.refuse_plainly(now_ms, server, request, Status::SERVER_INTERNAL_ERROR);
        }
        leg.dialog.flow = flow;
        let ending = matches!(leg.stage, Stage::Ending);
        match method {
            KnownMethod::Bye => self.bye(now_ms, server, id, request),
            KnownMethod::Options => {
                let response = self.options(request, Some(id));
                self.respond(now_ms, server, &response);
            }
            _ if ending => self.refuse_plainly(now_ms, server, request, Status::NO_SUCH_CALL),
            KnownMethod::Invite => self.re_invite(now_ms, server, id, flow, request),
            KnownMethod::Update => self.update(now_ms, server, id, flow, request),
            KnownMethod::Info => self.info(now_ms, server, id, request),
            KnownMethod::PRack => self.prack(now_ms, server, id, request),
            KnownMethod::Refer => self.refer(now_ms, server, id, request),
            // A phone that looks after the subscription of its REFER: it ends by itself.
            KnownMethod::Subscribe => {
                let response = self.leg_reply(id, &request.headers, Status::BAD_EVENT);
                let response = response.with(HeaderName::AllowEvents, ALLOW_EVENTS);
                self.respond(now_ms, server, &response);
            }
            KnownMethod::Ack
            | KnownMethod::Cancel
            | KnownMethod::Message
            | KnownMethod::Notify
            | KnownMethod::Publish
            | KnownMethod::Register => {}
        }
    }

    fn bye(&mut self, now_ms: u64, server: u64, id: LegId, request: &Request) {
        let response = self.leg_reply(id, &request.headers, Status::OK);
        self.respond(now_ms, server, &response);
        self.close_refer(now_ms, id);
        match self.legs.get(&id).map(|leg| &leg.stage) {
            // RFC 3261 §15.1.2: the INVITE still gets its final answer.
            Some(Stage::Pending(_)) => self.caller_gave_up(now_ms, id),
            Some(Stage::Up) => {
                self.legs.remove(&id);
                self.tell_end(id, EndedBy::Caller, EndReason::HungUp);
            }
            // Both hung up at once; ours goes its way.
            Some(Stage::Ending) | None => {}
        }
    }

    /// Why the session can't be changed just now, if so (RFC 3261 §14.2, RFC 3311 §5.2).
    fn not_now(&mut self, id: LegId, request: &Request) -> Option<Response> {
        let leg = self.legs.get(&id)?;
        let has_session =
            !matches!(body::session(&request.headers, &request.body), Session::Absent);
        let is_invite = request.method.is(KnownMethod::Invite);
        let offer_out = leg.unacknowledged.as_ref().is_some_and(|waiting| waiting.with_offer)
            || leg.refreshing.is_some_and(|refreshing| refreshing.with_offer);
        let status = match leg.stage {
            Stage::Pending(_) if is_invite || has_session => Status::SERVER_INTERNAL_ERROR,
            Stage::Up if offer_out && (is_invite || has_session) => Status::REQUEST_PENDING,
            Stage::Pending(_) | Stage::Up | Stage::Ending => return None,
        };
        let response = self.reply(&request.headers, status);
        Some(if status == Status::SERVER_INTERNAL_ERROR {
            // RFC 3261 §14.2: a random time of 0 to 10 s.
            let seconds = self.tokens.next_u64() % 11;
            response.with(HeaderName::RetryAfter, seconds.to_string())
        } else {
            response
        })
    }

    /// Answers the offer of a re-INVITE or UPDATE.
    fn negotiate(
        &mut self,
        id: LegId,
        request: &Request,
    ) -> Result<Option<(Vec<u8>, MediaSession)>, Response> {
        let Some(offer) = self.offer_in(request)? else { return Ok(None) };
        let description = self.legs.get_mut(&id).and_then(|leg| leg.description.as_mut());
        match description.map(|description| description.answer(&offer)) {
            Some(Ok(agreed)) => Ok(Some(agreed)),
            Some(Err(refusal)) => Err(self.not_acceptable(&request.headers, &refusal)),
            None => Err(self.reply(&request.headers, Status::SERVER_INTERNAL_ERROR)),
        }
    }

    fn re_invite(&mut self, now_ms: u64, server: u64, id: LegId, flow: Flow, request: &Request) {
        if let Some(response) = self.not_now(id, request) {
            return self.respond(now_ms, server, &response);
        }
        let checked = self.check_session(request).and_then(|()| self.negotiate(id, request));
        let agreed = match checked {
            Ok(agreed) => agreed,
            Err(response) => return self.respond(now_ms, server, &response),
        };
        let headers = &request.headers;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.dialog.retarget(headers, flow);
        // The ACK to our 200 got lost, but nobody re-invites who has not seen the 200.
        if leg.unacknowledged.take().is_some_and(|waiting| waiting.first) {
            self.outbox.events.push(SipEvent::Confirmed { leg: id });
        }
        let mut response = self.dialog_reply(id, flow, headers, Status::OK);
        self.grant_session(now_ms, id, headers, &mut response);
        let we_offer = agreed.is_none();
        if let Some((sdp, session)) = agreed {
            response.set_body(SDP, sdp);
            self.tell_agreed(id, session);
        } else if let Some(leg) = self.legs.get_mut(&id)
            && let Some(description) = &mut leg.description
        {
            response.set_body(SDP, description.offer());
        }
        let answer = Answer { server, response: &response, with_offer: we_offer };
        self.accept_with(now_ms, id, answer, None);
    }

    fn update(&mut self, now_ms: u64, server: u64, id: LegId, flow: Flow, request: &Request) {
        if let Some(response) = self.not_now(id, request) {
            return self.respond(now_ms, server, &response);
        }
        let checked = self.check_session(request).and_then(|()| self.negotiate(id, request));
        let agreed = match checked {
            Ok(agreed) => agreed,
            Err(response) => return self.respond(now_ms, server, &response),
        };
        let headers = &request.headers;
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.dialog.retarget(headers, flow);
        }
        let mut response = self.dialog_reply(id, flow, headers, Status::OK);
        self.grant_session(now_ms, id, headers, &mut response);
        if let Some((sdp, session)) = agreed {
            response.set_body(SDP, sdp);
            self.tell_agreed(id, session);
        }
        self.respond(now_ms, server, &response);
    }

    fn info(&mut self, now_ms: u64, server: u64, id: LegId, request: &Request) {
        let response = match dtmf::read(request) {
            Info::Key(key) => {
                self.outbox.events.push(SipEvent::KeyPressed { leg: id, key });
                self.leg_reply(id, &request.headers, Status::OK)
            }
            Info::Nothing => self.leg_reply(id, &request.headers, Status::OK),
            Info::Unknown => self
                .leg_reply(id, &request.headers, Status::UNSUPPORTED_MEDIA_TYPE)
                .with(HeaderName::Accept, dtmf::ACCEPT),
        };
        self.respond(now_ms, server, &response);
    }

    /// RFC 3262 §3.
    fn prack(&mut self, now_ms: u64, server: u64, id: LegId, request: &Request) {
        let Ok(rack) = request.headers.rack() else {
            return self.refuse_plainly(now_ms, server, request, Status::BAD_REQUEST);
        };
        let waiting = self.legs.get_mut(&id).and_then(|leg| {
            let Stage::Pending(pending) = &mut leg.stage else { return None };
            let cseq = pending.request.headers.cseq().ok()?;
            let provisional = pending.provisional.as_mut()?;
            let of_invite = rack.method == Method::from(KnownMethod::Invite);
            let fits = of_invite
                && rack.cseq == cseq.number
                && rack.rseq == provisional.rseq
                && !provisional.acknowledged;
            fits.then_some(provisional)
        });
        let Some(provisional) = waiting else {
            return self.refuse_plainly(now_ms, server, request, Status::NO_SUCH_CALL);
        };
        let body = body::session(&request.headers, &request.body);
        provisional.acknowledged = true;
        let (with_session, with_offer) = (provisional.with_session, provisional.with_offer);
        let agreed = match (with_offer, body) {
            (true, Session::Sdp(sdp)) => self.take_answer(id, &sdp),
            (true, Session::Absent | Session::Unknown) => false,
            (false, _) => true,
        };
        let response = self.leg_reply(id, &request.headers, Status::OK);
        self.respond(now_ms, server, &response);
        if !agreed {
            let (by, reason) = (EndedBy::Server, EndReason::SignallingFailed);
            self.finish_pending_with(now_ms, id, Status::NOT_ACCEPTABLE_HERE, by, reason);
        } else if with_session {
            self.accept(now_ms, id, None);
        }
    }
}
