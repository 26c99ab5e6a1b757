//! Conversations are written down, unless somebody says no, with pauses for what nobody may keep.

use crate::domain::{CallId, Key, LegId, RecordingId};

use super::super::event::Command;
use super::Hub;
use super::calls::Stay;

/// Keys by which an operator pauses the recording during a conversation.
const RECORDING_KEYS: &str = "*47";

/// Whether a conversation is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordingState {
    Off,
    On,
    Paused,
}

impl Hub {
    pub(super) fn talker_key(
        &mut self,
        call: CallId,
        leg: LegId,
        key: Key,
        out: &mut Vec<Command>,
    ) {
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
}
