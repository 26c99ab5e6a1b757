//! The figures as a CSV file: a line for each half hour and group, and one for the whole day.

use crate::cli::report::columns::inert;
use crate::dialplan::plan::Formula;
use crate::sim::day::report::{GroupReport, Row};

const COLUMNS: &[&str] = &[
    "group",
    "from",
    "operators",
    "operators-needed",
    "offered",
    "answered",
    "answered-in-time",
    "abandoned",
    "of-offered",
    "of-answered",
    "late-abandons-count",
    "without-short-abandons",
    "mean-wait-ms",
    "median-wait-ms",
    "p90-wait-ms",
    "longest-wait-ms",
    "occupancy",
    "erlang-a-of-offered",
    "erlang-c-of-offered",
];

/// Shares are percents; what cannot be said is empty.
pub(super) fn csv(groups: &[GroupReport]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for report in groups {
        for row in &report.half_hours {
            writer.write_record(record(&report.group, &row.from, row))?;
        }
        writer.write_record(record(&report.group, "whole-day", &report.whole_day))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn record(group: &str, from: &str, row: &Row) -> Vec<String> {
    let percent = |share: Option<f64>| share.map_or(String::new(), |share| format!("{share:.1}"));
    let count = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    let figures = &row.figures;
    let mut cells = vec![inert(group).into_owned(), from.to_owned(), row.operators.to_string()];
    cells.push(count(row.operators_needed.map(u64::from)));
    cells.extend(
        [figures.offered, figures.answered, figures.answered_in_time, figures.abandoned]
            .map(|number| number.to_string()),
    );
    cells.extend(figures.levels.iter().map(|level| percent(level.percent())));
    cells.extend([figures.mean_wait_ms, figures.median_wait_ms, figures.p90_wait_ms].map(count));
    cells.push(figures.longest_wait_ms.to_string());
    cells.push(percent(row.occupancy.map(|share| share * 100.0)));
    cells.push(percent(row.erlang_a.level(Formula::OfOffered)));
    cells.push(percent(row.erlang_c.level(Formula::OfOffered)));
    cells
}
