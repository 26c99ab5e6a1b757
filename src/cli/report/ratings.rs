//! `allo report ratings`: what customers thought, by operator, group, day or month; how sure that is,
//! and how many of those who were asked answered.
//!
//! - `shown`: figures → table, CSV, JSON

mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use super::{PartArgs, Period, period_of};
use crate::cli::groups;
use crate::config::Config;
use crate::core::ratings::{Scores, was_asked};
use crate::dialplan::Plan;
use crate::dialplan::plan::Loyalty;
use crate::domain::{CallId, Login, PromiseId, PromiseKind, Timestamp};
use crate::store::{AskedRecord, PromiseFilter, PromiseRecord, RatingFilter, RatingRecord, Store};

/// A survey that ended just after midnight may have been answered before, and a question of the last
/// minute is answered after it.
const AROUND_MS: u64 = 24 * 3_600_000;

#[derive(Debug, Args)]
pub struct RatingsArgs {
    #[command(flatten)]
    part: PartArgs,
    /// What the rows stand for. Days and months have the loyalty index, if a survey of the plan has
    /// one.
    #[arg(long, value_enum, default_value_t = Rows::Operator)]
    by: Rows,
}

/// `--by`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rows {
    Operator,
    Group,
    Day,
    Month,
}

/// The figures of one row.
#[derive(Clone, Debug, Default)]
struct Row {
    scores: Scores,
    /// Of these: those of surveys with a loyalty index, by its formula.
    loyal: BTreeMap<Loyalty, Scores>,
    by_robot: Response,
    in_call: Response,
}

/// Who pressed a key of those who were asked.
#[derive(Clone, Copy, Debug, Default)]
struct Response {
    asked: u64,
    answered: u64,
}

impl Response {
    fn add(&mut self, is_answered: bool) {
        self.asked += 1;
        self.answered += u64::from(is_answered);
    }
}

/// All that is shown, in whichever form.
struct Report<'a> {
    args: &'a RatingsArgs,
    period: Period,
    rows: BTreeMap<String, Row>,
    total: Row,
    /// The ratings behind it, the first first.
    given: Vec<RatingRecord>,
}

/// What the database knows of these days.
struct Found {
    given: Vec<RatingRecord>,
    /// Surveys by a robot that ended.
    surveys: Vec<PromiseRecord>,
    asked_in_call: Vec<AskedRecord>,
}

/// Counts ratings given, and surveys that ended, in these days, whether the server runs or not.
pub async fn run(config: &Config, args: &RatingsArgs) -> anyhow::Result<ExitCode> {
    let period = period_of(config, &args.part)?;
    let found = find(config, &period, &args.part).await?;
    groups::must_be_known(&period.plan, args.part.group.as_deref(), found.has_any())?;
    shown::show(&Report::of(args, period, found))?;
    Ok(ExitCode::SUCCESS)
}

impl Found {
    fn has_any(&self) -> bool {
        !(self.given.is_empty() && self.surveys.is_empty() && self.asked_in_call.is_empty())
    }
}

async fn find(config: &Config, period: &Period, part: &PartArgs) -> anyhow::Result<Found> {
    let span = period.span;
    let given = RatingFilter {
        from: Some(span.from.minus_ms(AROUND_MS)),
        before: Some(span.until.plus_ms(AROUND_MS)),
        group: part.group.clone(),
        promise: None,
    };
    let surveys = PromiseFilter {
        kind: Some(PromiseKind::RatingCall),
        ended_from: Some(span.from),
        ended_before: Some(span.until),
        ..PromiseFilter::default()
    };
    let store = Store::open(&config.database.url).await?;
    let (given, surveys) = (store.ratings(&given).await, store.promises(&surveys).await);
    let asked = store.asked_in_call(span.from, span.until).await;
    store.close().await;
    let (mut given, mut surveys, mut asked_in_call) = (given?, surveys?, asked?);
    given.retain(|record| record.rehearsal == part.rehearsal);
    surveys.retain(|PromiseRecord { promise, .. }| {
        let of_group = part.group.is_none() || promise.about.group == part.group;
        of_group
            && promise.rehearsal == part.rehearsal
            && was_asked(promise.state, promise.attempts)
    });
    asked_in_call.retain(|asked| {
        let of_group = part.group.is_none() || asked.group == part.group;
        of_group && asked.rehearsal == part.rehearsal
    });
    Ok(Found { given, surveys, asked_in_call })
}

impl<'a> Report<'a> {
    fn of(args: &'a RatingsArgs, period: Period, found: Found) -> Self {
        let Found { mut given, surveys, asked_in_call } = found;
        let answered: BTreeSet<PromiseId> = given.iter().filter_map(|r| r.rating.promise).collect();
        let answered_in: BTreeSet<(CallId, String)> =
            given.iter().map(|record| (record.given_in, record.rating.survey.clone())).collect();
        let span = period.span;
        given.retain(|record| (span.from..span.until).contains(&record.at));
        let formulas = formulas(&period.plan);
        let (mut rows, mut total) = (BTreeMap::<String, Row>::new(), Row::default());
        let name = |operator: Option<&Login>, group: Option<&String>, at: Timestamp| {
            args.by.name(operator, group, at, &period.zone)
        };
        for RatingRecord { rating, at, .. } in &given {
            let formula = formulas.get(&rating.survey).copied();
            let row = name(rating.operator.as_ref(), rating.group.as_ref(), *at);
            for row in [rows.entry(row).or_default(), &mut total] {
                row.scores.add(rating.score);
                if let Some(formula) = formula {
                    row.loyal.entry(formula).or_default().add(rating.score);
                }
            }
        }
        for PromiseRecord { promise, .. } in &surveys {
            let ended = promise.ended.unwrap_or(promise.due);
            let row = name(promise.about.operator.as_ref(), promise.about.group.as_ref(), ended);
            for row in [rows.entry(row).or_default(), &mut total] {
                row.by_robot.add(answered.contains(&promise.id));
            }
        }
        for asked in asked_in_call {
            let row = name(asked.operator.as_ref(), asked.group.as_ref(), asked.at);
            let is_answered = answered_in.contains(&(asked.call, asked.survey));
            for row in [rows.entry(row).or_default(), &mut total] {
                row.in_call.add(is_answered);
            }
        }
        Self { args, period, rows, total, given }
    }

    /// The formulas of the loyalty index that the table needs.
    fn formulas(&self) -> impl Iterator<Item = Loyalty> {
        self.total.loyal.keys().copied()
    }
}

impl Rows {
    /// The row to which something belongs.
    fn name(
        self,
        operator: Option<&Login>,
        group: Option<&String>,
        at: Timestamp,
        zone: &TimeZone,
    ) -> String {
        let unknown = || "unknown".to_owned();
        match self {
            Self::Operator => operator.map_or_else(unknown, Login::to_string),
            Self::Group => group.cloned().unwrap_or_else(unknown),
            Self::Day => at.in_zone(zone).date().to_string(),
            Self::Month => at.in_zone(zone).strftime("%Y-%m").to_string(),
        }
    }
}

/// How the loyalty index of each survey is made. Of a survey that several files have, the first file
/// counts.
fn formulas(plan: &Plan) -> BTreeMap<String, Loyalty> {
    let mut surveys = BTreeMap::new();
    for survey in plan.scripts.values().flat_map(|script| script.robots.values()) {
        surveys.entry(survey.name.clone()).or_insert(survey.loyalty);
    }
    surveys.into_iter().filter_map(|(name, loyalty)| Some((name, loyalty?))).collect()
}
