//! Where one message of a byte stream ends (RFC 3261 §18.3, RFC 5626 §3.5.1).

use super::grammar;
use super::headers::HeaderName;

/// What stands at the beginning of the bytes that a stream has brought so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not enough yet; looking again makes no sense before there are so many bytes. The first
    /// `looked_at` of them hold no end of the head, and need not be looked at again: else a peer who
    /// sends line by line would have us read its head as many times as it has lines.
    Partial { at_least: usize, looked_at: usize },
    /// A double CRLF between messages: the peer's keep-alive, to be answered by one CRLF.
    Ping { length: usize },
    /// A single CRLF between messages: a pong, or padding.
    Pong { length: usize },
    /// A whole message of so many bytes.
    Message { length: usize },
    /// A head of so many bytes whose body's length can't be known. It can be answered, but what
    /// follows can't be read.
    Unframed { length: usize },
    /// More bytes than a message may have.
    TooLong,
}

/// The longest head of a message, bytes.
const HEAD_MAX: usize = 64 * 1024;

/// Looks at the beginning of `bytes`; messages longer than `bytes_max` are refused.
pub fn frame(bytes: &[u8], bytes_max: usize) -> Frame {
    frame_from(bytes, 0, bytes_max)
}

/// The same, when `looked_at` bytes were looked at before.
pub fn frame_from(bytes: &[u8], looked_at: usize, bytes_max: usize) -> Frame {
    if bytes.starts_with(b"\r\n\r\n") {
        return Frame::Ping { length: 4 };
    }
    if bytes.starts_with(b"\r\n") {
        let next = bytes.get(2);
        let may_be_ping = next.is_none_or(|byte| *byte == b'\r') && bytes.len() < 4;
        let partial = Frame::Partial { at_least: bytes.len() + 1, looked_at: 0 };
        return if may_be_ping { partial } else { Frame::Pong { length: 2 } };
    }
    if bytes.first() == Some(&b'\n') {
        return Frame::Pong { length: 1 };
    }
    let Some(head) = end_of_head(bytes, looked_at) else {
        let looked_at = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |line| line + 1);
        let partial = Frame::Partial { at_least: bytes.len() + 1, looked_at };
        return if bytes.len() > bytes_max.min(HEAD_MAX) { Frame::TooLong } else { partial };
    };
    match body_length(&bytes[..head]) {
        Some(body) if head.saturating_add(body) > bytes_max => Frame::TooLong,
        Some(body) if bytes.len() < head + body => {
            Frame::Partial { at_least: head + body, looked_at }
        }
        Some(body) => Frame::Message { length: head + body },
        None => Frame::Unframed { length: head },
    }
}

/// Where the body begins: behind the first empty line. Before the line that begins at `looked_at`
/// there is none.
fn end_of_head(bytes: &[u8], looked_at: usize) -> Option<usize> {
    let mut at = looked_at;
    while let Some(line) = bytes[at..].iter().position(|b| *b == b'\n') {
        let empty = matches!(&bytes[at..at + line], b"" | b"\r");
        at += line + 1;
        if empty {
            return Some(at);
        }
    }
    None
}

/// `None` when there are several lengths, a bad one, or none although there is a body.
fn body_length(head: &[u8]) -> Option<usize> {
    let mut length = None;
    let mut has_type = false;
    for line in head.split(|b| *b == b'\n') {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let Ok(name) = std::str::from_utf8(&line[..colon]) else { continue };
        match HeaderName::parse(name.trim_end_matches([' ', '\t'])) {
            Some(HeaderName::ContentLength) => {
                let value = std::str::from_utf8(&line[colon + 1..]).ok()?;
                let value = grammar::number(value.trim())?;
                if length.replace(value).is_some() {
                    return None;
                }
            }
            Some(HeaderName::ContentType) => has_type = true,
            Some(_) | None => {}
        }
    }
    length.or((!has_type).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_whole_or_not_yet() {
        let text = b"OPTIONS sip:a SIP/2.0\r\nContent-Length : 3\r\n\r\nabcNEXT";
        assert_eq!(frame(text, 1000), Frame::Message { length: text.len() - 4 });
        let mut before = 0;
        for cut in 0..text.len() - 4 {
            let partial = frame_from(&text[..cut], before, 1000);
            let Frame::Partial { at_least, looked_at } = partial else { panic!("{cut}") };
            assert!(at_least > cut && at_least <= text.len() - 4);
            before = looked_at;
        }
        assert_eq!(frame_from(text, before, 1000), Frame::Message { length: text.len() - 4 });
        assert_eq!(frame(text, 20), Frame::TooLong);
    }

    #[test]
    fn lengths_that_say_nothing_leave_the_stream_unframed() {
        for field in ["l: 3\r\nContent-Length: 4", "l: -1", "l: x", "c: application/sdp"] {
            let text = format!("OPTIONS sip:a SIP/2.0\r\n{field}\r\n\r\n");
            assert_eq!(frame(text.as_bytes(), 1000), Frame::Unframed { length: text.len() });
        }
        let bare = b"OPTIONS sip:a SIP/2.0\r\n\r\n";
        assert_eq!(frame(bare, 1000), Frame::Message { length: bare.len() });
    }

    #[test]
    fn keep_alives_between_messages_are_known() {
        assert_eq!(frame(b"\r\n\r\nOPT", 1000), Frame::Ping { length: 4 });
        assert_eq!(frame(b"\r\nOPT", 1000), Frame::Pong { length: 2 });
        assert_eq!(frame(b"\r\n", 1000), Frame::Partial { at_least: 3, looked_at: 0 });
        assert_eq!(frame(b"\r", 1000), Frame::Partial { at_least: 2, looked_at: 0 });
    }
}
