//! The session description in a body.

use bytes::Bytes;

use super::fields::MediaType;
use super::headers::Headers;

/// What a body has to say about the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    /// No body.
    Absent,
    Sdp(Bytes),
    /// A body of a type that is not understood: 415.
    Unknown,
}

/// Finds the SDP: the body itself, or a part of a multipart body (RFC 5621 §3.1). A body without
/// a type is taken for SDP.
pub fn session(headers: &Headers, body: &Bytes) -> Session {
    if body.is_empty() {
        return Session::Absent;
    }
    match headers.content_type() {
        Ok(None) => Session::Sdp(body.clone()),
        Ok(Some(kind)) if kind.is("application/sdp") => Session::Sdp(body.clone()),
        Ok(Some(kind)) if kind.essence.starts_with("multipart/") => {
            sdp_part(&kind, body).map_or(Session::Unknown, Session::Sdp)
        }
        Ok(Some(_)) | Err(_) => Session::Unknown,
    }
}

/// The first SDP part (RFC 2046 §5.1.1).
fn sdp_part(kind: &MediaType, body: &Bytes) -> Option<Bytes> {
    let boundary = kind.params.get("boundary")?.trim_matches('"');
    let delimiter = format!("--{boundary}");
    let mut begins = positions(body, delimiter.as_bytes());
    let mut begin = begins.next()? + delimiter.len();
    for next in begins {
        let part = &body[begin..next];
        begin = next + delimiter.len();
        let (head, content) = split_head(part)?;
        let typed = head.split(|b| *b == b'\n').find_map(|line| {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-type").then(|| MediaType::parse(value.trim()))
        });
        if let Some(Ok(kind)) = typed
            && kind.is("application/sdp")
        {
            let content = content.strip_suffix(b"\r\n").unwrap_or(content);
            return Some(body.slice_ref(content));
        }
    }
    None
}

fn positions(body: &[u8], wanted: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = at + body[at..].windows(wanted.len()).position(|window| window == wanted)?;
        at = found + wanted.len();
        Some(found)
    })
}

fn split_head(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = part.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((&part[..at], &part[at + 4..]))
}

#[cfg(test)]
mod tests {
    use super::super::headers::HeaderName;
    use super::*;

    fn session_of(content_type: &'static str, body: &'static str) -> Session {
        let mut headers = Headers::default();
        headers.push(HeaderName::ContentType, content_type);
        session(&headers, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn sdp_is_found_in_a_multipart_body() {
        let body = "--b1\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b1\r\n\
            content-type: application/sdp\r\n\r\nv=0\r\n\r\n--b1--\r\n";
        let found = session_of("multipart/mixed;boundary=\"b1\"", body);
        assert_eq!(found, Session::Sdp(Bytes::from_static(b"v=0\r\n")));
    }

    #[test]
    fn other_bodies_are_unknown() {
        assert_eq!(session_of("application/unknownformat", "<audio/>"), Session::Unknown);
        assert_eq!(session_of("multipart/mixed", "--b\r\n"), Session::Unknown);
        assert_eq!(session_of("application/sdp", ""), Session::Absent);
    }
}
