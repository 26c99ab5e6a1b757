//! The service level and the figures beside it, counted from call records: one definition each.
//!
//! A stay in a line is *offered* if a human answered it (An) or the caller left unanswered (Ab).
//! Who ordered a callback keeps the place and is neither; who met an empty or a full group was never
//! in the line; who came back because the connection to the operator broke had been answered
//! already. All three are counted beside it. A stay that ended by a failure of ours counts as
//! unanswered, and never as abandoned early: failures must not make the figures better.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::dialplan::plan::{Formula, Target};
use crate::domain::{Conversation, LineOutcome, Login, Origin, Timestamp, Visit};

const HALF_HOUR_S: i64 = 30 * 60;

/// What answers and abandons are measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standard {
    /// T: an answer after exactly this wait is in time.
    pub within_ms: u64,
    /// Callers who hang up sooner are short abandons.
    pub short_abandon_ms: u64,
}

impl From<Target> for Standard {
    fn from(target: Target) -> Self {
        Self { within_ms: target.within_ms, short_abandon_ms: target.short_abandon_ms }
    }
}

/// The counts of some stays and conversations. Counts of parts add up to those of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// An
    pub answered: u64,
    /// AnT
    pub answered_in_time: u64,
    /// Ab, the lost ones included.
    pub abandoned: u64,
    /// Of the abandoned: ended by a failure, or the shutdown.
    pub lost: u64,
    /// AbT: left within T.
    pub abandoned_in_time: u64,
    /// AbS: left sooner than the limit of short abandons.
    pub abandoned_at_once: u64,
    /// Asked to be called back.
    pub callbacks: u64,
    /// Turned away, for nobody was logged in.
    pub nobody: u64,
    /// Turned away, for the line was full.
    pub full: u64,
    /// Came back into the line because the connection to the operator broke.
    pub operator_lost: u64,
    /// Of those who were offered: whom no human took at once.
    pub waited: u64,
    /// Of those who were offered, answered or not.
    pub longest_wait_ms: u64,
    pub conversations: u64,
    /// Without hold.
    pub talk_ms: u64,
    pub hold_ms: u64,
    pub wrap_up_ms: u64,
    /// How many of the answered waited how long.
    waits_ms: BTreeMap<u64, u64>,
}

/// A service level with all that is needed to check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Level {
    pub formula: Formula,
    pub numerator: u64,
    pub denominator: u64,
    /// Nobody was offered to an operator, because none was logged in.
    pub closed: bool,
}

impl Level {
    /// `None`: there is nothing to divide by.
    pub fn percent(&self) -> Option<f64> {
        percent(self.numerator, self.denominator)
    }
}

/// All that a report says of a [`Tally`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// An + Ab
    pub offered: u64,
    pub answered: u64,
    pub answered_in_time: u64,
    pub abandoned: u64,
    pub lost: u64,
    pub abandoned_in_time: u64,
    pub abandoned_at_once: u64,
    pub callbacks: u64,
    pub nobody: u64,
    pub full: u64,
    pub operator_lost: u64,
    /// In the order of [`Formula::ALL`].
    pub levels: [Level; 4],
    /// Ab / (An + Ab)
    pub missed_percent: Option<f64>,
    /// Of those who were offered: whom no human took at once.
    pub waited: u64,
    /// The same of all who were offered: what Erlang calls Pw.
    pub waited_percent: Option<f64>,
    /// ASA: the mean wait of the answered.
    pub mean_wait_ms: Option<u64>,
    pub median_wait_ms: Option<u64>,
    /// Nine of ten of the answered waited no longer.
    pub p90_wait_ms: Option<u64>,
    /// Of the offered.
    pub longest_wait_ms: u64,
    pub conversations: u64,
    pub talk_ms: u64,
    pub hold_ms: u64,
    pub wrap_up_ms: u64,
    /// AHT: (talk + hold + wrap-up) / conversations.
    pub mean_handle_ms: Option<u64>,
}

