//! The way out for the packets of a worker: those that are due together leave together.
//!
//! A datagram that a leg sends by its own socket makes the kernel look at that socket, its file and
//! its route; with thousands of streams nothing of that is in the cache. A process that may do so
//! (CAP_NET_RAW) hands over whole IP packets, of whatever port, by one socket and many in one
//! system call (raw(7), sendmmsg(2)). What arrives is the same. The route is looked up, and the
//! firewall asked, as for any packet.
//!
//! Without that right, where it is switched off, by IPv6, and for what is longer than usual, each
//! packet leaves by the socket of its leg.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use etherparse::{IpDscp, IpNumber, Ipv4Header, UdpHeader};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg as _;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};

use super::leg::PACKET_BYTES_MAX;
use super::sockets::{EXPEDITED, Sockets};

/// Packets that wait at most.
const PACKETS_MAX: usize = 64;
const HEADERS_BYTES: usize = Ipv4Header::MIN_LEN + UdpHeader::LEN;
/// A longer packet might have to be cut into fragments, which is left to its own socket.
const TOGETHER_BYTES_MAX: usize = 1_200;
const BYTES: usize = PACKETS_MAX * 256 + PACKET_BYTES_MAX;
/// Addresses of ours from which packets leave together; few machines have more.
const WAYS_MAX: usize = 16;
/// What is on its way to the network card, if the system grants so much.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// As Linux does unless told otherwise.
const TIME_TO_LIVE: u8 = 64;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Burst {
    /// One for each address of ours; `None` if all packets leave one by one.
    ways: Option<Vec<Way>>,
    /// The packets that wait, and room for one more.
    bytes: Box<[u8]>,
    filled: usize,
    waiting: Vec<Packet>,
    /// The next packet's identification.
    identification: u16,
}

#[derive(Debug)]
struct Way {
    from: Ipv4Addr,
    /// `None`: the system did not let us.
    socket: Option<Socket>,
}

/// A whole IP packet in the buffer.
#[derive(Debug)]
struct Packet {
    way: usize,
    begin: usize,
    end: usize,
    to: SocketAddrV4,
}

impl Burst {
    /// `together`: packets may leave together, because [`is_possible`].
    pub fn new(together: bool) -> Self {
        Self {
            ways: together.then(Vec::new),
            bytes: vec![0; BYTES].into(),
            filled: 0,
            waiting: Vec::with_capacity(PACKETS_MAX),
            identification: 0,
        }
    }

    /// Where the next packet is to be written: [`PACKET_BYTES_MAX`] bytes.
    pub fn room(&mut self) -> &mut [u8] {
        let begin = self.filled + HEADERS_BYTES;
        &mut self.bytes[begin..begin + PACKET_BYTES_MAX]
    }

    /// Sends what was written to the first `length` bytes of the [room](Burst::room), now or with
    /// the next [`Burst::flush`]. `false`: the system would not take it.
    pub fn send(&mut self, from: &Sockets, to: SocketAddr, length: usize) -> bool {
        if let Some(packet) = self.packet(from, to, length) {
            self.filled = packet.end;
            self.waiting.push(packet);
            let is_full = self.waiting.len() == PACKETS_MAX
                || self.filled + HEADERS_BYTES + PACKET_BYTES_MAX > BYTES;
            if is_full {
                self.flush();
            }
            return true;
        }
        let begin = self.filled + HEADERS_BYTES;
        from.rtp.send_to(&self.bytes[begin..begin + length], to).is_ok()
    }

    /// Lets go what waits. What the system does not take is lost, like any packet on its way.
    pub fn flush(&mut self) {
        for packets in self.waiting.chunk_by(|one, next| one.way == next.way) {
            let way = self.ways.as_ref().and_then(|ways| ways.get(packets[0].way));
            if let Some(socket) = way.and_then(|way| way.socket.as_ref()) {
                send_together(socket, packets, &self.bytes);
            }
        }
        self.waiting.clear();
        self.filled = 0;
    }

    /// Puts headers before what was written; `None` if it can't leave together with others.
    fn packet(&mut self, from: &Sockets, to: SocketAddr, length: usize) -> Option<Packet> {
        let (Some(from), SocketAddr::V4(to)) = (from.local, to) else { return None };
        if length > TOGETHER_BYTES_MAX {
            return None;
        }
        let way = self.way(*from.ip())?;
        // Not zero, for which the kernel would look for a number.
        self.identification = self.identification.wrapping_add(1).max(1);
        let begin = self.filled;
        let end = begin + HEADERS_BYTES + length;
        write_headers(&mut self.bytes[begin..end], from, to, self.identification)?;
        Some(Packet { way, begin, end, to })
    }

