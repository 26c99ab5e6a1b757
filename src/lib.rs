//! **allo** («алло»): a hotline server on SIP and RTP.
//!
//! The house has a pure middle and thin shells around it:
//!
//! | module | what lives there | knows |
//! |---|---|---|
//! | [`domain`] | shared nouns | nothing |
//! | [`speech`] | values → recordings, by the grammar of a language | `domain` |
//! | [`dialplan`] | KDL files → a typed, checked plan | `domain`, `speech` |
//! | [`core`] | decisions: events in, commands out | the three above |
//! | [`sim`] | plan tests and simulated callers | `core` and below |
//! | [`config`] | `allo.toml` → typed settings | `domain` |
//! | [`database`] | the pool of connections and its migrations | `domain`, `config` |
//! | [`spreadsheet`] | CSV files with every mistake and its place | `config` |
//! | [`sip`] [`media`] [`crm`] [`store`] [`web`] | shells; they do not know each other | `domain`, `config`; `crm` and `store` also `database`, `crm` also `spreadsheet` |
//! | [`phone`] | the test phone: calls a hotline and listens | `domain`, `sip`, `media` |
//! | [`app`] | wiring, the event loop, the clocks | everything |
//! | [`cli`] | the command line | everything |
//! | [`fuzzing`] | what must hold of every parser, whatever it reads | the parsers |
//!
//! `domain`, `speech`, `dialplan`, `core` and `sim` know no socket, file, database, runtime, OS
//! clock or randomness: whoever calls them passes the time in.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::todo, clippy::unimplemented, clippy::dbg_macro)
)]

pub mod app;
pub mod cli;
pub mod config;
pub mod core;
pub mod crm;
pub mod database;
pub mod dialplan;
pub mod domain;
#[doc(hidden)]
pub mod fuzzing;
pub mod media;
pub mod phone;
pub mod sim;
pub mod sip;
pub mod speech;
pub mod spreadsheet;
pub mod store;
pub mod web;
