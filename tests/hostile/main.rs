//! What strangers may send to a server on the open internet, and what it does with it.
//!
//! - `caller`: a phone whose every byte the test writes
//! - `corpora`: what the fuzzers keep, replayed and damaged, within bounds of time and memory
//! - `memory`: how much a piece of work allocates
//! - `names`: texts that mean harm where they are stored and shown
//! - `passwords`: who learns what about accounts, and who is never told ours
//! - `strangers`: requests in the name of somebody else's call

#![expect(clippy::disallowed_methods, reason = "the tests wait for answers of a real server")]

#[path = "../support/mod.rs"]
mod support;

mod caller;
mod corpora;
mod memory;
mod names;
mod passwords;
mod strangers;

use support::server::{Server, Setup};

/// 100 speaks for a minute; 500 hangs up at once.
const PLAN: &str = r#"
language "ru"
timezone "Europe/Moscow"
number "500" { hangup }
number "100" {
    say "menu-points" "menu-order" "menu-operator" "menu-points" "menu-order" "menu-operator"
    say "menu-points" "menu-order" "menu-operator" "menu-points" "menu-order" "menu-operator"
    say "menu-points" "menu-order" "menu-operator" "menu-points" "menu-order" "menu-operator"
    say "menu-points" "menu-order" "menu-operator" "menu-points" "menu-order" "menu-operator"
    hangup
}
"#;

async fn server() -> Server {
    Server::start(Setup { plan: PLAN.to_owned(), ..Setup::default() }).await
}
