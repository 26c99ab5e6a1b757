//! The people who take calls, between the database and the hub: read at the start and whenever
//! somebody changed them; what they want is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::core::Event;
use crate::database::DatabaseError;
use crate::dialplan::Plan;
use crate::domain::{Accounts, Attendance, Login, RecordingId, Timestamp};
use crate::store::Store;

use super::calendar::Wall;

/// Wishes that may wait for a slow database; more are dropped, and told to the admin.
const NOTES_MAX: usize = 4_096;
/// How often is looked whether somebody changed the operators.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What a database that is away did not take is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Tips that were heard longer ago may be heard again.
const TIPS_KEPT_DAYS: u64 = 30;

/// Keeps what operators want and what callers heard, without making anybody wait.
#[derive(Clone, Debug)]
pub struct People {
    notes: mpsc::Sender<Note>,
}

#[derive(Debug)]
enum Note {
    Attendance(Login, Attendance),
    Tip(String, RecordingId),
}

impl People {
    pub fn remember_attendance(&self, operator: Login, attendance: Attendance) {
        self.note(Note::Attendance(operator, attendance));
    }

    pub fn remember_tip(&self, caller: String, tip: RecordingId) {
        self.note(Note::Tip(caller, tip));
    }

    fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            warn!(
                "the database is too slow; what an operator wants, or a caller heard, is not kept"
            );
        }
    }
}

/// The task behind [`People`].
pub struct Keeper {
    store: Store,
    wall: Wall,
    accounts: Arc<ArcSwap<Accounts>>,
    notes: mpsc::Receiver<Note>,
    revision: u64,
}

impl Keeper {
    /// `accounts` is what phones are checked by; it follows the database.
    pub fn new(store: Store, wall: Wall, accounts: Arc<ArcSwap<Accounts>>) -> (People, Self) {
        let (sender, notes) = mpsc::channel(NOTES_MAX);
        (People { notes: sender }, Self { store, wall, accounts, notes, revision: 0 })
    }

    /// What the hub has to know before the first call.
    pub async fn first(&mut self, plan: &Plan) -> Result<[Event; 3], DatabaseError> {
        let now = self.wall.now();
        let zone = plan.scripts.values().next().map(|script| script.timezone.clone());
        let midnight = now.in_zone(&zone.unwrap_or(TimeZone::UTC)).start_of_day();
        let midnight = midnight.as_ref().map_or(now, Timestamp::from);
        let visits = self.store.visits(midnight, now).await?;
        let visits = visits.into_iter().map(|record| record.visit).collect();
        let since = now.minus_ms(TIPS_KEPT_DAYS * 24 * 3_600_000);
        let heard = self.store.tips_heard(since).await?;
        // The latest heard come first; the hub forgets those that it was told first.
        let heard = heard.into_iter().rev().map(|heard| (heard.caller, heard.tip)).collect();
        self.revision = self.store.operators_revision().await?;
        let visits = Event::VisitsRemembered { visits };
        Ok([visits, Event::TipsRemembered { heard }, self.read().await?])
    }

    /// Runs until the event loop and its [`People`] are gone; then everything noted is kept.
    pub async fn run(mut self, hub: mpsc::Sender<Event>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                note = self.notes.recv() => match note {
                    Some(note) => self.keep(note).await,
                    None => return,
                },
                _ = look.tick() => match self.look().await {
                    Ok(None) => {}
                    Ok(Some(changed)) => {
                        info!("operators changed");
                        if hub.send(changed).await.is_err() {
                            return;
                        }
                    }
                    // /health tells of a database that is away.
                    Err(error) => tracing::debug!(%error, "operators can't be read"),
                },
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Event>, DatabaseError> {
        let revision = self.store.operators_revision().await?;
        if revision == self.revision {
            return Ok(None);
        }
        // What is still to be written is newer than what would be read.
        while let Ok(note) = self.notes.try_recv() {
            self.keep(note).await;
        }
        let changed = self.read().await?;
        self.revision = revision;
        Ok(Some(changed))
    }

    async fn read(&self) -> Result<Event, DatabaseError> {
        let (mut operators, mut accounts) = (Vec::new(), Accounts::new());
        let mut attendance = BTreeMap::new();
        for stored in self.store.operators().await? {
            let login = stored.operator.login.clone();
            attendance.insert(login.clone(), stored.attendance);
            accounts.insert(login, stored.account);
            operators.push(stored.operator);
        }
        self.accounts.store(Arc::new(accounts));
        Ok(Event::OperatorsReplaced { operators, attendance })
    }

    /// Tries until it is kept: an operator who logged out while the database was away must not be back
    /// after the next start.
    async fn keep(&self, note: Note) {
        let now = self.wall.now();
        let mut is_away = false;
        loop {
            let kept = match &note {
                Note::Attendance(login, attendance) => {
                    self.store.remember_attendance(login, attendance, now).await
                }
                Note::Tip(caller, tip) => self.store.remember_tip(caller, tip, now).await,
            };
            match kept {
                Ok(()) => return,
                // Another statement than the database's absence would fail for ever.
                Err(error) if !error.is_passing() => {
                    warn!(%error, "what an operator wants, or a caller heard, is not kept");
                    return;
                }
                Err(error) if !is_away => {
                    is_away = true;
                    warn!(%error, "what operators want can't be written; trying again");
                }
                Err(_) => {}
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}
