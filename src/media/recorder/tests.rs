use std::path::Path;

use tempfile::TempDir;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::writer::WavFile;
use super::*;
use crate::domain::{LegId, RecordingNote};
use crate::media::g711;

const LEFT: LegId = LegId(Uuid::from_u128(1));

/// The recording of a file in a folder.
fn recording(folder: &Path, file: &str) -> Recording {
    let right = LegId(Uuid::from_u128(2));
    Recording { left: LEFT, right, folder: folder.to_owned(), file: file.into() }
}

/// A session driven by hand, in a folder of its own.
struct Desk {
    folder: TempDir,
    ticket: Arc<Ticket>,
    session: Session,
    outbox: Outbox,
    events: mpsc::Receiver<MediaEvent>,
}

/// The engine's clock when the recording began.
const BEGAN_US: u64 = 7_000_000;

fn at_us(ms: u64) -> u64 {
    BEGAN_US + ms * 1000
}

impl Desk {
    fn new(file: &str) -> Self {
        let (sender, events) = mpsc::channel(16);
        let mut outbox = Outbox::new(sender);
        let folder = TempDir::new().unwrap();
        let ticket = Arc::new(Ticket::new(1, false, BEGAN_US));
        let task = recording(folder.path(), file).into();
        let session = Session::new(task, Arc::clone(&ticket), &mut outbox);
        Self { folder, ticket, session, outbox, events }
    }

    /// Both talk without a pause, each with a value of its own.
    fn talk(&mut self, from_ms: u64, to_ms: u64) {
        for ms in (from_ms..to_ms).step_by(20) {
            for (side, value) in [(Side::Left, 1_000), (Side::Right, -3_000)] {
                let code = g711::encode_alaw(value);
                self.session.hear(&Sound {
                    number: 1,
                    side,
                    codec: Codec::Pcma,
                    arrived_us: at_us(ms),
                    timestamp: (ms * 8) as u32,
                    length: 160,
                    audio: [code; SOUND_BYTES_MAX],
                });
            }
            self.session.write_until(at_us(ms), &mut self.outbox);
        }
    }

    fn finish(mut self, ms: u64) -> (RecordingNote, Vec<MediaEvent>, TempDir) {
        let (leg, note) = self.session.finish(at_us(ms), &mut self.outbox);
        assert_eq!(leg, LEFT);
        let events = std::iter::from_fn(|| self.events.try_recv().ok()).collect();
        (note, events, self.folder)
    }
}

/// The file as frames of 20 ms: whether each channel has sound.
fn sound(file: &Path) -> Vec<[bool; 2]> {
    let mut reader = hound::WavReader::open(file).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8_000));
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let frames = samples.chunks(320);
    frames.map(|frame| [0, 1].map(|side| frame[side] != 0)).collect()
}

#[test]
fn the_customer_is_left_and_the_operator_right_in_a_file_of_the_whole_length() {
    let mut desk = Desk::new("2026/11/call.wav");
    desk.talk(100, 2_000);
    let part = desk.folder.path().join("2026/11/call.wav.part");
    // Before the end it can be heard already, up to a second or two ago.
    assert!(sound(&part).len() > 10);
    let (note, events, folder) = desk.finish(2_500);
    let expected = RecordingNote {
        file: "2026/11/call.wav".into(),
        length_ms: 2_500,
        paused: vec![],
        problem: None,
    };
    assert_eq!((note, events, part.exists()), (expected, vec![], false));
    let sound = sound(&folder.path().join("2026/11/call.wav"));
    assert_eq!(sound.len(), 125);
    for (n, frame) in sound.into_iter().enumerate() {
        assert_eq!(frame, [(5..100).contains(&n); 2], "frame {n}");
    }
}

#[test]
fn what_is_said_in_a_pause_is_not_in_the_file_even_if_it_was_on_its_way() {
    let mut desk = Desk::new("call.wav");
    desk.talk(0, 1_000);
    desk.ticket.pause(at_us(800));
    desk.ticket.pause(at_us(900));
    desk.talk(1_000, 2_000);
    desk.ticket.resume(at_us(1_600));
    desk.ticket.resume(at_us(1_700));
    desk.talk(2_000, 3_000);
    desk.ticket.pause(at_us(2_900));
    let (note, _, folder) = desk.finish(3_000);
    assert_eq!(note.paused, [(800, 1_600), (2_900, 3_000)]);
    for (n, frame) in sound(&folder.path().join("call.wav")).into_iter().enumerate() {
        let said = !(40..80).contains(&n) && n < 145;
        assert_eq!(frame, [said; 2], "frame {n}");
    }
}

