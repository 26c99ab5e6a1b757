//! The pieces of RFC 3261 §25.1 that several headers share: tokens, quoted strings, lists and
//! parameters.

use std::borrow::Cow;

/// Why a header or a URI can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Whether these characters make a token (RFC 3261 §25.1).
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// A decimal number without sign; leading zeros are fine.
pub fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Where the first `wanted` byte stands outside quotes and angle brackets.
pub fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut angled) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if angled {
            angled = byte != b'>';
        } else if byte == wanted {
            return Some(at);
        } else {
            quoted = byte == b'"';
            angled = byte == b'<';
        }
    }
    None
}

/// The items of a comma list, trimmed; commas inside quotes and angle brackets do not count.
/// Empty items are kept, so that the reader can refuse them.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        match find_outside(text, b',') {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                Some(text[..at].trim_ascii())
            }
            None => Some(text.trim_ascii()),
        }
    })
}

/// Parameters such as `;tag=abc;lr`, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(Box<str>, Option<Box<str>>)>);

impl Params {
    /// At most so many parameters are read; more are malformed.
    pub const COUNT_MAX: usize = 64;

    /// Reads what follows a value: nothing, or `;name[=value]…` with white space where §25.1
    /// allows it. Quoted values keep their quotes.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut params = Self::default();
        let mut rest = text.trim_ascii();
        while !rest.is_empty() {
            rest = rest.strip_prefix(';').ok_or(Malformed("parameter without semicolon"))?;
            let end = find_outside(rest, b';').unwrap_or(rest.len());
            let (name, value) = match rest[..end].split_once('=') {
                Some((name, value)) => (name.trim_ascii(), Some(value.trim_ascii())),
                None => (rest[..end].trim_ascii(), None),
            };
            if !is_token(name) || !value.is_none_or(is_param_value) {
                return Err(Malformed("bad parameter"));
            }
            if params.0.len() == Self::COUNT_MAX {
                return Err(Malformed("too many parameters"));
            }
            params.0.push((name.into(), value.map(Into::into)));
            rest = &rest[end..];
        }
        Ok(params)
    }

    /// The value of the first parameter of this name; `Some("")` when it has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.as_deref().unwrap_or(""))
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn push(&mut self, name: &str, value: Option<&str>) {
        self.0.push((name.into(), value.map(Into::into)));
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.0 {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// A token, a host (IPv6 with or without brackets, as RFC 5118 §4.5 shows) or a quoted string.
/// Phones put more than tokens here, so only what would break the line is refused.
fn is_param_value(value: &str) -> bool {
    if let Some(quoted) = value.strip_prefix('"') {
        return end_of_quoted(quoted) == Some(quoted.len());
    }
    !value.is_empty()
        && value.bytes().all(|b| b > b' ' && b != 0x7F && !matches!(b, b'"' | b',' | b'<' | b'>'))
}

/// The length of a quoted string with its closing quote; `text` begins after the opening one.
pub fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What stands between the quotes, with `\x` taken back to `x`.
pub fn unquote(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

/// What stands between quotes for this text; the other way round as [`unquote`].
pub fn escape_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Takes `%41` back to `A`; what is no escape stays as it is, and bytes that are no UTF-8 become
/// U+FFFD.
pub fn unescape(text: &str) -> String {
    String::from_utf8_lossy(&unescape_bytes(text)).into_owned()
}

fn unescape_bytes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| {
            let digit = char::from(*bytes.get(at + offset)?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (hex(1), hex(2))
        {
            plain.push(high << 4 | low);
            at += 3;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    plain
}

/// A text with escapes as people may see it, byte-true and inert: escapes of what can be shown are
/// taken back, and all else is escaped, whether it came so or not: controls, line ends, what turns or
/// hides text, bytes that are no UTF-8, and `%` itself. [`unescape`] gives again what was meant.
pub fn readable(text: &str) -> String {
    let bytes = unescape_bytes(text);
    let mut readable = String::with_capacity(text.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_plain(c) {
                readable.push(c);
            } else {
                push_escaped(&mut readable, c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        push_escaped(&mut readable, chunk.invalid());
    }
    readable
}

/// Whether a character shows itself and moves nothing else on a screen.
fn is_plain(c: char) -> bool {
    let turns_or_hides = matches!(
        c,
        '\u{AD}'
            | '\u{61C}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}'
    );
    !(c.is_control() || turns_or_hides || c == '%')
}

fn push_escaped(text: &mut String, bytes: &[u8]) {
    use std::fmt::Write as _;

    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "%{byte:02X}");
    }
}

/// Bytes as text: what is no UTF-8 becomes escapes, which in a URI mean the same.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len() + 16);
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                push_escaped(&mut text, chunk.invalid());
            }
            Cow::Owned(text)
        }
    }
}

/// Writes `%XX` for what may not stand in the user part of a URI (RFC 3261 §25.1).
pub fn escape_user(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,?/".contains(&byte);
        if plain {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_quotes_and_brackets() {
        let items: Vec<_> = list(r#""a, \", b" <sip:x,y@z>;q=1 , <sip:w>,"#).collect();
        assert_eq!(items, [r#""a, \", b" <sip:x,y@z>;q=1"#, "<sip:w>", ""]);
    }

    #[test]
    fn parameters_may_have_white_space_and_quotes() {
        let params = Params::parse(r#" ; tag = 98asjd8 ;lr; x="a;b\"" "#).unwrap();
        assert_eq!(params.get("TAG"), Some("98asjd8"));
        assert_eq!(params.get("lr"), Some(""));
        assert_eq!(params.get("x"), Some(r#""a;b\"""#));
        assert_eq!(params.get("y"), None);
    }

    #[test]
    fn empty_parameters_are_refused() {
        for text in [";;", ";a;;b", ";=x", ";a=", "a", ";a=\"b"] {
            assert!(Params::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn escapes_are_taken_back_once() {
        assert_eq!(unescape("sips%3Auser%40example.com"), "sips:user@example.com");
        assert_eq!(unescape("%2541%"), "%41%");
        assert_eq!(unescape("%zz%00"), "%zz\0");
    }

    #[test]
    fn what_is_shown_is_inert_and_means_the_same_bytes() {
        for (sent, shown) in [
            ("anna", "anna"),
            ("%61nn%61", "anna"),
            ("%D0%90%D0%BD%D0%BD%D0%B0", "Анна"),
            ("1'; DROP TABLE calls; --", "1'; DROP TABLE calls; --"),
            ("a%0d%0aVia:%20x", "a%0D%0AVia: x"),
            ("%1b[2J\u{1b}[2J\u{9b}", "%1B[2J%1B[2J%C2%9B"),
            ("%00\0", "%00%00"),
            ("%ff%C3(", "%FF%C3("),
            ("100%", "100%25"),
            ("\u{202e}gnp.exe", "%E2%80%AEgnp.exe"),
        ] {
            assert_eq!(readable(sent), shown);
            assert_eq!(unescape_bytes(shown), unescape_bytes(sent), "{sent:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_become_escapes() {
        assert_eq!(text_of(b"sip:a\xFF\xFEb@c"), "sip:a%FF%FEb@c");
        assert_eq!(text_of("Анна".as_bytes()), "Анна");
    }
}
