//! Keys, by RFC 4733 and by tone. Pure.
//!
//! - [`event`]: telephone events: one key for each press, however its packets come; the sender
//! - [`mod@tone`]: the tones of ITU-T Q.23: a detector and a generator

pub mod event;
pub mod tone;

pub use event::{EventPacket, EventReceiver, event_packets};
pub use tone::{ToneDetector, tone};
