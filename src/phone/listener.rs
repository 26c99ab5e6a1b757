//! Names recordings while the call goes on. The work for a second of audio does not grow with the
//! length of the call.
//!
//! Each place of the audio is searched once for beginnings of recordings, as soon as enough audio
//! follows it. A recording that has begun is followed as audio comes, until it is complete or stops
//! being alike; of several that began at one place, the one that goes on the longest is named.

use super::listen::{
    ANCHOR_HOPS, Aligned, Ear, HOP, Heard, OVERLAP, Recording, Template, ms_to_samples,
    samples_to_ms,
};

/// Recordings that began within this of each other are rivals for one place: 100 ms.
const RIVALS: usize = 800;
/// A cut recording is named if this much of it was heard; shorter beginnings are alike in many.
const CUT_MIN_MS: u64 = 400;
/// Samples looked at again with new audio, so that a place is searched with what is around it.
const CONTEXT: usize = 2 * HOP;

/// Listens for these recordings.
pub struct Listener {
    candidates: Vec<Recording>,
    /// Beginnings were looked for up to this sample.
    searched: usize,
    /// Everything before this sample is named.
    named_until: usize,
    begun: Vec<Begun>,
}

/// A recording that may be playing.
#[derive(Clone, Copy, Debug)]
struct Begun {
    candidate: usize,
    /// The sample at which its first loud sample was heard.
    anchor: usize,
    /// How well the waveforms fit there.
    fit: f32,
}

impl Listener {
    pub fn new(candidates: Vec<Recording>) -> Self {
        Self { candidates, searched: 0, named_until: 0, begun: Vec::new() }
    }

    /// The recordings that ended since the last time, heard to the end or cut, by time. `samples`
    /// is all that was heard so far.
    pub fn advance(&mut self, samples: &[i16]) -> Vec<Heard> {
        self.search(samples);
        let mut open = Vec::new();
        let mut closed = Vec::new();
        for begun in std::mem::take(&mut self.begun) {
            match self.follow(samples, begun) {
                Followed::Open => open.push(begun),
                Followed::Closed(heard) => closed.push((begun, heard)),
                Followed::Nothing => {}
            }
        }
        self.begun = open;
        self.name(closed)
    }

    /// Looks for beginnings where enough audio follows.
    fn search(&mut self, samples: &[i16]) {
        let until = samples.len().saturating_sub(ANCHOR_HOPS * HOP);
        if until <= self.searched {
            return;
        }
        let base = self.searched.saturating_sub(CONTEXT) / HOP * HOP;
        let window = &samples[base..];
        let ear = Ear::new(window);
        for (candidate, recording) in self.candidates.iter().enumerate() {
            let Some(template) = Template::new(recording) else { continue };
            for place in ear.likely_places(&template, self.searched - base) {
                if place + base >= until {
                    break;
                }
                let Some(Aligned { offset, fit }) = ear.align(&template, place) else { continue };
                let begun = Begun { candidate, anchor: base + offset, fit };
                if begun.anchor + OVERLAP >= self.named_until {
                    begin(&mut self.begun, begun);
                }
            }
        }
        self.searched = until;
    }

    fn follow(&self, samples: &[i16], begun: Begun) -> Followed {
        let Some(template) = Template::new(&self.candidates[begun.candidate]) else {
            return Followed::Nothing;
        };
        let ear = Ear::without_curve(&samples[begun.anchor..]);
        let trace = ear.trace(&template, 0);
        if trace.is_open {
            return Followed::Open;
        }
        let Some(heard) = ear.judge(&template, 0, trace.good_until) else {
            return Followed::Nothing;
        };
        if !heard.complete && heard.length_ms < CUT_MIN_MS {
            return Followed::Nothing;
        }
        let at_ms = samples_to_ms(begun.anchor.saturating_sub(template.first));
        Followed::Closed(Heard { at_ms, ..heard })
    }

    /// Names what has no better rival; what has one that is still open waits for it.
    fn name(&mut self, mut closed: Vec<(Begun, Heard)>) -> Vec<Heard> {
        closed.sort_by_key(|(begun, heard)| {
            let rank = (!heard.complete, std::cmp::Reverse(heard.length_ms));
            (begun.anchor / RIVALS, rank, begun.candidate)
        });
        let mut named: Vec<Heard> = Vec::new();
        for (begun, heard) in closed {
            let is_rival = |other: &Begun| other.anchor.abs_diff(begun.anchor) < RIVALS;
            if begun.anchor + OVERLAP < self.named_until {
                continue;
            }
            if self.begun.iter().any(is_rival) {
                if heard.complete {
                    self.begun.push(begun);
                }
                continue;
            }
            self.named_until = ms_to_samples(heard.end_ms());
            named.push(heard);
        }
        let named_until = self.named_until;
        self.begun.retain(|begun| begun.anchor + OVERLAP >= named_until);
        named
    }
}

