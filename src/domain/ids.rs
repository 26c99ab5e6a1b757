//! Identifiers as types of their own, so that a leg can't be taken for a call.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// One call of one customer, from the first INVITE to the end; UUIDv7, so ids sort by time.
    CallId
}

uuid_id! {
    /// One signalling and media path to one phone. A call has one leg per phone.
    LegId
}

uuid_id! {
    /// Something owed to a customer; UUIDv7.
    PromiseId
}

/// One request to play recordings on a leg; counts up within a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlayId(pub u32);

/// One question to the CRM; counts up within a call, so that a late answer is recognised as stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LookupId(pub u32);
