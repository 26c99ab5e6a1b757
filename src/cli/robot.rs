//! `allo robot status|stop|resume`: the robots of the running server.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::running::{RunningServer, escaped};
use super::screen::screen;
use super::table::{self, Side};
use crate::config::Config;
use crate::domain::Timestamp;

/// Cells of the bar.
const BAR_WIDTH: u64 = 20;

/// `allo robot …`
#[derive(Debug, Subcommand)]
pub enum RobotCommand {
    /// How far the robots have come, and when they will be done.
    Status(StatusArgs),
    /// Begin no more calls of a robot. What it owes waits.
    Stop {
        /// A survey or robot of the plan.
        name: String,
    },
    /// Let a robot that was stopped go on.
    Resume {
        /// A survey or robot of the plan.
        name: String,
    },
}

/// `allo robot status …`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only this robot.
    name: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is shown of `GET /api/robots`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Robot {
    name: String,
    stopped: bool,
    left: u64,
    up: u64,
    done: u64,
    answered: u64,
    opted_out: u64,
    ends: Option<Timestamp>,
}

/// Asks the running server.
pub fn run(config: &Config, command: &RobotCommand) -> anyhow::Result<ExitCode> {
    let server = RunningServer::of(config);
    match command {
        RobotCommand::Status(args) => status(&server, args),
        RobotCommand::Stop { name } => {
            switch(&server, name, "stop")?;
            println!("{name} is stopped; allo robot resume {name} lets it go on");
            Ok(ExitCode::SUCCESS)
        }
        RobotCommand::Resume { name } => {
            switch(&server, name, "resume")?;
            println!("{name} goes on");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn status(server: &RunningServer, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let answer = server.get("/api/robots")?.context("this server knows no robots; update it")?;
    let Value::Array(mut robots) = answer else { bail!("the server answers otherwise than known") };
    if let Some(name) = &args.name {
        let known: Vec<String> = robots.iter().map(name_of).collect();
        robots.retain(|robot| name_of(robot) == *name);
        if robots.is_empty() {
            return Err(unknown(name, &known));
        }
    }
    let mut out = screen();
    if args.json {
        writeln!(out, "{:#}", Value::Array(robots))?;
        return Ok(ExitCode::SUCCESS);
    }
    if robots.is_empty() {
        writeln!(out, "the plan has no surveys and robots")?;
        return Ok(ExitCode::SUCCESS);
    }
    let robots: Vec<Robot> = serde_json::from_value(Value::Array(robots))?;
    let zone = TimeZone::system();
    let rows: Vec<Vec<String>> = robots.iter().map(|robot| row(robot, &zone)).collect();
    table::print(&mut out, &HEADING, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn switch(server: &RunningServer, name: &str, deed: &str) -> anyhow::Result<()> {
    let path = format!("/api/robots/{}/{deed}", escaped(name));
    let why = || format!("{name} was not told to {deed}: only a running server can do it");
    if server.post(&path).with_context(why)?.is_some() {
        return Ok(());
    }
    let robots = server.get("/api/robots")?.unwrap_or_default();
    let known: Vec<String> = robots.as_array().into_iter().flatten().map(name_of).collect();
    Err(unknown(name, &known))
}

fn unknown(name: &str, known: &[String]) -> anyhow::Error {
    match known {
        [] => anyhow::anyhow!("the plan has no robot {name}, and no other"),
        known => anyhow::anyhow!("the plan has no robot {name}; it has {}", known.join(", ")),
    }
}

fn name_of(robot: &Value) -> String {
    robot["name"].as_str().unwrap_or_default().to_owned()
}

const HEADING: [(&str, Side); 9] = [
    ("robot", Side::Left),
    ("", Side::Left),
    ("done", Side::Right),
    ("left", Side::Right),
    ("up", Side::Right),
    ("answered", Side::Right),
    ("opted out", Side::Right),
    ("state", Side::Left),
    ("ends about", Side::Left),
];

fn row(robot: &Robot, zone: &TimeZone) -> Vec<String> {
    let Robot { name, stopped, left, up, done, answered, opted_out, ends } = robot;
    let state = match (stopped, left, up) {
        (true, ..) => "stopped",
        (false, 0, _) => "idle",
        (false, _, 0) => "waits",
        (false, ..) => "calls",
    };
    let ends = ends.filter(|_| !stopped);
    let ends = ends.map(|at| at.in_zone(zone).strftime("%Y-%m-%d %H:%M").to_string());
    vec![
        name.clone(),
        bar(*done, *left),
        done.to_string(),
        left.to_string(),
        up.to_string(),
        answered.to_string(),
        opted_out.to_string(),
        state.to_owned(),
        ends.unwrap_or_default(),
    ]
}

/// `██████░░░░░░░░░░░░░░  30 %`; nothing when nothing was to be done. Full only when all is done.
fn bar(done: u64, left: u64) -> String {
    let all = done.saturating_add(left);
    if all == 0 {
        return String::new();
    }
    let part = |of: u64| (u128::from(done) * u128::from(of) / u128::from(all)) as usize;
    let full = part(BAR_WIDTH);
    let empty = BAR_WIDTH as usize - full;
    format!("{}{} {:>3} %", "█".repeat(full), "░".repeat(empty), part(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_only_when_all_is_done() {
        assert_eq!(bar(0, 0), "");
        assert_eq!(bar(0, 10), "░░░░░░░░░░░░░░░░░░░░   0 %");
        assert_eq!(bar(3, 7), "██████░░░░░░░░░░░░░░  30 %");
        assert_eq!(bar(4_999, 1), "███████████████████░  99 %");
        assert_eq!(bar(5_000, 0), "████████████████████ 100 %");
    }

    #[test]
    fn a_robot_is_a_line_with_its_state_and_its_end() {
        let answer = r#"{"name": "low-balance", "stopped": false, "since": 0, "left": 7, "up": 2,
            "done": 3, "answered": 2, "opted-out": 1, "ends": 1795355600000}"#;
        let mut robot: Robot = serde_json::from_str(answer).unwrap();
        let line = |robot: &Robot| row(robot, &TimeZone::UTC)[2..].join(" ");
        assert_eq!(line(&robot), "3 7 2 2 1 calls 2026-11-22 13:53");
        robot.up = 0;
        assert_eq!(line(&robot), "3 7 0 2 1 waits 2026-11-22 13:53", "for its hours, or a trunk");
        robot.stopped = true;
        assert_eq!(line(&robot), "3 7 0 2 1 stopped ");
        (robot.stopped, robot.left, robot.ends) = (false, 0, None);
        assert_eq!(line(&robot), "3 0 0 2 1 idle ");
    }
}