/// Neighbouring places lead to the same beginning; a period of the voice beside it fits, too, but
/// not as well.
fn begin(all: &mut Vec<Begun>, begun: Begun) {
    let is_same =
        |b: &&mut Begun| b.candidate == begun.candidate && b.anchor.abs_diff(begun.anchor) < HOP;
    match all.iter_mut().find(is_same) {
        Some(known) if known.fit < begun.fit => *known = begun,
        Some(_) => {}
        None => all.push(begun),
    }
}

enum Followed {
    /// Alike so far, and neither the audio nor the recording is at its end.
    Open,
    Closed(Heard),
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::super::listen::tests::{coarse, shipped, silence, speech};
    use super::*;
    use crate::domain::RecordingId;

    /// Names with their places, and whether each was complete; the audio comes in pieces of 130 ms.
    fn names(candidates: Vec<Recording>, heard: &[i16]) -> Vec<(String, u64, bool)> {
        let mut listener = Listener::new(candidates);
        let mut named = Vec::new();
        for until in (0..heard.len()).step_by(1040).chain([heard.len()]) {
            for heard in listener.advance(&heard[..until]) {
                named.push((heard.id.as_str().to_owned(), heard.at_ms, heard.complete));
            }
        }
        named
    }

    #[test]
    fn each_recording_is_named_once_as_it_ends() {
        let all = vec![speech("a", 1, 600), speech("b", 2, 400), speech("c", 3, 900)];
        let audio = all.iter().flat_map(|recording| coarse(&recording.samples));
        let heard: Vec<i16> = audio.chain(silence(500)).collect();
        let expected = [("a", 0), ("b", 600), ("c", 1000)];
        assert_eq!(names(all, &heard), expected.map(|(id, at)| (id.to_owned(), at, true)));
    }

    #[test]
    fn a_cut_recording_is_named_as_cut_and_the_longest_of_rivals_wins() {
        let long = speech("long", 6, 1400);
        let short =
            Recording { id: RecordingId::new("short"), samples: long.samples[..6400].to_vec() };
        let other = speech("other", 7, 2000);
        let heard = [coarse(&long.samples), coarse(&other.samples[..8000]), silence(900)].concat();
        let expected = [("long".to_owned(), 0, true), ("other".to_owned(), 1400, false)];
        assert_eq!(names(vec![short, long, other], &heard), expected);
    }

    #[test]
    fn a_whole_answer_is_named_piece_by_piece() {
        let ids = [
            "phrase/greeting",
            "phrase/points-are",
            "number/100",
            "count/point/20",
            "phrase/order-number",
            "digit/4",
            "digit/8",
            "digit/1",
            "digit-end/5",
            "status/shipped",
            "phrase/menu-points",
        ];
        let rivals = ["phrase/points-none", "phrase/order", "number/04", "status/new", "digit/5"];
        let all = ids.map(shipped);
        let audio = all.iter().flat_map(|recording| coarse(&recording.samples));
        // Not a whole number of frames in front, as an answer in the middle of a period leaves it.
        for offset in [16, 57, 1003] {
            let heard: Vec<i16> =
                vec![0; offset].into_iter().chain(audio.clone()).chain(silence(500)).collect();
            let candidates = all.iter().cloned().chain(rivals.map(shipped)).collect();
            let named = names(candidates, &heard);
            assert!(named.iter().all(|(_, _, is_complete)| *is_complete), "{named:?}");
            let named: Vec<_> = named.into_iter().map(|(id, ..)| id).collect();
            assert_eq!(named, ids, "at {offset}");
        }
    }

    #[test]
    fn menus_of_one_voice_are_told_apart_also_when_they_are_cut() {
        let ids = ["menu-points", "menu-order", "menu-other-order", "menu-operator", "menu-repeat"];
        let all = ids.map(|id| shipped(&format!("phrase/{id}")));
        let mut heard = silence(213);
        let mut expected = Vec::new();
        for (recording, cut_ms) in all.iter().zip([9999, 1500, 9999, 1100, 2000]) {
            let at_ms = samples_to_ms(heard.len());
            let length = recording.samples.len().min(cut_ms * 8);
            heard.extend(coarse(&recording.samples[..length]));
            let is_complete = length == recording.samples.len();
            expected.push((recording.id.as_str().to_owned(), at_ms, is_complete));
        }
        heard.extend(silence(600));
        let mut named = names(all.to_vec(), &heard);
        for (_, at_ms, _) in &mut named {
            // Found to the sample, told in whole milliseconds.
            *at_ms = expected.iter().map(|e| e.1).find(|e| e.abs_diff(*at_ms) <= 1).unwrap();
        }
        assert_eq!(named, expected);
    }
}
