//! The RTP engine: worker threads that own the streams and never wait for anybody.
//!
//! What others use:
//! - [`engine`]: [`MediaEngine`] and its [`MediaHandle`]: open a leg, agree, play, close
//! - [`border`]: settings, events and errors
//! - [`library`]: the recordings, encoded once for each codec
//! - [`g711`], [`dtmf`], [`packet`]: the pieces that a telephone needs too
//!
//! Inside, from the thread down to the sample:
//! - `worker`: one thread: waits, sends what is due, reads what came, obeys
//! - `frames`: which legs are due in which millisecond
//! - `leg`: one leg: its two sockets, its stream out and its stream in
//! - `source`: whose packets are heard, and where ours go
//! - `playlist`: recordings → frames, without a gap
//! - `reception`, `rtcp`: loss, jitter, reports
//! - `tones`: keys in the audio of a leg
//! - `ports`, `sockets`, `clock`, `outbox`: ports, sockets, time, events to the app
//!
//! Pure, tested without a socket: `frames`, `source`, `playlist`, `reception`, `ports`, `dtmf`,
//! `g711`, `packet` and what `rtcp` reads and writes. `loopback` tests the whole through
//! real sockets.
//!
//! Not here yet, and where it would go: a relay of two legs is a second source of frames for
//! `leg` beside the playlist; a recorder taps `Leg::on_audio`; tips and tones are recordings.

pub mod border;
mod clock;
mod conversation;
pub mod dtmf;
pub mod engine;
mod frames;
pub mod g711;
mod leg;
mod legs;
pub mod library;
mod outbox;
pub mod packet;
mod playlist;
mod ports;
mod reception;
mod relay;
mod rtcp;
mod sender;
mod sockets;
mod source;
mod tones;
mod worker;

#[cfg(test)]
mod loopback;

pub use border::{MediaEvent, MediaSettings, Monitoring, OpenError, Recording};
pub use engine::{MediaEngine, MediaHandle};
pub use library::{LibraryError, LibraryErrors, Prompt, PromptLibrary};
pub use sockets::raise_open_files_limit;
