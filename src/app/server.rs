//! Start and shutdown of a whole server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, CrmSource, Transport};
use crate::core::{Event, Hub};
use crate::crm::{Crm, EmbeddedCrm, Guarded, Guards, SqlCrm};
use crate::domain::{PhoneNumber, without_numbers};
use crate::media::{self, MediaEngine, MediaSettings};
use crate::sip::{self, SipSettings, SipStack};
use crate::store::{CallWriter, Store};
use crate::web::{Feeds, Health, Intake, Kept, Web};

use super::calendar::{self, Rehearsal, Wall};
use super::clock::Clock;
use super::event_loop::{EventLoop, Inputs, Outputs};
use super::people::Keeper;
use super::promises::{Promises, Watcher};
use super::watch::Watch;
use super::{crm_traffic, plans, recordings, reload};

/// Events of SIP or media that may wait for the event loop.
const EVENTS_MAX: usize = 8_192;
/// Events from the admin and the database that may wait for the event loop.
const CONTROL_MAX: usize = 1_024;
/// How long the last facts may take to reach the database when the server stops.
const LAST_WRITES: Duration = Duration::from_secs(10);
/// How long hung-up calls may take to say goodbye when the server stops.
const LAST_BYES: Duration = Duration::from_secs(2);

/// A running server.
pub struct Server {
    config: Config,
    sip: SipStack,
    media: MediaEngine,
    web: Web,
    web_shutdown: CancellationToken,
    health: Health,
    store: Store,
    calls: CallWriter,
    promises: Promises,
    legs_up: watch::Receiver<usize>,
    control: mpsc::Sender<Event>,
    event_loop: JoinHandle<()>,
    reloading: JoinHandle<()>,
    keeping: JoinHandle<()>,
    numbers: Vec<String>,
    has_sample: bool,
    lacks_trunk: bool,
}

