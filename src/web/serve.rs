//! The HTTP listener and its routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::feeds::{Feeds, NoAnswer};
use super::health::Health;
use super::token::{self, Gate};
use super::{events, metrics};
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
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let gate = Gate::new(settings)?;
        let failed = |why| StartError::Listen { address: settings.listen, why };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router(health, gate, Api::new(feeds, shutdown.clone()));
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
    shutdown: CancellationToken,
    listeners: Arc<Semaphore>,
}

impl Api {
    fn new(feeds: Feeds, shutdown: CancellationToken) -> Self {
        Self { feeds, shutdown, listeners: Arc::new(Semaphore::new(LISTENERS_MAX)) }
    }
}

/// An answer that is none, as JSON.
#[derive(Serialize)]
pub(super) struct ApiError {
    pub error: &'static str,
}

fn router(health: Health, gate: Gate, api: Api) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/api/state", get(show_state))
        .route("/api/events", get(listen))
        .route("/api/groups/{group}/why", get(explain_group))
        .route_layer(middleware::from_fn_with_state(gate, token::check))
        .with_state(api);
    Router::new().route("/health", get(report)).with_state(health).merge(guarded)
}

/// 200 when calls are answered, else 503 with the reasons.
async fn report(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report().await;
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
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

fn fresh(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

fn refuse(status: StatusCode, error: &'static str) -> Response {
    (status, Json(ApiError { error })).into_response()
}

impl IntoResponse for NoAnswer {
    fn into_response(self) -> Response {
        let error = "the server is starting, ending or too busy to answer; try again";
        refuse(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}
