//! Who may ask: the bearer token (RFC 6750 §2.1).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::serve::{ApiError, StartError};
use crate::config::{Secret, settings};

/// A shorter token could be guessed.
const LENGTH_MIN: usize = 16;

/// The token that is asked for; `None`: anybody on this machine may ask.
#[derive(Clone)]
pub(super) struct Gate(Option<Arc<Secret>>);

impl Gate {
    /// Refuses settings that would leave the door open.
    pub fn new(settings: &settings::Web) -> Result<Self, StartError> {
        match &settings.token {
            None if !is_loopback(settings.listen) => {
                Err(StartError::NoToken { address: settings.listen })
            }
            Some(token) if token.reveal().chars().count() < LENGTH_MIN => {
                Err(StartError::ShortToken)
            }
            token => Ok(Self(token.clone().map(Arc::new))),
        }
    }

    /// Whether anybody on this machine may ask.
    pub fn asks_nothing(&self) -> bool {
        self.0.is_none()
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.0 else { return true };
        let shown = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let Some((scheme, shown)) = shown.and_then(|value| value.split_at_checked(7)) else {
            return false;
        };
        // The time tells the length at most, never how much of the token was right.
        scheme.eq_ignore_ascii_case(b"Bearer ") && token.reveal().as_bytes().ct_eq(shown).into()
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Lets the request pass, or answers 401.
pub(super) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if gate.lets_in(request.headers()) {
        return next.run(request).await;
    }
    let error = ApiError {
        error: "a token is needed: Authorization: Bearer TOKEN, with [web] token of allo.toml"
            .into(),
    };
    let asks = [(header::WWW_AUTHENTICATE, "Bearer realm=\"allo\"")];
    (StatusCode::UNAUTHORIZED, asks, Json(error)).into_response()
}
