//! One call with its sockets. A task of its own owns them; a [`Call`] is the hand on the receiver.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::audio::{Audio, AudioOptions};
use super::keys::{KeyBy, KeyScript, KeyStep};
use super::listen::Recording;
use super::playout::Playout;
use super::signalling::{Dialling, Endpoint, From, Output, Signalling, Transport};
use super::socket::SipSocket;
use super::timeline::{Ending, PhoneEvent, TimelineEvent};
use super::wire::Incoming;
use crate::domain::{Codec, Direction, Key};

/// Events that wait for a slow reader; more than a call has in practice. What doesn't fit is still
/// in the report's timeline.
const EVENTS_MAX: usize = 256;
/// Events kept for the report.
const TIMELINE_MAX: usize = 4096;
const COMMANDS_MAX: usize = 64;
/// What one key takes: it is held 100 ms and followed by a pause; keys by INFO keep the same pace.
pub const KEY_PACE: Duration = Duration::from_millis(180);

/// How to call.
#[derive(Clone, Debug)]
pub struct CallOptions {
    pub server: SocketAddr,
    /// `100`, `+78003334455`.
    pub number: String,
    pub from: From,
    pub transport: Transport,
    /// In order of preference; PCMA and PCMU unless said otherwise.
    pub codecs: Vec<Codec>,
    /// Offers telephone-event with this payload type; 101 unless said otherwise, `None`: not at all.
    pub event_payload_type: Option<u8>,
    /// INVITE without an offer; the answer goes into the ACK.
    pub offerless: bool,
    /// Sends silence while no key is pressed. Without it the phone is mute, as behind a firewall.
    pub sends_audio: bool,
    /// The tone that the caller speaks with, in Hz; `None`: silence.
    pub voice_hz: Option<u32>,
    /// Tones whose beginnings and ends are told, in Hz, at least 100 Hz apart.
    pub listens_for_hz: Vec<u32>,
    /// Recordings that are told when they end. Each costs time; only those that matter.
    pub listens_for: Vec<Recording>,
}

impl CallOptions {
    pub fn new(server: SocketAddr, number: impl Into<String>, from: From) -> Self {
        Self {
            server,
            number: number.into(),
            from,
            transport: Transport::Udp,
            codecs: Codec::ALL.to_vec(),
            event_payload_type: Some(101),
            offerless: false,
            sends_audio: true,
            voice_hz: None,
            listens_for_hz: Vec::new(),
            listens_for: Vec::new(),
        }
    }

    fn audio(&self) -> AudioOptions {
        AudioOptions {
            codecs: self.codecs.clone(),
            event_payload_type: self.event_payload_type,
            sends_audio: self.sends_audio,
            voice_hz: self.voice_hz,
            listens_for_hz: self.listens_for_hz.clone(),
            listens_for: self.listens_for.clone(),
            keeps_audio: true,
        }
    }
}

/// A call that was begun. Dropped, it ends without a BYE, like a phone that lost its power.
#[derive(Debug)]
pub struct Call {
    begun: Instant,
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<TimelineEvent>,
    task: JoinHandle<CallReport>,
}

/// What is left of a call that is over.
#[derive(Clone, Debug, Default)]
pub struct CallReport {
    pub timeline: Vec<TimelineEvent>,
    pub playout: Playout,
}

impl CallReport {
    /// When the first event like this came.
    pub fn time_of(&self, is_it: impl Fn(&PhoneEvent) -> bool) -> Option<Duration> {
        self.timeline.iter().find(|event| is_it(&event.what)).map(|event| event.at)
    }

    pub fn was_answered(&self) -> bool {
        self.time_of(|event| matches!(event, PhoneEvent::Answered { .. })).is_some()
    }

    pub fn ending(&self) -> Option<Ending> {
        self.timeline.iter().rev().find_map(|event| match event.what {
            PhoneEvent::Ended { why } => Some(why),
            _ => None,
        })
    }

