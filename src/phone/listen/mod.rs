//! Which recordings are in what was heard, and where: the judge of the demo and of the tests. It
//! compares audio with audio and asks nobody.
//!
//! A recording is found in three steps, each dearer than the one before:
//! 1. the loudness curve of its beginning, in steps of 10 ms, fits the curve of what was heard;
//! 2. near such a place, the offset in samples at which the waveforms fit best;
//! 3. from there on, frame by frame (20 ms), the waveforms are alike (normalised correlation) or
//!    both silent. As far as that goes, the recording was heard.
//!
//! G.711 leaves a correlation above 0.99; another recording of the same voice stays far below the
//! limits here.
//!
//! - `ear`: the search · `template`: what is searched for · `likeness`: how much two sounds are alike

mod ear;
mod likeness;
mod template;
#[cfg(test)]
pub(super) mod tests;

pub(super) use ear::Aligned;
pub use ear::Ear;
pub(super) use template::{ANCHOR_HOPS, Template};

use crate::domain::RecordingId;

/// Samples in a millisecond.
pub(super) const PER_MS: usize = 8;
/// A step of the loudness curve: 10 ms.
pub(super) const HOP: usize = 10 * PER_MS;
/// How far two recordings may overlap in the search for the next one: a frame's rounding.
pub(super) const OVERLAP: usize = 30 * PER_MS;

/// Audio of a recording, 8 kHz.
#[derive(Clone, Debug)]
pub struct Recording {
    pub id: RecordingId,
    pub samples: Vec<i16>,
}

/// A recording that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub id: RecordingId,
    /// Where the recording's first sample lies, milliseconds from the beginning of the audio.
    pub at_ms: u64,
    /// How much of it was heard; the recording's whole length if `complete`.
    pub length_ms: u64,
    /// To its end, not cut.
    pub complete: bool,
    /// Correlation over what was heard, up to 1.
    pub score: f32,
}

impl Heard {
    /// Where it ends, milliseconds from the beginning of the audio.
    pub fn end_ms(&self) -> u64 {
        self.at_ms + self.length_ms
    }
}

/// An expected recording is not in the audio where it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{id} was not heard {place}{}", cut_note(.cut))]
pub struct Missing {
    pub id: RecordingId,
    /// After which recording it was looked for.
    pub place: String,
    /// The beginning of it that was heard, if any.
    pub cut: Option<Heard>,
    /// What was found before.
    pub found: Vec<Heard>,
}

fn cut_note(cut: &Option<Heard>) -> String {
    match cut {
        Some(cut) => format!("; only {} ms of it, at {} ms", cut.length_ms, cut.at_ms),
        None => String::new(),
    }
}

/// Finds the expected recordings, complete and in this order; other audio may lie between them.
pub fn contains_in_order(heard: &[i16], expected: &[Recording]) -> Result<Vec<Heard>, Missing> {
    let ear = Ear::new(heard);
    let mut found: Vec<Heard> = Vec::new();
    let mut cursor = 0;
    for recording in expected {
        let matched = ear.find(recording, cursor);
        match matched {
            Some(next) if next.complete => {
                cursor = ms_to_samples(next.end_ms()).saturating_sub(OVERLAP);
                found.push(next);
            }
            cut => {
                let place = match found.last() {
                    Some(last) => format!("after {} (which ends at {} ms)", last.id, last.end_ms()),
                    None => "at all".to_owned(),
                };
                return Err(Missing { id: recording.id.clone(), place, cut, found });
            }
        }
    }
    Ok(found)
}

/// Names all candidates that were heard, complete or cut, by time. Where two claim the same time,
/// the one with the longer match stands.
pub fn identify(heard: &[i16], candidates: &[Recording]) -> Vec<Heard> {
    let ear = Ear::new(heard);
    let mut claims = Vec::new();
    for recording in candidates {
        let mut from = 0;
        while let Some(claim) = ear.find(recording, from) {
            from = ms_to_samples(claim.at_ms + claim.length_ms.max(1));
            claims.push(claim);
        }
    }
    claims.sort_by(|a, b| {
        let weight = |heard: &Heard| heard.score * heard.length_ms as f32;
        weight(b).total_cmp(&weight(a)).then_with(|| a.id.cmp(&b.id))
    });
    let mut accepted: Vec<Heard> = Vec::new();
    for claim in claims {
        let slack_ms = (OVERLAP / PER_MS) as u64;
        let overlaps = |other: &Heard| {
            claim.at_ms + slack_ms < other.end_ms() && other.at_ms + slack_ms < claim.end_ms()
        };
        if !accepted.iter().any(overlaps) {
            accepted.push(claim);
        }
    }
    accepted.sort_by_key(|heard| heard.at_ms);
    accepted
}

pub(super) fn samples_to_ms(samples: usize) -> u64 {
    (samples / PER_MS) as u64
}

pub(super) fn ms_to_samples(ms: u64) -> usize {
    usize::try_from(ms).unwrap_or(usize::MAX / PER_MS) * PER_MS
}
