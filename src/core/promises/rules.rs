//! The rules of the plan by which a promise is kept, and when they let a customer be called.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::dialplan::Plan;
use crate::dialplan::hours::Hours;
use crate::dialplan::plan::{CallbackRules, Robot, RobotKind, Script, Window};
use crate::domain::{PhoneNumber, Promise, Timestamp};

use super::due::only_hours;
use super::zones;

/// A survey that could not be asked in time is asked later than due by at most this, or by its
/// `within` if that is longer: nobody wants to be asked about yesterday's conversation.
const SURVEY_LATENESS_MS: u64 = 3 * 3_600_000;

/// How far ahead a moment is looked for at which hours and window are open together.
const SEARCH_DAYS: u64 = 60;

/// How a promise is kept.
#[derive(Clone, Debug)]
pub(super) enum Rules {
    Robot(Arc<Robot>, Arc<Script>),
    Human(Arc<CallbackRules>, Arc<Script>),
    /// There is no plan yet, or an empty one.
    Unknown,
    /// The plan has no such robot.
    Gone,
}

impl Rules {
    /// The rules of a promise. A script or a robot is looked for in the other files, too: a file
    /// may have been renamed.
    pub fn of(promise: &Promise, plan: Option<&Plan>) -> Self {
        let Some(plan) = plan.filter(|plan| !plan.scripts.is_empty()) else { return Self::Unknown };
        if promise.kind.is_human() {
            return Self::of_human(promise, plan);
        }
        let named = plan.scripts.get(&promise.script).into_iter();
        let found = named.chain(plan.scripts.values()).find_map(|script| {
            let robot = script.robots.get(&promise.name)?;
            Some(Self::Robot(Arc::clone(robot), Arc::clone(script)))
        });
        found.unwrap_or(Self::Gone)
    }

    fn of_human(promise: &Promise, plan: &Plan) -> Self {
        let has_group = |script: &&Arc<Script>| {
            promise.group.as_ref().is_some_and(|group| script.groups.contains_key(group))
        };
        let script = (plan.scripts.get(&promise.script))
            .or_else(|| plan.scripts.values().find(has_group))
            .or_else(|| plan.scripts.values().next());
        let Some(script) = script else { return Self::Unknown };
        let rules = script.callbacks.get(&promise.kind).cloned().unwrap_or_default();
        Self::Human(rules, Arc::clone(script))
    }

    pub fn script(&self) -> Option<&Arc<Script>> {
        match self {
            Self::Robot(_, script) | Self::Human(_, script) => Some(script),
            Self::Unknown | Self::Gone => None,
        }
    }

    /// Whether the plan allows calls to this number.
    pub fn allow(&self, phone: &PhoneNumber) -> bool {
        self.script().is_none_or(|script| script.call_to.allows(phone))
    }

    /// How often the customer is called at most.
    pub fn tries(&self) -> u32 {
        u32::from(match self {
            Self::Robot(robot, _) => robot.tries.max(1),
            Self::Human(rules, _) => rules.tries.max(1),
            Self::Unknown | Self::Gone => u8::MAX,
        })
    }

    /// From one try to the next.
    pub fn every_ms(&self) -> u64 {
        match self {
            Self::Robot(robot, _) => robot.every_ms,
            Self::Human(rules, _) => rules.every_ms,
            Self::Unknown | Self::Gone => CallbackRules::default().every_ms,
        }
    }

    /// When supervisors are told that a promise will be late: some time before it is due, but not
    /// before half of its time is over. `None`: never.
    pub fn late_at(&self, promise: &Promise) -> Option<Timestamp> {
        let Self::Human(rules, _) = self else { return None };
        let before_ms = rules.escalate_before_ms;
        let half = promise.made.plus_ms(promise.due.since(promise.made) / 2);
        (before_ms > 0).then(|| promise.due.minus_ms(before_ms).max(half))
    }

    /// From when on it is of no use any more; `None`: better late than never.
    pub fn stale_at(&self, promise: &Promise) -> Option<Timestamp> {
        match self {
            Self::Robot(robot, _) => match robot.kind {
                RobotKind::Survey => {
                    Some(promise.due.plus_ms(robot.within_ms.max(SURVEY_LATENESS_MS)))
                }
                RobotKind::Service | RobotKind::Reminder => None,
            },
            Self::Human(..) | Self::Unknown | Self::Gone => None,
        }
    }

    /// When customers may be called.
    pub fn times<'a>(&'a self, promise: &Promise) -> Times<'a> {
        let (window, hours, script) = match self {
            Self::Robot(robot, script) => (Some(&robot.window), None, script),
            Self::Human(rules, script) => {
                let named = rules.hours.as_ref().and_then(|name| script.hours.get(name));
                (rules.window.as_ref(), named.or_else(|| only_hours(script)), script)
            }
            Self::Unknown | Self::Gone => return Times { hours: None, window: None },
        };
        let window = window
            .map(|window| (every_day(window), zone_of(promise, script, window.in_customer_time)));
        Times { hours: hours.map(|hours| (hours, &script.timezone)), window }
    }
}

/// The time zone that a window is in.
fn zone_of(promise: &Promise, script: &Script, in_customer_time: bool) -> TimeZone {
    let customers = || {
        let known = promise.about.timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
        known.or_else(|| zones::of_number(&promise.phone))
    };
    let zone = in_customer_time.then(customers).flatten();
    zone.unwrap_or_else(|| script.timezone.clone())
}

fn every_day(window: &Window) -> Hours {
    Hours { week: std::array::from_fn(|_| vec![window.range]), exceptions: Vec::new() }
}

/// The hours of the shop, and the window of the customer: both must be open.
#[derive(Debug)]
pub(super) struct Times<'a> {
    hours: Option<(&'a Hours, &'a TimeZone)>,
    window: Option<(Hours, TimeZone)>,
}

impl Times<'_> {
    pub fn are_open(&self, at: Timestamp) -> bool {
        self.hours.is_none_or(|(hours, zone)| hours.is_open(&at.in_zone(zone)))
            && (self.window.as_ref()).is_none_or(|(hours, zone)| hours.is_open(&at.in_zone(zone)))
    }

    /// The first moment at or after `from` at which the customer may be called; `None`: not within
    /// two months.
    pub fn next_from(&self, from: Timestamp) -> Option<Timestamp> {
        let horizon = from.plus_ms(SEARCH_DAYS * 86_400_000);
        let mut at = from;
        while at < horizon {
            if self.are_open(at) {
                return Some(at);
            }
            for (hours, zone) in self.all() {
                at = at.max(Timestamp::from(&hours.next_opening(&at.in_zone(zone))?));
            }
        }
        None
    }

    /// When the customer may not be called any more, if that is within two days.
    pub fn closing(&self, at: Timestamp) -> Option<Timestamp> {
        let closings = self.all().filter_map(|(hours, zone)| {
            hours.next_closing(&at.in_zone(zone), 2).as_ref().map(Timestamp::from)
        });
        closings.min()
    }

    fn all(&self) -> impl Iterator<Item = (&Hours, &TimeZone)> {
        let window = self.window.as_ref().map(|(hours, zone)| (hours, zone));
        self.hours.into_iter().chain(window)
    }
}
