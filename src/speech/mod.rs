//! Values and templates → a list of recordings, by the grammar of Russian and English.
//!
//! - [`catalogue`]: which recordings there are, and their texts
//! - [`format`](mod@format): the formats of the dialplan (`points`, `digits`, …) and the values they speak
//! - `russian`, `english`: the grammar of each language; one that speaks a new one starts here
//! - `utterance`: what both are given: numbers in groups, units, days
//! - [`words`]: numbers spelled out, and the comparison of two texts by their words

pub mod catalogue;
mod english;
pub mod format;
mod russian;
mod utterance;
pub mod words;

pub use catalogue::Catalogue;
pub use format::{
    COMMON_STATUSES, Format, Spoken, UnknownFormat, Unspeakable, Value, needed, speak, spoken_text,
    statuses,
};
pub use words::{Gender, number_words, same_words};
