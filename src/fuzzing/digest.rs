//! Digest: credentials of phones, challenges of providers.

use std::net::SocketAddr;

use crate::domain::{Account, Accounts, DigestChoice};
use crate::sip::auth::client::Challenge;
use crate::sip::auth::credentials::Credentials;
use crate::sip::auth::{Attempt, Authenticator, Verdict};
use crate::sip::message::{HeaderName, Headers, Status, Uri};

const NOW_MS: u64 = 1_700_000_000_000;

/// The value of an Authorization or WWW-Authenticate header.
pub(super) fn header(input: &[u8]) {
    // What a parser of messages would let through.
    if input.contains(&b'\r') || input.contains(&b'\n') {
        return;
    }
    let mut headers = Headers::default();
    headers.push(HeaderName::Authorization, input.to_vec());
    headers.push(HeaderName::WwwAuthenticate, input.to_vec());
    if let Ok(challenge) = Challenge::strongest(Status::UNAUTHORIZED, &headers, None) {
        let (_, value) = challenge.answer("us\"er", "password", "INVITE", "sip:a@b", "cnonce");
        assert!(!value.contains("password"));
        if let Some(read) = Credentials::parse(&value) {
            assert_eq!((read.username.as_str(), &read.realm), ("us\"er", &challenge.realm));
            assert_eq!(read.uri, "sip:a@b");
        }
    }
    let credentials = Credentials::all(&headers, &[HeaderName::Authorization]);
    let mut accounts = Accounts::new();
    if let Ok(login) = "anna".parse() {
        let account = Account::new(login, "allo", "never-shown", None);
        accounts.insert(account.login.clone(), account);
    }
    let Ok(uri) = Uri::parse("sip:allo") else { unreachable!("a URI") };
    let source = SocketAddr::from(([198, 51, 100, 7], 5060));
    let mut authenticator = Authenticator::new("allo".to_owned(), DigestChoice::Both, [1, 2]);
    let attempt = Attempt { credentials: &credentials, method: "REGISTER", uri: &uri, source };
    let verdict = authenticator.verify(NOW_MS, &accounts, &attempt, |_| false);
    assert!(!matches!(verdict, Verdict::Proven(_)), "nobody was told the password");
}
