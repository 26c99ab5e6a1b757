//! What callers hear while they wait for an operator, and when: one thing at a time, with a little
//! silence between two of them, and never dead air.
//!
//! | due | at first | again |
//! |---|---|---|
//! | welcome: all are busy, place, estimate | after 2 s | not; while a phone rings, 10 s later |
//! | place and estimate | with the welcome | as the group's `tell` says |
//! | offer of a callback | as the group says | after the same time, at least a minute |
//! | tip | 2 s after the welcome | as the group's `tips` say, from end to beginning |
//! | tone | after 1 s of silence | after 4 s of silence |

use crate::core::acd::Estimate;
use crate::dialplan::plan::Group;
use crate::dialplan::waiting;
use crate::domain::{RecordingId, Timestamp};
use crate::speech::{self, Format, Spoken, Value};

use super::line::{LineRequest, Outlook};
use super::{Command, Flow, Waiting};

/// Silence between two sentences that come due together.
const GAP_MS: u64 = 700;
/// Who is answered sooner hears no word about the line.
const WELCOME_AFTER_MS: u64 = 2_000;
/// While an operator's phone rings for the caller, it would be wrong to say that all are busy.
const WELCOME_PUT_OFF_MS: u64 = 10_000;
const FIRST_TIP_AFTER_MS: u64 = 2_000;
/// An offer that was heard is not made again sooner.
const OFFER_AGAIN_MIN_MS: u64 = 60_000;
const FIRST_TONE_AFTER_MS: u64 = 1_000;
const TONE_AFTER_MS: u64 = 4_000;
/// Longer waits are told in hours.
const MINUTES_MAX: u64 = 60;

/// Something that a waiting caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Welcome,
    Offer,
    Tell,
    Tip,
    Tone,
}

/// When each of them is due. `None`: not at all.
#[derive(Debug)]
pub(super) struct Comfort {
    welcome_at: Option<Timestamp>,
    offer_at: Option<Timestamp>,
    tell_at: Option<Timestamp>,
    tip_at: Option<Timestamp>,
    tone_at: Timestamp,
    offer_every_ms: u64,
    tell_every_ms: u64,
    tip_every_ms: u64,
    tips: Vec<RecordingId>,
    /// What is heard, or was last.
    last: Option<Word>,
}

impl Comfort {
    pub(super) fn in_line(now: Timestamp, group: &Group) -> Self {
        let welcome_at = Some(now.plus_ms(WELCOME_AFTER_MS));
        let offer_at = group.offer_callback.map(|offer| now.plus_ms(offer.after_ms));
        let tell_every_ms = group.tell.map_or(0, |tell| tell.every_ms);
        let tell_at = group.tell.map(|tell| now.plus_ms(tell.every_ms));
        let offer_every_ms = group.offer_callback.map_or(0, |offer| offer.after_ms);
        Self {
            welcome_at,
            offer_at,
            tell_at,
            offer_every_ms: offer_every_ms.max(OFFER_AGAIN_MIN_MS),
            tell_every_ms,
            tone_at: now.plus_ms(FIRST_TONE_AFTER_MS),
            ..Self::on_hold(now.plus_ms(WELCOME_AFTER_MS), Some(group))
        }
    }

    /// After the connection broke: the caller knows the line, and is at its head.
    pub(super) fn in_line_again(now: Timestamp, group: &Group) -> Self {
        Self { welcome_at: None, ..Self::in_line(now, group) }
    }

    /// While one phone rings, or on hold: tips and the tone.
    pub(super) fn on_hold(now: Timestamp, group: Option<&Group>) -> Self {
        let tips = group.and_then(|group| group.tips.as_ref());
        Self {
            welcome_at: None,
            offer_at: None,
            tell_at: None,
            tip_at: tips.map(|_| now.plus_ms(FIRST_TIP_AFTER_MS)),
            tone_at: now.plus_ms(FIRST_TONE_AFTER_MS),
            offer_every_ms: 0,
            tell_every_ms: 0,
            tip_every_ms: tips.map_or(0, |tips| tips.every_ms),
            tips: tips.map_or(Vec::new(), |tips| tips.recordings.clone()),
            last: None,
        }
    }

