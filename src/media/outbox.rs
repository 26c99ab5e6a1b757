//! Events on their way to the app, without ever waiting for it.
//!
//! When the app's channel is full, events wait here, in order, and are offered again at each turn
//! of the worker. When [`BACKLOG_MAX`] wait, the app has not listened for a long time: further keys
//! and ends of plays are dropped and counted in the log. `Closed` and `Died` still get room up to
//! [`BACKLOG_HARD_MAX`], since there are few for each leg and without them a call would never end.

use std::collections::VecDeque;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::border::MediaEvent;

const BACKLOG_MAX: usize = 16_384;
const BACKLOG_HARD_MAX: usize = 4 * BACKLOG_MAX;

#[derive(Debug)]
pub(super) struct Outbox {
    app: Sender<MediaEvent>,
    backlog: VecDeque<MediaEvent>,
    dropped: u64,
}

impl Outbox {
    pub fn new(app: Sender<MediaEvent>) -> Self {
        Self { app, backlog: VecDeque::new(), dropped: 0 }
    }

    pub fn push(&mut self, event: MediaEvent) {
        self.flush();
        if self.backlog.is_empty() {
            match self.app.try_send(event) {
                Err(TrySendError::Full(event)) => self.backlog.push_back(event),
                // Without an app nobody misses the event.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
            }
            return;
        }
        let room = match event {
            MediaEvent::KeyPressed { .. }
            | MediaEvent::PlayEnded { .. }
            | MediaEvent::Quiet { .. } => BACKLOG_MAX,
            MediaEvent::Died { .. }
            | MediaEvent::Closed { .. }
            | MediaEvent::Recorded { .. }
            | MediaEvent::RecordingFailed { .. } => BACKLOG_HARD_MAX,
        };
        if self.backlog.len() < room {
            self.backlog.push_back(event);
        } else {
            self.dropped += 1;
        }
    }

    /// Offers what waits.
    pub fn flush(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            if let Err(TrySendError::Full(event)) = self.app.try_send(event) {
                self.backlog.push_front(event);
                return;
            }
        }
        if self.dropped > 0 {
            tracing::error!(events = self.dropped, "media events were dropped: nobody took them");
            self.dropped = 0;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.backlog.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{LegId, PlayId};

    fn ended(id: u32) -> MediaEvent {
        MediaEvent::PlayEnded { leg: LegId(Uuid::nil()), play: PlayId(id), cut_after_ms: None }
    }

    #[test]
    fn events_keep_their_order_when_the_app_is_slow() {
        let (sender, mut app) = mpsc::channel(2);
        let mut outbox = Outbox::new(sender);
        (0..5).for_each(|id| outbox.push(ended(id)));
        let mut heard = Vec::new();
        while let Ok(event) = app.try_recv() {
            heard.push(event);
            outbox.flush();
        }
        assert_eq!(heard, (0..5).map(ended).collect::<Vec<_>>());
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_deaf_app_loses_keys_before_ends_of_calls() {
        let (sender, mut app) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        (0..20_000).for_each(|id| outbox.push(ended(id)));
        outbox.push(MediaEvent::Died { leg: LegId(Uuid::nil()) });
        let (mut count, mut last) = (0, None);
        while let Ok(event) = app.try_recv() {
            (count, last) = (count + 1, Some(event));
            outbox.flush();
        }
        assert_eq!(count, 1 + BACKLOG_MAX + 1);
        assert_eq!(last, Some(MediaEvent::Died { leg: LegId(Uuid::nil()) }));
    }
}
