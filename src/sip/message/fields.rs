//! Typed views of single headers. Each reads strictly; what is wrong is [`Malformed`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::grammar::{self, Malformed, Params};
use super::headers::{HeaderName, Headers};
use super::method::Method;
use super::uri::{NameAddr, host_text, parse_host_port, parse_ip};

/// One hop of a Via header (RFC 3261 §20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP` or any other token.
    pub transport: Box<str>,
    pub host: Box<str>,
    pub port: Option<u16>,
    pub params: Params,
}

/// What RFC 3261 §8.1.1.7 makes a branch begin with.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

impl Via {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let bad = Malformed("bad Via");
        let mut parts = text.splitn(3, '/');
        let (Some(name), Some(version), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(bad);
        };
        if !name.trim().eq_ignore_ascii_case("SIP") || version.trim() != "2.0" {
            return Err(bad);
        }
        let (transport, rest) = rest.trim().split_once([' ', '\t']).ok_or(bad)?;
        if !grammar::is_token(transport) {
            return Err(bad);
        }
        let (sent_by, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = parse_host_port(sent_by.trim())?;
        Ok(Self {
            transport: transport.into(),
            host: host.into(),
            port,
            params: Params::parse(params)?,
        })
    }

    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// The branch, if it is unique as RFC 3261 demands: the cookie, and something after it.
    pub fn unique_branch(&self) -> Option<&str> {
        let branch = self.branch()?;
        let (cookie, rest) = branch.split_at_checked(MAGIC_COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(MAGIC_COOKIE) && !rest.is_empty()).then_some(branch)
    }

    /// Where the answer to a datagram goes (RFC 3261 §18.2.2, RFC 3581 §4): without `rport` to the
    /// port that the sender names, which need not be the one that it sends from. That is believed
    /// only beside the address that the datagram came from: any other was changed by a NAT on the
    /// way, or is a name, and then the way back is the way that it came.
    pub fn answer_to(&self, source: SocketAddr) -> SocketAddr {
        let same_address = parse_ip(&self.host) == Some(source.ip());
        match self.port.filter(|_| same_address && !self.params.has("rport")) {
            Some(port) if port != 0 => SocketAddr::new(source.ip(), port),
            Some(_) | None => source,
        }
    }

