//! The phone's side of digest authentication (RFC 3261 §22.4, RFC 7616, RFC 8760). Written apart
//! from the server's, so that one does not prove the other's mistakes.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::wire::Incoming;
use crate::sip::message::grammar;

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

/// How a digest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha256,
}

/// What the server asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The header of the answer.
    header: &'static str,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// Whether `qop=auth` is offered.
    has_qop: bool,
}

impl Challenge {
    /// The first challenge of a 401 or 407 that we understand (RFC 8760 §2.4).
    pub fn choose(code: u16, message: &Incoming) -> Option<Self> {
        let (asked, answered) = match code {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return None,
        };
        message.lines(asked).find_map(|line| Self::read(answered, &line))
    }

    fn read(header: &'static str, line: &str) -> Option<Self> {
        let (scheme, rest) = line.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let value_of = |name: &str| {
            let mut items = grammar::list(rest).filter_map(|item| item.split_once('='));
            let (_, value) = items.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
            let value = value.trim();
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Some(quoted.map_or_else(|| value.to_owned(), grammar::unquote))
        };
        let algorithm = Algorithm::named(value_of("algorithm").as_deref())?;
        let qop = value_of("qop");
        let has_qop = match &qop {
            Some(list) => list.split(',').any(|item| item.trim() == "auth"),
            None => false,
        };
        if qop.is_some() && !has_qop {
            return None;
        }
        let (realm, nonce) = (value_of("realm")?, value_of("nonce")?);
        Some(Self { header, realm, nonce, opaque: value_of("opaque"), algorithm, has_qop })
    }

    /// The header line with the answer. It is the first with this nonce (nc=00000001).
    pub fn answer(&self, who: &Credentials, method: &str, uri: &str, cnonce: &str) -> String {
        const NC: &str = "00000001";
        let hash = |text: &str| self.algorithm.hash(text);
        let Self { header, realm, nonce, .. } = self;
        let Credentials { user, password } = who;
        let ha1 = hash(&format!("{user}:{realm}:{password}"));
        let ha2 = hash(&format!("{method}:{uri}"));
        let response = if self.has_qop {
            hash(&format!("{ha1}:{nonce}:{NC}:{cnonce}:auth:{ha2}"))
        } else {
            hash(&format!("{ha1}:{nonce}:{ha2}"))
        };
        let mut line = format!(
            "{header}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", \
             uri=\"{uri}\", response=\"{response}\", algorithm={}",
            self.algorithm.name()
        );
        if self.has_qop {
            line += &format!(", qop=auth, nc={NC}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            line += &format!(", opaque=\"{opaque}\"");
        }
        line + "\r\n"
    }
}

impl Algorithm {
    /// By the value of the parameter; without one it is MD5. `None`: another one.
    pub fn named(name: Option<&str>) -> Option<Self> {
        match name.map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => Some(Self::Md5),
            Some("SHA-256") => Some(Self::Sha256),
            Some(_) => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    pub fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hexadecimal(&Md5::digest(text)),
            Self::Sha256 => hexadecimal(&Sha256::digest(text)),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mufasa(password: &str) -> Credentials {
        Credentials { user: "Mufasa".into(), password: password.into() }
    }

    fn response_of(line: &str) -> &str {
        line.split_once("response=\"").unwrap().1.split('"').next().unwrap()
    }

    #[test]
    fn the_examples_of_rfc_2617_and_7616_come_out() {
        let old = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let challenge = Challenge::read("Authorization", old).unwrap();
        let who = mufasa("Circle Of Life");
        let line = challenge.answer(&who, "GET", "/dir/index.html", "0a4f113b");
        assert_eq!(response_of(&line), "6629fae49393a05397450978507c4ef1");
        assert!(line.ends_with("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n"), "{line}");

        let new = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\""
            )
        };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let challenge = Challenge::read("Authorization", &new(algorithm)).unwrap();
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let who = mufasa("Circle of Life");
            let line = challenge.answer(&who, "GET", "/dir/index.html", cnonce);
            assert_eq!(response_of(&line), response);
        }
    }

    #[test]
    fn what_the_phone_can_not_do_is_passed_over() {
        for line in [
            "Basic realm=\"a\"",
            "Digest realm=\"a\", nonce=\"b\", algorithm=SHA-512-256",
            "Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"",
            "Digest realm=\"a\"",
            "Digest",
        ] {
            assert_eq!(Challenge::read("Authorization", line), None, "{line}");
        }
        assert!(Challenge::read("Authorization", "digest realm=a, nonce=\"b,c\"").is_some());
    }
}
