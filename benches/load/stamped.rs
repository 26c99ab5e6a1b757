//! Datagrams with the time at which the kernel took them (`SO_TIMESTAMPNS`), many in one system
//! call (`recvmmsg`). A rig that is late itself does not see a server that is late.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::ptr;

/// Datagrams in one system call at most.
const BATCH: usize = 64;
/// Asked for as a socket's buffer; the system may give less.
const BUFFER_BYTES: libc::c_int = 16 * 1024 * 1024;

/// A non-blocking socket with a large buffer, whose datagrams are stamped.
pub fn bind(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // The forced ones need privileges; without them the system's limits hold.
    for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, libc::SO_SNDBUF, libc::SO_SNDBUFFORCE] {
        let _ = set(&socket, option, BUFFER_BYTES);
    }
    set(&socket, libc::SO_TIMESTAMPNS, 1)?;
    Ok(socket)
}

fn set(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a c_int of that length, and the socket is open.
    let result = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One datagram.
#[derive(Clone, Copy)]
pub struct Stamped<'a> {
    pub bytes: &'a [u8],
    pub from: SocketAddrV4,
    /// Since 1970.
    pub at_ns: u64,
}

/// Room for what one system call brings, each datagram up to `SIZE` bytes.
pub struct Batch<const SIZE: usize> {
    bytes: Box<[[u8; SIZE]]>,
    names: Box<[libc::sockaddr_in]>,
    /// Large enough for one control message with a timespec; u64 for its alignment.
    controls: Box<[[u64; 8]]>,
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
    count: usize,
}

impl<const SIZE: usize> Batch<SIZE> {
    pub fn new() -> Self {
        let empty_part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        // SAFETY: all-zero bytes are valid values of these plain C structures.
        let (name, header): (libc::sockaddr_in, libc::mmsghdr) = unsafe { (zeroed(), zeroed()) };
        Self {
            bytes: vec![[0; SIZE]; BATCH].into(),
            names: vec![name; BATCH].into(),
            controls: vec![[0; 8]; BATCH].into(),
            headers: vec![header; BATCH].into(),
            parts: vec![empty_part; BATCH].into(),
            count: 0,
        }
    }

    /// Takes what waits. Whether a full batch came, so that more may be waiting.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        for n in 0..BATCH {
            self.parts[n] =
                libc::iovec { iov_base: self.bytes[n].as_mut_ptr().cast(), iov_len: SIZE };
            let header = &mut self.headers[n].msg_hdr;
            header.msg_name = (&raw mut self.names[n]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut self.parts[n];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[n].as_mut_ptr().cast();
            header.msg_controllen = size_of::<[u64; 8]>();
        }
        self.count = 0;
        // SAFETY: each header points to buffers of this batch, which live and are not touched
        // otherwise during the call, with their true lengths.
        let count = unsafe {
            let headers = self.headers.as_mut_ptr();
            let dont_wait = libc::MSG_DONTWAIT;
            libc::recvmmsg(socket.as_raw_fd(), headers, BATCH as u32, dont_wait, ptr::null_mut())
        };
        match usize::try_from(count) {
            Ok(count) => {
                self.count = count;
                Ok(count == BATCH)
            }
            Err(_) => match io::Error::last_os_error() {
                // A peer that closed its socket is told by ICMP; the next datagram is what counts.
                error
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::Interrupted
                            | io::ErrorKind::ConnectionRefused
                    ) =>
                {
                    Ok(false)
                }
                error => Err(error),
            },
        }
    }

    /// What the last system call brought.
    pub fn iter(&self) -> impl Iterator<Item = Stamped<'_>> {
        (0..self.count).map(|n| {
            let name = &self.names[n];
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            let length = (self.headers[n].msg_len as usize).min(SIZE);
            Stamped {
                bytes: &self.bytes[n][..length],
                from: SocketAddrV4::new(ip, u16::from_be(name.sin_port)),
                at_ns: stamp(&self.headers[n].msg_hdr).unwrap_or_else(now_ns),
            }
        })
    }
}

/// The kernel's time stamp among the control messages.
fn stamp(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: the kernel filled the control buffer and its length; CMSG_FIRSTHDR checks the length,
    // and a message of this type holds a timespec, read without assuming its alignment.
    let time = unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        let message_is_stamp = !message.is_null()
            && (*message).cmsg_level == libc::SOL_SOCKET
            && (*message).cmsg_type == libc::SCM_TIMESTAMPNS;
        if !message_is_stamp {
            return None;
        }
        libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned()
    };
    Some(nanoseconds(time))
}

/// The kernel's wall clock, on which stamps are.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    nanoseconds(time)
}

fn nanoseconds(time: libc::timespec) -> u64 {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
