//! Legs that we dial: all contacts of a phone ring at once, the first that is picked up wins; a number
//! outside is tried by one trunk after the other. Each leg has exactly one last word.

use std::collections::BTreeSet;

use super::super::border::{Destination, Dial, SipEvent};
use super::super::message::{NameAddr, Uri};
use super::super::registrar::{Contact, ContactId};
use super::super::transport::Flow;
use super::Agent;
use super::outside::{OutsideCall, outcome_in_time};
use super::timers::Due;
use crate::domain::{LegId, Login, RingOutcome};

/// Where one phone is reached.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub contact: ContactId,
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
    /// Where a number outside may still be tried.
    outside: Option<Box<OutsideCall>>,
}

impl Dialling {
    /// A call to a number outside, before its first INVITE.
    pub(super) fn outside(call: OutsideCall) -> Self {
        let outcome = RingOutcome::Congested;
        Self { forks: BTreeSet::new(), rings: false, outcome, outside: Some(Box::new(call)) }
    }

    pub(super) fn outside_mut(&mut self) -> Option<&mut OutsideCall> {
        self.outside.as_deref_mut()
    }

    /// The trunk whose INVITE is out.
    pub(super) fn trunk(&self) -> Option<usize> {
        self.outside.as_ref()?.trunk
    }

    /// Whether no INVITE is out.
    pub(super) fn is_idle(&self) -> bool {
        self.forks.is_empty()
    }

    pub(super) fn add(&mut self, fork: u64) {
        self.forks.insert(fork);
    }

    /// The same INVITE goes on in another transaction.
    pub(super) fn replace(&mut self, fork: u64, by: u64) {
        self.forks.remove(&fork);
        self.forks.insert(by);
    }

    /// Notes what came of an INVITE; `false`: nobody waits for it.
    pub(super) fn failed(&mut self, fork: u64, outcome: RingOutcome) -> bool {
        if !self.forks.remove(&fork) {
            return false;
        }
        if weight(outcome) > weight(self.outcome) {
            self.outcome = outcome;
        }
        true
    }
}

impl Agent {
    /// Dials a leg.
    pub(super) fn dial(&mut self, now_ms: u64, dial: &Dial) {
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
        match &dial.to {
            Destination::Account(login) => self.dial_account(now_ms, dial, login),
            Destination::Outside { number, trunks } => {
                self.dial_outside(now_ms, dial, number, trunks);
            }
        }
    }

    fn dial_account(&mut self, now_ms: u64, dial: &Dial, login: &Login) {
        let leg = dial.leg;
        let targets = self.targets_of(login);
        if targets.is_empty() {
            return self.tell_unanswered(leg, RingOutcome::Unreachable);
        }
        let forks = targets.into_iter().map(|target| self.invite(now_ms, dial, target)).collect();
        let outcome = RingOutcome::Unreachable;
        self.dialling.insert(leg, Dialling { forks, rings: false, outcome, outside: None });
        self.timers.arm(now_ms.saturating_add(dial.ring_ms), Due::RingTimeUp { leg });
    }

    /// At most [`CONTACTS_MAX`](super::super::registrar::CONTACTS_MAX).
    fn targets_of(&self, login: &Login) -> Vec<Target> {
        let contacts = self.registrar.contacts(login).into_iter();
        let target =
            |Contact { id, uri, flow, path, q: _ }| Target { uri, flow, route: path, contact: id };
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
        if dialling.failed(fork, outcome) && dialling.is_idle() {
            self.end_dialling(leg);
        }
    }

    /// Nothing is left to try.
    pub(super) fn end_dialling(&mut self, leg: LegId) {
        if let Some(dialling) = self.dialling.remove(&leg) {
            self.tell_unanswered(leg, dialling.outcome);
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
        let outcome = match self.dialling.get(&leg) {
            Some(dialling) if dialling.outside.is_some() => outcome_in_time(dialling.rings),
            Some(_) | None => RingOutcome::NoAnswer,
        };
        self.stop_ringing(now_ms, leg, outcome);
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
