//! Proving our own password to a provider: a challenge is read and answered (RFC 3261 §22.2, §22.3;
//! RFC 2617 §3.2.2, RFC 7616 §3.4, RFC 8760).

use super::super::message::{HeaderName, Headers, Status, grammar};
use super::credentials::Pairs;
use super::digest::{self, Algorithm};

/// Challenges that are looked at in one answer.
const CHALLENGES_MAX: usize = 8;

/// What a provider asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub realm: String,
    nonce: String,
    opaque: Option<String>,
    /// `None`: none was named, which means MD5.
    named: Option<Algorithm>,
    /// `false`: a digest of RFC 2069, which some old exchanges still ask for.
    has_qop: bool,
    /// The password was right, but the nonce too old.
    pub is_stale: bool,
    answer_in: HeaderName,
}

/// Why a challenge is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Another status, another scheme, an unknown algorithm (the session variants are), or a `qop`
    /// without `auth`.
    Unknown,
    /// Our password has nothing to do with this realm.
    Foreign { realm: String },
}

impl Challenge {
    /// The strongest challenge of a 401 or 407 that can be answered; of equal ones the topmost
    /// (RFC 8760 §2.4). With `ours`, only this realm counts.
    pub fn strongest(
        status: Status,
        headers: &Headers,
        ours: Option<&str>,
    ) -> Result<Self, Unanswered> {
        let (asked_in, answer_in) = match status {
            Status::UNAUTHORIZED => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            Status::PROXY_AUTHENTICATION_REQUIRED => {
                (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization)
            }
            _ => return Err(Unanswered::Unknown),
        };
        let lines = headers.lines(&asked_in).take(CHALLENGES_MAX);
        let mut known: Vec<Self> =
            lines.filter_map(|line| Self::parse(&line, answer_in.clone())).collect();
        // Stable: the topmost of the strongest comes first.
        known.sort_by_key(|challenge| match challenge.algorithm() {
            Algorithm::Sha256 => 0,
            Algorithm::Md5 => 1,
        });
        let first = known.first().map(|challenge| challenge.realm.clone());
        let ours = known.into_iter().find(|it| ours.is_none_or(|realm| it.realm == realm));
        ours.ok_or(first.map_or(Unanswered::Unknown, |realm| Unanswered::Foreign { realm }))
    }

    fn parse(text: &str, answer_in: HeaderName) -> Option<Self> {
        let pairs = Pairs::of_digest(text)?;
        let named = match pairs.get("algorithm") {
            Some(name) => Some(Algorithm::named(&name)?),
            None => None,
        };
        let qop = pairs.get("qop");
        let offers_auth =
            |qop: &String| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
        if qop.as_ref().is_some_and(|qop| !offers_auth(qop)) {
            return None;
        }
        Some(Self {
            realm: pairs.get("realm")?,
            nonce: pairs.get("nonce")?,
            opaque: pairs.get("opaque"),
            named,
            has_qop: qop.is_some(),
            is_stale: pairs.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            answer_in,
        })
    }

    fn algorithm(&self) -> Algorithm {
        self.named.unwrap_or(Algorithm::Md5)
    }

    /// The header that proves the password, and its value. Each nonce is answered once, so that `nc`
    /// is always 1; `cnonce` must be new each time.
    pub fn answer(
        &self,
        username: &str,
        password: &str,
        method: &str,
        uri: &str,
        cnonce: &str,
    ) -> (HeaderName, String) {
        let algorithm = self.algorithm();
        let ha1 = algorithm.hash(&[username, &self.realm, password]);
        let nc = "00000001";
        let response = if self.has_qop {
            let proof = digest::Proof { nonce: &self.nonce, nc, cnonce, uri };
            digest::response(algorithm, &ha1, proof, method)
        } else {
            let ha2 = algorithm.hash(&[method, uri]);
            algorithm.hash(&[&ha1, &self.nonce, &ha2])
        };
        let quoted = |text: &str| format!("\"{}\"", grammar::escape_quoted(text));
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(username),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
        );
        if self.named.is_some() {
            value += &format!(", algorithm={}", algorithm.name());
        }
        if self.has_qop {
            value += &format!(", qop=auth, nc={nc}, cnonce={}", quoted(cnonce));
        }
        if let Some(opaque) = &self.opaque {
            value += &format!(", opaque={}", quoted(opaque));
        }
        (self.answer_in.clone(), value)
    }
}

/// How often one request has proven our password so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    realm: Option<String>,
    given: u8,
}

impl Proofs {
    /// A second proof is given only where the first was right, but its nonce too old.
    const GIVEN_MAX: u8 = 2;

    /// Notes that a challenge is about to be answered; `false`: it must not be. The same question
    /// again means that the password is wrong, and another realm that somebody else would like to
    /// hear it.
    pub fn may_answer(&mut self, challenge: &Challenge) -> bool {
        let may = match &self.realm {
            None => true,
            Some(realm) => *realm == challenge.realm && challenge.is_stale,
        };
        if !may || self.given >= Self::GIVEN_MAX {
            return false;
        }
        self.realm = Some(challenge.realm.clone());
        self.given += 1;
        true
    }

