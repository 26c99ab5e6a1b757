//! The test phone.

pub mod keys;
pub mod listen;
