//! A phone hands its peer over: REFER and its NOTIFYs (RFC 3515, RFC 4488), and which leg of ours a
//! Replaces names (RFC 3891).

use super::super::border::{RefuseStatus, SipEvent, TransferTarget};
use super::super::message::{
    HeaderName, Headers, KnownMethod, NameAddr, Replaces, Request, Status, Uri,
};
use super::Agent;
use super::invite::dialled;
use super::leg::{Leg, Stage};
use super::tokens::leg_of;
use crate::domain::LegId;

/// How long a phone may wait for the end of a transfer, seconds: said in each NOTIFY.
const EXPIRES_S: u32 = 180;
/// The type of a NOTIFY's body (RFC 3420).
const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// A REFER from the peer of a leg.
#[derive(Debug)]
pub enum Transfer {
    /// The app has yet to say whether it takes place.
    Asked {
        server: u64,
        headers: Headers,
    },
    Accepted(Notices),
}

/// The NOTIFYs of a transfer go out one after the other, so that none overtakes another.
#[derive(Debug)]
pub struct Notices {
    /// `refer;id=93809824` (RFC 3515 §2.4.6)
    event: String,
    /// The NOTIFY that has no answer yet.
    in_flight: Option<u64>,
    /// The end that is still to be told.
    end: Option<bool>,
}

impl Agent {
    /// A REFER inside a call.
    pub(super) fn refer(&mut self, now_ms: u64, server: u64, id: LegId, request: &Request) {
        let target = match self.transfer_target(id, request) {
            Ok(target) => target,
            Err(status) => {
                let response = self.leg_reply(id, &request.headers, status);
                return self.respond(now_ms, server, &response);
            }
        };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.transfer = Some(Transfer::Asked { server, headers: request.headers.clone() });
        self.outbox.events.push(SipEvent::TransferAsked { leg: id, target });
    }

