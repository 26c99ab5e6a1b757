//! What a lamp shows, as `application/dialog-info+xml` (RFC 4235 §4).

use super::super::border::LampState;

pub const DIALOG_INFO: &str = "application/dialog-info+xml";

/// The full state of the lamp `entity`, a URI. There is always one dialog in it: some phones keep
/// their lamp lit if it merely disappears.
pub fn write(entity: &str, lamp: &str, version: u32, state: LampState) -> String {
    let state = match state {
        LampState::Off => "terminated",
        LampState::Ringing => "early",
        LampState::On => "confirmed",
    };
    let (entity, id) = (escape(entity), escape(lamp));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
         state=\"full\" entity=\"{entity}\">\r\n\
         <dialog id=\"{id}\" direction=\"recipient\">\r\n<state>{state}</state>\r\n</dialog>\r\n\
         </dialog-info>\r\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ringing_phone_is_an_early_dialog() {
        let text = write("sip:201@allo?a=1&b=\"2\"", "201", 7, LampState::Ringing);
        assert!(text.contains(
            "version=\"7\" state=\"full\" entity=\"sip:201@allo?a=1&amp;b=&quot;2&quot;\""
        ));
        assert!(text.contains("<dialog id=\"201\" direction=\"recipient\">"));
        assert!(text.contains("<state>early</state>"));
    }

    #[test]
    fn a_lamp_is_off_or_on() {
        let shown = |state| write("sip:a", "a", 0, state);
        assert!(shown(LampState::Off).contains("<state>terminated</state>"));
        assert!(shown(LampState::On).contains("<state>confirmed</state>"));
    }
}
