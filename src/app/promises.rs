//! Promises between the database and the hub: read at the start, written before anything is done
//! about them; events of the shop come in, what customers decided goes out to the CRM.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tracing::{info, warn};

use crate::core::Event;
use crate::core::event::{Called, CrmWrite};
use crate::database::DatabaseError;
use crate::domain::{
    Attempt, CallId, DoNotCall, PhoneNumber, Promise, Rating, ShopEvent, Timestamp,
};
use crate::store::{PromiseFilter, PromiseWriter, Store, Stored};

use super::calendar::Wall;

/// How often is looked whether something changed from outside.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events of the shop that the hub is told of at once.
const EVENTS_AT_ONCE: u32 = 500;
/// The longest period of `no-more-than`, for which calls are remembered.
const CALLED_DAYS: u64 = 366;

/// What a full queue did not take is tried again after this.
const INSIST_EVERY: Duration = Duration::from_secs(5);
/// Promises that are over are remembered for so long, so that a repeated event is known.
const EVENTS_KEPT_DAYS: u64 = 7;

/// Keeps what the hub asks to keep, without making it wait.
#[derive(Clone, Debug)]
pub struct Promises {
    store: Store,
    writer: PromiseWriter,
    news: Arc<Notify>,
    writes: Arc<Notify>,
}

impl Promises {
    /// `safe` is told what is in the database. What comes of a rehearsal is marked so.
    pub fn new(store: Store, safe: mpsc::Sender<Stored>, is_rehearsal: bool) -> Self {
        let writer = store.promise_writer(safe);
        writer.set_rehearsal(is_rehearsal);
        Self { store, writer, news: Arc::default(), writes: Arc::default() }
    }

    pub fn store(&self, promise: Promise, at: Timestamp) {
        self.insist(move |writer| writer.store(promise.clone(), at).is_ok());
    }

    pub fn attempt(&self, attempt: Attempt) {
        self.insist(move |writer| writer.attempt(attempt.clone()).is_ok());
    }

    pub fn rating(&self, call: CallId, rating: Rating, at: Timestamp) {
        self.heed(self.writer.rating(call, rating, at).is_ok());
    }

    pub fn forbid(&self, forbidden: DoNotCall, source: String, at: Timestamp) {
        self.heed(self.writer.forbid(forbidden, source, at).is_ok());
    }

    pub fn event_taken(&self, key: String, at: Timestamp) {
        self.heed(self.writer.event_taken(key, at).is_ok());
    }

    pub fn write_crm(&self, call: CallId, phone: PhoneNumber, write: &CrmWrite, at: Timestamp) {
        let what = serde_json::to_string(write).unwrap_or_default();
        self.heed(self.writer.crm_write(call, phone, what, at).is_ok());
        self.writes.notify_one();
    }

    /// Keeps that an admin stopped a robot, or lets it go on, over restarts.
    pub fn switch_robot(&self, name: String, is_stopped: bool, at: Timestamp) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.set_robot_stopped(&name, is_stopped, at).await {
                warn!(%error, robot = name, "that a robot was switched is not kept");
            }
        });
    }

    /// Why nothing can be written now; `None`: it can.
    pub fn trouble(&self) -> Option<String> {
        self.writer.trouble()
    }

    /// How much waits for the database.
    pub fn waiting(&self) -> usize {
        self.writer.waiting()
    }

    /// Writes what is queued; see [`PromiseWriter::close`].
    pub async fn close(&self, within: Duration) -> u64 {
        self.writer.close(within).await
    }

    /// Comes back when something more is to be written into the CRM, and is in the database.
    pub async fn next_crm_write(&self) {
        self.writes.notified().await;
        self.writer.flush().await;
    }

    /// Events of the shop were put into the database.
    pub fn look_for_events(&self) {
        self.news.notify_one();
    }

    /// Tries until it is kept: the ledger waits for it. There are at most as many as the ledger has
    /// promises.
    fn insist(&self, keep: impl Fn(&PromiseWriter) -> bool + Send + 'static) {
        if keep(&self.writer) {
            return;
        }
        warn!("the database is too slow; promises wait");
        let writer = self.writer.clone();
        tokio::spawn(async move {
            while !keep(&writer) {
                tokio::time::sleep(INSIST_EVERY).await;
            }
        });
    }

    fn heed(&self, is_kept: bool) {
        if !is_kept {
            warn!("the database is too slow; something about a promise is not kept");
        }
    }
}

