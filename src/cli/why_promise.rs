//! `allo why promise 12`: the whole story of a promise, as it was stored.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::calls::{described, heading, rfc3339, shown_phone, since_start};
use super::clocks::Clocks;
use super::promises::{as_json, countdown, reason};
use super::screen::screen;
use crate::app::plans;
use crate::config::Config;
use crate::domain::{Attempt, CallId, Promise, PromiseState, Timestamp};
use crate::store::{
    CallFilter, CallRecord, Change, PromiseRecord, PromiseStory, RatingRecord, Store,
};

/// Calls that are told with a story; of more, the last ones.
const CALLS_MAX: usize = 50;

/// Tells it, whether the server runs or not.
pub async fn run(
    config: &Config,
    wanted: &str,
    full: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let wanted = wanted.trim_start_matches(['#', '№']);
    let number: u64 = wanted.parse().with_context(|| {
        format!("\"{wanted}\" is not the number of a promise; allo promises lists them")
    })?;
    let store = Store::open(&config.database.url).await?;
    let Some(story) = store.promise_story(number).await? else {
        bail!("there is no promise {number}; allo promises --all lists them");
    };
    let calls = calls_of(&store, &story).await?;
    store.close().await;
    let record = PromiseRecord { number: story.number, promise: story.promise.clone() };
    let now = Clocks::read(config, [&record]).of(&story.promise);
    let zone = zone_of(config, &story.promise);
    let mut out = screen();
    if json {
        writeln!(
            out,
            "{:#}",
            document(&story, &calls, &as_json(&record, now, &zone, full), &zone)
        )?;
    } else {
        print(&mut out, &story, &calls, now, &zone, full)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// That of the plan by whose rules the promise is kept: its notes tell times in it, too. Of dialplans
/// with mistakes nobody knows it; then that of this machine.
fn zone_of(config: &Config, promise: &Promise) -> TimeZone {
    let plan = plans::read_plan(config).unwrap_or_default();
    let script = plan.scripts.get(&promise.script).or_else(|| plan.scripts.values().next());
    script.map_or_else(TimeZone::system, |script| script.timezone.clone())
}

/// The call that it came of, and those in which it was tried.
async fn calls_of(store: &Store, story: &PromiseStory) -> anyhow::Result<Vec<CallRecord>> {
    let tried = story.attempts.iter().map(|attempt| attempt.call);
    let mut ids: Vec<CallId> = story.promise.about.call.into_iter().chain(tried).collect();
    ids.dedup();
    let mut calls = Vec::new();
    for id in ids.drain(ids.len().saturating_sub(CALLS_MAX)..) {
        calls.extend(store.calls(&CallFilter { id: Some(id), ..CallFilter::default() }).await?);
    }
    Ok(calls)
}

fn print(
    out: &mut impl Write,
    story: &PromiseStory,
    calls: &[CallRecord],
    now: Option<Timestamp>,
    zone: &TimeZone,
    full: bool,
) -> io::Result<()> {
    let PromiseStory { number, promise, .. } = story;
    let phone = shown_phone(&promise.phone, full);
    let Promise { kind, state, due, group, script, .. } = promise;
    let name = if promise.name.is_empty() { String::new() } else { format!(" {}", promise.name) };
    let left = countdown(promise, now, zone);
    writeln!(out, "promise {number}  {kind}{name}  {phone}  {state}, {left}")?;
    let whose = group.as_deref().map_or_else(String::new, |group| format!(" by {group}"));
    let of_zone = zone.iana_name().map_or_else(String::new, |name| format!(" ({name})"));
    let due = shown(*due, zone);
    writeln!(out, "  to be kept{whose} until {due}{of_zone}, by the rules of {script}")?;
    let reason = reason(promise);
    if !reason.is_empty() {
        writeln!(out, "  about {reason}")?;
    }
    if let Some(operator) = &promise.about.operator {
        writeln!(out, "  {operator} talked with the customer before")?;
    }
    if let Some(event) = &promise.event {
        writeln!(out, "  of the event {event}")?;
    }
    writeln!(out)?;
    for (at, line) in told(story, zone) {
        writeln!(out, "  {}  {line}", shown(at, zone))?;
    }
    for call in calls {
        writeln!(out)?;
        writeln!(out, "call {}", heading(call, zone, full))?;
        for event in &call.events {
            if let Some(line) = described(&event.fact, full) {
                writeln!(out, "  {}  {line}", since_start(call, event.at))?;
            }
        }
    }
    Ok(())
}

/// What happened, in order. Changes keep the order in which they were stored, for the wall clock may
/// have jumped; what else happened stands before the first change that is later.
fn told(story: &PromiseStory, zone: &TimeZone) -> Vec<(Timestamp, String)> {
    let mut lines: Vec<(Timestamp, String)> = Vec::new();
    let mut before: Option<&Change> = None;
    for change in &story.changes {
        lines.push((change.at, changed(before, change, zone)));
        before = Some(change);
    }
    let begun = story.attempts.iter().map(|attempt| (attempt.at, begin(attempt)));
    let ended = story.attempts.iter().filter_map(|attempt| Some((attempt.ended?, end(attempt))));
    let rated = story.ratings.iter().map(|record| (record.at, rated(record)));
    for begun in begun {
        let place = lines.iter().position(|(at, _)| *at > begun.0).unwrap_or(lines.len());
        lines.insert(place, begun);
    }
    // A change at the same moment came of it.
    for cause in ended.chain(rated) {
        let place = lines.iter().position(|(at, _)| *at >= cause.0).unwrap_or(lines.len());
        lines.insert(place, cause);
    }
    lines
}

fn changed(before: Option<&Change>, change: &Change, zone: &TimeZone) -> String {
    let mut words = vec![match before {
        None => "made".to_owned(),
        Some(before) if before.state == change.state => change.state.to_string(),
        Some(before) => format!("{} → {}", before.state, change.state),
    }];
    if !change.note.is_empty() && before.is_none_or(|before| before.note != change.note) {
        words.push(change.note.clone());
    }
    if let Some(before) = before
        && before.due != change.due
    {
        words.push(format!("due {}", shown(change.due, zone)));
    }
    let waits = matches!(change.state, PromiseState::Open | PromiseState::Scheduled);
    if let Some(next) = change.next_at.filter(|_| waits)
        && before.is_none_or(|before| before.next_at != change.next_at)
    {
        words.push(format!("not before {}", shown(next, zone)));
    }
    if change.escalated && before.is_none_or(|before| !before.escalated) {
        words.push("supervisors were told that it will be late".to_owned());
    }
    words.join("; ")
}

fn begin(attempt: &Attempt) -> String {
    let by = attempt.operator.as_ref().map_or_else(String::new, |login| format!(" for {login}"));
    format!("attempt {}{by}: call {}", attempt.number, attempt.call)
}

fn end(attempt: &Attempt) -> String {
    let outcome = attempt.outcome.map_or_else(|| "ended".to_owned(), |outcome| outcome.to_string());
    format!("attempt {}: {outcome}", attempt.number)
}

fn rated(record: &RatingRecord) -> String {
    let of = record.rating.operator.as_ref();
    let of = of.map_or_else(String::new, |login| format!(", of the conversation with {login}"));
    format!("the customer pressed {} for {}{of}", record.rating.score, record.rating.survey)
}

fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.in_zone(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn document(story: &PromiseStory, calls: &[CallRecord], promise: &Value, zone: &TimeZone) -> Value {
    let time = |at: Timestamp| rfc3339(at, zone);
    let changes = story.changes.iter().map(|change| {
        json!({
            "at": time(change.at), "state": change.state, "due": time(change.due),
            "next-at": change.next_at.map(time), "attempts": change.attempts,
            "escalated": change.escalated, "note": change.note,
        })
    });
    let attempts = story.attempts.iter().map(|attempt| {
        json!({
            "number": attempt.number, "call": attempt.call, "at": time(attempt.at),
            "outcome": attempt.outcome, "ended": attempt.ended.map(time),
            "operator": attempt.operator,
        })
    });
    let ratings = story.ratings.iter().map(|record| {
        json!({ "at": time(record.at), "given-in": record.given_in, "rating": record.rating })
    });
    let told =
        told(story, zone).into_iter().map(|(at, text)| json!({ "at": time(at), "text": text }));
    json!({
        "promise": promise,
        "told": told.collect::<Vec<_>>(),
        "changes": changes.collect::<Vec<_>>(),
        "attempts": attempts.collect::<Vec<_>>(),
        "ratings": ratings.collect::<Vec<_>>(),
        "calls": calls.iter().map(|call| call.id).collect::<Vec<_>>(),
    })
}
