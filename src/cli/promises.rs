//! `allo promises`: what customers are owed, and how much time is left.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::calls::{rfc3339, shown_phone};
use super::clocks::Clocks;
use super::groups;
use super::screen::screen;
use super::table::{self, Side};
use crate::app::plans;
use crate::config::{Config, Period};
use crate::core::kept::is_overdue;
use crate::domain::{Promise, PromiseKind, Span, Timestamp};
use crate::store::{PromiseFilter, PromiseRecord, Store};

/// With `--all`, unless said otherwise.
const NEWEST: u32 = 100;

#[derive(Debug, Args)]
pub struct PromisesArgs {
    /// Only those that are due within this time, or late already: 30m.
    #[arg(long, value_name = "30m")]
    due: Option<Period>,
    /// Only those of this group.
    #[arg(long)]
    group: Option<String>,
    /// Only those that are late.
    #[arg(long)]
    late: bool,
    /// Only of this kind: callback-missed, incident, reminder, and so on.
    #[arg(long)]
    kind: Option<PromiseKind>,
    /// Those that are over, too: the newest ones, the newest first.
    #[arg(long, conflicts_with_all = ["due", "late"])]
    all: bool,
    /// At most so many with --all.
    #[arg(long, value_name = "N", requires = "all")]
    limit: Option<u32>,
    /// Show customers' numbers unmasked.
    #[arg(long)]
    full: bool,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Lists promises, whether the server runs or not.
pub async fn run(config: &Config, args: &PromisesArgs) -> anyhow::Result<ExitCode> {
    let filter = PromiseFilter {
        open: !args.all,
        kind: args.kind,
        group: args.group.clone(),
        newest: args.all.then(|| args.limit.unwrap_or(NEWEST)),
        ..PromiseFilter::default()
    };
    let store = Store::open(&config.database.url).await?;
    let found = store.promises(&filter).await;
    store.close().await;
    let mut found = found?;
    if args.group.is_some() && found.is_empty() {
        // Of dialplans with mistakes nobody knows the groups.
        let plan = plans::read_plan(config).unwrap_or_default();
        groups::must_be_known(&plan, args.group.as_deref(), false)?;
    }
    let clocks = Clocks::read(config, &found);
    if let Some(within) = args.due {
        let is_due = |promise: &Promise, now: Timestamp| promise.due < now.plus_ms(within.as_ms());
        found.retain(|PromiseRecord { promise, .. }| {
            clocks.of(promise).is_some_and(|now| is_due(promise, now))
        });
    }
    if args.late {
        found.retain(|record| is_late(&record.promise, clocks.of(&record.promise)));
    }
    let zone = TimeZone::system();
    let mut out = screen();
    if args.json {
        let as_json =
            |record: &PromiseRecord| as_json(record, clocks.of(&record.promise), &zone, args.full);
        let list: Vec<Value> = found.iter().map(as_json).collect();
        writeln!(out, "{:#}", json!({ "promises": list }))?;
    } else {
        print(&mut out, &found, clocks, &zone, args.full)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(
    out: &mut impl Write,
    found: &[PromiseRecord],
    clocks: Clocks,
    zone: &TimeZone,
    full: bool,
) -> io::Result<()> {
    if found.is_empty() {
        return writeln!(out, "nothing is owed to anybody");
    }
    let heading = [
        ("no", Side::Right),
        ("due", Side::Left),
        ("kind", Side::Left),
        ("customer", Side::Left),
        ("owner", Side::Left),
        ("state", Side::Left),
        ("attempts", Side::Right),
        ("reason", Side::Left),
        ("note", Side::Left),
    ];
    let row = |PromiseRecord { number, promise }: &PromiseRecord| {
        vec![
            number.to_string(),
            countdown(promise, clocks.of(promise), zone),
            promise.kind.to_string(),
            shown_phone(&promise.phone, full),
            owner(promise),
            promise.state.to_string(),
            promise.attempts.to_string(),
            reason(promise),
            promise.note.clone(),
        ]
    };
    table::print(out, &heading, &found.iter().map(row).collect::<Vec<_>>())?;
    let is_late = |record: &&PromiseRecord| is_late(&record.promise, clocks.of(&record.promise));
    let late = found.iter().filter(is_late).count();
    writeln!(
        out,
        "{} in all, {late} late; allo why promise NUMBER tells the story of one",
        found.len()
    )
}

/// Whether it should have been begun by now. Without a time nothing is late.
fn is_late(promise: &Promise, now: Option<Timestamp>) -> bool {
    now.is_some_and(|now| is_overdue(promise, now))
}

/// `in 12 min`, `late 5 min`; of one that is over: when it was. Without a time, the day and hour.
pub(super) fn countdown(promise: &Promise, now: Option<Timestamp>, zone: &TimeZone) -> String {
    let Some(now) = now else {
        let (word, at) = promise.ended.map_or(("due", promise.due), |ended| ("over", ended));
        return format!("{word} {}", at.in_zone(zone).strftime("%Y-%m-%d %H:%M"));
    };
    if let Some(ended) = promise.ended {
        return format!("over {} ago", rough(now.since(ended)));
    }
    match (now > promise.due, is_overdue(promise, now)) {
        (false, _) => format!("in {}", rough(promise.due.since(now))),
        (true, true) => format!("late {}", rough(now.since(promise.due))),
        (true, false) => "begun in time".to_owned(),
    }
}

/// From a minute on nobody counts the seconds.
fn rough(ms: u64) -> String {
    match ms {
        60_000..600_000 => format!("{} min", (ms + 30_000) / 60_000),
        _ => Span { ms }.to_string(),
    }
}

/// Whose operators call, or which robot does.
fn owner(promise: &Promise) -> String {
    if !promise.kind.is_human() {
        return format!("robot {}", promise.name);
    }
    promise.group.clone().unwrap_or_else(|| "–".to_owned())
}

/// What it came of, in a few words.
pub(super) fn reason(promise: &Promise) -> String {
    let about = &promise.about;
    let mut words = Vec::new();
    if promise.kind.is_human() && !promise.name.is_empty() {
        words.push(promise.name.clone());
    }
    if let Some(rating) = about.rating {
        words.push(format!("rated {rating}"));
    }
    if let Some(topic) = &about.topic {
        words.push(topic.clone());
    }
    words.extend(about.values.iter().map(|(name, value)| format!("{name} {value}")));
    if about.message.is_some() {
        words.push("left a message".to_owned());
    }
    if promise.rehearsal {
        words.push("rehearsal".to_owned());
    }
    words.join(", ")
}

/// With everything that is known of it. `now` is the time that counts for it, if there is one.
pub(super) fn as_json(
    record: &PromiseRecord,
    now: Option<Timestamp>,
    zone: &TimeZone,
    full: bool,
) -> Value {
    let PromiseRecord { number, promise } = record;
    let time = |at: Timestamp| rfc3339(at, zone);
    json!({
        "number": number,
        "id": promise.id,
        "kind": promise.kind,
        "name": promise.name,
        "customer": shown_phone(&promise.phone, full),
        "group": promise.group,
        "script": promise.script,
        "made": time(promise.made),
        "due": time(promise.due),
        "left-ms": now.map(|now| promise.due.0.saturating_sub(now.0)),
        "late": is_late(promise, now),
        "state": promise.state,
        "next-at": promise.next_at.map(time),
        "attempts": promise.attempts,
        "contacted": promise.contacted.map(time),
        "ended": promise.ended.map(time),
        "escalated": promise.escalated,
        "about": promise.about,
        "reason": reason(promise),
        "note": promise.note,
        "event": promise.event,
        "rehearsal": promise.rehearsal,
    })
}
