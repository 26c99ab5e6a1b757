//! More and more calls on one server, each number of them measured, until it breaks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ears::{Ears, Heard};
use crate::report::Outcome;
use crate::server::{Server, Spent};
use crate::sipp::Sipp;

const DELIVERED_LEAST: f64 = 0.999;
const SETTLE: Duration = Duration::from_secs(2);

/// Who calls, and what counts as broken.
pub struct Ramp<'a> {
    pub server: &'a Server,
    pub ears: &'a Ears,
    pub steps: Vec<usize>,
    pub window: Duration,
    /// New calls in a second while the number grows.
    pub per_second: usize,
    /// Streams that the rig hears of each call.
    pub streams: usize,
    pub gap_p99_most_ms: f64,
}

/// What one number of calls came to.
pub struct Point {
    pub calls: usize,
    pub heard: Heard,
    pub spent: Spent,
    pub rss_kb_per_call: f64,
    pub holds: bool,
    streams: usize,
    sipp_cores: f64,
}

impl Ramp<'_> {
    /// `dial` sets up so many more calls.
    pub fn climb(
        &self,
        outcome: &mut Outcome,
        dial: impl Fn(usize) -> anyhow::Result<Sipp>,
    ) -> anyhow::Result<Vec<Point>> {
        std::thread::sleep(Duration::from_secs(1));
        let empty = self.server.usage()?;
        let (mut sipps, mut points, mut up) = (Vec::new(), Vec::new(), 0);
        for &calls in &self.steps {
            sipps.push(dial(calls - up)?);
            let all_are_heard = self.until_heard(calls, calls - up);
            if !all_are_heard {
                let complaint = sipps.iter().find_map(Sipp::complaint).unwrap_or_default();
                let (heard, wanted) = (self.ears.alive(), calls * self.streams);
                outcome.remark(format!("{heard} of {wanted} streams are heard. {complaint}"));
            }
            up = calls;
            std::thread::sleep(SETTLE);
            let sipp_cpu = || sipps.iter().map(Sipp::cpu).sum::<Duration>();
            let before = sipp_cpu();
            let (heard, spent) = self.server.during(|| self.ears.listen(self.window))?;
            let sipp_cores = (sipp_cpu() - before).as_secs_f64() / spent.time.as_secs_f64();
            let grown = spent.after.rss_kb.saturating_sub(empty.rss_kb) as f64;
            let holds = all_are_heard
                && heard.delivered(calls * self.streams) >= DELIVERED_LEAST
                && heard.gaps.quantile_ms(0.99) <= self.gap_p99_most_ms;
            let rss_kb_per_call = grown / calls as f64;
            let streams = self.streams;
            let point = Point { calls, heard, spent, rss_kb_per_call, holds, streams, sipp_cores };
            point.print();
            outcome.points.push(point.json());
            points.push(point);
            if !holds {
                break;
            }
        }
        Ok(points)
    }

    /// Whether all calls are heard within the time that setting them up takes, and some more.
    fn until_heard(&self, calls: usize, new: usize) -> bool {
        let most = Duration::from_secs_f64(new as f64 / self.per_second as f64 * 1.5 + 5.0);
        let began = Instant::now();
        while began.elapsed() < most {
            if self.ears.alive() >= calls * self.streams {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Point {
    fn delivered(&self) -> f64 {
        self.heard.delivered(self.calls * self.streams)
    }

    /// % of a core.
    pub fn percent_per_call(&self) -> f64 {
        self.spent.cores() * 100.0 / self.calls as f64
    }

    /// CPU µs for each packet that a stream of this call should have.
    pub fn us_per_packet(&self) -> f64 {
        self.percent_per_call() * 200.0 / self.streams as f64
    }

    fn ears_cores(&self) -> f64 {
        self.heard.cpu.as_secs_f64() / self.spent.time.as_secs_f64()
    }

    fn print(&self) {
        let gap = |share| self.heard.gaps.quantile_ms(share);
        println!(
            "  {:>6} calls: {:.4} % of a core each; delivered {:.2} %; gaps p50 {:.2} p99 {:.2} p99.9 {:.2} longest {:.0} ms; \
             {:.1} kB each; server {:.2}, ears {:.2}, sipp {:.2} cores, machine {:.0} % busy{}",
            self.calls,
            self.percent_per_call(),
            self.delivered() * 100.0,
            gap(0.5),
            gap(0.99),
            gap(0.999),
            self.heard.gaps.longest_ms(),
            self.rss_kb_per_call,
            self.spent.cores(),
            self.ears_cores(),
            self.sipp_cores,
            self.spent.busy * 100.0,
            if self.holds { "" } else { "  – broken" },
        );
        if self.heard.own_gaps.total > 0 {
            let own = |share| self.heard.own_gaps.quantile_ms(share);
            println!(
                "         what the rig itself sent: gaps p50 {:.2} p99 {:.2} ms",
                own(0.5),
                own(0.99)
            );
        }
    }

    fn json(&self) -> Value {
        let gap = |share| self.heard.gaps.quantile_ms(share);
        json!({
            "calls": self.calls,
            "holds": self.holds,
            "streams": self.heard.streams,
            "delivered": self.delivered(),
            "numbers_left_out": self.heard.lost,
            "gap_ms": {
                "p50": gap(0.5),
                "p99": gap(0.99),
                "p99.9": gap(0.999),
                "max": self.heard.gaps.longest_ms(),
            },
            "rig_gap_p99_ms": self.heard.own_gaps.quantile_ms(0.99),
            "gap_bars_half_ms": self.heard.gaps.bars(0.5, 60.0),
            "cores": self.spent.cores(),
            "percent_of_core_per_call": self.percent_per_call(),
            "cpu_ms_per_call_minute": self.percent_per_call() * 600.0,
            "rss_kb": self.spent.after.rss_kb,
            "rss_kb_per_call": self.rss_kb_per_call,
            "files": self.spent.after.files,
            "machine_busy": self.spent.busy,
            "ears_cores": self.ears_cores(),
            "sipp_cores": self.sipp_cores,
        })
    }
}
