//! What the rest of the house sees of SIP.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::domain::{
    CallerId, CallerName, EndReason, EndedBy, Key, LegId, LocalMedia, Login, MediaSession,
    PhoneNumber, PhoneState, RingOutcome,
};

/// A caller's INVITE that passed every check that needs no plan: it is a new leg, the offer (if
/// any) has a codec of ours, nothing unsupported is required, no limit is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub leg: LegId,
    /// The user part of the Request-URI, unescaped: `100`, `+78003334455`.
    pub dialled: String,
    /// From the asserted identity of a trusted peer, else from From.
    pub caller: CallerId,
    pub caller_name: Option<CallerName>,
    /// The account that the INVITE proved to come from, by digest.
    pub account: Option<Login>,
    /// A phone of ours is registered from the same IP address: it may be one that has yet to prove
    /// its account.
    pub is_near_phone: bool,
    /// Where the call came from, unless it is a trunk or this machine.
    pub stranger: Option<IpAddr>,
    /// This call takes the place of that leg (RFC 3891), which is up.
    pub replaces: Option<LegId>,
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
        /// Where the phone's signalling comes from.
        peer: IpAddr,
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
    /// A phone that was dialled rings. Its early media, if any, is not heard.
    Ringing {
        leg: LegId,
    },
    /// A phone that was dialled was picked up; `MediaAgreed` came just before. Of several contacts
    /// the first wins; the others are cancelled.
    Answered {
        leg: LegId,
    },
    /// A dialled leg came to nothing. The last word about it, in the place of `Ended`.
    Unanswered {
        leg: LegId,
        outcome: RingOutcome,
    },
    /// A phone asks that its peer be connected with somebody else (REFER). Must be answered by
    /// `AcceptTransfer` or `RefuseTransfer`.
    TransferAsked {
        leg: LegId,
        target: TransferTarget,
    },
    /// The phones of an account came, went, or fell silent.
    PhoneChanged {
        login: Login,
        state: PhoneState,
        /// The address of ours that the phone's packets arrive at, for choosing the media address;
        /// `None` while nothing is registered.
        local: Option<IpAddr>,
    },
    /// A trunk came, went, or rests.
    TrunksChanged {
        /// Calls that may be up over all trunks that work now; 0: none.
        calls_max: u32,
        /// Calls that may be begun in a second over all trunks that work now.
        starts_per_second: u32,
        /// All trunks, in the order of the settings.
        trunks: Vec<TrunkView>,
    },
}

/// How a trunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkView {
    pub name: String,
    pub state: TrunkState,
    /// The provider has taken our registration; `false` also where none is wanted.
    pub is_registered: bool,
    /// Calls that are up or on their way.
    pub calls: u32,
    pub calls_max: u32,
}

/// Whether calls may go over a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkState {
    /// It is not known yet whether it is there. Calls are tried.
    Starting,
    Up,
    /// It has asked for a rest (503 with Retry-After), or refuses our password.
    Resting,
    /// It does not answer, or does not know us. No call is tried.
    Down,
}

/// For people: `up`.
impl fmt::Display for TrunkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Resting => "resting",
            Self::Down => "down",
        })
    }
}

/// Where a phone wants its peer to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferTarget {
    /// Blind: the user part of Refer-To, unescaped.
    Dialled(String),
    /// Attended: the other leg of the same phone, which is up here too (Refer-To with Replaces).
    Leg(LegId),
}

/// A call that we make.
#[derive(Clone, Debug, PartialEq)]
pub struct Dial {
    /// Names the leg from now on.
    pub leg: LegId,
    pub to: Destination,
    pub media: LocalMedia,
    /// User part of From: digits with an optional `+`, or a name; empty when unknown, and for the
    /// number of the trunk.
    pub from_user: String,
    /// Display name of From and P-Asserted-Identity: what the phone shows. UTF-8, cut to 30
    /// characters, for numbers outside to 32. `None`, for a number outside: the label of the trunk.
    pub display: Option<String>,
    /// Asks the phone to pick up by itself.
    pub auto_answer: bool,
    /// Given up after this time, with CANCEL.
    pub ring_ms: u64,
}

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// All registered contacts of an account, at once.
    Account(Login),
    /// A number of the outside world, by these trunks, the preferred one first; none: by any, in the
    /// order of the settings. The next trunk is tried only if the number was not reached by the one
    /// before.
    Outside { number: PhoneNumber, trunks: Vec<String> },
}

/// What a lamp (RFC 4235 dialog state) shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LampState {
    /// No dialog.
    Off,
    /// `early`: the phone rings.
    Ringing,
    /// `confirmed`: talking, or paused.
    On,
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
    /// BYE; CANCEL for a dialled leg that is not answered yet; the final answer that suits an
    /// offered one.
    Hangup {
        leg: LegId,
    },
    /// Asks the phone of a leg that is up whether it is still there, by an OPTIONS inside the call.
    /// Without an answer within 2 s, or if it has lost the call, `Ended` follows; else nothing.
    Probe {
        leg: LegId,
    },
    Dial(Box<Dial>),
    /// 202, and from then on NOTIFY until `EndTransfer`.
    AcceptTransfer {
        leg: LegId,
    },
    RefuseTransfer {
        leg: LegId,
        status: RefuseStatus,
    },
    /// The last NOTIFY of a transfer: 200 or 503 as sipfrag.
    EndTransfer {
        leg: LegId,
        succeeded: bool,
    },
    /// What subscribers of `sip:LAMP@…` are shown from now on. Lamps are extensions (`201`) and
    /// pause states (`*46201`); one that was never set is off.
    SetLamp {
        lamp: String,
        state: LampState,
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
    /// 407: who calls must prove to be an operator; the INVITE that follows has an `account`.
    Unauthenticated,
    /// 403
    Forbidden,
    /// 500
    Failed,
}
