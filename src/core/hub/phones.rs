//! What happens at a phone finds what its leg is there for.

use crate::domain::{
    CallFact, EndReason, EndedBy, Key, KeySource, LegId, PlayId, RingOutcome, Timestamp,
};

use super::super::event::{Command, Refusal};
use super::Hub;
use super::calls::refuse_overloaded;
use super::legs::{Errand, Role};

impl Hub {
    /// Nothing is heard of a phone: it may be muted, or gone.
    pub(super) fn media_quiet(&self, leg: LegId, out: &mut Vec<Command>) {
        let is_known = self.legs.contains_key(&leg);
        out.extend(is_known.then_some(Command::Probe { leg }));
    }

    pub(super) fn no_room(&mut self, now: Timestamp, leg: LegId, out: &mut Vec<Command>) {
        match self.legs.get(&leg) {
            Some(&Role::Caller(call)) => {
                self.legs.remove(&leg);
                if let Some(entry) = self.calls.remove(&call) {
                    self.caller_is_here(now, &entry.caller, false);
                    refuse_overloaded(call, leg, out);
                }
            }
            Some(Role::Desk(_)) => {
                out.push(Command::Reject { leg, why: Refusal::Overloaded });
                self.leg_ended(now, leg, EndedBy::Server, EndReason::Busy, out);
            }
            // Ours to mend: it does not count against the customer.
            Some(Role::Customer(_)) => self.unanswered(now, leg, RingOutcome::Congested, out),
            Some(_) => self.unanswered(now, leg, RingOutcome::Failed, out),
            None => {}
        }
    }

    pub(super) fn confirmed(&mut self, now: Timestamp, leg: LegId, out: &mut Vec<Command>) {
        match self.legs.get(&leg) {
            Some(&Role::Caller(call)) => {
                self.with(call, now, out, |c, out| c.flow.on_confirmed(now, out));
            }
            Some(Role::Desk(_)) => self.desk_confirmed(now, leg, out),
            Some(_) | None => {}
        }
    }

    pub(super) fn key_pressed(
        &mut self,
        now: Timestamp,
        leg: LegId,
        key: Key,
        source: KeySource,
        out: &mut Vec<Command>,
    ) {
        match self.legs.get(&leg) {
            Some(&Role::Caller(call)) => {
                self.customer_pressed(now, call);
                self.with(call, now, out, |c, out| {
                    out.push(Command::Record { call, fact: CallFact::Key { key, source } });
                    c.flow.on_key(now, key, out);
                });
            }
            Some(_) => self.phone_key(leg, key, out),
            None => {}
        }
    }

    pub(super) fn play_ended(
        &mut self,
        now: Timestamp,
        leg: LegId,
        play: PlayId,
        cut_after_ms: Option<u64>,
        out: &mut Vec<Command>,
    ) {
        match self.legs.get(&leg) {
            Some(&Role::Caller(call)) => self.with(call, now, out, |c, out| {
                c.flow.on_play_ended(now, play, cut_after_ms, out);
            }),
            Some(Role::Rung(_)) => self.whispered(now, leg, out),
            Some(Role::Desk(_)) => self.desk_told(leg, out),
            Some(_) | None => {}
        }
    }

    pub(super) fn leg_ended(
        &mut self,
        now: Timestamp,
        leg: LegId,
        by: EndedBy,
        reason: EndReason,
        out: &mut Vec<Command>,
    ) {
        match self.legs.get(&leg) {
            Some(&Role::Caller(call)) => self.caller_ended(now, call, by, reason, out),
            Some(_) => self.phone_ended(now, leg, by, out),
            None => {}
        }
    }

