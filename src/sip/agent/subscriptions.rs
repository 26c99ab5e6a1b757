//! Lamps on phones: SUBSCRIBE to `Event: dialog`, and a NOTIFY whenever the lamp changes (RFC 6665,
//! RFC 4235).
//!
//! Every lamp name is accepted, so that nobody learns which extensions there are; what was never
//! set is off. The NOTIFYs of one subscription go out one after the other: what changes meanwhile
//! is told when the last one was answered, and a phone that answers with anything but a 2xx has
//! forgotten its subscription.

use std::collections::{BTreeMap, BTreeSet};

use super::super::auth::Verdict;
use super::super::border::LampState;
use super::super::dialog::Dialog;
use super::super::message::{HeaderName, Headers, KnownMethod, Request, Response, Status, grammar};
use super::super::transport::Flow;
use super::dialog_info::{self, DIALOG_INFO};
use super::invite::dialled;
use super::outgoing::Purpose;
use super::register::{Challenge, user_of};
use super::timers::Due;
use super::{Agent, SERVER};
use crate::domain::Login;

/// The event package that is known, for Allow-Events.
pub(super) const ALLOW_EVENTS: &str = "dialog";
/// The longest name of a lamp, in bytes.
const LAMP_MAX: usize = 64;
/// The longest subscription, which is also the usual one (RFC 4235 §3.4), seconds.
const EXPIRES_MAX_S: u32 = 3_600;
/// The shortest one, so that a phone does not spend its day subscribing.
const EXPIRES_MIN_S: u32 = 60;

/// A phone that wants to know a lamp.
#[derive(Debug)]
struct Subscription {
    dialog: Dialog,
    lamp: String,
    /// The Request-URI as the phone wrote it.
    entity: String,
    /// The Event header as the phone wrote it, with its `id`.
    event: String,
    owner: Login,
    expires_ms: u64,
    /// Counts the refreshes, so that the timer of an older one is known as stale.
    round: u32,
    /// Of the next document (RFC 4235 §4.1).
    version: u32,
    /// A NOTIFY has no answer yet.
    in_flight: bool,
    /// The lamp changed meanwhile.
    stale: bool,
}

/// All lamps and who watches them.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    all: BTreeMap<u64, Subscription>,
    by_lamp: BTreeMap<String, BTreeSet<u64>>,
    per_owner: BTreeMap<Login, usize>,
    /// Those that are not off.
    lit: BTreeMap<String, LampState>,
}

impl Subscriptions {
    fn state(&self, lamp: &str) -> LampState {
        self.lit.get(lamp).copied().unwrap_or(LampState::Off)
    }

    /// Sets a lamp; gives the subscriptions that must be told.
    fn set(&mut self, lamp: String, state: LampState) -> Vec<u64> {
        if self.state(&lamp) == state {
            return Vec::new();
        }
        let watchers = self.by_lamp.get(&lamp).into_iter().flatten().copied().collect();
        match state {
            LampState::Off => self.lit.remove(&lamp),
            LampState::Ringing | LampState::On => self.lit.insert(lamp, state),
        };
        watchers
    }

    fn insert(&mut self, id: u64, subscription: Subscription) {
        self.by_lamp.entry(subscription.lamp.clone()).or_default().insert(id);
        *self.per_owner.entry(subscription.owner.clone()).or_default() += 1;
        self.all.insert(id, subscription);
    }

    fn remove(&mut self, id: u64) {
        let Some(gone) = self.all.remove(&id) else { return };
        if let Some(watchers) = self.by_lamp.get_mut(&gone.lamp) {
            watchers.remove(&id);
            if watchers.is_empty() {
                self.by_lamp.remove(&gone.lamp);
            }
        }
        if let Some(count) = self.per_owner.get_mut(&gone.owner) {
            *count -= 1;
            if *count == 0 {
                self.per_owner.remove(&gone.owner);
            }
        }
    }
}

impl Agent {
    pub(super) fn set_lamp(&mut self, now_ms: u64, lamp: String, state: LampState) {
        for id in self.subscriptions.set(lamp, state) {
            let Some(subscription) = self.subscriptions.all.get_mut(&id) else { continue };
            if subscription.in_flight {
                subscription.stale = true;
            } else {
                self.notify_lamp(now_ms, id);
            }
        }
    }

