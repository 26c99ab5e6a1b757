//! Figures → table, CSV, JSON.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::screen::screen;
use super::{Report, ReportArgs, columns};
use crate::cli::calls::{rfc3339, shown_caller};
use crate::cli::table::{self, Side};
use crate::core::service_level::{By, Figures, Level, Part, Tally};
use crate::dialplan::plan::Formula;
use crate::domain::{LineOutcome, Span, Timestamp};
use crate::store::VisitRecord;

/// Writes the report to stdout.
pub(super) fn show(report: &Report, args: &ReportArgs) -> anyhow::Result<()> {
    let mut out = screen();
    if args.json {
        writeln!(out, "{:#}", document(report, args))?;
    } else if args.csv && args.calls {
        calls_csv(&mut out, report, args.full)?;
    } else if args.csv {
        rows_csv(&mut out, report)?;
    } else {
        print(&mut out, report)?;
        if args.calls {
            print_calls(&mut out, report, args.full)?;
        }
    }
    Ok(())
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let group = report.group.as_deref().unwrap_or("all groups");
    let zone = report.zone.iana_name().unwrap_or("local time");
    writeln!(out, "{group}, {} ({zone})", report.span)?;
    let heading = [
        (name_of_rows(report.by), Side::Left),
        ("offered", Side::Right),
        ("answered", Side::Right),
        ("in time", Side::Right),
        ("abandoned", Side::Right),
        ("service level", Side::Left),
        ("missed", Side::Left),
        ("ASA", Side::Right),
        ("median", Side::Right),
        ("p90", Side::Right),
        ("longest", Side::Right),
        ("talks", Side::Right),
        ("AHT", Side::Right),
    ];
    let mut rows: Vec<Vec<String>> = report
        .rows
        .iter()
        .map(|(part, tally)| {
            let name = shown_part(part, report.by, &report.zone);
            let mut cells = row(name, tally, report.formula_of(part));
            if let Part::Operator(_) = part {
                // Callers are offered to groups, and leave groups.
                for column in [1, 4, 6] {
                    "–".clone_into(&mut cells[column]);
                }
            }
            cells
        })
        .collect();
    rows.push(row("all".to_owned(), &report.total, report.formula_of_all()));
    table::print(out, &heading, &rows)?;
    let Tally { callbacks, nobody, full, lost, operator_lost, .. } = report.total;
    writeln!(
        out,
        "beside these: {callbacks} ordered a callback, {nobody} met nobody, {full} met a full line, \
         {operator_lost} came back when the operator was lost"
    )?;
    if lost > 0 {
        writeln!(out, "abandoned includes {lost} lost by a failure or a restart")?;
    }
    writeln!(out, "in time: {}", limits(report))?;
    for formula in formulas(report) {
        writeln!(out, "{formula}: {}", definition(formula))?;
    }
    writeln!(
        out,
        "missed: abandoned / offered · ASA: mean wait of the answered · AHT: (talk + hold + wrap-up) / talks"
    )
}

/// What each formula divides by what.
fn definition(formula: Formula) -> &'static str {
    match formula {
        Formula::OfOffered => "answered in time / (answered + abandoned)",
        Formula::OfAnswered => "answered in time / answered",
        Formula::LateAbandonsCount => {
            "answered in time / (answered + abandoned - abandoned in time)"
        }
        Formula::WithoutShortAbandons => {
            "answered in time / (answered + abandoned - short abandons)"
        }
    }
}

/// The formulas that the table uses.
fn formulas(report: &Report) -> Vec<Formula> {
    let rows = report.rows.keys().map(|part| report.formula_of(part));
    let mut formulas: Vec<Formula> = rows.chain([report.formula_of_all()]).collect();
    formulas.sort_unstable();
    formulas.dedup();
    formulas
}

