//! `allo operator`: the people who take calls, from hiring to pausing. Works while the server runs,
//! which takes changes over within seconds.
//!
//! - `fields`: what options and CSV cells say of an operator
//! - `phone`: passwords, and what a softphone must be set to
//! - `listing`: the table of `list`
//! - `sheet`: the CSV file of `import`
//! - `attendance`: what `login`, `logout`, `pause`, `unpause` do

mod attendance;
mod fields;
mod listing;
mod phone;
mod sheet;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::fields::{Change, DigestOrDefault, ExtensionOrNone, Groups, Skills, YesOrNo};
use self::phone::Password;
use super::screen::screen;
use crate::app::plans;
use crate::config::{Config, nearest};
use crate::domain::{Account, Login, Operator, Role};
use crate::store::{Store, StoredOperator};

#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Add one; shows once what to set in the phone.
    Add(AddArgs),
    /// List all, and who is logged in.
    List(listing::ListArgs),
    /// Change what the options say and nothing else.
    Set(SetArgs),
    /// Remove one. Past calls keep the name.
    Remove(NameArgs),
    /// Add and change operators from a CSV file: all rows or none.
    Import(sheet::ImportArgs),
    /// Make one ready for calls, in all own groups or one, as *45 on the phone does.
    Login(attendance::GroupArgs),
    /// No more calls, from all groups or one.
    Logout(attendance::GroupArgs),
    /// No calls for a while; stays logged in.
    Pause(attendance::PauseArgs),
    /// Calls again.
    Unpause(NameArgs),
}

#[derive(Debug, Args)]
pub struct NameArgs {
    /// The operator's login.
    login: Login,
}

/// What `add` and `set` have in common.
#[derive(Debug, Args)]
pub struct FieldArgs {
    /// The short number that colleagues dial; "" for none.
    #[arg(long, value_name = "DIGITS")]
    extension: Option<ExtensionOrNone>,
    /// Groups whose calls this operator takes: "support,orders".
    #[arg(long, value_name = "LIST")]
    groups: Option<Groups>,
    /// Levels from 1 to 10: "orders=8,english=5".
    #[arg(long, value_name = "LIST")]
    skills: Option<Skills>,
    /// operator, or supervisor, who may listen in.
    #[arg(long)]
    role: Option<Role>,
    /// The phone picks up by itself, with a beep.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    auto_answer: Option<YesOrNo>,
    /// Group and waiting time are whispered before the caller is connected.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes")]
    whisper: Option<YesOrNo>,
    /// How the phone proves the password: md5, sha-256, both; "default" is what [sip] digest says.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<DigestOrDefault>,
    /// Read the password from the first line of stdin instead of making one.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// Name of the SIP account: small Latin letters, digits and . _ -
    login: Login,
    /// As colleagues and reports call the person: "Анна Петрова".
    #[arg(long)]
    name: String,
    #[command(flatten)]
    fields: FieldArgs,
}

#[derive(Debug, Args)]
pub struct SetArgs {
    /// The operator's login.
    login: Login,
    /// As colleagues and reports call the person.
    #[arg(long)]
    name: Option<String>,
    /// Make another password and show it once.
    #[arg(long, conflicts_with = "password_stdin")]
    new_password: bool,
    #[command(flatten)]
    fields: FieldArgs,
}

/// Does what was asked, whether the server runs or not.
pub async fn run(config: &Config, command: OperatorCommand) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.database.url).await?;
    let done = match command {
        OperatorCommand::Add(args) => add(config, &store, args).await,
        OperatorCommand::List(args) => listing::list(config, &store, &args).await,
        OperatorCommand::Set(args) => set(config, &store, args).await,
        OperatorCommand::Remove(args) => remove(&store, &args.login).await,
        OperatorCommand::Import(args) => sheet::import(config, &store, &args).await,
        OperatorCommand::Login(args) => attendance::log_in(config, &store, &args).await,
        OperatorCommand::Logout(args) => attendance::log_out(&store, &args).await,
        OperatorCommand::Pause(args) => attendance::pause(&store, &args).await,
        OperatorCommand::Unpause(args) => attendance::unpause(&store, &args.login).await,
    };
    store.close().await;
    done
}