    fn places(&self) -> [(Option<Timestamp>, Word); 5] {
        [
            (self.welcome_at, Word::Welcome),
            (self.offer_at, Word::Offer),
            (self.tell_at, Word::Tell),
            (self.tip_at, Word::Tip),
            (Some(self.tone_at), Word::Tone),
        ]
    }

    /// When the next one is due, if nothing is heard until then.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.places().into_iter().filter_map(|(at, _)| at).min()
    }

    /// The most important one that is due. It is due again when its time has passed once more, also
    /// if nothing comes of it.
    fn take(&mut self, now: Timestamp) -> Option<Word> {
        let due = self.places().into_iter().find(|(at, _)| at.is_some_and(|at| at <= now));
        let (_, word) = due?;
        self.last = Some(word);
        match word {
            Word::Welcome => self.welcome_at = None,
            Word::Offer => self.offer_at = Some(now.plus_ms(self.offer_every_ms)),
            Word::Tell => self.tell_at = Some(now.plus_ms(self.tell_every_ms)),
            Word::Tip => self.tip_at = Some(now.plus_ms(self.tip_every_ms)),
            Word::Tone => self.tone_at = now.plus_ms(TONE_AFTER_MS),
        }
        Some(word)
    }

    /// Something was heard to its end.
    pub(super) fn on_heard(&mut self, now: Timestamp) {
        // A tone is no sentence: the next one may follow at once.
        let gap = now.plus_ms(if self.last == Some(Word::Tone) { 0 } else { GAP_MS });
        let at_least = |at: &mut Option<Timestamp>, least: Timestamp| {
            if let Some(at) = at {
                *at = (*at).max(least);
            }
        };
        match self.last {
            Some(Word::Tip) => at_least(&mut self.tip_at, now.plus_ms(self.tip_every_ms)),
            Some(Word::Welcome | Word::Tell) => {
                at_least(&mut self.tell_at, now.plus_ms(self.tell_every_ms));
                at_least(&mut self.tip_at, now.plus_ms(FIRST_TIP_AFTER_MS));
            }
            Some(Word::Offer | Word::Tone) | None => {}
        }
        for at in [&mut self.welcome_at, &mut self.offer_at, &mut self.tell_at, &mut self.tip_at] {
            at_least(at, gap);
        }
        let tone_after_ms = if self.last.is_none() { FIRST_TONE_AFTER_MS } else { TONE_AFTER_MS };
        self.tone_at = self.tone_at.max(now.plus_ms(tone_after_ms));
        self.last = self.last.or(Some(Word::Tone));
    }
}

/// What is heard while the caller waits.
impl Flow {
    /// Silence long enough: something is due.
    pub(super) fn comfort(&mut self, now: Timestamp, out: &mut Vec<Command>) {
        let comfort = match &mut self.waiting {
            Waiting::Line(stay) => &mut stay.comfort,
            Waiting::Ringing(comfort) => comfort,
            Waiting::Talking(talk) => match &mut talk.hold {
                Some(hold) => hold,
                None => return,
            },
            _ => return,
        };
        match comfort.take(now) {
            Some(word @ (Word::Welcome | Word::Tell)) => {
                if let Waiting::Line(stay) = &mut self.waiting {
                    stay.asked = Some(word);
                    self.requests.push(LineRequest::Place);
                }
            }
            Some(Word::Tip) => {
                let language = self.knowledge.language;
                let is_recorded = |id: &&RecordingId| self.setting.catalogue.contains(language, id);
                let recordings: Vec<_> = comfort.tips.iter().filter(is_recorded).cloned().collect();
                if !recordings.is_empty() {
                    self.requests.push(LineRequest::Tip { recordings });
                }
            }
            Some(Word::Offer) => {
                let offer = self.sentence(waiting::OFFER_CALLBACK);
                self.play_if_recorded(offer, now, out);
            }
            Some(Word::Tone) => self.tone(now, out),
            None => {}
        }
    }

