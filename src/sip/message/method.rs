//! Methods and status codes.

use std::fmt;
use std::str::FromStr;

/// The methods of RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903 and 6086.
pub use rsip::Method as KnownMethod;

use super::grammar;

/// A method: one that has a meaning here, or any other token (RFC 3261 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    Known(KnownMethod),
    Other(Box<str>),
}

impl Method {
    /// Reads a token; methods are case-sensitive (RFC 3261 §7.1), unlike in `rsip`.
    pub fn parse(token: &str) -> Option<Self> {
        if !grammar::is_token(token) {
            return None;
        }
        let known = KnownMethod::from_str(token).ok().filter(|known| name_of(*known) == token);
        Some(known.map_or_else(|| Self::Other(token.into()), Self::Known))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => name_of(*known),
            Self::Other(token) => token,
        }
    }

    pub fn is(&self, known: KnownMethod) -> bool {
        *self == Self::Known(known)
    }
}

impl From<KnownMethod> for Method {
    fn from(known: KnownMethod) -> Self {
        Self::Known(known)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn name_of(method: KnownMethod) -> &'static str {
    match method {
        KnownMethod::Ack => "ACK",
        KnownMethod::Bye => "BYE",
        KnownMethod::Cancel => "CANCEL",
        KnownMethod::Info => "INFO",
        KnownMethod::Invite => "INVITE",
        KnownMethod::Message => "MESSAGE",
        KnownMethod::Notify => "NOTIFY",
        KnownMethod::Options => "OPTIONS",
        KnownMethod::PRack => "PRACK",
        KnownMethod::Publish => "PUBLISH",
        KnownMethod::Refer => "REFER",
        KnownMethod::Register => "REGISTER",
        KnownMethod::Subscribe => "SUBSCRIBE",
        KnownMethod::Update => "UPDATE",
    }
}

/// A status code, 100 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Status(u16);

impl Status {
    pub const TRYING: Self = Self(100);
    pub const RINGING: Self = Self(180);
    pub const SESSION_PROGRESS: Self = Self(183);
    pub const OK: Self = Self(200);
    pub const ACCEPTED: Self = Self(202);
    pub const BAD_REQUEST: Self = Self(400);
    pub const UNAUTHORIZED: Self = Self(401);
    pub const FORBIDDEN: Self = Self(403);
    pub const NOT_FOUND: Self = Self(404);
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    pub const NOT_ACCEPTABLE: Self = Self(406);
    pub const PROXY_AUTHENTICATION_REQUIRED: Self = Self(407);
    pub const REQUEST_TIMEOUT: Self = Self(408);
    pub const URI_TOO_LONG: Self = Self(414);
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self(415);
    pub const UNSUPPORTED_URI_SCHEME: Self = Self(416);
    pub const BAD_EXTENSION: Self = Self(420);
    pub const SESSION_INTERVAL_TOO_SMALL: Self = Self(422);
    pub const INTERVAL_TOO_BRIEF: Self = Self(423);
    pub const TEMPORARILY_UNAVAILABLE: Self = Self(480);
    pub const NO_SUCH_CALL: Self = Self(481);
    pub const LOOP_DETECTED: Self = Self(482);
    pub const BUSY_HERE: Self = Self(486);
    pub const REQUEST_TERMINATED: Self = Self(487);
    pub const NOT_ACCEPTABLE_HERE: Self = Self(488);
    pub const BAD_EVENT: Self = Self(489);
    pub const REQUEST_PENDING: Self = Self(491);
    pub const SERVER_INTERNAL_ERROR: Self = Self(500);
    pub const NOT_IMPLEMENTED: Self = Self(501);
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);

    /// `None` outside 100–699.
    pub fn new(code: u16) -> Option<Self> {
        (100..700).contains(&code).then_some(Self(code))
    }

    pub fn code(self) -> u16 {
        self.0
    }

    pub fn is_provisional(self) -> bool {
        self.0 < 200
    }

    pub fn is_success(self) -> bool {
        (200..300).contains(&self.0)
    }

    pub fn is_final(self) -> bool {
        self.0 >= 200
    }

    /// The usual reason phrase: the name that `rsip` gives the code, taken apart into its words.
    pub fn reason(self) -> String {
        if self == Self::NO_SUCH_CALL {
            // RFC 3261 §21.4.19 has a slash here, which no type name can have.
            return "Call/Transaction Does Not Exist".to_owned();
        }
        let named = rsip::StatusCode::from(self.0).to_string();
        let words = named.split_once(' ').map_or("", |(_, words)| words);
        let mut reason = String::with_capacity(words.len() + 4);
        let mut after_lowercase = false;
        for c in words.chars() {
            if c.is_ascii_uppercase() && after_lowercase {
                reason.push(' ');
            }
            after_lowercase = c.is_ascii_lowercase();
            reason.push(c);
        }
        reason
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(Method::parse("INVITE"), Some(KnownMethod::Invite.into()));
        assert_eq!(Method::parse("invite"), Some(Method::Other("invite".into())));
        assert_eq!(Method::parse("RE%47IST%45R"), Some(Method::Other("RE%47IST%45R".into())));
        assert_eq!(Method::parse("IN VITE"), None);
        assert_eq!(Method::parse(""), None);
        for known in KnownMethod::all() {
            assert_eq!(Method::parse(name_of(known)), Some(Method::Known(known)));
        }
    }

    #[test]
    fn a_status_has_its_words() {
        for (code, words) in [
            (200, "OK"),
            (486, "Busy Here"),
            (481, "Call/Transaction Does Not Exist"),
            (500, "Server Internal Error"),
        ] {
            assert_eq!(Status::new(code).unwrap().reason(), words);
        }
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(700), None);
    }
}
