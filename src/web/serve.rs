//! The HTTP listener.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::health::Health;

/// How long requests under way may take once the server is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Why HTTP could not start.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address} for HTTP: {why}; change [web] listen, or stop what uses it")]
pub struct StartError {
    pub address: SocketAddr,
    pub why: std::io::Error,
}

/// The running HTTP server.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Web {
    /// Listens on `listen` (port 0: any free one) and answers until `shutdown` is cancelled.
    pub async fn start(
        listen: SocketAddr,
        health: Health,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let failed = |why| StartError { address: listen, why };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = axum::serve(listener, router(health))
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

fn router(health: Health) -> Router {
    Router::new().route("/health", get(report)).with_state(health)
}

/// 200 when calls are answered, else 503 with the reasons.
async fn report(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report().await;
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn get_health(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: allo\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn health_is_200_once_every_part_is_well_and_503_with_the_reason_before() {
        let health = Health::new(|| async { Ok(()) });
        let shutdown = CancellationToken::new();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let web = Web::start(anywhere, health.clone(), shutdown.clone()).await.unwrap();
        let address = web.address();
        health.set_sip(Ok(()));
        let answer = get_health(address).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("the plan has not started yet"), "{answer}");
        health.set_plan(Ok(()));
        let answer = get_health(address).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("\"status\":\"ok\""), "{answer}");
        health.set_draining();
        assert!(get_health(address).await.starts_with("HTTP/1.1 503"));
        shutdown.cancel();
        web.ended().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_database_that_takes_no_write_is_a_reason() {
        let health = Health::new(|| async { Err("the disk is full".to_owned()) });
        health.set_sip(Ok(()));
        health.set_plan(Ok(()));
        let report = health.report().await;
        assert!(!report.is_ok());
        assert_eq!(report.reasons["database"], "the disk is full");
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = taken.local_addr().unwrap();
        let health = Health::new(|| async { Ok(()) });
        let error = Web::start(address, health, CancellationToken::new()).await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
