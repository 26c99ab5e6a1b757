//! The open internet between a caller and the server: strangers who send to its ports, networks that
//! lose and delay, people who want calls at the shop's expense, and logs that anybody may read.
//!
//! - `caller`: a phone whose every packet the test writes · `road`: a bad network in front of it
//! - `strangers`: RTP, RTCP and garbage from elsewhere · `losses`: what a bad road does to a call
//! - `fraud`: who may have which number dialled · `contacts`: phones that claim to be elsewhere
//! - `secrets`: what no log line says

mod caller;
mod contacts;
mod fraud;
mod losses;
#[path = "../storage/postgres.rs"]
mod postgres;
mod road;
mod secrets;
mod strangers;
#[path = "../support/mod.rs"]
mod support;

use support::house;
