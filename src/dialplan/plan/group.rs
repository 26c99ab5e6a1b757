//! A group of operators, as a plan wants it: its line, whom it rings, and what it aims at.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Block, Pieces};
use crate::domain::{Key, RecordingId};

/// An ACD group: the line of its callers and how operators are chosen for them. Groups of the same
/// name in several files are one group of operators with one line; each caller waits by the rules of
/// the file (and the version of the plan) that the call came in by.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub pick: Pick,
    /// The skill that `by-skill` compares; without one, the name of the group.
    pub skill: Option<String>,
    /// `need "english" 5`: operators below this level are not rung.
    pub needs: BTreeMap<String, u8>,
    pub ring_ms: u64,
    pub no_answer: AfterRing,
    pub rejected: AfterRing,
    pub busy: AfterRing,
    pub wrap_up_ms: u64,
    pub target: Target,
    /// `manager-first "20s"`: for so long only the customer's personal manager is rung.
    pub manager_first_ms: Option<u64>,
    /// Added up for each name that holds for the caller.
    pub priorities: Vec<(String, i32)>,
    /// Waiting for so long is worth one point of priority, so that nobody starves; `None`: never.
    pub ageing_ms: Option<u64>,
    pub tips: Option<Tips>,
    pub tell: Option<Tell>,
    pub offer_callback: Option<OfferCallback>,
    /// Which other groups help, and from when on; the earliest first.
    pub overflow: Vec<Overflow>,
    /// With so many waiting the next caller meets `full`.
    pub line_max: usize,
    /// Who hangs up in the line and calls again within this time has the old place.
    pub keep_place_ms: u64,
    /// `topic "1" "Доставка"`: what an operator may type after a conversation. While there are any,
    /// the operator's phone stays connected when the customer hangs up, until wrap-up ends.
    pub topics: BTreeMap<String, String>,
    /// `None`: conversations are not recorded.
    pub record: Option<RecordRule>,
    /// Runs when nobody is logged in; `phrase/sorry-full` and the end of the call unless the plan
    /// says otherwise.
    pub nobody: Block,
    /// Runs when the line is full; the same unless the plan says otherwise.
    pub full: Block,
    /// Runs when a caller hung up in the line.
    pub missed: Option<Missed>,
    /// Runs after a conversation. A caller who is still there hears it; of one who hung up only
    /// what needs no ears is carried out.
    pub afterwards: Block,
}

/// Nobody waits behind more callers than this.
pub const LINE_MAX: usize = 1_000;

impl Group {
    /// A group with nothing but a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            pick: Pick::default(),
            skill: None,
            needs: BTreeMap::new(),
            ring_ms: 15_000,
            no_answer: AfterRing::Pause,
            rejected: AfterRing::Delay { ms: 10_000 },
            busy: AfterRing::Delay { ms: 10_000 },
            wrap_up_ms: 0,
            target: Target::default(),
            manager_first_ms: None,
            priorities: Vec::new(),
            ageing_ms: Some(60_000),
            tips: None,
            tell: None,
            offer_callback: None,
            overflow: Vec::new(),
            line_max: LINE_MAX,
            keep_place_ms: 300_000,
            topics: BTreeMap::new(),
            record: None,
            nobody: Block::from([]),
            full: Block::from([]),
            missed: None,
            afterwards: Block::from([]),
        }
    }
}

/// What becomes of an operator whose phone rang in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRing {
    /// Paused, until the operator ends it.
    Pause,
    /// Not rung for this time.
    Delay { ms: u64 },
    /// Free again after a second; the caller's next one is another one, if there is another one.
    Next,
}

/// The service level that a group aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// 0 to 100
    pub percent: u8,
    pub within_ms: u64,
    /// Callers who hang up sooner are `AbS` of `without-short-abandons`.
    pub short_abandon_ms: u64,
    pub formula: Formula,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            percent: 80,
            within_ms: 20_000,
            short_abandon_ms: 5_000,
            formula: Formula::default(),
        }
    }
}

/// How a service level is computed from: answered An, answered in time AnT, abandoned Ab, abandoned
/// in time AbT, abandoned at once AbS.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Formula {
    /// AnT / (An + Ab)
    #[default]
    OfOffered,
    /// AnT / An
    OfAnswered,
    /// AnT / (An + Ab − AbT)
    LateAbandonsCount,
    /// AnT / (An + Ab − AbS)
    WithoutShortAbandons,
}

impl Formula {
    pub const ALL: [Self; 4] =
        [Self::OfOffered, Self::OfAnswered, Self::LateAbandonsCount, Self::WithoutShortAbandons];

    /// As plans and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OfOffered => "of-offered",
            Self::OfAnswered => "of-answered",
            Self::LateAbandonsCount => "late-abandons-count",
            Self::WithoutShortAbandons => "without-short-abandons",
        }
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Formula {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|formula| formula.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("\"{text}\" is not a formula: {known}")
        })
    }
}

/// `tips "tip" every="20s"`: recordings of a folder, none twice until all were heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tips {
    /// All recordings of the folder, by id.
    pub recordings: Vec<RecordingId>,
    /// From the end of one to the beginning of the next.
    pub every_ms: u64,
}

/// `tell "place" "estimate" every="60s"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tell {
    pub place: bool,
    pub estimate: bool,
    pub every_ms: u64,
}

/// `offer-callback after="60s" key="1"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferCallback {
    pub after_ms: u64,
    pub key: Key,
}

/// `after "180s" { also "sales" }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    pub after_ms: u64,
    pub also: Vec<String>,
}

/// `record announce="recording-notice" refuse-key="9"`
#[derive(Clone, Debug, PartialEq)]
pub struct RecordRule {
    /// Said before the caller enters the line.
    pub announce: Pieces,
    /// With this key, in the line, the caller forbids it.
    pub refuse_key: Option<Key>,
}

/// Whom a group rings first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    #[default]
    LongestIdle,
    RingAll,
    RoundRobin,
    FewestCalls,
    BySkill,
}

/// What follows when a caller hangs up in the line.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Who hangs up sooner is not missed.
    pub after_ms: u64,
    /// Only its promises are carried out: nobody hears what it says.
    pub block: Block,
}
