//! RTP and RTCP sockets, and the limit on open files that they count against.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

/// Expedited forwarding (RFC 3246), as the upper six bits of the traffic class: routers that know
/// of it send speech first.
const EXPEDITED: u32 = 46 << 2;

/// The bound pair of a leg.
#[derive(Debug)]
pub(super) struct Sockets {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

impl Sockets {
    /// Binds `port` for RTP and the next one for RTCP, without waiting.
    pub fn bind(ip: IpAddr, port: u16) -> io::Result<Self> {
        Ok(Self {
            rtp: bind(SocketAddr::new(ip, port))?,
            rtcp: bind(SocketAddr::new(ip, port | 1))?,
        })
    }
}

/// The address to bind for this peer: ours, if the peer can reach it by its address family.
pub(super) fn address_for(peer: IpAddr, ours: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(_) if ours.is_ipv6() => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) if ours.is_ipv4() => Ipv6Addr::UNSPECIFIED.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => ours,
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // Marking is a wish: a system that refuses it sends all the same.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        let _ = socket.set_tclass_v6(EXPEDITED);
    } else {
        let _ = socket.set_tos_v4(EXPEDITED);
    }
    socket.set_nonblocking(true)?;
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
    fn a_peer_is_served_in_its_own_address_family() {
        let ours: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(address_for("198.51.100.7".parse().unwrap(), ours), ours);
        assert_eq!(address_for("::ffff:198.51.100.7".parse().unwrap(), ours), ours);
        assert_eq!(
            address_for("2001:db8::1".parse().unwrap(), ours),
            "::".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn the_limit_on_open_files_can_be_raised() {
        assert!(raise_open_files_limit().unwrap() > 0);
    }
}
