//! `allo why group support`: why nobody is rung for a line just now, as the running server sees it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::config::Config;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

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
    let (config, group) = (config.clone(), group.to_owned());
    let answer = tokio::task::spawn_blocking(move || ask(&config, &group)).await??;
    let mut out = io::stdout().lock();
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

fn ask(config: &Config, group: &str) -> anyhow::Result<Value> {
    let mut address = config.web.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_WITHIN))
        .http_status_as_error(false)
        .build()
        .into();
    let url = format!("http://{address}/api/groups/{}/why", escaped(group));
    let mut request = agent.get(&url);
    if let Some(token) = &config.web.token {
        request = request.header("Authorization", format!("Bearer {}", token.reveal()));
    }
    let mut answer = request
        .call()
        .with_context(|| format!("no server answers on {address}; is allo serve running?"))?;
    match answer.status().as_u16() {
        200 => Ok(answer.body_mut().read_json()?),
        404 => bail!("the plan has no group {group}"),
        401 | 403 => bail!("the server wants the token of [web]; set it here, too"),
        status => bail!("the server answers {status}"),
    }
}

/// Percent-encoded (RFC 3986 §2.1), for one segment of a path.
fn escaped(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_are_one_segment_of_a_path() {
        assert_eq!(escaped("support-2"), "support-2");
        assert_eq!(escaped("a/b ж"), "a%2Fb%20%D0%B6");
    }
}
