//! Session descriptions (RFC 8866): read tolerantly, written strictly.
//!
//! Only what an audio call needs is kept; unknown lines and attributes are skipped. Whatever the
//! line ends are (CRLF, LF, CR, none at the end), blank lines and blanks around the parts of a line
//! do no harm. Limits: `BYTES_MAX`, `MEDIA_MAX`.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// The longest description that is read, in bytes.
pub(crate) const BYTES_MAX: usize = 65_536;
/// The most `m=` lines that are read.
pub(crate) const MEDIA_MAX: usize = 32;

/// What is said for the whole session, and the media streams in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub connection: Option<Connection>,
    /// The first `t=` line, as two decimal numbers; `None`: `0 0`, without limits.
    pub times: Option<String>,
    pub attributes: Vec<Attribute>,
    pub media: Vec<Media>,
}

/// One `m=` line and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Media {
    /// `audio`, `video`, …
    pub kind: String,
    /// 0: not wanted.
    pub port: u16,
    /// `RTP/AVP`
    pub protocol: String,
    /// Payload types, for RTP.
    pub formats: Vec<String>,
    pub connection: Option<Connection>,
    pub attributes: Vec<Attribute>,
}

/// `a=name` or `a=name:value`. Names in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub name: String,
    pub value: String,
}

/// A `c=` line: where media is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// A unicast address; an IPv4-mapped one is the IPv4 address (RFC 5118 §4.9).
    Address(IpAddr),
    /// `0.0.0.0` or `::`: nothing may be sent, the hold of RFC 2543 (RFC 3264 §8.4).
    Hold,
    /// A host name, or a group address: nowhere that we would send to unasked.
    Unusable,
}

/// The `o=` line that we write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub session_id: u64,
    pub version: u64,
    pub ip: IpAddr,
}

impl Description {
    /// Reads a description. The error says what is wrong, for a log and a Warning header.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > BYTES_MAX {
            return Err(format!("{} bytes are more than {BYTES_MAX}", bytes.len()));
        }
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split(['\r', '\n']).filter(|line| !line.trim().is_empty());
        let version = lines.next().and_then(parts).ok_or("no v= line")?;
        if version != ("v", "0") {
            return Err("the first line is not v=0".to_owned());
        }
        let mut description = Self::default();
        for (kind, value) in lines.filter_map(parts) {
            description.read_line(kind, value)?;
        }
        Ok(description)
    }

    fn read_line(&mut self, kind: &str, value: &str) -> Result<(), String> {
        let (connection, attributes) = match self.media.last_mut() {
            Some(media) => (&mut media.connection, &mut media.attributes),
            None => (&mut self.connection, &mut self.attributes),
        };
        match kind {
            // Of several addresses (RFC 8866 §5.7 allows them for layered media), the first.
            "c" if connection.is_none() => *connection = Some(Connection::parse(value)),
            "a" => attributes.push(Attribute::parse(value)),
            "t" if self.times.is_none() => self.times = parse_times(value),
            "m" if self.media.len() == MEDIA_MAX => {
                return Err(format!("more than {MEDIA_MAX} m= lines"));
            }
            "m" => self.media.push(Media::parse(value)?),
            _ => {}
        }
        Ok(())
    }

    /// The value of an attribute at media level, else at session level; empty for a flag.
    pub fn attribute<'a>(&'a self, media: &'a Media, name: &str) -> Option<&'a str> {
        let mut attributes = media.attributes.iter().chain(&self.attributes);
        attributes.find(|attribute| attribute.name == name).map(|found| found.value.as_str())
    }

    /// The bytes to send.
    pub fn write(&self, origin: Origin) -> Vec<u8> {
        let mut out = String::with_capacity(512);
        let Origin { session_id, version, ip } = origin;
        let _ = write!(out, "v=0\r\no=- {session_id} {version} IN {}\r\ns=-\r\n", address(ip));
        if let Some(connection) = self.connection {
            connection.write(&mut out);
        }
        let _ = write!(out, "t={}\r\n", self.times.as_deref().unwrap_or("0 0"));
        write_attributes(&self.attributes, &mut out);
        for media in &self.media {
            media.write(&mut out);
        }
        out.into_bytes()
    }
}

/// The letter and the value of a line. `None` for what is no line of SDP, such as one cut short.
fn parts(line: &str) -> Option<(&str, &str)> {
    let (kind, value) = line.split_once('=')?;
    Some((kind.trim(), value.trim()))
}

/// RFC 8866 §5.9: two decimal numbers.
fn parse_times(value: &str) -> Option<String> {
    let numbers: Vec<&str> = value.split_whitespace().take(2).collect();
    let is_number = |n: &&str| n.len() <= 20 && n.bytes().all(|byte| byte.is_ascii_digit());
    (numbers.len() == 2 && numbers.iter().all(is_number)).then(|| numbers.join(" "))
}

