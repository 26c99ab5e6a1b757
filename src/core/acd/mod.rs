//! Automatic call distribution: operators, the lines of callers before them, and who is rung for
//! whom.
//!
//! - [`border`]: what the line is told and what it asks for

pub mod border;

pub use border::{Act, Estimate, Joined, OfferId, OperatorState, Release, Ticket};