impl Tally {
    /// Counts one stay in a line.
    pub fn add_visit(&mut self, visit: &Visit, standard: Standard) {
        if visit.origin == Origin::OperatorLost {
            self.operator_lost += 1;
            return;
        }
        // Nobody held the line: the promise has its own figures.
        if visit.origin == Origin::Callback {
            return;
        }
        let in_time = u64::from(visit.wait_ms <= standard.within_ms);
        match visit.outcome {
            LineOutcome::Answered => {
                self.answered += 1;
                self.answered_in_time += in_time;
                *self.waits_ms.entry(visit.wait_ms).or_default() += 1;
            }
            LineOutcome::Abandoned => {
                self.abandoned += 1;
                self.abandoned_in_time += in_time;
                self.abandoned_at_once += u64::from(visit.wait_ms < standard.short_abandon_ms);
            }
            LineOutcome::Lost => {
                self.abandoned += 1;
                self.lost += 1;
            }
            LineOutcome::Callback => self.callbacks += 1,
            LineOutcome::Nobody => self.nobody += 1,
            LineOutcome::Full => self.full += 1,
            // Nobody called us.
            LineOutcome::NotReached => {}
        }
        if matches!(
            visit.outcome,
            LineOutcome::Answered | LineOutcome::Abandoned | LineOutcome::Lost
        ) {
            self.waited += u64::from(visit.wait_ms > 0);
            self.longest_wait_ms = self.longest_wait_ms.max(visit.wait_ms);
        }
    }

    /// Counts one conversation.
    pub fn add_conversation(&mut self, conversation: &Conversation) {
        self.conversations += 1;
        self.talk_ms = self.talk_ms.saturating_add(conversation.talk_ms);
        self.hold_ms = self.hold_ms.saturating_add(conversation.hold_ms);
        self.wrap_up_ms = self.wrap_up_ms.saturating_add(conversation.wrap_up_ms);
    }

    /// Adds the counts of another part.
    pub fn add(&mut self, part: &Self) {
        self.answered += part.answered;
        self.answered_in_time += part.answered_in_time;
        self.abandoned += part.abandoned;
        self.lost += part.lost;
        self.abandoned_in_time += part.abandoned_in_time;
        self.abandoned_at_once += part.abandoned_at_once;
        self.callbacks += part.callbacks;
        self.nobody += part.nobody;
        self.full += part.full;
        self.operator_lost += part.operator_lost;
        self.waited += part.waited;
        self.longest_wait_ms = self.longest_wait_ms.max(part.longest_wait_ms);
        self.conversations += part.conversations;
        self.talk_ms = self.talk_ms.saturating_add(part.talk_ms);
        self.hold_ms = self.hold_ms.saturating_add(part.hold_ms);
        self.wrap_up_ms = self.wrap_up_ms.saturating_add(part.wrap_up_ms);
        for (wait_ms, count) in &part.waits_ms {
            *self.waits_ms.entry(*wait_ms).or_default() += count;
        }
    }

    /// An + Ab
    pub fn offered(&self) -> u64 {
        self.answered + self.abandoned
    }

    /// The service level by one of the four definitions.
    pub fn level(&self, formula: Formula) -> Level {
        let denominator = match formula {
            Formula::OfOffered => self.offered(),
            Formula::OfAnswered => self.answered,
            Formula::LateAbandonsCount => self.offered() - self.abandoned_in_time,
            Formula::WithoutShortAbandons => self.offered() - self.abandoned_at_once,
        };
        let closed = self.offered() == 0 && self.nobody > 0;
        Level { formula, numerator: self.answered_in_time, denominator, closed }
    }

