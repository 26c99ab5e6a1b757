//! Robots' queues, their limits, and how far they have come.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use uuid::{Builder, Uuid};

use crate::dialplan::plan::Robot;
use crate::domain::{CallId, DoNotCall, Promise, PromiseId, PromiseState, Timestamp};

use super::entry::{Stage, hash};
use super::rules::{Rules, Times};
use super::trunks::Pace;
use super::{Ledger, PromiseAct, RobotStatus};

/// So many promises are looked at in one go; [`Ledger::next_timer`] asks for the rest at once.
const LOOKED_AT_ONCE: usize = 200;
/// The end of a robot's work is estimated from so many of its last promises.
const ENDS_KEPT: usize = 50;
/// A robot that has nothing left begins to count anew with the first promise after so long.
const COUNTED_FOR_MS: u64 = 12 * 3_600_000;

/// The promises of one robot.
#[derive(Debug, Default)]
pub(super) struct RobotLine {
    /// By the moment from which they may be tried, then by due time.
    waiting: BTreeSet<(Timestamp, Timestamp, PromiseId)>,
    /// Those whose customers are dialled or talked with, or are about to be.
    pub up: BTreeSet<PromiseId>,
    pace: Pace,
    is_stopped: bool,
    since: Timestamp,
    left: usize,
    done: usize,
    pub answered: usize,
    pub opted_out: usize,
    /// When the last ones were over.
    ends: VecDeque<Timestamp>,
}

impl RobotLine {
    pub fn made(&mut self, promise: &Promise) {
        let is_old = promise.made.since(self.since) > COUNTED_FOR_MS;
        if self.left == 0 && is_old {
            (self.since, self.done, self.answered, self.opted_out) = (promise.made, 0, 0, 0);
            self.ends.clear();
        }
        self.left += 1;
    }

    pub fn over(&mut self, wall: Timestamp, promise: &Promise) {
        self.up.remove(&promise.id);
        self.left = self.left.saturating_sub(1);
        self.done += 1;
        if self.ends.len() == ENDS_KEPT {
            self.ends.pop_front();
        }
        self.ends.push_back(wall);
    }

    /// By the pace of the last ones, from now or from the first one's time on.
    fn ends_at(&self, wall: Timestamp) -> Option<Timestamp> {
        let (first, last) = (self.ends.front()?, self.ends.back()?);
        let spaces = u64::try_from(self.ends.len()).ok()?.checked_sub(1).filter(|n| *n > 0)?;
        let left = u64::try_from(self.left).ok()?;
        let took_ms = last.since(*first).max(1);
        let begins = self.waiting.first().map_or(wall, |(at, ..)| wall.max(*at));
        (!self.is_stopped).then(|| begins.plus_ms(took_ms.saturating_mul(left) / spaces))
    }

    fn status(&self, wall: Timestamp, name: &str) -> RobotStatus {
        RobotStatus {
            name: name.to_owned(),
            is_stopped: self.is_stopped,
            left: self.left,
            up: self.up.len(),
            done: self.done,
            answered: self.answered,
            opted_out: self.opted_out,
            ends: if self.left == 0 { None } else { self.ends_at(wall) },
            since: self.since,
        }
    }
}

/// What a look at a robot's queue found.
enum Look {
    /// Its first promise was seen to; there may be more.
    Done,
    /// Nothing to do before this moment.
    Until(Timestamp),
    /// Nothing to do until something else happens.
    Nothing,
}

impl Ledger {
    /// Stops a robot: calls that are up go on, none begins. Or lets it go on.
    pub fn switch_robot(
        &mut self,
        wall: Timestamp,
        name: &str,
        is_stopped: bool,
        out: &mut Vec<PromiseAct>,
    ) {
        self.robot_line(name).is_stopped = is_stopped;
        if is_stopped {
            self.withdraw_unstarted(wall, name, out);
        }
        self.settle(wall, out);
    }

