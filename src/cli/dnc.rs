//! `allo dnc`: who is not to be called, and the register of what customers agreed to and forbade.
//! Works while the server runs, which takes changes over within a second.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::calls::{rfc3339, shown_phone};
use super::screen::screen;
use super::table::{self, Side};
use crate::app::clock::Clock;
use crate::app::plans;
use crate::config::{Config, nearest};
use crate::crm::fields;
use crate::domain::{DoNotCall, PhoneNumber, Region, Timestamp};
use crate::spreadsheet::{BadRows, Mistakes, Source, read_lines};
use crate::store::Store;

/// Where entries come from that were made here.
const HERE: &str = "command line";
const COLUMNS: &[&str] = &["phone", "robot", "source"];

#[derive(Debug, Subcommand)]
pub enum DncCommand {
    /// No robot calls this number any more, or one of them does not.
    Add(EntryArgs),
    /// Robots may call this number again.
    Remove(EntryArgs),
    /// Who is not to be called, by what, since when, and who said so.
    List(ListArgs),
    /// Add numbers from a CSV file: all rows or none.
    Import(ImportArgs),
    /// The register: what customers agreed to and forbade, when, and by which key. Nothing in it is
    /// ever changed.
    Consents(ListArgs),
}

#[derive(Debug, Args)]
pub struct EntryArgs {
    /// The customer's number.
    phone: String,
    /// Only calls by this survey or robot of the dialplans; without it calls by any.
    #[arg(long, value_name = "NAME")]
    robot: Option<String>,
    /// Who wants it so, for list and register.
    #[arg(long, default_value = HERE, value_name = "TEXT", value_parser = source)]
    source: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this number.
    phone: Option<String>,
    /// Show numbers unmasked.
    #[arg(long)]
    full: bool,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Columns: phone,robot,source; only phone must be there. No robot: not to be called by any.
    file: PathBuf,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Does it, whether the server runs or not.
pub async fn run(config: &Config, command: DncCommand) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.database.url).await?;
    let now = Clock::start().now();
    let done = match &command {
        DncCommand::Add(args) => add(config, &store, args, now).await,
        DncCommand::Remove(args) => remove(config, &store, args, now).await,
        DncCommand::List(args) => list(config, &store, args).await,
        DncCommand::Import(args) => import(config, &store, args, now).await,
        DncCommand::Consents(args) => consents(config, &store, args).await,
    };
    store.close().await;
    done
}

