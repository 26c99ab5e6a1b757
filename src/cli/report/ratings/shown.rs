//! Figures → table, CSV, JSON.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::super::screen::screen;
use super::{Report, Row, Rows};
use crate::cli::calls::rfc3339;
use crate::cli::report::columns::{self, Column};
use crate::cli::table::{self, Side};
use crate::core::ratings::{Interval, Scores, share, wilson};
use crate::dialplan::plan::Loyalty;
use crate::domain::Login;
use crate::store::RatingRecord;

/// Writes the report to stdout.
pub(super) fn show(report: &Report<'_>) -> anyhow::Result<()> {
    let part = &report.args.part;
    let mut out = screen();
    if part.json {
        writeln!(out, "{:#}", document(report))?;
    } else if part.csv && part.list {
        columns::write(&mut out, LIST_COLUMNS, list_documents(report))?;
    } else if part.csv {
        columns::write(&mut out, &row_columns(report), row_documents(report))?;
    } else {
        print(&mut out, report)?;
        if part.list {
            print_list(&mut out, &report.given, &report.period.zone)?;
        }
    }
    Ok(())
}

fn print(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let args = report.args;
    writeln!(out, "ratings given, {}", report.period.heading(&args.part))?;
    let mut heading = vec![
        (args.by.heading(), Side::Left),
        ("n", Side::Right),
        ("mean", Side::Right),
        ("95 %", Side::Left),
        ("4 or 5", Side::Left),
        ("95 %", Side::Left),
        ("answered the robot", Side::Left),
        ("in the same call", Side::Left),
    ];
    let mut rows: Vec<Vec<String>> =
        report.rows.iter().map(|(name, row)| row.cells(name)).collect();
    rows.push(report.total.cells("all"));
    let has_loyalty = args.by.is_time() && report.formulas().next().is_some();
    if has_loyalty {
        heading.push(("loyalty", Side::Left));
        let shown = report.rows.values().chain([&report.total]).map(Row::loyalty_cell);
        rows.iter_mut().zip(shown).for_each(|(cells, loyalty)| cells.push(loyalty));
    }
    table::print(out, &heading, &rows)?;
    writeln!(
        out,
        "95 % of the mean: Student's t interval, mean ± t(n-1)·s/√n · of the share of 4 and 5: Wilson's \
         score interval\nanswered the robot: pressed a key / surveys that ended after at least one call · \
         in the same call: gave a score / were asked"
    )?;
    if has_loyalty {
        for formula in report.formulas() {
            writeln!(out, "loyalty, {formula}: {}", definition(formula))?;
        }
        writeln!(
            out,
            "loyalty of a month, and of all: from all its ratings, which is not the mean of its days; \
             with few ratings (n) it says little"
        )?;
    }
    Ok(())
}

fn definition(formula: Loyalty) -> &'static str {
    match formula {
        Loyalty::ShareOf4And5 => "100 · number of 4 and 5 / n",
        Loyalty::MeanOf100 => "100 · (mean - 1) / 4",
    }
}

impl Rows {
    fn heading(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Group => "group",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The loyalty index is one of the house, measured in time.
    fn is_time(self) -> bool {
        match self {
            Self::Operator | Self::Group => false,
            Self::Day | Self::Month => true,
        }
    }
}

impl Row {
    fn cells(&self, name: &str) -> Vec<String> {
        let Self { scores, loyal: _, by_robot, in_call } = self;
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
            of(by_robot.answered, by_robot.asked).unwrap_or_else(dash),
            of(in_call.answered, in_call.asked).unwrap_or_else(dash),
        ]
    }

    /// `share-of-4-5 78.9 (n 19)`
    fn loyalty_cell(&self) -> String {
        let each = self.loyal.iter().filter_map(|(formula, scores)| {
            Some(format!("{formula} {:.1} (n {})", scores.loyalty(*formula)?, scores.n()))
        });
        let shown = each.collect::<Vec<_>>().join(" · ");
        if shown.is_empty() { "–".to_owned() } else { shown }
    }

