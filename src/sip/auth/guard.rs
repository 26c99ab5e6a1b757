//! How often a wrong password may be tried.
//!
//! Each wrong answer weighs on the address and port that it came from, on the address, and on the
//! account. Who has weighed too much is not listened to for a moment, and can't tell: the answer is
//! that to a wrong password. The owner stays welcome:
//!
//! - beside a guesser at the same address, for the owner's phone has a port of its own;
//! - while the account is guessed from all over, at addresses where the password was right before;
//! - from the address and port that a phone of the account is registered from: such attempts do
//!   not come here at all.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::domain::{Accounts, Login};

/// So many wrong answers at once are heard, and then one in each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub at_once: u64,
    pub interval_ms: u64,
}

/// From one address and port.
pub const ENDPOINT: Pace = Pace { at_once: 5, interval_ms: 2_000 };
/// From one address.
pub const ADDRESS: Pace = Pace { at_once: 50, interval_ms: 200 };
/// For one account, from addresses where its password was never right.
pub const ACCOUNT: Pace = Pace { at_once: 100, interval_ms: 1_000 };

/// Addresses and ports that are counted at once. Of more, only what they do to accounts counts.
pub const SOURCES_MAX: usize = 20_000;
/// Addresses that are known of an account; the oldest is forgotten.
const HOMES_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspect {
    Endpoint(SocketAddr),
    Address(IpAddr),
    Account(Login),
}

impl Suspect {
    fn pace(&self) -> Pace {
        match self {
            Self::Endpoint(_) => ENDPOINT,
            Self::Address(_) => ADDRESS,
            Self::Account(_) => ACCOUNT,
        }
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Guard {
    /// When each will have served for its wrong answers, one interval for each.
    served_ms: BTreeMap<Suspect, u64>,
    swept_ms: u64,
    /// Where the password of an account was right, the newest last.
    homes: BTreeMap<Login, VecDeque<IpAddr>>,
}

impl Guard {
    /// Whether an answer may be heard. `account` is `None` for a name that no account has.
    pub fn may_try(&self, now_ms: u64, source: SocketAddr, account: Option<&Login>) -> bool {
        self.suspects(source, account).iter().all(|suspect| {
            let Pace { at_once, interval_ms } = suspect.pace();
            let served_ms = self.served_ms.get(suspect).copied().unwrap_or(0);
            served_ms <= now_ms.saturating_add((at_once - 1) * interval_ms)
        })
    }

    pub fn failed(&mut self, now_ms: u64, source: SocketAddr, account: Option<&Login>) {
        for suspect in self.suspects(source, account) {
            if self.served_ms.len() >= SOURCES_MAX && self.swept_ms + 1_000 <= now_ms {
                self.served_ms.retain(|_, served_ms| *served_ms > now_ms);
                self.swept_ms = now_ms;
            }
            let is_full = self.served_ms.len() >= SOURCES_MAX;
            let is_account = matches!(suspect, Suspect::Account(_));
            if is_full && !is_account && !self.served_ms.contains_key(&suspect) {
                continue;
            }
            let interval_ms = suspect.pace().interval_ms;
            let served_ms = self.served_ms.entry(suspect).or_default();
            *served_ms = (*served_ms).max(now_ms) + interval_ms;
        }
    }

    /// Notes where the password of an account was right.
    pub fn succeeded(&mut self, source: SocketAddr, account: &Login, accounts: &Accounts) {
        let ip = source.ip().to_canonical();
        let homes = self.homes.entry(account.clone()).or_default();
        homes.retain(|home| *home != ip);
        homes.push_back(ip);
        if homes.len() > HOMES_MAX {
            homes.pop_front();
        }
        if self.homes.len() > accounts.len() {
            self.homes.retain(|login, _| accounts.contains_key(login));
        }
    }

    fn suspects(&self, source: SocketAddr, account: Option<&Login>) -> Vec<Suspect> {
        let ip = source.ip().to_canonical();
        let endpoint = Suspect::Endpoint(SocketAddr::new(ip, source.port()));
        let is_strange = |login: &&Login| !self.homes.get(*login).is_some_and(|h| h.contains(&ip));
        let mut suspects = vec![endpoint, Suspect::Address(ip)];
        suspects.extend(account.filter(is_strange).cloned().map(Suspect::Account));
        suspects
    }
}
