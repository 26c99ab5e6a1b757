//! Providers of telephone numbers: what is decided about them, without sockets and clocks.
//!
//! - [`provider`]: one trunk: which servers are there, whether it knows us, whether it may be used
//! - [`servers`]: what DNS says of a provider, and in which order its servers are tried
//! - [`names`](mod@names): DNS itself, off the task that owns all calls
//! - [`registration`]: our own REGISTER, as a state machine
//! - [`pause`]: how long to wait before trying again
//! - [`pace`]: new calls per second
//! - [`verdict`]: what a refusal says: another way, or the last word
//! - [`address`](mod@address): how numbers and identities are written
//!
//! The [agent](super::agent) owns the trunks and sends what they want sent.

pub mod address;
pub mod names;
pub mod pace;
pub mod pause;
pub mod provider;
pub mod registration;
pub mod servers;
pub mod verdict;
