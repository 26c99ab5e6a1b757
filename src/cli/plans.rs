//! `allo check`, `allo test`, `allo graph`: what an admin does after editing a plan.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

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

/// Names every problem of dialplans and recordings. Exit code 1 if one of them is an error.
pub fn check(mut config: Config, args: CheckArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.folder {
        config.dialplans.folder = folder;
    }
    let loaded = plans::load(&config);
    let tests = loaded.as_ref().map_or_else(|_| Vec::new(), |loaded| check_tests(&config, loaded));
    let is_right = loaded.is_ok() && !tests.iter().any(Finding::is_error);
    let mut out = io::stdout().lock();
    if args.json {
        let (findings, other) = match &loaded {
            Ok(loaded) => ([&loaded.warnings[..], &tests].concat(), None),
            Err(LoadError::Plan(findings)) => (findings.clone(), None),
            Err(other) => (Vec::new(), Some(other.to_string())),
        };
        let report = json!({ "ok": is_right, "findings": findings, "problem": other });
        writeln!(out, "{report:#}")?;
    } else {
        match &loaded {
            Ok(loaded) => {
                for finding in loaded.warnings.iter().chain(&tests) {
                    writeln!(out, "{finding}\n")?;
                }
                if is_right {
                    let (numbers, warnings) = (loaded.plan.numbers.len(), loaded.warnings.len());
                    let version = &loaded.plan.version;
                    writeln!(
                        out,
                        "plan {version} is right: {numbers} numbers, {warnings} warnings"
                    )?;
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
    let sources = test_sources(config);
    let parsed =
        sources.iter().map(|source| dialplan::parse_tests(source, &loaded.plan, &settings));
    parsed.filter_map(Result::err).flatten().collect()
}

/// No folder `tests`: no tests.
fn test_sources(config: &Config) -> Vec<Source> {
    plans::read_sources(&config.dialplans.folder.join("tests")).unwrap_or_default()
}

/// Runs `dialplans/tests/*.kdl`. Exit code 1 if one fails.
pub fn test(mut config: Config, args: TestArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.folder {
        config.dialplans.folder = folder;
    }
    let loaded = match plans::load(&config) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let settings = plans::settings(&config);
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut findings: Vec<Finding> = Vec::new();
    for source in test_sources(&config) {
        match dialplan::parse_tests(&source, &loaded.plan, &settings) {
            Ok(tests) => verdicts.extend(tests.iter().map(|test| {
                plan_test::run(test, &loaded.plan, &loaded.catalogue, config.sip.region)
            })),
            Err(wrong) => findings.extend(wrong),
        }
    }
    let failed = verdicts.iter().filter(|verdict| verdict.failure.is_some()).count();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", json!({ "tests": verdicts, "findings": findings }))?;
    } else {
        for finding in &findings {
            writeln!(out, "{finding}\n")?;
        }
        for verdict in &verdicts {
            writeln!(out, "{verdict}")?;
        }
        writeln!(out, "{} tests passed, {failed} failed", verdicts.len() - failed)?;
    }
    Ok(exit_code(failed == 0 && findings.is_empty()))
}

/// Draws the plan.
pub fn graph(config: &Config) -> anyhow::Result<ExitCode> {
    match plans::load(config) {
        Ok(loaded) => {
            io::stdout().write_all(dialplan::graph(&loaded.plan).as_bytes())?;
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
