//! The one owner of all transactions and calls, without sockets and clocks: messages, commands and
//! the time go in, packets and events come out of the [`Outbox`].
//!
//! - `leg`: what is known of one call
//! - `incoming`: a request finds its transaction, its method, its call
//! - `invite`: a new call, from the INVITE to the ACK
//! - `in_dialog`: what comes during a call
//! - `dial`: a leg that we dial, over all its INVITEs
//! - `outside`: numbers outside, over one trunk after the other
//! - `trunks`, `registering`: whether trunks are there, and know us
//! - `fork`: one INVITE of ours, from its sending to the last repeated 200
//! - `transfer`: REFER, and the calls that Replaces names
//! - `subscriptions`, `dialog_info`: lamps on phones
//! - `outgoing`: our requests and their answers
//! - `register`: REGISTER, and who sent a request
//! - `keepalive`: whether registered phones are there
//! - `liveness`: phones that die while they talk or ring
//! - `refresh`: session timers
//! - `identity`: who calls
//! - `dtmf`: keys by INFO
//! - `admission`: new calls per second
//! - `timers`, `tokens`: timers as data; tags and branches

mod admission;
mod dial;
mod dialog_info;
mod dtmf;
mod fork;
mod identity;
mod in_dialog;
mod incoming;
mod invite;
mod keepalive;
mod leg;
mod liveness;
mod outgoing;
mod outside;
mod refresh;
mod register;
mod registering;
mod subscriptions;
mod timers;
mod tokens;
mod transfer;
mod trunks;

#[cfg(test)]
mod registrations;
#[cfg(test)]
mod scenarios;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use self::admission::Admission;
use self::dial::Dialling;
use self::leg::Leg;
use self::outgoing::Client;
use self::subscriptions::Subscriptions;
use self::timers::{Due, Timers};
pub use self::tokens::STATELESS_TAG;
use self::tokens::{Digest, Tokens};
use self::trunks::Trunks;
use super::auth::Authenticator;
use super::border::{SipCommand, SipEvent};
use super::message::{HeaderName, Headers, NameAddr, Parsed, Response, SipUri, Status};
use super::registrar::Registrar;
use super::settings::SipSettings;
use super::transaction::{Step, server};
use super::transport::{Flow, Link};
use crate::config::Transport;
use crate::domain::{Accounts, EndReason, EndedBy, LegId, MediaSession};

/// The Server header.
const SERVER: &str = concat!("allo/", env!("CARGO_PKG_VERSION"));
/// The methods that are understood, for Allow.
const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, REGISTER";
/// The extensions that are understood, for Supported.
const SUPPORTED: &str = "100rel, timer, replaces, norefersub";
const SDP: &str = "application/sdp";
/// A longer final answer is not kept for repetitions of its request, which get a new one: an answer
/// holds what its request had us copy, and hundreds of thousands linger for 32 s.
const ANSWER_KEPT_MAX: usize = 8 * 1024;

/// What is to be sent and told, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    pub packets: Vec<(Flow, Bytes)>,
    /// So many of the packets are a 503 for want of room.
    pub refused: u64,
    pub events: Vec<SipEvent>,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Agent {
    settings: SipSettings,
    tokens: Tokens,
    timers: Timers,
    servers: BTreeMap<u64, Server>,
    /// Server transactions by [`transaction::key`](super::transaction::key).
    by_key: BTreeMap<Digest, u64>,
    /// INVITE transactions by [`transaction::call_of`](super::transaction::call_of).
    by_call: BTreeMap<Digest, u64>,
    clients: BTreeMap<u64, Client>,
    legs: BTreeMap<LegId, Leg>,
    /// Legs that we dial, until they are picked up.
    dialling: BTreeMap<LegId, Dialling>,
    subscriptions: Subscriptions,
    admission: Admission,
    trunks: Trunks,
    registrar: Registrar,
    authenticator: Authenticator,
    /// As the phones were last looked after.
    accounts_seen: Arc<Accounts>,
    /// [`Due::WatchPhones`] is armed.
    is_watching: bool,
    draining: bool,
    last_id: u64,
    outbox: Outbox,
}

