//! The shell that wires everything: reads settings and files, starts the parts, owns the event loop.
//!
//! - [`server`]: start and shutdown of a whole server
//! - [`event_loop`]: the one owner of all call state
//! - [`plans`]: dialplans and recordings, from folders to checked values
//! - [`people`]: operators and tips, between the database and the hub
//! - [`recordings`]: conversations in files: those cut off, those too old, whether there is room
//! - [`room`]: what is told when audio finds no room
//! - [`crm_traffic`]: changes for the CRM, events from it
//! - [`promises`]: what is owed to customers, between the database and the hub
//! - [`watch`]: what HTTP shows
//! - [`reload`]: when files change or SIGHUP comes
//! - [`clock`]: the only place where the time is read
//! - [`calendar`]: what the wall clock says, also in a rehearsal

pub mod calendar;
pub mod clock;
pub mod crm_traffic;
pub mod event_loop;
pub mod people;
pub mod plans;
pub mod promises;
pub mod recordings;
pub mod reload;
pub mod room;
pub mod server;
pub mod watch;

pub use server::Server;
