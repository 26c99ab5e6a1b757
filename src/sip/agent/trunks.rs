//! Trunks: who is there, who may be called by which, and what the rest of the house is told of it.

use std::net::{IpAddr, SocketAddr};

use super::super::border::{SipEvent, TrunkState, TrunkView};
use super::super::message::{HeaderName, KnownMethod, Request};
use super::super::transport::Flow;
use super::super::trunks::address;
use super::super::trunks::provider::Provider;
use super::super::trunks::servers::Server;
use super::Agent;
use super::outgoing::Purpose;
use super::registering::Exchange;
use super::timers::Due;
use crate::config::Trunk;

/// How often it is looked for what is due at trunks.
const LOOK_MS: u64 = 1_000;
/// A provider that has not answered a REGISTER or an OPTIONS after so many T1 (8 s: it went out five
/// times) is taken for gone.
const PATIENCE_T1: u64 = 16;

/// All trunks, by their place in the settings.
#[derive(Debug)]
pub(super) struct Trunks {
    pub(super) providers: Vec<Provider>,
    /// The REGISTERs, at the same places.
    pub(super) exchanges: Vec<Exchange>,
    is_watching: bool,
    /// What was told last.
    told: Option<Vec<(TrunkState, bool)>>,
    /// What has not been taken yet.
    views: Option<Vec<TrunkView>>,
}

impl Trunks {
    pub(super) fn new(trunks: &[Trunk]) -> Self {
        let providers: Vec<Provider> = trunks.iter().cloned().map(Provider::new).collect();
        let exchanges = trunks.iter().map(|_| Exchange::default()).collect();
        Self { providers, exchanges, is_watching: false, told: None, views: None }
    }
}

impl Agent {
    /// Looks after the trunks from now on, if there are any.
    pub fn watch_trunks(&mut self, now_ms: u64) {
        if self.trunks.is_watching || self.trunks.providers.is_empty() {
            return;
        }
        self.trunks.is_watching = true;
        self.look_after_trunks(now_ms);
    }

    /// The servers of a trunk, and how they are reached.
    pub fn trunk_located(&mut self, now_ms: u64, trunk: usize, servers: Vec<(Server, Flow)>) {
        let Some(provider) = self.trunks.providers.get_mut(trunk) else { return };
        let (name, count) = (&provider.settings.name, servers.len());
        tracing::info!(trunk = %name, servers = count, "a trunk was found");
        provider.located(servers);
        self.watch_trunks(now_ms);
        self.probe_trunks(now_ms);
        self.register_due(now_ms);
    }

    /// How the trunks are, if there is news since this was asked last.
    pub fn take_trunk_views(&mut self) -> Option<Vec<TrunkView>> {
        self.trunks.views.take()
    }

    /// Whether a source may say who calls: trusted networks, and the servers of trunks.
    pub(super) fn trusts(&self, source: IpAddr) -> bool {
        let is_trunk = |provider: &Provider| provider.is_at(source);
        self.settings.trusts(source) || self.trunks.providers.iter().any(is_trunk)
    }

    /// [`Due::WatchTrunks`]
    pub(super) fn look_after_trunks(&mut self, now_ms: u64) {
        self.probe_trunks(now_ms);
        self.register_due(now_ms);
        self.tell_trunks(now_ms);
        self.view_trunks(now_ms);
        self.timers.arm(now_ms + LOOK_MS, Due::WatchTrunks);
    }

    /// Asks servers whether they are there (RFC 3261 §11).
    fn probe_trunks(&mut self, now_ms: u64) {
        for trunk in 0..self.trunks.providers.len() {
            for (server, flow) in self.trunks.providers[trunk].due_probes(now_ms) {
                let request = self.trunk_options(trunk, flow);
                let purpose = Purpose::TrunkProbe { trunk, server };
                let client = self.send_patiently(now_ms, flow, request, purpose);
                self.trunks.providers[trunk].asked(now_ms, server, client);
            }
        }
    }

