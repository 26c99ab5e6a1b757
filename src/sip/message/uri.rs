//! URIs and the addresses that carry them: `"Anna" <sip:anna@example.net;lr>;tag=1`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

pub use rsip::Scheme;

use super::grammar::{self, Malformed, Params};

/// A `sip:` or `sips:` URI (RFC 3261 §19.1), or any other URI, of which only the scheme is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    Sip(SipUri),
    Other { scheme: Box<str>, rest: Box<str> },
}

/// The parts of a `sip:` or `sips:` URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUri {
    pub scheme: Scheme,
    /// As written, escapes included.
    pub user: Option<Box<str>>,
    pub password: Option<Box<str>>,
    /// A name or an address; IPv6 with its brackets.
    pub host: Box<str>,
    pub port: Option<u16>,
    pub params: Params,
    /// What follows `?`: headers, which never belong into a Request-URI.
    pub headers: Option<Box<str>>,
}

impl Uri {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (scheme, rest) = text.split_once(':').ok_or(Malformed("URI without scheme"))?;
        let first_is_letter = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        let scheme_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !first_is_letter || !scheme.bytes().all(scheme_byte) {
            return Err(Malformed("bad URI scheme"));
        }
        if !text.bytes().all(is_uri_byte) {
            return Err(Malformed("character that is not allowed in a URI"));
        }
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse(Scheme::Sip, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse(Scheme::Sips, rest).map(Self::Sip)
        } else if rest.is_empty() {
            Err(Malformed("empty URI"))
        } else {
            Ok(Self::Other { scheme: scheme.into(), rest: rest.into() })
        }
    }

    pub fn sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Other { .. } => None,
        }
    }

    /// The user part, [readable](grammar::readable); of a `tel:` URI the number.
    pub fn user(&self) -> Option<String> {
        match self {
            Self::Sip(uri) => uri.user.as_deref().map(grammar::readable),
            Self::Other { scheme, rest } if scheme.eq_ignore_ascii_case("tel") => {
                Some(grammar::readable(rest.split(';').next().unwrap_or("")))
            }
            Self::Other { .. } => None,
        }
    }
}

impl SipUri {
    /// `sip:user@host:port`
    pub fn new(user: Option<&str>, host: IpAddr, port: u16) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: user.map(Into::into),
            password: None,
            host: host_text(host),
            port: Some(port),
            params: Params::default(),
            headers: None,
        }
    }

    fn parse(scheme: Scheme, rest: &str) -> Result<Self, Malformed> {
        // An unescaped `@` stands nowhere but behind the user; the user may hold `;` and `?`.
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|info| info.split_once(':').ok_or(info)) {
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
            None => (None, None),
        };
        if user == Some("") {
            return Err(Malformed("empty user in URI"));
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (host_port, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = parse_host_port(host_port)?;
        Ok(Self {
            scheme,
            user: user.map(Into::into),
            password: password.map(Into::into),
            host: host.into(),
            port,
            params: Params::parse(params)?,
            headers: headers.map(Into::into),
        })
    }

    /// The host, if it is an address.
    pub fn ip(&self) -> Option<IpAddr> {
        parse_ip(&self.host)
    }

    pub fn is_sips(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// Loose routing (RFC 3261 §19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params.has("lr")
    }
}

/// An address as it stands in a URI or a Via.
pub fn host_text(ip: IpAddr) -> Box<str> {
    match ip {
        IpAddr::V4(v4) => v4.to_string().into(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string().into(),
            None => format!("[{v6}]").into(),
        },
    }
}

/// Reads `127.0.0.1`, `::1` and `[::1]`.
pub fn parse_ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match bare {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// Splits `host[:port]`, with white space around the colon as in Via.
pub fn parse_host_port(text: &str) -> Result<(&str, Option<u16>), Malformed> {
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']').ok_or(Malformed("IPv6 reference without end"))?;
        let (host, rest) = text.split_at(end + 1);
        // RFC 5118 §4.10: three colons came out of a bug in the old grammar and are to be borne.
        let inside = host[1..end].bytes();
        let v6_byte = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'%');
        if end == 1 || !inside.into_iter().all(v6_byte) {
            return Err(Malformed("bad IPv6 reference"));
        }
        match rest.trim() {
            "" => (host, None),
            rest => (host, Some(rest.strip_prefix(':').ok_or(Malformed("text behind host"))?)),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host.trim_end(), Some(port)),
            None => (text, None),
        }
    };
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if !host.starts_with('[') && (host.is_empty() || !host.bytes().all(name_byte)) {
        return Err(Malformed("bad host"));
    }
    let port = match port {
        Some(port) => Some(grammar::number(port.trim()).ok_or(Malformed("bad port"))?),
        None => None,
    };
    Ok((host, port))
}

