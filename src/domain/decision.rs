//! Why this operator was rung and not another: a value that is stored with the call and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Login, RingOutcome};

/// One choice of the line for one caller. Written when an operator is offered the call, and while
/// nobody is, whenever a reason changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    pub group: String,
    /// The rule as the plan names it: `longest-idle`, `personal-manager`.
    pub rule: String,
    /// Version of the plan.
    pub plan: String,
    /// How long the caller had waited.
    pub waited_ms: u64,
    /// Who is rung: one, or all for `ring-all`; empty: nobody.
    pub chosen: Vec<Login>,
    /// Every operator of the group, and of groups that help, with what was found.
    pub candidates: BTreeMap<Login, Verdict>,
}

/// What was found of one operator, with the number that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Free, and chosen or placed behind the one who was: idle for so long, so many calls today,
    /// the level of the skill if the rule asks for one.
    Free {
        idle_ms: u64,
        calls: u32,
        level: Option<u8>,
    },
    LoggedOut,
    Unregistered,
    Unreachable,
    Paused {
        reason: String,
    },
    Ringing,
    Talking {
        for_ms: u64,
    },
    WrapUp {
        left_ms: u64,
    },
    /// Not rung for a while after a call that was not taken.
    Delayed {
        left_ms: u64,
        after: RingOutcome,
    },
    LacksSkill {
        skill: String,
        level: u8,
        needed: u8,
    },
    /// Free, but this caller was offered to this operator last, and another one is free.
    JustRang {
        outcome: RingOutcome,
    },
    /// Free, but reserved for another caller who comes first.
    Reserved,
    /// The caller waits for the personal manager first.
    NotTheManager {
        left_ms: u64,
    },
}
