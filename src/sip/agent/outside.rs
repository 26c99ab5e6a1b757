//! Numbers outside: one call tries one trunk after the other, and at each one server after the other,
//! until somebody has taken it, rings, or has spoken the last word about the number.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::super::auth::client::{Challenge, Proofs, Unanswered};
use super::super::border::{Dial, TrunkState};
use super::super::message::{HeaderName, KnownMethod, NameAddr, Params, Request, Response, Status};
use super::super::transport::Flow;
use super::super::trunks::{address, verdict};
use super::Agent;
use super::dial::Dialling;
use super::timers::Due;
use super::tokens::tag_of;
use crate::domain::{LegId, PhoneNumber, RingOutcome};

/// A server that has not answered an INVITE at all after so many T1 (4 s: it went out four times) is
/// taken for gone, and the next one is tried.
const SILENCE_T1: u64 = 8;
/// A call for which all trunks have begun enough calls in this second waits so long at most.
const START_WAIT_MAX_MS: u64 = 2_000;
/// A trunk that refuses our password at a call is left in peace for so long.
const REFUSED_REST_MS: u64 = 300_000;

/// A call to a number outside, until it is picked up.
#[derive(Debug)]
pub(super) struct OutsideCall {
    dial: Dial,
    number: PhoneNumber,
    /// What may still be tried, in this order.
    ways: Vec<TrunkWay>,
    /// The trunk whose INVITE is out.
    pub(super) trunk: Option<usize>,
    /// No longer is waited for a start.
    start_until_ms: u64,
}

/// A trunk and its servers that were not tried yet.
#[derive(Debug)]
struct TrunkWay {
    trunk: usize,
    servers: VecDeque<SocketAddr>,
}

/// The INVITE of a call to a number outside.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) trunk: usize,
    server: SocketAddr,
    proofs: Proofs,
}

/// What may be tried now.
enum Next {
    Way(usize, Flow),
    /// A trunk takes its next call then.
    At(u64),
    Nothing,
}

impl Agent {
    /// Begins a call to a number outside.
    pub(super) fn dial_outside(
        &mut self,
        now_ms: u64,
        dial: &Dial,
        number: &PhoneNumber,
        names: &[String],
    ) {
        let chosen = self.trunks_named(names);
        let tokens = &mut self.tokens;
        let providers = &self.trunks.providers;
        let ways = chosen.into_iter().map(|trunk| {
            let servers = providers[trunk].route(|max| tokens.below(max)).into();
            TrunkWay { trunk, servers }
        });
        let call = OutsideCall {
            dial: dial.clone(),
            number: number.clone(),
            ways: ways.collect(),
            trunk: None,
            start_until_ms: now_ms + START_WAIT_MAX_MS,
        };
        let leg = dial.leg;
        self.dialling.insert(leg, Dialling::outside(call));
        self.timers.arm(now_ms.saturating_add(dial.ring_ms), Due::RingTimeUp { leg });
        self.try_next_way(now_ms, leg);
    }

    /// The trunks of these names in their order; of no names, all.
    fn trunks_named(&self, names: &[String]) -> Vec<usize> {
        let providers = &self.trunks.providers;
        if names.is_empty() {
            return (0..providers.len()).collect();
        }
        let place = |name: &String| {
            let found = providers.iter().position(|p| p.settings.name == *name);
            if found.is_none() {
                tracing::warn!(trunk = %name, "the plan names a trunk that is not in the settings");
            }
            found
        };
        names.iter().filter_map(place).collect()
    }

    /// [`Due::TryOutside`], and after each way that did not lead to the number.
    pub(super) fn try_next_way(&mut self, now_ms: u64, leg: LegId) {
        if !self.dialling.get(&leg).is_some_and(Dialling::is_idle) {
            return;
        }
        let next = self.next_way(now_ms, leg);
        let Some(call) = self.outside_call(leg) else { return };
        match next {
            Next::Way(trunk, flow) => {
                call.trunk = Some(trunk);
                let (dial, number) = (call.dial.clone(), call.number.clone());
                self.invite_outside(now_ms, &dial, &number, trunk, flow);
            }
            Next::At(at_ms) if at_ms <= call.start_until_ms => {
                self.timers.arm(at_ms, Due::TryOutside { leg });
            }
            Next::At(_) | Next::Nothing => self.end_dialling(leg),
        }
    }