    /// Notes where the request came from (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn stamp(&mut self, source: SocketAddr) {
        let asks_for_port = self.params.has("rport");
        self.params.remove("received");
        self.params.remove("rport");
        if asks_for_port || parse_ip(&self.host) != Some(source.ip()) {
            let ip = host_text(source.ip());
            // RFC 5118 §4.5: without brackets, as the grammar of RFC 3261 has it.
            let bare = ip.trim_start_matches('[').trim_end_matches(']');
            self.params.push("received", Some(bare));
        }
        if asks_for_port {
            self.params.push("rport", Some(&source.port().to_string()));
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

/// `CSeq: 314159 INVITE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    pub number: u32,
    pub method: Method,
}

impl CSeq {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (number, method) = text.split_once([' ', '\t']).ok_or(Malformed("bad CSeq"))?;
        let method = Method::parse(method.trim()).ok_or(Malformed("bad CSeq"))?;
        Ok(Self { number: sequence_number(number)?, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// RFC 3261 §8.1.1.5: less than 2³¹.
fn sequence_number(text: &str) -> Result<u32, Malformed> {
    let number = grammar::number::<u32>(text).filter(|number| *number < 1 << 31);
    number.ok_or(Malformed("CSeq number out of range"))
}

/// `RAck: 776656 1 INVITE` (RFC 3262 §7.2): which reliable provisional answer a PRACK is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    pub rseq: u32,
    pub cseq: u32,
    pub method: Method,
}

impl RAck {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut words = text.split_ascii_whitespace();
        let mut next = || words.next().ok_or(Malformed("bad RAck"));
        let rseq = grammar::number(next()?).ok_or(Malformed("bad RAck"))?;
        let cseq = sequence_number(next()?)?;
        let method = Method::parse(next()?).ok_or(Malformed("bad RAck"))?;
        Ok(Self { rseq, cseq, method })
    }
}

/// Who refreshes a session (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The client of the request.
    Uac,
    /// The server of the request.
    Uas,
}

/// `Session-Expires: 1800;refresher=uac` (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    pub seconds: u32,
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (seconds, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let seconds = grammar::number(seconds.trim()).ok_or(Malformed("bad Session-Expires"))?;
        let refresher = match Params::parse(params)?.get("refresher") {
            None => None,
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(Malformed("bad refresher")),
        };
        Ok(Self { seconds, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// `application/sdp;charset=utf-8`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// In lower case: `application/sdp`.
    pub essence: Box<str>,
    pub params: Params,
}

impl MediaType {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (essence, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (kind, subtype) = essence.split_once('/').ok_or(Malformed("bad media type"))?;
        let (kind, subtype) = (kind.trim(), subtype.trim());
        if !grammar::is_token(kind) || !grammar::is_token(subtype) {
            return Err(Malformed("bad media type"));
        }
        let essence = format!("{kind}/{subtype}").to_ascii_lowercase().into();
        Ok(Self { essence, params: Params::parse(params)? })
    }

    pub fn is(&self, essence: &str) -> bool {
        *self.essence == *essence
    }

    /// Whether this range of an Accept header covers `essence`; `q=0` covers nothing.
    pub fn accepts(&self, essence: &str) -> bool {
        let refused = self.params.get("q").is_some_and(|q| q.parse() == Ok(0.0_f32));
        let kind_of = |text: &str| text.split('/').next().map(str::to_owned);
        let any = &*self.essence == "*/*"
            || (self.essence.ends_with("/*") && kind_of(&self.essence) == kind_of(essence));
        !refused && (any || self.is(essence))
    }
}

impl Headers {
    fn single<T>(
        &self,
        name: &HeaderName,
        parse: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        self.text(name).map(|text| parse(&text)).transpose()
    }

    fn demanded<T>(
        &self,
        name: &HeaderName,
        parse: impl Fn(&str) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        self.single(name, parse)?.ok_or(Malformed("missing header"))
    }

    /// The topmost Via.
    pub fn via(&self) -> Result<Via, Malformed> {
        self.demanded(&HeaderName::Via, |text| Via::parse(grammar::list(text).next().unwrap_or("")))
    }

    /// All hops, topmost first.
    pub fn vias(&self) -> Result<Vec<Via>, Malformed> {
        let mut vias = Vec::new();
        for line in self.lines(&HeaderName::Via) {
            for item in grammar::list(&line) {
                vias.push(Via::parse(item)?);
            }
        }
        Ok(vias)
    }

    pub fn from(&self) -> Result<NameAddr, Malformed> {
        self.demanded(&HeaderName::From, NameAddr::parse)
    }

    pub fn to(&self) -> Result<NameAddr, Malformed> {
        self.demanded(&HeaderName::To, NameAddr::parse)
    }

    pub fn call_id(&self) -> Result<String, Malformed> {
        let call_id = self.text(&HeaderName::CallId).ok_or(Malformed("missing Call-ID"))?;
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err(Malformed("bad Call-ID"));
        }
        Ok(call_id.into_owned())
    }

    pub fn cseq(&self) -> Result<CSeq, Malformed> {
        self.demanded(&HeaderName::CSeq, CSeq::parse)
    }

    /// RFC 3261 §20.22: 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, Malformed> {
        self.single(&HeaderName::MaxForwards, |text| {
            grammar::number(text).ok_or(Malformed("bad Max-Forwards"))
        })
    }

    /// The addresses of Contact, Route, Record-Route and their kin; empty if there is none.
    pub fn addresses(&self, name: &HeaderName) -> Result<Vec<NameAddr>, Malformed> {
        let mut addresses = Vec::new();
        for line in self.lines(name) {
            for item in grammar::list(&line) {
                addresses.push(NameAddr::parse(item)?);
            }
        }
        Ok(addresses)
    }

    /// The first Contact; `None` also for `*`.
    pub fn contact(&self) -> Result<Option<NameAddr>, Malformed> {
        if self.text(&HeaderName::Contact).as_deref() == Some("*") {
            return Ok(None);
        }
        Ok(self.addresses(&HeaderName::Contact)?.into_iter().next())
    }

    pub fn content_length(&self) -> Result<Option<usize>, Malformed> {
        self.single(&HeaderName::ContentLength, |text| {
            grammar::number(text).ok_or(Malformed("bad Content-Length"))
        })
    }

    pub fn content_type(&self) -> Result<Option<MediaType>, Malformed> {
        self.single(&HeaderName::ContentType, MediaType::parse)
    }

    /// Whether an answer of this type is welcome: no Accept at all means SDP (RFC 3261 §20.1).
    pub fn accepts(&self, essence: &str) -> bool {
        if !self.has(&HeaderName::Accept) {
            return essence == "application/sdp";
        }
        let ranges = self.items(&HeaderName::Accept);
        ranges.iter().filter_map(|range| MediaType::parse(range).ok()).any(|r| r.accepts(essence))
    }

    pub fn session_expires(&self) -> Result<Option<SessionExpires>, Malformed> {
        self.single(&HeaderName::SessionExpires, SessionExpires::parse)
    }

    /// Seconds.
    pub fn min_se(&self) -> Result<Option<u32>, Malformed> {
        self.single(&HeaderName::MinSe, |text| {
            let seconds = text.split(';').next().unwrap_or("").trim();
            grammar::number(seconds).ok_or(Malformed("bad Min-SE"))
        })
    }

    pub fn rseq(&self) -> Result<Option<u32>, Malformed> {
        self.single(&HeaderName::RSeq, |text| grammar::number(text).ok_or(Malformed("bad RSeq")))
    }

    pub fn rack(&self) -> Result<RAck, Malformed> {
        self.demanded(&HeaderName::RAck, RAck::parse)
    }

    /// Whether a list of tokens such as Require, Supported or Allow has this one.
    pub fn lists(&self, name: &HeaderName, token: &str) -> bool {
        self.items(name).iter().any(|item| item.eq_ignore_ascii_case(token))
    }

    /// The seconds of Retry-After, without its comment.
    pub fn retry_after(&self) -> Option<u32> {
        let text = self.text(&HeaderName::RetryAfter)?;
        grammar::number(text.split([';', '(', ' ']).next()?)
    }
}

/// The peer's address, as a Via or a Contact of ours would show it.
pub fn sent_by(ip: IpAddr, port: u16) -> String {
    format!("{}:{port}", host_text(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_via_is_read_with_all_its_white_space() {
        let via =
            Via::parse("SIP  / 2.0  / TCP     spindle.example.com   ;   branch  =   z9hG4bK9")
                .unwrap();
        assert_eq!((&*via.transport, &*via.host), ("TCP", "spindle.example.com"));
        assert_eq!(via.unique_branch(), Some("z9hG4bK9"));
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9");
    }

    #[test]
    fn a_branch_that_is_only_the_cookie_is_not_unique() {
        let via = Via::parse("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK").unwrap();
        assert_eq!((via.branch(), via.unique_branch()), (Some("z9hG4bK"), None));
    }

    #[test]
    fn the_source_is_noted_where_it_differs_or_is_asked_for() {
        let stamped = |text: &str| {
            let mut via = Via::parse(text).unwrap();
            via.stamp("[2001:db8::9:1]:4000".parse().unwrap());
            via.to_string()
        };
        assert_eq!(stamped("SIP/2.0/UDP [2001:db8::9:1]"), "SIP/2.0/UDP [2001:db8::9:1]");
        assert_eq!(
            stamped("SIP/2.0/UDP a.b:5060;rport;branch=x;received=9.9.9.9"),
            "SIP/2.0/UDP a.b:5060;branch=x;received=2001:db8::9:1;rport=4000"
        );
    }

    #[test]
    fn answers_go_to_the_named_port_unless_a_nat_is_between() {
        let source = "192.0.2.1:4000".parse().unwrap();
        let answered = |text| Via::parse(text).unwrap().answer_to(source).to_string();
        assert_eq!(answered("SIP/2.0/UDP 192.0.2.1:5062;branch=x"), "192.0.2.1:5062");
        for text in [
            "SIP/2.0/UDP 192.0.2.1:5062;rport;branch=x",
            "SIP/2.0/UDP 192.0.2.1:5062;rport=4000;branch=x",
            "SIP/2.0/UDP 10.0.0.1:5062;branch=x",
            "SIP/2.0/UDP pc.example.com:5062;branch=x",
            "SIP/2.0/UDP 192.0.2.1:0;branch=x",
            "SIP/2.0/UDP 192.0.2.1;branch=x",
        ] {
            assert_eq!(answered(text), "192.0.2.1:4000", "{text}");
        }
    }

    #[test]
    fn broken_vias_are_refused() {
        for text in [
            "SIP/7.0/UDP c.example.com",
            "SIP/2.0/UDP 192.0.2.15;;",
            "",
            ";",
            "SIP/2.0/UDP",
            "SIP/2.0 a",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP a:99999",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_have_their_limits() {
        assert_eq!(CSeq::parse("0009   INVITE").unwrap().number, 9);
        for text in ["36893488147419103232 REGISTER", "2147483648 X", "-1 INVITE", "1", "1 a b"] {
            assert!(CSeq::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_accept_header_is_a_list_of_ranges() {
        let mut headers = Headers::default();
        assert!(headers.accepts("application/sdp"));
        headers.push(HeaderName::Accept, "text/plain, application/*;q=0.5");
        assert!(headers.accepts("application/sdp"));
        headers.set(HeaderName::Accept, "text/nobodyKnowsThis, application/sdp;q=0");
        assert!(!headers.accepts("application/sdp"));
    }

    #[test]
    fn session_timers_are_read() {
        let expires = SessionExpires::parse("1800 ; refresher = uas").unwrap();
        assert_eq!(expires.to_string(), "1800;refresher=uas");
        assert!(SessionExpires::parse("soon").is_err());
    }
}
