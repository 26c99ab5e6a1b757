//! `allo operator import`: operators from a CSV file. All or nothing.
//!
//! `login` is the key. The file is the truth of the columns that it has: an empty cell empties the
//! field. Columns that it does not have keep their values. A password is hashed and forgotten;
//! whoever is new and has none in the file gets one, which is shown.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::screen::screen;
use super::fields::{self, Change, DigestOrDefault, ExtensionOrNone, Groups, Skills, YesOrNo};
use super::phone::{self, Password};
use super::warn_of_unknown_groups;
use crate::cli::table::{self, Side};
use crate::config::Config;
use crate::domain::{Account, Extension, Login, Operator, Role};
use crate::spreadsheet::{BadRows, Line, Mistakes, Source, read_lines};
use crate::store::{Store, StoredOperator};

const COLUMNS: &[&str] = &[
    "login",
    "name",
    "extension",
    "groups",
    "skills",
    "role",
    "auto-answer",
    "whisper",
    "digest",
    "password",
];

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Columns: login,name,extension,groups,skills,role,auto-answer,whisper,digest,password; only
    /// login must be there, and name for new operators.
    file: PathBuf,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// One row of the file, whole.
struct Row {
    operator: Operator,
    account: Account,
    is_new: bool,
    /// Made for the operator, to be shown.
    made: Option<Password>,
}

/// Reads the file, writes all or nothing, shows the passwords that were made.
pub(super) async fn import(
    config: &Config,
    store: &Store,
    args: &ImportArgs,
) -> anyhow::Result<ExitCode> {
    let known: BTreeMap<Login, StoredOperator> = store
        .operators()
        .await?
        .into_iter()
        .map(|stored| (stored.operator.login.clone(), stored))
        .collect();
    let rows = match rows(config, args, &known) {
        Ok(rows) => rows,
        Err(BadRows { errors, more }) if args.json => {
            let report = json!({ "ok": false, "problems": errors, "more": more });
            writeln!(screen(), "{report:#}")?;
            return Ok(ExitCode::FAILURE);
        }
        Err(wrong) => return Err(wrong.into()),
    };
    let written: Vec<(Operator, Account)> =
        rows.iter().map(|row| (row.operator.clone(), row.account.clone())).collect();
    store.save_operators(&written).await?;
    let mut groups: Vec<String> =
        rows.iter().flat_map(|row| row.operator.groups.iter().cloned()).collect();
    groups.sort();
    groups.dedup();
    warn_of_unknown_groups(config, &groups);
    print(config, &rows, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn rows(
    config: &Config,
    args: &ImportArgs,
    known: &BTreeMap<Login, StoredOperator>,
) -> Result<Vec<Row>, BadRows> {
    let mut mistakes = Mistakes::default();
    let mut rows: Vec<Row> = Vec::new();
    // Logins and extensions with the lines that they stand in.
    let mut logins: BTreeMap<Login, u64> = BTreeMap::new();
    let mut extensions: BTreeMap<Extension, u64> = BTreeMap::new();
    if let Some(source) = Source::read(&args.file, &mut mistakes) {
        read_lines(&source, COLUMNS, &["login"], &mut mistakes, |line, mistakes| {
            let Some(row) = Row::read(line, config, known, mistakes) else { return };
            if let Some(first) = logins.insert(row.operator.login.clone(), line.number) {
                line.mistake("login", &format!("the same as in line {first}"), mistakes);
            }
            if let Some(extension) = &row.operator.extension
                && let Some(first) = extensions.insert(extension.clone(), line.number)
            {
                line.mistake("extension", &format!("the same as in line {first}"), mistakes);
            }
            rows.push(row);
        });
    }
    for (login, stored) in known.iter().filter(|(login, _)| !logins.contains_key(login)) {
        let Some(extension) = &stored.operator.extension else { continue };
        if let Some(line) = extensions.get(extension) {
            let message = format!("{extension} belongs to {login}, who is not in this file");
            mistakes.add(&args.file, Some(*line), Some("extension"), message);
        }
    }
    mistakes.none_or_error()?;
    Ok(rows)
}

impl Row {
    fn read(
        line: &Line<'_>,
        config: &Config,
        known: &BTreeMap<Login, StoredOperator>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let login = line.required("login", str::parse::<Login>, mistakes);
        let password = line.value("password", Password::given, mistakes);
        let change = Self::change(line, mistakes);
        let login = login?;
        let stored = known.get(&login);
        if change.name.is_none() && (stored.is_none() || line.columns.contains_key("name")) {
            line.mistake("name", "empty", mistakes);
        }
        let mut made = None;
        let realm = &config.sip.realm;
        let (mut operator, mut account) = match (stored, password) {
            (Some(stored), None) => (stored.operator.clone(), stored.account.clone()),
            (Some(stored), Some(password)) => {
                let digest = stored.account.digest;
                (stored.operator.clone(), Account::new(login, realm, password.text(), digest))
            }
            (None, password) => {
                let password = password.unwrap_or_else(Password::made);
                let account = Account::new(login.clone(), realm, password.text(), None);
                made = password.is_made().then_some(password);
                (Operator::named(login), account)
            }
        };
        change.apply(&mut operator, &mut account);
        Some(Self { operator, account, is_new: stored.is_none(), made })
    }

    /// An empty cell of a column that is there empties the field.
    fn change(line: &Line<'_>, mistakes: &mut Mistakes) -> Change {
        let has = |column| line.columns.contains_key(column);
        Change {
            name: line.value("name", fields::name, mistakes),
            extension: has("extension").then(|| {
                line.value("extension", str::parse, mistakes).unwrap_or(ExtensionOrNone(None))
            }),
            groups: has("groups")
                .then(|| line.value("groups", str::parse::<Groups>, mistakes).unwrap_or_default()),
            skills: has("skills")
                .then(|| line.value("skills", str::parse::<Skills>, mistakes).unwrap_or_default()),
            role: has("role")
                .then(|| line.value("role", str::parse::<Role>, mistakes).unwrap_or_default()),
            auto_answer: has("auto-answer")
                .then(|| line.value("auto-answer", yes_or_no, mistakes).unwrap_or_default()),
            whisper: has("whisper")
                .then(|| line.value("whisper", yes_or_no, mistakes).unwrap_or_default()),
            digest: has("digest").then(|| {
                line.value("digest", str::parse::<DigestOrDefault>, mistakes).unwrap_or_default()
            }),
        }
    }
}

fn yes_or_no(text: &str) -> Result<YesOrNo, String> {
    text.parse()
}

fn print(config: &Config, rows: &[Row], is_json: bool) -> io::Result<()> {
    let made = || rows.iter().filter_map(|row| Some((&row.operator.login, row.made.as_ref()?)));
    let new = rows.iter().filter(|row| row.is_new).count();
    let changed = rows.len() - new;
    let mut out = screen();
    if is_json {
        let passwords: Vec<Value> = made()
            .map(|(login, password)| json!({ "login": login, "password": password.text() }))
            .collect();
        let server = phone::server(config);
        let report = json!({
            "ok": true, "new": new, "changed": changed, "server": server, "passwords": passwords,
        });
        return writeln!(out, "{report:#}");
    }
    writeln!(out, "imported: {new} new, {changed} changed")?;
    let passwords: Vec<Vec<String>> = made()
        .map(|(login, password)| vec![login.to_string(), password.text().to_owned()])
        .collect();
    if passwords.is_empty() {
        return Ok(());
    }
    writeln!(out, "The passwords are shown this once. Server: {}", phone::server(config))?;
    table::print(&mut out, &[("user", Side::Left), ("password", Side::Left)], &passwords)
}