/// Everything but white space, controls and delimiters of the line. Wider than RFC 3986, since
/// phones dial `#` and names in UTF-8 unescaped.
fn is_uri_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7F && !matches!(byte, b'<' | b'>' | b'"' | b'\\' | b'^' | b'{' | b'}')
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Other { scheme, rest } => write!(f, "{scheme}:{rest}"),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// The value of From, To, Contact, Route and their kin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    pub display: Option<Box<str>>,
    pub uri: Uri,
    pub params: Params,
}

impl NameAddr {
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.trim_ascii();
        let (display, rest) = match text.strip_prefix('"') {
            Some(quoted) => {
                let end = grammar::end_of_quoted(quoted).ok_or(Malformed("unbalanced quote"))?;
                let display = grammar::unquote(&quoted[..end - 1]);
                let rest = quoted[end..].trim_start();
                if !rest.starts_with('<') {
                    return Err(Malformed("display name without <address>"));
                }
                (Some(display), rest)
            }
            None => match text.find('<') {
                Some(at) => {
                    let display = text[..at].trim();
                    if display.contains(['"', ',', ';', ':', '@', '>', '\\']) {
                        return Err(Malformed("display name that must be quoted"));
                    }
                    ((!display.is_empty()).then(|| display.to_owned()), &text[at..])
                }
                None => (None, text),
            },
        };
        let (uri, params) = match rest.strip_prefix('<') {
            Some(inner) => inner.split_once('>').ok_or(Malformed("< without >"))?,
            // Without brackets all parameters belong to the header (RFC 3261 §20.10).
            None => {
                let end = rest.find(';').unwrap_or(rest.len());
                let (uri, params) = rest.split_at(end);
                if uri.contains(['?', ',']) {
                    return Err(Malformed("URI that must stand in <>"));
                }
                (uri.trim_end(), params)
            }
        };
        Ok(Self {
            display: display.map(Into::into),
            uri: Uri::parse(uri)?,
            params: Params::parse(params)?,
        })
    }

    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "\"{}\" ", grammar::escape_quoted(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart_and_put_together() {
        for text in [
            "sip:100@127.0.0.1",
            "sips:anna:secret@example.net:5061;transport=tcp;lr?subject=hi",
            "sip:[2001:db8::10]:5070",
            "sip:user@[2001:db8:::192.0.2.1]",
            "sip:user;par=u%40example.net@example.com",
            "sip:a.b@c.d",
            "tel:+79161112233;phone-context=ru",
            "soap.beep://192.0.2.103:3002",
            "sip:*45#@host",
        ] {
            assert_eq!(Uri::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn broken_uris_are_refused() {
        for text in [
            "",
            "sip:",
            "sip:@host",
            "sip:2001:db8::10",
            "sip:a@b; lr",
            "<sip:a@b>",
            "sip:a@b:x",
            "sip:a@b:70000",
            "sip:a@b;;",
            "sip:[]",
            "sip:[::1",
            "sip:[::1]x",
            "sip:a b@c",
            "1:x",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_escaped_address_in_the_user_part_stays_a_user_part() {
        let uri = Uri::parse("sip:sips%3Auser%40example.com@example.net").unwrap();
        assert_eq!(uri.user().as_deref(), Some("sips:user@example.com"));
        assert_eq!(uri.sip().map(|uri| &*uri.host), Some("example.net"));
    }

    #[test]
    fn addresses_are_read_in_every_form() {
        let quoted = NameAddr::parse(r#""J \\\"" <sip:j@x.y;lr> ;tag = 7"#).unwrap();
        assert_eq!(quoted.display.as_deref(), Some("J \\\""));
        assert_eq!(quoted.tag(), Some("7"));
        let bare = NameAddr::parse("sip:j@x.y;tag=7").unwrap();
        assert_eq!((bare.tag(), bare.uri.to_string().as_str()), (Some("7"), "sip:j@x.y"));
        let tokens = NameAddr::parse("caller<sip:caller@example.com>").unwrap();
        assert_eq!(tokens.display.as_deref(), Some("caller"));
    }

    #[test]
    fn broken_addresses_are_refused() {
        for text in [
            r#""Mr. J. User <sip:j.user@example.com>"#,
            "\"Watson, Thomas\" < sip:t.watson@example.org >",
            "Bell, Alexander <sip:a.g.bell@example.com>",
            "\"Joe\" <sip:joe@example.org>;;;;",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<sip:a@b",
            "\"x\"",
            "",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }
}
