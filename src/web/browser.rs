//! What a page of somebody else may not do with the browser of whoever works on this machine.
//!
//! Without a token everybody on this machine may ask, their browser included. A browser names the
//! page that sends a request (Origin, RFC 6454) and where it believes to be (Host): a foreign page is
//! told by the first, a foreign name that was pointed at this machine by the second.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::serve::refuse;
use super::token::Gate;

/// Lets a request pass unless it changes something and comes from a foreign page.
pub(super) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let is_harmless = request.method().is_safe();
    if is_harmless || is_ours(request.headers(), gate.asks_nothing()) {
        return next.run(request).await;
    }
    refuse(StatusCode::FORBIDDEN, "requests of web pages are not taken here")
}

fn is_ours(headers: &HeaderMap, asks_nothing: bool) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_own_page = match headers.get(header::ORIGIN).map(|origin| origin.to_str()) {
        None => true,
        Some(Ok(origin)) => {
            let page = origin.split_once("://").map(|(_, page)| page);
            page.zip(host).is_some_and(|(page, host)| page.eq_ignore_ascii_case(host))
        }
        Some(Err(_)) => false,
    };
    is_own_page && (!asks_nothing || host.is_none_or(names_this_machine))
}

/// `localhost` or an address, with or without a port.
fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_server_itself_and_programs_may_change_something() {
        for (host, origin, with_token, without) in [
            (Some("127.0.0.1:8080"), None, true, true),
            (Some("localhost:8080"), Some("http://localhost:8080"), true, true),
            (Some("[::1]:8080"), None, true, true),
            (None, None, true, true),
            (Some("127.0.0.1:8080"), Some("http://shop.example"), false, false),
            (Some("127.0.0.1:8080"), Some("http://127.0.0.1:3000"), false, false),
            (Some("127.0.0.1:8080"), Some("null"), false, false),
            (Some("evil.example:8080"), Some("http://evil.example:8080"), true, false),
            (Some("hotline.shop.example"), None, true, false),
        ] {
            let mut headers = HeaderMap::new();
            host.map(|host: &str| headers.insert(header::HOST, host.parse().unwrap()));
            origin.map(|origin: &str| headers.insert(header::ORIGIN, origin.parse().unwrap()));
            assert_eq!(is_ours(&headers, false), with_token, "{host:?} {origin:?}");
            assert_eq!(is_ours(&headers, true), without, "{host:?} {origin:?}");
        }
    }
}
