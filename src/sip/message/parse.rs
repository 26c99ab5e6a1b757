//! The tolerant front: bytes of a datagram, or of one framed message of a stream, to a message, to
//! a fault that can be answered, or to nothing.

use std::borrow::Cow;

use bytes::Bytes;

use super::grammar::{self, Malformed};
use super::headers::{HeaderName, Headers};
use super::method::{KnownMethod, Method, Status};
use super::uri::Uri;
use super::{Fault, Parsed, Request, Response};

/// Reads a message. Bytes after the body are dropped; a body that is shorter than Content-Length
/// says is a fault (RFC 3261 §18.3).
pub fn parse(bytes: &Bytes) -> Parsed {
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    let bytes = bytes.slice(start..);
    let (first_line, rest) = take_line(&bytes);
    if first_line.starts_with(b"SIP/") {
        return parse_response(&bytes, first_line, rest).map_or(Parsed::Nothing, Parsed::Response);
    }
    let line = grammar::text_of(first_line);
    let Some(version_at) = line.rfind(" SIP/") else { return Parsed::Nothing };
    let (headers, body_at, complaint) = read_headers(&bytes, rest);
    let start_line = read_request_line(&line, version_at);
    let method = start_line.as_ref().map_or_else(
        // Enough to know an ACK, which is never answered.
        |_| line.split(' ').next().and_then(Method::parse),
        |(method, _)| Some(method.clone()),
    );
    let result = start_line.and_then(|(method, uri)| {
        complaint.map_or(Ok(()), Err)?;
        let body = take_body(&bytes, body_at, &headers)?;
        check(&method, &headers)?;
        Ok((method, uri, body))
    });
    match result {
        Ok((method, uri, body)) => Parsed::Request(Request { method, uri, headers, body }),
        Err((status, why)) => Parsed::Fault(Fault { status, why, method, headers }),
    }
}

type Complaint = (Status, &'static str);

fn bad(why: &'static str) -> Complaint {
    (Status::BAD_REQUEST, why)
}

impl From<Malformed> for Complaint {
    fn from(malformed: Malformed) -> Self {
        bad(malformed.0)
    }
}

/// Method, one space, URI, one space, version (RFC 3261 §7.1).
fn read_request_line(line: &str, version_at: usize) -> Result<(Method, Uri), Complaint> {
    let (before, version) = (&line[..version_at], &line[version_at + 1..]);
    let (method, uri) = before.split_once(' ').ok_or(bad("bad request line"))?;
    let method = Method::parse(method).ok_or(bad("bad method"))?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let digits = version.strip_prefix("SIP/").and_then(|v| v.split_once('.'));
        let number = |text| grammar::number::<u32>(text).is_some();
        return Err(match digits {
            Some((major, minor)) if number(major) && number(minor) => {
                (Status::VERSION_NOT_SUPPORTED, "SIP version")
            }
            Some(_) | None => bad("bad request line"),
        });
    }
    let uri = Uri::parse(uri)?;
    // RFC 3261 §19.1.1, table 1: no headers in a Request-URI.
    if uri.sip().is_some_and(|uri| uri.headers.is_some()) {
        return Err(bad("headers in Request-URI"));
    }
    Ok((method, uri))
}

fn parse_response(bytes: &Bytes, line: &[u8], rest: usize) -> Option<Response> {
    let line = grammar::text_of(line);
    let mut words = line.splitn(3, ' ');
    let version = words.next()?;
    let code = words.next().filter(|code| code.len() == 3).and_then(grammar::number)?;
    let reason = words.next().unwrap_or("").into();
    let status = Status::new(code).filter(|_| version.eq_ignore_ascii_case("SIP/2.0"))?;
    let (headers, body_at, complaint) = read_headers(bytes, rest);
    if complaint.is_some() {
        return None;
    }
    let body = take_body(bytes, body_at, &headers).ok()?;
    check_common(&headers).ok()?;
    Some(Response { status, reason, headers, body })
}

