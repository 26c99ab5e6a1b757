//! Callers, their order, and the desks where each of them waits to be seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::dialplan::plan::Group;
use crate::domain::{CallId, Login, Origin, RingOutcome, Timestamp};

use super::border::{Estimate, OfferId, Ticket, TicketWay};

/// What a point of priority is worth where waiting earns none: 30 years.
const NO_AGEING_MS: u64 = 1_000_000_000_000;

/// Where a caller stands among all others. It never changes while the caller waits: that waiting
/// for `ageing_ms` earns one point is the same as having come `ageing_ms` earlier for each point of
/// priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// `false` for one whose operator was lost: before all others.
    pub is_ordinary: bool,
    /// The moment of arrival, earlier by `ageing_ms` for each point of priority.
    key: i64,
    /// The moment of arrival, of the first visit if the place was kept.
    pub entered: Timestamp,
    /// Breaks ties.
    pub call: CallId,
}

impl Rank {
    pub fn of(ticket: &Ticket, entered: Timestamp, is_ordinary: bool) -> Self {
        let point_ms = ticket.group.ageing_ms.unwrap_or(NO_AGEING_MS);
        let point_ms = i64::try_from(point_ms).unwrap_or(i64::MAX);
        let head_start = i64::from(ticket.priority).saturating_mul(point_ms);
        let key = entered.0.saturating_sub(head_start);
        Self { is_ordinary, key, entered, call: ticket.call }
    }
}

/// A caller from the ticket to the connection.
#[derive(Debug)]
pub(super) struct Caller {
    pub ticket: Ticket,
    pub origin: Origin,
    pub rank: Rank,
    /// Where the clock of the wait starts.
    pub entered: Timestamp,
    pub stage: Stage,
    /// On the line: not a customer who is still to be called.
    pub is_live: bool,
    /// Whom the caller waits for alone, until when.
    pub manager: Option<(Login, Timestamp)>,
    /// Who was rung last, in vain.
    pub last_rung: Option<(Login, RingOutcome)>,
    /// Where the caller is seen now.
    pub desks: Vec<Desk>,
    /// What the caller was told.
    pub told: Option<Estimate>,
    /// A hash of the reasons written down last; `None`: an offer was written down, or nothing.
    pub reasons: Option<u64>,
    /// The entry in `Acd::timers`.
    pub widens_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    /// `tried`: all who were rung in this round, for `ring-all`; with the outcome once it is known.
    Ringing {
        offers: Vec<OfferId>,
        tried: BTreeMap<Login, Option<RingOutcome>>,
    },
    /// An operator is kept free; the customer is being called.
    Reserved {
        operator: Login,
    },
    /// An operator picked up and does not hear the caller yet.
    Answered {
        operator: Login,
    },
}

impl Caller {
    pub fn group(&self) -> &Group {
        &self.ticket.group
    }

    /// Groups that help by now, earliest first.
    pub fn helpers(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let waited_ms = now.since(self.rank.entered);
        let due = self.group().overflow.iter().filter(move |o| o.after_ms <= waited_ms);
        due.flat_map(|overflow| overflow.also.iter().map(String::as_str))
    }

    /// When more operators may be rung than at `now`.
    pub fn next_widening(&self, now: Timestamp) -> Option<Timestamp> {
        if let Some((_, until)) = &self.manager {
            return Some(*until);
        }
        if self.ticket.only_manager {
            return None;
        }
        let steps = self.group().overflow.iter();
        steps.map(|step| self.rank.entered.plus_ms(step.after_ms)).filter(|at| *at > now).min()
    }

    /// Where the caller is to be seen at `now`.
    pub fn desks_wanted(&self, now: Timestamp) -> Vec<Desk> {
        let is_sought = match &self.stage {
            Stage::Waiting => true,
            Stage::Ringing { .. } => self.rings_all(),
            Stage::Reserved { .. } | Stage::Answered { .. } => false,
        };
        if !is_sought {
            return Vec::new();
        }
        if let Some((manager, _)) = &self.manager {
            return vec![Desk::Manager(manager.clone())];
        }
        if self.ticket.only_manager {
            return Vec::new();
        }
        let own = std::iter::once(self.group().name.as_str());
        let mut groups: Vec<_> = own.chain(self.helpers(now)).collect();
        groups.sort_unstable();
        groups.dedup();
        let needs = || self.group().needs.clone();
        groups.into_iter().map(|g| Desk::Group(g.to_owned(), needs())).collect()
    }

