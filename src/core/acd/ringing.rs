//! What becomes of an offer: an operator's phone that rings for a caller.

use crate::dialplan::plan::AfterRing;
use crate::domain::{CallFact, CallId, LineOutcome, Login, RingOutcome, Timestamp};

use super::border::{Act, OfferId};
use super::line::{Caller, Stage};
use super::operators::{Talk, Work};
use super::{Acd, Timer};

/// The rest of a phone that could not be reached, or can't take the call. The caller goes on to
/// another one at once.
const UNREACHABLE_DELAY_MS: u64 = 5_000;

/// The rest of a phone after [`AfterRing::Next`]: as good as none, but a phone that refuses every
/// call at once is not rung in a circle.
const NEXT_DELAY_MS: u64 = 1_000;

/// A phone that rings for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub call: CallId,
    pub operator: Login,
    pub since: Timestamp,
    /// Then the line itself stops the ringing.
    pub until: Timestamp,
}

impl Acd {
    /// An operator picked up. Returns the caller, who is this operator's from now on: every other
    /// phone that rings for the call is withdrawn. `None`: too late, hang up.
    pub fn answered(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        out: &mut Vec<Act>,
    ) -> Option<CallId> {
        self.begin_day(now);
        let Offer { call, operator, .. } = self.take_offer(offer)?;
        let caller = self.callers.get_mut(&call)?;
        let others = match std::mem::replace(&mut caller.stage, Stage::Waiting) {
            Stage::Ringing { mut offers, .. } => {
                offers.retain(|other| *other != offer);
                offers
            }
            Stage::Waiting | Stage::Reserved { .. } | Stage::Answered { .. } => Vec::new(),
        };
        caller.stage = Stage::Answered { operator: operator.clone() };
        let rules = caller.ticket.group.clone();
        let talk = Talk {
            call,
            group: (!caller.ticket.only_manager).then(|| rules.name.clone()),
            rules: Some(rules),
            since: now,
            began: None,
            held_ms: 0,
            on_hold_since: None,
            topic: None,
        };
        for other in others {
            self.withdraw(now, other, RingOutcome::Withdrawn, out);
        }
        if let Some(person) = self.staff.get_mut(&operator) {
            person.work = Work::Talking(talk);
            person.calls += 1;
        }
        self.talks.insert(call, operator.clone());
        self.news.operators.insert(operator);
        self.requeue(now, call);
        self.settle(now, out);
        Some(call)
    }

    /// The caller and the operator who picked up hear each other: the wait is over.
    pub fn connected(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) {
        let Some(Stage::Answered { operator }) = self.callers.get(&call).map(|c| c.stage.clone())
        else {
            return;
        };
        if let Some(person) = self.staff.get_mut(&operator)
            && let Work::Talking(talk) = &mut person.work
        {
            talk.began = Some(now);
        }
        self.leave(now, call, LineOutcome::Answered, Some(operator.clone()), out);
        Self::record(call, CallFact::Connected { operator }, out);
        self.settle(now, out);
    }

    /// A phone rang in vain. Offers that were answered or withdrawn are ignored.
    pub fn not_taken(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        outcome: RingOutcome,
        out: &mut Vec<Act>,
    ) {
        self.take_back(now, offer, outcome, out);
        self.settle(now, out);
    }

    pub(super) fn offer(
        &mut self,
        now: Timestamp,
        call: CallId,
        operator: Login,
        out: &mut Vec<Act>,
    ) -> Option<OfferId> {
        let caller = self.callers.get(&call)?;
        let ring_ms = ring_ms(now, caller);
        let until = now.plus_ms(ring_ms);
        self.last_offer += 1;
        let offer = OfferId(self.last_offer);
        self.staff.get_mut(&operator)?.work = Work::Ringing { offer, call, since: now };
        self.offers.insert(offer, Offer { call, operator: operator.clone(), since: now, until });
        self.timers.insert((until, Timer::Ring(offer)));
        self.news.operators.insert(operator.clone());
        out.push(Act::Offer { offer, call, operator, ring_ms });
        Some(offer)
    }

    pub(super) fn ring_time_is_up(&mut self, now: Timestamp, offer: OfferId, out: &mut Vec<Act>) {
        self.withdraw(now, offer, RingOutcome::NoAnswer, out);
    }

    /// Stops the ringing.
    pub(super) fn withdraw(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        outcome: RingOutcome,
        out: &mut Vec<Act>,
    ) {
        if self.offers.contains_key(&offer) {
            out.push(Act::Withdraw { offer });
            self.take_back(now, offer, outcome, out);
        }
    }

    /// Stops all phones that ring for a call.
    pub(super) fn withdraw_all(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) {
        let Some(Stage::Ringing { offers, .. }) = self.callers.get(&call).map(|c| &c.stage) else {
            return;
        };
        for offer in offers.clone() {
            self.withdraw(now, offer, RingOutcome::Withdrawn, out);
        }
    }