    /// A SUBSCRIBE outside of any dialog.
    pub(super) fn subscribe(&mut self, now_ms: u64, server: u64, flow: Flow, request: &Request) {
        let checked = self.check_event(request).and_then(|expires_s| {
            let owner = self.subscriber(now_ms, flow, request)?;
            Ok((owner, expires_s))
        });
        let (owner, expires_s) = match checked {
            Ok(checked) => checked,
            Err(response) => return self.respond(now_ms, server, &response),
        };
        let limits = self.settings.limits;
        let own = self.subscriptions.per_owner.get(&owner).copied().unwrap_or(0);
        let room = self.subscriptions.all.len() < limits.subscriptions_max
            && own < limits.subscriptions_per_account_max;
        if !room {
            let response = self.reply(&request.headers, Status::SERVICE_UNAVAILABLE);
            let response = self.with_retry_after(response);
            return self.respond(now_ms, server, &response);
        }
        let id = self.next_id();
        let lamp = dialled(&request.uri);
        let tag = self.tokens.subscription_tag(id);
        let (Ok(dialog), 1..=LAMP_MAX) = (Dialog::answering(request, &tag, flow), lamp.len())
        else {
            return self.refuse_plainly(now_ms, server, request, Status::BAD_REQUEST);
        };
        let event = request.headers.text(&HeaderName::Event).unwrap_or_default().into_owned();
        let subscription = Subscription {
            dialog,
            lamp,
            entity: request.uri.to_string(),
            event,
            owner,
            expires_ms: 0,
            round: 0,
            version: 0,
            in_flight: false,
            stale: false,
        };
        self.subscriptions.insert(id, subscription);
        self.grant_subscription(now_ms, server, id, flow, &request.headers, expires_s);
    }

    /// The subscription that a request inside a dialog belongs to.
    pub(super) fn subscription_of(&self, to_tag: &str, headers: &Headers) -> Option<u64> {
        let id = self.tokens.of_subscription(to_tag)?;
        self.subscriptions.all.get(&id).filter(|found| found.dialog.matches(headers)).map(|_| id)
    }

    /// A SUBSCRIBE inside its dialog: the subscription is refreshed, or ended by `Expires: 0`.
    pub(super) fn resubscribe(
        &mut self,
        now_ms: u64,
        server: u64,
        id: u64,
        flow: Flow,
        request: &Request,
    ) {
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        if let Err(response) = self.resubscriber(now_ms, id, flow, request) {
            return self.respond(now_ms, server, &response);
        }
        let Some(subscription) = self.subscriptions.all.get_mut(&id) else { return };
        if !subscription.dialog.in_order(number) {
            return self.refuse_plainly(now_ms, server, request, Status::SERVER_INTERNAL_ERROR);
        }
        let expires_s = match self.check_event(request) {
            Ok(expires_s) => expires_s,
            Err(response) => return self.respond(now_ms, server, &response),
        };
        if let Some(subscription) = self.subscriptions.all.get_mut(&id) {
            subscription.dialog.retarget(&request.headers, flow);
        }
        self.grant_subscription(now_ms, server, id, flow, &request.headers, expires_s);
    }

    /// From the phone's own address the ids of a subscription are proof enough; from elsewhere its
    /// account must be proven once more.
    fn resubscriber(
        &mut self,
        now_ms: u64,
        id: u64,
        flow: Flow,
        request: &Request,
    ) -> Result<(), Response> {
        let Some(subscription) = self.subscriptions.all.get(&id) else { return Ok(()) };
        if subscription.dialog.is_home(flow.remote.ip()) {
            return Ok(());
        }
        let owner = subscription.owner.clone();
        match self.subscriber(now_ms, flow, request)? {
            proven if proven == owner => Ok(()),
            _ => Err(self.reply(&request.headers, Status::FORBIDDEN)),
        }
    }

    /// The seconds that are granted, if the event package and its format are known.
    fn check_event(&mut self, request: &Request) -> Result<u32, Response> {
        let headers = &request.headers;
        let event = headers.text(&HeaderName::Event).unwrap_or_default();
        let package = event.split(';').next().unwrap_or("").trim();
        if !package.eq_ignore_ascii_case(ALLOW_EVENTS) {
            let response = self.reply(headers, Status::BAD_EVENT);
            return Err(response.with(HeaderName::AllowEvents, ALLOW_EVENTS));
        }
        if headers.has(&HeaderName::Accept) && !headers.accepts(DIALOG_INFO) {
            let response = self.reply(headers, Status::NOT_ACCEPTABLE);
            return Err(response.with(HeaderName::Accept, DIALOG_INFO));
        }
        let expires_s = match headers.text(&HeaderName::Expires) {
            None => Some(EXPIRES_MAX_S),
            Some(text) => grammar::number(&text),
        };
        match expires_s {
            None => Err(self.reply(headers, Status::BAD_REQUEST)),
            Some(0) => Ok(0),
            Some(expires_s) if expires_s < EXPIRES_MIN_S => {
                let response = self.reply(headers, Status::INTERVAL_TOO_BRIEF);
                Err(response.with(HeaderName::MinExpires, EXPIRES_MIN_S.to_string()))
            }
            Some(expires_s) => Ok(expires_s.min(EXPIRES_MAX_S)),
        }
    }

