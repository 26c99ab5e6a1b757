//! The phone's SIP socket, UDP or TCP.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::signalling::Transport;
use crate::sip::message::frame::{Frame, frame};

/// Longest message that is read.
const MESSAGE_MAX: usize = 65_535;

/// A socket whose other end is the server.
pub enum SipSocket {
    Udp {
        socket: UdpSocket,
        server: SocketAddr,
        buffer: Vec<u8>,
    },
    Tcp {
        stream: TcpStream,
        /// What came and is no whole message yet; at most [`MESSAGE_MAX`] bytes and one read more.
        buffer: BytesMut,
        is_closed: bool,
    },
}

impl SipSocket {
    /// UDP: bound to `ip`. TCP: connected to the server.
    pub async fn open(transport: Transport, ip: IpAddr, server: SocketAddr) -> io::Result<Self> {
        match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((ip, 0)).await?;
                Ok(Self::Udp { socket, server, buffer: vec![0; MESSAGE_MAX] })
            }
            Transport::Tcp => {
                let stream = TcpStream::connect(server).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp { stream, buffer: BytesMut::new(), is_closed: false })
            }
        }
    }

    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp { socket, .. } => socket.local_addr(),
            Self::Tcp { stream, .. } => stream.local_addr(),
        }
    }

    /// What can't be sent got lost: SIP repeats it, or gives up after its time.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = match self {
            Self::Udp { socket, server, .. } => socket.send_to(bytes, *server).await.map(drop),
            Self::Tcp { stream, .. } => stream.write_all(bytes).await,
        };
    }

    /// The next message; for ever after the end of a connection. May be dropped while it waits.
    pub async fn receive(&mut self) -> Bytes {
        match self {
            Self::Udp { socket, buffer, .. } => loop {
                // An ICMP error of an earlier datagram is no message.
                if let Ok((length, _)) = socket.recv_from(buffer).await {
                    return Bytes::copy_from_slice(&buffer[..length]);
                }
            },
            Self::Tcp { stream, buffer, is_closed } => loop {
                if *is_closed {
                    return pending().await;
                }
                match frame(buffer, MESSAGE_MAX) {
                    Frame::Message { length } => return buffer.split_to(length).freeze(),
                    Frame::Ping { length } | Frame::Pong { length } => {
                        drop(buffer.split_to(length));
                    }
                    Frame::Partial { .. } => {
                        *is_closed = !matches!(stream.read_buf(buffer).await, Ok(1..));
                    }
                    Frame::Unframed { .. } | Frame::TooLong => *is_closed = true,
                }
            },
        }
    }
}
