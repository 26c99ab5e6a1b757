//! One call with its sockets. A task of its own owns them; a [`Call`] is the hand on the receiver.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, sleep_until, timeout};

use super::keys::{KeyBy, KeyScript, KeyStep};
use super::playout::Playout;
use super::sdp::{Agreement, Offering};
use super::sender::Sender;
use super::socket::SipSocket;
use super::timeline::{Ending, PhoneEvent, TimelineEvent};
use super::uac::{Dialling, From, Output, Transport, Uac};
use super::wire::Incoming;
use crate::domain::{Codec, Direction, Key};

/// Events that wait for a slow reader; more than a call has in practice. What doesn't fit is still
/// in the report's timeline.
const EVENTS_MAX: usize = 256;
/// Events kept for the report.
const TIMELINE_MAX: usize = 4096;
const COMMANDS_MAX: usize = 64;
/// Largest UDP datagram.
const DATAGRAM_MAX: usize = 65_535;
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
        }
    }
}

/// A call that was begun. Dropped, it ends without a BYE, like a phone that lost its power.
#[derive(Debug)]
pub struct Call {
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
    PutAway,
    Listen(oneshot::Sender<Playout>),
}

impl Call {
    /// Opens the sockets and sends the INVITE.
    pub async fn dial(options: CallOptions) -> io::Result<Self> {
        let line = Line::open(options).await?;
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (event_queue, events) = mpsc::channel(EVENTS_MAX);
        let task = tokio::spawn(line.run(command_queue, event_queue));
        Ok(Self { commands, events, task })
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
        let Self { commands, events, task } = self;
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
    options: CallOptions,
    uac: Uac,
    sender: Option<Sender>,
    remote_rtp: Option<SocketAddr>,
    may_send: bool,
    codecs_by_type: Vec<(u8, Codec)>,
    sip: SipSocket,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    begun: Instant,
    report: CallReport,
}

impl Line {
    async fn open(options: CallOptions) -> io::Result<Self> {
        let ip = local_ip_towards(options.server).await?;
        let sip = SipSocket::open(options.transport, ip, options.server).await?;
        let (rtp, rtcp) = bind_rtp_pair(ip).await?;
        let accept = Offering {
            codecs: options.codecs.clone(),
            event_payload_type: options.event_payload_type,
            rtp: rtp.local_addr()?,
        };
        let uac = Uac::new(Dialling {
            number: options.number.clone(),
            server: options.server,
            local: sip.local_address()?,
            transport: options.transport,
            from: options.from.clone(),
            offer: (!options.offerless).then(|| accept.clone()),
            accept,
            unique: uuid::Uuid::now_v7().simple().to_string(),
        });
        let codecs_by_type =
            options.codecs.iter().map(|codec| (codec.static_payload_type(), *codec)).collect();
        Ok(Self {
            options,
            uac,
            sender: None,
            remote_rtp: None,
            may_send: false,
            codecs_by_type,
            sip,
            rtp,
            rtcp,
            begun: Instant::now(),
            report: CallReport::default(),
        })
    }

    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<TimelineEvent>,
    ) -> CallReport {
        let mut rtp_buffer = vec![0; DATAGRAM_MAX];
        let mut rtcp_buffer = vec![0; DATAGRAM_MAX];
        let mut frames = tokio::time::interval(Duration::from_millis(20));
        frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
        self.begun = Instant::now();
        self.uac.call(Duration::ZERO);
        loop {
            self.carry_out(&events).await;
            if self.uac.is_done(self.now()) {
                return self.report;
            }
            let timer = self.uac.next_timer().map_or_else(far_away, |at| self.begun + at);
            tokio::select! {
                Ok((length, _)) = self.rtp.recv_from(&mut rtp_buffer) => {
                    self.hear(&rtp_buffer[..length], &events);
                }
                message = self.sip.receive() => {
                    if let Some(message) = Incoming::read(&message) {
                        self.uac.receive(self.now(), &message);
                    }
                }
                // Taken off the wire like a phone does, so that the server meets no ICMP errors.
                _ = self.rtcp.recv_from(&mut rtcp_buffer) => {}
                _ = frames.tick() => self.send_frame(&events).await,
                () = sleep_until(timer) => self.uac.on_timer(self.now()),
                Some(command) = commands.recv() => {
                    if matches!(command, Command::PutAway) {
                        return self.report;
                    }
                    self.obey(command);
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn carry_out(&mut self, events: &mpsc::Sender<TimelineEvent>) {
        while let Some(output) = self.uac.poll() {
            match output {
                Output::Send(bytes) => self.sip.send(&bytes).await,
                Output::Tell(event) => self.tell(event, events),
                Output::Media(agreement) => self.agree(agreement),
            }
        }
    }

    fn agree(&mut self, agreement: Agreement) {
        let Agreement { codec, payload_type, event_payload_type, remote, direction } = agreement;
        if !self.codecs_by_type.iter().any(|(number, _)| *number == payload_type) {
            self.codecs_by_type.push((payload_type, codec));
        }
        self.remote_rtp = Some(remote);
        self.may_send = direction.sends();
        match &mut self.sender {
            Some(sender) => sender.agree(codec, payload_type, event_payload_type),
            None => {
                let ssrc = uuid::Uuid::now_v7().as_fields().0 | 1;
                self.sender = Some(Sender::new(codec, payload_type, event_payload_type, ssrc));
            }
        }
    }

    fn hear(&mut self, datagram: &[u8], events: &mpsc::Sender<TimelineEvent>) {
        let at = self.now();
        let is_first = self.report.playout.arrivals().is_empty();
        let codecs = &self.codecs_by_type;
        let codec_of = |number| codecs.iter().find(|known| known.0 == number).map(|known| known.1);
        if self.report.playout.receive(at, datagram, codec_of) && is_first {
            self.tell_at(at, PhoneEvent::FirstAudio, events);
        }
    }

    async fn send_frame(&mut self, events: &mpsc::Sender<TimelineEvent>) {
        let (Some(sender), Some(remote)) = (&mut self.sender, self.remote_rtp) else { return };
        if !self.uac.is_answered() || !self.may_send {
            return;
        }
        let tick = sender.tick();
        if let Some((key, by)) = tick.pressed {
            self.tell(PhoneEvent::KeySent { key, by }, events);
        }
        for packet in tick.packets {
            let is_silence = !self.options.sends_audio && packet.len() > 100;
            if !is_silence {
                send_or_lose(&self.rtp, &packet, remote).await;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Press(key, KeyBy::Info) => self.uac.press_by_info(now, key),
            Command::Press(key, by) => {
                if let Some(sender) = &mut self.sender {
                    sender.press(key, by);
                }
            }
            Command::HangUp => self.uac.hang_up(now),
            Command::ChangeDirection(direction) => self.uac.change_direction(now, direction),
            Command::PutAway => {}
            // Who asked may have gone away.
            Command::Listen(reply) => drop(reply.send(self.report.playout.clone())),
        }
    }

    fn tell(&mut self, what: PhoneEvent, events: &mpsc::Sender<TimelineEvent>) {
        self.tell_at(self.now(), what, events);
    }

    fn tell_at(&mut self, at: Duration, what: PhoneEvent, events: &mpsc::Sender<TimelineEvent>) {
        let event = TimelineEvent { at, what };
        if self.report.timeline.len() < TIMELINE_MAX {
            self.report.timeline.push(event.clone());
        }
        // A reader who is slow or gone finds the event in the report.
        let _ = events.try_send(event);
    }
}

/// A datagram that can't be sent is one that got lost; SIP repeats it and RTP does not care.
async fn send_or_lose(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    let _ = socket.send_to(bytes, to).await;
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// The address of ours from which packets to `server` leave. Nothing is sent for this.
async fn local_ip_towards(server: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = UdpSocket::bind((any, 0)).await?;
    probe.connect(server).await?;
    Ok(probe.local_addr()?.ip())
}

/// An even port for RTP and the next one for RTCP.
async fn bind_rtp_pair(ip: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let rtp = UdpSocket::bind((ip, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind((ip, port + 1)).await
        {
            return Ok((rtp, rtcp));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no pair of free ports for RTP and RTCP"))
}
