//! Dialplans: KDL text → a typed plan, and what is wrong with it.
//!
//! - [`plan`]: the typed plan
//! - [`names`]: the names that `{…}` and conditions may use, and the formats
//! - [`expression`]: conditions of `if`; `condition` reads them
//! - [`hours`]: opening hours and holidays
//! - [`finding`]: a problem with its place and a hint
//! - [`graph`](mod@graph): the plan as a picture
//! - [`scenario`]: test files
//! - [`day`]: files for rehearsals
//! - [`waiting`]: what customers hear without the plan naming it
//!
//! How a file becomes a part of the plan: `syntax` (KDL → nodes with places), `reader` (nodes →
//! `tree`, each line checked by itself), `check` (the tree walked as callers walk it), `lower`
//! (tree → [`plan`]). `values` reads the small words, `suggest` knows what was meant.

pub mod day;
pub mod expression;
pub mod finding;
pub mod graph;
pub mod hours;
pub mod names;
pub mod plan;
pub mod scenario;

mod check;
mod condition;
mod lower;
mod reader;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod values;
pub mod waiting;

pub use day::parse_day;
pub use finding::{Finding, Severity};
pub use graph::graph;
pub use plan::Plan;
pub use scenario::{PlanTest, parse_tests};
pub use syntax::as_kdl;
pub use values::duration;

use crate::domain::Region;
use crate::speech::Catalogue;
use finding::Report;

/// One file, read by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it is shown in messages: `dialplans/hotline.kdl`.
    pub name: String,
    pub text: String,
}

/// What a plan takes from the server's settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The country in whose way telephone numbers are written.
    pub region: Region,
}

/// A plan that may go into force.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub plan: Plan,
    pub warnings: Vec<Finding>,
}

/// Reads and checks all files of a dialplan folder. All problems are found at once.
///
/// # Errors
///
/// All findings, warnings too, by file and place, if at least one of them is an error.
pub fn load(
    sources: &[Source],
    catalogue: &Catalogue,
    settings: &Settings,
) -> Result<Loaded, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut plan = Plan { version: version(sources), ..Plan::default() };
    let mut taken = check::Taken::default();
    for source in sources {
        let mut report = Report::new(source);
        let name = script_name(&source.name);
        if plan.scripts.contains_key(name) {
            report.error(finding::Span::default(), format!("there are two files named {name}.kdl"));
        } else if let Some(tree) = reader::read(name, &mut report, catalogue, settings) {
            check::check(&tree, &mut taken, catalogue, &mut report);
            lower::add(&tree, &mut plan);
        }
        findings.extend(report.into_findings());
    }
    if plan.numbers.is_empty() && !findings.iter().any(Finding::is_error) {
        findings.push(no_numbers(sources));
    }
    findings.sort_by(|a, b| a.place().cmp(&b.place()));
    if findings.iter().any(Finding::is_error) {
        return Err(findings);
    }
    Ok(Loaded { plan, warnings: findings })
}

fn no_numbers(sources: &[Source]) -> Finding {
    let message = match sources.len() {
        0 => "there is no dialplan file (*.kdl)",
        _ => "no number is answered by any file",
    };
    Finding {
        severity: Severity::Error,
        file: sources.first().map_or("dialplans", |source| source.name.as_str()).to_owned(),
        line: 1,
        column: 1,
        source_line: String::new(),
        width: 1,
        message: message.to_owned(),
        hint: Some("write number \"100\" { … } in a .kdl file of the dialplan folder".to_owned()),
    }
}

/// The file's name without folder and `.kdl`.
fn script_name(path: &str) -> &str {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    file.strip_suffix(".kdl").unwrap_or(file)
}

/// FNV-1a over names and texts: enough to tell two versions of a plan apart.
fn version(sources: &[Source]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for source in sorted {
        let name = script_name(&source.name).as_bytes();
        for byte in name.iter().chain(&[0]).chain(source.text.as_bytes()).chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}
