//! `/api/events`: what happens in the house, as server-sent events (WHATWG HTML §9.2).
//!
//! A client first gets the state, then each event. One that reads too slowly misses the oldest ones,
//! is told how many, gets the state anew and goes on; nobody waits for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::feeds::Feeds;
use super::promises::PromiseView;
use super::state::{Masked, OperatorNow};
use crate::domain::{CallId, Decision, LineOutcome, Login, Timestamp};

/// A comment goes out after so long without an event, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An event with its time and number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stamped {
    /// Counts up from 1 since the server was started.
    pub id: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub what: WebEvent,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum WebEvent {
    CallBegan {
        call: CallId,
        caller: Masked,
        #[serde(skip_serializing_if = "Option::is_none")]
        caller_name: Option<Masked>,
        dialled: String,
    },
    /// A call of ours to a customer: by a robot, or by an operator who calls back.
    CallPlaced {
        call: CallId,
        customer: Masked,
        /// The robot of the plan, or the kind of callback.
        purpose: String,
    },
    CallEnded {
        call: CallId,
        /// As `allo calls` names it.
        outcome: String,
    },
    CallerJoined {
        call: CallId,
        group: String,
        caller: Masked,
        /// How many wait now, this one included.
        waiting: u64,
    },
    CallerLeft {
        call: CallId,
        group: String,
        outcome: LineOutcome,
        waited_ms: u64,
        /// How many wait now.
        waiting: u64,
    },
    /// Who is rung for a caller and why not another one, or why nobody.
    Decided {
        call: CallId,
        decision: Decision,
    },
    /// Something is owed to a customer from now on.
    PromiseMade(Box<PromiseView>),
    PromiseChanged(Box<PromiseView>),
    /// It will be late unless somebody sees to it.
    PromiseLate(Box<PromiseView>),
    /// The due time passed.
    PromiseOverdue(Box<PromiseView>),
    PromiseOver(Box<PromiseView>),
    OperatorChanged {
        login: Login,
        #[serde(flatten)]
        now: OperatorNow,
    },
}

impl WebEvent {
    /// The `event:` line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CallBegan { .. } => "call-began",
            Self::CallPlaced { .. } => "call-placed",
            Self::CallEnded { .. } => "call-ended",
            Self::CallerJoined { .. } => "caller-joined",
            Self::CallerLeft { .. } => "caller-left",
            Self::Decided { .. } => "decided",
            Self::PromiseMade(_) => "promise-made",
            Self::PromiseChanged(_) => "promise-changed",
            Self::PromiseLate(_) => "promise-late",
            Self::PromiseOverdue(_) => "promise-overdue",
            Self::PromiseOver(_) => "promise-over",
            Self::OperatorChanged { .. } => "operator-changed",
        }
    }
}

#[derive(Serialize)]
struct Lagged {
    missed: u64,
}

/// A client that listens.
struct Client {
    feeds: Feeds,
    events: Receiver<Arc<Stamped>>,
    shutdown: CancellationToken,
    /// The state comes next.
    wants_state: bool,
    /// The client's seat among those that may listen.
    _seat: OwnedSemaphorePermit,
}

/// The stream of a new client. Ends with the server.
pub(super) fn stream(
    feeds: Feeds,
    shutdown: CancellationToken,
    seat: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send + 'static> {
    // From before the state is asked for, so that nothing falls in between.
    let events = feeds.events.listen();
    let client = Client { feeds, events, shutdown, wants_state: true, _seat: seat };
    let stream = unfold(client, |mut client| async move {
        let event = client.next().await?;
        Some((Ok(event), client))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Client {
    /// `None`: the server ends.
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.wants_state)
            && let Ok(state) = self.feeds.state().await
        {
            return Some(written("state", None, &state));
        }
        let received = tokio::select! {
            received = self.events.recv() => received,
            () = self.shutdown.cancelled() => return None,
        };
        match received {
            Ok(event) => Some(written(event.what.name(), Some(event.id), &*event)),
            Err(RecvError::Lagged(missed)) => {
                self.wants_state = true;
                Some(written("lagged", None, &Lagged { missed }))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

fn written(name: &str, id: Option<u64>, data: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    let event = match id {
        Some(id) => event.id(id.to_string()),
        None => event,
    };
    // Maps with texts for keys, numbers and texts: what serde_json can always write.
    event.json_data(data).unwrap_or_else(|_| Event::default().event(name))
}
