//! What goes first: looked up in the first bytes of a message, before it is read.
//!
//! Only the order hangs on it: what a message really is, the agent finds out.

use super::super::agent::STATELESS_TAG;
use super::super::message::{HeaderName, KnownMethod, Method, Parsed};
use super::intake::Urgency;

/// How urgent a datagram is; `None`: it is no SIP, a keep-alive, or the ACK of an answer of which
/// nothing was kept. There is such an ACK for each call that is refused under overload.
pub(super) fn urgency_of_bytes(datagram: &[u8]) -> Option<Urgency> {
    let start = datagram.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let message = &datagram[start..];
    if message.starts_with(b"SIP/") {
        return Some(Urgency::Running);
    }
    let end = message.iter().position(|byte| *byte == b'\n').unwrap_or(message.len());
    let line = &message[..end];
    if !line.windows(5).any(|word| word == b" SIP/") {
        return None;
    }
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let to = || to_of(&message[end..]).unwrap_or_default();
    if method == b"ACK" && tag_of(to()).is_some_and(|tag| tag.starts_with(STATELESS_TAG.as_bytes()))
    {
        return None;
    }
    Some(urgency(method, || tag_of(to()).is_some()))
}

/// How urgent a message is that came on a connection.
pub(super) fn urgency_of(parsed: &Parsed) -> Urgency {
    match parsed {
        Parsed::Request(request) => {
            let to = request.headers.raw(&HeaderName::To);
            urgency(request.method.as_str().as_bytes(), || {
                to.is_some_and(|to| tag_of(to).is_some())
            })
        }
        Parsed::Response(_) | Parsed::Nothing => Urgency::Running,
        Parsed::Fault(_) => Urgency::Fresh,
    }
}

fn urgency(method: &[u8], in_dialog: impl Fn() -> bool) -> Urgency {
    let method = std::str::from_utf8(method).ok().and_then(Method::parse);
    let Some(Method::Known(method)) = method else { return Urgency::Fresh };
    match method {
        KnownMethod::Ack
        | KnownMethod::Bye
        | KnownMethod::Info
        | KnownMethod::Notify
        | KnownMethod::Options
        | KnownMethod::PRack
        | KnownMethod::Update => Urgency::Running,
        KnownMethod::Cancel => Urgency::Following,
        KnownMethod::Invite | KnownMethod::Refer | KnownMethod::Subscribe if in_dialog() => {
            Urgency::Running
        }
        KnownMethod::Invite
        | KnownMethod::Message
        | KnownMethod::Publish
        | KnownMethod::Refer
        | KnownMethod::Register
        | KnownMethod::Subscribe => Urgency::Fresh,
    }
}

/// The value of the To line of a head, which begins behind its first line.
fn to_of(head: &[u8]) -> Option<&[u8]> {
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        if line.trim_ascii_end().is_empty() {
            return None;
        }
        let Some(colon) = line.iter().take(8).position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii_end(), &line[colon..]);
        if name.eq_ignore_ascii_case(b"to") || name.eq_ignore_ascii_case(b"t") {
            return Some(value);
        }
    }
    None
}

/// The tag of a To line, and what follows it.
fn tag_of(to: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b";tag=";
    let at = to.windows(NAME.len()).position(|word| word.eq_ignore_ascii_case(NAME))?;
    to.get(at + NAME.len()..)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::message::parse;
    use super::*;

    fn message(line: &str, to: &str) -> String {
        let method = line.split(' ').next().unwrap();
        format!(
            "{line}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\n{to}\r\n\
             Call-ID: 1\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    #[test]
    fn what_belongs_to_a_call_goes_before_what_is_new() {
        use Urgency::{Following, Fresh, Running};
        for (line, to, urgency) in [
            ("INVITE sip:100@a SIP/2.0", "To: <sip:100@a>", Fresh),
            ("INVITE sip:100@a SIP/2.0", "t : <sip:100@a>;tag=x", Running),
            ("INVITE sip:100@a SIP/2.0", "TO: <sip:100@a> ;TAG=x", Running),
            ("REGISTER sip:a SIP/2.0", "To: <sip:100@a>;tag=x", Fresh),
            ("SUBSCRIBE sip:a SIP/2.0", "To: <sip:a>;tag=x", Running),
            ("SUBSCRIBE sip:a SIP/2.0", "To: <sip:a>", Fresh),
            ("FROBNICATE sip:a SIP/2.0", "To: <sip:a>;tag=x", Fresh),
            ("CANCEL sip:100@a SIP/2.0", "To: <sip:100@a>", Following),
            ("BYE sip:allo@a SIP/2.0", "To: <sip:100@a>;tag=x", Running),
            ("ACK sip:allo@a SIP/2.0", "To: <sip:100@a>;tag=x", Running),
            ("OPTIONS sip:a SIP/2.0", "To: <sip:a>", Running),
            ("SIP/2.0 200 OK", "To: <sip:a>", Running),
        ] {
            let text = message(line, to);
            assert_eq!(urgency_of_bytes(text.as_bytes()), Some(urgency), "{line} {to}");
            let parsed = parse(&Bytes::from(text));
            let urgency_read = urgency_of(&parsed);
            assert_eq!(urgency_read, urgency, "{line} {to}: {parsed:?}");
        }
    }

    #[test]
    fn the_ack_of_an_answer_of_which_nothing_was_kept_has_nobody_to_go_to() {
        let line = "ACK sip:100@a SIP/2.0";
        let unkept = message(line, "To: <sip:100@a>;tag=unkept-0123456789abcdef");
        assert_eq!(urgency_of_bytes(unkept.as_bytes()), None);
        let bye = unkept.replace("ACK", "BYE");
        assert_eq!(urgency_of_bytes(bye.as_bytes()), Some(Urgency::Running));
    }

    #[test]
    fn what_is_no_sip_does_not_wait_at_all() {
        for noise in ["", "\r\n\r\n", "hello", "GET / HTTP/1.1\r\n\r\n", "\0\u{1}\0\u{8}!\u{12}"] {
            assert_eq!(urgency_of_bytes(noise.as_bytes()), None, "{noise:?}");
            assert_eq!(parse(&Bytes::copy_from_slice(noise.as_bytes())), Parsed::Nothing);
        }
    }
}
