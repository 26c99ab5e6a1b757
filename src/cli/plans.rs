//! `allo check`, `allo test`, `allo graph`: what an admin does after editing a plan.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::screen::screen;
use crate::app::plans::{self, LoadError, Loaded};
use crate::config::Config;
use crate::dialplan::{self, Finding, Source};
use crate::sim::plan_test::{self, Verdict};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Folder of dialplans to check instead of the one in the settings.
    folder: Option<PathBuf>,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Folder of dialplans instead of the one in the settings; the tests are in its folder `tests`.
    folder: Option<PathBuf>,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Folder of dialplans instead of the one in the settings.
    folder: Option<PathBuf>,
}

/// Names every problem of dialplans and recordings. Exit code 1 if one of them is an error.
pub fn check(mut config: Config, args: CheckArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.folder {
        config.dialplans.folder = folder;
    }
    let loaded = plans::load(&config);
    let tests = loaded.as_ref().map_or_else(|_| Vec::new(), |loaded| check_tests(&config, loaded));
    let is_right = loaded.is_ok() && !tests.iter().any(Finding::is_error);
    let mut out = screen();
    if args.json {
        let (findings, problems) = match &loaded {
            Ok(loaded) => (loaded.warnings.iter().chain(&tests).collect(), Vec::new()),
            Err(error) => (error.findings(), error.problems()),
        };
        let report = json!({ "ok": is_right, "findings": findings, "problems": problems });
        writeln!(out, "{report:#}")?;
    } else {
        match &loaded {
            Ok(loaded) => {
                for finding in loaded.warnings.iter().chain(&tests) {
                    writeln!(out, "{finding}\n")?;
                }
                if is_right {
                    let version = &loaded.plan.version;
                    let numbers = counted(loaded.plan.numbers.len(), "number");
                    let warnings = counted(loaded.warnings.len() + tests.len(), "warning");
                    writeln!(out, "plan {version} is right: {numbers}, {warnings}")?;
                }
            }
            Err(error) => writeln!(out, "{error}")?,
        }
    }
    Ok(exit_code(is_right))
}

/// The mistakes in the files of plan tests.
fn check_tests(config: &Config, loaded: &Loaded) -> Vec<Finding> {
    let settings = plans::settings(config);
    match test_sources(config) {
        Ok(sources) => sources
            .iter()
            .filter_map(|source| dialplan::parse_tests(source, &loaded.plan, &settings).err())
            .flatten()
            .collect(),
        Err(unreadable) => unreadable,
    }
}

/// No folder `tests`, or nothing in it: no tests. `Err`: files that are no text.
fn test_sources(config: &Config) -> Result<Vec<Source>, Vec<Finding>> {
    match plans::read_sources(&config.dialplans.folder.join("tests")) {
        Ok(sources) => Ok(sources),
        Err(LoadError::Plan(findings)) => Err(findings),
        Err(_) => Ok(Vec::new()),
    }
}

/// `1 number`, `2 numbers`
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Runs `dialplans/tests/*.kdl`. Exit code 1 if one fails.
pub fn test(mut config: Config, args: TestArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.folder {
        config.dialplans.folder = folder;
    }
    let loaded = match plans::load(&config) {
        Ok(loaded) => loaded,
        Err(error) => return refused(&error, args.json),
    };
    let settings = plans::settings(&config);
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut findings: Vec<Finding> = Vec::new();
    let sources = test_sources(&config).unwrap_or_else(|unreadable| {
        findings.extend(unreadable);
        Vec::new()
    });
    for source in sources {
        match dialplan::parse_tests(&source, &loaded.plan, &settings) {
            Ok(tests) => verdicts.extend(tests.iter().map(|test| {
                plan_test::run(test, &loaded.plan, &loaded.catalogue, config.sip.region)
            })),
            Err(wrong) => findings.extend(wrong),
        }
    }
    let failed = verdicts.iter().filter(|verdict| verdict.failure.is_some()).count();
    let mut out = screen();
    if args.json {
        writeln!(
            out,
            "{:#}",
            json!({
                "ok": failed == 0 && findings.is_empty(), "tests": verdicts, "findings": findings, "problems": [],
            })
        )?;
    } else {
        for finding in &findings {
            writeln!(out, "{finding}\n")?;
        }
        for verdict in &verdicts {
            writeln!(out, "{verdict}")?;
        }
        let passed = counted(verdicts.len() - failed, "test");
        writeln!(out, "{passed} passed, {failed} failed")?;
    }
    Ok(exit_code(failed == 0 && findings.is_empty()))
}

/// There is no plan that tests could be run on.
fn refused(error: &LoadError, is_json: bool) -> anyhow::Result<ExitCode> {
    if is_json {
        let report = json!({
            "ok": false, "tests": [], "findings": error.findings(), "problems": error.problems(),
        });
        writeln!(screen(), "{report:#}")?;
    } else {
        eprintln!("{error}");
    }
    Ok(ExitCode::FAILURE)
}

/// Draws the plan.
pub fn graph(mut config: Config, args: GraphArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.folder {
        config.dialplans.folder = folder;
    }
    match plans::load(&config) {
        Ok(loaded) => {
            screen().write_all(dialplan::graph(&loaded.plan).as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn exit_code(is_right: bool) -> ExitCode {
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
