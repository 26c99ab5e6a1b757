//! One trunk: which of its servers are there, whether it knows us, how much may go over it now.

use std::net::{IpAddr, SocketAddr};

use super::super::border::TrunkState;
use super::super::transport::Flow;
use super::pace::Pace;
use super::registration::Registration;
use super::servers::{Server, in_order};
use crate::config::Trunk;
use crate::domain::{shortened, without_numbers};

/// A server that is not asked by OPTIONS, and did not answer a call, is left in peace for so long.
const DOWN_MS: u64 = 30_000;
/// The longest rest that a provider may ask for.
const REST_MAX_MS: u64 = 3_600_000;
/// So much of somebody else's realm is told, in characters.
const REALM_SHOWN_MAX: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub struct Provider {
    pub settings: Trunk,
    /// `None`: the provider knows us by our address.
    pub registration: Option<Registration>,
    pub pace: Pace,
    servers: Vec<Reach>,
    /// The server that granted the registration: calls are tried there first.
    registrar: Option<SocketAddr>,
    /// In which our password is proven: that of the settings, else the first in which it was taken.
    realm: Option<String>,
    /// It was told that another realm would like to hear it.
    has_warned_of_realm: bool,
    rests_until_ms: u64,
}

/// A server and how it is reached.
#[derive(Debug)]
struct Reach {
    server: Server,
    flow: Flow,
    health: Health,
    /// The transaction of our OPTIONS.
    probe: Option<u64>,
    probe_at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Unknown,
    Up,
    /// `is_deaf`: it does not answer OPTIONS either.
    Down {
        until_ms: u64,
        is_deaf: bool,
    },
}

impl Provider {
    pub fn new(settings: Trunk) -> Self {
        let registration = settings.register.then(Registration::default);
        let pace = Pace::new(settings.starts_per_second);
        let servers = Vec::new();
        let realm = settings.realm.clone();
        Self {
            settings,
            registration,
            pace,
            servers,
            registrar: None,
            realm,
            has_warned_of_realm: false,
            rests_until_ms: 0,
        }
    }

    /// DNS has spoken. What is known of a server that stays is kept.
    pub fn located(&mut self, servers: Vec<(Server, Flow)>) {
        let mut before = std::mem::take(&mut self.servers);
        let reach = |(server, flow): (Server, Flow)| {
            let known = before.iter().position(|reach| reach.server.address == server.address);
            match known {
                Some(at) => Reach { server, flow, ..before.swap_remove(at) },
                None => {
                    Reach { server, flow, health: Health::Unknown, probe: None, probe_at_ms: 0 }
                }
            }
        };
        self.servers = servers.into_iter().take(Server::COUNT_MAX).map(reach).collect();
    }

