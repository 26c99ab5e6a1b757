//! SIP: bytes → message → transaction → dialog → call leg. Nothing outside this folder sees a SIP
//! message; it sees [`SipEvent`]s and gives [`SipCommand`]s.
//!
//! - [`border`]: what the rest of the house sees
//! - [`message`]: requests and responses, read and written
//! - [`sdp`]: session descriptions, read tolerantly and written strictly
//! - [`offer_answer`]: what we offer and answer, and what was agreed

pub mod border;
pub mod message;
pub(crate) mod offer_answer;
pub(crate) mod sdp;

pub use border::{Offer, RefuseStatus, SipCommand, SipEvent};
