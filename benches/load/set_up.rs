//! Calls that are answered and hung up at once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Run;
use crate::ears::Ears;
use crate::report::{Figure, Goal, Outcome};
use crate::server::{Server, Spent};
use crate::sipp::{Scenario, Sipp, Tally};

/// A rate counts if so many of the calls went well, and it took no longer than it should.
const SUCCEEDED_LEAST: f64 = 1.0;
const SLOWER_MOST: f64 = 1.03;

struct Point {
    per_second: usize,
    calls: usize,
    tally: Tally,
    spent: Spent,
    complaint: Option<String>,
}

impl Point {
    fn rate(&self) -> f64 {
        self.tally.succeeded as f64 / self.spent.time.as_secs_f64()
    }

    fn holds(&self) -> bool {
        self.tally.succeeded as f64 >= self.calls as f64 * SUCCEEDED_LEAST
            && self.rate() * SLOWER_MOST >= self.per_second as f64
    }

    fn cpu_ms_per_call(&self) -> f64 {
        self.spent.cpu.as_secs_f64() * 1e3 / self.tally.succeeded.max(1) as f64
    }

    fn sipp_cores(&self) -> f64 {
        self.tally.cpu.as_secs_f64() / self.spent.time.as_secs_f64()
    }

    fn print(&self) {
        println!(
            "  {:>5}/s asked, {:>5.0}/s came: {:.3} ms CPU each, {:.2} cores; {} failed, {} sent again; RSS {} MB; \
             machine {:.0} % busy (sipp {:.2} cores){}",
            self.per_second,
            self.rate(),
            self.cpu_ms_per_call(),
            self.spent.cores(),
            self.tally.failed,
            self.tally.retransmissions,
            self.spent.after.rss_kb / 1_024,
            self.spent.busy * 100.0,
            self.sipp_cores(),
            if self.holds() { "" } else { "  – broken" },
        );
        if let Some(complaint) = &self.complaint {
            println!("        {complaint}");
        }
    }

    fn json(&self) -> Value {
        json!({
            "asked_per_second": self.per_second,
            "per_second": self.rate(),
            "holds": self.holds(),
            "calls": self.calls,
            "succeeded": self.tally.succeeded,
            "failed": self.tally.failed,
            "retransmissions": self.tally.retransmissions,
            "cpu_ms_per_call": self.cpu_ms_per_call(),
            "cores": self.spent.cores(),
            "rss_kb": self.spent.after.rss_kb,
            "machine_busy": self.spent.busy,
            "sipp_cores": self.sipp_cores(),
        })
    }
}

pub fn set_up(run: &Run) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::new("set-up");
    let mut points = Vec::new();
    for per_second in run.rates() {
        let (point, rss) = at_rate(run, per_second)?;
        point.print();
        let holds = point.holds();
        let mut value = point.json();
        value["rss_kb_before"] = json!(rss.before);
        value["rss_kb_rested"] = json!(rss.rested);
        outcome.points.push(value);
        points.push((point, rss));
        if !holds {
            break;
        }
    }
    let good = points.iter().filter(|(point, _)| point.holds());
    if let Some((best, rss)) = good.max_by_key(|(point, _)| point.per_second) {
        let seconds = run.set_up.as_secs();
        let mb = |kb: u64| kb as f64 / 1_024.0;
        let of = |what: &str| format!("set-up: {what}");
        outcome.figures = vec![
            Figure::new(
                of(&format!("sustained for {seconds} s without a failure")),
                best.rate(),
                "calls/s",
                Goal::AtLeast(3_000.0 / SLOWER_MOST),
            ),
            Figure::new(of("CPU per call"), best.cpu_ms_per_call(), "ms", Goal::AtMost(0.3))
                .over(run.floor.set_up_us / 1e3),
            Figure::new(of("memory afterwards"), mb(best.spent.after.rss_kb), "MB", Goal::Open),
            Figure::new(
                of(&format!("memory {} s later", run.rest.as_secs())),
                mb(rss.rested),
                "MB",
                Goal::Open,
            ),
        ];
    }
    Ok(outcome)
}

/// Memory before the calls, and some time after them.
struct Rss {
    before: u64,
    rested: u64,
}

fn at_rate(run: &Run, per_second: usize) -> anyhow::Result<(Point, Rss)> {
    let server = Server::start(|_| Ok(()))?;
    let ears = Ears::open(false)?;
    std::thread::sleep(Duration::from_secs(1));
    let before = server.usage()?.rss_kb;
    let calls = per_second * run.set_up.as_secs() as usize;
    let sipp = Sipp::dial(Scenario::Hold(Duration::ZERO), "100", calls, per_second, &ears.ports)?;
    let (finished, spent) = server.during(|| sipp.finish(run.set_up * 3))?;
    let (tally, complaint) = finished?;
    let point = Point { per_second, calls, tally, spent, complaint };
    std::thread::sleep(run.rest);
    Ok((point, Rss { before, rested: server.usage()?.rss_kb }))
}
