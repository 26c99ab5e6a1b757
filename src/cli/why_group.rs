//! `allo why group support`: why nobody is rung for a line just now, as the running server sees it.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::running::{RunningServer, escaped};
use super::screen::screen;
use crate::config::Config;

/// What is shown of `GET /api/groups/{group}/why`.
#[derive(Debug, Deserialize)]
struct GroupWhy {
    group: String,
    waiting: u64,
    ringing: u64,
    candidates: BTreeMap<String, Candidate>,
}

#[derive(Debug, Deserialize)]
struct Candidate {
    words: String,
}

pub async fn run(config: &Config, group: &str, json: bool) -> anyhow::Result<ExitCode> {
    let server = RunningServer::of(config);
    let path = format!("/api/groups/{}/why", escaped(group));
    let answer = tokio::task::spawn_blocking(move || server.get(&path)).await??;
    let answer = answer.with_context(|| format!("the plan has no group {group}"))?;
    let mut out = screen();
    if json {
        writeln!(out, "{answer:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let why: GroupWhy = serde_json::from_value(answer)?;
    let GroupWhy { group, waiting, ringing, candidates } = why;
    writeln!(out, "{group}: {waiting} waiting, for {ringing} of them a phone rings")?;
    if candidates.is_empty() {
        writeln!(out, "  nobody belongs to this group; allo operator set NAME --groups {group}")?;
    }
    let width = candidates.keys().map(|login| login.chars().count()).max().unwrap_or(0);
    for (login, Candidate { words }) in &candidates {
        writeln!(out, "  {login:width$}  {words}")?;
    }
    Ok(ExitCode::SUCCESS)
}
