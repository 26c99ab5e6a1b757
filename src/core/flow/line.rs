//! A group's line, from the caller's side: into it, out of it, and the conversation that it leads to.
//!
//! The flow knows nothing of operators. It asks with a [`LineRequest`]; whoever drives it takes the
//! requests after each call of a method and answers each at once by the method that its doc names.

use std::sync::Arc;

use crate::core::acd::{Estimate, Joined};
use crate::dialplan::plan::{Block, Group, Script, Text};
use crate::dialplan::waiting;
use crate::domain::{
    CallFact, EndReason, EndedBy, Key, Login, PhoneNumber, RecordingId, Timestamp,
};

use super::callback::Dialogue;
use super::comfort::{Comfort, Word};
use super::{Activity, Command, Flow, Known, Next, Waiting, recording};

/// Refusals (nobody, full, not reached) with nothing in between that a caller notices; more is a
/// plan that runs in circles.
const REFUSALS_MAX: u8 = 16;

/// What a call asks of the line.
#[derive(Clone, Debug)]
pub enum LineRequest {
    /// Into this group's line, by the rules of this very group. Answered by [`Flow::on_joined`].
    Join { group: Arc<Group> },
    /// One of these, which this caller has not heard yet, or longest ago. Answered by
    /// [`Flow::on_tip`].
    Tip { recordings: Vec<RecordingId> },
    /// How the caller stands in the line. Answered by [`Flow::on_place`].
    Place,
    /// The caller leaves the line now and wants to be called back when the turn comes: a promise
    /// ([`CallbackFromLine`](crate::domain::PromiseKind::CallbackFromLine)) with the place in the
    /// line. Stored before it is spoken of: answered by [`Flow::on_deed_done`].
    Callback {
        number: PhoneNumber,
        group: String,
        /// By the wall clock.
        due: Timestamp,
    },
    /// The caller forbids the recording of this call. No answer.
    RefuseRecording,
    /// Ring this one operator, at most for so long. Answered, then or later, by
    /// [`Flow::on_operator_answered`] or [`Flow::on_turned_away`].
    RingOperator { operator: Login, for_ms: u64 },
}

/// How a caller stands in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// From 1, which is next.
    pub place: usize,
    pub estimate: Option<Estimate>,
    /// An operator's phone rings for this caller just now: not all operators are busy.
    pub is_ringing: bool,
}

/// A caller in a group's line.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) group: Arc<Group>,
    /// When the caller joined the line.
    pub(super) since: Timestamp,
    pub(super) comfort: Comfort,
    /// What [`LineRequest::Place`] was asked for.
    pub(super) asked: Option<Word>,
    /// Minutes that the caller was told to wait, lately.
    pub(super) told_minutes: Option<u64>,
    /// The caller is asked about a callback.
    pub(super) dialogue: Option<Dialogue>,
}

impl Stay {
    fn new(now: Timestamp, group: Arc<Group>, comfort: Comfort) -> Self {
        Self { group, since: now, comfort, asked: None, told_minutes: None, dialogue: None }
    }
}

/// A caller and an operator.
#[derive(Debug)]
pub(super) struct Talk {
    /// The group through which they met.
    pub(super) group: Option<Arc<Group>>,
    /// `Some`: the caller is on hold, or being transferred.
    pub(super) hold: Option<Comfort>,
}

/// Into the line.
impl Flow {
    /// The requests that came up since they were taken last, oldest first.
    pub fn take_requests(&mut self) -> Vec<LineRequest> {
        std::mem::take(&mut self.requests)
    }

    pub(super) fn queue(&mut self, name: &str, now: Timestamp, out: &mut Vec<Command>) -> Next {
        self.typed_ahead.clear();
        self.menu = None;
        self.is_after_talk = false;
        match self.script.groups.get(name).cloned() {
            Some(group) => Next::Wait(self.enter_line(group, now, out)),
            None => self.farewell(now, out),
        }
    }

