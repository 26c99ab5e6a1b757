//! The SIP accounts of operators: what a registrar checks a phone by.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Login, hash};

/// Which digests a phone is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DigestChoice {
    /// MD5 (RFC 2617): what every phone understands.
    #[default]
    Md5,
    /// SHA-256 (RFC 8760).
    #[serde(rename = "sha-256")]
    Sha256,
    /// Both, SHA-256 first. Some phones give up when they see two.
    Both,
}

impl DigestChoice {
    pub const ALL: [Self; 3] = [Self::Md5, Self::Sha256, Self::Both];
}

impl fmt::Display for DigestChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha-256",
            Self::Both => "both",
        })
    }
}

impl FromStr for DigestChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.to_string() == text)
            .ok_or_else(|| format!("\"{text}\" is not a digest: md5, sha-256 or both"))
    }
}

/// The hash of `login:realm:password`, hexadecimal in small letters: as good as the password for
/// this realm, so it never shows in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ha1(pub String);

impl Ha1 {
    /// The hash for MD5 (RFC 2617 §3.2.2.2).
    pub fn md5(login: &Login, realm: &str, password: &str) -> Self {
        Self(hash::md5(&[login.as_str(), realm, password]))
    }

    /// The hash for SHA-256 (RFC 7616 §3.4.2).
    pub fn sha256(login: &Login, realm: &str, password: &str) -> Self {
        Self(hash::sha256(&[login.as_str(), realm, password]))
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(…)")
    }
}

/// One account. The plain password is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub login: Login,
    /// The realm that both hashes were made for.
    pub realm: String,
    pub md5: Ha1,
    pub sha256: Ha1,
    /// `None`: what the settings say for all.
    pub digest: Option<DigestChoice>,
}

impl Account {
    /// An account with this password.
    pub fn new(login: Login, realm: &str, password: &str, digest: Option<DigestChoice>) -> Self {
        let md5 = Ha1::md5(&login, realm, password);
        let sha256 = Ha1::sha256(&login, realm, password);
        Self { login, realm: realm.to_owned(), md5, sha256, digest }
    }
}

/// All accounts.
pub type Accounts = BTreeMap<Login, Account>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hashes_are_those_that_phones_compute() {
        let account = Account::new("anna".parse().unwrap(), "allo", "secret", None);
        assert_eq!(account.md5.0, "f2af0e82617b5b1f0e204403eb2493b3");
        assert_eq!(
            account.sha256.0,
            "dcb5422bb283c34545e9b2d88e4da37bc540d437db58eaed8baf6b589de3a06c"
        );
        assert!(!format!("{account:?}").contains(&account.md5.0));
    }
}
