//! What is told when there is no room for a call's audio: now and then, so that a flood of calls is none of
//! lines.

use std::fmt::Display;

use tracing::warn;

use crate::domain::Timestamp;

/// It is told so often while there is no room.
const TELL_EVERY_MS: u64 = 10_000;

/// Whether ports and files suffice.
#[derive(Debug, Default)]
pub struct Room {
    /// Calls that found none since that was told.
    refused: u64,
    told: Option<Timestamp>,
}

impl Room {
    /// A call found no room, and why.
    pub fn is_missing(&mut self, now: Timestamp, why: &impl Display) {
        self.refused += 1;
        if !self.was_short(now) {
            let calls = std::mem::take(&mut self.refused);
            warn!(calls, %why, "no room for a call's audio; new calls are refused until there is some");
            self.told = Some(now);
        }
    }

    /// Whether this was told just now: calls that are refused leave no lines of their own.
    pub fn was_short(&self, now: Timestamp) -> bool {
        self.told.is_some_and(|told| now.since(told) < TELL_EVERY_MS)
    }
}
