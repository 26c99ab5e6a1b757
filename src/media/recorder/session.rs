//! One recording, from its beginning to its note.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::silence::Silence;
use super::track::{Moment, Track};
use super::writer::WavFile;
use super::{Sound, Ticket};
use crate::domain::{LegId, RecordingNote};
use crate::media::border::{MediaEvent, Message, Recording};
use crate::media::g711;
use crate::media::outbox::Outbox;
use crate::media::playlist::SAMPLES_PER_MS;

/// What is written is so old: packets may come later than their neighbours.
const LAG_MS: u64 = 500;
/// A file is made readable up to its end so often, whatever happens to us.
const CHECKPOINT_MS: u64 = 1_000;
/// A longer recording ends: a WAV file holds no more than 37 hours.
const LENGTH_MAX_MS: u64 = 24 * 3_600_000;

/// What to record.
#[derive(Debug)]
pub(super) struct Task {
    /// By which the recording is known.
    pub leg: LegId,
    folder: PathBuf,
    file: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Conversation,
    Message { length_max_ms: u64 },
}

impl From<Recording> for Task {
    fn from(Recording { left, right: _, folder, file }: Recording) -> Self {
        Self { leg: left, folder, file, kind: Kind::Conversation }
    }
}

impl From<Message> for Task {
    fn from(Message { leg, folder, file, length_max_ms }: Message) -> Self {
        Self { leg, folder, file, kind: Kind::Message { length_max_ms } }
    }
}

/// When a message ends by itself.
struct Bounds {
    end_us: u64,
    silence: Silence,
}

pub(super) struct Session {
    leg: LegId,
    /// As the note names it, and where it is.
    name: String,
    path: PathBuf,
    ticket: Arc<Ticket>,
    track: Track,
    /// Of a message.
    bounds: Option<Bounds>,
    /// Until it can't be written any more.
    file: Option<WavFile>,
    /// What was laid down is written from here on.
    ready: Vec<Moment>,
    /// Samples in the file.
    written: u64,
    checkpoint: u64,
    problem: Option<String>,
}

impl Session {
    /// Makes the file.
    pub fn new(task: Task, ticket: Arc<Ticket>, outbox: &mut Outbox) -> Self {
        let (channels, bounds) = match task.kind {
            Kind::Conversation => (2, None),
            Kind::Message { length_max_ms } => {
                let end_us = ticket.began_us.saturating_add(length_max_ms.saturating_mul(1000));
                (1, Some(Bounds { end_us, silence: Silence::since(ticket.began_us) }))
            }
        };
        let mut session = Self {
            leg: task.leg,
            path: task.folder.join(&task.file),
            name: task.file,
            ticket,
            bounds,
            track: Track::default(),
            file: None,
            ready: Vec::new(),
            written: 0,
            checkpoint: 0,
            problem: None,
        };
        match WavFile::create(&session.path, channels) {
            Ok(file) => session.file = Some(file),
            Err(problem) => session.fail(problem.to_string(), outbox),
        }
        session
    }

    pub fn number(&self) -> u64 {
        self.ticket.number
    }

    /// Its number and when it ended, if it did.
    pub fn has_ended(&self) -> Option<(u64, u64)> {
        self.ticket.has_ended().map(|at_us| (self.ticket.number, at_us))
    }

    pub fn end(&self, now_us: u64) {
        self.ticket.end(now_us);
    }

    pub fn hear(&mut self, sound: &Sound) {
        let arrival = self.place(sound.arrived_us);
        let samples = sound.audio[..sound.length].iter();
        let samples = samples.map(|&code| g711::decode(sound.codec, code));
        if let Some(bounds) = &mut self.bounds {
            bounds.silence.hear(samples.clone(), sound.arrived_us);
        }
        let ready = &mut self.ready;
        self.track.lay(sound.side, arrival, sound.timestamp, samples, |moment| ready.push(moment));
    }