    /// By which socket packets from this address leave together.
    fn way(&mut self, from: Ipv4Addr) -> Option<usize> {
        let ways = self.ways.as_mut()?;
        let known = ways.iter().position(|way| way.from == from);
        let way = known.unwrap_or(ways.len());
        if known.is_none() {
            if ways.len() == WAYS_MAX {
                return None;
            }
            let opened = open(from);
            if let Err(error) = &opened {
                tracing::warn!(%error, "no raw socket for RTP: packets leave one by one");
            }
            ways.push(Way { from, socket: opened.ok() });
        }
        ways[way].socket.is_some().then_some(way)
    }
}

/// Finds out whether this process may send packets together, and whether they arrive.
pub(super) fn is_possible() -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_millis(500);
    let to = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    to.set_read_timeout(Some(PATIENCE))?;
    let SocketAddr::V4(to_address) = to.local_addr()? else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let said: [u8; 16] = rand::random();
    let mut bytes = [0; HEADERS_BYTES + 16];
    bytes[HEADERS_BYTES..].copy_from_slice(&said);
    let from = SocketAddrV4::new(Ipv4Addr::LOCALHOST, to_address.port());
    write_headers(&mut bytes, from, to_address, 1).ok_or(io::ErrorKind::InvalidInput)?;
    let packet = Packet { way: 0, begin: 0, end: bytes.len(), to: to_address };
    send_together(&open(Ipv4Addr::LOCALHOST)?, &[packet], &bytes);
    let mut heard = [0; 17];
    let heard_all = to.recv(&mut heard)? == said.len() && heard.starts_with(&said);
    heard_all.then_some(()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn open(from: Ipv4Addr) -> io::Result<Socket> {
    let kind = Type::RAW.nonblocking();
    // This protocol sends whole packets, and receives nothing.
    let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    // Routes may depend on the address of ours, which for them is that of the socket.
    socket.bind(&SocketAddrV4::new(from, 0).into())?;
    // A wish.
    let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
    Ok(socket)
}

/// Writes the headers (RFC 791, RFC 768) before the payload that `packet` ends with.
fn write_headers(
    packet: &mut [u8],
    from: SocketAddrV4,
    to: SocketAddrV4,
    identification: u16,
) -> Option<()> {
    let (headers, payload) = packet.split_at_mut_checked(HEADERS_BYTES)?;
    let length = u16::try_from(UdpHeader::LEN + payload.len()).ok()?;
    let (source, destination) = (from.ip().octets(), to.ip().octets());
    let mut ip = Ipv4Header::new(length, TIME_TO_LIVE, IpNumber::UDP, source, destination).ok()?;
    ip.dscp = IpDscp::try_new(EXPEDITED).ok()?;
    ip.identification = identification;
    let udp = UdpHeader::with_ipv4_checksum(from.port(), to.port(), &ip, payload).ok()?;
    let (ip_bytes, udp_bytes) = headers.split_at_mut_checked(Ipv4Header::MIN_LEN)?;
    ip_bytes.copy_from_slice(&ip.to_bytes());
    udp_bytes.copy_from_slice(&udp.to_bytes());
    Some(())
}

fn send_together(socket: &Socket, packets: &[Packet], bytes: &[u8]) {
    let parts: Vec<_> =
        packets.iter().map(|packet| [IoSlice::new(&bytes[packet.begin..packet.end])]).collect();
    let addresses: Vec<SocketAddrAny> = packets.iter().map(|packet| packet.to.as_any()).collect();
    let mut controls: Vec<_> = packets.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<_> = addresses
        .iter()
        .zip(&parts)
        .zip(&mut controls)
        .map(|((address, part), control)| MMsgHdr::new_with_addr(address, part, control))
        .collect();
    let mut rest = &mut messages[..];
    while !rest.is_empty() {
        let done = match sendmmsg(socket, rest, SendFlags::DONTWAIT) {
            Ok(sent) => sent.max(1),
            Err(Errno::INTR) => 0,
            // No room for any of them.
            Err(Errno::AGAIN | Errno::NOBUFS) => return,
            // The first one can't be sent; that says nothing about the others.
            Err(_) => 1,
        };
        rest = rest.get_mut(done..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketHeaders, PayloadSlice, TransportHeader};

    use super::*;
    use crate::media::playlist::SAMPLES_PER_MS;

    /// A frame of audio, as long as they are: with the header of RTP.
    const FRAME_BYTES: usize = 12 + 20 * SAMPLES_PER_MS as usize;

    /// A phone at an address of this machine.
    fn phone() -> (UdpSocket, SocketAddr) {
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = phone.local_addr().unwrap();
        (phone, address)
    }

    fn sockets(ip: &str, port: u16) -> Sockets {
        Sockets::bind(ip.parse().unwrap(), port).unwrap()
    }

    fn send(burst: &mut Burst, from: &Sockets, to: SocketAddr, bytes: &[u8]) {
        burst.room()[..bytes.len()].copy_from_slice(bytes);
        assert!(burst.send(from, to, bytes.len()));
    }

    fn hears(phone: &UdpSocket) -> (Vec<u8>, String) {
        let mut bytes = [0; 2_048];
        let (length, from) = phone.recv_from(&mut bytes).unwrap();
        (bytes[..length].to_vec(), from.to_string())
    }

    #[test]
    fn headers_are_those_of_a_datagram_of_the_leg() {
        let mut packet = [7; HEADERS_BYTES + FRAME_BYTES];
        let from = "192.0.2.1:16384".parse().unwrap();
        let to = "198.51.100.7:40000".parse().unwrap();
        write_headers(&mut packet, from, to, 1).unwrap();
        let headers = PacketHeaders::from_ip_slice(&packet).unwrap();
        let Some(etherparse::NetHeaders::Ipv4(ip, _)) = headers.net else { panic!("no IPv4") };
        assert_eq!((ip.source, ip.destination), ([192, 0, 2, 1], [198, 51, 100, 7]));
        assert_eq!((ip.dscp.value(), ip.time_to_live, ip.dont_fragment), (46, 64, true));
        let Some(TransportHeader::Udp(udp)) = headers.transport else { panic!("no UDP") };
        assert_eq!((udp.source_port, udp.destination_port), (16_384, 40_000));
        assert_eq!(headers.payload, PayloadSlice::Udp(&[7; FRAME_BYTES]));
        // One's complement: the sum of all that the checksum covers (RFC 768) has all bits set.
        let pseudo = [[192, 0, 2, 1], [198, 51, 100, 7], [0, 17, 0, 180]].concat();
        let covered = [&pseudo, &packet[Ipv4Header::MIN_LEN..]].concat();
        let sum: u32 =
            covered.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }

    #[test]
    fn packets_arrive_in_order_from_the_ports_of_their_legs_together_or_one_by_one() {
        for (number, together) in [true, false].into_iter().enumerate() {
            if together && let Err(error) = is_possible() {
                eprintln!("skipped: packets can't leave together here: {error}");
                continue;
            }
            let port = 14_170 + 8 * number as u16;
            let legs = [
                sockets("127.0.0.1", port),
                sockets("127.0.0.1", port + 2),
                sockets("127.0.0.2", port),
            ];
            let (phone, address) = phone();
            let mut burst = Burst::new(together);
            let mut said = Vec::new();
            for n in 0..3 * PACKETS_MAX {
                let leg = &legs[n % 3];
                let frame = vec![n as u8; FRAME_BYTES + n % 2];
                send(&mut burst, leg, address, &frame);
                said.push((frame, leg.local.unwrap().to_string()));
            }
            burst.flush();
            let heard: Vec<_> = said.iter().map(|_| hears(&phone)).collect();
            assert_eq!(heard, said);
        }
    }

    #[test]
    fn what_can_not_leave_together_leaves_by_the_socket_of_its_leg() {
        let anywhere = sockets("0.0.0.0", 14_186);
        let leg = sockets("127.0.0.1", 14_188);
        assert_eq!(anywhere.local, None);
        let (phone, address) = phone();
        let mut burst = Burst::new(true);
        send(&mut burst, &anywhere, address, &[1; FRAME_BYTES]);
        assert_eq!(hears(&phone).0, [1; FRAME_BYTES]);
        send(&mut burst, &leg, address, &[2; TOGETHER_BYTES_MAX + 1]);
        assert_eq!(hears(&phone), (vec![2; TOGETHER_BYTES_MAX + 1], "127.0.0.1:14188".to_owned()));
    }

    #[test]
    fn a_peer_who_can_not_be_reached_takes_no_packet_from_others() {
        let leg = sockets("127.0.0.1", 14_190);
        let (phone, address) = phone();
        let mut burst = Burst::new(is_possible().is_ok());
        burst.room()[0] = 1;
        // From the loopback address nobody outside can be reached.
        let sent_now = burst.send(&leg, "192.0.2.1:4000".parse().unwrap(), 1);
        assert_eq!(sent_now, burst.ways.is_some());
        send(&mut burst, &leg, address, &[2; FRAME_BYTES]);
        burst.flush();
        assert_eq!(hears(&phone).0, [2; FRAME_BYTES]);
    }
}
