//! Keys in the body of an INFO.

use super::super::message::Request;
use crate::domain::Key;

/// The body types that are understood, for Accept.
pub const ACCEPT: &str = "application/dtmf-relay, application/dtmf";

/// What an INFO says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Info {
    Key(Key),
    /// Nothing that concerns us: an empty body, a hook flash.
    Nothing,
    /// A body of a type that is not understood: 415.
    Unknown,
}

/// Reads `Signal=5` of `application/dtmf-relay` and the bare key of `application/dtmf`.
pub fn read(request: &Request) -> Info {
    if request.body.is_empty() {
        return Info::Nothing;
    }
    let kind = request.headers.content_type().ok().flatten();
    let text = String::from_utf8_lossy(&request.body);
    let signal = match kind.as_ref().map(|kind| &*kind.essence) {
        Some("application/dtmf-relay") => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim().to_owned())
        }),
        Some("application/dtmf") => {
            let text = text.trim();
            // Some phones put the relay's form under this type.
            let value = text.split_once('=').map_or(text, |(_, value)| value);
            value.split_whitespace().next().map(str::to_owned)
        }
        Some(_) | None => return Info::Unknown,
    };
    signal.as_deref().and_then(key).map_or(Info::Nothing, Info::Key)
}

/// A key as written, or the number of its event: 10 is `*`, 11 is `#` (RFC 4733 §3.2).
fn key(signal: &str) -> Option<Key> {
    let mut chars = signal.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Key::try_from(c).ok(),
        (Some(_), Some(_)) => signal.parse().ok().and_then(Key::from_event),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::message::{KnownMethod, Uri};
    use super::*;

    fn info(content_type: &'static str, body: &'static str) -> Info {
        let mut request = Request::new(KnownMethod::Info, Uri::parse("sip:a").unwrap());
        request.set_body(content_type, body);
        read(&request)
    }

    #[test]
    fn keys_are_read_in_both_forms() {
        let key = |c: char| Info::Key(Key::try_from(c).unwrap());
        assert_eq!(info("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), key('5'));
        assert_eq!(info("application/dtmf-relay", "Signal= 10\r\nDuration= 100"), key('*'));
        assert_eq!(info("application/DTMF-relay", "Duration=1\r\nsignal = #"), key('#'));
        assert_eq!(info("application/dtmf", "11"), key('#'));
        assert_eq!(info("application/dtmf", "7\r\n"), key('7'));
        assert_eq!(info("application/dtmf", "d"), key('D'));
    }

    #[test]
    fn what_is_no_key_is_nothing_or_unknown() {
        for body in ["Signal=16", "Signal=flash", "Signal=", "x", "Signal=999999"] {
            assert_eq!(info("application/dtmf-relay", body), Info::Nothing, "{body}");
        }
        assert_eq!(info("application/media_control+xml", "<x/>"), Info::Unknown);
        assert_eq!(info("application/dtmf", ""), Info::Nothing);
    }
}