    /// In which realm it was proven.
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Credentials;
    use super::*;

    fn asked(lines: &[&str]) -> Option<Challenge> {
        asked_as(lines, None).ok()
    }

    fn asked_as(lines: &[&str], ours: Option<&str>) -> Result<Challenge, Unanswered> {
        let mut headers = Headers::default();
        for line in lines {
            headers.push(HeaderName::WwwAuthenticate, (*line).to_owned());
        }
        Challenge::strongest(Status::UNAUTHORIZED, &headers, ours)
    }

    fn response_of(value: &str) -> String {
        let (_, rest) = value.split_once("response=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    #[test]
    fn the_example_of_rfc_2617_section_3_5_is_answered_as_printed() {
        let challenge = asked(&["Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""])
        .unwrap();
        let (name, value) =
            challenge.answer("Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b");
        assert_eq!(name, HeaderName::Authorization);
        assert_eq!(response_of(&value), "6629fae49393a05397450978507c4ef1");
        assert!(value.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""), "{value}");
        assert!(!value.contains("algorithm"), "none was named");
        let read = Credentials::parse(&value).unwrap();
        assert_eq!((read.nc.as_str(), read.cnonce.as_str()), ("00000001", "0a4f113b"));
    }

    #[test]
    fn of_the_examples_of_rfc_7616_section_3_9_1_the_stronger_is_answered() {
        let ask = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = |challenge: Challenge| {
            let given = ("Mufasa", "Circle of Life");
            challenge.answer(given.0, given.1, "GET", "/dir/index.html", cnonce).1
        };
        let both = answer(asked(&[&ask("MD5"), &ask("SHA-256")]).unwrap());
        assert_eq!(
            response_of(&both),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
        assert!(both.contains("algorithm=SHA-256"), "{both}");
        let weak = answer(asked(&[&ask("MD5"), &ask("SHA-512-256")]).unwrap());
        assert_eq!(response_of(&weak), "8ca523f5e9506fed4657c9700eebdbec");
    }

    #[test]
    fn a_challenge_without_qop_is_answered_as_in_rfc_2069() {
        // The vector of RFC 2069 §2.4 with the correction of erratum 749.
        let challenge = asked(&["Digest realm=\"testrealm@host.com\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\""])
        .unwrap();
        let (_, value) =
            challenge.answer("Mufasa", "CircleOfLife", "GET", "/dir/index.html", "unused");
        assert_eq!(response_of(&value), "1949323746fe6a43ef61f9606e7febea");
        assert!(!value.contains("cnonce") && !value.contains("qop"), "{value}");
    }

    #[test]
    fn what_can_not_be_answered_is_left_alone() {
        for line in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
        ] {
            assert_eq!(asked(&[line]), None, "{line}");
        }
        let headers = Headers::default();
        let forbidden = Challenge::strongest(Status::FORBIDDEN, &headers, None);
        assert_eq!(forbidden, Err(Unanswered::Unknown));
    }

    #[test]
    fn only_our_realm_is_answered_even_if_another_asks_for_more() {
        let ours = "Digest realm=\"ours\", nonce=\"1\"";
        let theirs = "Digest realm=\"theirs\", nonce=\"2\", algorithm=SHA-256";
        let found = asked_as(&[theirs, ours], Some("ours")).unwrap();
        assert_eq!((found.realm.as_str(), found.nonce.as_str()), ("ours", "1"));
        assert_eq!(asked(&[theirs, ours]).unwrap().realm, "theirs", "nothing is known yet");
        let foreign = Unanswered::Foreign { realm: "theirs".to_owned() };
        assert_eq!(asked_as(&[theirs], Some("ours")), Err(foreign));
        assert_eq!(asked_as(&["Basic realm=\"ours\""], Some("ours")), Err(Unanswered::Unknown));
    }

    #[test]
    fn a_password_is_proven_at_most_twice_and_to_one_realm() {
        let fresh = asked(&["Digest realm=\"a\", nonce=\"1\""]).unwrap();
        let stale = asked(&["Digest realm=\"a\", nonce=\"2\", stale=true"]).unwrap();
        let foreign = asked(&["Digest realm=\"b\", nonce=\"3\", stale=true"]).unwrap();
        let mut proofs = Proofs::default();
        assert!(proofs.may_answer(&fresh));
        assert!(!proofs.may_answer(&fresh), "the password is wrong");
        assert!(!proofs.may_answer(&foreign));
        assert!(proofs.may_answer(&stale));
        assert!(!proofs.may_answer(&stale), "without end");
    }

    #[test]
    fn quotes_in_names_do_not_end_the_header() {
        let challenge = asked(&["Digest realm=\"a\\\"b\", nonce=n, stale=TRUE"]).unwrap();
        assert!(challenge.is_stale);
        let (_, value) = challenge.answer("x\"y", "p", "INVITE", "sip:a@b", "c");
        assert!(value.contains("username=\"x\\\"y\"") && value.contains("realm=\"a\\\"b\""));
    }
}
