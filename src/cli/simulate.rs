//! `allo simulate`: a day of calls before it comes.
//!
//! - this file: the command line, and the day that it describes
//! - `past_calls`: calls of a CSV file
//! - `table`: the figures for people; `csv` for spreadsheets

mod csv;
mod past_calls;
mod table;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use jiff::civil::Date;
use serde_json::json;

use super::screen::screen;
use crate::app::plans::{self, LoadError};
use crate::config::Config;
use crate::dialplan::day::{Day, GroupDay, Minutes, Rate, Shift, Times};
use crate::dialplan::plan::{Group, Plan};
use crate::dialplan::{self, Finding, Source};
use crate::sim::day::report::{GroupReport, report};
use crate::sim::day::{Rehearsal, rehearse};
use past_calls::PastCalls;

/// A day without a date: a Monday, as in plan tests.
const DATE: Date = Date::constant(2026, 1, 12);
/// Calls that are made up begin at ten in the morning.
const START_MIN: u32 = 600;
/// Hours for which operators stay after the last call, so that nobody who waits is sent away.
const LATE_MIN: u32 = 24 * 60;
/// Calls that one rehearsal may be expected to have; more would not fit into memory.
const CALLS_MAX: f64 = 5_000_000.0;

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// A file with a day of calls and operators; docs/simulate.md explains it.
    #[arg(long, value_name = "FILE.kdl", conflicts_with_all = ["calls_per_hour", "handle_time", "operators", "patience", "hours", "group", "wrap_up", "ring_delay"])]
    day: Option<PathBuf>,
    /// Past calls, with the columns time (or started), handle, group, patience; only the time is
    /// required. Together with --day they replace the calls of its groups.
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["calls_per_hour", "hours"])]
    calls: Option<PathBuf>,
    /// Calls that come by chance, on average so many per hour.
    #[arg(long, value_name = "N", required_unless_present_any = ["day", "calls"], value_parser = calls_per_hour)]
    calls_per_hour: Option<f64>,
    /// How long a conversation takes on average, such as 180s.
    #[arg(long, value_name = "TIME", required_unless_present = "day", value_parser = positive_time)]
    handle_time: Option<u64>,
    /// Operators at work.
    #[arg(long, value_name = "N", required_unless_present = "day", value_parser = clap::value_parser!(u32).range(1..=500))]
    operators: Option<u32>,
    /// How long a caller waits on average before hanging up; without it nobody ever does.
    #[arg(long, value_name = "TIME", value_parser = positive_time)]
    patience: Option<u64>,
    /// For how many hours calls come. Many hours make the figures steady.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hours: u32,
    /// Answered in time means within this time, instead of what the group's target says.
    #[arg(long, value_name = "TIME", value_parser = time)]
    within: Option<u64>,
    /// Take the rules of this group of the dialplans.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Time after a conversation before the next one, instead of what the group says.
    #[arg(long, value_name = "TIME", value_parser = time)]
    wrap_up: Option<u64>,
    /// From the first ring of an operator's phone to the answer.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    ring_delay: u64,
    /// Another seed, another day of the same kind.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// One JSON document on stdout.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// A CSV file on stdout, a line for each half hour and group.
    #[arg(long)]
    csv: bool,
}

/// `15s`, `3m`, in milliseconds.
fn time(text: &str) -> Result<u64, String> {
    dialplan::duration(text)
}

fn positive_time(text: &str) -> Result<u64, String> {
    let ms = dialplan::duration(text)?;
    if ms > 0 { Ok(ms) } else { Err("must be longer than nothing".to_owned()) }
}

fn calls_per_hour(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|calls| (0.0..=100_000.0).contains(calls));
    number.ok_or_else(|| "a number from 0 to 100000 is expected".to_owned())
}

