//! The command line.
//!
//! - [`prompts`]: which recordings are missing, and speaking them with a program

pub mod prompts;