    /// Everything that is computed from the counts.
    pub fn figures(&self) -> Figures {
        let waited: u128 =
            self.waits_ms.iter().map(|(ms, n)| u128::from(*ms) * u128::from(*n)).sum();
        let handled =
            u128::from(self.talk_ms) + u128::from(self.hold_ms) + u128::from(self.wrap_up_ms);
        Figures {
            offered: self.offered(),
            answered: self.answered,
            answered_in_time: self.answered_in_time,
            abandoned: self.abandoned,
            lost: self.lost,
            abandoned_in_time: self.abandoned_in_time,
            abandoned_at_once: self.abandoned_at_once,
            callbacks: self.callbacks,
            nobody: self.nobody,
            full: self.full,
            operator_lost: self.operator_lost,
            levels: Formula::ALL.map(|formula| self.level(formula)),
            missed_percent: percent(self.abandoned, self.offered()),
            waited: self.waited,
            waited_percent: percent(self.waited, self.offered()),
            mean_wait_ms: mean(waited, self.answered),
            median_wait_ms: self.wait_of_share(50),
            p90_wait_ms: self.wait_of_share(90),
            longest_wait_ms: self.longest_wait_ms,
            conversations: self.conversations,
            talk_ms: self.talk_ms,
            hold_ms: self.hold_ms,
            wrap_up_ms: self.wrap_up_ms,
            mean_handle_ms: mean(handled, self.conversations),
        }
    }

    /// The shortest wait that this share of the answered did not exceed (nearest rank).
    fn wait_of_share(&self, percent: u64) -> Option<u64> {
        let rank = (self.answered * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.waits_ms.iter().find_map(|(wait_ms, count)| {
            seen += count;
            (seen >= rank).then_some(*wait_ms)
        })
    }
}

fn percent(numerator: u64, denominator: u64) -> Option<f64> {
    // Counts of calls are far below 2^52.
    (denominator > 0).then(|| 100.0 * numerator as f64 / denominator as f64)
}

/// Rounded to the nearest.
fn mean(sum: u128, count: u64) -> Option<u64> {
    if count == 0 {
        return None;
    }
    let count = u128::from(count);
    u64::try_from((sum + count / 2) / count).ok()
}

/// What the rows of a report stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Half hours of the wall clock. Stays and conversations belong to the one in which they began.
    HalfHour,
    Day,
    /// Whoever answered. Stays that nobody answered belong to no operator.
    Operator,
    /// Conversations without a group belong to none.
    #[default]
    Group,
}

/// One row of a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The beginning of the half hour, or of the day.
    From(Timestamp),
    Operator(Login),
    Group(String),
}

/// Stays and conversations, counted by parts; parts in which nothing happened are not there.
/// `standard` tells what a group's answers are measured by.
pub fn by_parts<'a>(
    visits: impl IntoIterator<Item = &'a Visit>,
    conversations: impl IntoIterator<Item = &'a Conversation>,
    by: By,
    zone: &TimeZone,
    standard: impl Fn(&str) -> Standard,
) -> BTreeMap<Part, Tally> {
    let mut tallies: BTreeMap<Part, Tally> = BTreeMap::new();
    for visit in visits {
        let part = match by {
            By::HalfHour => Some(Part::From(half_hour(visit.entered, zone))),
            By::Day => Some(Part::From(day(visit.entered, zone))),
            By::Operator => visit.operator.clone().map(Part::Operator),
            By::Group => Some(Part::Group(visit.group.clone())),
        };
        if let Some(part) = part {
            tallies.entry(part).or_default().add_visit(visit, standard(&visit.group));
        }
    }
    for conversation in conversations {
        let part = match by {
            By::HalfHour => Some(Part::From(half_hour(conversation.began, zone))),
            By::Day => Some(Part::From(day(conversation.began, zone))),
            By::Operator => Some(Part::Operator(conversation.operator.clone())),
            By::Group => conversation.group.clone().map(Part::Group),
        };
        if let Some(part) = part {
            tallies.entry(part).or_default().add_conversation(conversation);
        }
    }
    tallies
}

/// The beginning of the half hour on the wall clock.
fn half_hour(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let second_of_day = i64::from(at.in_zone(zone).hour()) * 3_600
        + i64::from(at.in_zone(zone).minute()) * 60
        + i64::from(at.in_zone(zone).second());
    let into_it_ms = (second_of_day % HALF_HOUR_S) * 1_000 + at.0.rem_euclid(1_000);
    Timestamp(at.0 - into_it_ms)
}

/// The beginning of the day on the wall clock.
fn day(at: Timestamp, zone: &TimeZone) -> Timestamp {
    at.in_zone(zone).start_of_day().map_or(at, |start| Timestamp::from(&start))
}

#[cfg(test)]
mod tests;
