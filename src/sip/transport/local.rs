//! Which address of ours a peer sees.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Finds the address that the system would send from.
#[derive(Debug)]
pub struct LocalAddress {
    bound: SocketAddr,
    known: BTreeMap<IpAddr, IpAddr>,
}

impl LocalAddress {
    /// So many peers are remembered; then all are forgotten.
    const PEERS_MAX: usize = 4_096;

    pub fn new(bound: SocketAddr) -> Self {
        Self { bound, known: BTreeMap::new() }
    }

    /// The address of a socket bound to `bound`, as `peer` sees it.
    pub fn towards(&mut self, peer: SocketAddr) -> SocketAddr {
        if !self.bound.ip().is_unspecified() {
            return self.bound;
        }
        let ip = match self.known.get(&peer.ip()) {
            Some(ip) => *ip,
            None => {
                // Without a route no answer will get there anyway.
                let ip = route_to(peer).unwrap_or_else(|_| self.bound.ip());
                if self.known.len() >= Self::PEERS_MAX {
                    self.known.clear();
                }
                self.known.insert(peer.ip(), ip);
                ip
            }
        };
        SocketAddr::new(ip, self.bound.port())
    }
}

/// A connected UDP socket sends nothing, but has chosen its address.
fn route_to(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_on_this_machine_sees_loopback() {
        let mut local = LocalAddress::new("0.0.0.0:5060".parse().unwrap());
        let peer = "127.0.0.1:4000".parse().unwrap();
        assert_eq!(local.towards(peer), "127.0.0.1:5060".parse().unwrap());
        let mut bound = LocalAddress::new("192.0.2.1:5060".parse().unwrap());
        assert_eq!(bound.towards(peer), "192.0.2.1:5060".parse().unwrap());
    }
}