    /// The tip that this caller shall hear now; `None`: there is none.
    pub fn on_tip(&mut self, now: Timestamp, tip: Option<RecordingId>, out: &mut Vec<Command>) {
        let is_waiting =
            matches!(self.waiting, Waiting::Line(_) | Waiting::Ringing(_) | Waiting::Talking(_));
        if let Some(tip) = tip.filter(|_| is_waiting) {
            let tip = self.sentence(tip.as_str());
            self.play_if_recorded(tip, now, out);
        }
    }

    pub fn on_place(&mut self, now: Timestamp, outlook: Outlook, out: &mut Vec<Command>) {
        let Waiting::Line(stay) = &mut self.waiting else { return };
        let Some(asked) = stay.asked.take() else { return };
        if asked == Word::Welcome && outlook.is_ringing {
            stay.comfort.welcome_at = Some(now.plus_ms(WELCOME_PUT_OFF_MS));
            return;
        }
        let tell = stay.group.tell;
        let told_minutes = stay.told_minutes;
        let mut said = Spoken::default();
        if asked == Word::Welcome {
            append(&mut said, self.sentence(waiting::ALL_BUSY));
        }
        if tell.is_some_and(|tell| tell.place) {
            append(&mut said, self.place(outlook.place, now));
        }
        let minutes = outlook.estimate.map(minutes).filter(|minutes| {
            tell.is_some_and(|tell| tell.estimate)
                // What was said is not taken back.
                && told_minutes.is_none_or(|told| *minutes <= told)
        });
        append(&mut said, minutes.and_then(|minutes| self.estimate(minutes, now)));
        if let Waiting::Line(stay) = &mut self.waiting {
            stay.told_minutes = minutes.or(told_minutes);
        }
        self.play_if_recorded(Some(said), now, out);
    }

    fn place(&self, place: usize, now: Timestamp) -> Option<Spoken> {
        if place <= 1 {
            return self.sentence(waiting::YOU_ARE_NEXT);
        }
        let number = Value::Number(i64::try_from(place).ok()?);
        self.sentence_with(waiting::YOUR_PLACE, Format::Number, &number, now)
    }

    /// Above an hour, in whole hours.
    fn estimate(&self, minutes: u64, now: Timestamp) -> Option<Spoken> {
        if minutes <= 1 {
            return self.sentence(waiting::WAIT_UNDER_A_MINUTE);
        }
        let minutes =
            if minutes > MINUTES_MAX { minutes.next_multiple_of(MINUTES_MAX) } else { minutes };
        let duration = Value::Duration(minutes * 60);
        self.sentence_with(waiting::WAIT_ABOUT, Format::Duration, &duration, now)
    }

    fn sentence_with(
        &self,
        id: &str,
        format: Format,
        value: &Value,
        now: Timestamp,
    ) -> Option<Spoken> {
        let mut sentence = self.sentence(id)?;
        let today = self.today(now);
        let language = self.knowledge.language;
        let spoken = speech::speak(language, format, value, today, &self.setting.catalogue).ok()?;
        let has = |id: &RecordingId| self.setting.catalogue.contains(language, id);
        let is_whole = spoken.recordings.iter().all(has);
        append(&mut sentence, Some(is_whole.then_some(spoken)?));
        Some(sentence)
    }
}

/// The end of the range, in minutes rounded up.
fn minutes(estimate: Estimate) -> u64 {
    estimate.to_ms.div_ceil(60_000)
}

fn append(said: &mut Spoken, more: Option<Spoken>) {
    let Some(more) = more else { return };
    if !said.text.is_empty() {
        said.text.push(' ');
    }
    said.text.push_str(&more.text);
    said.recordings.extend(more.recordings);
}
