//! The second act: a customer waits and talks with an operator, a robot asks how it was, and because
//! the answer is bad, the operator calls back. The operator's phone and the customer's, behind a
//! trunk, are real SIP phones in this process; each line is told when it happened, and in the end the
//! database must say the same.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::time::Instant;

use super::super::call::print_line;
use super::server::{Folder, on_free_ports};
use crate::app::Server;
use crate::app::calendar::{Moment, Rehearsal};
use crate::config::{Config, Trunk};
use crate::domain::{
    Account, Attendance, CallOutcome, Key, Language, Login, Operator, PhoneNumber, Pii,
    PromiseKind, PromiseState, RecordingId, Region, Timestamp,
};
use crate::phone::{
    AudioOptions, Call, CallOptions, Desk, DeskFact, DeskOptions, From, PhoneEvent, Provider,
    ProviderOptions, Recording, Script, Tally, holds_tone, wav,
};
use crate::store::{PromiseFilter, PromiseRecord};

/// The plan of this act.
const PLAN: &str = include_str!("promises.kdl");
/// A Monday on which the shop is open.
const BEGINS: &str = "2026-11-23T12:00:00+03:00";
/// A minute in a second.
const SPEED: u32 = 60;
const LINE: &str = "100";
const CUSTOMER: &str = "+79161112233";
const OPERATOR: &str = "olga";
/// The tones by which the two are told apart, in Hz.
const CUSTOMER_HZ: u32 = 1_500;
const OPERATOR_HZ: u32 = 680;
/// What the customer thinks of the conversation.
const SCORE: u8 = 2;
/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the two talk, each time.
const TALK: Duration = Duration::from_secs(3);

/// A line of the story.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StoryLine {
    /// Since the beginning of the act.
    ms: u64,
    /// What the clock of the rehearsal said.
    clock: String,
    what: String,
}

/// What is told while it happens.
pub struct Story {
    begun: Instant,
    /// The clock of the rehearsal, as soon as it runs.
    rehearsal: Option<Rehearsal>,
    is_quiet: bool,
    pub lines: Vec<StoryLine>,
}

impl Story {
    pub fn begin(is_quiet: bool) -> Self {
        Self { begun: Instant::now(), rehearsal: None, is_quiet, lines: Vec::new() }
    }

    fn tell(&mut self, what: impl Into<String>) {
        let (passed, what) = (self.begun.elapsed(), what.into());
        let ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let clock = self.rehearsal.as_ref().map_or_else(String::new, |rehearsal| {
            rehearsal.shown(rehearsal.calendar(Timestamp(0)).wall(Timestamp(0).plus_ms(ms)))
        });
        let time_of_day = clock.get(11..16).unwrap_or_default().to_owned();
        if !self.is_quiet {
            print_line(passed, &format!("[{time_of_day}] {what}"));
        }
        self.lines.push(StoryLine { ms, clock, what });
    }
}

/// Plays the act; an error names what did not happen.
pub async fn play(config: Config, story: &mut Story) -> anyhow::Result<()> {
    let folder = Folder::create()?;
    let plans = folder.path().join("dialplans");
    std::fs::create_dir(&plans)?;
    std::fs::write(plans.join("demo.kdl"), PLAN)?;
    let provider = Provider::start(ProviderOptions::default()).await?;
    let mut config = on_free_ports(config, &folder);
    config.dialplans.folder = plans;
    let address = provider.address().to_string().parse().map_err(anyhow::Error::msg)?;
    config.trunks = vec![Trunk::at("demo", address)];
    let moment: Moment = BEGINS.parse().map_err(anyhow::Error::msg)?;
    let rehearsal = Rehearsal::new(moment, SPEED, &config, false)?;
    let recordings = Recordings { folder: config.prompts.folder.clone() };
    let server = Server::rehearse(config, Some(rehearsal.clone())).await?;
    (story.begun, story.rehearsal) = (Instant::now(), Some(rehearsal));
    let played = act(&server, &provider, &recordings, story).await;
    server.shutdown().await;
    played
}

