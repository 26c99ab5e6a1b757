//! `allo serve`: the server until SIGTERM or Ctrl-C.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::app::Server;
use crate::app::calendar::{Moment, Rehearsal};
use crate::config::Config;

/// `allo serve …`
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Rehearse: hours, due times and schedules run from this moment on, for example
    /// 2026-11-27T18:50:00+03:00. Calls and audio stay in real time.
    #[arg(long, value_name = "MOMENT")]
    clock: Option<Moment>,
    /// Seconds that pass on that clock in one, 1 to 3600.
    #[arg(long, value_name = "TIMES", requires = "clock")]
    clock_speed: Option<u32>,
    /// Rehearse even where a trunk is registered, so that real people may be called.
    #[arg(long, requires = "clock")]
    yes: bool,
}

/// Starts, says how to call, runs until it is told to stop.
pub async fn run(config: Config, args: ServeArgs, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let ServeArgs { clock, clock_speed, yes } = args;
    let speed = clock_speed.unwrap_or(1);
    let rehearsal = clock.map(|begins| Rehearsal::new(begins, speed, &config, yes)).transpose()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::rehearse(config, rehearsal.clone()).await?;
    print_banner(&server, rehearsal.as_ref(), file);
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal = name, "told to stop; once more hangs up the calls that are up");
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("told again: calls are hung up");
    };
    server.shutdown_or_hurry(again).await;
    Ok(ExitCode::SUCCESS)
}

/// `file`: the settings file that was named.
fn print_banner(server: &Server, rehearsal: Option<&Rehearsal>, file: Option<&Path>) {
    println!("allo {} answers", env!("CARGO_PKG_VERSION"));
    println!("  SIP      {}", server.sip_addresses().join("  "));
    println!("  numbers  {}", server.numbers().join("  "));
    println!("  health   http://{}/health", server.web_address());
    if let Some(rehearsal) = rehearsal {
        println!("  CLOCK    {rehearsal}");
    }
    if server.lacks_trunk() {
        println!("  TRUNKS   none: robots and call backs wait until the settings have a [[trunk]]");
    }
    if server.has_sample() {
        println!("  CRM      filled with sample customers; allo crm import replaces them by yours");
    }
    // As it was started, so that the lines can be copied: `target/release/allo`.
    let program = std::env::args().next().unwrap_or_else(|| "allo".to_owned());
    let settings = file.map(|file| format!(" --config {}", file.display())).unwrap_or_default();
    println!("Try it:");
    if let Some(number) = server.numbers().iter().find(|number| !number.starts_with('+')) {
        println!("  {program} call {number} --from +79161112233 --keys \"12s,1\"{settings}");
    }
    println!("  {program} calls{settings}");
}
