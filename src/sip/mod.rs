//! SIP: bytes → message → transaction → dialog → call leg. Nothing outside this folder sees a SIP
//! message; it sees [`SipEvent`]s and gives [`SipCommand`]s.
//!
//! - [`border`]: what the rest of the house sees
//! - [`settings`]: addresses, timers, limits
//! - [`stack`]: the running stack: one task that owns all calls
//! - [`transport`](mod@transport): sockets
//! - [`message`]: requests and responses, read and written
//! - [`transaction`]: state machines of RFC 3261 §17
//! - [`dialog`]: what the two ends of a call remember of each other
//! - [`agent`]: all transactions and calls, without sockets and clocks
//! - [`auth`](mod@auth): who knows the password
//! - [`registrar`]: the phones of operators' accounts
//! - [`trunks`]: providers of telephone numbers: DNS, registration, what their refusals mean
//! - [`sdp`], [`offer_answer`]: session descriptions

pub mod agent;
pub mod auth;
pub mod border;
pub mod dialog;
pub mod message;
pub mod offer_answer;
pub mod registrar;
pub mod sdp;
pub mod settings;
pub mod stack;
pub mod transaction;
pub mod transport;
pub mod trunks;

pub use border::{
    Destination, Dial, LampState, Offer, RefuseStatus, SipCommand, SipEvent, TransferTarget,
    TrunkState, TrunkView,
};
pub use settings::{Limits, SipSettings, Timing};
pub use stack::{SipHandle, SipStack, StartError};
