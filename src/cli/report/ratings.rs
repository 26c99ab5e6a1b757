//! `allo report ratings`: what customers thought, by operator, group or day; how sure that is, and how
//! many of those who were asked answered.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{PartArgs, Period, period_of};
use crate::cli::calls::rfc3339;
use crate::cli::table::{self, Side};
use crate::config::Config;
use crate::core::ratings::{Interval, Scores, share, was_asked, wilson};
use crate::domain::{Login, PromiseId, PromiseKind, Timestamp};
use crate::store::{PromiseFilter, PromiseRecord, RatingFilter, RatingRecord, Store};

/// A survey that ended just after midnight may have been answered before.
const BEFORE_MS: u64 = 24 * 3_600_000;

#[derive(Debug, Args)]
pub struct RatingsArgs {
    #[command(flatten)]
    part: PartArgs,
    /// What the rows stand for.
    #[arg(long, value_enum, default_value_t = Rows::Operator)]
    by: Rows,
}

/// `--by`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rows {
    Operator,
    Group,
    Day,
}

/// The figures of one row.
#[derive(Clone, Debug, Default)]
struct Row {
    scores: Scores,
    /// Surveys by a robot that ended.
    asked: u64,
    /// Of these: the customer pressed a key.
    answered: u64,
}

/// Counts ratings given, and surveys that ended, in these days, whether the server runs or not.
pub async fn run(config: &Config, args: &RatingsArgs) -> anyhow::Result<ExitCode> {
    let part = &args.part;
    let period = period_of(config, part)?;
    let span = period.span;
    let given = RatingFilter {
        from: Some(span.from.minus_ms(BEFORE_MS)),
        before: Some(span.until),
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
    store.close().await;
    let (mut given, mut surveys) = (given?, surveys?);
    given.retain(|record| record.rehearsal == part.rehearsal);
    surveys.retain(|PromiseRecord { promise, .. }| {
        let of_group = part.group.is_none() || promise.about.group == part.group;
        of_group
            && promise.rehearsal == part.rehearsal
            && was_asked(promise.state, promise.attempts)
    });
    let answered: BTreeSet<PromiseId> = given.iter().filter_map(|r| r.rating.promise).collect();
    given.retain(|record| record.at >= span.from);

    let (mut rows, mut total) = (BTreeMap::<String, Row>::new(), Row::default());
    for record in &given {
        let name = name(args.by, record.rating.operator.as_ref(), record.rating.group.as_ref());
        let row = rows.entry(name.unwrap_or_else(|| day(record.at, &period.zone))).or_default();
        row.scores.add(record.rating.score);
        total.scores.add(record.rating.score);
    }
    for PromiseRecord { promise, .. } in &surveys {
        let name = name(args.by, promise.about.operator.as_ref(), promise.about.group.as_ref());
        let ended = || day(promise.ended.unwrap_or(promise.due), &period.zone);
        let row = rows.entry(name.unwrap_or_else(ended)).or_default();
        for row in [row, &mut total] {
            row.asked += 1;
            row.answered += u64::from(answered.contains(&promise.id));
        }
    }
    let mut out = io::stdout().lock();
    if part.json {
        writeln!(out, "{:#}", document(&rows, &total, &given, &period, args))?;
    } else {
        print(&mut out, &rows, &total, &period, args)?;
        if part.list {
            print_list(&mut out, &given, &period.zone)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `None`: the day is the name.
fn name(by: Rows, operator: Option<&Login>, group: Option<&String>) -> Option<String> {
    let unknown = || "unknown".to_owned();
    match by {
        Rows::Operator => Some(operator.map_or_else(unknown, Login::to_string)),
        Rows::Group => Some(group.cloned().unwrap_or_else(unknown)),
        Rows::Day => None,
    }
}

fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.in_zone(zone).date().to_string()
}

fn print(
    out: &mut impl Write,
    rows: &BTreeMap<String, Row>,
    total: &Row,
    period: &Period,
    args: &RatingsArgs,
) -> io::Result<()> {
    writeln!(out, "ratings given, {}", period.heading(&args.part))?;
    let heading = [
        (name_of(args.by), Side::Left),
        ("n", Side::Right),
        ("mean", Side::Right),
        ("95 %", Side::Left),
        ("4 or 5", Side::Left),
        ("95 %", Side::Left),
        ("answered the robot", Side::Left),
    ];
    let mut cells: Vec<Vec<String>> = rows.iter().map(|(name, row)| row.cells(name)).collect();
    cells.push(total.cells("all"));
    table::print(out, &heading, &cells)?;
    writeln!(
        out,
        "95 % of the mean: Student's t interval, mean ± t(n-1)·s/√n · of the share of 4 and 5: Wilson's \
         score interval\nanswered the robot: pressed a key / surveys that ended after at least one call; \
         surveys in the same call are not in it"
    )
}

fn name_of(by: Rows) -> &'static str {
    match by {
        Rows::Operator => "operator",
        Rows::Group => "group",
        Rows::Day => "day",
    }
}

impl Row {
    fn cells(&self, name: &str) -> Vec<String> {
        let Self { scores, asked, answered } = self;
        let dash = || "–".to_owned();
        let n = scores.n();
        let mean = |Interval { low, high }| format!("{low:.2}–{high:.2}");
        let percent = |Interval { low, high }| format!("{:.0}–{:.0} %", low * 100.0, high * 100.0);
        let of = |count: u64, of: u64| {
            share(count, of).map(|share| format!("{:.1} % = {count}/{of}", share * 100.0))
        };
        vec![
            name.to_owned(),
            n.to_string(),
            scores.mean().map_or_else(dash, |mean| format!("{mean:.2}")),
            scores.mean_interval().map_or_else(dash, mean),
            of(scores.content(), n).unwrap_or_else(dash),
            wilson(scores.content(), n).map_or_else(dash, percent),
            of(*answered, *asked).unwrap_or_else(dash),
        ]
    }

    fn document(&self) -> Value {
        let Self { scores, asked, answered } = self;
        json!({
            "n": scores.n(),
            "counts": json!(scores)["counts"],
            "mean": scores.mean(),
            "mean-interval": scores.mean_interval(),
            "content": scores.content(),
            "content-share": scores.content_share(),
            "content-interval": wilson(scores.content(), scores.n()),
            "asked": asked,
            "answered": answered,
            "response-rate": share(*answered, *asked),
        })
    }
}

fn print_list(out: &mut impl Write, given: &[RatingRecord], zone: &TimeZone) -> io::Result<()> {
    writeln!(out)?;
    let heading = ["at", "survey", "score", "operator", "group", "topic", "call", "given in"];
    let row = |record: &RatingRecord| {
        let rating = &record.rating;
        let text = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        vec![
            record.at.in_zone(zone).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            rating.survey.clone(),
            rating.score.to_string(),
            text(rating.operator.as_ref().map(Login::to_string)),
            text(rating.group.clone()),
            text(rating.topic.clone()),
            text(rating.call.map(|call| call.to_string())),
            record.given_in.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = given.iter().map(row).collect();
    table::print(out, &heading.map(|name| (name, Side::Left)), &rows)
}

fn document(
    rows: &BTreeMap<String, Row>,
    total: &Row,
    given: &[RatingRecord],
    period: &Period,
    args: &RatingsArgs,
) -> Value {
    let named = |(name, row): (&String, &Row)| {
        let mut fields = row.document();
        fields[name_of(args.by)] = json!(name);
        fields
    };
    let mut document = period.document(&args.part);
    document["rows"] = rows.iter().map(named).collect();
    document["total"] = total.document();
    if args.part.list {
        let each = given.iter().map(|record| {
            let at = rfc3339(record.at, &period.zone);
            json!({ "at": at, "given-in": record.given_in, "rating": record.rating })
        });
        document["ratings"] = each.collect();
    }
    document
}
