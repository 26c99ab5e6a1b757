//! HTTP: whether the house is well, figures for Prometheus, and the API for consoles and wallboards.
//! `docs/api.md` describes it to its users.
//!
//! - [`serve`]: the listener and the routes
//! - [`health`]: `/health`: what must be well for calls to be answered
//! - [`feeds`]: how the house tells what it is asked: [`Question`]s and events
//! - [`state`]: `/api/state`: groups, lines, operators; `/api/groups/{group}/why`
//! - [`events`]: `GET /api/events`: what happens, as server-sent events
//! - [`intake`]: `POST /api/events`: what happens in the shop
//! - [`promises`]: `/api/promises`, `/api/robots`: what is owed to customers, and by which robot
//! - [`metrics`]: `/metrics`: the same in the text format of Prometheus
//! - `token`: who may ask; `browser`: which web pages may

mod browser;
pub mod events;
pub mod feeds;
pub mod health;
pub mod intake;
pub mod metrics;
pub mod promises;
pub mod serve;
pub mod state;
#[cfg(test)]
mod tests;
mod token;

pub use events::{Stamped, WebEvent};
pub use feeds::{Answers, Events, Feeds, Question};
pub use health::{Health, HealthReport};
pub use intake::{Intake, Kept};
pub use metrics::{Counters, RtpCounters};
pub use promises::{PromiseFigures, PromiseView, PromisesNow, RobotView};
pub use serve::{StartError, Web};
pub use state::{
    CandidateView, GroupState, GroupWhy, LevelToday, Masked, OperatorNow, OperatorView,
    StateSnapshot, WaitingView,
};
