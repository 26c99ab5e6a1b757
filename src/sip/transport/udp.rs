//! Datagrams.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::local::LocalAddress;
use super::{Flow, Inbound, Link};
use crate::sip::message::{Parsed, parse};

/// What the system is asked to buffer in each direction, bytes; it may give less.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// The longest datagram.
const DATAGRAM_MAX: usize = 65_535;

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

/// Reads datagrams until the task is aborted, parses them and hands them over. When the owner of all calls is behind,
/// datagrams are dropped and counted: their senders repeat them.
pub async fn receive(
    listener: usize,
    socket: Arc<UdpSocket>,
    bound: SocketAddr,
    inbound: mpsc::Sender<Inbound>,
    dropped: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut local = LocalAddress::new(bound);
    loop {
        // Errors are about datagrams that we sent (ICMP port unreachable).
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let parsed = parse(&Bytes::copy_from_slice(&buffer[..length]));
        if parsed == Parsed::Nothing {
            continue;
        }
        let flow = Flow { link: Link::Udp(listener), remote, local: local.towards(remote) };
        match inbound.try_send(Inbound::Message { flow, parsed: Box::new(parsed) }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}
