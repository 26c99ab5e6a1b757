//! The far side: a process that hears all legs and may talk to them.
//!
//! It never sleeps on its sockets, so that no sender pays for waking it: every two milliseconds it
//! takes what has come, with the system's own time of arrival.

use std::io::{self, BufRead, BufReader, Write};
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use crate::house::Leg;

/// The argument by which this program is the far side.
pub const ROLE: &str = "--phones";
/// All phones share so many sockets.
const SOCKETS: usize = 64;
const RECEIVE_BUFFER_BYTES: libc::c_int = 4 << 20;
const BATCH: usize = 64;
const DATAGRAM_BYTES: usize = 256;
/// Gaps are counted in steps of 10 µs.
const STEP_NS: u64 = 10_000;
const STEPS: usize = 100_000;

/// What was heard between [`Phones::begin`] and [`Phones::end`].
pub struct Heard {
    pub packets: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// The way to the process.
pub struct Phones {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    addresses: Vec<SocketAddr>,
}

impl Phones {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .args([ROLE, &SOCKETS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the far side starts");
        let orders = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped"));
        let mut phones = Self { process, orders, answers, addresses: Vec::new() };
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        phones.addresses = phones.answer().into_iter().map(|port| at(port as u16)).collect();
        phones
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the phone of this leg is.
    pub fn address(&self, leg: usize) -> SocketAddr {
        self.addresses[leg % self.addresses.len()]
    }

    /// From now on a packet goes to each of these legs every 20 ms, and to no other.
    pub fn talk(&mut self, legs: &[Leg]) {
        let ports: Vec<_> = legs.iter().map(|leg| leg.port).collect();
        self.talk_to(&ports);
    }

    pub fn talk_to(&mut self, ports: &[u16]) {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        self.order(&format!("talk {}", ports.join(" ")));
    }

    pub fn begin(&mut self) {
        self.order("begin");
    }

    pub fn end(&mut self) -> Heard {
        self.order("end");
        let answer = self.answer();
        let [packets, p50_us, p99_us, p999_us, max_us] = answer[..] else {
            panic!("the far side has died");
        };
        Heard { packets, p50_us, p99_us, p999_us, max_us }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the far side lives");
    }

    fn answer(&mut self) -> Vec<u64> {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the far side lives");
        line.split_whitespace().map(|number| number.parse().expect("numbers")).collect()
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// The process.
pub fn run(sockets: usize) {
    // Phones have processors of their own: what comes here is to be heard, however busy the engine.
    be_nice(-10);
    let sockets: Arc<[UdpSocket]> = (0..sockets).map(|_| bind()).collect();
    let ports = sockets.iter().map(|socket| socket.local_addr().expect("bound").port());
    println!("{}", ports.map(|port| port.to_string()).collect::<Vec<_>>().join(" "));
    let (sender, orders) = channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _gone = sender.send(line);
        }
    });
    let mut ear = Ear::new();
    let conversation = Arc::new(AtomicUsize::new(0));
    loop {
        for socket in sockets.iter() {
            ear.hear(socket);
        }
        if !obey(&orders, &sockets, &mut ear, &conversation) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A wish: to be nicer than before is granted to all, the opposite only to some.
fn be_nice(niceness: i32) {
    // SAFETY: no memory is passed. On Linux, process 0 means the calling thread.
    let _granted = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
}

/// Says whether there is somebody who gives orders.
fn obey(
    orders: &Receiver<String>,
    sockets: &Arc<[UdpSocket]>,
    ear: &mut Ear,
    conversation: &Arc<AtomicUsize>,
) -> bool {
    let order = match orders.try_recv() {
        Ok(order) => order,
        Err(error) => return error == TryRecvError::Empty,
    };
    let mut words = order.split(' ');
    match words.next() {
        Some("begin") => ear.begin(),
        Some("end") => println!("{}", ear.figures()),
        Some("talk") => {
            let ports = words.filter_map(|port| port.parse().ok()).collect();
            let sockets = Arc::clone(sockets);
            let newest = Arc::clone(conversation);
            let number = newest.fetch_add(1, Ordering::Relaxed) + 1;
            let goes_on = move || newest.load(Ordering::Relaxed) == number;
            std::thread::spawn(move || talk(&sockets, ports, goes_on));
        }
        Some(_) | None => {}
    }
    true
}

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    for (option, value) in [
        (libc::SO_RCVBUF, RECEIVE_BUFFER_BYTES),
        (libc::SO_SNDBUF, RECEIVE_BUFFER_BYTES),
        (libc::SO_TIMESTAMPNS, 1),
    ] {
        // SAFETY: the value is an int that lives through the call.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as u32,
            )
        };
        assert_eq!(done, 0, "option {option}");
    }
    socket
}

/// Hears the legs, told apart by their ports.
struct Ear {
    /// When the packet before came, by port; 0 before the first.
    last_ns: Vec<u64>,
    gaps: Vec<u32>,
    packets: u64,
    max_ns: u64,
    datagrams: Vec<[u8; DATAGRAM_BYTES]>,
    sources: Vec<libc::sockaddr_in>,
    /// Room for one control message each, with its alignment.
    controls: Vec<[u64; 8]>,
}

impl Ear {
    fn new() -> Self {
        Self {
            last_ns: vec![0; 1 << 16],
            gaps: vec![0; STEPS],
            packets: 0,
            max_ns: 0,
            datagrams: vec![[0; DATAGRAM_BYTES]; BATCH],
            // SAFETY: all fields are numbers, for which zeros are valid.
            sources: vec![unsafe { zeroed() }; BATCH],
            controls: vec![[0; 8]; BATCH],
        }
    }

