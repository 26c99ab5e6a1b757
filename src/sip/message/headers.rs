//! Header fields: names known and unknown, values as the bytes that came.

use std::borrow::Cow;

use bytes::Bytes;

use super::grammar;

macro_rules! header_names {
    ($($name:ident $text:literal $($compact:literal)?;)*) => {
        /// The name of a header field.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum HeaderName {
            $($name,)*
            /// Any other, as written.
            Other(Box<str>),
        }

        impl HeaderName {
            /// Reads a long or a compact name (RFC 3261 §7.3.3); case does not matter.
            pub fn parse(name: &str) -> Option<Self> {
                $(
                    if name.eq_ignore_ascii_case($text) $(|| name.eq_ignore_ascii_case($compact))? {
                        return Some(Self::$name);
                    }
                )*
                grammar::is_token(name).then(|| Self::Other(name.into()))
            }

            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(name) => name,
                }
            }
        }
    };
}

header_names! {
    Via "Via" "v";
    From "From" "f";
    To "To" "t";
    CallId "Call-ID" "i";
    CSeq "CSeq";
    MaxForwards "Max-Forwards";
    Contact "Contact" "m";
    ContentLength "Content-Length" "l";
    ContentType "Content-Type" "c";
    ContentEncoding "Content-Encoding" "e";
    ContentDisposition "Content-Disposition";
    Accept "Accept";
    AcceptEncoding "Accept-Encoding";
    Allow "Allow";
    Supported "Supported" "k";
    Unsupported "Unsupported";
    Require "Require";
    ProxyRequire "Proxy-Require";
    Route "Route";
    RecordRoute "Record-Route";
    RSeq "RSeq";
    RAck "RAck";
    SessionExpires "Session-Expires" "x";
    MinSe "Min-SE";
    RetryAfter "Retry-After";
    PAssertedIdentity "P-Asserted-Identity";
    RemotePartyId "Remote-Party-ID";
    Privacy "Privacy";
    Server "Server";
    UserAgent "User-Agent";
    Timestamp "Timestamp";
    Reason "Reason";
    Expires "Expires";
    MinExpires "Min-Expires";
    Path "Path";
    Date "Date";
    WwwAuthenticate "WWW-Authenticate";
    Authorization "Authorization";
    ProxyAuthenticate "Proxy-Authenticate";
    ProxyAuthorization "Proxy-Authorization";
    Warning "Warning";
    Event "Event" "o";
    AllowEvents "Allow-Events" "u";
    SubscriptionState "Subscription-State";
    ReferTo "Refer-To" "r";
    ReferSub "Refer-Sub";
    Replaces "Replaces";
    CallInfo "Call-Info";
    AlertInfo "Alert-Info";
}

/// One line of a message's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: HeaderName,
    /// Unfolded and trimmed; else the bytes that came.
    pub value: Bytes,
}

/// The header fields of a message in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// A message with more header lines is refused: 60,000 bytes of lines as long as they usually
    /// are have room.
    pub const COUNT_MAX: usize = 2_048;

    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends a field.
    pub fn push(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        self.0.push(Header { name, value: value.into() });
    }

    /// Puts a field before all others.
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        self.0.insert(0, Header { name, value: value.into() });
    }

    /// Replaces all fields of this name by one, at the place of the first.
    pub fn set(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        let value = value.into();
        match self.0.iter().position(|header| header.name == name) {
            Some(at) => {
                self.0[at].value = value;
                let mut index = 0;
                self.0.retain(|header| {
                    index += 1;
                    index <= at + 1 || header.name != name
                });
            }
            None => self.push(name, value),
        }
    }

    /// Replaces the first field of this name, and leaves the others.
    pub(super) fn set_first(&mut self, name: &HeaderName, value: impl Into<Bytes>) {
        if let Some(header) = self.0.iter_mut().find(|header| header.name == *name) {
            header.value = value.into();
        }
    }

    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|header| header.name != *name);
    }

    pub fn has(&self, name: &HeaderName) -> bool {
        self.raw(name).is_some()
    }

    pub fn count(&self, name: &HeaderName) -> usize {
        self.0.iter().filter(|header| header.name == *name).count()
    }

    /// The bytes of the first field of this name.
    pub fn raw(&self, name: &HeaderName) -> Option<&Bytes> {
        self.0.iter().find(|header| header.name == *name).map(|header| &header.value)
    }

    /// The first field of this name as text; bytes that are no UTF-8 become escapes (`%FF`).
    pub fn text(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        self.raw(name).map(|value| grammar::text_of(value))
    }

    /// All fields of this name as text, line by line.
    pub fn lines(&self, name: &HeaderName) -> impl Iterator<Item = Cow<'_, str>> {
        self.0
            .iter()
            .filter(move |header| header.name == *name)
            .map(|header| grammar::text_of(&header.value))
    }

    /// The items of a header that may come as a comma list, on several lines, or both; empty ones
    /// are left out.
    pub fn items(&self, name: &HeaderName) -> Vec<String> {
        let split = |line: Cow<'_, str>| -> Vec<String> {
            grammar::list(&line).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        self.lines(name).flat_map(split).collect()
    }

    /// Copies the first field of this name from another message.
    pub fn copy_first(&mut self, name: &HeaderName, from: &Self) {
        self.0.extend(from.0.iter().find(|header| header.name == *name).cloned());
    }

    /// Copies all fields of this name from another message.
    pub fn copy(&mut self, name: &HeaderName, from: &Self) {
        self.0.extend(from.0.iter().filter(|header| header.name == *name).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_and_odd_case_names_are_the_same_header() {
        for name in ["v", "V", "via", "VIA", "ViA"] {
            assert_eq!(HeaderName::parse(name), Some(HeaderName::Via));
        }
        assert_eq!(HeaderName::parse("C%6Fntact"), Some(HeaderName::Other("C%6Fntact".into())));
        assert_eq!(HeaderName::parse("a b"), None);
    }

    #[test]
    fn items_come_from_lines_and_lists_alike() {
        let mut headers = Headers::default();
        headers.push(HeaderName::Require, "100rel, timer");
        headers.push(HeaderName::Require, "x");
        assert_eq!(headers.items(&HeaderName::Require), ["100rel", "timer", "x"]);
        headers.set(HeaderName::Require, "y");
        assert_eq!(headers.items(&HeaderName::Require), ["y"]);
    }
}
