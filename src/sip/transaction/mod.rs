//! Transactions (RFC 3261 §17, RFC 6026): a request, its retransmissions and its answers.
//!
//! - [`server`]: requests that came
//! - [`client`]: requests of ours
//!
//! The machines are told what happened and say in [`Step`]s what follows; they own no socket and
//! no clock. A timer that fires in a state where it means nothing is ignored.

pub mod client;
pub mod server;

use std::net::IpAddr;

use bytes::Bytes;

use super::message::{HeaderName, KnownMethod, Method, Request};

/// What a machine wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<Timer> {
    Send(Bytes),
    Arm {
        timer: Timer,
        after_ms: u64,
    },
    /// The peer kept silent for 64·T1.
    TimedOut,
    /// Nothing more comes of this transaction.
    Finished,
}

/// What makes a request belong to a server transaction: the branch, the sent-by and the method
/// (RFC 3261 §17.2.3), and also Call-ID, From tag and CSeq, so that neither a client with careless
/// branches nor a guessed CANCEL meets a stranger's call. Without a unique branch the whole Via
/// and the Request-URI take its place (RFC 2543). And the address that it came from: who has
/// overheard a request, or sends the same from a second address, has a transaction of his own, and
/// its answers go to him. The port may change (NAT).
pub fn key(request: &Request, method: &Method, source: IpAddr) -> String {
    let headers = &request.headers;
    let via = headers.via().ok();
    let branch = via.as_ref().and_then(|via| via.unique_branch());
    let mut key = String::with_capacity(256);
    match (&via, branch) {
        (Some(via), Some(branch)) => {
            key.push_str(branch);
            key.push('\n');
            key.push_str(&via.host.to_ascii_lowercase());
            key.push_str(&via.port.unwrap_or(5060).to_string());
        }
        (Some(_) | None, _) => {
            key.push_str(&headers.text(&HeaderName::Via).unwrap_or_default());
            key.push_str(&request.uri.to_string());
        }
    }
    key.push('\n');
    key.push_str(method.as_str());
    key.push('\n');
    key.push_str(&source.to_canonical().to_string());
    key.push('\n');
    key.push_str(&call_of(request));
    key
}

/// What the copies of one request have in common that reach us by several ways (RFC 3261
/// §8.2.2.2).
pub fn call_of(request: &Request) -> String {
    let headers = &request.headers;
    let from = headers.from().ok();
    let tag = from.as_ref().and_then(|from| from.tag()).unwrap_or("");
    let number = headers.cseq().map_or(0, |cseq| cseq.number);
    let call_id = headers.text(&HeaderName::CallId).unwrap_or_default();
    format!("{number}\n{tag}\n{call_id}")
}

/// The method under which the transaction of this request is kept: an ACK belongs to its INVITE.
pub fn method_of(request: &Request) -> Method {
    if request.method.is(KnownMethod::Ack) {
        KnownMethod::Invite.into()
    } else {
        request.method.clone()
    }
}
