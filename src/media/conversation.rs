//! Who hears whom: legs of one worker that are joined, and the supervisor of a conversation.

use super::border::Monitoring;
use super::burst::Burst;
use super::legs::Legs;
use super::mixer::Voice;
use super::outbox::Outbox;
use super::relay::Speech;

/// What a supervisor does, by the numbers of the legs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    operator: u32,
    customer: u32,
    mode: Monitoring,
}

impl Legs {
    /// Joins two legs, each of which leaves the bridge that it is in. What both play is cut.
    /// `changed` gets the legs that may have to begin or end their frames.
    pub fn bridge(&mut self, a: u32, b: u32, outbox: &mut Outbox, changed: &mut Vec<u32>) {
        if a == b {
            return;
        }
        for (leg, partner) in [(a, b), (b, a)] {
            self.unbridge(leg, changed);
            if let Some(leg) = self.get(leg) {
                leg.join(partner, outbox);
            }
        }
        changed.extend([a, b]);
    }

    /// Parts a leg from all who hear it: it and its partner go back to what they play, or to
    /// silence, and a supervisor hears nobody any more.
    pub fn unbridge(&mut self, number: u32, changed: &mut Vec<u32>) {
        self.end_monitoring(number, changed);
        let Some(partner) = self.get(number).and_then(|leg| leg.partner) else {
            return;
        };
        for number in [number, partner] {
            if let Some(leg) = self.get(number) {
                leg.part();
            }
            changed.push(number);
        }
    }

    /// Lets a supervisor hear the conversation of an operator, or changes what the supervisor does
    /// in it. A conversation has one supervisor; the newer one takes the place.
    pub fn monitor(
        &mut self,
        supervisor: u32,
        operator: u32,
        mode: Monitoring,
        changed: &mut Vec<u32>,
    ) {
        let Some(customer) = self.get(operator).and_then(|leg| leg.partner) else {
            return;
        };
        if supervisor == operator || supervisor == customer {
            return;
        }
        let before = self.get(operator).and_then(|leg| leg.supervisor);
        if before != Some(supervisor) {
            self.end_monitoring(operator, changed);
            self.unbridge(supervisor, changed);
        }
        if let Some(leg) = self.get(supervisor) {
            leg.listening = Some(Listening { operator, customer, mode });
            leg.mix(true);
        }
        let hears = [(operator, mode != Monitoring::Listen), (customer, mode == Monitoring::Barge)];
        for (number, hears_supervisor) in hears {
            if let Some(leg) = self.get(number) {
                leg.supervisor = Some(supervisor);
                leg.mix(hears_supervisor);
            }
        }
        changed.extend([supervisor, operator, customer]);
    }

    /// Ends the monitoring in which this leg has a part.
    fn end_monitoring(&mut self, number: u32, changed: &mut Vec<u32>) {
        let supervisor = self.get(number).and_then(|leg| leg.supervisor).unwrap_or(number);
        let listening = self.get(supervisor).and_then(|leg| leg.listening.take());
        let Some(Listening { operator, customer, mode: _ }) = listening else {
            return;
        };
        for number in [supervisor, operator, customer] {
            if let Some(leg) = self.get(number) {
                leg.supervisor = None;
                leg.mix(false);
            }
            changed.push(number);
        }
    }

    /// Lets the others hear what came on a leg.
    pub fn pass_on(&mut self, from: u32, speech: &Speech<'_>, now_us: u64, burst: &mut Burst) {
        let Some(leg) = self.get(from) else {
            return;
        };
        let (partner, supervisor, listening) = (leg.partner, leg.supervisor, leg.listening);
        if let Some(partner) = partner.and_then(|partner| self.get(partner)) {
            partner.hear(Voice::Partner, speech, now_us, burst);
        }
        if let Some(leg) = supervisor.and_then(|supervisor| self.get(supervisor)) {
            let is_operator = leg.listening.is_some_and(|it| it.operator == from);
            let voice = if is_operator { Voice::Partner } else { Voice::Third };
            leg.hear(voice, speech, now_us, burst);
        }
        let Some(Listening { operator, customer, mode }) = listening else {
            return;
        };
        let hearers: &[u32] = match mode {
            Monitoring::Listen => &[],
            Monitoring::Whisper => &[operator],
            Monitoring::Barge => &[operator, customer],
        };
        for &hearer in hearers {
            if let Some(leg) = self.get(hearer) {
                leg.hear(Voice::Third, speech, now_us, burst);
            }
        }
    }
}
