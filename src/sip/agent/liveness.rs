//! A phone that dies in the middle of something (killed, unplugged) is found out within seconds: in
//! a call that has fallen silent by an OPTIONS inside it (RFC 3261 §11.2), while it rings by OPTIONS
//! beside the INVITE, and afterwards by a CANCEL that nobody answers.

use super::super::message::{HeaderName, KnownMethod, Status};
use super::super::registrar::ContactId;
use super::leg::Stage;
use super::outgoing::{Client, Purpose};
use super::timers::Due;
use super::{Agent, SDP};
use crate::domain::{EndReason, EndedBy, LegId, RingOutcome};

/// A phone that was answering a moment ago, and now has not answered after so many T1 (2 s: the
/// request went out three times, and the last one had 0.5 s), is taken for gone.
pub(super) const ANSWER_T1: u64 = 4;
/// How often a phone that rings is asked whether it is still there: one that was killed would else
/// ring for its whole time in our books alone.
const RINGING_ASKED_MS: u64 = 3_000;

impl Agent {
    /// Nothing is heard from the phone of this leg: is it still there? Only who is known to answer
    /// OPTIONS is asked: silence proves nothing about the others.
    pub(super) fn probe_leg(&mut self, now_ms: u64, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !matches!(leg.stage, Stage::Up) || !leg.answers_options || leg.probe.is_some() {
            return;
        }
        let mut request = leg.dialog.request(KnownMethod::Options);
        request.headers.push(HeaderName::Accept, SDP);
        let Some(client) = self.send_request(now_ms, id, request) else { return };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.probe = Some(client);
        }
        self.timers.arm(now_ms + self.answer_ms(), Due::LegSilent { leg: id, client });
    }

    /// A final answer to the OPTIONS, or `is_there`: false, none at all. A phone that is there but
    /// has lost the call (481: it was started anew) has lost it for its peer, too.
    pub(super) fn leg_probed(
        &mut self,
        now_ms: u64,
        client: u64,
        id: LegId,
        status: Status,
        is_there: bool,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.probe.take_if(|probe| *probe == client).is_none() {
            return;
        }
        if !is_there {
            self.leg_is_gone(now_ms, id);
        } else if status == Status::NO_SUCH_CALL || status == Status::REQUEST_TIMEOUT {
            self.hang_up(now_ms, id, EndedBy::Network, EndReason::SignallingFailed);
        }
    }

    /// [`Due::LegSilent`]
    pub(super) fn leg_silent(&mut self, now_ms: u64, id: LegId, client: u64) {
        let leg = self.legs.get_mut(&id);
        if leg.and_then(|leg| leg.probe.take_if(|probe| *probe == client)).is_some() {
            self.leg_is_gone(now_ms, id);
        }
    }

    fn leg_is_gone(&mut self, now_ms: u64, id: LegId) {
        let Some(leg) = self.legs.get(&id) else { return };
        tracing::info!(leg = %id, "a phone does not answer any more in the middle of its call");
        // Before the end of the call, so that nobody rings this phone for the one who is left.
        if let Some(contact) = leg.contact {
            self.phone_is_gone(now_ms, contact);
        }
        self.hang_up(now_ms, id, EndedBy::Network, EndReason::SignallingFailed);
    }

    /// The phone gives no answer: that is told at once, and where it rings the call is taken away.
    pub(super) fn phone_is_gone(&mut self, now_ms: u64, contact: ContactId) {
        self.registrar.failed(contact);
        self.outbox.events.extend(self.registrar.take_changes());
        let rings = |client: &Client| match &client.purpose {
            Purpose::Fork(fork) if fork.contact == Some(contact) => Some(fork.leg),
            Purpose::Fork(_)
            | Purpose::Leg(_)
            | Purpose::Subscription(_)
            | Purpose::Probe(_)
            | Purpose::Register { .. }
            | Purpose::TrunkProbe { .. }
            | Purpose::Nothing => None,
        };
        let forks = self.clients.iter().filter_map(|(&id, client)| Some((id, rings(client)?)));
        let forks: Vec<(u64, LegId)> =
            forks.filter(|(id, leg)| self.is_wanted(*leg, *id)).collect();
        for (fork, leg) in forks {
            self.give_up_fork(now_ms, fork);
            self.fork_failed(leg, fork, RingOutcome::Unreachable);
        }
    }

    /// The phone answered something.
    pub(super) fn phone_spoke(&mut self, contact: Option<ContactId>) {
        if let Some(contact) = contact {
            self.registrar.answered(contact);
        }
    }

    /// A phone has begun to ring, or was asked whether it still does.
    pub(super) fn ask_ringing_later(&mut self, now_ms: u64, client: u64) {
        self.timers.arm(now_ms + RINGING_ASKED_MS, Due::StillRinging { client });
    }

    /// [`Due::StillRinging`]
    pub(super) fn ask_ringing(&mut self, now_ms: u64, client: u64) {
        let Some(fork) = self.fork_mut(client) else { return };
        let (leg, contact) = (fork.leg, fork.contact);
        if !self.is_wanted(leg, client) {
            return;
        }
        if let Some(contact) = contact.and_then(|contact| self.registrar.contact(contact)) {
            self.probe(now_ms, contact, ANSWER_T1);
            self.ask_ringing_later(now_ms, client);
        }
    }

    /// Our CANCEL has been out for a while. A phone that is there answers it, or the INVITE.
    pub(super) fn cancel_silent(&mut self, now_ms: u64, invite: u64, cancel: u64) {
        let is_open = |id| self.clients.get(id).is_some_and(Client::is_unanswered);
        if !is_open(&invite) || !is_open(&cancel) {
            return;
        }
        if let Some(contact) = self.fork_mut(invite).and_then(|fork| fork.contact) {
            self.phone_is_gone(now_ms, contact);
        }
    }

    pub(super) fn answer_ms(&self) -> u64 {
        self.settings.timing.t1_ms.saturating_mul(ANSWER_T1)
    }
}
