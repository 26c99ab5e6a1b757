//! Whether calls are answered: SIP listens, the plan is loaded, the database takes writes. And whether
//! something else is not as it should be.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

type Probe =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The parts of the house as they report themselves. Cheap to clone. Begins with nothing well.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    parts: Mutex<Parts>,
    database: Probe,
    recordings: OnceLock<Probe>,
}

/// Says what a rehearsal's clock shows now.
type Rehearsed = Box<dyn Fn() -> String + Send + Sync>;

struct Parts {
    rehearsal: Option<(u32, Rehearsed)>,
    sip: Result<(), String>,
    plan: Result<(), String>,
    draining: bool,
}

/// What `GET /health` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// `ok`, `degraded`, `draining` or `failing`. Degraded: calls are answered, but not all is well.
    pub status: String,
    /// What is wrong, by part; absent when nothing is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    /// Present while the server runs on the clock of a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalReport>,
}

/// The clock of a rehearsal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalReport {
    /// What it shows now, RFC 3339.
    pub clock: String,
    /// Seconds that pass on it in one.
    pub speed: u32,
}

impl Health {
    /// `database` is asked at each report and answers within a few seconds.
    pub fn new<F>(database: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let not_yet = |what: &str| Err(format!("{what} has not started yet"));
        let parts = Parts {
            rehearsal: None,
            sip: not_yet("SIP"),
            plan: not_yet("the plan"),
            draining: false,
        };
        let database: Probe = Box::new(move || Box::pin(database()));
        let (parts, recordings) = (Mutex::new(parts), OnceLock::new());
        Self(Arc::new(Inner { parts, database, recordings }))
    }

    /// `recordings` says whether conversations can be written down. It is asked at each report and
    /// answers within a few seconds; calls are answered without. The first one counts.
    pub fn watch_recordings<F>(&self, recordings: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let probe: Probe = Box::new(move || Box::pin(recordings()));
        let _first = self.0.recordings.set(probe);
    }

    /// SIP listens, or why it does not.
    pub fn set_sip(&self, state: Result<(), String>) {
        self.parts().sip = state;
    }

    /// A plan is in force, or why none is. A broken edit does not count: the plan before it is.
    pub fn set_plan(&self, state: Result<(), String>) {
        self.parts().plan = state;
    }

    /// Schedules follow a clock of this speed; `shown` says what it shows now, RFC 3339.
    pub fn set_rehearsal(&self, speed: u32, shown: impl Fn() -> String + Send + Sync + 'static) {
        self.parts().rehearsal = Some((speed, Box::new(shown)));
    }

    /// New calls are refused from now on.
    pub fn set_draining(&self) {
        self.parts().draining = true;
    }

    /// Asks every part.
    pub async fn report(&self) -> HealthReport {
        let database = (self.0.database)().await;
        let recordings = match self.0.recordings.get() {
            Some(probe) => probe().await,
            None => Ok(()),
        };
        let parts = self.parts();
        let needed = [("sip", &parts.sip), ("plan", &parts.plan), ("database", &database)];
        let answers = needed.iter().all(|(_, state)| state.is_ok());
        let status = match (parts.draining, answers, &recordings) {
            (true, ..) => "draining",
            (false, false, _) => "failing",
            (false, true, Err(_)) => "degraded",
            (false, true, Ok(())) => "ok",
        };
        let states = needed.into_iter().chain([("recordings", &recordings)]);
        let reasons =
            states.filter_map(|(part, state)| Some((part.to_owned(), state.clone().err()?)));
        let reasons = reasons.collect();
        let rehearsal = parts.rehearsal.as_ref();
        let rehearsal =
            rehearsal.map(|(speed, shown)| RehearsalReport { clock: shown(), speed: *speed });
        HealthReport { status: status.to_owned(), reasons, rehearsal }
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, Parts> {
        // Nothing panics while it is held.
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HealthReport {
    /// Whether new calls are answered.
    pub fn answers_calls(&self) -> bool {
        matches!(self.status.as_str(), "ok" | "degraded")
    }
}
