//! The typed plan: what a caller who dials a number meets.
//!
//! A folder of `.kdl` files is one [`Plan`]; each file is a [`Script`] with steps and menus of its
//! own, so that two files may both have a menu called `main`. Everything here was checked when it
//! was loaded: each name that a statement mentions exists.
//!
//! - here: files, the numbers that they answer, and statements
//! - `group`: groups of operators and their lines
//! - `outbound`: robots, incidents, and how customers are called back

mod group;
mod outbound;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::expression::Condition;
use super::hours::Hours;
use crate::domain::{Key, Language, PhoneNumber, PromiseKind, RecordingId, Region};
use crate::speech::Format;

pub use group::{
    AfterRing, Formula, Group, LINE_MAX, Missed, OfferCallback, Overflow, Pick, RecordRule, Target,
    Tell, Tips,
};
pub use outbound::{
    CallbackRules, Cap, Identity, Incident, Loyalty, Robot, RobotKind, Trigger, Way, Window,
};

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

    /// Whether robots or operators are to call customers.
    pub fn calls_customers(&self) -> bool {
        self.scripts.values().any(|script| {
            !(script.robots.is_empty()
                && script.incidents.is_empty()
                && script.callbacks.is_empty())
        })
    }

    /// The group of this name; if several files have one, that of the first file.
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.scripts.values().find_map(|script| script.groups.get(name))
    }

    /// The names of all groups, each once.
    pub fn group_names(&self) -> BTreeSet<&str> {
        let groups = self.scripts.values().flat_map(|script| script.groups.keys());
        groups.map(String::as_str).collect()
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
    /// Where operators may send calls of this file.
    pub transfer_to: TransferTo,
    /// Which customers may be called because of this file.
    pub call_to: CallTo,
    pub hours: BTreeMap<String, Hours>,
    /// The bodies of the `number` blocks.
    pub entries: Vec<Block>,
    /// `step` and `menu` share one namespace, for `go`.
    pub steps: BTreeMap<String, Block>,
    pub menus: BTreeMap<String, Menu>,
    pub groups: BTreeMap<String, Arc<Group>>,
    /// Surveys and robots share one namespace.
    pub robots: BTreeMap<String, Arc<Robot>>,
    pub incidents: BTreeMap<String, Arc<Incident>>,
    /// How humans call customers back; a kind that is not here follows
    /// [`CallbackRules::default`].
    pub callbacks: BTreeMap<PromiseKind, Arc<CallbackRules>>,
}

impl Script {
    /// A file with nothing in it.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            language: Language::default(),
            timezone: TimeZone::UTC,
            transfer_to: TransferTo::default(),
            call_to: CallTo::default(),
            hours: BTreeMap::new(),
            entries: Vec::new(),
            steps: BTreeMap::new(),
            menus: BTreeMap::new(),
            groups: BTreeMap::new(),
            robots: BTreeMap::new(),
            incidents: BTreeMap::new(),
            callbacks: BTreeMap::new(),
        }
    }
}

/// Outside numbers that operators may transfer calls to. None without `transfer-to`: a telephone
/// that was broken into must not call the world at the shop's expense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferTo(pub Vec<NumberPattern>);

impl TransferTo {
    pub fn allows(&self, number: &PhoneNumber) -> bool {
        self.0.iter().any(|pattern| match pattern {
            NumberPattern::Number(allowed) => allowed == number,
            NumberPattern::Beginning(beginning) => number.as_str().starts_with(beginning),
        })
    }
}

/// Numbers at which robots and operators call customers, whoever named the number: the network, the
/// caller by keys, the shop, or the CRM. A call that nobody paid for may come from a dear number,
/// or name one, so that we call it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallTo {
    /// Without `call-to`: the ordinary numbers of our own country.
    Country(Region),
    /// What the file names.
    Numbers(Vec<NumberPattern>),
}

impl Default for CallTo {
    fn default() -> Self {
        Self::Country(Region::default())
    }
}

impl CallTo {
    /// A dear number is called only if the file names it digit by digit.
    pub fn allows(&self, number: &PhoneNumber) -> bool {
        match self {
            Self::Country(region) => number.is_of(*region) && number.is_ordinary(),
            Self::Numbers(patterns) => patterns.iter().any(|pattern| match pattern {
                NumberPattern::Number(allowed) => allowed == number,
                NumberPattern::Beginning(beginning) => {
                    number.as_str().starts_with(beginning) && number.is_ordinary()
                }
            }),
        }
    }
}

/// One number, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberPattern {
    Number(PhoneNumber),
    /// `+7495`
    Beginning(String),
}

impl NumberPattern {
    /// Reads `+78001234567`, `8 (800) 123-45-67`, `+7495*`.
    pub fn parse(text: &str, region: Region) -> Option<Self> {
        let Some(beginning) = text.trim().strip_suffix('*') else {
            return PhoneNumber::parse(text, region).map(Self::Number);
        };
        let marks = |c: &char| !matches!(c, ' ' | '(' | ')' | '-');
        let beginning: String = beginning.chars().filter(marks).collect();
        let digits = beginning.strip_prefix('+')?;
        let is_number = (1..=14).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some(Self::Beginning(beginning))
    }
}

/// Statements that run one after another. Cheap to clone, so a call holds the one it runs.
pub type Block = Arc<[Statement]>;

/// One line of a plan.
#[derive(Clone, Debug)]
pub enum Statement {
    /// Says the pieces one after another; the next statement runs while they are heard.
    Say(Pieces),
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
    /// Asks the question of a survey in this call.
    Rate {
        survey: String,
    },
    /// The caller rated a conversation: 1 to 5. The variable holds the score from now on.
    Rated {
        survey: String,
        variable: String,
        score: u8,
    },
    /// Never calls the customer again: by the robot that is calling, else by any.
    DoNotCall,
    /// Gives the customer points in the CRM.
    Bonus {
        points: i64,
        reason: String,
    },
    /// Writes into the CRM what became of the order that the call is about.
    OrderStatus {
        status: String,
    },
    /// Records what the caller says after a beep, until `#` or silence.
    Message {
        max_ms: u64,
    },
    Hangup,
}

/// What one `say` says, part by part. Cheap to clone, so a call holds what it still has to say.
pub type Pieces = Arc<[Piece]>;

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
    pub filler: Pieces,
    /// Runs when the CRM failed or was too slow; says `phrase/crm-unavailable` unless the plan says
    /// otherwise.
    pub unavailable: Block,
}

/// Reads digits from the caller into a variable.
#[derive(Clone, Debug)]
pub struct Ask {
    pub prompt: Pieces,
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
    pub kind: PromiseKind,
    pub due: Due,
    pub group: Option<String>,
}

/// When a promise must be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// `30m`, counted while the script's only hours are open; always, if there are none or several.
    After { ms: u64 },
    /// `next-opening+1h`, of the script's hours of this name; without a name, its only hours.
    NextOpening { hours: String, plus_ms: u64 },
    /// `{time}`: at the time of day, hours and minutes, that the caller typed; the next one at which
    /// the script's only hours are open.
    Named { variable: String },
}
