//! REGISTER and who sent it (RFC 3261 §10.3, §22; RFC 3327).

use jiff::Timestamp;

use super::super::auth::Attempt;
use super::super::auth::Verdict;
use super::super::auth::credentials::Credentials;
use super::super::message::{HeaderName, Headers, NameAddr, Request, Response, Status};
use super::super::registrar::Listed;
use super::super::registrar::request::{EXPIRES_MIN_S, Refused, Registration};
use super::super::transport::Flow;
use super::tokens::Digest;
use super::{Agent, SERVER};
use crate::domain::Login;

/// The extensions that a REGISTER may require.
const SUPPORTED: &str = "path";

/// How a request that must be proven is answered when it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// 401: by a registrar.
    User,
    /// 407: by whoever lets calls through.
    Proxy,
}

impl Agent {
    /// A REGISTER. Until a password was right no transaction is kept: a flood costs no memory.
    pub(super) fn register(
        &mut self,
        now_ms: u64,
        flow: Flow,
        back: Flow,
        key: Digest,
        request: &Request,
    ) {
        let proven = match self.prove_registration(now_ms, flow, request) {
            Ok(login) => login,
            Err(response) => return self.outbox.packets.push((back, response.to_bytes())),
        };
        let id = self.open(now_ms, back, request, key);
        let response = match self.change_registration(now_ms, flow, &proven, request) {
            Ok(response) | Err(response) => response,
        };
        self.respond(now_ms, id, &response);
    }

    /// The account that a REGISTER was proven to come from.
    fn prove_registration(
        &mut self,
        now_ms: u64,
        flow: Flow,
        request: &Request,
    ) -> Result<Login, Response> {
        let headers = &request.headers;
        let plain = |agent: &Self, status| {
            let tag = agent.stateless_tag(headers);
            Response::answering(headers, status, Some(&tag)).with(HeaderName::Server, SERVER)
        };
        if request.uri.sip().is_none() {
            return Err(plain(self, Status::UNSUPPORTED_URI_SCHEME));
        }
        let required = headers.items(&HeaderName::Require);
        let unknown = required.iter().filter(|option| !option.eq_ignore_ascii_case(SUPPORTED));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if !unknown.is_empty() {
            let response = plain(self, Status::BAD_EXTENSION);
            return Err(response.with(HeaderName::Unsupported, unknown.join(", ")));
        }
        let verdict = self.verify(now_ms, flow, request, &[HeaderName::Authorization]);
        match verdict {
            Verdict::Proven(login) => Ok(login),
            Verdict::Absent | Verdict::Wrong | Verdict::Stale => {
                let response = plain(self, Status::UNAUTHORIZED);
                let name = user_of(headers.to().ok());
                let stale = verdict == Verdict::Stale;
                Err(self.challenge(now_ms, flow, response, Challenge::User, &name, stale))
            }
        }
    }

    /// What the credentials in these headers are worth.
    pub(super) fn verify(
        &mut self,
        now_ms: u64,
        flow: Flow,
        request: &Request,
        names: &[HeaderName],
    ) -> Verdict {
        let accounts = self.settings.accounts.load();
        let credentials = Credentials::all(&request.headers, names);
        let attempt = Attempt {
            credentials: &credentials,
            method: request.method.as_str(),
            uri: &request.uri,
            source: flow.remote,
        };
        let registrar = &self.registrar;
        let is_home = |login: &Login| registrar.is_home(login, flow.remote);
        let verdict = self.authenticator.verify(now_ms, &accounts, &attempt, is_home);
        if verdict == Verdict::Wrong {
            tracing::debug!(source = %flow.remote, "a wrong password");
        }
        verdict
    }

    /// Adds what the peer is asked for; `name` is who it claims to be.
    pub(super) fn challenge(
        &mut self,
        now_ms: u64,
        flow: Flow,
        mut response: Response,
        challenge: Challenge,
        name: &str,
        stale: bool,
    ) -> Response {
        let accounts = self.settings.accounts.load();
        let header = match challenge {
            Challenge::User => HeaderName::WwwAuthenticate,
            Challenge::Proxy => HeaderName::ProxyAuthenticate,
        };
        for value in self.authenticator.challenges(now_ms, &accounts, flow.remote, name, stale) {
            response.headers.push(header.clone(), value);
        }
        response
    }

    /// Does what a proven REGISTER asks for.
    fn change_registration(
        &mut self,
        now_ms: u64,
        flow: Flow,
        login: &Login,
        request: &Request,
    ) -> Result<Response, Response> {
        let headers = &request.headers;
        let claimed = user_of(headers.to().ok()).parse::<Login>();
        if claimed.as_ref() != Ok(login) {
            return Err(self.reply(headers, Status::FORBIDDEN));
        }
        let registration = Registration::read(headers, flow).map_err(|refused| match refused {
            Refused::Malformed(malformed) => {
                let mut response = self.reply(headers, Status::BAD_REQUEST);
                response.reason = format!("Bad Request ({malformed})").into();
                response
            }
            Refused::TooMany => {
                let mut response = self.reply(headers, Status::FORBIDDEN);
                response.reason = "Too Many Contacts".into();
                response
            }
            Refused::TooBrief => self
                .reply(headers, Status::INTERVAL_TOO_BRIEF)
                .with(HeaderName::MinExpires, EXPIRES_MIN_S.to_string()),
        })?;
        // What came with an older password goes before this comes.
        self.forget_phones(now_ms);
        self.registrar
            .register(now_ms, login, &registration)
            .map_err(|_| self.reply(headers, Status::SERVER_INTERNAL_ERROR))?;
        self.watch_phones(now_ms);
        Ok(self.registered(now_ms, login, headers))
    }

    /// The 200: all contacts of the account, and the path back (RFC 3327 §5.3).
    fn registered(&mut self, now_ms: u64, login: &Login, headers: &Headers) -> Response {
        let mut response = self.reply(headers, Status::OK);
        for Listed { uri, params, expires_s } in self.registrar.listed(now_ms, login) {
            let contact = format!("<{uri}>{params};expires={expires_s}");
            response.headers.push(HeaderName::Contact, contact);
        }
        if headers.lists(&HeaderName::Supported, SUPPORTED) {
            response.headers.copy(&HeaderName::Path, headers);
        }
        match date(now_ms) {
            Some(date) => response.with(HeaderName::Date, date),
            None => response,
        }
    }
}

/// The user part of an address, unescaped; empty if there is none.
pub(super) fn user_of(address: Option<NameAddr>) -> String {
    address.and_then(|address| address.uri.user()).unwrap_or_default()
}

/// RFC 3261 §20.17. Desk phones set their clocks by it.
fn date(now_ms: u64) -> Option<String> {
    let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    Some(now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}
