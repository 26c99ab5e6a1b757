//! Calls without telephones: the core, driven by scripted callers in stepped time.
//!
//! - [`plan_test`]: runs the tests that live beside the dialplans
//! - `world`: a telephone, a CRM and a clock that do what a test says
//! - [`day`]: a day of calls in a moment
//! - [`erlang`]: what queueing theory says of a line of callers
//! - [`random`]: chance that can be repeated

pub mod day;
pub mod erlang;
pub mod plan_test;
pub mod random;
mod world;
