//! The way to a peer that was never heard: which socket of ours, and how the peer sees it.

use std::net::SocketAddr;

use super::local::LocalAddress;
use super::{Flow, Link};
use crate::config::{Listen, Transport};
use crate::sip::message::{SipUri, Uri};

/// The way to `sip:+74951234567@192.0.2.1:5060`, by the first socket of ours that leads there;
/// `;transport=tcp` asks for a connection, which gets the number `connection` until it is made.
/// `None` for a name (names are never looked up), or if no socket fits.
pub fn way_to(uri: &str, bound: &[Listen], connection: u64) -> Option<Flow> {
    let Ok(Uri::Sip(uri)) = Uri::parse(uri) else { return None };
    let transport = transport_of(&uri)?;
    let remote = SocketAddr::new(uri.ip()?, uri.port.unwrap_or(5060));
    let same_transport = bound.iter().filter(|listen| listen.transport == transport);
    let fitting = |(_, listen): &(usize, &Listen)| listen.address.is_ipv4() == remote.is_ipv4();
    let (socket, listen) = same_transport.enumerate().find(fitting)?;
    let link = match transport {
        Transport::Udp => Link::Udp(socket),
        Transport::Tcp | Transport::Tls => Link::Tcp(connection),
    };
    let local = LocalAddress::new(listen.address).towards(remote);
    Some(Flow { link, remote, local })
}

/// Connections with TLS are made by phones, never by us.
fn transport_of(uri: &SipUri) -> Option<Transport> {
    match uri.params.get("transport").map(str::to_ascii_lowercase).as_deref() {
        _ if uri.is_sips() => None,
        None | Some("udp") => Some(Transport::Udp),
        Some("tcp") => Some(Transport::Tcp),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_from_a_socket_of_the_same_kind() {
        let bound = ["udp:[::1]:5060", "tcp:127.0.0.1:5070", "udp:127.0.0.1:5060"];
        let bound = bound.map(|text| text.parse().unwrap());
        let way = |uri| way_to(uri, &bound, 9);
        let udp = way("sip:100@127.0.0.1:4000").unwrap();
        assert_eq!((udp.link, udp.remote.port(), udp.local.port()), (Link::Udp(1), 4000, 5060));
        let tcp = way("sip:100@127.0.0.1;transport=tcp").unwrap();
        assert_eq!((tcp.link, tcp.remote.port(), tcp.local.port()), (Link::Tcp(9), 5060, 5070));
        assert_eq!(way("sip:100@phone.example.net"), None);
        assert_eq!(way("sip:100@[::1];transport=tcp"), None);
        assert_eq!(way("sip:100@127.0.0.1;transport=tls"), None);
        assert_eq!(way("tel:100"), None);
        assert_eq!(way("sip:100@127.0.0.1;transport=tls"), None);
    }
}
