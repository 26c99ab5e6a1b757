//! `allo call`: a test phone in the terminal.

use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, sleep_until};

use super::screen::screen;
use crate::app::clock::Clock;
use crate::config::{self, Config};
use crate::domain::{Key, PhoneNumber, Pii, Region};
use crate::phone::{
    Call, CallOptions, CallReport, From, KeyBy, KeyScript, KeyStep, PhoneEvent, ReceiveReport,
    TimelineEvent, Transport, wav,
};

/// How long a call lasts when nobody sits at the keyboard.
const UNATTENDED_S: u64 = 30;
/// What is still heard after the last key of a script.
const AFTER_KEYS: Duration = Duration::from_secs(10);
/// How long a BYE may wait for its answer before the phone is put away.
const FAREWELL: Duration = Duration::from_secs(5);

/// Dials a number, presses keys, records what is heard.
///
/// Keys are typed while the call is up (with Enter), or given with --keys.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// What to dial: 100, +78003334455.
    number: String,
    /// Where the server listens. Without it: on this machine, where the settings say.
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// What carries SIP.
    #[arg(long, value_enum, default_value = "udp")]
    transport: Transport,
    /// Caller's number, such as +79161112233; "anonymous" withholds it.
    #[arg(long, value_name = "PHONE", default_value = "allo-phone")]
    from: String,
    /// Keys and waits: "1,2s,0" presses 1, waits 2 seconds, presses 0; "12#" presses three keys.
    #[arg(long, value_name = "SCRIPT")]
    keys: Option<KeyScript>,
    /// How keys are sent.
    #[arg(long, value_enum, default_value = "event")]
    dtmf: KeyBy,
    /// Where to record; call-NUMBER.wav unless given.
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,
    /// Hang up so long after the answer. Without it: when the server hangs up, at Ctrl-C, or, when
    /// keys are given or nobody can type them, after 30 seconds and 10 after the last key.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// One JSON document on stdout when the call is over.
    #[arg(long)]
    json: bool,
    /// Phone numbers in full in the JSON document.
    #[arg(long)]
    full: bool,
}

/// The JSON document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct CallDocument<'a> {
    number: String,
    from: String,
    server: SocketAddr,
    /// RFC 3339.
    started: String,
    answered: bool,
    status: Option<u16>,
    timeline: &'a [TimelineEvent],
    audio: ReceiveReport,
    heard_ms: usize,
    wav: Option<&'a Path>,
}

