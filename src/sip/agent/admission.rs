//! How many new calls are let in: per second, overall and from one source.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::settings::Limits;

/// Counts the new calls of the current second.
#[derive(Debug, Default)]
pub struct Admission {
    second: u64,
    all: u32,
    per_source: BTreeMap<IpAddr, u32>,
}

impl Admission {
    /// Whether one more call may come from `source` now. `exempt` sources count only overall.
    pub fn admits(&mut self, now_ms: u64, source: IpAddr, exempt: bool, limits: &Limits) -> bool {
        let second = now_ms / 1000;
        if second != self.second {
            *self = Self { second, ..Self::default() };
        }
        if self.all >= limits.invites_per_second_max {
            return false;
        }
        if !exempt {
            let full = self.per_source.len() >= limits.sources_max;
            let key = if full && !self.per_source.contains_key(&source) {
                IpAddr::from([0, 0, 0, 0])
            } else {
                source
            };
            let count = self.per_source.entry(key).or_default();
            if *count >= limits.invites_per_second_per_source_max {
                return false;
            }
            *count += 1;
        }
        self.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_one_source_leaves_room_for_others() {
        let limits = Limits {
            invites_per_second_max: 5,
            invites_per_second_per_source_max: 2,
            ..Limits::default()
        };
        let mut admission = Admission::default();
        let [flooder, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let mut admits = |now, source, exempt| admission.admits(now, source, exempt, &limits);
        assert!(admits(10, flooder, false) && admits(20, flooder, false));
        assert!(!admits(30, flooder, false));
        assert!(admits(40, other, false));
        assert!(admits(50, flooder, true) && admits(60, flooder, true));
        assert!(!admits(70, other, false), "all five are taken");
        assert!(admits(1_000, flooder, false), "the next second is new");
    }
}