    /// Refusals are chosen from those that leave the call alone (RFC 5057 §5.1): 404 and 481 would
    /// make some phones drop it.
    fn transfer_target(&self, id: LegId, request: &Request) -> Result<TransferTarget, Status> {
        let leg = self.legs.get(&id).ok_or(Status::NO_SUCH_CALL)?;
        let is_up = matches!(leg.stage, Stage::Up);
        if !is_up || leg.transfer.is_some() {
            return Err(Status::REQUEST_PENDING);
        }
        let addresses = request.headers.addresses(&HeaderName::ReferTo);
        let Ok([NameAddr { uri, .. }]) = addresses.as_deref() else {
            return Err(Status::BAD_REQUEST);
        };
        if let Uri::Sip(uri) = uri {
            // Another method would make no call.
            if uri.params.get("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE"))
            {
                return Err(Status::FORBIDDEN);
            }
            if let Some(replaces) = Replaces::of_uri(uri).map_err(|_| Status::BAD_REQUEST)? {
                let other = self.leg_replaced(&replaces).filter(|other| other.id != id);
                // One that still rings is handed over with its ringing.
                let alive = other.filter(|other| !matches!(other.stage, Stage::Ending));
                return alive.map(|leg| TransferTarget::Leg(leg.id)).ok_or(Status::FORBIDDEN);
            }
        }
        let user = dialled(uri);
        if user.is_empty() { Err(Status::BAD_REQUEST) } else { Ok(TransferTarget::Dialled(user)) }
    }

    /// The leg that an INVITE with these headers takes the place of. Only one that is up can be
    /// taken over (RFC 3891 §3): a call that is still to be answered is not its caller's to give.
    pub(super) fn replaced_by(&self, headers: &Headers) -> Result<Option<LegId>, Status> {
        let Some(text) = headers.text(&HeaderName::Replaces) else { return Ok(None) };
        if headers.count(&HeaderName::Replaces) > 1 {
            return Err(Status::BAD_REQUEST);
        }
        let replaces = Replaces::parse(&text).map_err(|_| Status::BAD_REQUEST)?;
        let leg = self.leg_replaced(&replaces).filter(|leg| matches!(leg.stage, Stage::Up));
        match leg {
            Some(_) if replaces.early_only => Err(Status::BUSY_HERE),
            Some(leg) => Ok(Some(leg.id)),
            None => Err(Status::NO_SUCH_CALL),
        }
    }

    /// The leg that a Replaces names. All three ids must be right. From a REFER they may come from
    /// either side's view of the dialog.
    pub(super) fn leg_replaced(&self, replaces: &Replaces) -> Option<&Leg> {
        let (to_tag, from_tag) = (&replaces.to_tag, &replaces.from_tag);
        [(to_tag, from_tag), (from_tag, to_tag)].into_iter().find_map(|(ours, theirs)| {
            let leg = self.legs.get(&leg_of(ours)?)?;
            let dialog = &leg.dialog;
            let same = *dialog.call_id == *replaces.call_id.as_bytes()
                && dialog.remote_tag.as_deref() == Some(&**theirs);
            same.then_some(leg)
        })
    }

    pub(super) fn accept_transfer(&mut self, now_ms: u64, id: LegId) {
        let Some((server, headers)) = self.take_asked(id) else { return };
        let Some(flow) = self.legs.get(&id).map(|leg| leg.dialog.flow) else { return };
        let mut response = self.dialog_reply(id, flow, &headers, Status::ACCEPTED);
        let refer_sub = headers.text(&HeaderName::ReferSub);
        let silent = refer_sub.is_some_and(|text| text.trim().eq_ignore_ascii_case("false"));
        if silent {
            response.headers.push(HeaderName::ReferSub, "false");
        }
        self.respond(now_ms, server, &response);
        if silent {
            return;
        }
        let number = headers.cseq().map_or(0, |cseq| cseq.number);
        let event = format!("refer;id={number}");
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.transfer = Some(Transfer::Accepted(Notices { event, in_flight: None, end: None }));
        }
        self.notify_transfer(now_ms, id, "100 Trying", false);
    }

    pub(super) fn refuse_transfer(&mut self, now_ms: u64, id: LegId, status: RefuseStatus) {
        let Some((server, headers)) = self.take_asked(id) else { return };
        let code = match status {
            RefuseStatus::UnknownNumber
            | RefuseStatus::Unauthenticated
            | RefuseStatus::Forbidden => Status::FORBIDDEN,
            RefuseStatus::Busy => Status::BUSY_HERE,
            RefuseStatus::Overloaded { .. } => Status::SERVICE_UNAVAILABLE,
            RefuseStatus::Failed => Status::SERVER_INTERNAL_ERROR,
        };
        let mut response = self.leg_reply(id, &headers, code);
        if let RefuseStatus::Overloaded { retry_after_s } = status {
            response.headers.push(HeaderName::RetryAfter, retry_after_s.to_string());
        }
        self.respond(now_ms, server, &response);
    }

    pub(super) fn end_transfer(&mut self, now_ms: u64, id: LegId, succeeded: bool) {
        let transfer = self.legs.get_mut(&id).and_then(|leg| leg.transfer.as_mut());
        let Some(Transfer::Accepted(notices)) = transfer else { return };
        if notices.in_flight.is_some() {
            notices.end.get_or_insert(succeeded);
        } else {
            self.notify_end(now_ms, id, succeeded);
        }
    }

    /// A NOTIFY was answered, or never will be.
    pub(super) fn transfer_notified(&mut self, now_ms: u64, client: u64, id: LegId) {
        let transfer = self.legs.get_mut(&id).and_then(|leg| leg.transfer.as_mut());
        let Some(Transfer::Accepted(notices)) = transfer else { return };
        if notices.in_flight == Some(client) {
            notices.in_flight = None;
            if let Some(succeeded) = notices.end {
                self.notify_end(now_ms, id, succeeded);
            }
        }
    }

    /// The call is over: an open REFER gets its answer (RFC 3261 §15.1.2).
    pub(super) fn close_refer(&mut self, now_ms: u64, id: LegId) {
        if let Some((server, headers)) = self.take_asked(id) {
            let response = self.leg_reply(id, &headers, Status::REQUEST_TERMINATED);
            self.respond(now_ms, server, &response);
        }
    }

    /// We hang up: the end of a transfer that is still to be told goes out before our BYE.
    pub(super) fn settle_transfer(&mut self, now_ms: u64, id: LegId) {
        self.close_refer(now_ms, id);
        let transfer = self.legs.get(&id).and_then(|leg| leg.transfer.as_ref());
        if let Some(Transfer::Accepted(Notices { end: Some(succeeded), .. })) = transfer {
            let succeeded = *succeeded;
            self.notify_end(now_ms, id, succeeded);
        }
    }

    fn take_asked(&mut self, id: LegId) -> Option<(u64, Headers)> {
        let leg = self.legs.get_mut(&id)?;
        let is_asked = |transfer: &mut Transfer| matches!(transfer, Transfer::Asked { .. });
        match leg.transfer.take_if(is_asked)? {
            Transfer::Asked { server, headers } => Some((server, headers)),
            Transfer::Accepted(_) => None,
        }
    }

    fn notify_end(&mut self, now_ms: u64, id: LegId, succeeded: bool) {
        let status = if succeeded { "200 OK" } else { "503 Service Unavailable" };
        self.notify_transfer(now_ms, id, status, true);
    }

    fn notify_transfer(&mut self, now_ms: u64, id: LegId, status: &str, last: bool) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(Transfer::Accepted(notices)) = &leg.transfer else { return };
        let event = notices.event.clone();
        let mut request = leg.dialog.request(KnownMethod::Notify);
        let flow = leg.dialog.flow;
        if last {
            leg.transfer = None;
        }
        let state = if last {
            "terminated;reason=noresource".to_owned()
        } else {
            format!("active;expires={EXPIRES_S}")
        };
        request.headers.push(HeaderName::Contact, self.contact(flow));
        request.headers.push(HeaderName::Event, event);
        request.headers.push(HeaderName::SubscriptionState, state);
        request.set_body(SIPFRAG, format!("SIP/2.0 {status}\r\n"));
        let client = self.send_request(now_ms, id, request);
        let transfer = self.legs.get_mut(&id).and_then(|leg| leg.transfer.as_mut());
        if let Some(Transfer::Accepted(notices)) = transfer {
            notices.in_flight = client;
        }
    }
}
