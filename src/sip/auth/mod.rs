//! Who knows the password (RFC 3261 §22, RFC 2617, RFC 7616, RFC 8760). Without sockets and clocks.
//!
//! - [`credentials`]: Authorization, read
//! - [`client`]: the other side: a provider asks for our password
//! - [`digest`]: the hashes
//! - [`nonce`]: made, signed, used once per count
//! - [`guard`]: how often a wrong password may be tried
//!
//! Whoever does not know a password learns nothing here: an unknown name and a wrong password cost
//! the same work and get the same answer, and so does a right password that was tried too often in
//! a row from one address.

pub mod client;
pub mod credentials;
pub mod digest;
pub mod guard;
pub mod nonce;

use std::net::SocketAddr;

use subtle::ConstantTimeEq;

use self::credentials::Credentials;
use self::digest::Algorithm;
use self::guard::Guard;
use self::nonce::{Nonces, Standing};
use super::message::Uri;
use crate::domain::{Account, Accounts, DigestChoice, Login};

/// A request that may prove who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// All that came, of this realm or another.
    pub credentials: &'a [Credentials],
    pub method: &'a str,
    pub uri: &'a Uri,
    pub source: SocketAddr,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No credentials for this house.
    Absent,
    Proven(Login),
    /// The nonce is too old or was used before; whether the password is right is not looked at.
    Stale,
    Wrong,
}

/// What a phone is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    realm: String,
    digest: DigestChoice,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Authenticator {
    secret: [u64; 2],
    realm: String,
    digest: DigestChoice,
    nonces: Nonces,
    guard: Guard,
}

impl Authenticator {
    /// Realm and digest are those of accounts that have none of their own.
    pub fn new(realm: String, digest: DigestChoice, secret: [u64; 2]) -> Self {
        let nonces = Nonces::new(secret);
        Self { secret, realm, digest, nonces, guard: Guard::default() }
    }

    /// The values of WWW-Authenticate or Proxy-Authenticate, in this order: the strongest first
    /// (RFC 8760 §2.4). `name` is who claims to ask.
    pub fn challenges(
        &mut self,
        now_ms: u64,
        accounts: &Accounts,
        source: SocketAddr,
        name: &str,
        stale: bool,
    ) -> Vec<String> {
        let question = self.question(accounts, name);
        let nonce = self.nonces.issue(now_ms, source.ip());
        let algorithms: &[Algorithm] = match question.digest {
            DigestChoice::Md5 => &[Algorithm::Md5],
            DigestChoice::Sha256 => &[Algorithm::Sha256],
            DigestChoice::Both => &[Algorithm::Sha256, Algorithm::Md5],
        };
        let realm = question.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |algorithm: &Algorithm| {
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                algorithm.name()
            )
        };
        algorithms.iter().map(challenge).collect()
    }

    /// Judges an attempt. `is_home` tells whether a phone of the account is registered from the
    /// very address and port that the attempt came from: such a one is heard in any case.
    pub fn verify(
        &mut self,
        now_ms: u64,
        accounts: &Accounts,
        attempt: &Attempt<'_>,
        is_home: impl Fn(&Login) -> bool,
    ) -> Verdict {
        let source = attempt.source.ip();
        let ours = attempt.credentials.iter().find_map(|credentials| {
            let question = self.question(accounts, &credentials.username);
            (credentials.realm == question.realm || credentials.realm == self.realm)
                .then_some((credentials, question))
        });
        let Some((credentials, question)) = ours else { return Verdict::Absent };
        let Standing::Fresh(nonce) = self.nonces.standing(now_ms, source, &credentials.nonce)
        else {
            return Verdict::Stale;
        };
        let login = credentials.username.parse::<Login>().ok();
        let account = login.as_ref().and_then(|login| accounts.get(login));
        let is_right = is_right(attempt, credentials, &question, account);
        let login = account.map(|account| &account.login);
        if !login.is_some_and(is_home) {
            if !self.guard.may_try(now_ms, attempt.source, login) {
                return Verdict::Wrong;
            }
            if !is_right {
                self.guard.failed(now_ms, attempt.source, login);
            }
        }
        let Some(login) = login.filter(|_| is_right) else { return Verdict::Wrong };
        self.guard.succeeded(attempt.source, login, accounts);
        if self.nonces.count(nonce, credentials.count) {
            Verdict::Proven(login.clone())
        } else {
            Verdict::Stale
        }
    }

    /// An unknown name is asked as some account is, always the same: accounts that are asked in a
    /// way of their own would else be known by it.
    fn question(&self, accounts: &Accounts, name: &str) -> Question {
        let login = name.parse::<Login>().ok();
        let account = login.and_then(|login| accounts.get(&login)).or_else(|| {
            let place = nonce::keyed(self.secret, name.to_ascii_lowercase().as_bytes());
            let count = u64::try_from(accounts.len()).unwrap_or(0);
            let index = place.checked_rem(count)?;
            accounts.values().nth(usize::try_from(index).ok()?)
        });
        match account {
            Some(account) => Question {
                realm: account.realm.clone(),
                digest: account.digest.unwrap_or(self.digest),
            },
            None => Question { realm: self.realm.clone(), digest: self.digest },
        }
    }
}

/// Whether the password is right. Without an account the work is the same.
fn is_right(
    attempt: &Attempt<'_>,
    credentials: &Credentials,
    question: &Question,
    account: Option<&Account>,
) -> bool {
    let algorithm = credentials.algorithm.unwrap_or(Algorithm::Md5);
    let nobody = algorithm.hash(&["nobody"]);
    let ha1 = account.map_or(nobody.as_str(), |account| match algorithm {
        Algorithm::Md5 => &account.md5.0,
        Algorithm::Sha256 => &account.sha256.0,
    });
    let expected = digest::response(algorithm, ha1, credentials.proof(), attempt.method);
    let given = credentials.response.to_ascii_lowercase();
    let is_equal = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
    let is_asked_for = match (credentials.algorithm, question.digest) {
        (Some(_), DigestChoice::Both)
        | (Some(Algorithm::Md5), DigestChoice::Md5)
        | (Some(Algorithm::Sha256), DigestChoice::Sha256) => true,
        (Some(Algorithm::Md5), DigestChoice::Sha256)
        | (Some(Algorithm::Sha256), DigestChoice::Md5)
        | (None, _) => false,
    };
    let is_of_realm = account.is_some_and(|account| account.realm == credentials.realm);
    is_equal && is_asked_for && is_of_realm && is_same_target(&credentials.uri, attempt.uri)
}

/// RFC 7616 §3.4.6: the URI of the credentials and of the request are one resource. Proxies and
/// phones differ in ports and parameters; user and host must agree.
fn is_same_target(claimed: &str, asked: &Uri) -> bool {
    let Ok(claimed) = Uri::parse(claimed) else { return false };
    match (&claimed, asked) {
        (Uri::Sip(a), Uri::Sip(b)) => {
            claimed.user() == asked.user() && a.host.eq_ignore_ascii_case(&b.host)
        }
        (Uri::Sip(_) | Uri::Other { .. }, _) => claimed == *asked,
    }
}

#[cfg(test)]
mod tests;
