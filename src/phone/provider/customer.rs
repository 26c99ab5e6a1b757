//! One call to a number of the provider: its signalling, its audio and its script, on a task of its
//! own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::ProviderCall;
use super::script::{First, Script, Step, Then};
use super::tally::Book;
use crate::domain::RecordingId;
use crate::phone::audio::{Audio, AudioOptions};
use crate::phone::call::KEY_PACE;
use crate::phone::keys::KeyBy;
use crate::phone::signalling::{Endpoint, Output, Signalling, Transport};
use crate::phone::timeline::PhoneEvent;
use crate::phone::wire::Incoming;

/// A phone that is called.
pub(super) struct Customer {
    call: ProviderCall,
    script: Script,
    signalling: Signalling,
    audio: Audio,
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
    book: Arc<Book>,
    begun: Instant,
    /// When the call is picked up or refused.
    decides_at: Option<Duration>,
    /// No step is taken before.
    resumes_at: Duration,
    /// How many of the recordings heard have been waited for.
    heard: usize,
    /// Those that were heard, whole or cut.
    recordings: Vec<RecordingId>,
    /// Tones that were heard.
    tones: BTreeSet<u32>,
    was_up: bool,
    is_over: bool,
}

impl Customer {
    /// `None` when no ports are left for its audio.
    pub async fn new(
        call: ProviderCall,
        script: Script,
        invite: &Incoming,
        socket: Arc<UdpSocket>,
        peer: SocketAddr,
        book: Arc<Book>,
    ) -> Option<Self> {
        let local = socket.local_addr().ok()?;
        let options = AudioOptions {
            sends_audio: script.sends_audio,
            voice_hz: script.early_tone_hz(),
            listens_for: script.listens_for.clone(),
            listens_for_hz: script.listens_for_hz.clone(),
            keeps_audio: script.keeps_audio,
            ..AudioOptions::default()
        };
        let audio = Audio::open(local.ip(), &options).await.ok()?;
        let endpoint = Endpoint {
            local,
            transport: Transport::Udp,
            user: invite.dialled.clone().unwrap_or_default(),
            accept: audio.offering().clone(),
            unique: uuid::Uuid::now_v7().simple().to_string(),
        };
        let decides_at = match script.then {
            Then::PickUp { after } | Then::Refuse { after, .. } => Some(after),
            Then::Nothing => None,
        };
        Some(Self {
            call,
            signalling: Signalling::received(endpoint, invite, false),
            script,
            audio,
            socket,
            peer,
            book,
            begun: Instant::now(),
            decides_at,
            resumes_at: Duration::ZERO,
            heard: 0,
            recordings: Vec::new(),
            tones: BTreeSet::new(),
            was_up: false,
            is_over: false,
        })
    }

    /// Lives until the call is over; `messages` are those of its Call-ID.
    pub async fn run(mut self, mut messages: mpsc::Receiver<Incoming>) {
        match self.script.first {
            First::Nothing => {}
            First::Ringing => self.signalling.ring(),
            First::EarlyMedia => self.signalling.ring_with_audio(),
        }
        let mut has_audio = self.script.first == First::EarlyMedia;
        loop {
            self.carry_out().await;
            let now = self.now();
            if self.signalling.is_done(now) {
                break;
            }
            if self.signalling.is_answered() && !self.was_up {
                self.pick_up();
                if !std::mem::replace(&mut has_audio, true) {
                    self.audio.begin_frames();
                }
                self.carry_out().await;
            }
            let timer = self.next_timer();
            tokio::select! {
                due = self.audio.wait(), if has_audio => {
                    let now = self.now();
                    for event in self.audio.act(due, now, !self.is_over).await {
                        self.tell(self.begun + event.at, &event.what);
                    }
                }
                message = messages.recv() => match message {
                    Some(message) => self.signalling.receive(self.now(), &message),
                    // The provider is gone.
                    None => break,
                },
                () = sleep_until(timer) => self.signalling.on_timer(self.now()),
            }
            self.decide();
            self.take_steps();
        }
        if self.script.keeps_audio {
            self.book.keep(self.call, self.audio.into_playout());
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn next_timer(&self) -> Instant {
        let steps = self.was_up && !self.script.steps.is_empty() && self.resumes_at > self.now();
        let timers = self.signalling.next_timer().into_iter().chain(self.decides_at);
        let next = timers.chain(steps.then_some(self.resumes_at)).min();
        self.begun + next.unwrap_or(self.now() + Duration::from_secs(3600))
    }

    async fn carry_out(&mut self) {
        while let Some(output) = self.signalling.poll() {
            match output {
                // A datagram that can't be sent is one that got lost; SIP repeats it.
                Output::Send(bytes) => drop(self.socket.send_to(&bytes, self.peer).await),
                Output::Tell(what) => self.tell(Instant::now(), &what),
                Output::Media(agreement) => self.audio.agree(agreement),
            }
        }
    }

    fn tell(&mut self, at: Instant, what: &PhoneEvent) {
        self.is_over |= matches!(what, PhoneEvent::Ended { .. });
        if let PhoneEvent::RecordingHeard { recording, .. } = what {
            self.recordings.push(recording.clone());
        }
        if let PhoneEvent::ToneBegan { hz } = what {
            self.tones.insert(*hz);
        }
        self.book.tell(self.call, at, what);
    }

    fn decide(&mut self) {
        let now = self.now();
        if self.decides_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        match self.script.then {
            Then::PickUp { .. } => self.signalling.answer(now),
            Then::Refuse { code, .. } => self.signalling.refuse(now, code),
            Then::Nothing => {}
        }
    }

    fn pick_up(&mut self) {
        self.was_up = true;
        self.resumes_at = self.now();
        self.audio.speak(None);
        self.book.picked_up(self.call, Instant::now());
        self.take_steps();
    }

    /// As far as the script goes now.
    fn take_steps(&mut self) {
        let now = self.now();
        while self.was_up && now >= self.resumes_at {
            let Some(step) = self.script.steps.front() else { return };
            match step {
                Step::Wait(wait) => self.resumes_at = now + *wait,
                Step::Hear(recording) => {
                    let rest = &self.recordings[self.heard..];
                    let Some(place) = rest.iter().position(|heard| heard == recording) else {
                        return;
                    };
                    self.heard += place + 1;
                }
                Step::HearTone(hz) if !self.tones.contains(hz) => return,
                Step::HearTone(_) => {}
                Step::Press(key) => {
                    self.audio.press(*key, KeyBy::Event);
                    self.resumes_at = now + KEY_PACE;
                }
                Step::Speak(voice_hz) => self.audio.speak(*voice_hz),
                Step::HangUp => self.signalling.hang_up(now),
            }
            self.script.steps.pop_front();
        }
    }
}
