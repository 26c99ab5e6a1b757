//! Connections: framing, keep-alives, and limits that let no peer hold anything up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::handshakes::Handshakes;
use super::tls::{Certificate, TlsPeer};
use super::{Flow, Inbound, Link};
use crate::sip::message::frame::{Frame, frame_from};
use crate::sip::message::{Fault, Parsed, Status, parse};
use crate::sip::settings::Limits;

const BACKLOG: i32 = 1024;
/// A peer that sends no more has so much time left to read what it is still answered. Longer, and
/// peers that come and go would hold all connections that there may be.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// So many pieces that are no SIP are skipped on a connection, such as the rest of a body whose
/// length was given too small; then it is closed.
const NOISE_MAX: u32 = 8;

pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Lets a restart have the port while old connections linger; no two listeners share it.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The way to write on a connection. It never waits.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Bytes>,
    /// Bytes in the queue.
    unwritten: Arc<AtomicUsize>,
    bytes_max: usize,
    closing: CancellationToken,
}

impl Writer {
    /// Queues a message. A peer that does not read loses the connection; `false`: it is gone.
    pub fn send(&self, bytes: Bytes) -> bool {
        let length = bytes.len();
        let before = self.unwritten.fetch_add(length, Ordering::Relaxed);
        let sent =
            before.saturating_add(length) <= self.bytes_max && self.queue.try_send(bytes).is_ok();
        if !sent {
            self.closing.cancel();
        }
        sent
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub inbound: mpsc::Sender<Inbound>,
    pub limits: Limits,
    pub places: Arc<Semaphore>,
    /// Of peers that speak TLS.
    pub handshakes: Handshakes,
    pub numbers: Arc<AtomicU64>,
    /// The stack goes down: what is queued is written, nothing more is read.
    pub stop: CancellationToken,
}

impl Shared {
    /// The number of a new connection.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// Takes connections until the stack stops, and waits for what they still have to write. With a
/// certificate they speak TLS.
pub async fn accept(listener: TcpListener, certificate: Option<Certificate>, shared: Shared) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => break,
        };
        let Ok((stream, remote)) = accepted else {
            // Out of file descriptors, most likely: existing connections must end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
            tracing::warn!(%remote, "too many connections; one more was refused");
            continue;
        };
        let Ok(local) = stream.local_addr() else { continue };
        let _ = stream.set_nodelay(true);
        // In the order in which they came, in which their tasks need not begin: when there are too many,
        // the oldest of those that are equally silent goes.
        let number = shared.next_number();
        let (certificate, shared) = (certificate.clone(), shared.clone());
        connections.spawn(async move {
            match certificate {
                Some(certificate) => {
                    let flow = Flow { link: Link::Tls(number), remote, local };
                    certificate.serve(stream, flow, shared).await;
                }
                None => {
                    let flow = Flow { link: Link::Tcp(number), remote, local };
                    let (read, write) = stream.into_split();
                    let (_, unwritten) = outgoing(&shared.limits);
                    serve(read, write, flow, unwritten, shared).await;
                }
            }
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
}

/// What is queued on a connection that is still to be made.
#[derive(Debug)]
pub struct Unwritten {
    queue: mpsc::Receiver<Bytes>,
    writer: Writer,
}

/// The way to write on a connection of ours before it is made.
pub fn outgoing(limits: &Limits) -> (Writer, Unwritten) {
    let (queue, unwritten) = mpsc::channel(limits.unwritten_max);
    let writer = Writer {
        queue,
        unwritten: Arc::default(),
        bytes_max: limits.unwritten_bytes_max,
        closing: CancellationToken::new(),
    };
    (writer.clone(), Unwritten { queue: unwritten, writer })
}

/// Makes a connection and serves it until it ends; what was queued goes out first. With `peer` it
/// speaks TLS.
pub async fn dial(flow: Flow, unwritten: Unwritten, peer: Option<TlsPeer>, shared: Shared) {
    let patience = Duration::from_millis(shared.limits.half_message_ms);
    let place = Arc::clone(&shared.places).try_acquire_owned();
    let stream = tokio::select! {
        stream = timeout(patience, TcpStream::connect(flow.remote)) => stream,
        () = shared.stop.cancelled() => return,
    };
    let (Ok(_place), Ok(Ok(stream))) = (place, stream) else {
        let _ = shared.inbound.send(Inbound::Closed { flow }).await;
        return;
    };
    let _ = stream.set_nodelay(true);
    let Some(peer) = peer else {
        let (read, write) = stream.into_split();
        return serve(read, write, flow, unwritten, shared).await;
    };
    match timeout(patience, peer.connect(stream)).await {
        Ok(Ok(stream)) => {
            let (read, write) = tokio::io::split(stream);
            serve(read, write, flow, unwritten, shared).await;
        }
        Ok(Err(error)) => {
            tracing::warn!(to = %flow.remote, %error, "no TLS with a trunk");
            let _ = shared.inbound.send(Inbound::Closed { flow }).await;
        }
        Err(_) => {
            let _ = shared.inbound.send(Inbound::Closed { flow }).await;
        }
    }
}

/// Serves one connection until it ends.
pub(super) async fn serve(
    read: impl AsyncRead + Unpin,
    write: impl AsyncWrite + Unpin,
    flow: Flow,
    unwritten: Unwritten,
    shared: Shared,
) {
    let Unwritten { queue: unwritten, writer } = unwritten;
    let (pongs, closing) = (writer.clone(), writer.closing.clone());
    let in_queue = Arc::clone(&writer.unwritten);
    let half_message = Duration::from_millis(shared.limits.half_message_ms);
    let mut writing = Box::pin(write_messages(write, unwritten, in_queue, half_message));
    if shared.inbound.send(Inbound::Opened { flow, writer }).await.is_err() {
        // The owner of all calls is gone; what is queued is its last word.
        drop(pongs);
        let _ = timeout(half_message, writing).await;
        return;
    }
    let reader = Reader { read, flow, pongs, shared: &shared, noise: 0, looked_at: 0 };
    let still_writes = tokio::select! {
        end = reader.run() => match end {
            // The peer has sent all it wants to; it may still wait for our answer.
            End::Finished => timeout(LAST_ANSWERS, &mut writing).await.is_err(),
            End::Unreadable => true,
            End::TimedOut => false,
        },
        () = &mut writing => false,
        () = closing.cancelled() => false,
        () = shared.stop.cancelled() => true,
    };
    // Now the owner drops its writer, and the queue ends after what was answered so far.
    let _ = shared.inbound.send(Inbound::Closed { flow }).await;
    if still_writes {
        let _ = timeout(half_message, writing).await;
    }
}

async fn write_messages(
    mut write: impl AsyncWrite + Unpin,
    mut unwritten: mpsc::Receiver<Bytes>,
    in_queue: Arc<AtomicUsize>,
    longest: Duration,
) {
    while let Some(bytes) = unwritten.recv().await {
        let written = async {
            write.write_all(&bytes).await?;
            // What a TLS connection still holds back.
            write.flush().await
        };
        match timeout(longest, written).await {
            Ok(Ok(())) => in_queue.fetch_sub(bytes.len(), Ordering::Relaxed),
            Ok(Err(_)) | Err(_) => return,
        };
    }
}

/// Why reading ended.
enum End {
    Finished,
    /// What follows can't be told from a body.
    Unreadable,
    TimedOut,
}

struct Reader<'a, R> {
    read: R,
    flow: Flow,
    pongs: Writer,
    shared: &'a Shared,
    noise: u32,
    /// So many bytes of the message that is being read hold no end of its head.
    looked_at: usize,
}

impl<R: AsyncRead + Unpin> Reader<'_, R> {
    async fn run(mut self) -> End {
        let limits = self.shared.limits;
        let mut buffer = BytesMut::new();
        loop {
            let at_least = match self.take_messages(&mut buffer).await {
                Ok(at_least) => at_least,
                Err(end) => return end,
            };
            let between = buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
            let patience_ms = if between { limits.idle_ms } else { limits.half_message_ms };
            let patience = Duration::from_millis(patience_ms);
            // The whole rest of a message must come in that time, not just some byte of it.
            let filled = timeout(patience, self.fill(&mut buffer, at_least)).await;
            match filled {
                Ok(true) => {}
                Ok(false) => return End::Finished,
                Err(_) => return End::TimedOut,
            }
        }
    }

