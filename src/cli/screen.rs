//! Standard output, for people and for scripts. What is printed may come from strangers: a caller's
//! name, a text of the CRM. Nothing of it moves a cursor or rings a bell.

use std::io::{self, StdoutLock, Write};

/// Standard output, inert.
pub(super) fn screen() -> Screen<StdoutLock<'static>> {
    Screen { out: io::stdout().lock(), is_c1_begun: false }
}

/// Writes control characters (C0 but line feed and tab, DEL, C1) as `\u001b`, which is also what they
/// are in JSON.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    /// The first byte of what may be a C1 control (`C2 80` to `C2 9F` in UTF-8) has come.
    is_c1_begun: bool,
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inert = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            let is_second = std::mem::take(&mut self.is_c1_begun);
            let is_control = match byte {
                b'\n' | b'\t' => false,
                0x80..=0x9F => is_second,
                _ => byte.is_ascii_control(),
            };
            if is_second && !is_control {
                inert.push(0xC2);
            }
            if is_control {
                write!(inert, "\\u00{byte:02x}")?;
            } else if byte == 0xC2 {
                self.is_c1_begun = true;
            } else {
                inert.push(byte);
            }
        }
        self.out.write_all(&inert)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut screen = Screen { out: Vec::new(), is_c1_begun: false };
        for piece in pieces {
            screen.write_all(piece).unwrap();
        }
        String::from_utf8(screen.out).unwrap()
    }

    #[test]
    fn texts_look_as_they_are() {
        let text = "Анна · ±5 °C → «да»\tx\n";
        assert_eq!(shown(&[text.as_bytes()]), text);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(shown(&bytes), text);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(shown(&[b"\x1b[2Ja\rb\x07\x7f\0"]), "\\u001b[2Ja\\u000db\\u0007\\u007f\\u0000");
        assert_eq!(shown(&["\u{9b}2J".as_bytes()]), "\\u009b2J");
        assert_eq!(shown(&[b"\xC2", b"\x9b", b"2J"]), "\\u009b2J");
    }

    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({ "name": "\u{1b}\u{7f}\u{9b}\"" });
        let text = shown(&[value.to_string().as_bytes()]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert!(!text.contains(char::is_control));
    }
}
