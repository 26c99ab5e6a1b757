//! `allo report`: the service level of a day or more, each figure with its formula, numerator and
//! denominator, and on demand the calls behind it.
//!
//! - `promises`, `ratings`: reports of their own
//! - `columns`: documents → CSV
//! - `period`: `today`, `week`, `2026-11-01..2026-11-07` → moments
//! - `shown`: figures → table, CSV, JSON

pub(super) mod columns;
mod period;
mod promises;
mod ratings;
mod shown;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use self::period::{Days, Span};
use super::calls::rfc3339;
use super::groups;
use crate::app::clock::Clock;
use crate::app::plans;
use crate::config::{self, Config};
use crate::core::service_level::{By, Part, Standard, Tally, by_parts};
use crate::dialplan::Plan;
use crate::dialplan::plan::{Formula, Target};
use crate::domain::{Conversation, Visit};
use crate::store::{ConversationRecord, Store, VisitRecord};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReportArgs {
    #[command(subcommand)]
    of: Option<ReportOf>,
    /// today, yesterday, week (the last seven days, today included), a day such as 2026-11-21, a
    /// month such as 2026-11, or days from..to, both included.
    #[arg(default_value = "today", value_name = "DAYS")]
    days: Days,
    /// Only this group.
    #[arg(long)]
    group: Option<String>,
    /// What the rows stand for.
    #[arg(long, value_enum, default_value_t = Rows::Group)]
    by: Rows,
    /// How the service level is computed: of-offered, of-answered, late-abandons-count or
    /// without-short-abandons. Unless given, as the group's target says.
    #[arg(long)]
    formula: Option<Formula>,
    /// Answered in time is answered within this. Unless given, as the group's target says.
    #[arg(long, value_name = "20s")]
    within: Option<config::Period>,
    /// The time zone of days and half hours. Unless given, that of the dialplans.
    #[arg(long, value_name = "Europe/Moscow")]
    timezone: Option<String>,
    /// List the calls behind the figures too.
    #[arg(long)]
    calls: bool,
    /// Show callers' numbers unmasked.
    #[arg(long)]
    full: bool,
    /// One JSON document on stdout.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// CSV on stdout: the rows, or with --calls the calls.
    #[arg(long)]
    csv: bool,
}

/// Reports that do not count calls.
#[derive(Debug, Subcommand)]
enum ReportOf {
    /// How promises were kept: in time, too late, given up, by kind; median time to contact.
    Promises(PartArgs),
    /// What customers thought: mean, share of 4 and 5, how sure both are, and who answered.
    Ratings(ratings::RatingsArgs),
}

/// What reports of promises and ratings have in common.
#[derive(Debug, Args)]
struct PartArgs {
    /// today, yesterday, week (the last seven days, today included), a day such as 2026-11-21, a
    /// month such as 2026-11, or days from..to, both included.
    #[arg(default_value = "today", value_name = "DAYS")]
    days: Days,
    /// Only this group.
    #[arg(long)]
    group: Option<String>,
    /// The time zone of days. Unless given, that of the dialplans.
    #[arg(long, value_name = "Europe/Moscow")]
    timezone: Option<String>,
    /// List what is behind the figures too, with numbers for allo why promise.
    #[arg(long)]
    list: bool,
    /// Show customers' numbers unmasked.
    #[arg(long)]
    full: bool,
    /// Only what was done on a rehearsal clock, which is left out otherwise.
    #[arg(long)]
    rehearsal: bool,
    /// One JSON document on stdout.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// CSV on stdout: the rows, or with --list what is behind them.
    #[arg(long)]
    csv: bool,
}

/// The days of a report, and the plan of today.
struct Period {
    span: Span,
    zone: TimeZone,
    plan: Plan,
}

impl Period {
    /// `support, 2026-11-21 (Europe/Moscow)`
    fn heading(&self, args: &PartArgs) -> String {
        let group = args.group.as_deref().unwrap_or("all groups");
        let zone = self.zone.iana_name().unwrap_or("local time");
        let rehearsal = if args.rehearsal { ", rehearsals only" } else { "" };
        format!("{group}, {} ({zone}){rehearsal}", self.span)
    }

    /// What every document begins with.
    fn document(&self, args: &PartArgs) -> Value {
        json!({
            "from": rfc3339(self.span.from, &self.zone),
            "until": rfc3339(self.span.until, &self.zone),
            "timezone": self.zone.iana_name(),
            "group": args.group,
            "rehearsal": args.rehearsal,
        })
    }
}

fn period_of(config: &Config, args: &PartArgs) -> anyhow::Result<Period> {
    let plan = plans::read_plan(config).unwrap_or_else(|_| {
        eprintln!(
            "warning: the dialplans have mistakes (allo check), so neither their time zone nor the \
             loyalty index of their surveys is known"
        );
        Plan::default()
    });
    let zone = zone(&plan, args.timezone.as_deref())?;
    Ok(Period { span: args.days.span(Clock::start().now(), &zone)?, zone, plan })
}

/// `--by`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rows {
    HalfHour,
    Day,
    Operator,
    Group,
}

