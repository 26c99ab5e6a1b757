//! The task that owns a phone's SIP socket and its calls.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::line::{AudioCommand, attend};
use super::log::{DeskFact, Invite, Log};
use super::standing::{Asker, Standing, Todo, Wish};
use super::{DeskCall, DeskOptions, OnInvite};
use crate::domain::{Direction, Key};
use crate::phone::audio::Audio;
use crate::phone::digest::Credentials;
use crate::phone::keys::KeyBy;
use crate::phone::playout::Playout;
use crate::phone::signalling::{
    ALLOW, Dialling, Endpoint, From, Output, Signalling, Transport, escape, finish, response,
};
use crate::phone::timeline::{Ending, PhoneEvent};
use crate::phone::wire::{Incoming, Start};

/// Largest UDP datagram.
const DATAGRAM_MAX: usize = 65_535;
/// Calls at the same time; INVITEs beyond get 486.
const CALLS_MAX: usize = 64;
/// Commands that wait for a call's audio.
const AUDIO_COMMANDS_MAX: usize = 64;

/// What a phone is told to do.
pub(super) enum Command {
    Register { expires_s: u64 },
    Watch { lamp: String, expires_s: u64 },
    Dial { call: DeskCall, number: String, replaces: Option<String> },
    OnInvite(OnInvite),
    AnswerOptions(bool),
    Deafen,
    Do(DeskCall, Deed),
    Listen(DeskCall, oneshot::Sender<Playout>),
    Die,
}

/// What is done in a call.
pub(super) enum Deed {
    Answer,
    Refuse(u16),
    HangUp,
    ChangeDirection(Direction),
    Press(Key, KeyBy),
    Speak(Option<u32>),
    Transfer(String),
    TransferToCall(DeskCall),
}

/// The phone.
pub(super) struct Worker {
    options: DeskOptions,
    socket: UdpSocket,
    local: SocketAddr,
    unique: String,
    begun: Instant,
    log: Arc<Log>,
    next_call: Arc<AtomicU32>,
    is_deaf: bool,
    registration: Standing,
    lamps: Vec<Standing>,
    lines: BTreeMap<DeskCall, Line>,
    tasks: JoinSet<()>,
}

/// A call.
struct Line {
    signalling: Signalling,
    /// Where its messages go.
    peer: SocketAddr,
    audio: mpsc::Sender<AudioCommand>,
    was_up: bool,
    answer_at: Option<Duration>,
    answers_twice: bool,
}

/// Whether the phone lives on.
enum Life {
    GoesOn,
    Ends,
}

impl Worker {
    pub fn new(
        options: DeskOptions,
        socket: UdpSocket,
        begun: Instant,
        log: Arc<Log>,
        next_call: Arc<AtomicU32>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let registration = Standing::new(Wish::Registration, asker(&options, local, &unique));
        Ok(Self {
            options,
            socket,
            local,
            unique,
            begun,
            log,
            next_call,
            is_deaf: false,
            registration,
            lamps: Vec::new(),
            lines: BTreeMap::new(),
            tasks: JoinSet::new(),
        })
    }

