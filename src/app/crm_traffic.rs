//! What the house tells the CRM, and what the CRM tells of the shop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::core::Event;
use crate::crm::{Crm, CrmChange, CrmError};
use crate::domain::Region;
use crate::store::{CrmWriteEnd, PendingCrmWrite, Store};

use super::calendar::Wall;
use super::promises::Promises;

/// Changes that are tried in one turn.
const WRITES_AT_ONCE: u32 = 100;
/// A CRM, or a database, that is away is asked again after this.
const PAUSE: Duration = Duration::from_secs(10);
/// Longer than any server lives.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Writes into the CRM what was noted, until the event loop is gone. What the CRM does not take now
/// is tried again; how each change ended is kept.
pub async fn write(
    store: Store,
    crm: Arc<dyn Crm>,
    wall: Wall,
    promises: Promises,
    event_loop: mpsc::Sender<Event>,
) {
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = promises.next_crm_write() => {}
            () = tokio::time::sleep(pause) => {}
            () = event_loop.closed() => return,
        }
        pause = match store.pending_crm_writes(WRITES_AT_ONCE).await {
            Ok(pending) if pending.is_empty() => NEVER,
            Ok(pending) => write_all(&store, &*crm, &wall, pending).await,
            Err(error) => {
                warn!(%error, "the database can't say what is to be written into the CRM");
                PAUSE
            }
        };
    }
}

/// When the next turn is due.
async fn write_all(
    store: &Store,
    crm: &dyn Crm,
    wall: &Wall,
    pending: Vec<PendingCrmWrite>,
) -> Duration {
    let mut next = Duration::ZERO;
    for write in pending {
        let written = match serde_json::from_str(&write.what) {
            Ok(what) => {
                let PendingCrmWrite { id, phone, at, .. } = write.clone();
                crm.write(&CrmChange { id, phone, at, what }).await
            }
            Err(error) => Err(CrmError::Refused(error.to_string())),
        };
        let why = written.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let end = match written {
            Ok(()) => CrmWriteEnd::Done,
            Err(CrmError::Refused(_)) => CrmWriteEnd::Failed(&why),
            Err(_) => {
                next = PAUSE;
                CrmWriteEnd::Again(&why)
            }
        };
        if end != CrmWriteEnd::Done {
            warn!(call = %write.call, why, "the CRM did not take a change");
        }
        if let Err(error) = store.crm_write_ended(&write.id, end, wall.now()).await {
            warn!(%error, "how a change of the CRM ended is not kept");
            next = PAUSE;
        }
    }
    next
}

/// Asks the CRM again and again what happened in the shop, until the event loop is gone.
pub async fn poll_events(
    store: Store,
    crm: Arc<dyn Crm>,
    wall: Wall,
    (every, region): (Duration, Region),
    promises: Promises,
    event_loop: mpsc::Sender<Event>,
) {
    let mut ask = tokio::time::interval(every);
    ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ask.tick() => {}
            () = event_loop.closed() => return,
        }
        let events = match crm.events(region).await {
            Ok(events) => events,
            Err(error) => {
                warn!(%error, "the CRM does not say what happened in the shop");
                continue;
            }
        };
        match store.add_shop_events(&events, "crm", wall.now()).await {
            Ok((0, _)) => {}
            Ok((new, _)) => {
                info!(new, "events of the shop from the CRM");
                promises.look_for_events();
            }
            Err(error) => warn!(%error, "events of the shop are not kept; asked for again"),
        }
    }
}
