//! Operators and the line over real sockets: who is rung, who hears whom, and what becomes of a
//! caller when a phone does something else than hoped for. Tests wait for what happens, never for a
//! time.
//!
//! - `house`: the server, its operators and their phones, the customers
//! - `order`: who is rung, in which order · `races`: everybody at once
//! - `audio`: tones, keys, hold · `tips`: what is heard while waiting
//! - `deaths`: phones that vanish · `transfers` · `codes`, with the lamps · `recording`
//! - `baresip`: the same with phones that are not ours

mod audio;
mod baresip;
mod codes;
mod deaths;
mod order;
mod races;
mod recording;
#[path = "../support/mod.rs"]
mod support;
mod tips;
mod transfers;

use support::house;
