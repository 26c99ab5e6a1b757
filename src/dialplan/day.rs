//! Files for rehearsals: a day of calls, and the operators who are there.
//!
//! ```kdl
//! day "2026-11-23" seed=1 {
//!     group "support" {
//!         calls "10:00-19:00" per-hour=120
//!         peak "12:00-14:00" per-hour=200      // of lines for the same time the last one counts
//!         handle-time "180s" deviation="90s"   // without deviation: exponential
//!         patience "120s"                      // without it nobody hangs up
//!         operators "10:00-19:00" 11
//!     }
//! }
//! ```

use std::sync::Arc;

use jiff::civil::Date;

use super::Source;
use super::finding::{Finding, Report};
use super::plan::{Group, Plan};
use super::reader;

/// One day of one or more groups.
#[derive(Clone, Debug)]
pub struct Day {
    pub date: Date,
    /// The same seed, the same calls; 1 unless the file says otherwise.
    pub seed: u64,
    /// At least one, each of another name.
    pub groups: Vec<GroupDay>,
}

/// What happens in one group's line.
#[derive(Clone, Debug)]
pub struct GroupDay {
    /// The rules by which calls are distributed: those of the plan.
    pub rules: Arc<Group>,
    /// Calls that come by chance, independently of each other. Where several cover a time, the last
    /// one counts.
    pub rates: Vec<Rate>,
    /// Calls that come at their time.
    pub past: Vec<PastCall>,
    /// Talk of one call; wrap-up comes on top of it.
    pub handle: Times,
    /// `None`: callers wait for ever.
    pub patience: Option<Times>,
    pub shifts: Vec<Shift>,
    /// From the first ring to the answer.
    pub ring_delay_ms: u64,
    pub misses: Misses,
    /// Of 100 callers.
    pub vip_percent: u8,
    /// Of 100 callers who hung up in the line, so many call again after this time.
    pub calls_again: Option<(u8, u64)>,
}

impl GroupDay {
    /// A group without calls and operators; callers never give up.
    pub fn of(rules: Arc<Group>, handle: Times) -> Self {
        Self {
            rules,
            rates: Vec::new(),
            past: Vec::new(),
            handle,
            patience: None,
            shifts: Vec::new(),
            ring_delay_ms: 0,
            misses: Misses::default(),
            vip_percent: 0,
            calls_again: None,
        }
    }

    /// Calls to be expected at this minute of the day, per hour.
    pub fn rate_at(&self, minute: u32) -> f64 {
        let covering = self.rates.iter().rev().find(|rate| rate.span.contains(minute));
        covering.map_or(0.0, |rate| rate.per_hour)
    }

    /// How many calls come on average.
    pub fn calls_expected(&self) -> f64 {
        let minutes = 0..self.rates.iter().map(|rate| rate.span.end).max().unwrap_or(0);
        let by_chance: f64 = minutes.map(|minute| self.rate_at(minute) / 60.0).sum();
        by_chance + self.past.len() as f64
    }

    /// Operators of this group whose shift covers this minute of the day.
    pub fn operators_at(&self, minute: u32) -> u32 {
        let on_shift = self.shifts.iter().filter(|shift| shift.span.contains(minute));
        on_shift.map(|shift| shift.operators).sum()
    }
}

/// Minutes of the day, from 0; an `end` above 1,440 lies on a later day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes {
    pub start: u32,
    pub end: u32,
}

impl Minutes {
    fn contains(self, minute: u32) -> bool {
        (self.start..self.end).contains(&minute)
    }
}

/// `calls "10:00-19:00" per-hour=120`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub span: Minutes,
    pub per_hour: f64,
}

/// A call that was once made. What is not known of it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// Milliseconds since midnight.
    pub at_ms: u64,
    pub handle_ms: Option<u64>,
    pub patience_ms: Option<u64>,
}

/// How long something lasts, with its mean in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    Fixed { ms: u64 },
    Exponential { mean_ms: u64 },
    LogNormal { mean_ms: u64, deviation_ms: u64 },
}

impl Times {
    pub fn mean_ms(self) -> u64 {
        match self {
            Self::Fixed { ms: mean_ms }
            | Self::Exponential { mean_ms }
            | Self::LogNormal { mean_ms, .. } => mean_ms,
        }
    }
}

/// `operators "10:00-19:00" 11 also="sales"`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    pub span: Minutes,
    pub operators: u32,
    /// Other groups of the day whose calls they take too.
    pub also: Vec<String>,
}

/// `misses "3%" back-after="1m"`: phones that ring in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misses {
    /// Of 100 offers.
    pub percent: u8,
    /// When an operator who was paused for it is ready again.
    pub back_after_ms: u64,
}

impl Default for Misses {
    fn default() -> Self {
        Self { percent: 0, back_after_ms: 60_000 }
    }
}

/// Reads the one `day` of a file. Groups take their rules from the plan; without a plan each has
/// the rules of a group that says nothing.
///
/// # Errors
///
/// All findings by place, if at least one of them is an error.
pub fn parse_day(source: &Source, plan: Option<&Plan>) -> Result<Day, Vec<Finding>> {
    let mut report = Report::new(source);
    let day = reader::read_day(&mut report, plan);
    let mut findings = report.into_findings();
    findings.sort_by(|a, b| a.place().cmp(&b.place()));
    match day {
        Some(day) if !findings.iter().any(Finding::is_error) => Ok(day),
        Some(_) | None => Err(findings),
    }
}

#[cfg(test)]
mod tests;
