//! A caller enters the line, is seen by more operators as time goes by, and leaves.

use crate::domain::{CallFact, CallId, LineOutcome, LinePlace, Login, Origin, Timestamp, Visit};

use super::border::{Act, Joined, Release, Ticket, TicketWay};
use super::line::{Caller, Rank, Stage};
use super::{Acd, Timer};

impl Acd {
    /// A caller wants an operator. With [`Joined::Waiting`] the ticket ends in one of three ways:
    /// [`Acd::connected`], [`Acd::release`] or [`Act::TurnAway`]. A call that still was in a line or
    /// in a conversation leaves it first. A caller whose operator was lost is let in even if the
    /// line is full.
    pub fn join(&mut self, now: Timestamp, ticket: Ticket, out: &mut Vec<Act>) -> Joined {
        self.leave(now, ticket.call, LineOutcome::Lost, None, out);
        if let Some(operator) = self.talks.get(&ticket.call).cloned() {
            self.end_talk(now, &operator, out);
        }
        let joined = self.enter(now, ticket, out);
        self.settle(now, out);
        joined
    }

    /// The caller is not to be connected any more. Phones that ring for the call stop ringing. An
    /// operator who has picked up already stays talking until [`Acd::talk_ended`]; one who was
    /// reserved is free. Returns the place that the caller had in a line. Unknown calls are ignored.
    pub fn release(
        &mut self,
        now: Timestamp,
        call: CallId,
        release: Release,
        out: &mut Vec<Act>,
    ) -> Option<LinePlace> {
        let caller = self.callers.get(&call)?;
        let is_in_line = !caller.ticket.only_manager;
        let (rank, group) = (caller.rank, caller.ticket.group.clone());
        let place = LinePlace { entered: rank.entered, priority: caller.ticket.priority };
        let keeps = is_in_line && caller.is_live && group.keep_place_ms > 0;
        let outcome = match release {
            Release::Abandoned => LineOutcome::Abandoned,
            Release::Callback => LineOutcome::Callback,
            Release::NotReached => LineOutcome::NotReached,
            Release::Lost => LineOutcome::Lost,
        };
        if release == Release::Abandoned
            && keeps
            && let Some(number) = &caller.ticket.caller
        {
            let whose = (group.name.clone(), number.clone());
            self.kept.keep(now, now.plus_ms(group.keep_place_ms), whose, rank);
        }
        self.leave(now, call, outcome, None, out);
        self.settle(now, out);
        is_in_line.then_some(place)
    }

    fn enter(&mut self, now: Timestamp, mut ticket: Ticket, out: &mut Vec<Act>) -> Joined {
        let is_lost = ticket.origin == Origin::OperatorLost;
        let is_live = ticket.way == TicketWay::Caller;
        if is_live && !ticket.only_manager && !is_lost && self.is_full(&ticket) {
            Self::record_visit(now, &ticket, now, LineOutcome::Full, None, out);
            return Joined::Full;
        }
        let kept = self.kept_place(now, &ticket);
        ticket.priority = ticket.place.map_or(ticket.priority, |place| place.priority);
        let rank = match (kept, ticket.place) {
            (Some(kept), _) => Rank::of(&ticket, kept.entered, kept.is_ordinary),
            (None, Some(place)) => Rank::of(&ticket, place.entered, true),
            (None, None) => Rank::of(&ticket, now, !is_lost),
        };
        let caller = Caller {
            origin: if kept.is_some() { Origin::CameBack } else { ticket.origin },
            rank,
            entered: now,
            stage: Stage::Waiting,
            is_live,
            manager: self.manager_awaited(now, &ticket),
            last_rung: None,
            desks: Vec::new(),
            told: None,
            reasons: None,
            widens_at: None,
            ticket,
        };
        if !self.has_somebody(now, &caller) {
            if !caller.ticket.only_manager {
                let outcome = LineOutcome::Nobody;
                Self::record_visit(now, &caller.ticket, now, outcome, None, out);
            }
            return Joined::Nobody;
        }
        let call = rank.call;
        self.callers.insert(call, caller);
        self.requeue(now, call);
        self.news.callers.insert(rank);
        Joined::Waiting { came_back: kept.is_some() }
    }

    /// Those who are to be called back take no caller's room.
    fn is_full(&self, ticket: &Ticket) -> bool {
        let Some(line) = self.lines.get(&ticket.group.name) else {
            return ticket.group.line_max == 0;
        };
        let is_live = |rank: &&Rank| self.callers.get(&rank.call).is_some_and(|c| c.is_live);
        let max = ticket.group.line_max;
        line.len() >= max && line.iter().filter(is_live).count() >= max
    }

    fn kept_place(&mut self, now: Timestamp, ticket: &Ticket) -> Option<Rank> {
        let is_new_call = ticket.origin == Origin::Called && !ticket.only_manager;
        let number = ticket.caller.clone().filter(|_| is_new_call)?;
        self.kept.take(now, &(ticket.group.name.clone(), number))
    }

