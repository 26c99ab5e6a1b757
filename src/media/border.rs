//! What the rest of the house sees of the media engine.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::domain::{Key, KeySource, LegId, PlayId, RecordingNote, RtpStatistics};

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Where RTP and RTCP sockets are bound; 0.0.0.0 by default. A peer of the other address
    /// family gets sockets on the unspecified address of its own family.
    pub ip: IpAddr,
    /// Ports for RTP (even) and RTCP (the odd one above); 16384–32767 by default.
    pub ports: RangeInclusive<u16>,
    /// Threads; by default as many as there are cores. At least 1.
    pub workers: usize,
    /// A leg on which neither RTP nor RTCP is heard for so long has died; 30 s. Not on hold: phones
    /// that hold often send nothing, so only a stream that flows both ways can die.
    pub dead_after_ms: u64,
    /// A peer that was heard before and is not heard for so long is quiet; 2 s. Like a death, not
    /// on hold.
    pub quiet_after_ms: u64,
    /// Packets leave by a raw socket, if the system allows that (Linux: CAP_NET_RAW); so they do by
    /// default. Else each leaves by the socket of its leg.
    pub raw_socket: bool,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ports: 16_384..=32_767,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            dead_after_ms: 30_000,
            quiet_after_ms: 2_000,
            raw_socket: true,
        }
    }
}

/// A fact about a leg's media. After [`MediaEvent::Closed`] nothing more comes about it.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// By RFC 4733 or by tone; once for each press, at its beginning. All plays of the leg were cut
    /// already; their `PlayEnded` follow.
    KeyPressed {
        leg: LegId,
        key: Key,
        source: KeySource,
    },
    /// A play was sent to its end, or was cut after so many milliseconds (0: not yet begun). When a
    /// leg is closed, nothing is told of those that had not begun.
    PlayEnded {
        leg: LegId,
        play: PlayId,
        cut_after_ms: Option<u64>,
    },
    /// A peer that was heard before has fallen silent: neither RTP nor RTCP comes, and the call is
    /// not on hold. Said again every so often for as long as that lasts. A phone that is muted may
    /// do so, and one that has died does.
    Quiet {
        leg: LegId,
    },
    /// Neither RTP nor RTCP came for the configured time, and the call was not on hold. Said once;
    /// the leg stays open.
    Died {
        leg: LegId,
    },
    Closed {
        leg: LegId,
        statistics: RtpStatistics,
    },
    /// The recording of a conversation, or a message, has ended; `leg` is the left one, or who left
    /// the message, and may be closed already. Said once for each.
    Recorded {
        leg: LegId,
        note: RecordingNote,
    },
    /// A recording is going to be incomplete, and an admin may help: the disk is full or too slow,
    /// or the file can't be made. Said once for each recording, when it is found; the call goes on.
    RecordingFailed {
        leg: LegId,
        file: PathBuf,
        problem: String,
    },
}

/// What a supervisor does with a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Monitoring {
    /// Hears both sides.
    Listen,
    /// Is heard by the operator as well.
    Whisper,
    /// Is heard by both.
    Barge,
}

/// What to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The left channel: the customer. The leg by which the recording is known.
    pub left: LegId,
    /// The right channel: the operator.
    pub right: LegId,
    /// The folder of all recordings.
    pub folder: PathBuf,
    /// The file to be made in it, `….wav`, as the note will name it: `2026-11-22/….wav`. Until it is
    /// whole it is called `….wav.part`. Missing folders are created; a file of the same name is
    /// replaced.
    pub file: String,
}

/// A message that somebody leaves: what one leg's peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub leg: LegId,
    /// The folder of all recordings.
    pub folder: PathBuf,
    /// As [`Recording::file`].
    pub file: String,
    /// A longer message ends here.
    pub length_max_ms: u64,
}

/// Why a leg could not get its ports.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("all RTP ports of {range} are in use")]
    PortsExhausted { range: String },
    #[error("RTP socket: {0}")]
    Io(#[from] std::io::Error),
}