    /// Who is recorded is told so before an operator can answer, once in a call; who was called hears
    /// first by whom and why.
    fn enter_line(&mut self, group: Arc<Group>, now: Timestamp, out: &mut Vec<Command>) -> Waiting {
        out.push(self.record(CallFact::Queued { group: group.name.clone() }));
        let notice = group.record.as_ref().filter(|_| !self.is_recording_announced);
        if let Some(rule) = notice {
            self.is_recording_announced = true;
            self.say_in_any_case(rule.announce.clone(), now, out);
            return Waiting::Notice { group };
        }
        if self.is_callback {
            return Waiting::Notice { group };
        }
        self.join(group)
    }

    pub(super) fn join(&mut self, group: Arc<Group>) -> Waiting {
        self.requests.push(LineRequest::Join { group: group.clone() });
        Waiting::Joining { group }
    }

    /// Of one operator who is rung, too: who is not there is not waited for.
    pub fn on_joined(&mut self, now: Timestamp, joined: Joined, out: &mut Vec<Command>) {
        if let (Waiting::Ringing(_), Joined::Full | Joined::Nobody) = (&self.waiting, joined) {
            return self.on_turned_away(now, out);
        }
        let Waiting::Joining { group } = &self.waiting else { return };
        let group = group.clone();
        match joined {
            Joined::Waiting { came_back: _ } => {
                let comfort = Comfort::in_line(now, &group);
                self.waiting = Waiting::Line(Box::new(Stay::new(now, group, comfort)));
            }
            Joined::Full => self.refused(&group.full, now, out),
            Joined::Nobody => self.refused(&group.nobody, now, out),
        }
    }

    /// Rings one operator, if the login is known and can be one.
    pub(super) fn ring(&mut self, operator: &Text, for_ms: u64, now: Timestamp) -> Next {
        let login = match operator {
            Text::Fixed(login) => Some(login.clone()),
            Text::Name(name) => match self.knowledge.value(name) {
                Some(Known::Text(login)) => Some(login),
                _ => None,
            },
        };
        let Some(operator) = login.and_then(|login| login.trim().parse().ok()) else {
            return Next::Run;
        };
        self.typed_ahead.clear();
        self.requests.push(LineRequest::RingOperator { operator, for_ms });
        Next::Wait(Waiting::Ringing(Comfort::on_hold(now, None)))
    }
}

/// Out of the line.
impl Flow {
    /// The last operator of the group logged out, or the one who was rung is not reached.
    pub fn on_turned_away(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        match &self.waiting {
            Waiting::Line(stay) => {
                let group = stay.group.clone();
                self.cut(out);
                self.refused(&group.nobody, now, out);
            }
            // What was said before is heard to its end, and then what the plan says of it.
            Waiting::Ringing(_) => {
                if self.bears_refusal(now, out) {
                    self.run(now, out);
                }
            }
            Waiting::Confirmation { .. }
            | Waiting::MenuKey { .. }
            | Waiting::Digits(_)
            | Waiting::Lookup(_)
            | Waiting::Deed { .. }
            | Waiting::Beep { .. }
            | Waiting::Message { .. }
            | Waiting::Greeting(_)
            | Waiting::Room
            | Waiting::Notice { .. }
            | Waiting::Joining { .. }
            | Waiting::Talking(_)
            | Waiting::LastWords { .. }
            | Waiting::Over => {}
        }
    }

    fn refused(&mut self, block: &Block, now: Timestamp, out: &mut Vec<Command>) {
        if self.bears_refusal(now, out) {
            self.enter(Activity::Walk, block.clone());
            self.run(now, out);
        }
    }

    fn bears_refusal(&mut self, now: Timestamp, out: &mut Vec<Command>) -> bool {
        self.refusals += 1;
        let bears = self.refusals < REFUSALS_MAX;
        if !bears {
            self.give_up(now, out);
        }
        bears
    }

    /// The caller and an operator hear each other from now on, and nothing else.
    pub fn on_operator_answered(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let group = match &self.waiting {
            Waiting::Line(stay) => {
                self.knowledge.set_waited(now.since(stay.since));
                Some(stay.group.clone())
            }
            Waiting::Talking(talk) => talk.group.clone(),
            Waiting::Ringing(_) => None,
            Waiting::Confirmation { .. }
            | Waiting::MenuKey { .. }
            | Waiting::Digits(_)
            | Waiting::Lookup(_)
            | Waiting::Deed { .. }
            | Waiting::Beep { .. }
            | Waiting::Message { .. }
            | Waiting::Greeting(_)
            | Waiting::Room
            | Waiting::Notice { .. }
            | Waiting::Joining { .. }
            | Waiting::LastWords { .. }
            | Waiting::Over => return,
        };
        self.cut(out);
        self.waiting = Waiting::Talking(Talk { group, hold: None });
    }

