//! RTP and RTCP sockets, and the limit on open files that they count against.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

/// Expedited forwarding (RFC 3246), as the upper six bits of the traffic class: routers that know
/// of it send speech first.
pub(super) const EXPEDITED: u8 = 46;
const TRAFFIC_CLASS: u32 = (EXPEDITED as u32) << 2;

/// The bound pair of a leg.
#[derive(Debug)]
pub(super) struct Sockets {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    /// Where RTP leaves from, if that is one IPv4 address.
    pub local: Option<SocketAddrV4>,
}

impl Sockets {
    /// Binds `port` for RTP and the next one for RTCP, without waiting.
    pub fn bind(ip: IpAddr, port: u16) -> io::Result<Self> {
        Ok(Self {
            rtp: bind(SocketAddr::new(ip, port))?,
            rtcp: bind(SocketAddr::new(ip, port | 1))?,
            local: match ip {
                IpAddr::V4(ip) if !ip.is_unspecified() => Some(SocketAddrV4::new(ip, port)),
                IpAddr::V4(_) | IpAddr::V6(_) => None,
            },
        })
    }
}

/// The address to bind for this peer, of the peer's address family: `ours`, if it names one, else
/// `local`, where the peer's signalling arrives.
pub(super) fn address_for(peer: IpAddr, ours: IpAddr, local: IpAddr) -> IpAddr {
    let suits = |ip: &IpAddr| ip.is_ipv4() == peer.to_canonical().is_ipv4();
    // A link-local address means nothing without its interface, which is not told here.
    let is_whole = |ip: &IpAddr| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let named =
        [ours, local].into_iter().find(|ip| suits(ip) && is_whole(ip) && !ip.is_unspecified());
    named.unwrap_or(match peer.to_canonical() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    })
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    // Whatever the system can do at once is asked for at once: a call opens two of these.
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    // Marking is a wish: a system that refuses it sends all the same.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        let _ = socket.set_tclass_v6(TRAFFIC_CLASS);
    } else {
        let _ = socket.set_tos_v4(TRAFFIC_CLASS);
    }
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Raises the soft limit on open files to the hard one: a call needs two sockets. Returns how many
/// files this process may now have open. To be called once at the start.
pub fn raise_open_files_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the whole call, and the call only writes to it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit, which the call only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_address_suits_the_peer_and_is_the_one_named_to_it() {
        let bound = |peer: &str, ours: &str, local: &str| {
            let [peer, ours, local] = [peer, ours, local].map(|ip| ip.parse().unwrap());
            address_for(peer, ours, local).to_string()
        };
        assert_eq!(bound("198.51.100.7", "0.0.0.0", "192.0.2.1"), "192.0.2.1");
        assert_eq!(bound("198.51.100.7", "192.0.2.9", "192.0.2.1"), "192.0.2.9");
        assert_eq!(bound("::ffff:198.51.100.7", "192.0.2.9", "192.0.2.1"), "192.0.2.9");
        assert_eq!(bound("2001:db8::1", "192.0.2.9", "2001:db8::9"), "2001:db8::9");
        assert_eq!(bound("2001:db8::1", "0.0.0.0", "192.0.2.1"), "::");
        assert_eq!(bound("fe80::1", "::", "fe80::9"), "::");
        assert_eq!(bound("198.51.100.7", "0.0.0.0", "0.0.0.0"), "0.0.0.0");
    }

    #[test]
    fn the_limit_on_open_files_can_be_raised() {
        assert!(raise_open_files_limit().unwrap() > 0);
    }
}
