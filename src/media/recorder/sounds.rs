//! The queue of what is said, from the workers to the recorder. It takes memory only for what
//! waits, and nobody ever waits for room in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::Side;
use crate::domain::Codec;

/// Audio in one of them; longer packets are several.
pub(super) const SOUND_BYTES_MAX: usize = 240;

/// An audio packet on its way to the file.
#[derive(Debug)]
pub(super) struct Sound {
    pub number: u64,
    pub side: Side,
    pub codec: Codec,
    pub arrived_us: u64,
    pub timestamp: u32,
    pub length: usize,
    pub audio: [u8; SOUND_BYTES_MAX],
}

/// The end of the workers.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    sounds: Sender<Sound>,
    waiting: Arc<AtomicUsize>,
    max: usize,
}

/// The end of the recorder.
#[derive(Debug)]
pub(super) struct Listener {
    sounds: Receiver<Sound>,
    waiting: Arc<AtomicUsize>,
}

/// A queue for so many sounds at most.
pub(super) fn queue(max: usize) -> (Speaker, Listener) {
    let (sender, receiver) = channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let speaker = Speaker { sounds: sender, waiting: Arc::clone(&waiting), max };
    (speaker, Listener { sounds: receiver, waiting })
}

impl Speaker {
    /// Says whether there was room.
    pub fn say(&self, sound: Sound) -> bool {
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < self.max;
        if has_room && self.sounds.send(sound).is_ok() {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        false
    }
}

impl Listener {
    /// The oldest, if any waits.
    pub fn hear(&self) -> Option<Sound> {
        let sound = self.sounds.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(sound)
    }
}
