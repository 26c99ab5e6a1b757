//! What strangers send and admins write, fed to the parsers with what must hold of the result.
//!
//! One place says what each target does: `fuzz/` runs it under libFuzzer, `tests/hostile` replays the
//! committed corpora on every build. A property that does not hold panics. Besides the properties
//! named at each target: nothing panics, and time and memory stay within what the input's length
//! explains (the runners watch that).
//!
//! - `sip`: messages, alone and at an agent with a call up
//! - `session`: session descriptions
//! - `packets`: RTP, RTCP, telephone events
//! - `digest`: credentials and challenges
//! - `files`: dialplans, CSV, settings

mod digest;
mod files;
mod packets;
mod session;
mod sip;

/// A parser, or several that read the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A datagram at the SIP port: read, written and read again it is the same; what an agent sends
    /// because of it is SIP, and not much more than it got.
    SipMessage,
    /// A datagram while a call is up. `OURTAG` in it becomes our tag; a message without it neither
    /// ends the call nor moves its audio.
    SipCall,
    /// A session description: as an offer, and as an answer to an offer of ours.
    Sdp,
    /// A datagram at an RTP port.
    Rtp,
    /// Authorization and WWW-Authenticate; nothing proves a password that was never shown.
    Digest,
    /// A dialplan, the tests of one, and a day to simulate.
    Plan,
    /// CSV files of customers and orders.
    Csv,
    /// `allo.toml`.
    Settings,
}

impl Target {
    pub const ALL: [Self; 8] = [
        Self::SipMessage,
        Self::SipCall,
        Self::Sdp,
        Self::Rtp,
        Self::Digest,
        Self::Plan,
        Self::Csv,
        Self::Settings,
    ];

    /// Its name as a target of `cargo fuzz`, and that of its folder in `fuzz/corpus`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SipMessage => "sip_message",
            Self::SipCall => "sip_call",
            Self::Sdp => "sdp",
            Self::Rtp => "rtp",
            Self::Digest => "digest",
            Self::Plan => "plan",
            Self::Csv => "csv",
            Self::Settings => "settings",
        }
    }

    /// Reads `input`; panics if what must hold does not.
    pub fn run(self, input: &[u8]) {
        match self {
            Self::SipMessage => sip::message(input),
            Self::SipCall => sip::in_call(input),
            Self::Sdp => session::description(input),
            Self::Rtp => packets::datagram(input),
            Self::Digest => digest::header(input),
            Self::Plan => files::plan(input),
            Self::Csv => files::spreadsheet(input),
            Self::Settings => files::settings(input),
        }
    }
}
