//! `allo crm import`: customers and orders of the embedded CRM, from CSV files.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::screen::screen;
use crate::config::Config;
use crate::crm::{self, ImportError};
use crate::spreadsheet::BadRows;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub enum CrmCommand {
    /// Read customers and orders from CSV files: all rows or none.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Columns: phone,name,points,vip,manager,language,balance,card,timezone; only phone must be
    /// there.
    #[arg(long, value_name = "FILE", required_unless_present = "orders")]
    customers: Option<PathBuf>,
    /// Columns: number,phone,status,due,sum,updated; number, phone and status must be there.
    #[arg(long, value_name = "FILE", required_unless_present = "customers")]
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
    let mut out = screen();
    match imported {
        Ok(done) if args.json => {
            let report = json!({ "ok": true, "customers": done.customers, "orders": done.orders });
            writeln!(out, "{report:#}")?;
        }
        Ok(done) => {
            writeln!(
                out,
                "imported: {} of customers, {} of orders",
                rows(done.customers),
                rows(done.orders)
            )?;
        }
        Err(ImportError::Rows(BadRows { errors, more })) if args.json => {
            let report = json!({ "ok": false, "problems": errors, "more": more });
            writeln!(out, "{report:#}")?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(count: usize) -> String {
    format!("{count} row{}", if count == 1 { "" } else { "s" })
}
