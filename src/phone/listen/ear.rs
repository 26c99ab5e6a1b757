//! The search for a recording in what was heard.

use super::likeness::{QUIET_RMS, correlation, curve_fit, is_alike, loudness_curve};
use super::template::Template;
use super::{HOP, Heard, OVERLAP, PER_MS, Recording, samples_to_ms};

/// A frame that is compared as a whole: 20 ms.
const FRAME: usize = 20 * PER_MS;
/// A shorter piece of a recording is not recognised.
const SHORTEST_PIECE: usize = 200 * PER_MS;
/// How well the loudness curves must fit (correlation).
const CURVE_FIT_MIN: f32 = 0.8;
/// How well the waveforms must fit where the search begins.
const ANCHOR_FIT_MIN: f32 = 0.8;
/// So many frames in a row may be lost on the way without ending the match.
const LOST_FRAMES_MAX: usize = 2;

/// Heard audio, prepared for being searched many times.
pub struct Ear<'a> {
    samples: &'a [i16],
    curve: Vec<f32>,
}

impl<'a> Ear<'a> {
    pub fn new(samples: &'a [i16]) -> Self {
        Self { samples, curve: loudness_curve(samples) }
    }

    /// For comparing at a known place only.
    pub(in crate::phone) fn without_curve(samples: &'a [i16]) -> Self {
        Self { samples, curve: Vec::new() }
    }

    /// The first complete occurrence at or after the sample `from`; else the longest cut one.
    pub fn find(&self, recording: &Recording, from: usize) -> Option<Heard> {
        let template = Template::new(recording)?;
        let mut cut: Option<Heard> = None;
        let mut checked_from = None;
        for anchor in self.likely_places(&template, from + template.first) {
            // Neighbouring places lead to the same offset; it is checked once.
            let Some(Aligned { offset: anchor, .. }) = self.align(&template, anchor) else {
                continue;
            };
            if checked_from == Some(anchor) || anchor + OVERLAP < from + template.first {
                continue;
            }
            checked_from = Some(anchor);
            let Some(heard) = self.follow(&template, anchor) else { continue };
            if heard.complete {
                return Some(heard);
            }
            if cut.as_ref().is_none_or(|best| best.length_ms < heard.length_ms) {
                cut = Some(heard);
            }
        }
        cut
    }

    /// Hops (as sample positions) where the loudness curve of the template's anchor fits.
    pub(in crate::phone) fn likely_places(
        &self,
        template: &Template,
        from: usize,
    ) -> impl Iterator<Item = usize> {
        let first_hop = (from / HOP).saturating_sub(1);
        let places = self.curve.len().saturating_sub(template.curve.len() / 2);
        let fit = move |hop: usize| {
            let window = &self.curve[hop..self.curve.len().min(hop + template.curve.len())];
            curve_fit(window, &template.curve)
        };
        let is_flat = template.is_flat;
        let mut last_fits = [0.0, 0.0];
        (first_hop..=places).filter_map(move |hop| {
            if hop == places {
                return None;
            }
            if !self.is_loud(hop) && !self.curve.get(hop + 1).is_some_and(|&rms| rms >= QUIET_RMS) {
                return None;
            }
            if is_flat {
                return self.is_loud(hop).then_some(hop * HOP);
            }
            // A peak, or a point of a high plateau beside one.
            let here = fit(hop);
            last_fits = [last_fits[1], here];
            (here >= CURVE_FIT_MIN && here + 0.1 >= last_fits[0]).then_some(hop * HOP)
        })
    }

    fn is_loud(&self, hop: usize) -> bool {
        self.curve[hop] >= QUIET_RMS
    }

    /// The offset within a hop of `near` at which the anchor's waveform fits best.
    pub(in crate::phone) fn align(&self, template: &Template, near: usize) -> Option<Aligned> {
        // Every fifth sample is enough to tell the right offset from the others.
        const STRIDE: usize = 5;
        let anchor = template.anchor();
        let mut best: Option<Aligned> = None;
        for offset in near.saturating_sub(HOP)..=near + HOP {
            let Some(rest) = self.samples.get(offset..) else { break };
            let length = anchor.len().min(rest.len());
            let fit = correlation(&rest[..length], &anchor[..length], STRIDE);
            if fit > best.as_ref().map_or(ANCHOR_FIT_MIN, |best| best.fit) {
                best = Some(Aligned { offset, fit });
            }
        }
        best
    }

    /// How far the recording goes on from `anchor`, the place of its first loud sample.
    fn follow(&self, template: &Template, anchor: usize) -> Option<Heard> {
        let followed = self.trace(template, anchor);
        self.judge(template, anchor, followed.good_until)
    }

    /// Compares frame by frame.
    pub(in crate::phone) fn trace(&self, template: &Template, anchor: usize) -> Trace {
        let mut trace = Trace { good_until: 0, is_open: true };
        let mut lost = 0;
        for (index, frame) in template.loud().chunks(FRAME).enumerate() {
            let start = anchor + index * FRAME;
            let Some(heard) = self.samples.get(start..start + frame.len()) else { return trace };
            if is_alike(heard, frame) {
                trace.good_until = index * FRAME + frame.len();
                lost = 0;
            } else {
                lost += 1;
                if lost > LOST_FRAMES_MAX {
                    break;
                }
            }
        }
        Trace { is_open: false, ..trace }
    }

    /// Whether what was compared is enough to be called heard.
    pub(in crate::phone) fn judge(
        &self,
        template: &Template,
        anchor: usize,
        good_until: usize,
    ) -> Option<Heard> {
        let complete = good_until + FRAME >= template.loud().len();
        if !complete && good_until < SHORTEST_PIECE {
            return None;
        }
        let samples = &self.samples[anchor..anchor + good_until];
        let score = correlation(samples, &template.loud()[..good_until], 1);
        if score < ANCHOR_FIT_MIN {
            return None;
        }
        let length = if complete { template.samples.len() } else { template.first + good_until };
        Some(Heard {
            id: template.id.clone(),
            at_ms: samples_to_ms(anchor.saturating_sub(template.first)),
            length_ms: samples_to_ms(length),
            complete,
            score,
        })
    }
}

/// Where an anchor's waveform fits.
#[derive(Clone, Copy, Debug)]
pub(in crate::phone) struct Aligned {
    pub offset: usize,
    pub fit: f32,
}

/// How far a recording was followed.
pub(in crate::phone) struct Trace {
    /// The end of the last frame that was alike, in samples from the recording's first loud one.
    pub good_until: usize,
    /// The audio ended before the recording did.
    pub is_open: bool,
}
