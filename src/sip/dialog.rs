//! A dialog, of a call that came or of one that we made (RFC 3261 §12).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::message::uri::parse_ip;
use super::message::{
    HeaderName, Headers, KnownMethod, Malformed, Method, NameAddr, Request, Response, SipUri, Uri,
};
use super::transport::Flow;

/// What the two ends of a call remember of each other.
#[derive(Debug)]
pub struct Dialog {
    /// The bytes that came.
    pub call_id: Bytes,
    pub local_tag: Box<str>,
    /// Absent with peers of RFC 2543.
    pub remote_tag: Option<Box<str>>,
    /// The peer's From or To as it came: the To of our requests.
    remote: Bytes,
    /// Our address with our tag: the From of our requests.
    local: Bytes,
    local_cseq: u32,
    /// `None` until the peer sends a request (RFC 3261 §12.1.2).
    remote_cseq: Option<u32>,
    /// From Record-Route, the hop next to us first (RFC 3261 §12.1).
    route_set: Vec<NameAddr>,
    remote_target: Uri,
    /// The way on which the peer was last heard.
    pub flow: Flow,
    /// See [`Dialog::is_home`].
    homes: Vec<IpAddr>,
}

/// Addresses that a dialog has at most; an older one is forgotten for a new one.
const HOMES_MAX: usize = 16;

impl Dialog {
    /// The dialog that an answer to this INVITE with `local_tag` makes.
    pub fn answering(request: &Request, local_tag: &str, flow: Flow) -> Result<Self, Malformed> {
        let headers = &request.headers;
        let from = headers.from()?;
        let raw = |name| headers.raw(&name).cloned().unwrap_or_default();
        let to = raw(HeaderName::To);
        let mut dialog = Self {
            call_id: call_id_in(headers)?,
            local_tag: local_tag.into(),
            remote_tag: from.tag().map(Into::into),
            remote: own(&raw(HeaderName::From)),
            local: [&to[..], b";tag=", local_tag.as_bytes()].concat().into(),
            local_cseq: 0,
            remote_cseq: Some(headers.cseq()?.number),
            route_set: headers.addresses(&HeaderName::RecordRoute)?,
            // RFC 2543 knew INVITEs without a Contact; From is the next best.
            remote_target: headers.contact()?.map_or(from.uri, |contact| contact.uri),
            flow,
            homes: Vec::new(),
        };
        for via in headers.vias()? {
            let received = via.params.get("received").and_then(parse_ip);
            dialog.homes.extend(parse_ip(&via.host).into_iter().chain(received));
        }
        dialog.settle();
        Ok(dialog)
    }

    /// The dialog that this answer to our INVITE makes (RFC 3261 §12.1.2); an early one if the
    /// answer is provisional.
    pub fn answered(invite: &Request, response: &Response, flow: Flow) -> Result<Self, Malformed> {
        let headers = &response.headers;
        let raw = |headers: &Headers, name| headers.raw(&name).cloned().unwrap_or_default();
        let mut route_set = headers.addresses(&HeaderName::RecordRoute)?;
        route_set.reverse();
        let mut dialog = Self {
            call_id: call_id_in(&invite.headers)?,
            local_tag: invite.headers.from()?.tag().unwrap_or("").into(),
            remote_tag: headers.to()?.tag().map(Into::into),
            remote: own(&raw(headers, HeaderName::To)),
            local: raw(&invite.headers, HeaderName::From),
            local_cseq: invite.headers.cseq()?.number,
            remote_cseq: None,
            route_set,
            remote_target: headers
                .contact()?
                .map_or_else(|| invite.uri.clone(), |contact| contact.uri),
            flow,
            homes: Vec::new(),
        };
        dialog.settle();
        Ok(dialog)
    }

    /// Notes the addresses that the dialog names now, the newest last.
    fn settle(&mut self) {
        let named = self.route_set.iter().map(|route| &route.uri).chain([&self.remote_target]);
        let named = named.filter_map(|uri| uri.sip()?.ip());
        self.homes.extend(named.chain([self.flow.remote.ip()]));
        let mut known = BTreeSet::new();
        let newest_first = self.homes.iter().rev().map(IpAddr::to_canonical);
        let mut homes: Vec<_> = newest_first.filter(|ip| known.insert(*ip)).collect();
        homes.truncate(HOMES_MAX);
        homes.reverse();
        self.homes = homes;
    }