impl From<Rows> for By {
    fn from(rows: Rows) -> Self {
        match rows {
            Rows::HalfHour => Self::HalfHour,
            Rows::Day => Self::Day,
            Rows::Operator => Self::Operator,
            Rows::Group => Self::Group,
        }
    }
}

/// All that is shown, in whichever form.
struct Report {
    span: Span,
    zone: TimeZone,
    group: Option<String>,
    by: By,
    /// The one formula of all rows, or by group.
    formula: Option<Formula>,
    within_ms: Option<u64>,
    targets: BTreeMap<String, Target>,
    rows: BTreeMap<Part, Tally>,
    total: Tally,
    calls: Vec<VisitRecord>,
}

/// Counts what the database has, whether the server runs or not.
pub async fn run(config: &Config, args: &ReportArgs) -> anyhow::Result<ExitCode> {
    match &args.of {
        Some(ReportOf::Promises(args)) => return promises::run(config, args).await,
        Some(ReportOf::Ratings(args)) => return ratings::run(config, args).await,
        None => {}
    }
    let plan = plans::read_plan(config).unwrap_or_else(|_| {
        eprintln!(
            "warning: the dialplans have mistakes (allo check), so the targets of groups are not \
             known; answered within 20 s counts"
        );
        Plan::default()
    });
    let zone = zone(&plan, args.timezone.as_deref())?;
    let span = args.days.span(Clock::start().now(), &zone)?;
    let store = Store::open(&config.database.url).await?;
    let visits = store.visits(span.from, span.until).await?;
    let conversations = store.conversations(span.from, span.until).await?;
    store.close().await;
    let report = Report::of(args, zone, span, targets(&plan), visits, conversations);
    groups::must_be_known(&plan, args.group.as_deref(), !report.calls.is_empty())?;
    shown::show(&report, args)?;
    Ok(ExitCode::SUCCESS)
}

impl Report {
    fn of(
        args: &ReportArgs,
        zone: TimeZone,
        span: Span,
        targets: BTreeMap<String, Target>,
        mut visits: Vec<VisitRecord>,
        mut conversations: Vec<ConversationRecord>,
    ) -> Self {
        if let Some(group) = &args.group {
            visits.retain(|record| record.visit.group == *group);
            conversations.retain(|record| record.conversation.group.as_ref() == Some(group));
        }
        let within_ms = args.within.map(config::Period::as_ms);
        let standard = |group: &str| {
            let standard = Standard::from(targets.get(group).copied().unwrap_or_default());
            Standard { within_ms: within_ms.unwrap_or(standard.within_ms), ..standard }
        };
        let stays = || -> Vec<&Visit> { visits.iter().map(|record| &record.visit).collect() };
        let talks = || -> Vec<&Conversation> {
            conversations.iter().map(|record| &record.conversation).collect()
        };
        let by = By::from(args.by);
        let rows = by_parts(stays(), talks(), by, &zone, standard);
        let mut total = Tally::default();
        for visit in stays() {
            total.add_visit(visit, standard(&visit.group));
        }
        talks().into_iter().for_each(|talk| total.add_conversation(talk));
        Self {
            span,
            zone,
            group: args.group.clone(),
            by,
            formula: args.formula,
            within_ms,
            targets,
            rows,
            total,
            calls: visits,
        }
    }

    /// The target that a group's answers are measured by.
    fn target(&self, group: &str) -> Target {
        self.targets.get(group).copied().unwrap_or_default()
    }

    /// Who answered is all that is known of an operator, so only the share of the answered has a
    /// meaning for one.
    fn formula_of(&self, part: &Part) -> Formula {
        match part {
            Part::Operator(_) => Formula::OfAnswered,
            Part::Group(group) => self.formula.unwrap_or(self.target(group).formula),
            Part::From(_) => self.formula_of_all(),
        }
    }

    /// The formula of several groups together: theirs, if it is the same.
    fn formula_of_all(&self) -> Formula {
        let mut formulas = self.groups().map(|group| self.target(group).formula);
        let first = formulas.next().unwrap_or_default();
        let same = formulas.all(|formula| formula == first);
        self.formula.unwrap_or(if same { first } else { Formula::default() })
    }

    /// The groups whose calls are in the report; the one that was asked for, even without any.
    fn groups(&self) -> impl Iterator<Item = &str> {
        let all = self.calls.iter().map(|record| record.visit.group.as_str());
        let mut groups: Vec<&str> = all.chain(self.group.as_deref()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.into_iter()
    }
}

/// What was asked for, else the time zone of the first dialplan, else that of this machine.
fn zone(plan: &Plan, wanted: Option<&str>) -> anyhow::Result<TimeZone> {
    let Some(name) = wanted else {
        let first = plan.scripts.values().next();
        return Ok(first.map_or_else(TimeZone::system, |script| script.timezone.clone()));
    };
    match TimeZone::get(name) {
        Ok(zone) => Ok(zone),
        Err(_) => bail!("\"{name}\" is not a time zone such as Europe/Moscow"),
    }
}

/// The target of each group. Of a group that several files have, the first file counts.
fn targets(plan: &Plan) -> BTreeMap<String, Target> {
    let mut targets = BTreeMap::new();
    for group in plan.scripts.values().flat_map(|script| script.groups.values()) {
        targets.entry(group.name.clone()).or_insert(group.target);
    }
    targets
}
