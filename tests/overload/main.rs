//! More than there is room for, and peers that mean no good: nobody else notices.
//!
//! The first four files put the SIP stack alone under load, with an app whose pace is set, so that
//! its capacity does not hang on the machine; the last one has a whole server.
//!
//! - `goodput`: three times as many calls as there is room for · `shares`: floods from one source
//! - `half_open`: calls that are never acknowledged · `connections`: idle, slow and deaf peers
//! - `audio`: what is heard during a flood
//! - `house`: the stack, its app and its callers

mod audio;
mod connections;
mod goodput;
mod half_open;
mod house;
mod shares;
#[path = "../support/mod.rs"]
mod support;
