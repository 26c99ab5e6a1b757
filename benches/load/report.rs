//! Figures: what we reach, what we aim at, what the machine itself takes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::floor::Floor;
use crate::process;

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Told for its own sake.
    Open,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    pub what: String,
    pub ours: f64,
    pub unit: &'static str,
    pub goal: Goal,
    /// The same of the bare machine, if there is such a thing.
    pub floor: Option<f64>,
}

impl Figure {
    pub fn new(what: impl Into<String>, ours: f64, unit: &'static str, goal: Goal) -> Self {
        Self { what: what.into(), ours, unit, goal, floor: None }
    }

    pub fn over(mut self, floor: f64) -> Self {
        self.floor = Some(floor);
        self
    }

    fn is_reached(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMost(most) => Some(self.ours <= most),
            Goal::AtLeast(least) => Some(self.ours >= least),
            Goal::Open => None,
        }
    }

    fn json(&self) -> Value {
        let (direction, goal) = match self.goal {
            Goal::AtMost(most) => ("at most", Some(most)),
            Goal::AtLeast(least) => ("at least", Some(least)),
            Goal::Open => ("open", None),
        };
        json!({
            "what": self.what,
            "ratio_to_floor": self.floor.map(|floor| self.ours / floor),
            "ours": self.ours,
            "unit": self.unit,
            "direction": direction,
            "goal": goal,
            "floor": self.floor,
            "reached": self.is_reached(),
        })
    }

    fn line(&self) -> String {
        let ratio =
            self.floor.map_or("–".to_owned(), |floor| format!("{:.2}", self.ours / floor));
        let goal = match self.goal {
            Goal::AtMost(most) => format!("≤ {}", number(most)),
            Goal::AtLeast(least) => format!("≥ {}", number(least)),
            Goal::Open => "–".to_owned(),
        };
        let verdict = match self.is_reached() {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "",
        };
        let floor = self.floor.map_or("–".to_owned(), number);
        let Self { what, unit, .. } = self;
        let ours = number(self.ours);
        format!("{what:<58} {ratio:>7} {ours:>9} {goal:>9} {floor:>8}  {unit:<14} {verdict}")
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "?".to_owned(),
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// What a scenario found.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub name: &'static str,
    pub figures: Vec<Figure>,
    /// The measurements one by one.
    pub points: Vec<Value>,
    /// What a reader should know of this run.
    pub remarks: Vec<String>,
}

impl Outcome {
    pub fn new(name: &'static str) -> Self {
        Self { name, figures: Vec::new(), points: Vec::new(), remarks: Vec::new() }
    }

    /// Says something at once, and again in the file.
    pub fn remark(&mut self, text: String) {
        println!("  {text}");
        self.remarks.push(text);
    }

    pub fn write(&self, floor: &Floor, is_quick: bool) -> io::Result<()> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        let document = json!({
            "scenario": self.name,
            "date": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "commit": commit(),
            "quick": is_quick,
            "machine": process::machine(),
            "floor": floor.json(),
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "remarks": self.remarks,
            "points": self.points,
        });
        fs::write(folder.join(format!("{}.json", self.name)), format!("{document:#}\n"))
    }
}

/// All figures, ratios first.
pub fn print_table(outcomes: &[Outcome]) {
    let heads = ("what", "× floor", "ours", "goal", "floor", "unit");
    let (what, ratio, ours, goal, floor, unit) = heads;
    println!("\n{what:<58} {ratio:>7} {ours:>9} {goal:>9} {floor:>8}  {unit}");
    for figure in outcomes.iter().flat_map(|outcome| &outcome.figures) {
        println!("{}", figure.line());
    }
}

/// `target/bench`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench")
}

/// The commit that was measured, with a + when files were changed since.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_some_and(|changed| !changed.is_empty()) { "+" } else { "" };
    head + mark
}
