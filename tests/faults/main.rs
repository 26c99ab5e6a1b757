//! What happens to callers when something breaks: over real sockets, with a server of its own for each
//! test. Each fault is put right again in the test, and the server must find that out by itself.
//!
//! - `death`: kill -9 with fifty calls up
//! - `database`: locked, and away
//! - `disk`: full, under the recordings and under the database
//! - `crm`: slow, full of garbage, endless, cut off
//! - `room`: RTP ports and file descriptors used up
//! - `drain`: SIGTERM, and once more
//! - `reload`: a hundred reloads during a hundred calls
//! - `clock`: somebody sets the wall clock
//! - `soak`: everything at once, for ten minutes or as long as one likes
//! - `process`, `raw`, `audio`: what the system says of the server, a phone without manners, audio that goes
//!   on

mod audio;
mod clock;
mod crm;
mod database;
mod death;
mod disk;
mod drain;
#[path = "../storage/postgres.rs"]
mod postgres;
mod process;
mod raw;
mod reload;
mod room;
#[path = "../promises/shop.rs"]
#[allow(dead_code, reason = "each test crate uses a part of this")]
mod shop;
mod soak;
#[path = "../support/mod.rs"]
mod support;

use support::house;
