//! What the machine itself takes, with nothing of ours in between: the same datagrams, sent,
//! relayed and answered by a few lines. Measured in the same run, by the same ears.

use std::io::{self, ErrorKind};
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mio::net::UdpSocket as MioSocket;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

use crate::ears::{Ears, RIG};
use crate::histogram::Samples;
use crate::process::thread_cpu;
use crate::server::SERVER;

/// Streams of the sender.
const SENDING: usize = 2_000;
/// Calls of the relay: each has two sockets.
const RELAYED: usize = 300;
const PACKET: [u8; 172] = [0xD5; 172];
const MESSAGE_BYTES: usize = 600;
/// INVITE, ACK and BYE.
const MESSAGES_OF_A_CALL: usize = 3;

/// CPU time of the least that could be done.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    /// One `sendto` of 172 bytes.
    pub send_us: f64,
    /// One packet received and sent on.
    pub relay_us: f64,
    /// Three datagrams received, three sent, two sockets bound and closed.
    pub set_up_us: f64,
    /// A datagram there and back, median.
    pub echo_ms: f64,
}

impl Floor {
    pub fn measure(time: Duration) -> io::Result<Self> {
        let send_us = send(time)?;
        let relay_us = relay(time)?;
        let (set_up_us, echo_ms) = echo(time)?;
        Ok(Self { send_us, relay_us, set_up_us, echo_ms })
    }

    /// Share of a core, in %, that a stream of 50 packets a second takes at this cost.
    pub fn percent_of_core(us_per_packet: f64) -> f64 {
        us_per_packet * 50.0 / 1e6 * 100.0
    }

    pub fn json(&self) -> Value {
        json!({
            "sendto_us": self.send_us,
            "relayed_packet_us": self.relay_us,
            "set_up_us": self.set_up_us,
            "echo_ms": self.echo_ms,
        })
    }
}

/// As many streams as a busy server has, each from a socket of its own, in time.
fn send(time: Duration) -> io::Result<f64> {
    const TICK: Duration = Duration::from_millis(1);
    let ears = Ears::open(false)?;
    let sockets = (0..SENDING).map(|_| UdpSocket::bind((SERVER, 0)));
    let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
    let (began, cpu, mut sent, mut next) = (Instant::now(), thread_cpu(), 0_u64, Instant::now());
    for tick in 0.. {
        for (number, socket) in sockets.iter().enumerate().skip(tick % 20).step_by(20) {
            let port = ears.ports[number % ears.ports.len()];
            sent += u64::from(socket.send_to(&PACKET, (RIG, port)).is_ok());
        }
        if began.elapsed() > time {
            break;
        }
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok((thread_cpu() - cpu).as_secs_f64() * 1e6 / sent as f64)
}

/// Whoever speaks to one socket of a pair is sent on from the other.
fn relay(time: Duration) -> io::Result<f64> {
    let ears = Ears::open(false)?;
    let mut poll = Poll::new()?;
    let mut sockets = Vec::new();
    for number in 0..RELAYED * 2 {
        let mut socket = MioSocket::bind(SocketAddrV4::new(SERVER, 0).into())?;
        poll.registry().register(&mut socket, Token(number), Interest::READABLE)?;
        let port = ears.ports[number % ears.ports.len()];
        let address = SocketAddrV4::new(SERVER, socket.local_addr()?.port());
        ears.speak_to(address, port);
        sockets.push((socket, SocketAddrV4::new(RIG, port)));
    }
    let mut events = Events::with_capacity(1_024);
    let (began, cpu, mut relayed, mut datagram) = (Instant::now(), thread_cpu(), 0_u64, [0; 2_048]);
    while began.elapsed() < time {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let Token(number) = event.token();
            let (other, to) = &sockets[number ^ 1];
            while let Ok(length) = sockets[number].0.recv(&mut datagram) {
                relayed += u64::from(other.send_to(&datagram[..length], (*to).into()).is_ok());
            }
        }
    }
    Ok((thread_cpu() - cpu).as_secs_f64() * 1e6 / relayed as f64)
}

/// CPU time of a call's messages and sockets on the answering side, and the median time there and
/// back.
fn echo(time: Duration) -> io::Result<(f64, f64)> {
    let server = UdpSocket::bind((SERVER, 0))?;
    server.set_read_timeout(Some(Duration::from_millis(50)))?;
    let client = UdpSocket::bind((RIG, 0))?;
    client.connect(server.local_addr()?)?;
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (over, cpu_ns) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut trips, mut calls) = (Samples::default(), 0_u64);
    std::thread::scope(|scope| -> io::Result<()> {
        let answers = scope.spawn(|| {
            let answered = answer(&server, &over);
            cpu_ns.store(thread_cpu().as_nanos() as u64, Ordering::Relaxed);
            answered
        });
        let began = Instant::now();
        let mut datagram = [0; MESSAGE_BYTES];
        while began.elapsed() < time {
            for _ in 0..MESSAGES_OF_A_CALL {
                let sent = Instant::now();
                client.send(&datagram)?;
                client.recv(&mut datagram)?;
                trips.add_ms(sent.elapsed().as_secs_f64() * 1e3);
            }
            calls += 1;
        }
        over.store(true, Ordering::Relaxed);
        answers.join().unwrap_or_else(|_| Err(ErrorKind::Other.into()))
    })?;
    let cpu_us = cpu_ns.load(Ordering::Relaxed) as f64 / 1e3;
    Ok((cpu_us / calls as f64, trips.quantile_ms(0.5)))
}

fn answer(server: &UdpSocket, over: &AtomicBool) -> io::Result<()> {
    let (mut datagram, mut count) = ([0; 2_048], 0_usize);
    while !over.load(Ordering::Relaxed) {
        let Ok((length, from)) = server.recv_from(&mut datagram) else { continue };
        if count.is_multiple_of(MESSAGES_OF_A_CALL) {
            let _sockets = (UdpSocket::bind((SERVER, 0))?, UdpSocket::bind((SERVER, 0))?);
        }
        count += 1;
        server.send_to(&datagram[..length], from)?;
    }
    Ok(())
}