    /// How far all robots of the plan have come, and those that have something left.
    pub fn robots(&self, wall: Timestamp) -> Vec<RobotStatus> {
        let scripts = self.plan.iter().flat_map(|plan| plan.scripts.values());
        let mut names: BTreeSet<&str> =
            scripts.flat_map(|script| script.robots.keys()).map(String::as_str).collect();
        names.extend(self.robots.keys().map(String::as_str));
        let idle = RobotLine::default();
        let status = |name| self.robots.get(name).unwrap_or(&idle).status(wall, name);
        names.into_iter().map(status).collect()
    }

    pub(super) fn robot_line(&mut self, name: &str) -> &mut RobotLine {
        if !self.robots.contains_key(name) {
            self.robots.insert(name.to_owned(), RobotLine::default());
        }
        self.robots.entry(name.to_owned()).or_default()
    }

    pub(super) fn enqueue(&mut self, id: PromiseId, at: Timestamp) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Queued(at);
        let (name, due) = (entry.promise.name.clone(), entry.promise.due);
        self.robot_line(&name).waiting.insert((at, due, id));
    }

    pub(super) fn dequeue(&mut self, id: PromiseId, at: Timestamp) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (name, due) = (entry.promise.name.clone(), entry.promise.due);
        self.robot_line(&name).waiting.remove(&(at, due, id));
    }

    /// The clock said `before`, and says `wall` now: whose time had come does not wait for it again.
    pub(super) fn clock_put_back(&mut self, before: Timestamp, wall: Timestamp) {
        for line in self.robots.values_mut() {
            let ahead =
                line.waiting.split_off(&(wall, Timestamp(i64::MIN), PromiseId(Uuid::nil())));
            for (at, due, id) in ahead {
                let at = if at <= before { wall } else { at };
                line.waiting.insert((at, due, id));
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.stage = Stage::Queued(at);
                }
            }
        }
    }

    /// Begins as many calls as the limits allow, the robots in turn.
    pub(super) fn start_robots(&mut self, wall: Timestamp, out: &mut Vec<PromiseAct>) {
        self.robots_at = None;
        let tickets = self.tickets();
        let mut idle = 0;
        for _ in 0..LOOKED_AT_ONCE {
            if !self.outbound.has_room_for_robot(tickets) || idle > self.robots.len() {
                return;
            }
            let trunks_at = self.outbound.free_at(wall);
            let Some(name) = self.next_robot() else { return };
            match self.look_at(wall, &name, trunks_at, out) {
                Look::Done => idle = 0,
                Look::Until(at) => {
                    self.robots_at = Some(self.robots_at.map_or(at, |other| other.min(at)));
                    idle += 1;
                }
                Look::Nothing => idle += 1,
            }
            self.last_robot = name;
        }
        self.robots_at = Some(wall);
    }

    /// The robot whose turn it is.
    fn next_robot(&self) -> Option<String> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = (Excluded(self.last_robot.as_str()), Unbounded);
        let mut following = self.robots.range::<str, _>(after);
        following.next().or_else(|| self.robots.first_key_value()).map(|(name, _)| name.clone())
    }

    fn look_at(
        &mut self,
        wall: Timestamp,
        name: &str,
        trunks_at: Timestamp,
        out: &mut Vec<PromiseAct>,
    ) -> Look {
        let Some(line) = self.robots.get_mut(name).filter(|line| !line.is_stopped) else {
            return Look::Nothing;
        };
        let Some((at, _, id)) = line.waiting.first().copied() else { return Look::Nothing };
        if at > wall {
            return Look::Until(at);
        }
        let Some(entry) = self.entries.get(&id) else { return Look::Nothing };
        let rules = Rules::of(&entry.promise, self.plan.as_deref());
        let Rules::Robot(robot, _) = &rules else {
            // The plan lost it: `schedule` says what becomes of it.
            self.detach(wall, id, out);
            self.schedule(wall, id, wall, out);
            return Look::Done;
        };
        if self.numbers.is_free(&entry.promise.phone) {
            let is_allowed = rules.times(&entry.promise).are_open(wall);
            if is_allowed && line.up.len() >= usize::try_from(robot.at_once.max(1)).unwrap_or(1) {
                return Look::Nothing;
            }
            let free_at = line.pace.free_at(wall, robot.per_second).max(trunks_at);
            if is_allowed && free_at > wall {
                return Look::Until(free_at);
            }
        }
        let robot = Arc::clone(robot);
        self.dequeue(id, at);
        self.begin_or_put_off(wall, id, &rules, &robot, out);
        Look::Done
    }

    /// The turn of a promise has come: everything that forbids the call is asked once more.
    fn begin_or_put_off(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        rules: &Rules,
        robot: &Robot,
        out: &mut Vec<PromiseAct>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Waiting;
        let Some(entry) = self.entries.get(&id) else { return };
        let (promise, is_first_try) = (&entry.promise, entry.tried() == 0);
        if self.is_forbidden(promise) {
            let note = "the customer wants no such calls".to_owned();
            return self.finish(wall, id, PromiseState::Cancelled, note, out);
        }
        if !rules.times(promise).are_open(wall) {
            return self.put_off(wall, id, wall, "outside the customer's window", out);
        }
        if is_first_try && let Some(cap) = robot.cap {
            let at = self.caps.allowed_from(wall, cap, &promise.name, &promise.phone);
            if at > promise.due.max(wall) {
                let note = "the customer was called often enough lately".to_owned();
                return self.finish(wall, id, PromiseState::Cancelled, note, out);
            }
            if at > wall {
                return self.put_off(wall, id, at, "called often enough lately", out);
            }
        }
        if !self.numbers.is_free(&promise.phone) {
            return self.park(id);
        }
        let call = robot_call(wall, promise);
        self.begin_attempt(wall, id, call, None, out);
        self.robot_line(&robot.name).pace.begin(wall, robot.per_second);
    }

    /// Not now. The next moment is found again after a restart, so it is not kept.
    fn put_off(
        &mut self,
        wall: Timestamp,
        id: PromiseId,
        from: Timestamp,
        why: &str,
        out: &mut Vec<PromiseAct>,
    ) {
        self.schedule(wall, id, from, out);
        self.note_again(wall, id, why);
    }

    pub(super) fn is_forbidden(&self, promise: &Promise) -> bool {
        let by = |robot| DoNotCall { phone: promise.phone.clone(), robot };
        !promise.kind.is_human()
            && (self.forbidden.contains(&by(None))
                || self.forbidden.contains(&by(Some(promise.name.clone()))))
    }

    /// Attempts of a stopped robot that the database does not have yet are not dialled.
    fn withdraw_unstarted(&mut self, wall: Timestamp, name: &str, out: &mut Vec<PromiseAct>) {
        let up: Vec<PromiseId> = self.robot_line(name).up.iter().copied().collect();
        for id in up {
            if self.entries.get(&id).is_some_and(|entry| !entry.is_calling()) {
                self.detach(wall, id, out);
                self.schedule(wall, id, wall, out);
                self.changed(id, super::PromiseNews::Changed, out);
            }
        }
    }

    /// The moment from which a robot may call for a promise, and `within` from then.
    pub(super) fn due_in_window(times: &Times<'_>, robot: &Robot, promise: &mut Promise) {
        let from = promise.next_at.unwrap_or(promise.made).max(promise.made);
        if let Some(opening) = times.next_from(from)
            && opening > from
        {
            promise.due = promise.due.max(opening.plus_ms(robot.within_ms));
        }
    }
}

/// The id of a robot's call: the time of the call, and a hash of what tells this promise and this
/// attempt from all others.
fn robot_call(wall: Timestamp, promise: &Promise) -> CallId {
    let attempt = promise.attempts.saturating_add(1).to_be_bytes();
    let (high, low) = (hash(&promise.id, &attempt), hash(&promise.id, &[attempt[3], 1]));
    let mut random = [0; 10];
    random[..8].copy_from_slice(&high.to_be_bytes());
    random[8..].copy_from_slice(&low.to_be_bytes()[..2]);
    let ms = u64::try_from(wall.0).unwrap_or(0);
    CallId(Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
}
