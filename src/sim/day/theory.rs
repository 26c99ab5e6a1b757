//! What Erlang would have said of a half hour: its load, as if it went on for ever.

use crate::core::service_level::Tally;
use crate::dialplan::day::GroupDay;
use crate::sim::erlang::{Load, Prediction};

use super::staffing::HALF_HOUR_MS;

const HALF_HOUR_MIN: u32 = 30;

/// Predicted calls are counted in millionths, so that they add up like those that came.
const MILLION: f64 = 1e6;

/// A half hour of a group as the models see it: one group, steady, first come, first served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfHour {
    pub load: Load,
    within_s: f64,
    short_abandon_s: f64,
}

impl HalfHour {
    /// `index`: half hours since midnight. Operators who come or go within it count by their time,
    /// rounded. The models know no ringing: while a phone rings its operator is busy, and the
    /// caller has so much less time left.
    pub fn of(group: &GroupDay, index: u32) -> Self {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let minutes = index * HALF_HOUR_MIN..(index + 1) * HALF_HOUR_MIN;
        let mean = |sum: f64| sum / f64::from(HALF_HOUR_MIN);
        let by_chance = mean(minutes.clone().map(|minute| group.rate_at(minute)).sum());
        let half_hour = |at_ms: u64| at_ms / HALF_HOUR_MS == u64::from(index);
        let past: Vec<_> = group.past.iter().filter(|call| half_hour(call.at_ms)).collect();
        let calls_per_hour = by_chance + 2.0 * past.len() as f64;
        let known_s = |call: &&_| past_handle_s(group, call);
        let usual_s = seconds(group.handle.mean_ms());
        let talk_s = if past.is_empty() {
            usual_s
        } else {
            let past_s: f64 = past.iter().map(known_s).sum();
            (past_s * 2.0 + by_chance * usual_s) / calls_per_hour
        };
        let operators = mean(minutes.map(|minute| f64::from(group.operators_at(minute))).sum());
        let ring_s = seconds(group.ring_delay_ms);
        let target = group.rules.target;
        Self {
            load: Load {
                calls_per_hour,
                handle_s: talk_s + seconds(group.rules.wrap_up_ms) + ring_s,
                patience_s: group.patience.map(|patience| seconds(patience.mean_ms())),
                operators: operators.round() as u32,
            },
            within_s: (seconds(target.within_ms) - ring_s).max(0.0),
            short_abandon_s: seconds(target.short_abandon_ms),
        }
    }

    pub fn erlang_c(&self) -> Prediction {
        self.load.erlang_c(self.within_s)
    }

    pub fn erlang_a(&self) -> Prediction {
        self.load.erlang_a(self.within_s)
    }

    /// The predicted calls of this half hour, in millionths, for the formulas of all reports.
    pub fn tally(&self, model: impl Fn(&Load, f64) -> Prediction) -> Tally {
        let said = model(&self.load, self.within_s);
        let at_once = model(&self.load, self.short_abandon_s).abandoned_in_time;
        let calls = self.load.calls_per_hour / 2.0 * MILLION;
        let count = |share: f64| (share * calls).round() as u64;
        let mut tally = Tally::default();
        tally.answered = count(said.answered);
        tally.answered_in_time = count(said.answered_in_time);
        tally.abandoned = count(said.abandoned);
        tally.waited = count(said.must_wait);
        tally.abandoned_in_time = count(said.abandoned_in_time).min(tally.abandoned);
        tally.abandoned_at_once = count(at_once).min(tally.abandoned);
        tally
    }

    /// The fewest operators with whom the group's target is met, by Erlang A.
    pub fn operators_needed(&self, percent: u8) -> Option<u32> {
        self.load.operators_needed(f64::from(percent) / 100.0, self.within_s)
    }
}

fn past_handle_s(group: &GroupDay, call: &crate::dialplan::day::PastCall) -> f64 {
    call.handle_ms.unwrap_or(group.handle.mean_ms()) as f64 / 1_000.0
}
