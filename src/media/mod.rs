//! The RTP engine: worker threads that own the streams and never wait for anybody.
//!
//! What others use:
//! - [`engine`]: [`MediaEngine`] and its [`MediaHandle`]: open a leg, agree, play, bridge, monitor,
//!   record, close
//! - [`border`]: settings, events and errors
//! - [`library`]: the recordings, encoded once for each codec
//! - [`recorder`]: conversations and messages in files, on a thread of its own; [`keeping`]: for how long
//! - [`g711`], [`dtmf`], [`packet`]: the pieces that a telephone needs too
//!
//! Inside, from the thread down to the sample:
//! - `worker`: one thread: waits, sends what is due, reads what came, obeys; `inbox`: what it obeys
//! - `frames`: which legs are due in which millisecond
//! - `legs`, `conversation`: the legs of a worker, and who of them hears whom
//! - `leg`: one leg: its two sockets, its stream out and its stream in
//! - `source`: whose packets are heard, and where ours go
//! - `sender`: the numbers of the stream out, whatever feeds it:
//!   `playlist` (recordings → frames, without a gap), `relay` (the packets of a partner), or
//!   `mixer` (two voices → frames)
//! - `burst`: the way out, by which packets that are due together leave together
//! - `reception`, `rtcp`: loss, jitter, reports
//! - `tones`: keys in the audio of a leg
//! - `ports`, `sockets`, `clock`, `outbox`: ports, sockets, time, events to the app
//!
//! Pure, tested without a socket: `frames`, `source`, `playlist`, `relay`, `mixer`, `reception`,
//! `ports`, `dtmf`, `g711`, `packet`, the track of the recorder and what `rtcp` reads and writes.
//! `loopback` tests the whole through real sockets.

pub mod border;
mod burst;
mod clock;
mod conversation;
pub mod dtmf;
pub mod engine;
mod frames;
pub mod g711;
mod inbox;
mod leg;
mod legs;
pub mod library;
mod mixer;
mod outbox;
pub mod packet;
mod playlist;
mod ports;
mod reception;
pub mod recorder;
mod relay;
pub(crate) mod rtcp;
mod sender;
mod sockets;
mod source;
mod tones;
mod worker;

#[cfg(test)]
mod loopback;

pub use border::{MediaEvent, MediaSettings, Message, Monitoring, OpenError, Recording};
pub use engine::{MediaEngine, MediaHandle};
pub use library::{LibraryError, LibraryErrors, Prompt, PromptLibrary};
pub use recorder::keeping;
pub use sockets::raise_open_files_limit;
