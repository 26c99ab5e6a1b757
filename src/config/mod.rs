//! `allo.toml` → typed settings.
//!
//! - [`settings`]: every section and key, documented on its field, with its default
//! - [`trunk`]: the same for `[[trunk]]`
//! - [`values`]: durations, addresses, port ranges, databases: parsed once, never wrong afterwards
//! - [`load`]: the file and the environment → [`Config`], with all mistakes at once
//! - [`problem`]: a mistake with its place, the line, a caret and a hint
//! - [`sample`]: the commented sample file, made from the field documentation
//! - [`nearest`](mod@nearest): "did you mean …?"
//!
//! Which file counts, and what relative paths are relative to, says [`Config::load`].

pub mod load;
pub mod nearest;
pub mod problem;
pub mod sample;
pub mod settings;
pub mod trunk;
pub mod values;

pub use nearest::nearest;
pub use problem::{ConfigError, Problem};
pub use settings::{
    Config, Crm, CrmSource, CrmSql, DatabaseSettings, Dialplans, Limits, Prompts, Recordings,
    Render, Rtp, Shutdown, Sip, Tls, Web,
};
pub use trunk::{NumberFormat, Trunk, TrunkAddress, TrunkFrom};
pub use values::{DatabaseUrl, Listen, Network, Period, PortRange, Secret, Transport};
