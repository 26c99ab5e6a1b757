//! `allo serve`: the server until SIGTERM or Ctrl-C.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::app::Server;
use crate::config::Config;

/// Starts, says how to call, runs until it is told to stop.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config).await?;
    print_banner(&server);
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal = name, "told to stop; once more stops at once");
    tokio::select! {
        () = server.shutdown() => {}
        _ = terminate.recv() => info!("stopped at once"),
        _ = interrupt.recv() => info!("stopped at once"),
    }
    Ok(ExitCode::SUCCESS)
}

fn print_banner(server: &Server) {
    println!("allo {} answers", env!("CARGO_PKG_VERSION"));
    println!("  SIP      {}", server.sip_addresses().join("  "));
    println!("  numbers  {}", server.numbers().join("  "));
    println!("  health   http://{}/health", server.web_address());
    if server.has_sample() {
        println!("  CRM      filled with sample customers; allo crm import replaces them by yours");
    }
    println!("Try it:");
    if let Some(number) = server.numbers().iter().find(|number| !number.starts_with('+')) {
        println!("  allo call {number} --from +79161112233 --keys \"12s,1\"");
    }
    println!("  allo calls");
}