/// Ends with 0 if the call was answered, with 1 if not.
pub async fn run(config: &Config, args: CallArgs) -> anyhow::Result<ExitCode> {
    let server = match &args.server {
        Some(server) => resolve(server).await?,
        None => listener(config, args.transport)
            .context("the settings name no address for this transport; use --server")?,
    };
    let started = Clock::start().now();
    let by_hand = args.keys.is_none() && std::io::stdin().is_terminal();
    let options = CallOptions {
        transport: args.transport,
        ..CallOptions::new(server, &args.number, caller(&args.from))
    };
    let mut call = Call::dial(options).await.with_context(|| format!("no way to {server}"))?;
    converse(&mut call, &args, by_hand).await;
    let report = leave(call, &args).await;
    let wav = args.wav.clone().unwrap_or_else(|| default_file(&args.number));
    let recorded = !report.playout.samples().is_empty();
    if recorded {
        wav::save(&wav, report.playout.samples())?;
    }
    if args.json {
        let document = CallDocument {
            number: shown(&args.number, args.full),
            from: shown(&args.from, args.full),
            server,
            started: started.to_string(),
            answered: report.was_answered(),
            status: report.final_status(),
            timeline: &report.timeline,
            audio: report.playout.report(),
            heard_ms: report.playout.samples().len() / 8,
            wav: recorded.then_some(&*wav),
        };
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print_summary(&report.playout.report());
        if recorded {
            println!("recorded to {}", wav.display());
        }
    }
    Ok(if report.was_answered() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything between the INVITE and the wish to hang up.
async fn converse(call: &mut Call, args: &CallArgs, by_hand: bool) {
    let mut typed = BufReader::new(tokio::io::stdin()).lines();
    let mut steps = Script::new(args.keys.clone().unwrap_or_default());
    let mut hang_up_at: Option<Instant> = None;
    let mut may_type = by_hand;
    loop {
        tokio::select! {
            event = call.next_event() => {
                let Some(event) = event else { return };
                if !args.json {
                    print_event(&event);
                }
                match event.what {
                    PhoneEvent::Answered { .. } => {
                        steps.start();
                        hang_up_at = last_moment(args, by_hand);
                    }
                    PhoneEvent::Ended { .. } => return,
                    _ => {}
                }
            }
            key = steps.next_key() => call.press(key, args.dtmf).await,
            line = typed.next_line(), if may_type => match line {
                Ok(Some(line)) => press_typed(call, &line, args.dtmf).await,
                Ok(None) | Err(_) => may_type = false,
            },
            () = sleep_until(hang_up_at.unwrap_or_else(Instant::now)), if hang_up_at.is_some() => {
                return;
            }
            _ = tokio::signal::ctrl_c() => return,
        }
    }
}

/// When to hang up, from the answer on; `None`: when somebody says so.
fn last_moment(args: &CallArgs, by_hand: bool) -> Option<Instant> {
    let script_length: Duration = args.keys.iter().flat_map(|keys| &keys.0).map(pace).sum();
    let length = match args.seconds {
        Some(seconds) => Duration::from_secs(seconds),
        None if by_hand => return None,
        None => Duration::from_secs(UNATTENDED_S).max(script_length + AFTER_KEYS),
    };
    Some(Instant::now() + length)
}

async fn press_typed(call: &Call, line: &str, by: KeyBy) {
    for c in line.trim().chars().filter(|c| !c.is_whitespace()) {
        match Key::try_from(c) {
            Ok(key) => call.press(key, by).await,
            Err(why) => eprintln!("{why}"),
        }
    }
}

/// Hangs up, and tells what still happens.
async fn leave(mut call: Call, args: &CallArgs) -> CallReport {
    call.begin_hang_up().await;
    let farewell = async {
        while let Some(event) = call.next_event().await {
            if !args.json {
                print_event(&event);
            }
        }
    };
    // Who doesn't answer our BYE is left alone with it.
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        return call.put_away().await;
    }
    call.ended().await
}

/// The keys of a script, each at its time.
struct Script {
    steps: std::vec::IntoIter<KeyStep>,
    next_at: Option<Instant>,
}

impl Script {
    fn new(script: KeyScript) -> Self {
        Self { steps: script.0.into_iter(), next_at: None }
    }

    fn start(&mut self) {
        self.next_at = Some(Instant::now());
    }

    /// Waits for the next key; for ever before the start and after the last. May be dropped while
    /// it waits.
    async fn next_key(&mut self) -> Key {
        loop {
            let Some(at) = self.next_at else { return std::future::pending().await };
            sleep_until(at).await;
            match self.steps.next() {
                Some(step) => {
                    self.next_at = Some(at + pace(&step));
                    if let KeyStep::Press(key) = step {
                        return key;
                    }
                }
                None => self.next_at = None,
            }
        }
    }
}

/// How long a step takes.
fn pace(step: &KeyStep) -> Duration {
    match step {
        KeyStep::Press(_) => crate::phone::KEY_PACE,
        KeyStep::Wait(wait) => *wait,
    }
}

/// One line of the timeline.
pub(super) fn print_event(event: &TimelineEvent) {
    print_line(event.at, &event.what.describe());
}

/// Seconds and a text.
pub(super) fn print_line(at: Duration, text: &str) {
    let mut out = screen();
    // A reader that went away (`| head`) is no reason to end the call.
    let _ = writeln!(out, "{:>9.3} s  {text}", at.as_secs_f64()).and_then(|()| out.flush());
}

/// The stream in one line.
pub(super) fn print_summary(audio: &ReceiveReport) {
    match audio.first_packet_ms {
        Some(first_ms) => println!(
            "first packet after {first_ms:.0} ms · {} packets, {} lost · longest gap {:.0} ms",
            audio.packets, audio.lost, audio.longest_gap_ms
        ),
        None => println!("no audio came"),
    }
}

/// Where a server with these settings is reached from this machine.
fn listener(config: &Config, transport: Transport) -> Option<SocketAddr> {
    let wanted = match transport {
        Transport::Udp => config::Transport::Udp,
        Transport::Tcp => config::Transport::Tcp,
    };
    let listen = config.sip.listen.iter().find(|listen| listen.transport == wanted)?;
    let mut address = listen.address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Some(address)
}

async fn resolve(server: &str) -> anyhow::Result<SocketAddr> {
    let with_port = if server.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
        format!("[{server}]:5060")
    } else if server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        server.to_owned()
    } else {
        format!("{server}:5060")
    };
    let mut addresses =
        tokio::net::lookup_host(&with_port).await.with_context(|| format!("--server {server}"))?;
    addresses.next().with_context(|| format!("--server {server} has no address"))
}

/// `anonymous`, or a number or name for the From header.
fn caller(from: &str) -> From {
    if from.eq_ignore_ascii_case("anonymous") {
        From::Anonymous
    } else {
        let user = from.chars().filter(|c| !c.is_whitespace()).collect();
        From::Number { user, display: None }
    }
}

fn default_file(number: &str) -> PathBuf {
    let safe: String = number.chars().filter(|c| c.is_alphanumeric() || *c == '+').collect();
    PathBuf::from(format!("call-{safe}.wav"))
}

/// A public number masked unless `full`; anything else as it is.
fn shown(number: &str, full: bool) -> String {
    match PhoneNumber::parse(number, Region::default()) {
        Some(number) if full => number.as_str().to_owned(),
        Some(number) => Pii(&number).to_string(),
        None => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_unless_asked_for_in_full() {
        assert_eq!(shown("8 916 111-22-33", false), "+7916•••2233");
        assert_eq!(shown("8 916 111-22-33", true), "+79161112233");
        assert_eq!(shown("100", false), "100");
    }

    #[test]
    fn the_file_name_holds_nothing_but_the_number() {
        assert_eq!(default_file("../+7 916"), Path::new("call-+7916.wav"));
    }

    #[test]
    fn without_a_server_the_settings_say_where_to_call() {
        let mut config = Config::default();
        let shown = |config: &Config, by| listener(config, by).map(|address| address.to_string());
        assert_eq!(shown(&config, Transport::Udp).as_deref(), Some("127.0.0.1:5060"));
        config.sip.listen = vec!["tcp:192.0.2.7:6060".parse().unwrap()];
        assert_eq!(shown(&config, Transport::Tcp).as_deref(), Some("192.0.2.7:6060"));
        assert_eq!(shown(&config, Transport::Udp), None);
    }

    #[tokio::test]
    async fn a_server_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("127.0.0.1:6000", "127.0.0.1:6000"),
            ("127.0.0.1", "127.0.0.1:5060"),
            ("::1", "[::1]:5060"),
        ] {
            assert_eq!(resolve(text).await.unwrap(), address.parse().unwrap(), "{text}");
        }
        assert!(resolve("nowhere.invalid:1").await.is_err());
    }
}
