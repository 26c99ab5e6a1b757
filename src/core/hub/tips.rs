//! Which tips a caller has heard, in this call and in earlier ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::RecordingId;

/// Callers who are remembered; with more, those who came first are forgotten.
const CALLERS_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct TipMemory {
    heard: BTreeMap<String, BTreeSet<RecordingId>>,
    /// In the order in which they were first heard of.
    callers: VecDeque<String>,
}

impl TipMemory {
    pub fn remember(&mut self, caller: &str, tip: RecordingId) {
        if !self.heard.contains_key(caller) {
            if self.callers.len() >= CALLERS_MAX
                && let Some(oldest) = self.callers.pop_front()
            {
                self.heard.remove(&oldest);
            }
            self.callers.push_back(caller.to_owned());
        }
        self.heard.entry(caller.to_owned()).or_default().insert(tip);
    }

    /// The first of `tips` that this caller has not heard; when all were heard, they begin anew.
    pub fn next(&mut self, caller: &str, tips: &[RecordingId]) -> Option<RecordingId> {
        let heard = self.heard.get_mut(caller);
        let unheard =
            |heard: &BTreeSet<RecordingId>| tips.iter().find(|tip| !heard.contains(*tip)).cloned();
        let Some(heard) = heard else { return tips.first().cloned() };
        unheard(heard).or_else(|| {
            heard.retain(|tip| !tips.contains(tip));
            tips.first().cloned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tip_is_heard_twice_until_all_were() {
        let tips: Vec<RecordingId> =
            ["tip/01", "tip/02", "tip/03"].into_iter().map(RecordingId::new).collect();
        let mut memory = TipMemory::default();
        memory.remember("+79161112233", tips[1].clone());
        let mut heard = Vec::new();
        for _ in 0..5 {
            let tip = memory.next("+79161112233", &tips).unwrap();
            memory.remember("+79161112233", tip.clone());
            heard.push(tip.to_string());
        }
        assert_eq!(heard, ["tip/01", "tip/03", "tip/01", "tip/02", "tip/03"]);
        assert_eq!(memory.next("somebody else", &tips), Some(tips[0].clone()));
        assert_eq!(memory.next("+79161112233", &[]), None);
    }
}
