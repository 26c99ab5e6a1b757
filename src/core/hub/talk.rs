//! A caller and an operator hear each other: the beginning, hold, the end, a broken connection.

use std::sync::Arc;

use crate::dialplan::plan::Group;
use crate::domain::{CallId, EndReason, EndedBy, LegId, Login, Timestamp};

use super::super::event::Command;
use super::Hub;
use super::calls::{Call, Stay};
use super::legs::Role;
use super::recording::RecordingState;

/// A conversation of a caller.
#[derive(Debug)]
pub(super) struct Talk {
    pub group: Option<Arc<Group>>,
    /// The phone at the other end; `None`: it is gone and `receiver` rings.
    pub phone: Option<LegId>,
    /// `None`: somebody outside.
    pub operator: Option<Login>,
    /// A phone that was dialled to take the caller over.
    pub receiver: Option<LegId>,
    pub recording: RecordingState,
    /// What was last typed on the operator's phone.
    pub typed: String,
}

impl Hub {
    /// Caller and phone hear each other from now on; the wait, if there was one, is over.
    pub(super) fn connect(
        &mut self,
        now: Timestamp,
        call: CallId,
        phone: LegId,
        operator: Option<Login>,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let caller = entry.leg;
        let group = match std::mem::take(&mut entry.stay) {
            Stay::Waiting { group } => group,
            Stay::Talking(talk) => talk.group,
            Stay::Alone => None,
        };
        let is_recorded =
            group.as_ref().is_some_and(|g| g.record.is_some()) && !entry.refuses_recording;
        let recording = if is_recorded { RecordingState::On } else { RecordingState::Off };
        entry.stay = Stay::Talking(Talk {
            group,
            phone: Some(phone),
            operator: operator.clone(),
            receiver: None,
            recording,
            typed: String::new(),
        });
        if let Some(outbound) = &mut entry.outbound {
            outbound.operator = None;
            outbound.is_reached = true;
        }
        self.legs.insert(phone, Role::Talker { call, operator });
        self.bridge(caller, phone, out);
        self.with(call, now, out, |c, out| c.flow.on_operator_answered(now, out));
        if is_recorded {
            out.push(Command::StartRecording { call, caller, operator: phone });
        }
        self.acd.connected(now, call, &mut self.acts);
    }

    pub(super) fn bridge(&mut self, one: LegId, other: LegId, out: &mut Vec<Command>) {
        self.bridges.insert(one, other);
        self.bridges.insert(other, one);
        out.push(Command::Bridge { one, other });
    }

    pub(super) fn unbridge(&mut self, leg: LegId, out: &mut Vec<Command>) {
        if let Some(other) = self.bridges.remove(&leg) {
            self.bridges.remove(&other);
            out.push(Command::Unbridge { leg });
        }
    }

    /// No audio came for long: the connection broke, whatever the signalling says. A caller who was
    /// talking with this phone has not hung up and is not hung up on.
    pub(super) fn media_died(&mut self, now: Timestamp, leg: LegId, out: &mut Vec<Command>) {
        let Some(role) = self.legs.get(&leg) else { return };
        let is_caller = matches!(role, Role::Caller(_));
        let (by, reason) = (EndedBy::Network, EndReason::MediaDied);
        out.push(Command::Hangup { leg, by, reason });
        if !is_caller {
            self.phone_ended(now, leg, by, out);
        }
    }

    pub(super) fn talker_gone(
        &mut self,
        now: Timestamp,
        call: CallId,
        leg: LegId,
        operator: Option<Login>,
        by: EndedBy,
        out: &mut Vec<Command>,
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let Stay::Talking(talk) = &mut entry.stay else { return };
        if talk.phone != Some(leg) {
            return;
        }
        self.stop_recording(call, out);
        let Some(Call { stay: Stay::Talking(talk), .. }) = self.calls.get_mut(&call) else {
            return;
        };
        if talk.receiver.is_some() {
            // Hung up after asking for a transfer: the caller waits for whom it leads to.
            talk.phone = None;
            if let Some(operator) = operator {
                self.acd.talk_ended(now, &operator, &mut self.acts);
            }
        } else if by == EndedBy::Network {
            self.lose_operator(now, call, operator.as_ref(), out);
        } else {
            if let Some(operator) = operator {
                self.acd.talk_ended(now, &operator, &mut self.acts);
            }
            self.with(call, now, out, |c, out| {
                c.stay = Stay::Alone;
                c.flow.on_talk_ended(now, out);
            });
        }
    }

    /// The connection to the operator broke; the caller did nothing wrong.
    fn lose_operator(
        &mut self,
        now: Timestamp,
        call: CallId,
        operator: Option<&Login>,
        out: &mut Vec<Command>,
    ) {
        if let Some(operator) = operator {
            self.acd.talk_ended(now, operator, &mut self.acts);
        }
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let group = match std::mem::take(&mut entry.stay) {
            Stay::Talking(talk) => talk.group,
            Stay::Waiting { .. } | Stay::Alone => None,
        };
        self.with(call, now, out, |c, out| c.flow.on_operator_lost(now, out));
        if let Some(group) = group {
            self.back_to_line(now, call, group, out);
        }
    }

    /// The caller hung up during a conversation.
    pub(super) fn caller_left(
        &mut self,
        now: Timestamp,
        call: CallId,
        talk: Talk,
        out: &mut Vec<Command>,
    ) {
        let Some(caller) = self.calls.get(&call).map(|entry| entry.leg) else { return };
        if talk.recording != RecordingState::Off {
            out.push(Command::StopRecording { caller });
        }
        self.unbridge(caller, out);
        let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
        out.extend(talk.receiver.map(|leg| Command::Hangup { leg, by, reason }));
        let has_topics = talk.group.as_ref().is_some_and(|group| !group.topics.is_empty());
        match (talk.phone, talk.operator.clone()) {
            (Some(leg), Some(operator)) if has_topics => {
                let typed = String::new();
                self.legs.insert(leg, Role::AfterTalk { operator, typed });
            }
            (Some(leg), _) => {
                self.legs.remove(&leg);
                out.push(Command::Hangup { leg, by, reason });
            }
            (None, _) => {}
        }
        if let (Some(operator), Some(_)) = (talk.operator, talk.phone) {
            self.acd.talk_ended(now, &operator, &mut self.acts);
        }
    }

    pub(super) fn held(
        &mut self,
        now: Timestamp,
        leg: LegId,
        is_held: bool,
        out: &mut Vec<Command>,
    ) {
        let Some(Role::Talker { call, operator }) = self.legs.get(&leg).cloned() else { return };
        if let Some(operator) = operator {
            self.acd.hold(now, &operator, is_held);
        }
        let Some(Call { leg: caller, stay: Stay::Talking(talk), .. }) = self.calls.get(&call)
        else {
            return;
        };
        // What the phone itself plays to those on hold is not heard: our tips are.
        match (is_held, *caller, talk.receiver) {
            (true, caller, _) => self.unbridge(caller, out),
            (false, caller, None) => self.bridge(caller, leg, out),
            // It waits for whom the transfer leads to.
            (false, _, Some(_)) => return,
        }
        self.with(call, now, out, |c, out| c.flow.on_held(now, is_held, out));
    }
}