    fn next_way(&mut self, now_ms: u64, leg: LegId) -> Next {
        let calls = self.trunk_calls();
        let providers = &mut self.trunks.providers;
        let dialling = self.dialling.get_mut(&leg);
        let Some(call) = dialling.and_then(Dialling::outside_mut) else { return Next::Nothing };
        let mut earliest: Option<u64> = None;
        for way in &mut call.ways {
            let provider = &mut providers[way.trunk];
            let may_call = match provider.state(now_ms) {
                TrunkState::Up | TrunkState::Starting => true,
                TrunkState::Resting | TrunkState::Down => false,
            };
            while way.servers.front().is_some_and(|server| provider.way(*server).is_none()) {
                way.servers.pop_front();
            }
            let flow = way.servers.front().and_then(|server| provider.way(*server));
            let has_room = calls[way.trunk] < provider.settings.max_calls;
            let Some(flow) = flow.filter(|_| may_call && has_room) else { continue };
            match provider.pace.take(now_ms) {
                Ok(()) => {
                    way.servers.pop_front();
                    return Next::Way(way.trunk, flow);
                }
                Err(at_ms) => earliest = Some(earliest.map_or(at_ms, |known| known.min(at_ms))),
            }
        }
        earliest.map_or(Next::Nothing, Next::At)
    }

    fn outside_call(&mut self, leg: LegId) -> Option<&mut OutsideCall> {
        self.dialling.get_mut(&leg)?.outside_mut()
    }

    fn invite_outside(
        &mut self,
        now_ms: u64,
        dial: &Dial,
        number: &PhoneNumber,
        trunk: usize,
        flow: Flow,
    ) {
        let head = self.outside_head(dial, number, trunk, flow);
        let way = Way { trunk, server: flow.remote, proofs: Proofs::default() };
        let client = self.start_fork(now_ms, dial, flow, head, Some(way));
        self.fork_silent_after(now_ms, client, SILENCE_T1);
        if let Some(dialling) = self.dialling.get_mut(&dial.leg) {
            dialling.add(client);
        }
    }

