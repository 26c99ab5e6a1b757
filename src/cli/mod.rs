//! The command line: one file for each command or family of commands.
//!
//! Exit codes: 0 done, 1 the user's files are wrong or the work failed, 2 usage.

pub mod call;
pub mod calls;
mod clocks;
pub mod crm;
pub mod demo;
pub mod dnc;
pub mod event;
mod groups;
mod log;
pub mod operator;
pub mod plans;
pub mod promises;
pub mod prompts;
pub mod report;
pub mod robot;
mod running;
mod screen;
pub mod serve;
pub mod simulate;
pub mod table;
pub mod why;
mod why_group;
mod why_promise;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::Config;

/// A hotline server: answers, knows the caller, says points and order status.
#[derive(Debug, Parser)]
#[command(name = "allo", version, about, max_term_width = 100)]
pub struct Cli {
    /// Settings file; without it ./allo.toml is read when there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines on stderr look.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log: LogFormat,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (the default).
    Serve(serve::ServeArgs),
    /// Check settings, dialplans and recordings; every problem with its place.
    Check(plans::CheckArgs),
    /// Play the tests of the dialplans, without a telephone.
    Test(plans::TestArgs),
    /// Draw the dialplans as a Mermaid graph on stdout.
    Graph(plans::GraphArgs),
    /// Live through a day of calls in a moment: service level, waits, and what Erlang says.
    Simulate(simulate::SimulateArgs),
    /// Place a real call from a sample customer to a server of its own and check what was heard.
    Demo(demo::DemoArgs),
    /// A test phone in the terminal: dials a number, presses keys, records what it hears.
    Call(call::CallArgs),
    /// List past calls: when, who, what was said, which keys, how it ended.
    Calls(calls::CallsArgs),
    /// The service level of a day or more, by all definitions, with the calls behind it.
    Report(report::ReportArgs),
    /// What customers are owed: callbacks, questions, reminders, incidents; and when.
    Promises(promises::PromisesArgs),
    /// Explain a call or a promise: who was rung and why, and why everybody else was not.
    Why(why::WhyArgs),
    /// The surveys and robots of the running server: how far they are, stop, resume.
    #[command(subcommand)]
    Robot(robot::RobotCommand),
    /// Who is not to be called, and the register of what customers agreed to.
    #[command(subcommand)]
    Dnc(dnc::DncCommand),
    /// What happened in the shop, for robots and incidents.
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Fill the customers and orders that allo keeps itself.
    #[command(subcommand)]
    Crm(crm::CrmCommand),
    /// The people who take calls: add, change, log in, pause.
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// Find and speak recordings that are missing.
    #[command(subcommand)]
    Prompts(prompts::PromptsCommand),
    /// Explain the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `allo config …`
#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a sample allo.toml with every key, its default and its meaning.
    Describe,
}

/// `--log`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Reads the command line, does what it says, and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or_else(|| Command::Serve(serve::ServeArgs::default()));
    // Commands that only list or draw stay quiet but for warnings.
    log::start(cli.log, if matches!(command, Command::Serve(_)) { "info" } else { "warn" });
    match run(command, cli.config.as_deref()) {
        Ok(code) => code,
        // `allo calls | head`: the reader has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(command: Command, config: Option<&std::path::Path>) -> anyhow::Result<ExitCode> {
    let file = config;
    let config = Config::load(file, environment())?;
    match command {
        Command::Serve(args) => wait_for(serve::run(config, args, file)),
        Command::Check(args) => plans::check(config, args),
        Command::Test(args) => plans::test(config, args),
        Command::Graph(args) => plans::graph(config, args),
        Command::Simulate(args) => simulate::run(&config, &args),
        Command::Demo(args) => {
            wait_for(demo::run(args, config.clone(), demo::server::start(config)))
        }
        Command::Call(args) => wait_for(call::run(&config, args)),
        Command::Calls(args) => wait_for(calls::run(&config, &args)),
        Command::Report(args) => wait_for(report::run(&config, &args)),
        Command::Promises(args) => wait_for(promises::run(&config, &args)),
        Command::Dnc(command) => wait_for(dnc::run(&config, command)),
        Command::Event(command) => wait_for(event::run(&config, command)),
        Command::Why(args) => wait_for(why::run(&config, &args)),
        Command::Robot(command) => robot::run(&config, &command),
        Command::Crm(command) => wait_for(crm::run(&config, command)),
        Command::Operator(command) => wait_for(operator::run(&config, command)),
        Command::Prompts(command) => wait_for(prompts::run(&config, command)),
        Command::Config(ConfigCommand::Describe) => {
            io::stdout().write_all(Config::describe().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Variables that are not UTF-8 are no settings of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text)
}

fn wait_for(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
