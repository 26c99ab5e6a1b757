//! `allo operator login`, `logout`, `pause`, `unpause`: what the codes of the phone do.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::super::screen::screen;
use super::{find, warn_of_unknown_groups};
use crate::app::clock::Clock;
use crate::config::{Config, nearest};
use crate::crm::fields::short_text;
use crate::domain::{Attendance, Login, Operator};
use crate::store::{Store, StoredOperator};

#[derive(Debug, Args)]
pub struct GroupArgs {
    /// The operator's login.
    login: Login,
    /// Only this group.
    #[arg(long)]
    group: Option<String>,
}

#[derive(Debug, Args)]
pub struct PauseArgs {
    /// The operator's login.
    login: Login,
    /// Why, as supervisors see it: "lunch".
    #[arg(long, default_value = "")]
    reason: String,
}

/// Ready in all own groups, or in one more.
pub(super) async fn log_in(
    config: &Config,
    store: &Store,
    args: &GroupArgs,
) -> anyhow::Result<ExitCode> {
    let StoredOperator { operator, mut attendance, .. } = find(store, &args.login).await?;
    let login = &operator.login;
    match &args.group {
        None if operator.groups.is_empty() => {
            bail!("{login} is in no group; allo operator set {login} --groups \"support\"")
        }
        None => attendance.groups.clone_from(&operator.groups),
        Some(group) => {
            let group = own_group(&operator, group)?;
            if !attendance.groups.contains(&group) {
                attendance.groups.push(group);
            }
        }
    }
    warn_of_unknown_groups(config, &attendance.groups);
    change(store, login, &attendance).await
}

/// Out of all groups, or of one.
pub(super) async fn log_out(store: &Store, args: &GroupArgs) -> anyhow::Result<ExitCode> {
    let StoredOperator { operator, mut attendance, .. } = find(store, &args.login).await?;
    match &args.group {
        None => attendance.groups.clear(),
        Some(group) => {
            let group = own_group(&operator, group)?;
            attendance.groups.retain(|other| *other != group);
        }
    }
    change(store, &operator.login, &attendance).await
}

/// No calls until `unpause`.
pub(super) async fn pause(store: &Store, args: &PauseArgs) -> anyhow::Result<ExitCode> {
    let reason = short_text(&args.reason);
    let reason = reason.map_err(|why| anyhow::anyhow!("the reason is {why}"))?;
    let StoredOperator { mut attendance, .. } = find(store, &args.login).await?;
    attendance.paused = Some(reason);
    change(store, &args.login, &attendance).await
}

/// Calls again.
pub(super) async fn unpause(store: &Store, login: &Login) -> anyhow::Result<ExitCode> {
    let StoredOperator { mut attendance, .. } = find(store, login).await?;
    attendance.paused = None;
    change(store, login, &attendance).await
}

async fn change(store: &Store, login: &Login, attendance: &Attendance) -> anyhow::Result<ExitCode> {
    store.set_attendance(login, attendance, Clock::start().now()).await?;
    let logged_in = match attendance.groups.as_slice() {
        [] => "logged out".to_owned(),
        groups => format!("logged in to {}", groups.join(", ")),
    };
    let paused = match attendance.paused.as_deref() {
        None => String::new(),
        Some("") => ", paused".to_owned(),
        Some(reason) => format!(", paused: {reason}"),
    };
    writeln!(screen(), "{login} is {logged_in}{paused}")?;
    Ok(ExitCode::SUCCESS)
}

/// A group that the operator is a member of.
fn own_group(operator: &Operator, group: &str) -> anyhow::Result<String> {
    let login = &operator.login;
    if operator.groups.iter().any(|own| own == group) {
        return Ok(group.to_owned());
    }
    match nearest(group, operator.groups.iter().map(String::as_str)) {
        Some(meant) => bail!("{login} is not in the group {group}; did you mean {meant}?"),
        None if operator.groups.is_empty() => bail!("{login} is in no group"),
        None => bail!("{login} is not in the group {group}, but in {}", operator.groups.join(", ")),
    }
}