    /// Whether the peer may speak from this address: its own, or that of a proxy, as Via, Contact and
    /// Record-Route named it, or where it was heard. The port is free, as a NAT may give the peer
    /// another one at any time; an address does not change without a word (a phone that changes
    /// networks registers first), so whoever has overheard the ids of a dialog is still a stranger.
    pub fn is_home(&self, ip: IpAddr) -> bool {
        self.homes.contains(&ip.to_canonical())
    }

    /// Goes on counting our requests where the early form of this dialog stopped.
    pub fn count_on(&mut self, early: &Self) {
        self.local_cseq = self.local_cseq.max(early.local_cseq);
    }

    /// Whether a request inside a dialog is of this one; our tag led here.
    pub fn matches(&self, headers: &Headers) -> bool {
        let from = headers.from().ok();
        headers.raw(&HeaderName::CallId) == Some(&self.call_id)
            && from.as_ref().and_then(|from| from.tag()) == self.remote_tag.as_deref()
    }

    /// Notes a request's number; `false`: it is out of order (RFC 3261 §12.2.2).
    pub fn in_order(&mut self, number: u32) -> bool {
        let in_order = self.remote_cseq.is_none_or(|last| number > last);
        self.remote_cseq = self.remote_cseq.max(Some(number));
        in_order
    }

    /// A target refresh (RFC 3261 §12.2.2): INVITE and UPDATE move the remote target.
    pub fn retarget(&mut self, headers: &Headers, flow: Flow) {
        self.flow = flow;
        if let Ok(Some(contact)) = headers.contact() {
            self.remote_target = contact.uri;
        }
        self.settle();
    }

    /// A request of ours, without Via and Contact (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: KnownMethod) -> Request {
        self.local_cseq += 1;
        self.request_numbered(method, self.local_cseq)
    }

    /// The same for an ACK, which has its INVITE's number.
    pub fn request_numbered(&self, method: KnownMethod, number: u32) -> Request {
        let mut routes: Vec<String> = self.route_set.iter().map(ToString::to_string).collect();
        let first_is_loose =
            self.route_set.first().is_none_or(|r| r.uri.sip().is_some_and(SipUri::is_loose));
        let uri = if first_is_loose {
            self.remote_target.clone()
        } else {
            // A strict router wants to be the Request-URI itself; the target goes to the end.
            let first = self.route_set[0].uri.clone();
            routes.remove(0);
            routes.push(format!("<{}>", self.remote_target));
            first
        };
        let mut request = Request::new(method, uri);
        request.headers.push(HeaderName::MaxForwards, "70");
        for route in routes {
            request.headers.push(HeaderName::Route, route);
        }
        request.headers.push(HeaderName::From, self.local.clone());
        request.headers.push(HeaderName::To, self.remote.clone());
        request.headers.push(HeaderName::CallId, self.call_id.clone());
        let method = Method::from(method);
        request.headers.push(HeaderName::CSeq, format!("{number} {method}"));
        request
    }

    /// Where our requests go: to the first route or the target if it is an address, else to where
    /// the peer was heard; names are never looked up. A private address that the peer wrote into
    /// its Contact, while its packets come from a public one, is behind a NAT: also there.
    pub fn next_hop(&self) -> Flow {
        let first = self.route_set.first().map_or(&self.remote_target, |route| &route.uri);
        let named = first.sip().and_then(|uri| {
            let ip = uri.ip().filter(|ip| is_reachable(*ip, self.flow.remote.ip()))?;
            Some(SocketAddr::new(ip, uri.port.unwrap_or(5060)))
        });
        let same_family = named.filter(|to| to.is_ipv4() == self.flow.remote.is_ipv4());
        Flow { remote: same_family.unwrap_or(self.flow.remote), ..self.flow }
    }
}

/// The Call-ID as it came: the peer knows the call by these bytes.
fn call_id_in(headers: &Headers) -> Result<Bytes, Malformed> {
    headers.call_id()?;
    Ok(own(&headers.raw(&HeaderName::CallId).cloned().unwrap_or_default()))
}

