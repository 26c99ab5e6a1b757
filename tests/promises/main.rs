//! Promises over real sockets: what a robot asks, whom an operator calls back, and what is in the
//! database afterwards. Customers are behind a provider whose phones do what their scripts say and
//! whose calls are counted from outside. Tests wait for what happens, never for a time.
//!
//! - `shop`: the server with its provider and its plan
//! - `ratings`: the robot, and the human who follows a low rating
//! - `line`: callers who are called back instead of waiting
//! - `outcomes`: what networks answer, and which trunk is asked next
//! - `campaign`: a robot with many customers
//! - `incidents`: what goes wrong in the shop; points, messages
//! - `clock`: rehearsals
//! - `death`: the server is killed

mod campaign;
mod clock;
mod death;
mod incidents;
mod line;
mod outcomes;
mod ratings;
mod shop;
#[path = "../support/mod.rs"]
mod support;

use support::house;
