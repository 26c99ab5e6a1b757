//! `allo event import`: what happened in the shop, from a CSV file. All rows or none; a running
//! server sees to them at once, another one when it starts.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::screen::screen;
use crate::app::clock::Clock;
use crate::config::Config;
use crate::domain::hash::sha256;
use crate::domain::{RawEvent, Region, ShopEvent, Timestamp};
use crate::spreadsheet::{BadRows, Line, Mistakes, Source, read_open_lines};
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Read events from a CSV file: all rows or none.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Columns: event,phone,id; every other column is a value of the event. Without an id, the same
    /// row again on the same day (UTC) is the same event.
    file: PathBuf,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Imports, whether the server runs or not.
pub async fn run(config: &Config, command: EventCommand) -> anyhow::Result<ExitCode> {
    let EventCommand::Import(args) = command;
    let now = Clock::start().now();
    let events = match events(&args, config.sip.region, now) {
        Ok(events) => events,
        Err(BadRows { errors, more }) if args.json => {
            let report = json!({ "ok": false, "problems": errors, "more": more });
            writeln!(screen(), "{report:#}")?;
            return Ok(ExitCode::FAILURE);
        }
        Err(wrong) => return Err(wrong.into()),
    };
    let store = Store::open(&config.database.url).await?;
    let added = store.add_shop_events(&events, "csv", now).await;
    store.close().await;
    let (new, repeated) = added?;
    let mut out = screen();
    match args.json {
        true => writeln!(out, "{:#}", json!({ "ok": true, "new": new, "repeated": repeated }))?,
        false => writeln!(out, "imported: {new} new, {repeated} known already")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn events(args: &ImportArgs, region: Region, now: Timestamp) -> Result<Vec<ShopEvent>, BadRows> {
    let mut mistakes = Mistakes::default();
    let mut events = Vec::new();
    if let Some(source) = Source::read(&args.file, &mut mistakes) {
        let (known, required) = (&["event", "phone", "id"], ["event", "phone"]);
        read_open_lines(&source, known, &required, &mut mistakes, |line, mistakes| {
            match raw(line).read(region, || key(line, now)) {
                Ok(event) => events.push(event),
                Err(mistake) => line.mistake(&mistake.field, mistake.why, mistakes),
            }
        });
    }
    mistakes.none_or_error()?;
    Ok(events)
}

fn raw(line: &Line<'_>) -> RawEvent {
    let text = |column| line.text(column).unwrap_or_default().to_owned();
    RawEvent {
        id: line.text("id").map(str::to_owned),
        event: text("event"),
        phone: text("phone"),
        values: line.others().map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
    }
}

/// Of a row without an id.
fn key(line: &Line<'_>, now: Timestamp) -> String {
    let cells: Vec<&str> = line.record.iter().map(str::trim).collect();
    let day = now.in_zone(&jiff::tz::TimeZone::UTC).date();
    format!("csv/{day}/{}", sha256(&cells))
}