/// A server transaction and what it belongs to.
#[derive(Debug)]
struct Server {
    machine: server::Transaction,
    flow: Flow,
    key: Digest,
    call: Option<Digest>,
    /// The topmost branch of an INVITE; `None` without a unique one.
    branch: Option<Digest>,
    leg: Option<LegId>,
}

impl Agent {
    /// `secret` makes tags and branches; it must come from a good source.
    pub fn new(settings: SipSettings, secret: [u64; 2]) -> Self {
        Self {
            registrar: Registrar::new(settings.keepalive_ms),
            authenticator: Authenticator::new(settings.realm.clone(), settings.digest, secret),
            accounts_seen: settings.accounts.load_full(),
            is_watching: false,
            trunks: Trunks::new(&settings.trunks),
            settings,
            tokens: Tokens::new(secret),
            timers: Timers::default(),
            servers: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_call: BTreeMap::new(),
            clients: BTreeMap::new(),
            legs: BTreeMap::new(),
            dialling: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            admission: Admission::default(),
            draining: false,
            last_id: 0,
            outbox: Outbox::default(),
        }
    }

    /// A message came. Times are milliseconds since 1970 that never decrease.
    pub fn receive(&mut self, now_ms: u64, flow: Flow, parsed: Parsed) {
        match parsed {
            Parsed::Request(mut request) => {
                let back = flow.back(request.stamp_via(flow.remote));
                self.request(now_ms, flow, back, request);
            }
            Parsed::Response(response) => self.response(now_ms, &response),
            Parsed::Fault(fault) => {
                let tag = self.stateless_tag(&fault.headers);
                if let Some((response, answer_to)) = fault.response(flow.remote, &tag) {
                    let why = fault.why;
                    tracing::debug!(source = %flow.remote, why, "a malformed request was refused");
                    let response = response.with(HeaderName::Server, SERVER);
                    self.outbox.packets.push((flow.back(answer_to), response.to_bytes()));
                }
            }
            Parsed::Nothing => {}
        }
    }

    pub fn command(&mut self, now_ms: u64, command: SipCommand) {
        match command {
            SipCommand::Ring { leg } => self.ring(now_ms, leg),
            SipCommand::Answer { leg, media } => self.answer(now_ms, leg, media),
            SipCommand::Refuse { leg, status } => self.refuse(now_ms, leg, status),
            SipCommand::Hangup { leg } => {
                self.hang_up(now_ms, leg, EndedBy::Plan, EndReason::HungUp);
            }
            SipCommand::Probe { leg } => self.probe_leg(now_ms, leg),
            SipCommand::Dial(dial) => self.dial(now_ms, &dial),
            SipCommand::AcceptTransfer { leg } => self.accept_transfer(now_ms, leg),
            SipCommand::RefuseTransfer { leg, status } => {
                self.refuse_transfer(now_ms, leg, status);
            }
            SipCommand::EndTransfer { leg, succeeded } => {
                self.end_transfer(now_ms, leg, succeeded);
            }
            SipCommand::SetLamp { lamp, state } => self.set_lamp(now_ms, lamp, state),
        }
    }

