//! The nouns that every part of the house shares. Pure: no socket, no clock, no database.
//!
//! - [`ids`]: identifiers as types of their own
//! - [`time`]: the one [`Timestamp`]; the [`Calendar`]; how a [`Span`] of time is shown
//! - [`phone`]: E.164 numbers, caller IDs and names, and [`Pii`], which masks them in logs
//! - [`customer`]: what the CRM knows: [`Customer`], [`Order`], [`Money`]
//! - [`media`]: codecs, keys and what an offer and its answer agreed on
//! - [`voice`]: languages and names of recordings
//! - [`call`]: the facts that make up the life of a call
//! - [`operator`], [`account`]: the people who take calls, and their SIP accounts
//! - [`hash`]: what passwords are kept as
//! - [`contact`]: a stay in a group's line, and the conversation that came of it
//! - [`promise`]: what is owed to customers, and the attempts to keep it
//! - [`shop_event`]: what happened in the shop, as it comes from outside
//! - [`decision`]: why this operator was rung and not another

pub mod account;
pub mod call;
pub mod contact;
pub mod customer;
pub mod decision;
pub mod hash;
pub mod ids;
pub mod media;
pub mod operator;
pub mod phone;
pub mod promise;
pub mod shop_event;
pub mod time;
pub mod voice;

pub use account::{Account, Accounts, DigestChoice, Ha1};
pub use call::{CallFact, EndReason, EndedBy, KeySource, RecordingNote, RtpStatistics};
pub use contact::{Conversation, LineOutcome, Origin, Visit};
pub use customer::{Customer, Money, Order};
pub use decision::{Decision, Verdict};
pub use ids::{CallId, LegId, LookupId, PlayId, PromiseId};
pub use media::{Codec, Direction, EventPayload, Key, LocalMedia, MediaSession};
pub use operator::{Attendance, Extension, Login, Operator, PhoneState, RingOutcome, Role};
pub use phone::{CallerId, CallerName, PhoneNumber, Pii, Region, shortened, without_numbers};
pub use promise::{
    About, Attempt, CallOutcome, DoNotCall, LinePlace, Promise, PromiseKind, PromiseState, Rating,
    ShopEvent,
};
pub use shop_event::{EventMistake, RawEvent};
pub use time::{Calendar, Span, Timestamp};
pub use voice::{Language, RecordingId};
