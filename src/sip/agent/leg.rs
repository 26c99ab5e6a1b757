//! One call at its phone: what is pending, what is agreed, what still needs an acknowledgement.

use bytes::Bytes;

use super::super::dialog::Dialog;
use super::super::message::Request;
use super::super::offer_answer::LocalDescription;
use super::super::registrar::ContactId;
use super::admission::HalfOpen;
use super::transfer::Transfer;
use crate::domain::{LegId, Login};

/// A call that came to us, or one that we made and that was picked up.
#[derive(Debug)]
pub struct Leg {
    pub id: LegId,
    pub dialog: Dialog,
    pub stage: Stage,
    /// Our side of the SDP, from the answer on.
    pub description: Option<LocalDescription>,
    /// A 2xx of ours without its ACK.
    pub unacknowledged: Option<Unacknowledged>,
    pub session: Option<SessionTimer>,
    /// Our UPDATE or re-INVITE in progress.
    pub refreshing: Option<Refreshing>,
    /// Whether the peer named UPDATE in Allow.
    pub peer_allows_update: bool,
    /// The peer is a registered phone, which answers, or named OPTIONS in Allow.
    pub answers_options: bool,
    /// Our OPTIONS that asks whether the peer is still there.
    pub probe: Option<u64>,
    /// The account that a caller has proven.
    pub account: Option<Login>,
    /// The registered phone that was dialled.
    pub contact: Option<ContactId>,
    /// The trunk by which a number outside was dialled.
    pub trunk: Option<usize>,
    /// The INVITE was ours, and so is the Call-ID.
    pub we_called: bool,
    /// What the peer's REFER has come to.
    pub transfer: Option<Transfer>,
}

/// Our UPDATE or re-INVITE in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refreshing {
    pub client: u64,
    pub with_offer: bool,
}

#[derive(Debug)]
pub enum Stage {
    /// The INVITE that came has no final answer.
    Pending(Box<Pending>),
    /// A 2xx was sent, or came.
    Up,
    /// The app was told that the call is over. Our BYE is on its way, or waits for the ACK
    /// (RFC 3261 §15: not before it).
    Ending,
}

/// An INVITE that waits for its final answer.
#[derive(Debug)]
pub struct Pending {
    pub server: u64,
    pub request: Request,
    /// The SDP of the INVITE.
    pub offer: Option<Bytes>,
    /// Whether provisional answers must be reliable (RFC 3262 §3).
    pub reliable: bool,
    pub provisional: Option<Provisional>,
    pub half_open: HalfOpen,
}

/// A reliable provisional answer.
#[derive(Debug)]
pub struct Provisional {
    pub rseq: u32,
    pub response: Bytes,
    pub interval_ms: u64,
    pub acknowledged: bool,
    /// It carries our SDP, so that the 200 waits for its PRACK, and has none.
    pub with_session: bool,
    /// That SDP is an offer; PRACK brings the answer.
    pub with_offer: bool,
}

/// A 2xx that is repeated until its ACK comes (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub struct Unacknowledged {
    pub cseq: u32,
    /// The transaction of its INVITE.
    pub server: u64,
    pub response: Bytes,
    pub interval_ms: u64,
    /// The 2xx holds our offer; the ACK brings the answer.
    pub with_offer: bool,
    /// The answer to the first INVITE, not to a re-INVITE.
    pub first: bool,
    /// Counts the call as long as the first ACK is missing.
    #[expect(dead_code, reason = "it counts by being there")]
    pub half_open: Option<HalfOpen>,
}

/// RFC 4028.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    pub interval_s: u32,
    pub we_refresh: bool,
    /// Counts the refreshes, so that timers of an older round are known as stale.
    pub round: u32,
}

impl SessionTimer {
    /// RFC 4028 §10: the refresher refreshes at half time.
    pub fn refresh_after_ms(&self) -> u64 {
        u64::from(self.interval_s) * 1000 / 2
    }

    /// RFC 4028 §10: the BYE goes out a third of the interval before the end, or 32 s.
    pub fn bye_after_ms(&self) -> u64 {
        let interval_ms = u64::from(self.interval_s) * 1000;
        interval_ms - (interval_ms / 3).min(32_000)
    }
}
