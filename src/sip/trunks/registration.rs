//! Our registration at a provider (RFC 3261 §10.2), as a state machine: facts and the time go in;
//! when the next REGISTER is due is asked for.
//!
//! | fact | next REGISTER |
//! |---|---|
//! | granted for so many seconds | after 70 to 80 % of them |
//! | refused: too brief (423) | at once, for as long as is wanted |
//! | refused: the password, or the account | in 5 minutes, doubling to an hour |
//! | refused: later (503 with Retry-After) | then, or by the next line if that is later |
//! | any other failure, or silence | in 2 s, doubling to 5 minutes |
//! | the provider is heard again after silence | within a second |

use super::pause::pause_ms;

/// What is asked for, seconds.
const EXPIRES_S: u32 = 600;
/// More than a day is granted by nobody who means it.
const EXPIRES_MAX_S: u32 = 86_400;
const FAILED_FIRST_MS: u64 = 2_000;
const FAILED_LONGEST_MS: u64 = 300_000;
/// A password that was refused once is refused again; providers lock out who insists.
const REFUSED_FIRST_MS: u64 = 300_000;
const REFUSED_LONGEST_MS: u64 = 3_600_000;

/// Why a REGISTER came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 423 with Min-Expires
    TooBrief {
        min_s: u32,
    },
    /// The password is wrong, or the account unknown or forbidden.
    Password,
    /// 503 with Retry-After, seconds
    Later {
        retry_after_s: u32,
    },
    Failed,
    /// No answer at all, or a broken connection.
    Silence,
}

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    stage: Stage,
    failures: u32,
    expires_s: u32,
    /// Until then the provider knows us; 0: it does not.
    valid_until_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Due {
        at_ms: u64,
        after_silence: bool,
    },
    /// A REGISTER is out.
    Asking,
    /// The server goes down.
    Left,
}

impl Default for Registration {
    fn default() -> Self {
        let stage = Stage::Due { at_ms: 0, after_silence: false };
        Self { stage, failures: 0, expires_s: EXPIRES_S, valid_until_ms: 0 }
    }
}

impl Registration {
    pub fn is_due(&self, now_ms: u64) -> bool {
        matches!(self.stage, Stage::Due { at_ms, .. } if at_ms <= now_ms)
    }

    /// The REGISTER goes out; gives the seconds to ask for.
    pub fn ask(&mut self) -> u32 {
        self.stage = Stage::Asking;
        self.expires_s
    }

    /// Whether the provider knows us.
    pub fn is_valid(&self, now_ms: u64) -> bool {
        now_ms < self.valid_until_ms
    }

    /// Failures since it worked last.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A 2xx. `dice` is any number.
    pub fn granted(&mut self, now_ms: u64, expires_s: u32, dice: u64) {
        if expires_s == 0 {
            return self.refused(now_ms, Refusal::Failed, dice);
        }
        let lasts_ms = u64::from(expires_s.min(EXPIRES_MAX_S)) * 1_000;
        let refresh_ms = lasts_ms * 4 / 5 - dice % (lasts_ms / 10 + 1);
        self.failures = 0;
        self.valid_until_ms = now_ms + lasts_ms;
        self.due(now_ms + refresh_ms, false);
    }

    pub fn refused(&mut self, now_ms: u64, why: Refusal, dice: u64) {
        if let Refusal::TooBrief { min_s } = why
            && min_s > self.expires_s
            && min_s <= EXPIRES_MAX_S
        {
            self.expires_s = min_s;
            return self.due(now_ms, false);
        }
        self.failures = self.failures.saturating_add(1);
        let (first_ms, longest_ms) = match why {
            Refusal::Password => (REFUSED_FIRST_MS, REFUSED_LONGEST_MS),
            Refusal::TooBrief { .. }
            | Refusal::Later { .. }
            | Refusal::Failed
            | Refusal::Silence => (FAILED_FIRST_MS, FAILED_LONGEST_MS),
        };
        let wanted_ms = match why {
            Refusal::Later { retry_after_s } => {
                (u64::from(retry_after_s) * 1_000).min(REFUSED_LONGEST_MS)
            }
            Refusal::TooBrief { .. } | Refusal::Password | Refusal::Failed | Refusal::Silence => 0,
        };
        let pause_ms = pause_ms(first_ms, longest_ms, self.failures, dice).max(wanted_ms);
        self.due(now_ms + pause_ms, why == Refusal::Silence);
    }

