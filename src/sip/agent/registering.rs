//! Our REGISTER at a provider: asked, challenged, granted (RFC 3261 §10.2, §22.2).

use std::net::SocketAddr;

use super::super::auth::client::{Challenge, Proofs, Unanswered};
use super::super::message::{HeaderName, Headers, KnownMethod, Request, Response, Status, grammar};
use super::super::transport::Flow;
use super::super::trunks::address;
use super::super::trunks::registration::Refusal;
use super::Agent;
use super::outgoing::Purpose;

/// The REGISTERs of one trunk.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// All REGISTERs at one provider have one Call-ID (RFC 3261 §10.2).
    call_id: String,
    cseq: u32,
    asking: Option<Asking>,
}

/// A REGISTER that waits for its answer.
#[derive(Clone, Debug)]
struct Asking {
    client: u64,
    flow: Flow,
    /// 0: we leave.
    expires_s: u32,
    proofs: Proofs,
}

impl Agent {
    /// Sends each REGISTER that is due, as far as a server is there to take it.
    pub(super) fn register_due(&mut self, now_ms: u64) {
        for trunk in 0..self.trunks.providers.len() {
            let registration = self.trunks.providers[trunk].registration;
            if registration.is_some_and(|registration| registration.is_due(now_ms)) {
                self.begin_registration(now_ms, trunk);
            }
        }
    }

    fn begin_registration(&mut self, now_ms: u64, trunk: usize) {
        let Some(flow) = self.registrar_of(trunk) else { return };
        let Some(registration) = &mut self.trunks.providers[trunk].registration else { return };
        let expires_s = registration.ask();
        self.send_register(now_ms, trunk, flow, expires_s, Proofs::default(), None);
    }

    /// The server goes down: providers that know us are told (RFC 3261 §10.2.2).
    pub fn leave_trunks(&mut self, now_ms: u64) {
        for trunk in 0..self.trunks.providers.len() {
            let registration = self.trunks.providers[trunk].registration.as_mut();
            if registration.is_some_and(|registration| registration.leave(now_ms)) {
                match self.registrar_of(trunk) {
                    Some(flow) => {
                        self.send_register(now_ms, trunk, flow, 0, Proofs::default(), None);
                    }
                    None => self.left(trunk),
                }
            }
        }
        self.tell_trunks(now_ms);
    }

    fn left(&mut self, trunk: usize) {
        if let Some(registration) = &mut self.trunks.providers[trunk].registration {
            registration.left();
        }
    }

    /// The way to the server that takes our REGISTER.
    fn registrar_of(&mut self, trunk: usize) -> Option<Flow> {
        let tokens = &mut self.tokens;
        let provider = self.trunks.providers.get(trunk)?;
        let order = provider.route(|max| tokens.below(max));
        provider.way(*order.first()?)
    }

    fn send_register(
        &mut self,
        now_ms: u64,
        trunk: usize,
        flow: Flow,
        expires_s: u32,
        proofs: Proofs,
        proof: Option<(HeaderName, String)>,
    ) {
        let mut request = self.register_head(trunk, flow, expires_s);
        if let Some((name, value)) = proof {
            request.headers.push(name, value);
        }
        let purpose = Purpose::Register { trunk, server: flow.remote };
        let client = self.send_patiently(now_ms, flow, request, purpose);
        let asking = Asking { client, flow, expires_s, proofs };
        self.trunks.exchanges[trunk].asking = Some(asking);
    }

