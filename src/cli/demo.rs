//! `allo demo`: real calls to servers of its own, judged by what was heard.
//!
//! First a customer calls the hotline of the shop's plans; then `promises` plays how a promise is made
//! and kept.
//!
//! The server runs in the same process, on free ports, but the phone reaches it only by SIP and RTP,
//! and the verdict comes from the audio alone.

mod promises;
pub mod server;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::civil::Date;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior};

use self::promises::{Story, StoryLine};
use super::call::{print_event, print_line, print_summary};
use crate::config::Config;
use crate::domain::{Customer, Key, Language, PhoneNumber, Pii, RecordingId};
use crate::phone::{
    Call, CallOptions, CallReport, From, Heard, KeyBy, Listener, Playout, ReceiveReport,
    TimelineEvent, contains_in_order, wav,
};
use crate::speech::{Catalogue, Format, Value, speak, spoken_text};

/// How long the caller waits for what a key or the answer should bring.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long the caller listens to a menu before pressing a key.
const MENU_LISTENED: Duration = Duration::from_millis(900);
/// How often what came is named.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often what came is judged.
const JUDGE_EVERY: Duration = Duration::from_millis(600);

/// Places a real call from a sample customer to a server of its own and checks what was heard.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to record what the customer heard.
    #[arg(long, value_name = "FILE", default_value = "allo-demo.wav")]
    wav: PathBuf,
    /// One JSON document on stdout when the call is over.
    #[arg(long)]
    json: bool,
}

/// A server with sample data, and what the demo must know to judge it.
pub struct DemoServer {
    pub sip: SocketAddr,
    /// What the customer dials.
    pub number: String,
    pub phone: PhoneNumber,
    /// What the CRM knows of this customer: points, and an order with a status.
    pub customer: Customer,
    pub language: Language,
    /// The day on which the plan speaks of «сегодня».
    pub today: Date,
    pub catalogue: Arc<Catalogue>,
    /// The folder with `LANG/ID.wav`.
    pub prompts: PathBuf,
    /// Stops the server; awaited when the call is over.
    pub stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What the caller does and then must hear.
struct Stage {
    key: Option<Key>,
    expected: Vec<RecordingId>,
}

/// The JSON document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct DemoDocument<'a> {
    passed: bool,
    missing: Option<String>,
    timeline: &'a [TimelineEvent],
    heard: Vec<HeardLine>,
    audio: ReceiveReport,
    wav: &'a Path,
    /// How a promise was made and kept.
    story: &'a [StoryLine],
    /// What of that did not happen.
    broken: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct HeardLine {
    ms: u64,
    recording: RecordingId,
    text: String,
    length_ms: u64,
    complete: bool,
}

/// Ends with 0 if the audio that came over RTP holds every expected recording, with 1 if not.
pub async fn run(
    args: DemoArgs,
    config: Config,
    start: impl Future<Output = anyhow::Result<DemoServer>>,
) -> anyhow::Result<ExitCode> {
    let server = start.await.context("the demo's server did not start")?;
    let stages = stages(&server)?;
    let mut customer = DemoCall::dial(&server, &stages, args.json).await?;
    let verdict = customer.walk(&stages).await;
    let (report, heard) = customer.leave().await;
    server.stop.await;
    wav::save(&args.wav, report.playout.samples())?;
    let audio = report.playout.report();
    if !args.json {
        print_summary(&audio);
        println!("what the customer heard: {}", args.wav.display());
        match &verdict {
            Ok(count) => println!("all {count} expected recordings were heard, in their order"),
            Err(missing) => println!("NOT as expected: {missing}"),
        }
        println!(
            "\nA promise, from the low rating to the callback; a minute passes in each second"
        );
    }
    let mut story = Story::begin(args.json);
    let played = promises::play(config, &mut story).await;
    if args.json {
        let document = DemoDocument {
            passed: verdict.is_ok() && played.is_ok(),
            missing: verdict.as_ref().err().cloned(),
            timeline: &report.timeline,
            heard,
            audio,
            wav: &args.wav,
            story: &story.lines,
            broken: played.as_ref().err().map(|error| format!("{error:#}")),
        };
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        match &played {
            Ok(()) => println!("the promise was kept, and the database says the same"),
            Err(error) => println!("NOT as expected: {error:#}"),
        }
    }
    let passed = verdict.is_ok() && played.is_ok();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The walk through the shipped hotline: balance and order at once; 1 points again; 2 order again.
fn stages(server: &DemoServer) -> anyhow::Result<Vec<Stage>> {
    let order = server.customer.current_order().context("the sample customer has no order")?;
    let points = server.customer.points.context("the sample customer has no points")?;
    let status = order.status.clone().context("the sample order has no status")?;
    let say = |format, value| {
        speak(server.language, format, &value, server.today, &server.catalogue)
            .map(|spoken| spoken.recordings)
    };
    let points = say(Format::Points, Value::Number(points))?;
    let number = say(Format::Digits, Value::Text(order.number.clone()))?;
    let status = say(Format::Status, Value::Text(status))?;
    let phrase = |id: &str| vec![RecordingId::new(id)];
    let opening = [
        phrase("phrase/points-are"),
        points.clone(),
        phrase("phrase/order-number"),
        number,
        status.clone(),
    ];
    let key = |c| Key::try_from(c).ok();
    Ok(vec![
        Stage { key: None, expected: opening.concat() },
        Stage { key: key('1'), expected: points },
        Stage { key: key('2'), expected: status },
    ])
}

/// The customer on the phone.
struct DemoCall<'a> {
    server: &'a DemoServer,
    call: Call,
    listener: Listener,
    begun: Instant,
    heard: Vec<HeardLine>,
    is_quiet: bool,
}

impl<'a> DemoCall<'a> {
    async fn dial(
        server: &'a DemoServer,
        stages: &[Stage],
        is_quiet: bool,
    ) -> anyhow::Result<Self> {
        let mut known: Vec<RecordingId> =
            stages.iter().flat_map(|stage| stage.expected.clone()).collect();
        let phrases = server.catalogue.ids(server.language);
        known.extend(phrases.filter(|id| id.as_str().starts_with("phrase/")).cloned());
        known.sort();
        known.dedup();
        let recordings = wav::load_recordings(&server.prompts, server.language, &known)?;
        if !is_quiet {
            println!("{} calls sip:{}@{}", Pii(&server.phone), server.number, server.sip);
        }
        let user = server.phone.as_str().to_owned();
        let from = From::Number { user, display: server.customer.name.clone() };
        let options = CallOptions::new(server.sip, &server.number, from);
        let call = Call::dial(options).await.context("the phone can't open its sockets")?;
        Ok(Self {
            server,
            call,
            listener: Listener::new(recordings),
            begun: Instant::now(),
            heard: Vec::new(),
            is_quiet,
        })
    }

