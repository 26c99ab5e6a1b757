//! The ledger of promises: what customers are owed, when it is tried, and what came of it.
//!
//! Everything that would hurt if it were done twice is stored first: an attempt is dialled only when
//! the database has it. Times are those of the wall clock, which may jump.
//!
//! - [`border`]: what the ledger is told and what it asks for

pub mod border;

pub use border::{Made, NewPromise, NotMade, PromiseAct, RobotStatus};
