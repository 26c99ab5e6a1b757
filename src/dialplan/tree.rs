//! What was read from one file, with places, before its names are checked and it becomes part of
//! a plan.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::expression::Condition;
use super::finding::Span;
use super::hours::Hours;
use super::plan::{CallTo, CallbackRules, Dialled, Group, Piece, Robot, Text, TransferTo};
use super::syntax::Spanned;
use super::waiting::Heard;
use crate::domain::{Key, Language, PromiseKind};

/// One file.
pub struct ScriptTree {
    pub name: String,
    pub language: Language,
    pub timezone: TimeZone,
    pub transfer_to: TransferTo,
    pub call_to: CallTo,
    pub hours: BTreeMap<String, Hours>,
    pub numbers: Vec<NumberTree>,
    pub steps: BTreeMap<String, StepTree>,
    pub menus: BTreeMap<String, MenuTree>,
    pub groups: BTreeMap<String, GroupTree>,
    /// Surveys and robots. What they say and ask is the menu of the same name.
    pub robots: BTreeMap<String, RobotTree>,
    pub incidents: BTreeMap<String, IncidentTree>,
    pub callbacks: BTreeMap<PromiseKind, CallbackTree>,
}

pub struct NumberTree {
    pub dialled: Vec<Spanned<Dialled>>,
    pub body: Vec<Line>,
}

pub struct StepTree {
    pub name: Span,
    pub body: Vec<Line>,
}

pub struct MenuTree {
    pub name: Span,
    pub wait_ms: u64,
    pub tries: u8,
    pub prompt: Vec<Line>,
    pub keys: BTreeMap<Key, KeyTree>,
    /// False: a key could not be read, which was reported.
    pub keys_whole: bool,
    pub silence: Option<Vec<Line>>,
    pub wrong: Vec<Line>,
}

pub struct KeyTree {
    /// Where the key is written.
    pub span: Span,
    pub body: Vec<Line>,
}

pub struct GroupTree {
    pub name: Span,
    /// All but the name, what is announced, and the blocks.
    pub rules: Group,
    /// Said before a conversation is recorded.
    pub announce: Vec<Spanned<Piece>>,
    pub offer_key: Option<Spanned<Key>>,
    pub refuse_key: Option<Spanned<Key>>,
    /// What its callers hear beside the above, and which part of the group asks for it.
    pub heard: Vec<(Span, &'static Heard)>,
    pub nobody: Vec<Line>,
    pub full: Vec<Line>,
    pub missed: Option<MissedTree>,
    pub afterwards: Vec<Line>,
    /// Other groups that it mentions.
    pub mentions: Vec<Spanned<String>>,
}

pub struct MissedTree {
    pub after_ms: u64,
    pub body: Vec<Line>,
}

pub struct RobotTree {
    pub name: Span,
    /// All but the groups.
    pub rules: Robot,
    /// Where the event is written, if there is one.
    pub event: Option<Span>,
    /// After whose conversations a survey asks.
    pub groups: Vec<Spanned<String>>,
}

pub struct IncidentTree {
    pub event: Spanned<String>,
    pub due: DueTree,
    pub group: Spanned<String>,
    pub label: Option<String>,
}

pub struct CallbackTree {
    pub kind: Span,
    /// All but the hours, what is said, and to whom it is escalated.
    pub rules: CallbackRules,
    pub prompt: Option<Vec<Spanned<Piece>>>,
    pub press: Option<Span>,
    pub hours: Option<Spanned<String>>,
    pub escalate_to: Option<Spanned<String>>,
}

/// One statement.
pub struct Line {
    pub span: Span,
    pub kind: LineKind,
}

pub enum LineKind {
    Say(Vec<Spanned<Piece>>),
    LookupCustomer(LookupTree),
    MatchCard {
        variable: Spanned<String>,
    },
    LookupOrder {
        variable: Spanned<String>,
        lookup: LookupTree,
    },
    If {
        condition: Condition,
        uses: Vec<Use>,
        then: Vec<Line>,
        otherwise: Vec<Line>,
    },
    Ask(AskTree),
    Go(Spanned<String>),
    Repeat,
    Language(Language),
    Queue(Spanned<String>),
    Ring {
        operator: Text,
        at: Span,
        for_ms: u64,
    },
    Promise(PromiseTree),
    Rate(Spanned<String>),
    /// The keys of a survey's score.
    Rated {
        survey: String,
        variable: String,
        score: u8,
    },
    DoNotCall,
    Bonus {
        points: i64,
        reason: String,
    },
    OrderStatus(Spanned<String>),
    Message {
        max_ms: u64,
    },
    Hangup,
}

pub struct LookupTree {
    pub wait_ms: u64,
    pub deadline_ms: Option<u64>,
    pub filler: Vec<Spanned<Piece>>,
    pub unavailable: Vec<Line>,
}

pub struct AskTree {
    pub prompt: Vec<Spanned<Piece>>,
    pub variable: Spanned<String>,
    pub digits: usize,
    pub end: Option<Key>,
    pub wait_ms: u64,
    pub tries: u8,
    pub silence: Vec<Line>,
}

pub struct PromiseTree {
    pub kind: PromiseKind,
    pub due: DueTree,
    pub group: Option<Spanned<String>>,
}

pub enum DueTree {
    After {
        ms: u64,
    },
    /// Without a name, the only hours of the file.
    NextOpening {
        hours: Option<Spanned<String>>,
        plus_ms: u64,
        span: Span,
    },
    /// At the time of day that was typed.
    Named {
        variable: Spanned<String>,
    },
}

/// Something that a condition mentions and that must exist.
#[derive(Clone, Debug, PartialEq)]
pub enum Use {
    Hours(Spanned<String>),
    /// A bare name: a variable of `ask`.
    Variable(Spanned<String>),
    /// `customer.…`, `order.…` and so on.
    Name(Spanned<String>),
    /// A word to which a status is compared.
    Status(Spanned<String>),
}

impl Line {
    /// The blocks inside, in the order in which they are written.
    pub fn blocks(&self) -> Vec<&[Line]> {
        match &self.kind {
            LineKind::LookupCustomer(lookup) | LineKind::LookupOrder { lookup, .. } => {
                vec![&lookup.unavailable]
            }
            LineKind::If { then, otherwise, .. } => vec![then, otherwise],
            LineKind::Ask(ask) => vec![&ask.silence],
            LineKind::Say(_)
            | LineKind::MatchCard { .. }
            | LineKind::Go(_)
            | LineKind::Repeat
            | LineKind::Language(_)
            | LineKind::Queue(_)
            | LineKind::Ring { .. }
            | LineKind::Promise(_)
            | LineKind::Rate(_)
            | LineKind::Rated { .. }
            | LineKind::DoNotCall
            | LineKind::Bonus { .. }
            | LineKind::OrderStatus(_)
            | LineKind::Message { .. }
            | LineKind::Hangup => Vec::new(),
        }
    }

