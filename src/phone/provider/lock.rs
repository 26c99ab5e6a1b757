//! Who may call by this provider: digest authentication (RFC 7616, RFC 8760) as a registrar does it.

use crate::phone::digest::{Algorithm, Credentials};
use crate::phone::wire::Incoming;
use crate::sip::message::grammar;

/// The account of a trunk, and what is asked for.
#[derive(Debug)]
pub(super) struct Lock {
    who: Credentials,
    algorithms: Vec<Algorithm>,
    nonce: String,
}

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Right,
    /// Right with a nonce that is not valid any more.
    Stale,
    Wrong,
    /// There is none.
    Missing,
}

const REALM: &str = "provider";

impl Lock {
    pub fn new(who: Credentials, algorithms: Vec<Algorithm>) -> Self {
        Self { who, algorithms, nonce: nonce() }
    }

    /// What was answered to earlier challenges is stale from now on.
    pub fn change(&mut self) {
        self.nonce = nonce();
    }

    /// The challenges, as lines of the header.
    pub fn challenge(&self, header: &str, is_stale: bool) -> String {
        let stale = if is_stale { ", stale=true" } else { "" };
        let line = |algorithm: &Algorithm| {
            format!(
                "{header}: Digest realm=\"{REALM}\", nonce=\"{}\", algorithm={}, qop=\"auth\", \
                 opaque=\"provider\"{stale}\r\n",
                self.nonce,
                algorithm.name()
            )
        };
        self.algorithms.iter().map(line).collect()
    }

    /// What the request shows in this header.
    pub fn examine(&self, message: &Incoming, header: &str, method: &str) -> Proof {
        let Some(line) = message.line(header) else { return Proof::Missing };
        let Some(shown) = Shown::read(&line) else { return Proof::Wrong };
        let is_known = self.algorithms.contains(&shown.algorithm);
        if !is_known || shown.user != self.who.user || shown.realm != REALM {
            return Proof::Wrong;
        }
        if shown.response != shown.expected(&self.who.password, method) {
            return Proof::Wrong;
        }
        if shown.nonce == self.nonce { Proof::Right } else { Proof::Stale }
    }
}

fn nonce() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// The parameters of an Authorization header.
struct Shown {
    user: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Algorithm,
    /// nc and cnonce of `qop=auth`.
    count: Option<(String, String)>,
}

impl Shown {
    fn read(line: &str) -> Option<Self> {
        let rest = line.trim().strip_prefix("Digest ")?;
        let value_of = |name: &str| {
            let mut items = grammar::list(rest).filter_map(|item| item.split_once('='));
            let (_, value) = items.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
            let value = value.trim();
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Some(quoted.map_or_else(|| value.to_owned(), grammar::unquote))
        };
        let count = match value_of("qop").as_deref() {
            Some("auth") => Some((value_of("nc")?, value_of("cnonce")?)),
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            user: value_of("username")?,
            realm: value_of("realm")?,
            nonce: value_of("nonce")?,
            uri: value_of("uri")?,
            response: value_of("response")?,
            algorithm: Algorithm::named(value_of("algorithm").as_deref())?,
            count,
        })
    }

    fn expected(&self, password: &str, method: &str) -> String {
        let hash = |text: &str| self.algorithm.hash(text);
        let ha1 = hash(&format!("{}:{}:{password}", self.user, self.realm));
        let ha2 = hash(&format!("{method}:{}", self.uri));
        match &self.count {
            Some((nc, cnonce)) => hash(&format!("{ha1}:{}:{nc}:{cnonce}:auth:{ha2}", self.nonce)),
            None => hash(&format!("{ha1}:{}:{ha2}", self.nonce)),
        }
    }
}
