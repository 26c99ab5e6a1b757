//! Calls of ours to customers, as a plan wants them: by robots, and by operators who call back.

use std::fmt;

use super::{Due, Pieces};
use crate::dialplan::hours::TimeRange;
use crate::domain::Key;

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
    pub prompt: Option<Pieces>,
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
