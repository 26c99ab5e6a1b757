//! What is done at a moment; supervisors are told of what is late.

use crate::domain::{PromiseId, Timestamp};

use super::super::event::PromiseNews;
use super::entry::{Alarm, Stage};
use super::{Ledger, PromiseAct};

/// So many alarms are seen to at once; [`Ledger::next_timer`] asks for the rest at once, so that
/// calls that are up are not kept waiting.
const ALARMS_AT_ONCE: usize = 500;

impl Ledger {
    /// Does what is due. Calling it too early or too often does no harm.
    pub fn on_time(&mut self, wall: Timestamp, out: &mut Vec<PromiseAct>) {
        for _ in 0..ALARMS_AT_ONCE {
            let Some((at, id, alarm)) = self.alarms.first().copied() else { break };
            if at > wall {
                break;
            }
            self.clear_alarm(id, alarm);
            match alarm {
                Alarm::Try => self.try_now(wall, id, out),
                Alarm::Closing => self.hours_end(wall, id, out),
                Alarm::Late => self.tell_late(id, out),
                Alarm::Overdue => self.tell_overdue(id, out),
                Alarm::Stale => self.too_late(wall, id, out),
            }
        }
        self.settle(wall, out);
    }

    /// Sets the alarms of what a promise has before it: being late, overdue, and useless.
    pub(super) fn arm(&mut self, id: PromiseId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (rules, promise) = (self.rules(&entry.promise), &entry.promise);
        let due = promise.due;
        let late = rules.late_at(promise).filter(|_| !promise.escalated);
        let stale = rules.stale_at(promise);
        self.set_alarm(id, Alarm::Overdue, due.plus_ms(1));
        if let Some(late) = late {
            self.set_alarm(id, Alarm::Late, late);
        }
        if let Some(stale) = stale {
            self.set_alarm(id, Alarm::Stale, stale);
        }
    }

    fn try_now(&mut self, wall: Timestamp, id: PromiseId, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get(&id) else { return };
        if entry.stage != Stage::Waiting {
            return;
        }
        if entry.promise.kind.is_human() {
            self.make_ready(id);
        } else {
            self.schedule(wall, id, wall, out);
        }
    }

    fn hours_end(&mut self, wall: Timestamp, id: PromiseId, out: &mut Vec<PromiseAct>) {
        if self.entries.get(&id).is_some_and(|entry| entry.stage == Stage::InLine) {
            self.detach(wall, id, out);
            self.schedule(wall, id, wall, out);
        }
    }

    fn tell_late(&mut self, id: PromiseId, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.promise.contacted.is_none() && !entry.promise.escalated {
            entry.promise.escalated = true;
            self.changed(id, PromiseNews::Late, out);
        }
    }

    fn tell_overdue(&mut self, id: PromiseId, out: &mut Vec<PromiseAct>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.promise.contacted.is_some() {
            return;
        }
        self.tally.is_late(&entry.promise);
        if !entry.promise.overdue {
            (entry.promise.overdue, entry.promise.escalated) = (true, true);
            self.changed(id, PromiseNews::Overdue, out);
        }
    }

    /// A call that is up goes on, and says at its end what became of the promise.
    fn too_late(&mut self, wall: Timestamp, id: PromiseId, out: &mut Vec<PromiseAct>) {
        if self.entries.get(&id).is_some_and(|entry| !entry.is_calling()) {
            self.give_up_stale(wall, id, out);
        }
    }
}
