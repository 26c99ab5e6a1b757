//! The callers' ears and mouths: one thread that hears, and if asked sends, the RTP of all calls.
//!
//! The rig shares the machine with the server, so it must cost little. Many calls share a socket;
//! the server's port, which differs from call to call, tells them apart. Waiting is a look every
//! few milliseconds: when a packet came is what the kernel's stamp says.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::histogram::Histogram;
use crate::process::{self, thread_cpu};
use crate::stamped::{self, Batch, Stamped, now_ns};

/// Where the rig lives: an address of its own, so that its ports are nobody else's.
pub const RIG: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
pub const SOCKETS: usize = 64;
/// Frames of 20 ms with 160 bytes behind a header of 12.
pub const FRAME_NS: u64 = 20_000_000;
const PACKET_BYTES: usize = 172;
/// Payload type of A-law.
const PCMA: u8 = 8;
/// What our callers say: a constant, so that it is known again.
pub const SPEECH: u8 = 0x2A;
const TICK: Duration = Duration::from_millis(1);
const TICKS_PER_FRAME: u64 = 20;
/// How often the sockets are looked at.
const TICKS_PER_LOOK: u64 = 4;
/// What is still on its way when a window ends.
const STRAGGLERS: Duration = Duration::from_millis(200);

/// What comes from one port of the server.
#[derive(Clone, Copy, Default)]
struct Stream {
    last_ns: u64,
    /// A port that is used again carries another stream.
    source: u32,
    last_sequence: u16,
    is_spoken_to: bool,
    /// In the window.
    packets: u32,
}

/// What is sent to one port of the server.
struct Voice {
    socket: usize,
    to: SocketAddrV4,
    sequence: u16,
    last_ns: u64,
}

/// A time in which is counted.
#[derive(Clone, Copy, Default)]
struct Window {
    from_ns: u64,
    to_ns: u64,
}

/// What was heard in a window.
#[derive(Clone, Default)]
pub struct Heard {
    /// Streams of which at least one packet came.
    pub streams: usize,
    pub packets: u64,
    /// Numbers left out.
    pub lost: u64,
    pub gaps: Histogram,
    /// The same of what the rig itself sent: its own unevenness.
    pub own_gaps: Histogram,
    pub frames: u64,
    /// CPU time of the thread.
    pub cpu: Duration,
}

impl Heard {
    /// Of the packets that so many calls should have heard; at most 1.
    pub fn delivered(&self, calls: usize) -> f64 {
        let wanted = calls as f64 * self.frames as f64;
        if wanted == 0.0 { 0.0 } else { (self.packets as f64 / wanted).min(1.0) }
    }
}

struct Hearing {
    streams: Box<[Stream]>,
    voices: Vec<Voice>,
    speaks_to_all: bool,
    window: Window,
    heard: Heard,
}

/// What the thread is asked to do, between two ticks. A lock would keep whoever asks waiting for
/// as long as the thread is busy.
type Order = Box<dyn FnOnce(&mut Hearing) + Send>;

/// Orders that wait at most; whoever gives more of them waits.
const ORDERS_MAX: usize = 1_024;

/// The thread and what it heard.
pub struct Ears {
    /// `None` while it ends.
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
    pub ports: Vec<u16>,
}

impl Ears {
    /// `speaks`: to everybody whom it hears.
    pub fn open(speaks: bool) -> io::Result<Self> {
        let sockets = (0..SOCKETS).map(|_| stamped::bind(SocketAddrV4::new(RIG, 0)));
        let sockets = sockets.collect::<io::Result<Vec<UdpSocket>>>()?;
        let port = |socket: &UdpSocket| socket.local_addr().map(|address| address.port());
        let ports = sockets.iter().map(port).collect::<io::Result<Vec<u16>>>()?;
        let hearing = Hearing {
            streams: vec![Stream::default(); 1 << 16].into(),
            voices: Vec::new(),
            speaks_to_all: speaks,
            window: Window::default(),
            heard: Heard::default(),
        };
        let (orders, given) = sync_channel(ORDERS_MAX);
        let thread = std::thread::spawn(move || run(&sockets, hearing, &given));
        Ok(Self { orders: Some(orders), thread: Some(thread), ports })
    }

    fn tell(&self, order: impl FnOnce(&mut Hearing) + Send + 'static) {
        if let Some(orders) = &self.orders {
            orders.send(Box::new(order)).expect("the thread lives as long as the ears");
        }
    }