    /// Does all that is due.
    pub fn tick(&mut self, now_ms: u64) {
        while let Some(due) = self.timers.pop(now_ms) {
            match due {
                Due::Server { id, timer } => {
                    self.drive_server(now_ms, id, |machine, steps| machine.fired(timer, steps));
                }
                Due::Client { id, timer } => {
                    self.drive_client(now_ms, id, |machine, steps| machine.fired(timer, steps));
                }
                Due::RepeatAccepted { leg, cseq } => self.repeat_accepted(now_ms, leg, cseq),
                Due::AckMissing { leg, cseq } => self.ack_missing(now_ms, leg, cseq),
                Due::RepeatProvisional { leg, rseq } => self.repeat_provisional(now_ms, leg, rseq),
                Due::PrackMissing { leg, rseq } => self.prack_missing(now_ms, leg, rseq),
                Due::ForkSilent { client } => self.fork_silent(now_ms, client),
                Due::StillRinging { client } => self.ask_ringing(now_ms, client),
                Due::CancelSilent { invite, cancel } => self.cancel_silent(now_ms, invite, cancel),
                Due::LegSilent { leg, client } => self.leg_silent(now_ms, leg, client),
                Due::RingTimeUp { leg } => self.ring_time_up(now_ms, leg),
                Due::SubscriptionExpired { id, round } => {
                    self.subscription_expired(now_ms, id, round);
                }
                Due::Refresh { leg, round } => self.refresh(now_ms, leg, round),
                Due::SessionExpired { leg, round } => self.session_expired(now_ms, leg, round),
                Due::WatchPhones => self.look_after_phones(now_ms),
                Due::ProbeMissed { client, contact } => {
                    self.probe_missed(now_ms, client, contact);
                }
                Due::WatchTrunks => self.look_after_trunks(now_ms),
                Due::TrunkSilent { client } => self.trunk_silent(now_ms, client),
                Due::TryOutside { leg } => self.try_next_way(now_ms, leg),
            }
        }
    }

