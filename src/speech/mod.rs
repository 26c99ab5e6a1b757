//! Values and templates → a list of recordings, by the grammar of Russian and English.
//!
//! - [`catalogue`]: which recordings there are, and their texts
//! - [`format`]: the formats of the dialplan (`points`, `digits`, …) and the values they speak

pub mod catalogue;
pub mod format;

pub use catalogue::Catalogue;
pub use format::{Format, Spoken, Unspeakable, Value, speak};
