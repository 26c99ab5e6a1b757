//! How much one server carries, measured from outside: the release binary, callers by SIPp, ears
//! with kernel time stamps, and beside it what the bare machine takes.
//!
//! `make bench`, `make bench-quick`, or one scenario: `cargo bench --bench load -- playback --calls 1000`.
//!
//! - [`floor`]: the bare machine
//! - [`playback`], [`bridged`], [`set_up`], [`latency`], [`waiting_line`], [`hostile`], [`decisions`]:
//!   the scenarios; [`ramp`]: more and more calls
//! - [`server`]: the binary and its files; [`sipp`]: callers; [`ears`]: their ears and mouths; [`desks`]:
//!   operators' phones; [`wire`]: the SIP of the rig's own phones
//! - [`stamped`], [`histogram`], [`process`]: measuring
//! - [`report`]: figures, table, files; [`charts`], [`svg`]: pictures

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and waits")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures"
)]

mod bridged;
mod charts;
mod decisions;
mod desks;
mod ears;
mod floor;
mod histogram;
mod hostile;
mod latency;
mod playback;
mod process;
mod ramp;
mod report;
mod server;
mod set_up;
mod sipp;
mod stamped;
mod svg;
mod waiting_line;
mod wire;

#[path = "../day/busy_day.rs"]
mod busy_day;
#[path = "../acd/house.rs"]
mod house;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use bridged::bridged;
use decisions::decisions;
use floor::Floor;
use hostile::hostile;
use latency::latency;
use playback::{Callers, playback};
use report::Outcome;
use set_up::set_up;
use waiting_line::waiting_line;

/// Measures calls against the floor of the machine. Without scenarios: all of them.
#[derive(Debug, Parser)]
struct Arguments {
    scenarios: Vec<Scenario>,
    /// Fewer steps and shorter times.
    #[arg(long)]
    quick: bool,
    /// Only this many calls at the same time.
    #[arg(long)]
    calls: Option<usize>,
    /// Only this many new calls a second.
    #[arg(long)]
    rate: Option<usize>,
    /// How long is measured, in seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Cargo says it.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// A quick run draws no pictures, unless it is told to.
    fn scenarios(&self) -> Vec<Scenario> {
        if !self.scenarios.is_empty() {
            return self.scenarios.clone();
        }
        let all = Scenario::value_variants().iter().copied();
        all.filter(|scenario| !(self.quick && *scenario == Scenario::Charts)).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    Floor,
    Playback,
    PlaybackSpeaking,
    Bridged,
    BridgedRecorded,
    SetUp,
    Latency,
    WaitingLine,
    Hostile,
    Decisions,
    /// The pictures, of what stands in target/bench.
    Charts,
}

/// What all scenarios share.
pub struct Run {
    pub floor: Floor,
    pub is_quick: bool,
    /// How long is listened at each step.
    pub window: Duration,
    /// How long calls are set up.
    pub set_up: Duration,
    /// How long is waited until memory is looked at again.
    pub rest: Duration,
    /// How long calls for latency are made.
    pub latency: Duration,
    /// How long the waiting line is watched.
    pub line: Duration,
    calls: Option<usize>,
    rate: Option<usize>,
}

impl Run {
    fn new(arguments: &Arguments, floor: Floor) -> Self {
        let is_quick = arguments.quick;
        let time = |quick, full| {
            let usual = if is_quick { quick } else { full };
            Duration::from_secs(arguments.seconds.unwrap_or(usual))
        };
        Self {
            floor,
            is_quick,
            window: time(4, 10),
            set_up: time(8, 45),
            rest: Duration::from_secs(if is_quick { 5 } else { 60 }),
            latency: time(3, 20),
            line: time(4, 30),
            calls: arguments.calls,
            rate: arguments.rate,
        }
    }

    /// Numbers of calls, growing: those of a quick run, of a full one, or the one that is asked for.
    pub fn steps(&self, quick: &[usize], full: Vec<usize>) -> Vec<usize> {
        match self.calls {
            Some(calls) => vec![calls],
            None if self.is_quick => quick.to_vec(),
            None => full,
        }
    }

    /// New calls a second, growing.
    pub fn rates(&self) -> Vec<usize> {
        match self.rate {
            Some(rate) => vec![rate],
            None if self.is_quick => vec![3_000],
            None => vec![500, 1_000, 2_000, 3_000, 4_000, 5_000],
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    process::raise_open_files(200_000);
    let time = Duration::from_secs(if arguments.quick { 1 } else { 4 });
    let floor = Floor::measure(time)?;
    println!(
        "floor: sendto {:.2} µs, relayed packet {:.2} µs, a call's datagrams and sockets {:.1} µs, echo {:.3} ms",
        floor.send_us, floor.relay_us, floor.set_up_us, floor.echo_ms
    );
    let run = Run::new(&arguments, floor);
    let wanted = arguments.scenarios();
    let mut outcomes = Vec::new();
    for scenario in wanted {
        let Some(outcome) = scenario.play(&run)? else { continue };
        outcome.write(&run.floor, run.is_quick)?;
        outcomes.push(outcome);
    }
    report::print_table(&outcomes);
    Ok(())
}

impl Scenario {
    fn play(self, run: &Run) -> anyhow::Result<Option<Outcome>> {
        let name = self.to_possible_value();
        println!("{}", name.as_ref().map_or("", |name| name.get_name()));
        match self {
            Self::Floor => Ok(None),
            Self::Playback => playback(run, Callers::Silent).map(Some),
            Self::PlaybackSpeaking => playback(run, Callers::Speaking).map(Some),
            Self::Bridged => bridged(run, false).map(Some),
            Self::BridgedRecorded => bridged(run, true).map(Some),
            Self::SetUp => set_up(run).map(Some),
            Self::Latency => latency(run).map(Some),
            Self::WaitingLine => waiting_line(run).map(Some),
            Self::Hostile => hostile(run).map(Some),
            Self::Decisions => Ok(Some(decisions())),
            Self::Charts => charts::draw().map(|()| None),
        }
    }
}
