//! The way to a peer that was never heard: which socket of ours, and how the peer sees it.

use std::net::SocketAddr;

use super::local::LocalAddress;
use super::{Flow, Link};
use crate::config::{Listen, Transport};

/// The way to an address by the first socket of ours that leads there. A connection gets the number
/// `connection`. The peer is told the address of ours that listens for the same carrier; with TLS,
/// if nothing does, that of another carrier: what the peer sends comes on our connection anyway.
/// `None`: no socket fits.
pub fn way_to(
    transport: Transport,
    remote: SocketAddr,
    bound: &[Listen],
    connection: u64,
) -> Option<Flow> {
    let fits = |listen: &&Listen| listen.address.is_ipv4() == remote.is_ipv4();
    let same = bound.iter().filter(|listen| listen.transport == transport);
    let found = same.enumerate().find(|(_, listen)| fits(listen));
    let (link, listen) = match (transport, found) {
        (Transport::Udp, Some((socket, listen))) => (Link::Udp(socket), listen),
        (Transport::Tcp, Some((_, listen))) => (Link::Tcp(connection), listen),
        (Transport::Tls, Some((_, listen))) => (Link::Tls(connection), listen),
        (Transport::Tls, None) => (Link::Tls(connection), bound.iter().find(fits)?),
        (Transport::Udp | Transport::Tcp, None) => return None,
    };
    let local = LocalAddress::new(listen.address).towards(remote);
    Some(Flow { link, remote, local })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_from_a_socket_of_the_same_kind() {
        let bound = ["udp:[::1]:5060", "tcp:127.0.0.1:5070", "udp:127.0.0.1:5060"];
        let bound = bound.map(|text| text.parse().unwrap());
        let way = |transport, to: &str| way_to(transport, to.parse().unwrap(), &bound, 9);
        let udp = way(Transport::Udp, "127.0.0.1:4000").unwrap();
        assert_eq!((udp.link, udp.remote.port(), udp.local.port()), (Link::Udp(1), 4000, 5060));
        let tcp = way(Transport::Tcp, "127.0.0.1:4000").unwrap();
        assert_eq!((tcp.link, tcp.local.port()), (Link::Tcp(9), 5070));
        let tls = way(Transport::Tls, "127.0.0.1:4000").unwrap();
        assert_eq!((tls.link, tls.local.port()), (Link::Tls(9), 5070));
        assert_eq!(way(Transport::Tcp, "[::1]:4000"), None);
    }
}
