//! What admins write: dialplans, spreadsheets, settings.

use std::path::Path;
use std::sync::LazyLock;

use crate::config::{Config, ConfigError};
use crate::crm::import;
use crate::dialplan::{self, Finding, Settings, Source};
use crate::domain::Region;
use crate::speech::Catalogue;
use crate::spreadsheet;

/// What a plan that is tested or simulated looks like.
static KNOWN: LazyLock<dialplan::Plan> = LazyLock::new(|| {
    let text = "language \"ru\"\ntimezone \"Europe/Moscow\"\n\
                number \"100\" { queue \"support\" }\ngroup \"support\" { wrap-up \"10s\" }\n";
    let source = Source { name: "known.kdl".to_owned(), text: text.to_owned() };
    let loaded = dialplan::load(&[source], &Catalogue::default(), &Settings::default());
    loaded.map(|loaded| loaded.plan).unwrap_or_default()
});

/// A plan: every finding points into the file. The same text as the tests of a plan, and as a day.
pub(super) fn plan(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let source = Source { name: "plan.kdl".to_owned(), text: text.to_owned() };
    let settings = Settings::default();
    let sources = std::slice::from_ref(&source);
    match dialplan::load(sources, &Catalogue::default(), &settings) {
        Ok(loaded) => {
            assert!(!loaded.plan.numbers.is_empty());
            point_into(text, &loaded.warnings);
            let _ = dialplan::graph(&loaded.plan);
        }
        Err(findings) => {
            assert!(findings.iter().any(Finding::is_error), "refused without a reason");
            point_into(text, &findings);
        }
    }
    if let Err(findings) = dialplan::parse_tests(&source, &KNOWN, &settings) {
        point_into(text, &findings);
    }
    if let Err(findings) = dialplan::parse_day(&source, Some(&KNOWN)) {
        point_into(text, &findings);
    }
}

fn point_into(text: &str, findings: &[Finding]) {
    let lines = text.split('\n').count();
    for finding in findings {
        assert!((1..=lines).contains(&finding.line), "{finding}");
        let width = finding.source_line.chars().count();
        assert!((1..=width + 1).contains(&finding.column), "{finding}");
        assert!(finding.width >= 1, "{finding}");
    }
}

/// The customers' file up to a line `---`, then the orders'. Every mistake names a line of its file.
pub(super) fn spreadsheet(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (customers, orders) = text.split_once("\n---\n").unwrap_or((text, ""));
    let source = |name, text| spreadsheet::Source::text(name, text);
    let orders = (!orders.is_empty()).then(|| source("orders.csv", orders));
    let customers = Some(source("customers.csv", customers));
    if let Err(bad) = import::check(customers, orders, Region::default()) {
        assert!(!bad.errors.is_empty(), "refused without a reason");
        let lines = u64::try_from(text.split(['\n', '\r']).count()).unwrap_or(u64::MAX);
        for error in &bad.errors {
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error}");
        }
    }
}

/// Settings: what is read and written again is the same, passwords aside.
pub(super) fn settings(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = |text: &str| Config::from_text(Path::new("allo.toml"), text, std::iter::empty());
    match read(text) {
        Ok(config) if config.trunks.is_empty() => {
            let written = toml::to_string(&config).unwrap_or_else(|error| panic!("{error}"));
            match read(&written) {
                Ok(again) => assert_eq!(config, again),
                Err(error) => panic!("{}\n{written}", told(&error)),
            }
        }
        Ok(_) => {}
        Err(error) => assert!(!error.problems.is_empty(), "refused without a reason"),
    }
}

fn told(error: &ConfigError) -> String {
    error.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