impl Server {
    /// Starts everything, in the order in which things are needed; an error names what is wrong and
    /// nothing stays behind.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::rehearse(config, None).await
    }

    /// The same; hours, due times and schedules follow the clock of a rehearsal.
    pub async fn rehearse(config: Config, rehearsal: Option<Rehearsal>) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let calendar = rehearsal.as_ref().map(|it| it.calendar(clock.now())).unwrap_or_default();
        if let Err(error) = media::raise_open_files_limit() {
            warn!(%error, "the limit of open files stays as it is; two are needed for each call");
        }
        warm_up();
        let loaded = load_plans(&config).await?;
        for warning in &loaded.warnings {
            warn!("{}", without_numbers(&warning.to_string()));
        }
        let store = Store::open(&config.database.url).await?;
        let has_sample = fill_sample(&config, &store).await?;
        let (safe, stored) = mpsc::channel(EVENTS_MAX);
        let promises = Promises::new(store.clone(), safe, rehearsal.is_some());
        let calls = store.writer();
        calls.set_rehearsal(rehearsal.is_some());
        let health = health_of(&store, &calls, &promises);
        health.watch_recordings(recordings::probe(config.recordings.folder.clone()));
        if let Some(rehearsal) = rehearsal.clone() {
            health.set_rehearsal(rehearsal.speed(), move || {
                rehearsal.shown(calendar.wall(clock.now()))
            });
        }
        let web_shutdown = CancellationToken::new();
        let (feeds, questions) = Feeds::new();
        let watch = Watch::new(feeds.events());
        let wall = Wall { clock, calendar };
        let intake = intake(&config, store.clone(), wall, promises.clone());
        let web =
            Web::start(&config.web, health.clone(), feeds, intake, web_shutdown.clone()).await?;
        let library = Arc::new(ArcSwap::from(loaded.library.clone()));
        let (media_events, media) = mpsc::channel(EVENTS_MAX);
        let engine = MediaEngine::start(&media_settings(&config), library.clone(), media_events)
            .context("the RTP engine can't start")?;
        let (sip_events, sip) = mpsc::channel(EVENTS_MAX);
        let settings = sip_settings(&config);
        let (people, mut keeper) = Keeper::new(store.clone(), wall, settings.accounts.clone());
        let first = keeper.first(&loaded.plan).await?;
        let stack = SipStack::start(settings, sip_events).await?;
        // Only now, when the ports are ours, is it sure that no other server has these calls.
        let cut_off = recordings::rescue(config.recordings.folder.clone()).await;
        let lost = store.close_lost_calls(wall.now(), &cut_off).await?;
        if lost > 0 {
            warn!(calls = lost, "calls were up when the server died; closed as lost");
        }
        let mut watcher = Watcher::new(store.clone(), wall, &promises);
        let owed = watcher.first().await?;
        let (control, controls) = mpsc::channel(CONTROL_MAX);
        control.send(Event::CalendarSet { calendar }).await?;
        for event in first.into_iter().chain(owed) {
            control.send(event).await?;
        }
        let crm = open_crm(&config, &store)?;
        let (legs_up, legs_up_seen) = watch::channel(0);
        let outputs = Outputs {
            sip: stack.handle(),
            media: engine.handle(),
            crm: crm.clone(),
            calls: calls.clone(),
            people,
            promises: promises.clone(),
            watch,
            recordings: config.recordings.folder.clone(),
            legs_up,
        };
        let numbers = loaded.plan.numbers.keys().map(ToString::to_string).collect();
        let lacks_trunk = config.trunks.is_empty() && loaded.plan.calls_customers();
        let hub = Hub::new(loaded.plan, loaded.catalogue, config.sip.region, rand::random());
        let inputs = Inputs { sip, media, control: controls, stored, questions };
        let event_loop = tokio::spawn(EventLoop::run(hub, clock, inputs, outputs));
        tokio::spawn(recordings::delete_daily(config.recordings.clone(), clock, control.clone()));
        tokio::spawn(watcher.run(control.clone()));
        keep_up_with_crm(&config, &store, crm, wall, &promises, &control);
        if rehearsal.is_none() {
            tokio::spawn(calendar::watch_wall_clock(clock, control.clone()));
        }
        let keeping = tokio::spawn(keeper.run(control.clone()));
        let reloading = tokio::spawn(reload::run(config.clone(), library, control.clone()));
        health.set_plan(Ok(()));
        health.set_sip(Ok(()));
        Ok(Self {
            config,
            sip: stack,
            media: engine,
            web,
            web_shutdown,
            health,
            store,
            calls,
            legs_up: legs_up_seen,
            keeping,
            promises,
            control,
            event_loop,
            reloading,
            numbers,
            has_sample,
            lacks_trunk,
        })
    }

    /// Where SIP really listens, port 0 resolved: `udp:0.0.0.0:5060`.
    pub fn sip_addresses(&self) -> Vec<String> {
        self.sip.bound().iter().map(ToString::to_string).collect()
    }

    /// The first UDP address, for a phone on this machine.
    pub fn udp_address(&self) -> Option<SocketAddr> {
        let udp = self.sip.bound().iter().find(|listen| listen.transport == Transport::Udp);
        udp.map(|listen| listen.address)
    }

    pub fn web_address(&self) -> SocketAddr {
        self.web.address()
    }

    /// The numbers that the plan answers.
    pub fn numbers(&self) -> &[String] {
        &self.numbers
    }

    /// The plan has customers called, but nothing leads to them.
    pub fn lacks_trunk(&self) -> bool {
        self.lacks_trunk
    }

    /// In which the passwords of operators are proved.
    pub fn realm(&self) -> &str {
        &self.config.sip.realm
    }

    /// Whether this start, the very first, put sample customers into the CRM.
    pub fn has_sample(&self) -> bool {
        self.has_sample
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stops: new calls get 503, running ones may finish within the drain time, then they are hung
    /// up; everything recorded reaches the database.
    pub async fn shutdown(self) {
        self.shutdown_or_hurry(std::future::pending()).await;
    }

    /// The same; when `hurry` comes, running calls are hung up without waiting for their end.
    pub async fn shutdown_or_hurry(mut self, hurry: impl Future<Output = ()>) {
        let drain = self.config.shutdown.drain.duration();
        let up = *self.legs_up.borrow();
        info!(legs = up, limit_s = drain.as_secs(), "stopping: new calls are refused");
        self.reloading.abort();
        self.health.set_draining();
        self.sip.start_drain();
        self.tell(Event::DrainStarted).await;
        let is_quiet = tokio::select! {
            last = tokio::time::timeout(drain, self.last_call()) => last.is_ok(),
            () = hurry => false,
        };
        if !is_quiet {
            self.tell(Event::DrainEnded).await;
            if tokio::time::timeout(LAST_BYES, self.last_call()).await.is_err() {
                warn!(legs = *self.legs_up.borrow(), "calls did not end in time");
            }
        }
        self.sip.shutdown().await;
        // Without SIP the event loop has heard its last.
        let _ = self.event_loop.await;
        // Nobody notes anything any more: the task ends when the last note is kept.
        if tokio::time::timeout(LAST_WRITES, self.keeping).await.is_err() {
            warn!("the database did not take the last wishes of operators in time");
        }
        self.media.shutdown();
        let lost = self.calls.close(LAST_WRITES).await + self.promises.close(LAST_WRITES).await;
        if lost > 0 {
            warn!(facts = lost, "the database did not take the last facts in time");
        }
        self.web_shutdown.cancel();
        self.web.ended().await;
        self.store.close().await;
        info!("stopped");
    }

    async fn tell(&self, event: Event) {
        if self.control.send(event).await.is_err() {
            warn!("the event loop is gone");
        }
    }

    async fn last_call(&mut self) {
        // An error means that the event loop is gone, and the calls with it.
        let _ = self.legs_up.wait_for(|&up| up == 0).await;
    }
}