    /// Whether an address is one of the provider's.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.servers.iter().any(|reach| reach.server.address.ip() == address.to_canonical())
    }

    pub fn state(&self, now_ms: u64) -> TrunkState {
        let has = |wanted: fn(Health) -> bool| self.servers.iter().any(|r| wanted(r.health));
        let is_up = has(|health| health == Health::Up);
        let is_unknown = has(|health| health == Health::Unknown);
        match self.registration {
            _ if now_ms < self.rests_until_ms => TrunkState::Resting,
            Some(registration) if !registration.is_valid(now_ms) => {
                let is_new = registration.failures() == 0 && (is_unknown || is_up);
                if is_new { TrunkState::Starting } else { TrunkState::Down }
            }
            // Nobody will ever say more of a server that is not asked.
            Some(_) | None if is_up || (is_unknown && !self.is_asked()) => TrunkState::Up,
            Some(_) | None if is_unknown => TrunkState::Starting,
            Some(_) | None => TrunkState::Down,
        }
    }

    /// Whether the provider knows us, where it must.
    pub fn is_registered(&self, now_ms: u64) -> bool {
        self.registration.is_some_and(|registration| registration.is_valid(now_ms))
    }

    /// The servers in the order in which a request tries them, those that are down left out.
    pub fn route(&self, dice: impl FnMut(u32) -> u32) -> Vec<SocketAddr> {
        let servers: Vec<Server> = self.servers.iter().map(|reach| reach.server.clone()).collect();
        let mut order = in_order(&servers, dice);
        order.retain(|address| self.way(*address).is_some());
        // Stable: the others stay in their order.
        order.sort_by_key(|address| Some(*address) != self.registrar);
        order
    }

    /// The way to a server; `None`: it is down, or gone from DNS.
    pub fn way(&self, address: SocketAddr) -> Option<Flow> {
        let reach = self.servers.iter().find(|reach| reach.server.address == address)?;
        match reach.health {
            Health::Unknown | Health::Up => Some(reach.flow),
            Health::Down { .. } => None,
        }
    }

    /// The servers that are to be asked whether they are there.
    pub fn due_probes(&mut self, now_ms: u64) -> Vec<(SocketAddr, Flow)> {
        let is_asked = self.is_asked();
        let mut due = Vec::new();
        for reach in &mut self.servers {
            match reach.health {
                // Not asked: the next call will show.
                Health::Down { until_ms, .. } if !is_asked && until_ms <= now_ms => {
                    reach.health = Health::Unknown;
                }
                Health::Unknown | Health::Up | Health::Down { .. } => {}
            }
            if is_asked && reach.probe.is_none() && reach.probe_at_ms <= now_ms {
                due.push((reach.server.address, reach.flow));
            }
        }
        due
    }

    /// An OPTIONS went out; `client` is its transaction.
    pub fn asked(&mut self, now_ms: u64, address: SocketAddr, client: u64) {
        let again_ms = now_ms + self.settings.keepalive.as_ms();
        if let Some(reach) = self.reach(address) {
            (reach.probe, reach.probe_at_ms) = (Some(client), again_ms);
        }
    }

    /// Whether this OPTIONS is the one that still waits for its answer; from now on it does not.
    pub fn take_probe(&mut self, address: SocketAddr, client: u64) -> bool {
        let reach = self.reach(address);
        reach.is_some_and(|reach| reach.probe.take_if(|probe| *probe == client).is_some())
    }

    /// A server answered something. If it was deaf, our registration there is tried soon; one that
    /// hears all but REGISTER is not.
    pub fn heard(&mut self, now_ms: u64, address: SocketAddr, dice: u64) {
        let Some(reach) = self.reach(address) else { return };
        let before = std::mem::replace(&mut reach.health, Health::Up);
        if let (Health::Down { is_deaf: true, .. }, Some(registration)) =
            (before, &mut self.registration)
        {
            registration.heard(now_ms, dice);
        }
    }

    /// A server gave no answer, to OPTIONS or something else, or the way to it is broken.
    pub fn silent(&mut self, now_ms: u64, address: SocketAddr, is_options: bool) {
        if let Some(reach) = self.reach(address) {
            let was_deaf = matches!(reach.health, Health::Down { is_deaf: true, .. });
            let is_deaf = is_options || was_deaf;
            reach.health = Health::Down { until_ms: now_ms + DOWN_MS, is_deaf };
        }
        self.registrar = self.registrar.filter(|registrar| *registrar != address);
    }

    /// The realm in which our password may be proven; `None`: it was taken in none yet.
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// Our password was taken in this realm.
    pub fn proven_in(&mut self, realm: &str) {
        self.realm.get_or_insert_with(|| realm.to_owned());
    }

    /// Another realm asks for our password, which it does not get. Told once: it may be somebody who
    /// writes the provider's address on the envelope, again and again.
    pub fn warn_of_realm(&mut self, foreign: &str) {
        if !std::mem::replace(&mut self.has_warned_of_realm, true) {
            let (name, ours) = (&self.settings.name, self.realm().unwrap_or_default());
            let foreign = without_numbers(&shortened(foreign, REALM_SHOWN_MAX));
            tracing::warn!(
                trunk = %name,
                realm = ?foreign,
                ours = ?without_numbers(ours),
                "a trunk asks for our password in another realm than ours and gets none; if it has \
                 changed its realm, set realm in [[trunk]], or restart"
            );
        }
    }

    /// This server granted our registration.
    pub fn registered_at(&mut self, address: SocketAddr) {
        self.registrar = Some(address);
    }

    /// No calls for so long.
    pub fn rest(&mut self, now_ms: u64, rest_ms: u64) {
        let until_ms = now_ms + rest_ms.min(REST_MAX_MS);
        self.rests_until_ms = self.rests_until_ms.max(until_ms);
    }

    fn is_asked(&self) -> bool {
        self.settings.keepalive.as_ms() > 0
    }

    fn reach(&mut self, address: SocketAddr) -> Option<&mut Reach> {
        self.servers.iter_mut().find(|reach| reach.server.address == address)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::transport::Link;
    use super::*;
    use crate::config::Period;

    fn address(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 5060).into()
    }

    fn provider(change: impl FnOnce(&mut Trunk), lasts: &[u8]) -> Provider {
        let mut trunk = Trunk::new("a", "sip.example.com".parse().unwrap());
        change(&mut trunk);
        let mut provider = Provider::new(trunk);
        let servers = lasts.iter().map(|last| {
            let local = ([192, 0, 2, 100], 5060).into();
            let flow = Flow { link: Link::Udp(0), remote: address(*last), local };
            (Server::equal(address(*last)), flow)
        });
        provider.located(servers.collect());
        provider
    }

    #[test]
    fn any_answer_of_any_server_makes_a_trunk_work() {
        let mut provider = provider(|_| {}, &[1, 2]);
        assert_eq!(provider.state(0), TrunkState::Starting);
        assert_eq!(provider.due_probes(0).len(), 2);
        provider.silent(0, address(1), true);
        assert_eq!(provider.state(0), TrunkState::Starting);
        provider.heard(0, address(2), 0);
        assert_eq!(provider.state(0), TrunkState::Up);
        assert_eq!(provider.route(|_| 0), [address(2)]);
        provider.silent(0, address(2), true);
        assert_eq!(provider.state(0), TrunkState::Down);
        assert!(provider.is_at(address(1).ip()) && !provider.is_at([192, 0, 2, 9].into()));
    }

    #[test]
    fn an_answer_that_comes_too_late_does_not_count_for_the_next_question() {
        let mut provider = provider(|_| {}, &[1]);
        provider.asked(0, address(1), 7);
        assert_eq!(provider.due_probes(60_000), [], "one question at a time");
        assert!(provider.take_probe(address(1), 7));
        assert!(!provider.take_probe(address(1), 7));
        assert_eq!(provider.due_probes(29_999), []);
        assert_eq!(provider.due_probes(30_000).len(), 1);
    }

    #[test]
    fn who_is_never_asked_works_until_a_call_shows_otherwise() {
        let mut provider = provider(|trunk| trunk.keepalive = Period::seconds(0), &[1]);
        assert_eq!(provider.state(0), TrunkState::Up);
        provider.silent(0, address(1), true);
        assert_eq!(provider.state(0), TrunkState::Down);
        assert_eq!(provider.due_probes(30_000), []);
        assert_eq!(provider.state(30_000), TrunkState::Up);
    }

    #[test]
    fn a_trunk_that_must_know_us_works_only_while_it_does() {
        let mut provider = provider(|trunk| trunk.register = true, &[1, 2]);
        provider.heard(0, address(1), 0);
        provider.heard(0, address(2), 0);
        assert_eq!(provider.state(0), TrunkState::Starting);
        provider.registration.as_mut().unwrap().granted(0, 60, 0);
        provider.registered_at(address(2));
        assert_eq!(provider.state(0), TrunkState::Up);
        assert_eq!(provider.route(|_| 0), [address(2), address(1)], "where we are known first");
        assert_eq!(provider.state(60_000), TrunkState::Starting);
    }

    #[test]
    fn a_rest_is_kept_and_ends_and_servers_that_stay_keep_their_health() {
        let mut provider = provider(|_| {}, &[1]);
        provider.heard(0, address(1), 0);
        provider.rest(0, 5_000);
        provider.rest(0, 1_000);
        assert_eq!(provider.state(4_999), TrunkState::Resting);
        let flow = provider.way(address(1)).unwrap();
        provider.located(vec![(Server::equal(address(1)), flow)]);
        assert_eq!(provider.state(5_000), TrunkState::Up);
        provider.located(Vec::new());
        assert_eq!(provider.state(5_000), TrunkState::Down);
    }
}
