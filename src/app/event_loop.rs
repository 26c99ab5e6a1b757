//! The one owner of all call state: facts from SIP, media, CRM and the admin go into the hub, its
//! commands go out. Nothing here waits for a disk, a database or a phone.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::core::{Command, Event, Hub, LookupAnswer, LookupRequest};
use crate::crm::Crm;
use crate::domain::{
    CallFact, CallId, EndReason, EndedBy, KeySource, LegId, LookupId, Pii, RtpStatistics,
};
use crate::media::{MediaEvent, MediaHandle};
use crate::sip::{Offer, RefuseStatus, SipCommand, SipEvent, SipHandle};
use crate::store::CallWriter;

use super::clock::Clock;

/// Seconds after which a refused caller may try again.
const RETRY_AFTER_S: u32 = 5;

/// Where the event loop hears from.
pub struct Inputs {
    pub sip: mpsc::Receiver<SipEvent>,
    pub media: mpsc::Receiver<MediaEvent>,
    /// From the admin: a new plan, the drain.
    pub control: mpsc::Receiver<Event>,
}

/// Whom the event loop commands.
pub struct Outputs {
    pub sip: SipHandle,
    pub media: MediaHandle,
    pub crm: Arc<dyn Crm>,
    pub calls: CallWriter,
    /// How many calls are up, for whoever waits for the last one.
    pub calls_up: tokio::sync::watch::Sender<usize>,
}

/// The loop and what it owns.
pub struct EventLoop {
    hub: Hub,
    clock: Clock,
    out: Outputs,
    calls: BTreeMap<CallId, CallLeg>,
    legs: BTreeMap<LegId, CallId>,
    lookups: BTreeMap<(CallId, LookupId), AbortHandle>,
    answers: mpsc::Sender<Event>,
    /// Commands of the hub that are being carried out; kept for its memory.
    commands: Vec<Command>,
}

/// The leg of a call.
struct CallLeg {
    leg: LegId,
    offer: Box<Offer>,
    has_media: bool,
}

impl EventLoop {
    /// Runs until every input is closed.
    pub async fn run(hub: Hub, clock: Clock, mut inputs: Inputs, out: Outputs) {
        const ANSWERS_MAX: usize = 1_024;
        let (answers, mut answered) = mpsc::channel(ANSWERS_MAX);
        let (calls, legs, lookups) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut this =
            Self { hub, clock, out, calls, legs, lookups, answers, commands: Vec::new() };
        loop {
            let timer = this.hub.next_timer().map(|at| this.clock.instant(at));
            tokio::select! {
                event = inputs.sip.recv() => match event {
                    Some(event) => this.on_sip(event).await,
                    None => break,
                },
                Some(event) = inputs.media.recv() => this.on_media(event).await,
                Some(event) = answered.recv() => this.handle(event).await,
                Some(event) = inputs.control.recv() => this.handle(event).await,
                () = sleep_until(timer) => this.on_time().await,
            }
            this.out
                .calls_up
                .send_if_modified(|up| std::mem::replace(up, this.calls.len()) != this.calls.len());
        }
    }

    async fn on_sip(&mut self, event: SipEvent) {
        match event {
            SipEvent::Offered(offer) => self.on_offer(offer).await,
            SipEvent::MediaAgreed { leg, session } => {
                if self.legs.contains_key(&leg) {
                    self.out.media.agree(leg, session);
                }
            }
            SipEvent::Confirmed { leg } => {
                self.handle_for(leg, |call| Event::CallConfirmed { call }).await;
            }
            SipEvent::KeyPressed { leg, key } => {
                let source = KeySource::Info;
                self.handle_for(leg, |call| Event::KeyPressed { call, key, source }).await;
            }
            SipEvent::Ended { leg, by, reason } => self.on_ended(leg, by, reason).await,
            SipEvent::Ringing { .. }
            | SipEvent::Answered { .. }
            | SipEvent::Unanswered { .. }
            | SipEvent::TransferAsked { .. }
            | SipEvent::PhoneChanged { .. } => {}
        }
    }