/// `within 20 s`; of each group, if they differ.
fn limits(report: &Report) -> String {
    if let Some(ms) = report.within_ms {
        return format!("within {}", Span { ms });
    }
    let within = |group: &str| report.target(group).within_ms;
    let groups: Vec<&str> = report.groups().collect();
    let first = groups.first().map_or_else(|| within(""), |group| within(group));
    if groups.iter().all(|group| within(group) == first) {
        return format!("within {}", Span { ms: first });
    }
    let each: Vec<String> =
        groups.iter().map(|group| format!("{group} {}", Span { ms: within(group) })).collect();
    format!("within {}", each.join(", "))
}

fn name_of_rows(by: By) -> &'static str {
    match by {
        By::HalfHour => "half hour",
        By::Day => "day",
        By::Operator => "operator",
        By::Group => "group",
    }
}

fn shown_part(part: &Part, by: By, zone: &TimeZone) -> String {
    match part {
        Part::From(at) => {
            let format = if by == By::Day { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M" };
            at.in_zone(zone).strftime(format).to_string()
        }
        Part::Operator(login) => login.to_string(),
        Part::Group(group) => group.clone(),
    }
}

fn row(name: String, tally: &Tally, formula: Formula) -> Vec<String> {
    let figures = tally.figures();
    let span = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), |ms| Span { ms }.to_string());
    let missed = match figures.missed_percent {
        Some(percent) => format!("{percent:.1} % = {}/{}", figures.abandoned, figures.offered),
        None => "–".to_owned(),
    };
    vec![
        name,
        figures.offered.to_string(),
        figures.answered.to_string(),
        figures.answered_in_time.to_string(),
        figures.abandoned.to_string(),
        shown_level(&tally.level(formula)),
        missed,
        span(figures.mean_wait_ms),
        span(figures.median_wait_ms),
        span(figures.p90_wait_ms),
        span((figures.offered > 0).then_some(figures.longest_wait_ms)),
        figures.conversations.to_string(),
        span(figures.mean_handle_ms),
    ]
}

/// `of-offered 80.0 % = 8/10`
fn shown_level(level: &Level) -> String {
    let Level { formula, numerator, denominator, closed } = level;
    match level.percent() {
        Some(percent) => format!("{formula} {percent:.1} % = {numerator}/{denominator}"),
        None if *closed => "closed".to_owned(),
        None => "–".to_owned(),
    }
}

fn print_calls(out: &mut impl Write, report: &Report, full: bool) -> io::Result<()> {
    writeln!(out)?;
    for record in &report.calls {
        let VisitRecord { call, visit, .. } = record;
        let entered = visit.entered.in_zone(&report.zone).strftime("%Y-%m-%d %H:%M:%S");
        let caller = caller(record, full);
        let waited = Span { ms: visit.wait_ms };
        let outcome = match (&visit.operator, visit.outcome) {
            (Some(operator), LineOutcome::Answered) => format!("answered by {operator}"),
            (_, outcome) => outcome.to_string(),
        };
        let group = &visit.group;
        writeln!(out, "{entered}  {caller}  {group}  waited {waited}: {outcome}  {call}")?;
    }
    Ok(())
}

fn caller(record: &VisitRecord, full: bool) -> String {
    record.caller.as_ref().map_or_else(|| "unknown".to_owned(), |from| shown_caller(from, full))
}

