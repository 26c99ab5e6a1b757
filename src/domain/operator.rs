//! The people who take calls: their names, phones and states.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of an operator's account, which is also the user name of the SIP phone: `anna`. Cheap to
/// clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Login(Arc<str>);

impl Login {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Login {
    type Err = String;

    /// Small Latin letters, digits, `.`, `_` and `-`, at most 32, the first one a letter. Capitals
    /// are taken as small ones.
    fn from_str(text: &str) -> Result<Self, String> {
        const LONGEST: usize = 32;
        let login = text.to_ascii_lowercase();
        let begins_well = login.starts_with(|c: char| c.is_ascii_lowercase());
        let is_plain = login
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
        if begins_well && is_plain && login.len() <= LONGEST {
            Ok(Self(login.into()))
        } else {
            Err(format!(
                "\"{text}\" is not a login: small Latin letters, digits and . _ -, at most 32, the first one a letter"
            ))
        }
    }
}

impl TryFrom<String> for Login {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Login> for String {
    fn from(login: Login) -> Self {
        login.0.to_string()
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The short number of an operator's phone, which colleagues dial: `201`. Two to six digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Extension(String);

impl Extension {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Extension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if (2..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("\"{text}\" is not an extension: two to six digits"))
        }
    }
}

impl TryFrom<String> for Extension {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Extension> for String {
    fn from(extension: Extension) -> Self {
        extension.0
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operator may do beside taking calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    #[default]
    Operator,
    /// May listen in, whisper to operators and barge in.
    Supervisor,
}

impl Role {
    pub const ALL: [Self; 2] = [Self::Operator, Self::Supervisor];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::Supervisor => "supervisor",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| format!("\"{text}\" is not a role: operator or supervisor"))
    }
}

/// A person who takes calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Operator {
    pub login: Login,
    /// As colleagues and reports call the person: `Анна Петрова`.
    pub name: String,
    pub extension: Option<Extension>,
    /// Names of the groups whose calls this person takes.
    pub groups: Vec<String>,
    /// Levels 1 (some) to 10 (best) by skill.
    pub skills: BTreeMap<String, u8>,
    pub role: Role,
    /// The phone is asked to pick up by itself, with a beep.
    pub auto_answer: bool,
    /// Group and waiting time are whispered before the caller is connected.
    pub whisper: bool,
}

impl Operator {
    /// Somebody with nothing but a login.
    pub fn named(login: Login) -> Self {
        Self {
            login,
            name: String::new(),
            extension: None,
            groups: Vec::new(),
            skills: BTreeMap::new(),
            role: Role::Operator,
            auto_answer: false,
            whisper: false,
        }
    }
}

/// What an operator wants: kept in the database, over restarts and registrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attendance {
    /// Groups logged in to; empty: logged out.
    pub groups: Vec<String>,
    /// `Some` while paused: the reason, perhaps empty.
    pub paused: Option<String>,
}

/// What is known of an operator's phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhoneState {
    /// No contact is registered.
    #[default]
    Unregistered,
    /// Registered, but the phone does not answer OPTIONS.
    Unreachable,
    Reachable,
}

/// Why a phone that was rung brought no conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingOutcome {
    /// It rang until the time was up (also 408 and 480 after 180).
    NoAnswer,
    /// 486, 600
    Busy,
    /// 603 and other refusals by a person
    Rejected,
    /// No contact, no answer to the INVITE, a broken connection, 404, 480 at once, 503.
    Unreachable,
    /// 488, 415, 500 and the like: the phone can't.
    Failed,
    /// Of a number outside: there is no such number (404, 410, 484, 604).
    Unallocated,
    /// Of a number outside: the network refuses such calls (603, 607, 608).
    Blocked,
    /// Of a number outside: no trunk took the call, the phone never rang (503, no answer of a trunk,
    /// all its lines taken).
    Congested,
    /// We stopped ringing: the caller left, or somebody else answered.
    Withdrawn,
}

/// For people: `no answer`.
impl fmt::Display for RingOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "no answer",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::Failed => "the phone failed",
            Self::Unallocated => "no such number",
            Self::Blocked => "blocked by the network",
            Self::Congested => "no trunk took the call",
            Self::Withdrawn => "no longer needed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_extensions_are_what_a_phone_can_hold() {
        assert_eq!("Anna.P".parse::<Login>().unwrap().as_str(), "anna.p");
        for text in ["", "1anna", "анна", "an na", "a@b", &"a".repeat(33)] {
            assert!(text.parse::<Login>().is_err(), "{text}");
        }
        assert!("201".parse::<Extension>().is_ok());
        for text in ["", "1", "2012012", "20a", "*45"] {
            assert!(text.parse::<Extension>().is_err(), "{text}");
        }
    }
}
