//! The test phones: a caller's, an operator's, and a whole network of customers' phones. They place and take real calls and listen. `allo
//! call`, `allo demo` and the end-to-end tests use them; they are no part of the server: they read
//! messages as the server does, but their transactions, dialogs, digests and RTP are their own.
//!
//! - [`call`]: the caller's phone, one call with its sockets: [`Call`], [`CallOptions`], [`CallReport`]
//! - [`desk`]: the operator's phone, with an account and several calls: [`Desk`], [`DeskOptions`]
//! - [`provider`]: the network behind a trunk: [`Provider`], [`ProviderOptions`], [`Script`]
//! - `signalling`: a call's signalling as a state machine; `wire` reads SIP messages for it
//! - `digest`: proof of who calls
//! - `socket`: UDP or TCP under a caller's phone
//! - `sdp`: offers and answers
//! - [`audio`]: a call's RTP sockets and everything behind them
//! - `rtp`, `sender`, [`playout`], `tone`: packets, what is sent, what is heard, tones in it
//! - [`keys`]: what is pressed and when
//! - [`listen`]: which recordings were heard, and where; `listener`: the same while it is heard
//! - [`timeline`]: what happened, with milliseconds
//! - [`wav`]: recordings as files

pub mod audio;
pub mod call;
pub mod desk;
mod digest;
pub mod keys;
pub mod listen;
mod listener;
pub mod playout;
pub mod provider;
mod rtp;
mod sdp;
mod sender;
mod signalling;
mod socket;
pub mod timeline;
mod tone;
pub mod wav;
mod wire;

pub use audio::AudioOptions;
pub use call::{Call, CallOptions, CallReport, KEY_PACE, NotAnswered};
pub use desk::{Desk, DeskCall, DeskEvent, DeskFact, DeskOptions, Invite, NotSeen, OnInvite};
pub use keys::{KeyBy, KeyScript, KeyStep};
pub use listen::{Ear, Heard, Missing, Recording, contains_in_order, identify};
pub use listener::Listener;
pub use playout::{Arrival, Playout, ReceiveReport};
pub use provider::{
    NotCounted, OnRegister, Provider, ProviderCall, ProviderOptions, Script, TakenCall, Tally,
};
pub use signalling::{From, Transport};
pub use timeline::{Ending, PhoneEvent, TimelineEvent};
pub use tone::holds_tone;
