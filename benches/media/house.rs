//! The engine with a prompt of some minutes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use allo::domain::{
    Codec, Direction, EventPayload, Language, LegId, MediaSession, PlayId, RecordingId,
};
use allo::media::{
    MediaEngine, MediaEvent, MediaSettings, Prompt, PromptLibrary, Recording,
    raise_open_files_limit,
};
use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use uuid::Uuid;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PROMPT: &str = "long";

pub struct House {
    engine: MediaEngine,
    events: mpsc::Receiver<MediaEvent>,
    prompts: Vec<RecordingId>,
}

#[derive(Clone, Copy)]
pub struct Leg {
    pub id: LegId,
    pub port: u16,
}

impl House {
    pub fn start(legs: usize) -> Self {
        let files = raise_open_files_limit().expect("a limit");
        assert!(files > 2 * legs as u64 + 100, "{files} open files are too few");
        let mut library = PromptLibrary::default();
        let samples = (0..8_000 * 60_i32).map(|n| (n.wrapping_mul(7919) % 8_000) as i16);
        library.insert(Language::Russian, RecordingId::new(PROMPT), Prompt::encode(samples));
        let (sender, events) = mpsc::channel(8_192);
        let ports = 10_000..=32_767;
        let settings = MediaSettings { ip: LOCAL, ports, ..MediaSettings::default() };
        let library = Arc::new(ArcSwap::new(Arc::new(library)));
        let engine = MediaEngine::start(&settings, library, sender).expect("the engine starts");
        Self { engine, events, prompts: vec![RecordingId::new(PROMPT); 2] }
    }

    pub fn call(&self, remote_rtp: SocketAddr) -> Leg {
        let id = LegId(Uuid::now_v7());
        let local = self.engine.handle().open(id, LOCAL, LOCAL).expect("ports");
        let session = MediaSession {
            codec: Codec::Pcma,
            send_payload_type: 8,
            receive_payload_type: 8,
            telephone_event: Some(EventPayload { send: 101, receive: 101 }),
            ptime_ms: 20,
            remote_rtp,
            remote_rtcp: remote_rtp,
            rtcp_mux: false,
            direction: Direction::SendRecv,
        };
        self.engine.handle().agree(id, session);
        Leg { id, port: local.rtp_port }
    }

    pub fn play(&self, leg: LegId) {
        self.engine.handle().play(leg, PlayId(1), Language::Russian, &self.prompts);
    }

    pub fn bridge(&self, one: LegId, other: LegId) {
        self.engine.handle().bridge(one, other);
    }

    pub fn record(&self, left: LegId, right: LegId, folder: &Path) {
        let file = format!("{left}.wav");
        let recording = Recording { left, right, folder: folder.to_owned(), file };
        self.engine.handle().record(recording);
    }

    pub fn close(&self, leg: LegId) {
        self.engine.handle().close(leg);
    }

    /// Takes what the engine tells.
    pub fn drain(&mut self) {
        while self.events.try_recv().is_ok() {}
    }

    /// How many recordings are incomplete.
    pub fn stop(self) -> u64 {
        let Self { engine, mut events, .. } = self;
        let counter = std::thread::spawn(move || {
            let mut incomplete = 0;
            while let Some(event) = events.blocking_recv() {
                if let MediaEvent::Recorded { note, .. } = event {
                    incomplete += u64::from(note.problem.is_some());
                }
            }
            incomplete
        });
        engine.shutdown();
        counter.join().expect("events are counted")
    }
}
