//! The test phone: places real calls and listens. `allo call`, `allo demo` and the end-to-end
//! tests use it; it is no part of the server: it reads messages as the server does, but its transactions,
//! dialogs and RTP are its own.
//!
//! - [`call`]: a call with its sockets: [`Call`], [`CallOptions`], [`CallReport`]
//! - `uac`: its signalling as a state machine; `wire` reads SIP messages for it
//! - `socket`: UDP or TCP under it
//! - `sdp`: offers and answers
//! - `rtp`, `sender`, [`playout`]: packets, what is sent, what is heard
//! - [`keys`]: what is pressed and when
//! - [`listen`]: which recordings were heard, and where; `listener`: the same while it is heard
//! - [`timeline`]: what happened, with milliseconds
//! - [`wav`]: recordings as files

pub mod call;
pub mod keys;
pub mod listen;
mod listener;
pub mod playout;
mod rtp;
mod sdp;
mod sender;
mod socket;
pub mod timeline;
mod uac;
pub mod wav;
mod wire;

pub use call::{Call, CallOptions, CallReport, KEY_PACE, NotAnswered};
pub use keys::{KeyBy, KeyScript, KeyStep};
pub use listen::{Ear, Heard, Missing, Recording, contains_in_order, identify};
pub use listener::Listener;
pub use playout::{Arrival, Playout, ReceiveReport};
pub use timeline::{Ending, PhoneEvent, TimelineEvent};
pub use uac::{From, Transport};
