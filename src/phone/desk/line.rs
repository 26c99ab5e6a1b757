//! The audio of one call, on a task of its own.

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::DeskCall;
use super::log::{DeskFact, Log};
use crate::domain::Key;
use crate::phone::audio::Audio;
use crate::phone::keys::KeyBy;
use crate::phone::playout::Playout;
use crate::phone::sdp::Agreement;

/// What a call's audio is told.
pub(super) enum AudioCommand {
    Agree(Agreement),
    /// Whether the call is answered and not over.
    Up(bool),
    Press(Key, KeyBy),
    Speak(Option<u32>),
    Listen(oneshot::Sender<Playout>),
}

/// Speaks and listens until the commands end; what was heard goes into the log.
pub(super) async fn attend(
    call: DeskCall,
    mut audio: Audio,
    mut commands: mpsc::Receiver<AudioCommand>,
    begun: Instant,
    log: std::sync::Arc<Log>,
) {
    let mut is_up = false;
    loop {
        tokio::select! {
            due = audio.wait() => {
                for event in audio.act(due, begun.elapsed(), is_up).await {
                    log.write(begun + event.at, DeskFact::Call { call, what: event.what });
                }
            }
            command = commands.recv() => match command {
                Some(AudioCommand::Agree(agreement)) => audio.agree(agreement),
                Some(AudioCommand::Up(up)) => is_up = up,
                Some(AudioCommand::Press(key, by)) => audio.press(key, by),
                Some(AudioCommand::Speak(voice_hz)) => audio.speak(voice_hz),
                // Who asked may have gone away.
                Some(AudioCommand::Listen(reply)) => drop(reply.send(audio.playout().clone())),
                None => break,
            }
        }
    }
    log.keep(call, audio.into_playout());
}