    /// The final status of the INVITE.
    pub fn final_status(&self) -> Option<u16> {
        self.timeline.iter().rev().find_map(|event| match event.what {
            PhoneEvent::Status { code, .. } if code >= 200 => Some(code),
            _ => None,
        })
    }
}

/// The call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum NotAnswered {
    #[error("refused with {0}")]
    Refused(u16),
    #[error("the call ended before it was answered")]
    Ended,
    #[error("no answer in time")]
    TimedOut,
}

enum Command {
    Press(Key, KeyBy),
    HangUp,
    ChangeDirection(Direction),
    Speak(Option<u32>),
    PutAway,
    Listen(oneshot::Sender<Playout>),
}

impl Call {
    /// Opens the sockets and sends the INVITE.
    pub async fn dial(options: CallOptions) -> io::Result<Self> {
        let line = Line::open(options).await?;
        let begun = line.begun;
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (event_queue, events) = mpsc::channel(EVENTS_MAX);
        let task = tokio::spawn(line.run(command_queue, event_queue));
        Ok(Self { begun, commands, events, task })
    }

    /// What the times of the events count from: just before the INVITE.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The next event; `None` after the last.
    pub async fn next_event(&mut self) -> Option<TimelineEvent> {
        self.events.recv().await
    }

    /// Waits for an event; passes over the others. `None` if the call ended before.
    pub async fn event(&mut self, is_it: impl Fn(&PhoneEvent) -> bool) -> Option<TimelineEvent> {
        while let Some(event) = self.next_event().await {
            if is_it(&event.what) {
                return Some(event);
            }
        }
        None
    }

    /// Waits for the answer. Returns how long it took.
    pub async fn answered(&mut self, within: Duration) -> Result<Duration, NotAnswered> {
        let mut status = None;
        let outcome = timeout(within, async {
            while let Some(event) = self.next_event().await {
                match event.what {
                    PhoneEvent::Answered { .. } => return Ok(event.at),
                    PhoneEvent::Status { code, .. } => status = Some(code),
                    PhoneEvent::Ended { .. } => break,
                    _ => {}
                }
            }
            Err(status.filter(|code| *code >= 300).map_or(NotAnswered::Ended, NotAnswered::Refused))
        });
        outcome.await.unwrap_or(Err(NotAnswered::TimedOut))
    }

    /// Presses a key; keys that come while one is sent wait their turn.
    pub async fn press(&self, key: Key, by: KeyBy) {
        // A call that is over takes no keys.
        let _ = self.commands.send(Command::Press(key, by)).await;
    }

    /// Presses and waits as the script says.
    pub async fn play_script(&self, script: &KeyScript, by: KeyBy) {
        for step in &script.0 {
            match step {
                KeyStep::Press(key) => {
                    self.press(*key, by).await;
                    tokio::time::sleep(KEY_PACE).await;
                }
                KeyStep::Wait(wait) => tokio::time::sleep(*wait).await,
            }
        }
    }

    /// re-INVITE: `SendOnly` or `Inactive` holds the call, `SendRecv` resumes it.
    pub async fn change_direction(&self, direction: Direction) {
        let _ = self.commands.send(Command::ChangeDirection(direction)).await;
    }

    /// Speaks with another tone, in Hz, or not at all.
    pub async fn speak(&self, voice_hz: Option<u32>) {
        let _ = self.commands.send(Command::Speak(voice_hz)).await;
    }

