//! All timers of all transactions and legs, as data.

use std::collections::BTreeMap;

use super::super::registrar::ContactId;
use super::super::transaction::{client, server};
use crate::domain::LegId;

/// What is due, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Server {
        id: u64,
        timer: server::Timer,
    },
    Client {
        id: u64,
        timer: client::Timer,
    },
    /// A 2xx to this INVITE still waits for its ACK (RFC 3261 §13.3.1.4).
    RepeatAccepted {
        leg: LegId,
        cseq: u32,
    },
    AckMissing {
        leg: LegId,
        cseq: u32,
    },
    /// A reliable provisional answer still waits for its PRACK (RFC 3262 §3).
    RepeatProvisional {
        leg: LegId,
        rseq: u32,
    },
    PrackMissing {
        leg: LegId,
        rseq: u32,
    },
    /// Our INVITE, this client transaction, has been out for a while.
    ForkSilent {
        client: u64,
    },
    /// A phone has been ringing for a while: is it still there?
    StillRinging {
        client: u64,
    },
    /// Our CANCEL, and with it the INVITE, has had time enough to be answered.
    CancelSilent {
        invite: u64,
        cancel: u64,
    },
    /// A phone has had time enough to answer this OPTIONS inside its call.
    LegSilent {
        leg: LegId,
        client: u64,
    },
    /// A phone that was dialled has rung long enough.
    RingTimeUp {
        leg: LegId,
    },
    /// Only the newest `round` counts.
    SubscriptionExpired {
        id: u64,
        round: u32,
    },
    /// RFC 4028 §10. Only the newest `round` counts.
    Refresh {
        leg: LegId,
        round: u32,
    },
    SessionExpired {
        leg: LegId,
        round: u32,
    },
    /// Phones are to be asked, or forgotten.
    WatchPhones,
    /// A phone has had time enough to answer this OPTIONS.
    ProbeMissed {
        client: u64,
        contact: ContactId,
    },
    /// Trunks are to be asked, registered at, or told of.
    WatchTrunks,
    /// A trunk has had time enough to answer this REGISTER or OPTIONS.
    TrunkSilent {
        client: u64,
    },
    /// A trunk may take its next call.
    TryOutside {
        leg: LegId,
    },
}

/// Timers in the order in which they are due; equal ones in the order in which they were armed.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeMap<(u64, u64), Due>,
    armed: u64,
}

impl Timers {
    pub fn arm(&mut self, at_ms: u64, due: Due) {
        self.armed += 1;
        self.due.insert((at_ms, self.armed), due);
    }

    /// Takes the next timer that is due at `now_ms`.
    pub fn pop(&mut self, now_ms: u64) -> Option<Due> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now_ms)?;
        Some(entry.remove())
    }

    pub fn next_ms(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }
}
