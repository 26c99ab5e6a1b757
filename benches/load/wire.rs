//! The little of SIP that the rig's own phones need: what comes from our server is well made, so
//! this reads no more than that.

/// A message that came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    head: &'a str,
    body: &'a str,
}

/// Its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    Request(&'a str),
    Response(u16),
}

impl<'a> Message<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, body) = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
        Some(Self { head, body })
    }

    pub fn start(&self) -> Start<'a> {
        let line = self.head.lines().next().unwrap_or_default();
        let mut words = line.split(' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if first == "SIP/2.0" {
            Start::Response(second.parse().unwrap_or(0))
        } else {
            Start::Request(first)
        }
    }

    /// The user part of the Request-URI.
    pub fn user(&self) -> &'a str {
        let (_, rest) = self.head.split_once("sip:").unwrap_or_default();
        rest.split(['@', ';', ' ']).next().unwrap_or_default()
    }

    /// The values of all lines of this header.
    pub fn lines(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.lines().skip(1).filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn header(&self, name: &'a str) -> &'a str {
        self.lines(name).next().unwrap_or_default()
    }

    /// The URI of the Contact.
    pub fn contact(&self) -> &'a str {
        let value = self.header("Contact");
        value
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'))
            .map_or(value, |(uri, _)| uri)
    }

    /// Where RTP is awaited.
    pub fn media_port(&self) -> Option<u16> {
        let line = self.body.lines().find_map(|line| line.strip_prefix("m=audio "))?;
        line.split(' ').next()?.parse().ok()
    }

    pub fn has_to_tag(&self) -> bool {
        self.header("To").contains(";tag=")
    }

    /// A response to this request. `more` are whole lines.
    pub fn respond(&self, status: &str, tag: &str, more: &str, body: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in self.lines("Via") {
            text += &format!("Via: {via}\r\n");
        }
        let to = self.header("To");
        let tag = if self.has_to_tag() { String::new() } else { format!(";tag={tag}") };
        let [from, call_id, cseq] = ["From", "Call-ID", "CSeq"].map(|name| self.header(name));
        let length = body.len();
        text += &format!(
            "From: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n{more}Content-Length: {length}\r\n\r\n{body}"
        );
        text
    }
}

/// An offer or answer: A-law and keys, heard at this port of the rig.
pub fn sdp(port: u16) -> String {
    let ip = crate::ears::RIG;
    format!(
        "v=0\r\no=rig 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
    )
}
