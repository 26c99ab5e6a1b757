//! What types can't say of a trunk.

use super::super::settings::Sip;
use super::super::values::Transport;
use super::{Trunk, TrunkFrom};
use crate::domain::PhoneNumber;

/// A mistake of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub key: &'static str,
    pub message: &'static str,
    pub hint: &'static str,
}

impl Trunk {
    /// All that can't work together; `is_taken`: another trunk has this name.
    pub(in super::super) fn mistakes(&self, sip: &Sip, is_taken: bool) -> Vec<Mistake> {
        [self.identity_mistakes(sip, is_taken), self.traffic_mistakes(sip)].concat()
    }

    /// Who we are for the provider.
    fn identity_mistakes(&self, sip: &Sip, is_taken: bool) -> Vec<Mistake> {
        let has_user = self.username.is_some();
        let has_password = self.password.is_some();
        let is_number = |text: &str| PhoneNumber::parse(text, sip.region).is_some();
        let number = self.caller_id.as_deref();
        let label = self.label.as_deref().unwrap_or_default();
        let mut found = Vec::new();
        let mut check = |is_wrong: bool, key, message, hint| {
            found.extend(is_wrong.then_some(Mistake { key, message, hint }));
        };
        check(is_taken, "name", "two trunks have this name", "name each differently");
        check(self.name.trim().is_empty(), "name", "a trunk needs a name", "fill it in");
        let hint = "add username";
        check(self.register && !has_user, "register", "nobody registers without a username", hint);
        check(has_password && !has_user, "password", "a password needs a username", hint);
        let realm = self.realm.as_deref();
        let hint = "add password";
        check(realm.is_some() && !has_password, "realm", "there is no password to prove", hint);
        let hint = "write it as the provider does, or leave it out";
        check(realm.is_some_and(str::is_empty), "realm", "no provider has an empty realm", hint);
        let asks_for_user = self.from == TrunkFrom::Username;
        check(asks_for_user && !has_user, "from", "there is no username", hint);
        let hint = "write it like \"+78003334455\"";
        check(number.is_some_and(|text| !is_number(text)), "caller-id", "not a phone number", hint);
        let is_long = label.chars().count() > Self::LABEL_MAX;
        let hint = "networks pass no more on; shorten it";
        check(is_long, "label", "longer than 32 characters", hint);
        found
    }

    /// How much goes where.
    fn traffic_mistakes(&self, sip: &Sip) -> Vec<Mistake> {
        let mut found = Vec::new();
        let mut check = |is_wrong: bool, key, message, hint| {
            found.extend(is_wrong.then_some(Mistake { key, message, hint }));
        };
        let is_tls = self.transport == Transport::Tls;
        let is_spoken = sip.listen.is_empty()
            || sip.listen.iter().any(|listen| listen.transport == self.transport);
        check(self.max_calls == 0, "max-calls", "nobody could be called", "use at least 1");
        let starts = self.starts_per_second;
        check(starts == 0, "starts-per-second", "nobody could be called", "use at least 1");
        let message = "the provider would be asked without end";
        let hint = "write at least \"5s\", or \"0s\" for never";
        check((1..5_000).contains(&self.keepalive.as_ms()), "keepalive", message, hint);
        let message = "nothing in [sip] listen speaks it";
        check(!is_tls && !is_spoken, "transport", message, "add such an address to listen");
        let has_authorities = self.authorities.is_some();
        let hint = "add transport = \"tls\"";
        check(has_authorities && !is_tls, "authorities", "only tls has certificates", hint);
        found
    }
}