/// A desk at which a message is left, of ten seconds at most.
fn answering_machine(file: &str) -> Desk {
    let mut desk = Desk::new("unused.wav");
    let folder = desk.folder.path().to_owned();
    let message = Message { leg: LEFT, folder, file: file.into(), length_max_ms: 10_000 };
    desk.session = Session::new(message.into(), Arc::clone(&desk.ticket), &mut desk.outbox);
    desk
}

#[test]
fn a_message_is_the_voice_of_who_leaves_it_alone() {
    let mut desk = answering_machine("messages/a.wav");
    desk.talk(100, 2_000);
    let (note, events, folder) = desk.finish(2_500);
    assert_eq!((note.length_ms, note.problem, events), (2_500, None, vec![]));
    let mut reader = hound::WavReader::open(folder.path().join("messages/a.wav")).unwrap();
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (1, 8_000));
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    let said = g711::decode(Codec::Pcma, g711::encode_alaw(1_000));
    assert_eq!(samples.len(), 20_000);
    assert!(samples[..800].iter().chain(&samples[16_000..]).all(|&sample| sample == 0));
    assert!(samples[800..16_000].iter().all(|&sample| sample == said));
}

#[test]
fn a_message_ends_at_its_longest_length_and_what_comes_later_is_not_in_it() {
    let mut desk = answering_machine("a.wav");
    desk.talk(0, 10_000);
    assert_eq!(desk.ticket.has_ended(), None);
    desk.talk(10_000, 10_100);
    assert_eq!(desk.ticket.has_ended(), Some(at_us(10_000)));
    let (note, _, _folder) = desk.finish(10_000);
    assert_eq!(note.length_ms, 10_000);
}

#[test]
fn a_message_ends_when_nothing_is_said_any_more_or_at_all() {
    let mut desk = answering_machine("a.wav");
    desk.talk(0, 1_020);
    desk.session.write_until(at_us(5_999), &mut desk.outbox);
    assert_eq!(desk.ticket.has_ended(), None);
    desk.session.write_until(at_us(6_100), &mut desk.outbox);
    assert_eq!(desk.ticket.has_ended(), Some(at_us(6_000)));

    let mut desk = answering_machine("b.wav");
    desk.session.write_until(at_us(5_000), &mut desk.outbox);
    assert_eq!(desk.ticket.has_ended(), Some(at_us(5_000)));
}

#[test]
fn pauses_without_end_have_an_end() {
    let ticket = Ticket::new(1, false, 0);
    for ms in 0..5_000 {
        ticket.pause(ms * 2);
        ticket.resume(ms * 2 + 1);
    }
    assert_eq!(ticket.pauses().len(), PAUSES_MAX);
    assert_eq!(ticket.pauses().last().unwrap().1, GOES_ON);
    assert!(ticket.is_paused.load(Ordering::Relaxed));
}