/// What a promise, an attempt or a rating being safe means for the hub.
pub fn stored(stored: Stored) -> Event {
    match stored {
        Stored::Promise(promise) => Event::PromiseStored { promise },
        Stored::Repeated(promise) => Event::PromiseRepeated { promise },
        Stored::Attempt(promise, number) => Event::AttemptStored { promise, number },
        Stored::Rating(call) => Event::RatingStored { call },
    }
}

/// The task that looks what changed from outside.
pub struct Watcher {
    store: Store,
    wall: Wall,
    promises: Promises,
    revision: u64,
    stopped: BTreeSet<String>,
    /// Events that the hub was told of, and that the database still calls new.
    told: BTreeSet<String>,
}

impl Watcher {
    pub fn new(store: Store, wall: Wall, promises: &Promises) -> Self {
        let (promises, stopped, told) = (promises.clone(), BTreeSet::new(), BTreeSet::new());
        Self { store, wall, promises, revision: 0, stopped, told }
    }

    /// What the hub has to know before the first call. Attempts that the death of a server cut off
    /// are closed before.
    pub async fn first(&mut self) -> Result<Vec<Event>, DatabaseError> {
        let wall = self.wall.now();
        let lost = self.store.close_lost_attempts(wall).await?;
        if lost > 0 {
            warn!(attempts = lost, "customers were being called when the server died");
        }
        let mut promises = self.store.open_promises().await?;
        if !promises.is_empty() {
            info!(promises = promises.len(), "promises are open");
        }
        let ended_from = Some(wall.minus_ms(EVENTS_KEPT_DAYS * 24 * 3_600_000));
        let over = PromiseFilter { ended_from, ..PromiseFilter::default() };
        let over = self.store.promises(&over).await?.into_iter().map(|record| record.promise);
        promises.extend(over.filter(|promise| promise.event.is_some()));
        let since = wall.minus_ms(CALLED_DAYS * 24 * 3_600_000);
        // A rehearsal keeps its own promises, and the world its own.
        promises.retain(|promise| promise.rehearsal == self.wall.calendar.is_rehearsal);
        let called = self.store.robot_calls_since(since).await?.into_iter();
        let called =
            called.map(|call| Called { phone: call.phone, robot: call.robot, at: call.at });
        let called = called.collect();
        let mut events = self.changes().await?;
        // Who must not be called is known before anybody is.
        events.push(Event::PromisesRemembered { promises, called });
        Ok(events)
    }

    /// Runs until the event loop is gone.
    pub async fn run(mut self, hub: mpsc::Sender<Event>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_away = false;
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = self.promises.news.notified() => {}
                () = hub.closed() => return,
            }
            match self.look().await {
                Ok(events) => {
                    is_away = false;
                    for event in events {
                        if hub.send(event).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) if !is_away => {
                    is_away = true;
                    warn!(%error, "the database can't be asked for events of the shop");
                }
                Err(_) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<Vec<Event>, DatabaseError> {
        let mut events = Vec::new();
        if self.store.outbound_revision().await? != self.revision {
            events = self.changes().await?;
        }
        let pending = self.store.pending_shop_events(EVENTS_AT_ONCE).await?;
        let keys = pending.iter().map(|event| event.key.clone()).collect();
        let before = std::mem::replace(&mut self.told, keys);
        let new: Vec<ShopEvent> =
            pending.into_iter().filter(|event| !before.contains(&event.key)).collect();
        if !new.is_empty() {
            events.push(Event::ShopEvents { events: new });
        }
        Ok(events)
    }

    /// The lists that others change.
    async fn changes(&mut self) -> Result<Vec<Event>, DatabaseError> {
        self.revision = self.store.outbound_revision().await?;
        // A key 9 that is still on its way into the database must not be lost from the list.
        self.promises.writer.flush().await;
        let list = self.store.do_not_call().await?;
        let stopped: BTreeSet<String> = self.store.stopped_robots().await?.into_keys().collect();
        let switched =
            |name: &String, is_stopped| Event::RobotSwitched { name: name.clone(), is_stopped };
        let mut events = vec![Event::DoNotCallReplaced { list }];
        events.extend(stopped.difference(&self.stopped).map(|name| switched(name, true)));
        events.extend(self.stopped.difference(&stopped).map(|name| switched(name, false)));
        self.stopped = stopped;
        Ok(events)
    }
}
