//! All figures of a rehearsed day, half hour by half hour, beside what Erlang says.

use serde::Serialize;

use super::staffing::WorkTime;
use super::theory::HalfHour;
use super::{GroupResult, Rehearsal};
use crate::core::service_level::{Figures, Level, Tally};
use crate::dialplan::day::{Day, GroupDay};
use crate::dialplan::plan::{Formula, Target};
use crate::sim::erlang::Load;

/// A day of one group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupReport {
    pub group: String,
    /// What the group aims at, for all figures of service level.
    #[serde(skip)]
    pub target: Target,
    pub within_ms: u64,
    pub half_hours: Vec<Row>,
    pub whole_day: Row,
}

/// One half hour, or the whole day.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// Half hours since midnight; of the whole day the first one.
    #[serde(skip)]
    pub half_hour: u32,
    /// `10:30`
    pub from: String,
    /// On shift; of the whole day the most at once.
    pub operators: u32,
    /// With so many Erlang A meets the target; of the whole day in the busiest half hour. `None`:
    /// more than 5,000.
    pub operators_needed: Option<u32>,
    #[serde(flatten)]
    pub figures: Figures,
    /// 0 to 1; `None`: nobody was there.
    pub occupancy: Option<f64>,
    pub erlang_a: Expected,
    pub erlang_c: Expected,
}

/// What a model says. Its counts are in millionths of calls.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Expected {
    /// In the order of [`Formula::ALL`].
    pub levels: [Level; 4],
    /// Ab / (An + Ab)
    pub missed_percent: Option<f64>,
    /// Pw: who finds no free operator.
    pub waited_percent: Option<f64>,
}

impl Expected {
    pub fn level(&self, formula: Formula) -> Option<f64> {
        let level = self.levels.iter().find(|level| level.formula == formula);
        level.and_then(Level::percent)
    }
}

impl From<&Tally> for Expected {
    fn from(tally: &Tally) -> Self {
        let Figures { levels, missed_percent, waited_percent, .. } = tally.figures();
        Self { levels, missed_percent, waited_percent }
    }
}

/// The figures of every group of a day.
pub fn report(day: &Day, rehearsal: &Rehearsal) -> Vec<GroupReport> {
    let groups = day.groups.iter().zip(&rehearsal.groups);
    groups.map(|(group, result)| of_group(group, result)).collect()
}

/// What adds up over a day.
#[derive(Default)]
struct Sums {
    tally: Tally,
    work: WorkTime,
    erlang_a: Tally,
    erlang_c: Tally,
    operators: u32,
    operators_needed: Option<u32>,
}

impl Sums {
    fn add(&mut self, part: &Self) {
        self.tally.add(&part.tally);
        self.work = self.work.plus(part.work);
        self.erlang_a.add(&part.erlang_a);
        self.erlang_c.add(&part.erlang_c);
        self.operators = self.operators.max(part.operators);
    }

    fn row(&self, half_hour: u32) -> Row {
        Row {
            half_hour,
            from: clock(half_hour),
            operators: self.operators,
            operators_needed: self.operators_needed,
            figures: self.tally.figures(),
            occupancy: self.work.occupancy(),
            erlang_a: (&self.erlang_a).into(),
            erlang_c: (&self.erlang_c).into(),
        }
    }
}

/// Half hours in which calls came or were expected to.
fn of_group(group: &GroupDay, result: &GroupResult) -> GroupReport {
    let target = group.rules.target;
    let rates = group.rates.iter().filter(|rate| rate.per_hour > 0.0);
    let expected = rates.clone().map(|rate| rate.span.start / 30);
    let expected_last = rates.map(|rate| rate.span.end.div_ceil(30).saturating_sub(1));
    let came = || result.tallies.iter().filter(|(_, t)| has_callers(t)).map(|(at, _)| *at);
    let first = expected.chain(came()).min();
    let last = expected_last.chain(came()).max();
    let (mut day, mut theory) = (Sums::default(), Theory::default());
    let mut rows = Vec::new();
    if let (Some(first), Some(last)) = (first, last) {
        for half_hour in first..=last {
            let half = HalfHour::of(group, half_hour);
            let said = theory.of(half, target.percent);
            let index = usize::try_from(half_hour).unwrap_or(usize::MAX);
            let sums = Sums {
                tally: result.tallies.get(&half_hour).cloned().unwrap_or_default(),
                work: result.staffing.half_hours.get(index).copied().unwrap_or_default(),
                erlang_a: said.erlang_a,
                erlang_c: said.erlang_c,
                operators: half.load.operators,
                operators_needed: said.operators_needed,
            };
            day.add(&sums);
            rows.push(sums.row(half_hour));
        }
    }
    day.operators_needed = rows.iter().map(|row| row.operators_needed).reduce(most).flatten();
    GroupReport {
        group: result.name.clone(),
        target,
        within_ms: target.within_ms,
        whole_day: day.row(first.unwrap_or(0)),
        half_hours: rows,
    }
}

fn has_callers(tally: &Tally) -> bool {
    tally.offered() + tally.nobody + tally.full + tally.callbacks > 0
}

/// More than anybody can say is the most.
fn most(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    Some(a?.max(b?))
}

/// What the models say of half hours, of which many in a day are alike.
#[derive(Default)]
struct Theory {
    last: Option<(HalfHour, Said)>,
}

#[derive(Clone)]
struct Said {
    erlang_a: Tally,
    erlang_c: Tally,
    operators_needed: Option<u32>,
}

impl Theory {
    fn of(&mut self, half_hour: HalfHour, percent: u8) -> Said {
        if let Some((last, said)) = &self.last
            && *last == half_hour
        {
            return said.clone();
        }
        let said = Said {
            erlang_a: half_hour.tally(Load::erlang_a),
            erlang_c: half_hour.tally(Load::erlang_c),
            operators_needed: match half_hour.load.calls_per_hour {
                0.0 => Some(0),
                _ => half_hour.operators_needed(percent),
            },
        };
        self.last = Some((half_hour, said.clone()));
        said
    }
}

/// `10:30`; behind midnight `24:30`.
fn clock(half_hour: u32) -> String {
    format!("{:02}:{:02}", half_hour / 2, half_hour % 2 * 30)
}