    /// Lives until it is told to die or nobody holds the phone any more.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut life = Life::GoesOn;
        while matches!(life, Life::GoesOn) {
            self.carry_out().await;
            let timer = self
                .next_timer()
                .map_or_else(|| Instant::now() + Duration::from_secs(3600), |at| self.begun + at);
            life = tokio::select! {
                // What the test says holds for everything that comes after it.
                biased;
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => Life::Ends,
                },
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, source)) => {
                        self.receive(Bytes::copy_from_slice(&buffer[..length]), source).await
                    }
                    // An ICMP error of an earlier datagram is no message.
                    Err(_) => Life::GoesOn,
                },
                () = sleep_until(timer) => self.on_timer(),
            };
        }
        self.tasks.shutdown().await;
        self.log.write(Instant::now(), DeskFact::Died);
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    // ---- what comes

    async fn receive(&mut self, datagram: Bytes, source: SocketAddr) -> Life {
        if self.is_deaf {
            return Life::GoesOn;
        }
        let Some(message) = Incoming::read(&datagram) else { return Life::GoesOn };
        let now = self.now();
        let mut lines = self.lines.values_mut();
        if let Some(line) = lines.find(|line| line.signalling.call_id() == message.call_id) {
            line.signalling.receive(now, &message);
            return Life::GoesOn;
        }
        if let Some(standing) = self.standing(&message.call_id) {
            standing.receive(now, &message);
            return Life::GoesOn;
        }
        match &message.start {
            Start::Request { method } => match method.as_str() {
                "INVITE" => return self.invited(&message, source).await,
                "OPTIONS" => self.asked_for_options(&message, source).await,
                "ACK" => {}
                _ => self.reply(&message, source, "481 Call/Transaction Does Not Exist").await,
            },
            Start::Response { .. } => {}
        }
        Life::GoesOn
    }

    fn standing(&mut self, call_id: &str) -> Option<&mut Standing> {
        let mut all = self.lamps.iter_mut().chain([&mut self.registration]);
        all.find(|standing| standing.call_id() == call_id)
    }

    async fn asked_for_options(&mut self, message: &Incoming, source: SocketAddr) {
        let answered = self.options.answers_options;
        self.log.write(Instant::now(), DeskFact::OptionsAsked { answered });
        if answered {
            self.reply(message, source, "200 OK").await;
        }
    }

    async fn reply(&self, message: &Incoming, to: SocketAddr, status: &str) {
        let bytes = finish(response(message, status, &self.unique, ALLOW), None);
        send_or_lose(&self.socket, &bytes, to).await;
    }

    async fn invited(&mut self, message: &Incoming, source: SocketAddr) -> Life {
        let call = DeskCall(self.next_call.fetch_add(1, Ordering::Relaxed));
        let invite = Invite::read(call, message);
        let is_asked_to_answer = invite.asks_for_auto_answer();
        self.log.write(Instant::now(), DeskFact::Invited(Box::new(invite)));
        let on_invite = self.options.on_invite;
        match on_invite {
            OnInvite::Die => return Life::Ends,
            OnInvite::GoDeaf => {
                self.is_deaf = true;
                return Life::GoesOn;
            }
            OnInvite::Ring
            | OnInvite::Answer { .. }
            | OnInvite::AnswerTwice { .. }
            | OnInvite::AnswerWhenAsked
            | OnInvite::AnswerCancelled
            | OnInvite::Refuse(_) => {}
        }
        let Some(audio) = self.open_audio().await else {
            self.reply(message, source, "486 Busy Here").await;
            return Life::GoesOn;
        };
        let endpoint = self.endpoint(call, &audio);
        let answers_cancelled = on_invite == OnInvite::AnswerCancelled;
        let mut signalling = Signalling::received(endpoint, message, answers_cancelled);
        let now = self.now();
        let (mut answer_at, mut answers_twice) = (None, false);
        match on_invite {
            OnInvite::Refuse(code) => signalling.refuse(now, code),
            OnInvite::Answer { after } => answer_at = Some(now + after),
            OnInvite::AnswerTwice { after } => {
                (answer_at, answers_twice) = (Some(now + after), true);
            }
            OnInvite::AnswerWhenAsked if is_asked_to_answer => answer_at = Some(now),
            OnInvite::AnswerWhenAsked
            | OnInvite::Ring
            | OnInvite::AnswerCancelled
            | OnInvite::Die
            | OnInvite::GoDeaf => {}
        }
        signalling.ring();
        let audio = self.attend(call, audio);
        let line =
            Line { signalling, peer: source, audio, was_up: false, answer_at, answers_twice };
        self.lines.insert(call, line);
        Life::GoesOn
    }

    // ---- what is to be done

    async fn obey(&mut self, command: Command) -> Life {
        let now = self.now();
        match command {
            Command::Register { expires_s } => self.registration.ask(now, expires_s),
            Command::Watch { lamp, expires_s } => self.watch(now, lamp, expires_s),
            Command::Dial { call, number, replaces } => self.dial(call, number, replaces).await,
            Command::OnInvite(on_invite) => self.options.on_invite = on_invite,
            Command::AnswerOptions(answers) => self.options.answers_options = answers,
            Command::Deafen => self.is_deaf = true,
            Command::Do(call, deed) => self.act(now, call, deed).await,
            Command::Listen(call, reply) => {
                if let Some(line) = self.lines.get(&call) {
                    // Without the task nobody answers, which who asked will see.
                    let _ = line.audio.send(AudioCommand::Listen(reply)).await;
                }
            }
            Command::Die => return Life::Ends,
        }
        Life::GoesOn
    }

    fn watch(&mut self, now: Duration, lamp: String, expires_s: u64) {
        const LAMPS_MAX: usize = 64;
        if self.lamps.len() < LAMPS_MAX {
            let unique = format!("{}w{}", self.unique, self.lamps.len());
            let asker = asker(&self.options, self.local, &unique);
            let mut lamp = Standing::new(Wish::Lamp(lamp), asker);
            lamp.ask(now, expires_s);
            self.lamps.push(lamp);
        }
    }

    async fn dial(&mut self, call: DeskCall, number: String, replaces: Option<String>) {
        let Some(audio) = self.open_audio().await else {
            let what = PhoneEvent::Ended { why: Ending::Failed };
            return self.log.write(Instant::now(), DeskFact::Call { call, what });
        };
        let (login, password) = (self.options.login.clone(), self.options.password.clone());
        let mut signalling = Signalling::dialling(Dialling {
            endpoint: self.endpoint(call, &audio),
            number,
            server: self.options.server,
            from: From::Account { login: login.clone() },
            offer: Some(audio.offering().clone()),
            credentials: Some(Credentials { user: login, password }),
            replaces,
        });
        signalling.call(self.now());
        let (peer, audio) = (self.options.server, self.attend(call, audio));
        let line =
            Line { signalling, peer, audio, was_up: false, answer_at: None, answers_twice: false };
        self.lines.insert(call, line);
    }

    async fn act(&mut self, now: Duration, call: DeskCall, deed: Deed) {
        let target = match &deed {
            Deed::Transfer(number) => {
                Some(format!("sip:{}@{}", escape(number), self.options.server))
            }
            Deed::TransferToCall(other) => self.refer_to_call(*other),
            _ => None,
        };
        let Some(line) = self.lines.get_mut(&call) else { return };
        match deed {
            Deed::Answer => line.signalling.answer(now),
            Deed::Refuse(code) => line.signalling.refuse(now, code),
            Deed::HangUp => line.signalling.hang_up(now),
            Deed::ChangeDirection(direction) => line.signalling.change_direction(now, direction),
            Deed::Press(key, KeyBy::Info) => line.signalling.press_by_info(now, key),
            Deed::Press(key, by) => line.tell_audio(AudioCommand::Press(key, by)).await,
            Deed::Speak(voice_hz) => line.tell_audio(AudioCommand::Speak(voice_hz)).await,
            Deed::Transfer(_) | Deed::TransferToCall(_) => {
                if let Some(target) = target {
                    line.signalling.refer(now, &target);
                }
            }
        }
    }

    /// `sip:…?Replaces=…` (RFC 5589 §7.3); `None` when that call is not up.
    fn refer_to_call(&self, other: DeskCall) -> Option<String> {
        let line = self.lines.get(&other)?;
        let replaces: String = line
            .signalling
            .replaces()?
            .bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect();
        Some(format!("{}?Replaces={replaces}", line.signalling.remote_uri()))
    }

    fn next_timer(&self) -> Option<Duration> {
        let of_line = |line: &Line| line.signalling.next_timer().into_iter().chain(line.answer_at);
        let standing = self.lamps.iter().chain([&self.registration]);
        let timers = self.lines.values().flat_map(of_line);
        timers.chain(standing.filter_map(Standing::next_timer)).min()
    }

    fn on_timer(&mut self) -> Life {
        let now = self.now();
        for line in self.lines.values_mut() {
            line.signalling.on_timer(now);
            if line.answer_at.take_if(|at| *at <= now).is_some() {
                line.signalling.answer(now);
                if line.answers_twice {
                    line.signalling.repeat_answer();
                }
            }
        }
        for standing in self.lamps.iter_mut().chain([&mut self.registration]) {
            standing.on_timer(now);
        }
        Life::GoesOn
    }

    /// Sends and tells what the machines want.
    async fn carry_out(&mut self) {
        let Self { lines, lamps, registration, socket, log, options, is_deaf, .. } = self;
        for standing in lamps.iter_mut().chain([registration]) {
            while let Some(todo) = standing.poll() {
                match todo {
                    Todo::Send(bytes) => {
                        send_unless(*is_deaf, socket, &bytes, options.server).await
                    }
                    Todo::Tell(fact) => log.write(Instant::now(), fact),
                }
            }
        }
        for (&call, line) in lines.iter_mut() {
            while let Some(output) = line.signalling.poll() {
                match output {
                    Output::Send(bytes) => send_unless(*is_deaf, socket, &bytes, line.peer).await,
                    Output::Tell(what) => {
                        log.write(Instant::now(), DeskFact::Call { call, what });
                    }
                    Output::Media(agreement) => {
                        line.tell_audio(AudioCommand::Agree(agreement)).await;
                    }
                }
            }
            let is_up = line.signalling.is_answered();
            if is_up != line.was_up {
                line.was_up = is_up;
                line.tell_audio(AudioCommand::Up(is_up)).await;
            }
        }
        let now = self.now();
        self.lines.retain(|_, line| !line.signalling.is_done(now));
    }

    fn endpoint(&self, call: DeskCall, audio: &Audio) -> Endpoint {
        Endpoint {
            local: self.local,
            transport: Transport::Udp,
            user: self.options.login.clone(),
            accept: audio.offering().clone(),
            unique: format!("{}c{}", self.unique, call.0),
        }
    }

    /// `None` when there are too many calls, or no ports.
    async fn open_audio(&self) -> Option<Audio> {
        if self.lines.len() >= CALLS_MAX {
            return None;
        }
        Audio::open(self.local.ip(), &self.options.audio).await.ok()
    }

    fn attend(&mut self, call: DeskCall, audio: Audio) -> mpsc::Sender<AudioCommand> {
        let (sender, commands) = mpsc::channel(AUDIO_COMMANDS_MAX);
        // Tasks that have ended are taken off.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(attend(call, audio, commands, self.begun, self.log.clone()));
        sender
    }
}

impl Line {
    async fn tell_audio(&self, command: AudioCommand) {
        // The task ends with the sender, not before.
        let _ = self.audio.send(command).await;
    }
}

fn asker(options: &DeskOptions, local: SocketAddr, unique: &str) -> Asker {
    Asker {
        server: options.server,
        local,
        credentials: Credentials {
            user: options.login.clone(),
            password: options.password.clone(),
        },
        unique: unique.to_owned(),
        renews: options.renews,
    }
}

async fn send_unless(is_deaf: bool, socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    if !is_deaf {
        send_or_lose(socket, bytes, to).await;
    }
}

/// A datagram that can't be sent is one that got lost; SIP repeats it.
async fn send_or_lose(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    let _ = socket.send_to(bytes, to).await;
}
