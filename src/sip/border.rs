//! What the rest of the house sees of SIP.

use std::net::SocketAddr;

use crate::domain::{CallerId, EndReason, EndedBy, Key, LegId, LocalMedia, MediaSession};

/// A caller's INVITE that passed every check that needs no plan: it is a new leg, the offer (if
/// any) has a codec of ours, nothing unsupported is required, no limit is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub leg: LegId,
    /// The user part of the Request-URI, unescaped: `100`, `+78003334455`.
    pub dialled: String,
    /// From the asserted identity of a trusted peer, else from From.
    pub caller: CallerId,
    pub source: SocketAddr,
    /// The address of ours that the caller's packets arrive at, for choosing the media address.
    pub local: SocketAddr,
}

/// A fact about a leg. After [`SipEvent::Ended`] nothing more comes about it.
#[derive(Clone, Debug, PartialEq)]
pub enum SipEvent {
    Offered(Box<Offer>),
    /// Offer and answer agreed, at first or anew (hold, changed address).
    MediaAgreed {
        leg: LegId,
        session: MediaSession,
    },
    /// The ACK to our 200 came.
    Confirmed {
        leg: LegId,
    },
    /// A key by INFO.
    KeyPressed {
        leg: LegId,
        key: Key,
    },
    Ended {
        leg: LegId,
        by: EndedBy,
        reason: EndReason,
    },
}

/// An imperative about a leg. A command about a leg that is over is ignored.
#[derive(Clone, Debug, PartialEq)]
pub enum SipCommand {
    /// 180.
    Ring {
        leg: LegId,
    },
    /// 200 with our answer (or our offer, if the INVITE had none).
    Answer {
        leg: LegId,
        media: LocalMedia,
    },
    Refuse {
        leg: LegId,
        status: RefuseStatus,
    },
    /// BYE, or the final answer that suits a leg not yet answered.
    Hangup {
        leg: LegId,
    },
}

/// The refusals that the rest of the house may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseStatus {
    /// 404
    UnknownNumber,
    /// 486
    Busy,
    /// 503 with Retry-After
    Overloaded { retry_after_s: u32 },
    /// 500
    Failed,
}