async fn add(
    config: &Config,
    store: &Store,
    args: &EntryArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let entry = entry(config, args)?;
    warn_of_unknown_robots(config, args.robot.iter());
    let phone = shown_phone(&entry.phone, false);
    let what = by_what(entry.robot.as_deref());
    match store.forbid(&[(entry, args.source.clone())], now).await? {
        0 => println!("{phone} was not to be called by {what} before"),
        _ => println!("{phone} is not called by {what} any more"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(
    config: &Config,
    store: &Store,
    args: &EntryArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let entry = entry(config, args)?;
    let phone = shown_phone(&entry.phone, false);
    let what = by_what(entry.robot.as_deref());
    if store.allow(&entry, &args.source, now).await? {
        println!("{phone} may be called by {what} again");
        return Ok(ExitCode::SUCCESS);
    }
    let others = store.refusals(Some(&entry.phone)).await?;
    let others: Vec<String> =
        others.iter().map(|other| by_what(other.forbidden.robot.as_deref())).collect();
    match others.is_empty() {
        true => bail!("{phone} is not on the list"),
        false => bail!("{phone} is on the list for {} only; --robot names one", others.join(", ")),
    }
}

async fn list(config: &Config, store: &Store, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let of = args.phone.as_deref().map(|text| phone(text, config.sip.region)).transpose()?;
    let refusals = store.refusals(of.as_ref()).await?;
    let zone = TimeZone::system();
    let mut out = screen();
    if args.json {
        let each = refusals.iter().map(|refusal| {
            json!({
                "phone": shown_phone(&refusal.forbidden.phone, args.full),
                "robot": refusal.forbidden.robot,
                "source": refusal.source,
                "at": rfc3339(refusal.at, &zone),
            })
        });
        writeln!(out, "{:#}", json!({ "do-not-call": each.collect::<Vec<Value>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if refusals.is_empty() {
        writeln!(out, "everybody may be called")?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = ["phone", "not by", "since", "source"].map(|name| (name, Side::Left));
    let row = |refusal: &crate::store::Refusal| {
        vec![
            shown_phone(&refusal.forbidden.phone, args.full),
            by_what(refusal.forbidden.robot.as_deref()),
            shown(refusal.at, &zone),
            refusal.source.clone(),
        ]
    };
    table::print(&mut out, &heading, &refusals.iter().map(row).collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

async fn consents(config: &Config, store: &Store, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let of = args.phone.as_deref().map(|text| phone(text, config.sip.region)).transpose()?;
    let register = store.consents(of.as_ref()).await?;
    let zone = TimeZone::system();
    let mut out = screen();
    if args.json {
        let each = register.iter().map(|entry| {
            let phone = shown_phone(&entry.phone, args.full);
            json!({ "phone": phone, "at": rfc3339(entry.at, &zone), "said": entry.said })
        });
        writeln!(out, "{:#}", json!({ "consents": each.collect::<Vec<Value>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if register.is_empty() {
        writeln!(out, "nothing in the register")?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = ["phone", "at", "said"].map(|name| (name, Side::Left));
    let row = |entry: &crate::store::Consent| {
        let phone = shown_phone(&entry.phone, args.full);
        vec![phone, shown(entry.at, &zone), entry.said.clone()]
    };
    table::print(&mut out, &heading, &register.iter().map(row).collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

async fn import(
    config: &Config,
    store: &Store,
    args: &ImportArgs,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let by_source = match rows(&args.file, config.sip.region) {
        Ok(rows) => rows,
        Err(BadRows { errors, more }) if args.json => {
            let report = json!({ "ok": false, "problems": errors, "more": more });
            writeln!(screen(), "{report:#}")?;
            return Ok(ExitCode::FAILURE);
        }
        Err(wrong) => return Err(wrong.into()),
    };
    let rows = by_source.len();
    warn_of_unknown_robots(config, by_source.keys().filter_map(|entry| entry.robot.as_ref()));
    let new = store.forbid(&by_source.into_iter().collect::<Vec<_>>(), now).await?;
    let known = u64::try_from(rows).unwrap_or(u64::MAX).saturating_sub(new);
    let mut out = screen();
    match args.json {
        true => writeln!(out, "{:#}", json!({ "ok": true, "new": new, "known": known }))?,
        false => writeln!(out, "imported: {new} new, {known} known already")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Each entry with its source.
fn rows(file: &Path, region: Region) -> Result<BTreeMap<DoNotCall, String>, BadRows> {
    let mut mistakes = Mistakes::default();
    let mut rows = BTreeMap::new();
    if let Some(source) = Source::read(file, &mut mistakes) {
        read_lines(&source, COLUMNS, &["phone"], &mut mistakes, |line, mistakes| {
            let number = |text: &str| phone_of(text, region);
            let robot = line.value("robot", fields::short_text, mistakes);
            let source = line.value("source", fields::short_text, mistakes);
            let Some(phone) = line.required("phone", number, mistakes) else { return };
            let source = source.unwrap_or_else(|| "import".to_owned());
            rows.entry(DoNotCall { phone, robot }).or_insert(source);
        });
    }
    mistakes.none_or_error()?;
    Ok(rows)
}

fn entry(config: &Config, args: &EntryArgs) -> anyhow::Result<DoNotCall> {
    let phone = phone(&args.phone, config.sip.region)?;
    Ok(DoNotCall { phone, robot: args.robot.clone() })
}

fn phone(text: &str, region: Region) -> anyhow::Result<PhoneNumber> {
    phone_of(text, region).map_err(anyhow::Error::msg).with_context(|| format!("\"{text}\""))
}

fn phone_of(text: &str, region: Region) -> Result<PhoneNumber, &'static str> {
    let number = PhoneNumber::parse(text, region).ok_or("not a phone number")?;
    match number.has_possible_length() {
        true => Ok(number),
        false => Err("a digit is missing or one too many"),
    }
}

fn source(text: &str) -> Result<String, &'static str> {
    fields::short_text(text.trim())
}

/// A name that no plan has forbids nothing today; it may be a slip of the pen.
fn warn_of_unknown_robots<'a>(config: &Config, names: impl Iterator<Item = &'a String>) {
    let names: BTreeSet<&String> = names.collect();
    let Ok(plan) = plans::read_plan(config) else { return };
    let known = || plan.scripts.values().flat_map(|script| script.robots.keys());
    for name in names.into_iter().filter(|name| !known().any(|other| other == *name)) {
        let hint = match nearest(name, known().map(String::as_str)) {
            Some(meant) => format!("; did you mean \"{meant}\"?"),
            None => String::new(),
        };
        eprintln!("warning: no dialplan has a survey or robot \"{name}\"{hint}");
    }
}

fn by_what(robot: Option<&str>) -> String {
    robot.map_or_else(|| "any robot".to_owned(), |robot| format!("\"{robot}\""))
}

fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.in_zone(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
