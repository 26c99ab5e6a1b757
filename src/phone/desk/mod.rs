//! An operator's phone for tests: it registers, is called, dials, transfers, watches lamps, and
//! does what its script says, also what a phone should not do. Tests wait for facts, never for a time.
//!
//! ```no_run
//! # async fn test(server: std::net::SocketAddr) {
//! use std::time::Duration;
//! use allo::phone::{Desk, DeskOptions, OnInvite};
//!
//! let after = Duration::from_millis(200);
//! let mut options = DeskOptions::new(server, "anna", "secret");
//! options.on_invite = OnInvite::Answer { after };
//! options.audio.listens_for_hz = vec![440];
//! let anna = Desk::start(options).await.unwrap();
//! anna.register().await.unwrap();
//! let invite = anna.next_invite().await.unwrap();
//! anna.hears_tone(invite.call, 440).await.unwrap();
//! anna.hang_up(invite.call).await;
//! # }
//! ```
//!
//! - this file: [`Desk`], the hand on the phone
//! - `log`: what happened: [`DeskEvent`]
//! - `worker`: the task that owns the SIP socket; `line`: the audio of a call
//! - `standing`: registration and lamps

mod line;
mod log;
mod standing;
#[cfg(test)]
mod tests;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub use log::{DeskEvent, DeskFact, Invite, NotSeen};

use self::log::Log;
use super::audio::AudioOptions;
use super::call::local_ip_towards;
use super::keys::KeyBy;
use super::playout::Playout;
use super::timeline::{Ending, PhoneEvent};
use crate::domain::{Codec, Direction, Key};
use worker::{Command, Deed, Worker};

const COMMANDS_MAX: usize = 64;

/// A call of one phone, in the order in which they came or were dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeskCall(u32);

/// What a phone does when it is called. 180 comes first, except where nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvite {
    /// Rings until the test does something.
    Ring,
    Answer {
        after: Duration,
    },
    /// Sends its 200 twice at once.
    AnswerTwice {
        after: Duration,
    },
    /// Picks up at once when the call asks for it (Call-Info or Alert-Info), else rings.
    AnswerWhenAsked,
    /// Rings, and sends 200 to the INVITE when CANCEL comes.
    AnswerCancelled,
    /// This final status at once: 486, 488, 603 …
    Refuse(u16),
    /// Says nothing from now on; the sockets stay open.
    GoDeaf,
    /// Closes its sockets, like a phone that lost its power.
    Die,
}

/// A phone.
#[derive(Clone, Debug)]
pub struct DeskOptions {
    pub server: SocketAddr,
    pub login: String,
    pub password: String,
    /// What is spoken and listened for in each call.
    pub audio: AudioOptions,
    /// [`OnInvite::Ring`] unless said otherwise.
    pub on_invite: OnInvite,
    /// Whether keep-alives are answered; they are unless said otherwise.
    pub answers_options: bool,
    /// Seconds asked for in REGISTER; 600 unless said otherwise.
    pub expires_s: u64,
    /// Registers again before the time is up; it does unless said otherwise.
    pub renews: bool,
}

impl DeskOptions {
    pub fn new(server: SocketAddr, login: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            server,
            login: login.into(),
            password: password.into(),
            audio: AudioOptions::default(),
            on_invite: OnInvite::Ring,
            answers_options: true,
            expires_s: 600,
            renews: true,
        }
    }
}

/// A phone that lives. Dropped, it dies without a word. Commands to a phone that is dead, and about
/// calls that are over, do nothing.
pub struct Desk {
    address: SocketAddr,
    expires_s: u64,
    commands: mpsc::Sender<Command>,
    log: Arc<Log>,
    next_call: Arc<AtomicU32>,
}

impl Desk {
    /// Opens the socket; nothing is sent yet.
    pub async fn start(options: DeskOptions) -> io::Result<Self> {
        let ip = local_ip_towards(options.server).await?;
        let socket = UdpSocket::bind((ip, 0)).await?;
        let begun = Instant::now();
        let (log, next_call) = (Arc::new(Log::new(begun)), Arc::new(AtomicU32::new(1)));
        let (address, expires_s) = (socket.local_addr()?, options.expires_s);
        let worker = Worker::new(options, socket, begun, log.clone(), next_call.clone())?;
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(worker.run(queue));
        Ok(Self { address, expires_s, commands, log, next_call })
    }

    /// Where the phone is called directly.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    // ---- account

