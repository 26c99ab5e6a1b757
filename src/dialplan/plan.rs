//! The typed plan: what a caller who dials a number meets.
//!
//! A folder of `.kdl` files is one [`Plan`]; each file is a [`Script`] with steps and menus of its
//! own, so that two files may both have a menu called `main`. Everything here was checked when it
//! was loaded: each name that a statement mentions exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::expression::Condition;
use super::hours::{Hours, TimeRange};
use crate::domain::{Key, Language, PhoneNumber, PromiseKind, RecordingId, Region};
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

/// A call that a robot makes: a `survey` or a `robot` block. What is said and which keys count is
/// the menu of the script with the name of the robot.
#[derive(Clone, Debug)]
pub struct Robot {
    pub name: String,
    pub kind: RobotKind,
    pub trigger: Trigger,
    /// Due so long after the trigger.
    pub within_ms: u64,
    pub window: Window,
    /// `no-more-than 1 per="7d"`
    pub cap: Option<Cap>,
    /// How often a customer is called at most, if nobody answers.
    pub tries: u8,
    /// From one try to the next.
    pub every_ms: u64,
    pub ring_ms: u64,
    /// Calls of this robot at the same time.
    pub at_once: u32,
    /// Calls of this robot begun in a second.
    pub per_second: u32,
    /// How reports make an index of a survey's scores.
    pub loyalty: Option<Loyalty>,
    pub identity: Identity,
}

impl Robot {
    /// A survey with nothing but a name: asks within 30 minutes after a conversation of 20 seconds,
    /// each customer once a week.
    pub fn survey(name: impl Into<String>) -> Self {
        let trigger = Trigger::Conversation { talk_at_least_ms: 20_000, groups: Vec::new() };
        Self {
            within_ms: 30 * 60_000,
            cap: Some(Cap { calls: 1, per_ms: 7 * 86_400_000 }),
            ..Self::calling(name.into(), RobotKind::Survey, trigger)
        }
    }

    /// A robot with nothing but a name and an event, which it answers within a day.
    pub fn after_event(name: impl Into<String>, event: impl Into<String>) -> Self {
        Self::calling(name.into(), RobotKind::Service, Trigger::Event(event.into()))
    }

    fn calling(name: String, kind: RobotKind, trigger: Trigger) -> Self {
        Self {
            name,
            kind,
            trigger,
            within_ms: 86_400_000,
            window: Window::default(),
            cap: None,
            tries: 2,
            every_ms: 60 * 60_000,
            ring_ms: 30_000,
            at_once: 20,
            per_second: 5,
            loyalty: None,
            identity: Identity::default(),
        }
    }

    /// Whether it is a `survey` block: its menu asks for a score.
    pub fn is_survey(&self) -> bool {
        match self.trigger {
            Trigger::Conversation { .. } => true,
            Trigger::Event(_) => false,
        }
    }
}

/// How contentment is made one figure from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loyalty {
    /// 100 · (number of 4 and 5) / n
    ShareOf4And5,
    /// 100 · (mean − 1) / 4
    MeanOf100,
}

impl Loyalty {
    pub const ALL: [Self; 2] = [Self::ShareOf4And5, Self::MeanOf100];

    /// As plans and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShareOf4And5 => "share-of-4-5",
            Self::MeanOf100 => "mean-of-100",
        }
    }
}

impl fmt::Display for Loyalty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is none for advertising, which automatic calls must not carry (38-FZ article 18 (2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotKind {
    Survey,
    /// Something about an order or a service that the customer uses.
    Service,
    Reminder,
}

impl RobotKind {
    pub const ALL: [Self; 3] = [Self::Survey, Self::Service, Self::Reminder];

    /// As plans name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Service => "service",
            Self::Reminder => "reminder",
        }
    }
}

/// What a robot calls after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A conversation with an operator, of at least this length.
    Conversation { talk_at_least_ms: u64, groups: Vec<String> },
    /// An event of the shop: `balance.low`.
    Event(String),
}

/// When customers may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub range: TimeRange,
    /// In the customer's own time zone; else in that of the script.
    pub in_customer_time: bool,
}

/// 10:00 to 20:00 where the customer lives.
impl Default for Window {
    fn default() -> Self {
        Self { range: TimeRange { start: 600, end: 1_200 }, in_customer_time: true }
    }
}

/// At most so many calls to one number in a period, by one robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    pub calls: u32,
    pub per_ms: u64,
}

/// How customers see a call of ours, and by which trunks it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The number that is shown; `None`: that of the trunk.
    pub caller_id: Option<String>,
    /// What is shown beside the number, at most 32 characters.
    pub label: Option<String>,
    /// Names of trunks, the preferred one first; empty: all, in the order of the settings.
    pub trunks: Vec<String>,
}

/// `incident "item-not-found" { … }`: what operators talk with a customer about when this event
/// comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub name: String,
    /// The event; the name of the incident unless the plan says otherwise.
    pub event: String,
    pub due: Due,
    pub group: String,
    /// For the display of the operator's phone.
    pub label: Option<String>,
}

impl Incident {
    /// The due time, unless the plan says otherwise.
    pub const DUE_MS: u64 = 15 * 60_000;
}

/// `callback "callback-missed" { … }`: how humans call customers back.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackRules {
    pub way: Way,
    pub tries: u8,
    /// From one try to the next.
    pub every_ms: u64,
    pub ring_ms: u64,
    /// When customers may be called, beside the hours of the script.
    pub window: Option<Window>,
    /// The hours at which it is tried; `None`: the script's only hours, or always.
    pub hours: Option<String>,
    /// What the customer hears first; that of the kind unless the plan says otherwise.
    pub prompt: Option<Vec<Piece>>,
    /// So long before the due time supervisors are told; 0: never.
    pub escalate_before_ms: u64,
    /// A group whose operators take it from then on, too.
    pub escalate_to: Option<String>,
    pub identity: Identity,
}

impl Default for CallbackRules {
    fn default() -> Self {
        Self {
            way: Way::OperatorFirst,
            tries: 3,
            every_ms: 20 * 60_000,
            ring_ms: 30_000,
            window: None,
            hours: None,
            prompt: None,
            escalate_before_ms: 5 * 60_000,
            escalate_to: None,
            identity: Identity::default(),
        }
    }
}

/// Who is called first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// An operator picks up; then the customer is dialled.
    OperatorFirst,
    /// An operator is reserved; the customer is dialled and, with `press`, says by a key that it is
    /// a human; then the operator's phone rings.
    CustomerFirst { press: Option<Key> },
}

/// What follows when a caller hangs up in the line.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Who hangs up sooner is not missed.
    pub after_ms: u64,
    /// Only its promises are carried out: nobody hears what it says.
    pub block: Block,
}

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
    pub announce: Vec<Piece>,
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
