//! SIP messages (RFC 3261 §7): tolerant in front, strict inside.
//!
//! - [`parse`](mod@parse): bytes → [`Request`], [`Response`], an answerable [`Fault`], or nothing
//! - [`frame`]: where one message of a byte stream ends
//! - [`headers`]: names and raw values, byte-true
//! - [`fields`]: typed views of single headers: Via, CSeq, Session-Expires …
//! - [`uri`]: URIs and name-addrs
//! - [`method`]: methods and status codes
//! - [`replaces`]: a dialog named by its ids
//! - [`body`]: the SDP in a body that may be multipart
//! - [`grammar`]: tokens, lists, parameters
//!
//! The crate `rsip` gives the vocabulary: [`KnownMethod`], the names of status codes, [`Scheme`].
//! Its parser is not used: it takes no unknown method, no IPv6 reference, no dot in a user part
//! and no folded line, and it would hold every header as text. Nothing outside this folder names
//! `rsip`.

pub mod body;
pub mod fields;
pub mod frame;
pub mod grammar;
pub mod headers;
pub mod method;
pub mod parse;
pub mod replaces;
pub mod uri;

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};

pub use fields::{CSeq, MediaType, RAck, Refresher, SessionExpires, Via};
pub use grammar::{Malformed, Params};
pub use headers::{Header, HeaderName, Headers};
pub use method::{KnownMethod, Method, Status};
pub use parse::parse;
pub use replaces::Replaces;
pub use uri::{NameAddr, Scheme, SipUri, Uri};

/// What some bytes turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    Request(Request),
    Response(Response),
    /// A request that must be refused for its form.
    Fault(Fault),
    /// No SIP, a keep-alive, or a response that can't be understood: dropped.
    Nothing,
}

/// A request whose form was checked: Via, From, To, Call-ID, CSeq, Max-Forwards, Contact, Route,
/// Record-Route and Content-Type can be read, and CSeq names the method if it is a known one.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: Headers,
    pub body: Bytes,
}

/// A response whose form was checked, like a request's.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub status: Status,
    pub reason: Box<str>,
    pub headers: Headers,
    pub body: Bytes,
}

/// A request that is none: its answer, and as much of its head as could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub status: Status,
    pub why: &'static str,
    pub method: Option<Method>,
    pub headers: Headers,
}

impl Fault {
    /// The answer and where it goes, unless there can't be one: an ACK is never answered, and
    /// without a Via nobody would understand it.
    pub fn response(&self, source: SocketAddr, to_tag: &str) -> Option<(Response, SocketAddr)> {
        let is_ack = self.method.as_ref().is_none_or(|method| method.is(KnownMethod::Ack));
        if is_ack || !self.headers.has(&HeaderName::Via) {
            return None;
        }
        let mut headers = self.headers.clone();
        let answer_to = stamp_via(&mut headers, source);
        let mut response = Response::answering(&headers, self.status, Some(to_tag));
        if self.status == Status::BAD_REQUEST {
            response.reason = format!("Bad Request ({})", self.why).into();
        }
        Some((response, answer_to))
    }
}

impl Request {
    /// A request with an empty body; the caller adds all headers. Headers in the URI, which a Contact
    /// may have, are left out (RFC 3261 §19.1.1, table 1).
    pub fn new(method: impl Into<Method>, mut uri: Uri) -> Self {
        if let Uri::Sip(uri) = &mut uri {
            uri.headers = None;
        }
        Self { method: method.into(), uri, headers: Headers::default(), body: Bytes::new() }
    }

    /// Notes in the topmost Via where the request came from; gives [where the answer
    /// goes](Via::answer_to), were it a datagram.
    pub fn stamp_via(&mut self, source: SocketAddr) -> SocketAddr {
        stamp_via(&mut self.headers, source)
    }

    pub fn set_body(&mut self, content_type: &'static str, body: impl Into<Bytes>) {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
    }

    /// The message on the wire; Content-Length is counted.
    pub fn to_bytes(&self) -> Bytes {
        write(format_args!("{} {} SIP/2.0", self.method, self.uri), &self.headers, &self.body)
    }
}

impl Response {
    /// A response to the request with these headers (RFC 3261 §8.2.6): Via, From, To, Call-ID and
    /// CSeq are copied, and To gets `to_tag` if it has no tag yet.
    pub fn answering(request: &Headers, status: Status, to_tag: Option<&str>) -> Self {
        let mut headers = Headers::default();
        headers.copy(&HeaderName::Via, request);
        headers.copy_first(&HeaderName::From, request);
        match (request.raw(&HeaderName::To), to_tag) {
            (Some(to), Some(tag)) if !has_tag(to) => {
                headers.push(HeaderName::To, [&to[..], b";tag=", tag.as_bytes()].concat());
            }
            (Some(to), _) => headers.push(HeaderName::To, to.clone()),
            (None, _) => {}
        }
        headers.copy_first(&HeaderName::CallId, request);
        headers.copy_first(&HeaderName::CSeq, request);
        Self { status, reason: status.reason().into(), headers, body: Bytes::new() }
    }

    pub fn with(mut self, name: HeaderName, value: impl Into<Bytes>) -> Self {
        self.headers.push(name, value);
        self
    }

    pub fn set_body(&mut self, content_type: &'static str, body: impl Into<Bytes>) {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
    }

    /// The message on the wire; Content-Length is counted.
    pub fn to_bytes(&self) -> Bytes {
        let reason = parse::one_line(&self.reason);
        write(format_args!("SIP/2.0 {} {reason}", self.status), &self.headers, &self.body)
    }
}

fn stamp_via(headers: &mut Headers, source: SocketAddr) -> SocketAddr {
    let Some(line) = headers.text(&HeaderName::Via) else { return source };
    let mut items = grammar::list(&line);
    let Some(Ok(mut via)) = items.next().map(Via::parse) else { return source };
    let answer_to = via.answer_to(source);
    via.stamp(source);
    let rest: Vec<&str> = items.collect();
    let stamped = std::iter::once(&*via.to_string()).chain(rest).collect::<Vec<_>>().join(", ");
    headers.set_first(&HeaderName::Via, stamped);
    answer_to
}

fn has_tag(to: &[u8]) -> bool {
    let text = String::from_utf8_lossy(to);
    match NameAddr::parse(&text) {
        Ok(to) => to.params.has("tag"),
        Err(_) => text.contains(";tag="),
    }
}

fn write(start_line: std::fmt::Arguments<'_>, headers: &Headers, body: &Bytes) -> Bytes {
    use std::fmt::Write as _;

    let head: usize = headers.iter().map(|h| h.name.as_str().len() + h.value.len() + 4).sum();
    let start_line = start_line.to_string();
    // Hardly more than is needed, as responses are kept for a while.
    let mut bytes = BytesMut::with_capacity(start_line.len() + head + 32 + body.len());
    // Writing to memory does not fail.
    let _ = write!(bytes, "{start_line}\r\n");
    for header in headers.iter().filter(|header| header.name != HeaderName::ContentLength) {
        bytes.put_slice(header.name.as_str().as_bytes());
        bytes.put_slice(b": ");
        bytes.put_slice(&header.value);
        bytes.put_slice(b"\r\n");
    }
    let _ = write!(bytes, "Content-Length: {}\r\n\r\n", body.len());
    bytes.put_slice(body);
    bytes.freeze()
}