/// Lives through the day and shows the figures. Exit code 1: a file is wrong.
pub fn run(config: &Config, args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let day = match describe(config, args) {
        Ok(day) => day,
        Err(Refused::Findings(findings)) if args.json => {
            writeln!(screen(), "{:#}", json!({ "ok": false, "findings": findings }))?;
            return Ok(ExitCode::FAILURE);
        }
        Err(Refused::Findings(findings)) => {
            let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
            eprintln!("{}", shown.join("\n\n"));
            return Ok(ExitCode::FAILURE);
        }
        Err(Refused::Other(error)) => return Err(error),
    };
    let rehearsal = rehearse(&day);
    let groups = report(&day, &rehearsal);
    let mut out = screen();
    if args.json {
        writeln!(out, "{:#}", as_json(&day, &rehearsal, &groups))?;
    } else if args.csv {
        out.write_all(csv::csv(&groups)?.as_bytes())?;
    } else {
        out.write_all(table::table(&day, &rehearsal, &groups).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(day: &Day, rehearsal: &Rehearsal, groups: &[GroupReport]) -> serde_json::Value {
    json!({
        "ok": true,
        "date": day.date.to_string(),
        "seed": day.seed,
        "not-taken": rehearsal.not_taken,
        "came-back": rehearsal.came_back,
        "groups": groups,
    })
}

/// Why there is no day to rehearse.
enum Refused {
    /// Of the file with the day, or of the dialplans.
    Findings(Vec<Finding>),
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// The day that files and flags describe.
fn describe(config: &Config, args: &SimulateArgs) -> Result<Day, Refused> {
    let past = args.calls.as_deref().map(past_calls::read).transpose()?;
    let mut day = match &args.day {
        Some(file) => {
            let plan = plan(config)?;
            let day = dialplan::parse_day(&read(file)?, plan.as_ref());
            day.map_err(Refused::Findings)?
        }
        None => of_flags(config, args, past.as_ref())?,
    };
    if let Some(past) = past {
        past.replace_calls(&mut day, args.calls.as_deref().unwrap_or(Path::new("")))?;
    }
    day.seed = args.seed.unwrap_or(day.seed);
    if let Some(within_ms) = args.within {
        for group in &mut day.groups {
            Arc::make_mut(&mut group.rules).target.within_ms = within_ms;
        }
    }
    let expected: f64 = day.groups.iter().map(GroupDay::calls_expected).sum();
    if expected > CALLS_MAX {
        let why = format!("{expected:.0} calls are more than {CALLS_MAX:.0}; take fewer hours");
        return Err(Refused::Other(anyhow::anyhow!(why)));
    }
    Ok(day)
}

/// One group, as the flags say.
fn of_flags(
    config: &Config,
    args: &SimulateArgs,
    past: Option<&PastCalls>,
) -> Result<Day, Refused> {
    let mut rules = match &args.group {
        Some(name) => group_of_plan(config, name)?,
        None => Arc::new(Group::named("line")),
    };
    if let Some(wrap_up_ms) = args.wrap_up {
        Arc::make_mut(&mut rules).wrap_up_ms = wrap_up_ms;
    }
    let exponential = |mean_ms| Times::Exponential { mean_ms };
    let handle = args.handle_time.context("--handle-time is missing")?;
    let mut group = GroupDay::of(rules, exponential(handle));
    group.patience = args.patience.map(exponential);
    group.ring_delay_ms = args.ring_delay;
    let span = match past {
        Some(past) => past.minutes(),
        None => Minutes { start: START_MIN, end: START_MIN + args.hours * 60 },
    };
    group.rates = args.calls_per_hour.map(|per_hour| Rate { span, per_hour }).into_iter().collect();
    let span = Minutes { end: span.end + LATE_MIN, ..span };
    let operators = args.operators.context("--operators is missing")?;
    group.shifts = vec![Shift { span, operators, also: Vec::new() }];
    let date = past.map_or(DATE, |past| past.date);
    Ok(Day { date, seed: 1, groups: vec![group] })
}

fn group_of_plan(config: &Config, name: &str) -> Result<Arc<Group>, Refused> {
    let plan = plans::load_rules(config).map_err(refused)?;
    let Some(group) = plan.group(name) else {
        let known: Vec<&str> = plan.group_names().into_iter().collect();
        let known = known.join(", ");
        let why = anyhow::anyhow!("the dialplans have no group \"{name}\"; there are: {known}");
        return Err(Refused::Other(why));
    };
    Ok(group.clone())
}

/// The dialplans; `None`: there is no folder of them, and groups have the rules of their day.
fn plan(config: &Config) -> Result<Option<Plan>, Refused> {
    if !config.dialplans.folder.exists() {
        return Ok(None);
    }
    plans::load_rules(config).map(Some).map_err(refused)
}

fn refused(error: LoadError) -> Refused {
    match error {
        LoadError::Plan(findings) => Refused::Findings(findings),
        other => Refused::Other(other.into()),
    }
}

fn read(file: &Path) -> anyhow::Result<Source> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).with_context(|| format!("{name} can't be read"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| anyhow::anyhow!("{name} is not UTF-8; save it as UTF-8"))?;
    Ok(Source { name, text })
}
