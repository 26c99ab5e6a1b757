//! What the rest of the house sees of the media engine.

use crate::domain::{Key, KeySource, LegId, PlayId, RtpStatistics};

/// A fact about a leg's media. After [`MediaEvent::Closed`] nothing more comes about it.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// By RFC 4733 or by tone; once for each press, at its beginning.
    KeyPressed {
        leg: LegId,
        key: Key,
        source: KeySource,
    },
    /// A play was sent to its end, or was cut after so many milliseconds (0: not yet begun).
    PlayEnded {
        leg: LegId,
        play: PlayId,
        cut_after_ms: Option<u64>,
    },
    /// Neither RTP nor RTCP came for the configured time while the peer was to send.
    Died {
        leg: LegId,
    },
    Closed {
        leg: LegId,
        statistics: RtpStatistics,
    },
}

/// Why a leg could not get its ports.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("all RTP ports of {range} are in use")]
    PortsExhausted { range: String },
    #[error("RTP socket: {0}")]
    Io(#[from] std::io::Error),
}
