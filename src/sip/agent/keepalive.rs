//! Whether registered phones are there: OPTIONS to each contact, which also keeps the way through a
//! NAT open (RFC 5626 §3.5 has other means for that; OPTIONS also asks the phone itself).

use std::sync::Arc;

use super::super::message::{HeaderName, KnownMethod, Request, SipUri, Status, Uri};
use super::super::registrar::{Contact, ContactId};
use super::Agent;
use super::outgoing::Purpose;
use super::timers::Due;

/// How often it is looked for phones that are due, expired or of accounts that are gone.
const LOOK_MS: u64 = 1_000;
/// A phone that has not answered after so many T1 counts as unreachable: by then it was asked five
/// times.
const PATIENCE_T1: u64 = 16;

impl Agent {
    /// Looks after the phones from now on, as long as there are any.
    pub(super) fn watch_phones(&mut self, now_ms: u64) {
        if self.is_watching || self.registrar.is_empty() {
            return;
        }
        self.is_watching = true;
        self.timers.arm(now_ms + LOOK_MS, Due::WatchPhones);
    }

    /// [`Due::WatchPhones`]
    pub(super) fn look_after_phones(&mut self, now_ms: u64) {
        self.forget_phones(now_ms);
        for contact in self.registrar.due_probes(now_ms) {
            self.probe(now_ms, contact, PATIENCE_T1);
        }
        self.is_watching = false;
        self.watch_phones(now_ms);
    }

    /// Forgets what has expired or belongs to no account any more. A new password throws out who
    /// registered with the old one.
    pub(super) fn forget_phones(&mut self, now_ms: u64) {
        let accounts = self.settings.accounts.load_full();
        let seen = std::mem::replace(&mut self.accounts_seen, Arc::clone(&accounts));
        self.registrar.sweep(now_ms, |login| match (seen.get(login), accounts.get(login)) {
            (Some(before), Some(now)) => (&before.md5, &before.realm) == (&now.md5, &now.realm),
            (None, Some(_)) => true,
            (_, None) => false,
        });
    }

    /// Asks a phone, outside of any call; without an answer after so many T1 it is gone.
    pub(super) fn probe(&mut self, now_ms: u64, contact: Contact, patience_t1: u64) {
        let mut request = Request::new(KnownMethod::Options, contact.uri.clone());
        let flow = contact.flow;
        let us = Uri::Sip(SipUri::new(Some("allo"), self.public_ip(flow), flow.local.port()));
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        for route in &contact.path {
            headers.push(HeaderName::Route, route.to_string());
        }
        let tag = self.tokens.next_u64();
        headers.push(HeaderName::From, format!("<{us}>;tag={tag:016x}"));
        headers.push(HeaderName::To, format!("<{}>", contact.uri));
        headers.push(HeaderName::CallId, format!("{:016x}", self.tokens.next_u64()));
        headers.push(HeaderName::CSeq, "1 OPTIONS");
        headers.push(HeaderName::Accept, super::SDP);
        let client = self.send(now_ms, flow, request, Purpose::Probe(contact.id));
        let patience_ms = self.settings.timing.t1_ms.saturating_mul(patience_t1);
        self.timers.arm(now_ms + patience_ms, Due::ProbeMissed { client, contact: contact.id });
    }

    /// Any final answer shows that the phone is there; 408 may be ours, for none at all.
    pub(super) fn probe_answered(&mut self, now_ms: u64, contact: ContactId, status: Status) {
        if status == Status::REQUEST_TIMEOUT {
            self.phone_is_gone(now_ms, contact);
        } else {
            self.registrar.answered(contact);
        }
    }

    /// [`Due::ProbeMissed`]
    pub(super) fn probe_missed(&mut self, now_ms: u64, client: u64, contact: ContactId) {
        let is_unanswered = |client: &super::Client| client.is_unanswered();
        if self.clients.get(&client).is_some_and(is_unanswered) {
            self.phone_is_gone(now_ms, contact);
        }
    }
}