    fn register_head(&mut self, trunk: usize, flow: Flow, expires_s: u32) -> Request {
        let settings = &self.trunks.providers[trunk].settings;
        let account = address::of_account(settings);
        let contact = self.contact_as(&address::contact_user(settings), flow);
        let mut request = Request::new(KnownMethod::Register, address::of_provider(settings));
        let exchange = &mut self.trunks.exchanges[trunk];
        if exchange.call_id.is_empty() {
            exchange.call_id =
                format!("{:016x}{:016x}", self.tokens.next_u64(), self.tokens.next_u64());
        }
        exchange.cseq += 1;
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("<{account}>;tag={:016x}", self.tokens.next_u64()));
        headers.push(HeaderName::To, format!("<{account}>"));
        headers.push(HeaderName::CallId, exchange.call_id.clone());
        headers.push(HeaderName::CSeq, format!("{} REGISTER", exchange.cseq));
        headers.push(HeaderName::Contact, contact);
        headers.push(HeaderName::Expires, expires_s.to_string());
        headers.push(HeaderName::Allow, super::ALLOW);
        request
    }

    /// The final answer to a REGISTER; `None`: nobody answered.
    pub(super) fn register_answered(
        &mut self,
        now_ms: u64,
        client: u64,
        (trunk, server): (usize, SocketAddr),
        response: Option<&Response>,
    ) {
        let Some(response) = response else {
            return self.register_silent(now_ms, client, trunk, server);
        };
        let Some(asking) = self.take_asking(client, trunk) else { return };
        self.trunk_heard(now_ms, trunk, server);
        let (status, headers) = (response.status, &response.headers);
        if status == Status::UNAUTHORIZED || status == Status::PROXY_AUTHENTICATION_REQUIRED {
            return self.prove_register(now_ms, trunk, asking, response);
        }
        if asking.expires_s == 0 {
            // Whatever they say.
            self.left(trunk);
        } else if status.is_success() {
            self.registered_at_trunk(now_ms, trunk, &asking, headers);
        } else {
            let min_s = headers.text(&HeaderName::MinExpires);
            let min_s = min_s.and_then(|text| grammar::number(text.trim()));
            let why = match (status.code(), min_s, headers.retry_after()) {
                (423, Some(min_s), _) => Refusal::TooBrief { min_s },
                (403 | 404, _, _) => Refusal::Password,
                (503, _, Some(retry_after_s)) => Refusal::Later { retry_after_s },
                (_, _, _) => Refusal::Failed,
            };
            self.not_registered(now_ms, trunk, why, status);
        }
        self.tell_trunks(now_ms);
    }

    /// Answers a challenge, if that may help.
    fn prove_register(&mut self, now_ms: u64, trunk: usize, asking: Asking, response: &Response) {
        let Asking { flow, expires_s, mut proofs, .. } = asking;
        let uri = address::of_provider(&self.trunks.providers[trunk].settings).to_string();
        let (challenge, why) = match self.challenge_of(trunk, response) {
            Ok(challenge) => (Some(challenge), Refusal::Password),
            // It need not have come from the provider, who may take the next one.
            Err(Unanswered::Foreign { .. }) => (None, Refusal::Failed),
            Err(Unanswered::Unknown) => (None, Refusal::Password),
        };
        let challenge = challenge.filter(|challenge| proofs.may_answer(challenge));
        let proof = challenge.and_then(|c| self.prove_to(trunk, &c, KnownMethod::Register, &uri));
        match proof {
            Some(_) => self.send_register(now_ms, trunk, flow, expires_s, proofs, proof),
            None if expires_s == 0 => self.left(trunk),
            None => self.not_registered(now_ms, trunk, why, response.status),
        }
        self.tell_trunks(now_ms);
    }

    /// The challenge of a trunk that may be answered.
    pub(super) fn challenge_of(
        &mut self,
        trunk: usize,
        response: &Response,
    ) -> Result<Challenge, Unanswered> {
        let provider = self.trunks.providers.get_mut(trunk).ok_or(Unanswered::Unknown)?;
        let found = Challenge::strongest(response.status, &response.headers, provider.realm());
        if let Err(Unanswered::Foreign { realm }) = &found {
            provider.warn_of_realm(realm);
        }
        found
    }

    /// The header that proves the password of a trunk.
    pub(super) fn prove_to(
        &mut self,
        trunk: usize,
        challenge: &Challenge,
        method: KnownMethod,
        uri: &str,
    ) -> Option<(HeaderName, String)> {
        let settings = &self.trunks.providers.get(trunk)?.settings;
        let username = settings.username.as_deref()?;
        let password = settings.password.as_ref()?.reveal();
        let cnonce = format!("{:016x}", self.tokens.next_u64());
        let method = super::super::message::Method::from(method);
        Some(challenge.answer(username, password, method.as_str(), uri, &cnonce))
    }

    fn registered_at_trunk(
        &mut self,
        now_ms: u64,
        trunk: usize,
        asking: &Asking,
        headers: &Headers,
    ) {
        let dice = self.tokens.next_u64();
        let granted_s = self.granted_s(trunk, asking, headers);
        let provider = &mut self.trunks.providers[trunk];
        let was_registered = provider.is_registered(now_ms);
        provider.registered_at(asking.flow.remote);
        if let Some(realm) = asking.proofs.realm() {
            provider.proven_in(realm);
        }
        if let Some(registration) = &mut provider.registration {
            registration.granted(now_ms, granted_s, dice);
        }
        if !was_registered && provider.is_registered(now_ms) {
            tracing::info!(trunk = %provider.settings.name, granted_s, "registered at a trunk");
        }
    }

    /// The seconds that our contact was granted: its own `expires`, else Expires, else what was
    /// asked for (RFC 3261 §10.2.4).
    fn granted_s(&self, trunk: usize, asking: &Asking, headers: &Headers) -> u32 {
        let user = address::contact_user(&self.trunks.providers[trunk].settings);
        let contacts = headers.addresses(&HeaderName::Contact).unwrap_or_default();
        let ours = contacts.iter().find(|contact| {
            let uri = contact.uri.sip();
            uri.is_some_and(|uri| {
                uri.user.as_deref() == Some(&*user) && uri.ip() == Some(self.public_ip(asking.flow))
            })
        });
        let own = ours.and_then(|contact| grammar::number(contact.params.get("expires")?));
        let general = || grammar::number(headers.text(&HeaderName::Expires)?.trim());
        own.or_else(general).unwrap_or(asking.expires_s)
    }

    fn not_registered(&mut self, now_ms: u64, trunk: usize, why: Refusal, status: Status) {
        let dice = self.tokens.next_u64();
        let provider = &mut self.trunks.providers[trunk];
        let Some(registration) = &mut provider.registration else { return };
        registration.refused(now_ms, why, dice);
        let (name, failures) = (&provider.settings.name, registration.failures());
        match why {
            Refusal::Password => {
                tracing::error!(trunk = %name, %status, "a trunk refuses our account or password");
            }
            Refusal::TooBrief { .. } => {}
            Refusal::Later { .. } | Refusal::Failed | Refusal::Silence => {
                tracing::warn!(trunk = %name, %status, failures, "not registered at a trunk");
            }
        }
    }

    /// A REGISTER has been out for long enough, or its connection broke.
    pub(super) fn register_silent(
        &mut self,
        now_ms: u64,
        client: u64,
        trunk: usize,
        server: SocketAddr,
    ) {
        let Some(asking) = self.take_asking(client, trunk) else { return };
        if asking.expires_s == 0 {
            self.left(trunk);
        } else {
            self.not_registered(now_ms, trunk, Refusal::Silence, Status::REQUEST_TIMEOUT);
        }
        self.trunk_gone(now_ms, trunk, server, false);
    }

    /// The REGISTER that this transaction belongs to, if it is not given up yet.
    fn take_asking(&mut self, client: u64, trunk: usize) -> Option<Asking> {
        let exchange = self.trunks.exchanges.get_mut(trunk)?;
        exchange.asking.take_if(|asking| asking.client == client)
    }
}
