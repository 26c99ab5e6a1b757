//! Legs that we dial: all contacts of a phone ring at once, the first that is picked up wins, and
//! each leg has exactly one last word.

use std::collections::BTreeSet;

use super::super::border::{Destination, Dial, SipEvent};
use super::super::message::{NameAddr, SipUri, Uri};
use super::super::registrar::{Contact, ContactId};
use super::super::transport::Flow;
use super::Agent;
use super::timers::Due;
use crate::domain::{LegId, Login, RingOutcome};

/// Where one phone is reached.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    /// `None`: no phone of an account.
    pub contact: Option<ContactId>,
    /// The Request-URI.
    pub uri: Uri,
    pub flow: Flow,
    /// First hop first.
    pub route: Vec<NameAddr>,
}

/// A leg that we dial, until it is picked up.
#[derive(Debug)]
pub(super) struct Dialling {
    /// The INVITEs that may still be answered.
    forks: BTreeSet<u64>,
    rings: bool,
    /// The best that came of the others.
    outcome: RingOutcome,
}

impl Agent {
    /// Dials a leg. `way` is how a [`Destination::Uri`] is reached.
    pub fn dial(&mut self, now_ms: u64, dial: &Dial, way: Option<Flow>) {
        let leg = dial.leg;
        if self.legs.contains_key(&leg) || self.dialling.contains_key(&leg) {
            tracing::error!(%leg, "a leg is dialled twice");
            return;
        }
        let limits = self.settings.limits;
        let room = self.calls() < limits.legs_max
            && self.servers.len() + self.clients.len() < limits.transactions_max;
        if !room {
            return self.tell_unanswered(leg, RingOutcome::Failed);
        }
        let targets = match &dial.to {
            Destination::Account(login) => self.targets_of(login),
            Destination::Uri(uri) => target_at(uri, way).into_iter().collect(),
        };
        if targets.is_empty() {
            return self.tell_unanswered(leg, RingOutcome::Unreachable);
        }
        let forks = targets.into_iter().map(|target| self.invite(now_ms, dial, target)).collect();
        let outcome = RingOutcome::Unreachable;
        self.dialling.insert(leg, Dialling { forks, rings: false, outcome });
        self.timers.arm(now_ms.saturating_add(dial.ring_ms), Due::RingTimeUp { leg });
    }

    /// At most [`CONTACTS_MAX`](super::super::registrar::CONTACTS_MAX).
    fn targets_of(&self, login: &Login) -> Vec<Target> {
        let contacts = self.registrar.contacts(login).into_iter();
        let target = |Contact { id, uri, flow, path, q: _ }| {
            let contact = Some(id);
            Target { uri, flow, route: path, contact }
        };
        contacts.map(target).collect()
    }

    /// A phone rings; told once.
    pub(super) fn fork_rings(&mut self, leg: LegId, fork: u64) {
        let dialling =
            self.dialling.get_mut(&leg).filter(|dialling| dialling.forks.contains(&fork));
        let Some(dialling) = dialling.filter(|dialling| !dialling.rings) else { return };
        dialling.rings = true;
        self.outbox.events.push(SipEvent::Ringing { leg });
    }

    /// Whether this INVITE may still win its leg.
    pub(super) fn is_wanted(&self, leg: LegId, fork: u64) -> bool {
        self.dialling.get(&leg).is_some_and(|dialling| dialling.forks.contains(&fork))
    }

    /// One INVITE has come to nothing; the others go on.
    pub(super) fn fork_failed(&mut self, leg: LegId, fork: u64, outcome: RingOutcome) {
        let Some(dialling) = self.dialling.get_mut(&leg) else { return };
        if !dialling.forks.remove(&fork) {
            return;
        }
        if weight(outcome) > weight(dialling.outcome) {
            dialling.outcome = outcome;
        }
        if dialling.forks.is_empty() {
            let outcome = dialling.outcome;
            self.dialling.remove(&leg);
            self.tell_unanswered(leg, outcome);
        }
    }

    /// A phone was picked up: all others are given up.
    pub(super) fn fork_won(&mut self, now_ms: u64, leg: LegId, winner: u64) {
        let Some(dialling) = self.dialling.remove(&leg) else { return };
        for fork in dialling.forks.into_iter().filter(|fork| *fork != winner) {
            self.give_up_fork(now_ms, fork);
        }
    }

    pub(super) fn ring_time_up(&mut self, now_ms: u64, leg: LegId) {
        self.stop_ringing(now_ms, leg, RingOutcome::NoAnswer);
    }

    /// The app does not want the call any more.
    pub(super) fn withdraw(&mut self, now_ms: u64, leg: LegId) {
        self.stop_ringing(now_ms, leg, RingOutcome::Withdrawn);
    }

    fn stop_ringing(&mut self, now_ms: u64, leg: LegId, outcome: RingOutcome) {
        let Some(dialling) = self.dialling.remove(&leg) else { return };
        for fork in dialling.forks {
            self.give_up_fork(now_ms, fork);
        }
        self.tell_unanswered(leg, outcome);
    }

    fn tell_unanswered(&mut self, leg: LegId, outcome: RingOutcome) {
        self.outbox.events.push(SipEvent::Unanswered { leg, outcome });
    }
}

/// Of several phones of one person: the more a person had to do with it, the more it says.
fn weight(outcome: RingOutcome) -> u8 {
    match outcome {
        RingOutcome::Rejected | RingOutcome::Blocked => 5,
        RingOutcome::Busy => 4,
        RingOutcome::NoAnswer => 3,
        RingOutcome::Failed | RingOutcome::Unallocated => 2,
        RingOutcome::Unreachable | RingOutcome::Congested => 1,
        RingOutcome::Withdrawn => 0,
    }
}

/// What a Request-URI must not hold is left out (RFC 3261 §19.1.5).
fn target_at(uri: &str, way: Option<Flow>) -> Option<Target> {
    let Ok(Uri::Sip(uri)) = Uri::parse(uri) else { return None };
    let uri = Uri::Sip(SipUri { headers: None, ..uri });
    Some(Target { uri, flow: way?, route: Vec::new(), contact: None })
}