    fn outside_head(
        &mut self,
        dial: &Dial,
        number: &PhoneNumber,
        trunk: usize,
        flow: Flow,
    ) -> Request {
        let settings = &self.trunks.providers[trunk].settings;
        let region = self.settings.region;
        let to = address::of_number(settings, number, region);
        let display = dial.display.as_deref();
        let mut identity = address::identity(settings, &dial.from_user, display, region);
        identity.from.params.push("tag", Some(&tag_of(dial.leg)));
        let asserted = identity.asserted.to_string();
        let mut request = Request::new(KnownMethod::Invite, to.clone());
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, identity.from.to_string());
        let to = NameAddr { display: None, uri: to, params: Params::default() };
        headers.push(HeaderName::To, to.to_string());
        self.push_offer_headers(&mut request, flow);
        request.headers.push(HeaderName::PAssertedIdentity, asserted);
        request
    }

    /// A trunk gave a final answer that is no 2xx to the INVITE of this way.
    pub(super) fn way_refused(
        &mut self,
        now_ms: u64,
        client: u64,
        leg: LegId,
        rang: bool,
        way: Way,
        response: &Response,
    ) {
        self.trunk_heard(now_ms, way.trunk, way.server);
        let status = response.status;
        if !self.is_wanted(leg, client) {
            return;
        }
        let asks = [Status::UNAUTHORIZED, Status::PROXY_AUTHENTICATION_REQUIRED];
        if asks.contains(&status) && !rang {
            match self.challenge_of(way.trunk, response) {
                Ok(challenge) if self.prove_invite(now_ms, client, leg, &way, &challenge) => return,
                Err(Unanswered::Foreign { .. }) => {}
                Ok(_) | Err(Unanswered::Unknown) => {
                    let name = &self.trunks.providers[way.trunk].settings.name;
                    tracing::error!(trunk = %name, "a trunk refuses our password for a call");
                    self.rest_trunk(now_ms, way.trunk, REFUSED_REST_MS);
                }
            }
        }
        if let (503, Some(seconds)) = (status.code(), response.headers.retry_after()) {
            self.rest_trunk(now_ms, way.trunk, u64::from(seconds) * 1_000);
        }
        self.way_judged(now_ms, client, leg, verdict::of(status, rang));
    }

    /// The server of this way is silent, or the connection to it broke.
    pub(super) fn way_silent(
        &mut self,
        now_ms: u64,
        client: u64,
        leg: LegId,
        rang: bool,
        way: &Way,
    ) {
        self.trunk_gone(now_ms, way.trunk, way.server, false);
        if self.is_wanted(leg, client) {
            self.way_judged(now_ms, client, leg, verdict::of_silence(rang));
        }
    }

    fn way_judged(&mut self, now_ms: u64, client: u64, leg: LegId, verdict: verdict::Verdict) {
        match verdict {
            verdict::Verdict::Final(outcome) => self.fork_failed(leg, client, outcome),
            verdict::Verdict::TryNext(outcome) => {
                let Some(dialling) = self.dialling.get_mut(&leg) else { return };
                dialling.failed(client, outcome);
                if let Some(call) = dialling.outside_mut() {
                    call.trunk = None;
                    call.start_until_ms = now_ms + START_WAIT_MAX_MS;
                }
                self.try_next_way(now_ms, leg);
            }
        }
    }

    /// Sends the INVITE once more with what proves our password; `false`: there is nothing to prove
    /// it with, or it was refused.
    fn prove_invite(
        &mut self,
        now_ms: u64,
        client: u64,
        leg: LegId,
        way: &Way,
        challenge: &Challenge,
    ) -> bool {
        let mut way = way.clone();
        let Some(known) = self.clients.get(&client) else { return false };
        if !way.proofs.may_answer(challenge) {
            return false;
        }
        let (flow, mut head) = (known.flow, known.request.clone());
        let uri = head.uri.to_string();
        let Some((name, value)) = self.prove_to(way.trunk, challenge, KnownMethod::Invite, &uri)
        else {
            return false;
        };
        // RFC 3261 §22.2: the same Call-ID, From and To; the next CSeq.
        for own in [
            HeaderName::Via,
            HeaderName::UserAgent,
            HeaderName::Authorization,
            HeaderName::ProxyAuthorization,
        ] {
            head.headers.remove(&own);
        }
        let cseq = head.headers.cseq().map_or(1, |cseq| cseq.number) + 1;
        head.headers.set(HeaderName::CSeq, format!("{cseq} INVITE"));
        head.headers.push(name, value);
        let Some(call) = self.outside_call(leg) else { return false };
        let dial = call.dial.clone();
        let next = self.start_fork(now_ms, &dial, flow, head, Some(way));
        self.fork_silent_after(now_ms, next, SILENCE_T1);
        if let Some(dialling) = self.dialling.get_mut(&leg) {
            dialling.replace(client, next);
        }
        true
    }

    /// The trunk of this way took the call, and with it the password, if that was asked for.
    pub(super) fn way_accepted(&mut self, way: &Way) {
        if let (Some(provider), Some(realm)) =
            (self.trunks.providers.get_mut(way.trunk), way.proofs.realm())
        {
            provider.proven_in(realm);
        }
    }

    /// The trunk of this way answered something.
    pub(super) fn way_heard(&mut self, now_ms: u64, way: &Way) {
        self.trunk_heard(now_ms, way.trunk, way.server);
    }
}

/// What is told of a call to a number outside whose time is up, or that found no way.
pub(super) fn outcome_in_time(rings: bool) -> RingOutcome {
    if rings { RingOutcome::NoAnswer } else { RingOutcome::Congested }
}
