//! Authorization and Proxy-Authorization (RFC 2617 §3.2.2, RFC 7616 §3.4).

use super::super::message::{HeaderName, Headers, grammar};
use super::digest::{Algorithm, Proof};

/// Lines of credentials that are looked at in one request; more are for other houses.
const LINES_MAX: usize = 8;

/// What a phone gives to prove its password: Digest with `qop=auth`, which all challenges of ours
/// ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub realm: String,
    pub nonce: String,
    /// As written, for it is hashed.
    pub uri: String,
    pub response: String,
    /// `None`: one that is not known here.
    pub algorithm: Option<Algorithm>,
    pub cnonce: String,
    /// As written, for it is hashed: eight hexadecimal digits.
    pub nc: String,
    /// `nc` as a number.
    pub count: u32,
}

impl Credentials {
    /// All that can be read of these headers; others are for somebody else.
    pub fn all(headers: &Headers, names: &[HeaderName]) -> Vec<Self> {
        let lines = names.iter().flat_map(|name| headers.lines(name));
        lines.take(LINES_MAX).filter_map(|line| Self::parse(&line)).collect()
    }

    /// `None` for another scheme, and for a digest without `qop=auth`, `nc` and `cnonce`: those of
    /// RFC 2069 can be replayed.
    pub fn parse(text: &str) -> Option<Self> {
        let pairs = Pairs::of_digest(text)?;
        let get = |name| pairs.get(name);
        let nc = get("nc").filter(|nc| nc.len() == 8)?;
        get("qop").filter(|qop| qop.eq_ignore_ascii_case("auth"))?;
        Some(Self {
            username: get("username")?,
            realm: get("realm")?,
            nonce: get("nonce")?,
            uri: get("uri")?,
            response: get("response")?,
            algorithm: Algorithm::named(get("algorithm").as_deref().unwrap_or("MD5")),
            cnonce: get("cnonce")?,
            count: u32::from_str_radix(&nc, 16).ok()?,
            nc,
        })
    }

    /// What the password was proven with.
    pub fn proof(&self) -> Proof<'_> {
        Proof { nonce: &self.nonce, nc: &self.nc, cnonce: &self.cnonce, uri: &self.uri }
    }
}

/// The `name=value` pairs of a Digest, of a challenge or of credentials.
pub(super) struct Pairs<'a>(Vec<(&'a str, String)>);

impl<'a> Pairs<'a> {
    /// `None`: another scheme.
    pub(super) fn of_digest(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let pairs = grammar::list(rest).filter_map(|item| item.split_once('='));
        Some(Self(pairs.map(|(name, value)| (name.trim(), plain(value.trim()))).collect()))
    }

    /// The first value of this name; case does not matter.
    pub(super) fn get(&self, wanted: &str) -> Option<String> {
        let pair = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        pair.map(|(_, value)| value.clone())
    }
}

/// A token as it is, a quoted string without its quotes.
fn plain(value: &str) -> String {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => grammar::unquote(inner),
        None => value.to_owned(),
    }
}
