//! The hour of the rush: 1,000 callers hear tips, 200 operators talk, and each second 20
//! conversations end and 20 callers come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Run;
use crate::desks::{Desks, hire};
use crate::ears::Ears;
use crate::report::{Figure, Goal, Outcome};
use crate::server::Server;
use crate::sipp::{Scenario, Sipp};

const OPERATORS: usize = 200;
/// A line has room for 1,000.
const WAITING: usize = 990;
const PER_SECOND: usize = 20;
/// As long as it takes until 20 of the operators hang up each second.
const TALK: Duration = Duration::from_secs((OPERATORS / PER_SECOND) as u64);
/// While the house fills.
const FILLING_PER_SECOND: usize = 100;

pub fn waiting_line(run: &Run) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("waiting-line");
    let server = Server::start(|folder| hire(folder, OPERATORS))?;
    let ears = Arc::new(Ears::open(false)?);
    let desks = Desks::open(OPERATORS, Arc::clone(&ears), Some(TALK))?;
    std::thread::sleep(Duration::from_secs(1));
    let empty = server.usage()?;
    let dial =
        |calls, per_second| Sipp::dial(Scenario::Wait, "300", calls, per_second, &ears.ports);
    let first = dial(OPERATORS, PER_SECOND)?;
    until(|| desks.talking() >= OPERATORS - PER_SECOND);
    let waiting = dial(WAITING, FILLING_PER_SECOND)?;
    // Those who come while the line fills, and then as many as leave.
    let seconds = WAITING / FILLING_PER_SECOND + run.line.as_secs() as usize + 30;
    let coming = dial(PER_SECOND * seconds, PER_SECOND)?;
    std::thread::sleep(Duration::from_secs_f64(WAITING as f64 / FILLING_PER_SECOND as f64 + 1.0));
    desks.seen();
    let (heard, spent) = server.during(|| ears.listen(run.line))?;
    let seen = desks.seen();
    let failed: u64 = [&first, &waiting, &coming]
        .iter()
        .filter_map(|sipp| sipp.tally().ok())
        .map(|tally| tally.failed)
        .sum();
    let rate = seen.calls as f64 / spent.time.as_secs_f64();
    let gap = |share| heard.gaps.quantile_ms(share);
    let again = |share| seen.rung_again.quantile_ms(share);
    println!(
        "  {} streams heard, {rate:.1} operators rung a second, {} talking, {failed} calls failed; server {:.2} cores; \
         gaps p50 {:.2} p99 {:.2} p99.9 {:.2} longest {:.0} ms; free operator → next ring p50 {:.2} p99 {:.2} ms; RSS {} MB (empty {})",
        ears.alive(),
        desks.talking(),
        spent.cores(),
        gap(0.5),
        gap(0.99),
        gap(0.999),
        heard.gaps.longest_ms(),
        again(0.5),
        again(0.99),
        spent.after.rss_kb / 1_024,
        empty.rss_kb / 1_024,
    );
    if failed > 0 {
        outcome.remark(format!("{failed} calls failed"));
    }
    outcome.points.push(json!({
        "waiting": WAITING,
        "operators": OPERATORS,
        "rung_per_second": rate,
        "failed": failed,
        "cores": spent.cores(),
        "rss_kb": spent.after.rss_kb,
        "rss_kb_empty": empty.rss_kb,
        "gap_ms": { "p50": gap(0.5), "p99": gap(0.99), "p99.9": gap(0.999), "max": heard.gaps.longest_ms() },
        "free_to_ring_ms": { "p50": again(0.5), "p99": again(0.99) },
        "machine_busy": spent.busy,
    }));
    let of = |what: &str| format!("waiting line, {WAITING} callers, {OPERATORS} operators: {what}");
    outcome.figures = vec![
        Figure::new(of("CPU"), spent.cores() * 100.0, "% of a core", Goal::Open),
        Figure::new(of("p99 gap"), gap(0.99), "ms", Goal::Open),
        Figure::new(of("free → next ring, p99"), again(0.99), "ms", Goal::Open),
    ];
    Ok(outcome)
}

fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
}
