//! The one owner of all call state: facts from SIP, media, CRM and the admin go into the hub, its
//! commands go out. Nothing here waits for a disk, a database or a phone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::core::event::{self, Destination, Dial, Refusal, TransferTarget};
use crate::core::{Command, Event, Hub, LookupAnswer, LookupRequest};
use crate::crm::Crm;
use crate::domain::{
    Calendar, CallFact, CallId, EndReason, EndedBy, KeySource, LegId, Login, LookupId, Pii,
    RtpStatistics, Timestamp, without_numbers,
};
use crate::media::{self, MediaEvent, MediaHandle};
use crate::sip::{self, Offer, RefuseStatus, SipCommand, SipEvent, SipHandle};
use crate::store::{CallWriter, Stored};
use crate::web::{self, Question};

use super::clock::Clock;
use super::people::People;
use super::promises::{self, Promises};
use super::recordings::file_name;
use super::room::Room;
use super::watch::{self, Watch};

/// Seconds after which a refused caller may try again.
const RETRY_AFTER_S: u32 = 5;

/// Where the event loop hears from.
pub struct Inputs {
    pub sip: mpsc::Receiver<SipEvent>,
    pub media: mpsc::Receiver<MediaEvent>,
    /// From the admin and the database: a new plan, operators, the drain.
    pub control: mpsc::Receiver<Event>,
    /// What is in the database now.
    pub stored: mpsc::Receiver<Stored>,
    /// Of those who watch.
    pub questions: web::Answers,
}

/// Whom the event loop commands.
pub struct Outputs {
    pub sip: SipHandle,
    pub media: MediaHandle,
    pub crm: Arc<dyn Crm>,
    pub calls: CallWriter,
    pub people: People,
    pub promises: Promises,
    pub watch: Watch,
    pub recordings: PathBuf,
    /// How many legs are up, for whoever waits for the last one.
    pub legs_up: tokio::sync::watch::Sender<usize>,
}

/// The loop and what it owns.
pub struct EventLoop {
    hub: Hub,
    clock: Clock,
    /// What the wall clock says: records carry its times.
    calendar: Calendar,
    out: Outputs,
    legs: BTreeMap<LegId, Leg>,
    /// The address of ours that an operator's phone sends to.
    phones: BTreeMap<Login, IpAddr>,
    room: Room,
    /// Conversations being written down, by the caller's leg.
    recordings: BTreeMap<LegId, CallId>,
    lookups: BTreeMap<(CallId, LookupId), AbortHandle>,
    answers: mpsc::Sender<Event>,
    /// Commands of the hub that are being carried out; kept for its memory.
    commands: Vec<Command>,
}

/// What is known of a leg outside the hub.
struct Leg {
    /// Of a leg that called us.
    offer: Option<Box<Offer>>,
    has_media: bool,
    /// Whether the peer lets us send, as of the last agreement.
    is_held: bool,
}

