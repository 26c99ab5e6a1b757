use std::path::Path;

use clap::Parser;

use super::*;
use crate::spreadsheet::{Mistakes, Source};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: SimulateArgs,
}

fn args(line: &str) -> SimulateArgs {
    Line::try_parse_from(std::iter::once("simulate").chain(line.split(' '))).unwrap().args
}

fn day(line: &str) -> Day {
    let day = describe(&Config::default(), &args(line));
    day.unwrap_or_else(|_| panic!("{line}"))
}

const STEADY: &str = "--calls-per-hour 200 --handle-time 180s --operators 11 --patience 120s";

fn past(text: &str) -> Result<PastCalls, Vec<String>> {
    let mut mistakes = Mistakes::default();
    let file = Path::new("calls.csv");
    let calls = past_calls::parse(&Source::text("calls.csv", text), file, &mut mistakes);
    match mistakes.none_or_error() {
        Ok(()) => Ok(calls.unwrap()),
        Err(bad) => Err(bad.errors.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn flags_describe_a_steady_day() {
    let day = day(&format!("{STEADY} --hours 3 --within 30s --seed 9 --wrap-up 10s"));
    let group = &day.groups[0];
    assert_eq!((day.seed, group.rate_at(600), group.rate_at(780)), (9, 200.0, 0.0));
    assert_eq!((group.operators_at(600), group.operators_at(599)), (11, 0));
    assert_eq!((group.rules.target.within_ms, group.rules.wrap_up_ms), (30_000, 10_000));
    assert_eq!(group.handle, Times::Exponential { mean_ms: 180_000 });
}

#[test]
fn flags_that_say_too_little_or_too_much_are_refused() {
    for line in [
        "",
        "--calls-per-hour 200",
        "--calls-per-hour many --handle-time 3m --operators 1",
        "--calls-per-hour 200 --handle-time 180 --operators 1",
        "--calls-per-hour 200 --handle-time 0s --operators 1",
        "--calls-per-hour 200 --handle-time 3m --operators 0",
        "--day a.kdl --operators 3",
        "--calls a.csv --calls-per-hour 3 --handle-time 3m --operators 1",
    ] {
        let words = line.split(' ').filter(|word| !word.is_empty());
        assert!(Line::try_parse_from(std::iter::once("simulate").chain(words)).is_err(), "{line}");
    }
}

#[test]
fn past_calls_are_read_from_a_csv_file() {
    let text = "started;handle;group;patience\n2026-11-23 10:00:12;183;line;2m\n\
                2026-11-23T10:59:59.5+03:00;0:03:03;;\n23:00;3m3s;;40,5\n";
    let calls = past(text).unwrap();
    assert_eq!(calls.minutes(), Minutes { start: 600, end: 1_440 });
    let mut day = day(STEADY);
    calls.replace_calls(&mut day, Path::new("calls.csv")).unwrap();
    let past = &day.groups[0].past;
    assert_eq!(past.iter().map(|call| call.handle_ms).collect::<Vec<_>>(), [Some(183_000); 3]);
    assert_eq!((past[0].at_ms, past[1].at_ms), (36_012_000, 39_599_500));
    assert_eq!((past[0].patience_ms, past[2].patience_ms), (Some(120_000), Some(40_500)));
    assert_eq!(day.groups[0].rate_at(600), 0.0, "they replace the calls by chance");
}

#[test]
fn each_mistake_in_a_csv_file_has_its_line_and_column() {
    let text = "time,handle,patience\n10:00,long,\nnoon,1,2\n,1,2\n\
                2026-11-23 10:00,,-5\n2026-11-24 10:00,1:99,\n";
    assert_eq!(
        past(text).unwrap_err(),
        [
            "calls.csv:2: handle: not a length such as 183 (seconds), 3m3s or 0:03:03",
            "calls.csv:3: time: not a time such as 10:00:12 or 2026-11-23 10:00:12",
            "calls.csv:4: time: empty",
            "calls.csv:5: patience: not a length such as 183 (seconds), 3m3s or 0:03:03",
            "calls.csv:6: time: not on 2026-11-23, the day of the first call; one file is one day",
            "calls.csv:6: handle: not a length such as 183 (seconds), 3m3s or 0:03:03",
        ]
    );
    assert_eq!(
        past("handle\n5\n").unwrap_err(),
        [
            "calls.csv:2: started: empty",
            "calls.csv:1: time: this column is missing (or \"started\")"
        ]
    );
    let mut day = day(STEADY);
    let calls = past("time,group\n10:00,line\n10:01,sales\n").unwrap();
    let error = calls.replace_calls(&mut day, Path::new("calls.csv")).unwrap_err().to_string();
    assert!(
        error.ends_with("calls.csv:3: group: there is no such group here, only line"),
        "{error}"
    );
}

#[test]
fn the_table_shows_half_hours_all_formulas_and_both_models() {
    let day = day(&format!("{STEADY} --hours 1"));
    let rehearsal = rehearse(&day);
    let groups = report(&day, &rehearsal);
    let shown = table::table(&day, &rehearsal, &groups);
    let begins = |start: &str| shown.lines().any(|line| line.trim_start().starts_with(start));
    for start in [
        "10:00",
        "10:30",
        "of-offered ",
        "of-answered ",
        "late-abandons-count ",
        "without-short-abandons ",
    ] {
        assert!(begins(start), "{start} in\n{shown}");
    }
    assert!(shown.contains("74.2 %") && shown.contains("39.0 %"), "{shown}");
    let file = csv::csv(&groups).unwrap();
    assert_eq!(file.lines().count(), 4);
    assert!(file.lines().nth(1).unwrap().starts_with("line,10:00,11,12,"), "{file}");
    let json = as_json(&day, &rehearsal, &groups);
    assert_eq!(json["groups"][0]["half-hours"][1]["from"], "10:30");
}
