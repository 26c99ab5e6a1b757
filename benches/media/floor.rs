//! What the system alone costs, without any engine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::phones::Phones;
use crate::usage::own_cpu;

const MEASURED: Duration = Duration::from_secs(3);
const PACKET: [u8; 172] = [0xD5; 172];
const PERIOD: usize = 20;

/// Namespace of the measurements; each says µs of CPU for a packet.
pub struct Floor;

impl Floor {
    /// A bare `sendto` every 20 ms from each of so many sockets, by as many threads as there are
    /// cores.
    pub fn sends(sockets: usize, targets: &[SocketAddr]) -> f64 {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let spent: Vec<(Duration, u64)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| {
                    let share = (thread..sockets).step_by(threads).count();
                    scope.spawn(move || send(share, targets))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a floor")).collect()
        });
        let cpu: f64 = spent.iter().map(|(cpu, _)| cpu.as_secs_f64() * 1e6).sum();
        cpu / spent.iter().map(|(_, packets)| *packets).sum::<u64>() as f64
    }

    /// One `recvfrom` and one `sendto` for each packet that the phones send to so many sockets.
    pub fn relays(sockets: usize, phones: &mut Phones) -> f64 {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let sockets: Vec<UdpSocket> = (0..sockets).map(|_| bind()).collect();
        let ports: Vec<u16> = sockets.iter().map(port).collect();
        phones.talk_to(&ports);
        let over = Arc::new(AtomicBool::new(false));
        let packets = AtomicU64::new(0);
        let cpu: f64 = std::thread::scope(|scope| {
            let threads: Vec<_> = sockets
                .chunks(sockets.len().div_ceil(threads).next_multiple_of(2))
                .map(|share| scope.spawn(|| relay(share, &over, &packets)))
                .collect();
            std::thread::sleep(MEASURED);
            over.store(true, Ordering::Relaxed);
            threads.into_iter().map(|thread| thread.join().expect("a floor")).sum()
        });
        phones.talk_to(&[]);
        cpu / packets.load(Ordering::Relaxed) as f64
    }
}

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("bound").port()
}

/// CPU time and packets.
fn send(sockets: usize, targets: &[SocketAddr]) -> (Duration, u64) {
    let sockets: Vec<UdpSocket> = (0..sockets).map(|_| bind()).collect();
    let (began, before) = (Instant::now(), own_cpu());
    let mut packets = 0;
    for tick in 0_usize.. {
        let due = Duration::from_millis(tick as u64);
        if due >= MEASURED {
            break;
        }
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        for leg in (tick % PERIOD..sockets.len()).step_by(PERIOD) {
            let target = targets[leg % targets.len()];
            packets += u64::from(sockets[leg].send_to(&PACKET, target).is_ok());
        }
    }
    (own_cpu() - before, packets)
}

/// What comes on one socket goes out of its neighbour. µs of CPU.
fn relay(sockets: &[UdpSocket], over: &AtomicBool, packets: &AtomicU64) -> f64 {
    // SAFETY: no memory is passed.
    let epoll = unsafe { libc::epoll_create1(0) };
    for (number, socket) in sockets.iter().enumerate() {
        let events = (libc::EPOLLIN | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: number as u64 };
        // SAFETY: the event lives through the call.
        let added = unsafe {
            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event)
        };
        assert_eq!(added, 0, "{}", io::Error::last_os_error());
    }
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];
    let mut targets: Vec<Option<SocketAddr>> = vec![None; sockets.len()];
    let mut datagram = [0; 2048];
    let before = own_cpu();
    while !over.load(Ordering::Relaxed) {
        // SAFETY: the events outlive the call, which writes no more than their number.
        let ready = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 256, 100) };
        for event in &events[..usize::try_from(ready).unwrap_or(0)] {
            let number = event.u64 as usize;
            while let Ok((length, from)) = sockets[number].recv_from(&mut datagram) {
                targets[number] = Some(from);
                if let Some(target) = targets[number ^ 1] {
                    let _lost = sockets[number ^ 1].send_to(&datagram[..length], target);
                }
                packets.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let cpu = own_cpu() - before;
    // SAFETY: it was opened above, and nobody else has it.
    unsafe { libc::close(epoll) };
    cpu.as_secs_f64() * 1e6
}
