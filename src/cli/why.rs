//! `allo why`: who was rung for a call and why, and why everybody else was not, as it was decided
//! and stored at that moment.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::calls::{described, heading, rfc3339, shown_caller, shown_number, since_start};
use super::screen::screen;
use super::{why_group, why_promise};
use crate::config::Config;
use crate::domain::{CallFact, Decision, Span};
use crate::store::{CallEvent, CallFilter, CallRecord, Store};

/// Among so many of the latest calls `last` looks for one that was in a line.
const LAST_MAX: u32 = 200;
/// So many calls are named when the beginning of an id is not enough.
const NAMED_MAX: u32 = 10;

#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The id of a call as `allo calls` lists it, or its beginning; "last" is the latest call that
    /// was in a group's line; "group", followed by a name, is a group's line just now; "promise",
    /// followed by its number, is something owed to a customer.
    #[arg(value_name = "CALL|last|group|promise")]
    what: String,
    /// The group, after "group": the running server is asked; the number, after "promise".
    #[arg(value_name = "GROUP|NUMBER")]
    which: Option<String>,
    /// Show numbers unmasked.
    #[arg(long)]
    full: bool,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Explains a call, whether the server runs or not.
pub async fn run(config: &Config, args: &WhyArgs) -> anyhow::Result<ExitCode> {
    match (args.what.as_str(), &args.which) {
        ("group", Some(group)) => return why_group::run(config, group, args.json).await,
        ("group", None) => bail!("which group? allo why group support"),
        ("promise", Some(number)) => {
            return why_promise::run(config, number, args.full, args.json).await;
        }
        ("promise", None) => bail!("which promise? allo promises lists them with their numbers"),
        (_, Some(_)) => bail!("one call at a time; for a group's line: allo why group support"),
        (_, None) => {}
    }
    let store = Store::open(&config.database.url).await?;
    let found = find(&store, &args.what).await;
    store.close().await;
    let call = found?;
    let zone = TimeZone::system();
    let mut out = screen();
    if args.json {
        writeln!(out, "{:#}", as_json(&call, &zone, args.full))?;
    } else {
        print(&mut out, &call, &zone, args.full)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn find(store: &Store, wanted: &str) -> anyhow::Result<CallRecord> {
    if wanted == "last" {
        let calls = store.calls(&CallFilter { limit: LAST_MAX, ..CallFilter::default() }).await?;
        let in_line = calls.iter().position(|call| of_line(call).next().is_some());
        return match calls.into_iter().nth(in_line.unwrap_or(0)) {
            Some(call) => Ok(call),
            None => bail!("no calls yet"),
        };
    }
    let id_begins = Some(wanted.trim().to_lowercase());
    let filter = CallFilter { id_begins, limit: NAMED_MAX, ..CallFilter::default() };
    let mut calls = store.calls(&filter).await?;
    if calls.len() > 1 {
        let ids: Vec<String> = calls.iter().map(|call| format!("  {}", call.id)).collect();
        bail!("{wanted} is the beginning of several calls:\n{}", ids.join("\n"));
    }
    match calls.pop() {
        Some(call) => Ok(call),
        None => bail!("no call begins with {wanted}; allo calls lists them with their ids"),
    }
}

/// What happened to the call in lines and with operators.
fn of_line(call: &CallRecord) -> impl Iterator<Item = &CallEvent> {
    call.events.iter().filter(|event| match event.fact {
        CallFact::Queued { .. }
        | CallFact::Decided(_)
        | CallFact::NotTaken { .. }
        | CallFact::Connected { .. }
        | CallFact::LeftLine(_)
        | CallFact::Transferred { .. }
        | CallFact::Conversed(_) => true,
        CallFact::Offered { .. }
        | CallFact::Placed { .. }
        | CallFact::NotReached { .. }
        | CallFact::Answered
        | CallFact::Step { .. }
        | CallFact::Said { .. }
        | CallFact::Key { .. }
        | CallFact::Entered { .. }
        | CallFact::LookedUp { .. }
        | CallFact::Asked { .. }
        | CallFact::Recorded(_)
        | CallFact::Promised { .. }
        | CallFact::Ended { .. }
        | CallFact::Rtp(_) => false,
    })
}

fn print(out: &mut impl Write, call: &CallRecord, zone: &TimeZone, full: bool) -> io::Result<()> {
    writeln!(out, "{}", heading(call, zone, full))?;
    if of_line(call).next().is_none() {
        writeln!(out, "  this call was in no group's line")?;
    }
    for event in of_line(call) {
        let at = since_start(call, event.at);
        match &event.fact {
            CallFact::Decided(decision) => print_decision(out, &at, decision)?,
            fact => {
                if let Some(line) = described(fact, full) {
                    writeln!(out, "  {at}  {line}")?;
                }
            }
        }
    }
    Ok(())
}

fn print_decision(out: &mut impl Write, at: &str, decision: &Decision) -> io::Result<()> {
    let Decision { group, rule, plan, waited_ms, chosen, .. } = decision;
    let waited = Span { ms: *waited_ms };
    let rung = match chosen.as_slice() {
        [] => "nobody can be rung".to_owned(),
        chosen => {
            let names: Vec<&str> = chosen.iter().map(|login| login.as_str()).collect();
            format!("rings {}", names.join(", "))
        }
    };
    writeln!(out, "  {at}  {group} after {waited}: {rung} (rule {rule}, plan {plan})")?;
    let reasons = decision.reasons();
    let width = reasons.iter().map(|(login, _)| login.as_str().len()).max().unwrap_or(0);
    for (login, reason) in reasons {
        writeln!(out, "             {:<width$}  {reason}", login.as_str())?;
    }
    Ok(())
}

fn as_json(call: &CallRecord, zone: &TimeZone, full: bool) -> Value {
    let events: Vec<Value> = of_line(call)
        .map(|event| {
            let mut fields = json!(event.fact);
            fields["at"] = json!(rfc3339(event.at, zone));
            fields["after-ms"] = json!(event.at.since(call.started));
            fields["text"] = json!(described(&event.fact, full));
            if let CallFact::Transferred { to, .. } = &event.fact {
                fields["to"] = json!(shown_number(to, full));
            }
            if let CallFact::Decided(decision) = &event.fact {
                let reasons = decision.reasons();
                let each =
                    reasons.iter().map(|(login, why)| json!({ "operator": login, "why": why }));
                fields["reasons"] = each.collect();
            }
            fields
        })
        .collect();
    json!({
        "id": call.id,
        "started": rfc3339(call.started, zone),
        "caller": shown_caller(&call.caller, full),
        "dialled": call.dialled,
        "events": events,
    })
}
