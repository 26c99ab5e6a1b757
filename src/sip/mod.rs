//! SIP: bytes → message → transaction → dialog → call leg. Nothing outside this folder sees a SIP
//! message; it sees [`SipEvent`]s and gives [`SipCommand`]s.
//!
//! - [`border`]: what the rest of the house sees
//! - [`message`]: requests and responses, read and written

pub mod border;
pub mod message;

pub use border::{Offer, RefuseStatus, SipCommand, SipEvent};