    fn trunk_options(&mut self, trunk: usize, flow: Flow) -> Request {
        let settings = &self.trunks.providers[trunk].settings;
        let (uri, us) = (address::of_provider(settings), address::of_account(settings));
        let to = format!("<{uri}>");
        let mut request = Request::new(KnownMethod::Options, uri);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("<{us}>;tag={:016x}", self.tokens.next_u64()));
        headers.push(HeaderName::To, to);
        headers.push(HeaderName::CallId, format!("{:016x}", self.tokens.next_u64()));
        headers.push(HeaderName::CSeq, "1 OPTIONS");
        headers.push(HeaderName::Contact, self.contact(flow));
        headers.push(HeaderName::Accept, super::SDP);
        request
    }

    /// Sends a request that is given up long before its transaction is.
    pub(super) fn send_patiently(
        &mut self,
        now_ms: u64,
        flow: Flow,
        request: Request,
        purpose: Purpose,
    ) -> u64 {
        let client = self.send(now_ms, flow, request, purpose);
        let patience_ms = self.settings.timing.t1_ms.saturating_mul(PATIENCE_T1);
        self.timers.arm(now_ms.saturating_add(patience_ms), Due::TrunkSilent { client });
        client
    }

    /// [`Due::TrunkSilent`]
    pub(super) fn trunk_silent(&mut self, now_ms: u64, client: u64) {
        let Some(known) = self.clients.get(&client).filter(|known| known.is_unanswered()) else {
            return;
        };
        match known.purpose {
            Purpose::TrunkProbe { trunk, server } => {
                self.trunk_probed(now_ms, client, trunk, server, false);
            }
            Purpose::Register { trunk, server } => {
                self.register_silent(now_ms, client, trunk, server);
            }
            Purpose::Leg(_)
            | Purpose::Fork(_)
            | Purpose::Subscription(_)
            | Purpose::Probe(_)
            | Purpose::Nothing => {}
        }
    }

    /// An OPTIONS was answered, by whatever, or `is_there`: false, was not.
    pub(super) fn trunk_probed(
        &mut self,
        now_ms: u64,
        client: u64,
        trunk: usize,
        server: SocketAddr,
        is_there: bool,
    ) {
        let provider = self.trunks.providers.get_mut(trunk);
        if !provider.is_some_and(|provider| provider.take_probe(server, client)) {
            return;
        }
        if is_there {
            self.trunk_heard(now_ms, trunk, server);
        } else {
            self.trunk_gone(now_ms, trunk, server, true);
        }
    }

    /// A server of a trunk answered something.
    pub(super) fn trunk_heard(&mut self, now_ms: u64, trunk: usize, server: SocketAddr) {
        let dice = self.tokens.next_u64();
        let Some(provider) = self.trunks.providers.get_mut(trunk) else { return };
        provider.heard(now_ms, server, dice);
        self.tell_trunks(now_ms);
    }

    /// A server of a trunk is silent, to OPTIONS or something else, or the way to it is broken.
    pub(super) fn trunk_gone(
        &mut self,
        now_ms: u64,
        trunk: usize,
        server: SocketAddr,
        is_options: bool,
    ) {
        let Some(provider) = self.trunks.providers.get_mut(trunk) else { return };
        if provider.way(server).is_some() {
            tracing::warn!(trunk = %provider.settings.name, %server, "a trunk does not answer");
        }
        provider.silent(now_ms, server, is_options);
        self.tell_trunks(now_ms);
    }

    /// No calls over a trunk for so long.
    pub(super) fn rest_trunk(&mut self, now_ms: u64, trunk: usize, rest_ms: u64) {
        let Some(provider) = self.trunks.providers.get_mut(trunk) else { return };
        provider.rest(now_ms, rest_ms);
        self.tell_trunks(now_ms);
    }

    /// Calls that are up or on their way, by trunk.
    pub(super) fn trunk_calls(&self) -> Vec<u32> {
        let mut calls = vec![0; self.trunks.providers.len()];
        let up = self.legs.values().filter_map(|leg| leg.trunk);
        let dialled = self.dialling.values().filter_map(super::dial::Dialling::trunk);
        for trunk in up.chain(dialled) {
            if let Some(count) = calls.get_mut(trunk) {
                *count += 1;
            }
        }
        calls
    }

    /// Tells what has changed since it was told last.
    pub(super) fn tell_trunks(&mut self, now_ms: u64) {
        let providers = &self.trunks.providers;
        let states: Vec<(TrunkState, bool)> =
            providers.iter().map(|p| (p.state(now_ms), p.is_registered(now_ms))).collect();
        if self.trunks.told.as_ref() == Some(&states) {
            return;
        }
        let before = self.trunks.told.take().unwrap_or_default();
        for (at, (provider, (state, _))) in providers.iter().zip(&states).enumerate() {
            if before.get(at).map(|(state, _)| state) != Some(state) {
                tracing::info!(trunk = %provider.settings.name, %state, "trunk");
            }
        }
        let up = providers.iter().zip(&states).filter(|(_, (state, _))| *state == TrunkState::Up);
        let (mut calls_max, mut starts_per_second) = (0_u32, 0_u32);
        for (provider, _) in up {
            calls_max = calls_max.saturating_add(provider.settings.max_calls);
            starts_per_second =
                starts_per_second.saturating_add(provider.settings.starts_per_second);
        }
        self.trunks.told = Some(states);
        let trunks = self.view_trunks(now_ms);
        let changed = SipEvent::TrunksChanged { calls_max, starts_per_second, trunks };
        self.outbox.events.push(changed);
    }

    /// How the trunks are; kept for whoever takes it.
    fn view_trunks(&mut self, now_ms: u64) -> Vec<TrunkView> {
        let providers = self.trunks.providers.iter().zip(self.trunk_calls());
        let view = |(provider, calls): (&Provider, u32)| TrunkView {
            name: provider.settings.name.clone(),
            state: provider.state(now_ms),
            is_registered: provider.is_registered(now_ms),
            calls,
            calls_max: provider.settings.max_calls,
        };
        let views: Vec<TrunkView> = providers.map(view).collect();
        self.trunks.views = Some(views.clone());
        views
    }
}
