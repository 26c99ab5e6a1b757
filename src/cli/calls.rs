//! `allo calls`: past calls.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::screen::screen;
use crate::config::Config;
use crate::domain::{
    CallFact, CallerId, CallerName, Conversation, EndReason, EndedBy, LineOutcome, PhoneNumber,
    Pii, Region, Span, Timestamp, Visit,
};
use crate::store::{CallEvent, CallFilter, CallRecord, Store};

#[derive(Debug, Args)]
pub struct CallsArgs {
    /// At most so many calls, the newest first.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: u32,
    /// Only calls of this number.
    #[arg(long, value_name = "PHONE")]
    from: Option<String>,
    /// Show callers' numbers and names unmasked.
    #[arg(long)]
    full: bool,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Lists calls, whether the server runs or not.
pub async fn run(config: &Config, args: &CallsArgs) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.database.url).await?;
    let caller = args.from.as_deref().map(|from| {
        PhoneNumber::parse(from, config.sip.region)
            .map_or_else(|| from.to_owned(), |number| number.as_str().to_owned())
    });
    let filter = CallFilter { caller, limit: args.limit, ..CallFilter::default() };
    let calls = store.calls(&filter).await?;
    store.close().await;
    let zone = TimeZone::system();
    let mut out = screen();
    if args.json {
        let list: Vec<Value> = calls.iter().map(|call| as_json(call, &zone, args.full)).collect();
        writeln!(out, "{:#}", json!({ "calls": list }))?;
    } else if calls.is_empty() {
        writeln!(out, "no calls yet")?;
    } else {
        for call in &calls {
            print(&mut out, call, &zone, args.full)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn shown_caller(caller: &CallerId, full: bool) -> String {
    if full { caller.full().to_owned() } else { Pii(caller).to_string() }
}

fn shown_name(name: &CallerName, full: bool) -> String {
    if full { name.full().to_owned() } else { Pii(name).to_string() }
}

pub(super) fn shown_phone(phone: &PhoneNumber, full: bool) -> String {
    if full { phone.as_str().to_owned() } else { Pii(phone).to_string() }
}

pub(super) fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    at.in_zone(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

fn as_json(call: &CallRecord, zone: &TimeZone, full: bool) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| rfc3339(at, zone));
    let events: Vec<Value> = call
        .events
        .iter()
        .map(|CallEvent { at, fact }| {
            let mut event = json!(fact);
            if let Some(fields) = event.as_object_mut() {
                // Stand above the events already, and masked.
                for known in ["caller", "caller_name", "dialled", "plan"] {
                    fields.remove(known);
                }
                fields.insert("at".to_owned(), json!(rfc3339(*at, zone)));
                if let CallFact::Transferred { to, .. } = fact {
                    fields.insert("to".to_owned(), json!(shown_number(to, full)));
                }
            }
            event
        })
        .collect();
    json!({
        "id": call.id,
        "started": rfc3339(call.started, zone),
        "answered": time(call.answered),
        "ended": time(call.ended),
        "caller": shown_caller(&call.caller, full),
        "caller-name": call.caller_name.as_ref().map(|name| shown_name(name, full)),
        "dialled": call.dialled,
        "plan": call.plan,
        "ended-by": call.ended_by,
        "end-reason": call.end_reason,
        "rtp": call.rtp,
        "rehearsal": call.rehearsal,
        "events": events,
    })
}

fn print(out: &mut impl Write, call: &CallRecord, zone: &TimeZone, full: bool) -> io::Result<()> {
    writeln!(out, "{}", heading(call, zone, full))?;
    let mut lines: Vec<(Timestamp, String)> = call
        .events
        .iter()
        .filter_map(|CallEvent { at, fact }| {
            let began = match fact {
                // Stored when it ended, listed where it began.
                CallFact::Said { heard_ms, .. } => {
                    call.started.plus_ms(at.since(call.started).saturating_sub(*heard_ms))
                }
                _ => *at,
            };
            Some((began, described(fact, full)?))
        })
        .collect();
    lines.sort_by_key(|(began, _)| *began);
    for (began, line) in lines {
        writeln!(out, "  {}  {line}", since_start(call, began))?;
    }
    Ok(())
}

/// When, who, whom, how it ended, and the id.
pub(super) fn heading(call: &CallRecord, zone: &TimeZone, full: bool) -> String {
    let end = match (call.ended, call.ended_by, call.end_reason) {
        (Some(ended), Some(by), Some(reason)) => {
            let seconds = ended.since(call.started) / 1_000;
            format!("{seconds} s, {}", how_ended(by, reason))
        }
        _ => "is up".to_owned(),
    };
    let started = call.started.in_zone(zone).strftime("%Y-%m-%d %H:%M:%S");
    let mut caller = shown_caller(&call.caller, full);
    if let Some(name) = &call.caller_name {
        caller += &format!(" ({})", shown_name(name, full));
    }
    let rehearsal = if call.rehearsal { "  rehearsal" } else { "" };
    format!("{started}  {caller} → {}  {end}  {}{rehearsal}", call.dialled, call.id)
}

/// `  4.120`
pub(super) fn since_start(call: &CallRecord, at: Timestamp) -> String {
    let after = at.since(call.started);
    format!("{:>3}.{:03}", after / 1_000, after % 1_000)
}

fn how_ended(by: EndedBy, reason: EndReason) -> String {
    let reason = match reason {
        EndReason::HungUp => "hung up",
        EndReason::Cancelled => "gave up before the answer",
        EndReason::UnknownNumber => "unknown number",
        EndReason::Busy => "no room for the call",
        EndReason::NotReached => "the customer was not reached",
        EndReason::NotAcknowledged => "the answer was never acknowledged",
        EndReason::MediaDied => "no audio came any more",
        EndReason::SessionExpired => "the session timer ran out",
        EndReason::SignallingFailed => "signalling failed",
        EndReason::Shutdown => "the server was stopped",
        EndReason::Lost => "lost: the server died",
        EndReason::Failed => "failed",
    };
    let who = match by {
        EndedBy::Caller => "caller",
        EndedBy::Operator => "operator",
        EndedBy::Plan => "plan",
        EndedBy::Server => "server",
        EndedBy::Network => "network",
    };
    format!("{who}: {reason}")
}

/// A line for people; `None` for what is told elsewhere.
pub(super) fn described(fact: &CallFact, full: bool) -> Option<String> {
    Some(match fact {
        // In the heading.
        CallFact::Offered { .. } | CallFact::Ended { .. } => return None,
        CallFact::Placed { promise, .. } => format!("placed by us; promise {promise}"),
        CallFact::NotReached { outcome } => format!("not reached: {outcome}"),
        CallFact::Answered => "answered".to_owned(),
        CallFact::Step { name } => format!("→ {name}"),
        CallFact::Said { text, is_cut: false, .. } => format!("«{text}»"),
        CallFact::Said { text, heard_ms, .. } => format!("«{text}», cut after {heard_ms} ms"),
        CallFact::Key { key, .. } => format!("key {key}"),
        CallFact::Entered { variable, digits } => format!("{digits} digits for {variable}"),
        CallFact::LookedUp { what, outcome, took_ms } => {
            format!("looked up {what}: {outcome} ({took_ms} ms)")
        }
        CallFact::Queued { group } => format!("line of {group}"),
        // `allo why` tells decisions.
        CallFact::Decided(_) => return None,
        CallFact::NotTaken { operator, outcome, rang_ms } => {
            format!("{operator} did not take it: {outcome} after {}", Span { ms: *rang_ms })
        }
        CallFact::Connected { operator } => format!("connected with {operator}"),
        CallFact::LeftLine(visit) => left_line(visit),
        CallFact::Transferred { by, to, attended } => {
            let how = if *attended { "after asking there" } else { "without asking" };
            format!("{by} transferred it to {}, {how}", shown_number(to, full))
        }
        CallFact::Conversed(talk) => conversed(talk),
        CallFact::Asked { survey } => format!("asked in the same call: {survey}"),
        CallFact::Recorded(note) => match &note.problem {
            None => format!("recorded: {}, {}", note.file, Span { ms: note.length_ms }),
            Some(problem) => format!("recorded in part: {}; {problem}", note.file),
        },
        CallFact::Promised { promise, due, number: _ } => format!("promised: {promise}, due {due}"),
        CallFact::Rtp(rtp) => format!(
            "audio: {} packets sent, {} received, {} lost, jitter {:.1} ms",
            rtp.packets_sent, rtp.packets_received, rtp.packets_lost, rtp.jitter_ms
        ),
    })
}

fn left_line(visit: &Visit) -> String {
    let outcome = match (&visit.operator, visit.outcome) {
        (Some(operator), LineOutcome::Answered) => format!("answered by {operator}"),
        (_, outcome) => outcome.to_string(),
    };
    format!("left the line of {} after {}: {outcome}", visit.group, Span { ms: visit.wait_ms })
}

fn conversed(talk: &Conversation) -> String {
    let mut text = format!("{} talked {}", talk.operator, Span { ms: talk.talk_ms });
    for (what, ms) in [("hold", talk.hold_ms), ("wrap-up", talk.wrap_up_ms)] {
        if ms > 0 {
            text += &format!(", {what} {}", Span { ms });
        }
    }
    if let Some(topic) = &talk.topic {
        text += &format!(", topic {topic}");
    }
    text
}

/// A public number is a person's; extensions and groups are not.
pub(super) fn shown_number(text: &str, full: bool) -> String {
    match PhoneNumber::parse(text, Region::default()) {
        Some(number) if !full => shown_phone(&number, false),
        Some(_) | None => text.to_owned(),
    }
}
