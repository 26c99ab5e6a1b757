//! HTTP. Now: `GET /health`. The API, the event stream and metrics join the same router.
//!
//! - [`health`]: what must be well for calls to be answered
//! - [`serve`]: the listener

pub mod health;
pub mod serve;

pub use health::{Health, HealthReport};
pub use serve::{StartError, Web};