    pub(super) fn answered(&mut self, now: Timestamp, leg: LegId, out: &mut Vec<Command>) {
        match self.legs.get(&leg).cloned() {
            Some(Role::Rung(rung)) => self.offer_answered(now, leg, &rung, out),
            Some(Role::Customer(call)) => self.customer_answered(now, leg, call, out),
            Some(Role::Receiver(receiver)) => self.receiver_answered(now, leg, receiver, out),
            Some(Role::Colleague { desk, operator, .. }) => {
                self.legs.insert(leg, Role::Colleague { desk, operator, is_up: true });
                out.push(Command::Answer { leg: desk });
                self.bridge(desk, leg, out);
            }
            Some(
                Role::Caller(_) | Role::Talker { .. } | Role::AfterTalk { .. } | Role::Desk(_),
            )
            | None => {}
        }
    }

    pub(super) fn ringing(&mut self, leg: LegId, out: &mut Vec<Command>) {
        if let Some(Role::Colleague { desk, .. }) = self.legs.get(&leg) {
            out.push(Command::Ring { leg: *desk });
        }
    }

    pub(super) fn unanswered(
        &mut self,
        now: Timestamp,
        leg: LegId,
        outcome: RingOutcome,
        out: &mut Vec<Command>,
    ) {
        match self.legs.remove(&leg) {
            Some(Role::Rung(rung)) => self.offer_not_taken(now, &rung, outcome, out),
            Some(Role::Customer(call)) => self.customer_unreached(now, call, outcome, out),
            Some(Role::Receiver(receiver)) => self.receiver_lost(now, &receiver, out),
            Some(Role::Colleague { desk, operator, .. }) => {
                self.colleague_gone(now, desk, operator.as_ref(), Some(outcome), out);
            }
            Some(role @ (Role::Caller(_) | Role::Desk(_))) => drop(self.legs.insert(leg, role)),
            Some(Role::Talker { .. } | Role::AfterTalk { .. }) | None => {}
        }
    }

    /// A phone of ours is gone, by itself (`by` is the network) or hung up.
    pub(super) fn phone_ended(
        &mut self,
        now: Timestamp,
        leg: LegId,
        by: EndedBy,
        out: &mut Vec<Command>,
    ) {
        let Some(role) = self.legs.remove(&leg) else { return };
        self.unbridge(leg, out);
        match role {
            Role::Caller(_) => drop(self.legs.insert(leg, role)),
            Role::Rung(rung) => self.offer_not_taken(now, &rung, RingOutcome::Failed, out),
            Role::Customer(call) => {
                self.customer_unreached(now, call, RingOutcome::Failed, out);
            }
            Role::Receiver(receiver) => self.receiver_lost(now, &receiver, out),
            Role::Talker { call, operator } => self.talker_gone(now, call, leg, operator, by, out),
            Role::AfterTalk { operator, typed } => {
                // Hung up instead of `#`.
                self.set_topic(&operator, &typed);
            }
            Role::Desk(desk) => self.desk_gone(now, desk, by, out),
            Role::Colleague { desk, operator, .. } => {
                self.colleague_gone(now, desk, operator.as_ref(), None, out);
            }
        }
    }

    /// A key on a phone that is not a caller's.
    pub(super) fn phone_key(&mut self, leg: LegId, key: Key, out: &mut Vec<Command>) {
        match self.legs.get_mut(&leg) {
            Some(Role::AfterTalk { .. }) => self.topic_key(leg, key, out),
            Some(Role::Talker { call, .. }) => {
                let call = *call;
                self.talker_key(call, leg, key, out);
            }
            Some(Role::Desk(desk)) => {
                if let Errand::Monitor { target } = desk.errand {
                    monitor_key(leg, target, key, out);
                }
            }
            Some(
                Role::Caller(_)
                | Role::Customer(_)
                | Role::Rung(_)
                | Role::Receiver(_)
                | Role::Colleague { .. },
            )
            | None => {}
        }
    }
}

/// While a supervisor listens: 1 listens, 2 whispers to the operator, 3 joins in.
fn monitor_key(supervisor: LegId, operator: LegId, key: Key, out: &mut Vec<Command>) {
    use super::super::event::Monitoring::{Barge, Listen, Whisper};
    let mode = match key.as_char() {
        '1' => Listen,
        '2' => Whisper,
        '3' => Barge,
        _ => return,
    };
    out.push(Command::Monitor { supervisor, operator, mode });
}
