//! The running server as a command sees it: through its HTTP API.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::config::Config;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Where the server answers, and what shows that we may ask.
pub struct RunningServer {
    address: SocketAddr,
    token: Option<String>,
    agent: ureq::Agent,
}

impl RunningServer {
    /// The server that runs with these settings, if it does.
    pub fn of(config: &Config) -> Self {
        let mut address = config.web.listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            .build()
            .into();
        let token = config.web.token.as_ref().map(|token| token.reveal().to_owned());
        Self { address, token, agent }
    }

    /// `None`: there is nothing by this name (404).
    pub fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let mut request = self.agent.get(format!("http://{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.call())
    }

    /// A request without a body; the same.
    pub fn post(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let mut request = self.agent.post(format!("http://{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.send_empty())
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<Option<Value>> {
        let address = self.address;
        let mut answer = answer
            .with_context(|| format!("no server answers on {address}; is allo serve running?"))?;
        match answer.status().as_u16() {
            200 => Ok(Some(answer.body_mut().read_json()?)),
            404 => Ok(None),
            401 | 403 => bail!("the server wants the token of [web]; set it here, too"),
            503 => bail!("the server is starting, ending or too busy to answer; try again"),
            status => bail!("the server answers {status}"),
        }
    }
}

/// Percent-encoded (RFC 3986 §2.1), for one segment of a path.
pub fn escaped(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(escaped("support-2"), "support-2");
        assert_eq!(escaped("a/b ж"), "a%2Fb%20%D0%B6");
    }
}