    fn ask<T: Send + 'static>(&self, what: impl FnOnce(&mut Hearing) -> T + Send + 'static) -> T {
        let (answer, answered) = sync_channel(1);
        self.tell(move |hearing| {
            let _ = answer.send(what(hearing));
        });
        answered.recv().expect("the thread lives as long as the ears")
    }

    /// Sends to this port of the server from the socket with our `port`.
    pub fn speak_to(&self, to: SocketAddrV4, port: u16) {
        let socket = self.ports.iter().position(|&ours| ours == port).unwrap_or(0);
        self.tell(move |hearing| hearing.speak_to(socket, to));
    }

    /// Sends nothing more there.
    pub fn hush(&self, to: SocketAddrV4) {
        self.tell(move |hearing| hearing.hush(to));
    }

    /// Counts for this long, in whole frames. Blocks until it is over.
    pub fn listen(&self, time: Duration) -> Heard {
        let frames = time.as_nanos() as u64 / FRAME_NS;
        let from_ns = now_ns() + 20_000_000;
        let window = Window { from_ns, to_ns: from_ns + frames * FRAME_NS };
        self.tell(move |hearing| {
            hearing.window = window;
            hearing.heard = Heard { frames, ..Heard::default() };
            hearing.streams.iter_mut().for_each(|stream| stream.packets = 0);
        });
        let left = Duration::from_nanos(window.to_ns - now_ns());
        std::thread::sleep(left + STRAGGLERS);
        self.ask(|hearing| {
            hearing.window = Window::default();
            let streams = hearing.streams.iter().filter(|stream| stream.packets > 0).count();
            Heard { streams, ..std::mem::take(&mut hearing.heard) }
        })
    }

    /// Ports of the server that were heard in the last second.
    pub fn alive(&self) -> usize {
        let since = now_ns() - 1_000_000_000;
        self.ask(move |hearing| {
            hearing.streams.iter().filter(|stream| stream.last_ns > since).count()
        })
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread: each millisecond a twentieth of the voices, each few milliseconds a look.
fn run(sockets: &[UdpSocket], mut hearing: Hearing, orders: &Receiver<Order>) {
    let mut batch = Batch::<{ PACKET_BYTES + 84 }>::new();
    let mut packet = packet();
    let mut next = Instant::now();
    let mut cpu = thread_cpu();
    for tick in 0_u64.. {
        loop {
            match orders.try_recv() {
                Ok(order) => order(&mut hearing),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        hearing.speak(sockets, &mut packet, tick % TICKS_PER_FRAME);
        if tick % TICKS_PER_LOOK == 0 {
            hearing.look(sockets, &mut batch);
            let now = thread_cpu();
            if hearing.window.to_ns > now_ns() {
                hearing.heard.cpu += now - cpu;
            }
            cpu = now;
        }
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn packet() -> [u8; PACKET_BYTES] {
    let mut packet = [SPEECH; PACKET_BYTES];
    packet[..12].fill(0);
    packet[0] = 0x80;
    packet[1] = PCMA;
    packet
}

impl Hearing {
    /// Takes what came to any of the sockets.
    fn look<const SIZE: usize>(&mut self, sockets: &[UdpSocket], batch: &mut Batch<SIZE>) {
        for (number, socket) in sockets.iter().enumerate() {
            while batch.receive(socket).expect("the rig's socket works") {
                self.hear(number, batch);
            }
            self.hear(number, batch);
        }
    }

    fn hear<const SIZE: usize>(&mut self, socket: usize, batch: &Batch<SIZE>) {
        for came in batch.iter() {
            let is_new = self.heard_packet(came);
            if is_new && self.speaks_to_all {
                self.speak_to(socket, came.from);
            }
        }
    }

    /// Whether it is the first from there.
    fn heard_packet(&mut self, came: Stamped<'_>) -> bool {
        // Shorter is no speech: a key, or RTCP.
        if came.bytes.len() < PACKET_BYTES || came.bytes[1] & 0x7F != PCMA {
            return false;
        }
        let stream = &mut self.streams[usize::from(came.from.port())];
        let sequence = u16::from_be_bytes([came.bytes[2], came.bytes[3]]);
        let source =
            u32::from_be_bytes([came.bytes[8], came.bytes[9], came.bytes[10], came.bytes[11]]);
        // After a pause that was meant to be, the marker is set (RFC 3551 §4.1).
        let goes_on = stream.source == source && came.bytes[1] & 0x80 == 0;
        let Window { from_ns, to_ns } = self.window;
        if (from_ns..to_ns).contains(&came.at_ns) {
            self.heard.packets += 1;
            stream.packets += 1;
            if goes_on && stream.last_ns >= from_ns {
                self.heard.gaps.add(came.at_ns.saturating_sub(stream.last_ns));
                let step = sequence.wrapping_sub(stream.last_sequence);
                if (2..1_000).contains(&step) {
                    self.heard.lost += u64::from(step - 1);
                }
            }
        }
        let is_new = stream.source != source;
        (stream.last_ns, stream.last_sequence, stream.source) = (came.at_ns, sequence, source);
        is_new
    }

    fn speak_to(&mut self, socket: usize, to: SocketAddrV4) {
        if self.voices.is_empty() {
            process::speak_in_time();
        }
        let stream = &mut self.streams[usize::from(to.port())];
        if !std::mem::replace(&mut stream.is_spoken_to, true) {
            self.voices.push(Voice { socket, to, sequence: 0, last_ns: 0 });
        }
    }

    fn hush(&mut self, to: SocketAddrV4) {
        self.streams[usize::from(to.port())].is_spoken_to = false;
        self.voices.retain(|voice| voice.to != to);
    }

    /// Sends the packets of this twentieth of the frame.
    fn speak(&mut self, sockets: &[UdpSocket], packet: &mut [u8; PACKET_BYTES], part: u64) {
        let counts = self.window.from_ns > 0;
        for voice in self.voices.iter_mut().skip(part as usize).step_by(TICKS_PER_FRAME as usize) {
            voice.sequence = voice.sequence.wrapping_add(1);
            packet[2..4].copy_from_slice(&voice.sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(voice.sequence) * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&u32::from(voice.to.port()).to_be_bytes());
            // A full buffer loses the packet, as a network does.
            let _ = sockets[voice.socket].send_to(packet, voice.to);
            if counts {
                let now = now_ns();
                if voice.last_ns >= self.window.from_ns && now < self.window.to_ns {
                    self.heard.own_gaps.add(now.saturating_sub(voice.last_ns));
                }
                voice.last_ns = now;
            }
        }
    }
}