impl Media {
    /// `audio 49170/2 RTP/AVP 0 8 101`
    fn parse(value: &str) -> Result<Self, String> {
        let malformed = || format!("m={}", value.escape_debug().take(100).collect::<String>());
        let mut words = value.split_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(malformed());
        };
        let (port, count) = port.split_once('/').unwrap_or((port, "1"));
        let is_number = |n: &str| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
        let formats: Vec<String> = words.map(str::to_owned).collect();
        let printable = |word: &str| word.bytes().all(|byte| byte.is_ascii_graphic());
        // What is refused is echoed, so it must be fit to be written.
        let echoable =
            printable(kind) && printable(protocol) && formats.iter().all(|word| printable(word));
        if !is_number(port) || !is_number(count) || !echoable {
            return Err(malformed());
        }
        Ok(Self {
            kind: kind.to_owned(),
            port: port.parse().map_err(|_| malformed())?,
            protocol: protocol.to_owned(),
            formats,
            connection: None,
            attributes: Vec::new(),
        })
    }

    fn write(&self, out: &mut String) {
        let _ = write!(out, "m={} {} {}", self.kind, self.port, self.protocol);
        for format in &self.formats {
            let _ = write!(out, " {format}");
        }
        if self.formats.is_empty() {
            // The grammar asks for at least one, even of a stream that is refused.
            out.push_str(" 0");
        }
        out.push_str("\r\n");
        if let Some(connection) = self.connection {
            connection.write(out);
        }
        write_attributes(&self.attributes, out);
    }
}

impl Attribute {
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }

    fn parse(line: &str) -> Self {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        Self { name: name.trim().to_ascii_lowercase(), value: value.trim().to_owned() }
    }
}

fn write_attributes(attributes: &[Attribute], out: &mut String) {
    for Attribute { name, value } in attributes {
        let colon = if value.is_empty() { "" } else { ":" };
        let _ = write!(out, "a={name}{colon}{value}\r\n");
    }
}

impl Connection {
    /// `IN IP4 192.0.2.1/127`, `IN IP6 fe80::1%eth0`, `IN IP4 host.example.com`
    fn parse(value: &str) -> Self {
        value.split_whitespace().nth(2).map_or(Self::Unusable, Self::parse_address)
    }

    /// The address of a `c=` or `a=rtcp` line.
    pub fn parse_address(address: &str) -> Self {
        let end = address.find(['/', '%', ']']).unwrap_or(address.len());
        let Ok(ip) = address[..end].trim_start_matches('[').parse::<IpAddr>() else {
            return Self::Unusable;
        };
        match ip.to_canonical() {
            ip if ip.is_unspecified() => Self::Hold,
            // Nobody may make us send to a crowd.
            ip if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) => Self::Unusable,
            ip => Self::Address(ip),
        }
    }

    /// The address to send to; unspecified: nowhere.
    pub fn ip(self) -> IpAddr {
        match self {
            Self::Address(ip) => ip,
            Self::Hold | Self::Unusable => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    fn write(self, out: &mut String) {
        let _ = write!(out, "c=IN {}\r\n", address(self.ip()));
    }
}

/// `IP4 192.0.2.1`, `IP6 2001:db8::1`
fn address(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("IP4 {ip}"),
        IpAddr::V6(ip) => format!("IP6 {ip}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_blanks_do_no_harm() {
        let expected = Description::parse(
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
              m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        )
        .unwrap();
        for text in [
            "v=0\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000",
            "\r\nv=0\rc= IN  IP4 192.0.2.1 \rt=0 0\rm =audio  4000 RTP/AVP 8\t101 \ra=RTPMAP: 101 telephone-event/8000",
            "v=0\n\n\nu=\n=\nnonsense\nc=IN IP4 192.0.2.1/127\nt=0 0\nm=audio 4000/1 RTP/AVP 8 101\nc\na=rtpmap:101 telephone-event/8000\n\n",
        ] {
            assert_eq!(Description::parse(text.as_bytes()).as_ref(), Ok(&expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in [
            "",
            "\r\n\r\n",
            "v=1\r\n",
            "m=audio 1 RTP/AVP 0\r\n",
            "v=0\r\nm=audio",
            "v=0\r\nm=audio 65536 RTP/AVP 0",
            "v=0\r\nm=audio -1 RTP/AVP 0",
            "v=0\r\nm=audio 1/ RTP/AVP 0",
            "v=0\r\nm=audio 1 RTP/AVP \u{1}",
            "v=0\r\nm=ж 1 RTP/AVP 0",
        ] {
            assert!(Description::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let media = "m=audio 1 RTP/AVP 0\n";
        assert!(Description::parse(format!("v=0\n{}", media.repeat(MEDIA_MAX)).as_bytes()).is_ok());
        let many = format!("v=0\n{}", media.repeat(MEDIA_MAX + 1));
        assert!(Description::parse(many.as_bytes()).is_err());
        let huge = format!("v=0\ns={}", "x".repeat(BYTES_MAX));
        assert!(Description::parse(huge.as_bytes()).is_err());
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        for (text, ip) in [
            ("IN IP4 192.0.2.1", "192.0.2.1"),
            ("IN IP4 192.0.2.1/127/3", "192.0.2.1"),
            ("IN IP6 2001:db8::1", "2001:db8::1"),
            ("IN IP6 fe80::1%eth0", "fe80::1"),
            ("IN IP6 [2001:db8::1]", "2001:db8::1"),
            ("IN IP6 ::ffff:192.0.2.2", "192.0.2.2"),
        ] {
            assert_eq!(Connection::parse(text), Connection::Address(ip.parse().unwrap()), "{text}");
        }
        for text in ["IN IP4 0.0.0.0", "IN IP6 ::", "IN IP6 ::ffff:0.0.0.0"] {
            assert_eq!(Connection::parse(text), Connection::Hold, "{text}");
        }
        for text in
            ["", "IN IP4", "IN IP4 host.example.com", "IN IP4 224.2.1.1/127", "IN IP6 ff15::1"]
        {
            assert_eq!(Connection::parse(text), Connection::Unusable, "{text}");
        }
    }
}