    /// Reads until there are so many bytes, and a line's end among the new ones if the head is not
    /// complete. `false`: the peer closed.
    async fn fill(&mut self, buffer: &mut BytesMut, at_least: usize) -> bool {
        let had = buffer.len();
        let in_head = at_least == had + 1 && had > 0;
        loop {
            match self.read.read_buf(buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(_) => {}
            }
            let too_long = buffer.len() > self.shared.limits.message_bytes_max;
            let new_line = !in_head || buffer[had..].contains(&b'\n');
            if too_long || (buffer.len() >= at_least && new_line) {
                return true;
            }
        }
    }

    /// Hands over all whole messages; gives how many bytes the next one needs.
    async fn take_messages(&mut self, buffer: &mut BytesMut) -> Result<usize, End> {
        loop {
            let looked_at = std::mem::take(&mut self.looked_at);
            match frame_from(buffer, looked_at, self.shared.limits.message_bytes_max) {
                Frame::Partial { at_least, looked_at } => {
                    self.looked_at = looked_at;
                    return Ok(at_least);
                }
                Frame::Ping { length } => {
                    buffer.advance(length);
                    // RFC 5626 §3.5.1. Who sends pings and reads no pongs loses the connection.
                    self.pongs.send(Bytes::from_static(b"\r\n"));
                }
                Frame::Pong { length } => buffer.advance(length),
                Frame::Message { length } => {
                    let bytes = buffer.split_to(length).freeze();
                    let is_response = bytes.starts_with(b"SIP/");
                    let parsed = parse(&bytes);
                    if parsed == Parsed::Nothing && !is_response {
                        self.noise += 1;
                        if self.noise > NOISE_MAX {
                            return Err(End::Unreadable);
                        }
                        continue;
                    }
                    self.hand_over(parsed).await?;
                }
                Frame::Unframed { length } => {
                    let bytes = buffer.split_to(length).freeze();
                    self.hand_over(unframed(parse(&bytes))).await?;
                    return Err(End::Unreadable);
                }
                Frame::TooLong => {
                    tracing::info!(source = %self.flow.remote, "a message was too long");
                    return Err(End::Unreadable);
                }
            }
        }
    }

    /// Waits when the owner of all calls is behind; then nothing more is read.
    async fn hand_over(&self, parsed: Parsed) -> Result<(), End> {
        let message = Inbound::Message { flow: self.flow, parsed: Box::new(parsed) };
        self.shared.inbound.send(message).await.map_err(|_| End::TimedOut)
    }
}

/// RFC 3261 §18.3: on a stream a body needs a Content-Length.
fn unframed(parsed: Parsed) -> Parsed {
    match parsed {
        Parsed::Request(request) => Parsed::Fault(Fault {
            status: Status::BAD_REQUEST,
            why: "no Content-Length on a stream",
            method: Some(request.method),
            headers: request.headers,
        }),
        Parsed::Fault(fault) => Parsed::Fault(fault),
        Parsed::Response(_) | Parsed::Nothing => Parsed::Nothing,
    }
}