    /// Registers, and waits until the server has granted it or refused.
    pub async fn register(&self) -> Result<DeskFact, NotSeen> {
        self.register_for(self.expires_s).await
    }

    /// The same for so many seconds; 0 unregisters.
    pub async fn register_for(&self, expires_s: u64) -> Result<DeskFact, NotSeen> {
        let from = self.log.len();
        self.send(Command::Register { expires_s }).await;
        let is_it = |event: &DeskEvent| match event.what {
            DeskFact::Registered { .. }
            | DeskFact::Unregistered
            | DeskFact::RegistrationRefused { .. } => true,
            DeskFact::OptionsAsked { .. }
            | DeskFact::Invited(_)
            | DeskFact::Call { .. }
            | DeskFact::LampWatched { .. }
            | DeskFact::LampRefused { .. }
            | DeskFact::LampShown { .. }
            | DeskFact::Died => false,
        };
        Ok(self.log.since(from, is_it).await?.what)
    }

    pub async fn unregister(&self) -> Result<DeskFact, NotSeen> {
        self.register_for(0).await
    }

    /// SUBSCRIBEs to the dialogs of `sip:LAMP@server`; what is shown comes as
    /// [`DeskFact::LampShown`].
    pub async fn watch_lamp(&self, lamp: &str) {
        self.send(Command::Watch { lamp: lamp.to_owned(), expires_s: 600 }).await;
    }

    /// Waits until the lamp is shown in this state: `terminated`, `early`, `confirmed`. Looks at
    /// the newest NOTIFYs that no earlier wait has returned.
    pub async fn lamp_shows(&self, lamp: &str, state: &str) -> Result<DeskEvent, NotSeen> {
        self.until(|event| {
            matches!(&event.what, DeskFact::LampShown { lamp: shown, state: is, .. }
                if shown == lamp && is == state)
        })
        .await
    }

    // ---- manners

    /// What is done with the INVITEs that come from now on.
    pub async fn on_invite(&self, on_invite: OnInvite) {
        self.send(Command::OnInvite(on_invite)).await;
    }

    pub async fn answer_options(&self, answers: bool) {
        self.send(Command::AnswerOptions(answers)).await;
    }

    /// Says and hears nothing more in SIP; audio goes on, and the sockets stay open.
    pub async fn go_deaf(&self) {
        self.send(Command::Deafen).await;
    }

    /// kill -9: all sockets are closed when this returns; nothing is sent.
    pub async fn die(&self) {
        self.send(Command::Die).await;
        // The task drops its end when it is over; the log's last line tells that it is.
        self.commands.closed().await;
        let _ = self.log.since(0, |event| event.what == DeskFact::Died).await;
    }

    // ---- calls

    /// Dials, and proves who calls when the server asks (407).
    pub async fn dial(&self, number: &str) -> DeskCall {
        self.dial_with(number, None).await
    }

    /// Dials in the place of another call: the value of Replaces (RFC 3891).
    pub async fn dial_replacing(&self, number: &str, replaces: &str) -> DeskCall {
        self.dial_with(number, Some(replaces.to_owned())).await
    }

    async fn dial_with(&self, number: &str, replaces: Option<String>) -> DeskCall {
        let call = DeskCall(self.next_call.fetch_add(1, Ordering::Relaxed));
        self.send(Command::Dial { call, number: number.to_owned(), replaces }).await;
        call
    }

    pub async fn answer(&self, call: DeskCall) {
        self.act(call, Deed::Answer).await;
    }

    /// A final status for a call that rings.
    pub async fn refuse(&self, call: DeskCall, code: u16) {
        self.act(call, Deed::Refuse(code)).await;
    }

    /// BYE, CANCEL or 603, whichever fits.
    pub async fn hang_up(&self, call: DeskCall) {
        self.act(call, Deed::HangUp).await;
    }

    /// re-INVITE with `sendonly`.
    pub async fn hold(&self, call: DeskCall) {
        self.act(call, Deed::ChangeDirection(Direction::SendOnly)).await;
    }

    /// re-INVITE with `sendrecv`.
    pub async fn resume(&self, call: DeskCall) {
        self.act(call, Deed::ChangeDirection(Direction::SendRecv)).await;
    }

    /// Presses a key; keys that come while one is sent wait their turn.
    pub async fn press(&self, call: DeskCall, key: Key, by: KeyBy) {
        self.act(call, Deed::Press(key, by)).await;
    }

