//! The HTTP listener and its routes.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::feeds::{Feeds, NoAnswer};
use super::health::Health;
use super::intake::{BODY_BYTES_MAX, Intake};
use super::promises::{PromisesNow, Switched};
use super::token::{self, Gate};
use super::{browser, events, metrics};
use crate::config::settings;

/// How long requests under way may take once the server is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(2);
/// Clients of `/api/events` at the same time; more get 503.
pub(super) const LISTENERS_MAX: usize = 64;

/// Why HTTP could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("can't listen on {address} for HTTP: {why}; change [web] listen, or stop what uses it")]
    Listen { address: SocketAddr, why: std::io::Error },
    #[error(
        "[web] listen = \"{address}\" can be reached from other machines, so [web] token must be set; \
         or listen on 127.0.0.1"
    )]
    NoToken { address: SocketAddr },
    #[error(
        "[web] token is too short: it takes 16 characters or more, as `openssl rand -hex 24` gives"
    )]
    ShortToken,
}

/// The running HTTP server.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Web {
    /// Listens on `settings.listen` (port 0: any free one) and answers until `shutdown` is
    /// cancelled.
    pub async fn start(
        settings: &settings::Web,
        health: Health,
        feeds: Feeds,
        intake: Intake,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let gate = Gate::new(settings)?;
        let failed = |why| StartError::Listen { address: settings.listen, why };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router(health, gate, Api::new(feeds, intake, shutdown.clone()));
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        let task = tokio::spawn(async move {
            let too_long = async {
                shutdown.cancelled().await;
                tokio::time::sleep(LAST_REQUESTS).await;
            };
            tokio::select! {
                served = server => {
                    if let Err(error) = served {
                        tracing::error!(%error, "HTTP ended");
                    }
                }
                () = too_long => {}
            }
        });
        Ok(Self { address, task })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the server has ended, which `shutdown` asks it to.
    pub async fn ended(self) {
        // The task ends by itself and does not panic; if it did, HTTP has ended all the same.
        let _ = self.task.await;
    }
}

/// What the routes behind the token share.
#[derive(Clone)]
struct Api {
    feeds: Feeds,
    intake: Intake,
    shutdown: CancellationToken,
    listeners: Arc<Semaphore>,
}

impl Api {
    fn new(feeds: Feeds, intake: Intake, shutdown: CancellationToken) -> Self {
        Self { feeds, intake, shutdown, listeners: Arc::new(Semaphore::new(LISTENERS_MAX)) }
    }
}

/// An answer that is none, as JSON.
#[derive(Serialize)]
pub(super) struct ApiError {
    pub error: Cow<'static, str>,
}

fn router(health: Health, gate: Gate, api: Api) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/api/state", get(show_state))
        .route("/api/events", get(listen).post(take_events))
        .route("/api/promises", get(show_promises))
        .route("/api/robots", get(show_robots))
        .route("/api/robots/{name}/stop", post(stop_robot))
        .route("/api/robots/{name}/resume", post(resume_robot))
        .route("/api/groups/{group}/why", get(explain_group))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(middleware::from_fn_with_state(gate.clone(), browser::check))
        .route_layer(middleware::from_fn_with_state(gate, token::check))
        .with_state(api);
    Router::new().route("/health", get(report)).with_state(health).merge(guarded)
}

/// 200 when calls are answered, else 503 with the reasons.
async fn report(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report().await;
    let status =
        if report.answers_calls() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report))
}

async fn show_state(State(api): State<Api>) -> Result<Response, NoAnswer> {
    Ok(fresh(Json(api.feeds.state().await?)))
}

async fn show_metrics(State(api): State<Api>) -> Result<Response, NoAnswer> {
    let (state, counters) = api.feeds.metrics().await?;
    let listeners = LISTENERS_MAX - api.listeners.available_permits();
    let text = metrics::text(&state, &counters, listeners);
    Ok(fresh(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)))
}

async fn explain_group(
    State(api): State<Api>,
    Path(group): Path<String>,
) -> Result<Response, NoAnswer> {
    Ok(match api.feeds.why(group).await? {
        Some(why) => fresh(Json(why)),
        None => refuse(StatusCode::NOT_FOUND, "there is no such group in the plan"),
    })
}

async fn listen(State(api): State<Api>) -> Response {
    match api.listeners.try_acquire_owned() {
        Ok(seat) => events::stream(api.feeds, api.shutdown, seat).into_response(),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "too many clients listen to events"),
    }
}

/// 202 only when the events are kept.
async fn take_events(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if !is_json(&headers) {
        let error = "Content-Type: application/json is needed";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let error = format!("longer than {BODY_BYTES_MAX} bytes; send fewer events at once");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, error);
        }
        Err(rejection) => return refuse(rejection.status(), "the body did not come whole"),
    };
    let events = match api.intake.read(&body) {
        Ok(events) => events,
        Err(problem) => return refuse(StatusCode::BAD_REQUEST, problem),
    };
    match api.intake.keep(events).await {
        Ok(kept) => (StatusCode::ACCEPTED, Json(kept)).into_response(),
        Err(error) => {
            tracing::error!(error, "events of the shop can't be kept");
            refuse(StatusCode::SERVICE_UNAVAILABLE, "events can't be kept just now; try again")
        }
    }
}

/// Whether the body says that it is JSON; a form of a web page can't.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn show_promises(State(api): State<Api>) -> Result<Response, NoAnswer> {
    Ok(fresh(Json(PromisesNow::of(api.feeds.promises().await?))))
}

async fn show_robots(State(api): State<Api>) -> Result<Response, NoAnswer> {
    Ok(fresh(Json(api.feeds.robots().await?)))
}

async fn stop_robot(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, NoAnswer> {
    switch_robot(api, name, true).await
}

async fn resume_robot(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Response, NoAnswer> {
    switch_robot(api, name, false).await
}

async fn switch_robot(api: Api, name: String, stop: bool) -> Result<Response, NoAnswer> {
    Ok(match api.feeds.switch_robot(name.clone(), stop).await? {
        true => fresh(Json(Switched { name, stopped: stop })),
        false => refuse(StatusCode::NOT_FOUND, "there is no such robot in the plan"),
    })
}

fn fresh(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

pub(super) fn refuse(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Response {
    (status, Json(ApiError { error: error.into() })).into_response()
}

impl IntoResponse for NoAnswer {
    fn into_response(self) -> Response {
        let error = "the server is starting, ending or too busy to answer; try again";
        refuse(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}
