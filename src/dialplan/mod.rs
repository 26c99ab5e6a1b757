//! Dialplans: KDL text → a typed plan, and what is wrong with it.
//!
//! - [`plan`]: the typed plan
//! - [`expression`]: conditions of `if`
//! - [`hours`]: opening hours and holidays

pub mod expression;
pub mod hours;
pub mod plan;

pub use plan::Plan;