#[test]
fn a_file_that_cannot_be_made_is_told_at_once_and_noted() {
    let mut desk = Desk::new("call.wav");
    let name = "call.wav.part/call.wav";
    let recording = recording(desk.folder.path(), name);
    desk.session = Session::new(recording.into(), Arc::clone(&desk.ticket), &mut desk.outbox);
    let file = desk.folder.path().join(name);
    desk.talk(0, 500);
    let (note, events, _folder) = desk.finish(500);
    let problem = note.problem.unwrap();
    assert_eq!(note.length_ms, 0);
    assert_eq!(events, [MediaEvent::RecordingFailed { leg: LEFT, file, problem }]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_the_file_and_not_the_call() {
    let mut desk = Desk::new("unused.wav");
    // A device that is always full takes the place of the part file.
    let recording = recording(desk.folder.path(), "call.wav");
    std::os::unix::fs::symlink("/dev/full", desk.folder.path().join("call.wav.part")).unwrap();
    desk.session = Session::new(recording.into(), Arc::clone(&desk.ticket), &mut desk.outbox);
    desk.talk(0, 3_000);
    let (note, events, _folder) = desk.finish(3_000);
    assert_eq!(events.len(), 1);
    assert!(note.problem.unwrap().contains("No space left"));
}

#[test]
fn what_the_disk_was_too_slow_for_is_noted() {
    let mut desk = Desk::new("call.wav");
    desk.ticket.missing.store(4_000, Ordering::Relaxed);
    desk.talk(0, 1_000);
    let (note, events, _folder) = desk.finish(1_000);
    assert_eq!(
        note.problem.unwrap(),
        "the disk is too slow; 500 ms of one voice or the other are missing"
    );
    assert_eq!(events.len(), 1);
}

#[test]
fn a_full_queue_never_holds_up_a_worker() {
    let (sounds, _stuck) = sounds::queue(1);
    let ticket = Arc::new(Ticket::new(1, false, 0));
    let tap = Tap { ticket: Arc::clone(&ticket), side: Side::Left, clock: Clock::start(), sounds };
    let audio = [0xD5; 480];
    let packet = Incoming {
        marker: false,
        payload_type: 8,
        sequence: 1,
        timestamp: 0,
        ssrc: 1,
        payload: &audio,
    };
    tap.hear(Codec::Pcma, &packet, 0);
    assert_eq!(ticket.missing.load(Ordering::Relaxed), 240);
    assert_eq!(ticket.has_ended(), None);
    drop(tap);
    assert!(ticket.has_ended().is_some());
}

#[test]
fn what_waits_for_the_disk_has_a_limit_and_what_was_taken_makes_room() {
    let (speaker, listener) = sounds::queue(2);
    let say = |timestamp| {
        let (side, codec, audio) = (Side::Left, Codec::Pcma, [0xD5; SOUND_BYTES_MAX]);
        speaker.say(Sound { number: 1, side, codec, arrived_us: 0, timestamp, length: 160, audio })
    };
    assert_eq!([say(1), say(2), say(3)], [true, true, false]);
    assert_eq!(listener.hear().map(|sound| sound.timestamp), Some(1));
    assert_eq!([say(4), say(5)], [true, false]);
    let rest = std::iter::from_fn(|| listener.hear());
    assert_eq!(rest.map(|sound| sound.timestamp).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn only_recordings_older_than_the_days_are_deleted() {
    let folder = TempDir::new().unwrap();
    let below = folder.path().join("2026");
    std::fs::create_dir(&below).unwrap();
    let names = ["a.wav", "2026/b.wav", "2026/c.wav.part", "notes.txt"];
    for name in names {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let left = || names.into_iter().filter(|name| folder.path().join(name).exists()).count();
    let written = std::fs::metadata(folder.path().join("a.wav")).unwrap().modified().unwrap();
    let written_ms = written.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = crate::domain::Timestamp(i64::try_from(written_ms).unwrap());
    let in_days = |days: u64| now.plus_ms(days * 86_400_000 + 60_000);
    assert_eq!(keeping::delete_old(folder.path(), 90, in_days(89)).unwrap(), 0);
    assert_eq!(keeping::delete_old(folder.path(), 0, in_days(9_000)).unwrap(), 0);
    assert_eq!(left(), 4);
    assert_eq!(keeping::delete_old(folder.path(), 90, in_days(90)).unwrap(), 3);
    assert_eq!(left(), 1);
    assert_eq!(keeping::delete_old(&folder.path().join("none"), 90, now).unwrap(), 0);
}

#[test]
fn a_recording_that_our_death_cut_off_is_whole_again() {
    let folder = TempDir::new().unwrap();
    let day = folder.path().join("2026-11-22");
    let mut file = WavFile::create(&day.join("call.wav"), 2).unwrap();
    file.write(&vec![[7, -7]; 8_000]).unwrap();
    file.checkpoint().unwrap();
    // Half of what came later reached the disk; no header tells of it.
    let bytes = [vec![9; 4 * 400], vec![1; 3]].concat();
    let mut torn =
        std::fs::OpenOptions::new().append(true).open(day.join("call.wav.part")).unwrap();
    std::io::Write::write_all(&mut torn, &bytes).unwrap();
    std::mem::forget(file);
    std::fs::write(day.join("empty.wav.part"), "RIFF").unwrap();
    std::fs::write(day.join("notes.part"), "RIFF").unwrap();

    let rescued = keeping::rescue(folder.path()).unwrap();
    let [note] = &rescued[..] else { panic!("{rescued:?}") };
    assert_eq!((&note.file[..], note.length_ms), ("2026-11-22/call.wav", 1_050));
    assert!(note.problem.is_some());
    let mut wav = hound::WavReader::open(day.join("call.wav")).unwrap();
    assert_eq!(wav.duration(), 8_400);
    assert_eq!(wav.samples::<i16>().take(2).map(Result::unwrap).collect::<Vec<_>>(), [7, -7]);
    assert!(!day.join("call.wav.part").exists() && day.join("empty.wav.part").exists());
    assert_eq!(keeping::rescue(folder.path()).unwrap(), []);
    assert_eq!(keeping::rescue(&folder.path().join("none")).unwrap(), []);
}