    /// What was heard so far; `None` when the call is over (it is in the report then).
    pub async fn heard(&self) -> Option<Playout> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Listen(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Sends BYE (or CANCEL) without waiting for the end.
    pub async fn begin_hang_up(&self) {
        let _ = self.commands.send(Command::HangUp).await;
    }

    /// Hangs up and waits for the end.
    pub async fn hang_up(self) -> CallReport {
        self.begin_hang_up().await;
        self.ended().await
    }

    /// Waits until the call is over.
    pub async fn ended(self) -> CallReport {
        let Self { commands, events, task, begun: _ } = self;
        let report = task.await.unwrap_or_default();
        drop((commands, events));
        report
    }

    /// Stops at once and tells what was heard; nothing more is sent.
    pub async fn put_away(self) -> CallReport {
        // A call that is over has its report already.
        let _ = self.commands.send(Command::PutAway).await;
        self.ended().await
    }

    /// The phone dies: no BYE, no more packets.
    pub fn pull_the_plug(self) {
        self.task.abort();
    }
}

/// The sockets and machines of a call.
struct Line {
    signalling: Signalling,
    audio: Audio,
    sip: SipSocket,
    begun: Instant,
    timeline: Vec<TimelineEvent>,
}

impl Line {
    async fn open(options: CallOptions) -> io::Result<Self> {
        let ip = local_ip_towards(options.server).await?;
        let sip = SipSocket::open(options.transport, ip, options.server).await?;
        let audio = Audio::open(ip, &options.audio()).await?;
        let user = match &options.from {
            From::Number { user, .. } | From::Account { login: user } => user.clone(),
            From::Anonymous => "phone".to_owned(),
        };
        let signalling = Signalling::dialling(Dialling {
            endpoint: Endpoint {
                local: sip.local_address()?,
                transport: options.transport,
                user,
                accept: audio.offering().clone(),
                unique: uuid::Uuid::now_v7().simple().to_string(),
            },
            number: options.number,
            server: options.server,
            from: options.from,
            offer: (!options.offerless).then(|| audio.offering().clone()),
            credentials: None,
            replaces: None,
        });
        Ok(Self { signalling, audio, sip, begun: Instant::now(), timeline: Vec::new() })
    }

    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<TimelineEvent>,
    ) -> CallReport {
        self.signalling.call(self.now());
        loop {
            self.carry_out(&events).await;
            if self.signalling.is_done(self.now()) {
                return self.into_report();
            }
            let timer = self.signalling.next_timer().map_or_else(far_away, |at| self.begun + at);
            tokio::select! {
                due = self.audio.wait() => {
                    let (now, is_up) = (self.now(), self.signalling.is_answered());
                    for event in self.audio.act(due, now, is_up).await {
                        self.tell(event, &events);
                    }
                }
                message = self.sip.receive() => {
                    if let Some(message) = Incoming::read(&message) {
                        self.signalling.receive(self.now(), &message);
                    }
                }
                () = sleep_until(timer) => self.signalling.on_timer(self.now()),
                Some(command) = commands.recv() => {
                    if matches!(command, Command::PutAway) {
                        return self.into_report();
                    }
                    self.obey(command);
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn into_report(self) -> CallReport {
        CallReport { timeline: self.timeline, playout: self.audio.into_playout() }
    }

    async fn carry_out(&mut self, events: &mpsc::Sender<TimelineEvent>) {
        while let Some(output) = self.signalling.poll() {
            match output {
                Output::Send(bytes) => self.sip.send(&bytes).await,
                Output::Tell(what) => self.tell(TimelineEvent { at: self.now(), what }, events),
                Output::Media(agreement) => self.audio.agree(agreement),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Press(key, KeyBy::Info) => self.signalling.press_by_info(now, key),
            Command::Press(key, by) => self.audio.press(key, by),
            Command::HangUp => self.signalling.hang_up(now),
            Command::ChangeDirection(direction) => {
                self.signalling.change_direction(now, direction);
            }
            Command::Speak(voice_hz) => self.audio.speak(voice_hz),
            Command::PutAway => {}
            // Who asked may have gone away.
            Command::Listen(reply) => drop(reply.send(self.audio.playout().clone())),
        }
    }

    fn tell(&mut self, event: TimelineEvent, events: &mpsc::Sender<TimelineEvent>) {
        if self.timeline.len() < TIMELINE_MAX {
            self.timeline.push(event.clone());
        }
        // A reader who is slow or gone finds the event in the report.
        let _ = events.try_send(event);
    }
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// The address of ours from which packets to `server` leave. Nothing is sent for this.
pub(super) async fn local_ip_towards(server: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = UdpSocket::bind((any, 0)).await?;
    probe.connect(server).await?;
    Ok(probe.local_addr()?.ip())
}
