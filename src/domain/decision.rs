//! Why this operator was rung and not another: a value that is stored with the call and shown.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Login, RingOutcome, Span};

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
    /// Kept free for a customer who is being called back.
    Reserved,
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
    /// The caller waits for the personal manager first.
    NotTheManager {
        left_ms: u64,
    },
}

impl Decision {
    /// Every candidate with the reason, those who are rung first: `chosen: idle 73 s, 4 calls`,
    /// `wrap-up, 7 s left`. Console and command line show these words.
    pub fn reasons(&self) -> Vec<(&Login, String)> {
        let is_chosen = |login: &Login| self.chosen.contains(login);
        let mut candidates: Vec<(&Login, &Verdict)> = self.candidates.iter().collect();
        candidates.sort_by_key(|(login, _)| !is_chosen(login));
        candidates
            .into_iter()
            .map(|(login, verdict)| {
                let is_free = matches!(verdict, Verdict::Free { .. });
                let reason = match (is_chosen(login), is_free) {
                    (true, _) => format!("chosen: {verdict}"),
                    (false, true) => format!("free, but comes later: {verdict}"),
                    (false, false) => verdict.to_string(),
                };
                (login, reason)
            })
            .collect()
    }
}

/// The reason with the number that decided, in plain words.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |ms: &u64| Span { ms: *ms };
        match self {
            Self::Free { idle_ms, calls, level } => {
                if let Some(level) = level {
                    write!(f, "skill {level}, ")?;
                }
                let noun = if *calls == 1 { "call" } else { "calls" };
                write!(f, "idle {}, {calls} {noun} today", span(idle_ms))
            }
            Self::LoggedOut => f.write_str("logged out"),
            Self::Unregistered => f.write_str("no phone is registered"),
            Self::Unreachable => f.write_str("the phone does not answer"),
            Self::Paused { reason } if reason.is_empty() => f.write_str("paused"),
            Self::Paused { reason } => write!(f, "paused: {reason}"),
            Self::Ringing => f.write_str("is being rung"),
            Self::Reserved => f.write_str("kept free for a callback"),
            Self::Talking { for_ms } => write!(f, "talking for {}", span(for_ms)),
            Self::WrapUp { left_ms } => write!(f, "wrap-up, {} left", span(left_ms)),
            Self::Delayed { left_ms, after } => {
                write!(f, "not rung for another {} after: {after}", span(left_ms))
            }
            Self::LacksSkill { skill, level, needed } => {
                write!(f, "skill {skill} {level} < {needed}")
            }
            Self::JustRang { outcome } => write!(f, "rang last for this caller: {outcome}"),
            Self::NotTheManager { left_ms } => {
                write!(f, "the personal manager comes first for another {}", span(left_ms))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_candidate_is_told_with_the_number_that_decided() {
        let free = |idle_ms| Verdict::Free { idle_ms, calls: 4, level: None };
        let lacks = Verdict::LacksSkill { skill: "english".into(), level: 3, needed: 5 };
        let candidates = [
            ("anna", free(20_000)),
            ("boris", Verdict::WrapUp { left_ms: 7_000 }),
            ("gleb", Verdict::JustRang { outcome: RingOutcome::NoAnswer }),
            ("vera", lacks),
            ("zoya", free(73_000)),
        ];
        let login = |name: &str| name.parse::<Login>().unwrap();
        let decision = Decision {
            group: "support".into(),
            rule: "longest-idle".into(),
            plan: "a1".into(),
            waited_ms: 0,
            chosen: vec![login("zoya")],
            candidates: candidates.into_iter().map(|(name, v)| (login(name), v)).collect(),
        };
        let told: Vec<String> =
            decision.reasons().iter().map(|(who, why)| format!("{who}: {why}")).collect();
        let expected = [
            "zoya: chosen: idle 73 s, 4 calls today",
            "anna: free, but comes later: idle 20 s, 4 calls today",
            "boris: wrap-up, 7 s left",
            "gleb: rang last for this caller: no answer",
            "vera: skill english 3 < 5",
        ];
        assert_eq!(told, expected);
    }
}
