//! What a caller leaves to be heard later: after a beep, until a key, silence, or the limit.

use crate::dialplan::waiting;
use crate::domain::Timestamp;

use super::deeds::Deed;
use super::{Command, Flow, Next, Waiting, recording};

impl Flow {
    /// Everything that was said before is heard first, and then the beep.
    pub(super) fn message(&mut self, max_ms: u64, now: Timestamp, out: &mut Vec<Command>) -> Next {
        self.typed_ahead.clear();
        self.say_in_any_case([recording(waiting::BEEP)], now, out);
        Next::Wait(Waiting::Beep { max_ms })
    }

    pub(super) fn begin_message(&mut self, max_ms: u64, now: Timestamp) {
        self.deeds.push(Deed::Message { max_ms });
        self.waiting = Waiting::Message { until: now.plus_ms(max_ms) };
    }

    /// The caller said by a key that this was all, or it is long enough.
    pub(super) fn end_message(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        self.deeds.push(Deed::StopMessage);
        self.run(now, out);
    }

    /// The recording ended by itself: the caller says no more, or it failed.
    pub fn on_message_ended(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        if let Waiting::Message { .. } = &self.waiting {
            self.run(now, out);
        }
    }
}