fn rows_csv(out: &mut impl Write, report: &Report) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let mut heading = vec![name_of_rows(report.by).replace(' ', "-")];
    let counts = |figures: &Figures| {
        [
            ("offered", Some(figures.offered)),
            ("answered", Some(figures.answered)),
            ("answered-in-time", Some(figures.answered_in_time)),
            ("abandoned", Some(figures.abandoned)),
            ("lost", Some(figures.lost)),
            ("abandoned-in-time", Some(figures.abandoned_in_time)),
            ("abandoned-at-once", Some(figures.abandoned_at_once)),
            ("callbacks", Some(figures.callbacks)),
            ("nobody", Some(figures.nobody)),
            ("full", Some(figures.full)),
            ("operator-lost", Some(figures.operator_lost)),
            ("mean-wait-ms", figures.mean_wait_ms),
            ("median-wait-ms", figures.median_wait_ms),
            ("p90-wait-ms", figures.p90_wait_ms),
            ("longest-wait-ms", Some(figures.longest_wait_ms)),
            ("conversations", Some(figures.conversations)),
            ("talk-ms", Some(figures.talk_ms)),
            ("hold-ms", Some(figures.hold_ms)),
            ("wrap-up-ms", Some(figures.wrap_up_ms)),
            ("mean-handle-ms", figures.mean_handle_ms),
        ]
    };
    let names = counts(&Tally::default().figures()).map(|(name, _)| name.to_owned());
    heading.extend(names);
    heading.extend(["formula", "numerator", "denominator", "percent"].map(str::to_owned));
    csv.write_record(&heading)?;
    for (part, tally) in &report.rows {
        let mut record = vec![shown_part(part, report.by, &report.zone)];
        let figures = counts(&tally.figures());
        record.extend(figures.map(|(_, count)| count.map(|n| n.to_string()).unwrap_or_default()));
        let level = tally.level(report.formula_of(part));
        record.push(level.formula.to_string());
        record.push(level.numerator.to_string());
        record.push(level.denominator.to_string());
        record.push(level.percent().map(|percent| format!("{percent:.2}")).unwrap_or_default());
        csv.write_record(&record)?;
    }
    csv.flush()?;
    Ok(())
}

fn calls_csv(out: &mut impl Write, report: &Report, full: bool) -> anyhow::Result<()> {
    let columns = [
        ("call", "/call"),
        ("entered", "/entered"),
        ("caller", "/caller"),
        ("group", "/group"),
        ("origin", "/origin"),
        ("wait-ms", "/wait-ms"),
        ("outcome", "/outcome"),
        ("operator", "/operator"),
    ];
    columns::write(out, &columns, report.calls.iter().map(|call| call_document(report, call, full)))
}

fn document(report: &Report, args: &ReportArgs) -> Value {
    let time = |at: Timestamp| rfc3339(at, &report.zone);
    let rows: Vec<Value> = report
        .rows
        .iter()
        .map(|(part, tally)| {
            let name = match part {
                Part::From(at) => time(*at),
                Part::Operator(_) | Part::Group(_) => shown_part(part, report.by, &report.zone),
            };
            row_document(Some((name_of_rows(report.by), name)), tally, report.formula_of(part))
        })
        .collect();
    let mut document = json!({
        "from": time(report.span.from),
        "until": time(report.span.until),
        "timezone": report.zone.iana_name(),
        "group": report.group,
        "rows": rows,
        "total": row_document(None, &report.total, report.formula_of_all()),
    });
    if args.calls {
        let calls: Vec<Value> =
            report.calls.iter().map(|record| call_document(report, record, args.full)).collect();
        document["calls"] = json!(calls);
    }
    document
}

fn row_document(name: Option<(&str, String)>, tally: &Tally, formula: Formula) -> Value {
    let level = |level: &Level| {
        let mut fields = json!(level);
        fields["percent"] = json!(level.percent());
        fields
    };
    let figures = tally.figures();
    let mut fields = json!(figures);
    fields["service-level"] = level(&tally.level(formula));
    fields["levels"] = json!(figures.levels.iter().map(level).collect::<Vec<_>>());
    if let Some((kind, name)) = name {
        fields[kind.replace(' ', "-")] = json!(name);
    }
    fields
}

fn call_document(report: &Report, record: &VisitRecord, full: bool) -> Value {
    let visit = &record.visit;
    json!({
        "call": record.call,
        "entered": rfc3339(visit.entered, &report.zone),
        "caller": caller(record, full),
        "group": visit.group,
        "origin": visit.origin,
        "wait-ms": visit.wait_ms,
        "outcome": visit.outcome,
        "operator": visit.operator,
    })
}
