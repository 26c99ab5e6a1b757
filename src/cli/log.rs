//! How log lines look.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use super::LogFormat;

/// Log lines go to stderr, stdout is for what was asked for. `ALLO_LOG=debug` shows more; `default` is
/// how much is shown without it.
pub(super) fn start(format: LogFormat, default: &str) {
    let filter = match std::env::var("ALLO_LOG") {
        Ok(wanted) => EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
            eprintln!("allo: ALLO_LOG is not understood ({error}); write error, warn, info, debug or trace");
            EnvFilter::new(default)
        }),
        Err(_) => EnvFilter::new(format!("{default},sqlx=warn")),
    };
    // It writes the numbers that it reads in full.
    let quiet = "rlibphonenumber=off".parse().expect("a directive that was tried");
    let filter = filter.add_directive(quiet);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            log.with_ansi(io::stderr().is_terminal()).fmt_fields(on_one_line()).init();
        }
        LogFormat::Json => log.json().init(),
    }
}

/// A message and its fields. A field may hold what a stranger sent: nothing in it ends the line or
/// moves a cursor. Messages are ours, and may be of several lines.
fn on_one_line() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(|writer: &mut Writer<'_>, field, value| match field.name() {
        "message" => write!(Inert { out: writer, has_lines: true }, "{value:?}"),
        // Where in the source a message of another crate comes from.
        name if name.starts_with("log.") => Ok(()),
        name => {
            write!(writer, "{name}=")?;
            write!(Inert { out: writer, has_lines: false }, "{value:?}")
        }
    })
    .delimited(" ")
}

/// Escapes control characters.
struct Inert<'a, 'w> {
    out: &'a mut Writer<'w>,
    /// Line feeds stay.
    has_lines: bool,
}

impl fmt::Write for Inert<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() && !(c == '\n' && self.has_lines) {
                write!(self.out, "{}", c.escape_default())?;
            } else {
                self.out.write_char(c)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .fmt_fields(on_one_line())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_a_stranger_sent_ends_no_line_and_moves_no_cursor() {
        let sent = "a\r\n INFO call ended by=Caller\u{1b}[2J\u{9b}\0";
        let line = logged(|| tracing::info!(sent = %sent, calls = 1, name = sent, "call offered"));
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.trim_end().contains(char::is_control), "{line}");
        assert!(line.contains(r"call offered sent=a\r\n INFO call ended by=Caller\u{1b}[2J"));
        assert!(line.contains(" calls=1 "), "{line}");
    }

    #[test]
    fn a_message_of_ours_may_have_several_lines() {
        let line = logged(|| tracing::warn!("the running plan stays in force:\n{}", "a.kdl:1:1 x"));
        assert_eq!(line, " WARN the running plan stays in force:\na.kdl:1:1 x\n");
    }
}
