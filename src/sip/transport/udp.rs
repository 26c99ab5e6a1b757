//! Datagrams.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::local::LocalAddress;
use super::{Flow, Link};

/// What the system is asked to buffer in each direction, bytes; it may give less.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// The longest datagram.
const DATAGRAM_MAX: usize = 65_535;
/// So many errors in a row end the reading for now.
const ERRORS_MAX: usize = 64;

pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Smaller buffers are a pity, not an error.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// What comes in on one socket.
#[derive(Debug)]
pub struct Datagrams {
    socket: Arc<UdpSocket>,
    local: LocalAddress,
    buffer: Vec<u8>,
}

impl Datagrams {
    pub fn new(socket: Arc<UdpSocket>, bound: SocketAddr) -> Self {
        Self { socket, local: LocalAddress::new(bound), buffer: vec![0; DATAGRAM_MAX] }
    }

    /// Whether there may be something to read; if not, the task is woken when there is.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_recv_ready(context).map(drop)
    }

    /// The next datagram; `None`: there is none now.
    pub fn read(&mut self) -> Option<(SocketAddr, Bytes)> {
        for _ in 0..ERRORS_MAX {
            match self.socket.try_recv_from(&mut self.buffer) {
                Ok((length, remote)) => {
                    return Some((remote, Bytes::copy_from_slice(&self.buffer[..length])));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // About a datagram that we sent (ICMP port unreachable).
                Err(_) => {}
            }
        }
        None
    }

    /// The way to a peer that was heard on this socket, the n-th.
    pub fn flow(&mut self, listener: usize, remote: SocketAddr) -> Flow {
        Flow { link: Link::Udp(listener), remote, local: self.local.towards(remote) }
    }
}
