//! The command line: one file for each command or family of commands.
//!
//! Exit codes: 0 done, 1 the user's files are wrong or the work failed, 2 usage.

pub mod calls;
pub mod crm;
pub mod plans;
pub mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

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
    Serve,
    /// Check settings, dialplans and recordings; every problem with its place.
    Check(plans::CheckArgs),
    /// Run the dialplans' own tests.
    Test(plans::TestArgs),
    /// Draw the dialplans as a Mermaid graph on stdout.
    Graph,
    /// Place a real call from a sample customer to a server of its own and check what was heard.
    Demo(crate::cli::demo::DemoArgs),
    /// A test phone in the terminal: dials a number, presses keys, records what it hears.
    Call(crate::cli::call::CallArgs),
    /// Past calls.
    Calls(calls::CallsArgs),
    /// Customers and orders of the embedded CRM.
    #[command(subcommand)]
    Crm(crm::CrmCommand),
    /// Recordings.
    #[command(subcommand)]
    Prompts(crate::cli::prompts::PromptsCommand),
    /// Settings.
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
