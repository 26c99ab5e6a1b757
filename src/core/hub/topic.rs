//! What a conversation was about: typed on the operator's phone after the caller hung up, until
//! wrap-up ends.

use crate::domain::{EndReason, EndedBy, Key, LegId, Login, RecordingId};

use super::super::acd::{OperatorState, TopicAnswer};
use super::super::event::Command;
use super::Hub;
use super::legs::Role;

/// Keys that are remembered of a topic; more make no code that any group knows.
const TOPIC_KEYS_MAX: usize = 32;

impl Hub {
    /// A key on a phone whose caller hung up. `#` ends the code; one that the group does not know
    /// may be typed again.
    pub(super) fn topic_key(&mut self, leg: LegId, key: Key, out: &mut Vec<Command>) {
        let Some(Role::AfterTalk { operator, typed }) = self.legs.get_mut(&leg) else { return };
        if key.as_char() != '#' {
            if typed.len() < TOPIC_KEYS_MAX {
                typed.push(key.as_char());
            }
            return;
        }
        let (operator, code) = (operator.clone(), std::mem::take(typed));
        match self.set_topic(&operator, &code) {
            TopicAnswer::Noted | TopicAnswer::NoConversation => hang_up(leg, out),
            TopicAnswer::Unknown => {
                out.push(Command::StopPlaying { leg });
                out.push(self.say_to_phone(leg, vec![RecordingId::new("code/unknown")]));
            }
        }
    }

    pub(super) fn set_topic(&mut self, operator: &Login, typed: &str) -> TopicAnswer {
        self.acd.set_topic(operator, typed.trim_end_matches('#').to_owned())
    }

    /// When wrap-up is over, there is nothing left to be typed.
    pub(super) fn end_after_talk(&self, operator: &Login, out: &mut Vec<Command>) {
        if matches!(self.acd.state(operator), Some(OperatorState::WrapUp { .. })) {
            return;
        }
        for (leg, role) in &self.legs {
            if matches!(role, Role::AfterTalk { operator: of, .. } if of == operator) {
                hang_up(*leg, out);
            }
        }
    }
}

fn hang_up(leg: LegId, out: &mut Vec<Command>) {
    let (by, reason) = (EndedBy::Plan, EndReason::HungUp);
    out.push(Command::Hangup { leg, by, reason });
}
