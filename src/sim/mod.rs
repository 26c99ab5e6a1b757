//! Calls without telephones: the core, driven by scripted callers in stepped time.
//!
//! - [`plan_test`]: runs the tests that live beside the dialplans
//! - `world`: a telephone, a CRM and a clock that do what a test says

pub mod plan_test;
mod world;
