//! What came and waits for its turn: nobody's flood takes the turn of others.
//!
//! Each source has a line of its own, and the lines are served in turn. What belongs to something
//! that is there already goes before what is new, and known sources go before strangers:
//!
//! | served | what | when too much waits |
//! |---|---|---|
//! | first | answers, ACK, BYE, OPTIONS … of known sources | dropped, counted |
//! | second | the same of strangers | dropped, counted |
//! | third | INVITE, REGISTER … of known sources | 503 |
//! | last | the same of strangers | 503 |
//!
//! So that a flood of one kind starves no other, each [`IN_A_ROW`] of the upper two let one of the
//! lower two pass. What is new waits while the app is behind. When it has waited for
//! [`PATIENCE_MS`], what comes after it is refused at once: a caller who is told soon may try
//! elsewhere, and who is let in is answered before the INVITE is repeated (T1).

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// How long something new may wait before what comes behind it is refused.
const PATIENCE_MS: u64 = 200;
/// What has waited so long is refused when its turn comes: its sender is about to repeat it.
const TOO_LATE_MS: u64 = 450;
/// As long as no more than this waits, nothing is refused: a pause of the machine is no overload.
const FEW: usize = 64;
/// Nor while no more than this waits from the same source: others have brought the trouble.
const FEW_IN_LINE: usize = 4;
/// So many of what is there already go before something new, if that waits.
const IN_A_ROW: u32 = 32;
/// Lines of sources that nothing waits from are kept up to this number, with what they have sent in
/// this second; then they are forgotten.
const LINES_MAX: usize = 10_000;

/// Whether a message waits for its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It belongs to something that is there already: an answer, a request inside a call.
    Running,
    /// It begins something.
    Fresh,
    /// It must not overtake what is new of the same source, and is never refused: CANCEL, or the
    /// end of a connection.
    Following,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This machine, a trusted network, a trunk, a registered phone.
    Known,
    Stranger,
}

/// Why something may not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its source has sent too many messages in this second, of whatever kind.
    Flood,
    /// Too much waits, or for too long.
    Behind,
}

/// What was taken out of its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<T> {
    Served(T),
    /// It has waited too long; to be refused.
    Late(T),
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Messages of each of the four kinds; strangers have half of it, one source a quarter.
    pub waiting_max: usize,
    /// Messages in a second from one stranger.
    pub stranger_per_second_max: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Intake<T> {
    room: Room,
    lines: BTreeMap<IpAddr, Line<T>>,
    running: Turns,
    fresh: Turns,
    in_a_row: u32,
}

/// What one source has sent.
#[derive(Debug)]
struct Line<T> {
    standing: Standing,
    running: VecDeque<T>,
    /// With the time when it came.
    fresh: VecDeque<(u64, T)>,
    second: u64,
    sent_in_second: u32,
}

/// The sources that something waits from, by standing.
#[derive(Debug, Default)]
struct Turns {
    known: Queue,
    strangers: Queue,
}

/// Sources in the order of their turns, and how much waits from all of them.
#[derive(Debug, Default)]
struct Queue {
    sources: VecDeque<IpAddr>,
    waiting: usize,
}

impl Turns {
    fn of(&mut self, standing: Standing) -> &mut Queue {
        match standing {
            Standing::Known => &mut self.known,
            Standing::Stranger => &mut self.strangers,
        }
    }

    fn waiting(&self) -> usize {
        self.known.waiting + self.strangers.waiting
    }

    /// The source whose turn it is.
    fn next(&mut self) -> Option<IpAddr> {
        let queue = if self.known.waiting > 0 { &mut self.known } else { &mut self.strangers };
        let source = queue.sources.pop_front()?;
        queue.waiting -= 1;
        Some(source)
    }
}

impl<T> Line<T> {
    fn new(standing: Standing) -> Self {
        let (running, fresh) = (VecDeque::new(), VecDeque::new());
        Self { standing, running, fresh, second: 0, sent_in_second: 0 }
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.fresh.is_empty()
    }

    /// One more message; `true`: there were too many in this second.
    fn floods(&mut self, now_ms: u64, most: u32) -> bool {
        let second = now_ms / 1000;
        if second != self.second {
            (self.second, self.sent_in_second) = (second, 0);
        }
        self.sent_in_second = self.sent_in_second.saturating_add(1);
        self.standing == Standing::Stranger && self.sent_in_second > most
    }

