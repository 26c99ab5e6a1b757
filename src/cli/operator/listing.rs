//! `allo operator list`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::screen::screen;
use super::fields::skills;
use crate::cli::table::{self, Side};
use crate::config::Config;
use crate::domain::Extension;
use crate::store::{Store, StoredOperator};

#[derive(Debug, Args)]
pub struct ListArgs {
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// All operators, by login.
pub(super) async fn list(
    config: &Config,
    store: &Store,
    args: &ListArgs,
) -> anyhow::Result<ExitCode> {
    let all = store.operators().await?;
    let mut out = screen();
    if args.json {
        let operators: Vec<Value> = all.iter().map(as_json).collect();
        writeln!(out, "{:#}", json!({ "operators": operators }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        writeln!(out, "no operators yet: allo operator add anna --name \"Анна Петрова\"")?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = ["login", "name", "extension", "groups", "skills", "role", "logged in", "paused"];
    let rows: Vec<Vec<String>> = all.iter().map(as_row).collect();
    table::print(&mut out, &heading.map(|name| (name, Side::Left)), &rows)?;
    for StoredOperator { account, .. } in &all {
        let (login, realm) = (&account.login, &account.realm);
        if *realm != config.sip.realm {
            writeln!(
                out,
                "{login} can't register: the password was made for the realm \"{realm}\", which is \
                 \"{}\" now; allo operator set {login} --new-password",
                config.sip.realm
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_row(stored: &StoredOperator) -> Vec<String> {
    let StoredOperator { operator, attendance, .. } = stored;
    let logged_in = match attendance.groups.len() {
        0 => "no".to_owned(),
        all if all == operator.groups.len() => "yes".to_owned(),
        _ => attendance.groups.join(", "),
    };
    let paused = match attendance.paused.as_deref() {
        None => String::new(),
        Some("") => "yes".to_owned(),
        Some(reason) => reason.to_owned(),
    };
    vec![
        operator.login.to_string(),
        operator.name.clone(),
        operator.extension.as_ref().map(Extension::to_string).unwrap_or_default(),
        operator.groups.join(", "),
        skills(&operator.skills),
        operator.role.to_string(),
        logged_in,
        paused,
    ]
}

fn as_json(stored: &StoredOperator) -> Value {
    let mut fields = json!(stored.operator);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("digest".to_owned(), json!(stored.account.digest));
        fields.insert("realm".to_owned(), json!(stored.account.realm));
        fields.insert("logged-in".to_owned(), json!(stored.attendance.groups));
        fields.insert("paused".to_owned(), json!(stored.attendance.paused));
        let since = stored.attendance_since.map(|since| since.to_string());
        fields.insert("attendance-since".to_owned(), json!(since));
    }
    fields
}