    /// The personal manager, if it makes sense to wait for this one.
    fn manager_awaited(&self, now: Timestamp, ticket: &Ticket) -> Option<(Login, Timestamp)> {
        let (manager, for_ms) = ticket.manager.as_ref()?;
        let person = self.staff.get(manager)?;
        let is_awaited =
            if ticket.only_manager { person.is_reachable() } else { person.can_be_awaited() };
        (is_awaited && *for_ms > 0).then(|| (manager.clone(), now.plus_ms(*for_ms)))
    }

    /// Whether an operator is logged in who may take the call now; paused ones count. Nobody has to
    /// be for a customer who is not on the line.
    pub(super) fn has_somebody(&self, now: Timestamp, caller: &Caller) -> bool {
        if caller.manager.is_some() || !caller.is_live {
            return true;
        }
        let is_staffed = |group: &str| self.staff.present(group).next().is_some();
        !caller.ticket.only_manager
            && (is_staffed(&caller.group().name) || caller.helpers(now).any(is_staffed))
    }

    /// Puts the caller where the stage and the time demand.
    pub(super) fn requeue(&mut self, now: Timestamp, call: CallId) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        let rank = caller.rank;
        let wanted = caller.desks_wanted(now);
        let left = std::mem::replace(&mut caller.desks, wanted);
        for desk in left.iter().filter(|desk| !caller.desks.contains(desk)) {
            self.desks.remove(desk, &rank);
        }
        for desk in caller.desks.iter().filter(|desk| !left.contains(desk)) {
            self.desks.insert(desk, rank);
        }

        let widens_at = caller.next_widening(now);
        let timer_before = std::mem::replace(&mut caller.widens_at, widens_at);
        if let Some(at) = timer_before.filter(|_| timer_before != widens_at) {
            self.timers.remove(&(at, Timer::Widen(call)));
        }
        self.timers.extend(widens_at.map(|at| (at, Timer::Widen(call))));

        let (group, is_in_line) = (caller.ticket.group.name.clone(), caller.is_in_line());
        self.news.reasons.insert(group.clone());
        if is_in_line {
            self.lines.entry(group).or_default().insert(rank);
        } else {
            self.leave_line(&group, &rank);
        }
    }

    fn leave_line(&mut self, group: &str, rank: &Rank) {
        let Some(line) = self.lines.get_mut(group) else { return };
        line.remove(rank);
        if line.is_empty() {
            self.lines.remove(group);
        }
    }

    /// The personal manager's time is up, or another group helps from now on.
    pub(super) fn widen(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        caller.widens_at = None;
        let is_manager_over = caller.manager.as_ref().is_some_and(|(_, until)| *until <= now);
        if is_manager_over {
            self.stop_awaiting_manager(now, call, out);
        } else {
            self.requeue(now, call);
            self.look_again_for(call);
        }
    }

    /// The caller waits for anyone from now on; a caller who wanted nobody else is turned away.
    pub(super) fn stop_awaiting_manager(
        &mut self,
        now: Timestamp,
        call: CallId,
        out: &mut Vec<Act>,
    ) {
        let Some(caller) = self.callers.get_mut(&call) else { return };
        caller.manager = None;
        match (caller.ticket.only_manager, &caller.stage) {
            (true, Stage::Waiting | Stage::Ringing { .. }) => self.turn_away(now, call, out),
            (true, Stage::Reserved { .. } | Stage::Answered { .. }) | (false, _) => {
                self.requeue(now, call);
                self.look_again_for(call);
            }
        }
    }

    /// More operators may be rung for the caller than before, or another one must be.
    pub(super) fn look_again_for(&mut self, call: CallId) {
        self.news.callers.extend(self.callers.get(&call).map(|caller| caller.rank));
    }

    /// Nobody is there who could take the call.
    pub(super) fn turn_away(&mut self, now: Timestamp, call: CallId, out: &mut Vec<Act>) {
        self.leave(now, call, LineOutcome::Nobody, None, out);
        out.push(Act::TurnAway { call });
    }

    /// Takes the caller out of everything. Unknown calls are ignored.
    pub(super) fn leave(
        &mut self,
        now: Timestamp,
        call: CallId,
        outcome: LineOutcome,
        operator: Option<Login>,
        out: &mut Vec<Act>,
    ) {
        self.withdraw_all(now, call, out);
        self.end_reservation(call);
        let Some(caller) = self.callers.remove(&call) else { return };
        for desk in &caller.desks {
            self.desks.remove(desk, &caller.rank);
        }
        let group = &caller.ticket.group.name;
        self.leave_line(group, &caller.rank);
        self.news.reasons.insert(group.clone());
        self.news.callers.remove(&caller.rank);
        if let Some(at) = caller.widens_at {
            self.timers.remove(&(at, Timer::Widen(call)));
        }
        if !caller.ticket.only_manager {
            let ticket = Ticket { origin: caller.origin, ..caller.ticket };
            Self::record_visit(now, &ticket, caller.entered, outcome, operator, out);
        }
    }

    fn record_visit(
        now: Timestamp,
        ticket: &Ticket,
        entered: Timestamp,
        outcome: LineOutcome,
        operator: Option<Login>,
        out: &mut Vec<Act>,
    ) {
        let visit = Visit {
            group: ticket.group.name.clone(),
            origin: ticket.origin,
            entered,
            wait_ms: now.since(entered),
            outcome,
            operator,
        };
        Self::record(ticket.call, CallFact::LeftLine(visit), out);
    }
}
