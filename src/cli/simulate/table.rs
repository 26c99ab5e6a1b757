//! The figures for people.

use std::fmt::{self, Write as _};

use crate::dialplan::day::Day;
use crate::dialplan::plan::Formula;
use crate::domain::Span;
use crate::sim::day::Rehearsal;
use crate::sim::day::report::{GroupReport, Row};

/// A longer table says no more than its sum.
const ROWS_MAX: usize = 96;

/// Two lines, as the columns of [`line`].
const HEADINGS: [[&str; 15]; 2] = [
    [
        "",
        "operators",
        "",
        "",
        "",
        "",
        "late-abandons-",
        "without-short-",
        "wait,",
        "",
        "",
        "",
        "",
        "Erlang A",
        "Erlang C",
    ],
    [
        "time",
        "of needed",
        "calls",
        "lost",
        "of-offered",
        "of-answered",
        "count",
        "abandons",
        "mean s",
        "median",
        "p90",
        "max",
        "busy",
        "of-offered",
        "of-offered",
    ],
];

/// All groups, one below the other.
pub(super) fn table(day: &Day, rehearsal: &Rehearsal, groups: &[GroupReport]) -> String {
    let mut text = String::new();
    for report in groups {
        // Writing to a text does not fail.
        let _ = of_group(&mut text, report);
    }
    let _ = writeln!(text, "{}", closing(day, rehearsal));
    text
}

fn of_group(text: &mut String, report: &GroupReport) -> fmt::Result {
    let target = &report.target;
    let within = Span { ms: target.within_ms };
    writeln!(
        text,
        "group {}: service level within {within}, target {} % {}\n",
        report.group, target.percent, target.formula
    )?;
    if report.half_hours.len() <= ROWS_MAX {
        for headings in HEADINGS {
            cells(text, headings)?;
        }
        for row in &report.half_hours {
            line(text, &row.from, row)?;
        }
    } else {
        let count = report.half_hours.len();
        writeln!(text, "{count} half hours; --csv lists them")?;
    }
    writeln!(text)?;
    whole_day(text, report)
}

fn line(text: &mut String, name: &str, row: &Row) -> fmt::Result {
    let figures = &row.figures;
    let [offered, answered, late, not_short] = figures
        .levels
        .map(|level| if level.closed { "closed".to_owned() } else { percent(level.percent()) });
    let lost = figures.abandoned + figures.nobody + figures.full;
    let [mean, median, p90] =
        [figures.mean_wait_ms, figures.median_wait_ms, figures.p90_wait_ms].map(seconds);
    let busy = percent(row.occupancy.map(|share| share * 100.0));
    let [a, c] =
        [&row.erlang_a, &row.erlang_c].map(|model| percent(model.level(Formula::OfOffered)));
    let calls = figures.offered + figures.nobody + figures.full;
    let max_ms = seconds(Some(figures.longest_wait_ms));
    let [calls, lost] = [calls, lost].map(|count| count.to_string());
    cells(
        text,
        [
            name,
            &staff(row),
            &calls,
            &lost,
            &offered,
            &answered,
            &late,
            &not_short,
            &mean,
            &median,
            &p90,
            &max_ms,
            &busy,
            &a,
            &c,
        ],
    )
}

fn cells(text: &mut String, cells: [&str; 15]) -> fmt::Result {
    const WIDTHS: [usize; 15] = [5, 9, 6, 5, 10, 11, 14, 14, 7, 7, 7, 7, 7, 10, 10];
    let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:>width$}"));
    writeln!(text, "{}", padded.collect::<Vec<_>>().join(" "))
}

/// `11/12`: there are 11, Erlang A asks for 12.
fn staff(row: &Row) -> String {
    let needed = row.operators_needed.map_or("–".to_owned(), |needed| needed.to_string());
    format!("{}/{needed}", row.operators)
}

/// The sum, beside the models, each figure with its name.
fn whole_day(text: &mut String, report: &GroupReport) -> fmt::Result {
    let Row { figures, erlang_a, erlang_c, .. } = &report.whole_day;
    writeln!(
        text,
        "{:<24}{:>10}{:>18}{:>10}{:>10}",
        "whole day", "simulated", "", "Erlang A", "Erlang C"
    )?;
    for level in figures.levels {
        let formula = level.formula;
        let parts = format!("{} / {}", level.numerator, level.denominator);
        let [a, c] = [erlang_a, erlang_c].map(|model| percent(model.level(formula)));
        let shown = if level.closed { "closed".to_owned() } else { percent(level.percent()) };
        writeln!(text, "{:<24}{shown:>10}{parts:>18}{a:>10}{c:>10}", formula.name())?;
    }
    let parts = format!("{} / {}", figures.abandoned, figures.offered);
    let [missed, a, c] =
        [figures.missed_percent, erlang_a.missed_percent, erlang_c.missed_percent].map(percent);
    writeln!(text, "{:<24}{missed:>10}{parts:>18}{a:>10}{c:>10}", "abandoned")?;
    for (name, count) in
        [("turned away, nobody there", figures.nobody), ("turned away, line full", figures.full)]
    {
        if count > 0 {
            writeln!(text, "{name:<24}{count:>10}")?;
        }
    }
    let waits = [
        ("mean wait of answered", figures.mean_wait_ms),
        ("median", figures.median_wait_ms),
        ("nine of ten within", figures.p90_wait_ms),
        ("longest wait of all", Some(figures.longest_wait_ms)),
        ("mean handling time", figures.mean_handle_ms),
    ];
    for (name, wait_ms) in waits {
        writeln!(text, "{name:<24}{:>10}", format!("{} s", seconds(wait_ms)))?;
    }
    let busy = percent(report.whole_day.occupancy.map(|share| share * 100.0));
    writeln!(text, "{:<24}{busy:>10}\n", "occupancy")
}

fn closing(day: &Day, rehearsal: &Rehearsal) -> String {
    let mut text = format!("{} · seed {}", day.date, day.seed);
    let counts =
        [("phones rang in vain", rehearsal.not_taken), ("callers came back", rehearsal.came_back)];
    for (what, count) in counts.iter().filter(|(_, count)| *count > 0) {
        let _ = write!(text, " · {count} {what}");
    }
    text.push_str("\noperators 11/12: 11 work, 12 reach the target by Erlang A · lost: hung up or turned away");
    text
}

fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{share:.1} %"))
}

fn seconds(ms: Option<u64>) -> String {
    ms.map_or("–".to_owned(), |ms| format!("{:.1}", ms as f64 / 1_000.0))
}