    /// When [`Agent::tick`] is needed next.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    pub fn outbox(&mut self) -> &mut Outbox {
        self.outbox.events.extend(self.registrar.take_changes());
        &mut self.outbox
    }

    /// Whether this source is one of those that are served before strangers: this machine, a trusted
    /// network, a server of a trunk, a registered phone.
    pub fn knows(&self, source: IpAddr) -> bool {
        source.is_loopback() || self.trusts(source) || self.registrar.is_registered_from(source)
    }

    /// The connections over which a phone is registered, a call is up, or an answer is awaited.
    pub fn links_in_use(&self) -> BTreeSet<Link> {
        let of_legs = self.legs.values().map(|leg| leg.dialog.flow);
        let of_requests = self.clients.values().map(|client| client.flow);
        let flows = of_legs.chain(of_requests).chain(self.registrar.flows());
        let links = flows.filter(|flow| flow.transport().is_reliable()).map(|flow| flow.link);
        links.collect()
    }

    /// From now on new calls are refused with 503.
    pub fn start_drain(&mut self) {
        self.draining = true;
    }

    /// Ends all calls, as well as that can be done without waiting for answers.
    pub fn hang_up_all(&mut self, now_ms: u64) {
        let legs: Vec<LegId> = self.legs.keys().chain(self.dialling.keys()).copied().collect();
        for leg in legs {
            self.hang_up(now_ms, leg, EndedBy::Server, EndReason::Shutdown);
            // Nobody will be there for an ACK that is still to come.
            if self.legs.get(&leg).is_some_and(|leg| leg.unacknowledged.is_some()) {
                self.send_bye(now_ms, leg);
            }
        }
    }

    /// Calls, and transactions that are not over.
    pub fn load(&self) -> (usize, usize) {
        (self.calls(), self.servers.len() + self.clients.len())
    }

    /// Legs that are up or on their way.
    fn calls(&self) -> usize {
        self.legs.len() + self.dialling.len()
    }

    // Server transactions.

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn drive_server(
        &mut self,
        now_ms: u64,
        id: u64,
        act: impl FnOnce(&mut server::Transaction, &mut Vec<server::Step>),
    ) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let mut steps = Vec::new();
        act(&mut server.machine, &mut steps);
        self.take_server_steps(now_ms, id, steps);
    }

    fn take_server_steps(&mut self, now_ms: u64, id: u64, steps: Vec<server::Step>) {
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    let Some(server) = self.servers.get(&id) else { return };
                    self.outbox.packets.push((server.flow, bytes));
                }
                Step::Arm { timer, after_ms } => {
                    self.timers.arm(now_ms + after_ms, Due::Server { id, timer });
                }
                // The caller went away without an ACK to our refusal; the leg is over already.
                Step::TimedOut => {}
                Step::Finished => self.forget_server(id),
            }
        }
    }

    fn forget_server(&mut self, id: u64) {
        let Some(server) = self.servers.remove(&id) else { return };
        self.by_key.remove(&server.key);
        if let Some(call) = server.call {
            self.by_call.remove(&call);
        }
    }

    fn respond(&mut self, now_ms: u64, id: u64, response: &Response) {
        let bytes = response.to_bytes();
        let (status, length) = (response.status, bytes.len());
        self.drive_server(now_ms, id, |machine, steps| machine.respond(status, bytes, steps));
        if status.is_final() && length > ANSWER_KEPT_MAX {
            self.forget_server(id);
        }
    }

    /// A response with what all of ours have.
    fn reply(&mut self, headers: &Headers, status: Status) -> Response {
        let tag = format!("{:016x}", self.tokens.next_u64());
        Response::answering(headers, status, Some(&tag)).with(HeaderName::Server, SERVER)
    }

    fn stateless_tag(&self, headers: &Headers) -> String {
        let part = |name| headers.raw(&name).map_or(&[][..], |value| value);
        self.tokens.stateless_tag(&[
            part(HeaderName::Via),
            part(HeaderName::From),
            part(HeaderName::CallId),
            part(HeaderName::CSeq),
        ])
    }

    // What both ends of a call have in common.

    /// The address of ours in Contact and SDP.
    fn public_ip(&self, flow: Flow) -> IpAddr {
        self.settings.public_address.unwrap_or_else(|| flow.local.ip().to_canonical())
    }

    fn contact(&self, flow: Flow) -> String {
        self.contact_as("allo", flow)
    }

    /// A Contact of ours with this user part.
    fn contact_as(&self, user: &str, flow: Flow) -> String {
        let ip = self.public_ip(flow);
        let sent_by = super::message::fields::sent_by(ip, flow.local.port());
        match flow.transport() {
            Transport::Udp => format!("<sip:{user}@{sent_by}>"),
            Transport::Tcp => format!("<sip:{user}@{sent_by};transport=tcp>"),
            Transport::Tls => format!("<sip:{user}@{sent_by};transport=tls>"),
        }
    }

    fn tell_agreed(&mut self, leg: LegId, session: MediaSession) {
        let Some(peer) = self.legs.get(&leg).map(|leg| leg.dialog.next_hop().remote.ip()) else {
            return;
        };
        self.outbox.events.push(SipEvent::MediaAgreed { leg, session, peer });
    }

    /// The Contact of an answer that makes a dialog: a SIPS one to a SIPS caller (RFC 3261
    /// §12.1.1), with the transport left out (RFC 5630 §3.1.4).
    fn contact_answering(&self, flow: Flow, headers: &Headers) -> String {
        let first = |name| headers.addresses(&name).ok()?.into_iter().next();
        let peer = first(HeaderName::RecordRoute).or_else(|| first(HeaderName::Contact));
        let named = [headers.to().ok(), peer];
        let is_sips = |address: &NameAddr| address.uri.sip().is_some_and(SipUri::is_sips);
        if flow.transport() == Transport::Tls && named.iter().flatten().any(is_sips) {
            let ip = self.public_ip(flow);
            let sent_by = super::message::fields::sent_by(ip, flow.local.port());
            return format!("<sips:allo@{sent_by}>");
        }
        self.contact(flow)
    }

    fn tell_end(&mut self, leg: LegId, by: EndedBy, reason: EndReason) {
        self.outbox.events.push(SipEvent::Ended { leg, by, reason });
    }
}
