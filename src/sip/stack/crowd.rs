//! When so much comes that it is better served together. Pure.

/// So long is counted before it is decided anew.
const COUNTED_MS: u64 = 8;
/// So many things in a millisecond are a crowd: the messages and commands of some 700 new calls a
/// second.
const CROWD_PER_MS: u64 = 4;

/// Tells a crowd from everyday traffic.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    since_ms: u64,
    things: u64,
    is_crowd: bool,
}

impl Crowd {
    /// So many messages and commands were served now.
    pub fn count(&mut self, now_ms: u64, things: usize) {
        self.things += things as u64;
        let counted_ms = now_ms.saturating_sub(self.since_ms);
        if counted_ms >= COUNTED_MS {
            self.is_crowd = self.things >= CROWD_PER_MS * counted_ms;
            self.since_ms = now_ms;
            self.things = 0;
        }
    }

    /// Whether what comes next can wait a millisecond for what comes then. Waking up for each
    /// message by itself costs more than the message.
    pub fn is_crowd(&self) -> bool {
        self.is_crowd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many things in each of 20 ms.
    fn after(crowd: &mut Crowd, from_ms: u64, things: usize) -> bool {
        (from_ms..from_ms + 20).for_each(|now_ms| crowd.count(now_ms, things));
        crowd.is_crowd()
    }

    #[test]
    fn a_crowd_is_told_while_it_lasts_and_everyday_traffic_is_none() {
        let mut crowd = Crowd::default();
        assert!(!after(&mut crowd, 1_000, 2));
        assert!(after(&mut crowd, 2_000, 20));
        assert!(!after(&mut crowd, 3_000, 1));
    }

    #[test]
    fn a_lonely_burst_is_no_crowd() {
        let mut crowd = Crowd::default();
        crowd.count(1_000, 0);
        crowd.count(1_100, 30);
        assert!(!crowd.is_crowd());
    }
}