    /// Whether several phones ring at once for this caller.
    pub fn rings_all(&self) -> bool {
        use crate::dialplan::plan::Pick;
        self.group().pick == Pick::RingAll && !self.ticket.only_manager && !self.reserves()
    }

    /// Whether an operator is to be kept free and not to be rung yet.
    pub fn reserves(&self) -> bool {
        self.ticket.way == TicketWay::CustomerFirst && !self.is_live
    }

    pub fn is_in_line(&self) -> bool {
        !self.ticket.only_manager && !matches!(self.stage, Stage::Answered { .. })
    }

    pub fn has_tried(&self, login: &Login) -> bool {
        matches!(&self.stage, Stage::Ringing { tried, .. } if tried.contains_key(login))
    }

    pub fn snapshot(&self, place: usize) -> WaitingCaller {
        WaitingCaller {
            call: self.ticket.call,
            entered: self.entered,
            priority: self.ticket.priority,
            origin: self.origin,
            place,
            is_ringing: matches!(self.stage, Stage::Ringing { .. } | Stage::Reserved { .. }),
        }
    }
}

/// A caller in a line, as the console shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WaitingCaller {
    pub call: CallId,
    /// Where the clock of the wait starts.
    pub entered: Timestamp,
    pub priority: i32,
    pub origin: Origin,
    /// 1 for the next one.
    pub place: usize,
    /// Somebody's phone rings for this caller, or somebody is kept free.
    pub is_ringing: bool,
}

/// Where operators look for callers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Desk {
    /// Who is logged in to this group and has these levels of skills.
    Group(String, BTreeMap<String, u8>),
    /// This operator alone.
    Manager(Login),
}

/// Callers by desk, so that an operator finds the next one without a walk through the line.
#[derive(Debug, Default)]
pub(super) struct Desks {
    groups: BTreeMap<String, BTreeMap<BTreeMap<String, u8>, BTreeSet<Rank>>>,
    managers: BTreeMap<Login, BTreeSet<Rank>>,
}

impl Desks {
    pub fn insert(&mut self, desk: &Desk, rank: Rank) {
        match desk {
            Desk::Group(group, needs) => {
                let needs_of_group = self.groups.entry(group.clone()).or_default();
                needs_of_group.entry(needs.clone()).or_default().insert(rank);
            }
            Desk::Manager(login) => {
                self.managers.entry(login.clone()).or_default().insert(rank);
            }
        }
    }

    pub fn remove(&mut self, desk: &Desk, rank: &Rank) {
        match desk {
            Desk::Group(group, needs) => {
                let Some(of_group) = self.groups.get_mut(group) else { return };
                if let Some(ranks) = of_group.get_mut(needs) {
                    ranks.remove(rank);
                    if ranks.is_empty() {
                        of_group.remove(needs);
                    }
                }
                if of_group.is_empty() {
                    self.groups.remove(group);
                }
            }
            Desk::Manager(login) => {
                let Some(ranks) = self.managers.get_mut(login) else { return };
                ranks.remove(rank);
                if ranks.is_empty() {
                    self.managers.remove(login);
                }
            }
        }
    }

    /// Those who wait for operators of `group`: by what they need of them, in order.
    pub fn of_group(
        &self,
        group: &str,
    ) -> impl Iterator<Item = (&BTreeMap<String, u8>, &BTreeSet<Rank>)> {
        self.groups.get(group).into_iter().flatten()
    }

    /// Those who wait for this operator alone.
    pub fn of_manager(&self, login: &Login) -> impl Iterator<Item = &Rank> {
        self.managers.get(login).into_iter().flatten()
    }

    /// Whether nobody stands before this caller at the desk.
    pub fn is_first(&self, desk: &Desk, rank: &Rank) -> bool {
        self.at(desk).and_then(BTreeSet::first) == Some(rank)
    }

    /// Those at one desk, in order.
    pub fn at(&self, desk: &Desk) -> Option<&BTreeSet<Rank>> {
        match desk {
            Desk::Group(group, needs) => self.groups.get(group).and_then(|g| g.get(needs)),
            Desk::Manager(login) => self.managers.get(login),
        }
    }
}