    async fn on_offer(&mut self, offer: Box<Offer>) {
        let call = CallId(Uuid::now_v7());
        let leg = offer.leg;
        let (dialled, caller) = (offer.dialled.clone(), offer.caller.clone());
        info!(%call, caller = %Pii(&caller), source = %offer.source, "call offered");
        self.legs.insert(leg, call);
        self.calls.insert(call, CallLeg { leg, offer, has_media: false });
        self.handle(Event::CallOffered { call, leg, dialled, caller }).await;
    }

    async fn on_ended(&mut self, leg: LegId, by: EndedBy, reason: EndReason) {
        let Some(&call) = self.legs.get(&leg) else { return };
        self.handle(Event::CallEnded { call, by, reason }).await;
        match self.calls.get(&call) {
            Some(entry) if entry.has_media => self.out.media.close(leg),
            _ => self.forget(leg, RtpStatistics::default()).await,
        }
    }

    async fn on_media(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::KeyPressed { leg, key, source } => {
                self.handle_for(leg, |call| Event::KeyPressed { call, key, source }).await;
            }
            MediaEvent::PlayEnded { leg, play, cut_after_ms } => {
                self.handle_for(leg, |call| Event::PlayEnded { call, play, cut_after_ms }).await;
            }
            MediaEvent::Died { leg } => {
                self.handle_for(leg, |call| Event::MediaDied { call }).await;
            }
            MediaEvent::Closed { leg, statistics } => self.forget(leg, statistics).await,
            MediaEvent::Recorded { leg, note } => {
                if let Some(&call) = self.legs.get(&leg) {
                    self.record(call, CallFact::Recorded(note));
                }
            }
            MediaEvent::RecordingFailed { leg: _, file, problem } => {
                warn!(file = %file.display(), %problem, "a recording is incomplete");
            }
        }
    }

    /// Nothing more will come about this leg.
    async fn forget(&mut self, leg: LegId, statistics: RtpStatistics) {
        self.handle_for(leg, |call| Event::MediaClosed { call, statistics }).await;
        if let Some(call) = self.legs.remove(&leg) {
            self.calls.remove(&call);
        }
    }

    async fn handle_for(&mut self, leg: LegId, event: impl FnOnce(CallId) -> Event) {
        if let Some(&call) = self.legs.get(&leg) {
            self.handle(event(call)).await;
        }
    }

    /// Lets the hub decide and carries out what it decides, until nothing follows from that.
    async fn handle(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            if let Event::LookupAnswered { call, lookup, .. } = &event {
                self.lookups.remove(&(*call, *lookup));
            }
            let mut commands = std::mem::take(&mut self.commands);
            self.hub.handle(self.clock.now(), event, &mut commands);
            next = self.carry_out(commands).await;
        }
    }

    async fn on_time(&mut self) {
        let mut commands = std::mem::take(&mut self.commands);
        self.hub.on_time(self.clock.now(), &mut commands);
        if let Some(failed) = self.carry_out(commands).await {
            self.handle(failed).await;
        }
    }

    /// A command that fails comes back as an event. One turn of the hub gives at most one command
    /// that can fail.
    async fn carry_out(&mut self, mut commands: Vec<Command>) -> Option<Event> {
        let mut failed = None;
        for command in commands.drain(..) {
            failed = self.execute(command).await.or(failed);
        }
        self.commands = commands;
        failed
    }

    async fn execute(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Answer { call } => return self.answer(call).await,
            Command::Reject { call, reason } => self.reject(call, reason).await,
            Command::Play { call, play, language, recordings } => {
                if let Some(leg) = self.leg(call) {
                    self.out.media.play(leg, play, language, &recordings);
                }
            }
            Command::StopPlaying { call } => {
                if let Some(leg) = self.leg(call) {
                    self.out.media.stop_playing(leg);
                }
            }
            Command::LookUp { call, lookup, request, deadline_ms } => {
                self.look_up(call, lookup, request, deadline_ms);
            }
            Command::CancelLookup { call, lookup } => {
                if let Some(task) = self.lookups.remove(&(call, lookup)) {
                    task.abort();
                }
            }
            Command::Hangup { call, by: _, reason: _ } => {
                if let Some(leg) = self.leg(call) {
                    self.tell_sip(SipCommand::Hangup { leg }).await;
                }
            }
            Command::Record { call, fact } => self.record(call, fact),
        }
        None
    }

    async fn tell_sip(&self, command: SipCommand) {
        if let Err(error) = self.out.sip.send(command).await {
            debug!(%error, "a command came too late for SIP");
        }
    }

    fn leg(&self, call: CallId) -> Option<LegId> {
        self.calls.get(&call).map(|entry| entry.leg)
    }

    async fn answer(&mut self, call: CallId) -> Option<Event> {
        let entry = self.calls.get_mut(&call)?;
        let leg = entry.leg;
        match self.out.media.open(leg, entry.offer.source.ip(), entry.offer.local.ip()) {
            Ok(media) => {
                entry.has_media = true;
                self.tell_sip(SipCommand::Answer { leg, media }).await;
                None
            }
            Err(error) => {
                warn!(%call, %error, "no room for a call's audio");
                Some(Event::AnswerFailed { call })
            }
        }
    }

    async fn reject(&mut self, call: CallId, reason: EndReason) {
        let Some(CallLeg { leg, offer, .. }) = self.calls.remove(&call) else { return };
        self.legs.remove(&leg);
        let status = match reason {
            EndReason::UnknownNumber => RefuseStatus::UnknownNumber,
            EndReason::Busy => RefuseStatus::Overloaded { retry_after_s: RETRY_AFTER_S },
            _ => RefuseStatus::Failed,
        };
        info!(%call, dialled = %Pii(offer.dialled.as_str()), ?reason, "call refused");
        self.tell_sip(SipCommand::Refuse { leg, status }).await;
    }

    fn look_up(
        &mut self,
        call: CallId,
        lookup: LookupId,
        request: LookupRequest,
        deadline_ms: Option<u64>,
    ) {
        let (crm, clock, answers) = (self.out.crm.clone(), self.clock, self.answers.clone());
        let asked = clock.now();
        let task = tokio::spawn(async move {
            let answer = ask_crm(&*crm, &request, deadline_ms).await;
            let took_ms = clock.now().since(asked);
            let answered = Event::LookupAnswered { call, lookup, answer, took_ms };
            // The loop is gone only when the server is: then nobody waits for this answer.
            let _ = answers.send(answered).await;
        });
        self.lookups.insert((call, lookup), task.abort_handle());
    }

    fn record(&mut self, call: CallId, fact: CallFact) {
        match &fact {
            CallFact::Answered => info!(%call, "call answered"),
            CallFact::Ended { by, reason } => info!(%call, ?by, ?reason, "call ended"),
            CallFact::LookedUp { what, outcome, took_ms } => {
                info!(%call, what, outcome, took_ms, "looked up");
            }
            other => debug!(%call, fact = ?other, "recorded"),
        }
        self.out.calls.record(call, self.clock.now(), fact);
    }
}

/// Asks within the plan's deadline, if it sets a shorter one than the CRM's own.
async fn ask_crm(crm: &dyn Crm, request: &LookupRequest, deadline_ms: Option<u64>) -> LookupAnswer {
    let asking = async {
        match request {
            LookupRequest::Customers { phone } => {
                crm.customers(phone).await.map(LookupAnswer::Customers)
            }
            LookupRequest::Order { number } => crm.order(number).await.map(LookupAnswer::Order),
        }
    };
    let answer = match deadline_ms {
        None => asking.await,
        Some(ms) => {
            let deadline = std::time::Duration::from_millis(ms);
            match tokio::time::timeout(deadline, asking).await {
                Ok(answer) => answer,
                Err(_) => return LookupAnswer::Unavailable { why: format!("slower than {ms} ms") },
            }
        }
    };
    answer.unwrap_or_else(|error| LookupAnswer::Unavailable { why: error.to_string() })
}

async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