    /// Whether nothing behind this line is reached.
    pub fn ends_block(&self) -> bool {
        match &self.kind {
            LineKind::Go(_)
            | LineKind::Repeat
            | LineKind::Queue(_)
            | LineKind::Rate(_)
            | LineKind::Hangup => true,
            LineKind::If { then, otherwise, .. } => {
                !otherwise.is_empty() && ends(then) && ends(otherwise)
            }
            LineKind::Say(_)
            | LineKind::LookupCustomer(_)
            | LineKind::MatchCard { .. }
            | LineKind::LookupOrder { .. }
            | LineKind::Ask(_)
            | LineKind::Language(_)
            | LineKind::Ring { .. }
            | LineKind::Promise(_)
            | LineKind::Rated { .. }
            | LineKind::DoNotCall
            | LineKind::Bonus { .. }
            | LineKind::OrderStatus(_)
            | LineKind::Message { .. } => false,
        }
    }
}

/// Whether nothing behind these lines is reached.
pub fn ends(lines: &[Line]) -> bool {
    lines.iter().any(Line::ends_block)
}

impl ScriptTree {
    /// Calls `visit` for every line of the file, those of inner blocks too.
    pub fn each_line<'a>(&'a self, visit: &mut impl FnMut(&'a Line)) {
        for number in &self.numbers {
            each_line(&number.body, visit);
        }
        for step in self.steps.values() {
            each_line(&step.body, visit);
        }
        for menu in self.menus.values() {
            each_line(&menu.prompt, visit);
            for key in menu.keys.values() {
                each_line(&key.body, visit);
            }
            each_line(menu.silence.as_deref().unwrap_or_default(), visit);
            each_line(&menu.wrong, visit);
        }
        for group in self.groups.values() {
            each_line(&group.nobody, visit);
            each_line(&group.full, visit);
            if let Some(missed) = &group.missed {
                each_line(&missed.body, visit);
            }
            each_line(&group.afterwards, visit);
        }
    }
}

/// Calls `visit` for these lines and those of their blocks.
pub fn each_line<'a>(lines: &'a [Line], visit: &mut impl FnMut(&'a Line)) {
    for line in lines {
        visit(line);
        for block in line.blocks() {
            each_line(block, visit);
        }
    }
}
