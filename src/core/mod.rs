//! Decisions: facts in, commands out, no input and no output of its own.
//!
//! - [`event`]: what the world tells, and what it is told to do
//! - `flow`: one call's walk through the plan
//! - `hub`: all calls, their timers, and the only place where the cores meet

pub mod event;

pub use event::{Command, Event, LookupAnswer, LookupRequest};
