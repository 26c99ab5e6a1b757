//! The typed plan: what a caller who dials a number meets.
//!
//! A folder of `.kdl` files is one [`Plan`]; each file is a [`Script`] with steps and menus of its
//! own, so that two files may both have a menu called `main`. Everything here was checked when it
//! was loaded: each name that a statement mentions exists.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::expression::Condition;
use super::hours::Hours;
use crate::domain::{Key, Language, PhoneNumber, RecordingId, Region};
use crate::speech::Format;

/// All dialplan files of a folder, checked.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Short hash of all files' bytes: the same files, the same version.
    pub version: String,
    /// By file name without `.kdl`.
    pub scripts: BTreeMap<String, Arc<Script>>,
    /// Who answers which number. Every entry names an existing script and block.
    pub numbers: BTreeMap<Dialled, Entry>,
}

impl Plan {
    /// The script and block that answer a dialled number: as written in the plan, else as the
    /// public number that it spells in the way of `region`.
    pub fn answering(&self, dialled: &str, region: Region) -> Option<(&Arc<Script>, &Block)> {
        let internal = self.numbers.get(&Dialled::Internal(dialled.to_owned()));
        let public = || {
            let number = PhoneNumber::parse(dialled, region)?;
            self.numbers.get(&Dialled::Public(number))
        };
        let Entry { script, block } = internal.or_else(public)?;
        let script = self.scripts.get(script)?;
        Some((script, script.entries.get(*block)?))
    }
}

/// A number that can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialled {
    Public(PhoneNumber),
    /// As written: `100`, `hotline`.
    Internal(String),
}

/// As it is dialled.
impl fmt::Display for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public(number) => number.as_str(),
            Self::Internal(name) => name,
        })
    }
}

/// The block that answers a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub script: String,
    /// Index into [`Script::entries`].
    pub block: usize,
}

/// One dialplan file.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: String,
    pub language: Language,
    pub timezone: TimeZone,
    pub hours: BTreeMap<String, Hours>,
    /// The bodies of the `number` blocks.
    pub entries: Vec<Block>,
    /// `step` and `menu` share one namespace, for `go`.
    pub steps: BTreeMap<String, Block>,
    pub menus: BTreeMap<String, Menu>,
    pub groups: BTreeMap<String, Group>,
}

/// Statements that run one after another. Cheap to clone, so a call holds the one it runs.
pub type Block = Arc<[Statement]>;

/// One line of a plan.
#[derive(Clone, Debug)]
pub enum Statement {
    /// Says the pieces one after another; the next statement runs while they are heard.
    Say(Vec<Piece>),
    LookupCustomer(Lookup),
    /// Keeps, of the customers found, those whose club card ends in the digits of this variable.
    MatchCard {
        variable: String,
    },
    /// Finds an order by the number that the caller typed: among the customer's own, else in the CRM.
    LookupOrder {
        variable: String,
        lookup: Lookup,
    },
    If {
        condition: Condition,
        then: Block,
        otherwise: Block,
    },
    Ask(Ask),
    /// Continues at a step or menu of the same script; nothing after it runs.
    Go(String),
    /// Plays the menu again from its beginning; only inside menus.
    Repeat,
    Language(Language),
    /// Joins a group's line.
    Queue {
        group: String,
    },
    /// Rings one operator. The value is a login or a `{name}`.
    Ring {
        operator: Text,
        for_ms: u64,
    },
    Promise(Promise),
    Hangup,
}

/// A part of `say`.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Recording(RecordingId),
    /// `{customer.points:points}`. An unknown value is left out.
    Value {
        name: String,
        format: Format,
    },
}

/// A text that is fixed or the value of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    Fixed(String),
    Name(String),
}

/// How long a question to the CRM may take and what is heard meanwhile.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Silence that a caller is asked to bear before the filler is heard.
    pub wait_ms: u64,
    /// When to stop asking; `None`: the CRM's own deadline.
    pub deadline_ms: Option<u64>,
    /// Heard when slower than `wait`; `phrase/one-moment` unless the plan says otherwise.
    pub filler: Vec<Piece>,
    /// Runs when the CRM failed or was too slow; says `phrase/crm-unavailable` unless the plan says
    /// otherwise.
    pub unavailable: Block,
}

/// Reads digits from the caller into a variable.
#[derive(Clone, Debug)]
pub struct Ask {
    pub prompt: Vec<Piece>,
    pub variable: String,
    /// At most so many digits (1–32); with them the input is complete.
    pub digits: usize,
    /// Completes a shorter input.
    pub end: Option<Key>,
    /// Silence after the prompt or the last digit that completes the input.
    pub wait_ms: u64,
    pub tries: u8,
    /// Runs after the last try without a digit. The variable is then empty.
    pub silence: Block,
}

/// A question with keys.
#[derive(Clone, Debug)]
pub struct Menu {
    pub name: String,
    pub wait_ms: u64,
    /// How often the menu is heard before `silence` is taken for good.
    pub tries: u8,
    /// `say` and `if` lines in front of the keys.
    pub prompt: Block,
    pub keys: BTreeMap<Key, Block>,
    /// Runs when no key came within `wait`.
    pub silence: Option<Block>,
    /// Runs after a key that is not in `keys`; says `phrase/wrong-key` unless the plan says otherwise.
    pub wrong: Block,
}

/// A promise to the caller. Stored before it is spoken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    pub kind: String,
    pub due: Due,
    pub group: Option<String>,
}

/// When a promise must be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// `30m`
    After { ms: u64 },
    /// `next-opening+1h`, of the script's hours of this name; without a name, its only hours.
    NextOpening { hours: String, plus_ms: u64 },
}

/// An ACD group: operators and the line before them.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub pick: Pick,
    pub ring_ms: u64,
    /// Runs when nobody is logged in; `phrase/sorry-full` and the end of the call unless the plan
    /// says otherwise.
    pub nobody: Block,
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