    /// Goes through the stages. `Ok`: how many recordings were expected and heard; `Err`: what was
    /// not heard.
    async fn walk(&mut self, stages: &[Stage]) -> Result<usize, String> {
        let mut count = 0;
        for stage in stages {
            let mut from = 0;
            if let Some(key) = stage.key {
                self.listen_for(MENU_LISTENED).await?;
                let playout = self.playout().await?;
                from = playout.samples().len();
                self.call.press(key, KeyBy::Event).await;
            }
            self.hear(&stage.expected, from).await?;
            count += stage.expected.len();
        }
        Ok(count)
    }

    /// Listens until all of these were heard after the sample `from`.
    async fn hear(&mut self, expected: &[RecordingId], from: usize) -> Result<(), String> {
        let recordings = wav::load_recordings(&self.server.prompts, self.server.language, expected)
            .map_err(|error| format!("{error:#}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.listen_for(JUDGE_EVERY).await?;
            let playout = self.playout().await?;
            let samples = playout.samples().get(from..).unwrap_or_default();
            match contains_in_order(samples, &recordings) {
                Ok(_) => return Ok(()),
                Err(missing) if Instant::now() > deadline => return Err(missing.to_string()),
                Err(_) => {}
            }
        }
    }

    /// Prints what happens for so long. `Err` when the call ended.
    async fn listen_for(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.call.next_event() => match event {
                    Some(event) => self.tell(&event),
                    None => return Err("the call ended too early".to_owned()),
                },
                _ = looks.tick() => {
                    let playout = self.playout().await?;
                    for heard in self.listener.advance(playout.samples()) {
                        self.note(&heard, &playout);
                    }
                    if Instant::now() >= until {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn playout(&self) -> Result<Playout, String> {
        self.call.heard().await.ok_or_else(|| "the call ended too early".to_owned())
    }

    fn tell(&self, event: &TimelineEvent) {
        if !self.is_quiet {
            print_event(event);
        }
    }

    fn note(&mut self, heard: &Heard, playout: &Playout) {
        let first_sample = usize::try_from(heard.at_ms).unwrap_or(usize::MAX / 8) * 8;
        let at = playout.arrival_of(first_sample).unwrap_or_else(|| self.begun.elapsed());
        let ids = std::slice::from_ref(&heard.id);
        let text = spoken_text(self.server.language, ids, &self.server.catalogue);
        if !self.is_quiet {
            let note = if heard.complete { "" } else { " … (cut)" };
            print_line(at, &format!("heard «{text}»{note}, {} ms", heard.length_ms));
        }
        self.heard.push(HeardLine {
            ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            recording: heard.id.clone(),
            text,
            length_ms: heard.length_ms,
            complete: heard.complete,
        });
    }

    async fn leave(mut self) -> (CallReport, Vec<HeardLine>) {
        self.call.begin_hang_up().await;
        let farewell = async {
            while let Some(event) = self.call.next_event().await {
                if !self.is_quiet {
                    print_event(&event);
                }
            }
        };
        let is_over = tokio::time::timeout(Duration::from_secs(5), farewell).await.is_ok();
        let report = if is_over { self.call.ended().await } else { self.call.put_away().await };
        (report, self.heard)
    }
}
