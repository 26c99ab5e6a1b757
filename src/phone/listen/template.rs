//! What is searched for.

use super::likeness::{QUIET_RMS, loudness_curve};
use super::{HOP, Recording};
use crate::domain::RecordingId;

/// The part of a recording that is searched for: its first loud 300 ms.
pub(in crate::phone) const ANCHOR_HOPS: usize = 30;

/// A recording, prepared for being searched for.
pub(in crate::phone) struct Template<'a> {
    pub(super) id: &'a RecordingId,
    pub(super) samples: &'a [i16],
    /// Its first loud sample, to a hop.
    pub first: usize,
    /// The end of its last loud hop.
    last: usize,
    /// The loudness curve of the anchor.
    pub(super) curve: Vec<f32>,
    /// The curve hardly moves (noise, a tone): it can't tell places apart.
    pub(super) is_flat: bool,
}

impl<'a> Template<'a> {
    /// `None` if there is nothing in it that could be heard.
    pub fn new(recording: &'a Recording) -> Option<Self> {
        let curve = loudness_curve(&recording.samples);
        let first_hop = curve.iter().position(|&rms| rms >= QUIET_RMS)?;
        let last_hop = curve.iter().rposition(|&rms| rms >= QUIET_RMS)?;
        let anchor_end = (first_hop + ANCHOR_HOPS).min(last_hop + 1);
        let anchor = curve[first_hop..anchor_end].to_vec();
        let mean = anchor.iter().sum::<f32>() / anchor.len() as f32;
        let spread = anchor.iter().map(|rms| (rms - mean).abs()).sum::<f32>() / anchor.len() as f32;
        Some(Self {
            id: &recording.id,
            samples: &recording.samples,
            first: first_hop * HOP,
            last: ((last_hop + 1) * HOP).min(recording.samples.len()),
            is_flat: spread < 0.25 * mean,
            curve: anchor,
        })
    }

    pub(super) fn loud(&self) -> &'a [i16] {
        &self.samples[self.first..self.last]
    }

    pub(super) fn anchor(&self) -> &'a [i16] {
        let length = (self.curve.len() * HOP).min(self.last - self.first);
        &self.loud()[..length]
    }
}