    /// The provider was heard; if it had fallen silent, it is asked soon.
    pub fn heard(&mut self, now_ms: u64, dice: u64) {
        if let Stage::Due { at_ms, after_silence: true } = self.stage {
            self.due(at_ms.min(now_ms + dice % 1_000), false);
        }
    }

    /// The server goes down; `true`: the provider is to be told.
    pub fn leave(&mut self, now_ms: u64) -> bool {
        self.stage = Stage::Left;
        self.is_valid(now_ms)
    }

    /// The provider was told that we leave, or can't be.
    pub fn left(&mut self) {
        self.stage = Stage::Left;
        self.valid_until_ms = 0;
    }

    fn due(&mut self, at_ms: u64, after_silence: bool) {
        if self.stage != Stage::Left {
            self.stage = Stage::Due { at_ms, after_silence };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it is due next, in milliseconds after `now_ms`.
    fn next(registration: &Registration, now_ms: u64) -> u64 {
        match registration.stage {
            Stage::Due { at_ms, .. } => at_ms - now_ms,
            Stage::Asking | Stage::Left => panic!("not due: {registration:?}"),
        }
    }

    #[test]
    fn a_registration_is_refreshed_before_it_ends() {
        for (granted_s, dice) in [(60, 0), (60, 5_999), (3_600, 77), (600, u64::MAX)] {
            let mut registration = Registration::default();
            assert!(registration.is_due(5));
            assert_eq!(registration.ask(), 600);
            assert!(!registration.is_due(u64::MAX));
            registration.granted(5, granted_s, dice);
            let lasts_ms = u64::from(granted_s) * 1_000;
            let share = next(&registration, 5) * 100 / lasts_ms;
            assert!((69..=80).contains(&share), "{share} %");
            assert!(
                registration.is_valid(5 + lasts_ms - 1) && !registration.is_valid(5 + lasts_ms)
            );
        }
    }

    #[test]
    fn a_lost_refresh_is_repeated_while_the_registration_still_holds() {
        let mut registration = Registration::default();
        registration.granted(0, 600, 0);
        registration.ask();
        registration.refused(480_000, Refusal::Silence, 0);
        assert!(registration.is_valid(480_000));
        assert_eq!(next(&registration, 480_000), 2_000);
    }

    #[test]
    fn a_wrong_password_is_not_hammered_at() {
        let mut registration = Registration::default();
        let (mut now_ms, mut asked) = (0, 0);
        while now_ms < 24 * 3_600_000 {
            registration.ask();
            asked += 1;
            registration.refused(now_ms, Refusal::Password, asked);
            now_ms += next(&registration, now_ms);
        }
        assert!(asked < 60, "{asked} times in a day");
    }

    #[test]
    fn an_hour_of_silence_is_no_storm_and_ends_soon_after_it() {
        let mut registration = Registration::default();
        let (mut now_ms, mut asked) = (0, 0);
        while now_ms < 3_600_000 {
            registration.ask();
            asked += 1;
            registration.refused(now_ms, Refusal::Silence, asked * 1_000);
            now_ms += next(&registration, now_ms);
        }
        assert!((12..40).contains(&asked), "{asked} times in an hour");
        registration.heard(3_600_000, 999);
        assert!(registration.is_due(3_601_000));
    }

    #[test]
    fn an_interval_that_is_too_brief_is_asked_for_anew_once() {
        let mut registration = Registration::default();
        registration.ask();
        registration.refused(0, Refusal::TooBrief { min_s: 1_800 }, 0);
        assert!(registration.is_due(0));
        assert_eq!(registration.ask(), 1_800);
        registration.refused(0, Refusal::TooBrief { min_s: 1_800 }, 0);
        assert_eq!(next(&registration, 0), 2_000, "nonsense is a failure");
    }

    #[test]
    fn who_is_told_to_come_later_does() {
        let mut registration = Registration::default();
        registration.refused(0, Refusal::Later { retry_after_s: 120 }, 0);
        assert_eq!(next(&registration, 0), 120_000);
        registration.heard(1_000, 0);
        assert_eq!(next(&registration, 0), 120_000, "an answer to OPTIONS changes nothing");
    }

    #[test]
    fn who_has_left_asks_no_more() {
        let mut registration = Registration::default();
        assert!(!registration.leave(0), "nobody knows us");
        let mut registration = Registration::default();
        registration.granted(0, 600, 0);
        assert!(registration.leave(1_000));
        registration.granted(1_000, 600, 0);
        assert!(!registration.is_due(u64::MAX));
        registration.left();
        assert!(!registration.is_valid(1_001));
    }
}
