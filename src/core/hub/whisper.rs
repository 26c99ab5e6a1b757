//! What operators are told by a voice: before a caller is connected, and after a code.

use crate::domain::{CallId, LegId, Login, PlayId, PromiseKind, RecordingId, Timestamp};
use crate::speech::{Format, Value};

use super::super::event::Command;
use super::Hub;
use super::calls::Stay;

impl Hub {
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
        if let Some(kind) = self.callback_kind(call) {
            said.push(RecordingId::new("whisper/callback"));
            said.extend(reason(kind).map(RecordingId::new));
            return said;
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

    /// Why the customer of this call is to be called; `None`: the customer called.
    fn callback_kind(&self, call: CallId) -> Option<PromiseKind> {
        let outbound = self.calls.get(&call)?.outbound.as_ref()?;
        outbound.is_callback().then_some(outbound.kind)
    }

    /// Says something on a phone of ours. What the catalogue lacks is left out.
    pub(super) fn say_to_phone(&self, leg: LegId, mut recordings: Vec<RecordingId>) -> Command {
        let language = self.phone_language();
        recordings.retain(|id| self.catalogue.text(language, id).is_some());
        Command::Play { leg, play: PlayId(0), language, recordings }
    }
}

/// What an operator hears of why a customer is called back.
fn reason(kind: PromiseKind) -> Option<&'static str> {
    match kind {
        PromiseKind::CallbackMissed | PromiseKind::CallbackAfterHours => Some("whisper/missed"),
        PromiseKind::CallbackLowRating => Some("whisper/low-rating"),
        PromiseKind::Incident => Some("whisper/incident"),
        PromiseKind::CallbackOrdered
        | PromiseKind::CallbackFromLine
        | PromiseKind::RatingCall
        | PromiseKind::Reminder => None,
    }
}
