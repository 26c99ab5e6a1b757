//! SIPp as the callers.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::ears::RIG;
use crate::process::Usage;
use crate::server::SIP;

/// One of the files in `scenarios/`.
#[derive(Clone, Copy, Debug)]
pub enum Scenario {
    /// Listens for as long as it is told, then hangs up.
    Hold(Duration),
    /// Stays until the server hangs up.
    Wait,
}

/// Callers who call.
pub struct Sipp {
    child: Child,
    folder: TempDir,
    calls: usize,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub succeeded: u64,
    pub failed: u64,
    pub retransmissions: u64,
    /// CPU time of SIPp.
    pub cpu: Duration,
}

impl Sipp {
    /// So many calls to `number`, so many new ones a second; RTP is awaited at these ports in turn.
    pub fn dial(
        scenario: Scenario,
        number: &str,
        calls: usize,
        per_second: usize,
        ports: &[u16],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("callers.csv"), callers(calls, ports))?;
        let (name, hold) = match scenario {
            Scenario::Hold(hold) => ("hold.xml", hold),
            Scenario::Wait => ("wait.xml", Duration::ZERO),
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/scenarios").join(name);
        let child = Command::new("sipp")
            .arg("-sf")
            .arg(file)
            .args(["-inf", "callers.csv", "-s", number, "-i", &RIG.to_string(), "-nostdin"])
            .args(["-m", &calls.to_string(), "-l", &calls.to_string()])
            .args(["-r", &per_second.to_string(), "-rp", "1000"])
            .args(["-d", &hold.as_millis().to_string()])
            .args(["-buff_size", "16777216", "-trace_stat", "-fd", "1", "-trace_err"])
            .arg(SIP.to_string())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("sipp (make tools installs it)")?;
        Ok(Self { child, folder, calls })
    }

    pub fn cpu(&self) -> Duration {
        Usage::of(self.child.id()).map_or(Duration::ZERO, |usage| usage.cpu)
    }

    /// Waits until all calls are over; those that are not within this time count as failed. With
    /// its first complaint, if it has one.
    pub fn finish(mut self, within: Duration) -> anyhow::Result<(Tally, Option<String>)> {
        let began = Instant::now();
        let mut cpu = Duration::ZERO;
        while self.child.try_wait()?.is_none() && began.elapsed() < within {
            cpu = cpu.max(self.cpu());
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut tally = Tally { cpu, ..self.tally()? };
        tally.failed = (self.calls as u64).saturating_sub(tally.succeeded);
        Ok((tally, self.complaint()))
    }

    /// The last line of its statistics.
    pub fn tally(&self) -> anyhow::Result<Tally> {
        let text = self.file_with("_.csv")?;
        let (head, last) = text.lines().next().zip(text.lines().last()).unwrap_or_default();
        let names: Vec<&str> = head.split(';').collect();
        let fields: Vec<&str> = last.split(';').collect();
        let value = |name: &str| {
            let place = names.iter().position(|column| *column == name);
            place.and_then(|place| fields.get(place)?.parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(Tally {
            succeeded: value("SuccessfulCall(C)"),
            failed: value("FailedCall(C)"),
            retransmissions: value("Retransmissions(C)"),
            cpu: Duration::ZERO,
        })
    }

    /// Its first complaint, if it has one.
    pub fn complaint(&self) -> Option<String> {
        let text = self.file_with("_errors.log").ok()?;
        text.lines().next().map(str::to_owned)
    }

    fn file_with(&self, end: &str) -> anyhow::Result<String> {
        let files = fs::read_dir(self.folder.path())?;
        let files = files.collect::<io::Result<Vec<_>>>()?;
        let mut paths = files.into_iter().map(|entry| entry.path());
        let found = paths.find(|path| path.to_string_lossy().ends_with(end));
        ensure!(found.is_some(), "sipp wrote no {end}");
        Ok(fs::read_to_string(found.unwrap_or_default())?)
    }
}

/// A line for each call: where it awaits RTP, and a number that nobody else calls from.
fn callers(calls: usize, ports: &[u16]) -> String {
    static NUMBERS: AtomicUsize = AtomicUsize::new(0);
    let first = NUMBERS.fetch_add(calls, Ordering::Relaxed);
    let mut text = "SEQUENTIAL\n".to_owned();
    for (call, port) in (0..calls).zip(ports.iter().cycle()) {
        let number = 79_160_000_000 + (first + call) as u64;
        text += &format!("{port};{number};\n");
    }
    text
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