impl EventLoop {
    /// Runs until every input is closed.
    pub async fn run(hub: Hub, clock: Clock, mut inputs: Inputs, out: Outputs) {
        const ANSWERS_MAX: usize = 1_024;
        let (answers, mut answered) = mpsc::channel(ANSWERS_MAX);
        let mut this = Self {
            hub,
            clock,
            calendar: Calendar::default(),
            out,
            legs: BTreeMap::new(),
            phones: BTreeMap::new(),
            room: Room::default(),
            recordings: BTreeMap::new(),
            lookups: BTreeMap::new(),
            answers,
            commands: Vec::new(),
        };
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
                Some(stored) = inputs.stored.recv() => this.handle(promises::stored(stored)).await,
                Some(question) = inputs.questions.recv() => this.answer_question(question).await,
                () = sleep_until(timer) => this.on_time().await,
            }
            let up = this.legs.len();
            this.out.legs_up.send_if_modified(|seen| std::mem::replace(seen, up) != up);
        }
        this.stop().await;
    }

    async fn on_sip(&mut self, event: SipEvent) {
        match event {
            SipEvent::Offered(offer) => self.on_offer(offer).await,
            SipEvent::MediaAgreed { leg, session, peer } => {
                let Some(entry) = self.legs.get_mut(&leg) else { return };
                let is_held = !session.direction.sends();
                let was_held = std::mem::replace(&mut entry.is_held, is_held);
                self.out.media.answered_from(leg, peer);
                self.out.media.agree(leg, session);
                if was_held != is_held {
                    self.handle(Event::Held { leg, is_held }).await;
                }
            }
            SipEvent::Confirmed { leg } => self.handle(Event::Confirmed { leg }).await,
            SipEvent::KeyPressed { leg, key } => {
                let source = KeySource::Info;
                self.handle(Event::KeyPressed { leg, key, source }).await;
            }
            SipEvent::Ringing { leg } => self.handle(Event::Ringing { leg }).await,
            SipEvent::Answered { leg } => self.handle(Event::Answered { leg }).await,
            SipEvent::Ended { leg, by, reason } => {
                self.handle(Event::LegEnded { leg, by, reason }).await;
                self.close(leg).await;
            }
            SipEvent::Unanswered { leg, outcome } => {
                self.handle(Event::Unanswered { leg, outcome }).await;
                self.close(leg).await;
            }
            SipEvent::TransferAsked { leg, target } => {
                let target = match target {
                    sip::TransferTarget::Dialled(dialled) => TransferTarget::Dialled(dialled),
                    sip::TransferTarget::Leg(leg) => TransferTarget::Leg(leg),
                };
                self.handle(Event::TransferAsked { leg, target }).await;
            }
            SipEvent::TrunksChanged { calls_max, starts_per_second, trunks: _ } => {
                self.handle(Event::TrunksChanged { calls_max, starts_per_second }).await;
            }
            SipEvent::PhoneChanged { login, state, local } => {
                match local {
                    Some(local) => drop(self.phones.insert(login.clone(), local)),
                    None => drop(self.phones.remove(&login)),
                }
                info!(operator = %login, ?state, "phone");
                self.handle(Event::PhoneChanged { operator: login, state }).await;
            }
        }
    }

    async fn on_offer(&mut self, offer: Box<Offer>) {
        let call = CallId(Uuid::now_v7());
        let leg = offer.leg;
        if !self.room.was_short(self.clock.now()) {
            info!(%call, caller = %Pii(&offer.caller), source = %offer.source, "call offered");
        }
        let event = Event::CallOffered(Box::new(event::Offered {
            call,
            leg,
            dialled: offer.dialled.clone(),
            caller: offer.caller.clone(),
            caller_name: offer.caller_name.clone(),
            account: offer.account.clone(),
            is_near_phone: offer.is_near_phone,
            stranger: offer.stranger,
            replaces: offer.replaces,
        }));
        self.legs.insert(leg, Leg { offer: Some(offer), has_media: false, is_held: false });
        self.handle(event).await;
    }

    async fn on_media(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::KeyPressed { leg, key, source } => {
                self.handle(Event::KeyPressed { leg, key, source }).await;
            }
            MediaEvent::PlayEnded { leg, play, cut_after_ms } => {
                self.handle(Event::PlayEnded { leg, play, cut_after_ms }).await;
            }
            MediaEvent::Quiet { leg } => self.handle(Event::MediaQuiet { leg }).await,
            MediaEvent::Died { leg } => self.handle(Event::MediaDied { leg }).await,
            MediaEvent::Closed { leg, statistics } => self.forget(leg, statistics).await,
            MediaEvent::Recorded { leg, note } => {
                let Some(call) = self.recordings.remove(&leg) else { return };
                self.handle(Event::Recorded { call, note }).await;
            }
            MediaEvent::RecordingFailed { leg: _, file, problem } => {
                warn!(file = %file.display(), problem, "a recording will be incomplete");
            }
        }
    }

    /// Signalling is over: the media follows, if there is any.
    async fn close(&mut self, leg: LegId) {
        match self.legs.get(&leg) {
            Some(entry) if entry.has_media => self.out.media.close(leg),
            Some(_) => self.forget(leg, RtpStatistics::default()).await,
            None => {}
        }
    }

    /// Nothing more will come about this leg.
    async fn forget(&mut self, leg: LegId, statistics: RtpStatistics) {
        if self.legs.remove(&leg).is_some() {
            debug!(%leg, ?statistics, "audio closed");
            self.out.watch.on_audio_closed(&statistics);
            self.handle(Event::MediaClosed { leg, statistics }).await;
        }
    }

    async fn answer_question(&mut self, question: Question) {
        let now = self.clock.now();
        // Who asked may be gone; then nobody misses the answer.
        match question {
            Question::State(to) => drop(to.send(watch::state(self.hub.snapshot(now)))),
            Question::Metrics(to) => {
                let mut counters = self.out.watch.counters(&self.out.sip);
                watch::count_promises(self.hub.ledger(), self.wall(), &mut counters.promises);
                let waiting = self.out.calls.waiting() + self.out.promises.waiting();
                counters.facts_waiting = waiting as u64;
                counters.promises.trunk_up = watch::trunks_up(self.out.sip.trunks());
                drop(to.send((watch::state(self.hub.snapshot(now)), counters)));
            }
            Question::Promises(to) => {
                drop(to.send(watch::promises(self.hub.ledger(), self.wall())));
            }
            Question::Robots(to) => drop(to.send(watch::robots(self.hub.ledger(), self.wall()))),
            Question::SwitchRobot { name, stop, answer } => {
                let robots = self.hub.ledger().robots(self.wall());
                let is_known = robots.iter().any(|robot| robot.name == name);
                if is_known {
                    info!(robot = name, stopped = stop, "robot switched");
                    self.out.promises.switch_robot(name.clone(), stop, self.wall());
                    self.handle(Event::RobotSwitched { name, is_stopped: stop }).await;
                }
                let _ = answer.send(is_known);
            }
            Question::Why { group, answer } => {
                drop(answer.send(self.hub.explain_group(now, &group).map(watch::why)));
            }
        }
    }

    /// Lets the hub decide and carries out what it decides, until nothing follows from that.
    async fn handle(&mut self, event: Event) {
        let mut next = vec![event];
        while let Some(event) = next.pop() {
            if let Event::LookupAnswered { call, lookup, .. } = &event {
                self.lookups.remove(&(*call, *lookup));
            }
            if let Event::CalendarSet { calendar } = &event {
                self.calendar = *calendar;
            }
            let mut commands = std::mem::take(&mut self.commands);
            self.hub.handle(self.clock.now(), event, &mut commands);
            self.carry_out(commands, &mut next).await;
        }
    }

    async fn on_time(&mut self) {
        let mut commands = std::mem::take(&mut self.commands);
        self.hub.on_time(self.clock.now(), &mut commands);
        let mut failed = Vec::new();
        self.carry_out(commands, &mut failed).await;
        for event in failed {
            self.handle(event).await;
        }
    }

    /// Nothing more will be heard: what is still to be written down is.
    async fn stop(&mut self) {
        let mut commands = std::mem::take(&mut self.commands);
        self.hub.stop(self.clock.now(), &mut commands);
        self.carry_out(commands, &mut Vec::new()).await;
    }

    /// A command that fails comes back as an event.
    async fn carry_out(&mut self, mut commands: Vec<Command>, failed: &mut Vec<Event>) {
        for command in commands.drain(..) {
            failed.extend(self.execute(command).await);
        }
        self.commands = commands;
    }

    async fn execute(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::Ring { leg } => self.tell_sip(SipCommand::Ring { leg }).await,
            Command::Answer { leg } => return self.answer(leg).await,
            Command::Reject { leg, why } => self.reject(leg, why).await,
            Command::Dial(dial) => return self.dial(dial).await,
            Command::Hangup { leg, by: _, reason: _ } => {
                self.tell_sip(SipCommand::Hangup { leg }).await;
            }
            Command::Probe { leg } => self.tell_sip(SipCommand::Probe { leg }).await,
            Command::Play { leg, play, language, recordings } => {
                self.out.media.play(leg, play, language, &recordings);
            }
            Command::StopPlaying { leg } => self.out.media.stop_playing(leg),
            Command::Bridge { one, other } => self.out.media.bridge(one, other),
            Command::Unbridge { leg } => self.out.media.unbridge(leg),
            Command::Monitor { supervisor, operator, mode } => {
                self.out.media.monitor(supervisor, operator, monitoring(mode));
            }
            Command::StartRecording { call, caller, operator } => {
                self.start_recording(call, caller, operator);
            }
            Command::PauseRecording { caller } => self.out.media.pause_recording(caller),
            Command::ResumeRecording { caller } => self.out.media.resume_recording(caller),
            Command::StopRecording { caller } => self.out.media.stop_recording(caller),
            Command::AcceptTransfer { leg } => {
                self.tell_sip(SipCommand::AcceptTransfer { leg }).await;
            }
            Command::RefuseTransfer { leg } => {
                let status = RefuseStatus::Forbidden;
                self.tell_sip(SipCommand::RefuseTransfer { leg, status }).await;
            }
            Command::EndTransfer { leg, succeeded } => {
                self.tell_sip(SipCommand::EndTransfer { leg, succeeded }).await;
            }
            Command::SetLamp { lamp, state } => {
                let state = match state {
                    event::LampState::Off => sip::LampState::Off,
                    event::LampState::Ringing => sip::LampState::Ringing,
                    event::LampState::On => sip::LampState::On,
                };
                self.tell_sip(SipCommand::SetLamp { lamp, state }).await;
            }
            Command::LookUp { call, lookup, request, deadline_ms } => {
                self.look_up(call, lookup, request, deadline_ms);
            }
            Command::CancelLookup { call, lookup } => {
                if let Some(task) = self.lookups.remove(&(call, lookup)) {
                    task.abort();
                }
            }
            Command::StartMessage { call, leg, max_ms } => self.start_message(call, leg, max_ms),
            Command::StopMessage { leg } => self.out.media.stop_message(leg),
            Command::StorePromise(promise) => self.out.promises.store(*promise, self.wall()),
            Command::StoreAttempt(attempt) => self.out.promises.attempt(attempt),
            Command::StoreRating { call, rating } => {
                self.out.promises.rating(call, rating, self.wall());
            }
            Command::Forbid { forbidden, source } => {
                self.out.promises.forbid(forbidden, source, self.wall());
            }
            Command::ShopEventTaken { key, problem } => {
                if let Some(problem) = problem {
                    let event = without_numbers(&key);
                    warn!(event, problem, "an event of the shop: the customer is not called");
                }
                self.out.promises.event_taken(key, self.wall());
            }
            Command::WriteCrm { call, phone, write } => {
                self.out.promises.write_crm(call, phone, &write, self.wall());
            }
            Command::ShowPromise { promise, news } => {
                self.out.watch.on_promise(self.wall(), &promise, news);
            }
            Command::Record { call, fact } => self.record(call, fact),
            Command::ShowOperator { operator, state } => {
                self.out.watch.on_operator(self.wall(), operator, state);
            }
            Command::RememberAttendance { operator, attendance } => {
                self.out.people.remember_attendance(operator, attendance);
            }
            Command::RememberTip { caller, tip } => self.out.people.remember_tip(caller, tip),
        }
        None
    }

    async fn tell_sip(&self, command: SipCommand) {
        if let Err(error) = self.out.sip.send(command).await {
            debug!(%error, "a command came too late for SIP");
        }
    }

    async fn answer(&mut self, leg: LegId) -> Option<Event> {
        let entry = self.legs.get_mut(&leg)?;
        let offer = entry.offer.as_ref()?;
        match self.out.media.open(leg, offer.source.ip(), offer.local.ip()) {
            Ok(media) => {
                entry.has_media = true;
                self.tell_sip(SipCommand::Answer { leg, media }).await;
                None
            }
            Err(error) => {
                self.room.is_missing(self.clock.now(), &error);
                Some(Event::NoRoom { leg })
            }
        }
    }

    async fn dial(&mut self, dial: Dial) -> Option<Event> {
        let Dial { leg, to, from, display, auto_answer, ring_ms } = dial;
        let (to, local) = match to {
            Destination::Operator(login) => {
                let local = self.phones.get(&login).copied();
                (sip::Destination::Account(login), local)
            }
            Destination::Number { number, trunks } => {
                (sip::Destination::Outside { number, trunks }, None)
            }
        };
        let local = local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let media = match self.out.media.open(leg, unknown_of(local), local) {
            Ok(media) => media,
            Err(error) => {
                self.room.is_missing(self.clock.now(), &error);
                return Some(Event::NoRoom { leg });
            }
        };
        self.legs.insert(leg, Leg { offer: None, has_media: true, is_held: false });
        let dial = sip::Dial { leg, to, media, from_user: from, display, auto_answer, ring_ms };
        self.tell_sip(SipCommand::Dial(Box::new(dial))).await;
        None
    }

    async fn reject(&mut self, leg: LegId, why: Refusal) {
        self.legs.remove(&leg);
        let status = match why {
            Refusal::UnknownNumber => RefuseStatus::UnknownNumber,
            Refusal::Overloaded => RefuseStatus::Overloaded { retry_after_s: RETRY_AFTER_S },
            Refusal::Unauthenticated => RefuseStatus::Unauthenticated,
            Refusal::Forbidden => RefuseStatus::Forbidden,
            Refusal::Busy => RefuseStatus::Busy,
        };
        if why != Refusal::Overloaded {
            info!(%leg, ?why, "call refused");
        }
        self.tell_sip(SipCommand::Refuse { leg, status }).await;
    }

    fn start_recording(&mut self, call: CallId, caller: LegId, operator: LegId) {
        let file = self.file_for(call);
        self.recordings.insert(caller, call);
        let folder = self.out.recordings.clone();
        let recording = media::Recording { left: caller, right: operator, folder, file };
        self.out.media.record(recording);
    }

    fn start_message(&mut self, call: CallId, leg: LegId, max_ms: u64) {
        let (folder, file) = (self.out.recordings.clone(), self.file_for(call));
        self.recordings.insert(leg, call);
        let message = media::Message { leg, folder, file, length_max_ms: max_ms };
        self.out.media.start_message(message);
    }

    /// Where a recording of a call goes: no name from outside is part of it.
    fn file_for(&self, call: CallId) -> String {
        let wall = self.wall();
        let day = wall.in_zone(&jiff::tz::TimeZone::UTC).date();
        format!("{day}/{}", file_name(call, wall))
    }

    fn wall(&self) -> Timestamp {
        self.calendar.wall(self.clock.now())
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
            CallFact::Ended { by: EndedBy::Server, reason: EndReason::Busy }
                if self.room.was_short(self.clock.now()) => {}
            CallFact::Ended { by, reason } => info!(%call, ?by, ?reason, "call ended"),
            CallFact::LookedUp { what, outcome, took_ms } => {
                info!(%call, what, outcome, took_ms, "looked up");
            }
            CallFact::Queued { group } => info!(%call, group, "in the line"),
            CallFact::Connected { operator } => info!(%call, %operator, "connected"),
            CallFact::NotTaken { operator, outcome, rang_ms } => {
                info!(%call, %operator, ?outcome, rang_ms, "not taken");
            }
            // What it holds may be what a caller typed, or a number.
            other => debug!(%call, fact = other.kind(), "recorded"),
        }
        let now = self.wall();
        self.out.watch.on_fact(now, call, &fact, |group| self.hub.waiting(group));
        self.out.calls.record(call, now, fact);
    }
}

fn monitoring(mode: event::Monitoring) -> media::Monitoring {
    match mode {
        event::Monitoring::Listen => media::Monitoring::Listen,
        event::Monitoring::Whisper => media::Monitoring::Whisper,
        event::Monitoring::Barge => media::Monitoring::Barge,
    }
}

/// Nobody in particular, in the address family of `local`: who will speak is not known before the
/// answer.
fn unknown_of(local: IpAddr) -> IpAddr {
    match local {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
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
