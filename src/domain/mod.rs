//! The nouns that every part of the house shares. Pure: no socket, no clock, no database.
//!
//! - [`ids`]: identifiers as types of their own
//! - [`time`]: the one [`Timestamp`]
//! - [`phone`]: E.164 numbers, caller IDs, and [`Pii`], which masks them in logs
//! - [`customer`]: what the CRM knows: [`Customer`], [`Order`], [`Money`]
//! - [`media`]: codecs, keys and what an offer and its answer agreed on
//! - [`voice`]: languages and names of recordings
//! - [`call`]: the facts that make up the life of a call

pub mod call;
pub mod customer;
pub mod ids;
pub mod media;
pub mod phone;
pub mod time;
pub mod voice;

pub use call::{CallFact, EndReason, EndedBy, KeySource, RtpStatistics};
pub use customer::{Customer, Money, Order};
pub use ids::{CallId, LegId, LookupId, PlayId};
pub use media::{Codec, Direction, EventPayload, Key, LocalMedia, MediaSession};
pub use phone::{CallerId, PhoneNumber, Pii, Region};
pub use time::Timestamp;
pub use voice::{Language, RecordingId};