    /// Speaks with another tone, in Hz, or not at all.
    pub async fn speak(&self, call: DeskCall, voice_hz: Option<u32>) {
        self.act(call, Deed::Speak(voice_hz)).await;
    }

    /// Blind transfer: REFER to this number.
    pub async fn transfer(&self, call: DeskCall, number: &str) {
        self.act(call, Deed::Transfer(number.to_owned())).await;
    }

    /// Attended transfer: REFER with Replaces, to the other side of another call of this phone.
    pub async fn transfer_to_call(&self, call: DeskCall, other: DeskCall) {
        self.act(call, Deed::TransferToCall(other)).await;
    }

    /// What was heard in the call so far, or at all if it is over (of the last 32).
    pub async fn heard(&self, call: DeskCall) -> Result<Playout, NotSeen> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Listen(call, reply)).await;
        match answer.await {
            Ok(playout) => Ok(playout),
            Err(_) => self.log.playout(call).await,
        }
    }

    // ---- what happened

    /// Everything so far.
    pub fn events(&self) -> Vec<DeskEvent> {
        self.log.events()
    }

    /// Waits for an event behind the one that this returned last; passes over the others.
    pub async fn until(&self, is_it: impl Fn(&DeskEvent) -> bool) -> Result<DeskEvent, NotSeen> {
        self.log.next(is_it).await
    }

    /// Waits for an event anywhere in the log.
    pub async fn ever(&self, is_it: impl Fn(&DeskEvent) -> bool) -> Result<DeskEvent, NotSeen> {
        self.log.since(0, is_it).await
    }

    /// Waits for the next INVITE that [`Desk::until`] has not passed.
    pub async fn next_invite(&self) -> Result<Invite, NotSeen> {
        let event = self.until(|event| matches!(event.what, DeskFact::Invited(_))).await?;
        match event.what {
            DeskFact::Invited(invite) => Ok(*invite),
            other => unreachable!("an INVITE was waited for, not {other:?}"),
        }
    }

    /// Waits for a fact of this call, anywhere in the log. Returns when it was.
    pub async fn in_call(
        &self,
        call: DeskCall,
        is_it: impl Fn(&PhoneEvent) -> bool,
    ) -> Result<Instant, NotSeen> {
        let of_call = |event: &DeskEvent| matches!(&event.what, DeskFact::Call { call: its, what } if *its == call && is_it(what));
        Ok(self.ever(of_call).await?.at)
    }

    /// Waits until audio is agreed on; the codec.
    pub async fn answered(&self, call: DeskCall) -> Result<Codec, NotSeen> {
        let codec_of = |event: &DeskEvent| match event.what {
            DeskFact::Call { call: its, what: PhoneEvent::Answered { codec, .. } }
                if its == call =>
            {
                Some(codec)
            }
            _ => None,
        };
        let event = self.ever(|event| codec_of(event).is_some()).await?;
        Ok(codec_of(&event).unwrap_or(Codec::Pcma))
    }

    /// Waits until the call is over.
    pub async fn ended(&self, call: DeskCall) -> Result<Ending, NotSeen> {
        let ending_of = |event: &DeskEvent| match event.what {
            DeskFact::Call { call: its, what: PhoneEvent::Ended { why } } if its == call => {
                Some(why)
            }
            _ => None,
        };
        let event = self.ever(|event| ending_of(event).is_some()).await?;
        Ok(ending_of(&event).unwrap_or(Ending::Failed))
    }

    /// Waits until this tone is heard in the call; when its first packet came, to 20 ms. The tone
    /// must be one of [`AudioOptions::listens_for_hz`].
    pub async fn hears_tone(&self, call: DeskCall, hz: u32) -> Result<Instant, NotSeen> {
        self.in_call(call, |what| *what == PhoneEvent::ToneBegan { hz }).await
    }

    /// Waits for the final status of a REFER or a re-INVITE of ours in the call.
    pub async fn replied(
        &self,
        call: DeskCall,
        method: &str,
        code: u16,
    ) -> Result<Instant, NotSeen> {
        let is_it = |what: &PhoneEvent| {
            let PhoneEvent::Reply { method: its, code: is } = what else { return false };
            its == method && *is == code
        };
        self.in_call(call, is_it).await
    }

    async fn act(&self, call: DeskCall, deed: Deed) {
        self.send(Command::Do(call, deed)).await;
    }

    async fn send(&self, command: Command) {
        // A phone that is dead does nothing.
        let _ = self.commands.send(command).await;
    }
}