/// The first line without its end, and where the next begins. A lone LF ends a line too.
fn take_line(bytes: &[u8]) -> (&[u8], usize) {
    let end = bytes.iter().position(|b| *b == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    (line.strip_suffix(b"\r").unwrap_or(line), end.map_or(bytes.len(), |end| end + 1))
}

/// Reads header lines from `at`. Gives what could be read even when something is wrong, so that
/// the fault can be answered.
fn read_headers(bytes: &Bytes, mut at: usize) -> (Headers, usize, Option<Complaint>) {
    let mut headers = Headers::default();
    let mut complaint = None;
    let mut complain = |why| {
        complaint.get_or_insert(bad(why));
    };
    loop {
        if at >= bytes.len() {
            complain("no end of headers");
            break;
        }
        let begin = at;
        let (line, length) = take_line(&bytes[at..]);
        at += length;
        if line.is_empty() {
            break;
        }
        let mut end = begin + line.len();
        let mut folded = false;
        // RFC 3261 §7.3.1: a line that begins with white space continues the one before.
        while matches!(bytes.get(at), Some(b' ' | b'\t')) {
            let (line, length) = take_line(&bytes[at..]);
            end = at + line.len();
            at += length;
            folded = true;
        }
        if headers.len() == Headers::COUNT_MAX {
            complain("too many headers");
            break;
        }
        let field = &bytes[begin..end];
        let colon = field.iter().position(|b| *b == b':').unwrap_or(field.len());
        let name = std::str::from_utf8(&field[..colon]).ok();
        let name = name.and_then(|name| HeaderName::parse(name.trim_end_matches([' ', '\t'])));
        match name.filter(|_| colon < field.len()) {
            Some(name) => headers.push(name, value(bytes, begin + colon + 1, end, folded)),
            None => complain("bad header line"),
        }
    }
    (headers, at, complaint)
}

/// A field's value: a slice of the message, copied only where it was folded or has a stray CR,
/// which might end the line for others if it were sent on.
fn value(bytes: &Bytes, begin: usize, end: usize, folded: bool) -> Bytes {
    let raw = bytes[begin..end].trim_ascii();
    if !folded && !raw.contains(&b'\r') {
        return bytes.slice_ref(raw);
    }
    let mut unfolded = Vec::with_capacity(raw.len());
    let mut in_fold = false;
    for &byte in raw {
        match byte {
            b'\r' | b'\n' => {
                if !in_fold {
                    let kept = unfolded.trim_ascii_end().len();
                    unfolded.truncate(kept);
                    unfolded.push(b' ');
                }
                in_fold = true;
            }
            b' ' | b'\t' if in_fold => {}
            _ => {
                in_fold = false;
                unfolded.push(byte);
            }
        }
    }
    unfolded.into()
}

fn take_body(bytes: &Bytes, at: usize, headers: &Headers) -> Result<Bytes, Complaint> {
    if headers.count(&HeaderName::ContentLength) > 1 {
        return Err(bad("several Content-Length"));
    }
    let rest = bytes.slice(at.min(bytes.len())..);
    match headers.content_length()? {
        Some(length) if length > rest.len() => Err(bad("body shorter than Content-Length")),
        Some(length) => Ok(rest.slice(..length)),
        None => Ok(rest),
    }
}

/// What every message must have (RFC 3261 §8.1.1, §20).
fn check_common(headers: &Headers) -> Result<(), Complaint> {
    use HeaderName::{CSeq, CallId, ContentType, From, MaxForwards, To};
    for name in [From, To, CallId, CSeq, MaxForwards, ContentType] {
        if headers.count(&name) > 1 {
            return Err(bad("header that may stand only once"));
        }
    }
    headers.vias()?;
    if !headers.has(&HeaderName::Via) {
        return Err(bad("missing Via"));
    }
    headers.from()?;
    headers.to()?;
    headers.call_id()?;
    headers.cseq()?;
    Ok(())
}

fn check(method: &Method, headers: &Headers) -> Result<(), Complaint> {
    check_common(headers)?;
    headers.max_forwards()?;
    headers.contact()?;
    headers.content_type()?;
    headers.addresses(&HeaderName::Route)?;
    headers.addresses(&HeaderName::RecordRoute)?;
    let cseq = headers.cseq()?;
    match method {
        Method::Known(_) if cseq.method != *method => Err(bad("CSeq of another method")),
        // RFC 4475 §3.1.2.18: an unknown method is the greater fault; it is answered 501 later.
        Method::Known(KnownMethod::Register) if headers.to()?.uri.sip().is_none() => {
            Err(bad("address-of-record is no SIP URI"))
        }
        Method::Known(_) | Method::Other(_) => Ok(()),
    }
}

/// The text of a reason phrase, without what would break the line.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) {
        Cow::Owned(text.replace(['\r', '\n'], " "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INVITE: &str = "INVITE sip:100@127.0.0.1 SIP/2.0\r\n\
        v: SIP/2.0/UDP 127.0.0.1:5061\r\n ;branch=z9hG4bK1\r\n\
        From: <sip:a@b>;tag=1\r\nt: <sip:100@c>\r\ni: x@y\r\nCSeq: 1 INVITE\r\n\
        X-Odd: \u{1}\u{2}é:;\r\nl: 4\r\n\r\nbodytrailing";

    fn request(text: &str) -> Request {
        match parse(&Bytes::copy_from_slice(text.as_bytes())) {
            Parsed::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn fault(text: &str) -> u16 {
        match parse(&Bytes::copy_from_slice(text.as_bytes())) {
            Parsed::Fault(fault) => fault.status.code(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_read_and_what_follows_its_body_is_dropped() {
        let request = request(INVITE);
        assert_eq!(request.body, "body".as_bytes());
        let via = request.headers.via().unwrap();
        assert_eq!(via.branch(), Some("z9hG4bK1"));
        let odd = request.headers.raw(&HeaderName::Other("X-Odd".into())).unwrap();
        assert_eq!(odd, "\u{1}\u{2}é:;".as_bytes());
    }

    #[test]
    fn lone_line_feeds_and_leading_empty_lines_are_borne() {
        assert_eq!(request(&INVITE.replace("\r\n", "\n")).body, "body".as_bytes());
        assert_eq!(request(&format!("\r\n\r\n{INVITE}")).body, "body".as_bytes());
    }

    #[test]
    fn what_a_message_lacks_or_has_twice_is_answered_400() {
        for (from, to) in [
            ("CSeq: 1 INVITE\r\n", ""),
            ("CSeq: 1 INVITE\r\n", "CSeq: 1 OPTIONS\r\n"),
            ("CSeq: 1 INVITE\r\n", "CSeq: 1 INVITE\r\nCSeq: 1 INVITE\r\n"),
            ("i: x@y\r\n", ""),
            ("l: 4", "l: 40"),
            ("l: 4", "l: -4"),
            ("l: 4", "l: 4\r\nl: 4"),
            ("X-Odd:", "X-Odd"),
            ("v: ", "v: ,"),
            ("INVITE sip:100@127.0.0.1", "INVITE  sip:100@127.0.0.1"),
            ("INVITE sip:100@127.0.0.1", "INVITE <sip:100@127.0.0.1>"),
            ("SIP/2.0\r\n", "SIP/2.0 \r\n"),
        ] {
            assert!(INVITE.contains(from));
            assert_eq!(fault(&INVITE.replacen(from, to, 1)), 400, "{to}");
        }
        assert_eq!(fault(&INVITE.replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1)), 505);
    }

    #[test]
    fn an_answer_has_each_header_once() {
        let text = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
                    From: <sip:a>;tag=1\r\nFrom: <sip:b>;tag=2\r\nTo: <sip:c>\r\nTo: <sip:d>\r\n\
                    Call-ID: 1\r\nCall-ID: 2\r\nCSeq: 1 OPTIONS\r\nCSeq: 2 OPTIONS\r\n\r\n";
        let Parsed::Fault(fault) = parse(&Bytes::from(text)) else { panic!("two of each") };
        let (answer, _) = fault.response("192.0.2.1:5060".parse().unwrap(), "t").unwrap();
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            assert_eq!(answer.headers.count(&name), 1, "{}", name.as_str());
        }
    }

    #[test]
    fn noise_is_nothing() {
        for text in ["", "\r\n\r\n", "hello", "GET / HTTP/1.1\r\n\r\n", "SIP/2.0 4294967301 x\r\n"]
        {
            assert_eq!(parse(&Bytes::copy_from_slice(text.as_bytes())), Parsed::Nothing);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            parse(&bytes.into());
        }

        #[test]
        fn no_damage_to_a_message_breaks_the_parser(
            at in 0..INVITE.len(), with in any::<Vec<u8>>(), cut in 0..40_usize
        ) {
            let mut bytes = INVITE.as_bytes().to_vec();
            bytes.splice(at..(at + cut).min(INVITE.len()), with);
            parse(&bytes.into());
        }

        #[test]
        fn what_was_read_and_written_reads_the_same(name in "[A-Za-z%-]{1,20}", value in "[!-~]{0,40}") {
            let text = INVITE.replacen("X-Odd:", &format!("X-{name}: {value}\r\nX-Odd:"), 1);
            let first = request(&text);
            let again = parse(&first.to_bytes());
            let Parsed::Request(again) = again else { panic!("{again:?}") };
            let bytes = |r: &Request| {
                r.headers.iter().filter(|h| h.name != HeaderName::ContentLength).cloned()
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(bytes(&first), bytes(&again));
            prop_assert_eq!(first.body, again.body);
        }
    }
}
