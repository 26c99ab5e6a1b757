//! The RTP engine: worker threads that own the streams and never wait for anybody.
//!
//! - [`border`]: what the rest of the house sees

pub mod border;

pub use border::{MediaEvent, OpenError};