    fn document(&self) -> Value {
        let Self { scores, loyal, by_robot, in_call } = self;
        let index = |(formula, scores): (&Loyalty, &Scores)| {
            let figures = json!({ "index": scores.loyalty(*formula), "n": scores.n() });
            (formula.name().to_owned(), figures)
        };
        json!({
            "n": scores.n(),
            "counts": json!(scores)["counts"],
            "mean": scores.mean(),
            "mean-interval": scores.mean_interval(),
            "content": scores.content(),
            "content-share": scores.content_share(),
            "content-interval": wilson(scores.content(), scores.n()),
            "loyalty": Value::Object(loyal.iter().map(index).collect()),
            "asked": by_robot.asked,
            "answered": by_robot.answered,
            "response-rate": share(by_robot.answered, by_robot.asked),
            "asked-in-call": in_call.asked,
            "answered-in-call": in_call.answered,
            "response-rate-in-call": share(in_call.answered, in_call.asked),
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

fn document(report: &Report<'_>) -> Value {
    let mut document = report.period.document(&report.args.part);
    document["rows"] = row_documents(report).collect();
    document["total"] = report.total.document();
    if report.args.part.list {
        document["ratings"] = list_documents(report).collect();
    }
    document
}

fn row_documents(report: &Report<'_>) -> impl Iterator<Item = Value> {
    report.rows.iter().map(|(name, row)| {
        let mut fields = row.document();
        fields[report.args.by.heading()] = json!(name);
        fields
    })
}

fn list_documents(report: &Report<'_>) -> impl Iterator<Item = Value> {
    report.given.iter().map(|record| {
        let at = rfc3339(record.at, &report.period.zone);
        json!({ "at": at, "given-in": record.given_in, "rating": record.rating })
    })
}

fn row_columns(report: &Report<'_>) -> Vec<Column> {
    let name = match report.args.by {
        Rows::Operator => ("operator", "/operator"),
        Rows::Group => ("group", "/group"),
        Rows::Day => ("day", "/day"),
        Rows::Month => ("month", "/month"),
    };
    let loyalty = report.formulas().flat_map(|formula| match formula {
        Loyalty::ShareOf4And5 => [
            ("loyalty-share-of-4-5", "/loyalty/share-of-4-5/index"),
            ("loyalty-share-of-4-5-n", "/loyalty/share-of-4-5/n"),
        ],
        Loyalty::MeanOf100 => [
            ("loyalty-mean-of-100", "/loyalty/mean-of-100/index"),
            ("loyalty-mean-of-100-n", "/loyalty/mean-of-100/n"),
        ],
    });
    [name].into_iter().chain(ROW_COLUMNS.iter().copied()).chain(loyalty).collect()
}

const ROW_COLUMNS: &[Column] = &[
    ("n", "/n"),
    ("score-1", "/counts/0"),
    ("score-2", "/counts/1"),
    ("score-3", "/counts/2"),
    ("score-4", "/counts/3"),
    ("score-5", "/counts/4"),
    ("mean", "/mean"),
    ("mean-low", "/mean-interval/low"),
    ("mean-high", "/mean-interval/high"),
    ("content", "/content"),
    ("content-share", "/content-share"),
    ("content-low", "/content-interval/low"),
    ("content-high", "/content-interval/high"),
    ("asked", "/asked"),
    ("answered", "/answered"),
    ("response-rate", "/response-rate"),
    ("asked-in-call", "/asked-in-call"),
    ("answered-in-call", "/answered-in-call"),
    ("response-rate-in-call", "/response-rate-in-call"),
];

const LIST_COLUMNS: &[Column] = &[
    ("at", "/at"),
    ("survey", "/rating/survey"),
    ("score", "/rating/score"),
    ("operator", "/rating/operator"),
    ("group", "/rating/group"),
    ("topic", "/rating/topic"),
    ("call", "/rating/call"),
    ("given-in", "/given-in"),
];
