//! Our requests, and messages as text.

use std::time::Duration;

use super::{Endpoint, GIVE_UP, Output, Pending, Signalling, State, T1, Transport};

impl Signalling {
    pub(super) fn cancel(&mut self, now: Duration) {
        self.state = State::Calling { proceeding: true, cancelled: true };
        let invite = self.pending.iter().find(|pending| pending.method == "INVITE");
        let Some(invite) = invite else { return };
        // The INVITE's own branch and number name what is cancelled (§9.1).
        let (branch, sequence) = (invite.branch.clone(), invite.sequence);
        let (target, to) = (self.remote_target.clone(), self.remote.clone());
        let bytes = self.text("CANCEL", &target, &to, sequence, &branch, "", None);
        self.send_reliably(now, "CANCEL", branch, sequence, bytes);
    }

    pub(super) fn request(
        &mut self,
        now: Duration,
        method: &'static str,
        headers: &str,
        body: Option<(&str, String)>,
    ) {
        self.sequence += 1;
        let (sequence, branch) = (self.sequence, self.next_branch());
        let (target, to) = (self.remote_target.clone(), self.remote.clone());
        let bytes = self.text(method, &target, &to, sequence, &branch, headers, body);
        self.send_reliably(now, method, branch, sequence, bytes);
    }

    fn send_reliably(
        &mut self,
        now: Duration,
        method: &'static str,
        branch: String,
        sequence: u32,
        bytes: Vec<u8>,
    ) {
        self.outputs.push_back(Output::Send(bytes.clone()));
        self.pending.push(Pending {
            method,
            branch,
            sequence,
            bytes,
            resend_at: (self.endpoint.transport == Transport::Udp).then(|| now + T1),
            interval: T1,
            give_up_at: now + GIVE_UP,
        });
    }

    #[expect(clippy::too_many_arguments, reason = "the lines of a message, in their order")]
    pub(super) fn text(
        &self,
        method: &str,
        target: &str,
        to: &str,
        sequence: u32,
        branch: &str,
        headers: &str,
        body: Option<(&str, String)>,
    ) -> Vec<u8> {
        let Endpoint { local, transport, .. } = &self.endpoint;
        let via = match transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        let mut text = format!("{method} {target} SIP/2.0\r\n");
        text += &format!("Via: SIP/2.0/{via} {local};rport;branch={branch}\r\n");
        text += "Max-Forwards: 70\r\n";
        for route in &self.routes {
            text += &format!("Route: {route}\r\n");
        }
        text += &format!("From: {}\r\nTo: {to}\r\n", self.local);
        text += &format!("Call-ID: {}\r\nCSeq: {sequence} {method}\r\n", self.call_id);
        text += &format!("Contact: {}\r\n", self.contact());
        text += &format!("User-Agent: allo-phone\r\n{headers}");
        finish(text, body)
    }

    pub(super) fn contact(&self) -> String {
        let Endpoint { local, transport, user, .. } = &self.endpoint;
        let transport = match transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
        };
        format!("<sip:{}@{local}{transport}>", escape(user))
    }

    pub(super) fn next_branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bK{}.{}", self.endpoint.unique, self.branches)
    }
}

/// Closes the headers and adds the body.
pub fn finish(mut text: String, body: Option<(&str, String)>) -> Vec<u8> {
    let body = match body {
        Some((content_type, body)) => {
            text += &format!("Content-Type: {content_type}\r\n");
            body
        }
        None => String::new(),
    };
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// Percent-escapes what a user part may not hold (§25.1).
pub fn escape(user: &str) -> String {
    let mut escaped = String::new();
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

/// A display name as a quoted string, and a space.
pub fn quote(display: &str) -> String {
    let visible = display.chars().filter(|c| !c.is_control());
    let escaped: String = visible
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    format!("\"{escaped}\" ")
}