async fn act(
    server: &Server,
    provider: &Provider,
    recordings: &Recordings,
    story: &mut Story,
) -> anyhow::Result<()> {
    let phone = PhoneNumber::parse(CUSTOMER, Region::default())
        .context("the customer's number is no number")?;
    let desk = operator_at_work(server).await?;
    let hear = |id: &str| RecordingId::new(id);
    let robot = Script::picks_up(Duration::from_millis(500))
        .listening_for(recordings.load(&["phrase/rating-ask", "phrase/rating-sorry"])?)
        .hear(hear("phrase/rating-ask"))
        .press(Key::try_from(char::from(b'0' + SCORE)).map_err(anyhow::Error::msg)?)
        .hear(hear("phrase/rating-sorry"));
    let callback = Script::picks_up(Duration::from_millis(500))
        .listening_for(recordings.load(&["phrase/callback-low-rating"])?)
        .speak(Some(CUSTOMER_HZ));
    provider.on_call(CUSTOMER, [robot, callback]).await;

    talk(server, &desk, recordings, &phone, story).await?;
    rate(provider, story).await?;
    call_back(provider, &desk, story).await?;
    check_the_books(server, story).await
}

/// The customer waits with a tip, talks with the operator, and hangs up.
async fn talk(
    server: &Server,
    desk: &Desk,
    recordings: &Recordings,
    phone: &PhoneNumber,
    story: &mut Story,
) -> anyhow::Result<()> {
    let address = server.udp_address().context("the server listens on no UDP port")?;
    let from = From::Number { user: phone.as_str().to_owned(), display: None };
    let mut options = CallOptions::new(address, LINE, from);
    options.voice_hz = Some(CUSTOMER_HZ);
    options.listens_for_hz = vec![OPERATOR_HZ];
    options.listens_for = recordings.tips()?;
    story.tell(format!("{} calls the hotline", Pii(phone)));
    let mut customer = Call::dial(options).await.context("the phone can't open its sockets")?;
    let tip = |what: &PhoneEvent| matches!(what, PhoneEvent::RecordingHeard { .. });
    within("the customer hears a tip while waiting", customer.event(tip))
        .await?
        .context("the call ended before a tip was heard")?;
    story.tell("the customer heard a useful tip while waiting");
    let invite = within("the operator's phone rings", desk.next_invite()).await??;
    desk.answer(invite.call).await;
    let voice = |what: &PhoneEvent| *what == PhoneEvent::ToneBegan { hz: OPERATOR_HZ };
    within("the customer hears the operator", customer.event(voice))
        .await?
        .context("the call ended before the operator was heard")?;
    within("the operator hears the customer", desk.hears_tone(invite.call, CUSTOMER_HZ)).await??;
    story.tell("operator and customer hear each other");
    tokio::time::sleep(TALK).await;
    customer.begin_hang_up().await;
    within("the operator's phone is free again", desk.ended(invite.call)).await??;
    story.tell("the customer hung up; the operator is free");
    Ok(())
}

/// The robot asks, and the customer is not content.
async fn rate(provider: &Provider, story: &mut Story) -> anyhow::Result<()> {
    let call = provider.until_within(PATIENCE, |tally| tally.calls_to(CUSTOMER).next().cloned());
    let call = call.await.context("the robot did not call")?.call;
    story.tell("the robot calls the customer");
    let ending = provider.until_within(PATIENCE, |tally| tally.get(call)?.ending());
    ending.await.context("the robot's call goes on")?;
    let tally = provider.tally();
    let taken = tally.get(call).context("the robot's call is lost")?;
    let has_heard = |id: &str| taken.has_heard(&RecordingId::new(id));
    ensure!(has_heard("phrase/rating-sorry"), "the customer did not hear that the shop is sorry");
    story.tell(format!("the customer pressed {SCORE} and heard that somebody will call back"));
    Ok(())
}

/// The operator's phone rings with the reason, then the customer's.
async fn call_back(provider: &Provider, desk: &Desk, story: &mut Story) -> anyhow::Result<()> {
    let invite = within("the operator's phone rings again", desk.next_invite()).await??;
    let shown = invite.display.clone().unwrap_or_default();
    story.tell(format!("the operator's phone rings and shows «{shown}»"));
    ensure!(!shown.is_empty(), "the operator's phone does not show why");
    desk.answer(invite.call).await;
    let second = |tally: &Tally| tally.calls_to(CUSTOMER).nth(1).cloned();
    let call = provider.until_within(PATIENCE, second);
    let call = call.await.context("the customer was not called back")?.call;
    story.tell("the operator picked up; the customer's phone rings");
    let greeted = RecordingId::new("phrase/callback-low-rating");
    let heard =
        |tally: &Tally| tally.get(call)?.heard.iter().any(|(id, ..)| *id == greeted).then_some(());
    provider
        .until_within(PATIENCE, heard)
        .await
        .context("the customer did not hear who calls and why")?;
    story.tell("the customer heard who calls and why");
    within("the operator hears the customer", desk.hears_tone(invite.call, CUSTOMER_HZ)).await??;
    tokio::time::sleep(TALK).await;
    desk.hang_up(invite.call).await;
    let heard = provider.heard(call).await.context("nothing is known of what was heard")?;
    ensure!(holds_tone(heard.samples(), OPERATOR_HZ), "the customer did not hear the operator");
    story.tell("they talked; the operator hung up");
    Ok(())
}

