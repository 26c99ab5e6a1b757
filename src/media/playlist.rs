//! Recordings → frames, without a gap. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::library::Prompt;
use crate::domain::{Codec, PlayId};

/// Samples in a millisecond of G.711.
pub(super) const SAMPLES_PER_MS: u64 = 8;

/// The plays waiting on one leg at most; a plan that orders more is wrong.
const PLAYS_MAX: usize = 256;

/// What a leg still has to hear, in order. What is being heard lies here itself, not behind
/// pointers: of thousands of legs, nothing is in the cache when their frame is due.
#[derive(Debug, Default)]
pub(super) struct Playlist {
    current: Option<Play>,
    waiting: VecDeque<Play>,
}

#[derive(Debug)]
struct Play {
    id: PlayId,
    /// The recording being heard, and the samples of it that are gone.
    prompt: Option<Arc<Prompt>>,
    offset: usize,
    /// Samples sent of the whole play.
    sent: u64,
    /// The recordings after that.
    coming: std::vec::IntoIter<Arc<Prompt>>,
}

impl Playlist {
    /// Appends a play. Returns it if there are too many already.
    pub fn push(&mut self, id: PlayId, prompts: Vec<Arc<Prompt>>) -> Result<(), PlayId> {
        if self.waiting.len() + 1 >= PLAYS_MAX {
            return Err(id);
        }
        let play = Play::new(id, prompts);
        match self.current {
            Some(_) => self.waiting.push_back(play),
            None => self.current = Some(play),
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.current.is_none()
    }

    /// Fills a frame: with the next samples, across the borders of recordings and plays, and with
    /// silence after the last. `ended` hears of each play whose last sample is in the frame.
    pub fn fill(&mut self, codec: Codec, frame: &mut [u8], mut ended: impl FnMut(PlayId)) {
        let mut rest = frame;
        while let Some(play) = &mut self.current {
            let copied = play.copy_into(codec, rest);
            rest = &mut rest[copied..];
            if play.prompt.is_some() {
                return;
            }
            ended(play.id);
            self.current = self.waiting.pop_front();
        }
        rest.fill(codec.silence());
    }

    /// Forgets all plays; `cut` hears of each, with the milliseconds of it that were sent.
    pub fn cut(&mut self, mut cut: impl FnMut(PlayId, u64)) {
        for play in self.current.take().into_iter().chain(self.waiting.drain(..)) {
            cut(play.id, play.sent / SAMPLES_PER_MS);
        }
    }
}

impl Play {
    fn new(id: PlayId, prompts: Vec<Arc<Prompt>>) -> Self {
        let mut coming = prompts.into_iter();
        Self { id, prompt: coming.next(), offset: 0, sent: 0, coming }
    }

    /// Copies as many samples as there are and as fit; after the last there is no prompt any more.
    fn copy_into(&mut self, codec: Codec, frame: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(prompt) = &self.prompt {
            let left = &prompt.bytes(codec)[self.offset..];
            let count = left.len().min(frame.len() - filled);
            frame[filled..filled + count].copy_from_slice(&left[..count]);
            filled += count;
            self.offset += count;
            if count < left.len() {
                break;
            }
            self.prompt = self.coming.next();
            self.offset = 0;
        }
        self.sent += filled as u64;
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(samples: std::ops::Range<i16>) -> Arc<Prompt> {
        Arc::new(Prompt::encode(samples.map(|sample| sample * 16)))
    }

    fn frames(playlist: &mut Playlist, count: usize) -> (Vec<u8>, Vec<PlayId>) {
        let (mut heard, mut ended) = (vec![0; count * 160], Vec::new());
        for frame in heard.chunks_mut(160) {
            playlist.fill(Codec::Pcma, frame, |play| ended.push(play));
        }
        (heard, ended)
    }

    #[test]
    fn recordings_and_plays_follow_each_other_to_the_sample() {
        let (a, b, c) = (prompt(0..161), prompt(200..203), prompt(300..600));
        let mut playlist = Playlist::default();
        playlist.push(PlayId(1), vec![a.clone(), b.clone()]).unwrap();
        playlist.push(PlayId(2), vec![c.clone()]).unwrap();
        let (heard, ended) = frames(&mut playlist, 3);

        let mut expected = Vec::new();
        for prompt in [a, b, c] {
            expected.extend_from_slice(prompt.bytes(Codec::Pcma));
        }
        expected.resize(480, Codec::Pcma.silence());
        assert_eq!(heard, expected);
        assert_eq!(ended, [PlayId(1), PlayId(2)]);
        assert!(playlist.is_empty());
    }

    #[test]
    fn a_play_that_fills_its_last_frame_ends_with_it() {
        let mut playlist = Playlist::default();
        playlist.push(PlayId(1), vec![prompt(0..320)]).unwrap();
        assert_eq!(frames(&mut playlist, 1).1, []);
        assert_eq!(frames(&mut playlist, 1).1, [PlayId(1)]);
    }

    #[test]
    fn a_play_of_nothing_ends_at_once() {
        let mut playlist = Playlist::default();
        playlist.push(PlayId(1), vec![]).unwrap();
        playlist.push(PlayId(2), vec![prompt(0..10)]).unwrap();
        let (heard, ended) = frames(&mut playlist, 1);
        assert_eq!(heard[..10], *prompt(0..10).bytes(Codec::Pcma));
        assert_eq!(ended, [PlayId(1), PlayId(2)]);
    }

    #[test]
    fn a_cut_says_how_far_each_play_came() {
        let mut playlist = Playlist::default();
        playlist.push(PlayId(1), vec![prompt(0..1000)]).unwrap();
        playlist.push(PlayId(2), vec![prompt(0..1000)]).unwrap();
        frames(&mut playlist, 2);
        let mut cut = Vec::new();
        playlist.cut(|play, after_ms| cut.push((play, after_ms)));
        assert_eq!(cut, [(PlayId(1), 40), (PlayId(2), 0)]);
        assert_eq!(frames(&mut playlist, 1).0, vec![Codec::Pcma.silence(); 160]);
    }

    #[test]
    fn the_list_has_a_limit() {
        let mut playlist = Playlist::default();
        for id in 0..256 {
            playlist.push(PlayId(id), vec![]).unwrap();
        }
        assert_eq!(playlist.push(PlayId(256), vec![]), Err(PlayId(256)));
    }
}