    fn begin(&mut self) {
        self.gaps.fill(0);
        (self.packets, self.max_ns) = (0, 0);
    }

    fn figures(&self) -> String {
        let counted: u64 = self.gaps.iter().map(|&count| u64::from(count)).sum();
        let percentile = |share: f64| {
            let mut left = (counted as f64 * share) as u64;
            let step = self.gaps.iter().position(|&count| {
                let here = left < u64::from(count);
                left = left.saturating_sub(u64::from(count));
                here
            });
            step.unwrap_or(0) as u64 * STEP_NS / 1000
        };
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(percentile);
        format!("{} {p50} {p99} {p999} {}", self.packets, self.max_ns / 1000)
    }

    /// Takes what waits in a socket.
    fn hear(&mut self, socket: &UdpSocket) {
        loop {
            let mut parts: Vec<libc::iovec> = (self.datagrams.iter_mut())
                .map(|datagram| libc::iovec {
                    iov_base: datagram.as_mut_ptr().cast(),
                    iov_len: DATAGRAM_BYTES,
                })
                .collect();
            let mut messages: Vec<libc::mmsghdr> = (0..BATCH)
                .map(|n| {
                    // SAFETY: all fields are numbers and pointers, for which zeros are valid.
                    let mut message: libc::mmsghdr = unsafe { zeroed() };
                    message.msg_hdr.msg_name = (&raw mut self.sources[n]).cast();
                    message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
                    message.msg_hdr.msg_iov = &raw mut parts[n];
                    message.msg_hdr.msg_iovlen = 1;
                    message.msg_hdr.msg_control = (&raw mut self.controls[n]).cast();
                    message.msg_hdr.msg_controllen = size_of::<[u64; 8]>();
                    message
                })
                .collect();
            let (fd, flags) = (socket.as_raw_fd(), libc::MSG_DONTWAIT);
            let nobody = std::ptr::null_mut();
            // SAFETY: each message points to buffers of the named lengths that outlive the call.
            let count =
                unsafe { libc::recvmmsg(fd, messages.as_mut_ptr(), BATCH as u32, flags, nobody) };
            let count = usize::try_from(count).unwrap_or(0);
            for message in &messages[..count] {
                self.count(message);
            }
            if count < BATCH {
                return;
            }
        }
    }

    fn count(&mut self, message: &libc::mmsghdr) {
        // A report is no packet of the stream.
        if message.msg_len != 172 {
            return;
        }
        // SAFETY: the system wrote the source and the control message of this message, which the
        // header points to; the only control message asked for is a timespec.
        let (port, arrival_ns) = unsafe {
            let source = &*message.msg_hdr.msg_name.cast::<libc::sockaddr_in>();
            let control = libc::CMSG_FIRSTHDR(&raw const message.msg_hdr);
            assert!(!control.is_null(), "the system tells the time of arrival");
            let at = libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned();
            (u16::from_be(source.sin_port), at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64)
        };
        self.packets += 1;
        let last_ns = std::mem::replace(&mut self.last_ns[usize::from(port)], arrival_ns);
        if last_ns > 0 {
            let gap_ns = arrival_ns.saturating_sub(last_ns);
            self.gaps[usize::try_from(gap_ns / STEP_NS).unwrap_or(STEPS).min(STEPS - 1)] += 1;
            self.max_ns = self.max_ns.max(gap_ns);
        }
    }
}

/// Sends a packet to each of the ports every 20 ms, a twentieth of them in each millisecond.
fn talk(sockets: &[UdpSocket], ports: Vec<u16>, goes_on: impl Fn() -> bool) {
    const PERIOD: usize = 20;
    let targets: Vec<_> =
        ports.iter().map(|&port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect();
    be_nice(0);
    let began = Instant::now();
    let mut packet = [0xD5; 172];
    for tick in (0_usize..).take_while(|_| goes_on()) {
        let due = Duration::from_millis(tick as u64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let frame = (tick / PERIOD) as u32;
        packet[..2].copy_from_slice(&[0x80, if frame == 0 { 0x88 } else { 8 }]);
        packet[2..4].copy_from_slice(&(frame as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(frame * 160).to_be_bytes());
        for leg in (tick % PERIOD..targets.len()).step_by(PERIOD) {
            packet[8..12].copy_from_slice(&(leg as u32).to_be_bytes());
            let _lost_like_any = sockets[leg % sockets.len()].send_to(&packet, targets[leg]);
        }
    }
}