/// The database says the same.
async fn check_the_books(server: &Server, story: &mut Story) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let of_kind = |records: &[PromiseRecord], kind| {
        records.iter().find(|record| record.promise.kind == kind).cloned()
    };
    loop {
        let records = server.store().promises(&PromiseFilter::default()).await?;
        let survey = of_kind(&records, PromiseKind::RatingCall);
        let callback = of_kind(&records, PromiseKind::CallbackLowRating);
        let is_kept = |record: &Option<PromiseRecord>| {
            record.as_ref().is_some_and(|record| record.promise.state == PromiseState::Kept)
        };
        if is_kept(&survey) && is_kept(&callback) {
            for record in survey.iter().chain(&callback) {
                let promise = &record.promise;
                let told = server.store().promise_story(record.number).await?;
                let told = told.context("a promise without a story")?;
                let [attempt] = told.attempts.as_slice() else {
                    anyhow::bail!("{} took {} attempts", promise.kind, told.attempts.len());
                };
                ensure!(attempt.outcome == Some(CallOutcome::Answered), "{attempt:?}");
                ensure!(promise.about.rating == Some(SCORE), "the rating is not in the database");
                ensure!(promise.rehearsal, "the rehearsal is not marked in the database");
                let in_time = promise.contacted.is_some_and(|at| at <= promise.due);
                ensure!(in_time, "{} was not kept in time", promise.kind);
                let number = record.number;
                story.tell(format!("in the database: promise {number}, {}, kept", promise.kind));
            }
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the database does not say that both were kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An operator with a registered phone, logged in to the line.
async fn operator_at_work(server: &Server) -> anyhow::Result<Desk> {
    let login: Login = OPERATOR.parse().map_err(anyhow::Error::msg)?;
    let groups = vec!["support".to_owned()];
    let operator = Operator {
        name: "Ольга".to_owned(),
        groups: groups.clone(),
        ..Operator::named(login.clone())
    };
    let password = uuid::Uuid::now_v7().to_string();
    let account = Account::new(login.clone(), server.realm(), &password, None);
    server.store().add_operator(&operator, &account).await?;
    let attendance = Attendance { groups, paused: None };
    server.store().set_attendance(&login, &attendance, Timestamp(0)).await?;
    let address = server.udp_address().context("the server listens on no UDP port")?;
    let mut options = DeskOptions::new(address, OPERATOR, password);
    options.audio = AudioOptions {
        voice_hz: Some(OPERATOR_HZ),
        listens_for_hz: vec![CUSTOMER_HZ],
        ..AudioOptions::default()
    };
    let desk = Desk::start(options).await?;
    // The server reads its operators twice in a second.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match desk.register().await {
            Ok(DeskFact::Registered { .. }) => return Ok(desk),
            refused => ensure!(Instant::now() < deadline, "the phone can't register: {refused:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The shipped recordings, to be recognised.
struct Recordings {
    folder: std::path::PathBuf,
}

impl Recordings {
    fn load(&self, ids: &[&str]) -> anyhow::Result<Vec<Recording>> {
        let ids: Vec<RecordingId> = ids.iter().map(|id| RecordingId::new(*id)).collect();
        wav::load_recordings(Path::new(&self.folder), Language::Russian, &ids)
    }

    fn tips(&self) -> anyhow::Result<Vec<Recording>> {
        let ids: Vec<String> = (1..=12).map(|tip| format!("tip/{tip:02}")).collect();
        self.load(&ids.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

async fn within<T>(what: &str, fact: impl Future<Output = T>) -> anyhow::Result<T> {
    let waited = tokio::time::timeout(PATIENCE, fact).await;
    waited.with_context(|| format!("not within {} s: {what}", PATIENCE.as_secs()))
}