async fn add(config: &Config, store: &Store, args: AddArgs) -> anyhow::Result<ExitCode> {
    let password = Password::given_or_made(args.fields.password_stdin)?;
    let login = args.login;
    let mut operator = Operator::named(login.clone());
    let mut account = Account::new(login.clone(), &config.sip.realm, password.text(), None);
    args.fields.change(Some(args.name))?.apply(&mut operator, &mut account);
    store.add_operator(&operator, &account).await?;
    warn_of_unknown_groups(config, &operator.groups);
    let mut out = screen();
    writeln!(out, "{login} is an operator now: {}", fields::described(&operator))?;
    phone::print_settings(&mut out, config, &login, &password)?;
    writeln!(
        out,
        "Registered is not logged in yet: *45 on the phone, or allo operator login {login}."
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn set(config: &Config, store: &Store, args: SetArgs) -> anyhow::Result<ExitCode> {
    let StoredOperator { mut operator, mut account, .. } = find(store, &args.login).await?;
    let login = args.login;
    let password = match args.new_password || args.fields.password_stdin {
        true => Some(Password::given_or_made(args.fields.password_stdin)?),
        false => None,
    };
    if let Some(password) = &password {
        let realm = &config.sip.realm;
        account = Account::new(login.clone(), realm, password.text(), account.digest);
    }
    let change = args.fields.change(args.name)?;
    let groups_change = change.groups.is_some();
    change.apply(&mut operator, &mut account);
    store.save_operators(&[(operator.clone(), account)]).await?;
    if groups_change {
        warn_of_unknown_groups(config, &operator.groups);
    }
    let mut out = screen();
    writeln!(out, "{login} is changed: {}", fields::described(&operator))?;
    if let Some(password) = &password {
        phone::print_settings(&mut out, config, &login, password)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(store: &Store, login: &Login) -> anyhow::Result<ExitCode> {
    find(store, login).await?;
    store.remove_operator(login).await?;
    writeln!(screen(), "{login} is removed")?;
    Ok(ExitCode::SUCCESS)
}

impl FieldArgs {
    fn change(self, name: Option<String>) -> anyhow::Result<Change> {
        let name = name.map(|name| fields::name(&name)).transpose().map_err(anyhow::Error::msg)?;
        Ok(Change {
            name,
            extension: self.extension,
            groups: self.groups,
            skills: self.skills,
            role: self.role,
            auto_answer: self.auto_answer,
            whisper: self.whisper,
            digest: self.digest,
        })
    }
}

/// The operator of this login, or who was probably meant.
async fn find(store: &Store, login: &Login) -> anyhow::Result<StoredOperator> {
    let all = store.operators().await?;
    if let Some(found) = all.iter().find(|stored| stored.operator.login == *login) {
        return Ok(found.clone());
    }
    let logins = all.iter().map(|stored| stored.operator.login.as_str());
    match nearest(login.as_str(), logins) {
        Some(meant) => anyhow::bail!("there is no operator {login}; did you mean {meant}?"),
        None => anyhow::bail!("there is no operator {login}; allo operator list shows all"),
    }
}

/// Groups come from dialplans. One that none of them has may be a slip of the finger, or come later.
fn warn_of_unknown_groups(config: &Config, groups: &[String]) {
    let plan = match plans::read_plan(config) {
        Ok(plan) => plan,
        Err(_) => {
            eprintln!(
                "warning: the dialplans have mistakes (allo check), so groups were not checked"
            );
            return;
        }
    };
    let groups_of_all = plan.scripts.values().flat_map(|script| script.groups.keys());
    let known: BTreeSet<&str> = groups_of_all.map(String::as_str).collect();
    for group in groups.iter().filter(|group| !known.contains(group.as_str())) {
        let hint = match nearest(group, known.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None if known.is_empty() => "they have no groups".to_owned(),
            None => format!("known here: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        eprintln!("warning: no dialplan has a group \"{group}\"; {hint}");
    }
}