    /// The connection to the operator broke. Who came through a group is in its line again; who
    /// was rung by name goes on with the next line of the plan.
    pub fn on_operator_lost(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let Waiting::Talking(talk) = &self.waiting else { return };
        let group = talk.group.clone();
        self.cut(out);
        self.say_in_any_case([recording(waiting::OPERATOR_LOST)], now, out);
        match group {
            Some(group) => {
                let comfort = Comfort::in_line_again(now, &group);
                self.waiting = Waiting::Line(Box::new(Stay::new(now, group, comfort)));
            }
            None => self.run(now, out),
        }
    }

    /// The operator put the caller on hold, or ended that.
    pub fn on_held(&mut self, now: Timestamp, is_held: bool, out: &mut Vec<Command>) {
        let Waiting::Talking(talk) = &mut self.waiting else { return };
        talk.hold = match (is_held, talk.hold.take()) {
            (true, Some(hold)) => Some(hold),
            (true, None) => Some(Comfort::on_hold(now, talk.group.as_deref())),
            (false, _) => None,
        };
        if !is_held {
            self.cut(out);
        }
    }

    /// The operator hung up: what the group says of that follows, and then the end.
    pub fn on_talk_ended(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let Waiting::Talking(talk) = &self.waiting else { return };
        let afterwards = talk.group.as_ref().map(|group| group.afterwards.clone());
        self.cut(out);
        match afterwards.filter(|block| !block.is_empty()) {
            Some(block) => {
                self.is_after_talk = true;
                self.typed_ahead.clear();
                self.menu = None;
                self.enter(Activity::Walk, block);
                self.run(now, out);
            }
            None => self.hang_up(EndedBy::Operator, EndReason::HungUp, out),
        }
    }

    /// The operator sent the caller to a group: into its line, by a [`LineRequest::Join`].
    pub fn on_transferred_to_line(
        &mut self,
        now: Timestamp,
        group: Arc<Group>,
        out: &mut Vec<Command>,
    ) {
        if let Waiting::Talking(_) = &self.waiting {
            self.cut(out);
            self.stack.clear();
            self.waiting = self.enter_line(group, now, out);
            if self.plays.is_empty() {
                self.on_silence(now, out);
            }
        }
    }
}

/// On in the plan.
impl Flow {
    /// The operator sent the caller to a number of the plan: its block is next.
    pub fn on_transferred_to_plan(
        &mut self,
        now: Timestamp,
        script: Arc<Script>,
        block: Block,
        out: &mut Vec<Command>,
    ) {
        if let Waiting::Talking(_) = &self.waiting {
            self.cut(out);
            self.knowledge.set_call_to(&script.call_to);
            self.script = script;
            self.menu = None;
            self.enter(Activity::Walk, block);
            self.run(now, out);
        }
    }
}

/// Keys in the line.
impl Flow {
    pub(super) fn take_line_key(&mut self, now: Timestamp, key: Key, out: &mut Vec<Command>) {
        let (group, in_dialogue) = match &self.waiting {
            Waiting::Line(stay) => (stay.group.clone(), stay.dialogue.is_some()),
            Waiting::Notice { group } => (group.clone(), false),
            _ => return,
        };
        if in_dialogue {
            return self.take_callback_key(now, key, out);
        }
        let refuses = group.record.as_ref().and_then(|rule| rule.refuse_key);
        if refuses == Some(key) {
            self.requests.push(LineRequest::RefuseRecording);
            self.cut(out);
            let refused = self.sentence(waiting::RECORDING_REFUSED);
            self.play_if_recorded(refused, now, out);
        } else if let Waiting::Line(_) = &self.waiting
            && group.offer_callback.is_some_and(|offer| offer.key == key)
        {
            self.begin_callback(now, out);
        }
    }
}
