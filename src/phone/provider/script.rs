//! What the phone of a called number does.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::{Key, RecordingId};
use crate::phone::keys::{KeyScript, KeyStep};
use crate::phone::listen::Recording;

/// The tone of early media: the ringing tone of Russian networks, in Hz.
const RINGING_TONE_HZ: u32 = 425;

/// What is sent at once when a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Nothing, and nothing after it either: the INVITE gets lost.
    Nothing,
    /// 180.
    Ringing,
    /// 183 with audio of the network: a tone.
    EarlyMedia,
}

/// What is sent after the first response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// 200, so long after the INVITE.
    PickUp { after: Duration },
    /// This final status, so long after the INVITE.
    Refuse { after: Duration, code: u16 },
    /// Nothing: it rings until the other side gives up.
    Nothing,
}

/// What is done in a call that was picked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Wait(Duration),
    /// Until this recording has ended, whole or cut; it must be one of those listened for.
    Hear(RecordingId),
    /// Until this tone is heard; it must be one of those listened for.
    HearTone(u32),
    /// By RFC 4733.
    Press(Key),
    /// A tone, in Hz, or silence.
    Speak(Option<u32>),
    HangUp,
}

/// What becomes of one call. After its last step a call stays up until the other side hangs up.
#[derive(Clone, Debug)]
pub struct Script {
    pub first: First,
    pub then: Then,
    pub steps: VecDeque<Step>,
    /// Recordings that are told when they end; see [`Script::listening_for`].
    pub listens_for: Vec<Recording>,
    /// Tones that are told when they begin, in Hz; see [`Script::listening_for_tones`].
    pub listens_for_hz: Vec<u32>,
    /// Whether audio is kept; without it a call costs little. It isn't unless something is
    /// listened for or [`Script::keeping_audio`] asks for it.
    pub keeps_audio: bool,
    /// Whether silence is sent while nothing is said; it is unless said otherwise.
    pub sends_audio: bool,
}

impl Script {
    /// Rings, is picked up so long after the INVITE, and says nothing.
    pub fn picks_up(after: Duration) -> Self {
        Self::new(First::Ringing, Then::PickUp { after })
    }

    /// This final status at once, without ringing.
    pub fn refuses(code: u16) -> Self {
        Self::new(First::Nothing, Then::Refuse { after: Duration::ZERO, code })
    }

    /// Rings, and refuses so long after the INVITE.
    pub fn rings_then_refuses(after: Duration, code: u16) -> Self {
        Self::new(First::Ringing, Then::Refuse { after, code })
    }

    /// Rings without end.
    pub fn rings() -> Self {
        Self::new(First::Ringing, Then::Nothing)
    }

    /// Not even 100.
    pub fn never_replies() -> Self {
        Self::new(First::Nothing, Then::Nothing)
    }

    fn new(first: First, then: Then) -> Self {
        Self {
            first,
            then,
            steps: VecDeque::new(),
            listens_for: Vec::new(),
            listens_for_hz: Vec::new(),
            keeps_audio: false,
            sends_audio: true,
        }
    }

    /// Early media (183) instead of ringing (180).
    #[must_use]
    pub fn with_early_media(mut self) -> Self {
        self.first = First::EarlyMedia;
        self
    }

    /// Listens for these recordings, which costs time for each.
    #[must_use]
    pub fn listening_for(mut self, recordings: Vec<Recording>) -> Self {
        (self.listens_for, self.keeps_audio) = (recordings, true);
        self
    }

    /// Listens for these tones, at least 100 Hz apart.
    #[must_use]
    pub fn listening_for_tones(mut self, hz: Vec<u32>) -> Self {
        (self.listens_for_hz, self.keeps_audio) = (hz, true);
        self
    }

    #[must_use]
    pub fn keeping_audio(mut self) -> Self {
        self.keeps_audio = true;
        self
    }

    /// Sends no packet unless something is said.
    #[must_use]
    pub fn mute(mut self) -> Self {
        self.sends_audio = false;
        self
    }

    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        self.step(Step::Wait(wait))
    }

    #[must_use]
    pub fn hear(self, recording: RecordingId) -> Self {
        self.step(Step::Hear(recording))
    }

    #[must_use]
    pub fn hear_tone(self, hz: u32) -> Self {
        self.step(Step::HearTone(hz))
    }

    #[must_use]
    pub fn press(self, key: Key) -> Self {
        self.step(Step::Press(key))
    }

    /// Keys and waits as `allo call --keys` takes them.
    #[must_use]
    pub fn play(mut self, keys: &KeyScript) -> Self {
        self.steps.extend(keys.0.iter().map(|step| match step {
            KeyStep::Press(key) => Step::Press(*key),
            KeyStep::Wait(wait) => Step::Wait(*wait),
        }));
        self
    }

    #[must_use]
    pub fn speak(self, voice_hz: Option<u32>) -> Self {
        self.step(Step::Speak(voice_hz))
    }

    #[must_use]
    pub fn hang_up(self) -> Self {
        self.step(Step::HangUp)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    /// The tone before the call is picked up.
    pub(super) fn early_tone_hz(&self) -> Option<u32> {
        (self.first == First::EarlyMedia).then_some(RINGING_TONE_HZ)
    }

    /// Whether there is no response at all.
    pub(super) fn is_lost(&self) -> bool {
        (self.first, self.then) == (First::Nothing, Then::Nothing)
    }
}
