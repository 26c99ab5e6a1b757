//! A caller and an operator hear each other: the beginning, hold, the end, a broken connection.

use std::sync::Arc;

use crate::dialplan::plan::Group;
use crate::domain::{
    CallId, EndReason, EndedBy, Key, LegId, Login, PlayId, RecordingId, RingOutcome, Timestamp,
};
use crate::speech::{Format, Value};

use super::super::event::Command;
use super::Hub;
use super::calls::{Call, Stay};
use super::legs::{Errand, Receiver, Role};

/// Keys by which an operator pauses the recording during a conversation.
const RECORDING_KEYS: &str = "*47";

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
    typed: String,
}

/// Whether a conversation is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordingState {
    Off,
    On,
    Paused,
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

    pub(super) fn answered(&mut self, now: Timestamp, leg: LegId, out: &mut Vec<Command>) {
        match self.legs.get(&leg).cloned() {
            Some(Role::Rung(rung)) => self.offer_answered(now, leg, &rung, out),
            Some(Role::Receiver(receiver)) => self.receiver_answered(now, leg, receiver, out),
            Some(Role::Colleague { desk, operator, .. }) => {
                self.legs.insert(leg, Role::Colleague { desk, operator, is_up: true });
                out.push(Command::Answer { leg: desk });
                self.bridge(desk, leg, out);
            }
            Some(
                Role::Caller(_) | Role::Talker { .. } | Role::AfterTalk { .. } | Role::Desk(_),
            )
            | None => {}
        }
    }

    pub(super) fn ringing(&mut self, leg: LegId, out: &mut Vec<Command>) {
        if let Some(Role::Colleague { desk, .. }) = self.legs.get(&leg) {
            out.push(Command::Ring { leg: *desk });
        }
    }

    pub(super) fn unanswered(
        &mut self,
        now: Timestamp,
        leg: LegId,
        outcome: RingOutcome,
        out: &mut Vec<Command>,
    ) {
        match self.legs.remove(&leg) {
            Some(Role::Rung(rung)) => self.offer_not_taken(now, &rung, outcome),
            Some(Role::Receiver(receiver)) => self.receiver_lost(now, &receiver, out),
            Some(Role::Colleague { desk, operator, .. }) => {
                self.colleague_gone(now, desk, operator.as_ref(), Some(outcome), out);
            }
            Some(role @ (Role::Caller(_) | Role::Desk(_))) => drop(self.legs.insert(leg, role)),
            Some(Role::Talker { .. } | Role::AfterTalk { .. }) | None => {}
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

    /// A phone of ours is gone, by itself (`by` is the network) or hung up.
    pub(super) fn phone_ended(
        &mut self,
        now: Timestamp,
        leg: LegId,
        by: EndedBy,
        out: &mut Vec<Command>,
    ) {
        let Some(role) = self.legs.remove(&leg) else { return };
        self.unbridge(leg, out);
        match role {
            Role::Caller(_) => drop(self.legs.insert(leg, role)),
            Role::Rung(rung) => self.offer_not_taken(now, &rung, RingOutcome::Failed),
            Role::Receiver(receiver) => self.receiver_lost(now, &receiver, out),
            Role::Talker { call, operator } => self.talker_gone(now, call, leg, operator, by, out),
            Role::AfterTalk { operator, typed } => {
                // Hung up instead of `#`.
                self.set_topic(&operator, &typed);
            }
            Role::Desk(desk) => self.desk_gone(now, desk, by, out),
            Role::Colleague { desk, operator, .. } => {
                self.colleague_gone(now, desk, operator.as_ref(), None, out);
            }
        }
    }

    fn talker_gone(
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

    /// A key on a phone that is not a caller's.
    pub(super) fn phone_key(&mut self, leg: LegId, key: Key, out: &mut Vec<Command>) {
        match self.legs.get_mut(&leg) {
            Some(Role::AfterTalk { .. }) => self.topic_key(leg, key, out),
            Some(Role::Talker { call, .. }) => {
                let call = *call;
                self.talker_key(call, leg, key, out);
            }
            Some(Role::Desk(desk)) => {
                if let Errand::Monitor { target } = desk.errand {
                    monitor_key(leg, target, key, out);
                }
            }
            Some(Role::Caller(_) | Role::Rung(_) | Role::Receiver(_) | Role::Colleague { .. })
            | None => {}
        }
    }

    fn talker_key(&mut self, call: CallId, leg: LegId, key: Key, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let Stay::Talking(talk) = &mut entry.stay else { return };
        talk.typed.push(key.as_char());
        if talk.typed.len() > RECORDING_KEYS.len() {
            talk.typed.remove(0);
        }
        if talk.typed == RECORDING_KEYS {
            talk.typed.clear();
            if let Some(said) = self.toggle_recording(call, out) {
                out.push(self.say_to_phone(leg, vec![RecordingId::new(said)]));
            }
        }
    }

    /// Pauses the recording or goes on with it; what is to be said of it, `None`: nothing is
    /// recorded.
    pub(super) fn toggle_recording(
        &mut self,
        call: CallId,
        out: &mut Vec<Command>,
    ) -> Option<&'static str> {
        let entry = self.calls.get_mut(&call)?;
        let caller = entry.leg;
        let Stay::Talking(talk) = &mut entry.stay else { return None };
        let (state, command, said) = match talk.recording {
            RecordingState::Off => return None,
            RecordingState::On => (
                RecordingState::Paused,
                Command::PauseRecording { caller },
                "code/recording-paused",
            ),
            RecordingState::Paused => {
                (RecordingState::On, Command::ResumeRecording { caller }, "code/recording-resumed")
            }
        };
        talk.recording = state;
        out.push(command);
        Some(said)
    }

    pub(super) fn stop_recording(&mut self, call: CallId, out: &mut Vec<Command>) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let caller = entry.leg;
        if let Stay::Talking(talk) = &mut entry.stay
            && talk.recording != RecordingState::Off
        {
            talk.recording = RecordingState::Off;
            out.push(Command::StopRecording { caller });
        }
    }

    /// What an operator hears before the caller: the group and how long the caller waited, for
    /// those who want it; a beep, for those whose phone picked up by itself.
    pub(super) fn whisper(
        &self,
        now: Timestamp,
        call: CallId,
        operator: &Login,
    ) -> Vec<RecordingId> {
        let Some(operator) = self.operators.get(operator) else { return Vec::new() };
        let mut said = Vec::new();
        if operator.auto_answer {
            said.push(RecordingId::new("tone/beep"));
        }
        let group = match self.calls.get(&call).map(|entry| &entry.stay) {
            Some(Stay::Waiting { group: Some(group) }) if operator.whisper => group,
            _ => return said,
        };
        said.push(RecordingId::new(format!("whisper/group-{}", group.name)));
        if let Some(waited_ms) = self.acd.waited_ms(now, call) {
            let language = self.phone_language();
            let today = self.today(now);
            let waited = Value::Duration(waited_ms);
            if let Ok(spoken) =
                crate::speech::speak(language, Format::Duration, &waited, today, &self.catalogue)
            {
                said.push(RecordingId::new("whisper/waited"));
                said.extend(spoken.recordings);
            }
        }
        said
    }

    /// Says something on a phone of ours. What the catalogue lacks is left out.
    pub(super) fn say_to_phone(&self, leg: LegId, mut recordings: Vec<RecordingId>) -> Command {
        let language = self.phone_language();
        recordings.retain(|id| self.catalogue.text(language, id).is_some());
        Command::Play { leg, play: PlayId(0), language, recordings }
    }

    pub(super) fn receiver_answered(
        &mut self,
        now: Timestamp,
        leg: LegId,
        receiver: Receiver,
        out: &mut Vec<Command>,
    ) {
        let Receiver { call, operator, by } = receiver;
        let Some(entry) = self.calls.get_mut(&call) else {
            let (by, reason) = (EndedBy::Caller, EndReason::HungUp);
            return out.push(Command::Hangup { leg, by, reason });
        };
        let caller = entry.leg;
        let (group, first) = match &entry.stay {
            Stay::Talking(talk) => (talk.group.clone(), talk.operator.clone()),
            Stay::Waiting { .. } | Stay::Alone => (None, None),
        };
        let first_is_there = matches!(&entry.stay, Stay::Talking(Talk { phone: Some(_), .. }));
        self.stop_recording(call, out);
        self.unbridge(caller, out);
        self.with(call, now, out, |c, out| c.flow.on_held(now, false, out));
        if let Some(first) = first.filter(|_| first_is_there) {
            self.acd.talk_ended(now, &first, &mut self.acts);
        }
        if let Some(operator) = &operator {
            self.acd.talk_began(now, operator, call, group, &mut self.acts);
        }
        self.connect(now, call, leg, operator.clone(), out);
        if let Some(operator) = &operator {
            self.own_call_ended(now, operator);
        }
        self.finish_transfer(by, true, out);
    }

    /// Whom the transfer led to is not there: back to the first operator, or to the line.
    pub(super) fn receiver_lost(
        &mut self,
        now: Timestamp,
        receiver: &Receiver,
        out: &mut Vec<Command>,
    ) {
        if let Some(operator) = &receiver.operator {
            self.own_call_ended(now, operator);
        }
        let call = receiver.call;
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let caller = entry.leg;
        let Stay::Talking(talk) = &mut entry.stay else { return };
        talk.receiver = None;
        let (phone, group) = (talk.phone, talk.group.clone());
        self.with(call, now, out, |c, out| c.flow.on_held(now, false, out));
        match phone {
            Some(phone) => {
                out.push(Command::EndTransfer { leg: receiver.by, succeeded: false });
                self.bridge(caller, phone, out);
            }
            None => {
                self.with(call, now, out, |c, out| {
                    c.stay = Stay::Alone;
                    c.flow.on_operator_lost(now, out);
                });
                if let Some(group) = group {
                    self.back_to_line(now, call, group, out);
                }
            }
        }
    }
}

/// While a supervisor listens: 1 listens, 2 whispers to the operator, 3 joins in.
fn monitor_key(supervisor: LegId, operator: LegId, key: Key, out: &mut Vec<Command>) {
    use super::super::event::Monitoring::{Barge, Listen, Whisper};
    let mode = match key.as_char() {
        '1' => Listen,
        '2' => Whisper,
        '3' => Barge,
        _ => return,
    };
    out.push(Command::Monitor { supervisor, operator, mode });
}