/// A small write that is taken says little on a full disk: what waits must be written, too.
fn health_of(store: &Store, calls: &CallWriter, promises: &Promises) -> Health {
    let (store, calls, promises) = (store.clone(), calls.clone(), promises.clone());
    Health::new(move || {
        let store = store.clone();
        let trouble = calls.trouble().or_else(|| promises.trouble());
        async move {
            store.healthy().await?;
            trouble.map_or(Ok(()), Err)
        }
    })
}

/// What is loaded at its first use takes longer than a caller should wait.
fn warm_up() {
    let _ = PhoneNumber::parse("+78000000000", crate::domain::Region::default());
}

/// Events that come by HTTP go into the database, where the server finds them.
fn intake(config: &Config, store: Store, wall: Wall, promises: Promises) -> Intake {
    Intake::new(config.sip.region, move |events| {
        let (store, promises) = (store.clone(), promises.clone());
        async move {
            let kept = store.add_shop_events(&events, "http", wall.now()).await;
            let (new, repeated) = kept.map_err(|error| error.to_string())?;
            promises.look_for_events();
            Ok(Kept { new, repeated })
        }
    })
}

async fn load_plans(config: &Config) -> anyhow::Result<plans::Loaded> {
    let config = config.clone();
    Ok(tokio::task::spawn_blocking(move || plans::load(&config)).await??)
}

/// Fills an embedded CRM that was never used, so that there is somebody to call as.
async fn fill_sample(config: &Config, store: &Store) -> anyhow::Result<bool> {
    match config.crm.source {
        CrmSource::Embedded => Ok(EmbeddedCrm::new(store.pool().clone()).fill_if_new().await?),
        CrmSource::Sql => Ok(false),
    }
}

fn open_crm(config: &Config, store: &Store) -> anyhow::Result<Arc<dyn Crm>> {
    let guards = Guards::of(&config.crm);
    let crm: Box<dyn Crm> = match (config.crm.source, &config.crm.sql) {
        (CrmSource::Embedded, _) => Box::new(EmbeddedCrm::new(store.pool().clone())),
        (CrmSource::Sql, Some(sql)) => Box::new(SqlCrm::new(sql, guards.deadline)?),
        (CrmSource::Sql, None) => {
            anyhow::bail!("[crm] source is \"sql\", but there is no section [crm.sql]")
        }
    };
    Ok(Arc::new(Guarded::new(crm, guards)))
}

/// Writes into the shop's CRM what it should know, and asks it what is new.
fn keep_up_with_crm(
    config: &Config,
    store: &Store,
    crm: Arc<dyn Crm>,
    wall: Wall,
    promises: &Promises,
    control: &mpsc::Sender<Event>,
) {
    let write = crm_traffic::write;
    tokio::spawn(write(store.clone(), crm.clone(), wall, promises.clone(), control.clone()));
    if let Some(sql) = config.crm.sql.as_ref().filter(|sql| sql.events.is_some()) {
        let how = (sql.events_every.duration(), config.sip.region);
        let poll = crm_traffic::poll_events;
        tokio::spawn(poll(store.clone(), crm, wall, how, promises.clone(), control.clone()));
    }
}

fn media_settings(config: &Config) -> MediaSettings {
    MediaSettings {
        ports: config.rtp.ports.ports(),
        dead_after_ms: config.rtp.dead_after.as_ms(),
        raw_socket: config.rtp.raw_socket,
        ..MediaSettings::default()
    }
}

fn sip_settings(config: &Config) -> SipSettings {
    let limits = &config.sip.limits;
    SipSettings {
        listen: config.sip.listen.clone(),
        public_address: config.sip.public_address,
        trusted: config.sip.trusted.clone(),
        region: config.sip.region,
        realm: config.sip.realm.clone(),
        digest: config.sip.digest,
        keepalive_ms: config.sip.keepalive.as_ms(),
        tls: config.sip.tls.clone(),
        trunks: config.trunks.clone(),
        limits: sip::Limits {
            legs_max: limits.calls as usize,
            invites_per_second_max: limits.calls_per_second,
            invites_per_second_per_source_max: limits.calls_per_second_per_source,
            // A call is three messages, and one more for what gets lost; some for all the rest.
            messages_per_second_per_source_max: limits
                .calls_per_second_per_source
                .saturating_mul(4)
                .saturating_add(1_000),
            half_open_per_source_max: (limits.calls as usize / 8).max(1),
            connections_max: limits.connections as usize,
            ..sip::Limits::default()
        },
        ..SipSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_the_settings_trust_are_trusted_by_sip() {
        let text = "[sip]\ntrusted = [\"192.0.2.0/24\"]\n";
        let config = Config::from_text("allo.toml".as_ref(), text, []).unwrap();
        let settings = sip_settings(&config);
        assert!(settings.trusts("192.0.2.77".parse().unwrap()));
        assert!(!settings.trusts("192.0.3.1".parse().unwrap()));
    }
}