    /// Writes all up to some time before now.
    pub fn write_until(&mut self, now_us: u64, outbox: &mut Outbox) {
        let end = self.place(now_us.saturating_sub(LAG_MS * 1000));
        self.write(end, outbox);
        let missing_ms = self.ticket.missing.load(Ordering::Relaxed) / SAMPLES_PER_MS;
        if missing_ms > 0 && self.problem.is_none() {
            self.fail("the disk is too slow".into(), outbox);
        }
        if let Some(bounds) = &self.bounds {
            let end_us = bounds.end_us.min(bounds.silence.ends_us());
            if end_us <= now_us {
                self.ticket.end(end_us);
            }
        }
        if end > LENGTH_MAX_MS * SAMPLES_PER_MS {
            self.ticket.end(now_us);
            if self.problem.is_none() {
                self.fail("ended: too long for one file".into(), outbox);
            }
        }
        if self.written >= self.checkpoint {
            self.checkpoint = self.written + CHECKPOINT_MS * SAMPLES_PER_MS;
            let flushed = self.file.as_mut().map_or(Ok(()), WavFile::checkpoint);
            self.keep_if(flushed, outbox);
        }
    }

    /// Writes the rest and gives the file its name.
    pub fn finish(mut self, ended_us: u64, outbox: &mut Outbox) -> (LegId, RecordingNote) {
        let end = self.place(ended_us);
        self.write(end, outbox);
        if let Some(file) = self.file.take()
            && let Err(problem) = file.finish()
        {
            self.fail(problem.to_string(), outbox);
        }
        let missing_ms = self.ticket.missing.load(Ordering::Relaxed) / SAMPLES_PER_MS;
        let problem = self.problem.map(|problem| match missing_ms {
            0 => problem,
            ms => format!("{problem}; {ms} ms of one voice or the other are missing"),
        });
        let length_ms = self.written / SAMPLES_PER_MS;
        let pauses = self.ticket.pauses().into_iter().map(|(from_us, to_us)| {
            let ms = |us: u64| us.saturating_sub(self.ticket.began_us) / 1000;
            (ms(from_us).min(length_ms), ms(to_us).min(length_ms))
        });
        let note = RecordingNote {
            file: self.name,
            length_ms,
            paused: pauses.filter(|(from, to)| from < to).collect(),
            problem,
        };
        (self.leg, note)
    }

    /// Writes the track up to a place; the pauses as silence.
    fn write(&mut self, end: u64, outbox: &mut Outbox) {
        let first = self.track.written() - self.ready.len() as u64;
        let mut moments = std::mem::take(&mut self.ready);
        self.track.take_until(end, |moment| moments.push(moment));
        let count = moments.len();
        for (from_us, to_us) in self.ticket.pauses() {
            let index = |us| (self.place(us).saturating_sub(first) as usize).min(count);
            moments[index(from_us)..index(to_us)].fill([0, 0]);
        }
        if let Some(file) = &mut self.file {
            let written = file.write(&moments);
            if written.is_ok() {
                self.written += moments.len() as u64;
            }
            self.keep_if(written, outbox);
        }
        moments.clear();
        self.ready = moments;
    }

    /// The sample of that moment.
    fn place(&self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.ticket.began_us) / 125
    }

    /// After an error nothing more is written: what is there can be heard.
    fn keep_if(&mut self, done: Result<(), hound::Error>, outbox: &mut Outbox) {
        if let Err(problem) = done {
            if let Some(file) = self.file.take() {
                self.written = file.give_up();
            }
            self.fail(problem.to_string(), outbox);
        }
    }

    fn fail(&mut self, problem: String, outbox: &mut Outbox) {
        if self.problem.is_none() {
            let (leg, file) = (self.leg, self.path.clone());
            outbox.push(MediaEvent::RecordingFailed { leg, file, problem: problem.clone() });
        }
        self.problem = Some(problem);
    }
}
