//! Who hears whom: legs of one worker that are joined.

use super::legs::Legs;
use super::outbox::Outbox;
use super::relay::Speech;

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

    /// Parts a leg from its partner: both go back to what they play, or to silence.
    pub fn unbridge(&mut self, number: u32, changed: &mut Vec<u32>) {
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

    /// Lets the others hear what came on a leg.
    pub fn pass_on(&mut self, from: u32, speech: &Speech<'_>, now_us: u64, buffer: &mut [u8]) {
        let Some(leg) = self.get(from) else {
            return;
        };
        if let Some(partner) = leg.partner.and_then(|partner| self.get(partner)) {
            partner.hear(speech, now_us, buffer);
        }
    }
}
