//! `allo report promises`: how promises were kept, by kind, each figure with what it is a share of,
//! and on demand the promises behind it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::screen::screen;
use super::columns::{self, Column};
use super::{PartArgs, Period, period_of};
use crate::cli::calls::shown_phone;
use crate::cli::clocks::Clocks;
use crate::cli::groups;
use crate::cli::promises::as_json;
use crate::cli::table::{self, Side};
use crate::config::Config;
use crate::core::kept::Kept;
use crate::domain::{PromiseKind, Span, Timestamp};
use crate::store::{PromiseFilter, PromiseRecord, Store};

/// Counts the promises that were made in these days, whether the server runs or not.
pub async fn run(config: &Config, args: &PartArgs) -> anyhow::Result<ExitCode> {
    let period = period_of(config, args)?;
    let filter = PromiseFilter {
        group: args.group.clone(),
        made_from: Some(period.span.from),
        made_before: Some(period.span.until),
        ..PromiseFilter::default()
    };
    let store = Store::open(&config.database.url).await?;
    let found = store.promises(&filter).await;
    store.close().await;
    let mut found = found?;
    groups::must_be_known(&period.plan, args.group.as_deref(), !found.is_empty())?;
    found.retain(|record| record.promise.rehearsal == args.rehearsal);
    found.sort_by_key(|record| record.number);
    let (mut kinds, mut total) = (BTreeMap::<PromiseKind, Kept>::new(), Kept::default());
    let clocks = Clocks::read(config, &found);
    for PromiseRecord { promise, .. } in &found {
        let now = clocks.of(promise).unwrap_or(clocks.now);
        kinds.entry(promise.kind).or_default().add(promise, now);
        total.add(promise, now);
    }
    let list = list_documents(&found, clocks, &period, args);
    let mut out = screen();
    if args.json {
        writeln!(out, "{:#}", document(&kinds, &total, list, &period, args))?;
    } else if args.csv && args.list {
        columns::write(&mut out, LIST_COLUMNS, list)?;
    } else if args.csv {
        columns::write(&mut out, ROW_COLUMNS, row_documents(&kinds))?;
    } else {
        print(&mut out, &kinds, &total, &period, args)?;
        if args.list {
            print_list(&mut out, &found, &period.zone, args.full)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(
    out: &mut impl Write,
    kinds: &BTreeMap<PromiseKind, Kept>,
    total: &Kept,
    period: &Period,
    args: &PartArgs,
) -> io::Result<()> {
    writeln!(out, "promises made, {}", period.heading(args))?;
    let heading = [
        ("kind", Side::Left),
        ("made", Side::Right),
        ("kept in time", Side::Left),
        ("too late", Side::Right),
        ("given up", Side::Right),
        ("overdue", Side::Right),
        ("cancelled", Side::Right),
        ("open", Side::Right),
        ("median to contact", Side::Right),
    ];
    let mut rows: Vec<Vec<String>> =
        kinds.iter().map(|(kind, kept)| row(kind.name(), kept)).collect();
    rows.push(row("all", total));
    table::print(out, &heading, &rows)?;
    writeln!(
        out,
        "kept in time: begun before it was due / (kept in time + too late + given up + overdue) · \
         median to contact: from the promise to the conversation, of those that came to one"
    )
}

fn row(name: &str, kept: &Kept) -> Vec<String> {
    let share = kept.share().map_or_else(
        || "–".to_owned(),
        |share| format!("{:.1} % = {}/{}", share * 100.0, kept.in_time, kept.decided()),
    );
    let median = kept.median_contact_ms();
    vec![
        name.to_owned(),
        kept.made.to_string(),
        share,
        kept.too_late.to_string(),
        kept.given_up.to_string(),
        kept.overdue.to_string(),
        kept.cancelled.to_string(),
        kept.open.to_string(),
        median.map_or_else(|| "–".to_owned(), |ms| Span { ms }.to_string()),
    ]
}

fn print_list(
    out: &mut impl Write,
    found: &[PromiseRecord],
    zone: &TimeZone,
    full: bool,
) -> io::Result<()> {
    writeln!(out)?;
    let time = |at: Timestamp| at.in_zone(zone).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let optional = |at: Option<Timestamp>| at.map_or_else(|| "–".to_owned(), time);
    let heading = ["no", "kind", "customer", "made", "due", "contacted", "ended", "state", "note"]
        .map(|name| (name, if name == "no" { Side::Right } else { Side::Left }));
    let row = |PromiseRecord { number, promise }: &PromiseRecord| {
        vec![
            number.to_string(),
            promise.kind.to_string(),
            shown_phone(&promise.phone, full),
            time(promise.made),
            time(promise.due),
            optional(promise.contacted),
            optional(promise.ended),
            promise.state.to_string(),
            promise.note.clone(),
        ]
    };
    table::print(out, &heading, &found.iter().map(row).collect::<Vec<_>>())
}

fn document(
    kinds: &BTreeMap<PromiseKind, Kept>,
    total: &Kept,
    list: impl Iterator<Item = Value>,
    period: &Period,
    args: &PartArgs,
) -> Value {
    let mut document = period.document(args);
    document["rows"] = row_documents(kinds).collect();
    document["total"] = figures(None, total);
    if args.list {
        document["promises"] = list.collect();
    }
    document
}

fn figures(kind: Option<PromiseKind>, kept: &Kept) -> Value {
    let mut fields = json!(kept);
    fields["kind"] = json!(kind);
    fields["decided"] = json!(kept.decided());
    fields["kept-percent"] = json!(kept.share().map(|share| share * 100.0));
    fields["median-contact-ms"] = json!(kept.median_contact_ms());
    fields
}

fn row_documents(kinds: &BTreeMap<PromiseKind, Kept>) -> impl Iterator<Item = Value> {
    kinds.iter().map(|(kind, kept)| figures(Some(*kind), kept))
}

fn list_documents(
    found: &[PromiseRecord],
    clocks: Clocks,
    period: &Period,
    args: &PartArgs,
) -> impl Iterator<Item = Value> {
    found
        .iter()
        .map(move |record| as_json(record, clocks.of(&record.promise), &period.zone, args.full))
}

const ROW_COLUMNS: &[Column] = &[
    ("kind", "/kind"),
    ("made", "/made"),
    ("kept-in-time", "/in-time"),
    ("too-late", "/too-late"),
    ("given-up", "/given-up"),
    ("overdue", "/overdue"),
    ("cancelled", "/cancelled"),
    ("open", "/open"),
    ("decided", "/decided"),
    ("kept-percent", "/kept-percent"),
    ("median-contact-ms", "/median-contact-ms"),
];

const LIST_COLUMNS: &[Column] = &[
    ("number", "/number"),
    ("kind", "/kind"),
    ("name", "/name"),
    ("customer", "/customer"),
    ("group", "/group"),
    ("made", "/made"),
    ("due", "/due"),
    ("contacted", "/contacted"),
    ("ended", "/ended"),
    ("state", "/state"),
    ("attempts", "/attempts"),
    ("late", "/late"),
    ("reason", "/reason"),
    ("note", "/note"),
];