    pub(super) fn delay_is_over(&mut self, now: Timestamp, login: &Login) {
        let Some(person) = self.staff.get_mut(login) else { return };
        if person.delay.is_some_and(|(until, _)| until <= now) {
            person.delay = None;
            self.news.operators.insert(login.clone());
        }
    }

    fn take_offer(&mut self, offer: OfferId) -> Option<Offer> {
        let taken = self.offers.remove(&offer)?;
        self.timers.remove(&(taken.until, Timer::Ring(offer)));
        Some(taken)
    }

    /// The phone rings no more, and there is no conversation: the operator's side and the caller's.
    fn take_back(&mut self, now: Timestamp, id: OfferId, outcome: RingOutcome, out: &mut Vec<Act>) {
        let Some(offer) = self.take_offer(id) else { return };
        let rang_ms = now.since(offer.since);
        let operator = offer.operator.clone();
        Self::record(offer.call, CallFact::NotTaken { operator, outcome, rang_ms }, out);
        if let Some(person) = self.staff.get_mut(&offer.operator) {
            person.work = Work::None;
        }
        self.news.operators.insert(offer.operator.clone());

        let Some(caller) = self.callers.get_mut(&offer.call) else { return };
        if let Stage::Ringing { offers, tried } = &mut caller.stage {
            tried.insert(offer.operator.clone(), Some(outcome));
            offers.retain(|other| *other != id);
            if offers.is_empty() {
                caller.stage = Stage::Waiting;
            }
        }
        let after = after_ring(caller, outcome);
        self.requeue(now, offer.call);
        self.look_again_for(offer.call);
        if let Some(after) = after {
            self.was_not_taken(now, offer.call, &offer.operator, outcome, out);
            self.rest_after_ring(now, &offer.operator, outcome, after, out);
        }
    }

    /// The caller remembers who did not take the call, and waits for no manager who does not.
    pub(super) fn was_not_taken(
        &mut self,
        now: Timestamp,
        call: CallId,
        operator: &Login,
        outcome: RingOutcome,
        out: &mut Vec<Act>,
    ) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        caller.last_rung = Some((operator.clone(), outcome));
        if caller.manager.as_ref().is_some_and(|(manager, _)| manager == operator) {
            self.stop_awaiting_manager(now, call, out);
        }
    }

    /// What the rule says becomes of the operator.
    pub(super) fn rest_after_ring(
        &mut self,
        now: Timestamp,
        login: &Login,
        outcome: RingOutcome,
        after: AfterRing,
        out: &mut Vec<Act>,
    ) {
        let Some(person) = self.staff.get_mut(login) else { return };
        person.idle_since = now;
        let delay_ms = match after {
            AfterRing::Pause => {
                person.attendance.paused = Some(reason_of(outcome).to_owned());
                person.paused_since = now;
                self.remember(login, out);
                self.refresh(now, login, out);
                return;
            }
            AfterRing::Delay { ms } => ms.max(NEXT_DELAY_MS),
            AfterRing::Next => NEXT_DELAY_MS,
        };
        let until = now.plus_ms(delay_ms);
        person.delay = Some((until, outcome));
        self.timers.insert((until, Timer::Delay(login.clone())));
    }
}

/// How long one phone may ring for the caller: one who wants this operator alone uses up the time.
fn ring_ms(now: Timestamp, caller: &Caller) -> u64 {
    match &caller.manager {
        Some((_, until)) if caller.ticket.only_manager => until.since(now),
        Some(_) | None => caller.group().ring_ms,
    }
}

/// The rule for an outcome; `None`: the operator is simply free again.
fn after_ring(caller: &Caller, outcome: RingOutcome) -> Option<AfterRing> {
    let group = caller.group();
    match outcome {
        RingOutcome::NoAnswer => Some(group.no_answer),
        RingOutcome::Busy => Some(group.busy),
        RingOutcome::Rejected => Some(group.rejected),
        RingOutcome::Unreachable
        | RingOutcome::Failed
        | RingOutcome::Unallocated
        | RingOutcome::Blocked
        | RingOutcome::Congested => Some(AfterRing::Delay { ms: UNREACHABLE_DELAY_MS }),
        RingOutcome::Withdrawn => None,
    }
}

/// Why an operator was paused, as the console shows it.
fn reason_of(outcome: RingOutcome) -> &'static str {
    match outcome {
        RingOutcome::NoAnswer => "no answer",
        RingOutcome::Busy => "busy",
        RingOutcome::Rejected => "rejected",
        RingOutcome::Unreachable => "unreachable",
        RingOutcome::Failed => "failed",
        RingOutcome::Unallocated | RingOutcome::Blocked | RingOutcome::Congested => "not reached",
        RingOutcome::Withdrawn => "withdrawn",
    }
}