/// A copy, so that a call does not hold the datagram that it came in.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn is_reachable(ip: IpAddr, source: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && (!is_private(ip) || is_private(source))
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            // RFC 6598: 100.64.0.0/10 is shared by carriers' customers.
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared || v4.is_broadcast()
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Parsed, parse};
    use super::super::transport::Link;
    use super::*;

    fn dialog(extra: &str, source: &str) -> Dialog {
        let text = format!(
            "INVITE sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
             From: \"A\" <sip:a@b>;tag=1\r\nTo: <sip:100@c>\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\n\
             {extra}\r\n\r\n"
        );
        let Parsed::Request(request) = parse(&Bytes::from(text)) else { panic!("bad request") };
        let flow = Flow {
            link: Link::Udp(0),
            remote: source.parse().unwrap(),
            local: "192.0.2.1:5060".parse().unwrap(),
        };
        Dialog::answering(&request, "ours", flow).unwrap()
    }

    fn lines(request: &Request) -> String {
        String::from_utf8(request.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn our_requests_turn_from_and_to_around() {
        let mut dialog = dialog("Contact: <sip:a@192.0.2.9:5070>", "192.0.2.9:4000");
        let text = lines(&dialog.request(KnownMethod::Bye));
        assert!(text.starts_with("BYE sip:a@192.0.2.9:5070 SIP/2.0\r\n"), "{text}");
        assert!(text.contains("From: <sip:100@c>;tag=ours\r\nTo: \"A\" <sip:a@b>;tag=1\r\n"));
        assert!(text.contains("CSeq: 1 BYE"));
        assert_eq!(dialog.next_hop().remote, "192.0.2.9:5070".parse().unwrap());
    }

    #[test]
    fn loose_routes_stay_in_order() {
        let routes = "Record-Route: <sip:192.0.2.7;lr>, <sip:p2.example.com;lr>\r\n\
                      Contact: <sip:a@192.0.2.9>";
        let mut dialog = dialog(routes, "192.0.2.7:5060");
        let text = lines(&dialog.request(KnownMethod::Bye));
        assert!(text.starts_with("BYE sip:a@192.0.2.9 SIP/2.0\r\n"), "{text}");
        assert!(text.contains("Route: <sip:192.0.2.7;lr>\r\nRoute: <sip:p2.example.com;lr>\r\n"));
        assert_eq!(dialog.next_hop().remote, "192.0.2.7:5060".parse().unwrap());
    }

    #[test]
    fn a_strict_router_becomes_the_request_uri() {
        let routes = "Record-Route: <sip:192.0.2.7:5080>, <sip:p2.example.com;lr>\r\n\
                      Contact: <sip:a@192.0.2.9>";
        let text = lines(&dialog(routes, "192.0.2.7:5060").request(KnownMethod::Bye));
        assert!(text.starts_with("BYE sip:192.0.2.7:5080 SIP/2.0\r\n"), "{text}");
        assert!(text.contains("Route: <sip:p2.example.com;lr>\r\nRoute: <sip:a@192.0.2.9>\r\n"));
    }

    #[test]
    fn names_and_addresses_behind_a_nat_are_reached_where_the_packets_come_from() {
        for contact in ["<sip:a@pc.example.com>", "<sip:a@192.168.1.5:5060>", "<sip:a@0.0.0.0>"] {
            let dialog = dialog(&format!("Contact: {contact}"), "203.0.113.5:4001");
            assert_eq!(dialog.next_hop().remote, "203.0.113.5:4001".parse().unwrap());
        }
        let lan = dialog("Contact: <sip:a@192.168.1.5:5062>", "192.168.1.1:4001");
        assert_eq!(lan.next_hop().remote, "192.168.1.5:5062".parse().unwrap());
    }

    #[test]
    fn numbers_must_rise() {
        let mut dialog = dialog("Contact: <sip:a@b>", "192.0.2.9:4000");
        assert!(dialog.in_order(8) && dialog.in_order(20));
        assert!(!dialog.in_order(20) && !dialog.in_order(9));
    }
}
