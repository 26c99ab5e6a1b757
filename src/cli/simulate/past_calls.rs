//! Calls that once came, from a CSV file: `time` (or `started`), `handle`, `group`, `patience`.

use std::path::Path;

use jiff::civil::{Date, DateTime, Time};

use crate::dialplan::day::{Day, Minutes, PastCall};
use crate::dialplan::duration;
use crate::spreadsheet::{Line, Mistakes, Source, read_lines};

const COLUMNS: &[&str] = &["time", "started", "handle", "group", "patience"];
/// Calls in one file.
const CALLS_MAX: usize = 1_000_000;
const DAY_MIN: u32 = 24 * 60;

/// The calls of one day.
#[derive(Debug)]
pub(super) struct PastCalls {
    /// Of the first line.
    pub date: Date,
    calls: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    line: u64,
    group: Option<String>,
    call: PastCall,
}

impl PastCalls {
    /// Whole hours around the calls, on their day.
    pub fn minutes(&self) -> Minutes {
        let minutes = || self.calls.iter().map(|row| minute(row.call.at_ms));
        let first = minutes().min().unwrap_or(0);
        let last = minutes().max().unwrap_or(0);
        Minutes { start: first / 60 * 60, end: (last / 60 + 1) * 60 }
    }

    /// Puts the calls in the place of those that the day would have by chance. A line without a group
    /// belongs to the first one.
    pub fn replace_calls(self, day: &mut Day, file: &Path) -> anyhow::Result<()> {
        let mut mistakes = Mistakes::default();
        for group in &mut day.groups {
            group.rates.clear();
        }
        for Row { line, group, call } in self.calls {
            let name = |wanted: &str| day.groups.iter().position(|g| g.rules.name == wanted);
            match group.as_deref().map_or(Some(0), name) {
                Some(index) => day.groups[index].past.push(call),
                None => {
                    let known: Vec<&str> =
                        day.groups.iter().map(|group| group.rules.name.as_str()).collect();
                    let message = format!("there is no such group here, only {}", known.join(", "));
                    mistakes.add(file, Some(line), Some("group"), message);
                }
            }
        }
        told(mistakes)
    }
}

fn minute(at_ms: u64) -> u32 {
    u32::try_from(at_ms / 60_000).unwrap_or(DAY_MIN)
}

/// Reads a file of calls. All mistakes are named, each with its line and column.
pub(super) fn read(file: &Path) -> anyhow::Result<PastCalls> {
    let mut mistakes = Mistakes::default();
    let source = Source::read(file, &mut mistakes);
    let calls = source.map(|source| parse(&source, file, &mut mistakes));
    told(mistakes)?;
    let calls = calls.flatten();
    calls.ok_or_else(|| anyhow::anyhow!("{}: there are no calls in it", file.display()))
}

/// `None`: there are no calls.
pub(super) fn parse(source: &Source, file: &Path, mistakes: &mut Mistakes) -> Option<PastCalls> {
    let mut date: Option<Date> = None;
    let mut calls = Vec::new();
    let columns = read_lines(source, COLUMNS, &[], mistakes, |line, mistakes| {
        let column = if line.text("time").is_some() { "time" } else { "started" };
        let known = if line.columns.contains_key("time") { "time" } else { column };
        let Some((day, time)) = line.required(known, moment, mistakes) else { return };
        if let Some(day) = day {
            let first = *date.get_or_insert(day);
            if first != day {
                let message =
                    format!("not on {first}, the day of the first call; one file is one day");
                line.mistake(known, &message, mistakes);
            }
        }
        calls.push(Row {
            line: line.number,
            group: line.text("group").map(str::to_owned),
            call: PastCall {
                at_ms: since_midnight_ms(time),
                handle_ms: length(line, "handle", mistakes),
                patience_ms: length(line, "patience", mistakes),
            },
        });
    });
    if !columns.contains("time") && !columns.contains("started") {
        let message = "this column is missing (or \"started\")".to_owned();
        mistakes.add(file, Some(1), Some("time"), message);
    }
    if calls.len() > CALLS_MAX {
        let message = format!("more than {CALLS_MAX} calls");
        mistakes.add(file, None, None, message);
    }
    (!calls.is_empty()).then(|| PastCalls { date: date.unwrap_or(super::DATE), calls })
}

fn told(mistakes: Mistakes) -> anyhow::Result<()> {
    let Err(bad) = mistakes.none_or_error() else { return Ok(()) };
    let mut lines: Vec<String> = bad.errors.iter().map(ToString::to_string).collect();
    if bad.more > 0 {
        lines.push(format!("and {} more mistakes", bad.more));
    }
    anyhow::bail!("the past calls are wrong\n{}", lines.join("\n"))
}

/// `10:00:12`, `2026-11-23 10:00:12`, `2026-11-23T10:00:12+03:00`: the wall clock as it is written.
fn moment(text: &str) -> Result<(Option<Date>, Time), &'static str> {
    if let Ok(time) = text.parse::<Time>() {
        // jiff takes "2026-11-23 10:00" as a time as well; its date counts.
        let date = text.contains('-').then(|| text.parse::<DateTime>().ok()).flatten();
        return Ok((date.map(DateTime::date), time));
    }
    let wall = text.trim_end_matches('Z').parse::<DateTime>();
    let wall = wall.map_err(|_| "not a time such as 10:00:12 or 2026-11-23 10:00:12")?;
    Ok((Some(wall.date()), wall.time()))
}

fn since_midnight_ms(time: Time) -> u64 {
    let since = time.duration_since(Time::midnight()).as_millis();
    u64::try_from(since).unwrap_or(0)
}

fn length(line: &Line<'_>, column: &str, mistakes: &mut Mistakes) -> Option<u64> {
    line.value(column, seconds, mistakes)
}

/// `183` and `183.5` are seconds; `3m3s` is a duration as in dialplans; `0:03:03` hours, minutes,
/// seconds.
fn seconds(text: &str) -> Result<u64, &'static str> {
    const WANTED: &str = "not a length such as 183 (seconds), 3m3s or 0:03:03";
    const LONGEST_S: f64 = 86_400.0;
    if let Ok(seconds) = text.replace(',', ".").parse::<f64>() {
        let is_length = (0.0..=LONGEST_S).contains(&seconds);
        return if is_length { Ok((seconds * 1_000.0).round() as u64) } else { Err(WANTED) };
    }
    if text.contains(':') {
        let parts: Result<Vec<u64>, _> = text.split(':').map(str::parse).collect();
        return match parts.as_deref() {
            Ok([hours @ 0..=24, minutes @ 0..60, seconds @ 0..60]) => {
                Ok((hours * 3_600 + minutes * 60 + seconds) * 1_000)
            }
            Ok([minutes @ 0..=1_440, seconds @ 0..60]) => Ok((minutes * 60 + seconds) * 1_000),
            Ok(_) | Err(_) => Err(WANTED),
        };
    }
    duration(text).map_err(|_| WANTED)
}
