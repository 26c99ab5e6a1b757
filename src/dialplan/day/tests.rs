use std::sync::LazyLock;

use super::*;
use crate::dialplan::tests::shipped_plan;

static PLAN: LazyLock<Plan> = LazyLock::new(shipped_plan);

fn parse(text: &str) -> Result<Day, Vec<String>> {
    let source = Source { name: "monday.kdl".into(), text: text.into() };
    parse_day(&source, Some(&PLAN)).map_err(|findings| {
        let brief = |f: &Finding| format!("{}:{} {}", f.line, f.column, f.message);
        findings.iter().map(brief).collect()
    })
}

#[test]
fn a_day_tells_who_calls_and_who_works() {
    let day = parse(
        r#"
day "2026-11-23" seed=7 {
    group "support" {
        calls "10:00-19:00" per-hour=120
        peak "12:00-14:00" per-hour=200.5
        handle-time "180s" deviation="90s"
        patience "120s"
        operators "10:00-19:00" 9
        operators "12:00-16:00" 2
        ring-delay "2s"
        misses "3%" back-after="2m"
        vip "5%"
        calls-again "20%" after="10m"
    }
}
"#,
    )
    .unwrap();
    assert_eq!((day.date.to_string().as_str(), day.seed), ("2026-11-23", 7));
    let group = &day.groups[0];
    let rates: Vec<f64> = [599, 600, 719, 720, 840, 1_140].map(|at| group.rate_at(at)).into();
    assert_eq!(rates, [0.0, 120.0, 120.0, 200.5, 120.0, 0.0]);
    assert_eq!([600, 720, 959, 960].map(|at| group.operators_at(at)), [9, 11, 11, 9]);
    assert_eq!(group.handle, Times::LogNormal { mean_ms: 180_000, deviation_ms: 90_000 });
    assert_eq!(group.patience, Some(Times::Exponential { mean_ms: 120_000 }));
    assert_eq!(group.misses, Misses { percent: 3, back_after_ms: 120_000 });
    assert_eq!((group.ring_delay_ms, group.vip_percent), (2_000, 5));
    assert_eq!(group.calls_again, Some((20, 600_000)));
}

#[test]
fn the_day_may_try_another_wrap_up_than_the_plan() {
    let day = |part: &str| {
        parse(&format!(
            "day \"2026-11-23\" {{ group \"support\" {{ {part}; handle-time \"3m\" deviation=\"0s\"; operators \"22:00-02:00\" 1; }}; }}"
        ))
        .unwrap()
    };
    assert_eq!(day("vip \"1%\"").groups[0].rules.name, "support");
    let tried = &day("wrap-up \"7s\"").groups[0];
    assert_eq!(tried.rules.wrap_up_ms, 7_000);
    assert_eq!(tried.handle, Times::Fixed { ms: 180_000 });
    assert_eq!(tried.operators_at(1_500), 1);
}

#[test]
fn mistakes_in_a_day_are_named() {
    for (parts, expected) in [
        (
            "call \"10:00-19:00\" per-hour=1",
            "2:1 part of group \"call\" is not known; did you mean \"calls\"?",
        ),
        ("calls \"10-19\" per-hour=1", "2:7 \"10-19\" is not a time range; write \"10:00-19:00\""),
        ("calls \"10:00-19:00\"", "2:1 how many calls per hour?"),
        (
            "calls \"10:00-19:00\" per-hour=\"120\"",
            "2:30 per-hour must be a number from 0 to 100000",
        ),
        ("patience 120", "2:10 patience needs a unit"),
        ("patience", "2:1 patience needs a duration such as \"20s\""),
        ("vip \"5\"", "2:5 \"5\" is not a percent; write \"80%\""),
        ("vip \"5%\"\nvip \"6%\"", "3:1 vip is given twice"),
        ("operators \"10:00-19:00\"", "2:1 operators need a time and a number"),
        ("operators \"10:00-19:00\" 0", "2:25 operators are a whole number from 1 to 500"),
        (
            "operators \"10:00-19:00\" 2 also=\"suport\"",
            "2:32 group \"suport\" is not in this day; did you mean \"support\"?",
        ),
        ("ring-delay \"2s\" after=\"1s\"", "2:17 ring-delay has no property \"after\""),
    ] {
        let text = format!(
            "day \"2026-11-23\" {{ group \"support\" {{\n{parts}\nhandle-time \"3m\"; operators \"10:00-19:00\" 1; }}; }}"
        );
        assert_eq!(parse(&text).unwrap_err(), [expected], "{parts}");
    }
    for (text, expected) in [
        ("", "1:1 there is no day in this file"),
        ("dya \"2026-11-23\"", "1:1 block \"dya\" is not known; did you mean \"day\"?"),
        (
            "day \"23.11.2026\" { group \"support\" { handle-time \"3m\"; operators \"10:00-19:00\" 1; }; }",
            "1:5 \"23.11.2026\" is not a date; write year-month-day: \"2026-11-07\"",
        ),
        (
            "day \"2026-11-23\" seed=-1 { group \"support\" { handle-time \"3m\"; operators \"10:00-19:00\" 1; }; }",
            "1:23 seed must be a whole number from 0, without quotes",
        ),
        (
            "day \"2026-11-23\" { group \"support\" { handle-time \"3m\"; }; }",
            "1:1 nobody works on this day",
        ),
        (
            "day \"2026-11-23\" { group \"support\" { operators \"10:00-19:00\" 1; }; }",
            "1:20 how long does a call take?",
        ),
    ] {
        assert!(parse(text).unwrap_err().contains(&expected.to_owned()), "{:?}", parse(text));
    }
}

#[test]
fn a_group_that_the_plan_does_not_have_is_a_slip() {
    let text = "day \"2026-11-23\" { group \"suport\" { handle-time \"3m\"; operators \"10:00-19:00\" 1; }; }";
    let found = parse(text).unwrap_err();
    assert_eq!(found[0], "1:26 group \"suport\" is not in the plan; did you mean \"support\"?");
    let source = Source { name: "monday.kdl".into(), text: text.into() };
    assert_eq!(parse_day(&source, None).unwrap().groups[0].rules.name, "suport");
}

#[test]
fn the_shipped_day_can_be_rehearsed() {
    let path = format!("{}/dialplans/days/monday.kdl", env!("CARGO_MANIFEST_DIR"));
    let day = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!((day.groups[0].rate_at(730), day.groups[0].operators_at(730)), (200.0, 13));
}
