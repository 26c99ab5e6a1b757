//! Session timers (RFC 4028): who refreshes, when, and what happens if nobody does.

use super::super::message::body::{self, Session};
use super::super::message::{
    HeaderName, Headers, KnownMethod, Refresher, Request, Response, SessionExpires, Status,
};
use super::leg::{Refreshing, SessionTimer, Stage};
use super::timers::Due;
use super::{ALLOW, Agent, SDP, SUPPORTED};
use crate::domain::{EndReason, EndedBy, LegId};

/// After a 491, or while the dialog is busy with something else, we try again so much later
/// (RFC 3261 §14.1: up to 2 s for the side that does not own the Call-ID).
const AGAIN_AFTER_MS: u64 = 1_500;

impl Agent {
    /// RFC 4028 §9: an interval that is too short is refused with 422.
    pub(super) fn check_session(&mut self, request: &Request) -> Result<(), Response> {
        let headers = &request.headers;
        let (Ok(expires), Ok(_)) = (headers.session_expires(), headers.min_se()) else {
            return Err(self.reply(headers, Status::BAD_REQUEST));
        };
        let min_s = self.settings.min_session_s;
        if expires.is_some_and(|expires| expires.seconds < min_s) {
            let response = self.reply(headers, Status::SESSION_INTERVAL_TOO_SMALL);
            return Err(response.with(HeaderName::MinSe, min_s.to_string()));
        }
        Ok(())
    }

    /// Grants the session interval that the request asks for, if it does, in our 2xx.
    pub(super) fn grant_session(
        &mut self,
        now_ms: u64,
        id: LegId,
        headers: &Headers,
        response: &mut Response,
    ) {
        let Ok(Some(asked)) = headers.session_expires() else {
            // RFC 4028 §9: a refresh without Session-Expires ends the timer.
            self.set_session(now_ms, id, None);
            return;
        };
        let caller_can = headers.lists(&HeaderName::Supported, "timer")
            || headers.lists(&HeaderName::Require, "timer");
        // RFC 4028 §9, table 2: a caller without the extension can't refresh.
        let refresher = match asked.refresher {
            Some(Refresher::Uac) | None if caller_can => Refresher::Uac,
            Some(Refresher::Uac | Refresher::Uas) | None => Refresher::Uas,
        };
        let granted = SessionExpires { seconds: asked.seconds, refresher: Some(refresher) };
        response.headers.push(HeaderName::SessionExpires, granted.to_string());
        if refresher == Refresher::Uac {
            response.headers.push(HeaderName::Require, "timer");
        }
        self.set_session(now_ms, id, Some((asked.seconds, refresher == Refresher::Uas)));
    }

    /// Starts the session's interval anew.
    fn set_session(&mut self, now_ms: u64, id: LegId, session: Option<(u32, bool)>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let round = leg.session.map_or(0, |session| session.round) + 1;
        let Some((interval_s, we_refresh)) = session else {
            leg.session = None;
            return;
        };
        let timer = SessionTimer { interval_s, we_refresh, round };
        leg.session = Some(timer);
        if we_refresh {
            self.timers.arm(now_ms + timer.refresh_after_ms(), Due::Refresh { leg: id, round });
        }
        self.timers.arm(now_ms + timer.bye_after_ms(), Due::SessionExpired { leg: id, round });
    }

    pub(super) fn session_expired(&mut self, now_ms: u64, id: LegId, round: u32) {
        let current = self.legs.get(&id).and_then(|leg| leg.session);
        if current.is_some_and(|session| session.round == round) {
            self.hang_up(now_ms, id, EndedBy::Network, EndReason::SessionExpired);
        }
    }

    /// Half of the interval is over, and it is ours to refresh: by UPDATE if the peer knows it,
    /// else by a re-INVITE with the same session.
    pub(super) fn refresh(&mut self, now_ms: u64, id: LegId, round: u32) {
        let min_s = self.settings.min_session_s;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(session) = leg.session.filter(|session| session.round == round) else { return };
        if !matches!(leg.stage, Stage::Up) || !session.we_refresh {
            return;
        }
        if leg.refreshing.is_some() || leg.unacknowledged.is_some() {
            self.timers.arm(now_ms + AGAIN_AFTER_MS, Due::Refresh { leg: id, round });
            return;
        }
        let with_offer = !leg.peer_allows_update;
        let method = if with_offer { KnownMethod::Invite } else { KnownMethod::Update };
        let mut request = leg.dialog.request(method);
        if with_offer && let Some(description) = &mut leg.description {
            request.set_body(SDP, description.offer());
        }
        let flow = leg.dialog.flow;
        let refresher = Some(Refresher::Uac);
        let expires = SessionExpires { seconds: session.interval_s, refresher };
        let headers = &mut request.headers;
        headers.push(HeaderName::Contact, self.contact(flow));
        headers.push(HeaderName::SessionExpires, expires.to_string());
        headers.push(HeaderName::MinSe, min_s.to_string());
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::Supported, SUPPORTED);
        let client = self.send_request(now_ms, id, request);
        if let (Some(client), Some(leg)) = (client, self.legs.get_mut(&id)) {
            leg.refreshing = Some(Refreshing { client, with_offer });
        }
    }

    /// Our refresh was answered.
    pub(super) fn refresh_answered(
        &mut self,
        now_ms: u64,
        client: u64,
        id: LegId,
        status: Status,
        response: Option<&Response>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(refreshing) = leg.refreshing.take_if(|refreshing| refreshing.client == client)
        else {
            return;
        };
        let Some(session) = leg.session else { return };
        let round = session.round;
        match (status.code(), response) {
            (200..300, Some(response)) => {
                let headers = &response.headers;
                leg.dialog.retarget(headers, leg.dialog.flow);
                let granted = headers.session_expires().ok().flatten();
                let interval_s = granted.map_or(session.interval_s, |granted| granted.seconds);
                let we_refresh = granted.is_none_or(|g| g.refresher != Some(Refresher::Uas));
                self.set_session(now_ms, id, Some((interval_s.max(1), we_refresh)));
                if refreshing.with_offer
                    && let Session::Sdp(sdp) = body::session(headers, &response.body)
                {
                    self.take_answer(id, &sdp);
                }
            }
            (422, Some(response)) => {
                let min_s = response.headers.min_se().ok().flatten().unwrap_or(0);
                if min_s > session.interval_s {
                    leg.session = Some(SessionTimer { interval_s: min_s, ..session });
                    self.refresh(now_ms, id, round);
                }
            }
            (405 | 501, Some(_)) if leg.peer_allows_update => {
                leg.peer_allows_update = false;
                self.refresh(now_ms, id, round);
            }
            (491, Some(_)) => {
                self.timers.arm(now_ms + AGAIN_AFTER_MS, Due::Refresh { leg: id, round });
            }
            // RFC 4028 §10 and RFC 3261 §12.2.1.2: the peer has lost the call.
            (408 | 481, _) => {
                self.hang_up(now_ms, id, EndedBy::Network, EndReason::SignallingFailed);
            }
            // The old session goes on until it expires.
            (_, _) => {}
        }
    }
}
