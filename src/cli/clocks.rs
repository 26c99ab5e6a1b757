//! What time it is for a promise: one that was made in a rehearsal is due by the rehearsal's clock.

use serde_json::Value;

use super::running::RunningServer;
use crate::app::clock::Clock;
use crate::config::Config;
use crate::domain::{Promise, Timestamp};
use crate::store::PromiseRecord;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Of this machine.
    pub now: Timestamp,
    /// Of the running server, while it rehearses.
    rehearsal: Option<Timestamp>,
}

impl Clocks {
    /// Asks the running server for its clock if one of the promises needs it.
    pub fn read<'a>(
        config: &Config,
        promises: impl IntoIterator<Item = &'a PromiseRecord>,
    ) -> Self {
        let is_rehearsed = promises.into_iter().any(|record| record.promise.rehearsal);
        // Without a server, or with one that does not rehearse, there is no such time.
        let health =
            if is_rehearsed { RunningServer::of(config).get("/health").ok() } else { None };
        let rehearsal = health.flatten().and_then(|health| shown(&health));
        Self { now: Clock::start().now(), rehearsal }
    }

    /// `None`: it was made in a rehearsal, and nobody rehearses now.
    pub fn of(self, promise: &Promise) -> Option<Timestamp> {
        if promise.rehearsal { self.rehearsal } else { Some(self.now) }
    }
}

/// The clock in an answer of `GET /health`.
fn shown(health: &Value) -> Option<Timestamp> {
    let clock: jiff::Timestamp = health.pointer("/rehearsal/clock")?.as_str()?.parse().ok()?;
    Some(Timestamp(clock.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_shows_its_clock_only_while_it_rehearses() {
        let health =
            json!({ "rehearsal": { "clock": "2026-11-27T18:50:00+03:00[Europe/Moscow]" } });
        assert_eq!(shown(&health), Some(Timestamp(1_795_794_600_000)));
        assert_eq!(shown(&json!({ "status": "ok" })), None);
        assert_eq!(shown(&json!({ "rehearsal": { "clock": "soon" } })), None);
    }
}
