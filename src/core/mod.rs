//! Decisions: facts in, commands out, no input and no output of its own.
//!
//! - [`acd`]: operators, the lines of callers before them, and who is rung for whom
//! - [`event`]: what the world tells, and what it is told to do
//! - [`hub`]: all calls, their timers, and the only place where the cores meet
//! - [`flow`]: one call's walk through the plan
//! - [`knowledge`]: what a call knows of its caller; the names that a plan may use
//! - [`condition`]: whether an `if` holds
//! - [`promises`]: what customers are owed, and when it is tried
//! - [`kept`], [`ratings`]: what reports say of promises and of what customers thought
//! - [`service_level`]: what reports count, from stays in the line and conversations

pub mod acd;
pub mod condition;
pub mod event;
pub mod flow;
pub mod hub;
pub mod kept;
pub mod knowledge;
pub mod promises;
pub mod ratings;
pub mod service_level;

pub use event::{Command, Event, LookupAnswer, LookupRequest};
pub use hub::Hub;

#[cfg(test)]
mod tests;
