//! `allo crm import`: customers and orders of the embedded CRM, from CSV files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Config;
use crate::crm;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub enum CrmCommand {
    /// Read customers and orders from CSV files: all rows or none.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct ImportArgs {
    /// Columns: phone,name,points,vip,manager,language,balance,card,timezone; only phone must be
    /// there.
    #[arg(long, value_name = "FILE")]
    customers: Option<PathBuf>,
    /// Columns: number,phone,status,due,sum,updated; number, phone and status must be there.
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Imports, whether the server runs or not.
pub async fn run(config: &Config, command: CrmCommand) -> anyhow::Result<ExitCode> {
    let CrmCommand::Import(args) = command;
    let store = Store::open(&config.database.url).await?;
    let (customers, orders) = (args.customers.as_deref(), args.orders.as_deref());
    let imported = crm::import(store.pool(), customers, orders, config.sip.region).await;
    store.close().await;
    let imported = imported?;
    if args.json {
        let report = json!({ "customers": imported.customers, "orders": imported.orders });
        println!("{report:#}");
    } else {
        println!("{} customers, {} orders imported", imported.customers, imported.orders);
    }
    Ok(ExitCode::SUCCESS)
}