    /// How long the oldest of what is new has waited.
    fn waited_ms(&self, now_ms: u64) -> u64 {
        self.fresh.front().map_or(0, |(came_ms, _)| now_ms.saturating_sub(*came_ms))
    }
}

impl<T> Intake<T> {
    pub fn new(room: Room) -> Self {
        let (running, fresh) = (Turns::default(), Turns::default());
        Self { room, lines: BTreeMap::new(), running, fresh, in_a_row: 0 }
    }

    /// Puts a message into the line of its source; gives it back if it may not wait.
    pub fn push(
        &mut self,
        now_ms: u64,
        source: IpAddr,
        standing: Standing,
        urgency: Urgency,
        item: T,
    ) -> Result<(), (Refusal, T)> {
        if self.lines.len() >= LINES_MAX && !self.lines.contains_key(&source) {
            self.lines.retain(|_, line| !line.is_idle());
        }
        let Room { waiting_max, stranger_per_second_max } = self.room;
        let of_all = match standing {
            Standing::Known => waiting_max,
            Standing::Stranger => waiting_max / 2,
        };
        let line = self.lines.entry(source).or_insert_with(|| Line::new(standing));
        if line.is_idle() {
            line.standing = standing;
        }
        let follows = urgency == Urgency::Following;
        if line.floods(now_ms, stranger_per_second_max) && !follows {
            return Err((Refusal::Flood, item));
        }
        let is_fresh = match urgency {
            Urgency::Running => false,
            Urgency::Fresh => true,
            Urgency::Following => !line.fresh.is_empty(),
        };
        let queue = if is_fresh { &mut self.fresh } else { &mut self.running }.of(line.standing);
        let in_line = if is_fresh { line.fresh.len() } else { line.running.len() };
        let is_full = queue.waiting >= of_all || in_line >= waiting_max / 4;
        let is_behind = is_fresh
            && queue.waiting >= FEW
            && in_line >= FEW_IN_LINE
            && line.waited_ms(now_ms) >= PATIENCE_MS;
        if (is_full || is_behind) && !follows {
            return Err((Refusal::Behind, item));
        }
        if in_line == 0 {
            queue.sources.push_back(source);
        }
        queue.waiting += 1;
        if is_fresh {
            line.fresh.push_back((now_ms, item));
        } else {
            line.running.push_back(item);
        }
        Ok(())
    }

    /// Whether [`Intake::take`] would give something.
    pub fn has_turn(&self, is_app_ready: bool) -> bool {
        self.running.waiting() > 0 || (is_app_ready && self.fresh.waiting() > 0)
    }

    /// Whether much waits, of whatever kind.
    pub fn is_crowded(&self) -> bool {
        self.running.waiting() + self.fresh.waiting() >= self.room.waiting_max / 8
    }

    /// Whether something new waits.
    pub fn has_fresh(&self) -> bool {
        self.fresh.waiting() > 0
    }

    /// Whose turn it is. Nothing new is given while the app is behind.
    pub fn take(&mut self, now_ms: u64, is_app_ready: bool) -> Option<Turn<T>> {
        let fresh_may = is_app_ready && self.fresh.waiting() > 0;
        let running_may = self.running.waiting() > 0;
        if running_may && (!fresh_may || self.in_a_row < IN_A_ROW) {
            self.in_a_row += 1;
            return self.take_running().map(Turn::Served);
        }
        self.in_a_row = 0;
        if fresh_may { self.take_fresh(now_ms) } else { None }
    }

    fn take_running(&mut self) -> Option<T> {
        let source = self.running.next()?;
        let line = self.lines.get_mut(&source)?;
        let item = line.running.pop_front();
        if !line.running.is_empty() {
            self.running.of(line.standing).sources.push_back(source);
        }
        item
    }

    fn take_fresh(&mut self, now_ms: u64) -> Option<Turn<T>> {
        let source = self.fresh.next()?;
        let line = self.lines.get_mut(&source)?;
        let (came_ms, item) = line.fresh.pop_front()?;
        if !line.fresh.is_empty() {
            self.fresh.of(line.standing).sources.push_back(source);
        }
        let is_late = now_ms.saturating_sub(came_ms) >= TOO_LATE_MS && self.fresh.waiting() >= FEW;
        Some(if is_late { Turn::Late(item) } else { Turn::Served(item) })
    }
}

#[cfg(test)]
mod tests;