    /// Only phones of ours may watch lamps: the account that the request was proven to come from.
    fn subscriber(
        &mut self,
        now_ms: u64,
        flow: Flow,
        request: &Request,
    ) -> Result<Login, Response> {
        let names = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
        let verdict = self.verify(now_ms, flow, request, &names);
        match verdict {
            Verdict::Proven(login) => Ok(login),
            Verdict::Absent | Verdict::Wrong | Verdict::Stale => {
                let response = self.reply(&request.headers, Status::UNAUTHORIZED);
                let name = user_of(request.headers.from().ok());
                let stale = verdict == Verdict::Stale;
                Err(self.challenge(now_ms, flow, response, Challenge::User, &name, stale))
            }
        }
    }

    /// 200, and the state at once (RFC 6665 §4.2.1.2).
    fn grant_subscription(
        &mut self,
        now_ms: u64,
        server: u64,
        id: u64,
        flow: Flow,
        headers: &Headers,
        expires_s: u32,
    ) {
        let Some(subscription) = self.subscriptions.all.get_mut(&id) else { return };
        subscription.round = subscription.round.wrapping_add(1);
        subscription.expires_ms = now_ms + u64::from(expires_s) * 1000;
        let (round, at_ms) = (subscription.round, subscription.expires_ms);
        let tag = self.tokens.subscription_tag(id);
        let mut response = Response::answering(headers, Status::OK, Some(&tag));
        response.headers.copy(&HeaderName::RecordRoute, headers);
        let response = response
            .with(HeaderName::Contact, self.contact(flow))
            .with(HeaderName::Expires, expires_s.to_string())
            .with(HeaderName::AllowEvents, ALLOW_EVENTS)
            .with(HeaderName::Server, SERVER);
        self.respond(now_ms, server, &response);
        if expires_s > 0 {
            self.timers.arm(at_ms, Due::SubscriptionExpired { id, round });
        }
        match self.subscriptions.all.get_mut(&id) {
            Some(subscription) if subscription.in_flight && expires_s > 0 => {
                subscription.stale = true;
            }
            Some(_) | None => self.notify_lamp(now_ms, id),
        }
    }

    pub(super) fn subscription_expired(&mut self, now_ms: u64, id: u64, round: u32) {
        if self.subscriptions.all.get(&id).is_some_and(|found| found.round == round) {
            self.notify_lamp(now_ms, id);
        }
    }

    /// Sends the full state; for the last time if the subscription's time is up.
    fn notify_lamp(&mut self, now_ms: u64, id: u64) {
        let Some(subscription) = self.subscriptions.all.get(&id) else { return };
        let state = self.subscriptions.state(&subscription.lamp);
        let flow = subscription.dialog.flow;
        let contact = self.contact(flow);
        let Some(subscription) = self.subscriptions.all.get_mut(&id) else { return };
        let Subscription { lamp, entity, version, .. } = &*subscription;
        let document = dialog_info::write(entity, lamp, *version, state);
        subscription.version = subscription.version.wrapping_add(1);
        let left_ms = subscription.expires_ms.saturating_sub(now_ms);
        let over = left_ms == 0;
        let standing = if over {
            "terminated;reason=timeout".to_owned()
        } else {
            format!("active;expires={}", left_ms.div_ceil(1000))
        };
        let mut request = subscription.dialog.request(KnownMethod::Notify);
        request.headers.push(HeaderName::Contact, contact);
        request.headers.push(HeaderName::Event, subscription.event.clone());
        request.headers.push(HeaderName::SubscriptionState, standing);
        request.set_body(DIALOG_INFO, document);
        subscription.in_flight = true;
        subscription.stale = false;
        let flow = subscription.dialog.next_hop();
        if over {
            self.subscriptions.remove(id);
        }
        let purpose = if over { Purpose::Nothing } else { Purpose::Subscription(id) };
        self.send(now_ms, flow, request, purpose);
    }

    /// A NOTIFY was answered; 408: never.
    pub(super) fn notify_answered(&mut self, now_ms: u64, id: u64, status: Status) {
        if !status.is_success() {
            return self.subscriptions.remove(id);
        }
        let Some(subscription) = self.subscriptions.all.get_mut(&id) else { return };
        subscription.in_flight = false;
        if subscription.stale {
            self.notify_lamp(now_ms, id);
        }
    }
}
